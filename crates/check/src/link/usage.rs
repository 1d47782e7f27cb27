//! Where a file reads its names, and what it does with what it reads: one look at all facts of the file, which is remembered, answers for each of
//! its methods and classes.
//!
//! It is made for files that are asked about it; most never are.

use super::File;
use super::values::Symbol;
use crate::facts::{
    BindingId, BindingKind, ClassId, EventKind, Expr, ExprId, Facts, FunctionId, MODULE, NameId, Part, Parts, ScopeId,
};
use rustc_hash::FxHashMap;

/// What an expression reads.
#[derive(Clone, Copy, Debug)]
pub(super) enum Read {
    /// A name of a scope.
    Name(ScopeId, NameId),
    /// An attribute of anything.
    Attribute(Symbol),
    /// Any attribute of what this gives.
    Of(ExprId),
    /// `super()`, in this function.
    Super(FunctionId),
}

impl Read {
    /// One number for each: lists of them are sorted. (There are fewer scopes than bytes in a file.)
    fn key(self) -> u64 {
        const KIND: u32 = 62;
        match self {
            Self::Name(scope, name) => (u64::from(scope.raw()) << 32) | u64::from(name.raw()),
            Self::Attribute(name) => (1 << KIND) | u64::from(name.0),
            Self::Of(object) => (2 << KIND) | u64::from(object.raw()),
            Self::Super(function) => (3 << KIND) | u64::from(function.raw()),
        }
    }
}

/// What is done with what an expression gives.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Deeds {
    /// More than to read its attributes, or to bind it to a name.
    pub(super) is_handed_on: bool,
    /// It gets another name, or is kept in an attribute.
    pub(super) is_kept: bool,
    /// The table of all its attributes is asked for, or some are set by name: `setattr(self, name, value)`.
    pub(super) is_set_by_name: bool,
}

pub(super) struct Usage {
    /// By their keys, in order.
    reads: Vec<(u64, ExprId)>,
    /// Of each expression.
    deeds: Vec<Deeds>,
    /// The name that each binding gives something, if it is one of a scope.
    homes: Vec<Option<(ScopeId, NameId)>>,
    /// Methods of classes, and what each does with the object that it is called on.
    methods: FxHashMap<ClassId, Vec<(FunctionId, Deeds)>>,
    /// Functions that read, or call, an attribute of a name; in order.
    askers: Vec<(Symbol, FunctionId)>,
}

impl Usage {
    pub(super) fn of(file: &File) -> Self {
        let facts = &*file.facts;
        let homes = homes(facts);
        let reads = reads(file, &homes);
        let askers = askers(file);
        let mut usage = Self { reads, deeds: deeds(facts), homes, methods: FxHashMap::default(), askers };
        for (id, function) in facts.functions.iter() {
            let Some(class) = function.class else { continue };
            let deeds = usage.deeds(usage.receivers(facts, id));
            usage.methods.entry(class).or_default().push((id, deeds));
        }
        usage
    }

    /// The expressions that read this.
    pub(super) fn reading(&self, what: Read) -> impl Iterator<Item = ExprId> + Clone + '_ {
        run_of(&self.reads, what.key())
    }

    /// The expressions that are the object which a method was called on.
    pub(super) fn receivers(&self, facts: &Facts, method: FunctionId) -> impl Iterator<Item = ExprId> + Clone + '_ {
        let mut names = facts.scopes[facts.functions[method].scope].names.iter();
        let is_first = |one: &BindingId| facts.bindings[*one].kind == BindingKind::Parameter(method, 0);
        let first = names.find_map(|(_, bindings)| bindings.iter().copied().find(is_first));
        let name = first.and_then(|first| self.home(first));
        name.into_iter().flat_map(|(scope, name)| self.reading(Read::Name(scope, name)))
    }

    /// The attributes that are read of what an expression gives.
    pub(super) fn attributes<'f>(&'f self, facts: &'f Facts, object: ExprId) -> impl Iterator<Item = NameId> + 'f {
        self.reading(Read::Of(object)).filter_map(|expr| match facts.exprs[expr] {
            Expr::Attribute(_, name) => Some(name),
            _ => None,
        })
    }

    /// All that is done with what any of these gives.
    pub(super) fn deeds(&self, exprs: impl IntoIterator<Item = ExprId>) -> Deeds {
        exprs.into_iter().map(|expr| self.deeds[expr.index()]).fold(Deeds::default(), |all, one| Deeds {
            is_handed_on: all.is_handed_on || one.is_handed_on,
            is_kept: all.is_kept || one.is_kept,
            is_set_by_name: all.is_set_by_name || one.is_set_by_name,
        })
    }

    /// The name that a binding gives something.
    pub(super) fn home(&self, binding: BindingId) -> Option<(ScopeId, NameId)> {
        self.homes[binding.index()]
    }

    /// The methods of a class, and what each does with the object that it is called on.
    pub(super) fn methods(&self, class: ClassId) -> &[(FunctionId, Deeds)] {
        self.methods.get(&class).map_or(&[], Vec::as_slice)
    }

    /// The functions that read, or call, an attribute of this name.
    pub(super) fn askers(&self, name: Symbol) -> impl Iterator<Item = FunctionId> + '_ {
        run_of(&self.askers, name)
    }
}

/// All that stand under one key in a list that is in order.
fn run_of<K: Ord + Copy, T: Copy>(list: &[(K, T)], wanted: K) -> impl Iterator<Item = T> + Clone + '_ {
    let start = list.partition_point(|(key, _)| *key < wanted);
    list[start..].iter().take_while(move |(key, _)| *key == wanted).map(|(_, one)| *one)
}

fn homes(facts: &Facts) -> Vec<Option<(ScopeId, NameId)>> {
    let mut homes = vec![None; facts.bindings.len()];
    for (scope, this) in facts.scopes.iter() {
        for (name, bindings) in &this.names {
            for binding in &**bindings {
                homes[binding.index()] = Some((scope, *name));
            }
        }
    }
    homes
}

fn reads(file: &File, homes: &[Option<(ScopeId, NameId)>]) -> Vec<(u64, ExprId)> {
    let mut reads = Vec::new();
    let mut tell = |read: Read, expr| reads.push((read.key(), expr));
    for (id, expr) in file.facts.exprs.iter() {
        match expr {
            Expr::Free(scope, name) => tell(Read::Name(*scope, *name), id),
            // All that reach a place are of one name.
            Expr::Local(bindings) => {
                let home = bindings.first().and_then(|binding| homes[binding.index()]);
                if let Some((scope, name)) = home {
                    tell(Read::Name(scope, name), id);
                }
            }
            Expr::Attribute(object, name) => {
                tell(Read::Attribute(file.symbols[name.index()]), id);
                tell(Read::Of(*object), id);
            }
            Expr::Super(_, function) => tell(Read::Super(*function), id),
            _ => {}
        }
    }
    reads.sort_unstable();
    reads
}

fn askers(file: &File) -> Vec<(Symbol, FunctionId)> {
    let facts = &*file.facts;
    let functions = facts.functions.iter().filter(|(id, _)| *id != MODULE);
    let mut askers: Vec<(Symbol, FunctionId)> = functions
        .flat_map(|(id, function)| {
            let asked = function.events.iter().filter_map(|event| read_name(facts, event.kind, event.expr));
            asked.map(move |name| (file.symbols[name.index()], id))
        })
        .collect();
    askers.sort_unstable();
    askers.dedup();
    askers
}

/// The attribute that an event reads, or calls.
fn read_name(facts: &Facts, kind: EventKind, expr: ExprId) -> Option<NameId> {
    let read = match (&facts.exprs[expr], kind) {
        (Expr::Call(callee, _), EventKind::Call(_)) => *callee,
        _ => expr,
    };
    match facts.exprs[read] {
        Expr::Attribute(_, name) => Some(name),
        _ => None,
    }
}

fn deeds(facts: &Facts) -> Vec<Deeds> {
    let mut deeds = vec![Deeds::default(); facts.exprs.len()];
    each_handed_on(facts, |expr| deeds[expr.index()].is_handed_on = true);
    for expr in kept(facts) {
        deeds[expr.index()].is_kept = true;
    }
    for expr in set_by_name(facts) {
        deeds[expr.index()].is_set_by_name = true;
    }
    deeds
}

fn each_handed_on(facts: &Facts, mut tell: impl FnMut(ExprId)) {
    for (_, expr) in facts.exprs.iter().filter(|(_, expr)| !matches!(expr, Expr::Attribute(..))) {
        expr.each_part(&mut |part| {
            if let Part::Expr(one) = part {
                tell(one);
            }
        });
    }
    facts.stores.iter().for_each(|store| tell(store.object));
    // That an attribute is read says nothing of what becomes of it.
    let is_access = |kind| matches!(kind, EventKind::Read | EventKind::Write);
    for (_, function) in facts.functions.iter() {
        let given = function.returns.iter().chain(&function.yields).map(|(value, _)| *value);
        let defaults = function.parameters.iter().filter_map(|parameter| parameter.default);
        let events = function.events.iter().filter(|event| !is_access(event.kind)).map(|event| event.expr);
        given.chain(defaults).chain(function.decorators.iter().copied()).chain(events).for_each(&mut tell);
    }
}

fn kept(facts: &Facts) -> impl Iterator<Item = ExprId> + '_ {
    let fields = facts.classes.iter().flat_map(|(_, class)| class.fields.iter().filter_map(|field| field.value));
    let stored = facts.stores.iter().map(|store| store.value);
    let bound = facts.bindings.iter().filter_map(|(_, binding)| match binding.kind {
        BindingKind::Value(value) | BindingKind::Unpacked(value, _) => Some(value),
        BindingKind::Annotated { value, .. } => value,
        _ => None,
    });
    fields.chain(stored).chain(bound)
}

fn set_by_name(facts: &Facts) -> impl Iterator<Item = ExprId> + '_ {
    facts.exprs.iter().filter_map(|(_, expr)| match expr {
        Expr::Attribute(object, name) => (facts.name(*name) == "__dict__").then_some(*object),
        Expr::Call(callee, arguments) => match facts.exprs[*callee] {
            Expr::Global(name) if matches!(facts.name(name), "setattr" | "vars") => {
                arguments.first().map(|first| first.value)
            }
            _ => None,
        },
        _ => None,
    })
}
