//! Objects that only a few names lead to: a name of a module, an attribute, a name of a function. What the program does with them is then
//! all that it does with these names.
//!
//! Attributes are told apart by their names alone, whatever they are read of: that rather finds too much done with an object. What is
//! reached by `globals()` or `vars()` is not seen.

use super::Program;
use super::values::{ClsId, FileId, FnId, SetId, Symbol, Value};
use crate::facts::{
    BindingId, BindingKind, Constant, EventKind, Expr, ExprId, Facts, MODULE, MODULE_SCOPE, NameId, Part, Parts, Scope,
    ScopeKind,
};
use rustc_hash::FxHashSet;
use std::rc::Rc;

/// A name that leads to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Lead {
    Module(FileId, Symbol),
    Attribute(Symbol),
    /// A name of a function, or within a class body.
    Bound(FileId, BindingId, Symbol),
}

impl Lead {
    pub(super) const fn name(self) -> Symbol {
        match self {
            Self::Module(_, name) | Self::Attribute(name) | Self::Bound(_, _, name) => name,
        }
    }
}

impl Program {
    /// What a name is bound to, with what is known of an object that only this name leads to.
    pub(super) fn settled(&mut self, lead: Lead, set: SetId) -> SetId {
        let [one] = *self.values.members(set) else { return set };
        let Value::Instance { class, is_exact, made } = *self.values.get(one) else { return set };
        if self.values.made(made).iter().all(|told| told.is_settled) {
            return set;
        }
        let Some(read) = self.read_alone(lead) else { return set };
        // Somebody may have given the class a method of that name.
        let foreign: Vec<Symbol> = read.iter().copied().filter(|name| self.defining(class, *name).is_none()).collect();
        let is_given = foreign.iter().any(|name| self.stores.contains_key(name));
        self.makings.watched.extend(foreign);
        if is_given {
            return set;
        }
        let mut told = self.values.made(made).to_vec();
        for one in &mut told {
            let setting = self.setting_names(class, one.field, one.constant);
            one.is_settled |= !read.iter().any(|name| *name == one.field || setting.contains(name));
            self.makings.watched.extend(setting);
        }
        let made = self.values.new_made(&told);
        self.single(Value::Instance { class, is_exact, made })
    }

    /// The attributes that are read of an object; none, if it is also handed on.
    fn read_alone(&mut self, lead: Lead) -> Option<Rc<[Symbol]>> {
        if let Some(known) = self.makings.alone.get(&lead) {
            return known.clone();
        }
        let mut leads = vec![lead];
        let read = self.find_read_alone(&mut leads).map(Rc::from);
        self.makings.watched.extend(leads.into_iter().map(Lead::name));
        self.makings.alone.insert(lead, read.clone());
        read
    }

    /// `leads` becomes all names that lead to it, as far as they were looked at.
    fn find_read_alone(&self, leads: &mut Vec<Lead>) -> Option<Vec<Symbol>> {
        let mut read = Vec::new();
        let mut place = 0;
        while let Some(&lead) = leads.get(place) {
            place += 1;
            let mut next = Vec::new();
            for file in self.files_with(lead)? {
                self.follow_lead(file, lead, &mut next, &mut read)?;
            }
            next.retain(|one| !leads.contains(one));
            leads.extend(next);
            if leads.len() > MOST_LEADS {
                return None;
            }
        }
        Some(read)
    }

    /// The files in which the name may stand; none, if they are too many, or others may know a module's name.
    fn files_with(&self, lead: Lead) -> Option<Vec<FileId>> {
        let (own, name) = match lead {
            Lead::Bound(file, ..) => return Some(vec![file]),
            Lead::Module(file, name) => (Some(file), name),
            Lead::Attribute(name) => (None, name),
        };
        let all = (0..self.files.len() as u32).map(FileId);
        let is_one = |file: &FileId| !self.file(*file).is_test && self.file(*file).symbols.contains(&name);
        let found: Vec<FileId> = all.filter(is_one).take(MOST_FILES + 1).collect();
        let is_own = own.is_none_or(|own| found.iter().all(|file| *file == own));
        (is_own && found.len() <= MOST_FILES).then_some(found)
    }

    /// Looks at all that a file does with a name: what it reads of the object, and what else then leads to it; none, if it is handed on.
    fn follow_lead(&self, file: FileId, lead: Lead, next: &mut Vec<Lead>, read: &mut Vec<Symbol>) -> Option<()> {
        let facts = &self.file(file).facts;
        let names = self.names_of(file, lead);
        if names.is_empty() {
            return Some(());
        }
        if hands_on(facts, &names) {
            return None;
        }
        for (id, binding) in facts.bindings.iter() {
            match binding.kind {
                BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. }
                    if names.contains(&value) =>
                {
                    next.extend(self.leads_of(file, id)?);
                }
                BindingKind::Unpacked(value, _) if names.contains(&value) => return None,
                _ => {}
            }
        }
        let fields = facts.classes.iter().flat_map(|(_, class)| &class.fields);
        let fields = fields.filter(|field| field.value.is_some_and(|value| names.contains(&value)));
        let stores = facts.stores.iter().filter(|store| names.contains(&store.value));
        let stored = fields.map(|field| field.name).chain(stores.map(|store| store.name));
        next.extend(stored.map(|name| Lead::Attribute(self.symbol(file, name))));
        read.extend(facts.exprs.iter().filter_map(|(_, expr)| match expr {
            Expr::Attribute(object, name) if names.contains(object) => Some(self.symbol(file, *name)),
            _ => None,
        }));
        Some(())
    }

    /// The expressions that read a name.
    pub(super) fn names_of(&self, file: FileId, lead: Lead) -> FxHashSet<ExprId> {
        let facts = &self.file(file).facts;
        let exprs = facts.exprs.iter();
        let found: Vec<(ExprId, &Expr)> = match lead {
            Lead::Attribute(wanted) => exprs
                .filter(|(_, expr)| matches!(expr, Expr::Attribute(_, name) if self.symbol(file, *name) == wanted))
                .collect(),
            Lead::Module(..) | Lead::Bound(..) => {
                let is_it = |scope: &Scope, name: NameId, bindings: &[BindingId]| match lead {
                    Lead::Module(_, wanted) => scope.kind == ScopeKind::Module && self.symbol(file, name) == wanted,
                    Lead::Bound(_, wanted, _) => bindings.contains(&wanted),
                    Lead::Attribute(_) => false,
                };
                let scopes = facts.scopes.iter();
                let mut named = scopes.flat_map(|(id, scope)| {
                    let names = scope.names.iter().filter(move |(name, bindings)| is_it(scope, *name, bindings));
                    names.map(move |(name, bindings)| (id, *name, bindings))
                });
                let Some((scope, name, bindings)) = named.next() else { return FxHashSet::default() };
                let reads = |expr: &Expr| match expr {
                    Expr::Free(of, read) => *of == scope && *read == name,
                    Expr::Local(read) => read.iter().any(|binding| bindings.contains(binding)),
                    _ => false,
                };
                exprs.filter(|(_, expr)| reads(expr)).collect()
            }
        };
        found.into_iter().map(|(id, _)| id).collect()
    }

    /// What leads to an object that this binds to a name.
    fn leads_of(&self, file: FileId, binding: BindingId) -> Option<Vec<Lead>> {
        let facts = &self.file(file).facts;
        let mut scopes = facts.scopes.iter();
        let (scope, name) = scopes.find_map(|(id, scope)| {
            let (name, _) = scope.names.iter().find(|(_, bindings)| bindings.contains(&binding))?;
            Some((id, *name))
        })?;
        let name = self.symbol(file, name);
        Some(match facts.scopes[scope].kind {
            _ if scope == MODULE_SCOPE => vec![Lead::Module(file, name)],
            ScopeKind::Class(_) => vec![Lead::Attribute(name), Lead::Bound(file, binding, name)],
            _ => vec![Lead::Bound(file, binding, name)],
        })
    }

    /// The methods that set a field to something else, or hand their object to who might, and those that call one which does.
    pub(super) fn setting_names(&mut self, class: ClsId, field: Symbol, constant: Constant) -> FxHashSet<Symbol> {
        let family: Vec<ClsId> = self.ancestors(class).collect();
        let handing: Vec<Symbol> = family.iter().flat_map(|class| self.handing_methods(*class).to_vec()).collect();
        let setting = family.iter().flat_map(|class| self.setting_functions(*class, field, constant));
        let mut names: FxHashSet<Symbol> = setting.map(|function| self.method_around(function)).collect();
        names.extend(handing);
        loop {
            let before = names.len();
            for class in &family {
                let file = self.class_file(*class);
                let facts = &self.file(file).facts;
                for (id, function) in facts.functions.iter() {
                    let uses = |name| names.contains(&self.symbol(file, name));
                    let is_caller =
                        function.events.iter().any(|event| read_name(facts, event.kind, event.expr).is_some_and(uses));
                    if is_caller && id != MODULE {
                        names.insert(self.method_around(self.global_fn(file, id)));
                    }
                }
            }
            if names.len() == before {
                return names;
            }
        }
    }

    /// The name of the outermost function around one: of the method, in a class.
    pub(super) fn method_around(&self, function: FnId) -> Symbol {
        let file = self.file_of(function);
        let facts = &self.file(file).facts;
        let mut next = self.local_fn(function);
        while facts.functions[next].class.is_none() && facts.functions[next].parent != MODULE {
            next = facts.functions[next].parent;
        }
        self.symbol(file, facts.functions[next].name)
    }
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

/// Whether a file does more with one of these expressions than to read its attributes, or to bind it to a name.
pub(super) fn hands_on(facts: &Facts, names: &FxHashSet<ExprId>) -> bool {
    let is_one = |expr: &ExprId| names.contains(expr);
    // That an attribute is read says nothing of what becomes of it.
    let is_access = |kind| matches!(kind, EventKind::Read | EventKind::Write);
    let is_part = |expr: &Expr| {
        !matches!(expr, Expr::Attribute(..))
            && expr.parts().iter().any(|part| matches!(part, Part::Expr(one) if is_one(one)))
    };
    facts.exprs.iter().any(|(_, expr)| is_part(expr))
        || facts.stores.iter().any(|store| is_one(&store.object))
        || facts.functions.iter().any(|(_, function)| {
            function.returns.iter().chain(&function.yields).any(|(value, _)| is_one(value))
                || function.parameters.iter().any(|parameter| parameter.default.as_ref().is_some_and(is_one))
                || function.decorators.iter().any(is_one)
                || function.events.iter().any(|event| !is_access(event.kind) && is_one(&event.expr))
        })
}

/// Names that lead to one object.
const MOST_LEADS: usize = 8;
/// Files in which such a name stands.
const MOST_FILES: usize = 20;
