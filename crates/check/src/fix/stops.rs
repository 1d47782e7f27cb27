//! `StopIteration`: no coroutine can raise it. What one calls may not let it through either, where somebody waits for it.

use super::closure::{Closures, Obstacle};
use super::walk::span;
use crate::facts::{EventKind, Expr as Fact, Span};
use crate::graph::Site;
use crate::link::values::{FileId, FnId, Value};
use crate::syntax::{ExceptHandler, Expr, Module, Ranged, Stmt, Visitor, walk_expr, walk_stmt};
use rustc_hash::FxHashSet;

impl Closures<'_, '_> {
    /// Whether a function lets no `StopIteration` through.
    pub(super) fn stops_nobody(&mut self, function: FnId) -> Result<(), Obstacle> {
        if self.program.function(function).is_generator
            || !self.pages.files.iter().any(|file| file.text.contains("StopIteration"))
        {
            return Ok(());
        }
        let mut seen = FxHashSet::default();
        match self.stop_of(function, &mut seen) {
            Some(site) => {
                let reason = format!(
                    "`StopIteration` may come from here, out of `{}`: no coroutine function can raise it",
                    self.name_of(function)
                );
                Err(Obstacle { site, reason })
            }
            None => Ok(()),
        }
    }

    /// Where it comes from.
    fn stop_of(&mut self, function: FnId, seen: &mut FxHashSet<FnId>) -> Option<Site> {
        if !seen.insert(function) {
            return None;
        }
        let Site { file, span: name } = self.site_of(function);
        let own = stops(self.pages.text(file), name);
        if let Some(span) = own.stops.iter().find(|span| !self.is_endless(file, function, **span)) {
            return Some(Site { file, span: *span });
        }
        let graph = self.graph;
        for index in &graph.from[function.0 as usize] {
            let edge = &graph.edges[*index];
            let callee = self.program.function(edge.callee);
            let is_plain = edge.runs && !callee.is_async && !callee.is_generator;
            if is_plain
                && matches!(edge.kind, EventKind::Call(_))
                && !own.caught.iter().any(|caught| caught.contains(edge.site.span))
                && let Some(site) = self.stop_of(edge.callee, seen)
            {
                return Some(site);
            }
        }
        None
    }

    /// Whether what `next(...)` takes from has no end.
    fn is_endless(&mut self, file: FileId, function: FnId, at: Span) -> bool {
        let event =
            self.program.function(function).events.iter().find(|event| event.span == at).map(|event| event.expr);
        let Some(Fact::Call(_, arguments)) = event.map(|expr| self.program.expr(file, expr)) else { return false };
        let Some(taken) = arguments.first().map(|argument| argument.value) else { return false };
        let set = self.program.eval(file, taken);
        let members = self.program.values.members(set);
        let is_endless = |path: &str| ["itertools.count", "itertools.cycle"].iter().any(|name| path.starts_with(name));
        !members.is_empty()
            && members.iter().all(|value| match self.program.values.get(*value) {
                Value::External(path) => is_endless(self.program.values.path_text(*path)),
                _ => false,
            })
    }
}

#[derive(Default)]
struct Stops {
    /// Where it may come from.
    stops: Vec<Span>,
    /// Where it is caught.
    caught: Vec<Span>,
}

/// Of the function of which the name stands there.
fn stops(text: &str, name: Span) -> Stops {
    let module = Module::parse(text);
    let mut finder = Finder { name, depth: 0, is_caught: false, found: Stops::default() };
    module.body().iter().for_each(|statement| finder.visit_stmt(statement));
    finder.found
}

struct Finder {
    name: Span,
    /// 1 within the function, more within those in it.
    depth: usize,
    is_caught: bool,
    found: Stops,
}

impl<'a> Visitor<'a> for Finder {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                let is_it = span(function.name.range) == self.name;
                self.depth += usize::from(self.depth > 0 || is_it);
                self.visit_body(&function.body);
                self.depth = self.depth.saturating_sub(1);
            }
            Stmt::Try(try_) if self.depth == 1 => {
                let before = self.is_caught;
                let catches = try_.handlers.iter().any(catches);
                if let (true, Some(first), Some(last)) = (catches, try_.body.first(), try_.body.last()) {
                    let (start, end) = (span(first.range()).start, span(last.range()).end);
                    self.found.caught.push(Span { start, end });
                }
                self.is_caught |= catches;
                self.visit_body(&try_.body);
                self.is_caught = before;
                for ExceptHandler::ExceptHandler(handler) in &try_.handlers {
                    self.visit_body(&handler.body);
                }
                self.visit_body(&try_.orelse);
                self.visit_body(&try_.finalbody);
            }
            Stmt::Raise(raise) if self.depth == 1 && !self.is_caught => {
                let raised = raise.exc.as_deref().map(|raised| match raised {
                    Expr::Call(call) => &*call.func,
                    other => other,
                });
                if raised.is_some_and(|raised| is_stop(raised, &["StopIteration"])) {
                    self.found.stops.push(span(raise.range));
                }
                walk_stmt(self, statement);
            }
            _ => walk_stmt(self, statement),
        }
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            // What these hold runs later, or not as part of the function.
            Expr::Lambda(_) | Expr::Generator(_) => {}
            Expr::Call(call) => {
                let is_next = match &*call.func {
                    Expr::Name(name) => name.id.as_str() == "next" && call.arguments.args.len() == 1,
                    Expr::Attribute(attribute) => attribute.attr.as_str() == "__next__",
                    _ => false,
                };
                if is_next && self.depth == 1 && !self.is_caught {
                    self.found.stops.push(span(call.range()));
                }
                walk_expr(self, expr);
            }
            _ => walk_expr(self, expr),
        }
    }
}

fn catches(ExceptHandler::ExceptHandler(handler): &ExceptHandler) -> bool {
    handler.type_.as_deref().is_none_or(|caught| is_stop(caught, &["StopIteration", "Exception", "BaseException"]))
}

fn is_stop(expr: &Expr, names: &[&str]) -> bool {
    match expr {
        Expr::Name(name) => names.contains(&name.id.as_str()),
        Expr::Attribute(attribute) => names.contains(&attribute.attr.as_str()),
        Expr::Tuple(tuple) => tuple.elts.iter().any(|one| is_stop(one, names)),
        _ => false,
    }
}
