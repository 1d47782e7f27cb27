//! What code that is not the same on both sides of an edit says with names that matter elsewhere.

use super::quiet::Quiet;
use crate::catalogue::is_quiet_builtin;
use crate::facts::{BindingId, BindingKind, ClassId, Event, Expr, ExprId, FunctionId, GuardId, Part, Parts};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::hash::{Hash, Hasher};

/// What has a counterpart on the other side.
#[derive(Clone, Copy)]
pub(super) struct Paired<'p> {
    pub(super) exprs: &'p FxHashMap<ExprId, ExprId>,
    pub(super) bindings: &'p FxHashMap<BindingId, BindingId>,
    pub(super) guards: &'p FxHashMap<GuardId, GuardId>,
    pub(super) functions: &'p FxHashMap<FunctionId, FunctionId>,
    /// Nobody has heard of the others.
    pub(super) classes: &'p FxHashMap<ClassId, ClassId>,
    /// Functions that have none, and whose names are nobody else's.
    pub(super) unheard_of: &'p [FunctionId],
}

/// All that has no counterpart and mentions such a name, each with its whole form, in an order of their own; and all names of the file that lead to objects.
///
/// `asks`: where classes and coroutine functions are mentioned, the whole program is asked.
pub(super) fn mentions<'f>(quiet: Quiet<'f>, paired: Paired<'_>, asks: bool) -> (Vec<u64>, FxHashSet<&'f str>) {
    let teller = Teller { quiet, unheard_of: paired.unheard_of, asks };
    let facts = quiet.facts;
    let mut told = Vec::new();
    let mut tell = |kind: u32, parts: Vec<Part>| told.extend(teller.tell(kind, &parts));
    let others = || facts.exprs.iter().filter(|(expr, _)| !paired.exprs.contains_key(expr));
    let is_part: FxHashSet<ExprId> = others()
        .flat_map(|(_, expr)| expr.parts())
        .filter_map(|part| if let Part::Expr(expr) = part { Some(expr) } else { None })
        .collect();
    for (expr, _) in others().filter(|(expr, _)| !is_part.contains(expr)) {
        tell(0, vec![Part::Expr(expr)]);
    }
    let is_known = |kind| match kind {
        BindingKind::Function(id) => paired.unheard_of.contains(&id),
        BindingKind::Class(id) => !paired.classes.contains_key(&id),
        _ => false,
    };
    let others = facts.bindings.iter().filter(|(binding, _)| !paired.bindings.contains_key(binding));
    for (binding, known) in others.filter(|(_, known)| !is_known(known.kind)) {
        tell(1, [vec![Part::Binding(binding)], known.kind.parts()].concat());
    }
    for (_, guard) in facts.guards.iter().filter(|(guard, _)| !paired.guards.contains_key(guard)) {
        tell(2, guard.condition.parts());
    }
    for (id, function) in facts.functions.iter() {
        let is_unpaired = |event: &&Event| quiet.event(event) || quiet.alone(event).is_some();
        for event in function.events.iter().filter(is_unpaired) {
            let parts = [vec![Part::Name(function.qualified), Part::Expr(event.expr)], event.kind.parts()].concat();
            tell(3, parts);
        }
        if !paired.functions.contains_key(&id) {
            let defaults = function.parameters.iter().filter_map(|parameter| parameter.default);
            let given = function.returns.iter().chain(&function.yields).map(|(value, _)| *value);
            given
                .chain(defaults)
                .chain(function.raised.iter().copied())
                .for_each(|value| tell(4, vec![Part::Expr(value)]));
        }
    }
    told.sort_unstable();
    (told, facts.names.iter().filter(|name| quiet.watched.leads(name)).collect())
}

/// Tells things by their form: names by their text, and nothing by its number.
struct Teller<'f, 'p> {
    quiet: Quiet<'f>,
    unheard_of: &'p [FunctionId],
    asks: bool,
}

impl Teller<'_, '_> {
    /// Whether a name matters.
    fn is_watched(&self, name: &str) -> bool {
        if self.asks { self.quiet.watched.has_other(name) } else { self.quiet.watched.has(name) }
    }

    /// Its form, if it mentions a name that matters.
    fn tell(&self, kind: u32, parts: &[Part]) -> Option<u64> {
        let mut hasher = FxHasher::default();
        kind.hash(&mut hasher);
        let mut mentions = false;
        for part in parts {
            mentions |= self.add(*part, 0, &mut hasher);
        }
        mentions.then(|| hasher.finish())
    }

    /// Whether it is the object that a method was called on.
    fn is_receiver(&self, expr: ExprId) -> bool {
        match &self.quiet.facts.exprs[expr] {
            Expr::Local(bindings) => bindings.iter().any(|binding| self.is_first_of_method(*binding)),
            Expr::Free(scope, name) => {
                self.quiet.facts.bindings_of(*scope, *name).iter().any(|binding| self.is_first_of_method(*binding))
            }
            _ => false,
        }
    }

    fn is_first_of_method(&self, binding: BindingId) -> bool {
        let facts = self.quiet.facts;
        matches!(facts.bindings[binding].kind, BindingKind::Parameter(method, 0) if facts.functions[method].class.is_some())
    }

    /// Adds a part; whether it mentions a name that matters, or hands on what a method was called on.
    fn add(&self, part: Part, depth: u32, hasher: &mut FxHasher) -> bool {
        let facts = self.quiet.facts;
        match part {
            Part::Expr(expr) => {
                let fact: &Expr = &facts.exprs[expr];
                std::mem::discriminant(fact).hash(hasher);
                let is_free_receiver = matches!(fact, Expr::Free(..)) && self.is_receiver(expr);
                let is_told = is_free_receiver
                    || match *fact {
                        // A built-in function's name may only be that of a class.
                        Expr::Global(name) if is_quiet_builtin(facts.name(name)) => {
                            !self.asks && self.quiet.watched.has_class(facts.name(name))
                        }
                        _ => facts.mentioned(expr).into_iter().any(|name| self.is_watched(facts.name(name))),
                    };
                let inner = match *fact {
                    _ if depth >= DEEPEST || self.quiet.forms.is_idle(fact) => Vec::new(),
                    // That an attribute of its object is read, is what its name says.
                    Expr::Attribute(object, name) if self.is_receiver(object) && facts.name(name) != "__dict__" => {
                        vec![Part::Name(name)]
                    }
                    _ => fact.parts(),
                };
                inner.into_iter().fold(is_told, |found, part| self.add(part, depth + 1, hasher) | found)
            }
            Part::Binding(binding) => {
                let (name, owner) = self.quiet.forms.name(binding);
                (name, owner).hash(hasher);
                std::mem::discriminant(&facts.bindings[binding].kind).hash(hasher);
                self.is_watched(name) || self.is_first_of_method(binding)
            }
            Part::Name(name) => {
                facts.name(name).hash(hasher);
                false
            }
            Part::Function(function) => {
                facts.name(facts.functions[function].qualified).hash(hasher);
                !self.unheard_of.contains(&function) && self.is_watched(facts.name(facts.functions[function].name))
            }
            Part::Class(class) => {
                facts.name(facts.classes[class].name).hash(hasher);
                true
            }
            Part::Scope(scope) => {
                std::mem::discriminant(&facts.scopes[scope].kind).hash(hasher);
                false
            }
            Part::Number(number) => {
                number.hash(hasher);
                false
            }
        }
    }
}

/// Expressions within expressions that are told apart.
const DEEPEST: u32 = 60;
