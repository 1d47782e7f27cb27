//! Constructors: whether a field of a new object is what they were given for it, and nobody else had the object in hands before its maker.

use super::Program;
use super::alone::{Lead, hands_on};
use super::values::{ClsId, FileId, FnId, Symbol};
use crate::facts::{BindingKind, Constant, Expr, ExprId, Facts, FunctionId};
use rustc_hash::FxHashSet;
use std::rc::Rc;

impl Program {
    /// Whether the constructors of a class set a field in one place, and nothing else in the class gives objects that have another one.
    pub(super) fn is_set_once(&self, class: ClsId, field: Symbol, default: Constant) -> bool {
        let meddles = |name: &&str| {
            self.values.known_symbol(name).is_some_and(|name| self.ancestors(class).any(|one| self.has_own(one, name)))
        };
        let mut times = 0;
        for ancestor in self.ancestors(class) {
            let file = self.class_file(ancestor);
            let fields = self.class(ancestor).fields.iter().filter(|one| self.symbol(file, one.name) == field);
            let setting = fields.filter(|one| one.value.is_some() || one.annotation.is_none());
            times += setting.filter(|one| self.is_by_constructor(self.global_fn(file, one.by))).count();
            if !self.is_declared_as(ancestor, field, default) {
                return false;
            }
        }
        times == 1 && !MEDDLING.iter().any(meddles)
    }

    /// Whether what a class body binds the name of a field to is this constant, if it is anything.
    fn is_declared_as(&self, class: ClsId, field: Symbol, default: Constant) -> bool {
        self.body_bindings(class, Some(field)).all(|(_, kind)| match kind {
            BindingKind::Annotated { value: None, .. } => true,
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => {
                *self.expr(self.class_file(class), value) == Expr::Constant(default)
            }
            _ => false,
        })
    }

    /// What a class body binds names to: all, or one.
    fn body_bindings(&self, class: ClsId, wanted: Option<Symbol>) -> impl Iterator<Item = (Lead, BindingKind)> + '_ {
        let file = self.class_file(class);
        let facts = &self.file(file).facts;
        let names = facts.scopes[self.class(class).scope].names.iter();
        names
            .map(move |(name, bindings)| (self.symbol(file, *name), bindings))
            .filter(move |(name, _)| wanted.is_none_or(|wanted| wanted == *name))
            .flat_map(move |(name, bindings)| {
                bindings.iter().map(move |one| (Lead::Bound(file, *one, name), facts.bindings[*one].kind))
            })
    }

    pub(super) fn is_by_constructor(&self, function: FnId) -> bool {
        CONSTRUCTORS.contains(&self.values.text(self.method_around(function)))
    }

    /// Whether new objects of a class are only their maker's: its constructors call no methods of theirs, and hand nothing of them on; and
    /// its methods have no other names than their own.
    pub(super) fn is_made_in_private(&self, class: ClsId, setting: &FxHashSet<Symbol>) -> bool {
        let constructor = self.values.known_symbol("__init__");
        !self.is_derived_from_outside(class)
            && self.ancestors(class).all(|ancestor| {
                let mut made_by = constructor.into_iter().flat_map(|name| self.own_method(ancestor, name));
                made_by.all(|function| self.is_simple(class, function)) && !self.has_aliases(ancestor, setting)
            })
    }

    /// Whether a class body reads one of its methods of these names, or has a function without a name.
    fn has_aliases(&self, class: ClsId, names: &FxHashSet<Symbol>) -> bool {
        let file = self.class_file(class);
        let facts = &self.file(file).facts;
        self.body_bindings(class, None).any(|(lead, kind)| match kind {
            BindingKind::Function(_) => names.contains(&lead.name()) && !self.names_of(file, lead).is_empty(),
            BindingKind::Value(value) => matches!(facts.exprs[value], Expr::Lambda(_)),
            _ => false,
        })
    }

    /// Whether a constructor only sets fields, and calls those of its bases.
    fn is_simple(&self, class: ClsId, constructor: FnId) -> bool {
        let file = self.file_of(constructor);
        let facts = &self.file(file).facts;
        let function = self.local_fn(constructor);
        let known = &facts.functions[function];
        let own = self.receivers(file, function);
        let is_member = |name: Symbol| {
            self.is_property(name)
                || self.ancestors(class).any(|one| self.body_bindings(one, Some(name)).next().is_some())
        };
        let reads = |(id, expr): (ExprId, &Expr)| match *expr {
            Expr::Attribute(object, name) if own.contains(&object) => is_member(self.symbol(file, name)),
            Expr::Attribute(object, name) if matches!(facts.exprs[object], Expr::Super(_, by) if by == function) => {
                facts.name(name) != "__init__"
            }
            Expr::Super(_, by) if by == function => hands_on(facts, &FxHashSet::from_iter([id])),
            _ => false,
        };
        let mut fields = facts.classes.iter().flat_map(|(_, class)| &class.fields);
        let sets_property = fields.any(|one| one.by == function && self.is_property(self.symbol(file, one.name)));
        known.decorators.is_empty()
            && !hands_on(facts, &own)
            && !keeps(facts, &own)
            && !sets_property
            && !facts.exprs.iter().any(reads)
    }

    /// The names of those methods of a class that hand their object on, or give it another name.
    pub(super) fn handing_methods(&mut self, class: ClsId) -> Rc<[Symbol]> {
        if let Some(known) = self.makings.handing.get(&class) {
            return Rc::clone(known);
        }
        let file = self.class_file(class);
        let facts = &self.file(file).facts;
        let hands = |own: &FxHashSet<ExprId>| hands_on(facts, own) || keeps(facts, own) || sets_any(facts, own);
        let methods = self.own_receivers(class).filter(|(_, own)| !own.is_empty() && hands(own));
        let found: Rc<[Symbol]> =
            methods.map(|(id, _)| self.symbol(file, facts.functions[id].name)).collect::<Vec<_>>().into();
        self.makings.handing.insert(class, Rc::clone(&found));
        found
    }

    /// Whether a method of a class may set any field, whatever it is called.
    pub(super) fn may_set_any(&self, class: ClsId) -> bool {
        let facts = &self.file(self.class_file(class)).facts;
        // Most files have none of these names.
        facts.names.iter().any(|name| matches!(name, "setattr" | "vars" | "__dict__"))
            && self.own_receivers(class).any(|(_, own)| sets_any(facts, &own))
    }

    /// The methods of a class, and in each the expressions that are the object which it was called on.
    fn own_receivers(&self, class: ClsId) -> impl Iterator<Item = (FunctionId, FxHashSet<ExprId>)> + '_ {
        let file = self.class_file(class);
        let methods = self.file(file).facts.functions.iter();
        let own = methods.filter(move |(id, _)| self.class_of(self.global_fn(file, *id)) == Some(class));
        own.map(move |(id, _)| (id, self.receivers(file, id)))
    }

    /// The expressions that are the object which a method was called on.
    fn receivers(&self, file: FileId, method: FunctionId) -> FxHashSet<ExprId> {
        let facts = &self.file(file).facts;
        let first = |names: &(crate::facts::NameId, crate::facts::Few<crate::facts::BindingId>)| {
            let mut bindings = names.1.iter();
            bindings
                .find(|one| facts.bindings[**one].kind == BindingKind::Parameter(method, 0))
                .map(|one| Lead::Bound(file, *one, self.symbol(file, names.0)))
        };
        let lead = facts.scopes[facts.functions[method].scope].names.iter().find_map(first);
        lead.map(|lead| self.names_of(file, lead)).unwrap_or_default()
    }
}

/// Whether a file asks for the table of all attributes of one of these, or sets some by name: `setattr(self, name, value)`.
fn sets_any(facts: &Facts, names: &FxHashSet<ExprId>) -> bool {
    facts.exprs.iter().any(|(_, expr)| match expr {
        Expr::Attribute(object, name) => names.contains(object) && facts.name(*name) == "__dict__",
        Expr::Call(callee, arguments) => {
            let is_own = arguments.first().is_some_and(|first| names.contains(&first.value));
            is_own
                && matches!(facts.exprs[*callee], Expr::Global(name) if matches!(facts.name(name), "setattr" | "vars"))
        }
        _ => false,
    })
}

/// Whether a file gives one of these expressions another name, or keeps it in an attribute.
pub(super) fn keeps(facts: &Facts, names: &FxHashSet<ExprId>) -> bool {
    let fields = facts.classes.iter().flat_map(|(_, class)| class.fields.iter().filter_map(|field| field.value));
    let stored = facts.stores.iter().map(|store| store.value);
    let bound = facts.bindings.iter().filter_map(|(_, binding)| match binding.kind {
        BindingKind::Value(value) | BindingKind::Unpacked(value, _) => Some(value),
        BindingKind::Annotated { value, .. } => value,
        _ => None,
    });
    fields.chain(stored).chain(bound).any(|value| names.contains(&value))
}

/// Methods that are called when an object is made.
const CONSTRUCTORS: &[&str] = &["__new__", "__init__", "__post_init__"];
/// Methods with which a field may be something else than what the constructor set it to.
const MEDDLING: &[&str] = &["__post_init__", "__getattr__", "__getattribute__", "__setattr__"];
