//! Where the program may call a function without saying so: methods of objects of which nothing is known, names made at run time, and modules
//! that are imported while a loop runs. In doubt a chain is left alone.

use super::closure::{Closure, Closures, Obstacle};
use super::sites::at;
use crate::facts::{ArgumentKind, BindingKind, Constant, EventKind, Expr, ExprId, MODULE, ParameterKind, ScopeKind};
use crate::graph::{Edge, Graph, Site};
use crate::link::Program;
use crate::link::values::{ClsId, EMPTY, FileId, FnId, SetId, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// An attribute of an object of which nothing is known.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    pub(super) site: Site,
    pub(super) caller: FnId,
    /// How many arguments it is called with, if they can be counted; none if it is only read.
    arguments: Option<usize>,
    is_called: bool,
}

/// All of them, by the attribute's name.
pub(super) fn unknown(program: &mut Program, graph: &Graph) -> FxHashMap<String, Vec<Unknown>> {
    let mut all: FxHashMap<String, Vec<Unknown>> = FxHashMap::default();
    for caller in program.functions() {
        let file = program.file_of(caller);
        for event in program.events(caller).iter().copied() {
            let (attribute, is_called, arguments) = match (event.kind, program.expr(file, event.expr)) {
                (EventKind::Call(_), Expr::Call(callee, arguments)) => {
                    let is_counted = arguments.iter().all(|argument| argument.kind == ArgumentKind::Positional);
                    (*callee, true, is_counted.then_some(arguments.len()))
                }
                (EventKind::Read, _) => (event.expr, false, None),
                _ => continue,
            };
            let Expr::Attribute(_, name) = *program.expr(file, attribute) else { continue };
            let set = program.eval(file, attribute);
            let members = program.values.members(set);
            if set != EMPTY && !members.iter().any(|value| is_unknown(program, graph, *value, 0)) {
                continue;
            }
            let name = program.file(file).facts.name(name).to_owned();
            let site = Site { file, span: event.span };
            all.entry(name).or_default().push(Unknown { site, caller, arguments, is_called });
        }
    }
    all
}

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
    /// Whether all calls of a method are known.
    pub(super) fn is_known_everywhere(&mut self, function: FnId, name: &str) -> Result<(), Obstacle> {
        let Some(class) = self.program.class_of(function) else { return Ok(()) };
        let doubt = self.unknown.get(name).into_iter().flatten().find(|unknown| self.may_be(function, unknown));
        if let Some(doubt) = doubt {
            let reason = format!("this may use `{name}` as well: what it is used of is not known");
            return Err(Obstacle { site: doubt.site, reason });
        }
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
            Some(site) => Err(Obstacle { site, reason: "an `ExitStack` enters it as it is now".to_owned() }),
            None => Ok(()),
        }
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
            let Some(root) = self.root(value).filter(|_| edge.via.is_empty()) else { continue };
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
            let called = self.put_in(value, one);
            let is_known = |value: &ValueId| match self.program.values.get(*value) {
                Value::Function(function, _) | Value::Bound(function, ..) => known.contains(function),
                _ => false,
            };
            called != EMPTY && self.program.values.members(called).iter().all(is_known)
        })
    }

    /// What comes of a parameter that is this.
    fn put_in(&mut self, value: ValueId, given: SetId) -> SetId {
        match *self.program.values.get(value) {
            Value::Step(inner, step) => {
                let inner = self.put_in(inner, given);
                self.program.step_set(inner, step)
            }
            _ => given,
        }
    }

    fn root(&self, value: ValueId) -> Option<(FnId, u32)> {
        match *self.program.values.get(value) {
            Value::Step(inner, _) => self.root(inner),
            Value::Parameter(owner, parameter) => Some((owner, parameter)),
            _ => None,
        }
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

    fn may_be(&self, function: FnId, unknown: &Unknown) -> bool {
        let this = self.program.function(function);
        let is_variadic = this.parameters.iter().any(|parameter| parameter.kind == ParameterKind::Variadic);
        let is_positional = |kind| matches!(kind, ParameterKind::PositionalOnly | ParameterKind::Positional);
        let most = this.parameters.iter().filter(|parameter| is_positional(parameter.kind)).count();
        let least = this
            .parameters
            .iter()
            .filter(|parameter| is_positional(parameter.kind) && parameter.default.is_none())
            .count();
        match unknown.arguments {
            // With or without the instance.
            Some(count) if unknown.is_called => (is_variadic || count <= most) && count + 1 >= least,
            _ => true,
        }
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
    pub(super) fn is_surely_outside(&self, closure: &Closure) -> Result<(), Obstacle> {
        let mut next: Vec<FnId> = closure.functions.iter().copied().collect();
        let mut seen: FxHashSet<FnId> = next.iter().copied().collect();
        while let Some(function) = next.pop() {
            let file = self.program.file_of(function);
            if self.program.global_fn(file, MODULE) == function {
                self.is_imported_early(file)?;
                continue;
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

/// Whether a value is, or depends on, something of which nothing is known.
fn is_unknown(program: &Program, graph: &Graph, value: ValueId, depth: u32) -> bool {
    match *program.values.get(value) {
        Value::External(path) => gives_back(program.values.path_text(path)),
        Value::Step(inner, _) => is_unknown(program, graph, inner, depth),
        Value::Parameter(owner, parameter) => {
            let givers = &graph.into[owner.0 as usize];
            givers.is_empty()
                || depth > DEEPEST
                || givers.iter().any(|giver| {
                    let env = program.values.env(graph.edges[*giver].env);
                    let given = env.iter().find(|(key, _)| *key == (owner, parameter)).map_or(EMPTY, |(_, set)| *set);
                    given == EMPTY
                        || program
                            .values
                            .members(given)
                            .iter()
                            .any(|value| is_unknown(program, graph, *value, depth + 1))
                })
        }
        _ => false,
    }
}

/// What comes from there was put there: it may be anything.
fn gives_back(path: &str) -> bool {
    // Without the attribute itself.
    let inner = path.rsplit_once('.').map_or(path, |(inner, _)| inner);
    // Outside a class it says of which class and object.
    if inner.starts_with("super()") {
        return true;
    }
    inner.ends_with([')', ']'])
        && KEEPERS.iter().any(|keeper| inner.strip_prefix(keeper).is_some_and(|rest| rest.len() > 2))
}

/// Parameters that are handed on.
const DEEPEST: u32 = 4;

/// Functions and classes outside the program that give back what they were given.
const KEEPERS: &[&str] = &[
    "list",
    "dict",
    "set",
    "tuple",
    "eval",
    "next",
    "vars",
    "iter",
    "queue.",
    "collections.",
    "asyncio.Queue",
    "asyncio.PriorityQueue",
    "asyncio.LifoQueue",
    "pickle.",
    "copy.",
    "weakref.",
    "heapq.",
    "itertools.",
    "functools.",
    "operator.",
    "random.",
    "multiprocessing.",
    "concurrent.",
    "contextvars.",
    "threading.local",
    "importlib.",
];
