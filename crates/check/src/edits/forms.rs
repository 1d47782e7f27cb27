//! The forms of expressions: two that have one are alike, as is all that the names in them are bound to in their file.
//!
//! What the program found out of one is true of the other: [`Alike`].

use super::renewed::Renewed;
use crate::facts::{
    BindingId, BindingKind, Condition, Event, EventKind, Expr, ExprId, Facts, FunctionId, NameId, Part, Parts,
    ScopeKind, Span, Use,
};
use crate::graph::Noise;
use crate::link::Words;
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::cell::{OnceCell, RefCell};
use std::hash::{Hash, Hasher};

/// Those of one text.
pub(super) struct Forms<'f> {
    facts: &'f Facts,
    /// What is something else than before: what reads it is like nothing.
    renewed: Option<&'f Renewed>,
    /// Texts of which it does not matter what they say.
    idle: FxHashSet<NameId>,
    owners: FxHashMap<BindingId, Owned<'f>>,
    known: RefCell<FxHashMap<ExprId, Option<u64>>>,
    /// Names of objects that are none of the program's, once that was asked.
    pub(super) outsiders: OnceCell<FxHashSet<BindingId>>,
}

/// What a binding is called, and what has the name.
#[derive(Clone, Copy, Default)]
struct Owned<'f> {
    name: &'f str,
    owner: &'f str,
    is_of_function: bool,
}

/// What the program has heard of events, by their forms.
#[derive(Default)]
pub(super) struct Alike(FxHashMap<u64, Known>);

struct Known {
    noise: Noise,
    /// Calls that are awaited, or whose value nobody gets.
    calls: Vec<LikeCall>,
}

/// A call of the old text.
#[derive(Clone, Copy)]
pub(super) struct LikeCall {
    pub(super) function: FunctionId,
    pub(super) span: Span,
    /// That of all of it.
    pub(super) form: Option<u64>,
}

impl Alike {
    /// `noises` are those of the text's events, in their order.
    pub(super) fn new(forms: &Forms<'_>, noises: impl Iterator<Item = Noise>) -> Self {
        let mut all: FxHashMap<u64, Known> = FxHashMap::default();
        let functions = forms.facts.functions.iter();
        let events = functions.flat_map(|(id, function)| function.events.iter().map(move |event| (id, event)));
        for ((function, event), noise) in events.zip(noises) {
            let Some(form) = forms.event(event.kind, event.expr) else { continue };
            let known = all.entry(form).or_insert_with(|| Known { noise, calls: Vec::new() });
            known.noise = known.noise.max(noise);
            if matches!(event.kind, EventKind::Call(Use::Awaited | Use::Discarded)) {
                known.calls.push(LikeCall { function, span: event.span, form: forms.expr(event.expr) });
            }
        }
        Self(all)
    }

    /// How much there is to hear of such an event.
    pub(super) fn noise(&self, forms: &Forms<'_>, event: &Event) -> Noise {
        self.of(forms.event(event.kind, event.expr)).map_or(Noise::Some, |known| known.noise)
    }

    /// The same, of a call that is not awaited.
    pub(super) fn noise_of_call(&self, forms: &Forms<'_>, call: ExprId) -> Noise {
        self.of(forms.event(EventKind::Call(Use::Other), call)).map_or(Noise::Some, |known| known.noise)
    }

    /// Calls like that which are awaited too, or whose value nobody gets either.
    pub(super) fn calls(&self, forms: &Forms<'_>, event: &Event) -> &[LikeCall] {
        self.of(forms.event(event.kind, event.expr)).map_or(&[], |known| &known.calls)
    }

    fn of(&self, form: Option<u64>) -> Option<&Known> {
        self.0.get(&form?)
    }
}

impl<'f> Forms<'f> {
    pub(super) fn new(facts: &'f Facts, renewed: Option<&'f Renewed>) -> Self {
        let (known, outsiders) = (RefCell::default(), OnceCell::new());
        Self { facts, renewed, idle: FxHashSet::default(), owners: owners(facts), known, outsiders }
    }

    /// Those of both texts of a file, with what is known of the words of the program before.
    pub(super) fn of_both((old, new): (&'f Facts, &'f Facts), renewed: &'f Renewed, words: &Words) -> (Self, Self) {
        let (mut old, mut new) = (Self::new(old, None), Self::new(new, Some(renewed)));
        old.idle = old.texts(|text| words.is_in_one_file(text));
        let before: FxHashSet<&str> = old.idle.iter().map(|name| old.facts.name(*name)).collect();
        new.idle = new.texts(|text| words.is_new(text) || before.contains(text));
        (old, new)
    }

    /// Those texts that the file has once.
    fn texts(&self, is_one: impl Fn(&str) -> bool) -> FxHashSet<NameId> {
        let uses = self.facts.uses_of_names();
        let texts = self.facts.exprs.iter().filter_map(|(_, expr)| match expr {
            Expr::Text(name) => Some(*name),
            _ => None,
        });
        let mut idle: FxHashSet<NameId> =
            texts.filter(|name| uses[name] == 1 && is_one(self.facts.name(*name))).collect();
        // What is attached to loggers is found by their names.
        if !self.facts.names.iter().any(|name| name == "getLogger") {
            return idle;
        }
        for (_, expr) in self.facts.exprs.iter() {
            let Expr::Call(callee, arguments) = expr else { continue };
            let is_logger = self.facts.mentioned(*callee).into_iter().any(|name| self.facts.name(name) == "getLogger");
            if let ([argument], true) = (&**arguments, is_logger)
                && let Expr::Text(name) = &self.facts.exprs[argument.value]
            {
                idle.remove(name);
            }
        }
        idle
    }

    /// Whether it is a text of which it does not matter what it says.
    pub(super) fn is_idle(&self, expr: &Expr) -> bool {
        matches!(expr, Expr::Text(name) if self.idle.contains(name))
    }

    /// What a binding is called, and what has the name.
    pub(super) fn name(&self, binding: BindingId) -> (&'f str, &'f str) {
        let Owned { name, owner, .. } = self.owned(binding);
        (name, owner)
    }

    fn owned(&self, binding: BindingId) -> Owned<'f> {
        self.owners.get(&binding).copied().unwrap_or_default()
    }

    /// That of an event: of a call, what it is called with does not matter, unless it is one of a built-in function.
    fn event(&self, kind: EventKind, expr: ExprId) -> Option<u64> {
        let (number, told) = match (kind, &self.facts.exprs[expr]) {
            (EventKind::Call(used), Expr::Call(callee, _)) => {
                let is_builtin = matches!(self.facts.exprs[*callee], Expr::Global(_));
                (u32::from(used == Use::Awaited), if is_builtin { expr } else { *callee })
            }
            (EventKind::Read, _) => (2, expr),
            (EventKind::Operator(_), _) => (3, expr),
            (EventKind::Iterate, _) => (4, expr),
            (EventKind::Unpack, _) => (5, expr),
            (EventKind::Test, _) => (6, expr),
            (EventKind::Await, Expr::Await(awaited)) => match self.facts.exprs[*awaited] {
                Expr::Call(callee, _) => (7, callee),
                _ => (8, *awaited),
            },
            _ => return None,
        };
        let mut hasher = FxHasher::default();
        number.hash(&mut hasher);
        if let EventKind::Operator(name) = kind {
            self.facts.name(name).hash(&mut hasher);
        }
        self.expr(told)?.hash(&mut hasher);
        Some(hasher.finish())
    }

    /// That of an expression.
    pub(super) fn expr(&self, expr: ExprId) -> Option<u64> {
        if let Some(known) = self.known.borrow().get(&expr) {
            return *known;
        }
        let mut walk = Walk { forms: self, hasher: FxHasher::default(), within: Vec::new(), left: MOST_PARTS };
        let form = walk.expr(expr).map(|()| walk.hasher.finish());
        self.known.borrow_mut().insert(expr, form);
        form
    }

    /// The class of the object that a method is called on: all methods of the class have the same.
    fn class_of_receiver(&self, expr: &Expr) -> Option<&'f str> {
        let Expr::Local(bindings) = expr else { return None };
        let [binding] = **bindings else { return None };
        let BindingKind::Parameter(method, 0) = self.facts.bindings[binding].kind else { return None };
        let method = &self.facts.functions[method];
        let class = method.class.filter(|_| method.decorators.is_empty())?;
        Some(self.facts.name(self.facts.classes[class].qualified))
    }
}

/// A walk over an expression and what its names are bound to; none, if that is too much or tells two things apart by nothing.
struct Walk<'w, 'f> {
    forms: &'w Forms<'f>,
    hasher: FxHasher,
    /// The bindings that it is in.
    within: Vec<BindingId>,
    left: u32,
}

impl Walk<'_, '_> {
    fn expr(&mut self, expr: ExprId) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let facts = self.forms.facts;
        let fact: &Expr = &facts.exprs[expr];
        if let Some(class) = self.forms.class_of_receiver(fact) {
            ("receiver", class).hash(&mut self.hasher);
            return Some(());
        }
        std::mem::discriminant(fact).hash(&mut self.hasher);
        match fact {
            Expr::Lambda(_) => return None,
            _ if self.forms.renewed.is_some_and(|renewed| renewed.is_read(facts, fact)) => return None,
            _ if self.forms.is_idle(fact) => {}
            Expr::Free(scope, name) => {
                facts.name(*name).hash(&mut self.hasher);
                let bindings = facts.bindings_of(*scope, *name);
                bindings.iter().try_for_each(|binding| self.binding(*binding))?;
            }
            _ => self.parts(fact)?,
        }
        // Where the parts end.
        self.hasher.write_u8(0);
        Some(())
    }

    fn binding(&mut self, binding: BindingId) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        let facts = self.forms.facts;
        let known = &facts.bindings[binding];
        if self.forms.renewed.is_some_and(|renewed| renewed.is_parameter(known.kind)) {
            return None;
        }
        let Owned { name, owner, is_of_function } = self.forms.owned(binding);
        // How a function calls its own names is its own business.
        let is_own = is_of_function && !known.is_declared;
        (if is_own { "" } else { name }, owner).hash(&mut self.hasher);
        if let Some(place) = self.within.iter().position(|outer| *outer == binding) {
            place.hash(&mut self.hasher);
            return Some(());
        }
        (known.is_declared, known.is_replaced).hash(&mut self.hasher);
        std::mem::discriminant(&known.kind).hash(&mut self.hasher);
        self.within.push(binding);
        self.parts(&known.kind)?;
        for condition in facts.conditions(known.guard) {
            if let Condition::Test { expr, is } = condition {
                is.hash(&mut self.hasher);
                self.expr(expr)?;
            }
        }
        self.within.pop();
        Some(())
    }

    fn parts(&mut self, of: &impl Parts) -> Option<()> {
        let facts = self.forms.facts;
        for part in of.parts() {
            match part {
                Part::Expr(expr) => self.expr(expr)?,
                Part::Binding(binding) => self.binding(binding)?,
                Part::Name(name) => facts.name(name).hash(&mut self.hasher),
                Part::Function(function) => facts.name(facts.functions[function].qualified).hash(&mut self.hasher),
                Part::Class(class) => facts.name(facts.classes[class].qualified).hash(&mut self.hasher),
                Part::Scope(_) => return None,
                Part::Number(number) => number.hash(&mut self.hasher),
            }
        }
        Some(())
    }
}

fn owners(facts: &Facts) -> FxHashMap<BindingId, Owned<'_>> {
    let mut names = FxHashMap::default();
    for (_, scope) in facts.scopes.iter() {
        let owner = match scope.kind {
            ScopeKind::Module => "",
            ScopeKind::Function(function) => facts.name(facts.functions[function].qualified),
            ScopeKind::Class(class) => facts.name(facts.classes[class].qualified),
        };
        let is_of_function = matches!(scope.kind, ScopeKind::Function(_));
        for (name, bindings) in &scope.names {
            let owned = Owned { name: facts.name(*name), owner, is_of_function };
            names.extend(bindings.iter().map(|binding| (*binding, owned)));
        }
    }
    names
}

/// Expressions and bindings that make one form.
const MOST_PARTS: u32 = 300;
