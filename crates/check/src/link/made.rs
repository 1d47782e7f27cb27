//! What an object was made with: fields that its constructor takes from parameters, and for which a call has no argument.
//!
//! `Cache()` has no `self.remote`, where `Cache(Remote())` has one: what a method does with it, only the second can do. Only defaults that are
//! constants count, so that there are few kinds of objects of a class. A field that other code sets as well says nothing, unless all that is
//! done with the object is known (see [`super::alone`]).

use super::Program;
use super::alone::Lead;
use super::needs::{Need, What};
use super::values::{ANYHOW, ArgsId, ClsId, FileId, FnId, MadeId, SetId, Symbol, Told, Value};
use crate::facts::{BindingId, BindingKind, Constant, Expr, ExprId, Facts, ParameterKind};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// A field that is what a parameter of the constructor was, and what that is unless it is given.
#[derive(Clone, Debug)]
struct Optional {
    field: Symbol,
    parameter: Symbol,
    /// Its place among the arguments; none, if it is given by name only.
    place: Option<usize>,
    default: Constant,
    is_set_later: bool,
}

/// What is known of constructors.
#[derive(Default)]
pub(super) struct Makings {
    /// Of classes that were made.
    optional: FxHashMap<ClsId, Rc<[Optional]>>,
    /// Whether methods of a class may ask for an optional field of that name.
    asked: FxHashMap<(ClsId, Symbol), bool>,
    /// What is read of objects that only some names lead to, by the first of these.
    pub(super) alone: FxHashMap<Lead, Option<Rc<[Symbol]>>>,
    /// Tables, and whether what is in them comes out under its key alone.
    pub(super) by_key: FxHashMap<Lead, bool>,
    /// Abstract classes, and whether others may be registered as their heirs.
    pub(super) registered: FxHashMap<ClsId, bool>,
    /// Names that more code with them might say something else of.
    pub(super) watched: FxHashSet<Symbol>,
}

impl Program {
    /// What making an instance gives.
    pub(super) fn construct(&mut self, class: ClsId, is_exact: bool, args: ArgsId) -> SetId {
        let mut made = ANYHOW;
        if is_exact {
            let optional = self.optional_fields(class);
            let given = self.values.arguments(args);
            if !optional.is_empty() && given.star.is_none() && given.double_star.is_none() {
                let is_given = |one: &Optional| {
                    one.place.is_some_and(|place| place < given.positional.len())
                        || given.keywords.iter().any(|(name, _)| *name == one.parameter)
                };
                let absent = optional.iter().filter(|one| !is_given(one));
                let told: Vec<Told> = absent
                    .map(|one| Told { field: one.field, constant: one.default, is_settled: !one.is_set_later })
                    .collect();
                made = self.values.new_made(&told);
            }
        } else {
            made = self.made_of_some_heir();
        }
        self.single(Value::Instance { class, is_exact: true, made })
    }

    /// `cls()`, which may be an object of an heir. (It has no field of that name.)
    fn made_of_some_heir(&mut self) -> MadeId {
        let field = self.values.symbol(OF_SOME_HEIR);
        self.values.new_made(&[Told { field, constant: Constant::None, is_settled: false }])
    }

    /// Whether an object is of exactly the class that it was made as an instance of.
    pub(super) fn is_of_its_class(&self, is_exact: bool, made: MadeId) -> bool {
        let is_it = |told: &Told| self.values.text(told.field) == OF_SOME_HEIR;
        is_exact && !self.values.made(made).iter().any(is_it)
    }

    /// The fields of instances of exactly this class that arguments may be missing for.
    fn optional_fields(&mut self, class: ClsId) -> Rc<[Optional]> {
        if let Some(known) = self.makings.optional.get(&class) {
            return Rc::clone(known);
        }
        let found: Rc<[Optional]> = self.find_optional_fields(class).unwrap_or_default().into();
        self.makings.optional.insert(class, Rc::clone(&found));
        found
    }

    fn find_optional_fields(&self, class: ClsId) -> Option<Vec<Optional>> {
        let constructor = self.values.known_symbol("__init__")?;
        let is_made_elsewhere =
            self.values.known_symbol("__new__").is_some_and(|new| self.defining(class, new).is_some());
        let owner = self.defining(class, constructor).filter(|_| !is_made_elsewhere)?;
        let [constructor] = self.own_method(owner, constructor)[..] else { return None };
        let file = self.class_file(owner);
        let facts = &self.file(file).facts;
        let parameters = optional_parameters(facts, self.class(owner), self.local_fn(constructor));
        let may_set_any = !parameters.is_empty() && self.ancestors(class).any(|class| self.may_set_any(class));
        let mut found: Vec<Optional> = Vec::new();
        for (place, name) in parameters {
            let field = self.symbol(file, name);
            let parameter = self.function(constructor).parameters[place].clone();
            let Some(&Expr::Constant(default)) = parameter.default.map(|default| self.expr(file, default)) else {
                continue;
            };
            if self.is_property(field)
                || !self.is_set_once(class, field, default)
                || found.iter().any(|known| known.field == field)
            {
                continue;
            }
            let setting = self.ancestors(class).flat_map(|class| self.setting_functions(class, field, default));
            let is_set_again = setting.count() > 1;
            let is_set_later = is_set_again || may_set_any || self.stores.contains_key(&field);
            if is_set_later {
                let setting = self.setting_names(class, field, default);
                if !self.is_made_in_private(class, &setting) {
                    continue;
                }
            }
            found.push(Optional {
                field,
                parameter: self.symbol(file, parameter.name),
                // The first one is `self`.
                place: (parameter.kind != ParameterKind::KeywordOnly).then_some(place - 1),
                default,
                is_set_later,
            });
        }
        Some(found)
    }

    /// The functions of a class that set a field to something else than this.
    pub(super) fn setting_functions(
        &self,
        class: ClsId,
        field: Symbol,
        constant: Constant,
    ) -> impl Iterator<Item = FnId> + '_ {
        let file = self.class_file(class);
        let fields = self.class(class).fields.iter().filter(move |one| self.symbol(file, one.name) == field);
        let setting = fields.filter(move |one| match one.value {
            Some(value) => *self.expr(file, value) != Expr::Constant(constant),
            // A bare annotation sets nothing.
            None => one.annotation.is_none(),
        });
        setting.map(move |one| self.global_fn(file, one.by))
    }

    // ---------------------------------------------------------------- questions

    /// What must hold of an object for a condition about one of its optional fields to hold.
    pub(super) fn asked_field(
        &mut self,
        file: FileId,
        function: FnId,
        subject: ExprId,
        (what, is): (What, bool),
    ) -> Option<Need> {
        let Expr::Attribute(object, name) = *self.expr(file, subject) else { return None };
        let (owner, 0) = self.asked_parameter(file, function, object)? else { return None };
        let class = self.class_of(owner).filter(|_| self.method_kind(owner).is_none())?;
        let field = self.symbol(file, name);
        let what = match what {
            What::True => What::FieldTrue(field),
            What::None => What::FieldNone(field),
            _ => return None,
        };
        self.may_be_asked(class, field).then_some(Need { owner, parameter: 0, what, is })
    }

    /// What must hold of the caller's object for a method of one of its fields to be called: `self.remote.get()`.
    pub(crate) fn needed_field(&mut self, file: FileId, function: FnId, callee: ExprId) -> Option<Need> {
        let Expr::Attribute(field, _) = *self.expr(file, callee) else { return None };
        self.asked_field(file, function, field, (What::None, false))
    }

    /// Whether instances of a class, or of its heirs, may have been made without a field.
    fn may_be_asked(&mut self, class: ClsId, field: Symbol) -> bool {
        if let Some(known) = self.makings.asked.get(&(class, field)) {
            return *known;
        }
        let family: Vec<ClsId> = std::iter::once(class).chain(self.heirs(class).iter().copied()).collect();
        let is_asked =
            family.into_iter().any(|class| self.optional_fields(class).iter().any(|optional| optional.field == field));
        self.makings.asked.insert((class, field), is_asked);
        is_asked
    }

    /// The fields that objects are told apart by, of the classes that were asked about.
    pub(crate) fn told_names(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.makings.optional.values().flat_map(|optional| optional.iter().map(|one| one.field))
    }

    /// Whether objects of a file's classes, or of heirs of these, may be told apart by a field of that name.
    pub(crate) fn may_tell_of(&mut self, file: FileId, field: &str) -> bool {
        let Some(field) = self.values.known_symbol(field) else { return false };
        self.classes_of(file).any(|class| self.may_be_asked(class, field))
    }

    /// What a field is for sure of an object that was made without it.
    pub(super) fn told_field(&self, value: &Value, field: Symbol) -> Option<Constant> {
        let Value::Instance { made, .. } = *value else { return None };
        let told = self.values.made(made).iter().find(|told| told.field == field && told.is_settled)?;
        Some(told.constant)
    }
}

/// The parameters of a constructor that are the fields of an object as they are: places, and the fields' names.
fn optional_parameters(
    facts: &Facts,
    class: &crate::facts::Class,
    constructor: crate::facts::FunctionId,
) -> Vec<(usize, crate::facts::NameId)> {
    let parameter = |binding: BindingId| match facts.bindings[binding].kind {
        BindingKind::Parameter(owner, place) if owner == constructor && place > 0 => Some(place as usize),
        _ => None,
    };
    let fields = class.fields.iter().filter_map(|field| match &facts.exprs[field.value?] {
        Expr::Local(bindings) => match **bindings {
            [binding] => Some((parameter(binding)?, field.name)),
            _ => None,
        },
        _ => None,
    });
    fields.collect()
}

const OF_SOME_HEIR: &str = "type(self)";
