//! Which functions must become coroutine functions together, and whether they can.

use crate::catalogue::Category;
use crate::facts::{Condition, EventKind, Expr};
use crate::graph::{Edge, Graph, Site};
use crate::link::Program;
use crate::link::values::{FileId, FnId, SetId, Value};
use rustc_hash::FxHashSet;
use std::collections::BTreeSet;

/// What stands in the way, and where.
pub(super) struct Obstacle {
    pub(super) site: Site,
    pub(super) reason: String,
}

pub(super) struct Closures<'p> {
    pub(super) program: &'p mut Program,
    pub(super) graph: &'p Graph,
    /// Functions that the loop gets to.
    pub(super) on_loop: FxHashSet<FnId>,
    /// Functions that are handed to somebody.
    escaping: FxHashSet<FnId>,
}

impl<'p> Closures<'p> {
    pub(super) fn new(program: &'p mut Program, graph: &'p Graph) -> Self {
        let on_loop = on_loop(program, graph);
        let escaping = escaping(program);
        Self { program, graph, on_loop, escaping }
    }

    /// The functions that must change for this call of something blocking to be awaited.
    pub(super) fn of(&mut self, sink: usize) -> Result<BTreeSet<FnId>, Obstacle> {
        let sink = &self.graph.sinks[sink];
        if !sink.via.is_empty() {
            return Err(Obstacle {
                site: sink.site,
                reason: "the blocking function is handed over as a value".to_owned(),
            });
        }
        self.is_free_of_locks(sink.caller, sink.site)?;
        let mut all = BTreeSet::new();
        let mut next = Vec::new();
        if !self.program.function(sink.caller).is_async {
            next.push(sink.caller);
        }
        while let Some(function) = next.pop() {
            if self.program.function(function).is_async || !all.insert(function) {
                continue;
            }
            self.can_change(function)?;
            next.extend(self.relatives(function));
            for &edge in &self.graph.into[function.0 as usize] {
                let edge = &self.graph.edges[edge];
                self.can_await(edge)?;
                self.is_free_of_locks(edge.caller, edge.site)?;
                let caller = self.program.function(edge.caller);
                if !caller.is_async && self.on_loop.contains(&edge.caller) {
                    next.push(edge.caller);
                }
            }
        }
        self.has_one_answer(&all)?;
        Ok(all)
    }

    fn site_of(&self, function: FnId) -> Site {
        Site { file: self.program.file_of(function), span: self.program.function(function).at }
    }

    /// Whether a function can be a coroutine function.
    fn can_change(&mut self, function: FnId) -> Result<(), Obstacle> {
        let site = self.site_of(function);
        let obstacle = |reason: String| Err(Obstacle { site, reason });
        let this = self.program.function(function).clone();
        let name = self.program.file(site.file).facts.name(this.name).to_owned();
        if this.is_lambda {
            return obstacle("a lambda cannot be a coroutine function".to_owned());
        }
        if this.is_generator {
            return obstacle(format!("`{name}` is a generator: who iterates over it would have to change as well"));
        }
        let is_special = name.starts_with("__") && name.ends_with("__");
        if is_special && !matches!(name.as_str(), "__enter__" | "__exit__") {
            return obstacle(format!("`{name}` cannot be a coroutine function: Python calls it"));
        }
        if self.graph.elsewhere.contains(&function) {
            return obstacle(format!("`{name}` also runs in another thread"));
        }
        if self.graph.scheduled.iter().any(|scheduled| scheduled.callee == function) {
            return obstacle(format!("the loop calls `{name}` as a plain function"));
        }
        if self.escaping.contains(&function) {
            return obstacle(format!("`{name}` is handed over as a value: who gets it calls it as a plain function"));
        }
        if let Some(decorator) = self.strange_decorator(function) {
            return obstacle(format!("the decorator `{decorator}` of `{name}` may not take a coroutine function"));
        }
        if let Some(class) = self.program.class_of(function) {
            let foreign = self.program.external_bases(class).into_iter().find(|base| !is_harmless(base));
            if let Some(base) = foreign.filter(|_| !name.starts_with('_') || is_special) {
                return obstacle(format!(
                    "`{name}` may override a method of `{base}`, which calls it as a plain function"
                ));
            }
        }
        Ok(())
    }

    fn strange_decorator(&mut self, function: FnId) -> Option<String> {
        let file = self.program.file_of(function);
        for decorator in self.program.function(function).decorators.clone() {
            let set = self.program.eval(file, decorator);
            let name =
                self.program.values.members(set).iter().find_map(|value| match self.program.values.get(*value) {
                    Value::External(path) => Some(self.program.values.path_text(*path).to_owned()),
                    Value::Function(function, _) => Some(self.program.qualified_name(*function)),
                    _ => None,
                });
            let is_known = name.as_deref().is_some_and(|name| {
                matches!(
                    name,
                    "property"
                        | "staticmethod"
                        | "classmethod"
                        | "abc.abstractmethod"
                        | "typing.override"
                        | "typing.final"
                        | "typing_extensions.override"
                )
            });
            if !is_known {
                return Some(name.unwrap_or_else(|| "?".to_owned()));
            }
        }
        None
    }

    /// Methods of the same name above and below; and the other half of a context manager.
    fn relatives(&mut self, function: FnId) -> Vec<FnId> {
        let Some(class) = self.program.class_of(function) else { return Vec::new() };
        let file = self.program.file_of(function);
        let name = self.program.symbol(file, self.program.function(function).name);
        let mut names = vec![name];
        match self.program.values.text(name) {
            "__enter__" => names.extend(self.program.values.known_symbol("__exit__")),
            "__exit__" => names.extend(self.program.values.known_symbol("__enter__")),
            _ => {}
        }
        let mut classes: Vec<_> = self.program.ancestors(class).collect();
        classes.extend_from_slice(self.program.heirs(class));
        classes.sort_unstable();
        classes.dedup();
        let mut found = Vec::new();
        for class in classes {
            for name in &names {
                found.extend(self.program.own_method(class, *name));
            }
        }
        found
    }

    /// Whether the caller can wait for it, there.
    fn can_await(&self, edge: &Edge) -> Result<(), Obstacle> {
        let obstacle = |reason: &str| Err(Obstacle { site: edge.site, reason: reason.to_owned() });
        if edge.is_handed || !edge.via.is_empty() {
            return obstacle("the function is handed over as a value: who gets it calls it as a plain function");
        }
        let is_outside = !self.program.function(edge.caller).is_async && !self.on_loop.contains(&edge.caller);
        match edge.kind {
            EventKind::Call(_) => Ok(()),
            EventKind::Read | EventKind::Enter if !is_outside => Ok(()),
            EventKind::Read | EventKind::Enter => obstacle("a caller outside any loop would have to run one for it"),
            _ => obstacle("it runs by an operator or a loop, which cannot await it"),
        }
    }

    /// While a lock of threads is held nothing may be awaited.
    fn is_free_of_locks(&mut self, function: FnId, site: Site) -> Result<(), Obstacle> {
        let events = self.program.function(function).events.iter();
        let guards: Vec<_> = events.filter(|event| event.span == site.span).map(|event| event.guard).collect();
        for guard in guards {
            let conditions: Vec<Condition> = self.program.file(site.file).facts.conditions(guard).collect();
            for condition in conditions {
                if let Condition::Within(manager) = condition
                    && self.program.is_thread_lock(site.file, manager)
                {
                    return Err(Obstacle {
                        site,
                        reason: "a lock of `threading` is held here: nothing may be awaited".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// A call that may be of something else as well cannot be awaited.
    fn has_one_answer(&self, all: &BTreeSet<FnId>) -> Result<(), Obstacle> {
        for function in all {
            for &edge in &self.graph.into[function.0 as usize] {
                let edge = &self.graph.edges[edge];
                let others = self.graph.from[edge.caller.0 as usize].iter().map(|other| &self.graph.edges[*other]);
                let is_other = |other: &Edge| {
                    other.site == edge.site
                        && std::mem::discriminant(&other.kind) == std::mem::discriminant(&edge.kind)
                        && !all.contains(&other.callee)
                };
                for other in others.filter(|other| is_other(other)) {
                    if edge.kind != EventKind::Enter {
                        let name = self.program.qualified_name(other.callee);
                        return Err(Obstacle {
                            site: edge.site,
                            reason: format!("this may also call `{name}`, which stays as it is"),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}

/// All that runs on the loop.
fn on_loop(program: &Program, graph: &Graph) -> FxHashSet<FnId> {
    let mut next: Vec<FnId> = program
        .functions()
        .filter(|function| program.function(*function).is_async || program.is_protocol_method(*function))
        .collect();
    next.extend(graph.scheduled.iter().map(|scheduled| scheduled.callee));
    let mut all = FxHashSet::default();
    while let Some(function) = next.pop() {
        if !all.insert(function) {
            continue;
        }
        for &edge in &graph.from[function.0 as usize] {
            let edge = &graph.edges[edge];
            if edge.runs && !edge.truth.is_outside {
                next.push(edge.callee);
            }
        }
    }
    all
}

/// Functions that are arguments, parts of containers, or set as attributes.
fn escaping(program: &mut Program) -> FxHashSet<FnId> {
    let mut all = FxHashSet::default();
    for index in 0..program.files.len() {
        let file = FileId(index as u32);
        let mut exprs = Vec::new();
        for (_, expr) in program.file(file).facts.exprs.iter() {
            match expr {
                Expr::Call(_, arguments) => exprs.extend(arguments.iter().map(|argument| argument.value)),
                Expr::Sequence(parts) => exprs.extend(parts),
                Expr::Mapping(items) => exprs.extend(items.iter().map(|(_, value)| *value)),
                _ => {}
            }
        }
        exprs.extend(program.file(file).facts.stores.iter().map(|store| store.value));
        for (_, function) in program.file(file).facts.functions.iter() {
            exprs.extend(function.returns.iter().map(|(expr, _)| *expr));
        }
        for expr in exprs {
            let set: SetId = program.eval(file, expr);
            for value in program.values.members(set) {
                if let Value::Function(function, _) | Value::Bound(function, ..) = program.values.get(*value) {
                    all.insert(*function);
                }
            }
        }
    }
    all
}

/// Bases that call nothing of their heirs.
fn is_harmless(base: &str) -> bool {
    matches!(
        base,
        "object"
            | "abc.ABC"
            | "typing.Generic"
            | "typing.Protocol"
            | "typing_extensions.Protocol"
            | "enum.Enum"
            | "typing.NamedTuple"
    ) || base.ends_with("Exception")
        || base.ends_with("Error")
}

/// Whether a repair of chains is for it.
pub(super) const fn is_for_chains(category: Category) -> bool {
    matches!(category, Category::Nested | Category::Sleep | Category::Deadlock)
}
