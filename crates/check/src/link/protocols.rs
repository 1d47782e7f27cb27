//! Protocols: which classes have all that one asks for.

use super::Program;
use super::values::{ClsId, FnId, Symbol};
use crate::facts::{Expr, Parameter, ParameterKind};
use rustc_hash::{FxHashMap, FxHashSet};

impl Program {
    /// Whoever has all methods of a protocol is one.
    pub(super) fn learn_protocols(&mut self) {
        let mut protocols: Vec<ClsId> = self.hierarchy.protocols.iter().copied().collect();
        protocols.sort_unstable();
        let asked: Vec<(ClsId, Vec<Symbol>)> =
            protocols.into_iter().map(|protocol| (protocol, self.members_of(protocol))).collect();
        let owners = self.owners(asked.iter().flat_map(|(_, wanted)| wanted).copied().collect());
        for (protocol, wanted) in asked {
            // Who has the rarest name, and who derives from these: nobody else has all.
            let Some(rarest) = wanted.iter().map(|name| &owners[name]).min_by_key(|owners| owners.len()) else {
                continue;
            };
            let heirs = rarest.iter().flat_map(|owner| self.heirs(*owner));
            let mut candidates: Vec<ClsId> = rarest.iter().chain(heirs).copied().collect();
            candidates.sort_unstable();
            candidates.dedup();
            let is_test = self.file(self.class_file(protocol)).is_test;
            let mut found = Vec::new();
            for class in candidates {
                let has_all = || {
                    wanted.iter().all(|name| {
                        self.defining(class, *name).is_some_and(|owner| self.stands_for(protocol, owner, *name))
                    })
                };
                let is_possible = is_test || !self.file(self.class_file(class)).is_test;
                if class != protocol && is_possible && self.hierarchy.live.contains(&class) && has_all() {
                    found.push(class);
                }
            }
            let heirs = &mut self.hierarchy.heirs[protocol.0 as usize];
            for class in found {
                if !heirs.contains(&class) {
                    heirs.push(class);
                }
            }
        }
    }

    /// Whether it is a method of a name that some protocol asks for, or asks for it.
    pub(crate) fn is_of_protocols(&self, function: FnId) -> bool {
        let name = self.symbol(self.file_of(function), self.function(function).name);
        self.class_of(function).is_some()
            && self.hierarchy.protocols.iter().any(|protocol| self.has_own(*protocol, name))
    }

    /// Whether a class is a protocol that functions fit: they are not of it, as far as is known.
    pub(super) fn is_protocol_of_callables(&self, class: ClsId) -> bool {
        self.hierarchy.protocols.contains(&class)
            && self.values.known_symbol("__call__").is_some_and(|call| self.has_own(class, call))
    }

    /// The names that a protocol asks for, with those of the protocols that it derives from.
    fn members_of(&self, protocol: ClsId) -> Vec<Symbol> {
        let asking = self.ancestors(protocol).filter(|ancestor| self.hierarchy.protocols.contains(ancestor));
        let members = asking.flat_map(|asking| self.hierarchy.members[asking.0 as usize].keys().copied());
        members.filter(|name| !self.values.text(*name).starts_with("__")).collect()
    }

    /// The classes that have each of these names themselves.
    fn owners(&self, names: FxHashSet<Symbol>) -> FxHashMap<Symbol, Vec<ClsId>> {
        let mut owners: FxHashMap<Symbol, Vec<ClsId>> = names.into_iter().map(|name| (name, Vec::new())).collect();
        for class in (0..self.cls_files.len() as u32).map(ClsId) {
            for name in self.own_names(class) {
                if let Some(owners) = owners.get_mut(&name) {
                    owners.push(class);
                }
            }
        }
        owners
    }

    /// Whether a class's method may be called as a protocol's: a coroutine function does not stand for a plain one, nor the other way round.
    fn stands_for(&self, protocol: ClsId, class: ClsId, name: Symbol) -> bool {
        let Some(asking) = self.defining(protocol, name) else { return true };
        let (wanted, has) = (self.own_method(asking, name), self.own_method(class, name));
        let (Some(&wanted), Some(&has)) = (wanted.first(), has.first()) else { return true };
        let (is_async, may_be_async) = (self.function(has).is_async, self.function(wanted).is_async);
        let is_of_form = match (self.promises(wanted), self.promises(has)) {
            (Some(wanted), Some(has)) => wanted == has,
            // `-> Any` is kept by a coroutine function too.
            (None, _) if self.promises_any(wanted) => true,
            _ => is_async == may_be_async,
        };
        is_of_form && self.takes(has, wanted)
    }

    fn promises_any(&self, method: FnId) -> bool {
        let (file, annotation) = (self.file_of(method), self.function(method).annotation);
        annotation.is_some_and(|annotation| match *self.expr(file, annotation) {
            Expr::Free(_, name) | Expr::Global(name) | Expr::Attribute(_, name) => {
                matches!(self.file(file).facts.name(name), "Any" | "object")
            }
            _ => false,
        })
    }

    /// Whether what a method gives is to be awaited, as far as it says so.
    fn promises(&self, method: FnId) -> Option<bool> {
        let (file, function) = (self.file_of(method), self.function(method));
        if function.is_async {
            return Some(true);
        }
        let annotation = function.annotation?;
        let class = match *self.expr(file, annotation) {
            Expr::Call(generic, _) => generic,
            Expr::Union(_) | Expr::Unknown => return None,
            _ => annotation,
        };
        let name = match self.expr(file, class) {
            Expr::Free(_, name) | Expr::Global(name) | Expr::Attribute(_, name) => self.file(file).facts.name(*name),
            _ => return Some(false),
        };
        (!matches!(name, "Any" | "object")).then_some(matches!(name, "Awaitable" | "Coroutine" | "Future" | "Task"))
    }

    /// Whether a method takes all arguments that another one is given, and needs no more. A decorator may change what it takes.
    fn takes(&self, method: FnId, other: FnId) -> bool {
        let is_bare = |function: FnId| self.function(function).decorators.is_empty();
        if !is_bare(method) || !is_bare(other) {
            return true;
        }
        let (takes, given) = (Signature::new(self, method), Signature::new(self, other));
        let is_given = |place: usize, name: Symbol| place < given.places.len() || given.has(name);
        let has_place = takes.has_rest || given.places.len() <= takes.places.len();
        let has_names = given.names.iter().all(|(name, _)| takes.has_more || takes.has(*name));
        let needs_no_place =
            takes.places.iter().enumerate().all(|(place, (name, is_needed))| !is_needed || is_given(place, *name));
        let needs_no_name = takes.names.iter().all(|(name, is_needed)| !is_needed || given.has(*name));
        let is_open = given.has_rest || given.has_more;
        has_place && has_names && (is_open || (needs_no_place && needs_no_name))
    }
}

/// The parameters of a method without `self`, each with its name and whether it has no default.
struct Signature {
    places: Vec<(Symbol, bool)>,
    /// Those that are given by name only.
    names: Vec<(Symbol, bool)>,
    has_rest: bool,
    has_more: bool,
}

impl Signature {
    fn new(program: &Program, method: FnId) -> Self {
        let file = program.file_of(method);
        let parameters = program.function(method).parameters.get(1..).unwrap_or_default();
        let of = |is_wanted: fn(ParameterKind) -> bool| {
            let wanted = parameters.iter().filter(move |parameter| is_wanted(parameter.kind));
            let described =
                wanted.map(|parameter: &Parameter| (program.symbol(file, parameter.name), parameter.default.is_none()));
            described.collect::<Vec<_>>()
        };
        Self {
            places: of(|kind| matches!(kind, ParameterKind::PositionalOnly | ParameterKind::Positional)),
            names: of(|kind| kind == ParameterKind::KeywordOnly),
            has_rest: parameters.iter().any(|parameter| parameter.kind == ParameterKind::Variadic),
            has_more: parameters.iter().any(|parameter| parameter.kind == ParameterKind::VariadicKeyword),
        }
    }

    fn has(&self, wanted: Symbol) -> bool {
        self.places.iter().chain(&self.names).any(|(name, _)| *name == wanted)
    }
}
