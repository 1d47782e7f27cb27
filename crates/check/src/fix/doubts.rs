//! Where the program may call a function without saying so: methods of objects of which nothing is known, names made at run time, and modules
//! that are imported while a loop runs. In doubt a chain is left alone.

use super::closure::{Closure, Closures, Obstacle};
use super::obstacles::may_call_on_loop;
use super::sites::at;
use super::unknown::{put_in, root};
use crate::facts::{BindingKind, Constant, EventKind, Expr, ExprId, MODULE, ScopeKind};
use crate::graph::{Edge, SinkCall, Site};
use crate::link::Program;
use crate::link::values::{ClsId, EMPTY, FileId, FnId, PathId, SetId, Value, ValueId};
use rustc_hash::FxHashSet;

/// An object that is asked for something by a name that is made at run time, or that an `ExitStack` enters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    at: ExprId,
    object: ExprId,
    is_entered: bool,
}

/// All of them, with their files.
pub(super) fn named(program: &mut Program) -> Vec<(FileId, Named)> {
    let mut all = Vec::new();
    for index in 0..program.files.len() {
        let file = FileId(index as u32);
        let facts = program.files[index].facts.share();
        for (at, expr) in facts.exprs.iter() {
            let Expr::Call(callee, arguments) = expr else { continue };
            match (&facts.exprs[*callee], &**arguments) {
                (Expr::Attribute(_, name), [first, ..]) if matches!(facts.name(*name), "enter_context" | "push") => {
                    all.push((file, Named { at: first.value, object: first.value, is_entered: true }));
                }
                (Expr::Global(name), [object, text, ..]) if facts.name(*name) == "getattr" => {
                    let names = program.eval(file, text.value);
                    let is_text = |value: &ValueId| matches!(program.values.get(*value), Value::Text(_));
                    if !program.values.members(names).iter().any(is_text) {
                        all.push((file, Named { at, object: object.value, is_entered: false }));
                    }
                }
                _ => {}
            }
        }
    }
    all
}

impl Closures<'_, '_> {
    /// Whether all calls of a function are known.
    pub(super) fn is_known_everywhere(&mut self, function: FnId, name: &str) -> Result<(), Obstacle> {
        if let Some(doubt) = self.doubt(function, name) {
            let reason = format!("this may use `{name}` as well: what it is used of is not known");
            return Err(Obstacle { site: doubt.site, reason });
        }
        let Some(class) = self.program.class_of(function) else { return Ok(()) };
        let mut classes: Vec<ClsId> = self.program.ancestors(class).collect();
        classes.extend_from_slice(self.program.heirs(class));
        if let Some(site) = self.named_of(&classes, false) {
            let reason = format!("this may use `{name}` as well: the attribute is named at run time");
            return Err(Obstacle { site, reason });
        }
        Ok(())
    }

    /// Whether no `ExitStack` enters a context manager.
    pub(super) fn is_entered_by_with(&mut self, function: FnId) -> Result<(), Obstacle> {
        let Some(class) = self.program.class_of(function) else { return Ok(()) };
        let mut classes: Vec<ClsId> = self.program.ancestors(class).collect();
        classes.extend_from_slice(self.program.heirs(class));
        match self.named_of(&classes, true) {
            Some(site) => {
                let reason = format!("an `ExitStack` enters `{}` as it is now", self.class_name(class));
                Err(Obstacle { site, reason })
            }
            None => Ok(()),
        }
    }

    /// Whether what blocks is all that its call may be of.
    pub(super) fn is_nothing_else(&mut self, sink: &SinkCall) -> bool {
        let (file, span) = (sink.site.file, sink.site.span);
        let events = &self.program.function(sink.caller).events;
        let call = events.iter().find(|event| event.span == span && matches!(event.kind, EventKind::Call(_)));
        let Some(Expr::Call(callee, _)) = call.map(|event| self.program.expr(file, event.expr)) else { return true };
        let set = self.program.eval(file, *callee);
        self.program.values.shared(set).iter().copied().all(|value| self.is_only(value, sink.path))
    }

    /// Whether a value is a function outside the program, whoever says what it is.
    fn is_only(&mut self, value: ValueId, path: PathId) -> bool {
        let is_it = |value: &Value| matches!(value, Value::External(known) if *known == path);
        let Some(root) = root(self.program, value) else { return is_it(self.program.values.get(value)) };
        let (owner, place) = root;
        let default = self.program.function(owner).parameters.get(place as usize).and_then(|one| one.default);
        let default = default.map(|default| self.program.eval(self.program.file_of(owner), default));
        let graph = self.graph;
        let givers = &graph.into[owner.0 as usize];
        !givers.is_empty()
            && givers.iter().all(|giver| {
                let env = self.program.values.env(graph.edges[*giver].env);
                let given = env.iter().find(|(key, _)| *key == root).map(|(_, set)| *set);
                let given = given.or(default).unwrap_or(EMPTY);
                let given = put_in(self.program, value, given);
                let members = self.program.values.members(given);
                !members.is_empty() && members.iter().all(|value| is_it(self.program.values.get(*value)))
            })
    }

    /// Whether all that may be called at the place of an edge is known, as far as names in the function tell.
    pub(super) fn is_known_there(&mut self, edge: &Edge) -> Result<(), Obstacle> {
        let (caller, site) = at(edge);
        let obstacle = || Obstacle { site, reason: "what else this may call is not known".to_owned() };
        let events = &self.program.function(caller).events;
        let call = events.iter().find(|event| event.span == site.span && matches!(event.kind, EventKind::Call(_)));
        let Some(Expr::Call(callee, _)) = call.map(|event| self.program.expr(site.file, event.expr).clone()) else {
            return Ok(());
        };
        let object = match self.program.expr(site.file, callee) {
            Expr::Attribute(object, _) => *object,
            _ => callee,
        };
        if self.is_partly_unknown(site.file, object, 0) {
            return Err(obstacle());
        }
        let known: Vec<FnId> = self.sites.at(self.graph, caller, site).map(|edge| edge.callee).collect();
        let set = self.program.eval(site.file, callee);
        for value in self.program.values.shared(set).iter().copied() {
            let Some(root) = root(self.program, value).filter(|_| edge.via.is_empty()) else {
                continue;
            };
            for giver in &self.graph.into[root.0.0 as usize] {
                let env = self.program.values.env(self.graph.edges[*giver].env);
                let given = env.iter().find(|(key, _)| *key == root).map_or(EMPTY, |(_, set)| *set);
                if !self.are_known(value, given, &known) {
                    return Err(obstacle());
                }
            }
        }
        Ok(())
    }

    /// Whether what comes of a parameter is one of these functions, or nothing, for all that it is given.
    fn are_known(&mut self, value: ValueId, given: SetId, known: &[FnId]) -> bool {
        let is_nothing = |value: &ValueId| matches!(self.program.values.get(*value), Value::Constant(Constant::None));
        let given: Vec<ValueId> =
            self.program.values.members(given).iter().copied().filter(|value| !is_nothing(value)).collect();
        given.into_iter().all(|one| {
            let one = self.program.values.set(vec![one]);
            let called = put_in(self.program, value, one);
            let is_known = |value: &ValueId| match self.program.values.get(*value) {
                Value::Function(function, _) | Value::Bound(function, ..) => known.contains(function),
                _ => false,
            };
            called != EMPTY && self.program.values.members(called).iter().all(is_known)
        })
    }

    /// One of several values that nothing is known of.
    fn is_partly_unknown(&mut self, file: FileId, expr: ExprId, depth: u32) -> bool {
        let parts: Vec<ExprId> = match self.program.expr(file, expr) {
            Expr::Union(parts) | Expr::Logic(_, parts) => parts.to_vec(),
            Expr::Choice { then, other, .. } => vec![*then, *other],
            Expr::Local(bindings) => {
                let facts = &self.program.file(file).facts;
                let values = bindings.iter().filter_map(|binding| match facts.bindings[*binding].kind {
                    BindingKind::Value(value) => Some(value),
                    _ => None,
                });
                values.collect()
            }
            _ => return false,
        };
        parts.into_iter().any(|part| {
            let is_constant = matches!(self.program.expr(file, part), Expr::Constant(_));
            let is_unknown = !is_constant && self.program.eval(file, part) == EMPTY;
            is_unknown || (depth < DEEPEST && self.is_partly_unknown(file, part, depth + 1))
        })
    }

    /// Where an object of one of these classes is asked by a name that is not known; or where an `ExitStack` enters it.
    fn named_of(&mut self, classes: &[ClsId], is_entered: bool) -> Option<Site> {
        let named: Vec<(FileId, Named)> =
            self.named.iter().filter(|(_, named)| named.is_entered == is_entered).copied().collect();
        let (file, found) = named.into_iter().find(|(file, named)| self.may_be_of(*file, named.object, classes))?;
        Some(Site { file, span: self.program.file(file).facts.span(found.at) })
    }

    fn may_be_of(&mut self, file: FileId, object: ExprId, classes: &[ClsId]) -> bool {
        let set = self.program.eval(file, object);
        let mut values: Vec<ValueId> = self.program.values.members(set).to_vec();
        for value in values.clone() {
            if let Value::Parameter(owner, parameter) = *self.program.values.get(value) {
                for edge in &self.graph.into[owner.0 as usize] {
                    let env = self.program.values.env(self.graph.edges[*edge].env);
                    let given = env.iter().find(|(key, _)| *key == (owner, parameter)).map(|(_, set)| *set);
                    values.extend(given.into_iter().flat_map(|set| self.program.values.members(set)));
                }
            }
        }
        values.into_iter().any(|value| {
            matches!(self.program.values.get(value), Value::Instance { class, .. } | Value::Class { class, .. } if classes.contains(class))
        })
    }

    /// Whether all that calls these functions outside a loop is never called in one.
    pub(super) fn is_surely_outside(&mut self, closure: &Closure) -> Result<(), Obstacle> {
        let mut next: Vec<FnId> = closure.functions.iter().copied().collect();
        let mut seen: FxHashSet<FnId> = next.iter().copied().collect();
        while let Some(function) = next.pop() {
            let file = self.program.file_of(function);
            if self.program.global_fn(file, MODULE) == function {
                self.is_imported_early(file)?;
                continue;
            }
            if !closure.functions.contains(&function) {
                self.is_not_made_for_the_loop(function)?;
                self.is_not_for_others(function)?;
                self.is_ours_to_call(function)?;
            }
            if !closure.functions.contains(&function) && self.program.class_of(function).is_some() {
                let name = self.program.file(file).facts.name(self.program.function(function).name);
                let doubt = self.unknown.get(name).into_iter().flatten().find(|unknown| {
                    unknown.is_called && self.on_loop.contains(&unknown.caller) && self.may_be(function, unknown)
                });
                if let Some(doubt) = doubt {
                    let reason = format!("the loop may get to `{name}` here, which would have to run another");
                    return Err(Obstacle { site: doubt.site, reason });
                }
            }
            for edge in &self.graph.into[function.0 as usize] {
                let caller = super::sites::at(&self.graph.edges[*edge]).0;
                if !self.on_loop.contains(&caller) && seen.insert(caller) {
                    next.push(caller);
                }
            }
        }
        Ok(())
    }

    /// What is made where a loop runs, and called nobody knows where, may be called by that loop: unless a thread was told to call it.
    fn is_not_made_for_the_loop(&self, function: FnId) -> Result<(), Obstacle> {
        let mut around = self.program.around(function).skip(1);
        if self.is_called(function) || !around.any(|outer| self.awaits(outer)) {
            return Ok(());
        }
        let reason = "this is made where a loop runs, which may call it: it would have to run another".to_owned();
        Err(Obstacle { site: self.site_of(function), reason })
    }

    /// What a class outside the program calls may be called where a loop runs, as `emit` of a handler of `logging` is.
    fn is_not_for_others(&self, function: FnId) -> Result<(), Obstacle> {
        let Some(class) = self.program.class_of(function) else { return Ok(()) };
        let name = self.name_of(function);
        let (bases, is_called) = (self.program.external_bases(class), self.is_called(function));
        let base = bases.iter().find(|base| may_call_on_loop(base, &name, is_called));
        let Some(base) = base else { return Ok(()) };
        let reason = format!("`{base}` may call `{name}` where a loop runs: it would have to run another");
        Err(Obstacle { site: self.site_of(function), reason })
    }

    /// Whether it is known who calls it.
    fn is_called(&self, function: FnId) -> bool {
        !self.graph.into[function.0 as usize].is_empty() || self.graph.elsewhere.contains(&function)
    }

    /// A module that a function imports while a loop runs would run another, if its own code did.
    fn is_imported_early(&self, module: FileId) -> Result<(), Obstacle> {
        let wanted = &self.program.file(module).module;
        for index in 0..self.program.files.len() {
            let file = FileId(index as u32);
            let facts = &self.program.file(file).facts;
            for (_, scope) in facts.scopes.iter() {
                let ScopeKind::Function(function) = scope.kind else { continue };
                if !self.on_loop.contains(&self.program.global_fn(file, function)) {
                    continue;
                }
                for binding in scope.names.iter().flat_map(|(_, bindings)| &**bindings) {
                    let binding = &facts.bindings[*binding];
                    let imported = match &binding.kind {
                        BindingKind::Import { module, .. } => facts.name(*module).to_owned(),
                        BindingKind::ImportFrom { module, name, .. } => {
                            format!("{}.{}", facts.name(*module), facts.name(*name))
                        }
                        _ => continue,
                    };
                    let is_it = imported == *wanted
                        || imported.starts_with(&format!("{wanted}."))
                        || wanted.ends_with(&format!(".{imported}"));
                    if is_it {
                        let reason = format!(
                            "this imports `{wanted}` while a loop runs, whose own code would have to run another"
                        );
                        return Err(Obstacle { site: Site { file, span: binding.span }, reason });
                    }
                }
            }
        }
        Ok(())
    }
}

/// Parameters that are handed on.
const DEEPEST: u32 = 4;
