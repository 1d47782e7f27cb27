//! From the syntax tree of one file to its facts.
//!
//! One walk in the order of the text. Uses of a function's own names are bound by flow: each sees the bindings that reach it, so shadowing,
//! rebinding and branches are right; uses in nested functions see all bindings of the name. Nothing here knows what a name of another file is.

mod bound;
mod containers;
mod expressions;
mod flow;
mod functions;
mod handlers;
mod patterns;
mod statements;
mod suppressions;
mod versions;

use crate::facts::{
    ALWAYS, Binding, BindingId, BindingKind, ClassId, Condition, Event, EventKind, Expr, ExprId, Facts, Few, Function,
    FunctionId, Guard, GuardId, MODULE, MODULE_SCOPE, NameId, Names, Scope, ScopeId, ScopeKind, Span, UNKNOWN,
};
use crate::syntax::{Module, TextRange};
use flow::Flow;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::hash::BuildHasher;
use std::sync::Arc;

/// What is known of a file with this text.
pub(crate) fn facts(text: &str) -> Facts {
    let module = Module::parse(text);
    let mut lowering = Lowering::new(text.len());
    lowering.module(module.body());
    let mut facts = lowering.finish();
    facts.error = module.error().map(|error| (error.message, error.at));
    facts.suppressions = suppressions::of(&module, text);
    facts
}

struct Lowering {
    /// All but the names.
    facts: Facts,
    names: Names,
    interned: HashTable<NameId>,
    /// Names of whole scopes, which have no place of their own.
    free: FxHashMap<(ScopeId, NameId), ExprId>,
    globals: FxHashMap<NameId, ExprId>,
    /// Where a scope has its names.
    places: FxHashMap<(ScopeId, NameId), usize>,
    /// Names and attributes of sockets that do not wait; and calls on sockets, by name.
    unwaiting: FxHashSet<NameId>,
    socket_calls: Vec<(NameId, ExprId)>,
    /// From the module to the innermost function or class body.
    frames: Vec<Frame>,
    /// What the module itself binds its names to.
    own: FxHashSet<BindingId>,
}

/// The body of a module, function or class while it is walked.
struct Frame {
    scope: ScopeId,
    /// The function whose events these are: a class body is part of the function around it.
    function: FunctionId,
    /// The class whose body this is, or whose method.
    class: Option<ClassId>,
    is_class_body: bool,
    /// The class, or a base of it, may have setters.
    has_setters: bool,
    /// What `self` or `cls` is called here.
    receiver: Option<NameId>,
    locals: FxHashMap<NameId, usize>,
    /// Declared `global` (true) or `nonlocal`.
    declared: FxHashMap<NameId, bool>,
    flow: Flow,
    /// Names of the comprehensions around.
    overlay: Vec<(NameId, BindingId)>,
    /// Attributes whose class is known for a while: the text of the expression, and what it is.
    narrowed: Vec<(String, ExprId)>,
    guard: GuardId,
    /// How often a container was filled.
    filled: u32,
}

impl Lowering {
    /// `length` of the text in bytes: so many expressions are usual.
    fn new(length: usize) -> Self {
        let mut facts = Facts::default();
        facts.exprs.reserve(length / BYTES_PER_EXPR);
        facts.spans.reserve(length / BYTES_PER_EXPR);
        facts.exprs.push(Expr::Unknown);
        facts.spans.push(Span::default());
        facts.guards.push(Guard { parent: ALWAYS, condition: Condition::Always });
        let mut lowering = Self {
            facts,
            names: Names::default(),
            interned: HashTable::new(),
            free: FxHashMap::default(),
            globals: FxHashMap::default(),
            places: FxHashMap::default(),
            unwaiting: FxHashSet::default(),
            socket_calls: Vec::new(),
            frames: Vec::new(),
            own: FxHashSet::default(),
        };
        let name = lowering.name("<module>");
        lowering.facts.functions.push(Function { name, qualified: name, ..Function::default() });
        lowering.facts.scopes.push(Scope::default());
        lowering
    }

    fn module(&mut self, body: &[crate::syntax::Stmt]) {
        let (locals, declared) = self.bound_names(body, &[]);
        self.frames.push(Frame::new(MODULE_SCOPE, MODULE, locals, declared));
        self.body(body);
        self.settle_names();
    }

    /// Says of the module's own bindings which are there no more at its end.
    fn settle_names(&mut self) {
        let Some(Frame { flow, locals, .. }) = self.frames.pop() else { return };
        for (name, local) in locals.iter().filter(|_| !flow.is_dead) {
            let (Some(last), Some(place)) = (flow.reaching(*local), self.places.get(&(MODULE_SCOPE, *name))) else {
                continue;
            };
            // What is bound under a condition may not be.
            let is_sure = |binding: &BindingId| {
                let Binding { kind, guard, .. } = self.facts.bindings[*binding];
                guard == ALWAYS && kind != BindingKind::Unknown
            };
            if !last.iter().all(is_sure) {
                continue;
            }
            for binding in &*self.facts.scopes[MODULE_SCOPE].names[*place].1 {
                self.facts.bindings[*binding].is_replaced = self.own.contains(binding) && !last.contains(binding);
            }
        }
    }

    fn finish(mut self) -> Facts {
        let mut seen: Vec<(ScopeId, NameId)> = self.free.into_keys().collect();
        seen.sort_unstable();
        for (scope, name) in seen {
            let Some(&place) = self.places.get(&(scope, name)) else { continue };
            for &binding in &*self.facts.scopes[scope].names[place].1 {
                self.facts.bindings[binding].is_used = true;
            }
        }
        let unwaiting = self.socket_calls.iter().filter(|(name, _)| self.unwaiting.contains(name));
        self.facts.unwaiting = unwaiting.map(|(_, call)| *call).collect();
        for scope in self.facts.scopes.iter_mut() {
            scope.names.sort_unstable_by_key(|(name, _)| *name);
        }
        self.names.shrink_to_fit();
        self.facts.names = Arc::new(self.names);
        self.facts.shrink_to_fit();
        self.facts
    }

    fn frame(&mut self) -> &mut Frame {
        let index = self.frames.len() - 1;
        &mut self.frames[index]
    }

    fn function(&mut self) -> &mut Function {
        let function = self.frame().function;
        &mut self.facts.functions[function]
    }

    fn name(&mut self, text: &str) -> NameId {
        let names = &mut self.names;
        let known = self.interned.entry(hash(text), |id| names[*id] == *text, |id| hash(&names[*id]));
        match known {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => *place.insert(names.push(text)).get(),
        }
    }

    /// The name, if it was met before.
    fn known_name(&self, text: &str) -> Option<NameId> {
        self.interned.find(hash(text), |id| self.names[*id] == *text).copied()
    }

    fn add(&mut self, expr: Expr, range: TextRange) -> ExprId {
        self.facts.spans.push(span(range));
        self.facts.exprs.push(expr)
    }

    /// Something that happens here, unless this place is never reached.
    fn event(&mut self, kind: EventKind, expr: ExprId, range: TextRange) {
        if expr != UNKNOWN && !self.frame().flow.is_dead {
            let guard = self.frame().guard;
            self.function().events.push(Event { kind, expr, guard, span: span(range) });
        }
    }

    /// A condition that holds from here on, until the guard is put back.
    fn guard(&mut self, condition: Condition) {
        let parent = self.frame().guard;
        let guard = self.facts.guards.push(Guard { parent, condition });
        self.frame().guard = guard;
    }

    /// Gives a name of this scope a value.
    fn bind(&mut self, name: NameId, kind: BindingKind, range: TextRange) -> BindingId {
        let guard = self.frame().guard;
        let frame = self.frame();
        let (scope, declared) = (frame.scope, frame.declared.get(&name).copied());
        // Other functions have a `global` or `nonlocal` name for their own.
        let is_declared = declared.is_some();
        let binding = Binding { kind, guard, is_used: is_declared, is_declared, is_replaced: false, span: span(range) };
        let binding = self.facts.bindings.push(binding);
        let frame = self.frame();
        let home = match declared {
            Some(true) => MODULE_SCOPE,
            Some(false) => self.outer_scope(name).unwrap_or(scope),
            None => {
                if let Some(&local) = frame.locals.get(&name) {
                    frame.flow.bind(local, binding);
                    if scope == MODULE_SCOPE {
                        self.own.insert(binding);
                    }
                }
                scope
            }
        };
        self.remember(home, name, binding);
        binding
    }

    fn remember(&mut self, scope: ScopeId, name: NameId, binding: BindingId) {
        let names = &mut self.facts.scopes[scope].names;
        let place = *self.places.entry((scope, name)).or_insert_with(|| {
            names.push((name, Few::default()));
            names.len() - 1
        });
        names[place].1.push(binding);
    }

    /// The scope around this one that has the name.
    fn outer_scope(&self, name: NameId) -> Option<ScopeId> {
        let mut outer = self.frames.iter().rev().skip(1);
        outer.find(|frame| !frame.is_class_body && frame.locals.contains_key(&name)).map(|frame| frame.scope)
    }

    fn look_up(&mut self, name: NameId) -> ExprId {
        let innermost = self.frames.len() - 1;
        for index in (0..=innermost).rev() {
            let frame = &self.frames[index];
            if let Some(&(_, binding)) = frame.overlay.iter().rev().find(|(known, _)| *known == name) {
                self.facts.bindings[binding].is_used = true;
                return self.add(Expr::Local(Few::One([binding])), TextRange::default());
            }
            if index < innermost && frame.is_class_body {
                continue;
            }
            if frame.declared.get(&name) == Some(&true) {
                return self.free(MODULE_SCOPE, name);
            }
            if frame.declared.contains_key(&name) {
                continue;
            }
            if let Some(&local) = frame.locals.get(&name) {
                let scope = frame.scope;
                if index < innermost {
                    return self.free(scope, name);
                }
                return match frame.flow.reaching(local) {
                    Some(bindings) => {
                        let bindings: Few<BindingId> = bindings.into();
                        for &binding in &*bindings {
                            self.facts.bindings[binding].is_used = true;
                        }
                        if bindings.is_empty() && self.frames[index].is_class_body {
                            // Not bound yet in the class body: Python looks outside.
                            continue;
                        }
                        self.add(Expr::Local(bindings), TextRange::default())
                    }
                    None => self.free(scope, name),
                };
            }
        }
        if let Some(&expr) = self.globals.get(&name) {
            return expr;
        }
        let expr = self.add(Expr::Global(name), TextRange::default());
        self.globals.insert(name, expr);
        expr
    }

    fn free(&mut self, scope: ScopeId, name: NameId) -> ExprId {
        if let Some(&expr) = self.free.get(&(scope, name)) {
            return expr;
        }
        let expr = self.add(Expr::Free(scope, name), TextRange::default());
        self.free.insert((scope, name), expr);
        expr
    }

    fn new_scope(&mut self, kind: ScopeKind) -> ScopeId {
        let parent = self.frame().scope;
        self.facts.scopes.push(Scope { kind, parent, ..Scope::default() })
    }

    /// The qualified name of something that is defined here.
    fn qualified(&mut self, name: &str) -> NameId {
        let mut parts = Vec::new();
        for frame in self.frames[1..].iter().take(LONGEST_NAME) {
            let own = match frame.class {
                Some(class) if frame.is_class_body => self.facts.classes[class].name,
                _ => self.facts.functions[frame.function].name,
            };
            parts.push(&self.names[own]);
        }
        parts.push(name);
        let text = parts.join(".");
        self.name(&text)
    }
}

fn hash(text: &str) -> u64 {
    FxBuildHasher.hash_one(text)
}

/// Bytes of text for each expression that facts tell of.
const BYTES_PER_EXPR: usize = 20;
/// Functions in functions that a qualified name tells.
const LONGEST_NAME: usize = 50;

impl Frame {
    fn new(
        scope: ScopeId,
        function: FunctionId,
        locals: FxHashMap<NameId, usize>,
        declared: FxHashMap<NameId, bool>,
    ) -> Self {
        let flow = Flow::new(locals.len());
        Self {
            scope,
            function,
            class: None,
            is_class_body: false,
            has_setters: false,
            receiver: None,
            locals,
            declared,
            flow,
            overlay: Vec::new(),
            narrowed: Vec::new(),
            guard: ALWAYS,
            filled: 0,
        }
    }
}

pub(super) fn span(range: TextRange) -> Span {
    Span { start: range.start().to_u32(), end: range.end().to_u32() }
}
