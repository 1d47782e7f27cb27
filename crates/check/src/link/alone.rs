//! Objects that only a few names lead to: a name of a module, an attribute, a name of a function. What the program does with them is then
//! all that it does with these names.
//!
//! Attributes are told apart by their names alone, whatever they are read of: that rather finds too much done with an object. What is
//! reached by `globals()` or `vars()` is not seen.

use super::Program;
use super::usage::Read;
use super::values::{ClsId, FileId, FnId, SetId, Symbol, Value};
use crate::facts::{BindingId, BindingKind, Constant, ExprId, MODULE, MODULE_SCOPE, ScopeKind};
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
        let usage = self.usage(file);
        let deeds = usage.deeds(names.iter().copied());
        if deeds.is_handed_on {
            return None;
        }
        if deeds.is_kept {
            next.extend(self.kept_under(file, &names)?);
        }
        let attributes = names.iter().flat_map(|object| usage.attributes(facts, *object));
        read.extend(attributes.map(|name| self.symbol(file, name)));
        Some(())
    }

    /// What else leads to an object that a file gives other names, or keeps in attributes; none, if its parts get names.
    fn kept_under(&self, file: FileId, names: &FxHashSet<ExprId>) -> Option<Vec<Lead>> {
        let facts = &self.file(file).facts;
        let mut leads = Vec::new();
        for (id, binding) in facts.bindings.iter() {
            match binding.kind {
                BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. }
                    if names.contains(&value) =>
                {
                    leads.extend(self.leads_of(file, id)?);
                }
                BindingKind::Unpacked(value, _) if names.contains(&value) => return None,
                _ => {}
            }
        }
        let fields = facts.classes.iter().flat_map(|(_, class)| &class.fields);
        let fields = fields.filter(|field| field.value.is_some_and(|value| names.contains(&value)));
        let stores = facts.stores.iter().filter(|store| names.contains(&store.value));
        let stored = fields.map(|field| field.name).chain(stores.map(|store| store.name));
        leads.extend(stored.map(|name| Lead::Attribute(self.symbol(file, name))));
        Some(leads)
    }

    /// The expressions that read a name.
    pub(super) fn names_of(&self, file: FileId, lead: Lead) -> FxHashSet<ExprId> {
        let usage = self.usage(file);
        let what = match lead {
            Lead::Attribute(name) => Some(Read::Attribute(name)),
            Lead::Module(_, name) => {
                let names = &self.file(file).facts.scopes[MODULE_SCOPE].names;
                self.file(file).members.get(&name).map(|place| Read::Name(MODULE_SCOPE, names[*place].0))
            }
            Lead::Bound(_, binding, _) => usage.home(binding).map(|(scope, name)| Read::Name(scope, name)),
        };
        what.into_iter().flat_map(|what| usage.reading(what)).collect()
    }

    /// What leads to an object that this binds to a name.
    fn leads_of(&self, file: FileId, binding: BindingId) -> Option<Vec<Lead>> {
        let facts = &self.file(file).facts;
        let (scope, name) = self.usage(file).home(binding)?;
        let name = self.symbol(file, name);
        Some(match facts.scopes[scope].kind {
            _ if scope == MODULE_SCOPE => vec![Lead::Module(file, name)],
            ScopeKind::Class(_) => vec![Lead::Attribute(name), Lead::Bound(file, binding, name)],
            _ => vec![Lead::Bound(file, binding, name)],
        })
    }

    /// The methods that set a field to something else, or hand their object to who might, and those that call one which does.
    pub(super) fn setting_names(&self, class: ClsId, field: Symbol, constant: Constant) -> FxHashSet<Symbol> {
        let family: Vec<ClsId> = self.ancestors(class).collect();
        let handing = family.iter().flat_map(|class| self.handing_methods(*class));
        let setting = family.iter().flat_map(|class| self.setting_functions(*class, field, constant));
        let mut names: FxHashSet<Symbol> = setting.map(|function| self.method_around(function)).collect();
        names.extend(handing);
        let mut files: Vec<FileId> = family.iter().map(|class| self.class_file(*class)).collect();
        files.sort_unstable();
        files.dedup();
        let mut open: Vec<Symbol> = names.iter().copied().collect();
        while let Some(name) = open.pop() {
            for &file in &files {
                let callers = self.usage(file).askers(name).map(|id| self.method_around(self.global_fn(file, id)));
                open.extend(callers.filter(|caller| names.insert(*caller)));
            }
        }
        names
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

/// Names that lead to one object.
const MOST_LEADS: usize = 8;
/// Files in which such a name stands.
const MOST_FILES: usize = 20;
