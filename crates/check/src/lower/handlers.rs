//! `with` and `try`: what is entered, what is caught, and what a call says that did not fail.

use super::Lowering;
use super::statements::{any_statement, exits_of, raises};
use crate::facts::{BindingKind, Condition, Event, EventKind, Expr as Fact, ExprId, Handler, Use};
use crate::syntax::{ExceptHandler, Expr, Ranged, Stmt, ast};

impl Lowering {
    pub(super) fn with(&mut self, with: &ast::StmtWith) {
        let guard = self.frame().guard;
        for item in &with.items {
            let becomes = if with.is_async { Use::Entered } else { Use::Other };
            let context = self.used_expr(&item.context_expr, becomes);
            let kind = if with.is_async { EventKind::AsyncEnter } else { EventKind::Enter };
            self.event(kind, context, item.context_expr.range());
            if with.is_async {
                self.function().awaits = true;
            }
            if let Some(target) = &item.optional_vars {
                let fact = if with.is_async { Fact::AsyncEnter(context) } else { Fact::Enter(context) };
                let value = self.add(fact, item.range);
                self.assign(target, value);
            }
            self.guard(if with.is_async { Condition::AsyncWithin(context) } else { Condition::Within(context) });
        }
        let before = self.frame().flow.clone();
        let events_before = self.function().events.len();
        let yields = self.function().yields.len();
        self.body(&with.body);
        let question = self.asks_for_the_loop(events_before);
        let function = self.function();
        function.cleans_up |= function.yields.len() > yields;
        let frame = self.frame();
        frame.guard = guard;
        // The context may swallow what was raised.
        let suppresses = with.items.iter().any(|item| is_suppress(&item.context_expr));
        if frame.flow.is_dead && !before.is_dead && (raises(&with.body) || suppresses) {
            frame.flow.join(&before);
            frame.flow.is_dead = false;
            // Whoever gets further had no loop.
            if let Some(expr) = question.filter(|_| suppresses) {
                self.guard(Condition::Called { expr, went_well: false });
            }
        }
    }

    pub(super) fn try_(&mut self, try_: &ast::StmtTry) {
        let guard = self.frame().guard;
        let before = self.frame().flow.clone();
        if let Some(place) = broad_handler(&try_.handlers) {
            self.guard(Condition::Covered(place));
        }
        let events_before = self.function().events.len();
        let yields = self.function().yields.len();
        self.tried(&try_.body);
        if !try_.finalbody.is_empty() {
            let function = self.function();
            function.cleans_up |= function.yields.len() > yields;
        }
        let question = self.asks_for_the_loop(events_before);
        let inside = self.frame().flow.clone();
        self.frame().guard = guard;
        if let Some(expr) = question {
            self.guard(Condition::Called { expr, went_well: true });
        }
        let well = self.frame().guard;
        self.body(&try_.orelse);
        let mut after = self.frame().flow.clone();
        let well_leaves = after.is_dead;
        let mut all_leave = !try_.handlers.is_empty();
        let awaits = self.awaits_since(events_before);
        let mut earlier = Vec::new();
        let is_for_older_pythons = try_.body.iter().all(imports_what_is_there);
        for handler in try_.handlers.iter().filter(|_| !is_for_older_pythons) {
            let mut begin = before.clone();
            let mut end_of_body = inside.clone();
            end_of_body.is_dead = false;
            begin.join(&end_of_body);
            self.frame().flow = begin;
            self.frame().guard = guard;
            if let Some(expr) = question {
                self.guard(Condition::Called { expr, went_well: false });
            }
            self.handler(handler, awaits, &mut earlier);
            let frame = self.frame();
            all_leave &= frame.flow.is_dead;
            after.join(&frame.flow);
        }
        self.frame().guard = guard;
        match question {
            Some(_) if all_leave => self.frame().guard = well,
            // Whoever gets further was in a handler.
            Some(expr) if well_leaves => self.guard(Condition::Called { expr, went_well: false }),
            _ => {}
        }
        let frame = self.frame();
        frame.flow = after;
        let is_dead = std::mem::replace(&mut frame.flow.is_dead, false);
        self.body(&try_.finalbody);
        self.frame().flow.is_dead |= is_dead;
        if awaits {
            self.leaves_finally(&try_.finalbody);
        }
    }

    /// Remembers all statements that leave a `finally` of a `try` that awaits.
    fn leaves_finally(&mut self, body: &[Stmt]) {
        let function = self.frame().function;
        for span in exits_of(body) {
            // A `try` within the `finally` may have one of its own, which told it.
            if !self.facts.handlers.iter().any(|known| known.is_finally && known.span == span) {
                self.remember_handler(Handler { function, span, awaits: true, is_finally: true, ..Handler::default() });
            }
        }
    }

    /// The body of a `try`: behind the call that fails where no loop runs, one does.
    fn tried(&mut self, body: &[Stmt]) {
        for statement in body {
            let since = self.function().events.len();
            self.statement(statement);
            if matches!(statement, Stmt::Expr(_) | Stmt::Assign(_) | Stmt::AnnAssign(_))
                && let Some(expr) = self.asks_for_the_loop(since)
            {
                self.guard(Condition::Called { expr, went_well: true });
            }
        }
    }

    /// The call in a `try` that fails where no loop runs, or where there is none.
    fn asks_for_the_loop(&mut self, since: usize) -> Option<ExprId> {
        let function = self.frame().function;
        let events = &self.facts.functions[function].events[since..];
        let mut calls = events.iter().filter(|event| matches!(event.kind, EventKind::Call(_))).rev();
        let is_last = |event: &&Event| calls.next().is_some_and(|last| last.expr == event.expr);
        let found = events
            .iter()
            .find(|event| self.calls(event.expr, "get_running_loop") || self.calls(event.expr, "current_task"));
        // What comes behind this one may fail because a loop runs.
        let found =
            found.or_else(|| events.iter().find(|event| self.calls(event.expr, "get_event_loop")).filter(is_last));
        found.map(|event| event.expr)
    }

    /// `await asyncio.wrap_future(future)`: what comes behind that knows that the future is done.
    pub(super) fn has_waited(&mut self, value: ExprId) {
        let Fact::Await(mut awaited) = self.facts.exprs[value] else { return };
        if self.calls(awaited, "wait_for")
            && let Fact::Call(_, arguments) = &self.facts.exprs[awaited]
            && let Some(first) = arguments.first()
        {
            awaited = first.value;
        }
        if self.calls(awaited, "wrap_future") {
            self.guard(Condition::Called { expr: awaited, went_well: true });
        }
    }

    /// Whether it is a call of something with that name.
    fn calls(&self, call: ExprId, wanted: &str) -> bool {
        let Fact::Call(callee, _) = &self.facts.exprs[call] else { return false };
        match &self.facts.exprs[*callee] {
            Fact::Attribute(_, name) | Fact::Global(name) | Fact::Free(_, name) => self.names[*name] == *wanted,
            Fact::Local(bindings) => bindings.iter().any(|binding| match self.facts.bindings[*binding].kind {
                BindingKind::ImportFrom { name, .. } => self.names[name] == *wanted,
                _ => false,
            }),
            _ => false,
        }
    }

    /// Whether a `try` awaits.
    fn awaits_since(&mut self, since: usize) -> bool {
        let events = &self.function().events[since..];
        let awaits = |kind| matches!(kind, EventKind::Await | EventKind::AsyncEnter | EventKind::AsyncIterate);
        events.iter().any(|event| awaits(event.kind))
    }

    fn remember_handler(&mut self, handler: Handler) {
        if self.facts.functions[handler.function].is_async {
            self.facts.handlers.push(handler);
        }
    }

    fn handler(&mut self, handler: &ExceptHandler, awaits: bool, earlier: &mut Vec<ExprId>) {
        let ExceptHandler::ExceptHandler(handler) = handler;
        let mut types = Vec::new();
        match handler.type_.as_deref() {
            Some(Expr::Tuple(tuple)) => types.extend(tuple.elts.iter().map(|part| self.expr(part))),
            Some(one) => types.push(self.expr(one)),
            None => {}
        }
        if let Some(name) = &handler.name {
            let kind = types.first().map_or(BindingKind::Unknown, |class| BindingKind::Raised(*class));
            let name_id = self.name(name);
            self.bind(name_id, kind, name.range);
        }
        self.guard(Condition::Caught);
        let first = self.facts.handlers.len();
        self.body(&handler.body);
        let function = self.frame().function;
        for inner in self.facts.handlers.get_mut(first..).unwrap_or_default() {
            inner.raises |= inner.function == function && comes_to_raise(&handler.body, inner.span);
        }
        let known = earlier.clone();
        earlier.extend(types.iter().copied());
        let span = super::span(handler.range);
        let raises = raises(&handler.body);
        self.remember_handler(Handler { function, span, types, earlier: known, raises, awaits, is_finally: false });
    }
}

/// Whether what a handler within another one's body keeps for itself comes to nothing: the outer one raises in any case.
fn comes_to_raise(body: &[Stmt], inner: crate::facts::Span) -> bool {
    let leaves = |statement: &Stmt| matches!(statement, Stmt::Return(_) | Stmt::Break(_) | Stmt::Continue(_));
    let has_it = |statement: &Stmt| match statement {
        Stmt::Try(try_) => try_.handlers.iter().any(|handler| super::span(handler.range()) == inner),
        _ => false,
    };
    matches!(body.last(), Some(Stmt::Raise(_)))
        && !any_statement(body, false, &|statement, _| leaves(statement))
        && any_statement(body, false, &|statement, is_inner_loop| !is_inner_loop && has_it(statement))
}

/// `from zoneinfo import ZoneInfo`: every Python that is still supported has that module, and the handler is for older ones.
fn imports_what_is_there(statement: &Stmt) -> bool {
    let is_there = |module: &str| LONG_THERE.contains(&module);
    match statement {
        Stmt::Import(import) => import.names.iter().all(|alias| is_there(&alias.name)),
        Stmt::ImportFrom(import) => import.level == 0 && import.module.as_ref().is_some_and(|module| is_there(module)),
        _ => false,
    }
}

/// Modules of the standard library that all platforms have since 3.11, and whose names are no younger.
const LONG_THERE: &[&str] = &[
    "collections.abc",
    "contextvars",
    "dataclasses",
    "graphlib",
    "http.client",
    "importlib.metadata",
    "io",
    "json",
    "queue",
    "tomllib",
    "urllib.parse",
    "urllib.request",
    "zoneinfo",
];

fn is_suppress(context: &Expr) -> bool {
    let Expr::Call(call) = context else { return false };
    match &*call.func {
        Expr::Name(name) => name.id == "suppress",
        Expr::Attribute(attribute) => attribute.attr.as_str() == "suppress",
        _ => false,
    }
}

/// Where a handler begins that would hide an error of any kind.
fn broad_handler(handlers: &[ExceptHandler]) -> Option<u32> {
    let is_broad = |class: &Expr| matches!(class, Expr::Name(name) if name.id == "Exception" || name.id == "BaseException" || name.id == "RuntimeError");
    handlers.iter().find_map(|ExceptHandler::ExceptHandler(handler)| {
        let is_broad = match handler.type_.as_deref() {
            None => true,
            Some(Expr::Tuple(tuple)) => tuple.elts.iter().any(is_broad),
            Some(one) => is_broad(one),
        };
        (is_broad && !raises(&handler.body)).then(|| handler.range.start().to_u32())
    })
}
