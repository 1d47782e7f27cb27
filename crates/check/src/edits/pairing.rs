//! Which functions, classes, scopes and names of a module are which, before an edit and after it: those that only one side has must be such that
//! nobody has heard of them.

use super::alignment::{Alignment, names};
use super::moves::{Alone, Come, Gone};
use crate::facts::{BindingId, BindingKind, ClassId, Event, Facts, FunctionId, MODULE_SCOPE, ScopeKind};
use crate::link::Words;
use rustc_hash::FxHashMap;

impl<'q> Alignment<'q> {
    /// Pairs functions in the order of the text. Those of one side alone must be quiet, or such that nobody asks for them.
    pub(super) fn pair_functions(&mut self) -> bool {
        let key = |facts: &'q Facts, function: FunctionId| facts.name(facts.functions[function].qualified);
        let mut old = self.old.facts.functions.iter().map(|(id, _)| id).peekable();
        let mut new = self.new.facts.functions.iter().map(|(id, _)| id).peekable();
        loop {
            match (old.peek().copied(), new.peek().copied()) {
                (None, None) => return true,
                (Some(one), Some(other)) if key(self.old.facts, one) == key(self.new.facts, other) => {
                    self.functions.pair(one, other);
                    old.next();
                    new.next();
                }
                (_, Some(only)) if self.new.function(only) || self.is_fresh(only) => drop(new.next()),
                (Some(only), _) if self.old.function(only) || self.is_lost(only) => drop(old.next()),
                _ => return false,
            }
        }
    }

    /// Whether a function is new that nobody asks for, and all that it does can be told.
    fn is_fresh(&mut self, function: FunctionId) -> bool {
        if !self.new.is_unheard_of(function, Words::is_unknown) {
            return false;
        }
        let come: Option<Vec<Come>> =
            self.new.heard(function).map(|event| self.come(function, event, std::iter::empty())).collect();
        // What is called by one that should be plain may use a loop.
        let is_idle = self.new.is_idle(function);
        let Some(come) = come.filter(|come| !is_idle || come.iter().all(|one| one.what.is_stop())) else {
            return false;
        };
        self.come.extend(come);
        self.fresh.push(function);
        true
    }

    /// Whether such a function is there no more.
    fn is_lost(&mut self, function: FunctionId) -> bool {
        if !self.old.is_unheard_of(function, Words::is_of_one_file) {
            return false;
        }
        let gone: Option<Vec<Gone>> = self.old.heard(function).map(|event| self.gone(function, event)).collect();
        let Some(gone) = gone else { return false };
        self.gone.extend(gone);
        self.lost.push(function);
        true
    }

    /// An event that has come, if it can be told.
    pub(super) fn come(
        &self,
        function: FunctionId,
        event: &Event,
        others: impl Iterator<Item = &'q Event>,
    ) -> Option<Come> {
        let what = Alone::of(self.new, event)?;
        Some(Come { function, span: event.span, what, under: self.under(event.guard, others) })
    }

    /// An event that is there no more, if it can be told.
    pub(super) fn gone(&self, function: FunctionId, event: &Event) -> Option<Gone> {
        Some(Gone { function, span: event.span, what: Alone::of(self.old, event)? })
    }

    /// Pairs classes in the order of the text. Those of one side alone must be such that nobody has heard of.
    pub(super) fn pair_classes(&mut self) -> bool {
        let key = |facts: &'q Facts, class: ClassId| facts.name(facts.classes[class].qualified);
        let mut old = self.old.facts.classes.iter().map(|(id, _)| id).peekable();
        let mut new = self.new.facts.classes.iter().map(|(id, _)| id).peekable();
        loop {
            match (old.peek().copied(), new.peek().copied()) {
                (None, None) => return true,
                (Some(one), Some(other)) if key(self.old.facts, one) == key(self.new.facts, other) => {
                    self.classes.pair(one, other);
                    old.next();
                    new.next();
                }
                (_, Some(only)) if self.new.is_idle_class(only, Words::is_unknown) => drop(new.next()),
                (Some(only), _) if self.old.is_idle_class(only, Words::is_of_one_file) => drop(old.next()),
                _ => return false,
            }
        }
    }

    /// Pairs the scopes of paired functions and classes.
    pub(super) fn pair_scopes(&mut self) -> bool {
        let Self { functions, classes, .. } = &*self;
        let old = self.old.facts.scopes.iter().filter(|(_, scope)| match scope.kind {
            ScopeKind::Function(function) => functions.to.contains_key(&function),
            ScopeKind::Class(class) => classes.to.contains_key(&class),
            ScopeKind::Module => true,
        });
        let new = self.new.facts.scopes.iter().filter(|(_, scope)| match scope.kind {
            ScopeKind::Function(function) => functions.from.contains_key(&function),
            ScopeKind::Class(class) => classes.from.contains_key(&class),
            ScopeKind::Module => true,
        });
        let (old, new): (Vec<_>, Vec<_>) = (old.collect(), new.collect());
        old.len() == new.len()
            && old.into_iter().zip(new).all(|((one, old), (other, new))| {
                self.scopes.pair(one, other);
                match (old.kind, new.kind) {
                    (ScopeKind::Module, ScopeKind::Module) => true,
                    (ScopeKind::Function(old), ScopeKind::Function(new)) => self.functions.are(old, new),
                    (ScopeKind::Class(old), ScopeKind::Class(new)) => self.classes.are(old, new),
                    _ => false,
                }
            })
    }

    /// The names of the module: those that have come or gone, or have other values, are nobody else's business.
    pub(super) fn module_names(&mut self) -> bool {
        let (old, new) = (names(self.old.facts, MODULE_SCOPE), names(self.new.facts, MODULE_SCOPE));
        let stars = |facts: &'q Facts| {
            let stars = facts.scopes[MODULE_SCOPE].stars.iter();
            stars.map(|(module, level)| (facts.name(*module), *level)).collect::<Vec<_>>()
        };
        stars(self.old.facts) == stars(self.new.facts)
            && new.iter().all(|(name, bindings)| {
                old.contains_key(name)
                    || self.new.name(name, bindings)
                    || is_of_class_alone(self.new.facts, bindings, &self.classes.from)
            })
            && old.iter().all(|(name, bindings)| match new.get(name) {
                Some(now) => self.try_to(|this| this.bindings(bindings, now)) || self.is_renewed(name, (bindings, now)),
                None => self.old.name(name, bindings) || is_of_class_alone(self.old.facts, bindings, &self.classes.to),
            })
    }

    /// Whether a name of the module has other values than before, and nobody else has heard of it. What the file's functions make of it is to
    /// be asked again.
    fn is_renewed(&mut self, name: &str, (old, new): (&[BindingId], &[BindingId])) -> bool {
        self.anew.is_seen = true;
        // A coroutine function that somebody else may be taken for is not told to be a plain one.
        let is_async = |facts: &Facts, bindings: &[BindingId]| {
            let mut kinds = bindings.iter().map(|binding| facts.bindings[*binding].kind);
            kinds.any(|kind| matches!(kind, BindingKind::Function(function) if facts.functions[function].is_async))
        };
        let is_plain = !is_async(self.old.facts, old) && !is_async(self.new.facts, new);
        is_plain && self.old.name(name, old) && self.new.name(name, new)
    }
}

/// Whether a name is that of a class which the other text does not have, and of which nobody has heard.
fn is_of_class_alone(facts: &Facts, bindings: &[BindingId], paired: &FxHashMap<ClassId, ClassId>) -> bool {
    let mut kinds = bindings.iter().map(|binding| facts.bindings[*binding].kind);
    kinds.all(|kind| matches!(kind, BindingKind::Class(class) if !paired.contains_key(&class)))
}
