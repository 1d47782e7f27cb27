//! Constructors: whether a field of a new object is what they were given for it, and nobody else had the object in hands before its maker.

use super::alone::Lead;
use super::usage::{Deeds, Read};
use super::values::{ClsId, FnId, Symbol};
use super::{Asked, Program};
use crate::facts::{Argument, ArgumentKind, BindingKind, Constant, Expr, ExprId, NameId};
use rustc_hash::FxHashSet;

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

    /// Whether making an object runs `__post_init__`, other than by a constructor that was made of its fields: where a decorator may have made one
    /// of which nothing is known, or a class outside has one.
    pub(super) fn runs_after_init(&self, class: ClsId) -> bool {
        let constructor = self.values.known_symbol("__init__");
        for ancestor in self.ancestors(class) {
            if constructor.is_some_and(|name| !self.own_method(ancestor, name).is_empty()) {
                return false;
            }
            if self.makes_constructor(ancestor) {
                return true;
            }
        }
        self.is_derived_from_outside(class)
    }

    /// Whether it is the constructor that `dataclass` makes of a class's fields, which runs `__post_init__` then: it has no text of its own.
    pub(super) fn is_made_constructor(&self, function: FnId) -> bool {
        let known = self.function(function);
        known.at == known.span && self.is_constructor(function)
    }

    /// Whether a decorator may make a constructor for the class: not if it is told not to.
    fn makes_constructor(&self, class: ClsId) -> bool {
        let file = self.class_file(class);
        let facts = &self.file(file).facts;
        let is_not_to = |argument: &Argument| match argument.kind {
            ArgumentKind::Keyword(name) => {
                facts.name(name) == "init" && facts.exprs[argument.value] == Expr::Constant(Constant::False)
            }
            _ => false,
        };
        let mut decorators = self.class(class).decorators.iter();
        decorators.any(|decorator| match &facts.exprs[*decorator] {
            Expr::Call(_, arguments) => !arguments.iter().any(is_not_to),
            _ => true,
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
        self.note(constructor, Asked::BODY);
        let file = self.file_of(constructor);
        let facts = &self.file(file).facts;
        let function = self.local_fn(constructor);
        let known = &facts.functions[function];
        let usage = self.usage(file);
        let own = usage.receivers(facts, function);
        let is_member = |name: NameId| {
            let name = self.symbol(file, name);
            self.is_property(name)
                || self.ancestors(class).any(|one| self.body_bindings(one, Some(name)).next().is_some())
        };
        let mut read = own.clone().flat_map(|object| usage.attributes(facts, object));
        let mut of_bases = usage.reading(Read::Super(function));
        let uses_more = |base: ExprId| {
            usage.deeds([base]).is_handed_on || usage.attributes(facts, base).any(|name| facts.name(name) != "__init__")
        };
        let deeds = usage.deeds(own);
        let mut fields = known.class.into_iter().flat_map(|class| &facts.classes[class].fields);
        let sets_property = fields.any(|one| one.by == function && self.is_property(self.symbol(file, one.name)));
        known.decorators.is_empty()
            && !deeds.is_handed_on
            && !deeds.is_kept
            && !sets_property
            && !read.any(is_member)
            && !of_bases.any(uses_more)
    }

    /// The names of those methods of a class that hand their object on, or give it another name.
    pub(super) fn handing_methods(&self, class: ClsId) -> impl Iterator<Item = Symbol> + '_ {
        let file = self.class_file(class);
        let hands = |deeds: &Deeds| deeds.is_handed_on || deeds.is_kept || deeds.is_set_by_name;
        let methods = self.usage(file).methods(self.local_cls(class)).iter().filter(move |(_, deeds)| hands(deeds));
        methods.map(move |(id, _)| self.symbol(file, self.file(file).facts.functions[*id].name))
    }

    /// Whether a method of a class may set any field, whatever it is called.
    pub(super) fn may_set_any(&self, class: ClsId) -> bool {
        let file = self.class_file(class);
        self.usage(file).methods(self.local_cls(class)).iter().any(|(_, deeds)| deeds.is_set_by_name)
    }
}

/// Methods that are called when an object is made.
const CONSTRUCTORS: &[&str] = &["__new__", "__init__", "__post_init__"];
/// Methods with which a field may be something else than what the constructor set it to.
const MEDDLING: &[&str] = &["__post_init__", "__getattr__", "__getattribute__", "__setattr__"];
