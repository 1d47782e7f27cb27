//! What parameters must be, for some code to run: conditions on arguments, which callers meet or not.
//!
//! A need is never guessed to fail: only what an argument is known to be says no.

use super::dispatch::Whose;
use super::values::{ClsId, EMPTY, EnvId, FileId, FnId, SetId, Step, Symbol, Value, ValueId};
use super::{Busy, Program, is_dual_name};
use crate::facts::{
    BindingId, BindingKind, Condition, Constant, Expr, ExprId, Facts, FunctionId, GuardId, Key, ParameterKind,
};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// A parameter of a function, or of one around it, is something; or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Need {
    pub(crate) owner: FnId,
    pub(crate) parameter: u32,
    pub(crate) what: What,
    pub(crate) is: bool,
}

/// What is asked of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum What {
    True,
    None,
    /// A function of this form.
    Form(Form),
    Text(Symbol),
    /// A text that begins so.
    Prefix(Symbol),
    /// False, or zero: not `None`.
    Zero,
    /// Of a class whose method of that name this is; or, of `super()` in a class, the next one is.
    Receives(FnId, Option<ClsId>),
    /// Its value under this key, or None, is true.
    KeyTrue(Symbol),
    KeyNone(Symbol),
    /// The object's field of this name is true, or None.
    FieldTrue(Symbol),
    FieldNone(Symbol),
    /// What its method of this name answers: `future.done()`.
    Asked(Symbol),
    /// What the method of that name answers of the object's field of this name: `self.queue.empty()`.
    Answer(Symbol, Symbol),
    /// An instance of a class: one of the program's, or one from outside, by its path.
    Is(ClsId),
    IsOutside(Symbol),
    /// One of several questions, each with its answer.
    Any(AnyId),
}

/// What a call of a function gives, as `inspect` tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Form {
    Coroutine,
    Generator,
    AsyncGenerator,
}

/// Interned alternatives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct AnyId(u32);

impl AnyId {
    pub(crate) const fn new(place: usize) -> Self {
        Self(place as u32)
    }

    pub(crate) const fn index(self) -> usize {
        self.0 as usize
    }
}

impl What {
    /// Tells all names in it, but for those of alternatives.
    pub(crate) fn each_name(self, mut tell: impl FnMut(Symbol)) {
        self.with_names(|name| {
            tell(name);
            name
        });
    }

    /// The same of other names.
    pub(crate) fn with_names(self, mut other: impl FnMut(Symbol) -> Symbol) -> Self {
        match self {
            Self::Text(name) => Self::Text(other(name)),
            Self::Prefix(name) => Self::Prefix(other(name)),
            Self::KeyTrue(name) => Self::KeyTrue(other(name)),
            Self::KeyNone(name) => Self::KeyNone(other(name)),
            Self::FieldTrue(name) => Self::FieldTrue(other(name)),
            Self::FieldNone(name) => Self::FieldNone(other(name)),
            Self::Asked(name) => Self::Asked(other(name)),
            Self::IsOutside(name) => Self::IsOutside(other(name)),
            Self::Answer(field, method) => Self::Answer(other(field), other(method)),
            Self::True | Self::None | Self::Form(_) | Self::Zero | Self::Receives(..) | Self::Is(_) | Self::Any(_) => {
                self
            }
        }
    }

    /// Whether a function or a class is in it: after an edit these have other numbers, of which alternatives would not hear.
    const fn is_of_program(self) -> bool {
        matches!(self, Self::Receives(..) | Self::Is(_))
    }
}

/// Lists of questions, of which one must be answered so.
#[derive(Debug, Default)]
pub(super) struct Alternatives {
    lists: Vec<Box<[(What, bool)]>>,
    known: FxHashMap<Box<[(What, bool)]>, AnyId>,
}

impl Alternatives {
    /// All that is one of several.
    pub(super) fn each(&self) -> impl Iterator<Item = What> + '_ {
        self.lists.iter().flatten().map(|(what, _)| *what)
    }

    pub(super) fn any(&mut self, mut list: Vec<(What, bool)>) -> (What, bool) {
        list.sort_unstable();
        list.dedup();
        if let [only] = *list {
            return only;
        }
        let list: Box<[_]> = list.into();
        let next = AnyId(self.lists.len() as u32);
        let id = *self.known.entry(list.clone()).or_insert(next);
        if id == next {
            self.lists.push(list);
        }
        (What::Any(id), true)
    }
}

/// What a call makes of a need of its callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Passed {
    /// The arguments say no.
    Never,
    /// Nothing is needed for it.
    Freely,
    /// The caller needs this.
    As(Need),
}

/// Whether a need is met by an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Met {
    Yes,
    No,
    /// It depends on what this parameter of the caller is.
    Passes(u32, What),
    Maybe,
}

impl Program {
    /// The parameter that a condition is about, if the expression is one that nothing else was bound to, or which was narrowed to some classes.
    pub(crate) fn asked_parameter(&self, file: FileId, function: FnId, expr: ExprId) -> Option<(FnId, u32)> {
        let facts = &self.file(file).facts;
        let (owner, parameter) = only_parameter(facts, self.bindings_of(file, expr)?, MOST_NARROWED)?;
        let owner = self.global_fn(file, owner);
        self.is_within(function, owner).then_some((owner, parameter))
    }

    /// What a name may be bound to, of a function or of one around it.
    pub(super) fn bindings_of(&self, file: FileId, name: ExprId) -> Option<&[BindingId]> {
        match self.expr(file, name) {
            Expr::Local(bindings) => Some(bindings),
            Expr::Free(scope, name) => {
                let names = &self.file(file).facts.scopes[*scope].names;
                let place = names.binary_search_by_key(name, |(name, _)| *name).ok()?;
                Some(&names[place].1)
            }
            _ => None,
        }
    }

    /// What a question about a name asks of the parameter that the name is, or was before it was bound anew under some condition: the
    /// answer, or that condition.
    pub(super) fn asked(
        &mut self,
        file: FileId,
        function: FnId,
        subject: ExprId,
        question: (What, bool),
    ) -> Option<Need> {
        if let Some((owner, parameter)) = self.asked_parameter(file, function, subject) {
            return Some(Need { owner, parameter, what: question.0, is: question.1 });
        }
        let Some(bindings) = self.bindings_of(file, subject).map(<[BindingId]>::to_vec) else {
            return self.asked_field(file, function, subject, question);
        };
        let mut asked = None;
        let (mut anew, mut again) = (Vec::new(), 0);
        for binding in &bindings {
            let binding = &self.file(file).facts.bindings[*binding];
            match binding.kind {
                BindingKind::Parameter(owner, parameter) => asked = Some((owner, parameter)),
                // A loop that has to be entered first: `while timeout: timeout -= 1`.
                _ if question == (What::True, true) && self.needs_truth(file, binding.guard, subject) => again += 1,
                _ => anew.push(binding.guard),
            }
        }
        let (owner, parameter) = asked.filter(|_| anew.len() + again + 1 == bindings.len())?;
        let owner = self.global_fn(file, owner);
        // Names whose conditions are about such names, and so on, would multiply.
        let is_asked_for_another = self.busy.iter().any(|busy| matches!(busy, Busy::Rebound(..)));
        let key = Busy::Rebound(file, subject);
        if !self.is_within(function, owner) || anew.len() > MOST_ANEW || is_asked_for_another || !self.busy.insert(key)
        {
            return None;
        }
        let mut alternatives = vec![question];
        let is_known = anew.into_iter().all(|guard| {
            let needs = self.truth(function, guard).needs;
            let need = needs.into_iter().find(|need| (need.owner, need.parameter) == (owner, parameter));
            alternatives.extend(need.map(|need| (need.what, need.is)));
            need.is_some()
        });
        self.busy.remove(&key);
        if !is_known || alternatives.iter().any(|(what, _)| what.is_of_program()) {
            return None;
        }
        let (what, is) = self.alternatives.any(alternatives);
        Some(Need { owner, parameter, what, is })
    }

    /// Whether code only runs once that very expression was true: in the first round of a loop the name was something else, and if that was not
    /// true, there is no second one.
    fn needs_truth(&self, file: FileId, guard: GuardId, subject: ExprId) -> bool {
        let facts = &self.file(file).facts;
        facts.conditions(guard).any(|condition| match condition {
            Condition::Test { expr, is: true } if expr == subject => true,
            Condition::Test { expr, is: true } => {
                matches!(&facts.exprs[expr], Expr::Logic(true, parts) if parts.contains(&subject))
            }
            _ => false,
        })
    }

    /// The key of `**kwargs` whose value it is: `kwargs["mode"]`, or a name after `mode = kwargs.pop("mode", None)`.
    pub(super) fn asked_key(&mut self, file: FileId, function: FnId, expr: ExprId) -> Option<(FnId, u32, Symbol)> {
        let value = self.bound_value(file, expr).unwrap_or(expr);
        let (callee, arguments) = match self.expr(file, value) {
            Expr::Call(callee, arguments) => (*callee, arguments.clone()),
            Expr::Item(object, Key::Text(name)) => {
                let (owner, parameter) = self.asked_parameter(file, function, *object)?;
                let is_rest =
                    self.function(owner).parameters[parameter as usize].kind == ParameterKind::VariadicKeyword;
                return is_rest.then(|| (owner, parameter, self.symbol(file, *name)));
            }
            _ => return None,
        };
        let Expr::Attribute(object, name) = *self.expr(file, callee) else { return None };
        let (owner, parameter) = self.asked_parameter(file, function, object)?;
        let is_rest = self.function(owner).parameters[parameter as usize].kind == ParameterKind::VariadicKeyword;
        let takes = matches!(self.file(file).facts.name(name), "pop" | "get");
        if !is_rest || !takes || arguments.len() > 2 {
            return None;
        }
        let default = arguments.get(1).map(|argument| argument.value);
        if default.is_some_and(|default| *self.expr(file, default) != Expr::Constant(Constant::None)) {
            return None;
        }
        let key = self.eval(file, arguments.first()?.value);
        Some((owner, parameter, self.only_text(key)?))
    }

    /// What a name of the function was bound to, if that was once.
    pub(crate) fn bound_value(&self, file: FileId, expr: ExprId) -> Option<ExprId> {
        let Expr::Local(bindings) = self.expr(file, expr) else { return None };
        let [binding] = **bindings else { return None };
        match self.file(file).facts.bindings[binding].kind {
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => Some(value),
            _ => None,
        }
    }

    /// What `==` or `is` with this asks.
    pub(super) fn equal(&self, wanted: SetId, is: bool) -> Option<(What, bool)> {
        if let Some(text) = self.only_text(wanted) {
            return Some((What::Text(text), is));
        }
        match self.only_constant(wanted)? {
            Constant::None => Some((What::None, is)),
            Constant::True => Some((What::True, is)),
            Constant::False => Some((What::True, !is)),
            _ => None,
        }
    }

    /// All alternatives, by their numbers.
    pub(crate) fn alternatives(&self) -> impl Iterator<Item = &[(What, bool)]> {
        self.alternatives.lists.iter().map(|list| &**list)
    }

    pub(crate) fn alternative(&self, id: AnyId) -> &[(What, bool)] {
        &self.alternatives.lists[id.index()]
    }

    /// That one of several questions is answered so.
    pub(crate) fn one_of(&mut self, questions: Vec<(What, bool)>) -> (What, bool) {
        self.alternatives.any(questions)
    }

    pub(crate) fn only_text(&self, set: SetId) -> Option<Symbol> {
        match self.values.members(set) {
            [one] => match self.values.get(*one) {
                Value::Text(text) => Some(*text),
                _ => None,
            },
            _ => None,
        }
    }

    /// What a caller needs for its callee to have what it needs; none, if the arguments say no.
    pub(crate) fn passed(&self, functions: (FnId, FnId), given: (EnvId, Whose), needs: &[Need]) -> Option<Vec<Need>> {
        let mut own = Vec::new();
        for need in needs {
            match self.passed_need(functions, given, *need) {
                Passed::Never => return None,
                Passed::Freely => {}
                Passed::As(need) => own.push(need),
            }
        }
        Some(own)
    }

    /// The same for one of them.
    pub(crate) fn passed_need(
        &self,
        (caller, callee): (FnId, FnId),
        (env, whose): (EnvId, Whose),
        need: Need,
    ) -> Passed {
        let Some(given) = self.given(env, need) else {
            // What a function within another needs of that one's parameters, all that is within needs. Of its own nothing is known.
            let is_around = need.owner != callee && self.is_within(caller, need.owner);
            return if is_around { Passed::As(need) } else { Passed::Freely };
        };
        match self.meets(given, need, caller) {
            Met::No => Passed::Never,
            // What is known of the caller's object says nothing of another one.
            Met::Passes(_, what) if whose == Whose::Other && (is_of_object(what) || self.is_given_class(caller)) => {
                Passed::Freely
            }
            // Nor what is known of its class of an object that it did not make of that.
            Met::Passes(..) if whose != Whose::New && self.may_be_made_of_own(given, caller) => Passed::Freely,
            Met::Passes(parameter, what) => Passed::As(Need { owner: caller, parameter, what, is: need.is }),
            Met::Yes | Met::Maybe => Passed::Freely,
        }
    }

    fn may_be_made_of_own(&self, given: SetId, caller: FnId) -> bool {
        self.values.members(given).iter().any(|value| self.is_made_of_own(*value, caller))
    }

    /// Whether a function's parameters would have to be both: a call is only made where something is so, and waits where it is not.
    ///
    /// Fields are another matter: what is not there yet may be made in between.
    pub(crate) fn are_contrary(needs: &[Need]) -> bool {
        let is_lasting = |need: &Need| !matches!(need.what, What::FieldTrue(_) | What::FieldNone(_));
        needs.iter().filter(|need| need.is && is_lasting(need)).any(|need| needs.contains(&Need { is: false, ..*need }))
    }

    /// Whether an environment may hold what is needed.
    pub(crate) fn may_hold(&self, env: EnvId, need: Need, function: FnId) -> bool {
        let given = self.given(env, need);
        given.is_none_or(|set| self.meets(set, need, function) != Met::No)
    }

    /// Whether the function is told that its caller is asynchronous: how it waits is then its business.
    pub(crate) fn is_told_asynchronous(&self, function: FnId, env: EnvId) -> bool {
        let facts = &self.file(self.file_of(function)).facts;
        (0..).zip(&self.function(function).parameters).any(|(parameter, this)| {
            is_dual_name(facts.name(this.name))
                && self.given(env, Need { owner: function, parameter, what: What::True, is: true }).is_some_and(
                    |given| {
                        self.values.members(given).iter().any(|value| self.is_so(*value, What::True) != Some(false))
                    },
                )
        })
    }

    /// What an environment says of the parameter.
    pub(crate) fn given(&self, env: EnvId, need: Need) -> Option<SetId> {
        self.values.env(env).iter().find(|(key, _)| *key == (need.owner, need.parameter)).map(|(_, set)| *set)
    }

    /// Whether an argument meets a need.
    pub(crate) fn meets(&self, argument: SetId, need: Need, caller: FnId) -> Met {
        if argument == EMPTY {
            return Met::Maybe;
        }
        let members = self.values.members(argument);
        let mut answer = None;
        for value in members {
            if members.len() == 1
                && let Some((parameter, what)) = self.own_parameter(*value, need, caller)
            {
                return Met::Passes(parameter, what);
            }
            let Some(truth) = self.is_so(*value, need.what) else { return Met::Maybe };
            let is_met = truth == need.is;
            match answer {
                None => answer = Some(is_met),
                Some(known) if known != is_met => return Met::Maybe,
                _ => {}
            }
        }
        match answer {
            Some(true) => Met::Yes,
            Some(false) => Met::No,
            None => Met::Maybe,
        }
    }

    /// The caller's parameter that the value is, or comes from, and what that must be.
    fn own_parameter(&self, value: ValueId, need: Need, caller: FnId) -> Option<(u32, What)> {
        match (self.values.get(value), need.what) {
            (Value::Parameter(owner, parameter), what) if *owner == caller => Some((*parameter, what)),
            (Value::Step(..), What::True | What::None) => {
                let (parameter, key) = self.taken_key(value, caller)?;
                Some((parameter, if need.what == What::True { What::KeyTrue(key) } else { What::KeyNone(key) }))
            }
            // `callee(mode=kwargs.get("mode"))`, where the callee has `**kwargs` as well.
            (Value::Mapping(items), What::KeyTrue(key) | What::KeyNone(key)) => {
                let mut found = items.iter().filter(|(known, _)| known.is_none_or(|known| known == key));
                let (Some((_, set)), None) = (found.next(), found.next()) else { return None };
                let [one] = *self.values.members(*set) else { return None };
                let what = if matches!(need.what, What::KeyTrue(_)) { What::True } else { What::None };
                self.own_parameter(one, Need { what, ..need }, caller)
            }
            // Its own `self`, of which it only knows the class.
            (
                _,
                What::Receives(..)
                | What::Is(_)
                | What::IsOutside(_)
                | What::FieldTrue(_)
                | What::FieldNone(_)
                | What::Answer(..),
            ) => {
                let is_made = matches!(need.what, What::Receives(..)) && self.is_made_of_own(value, caller);
                let is_own = is_made || self.is_own_receiver(value, caller);
                let is_own = is_own && self.is_so(value, need.what).is_none();
                is_own.then_some((0, need.what))
            }
            _ => None,
        }
    }

    /// The key of the caller's `**kwargs` under which a value was, where without it that is None: `kwargs.get("mode")`.
    fn taken_key(&self, value: ValueId, caller: FnId) -> Option<(u32, Symbol)> {
        let Value::Step(method, Step::Call(args)) = *self.values.get(value) else { return None };
        let Value::Step(mapping, Step::Attribute(name)) = *self.values.get(method) else { return None };
        let Value::Parameter(owner, parameter) = *self.values.get(mapping) else { return None };
        let is_rest = owner == caller
            && self.function(owner).parameters[parameter as usize].kind == ParameterKind::VariadicKeyword;
        if !is_rest || !matches!(self.values.text(name), "pop" | "get") {
            return None;
        }
        let (key, default) = match self.values.arguments(args).positional[..] {
            [key] => (key, None),
            [key, default] => (key, Some(default)),
            _ => return None,
        };
        let is_none = default.is_none_or(|default| self.only_constant(default) == Some(Constant::None));
        Some((parameter, self.only_text(key).filter(|_| is_none)?))
    }

    /// Whether what a mapping has under a key is so; `absent` if it has no such key.
    fn key_is(&self, mapping: &Value, key: Symbol, what: What, absent: bool) -> Option<bool> {
        let Value::Mapping(items) = mapping else { return None };
        let mut found = items.iter().filter(|(known, _)| known.is_none_or(|known| known == key)).peekable();
        if found.peek().is_none() {
            return Some(absent);
        }
        let mut values = found.flat_map(|(_, set)| self.values.members(*set));
        let first = self.is_so(*values.next()?, what)?;
        values.all(|value| self.is_so(*value, what) == Some(first)).then_some(first)
    }

    fn is_so(&self, value: ValueId, what: What) -> Option<bool> {
        if let What::Any(list) = what {
            let answers = self.alternatives.lists[list.0 as usize].iter();
            return answers
                .map(|(what, is)| self.is_so(value, *what).map(|answer| answer == *is))
                .try_fold(false, |found, answer| match answer {
                    Some(answer) => Ok(found || answer),
                    None => Err(()),
                })
                .ok();
        }
        let value = self.values.get(value);
        match what {
            What::None => match value {
                Value::Constant(constant) => Some(*constant == Constant::None),
                Value::External(_) => Some(false),
                _ => is_something(value).then_some(false),
            },
            What::True => match value {
                Value::Constant(constant) => Some(is_true(*constant)),
                Value::Text(text) => Some(!self.values.text(*text).is_empty()),
                _ => is_something(value).then_some(true),
            },
            What::Form(form) => match value {
                Value::Function(function, _) | Value::Bound(function, ..) => {
                    let function = self.function(*function);
                    Some(match form {
                        Form::Coroutine => function.is_async && !function.is_generator,
                        Form::Generator => !function.is_async && function.is_generator,
                        Form::AsyncGenerator => function.is_async && function.is_generator,
                    })
                }
                Value::Partial(inner, _) => self.is_so(*inner, what),
                _ => None,
            },
            What::Text(wanted) => match value {
                Value::Text(text) => Some(*text == wanted),
                Value::Constant(_) => Some(false),
                _ => None,
            },
            What::Prefix(wanted) => match value {
                Value::Text(text) => Some(self.values.text(*text).starts_with(self.values.text(wanted))),
                _ => None,
            },
            What::Any(_) | What::Asked(_) | What::Answer(..) => None,
            What::Is(class) => self.is_of_class(value, class),
            What::IsOutside(class) => self.is_of_outside(value, class),
            What::KeyTrue(key) => self.key_is(value, key, What::True, false),
            What::KeyNone(key) => self.key_is(value, key, What::None, true),
            What::FieldTrue(field) => self.told_field(value, field).map(is_true),
            What::FieldNone(field) => self.told_field(value, field).map(|constant| constant == Constant::None),
            What::Zero => match value {
                Value::Constant(constant) => Some(matches!(constant, Constant::False | Constant::Zero)),
                Value::External(_) => Some(false),
                _ => is_something(value).then_some(false),
            },
            What::Receives(method, after) => match value {
                Value::Instance { class, is_exact, .. } | Value::Class { class, is_exact } => {
                    match self.may_receive(*class, *is_exact, method, after) {
                        (true, true) => None,
                        (may, _) => Some(may),
                    }
                }
                _ => None,
            },
        }
    }
}

/// Whether something is asked of an object itself, other than of which class it is.
const fn is_of_object(what: What) -> bool {
    matches!(what, What::FieldTrue(_) | What::FieldNone(_) | What::Answer(..))
}

const fn is_true(constant: Constant) -> bool {
    !matches!(constant, Constant::None | Constant::False | Constant::Zero)
}

/// Whether it is an object that is always true.
const fn is_something(value: &Value) -> bool {
    matches!(
        value,
        Value::Text(_) | Value::Function(..) | Value::Bound(..) | Value::Class { .. } | Value::Instance { .. }
    )
}

/// The parameter that a name is, whatever classes it was narrowed to.
fn only_parameter(facts: &Facts, bindings: &[BindingId], left: u32) -> Option<(FunctionId, u32)> {
    let mut only = None;
    for binding in bindings {
        let found = match facts.bindings[*binding].kind {
            BindingKind::Parameter(owner, parameter) => (owner, parameter),
            BindingKind::Value(narrowed) if left > 0 => {
                let Expr::Narrowed { value, .. } = facts.exprs[narrowed] else { return None };
                let Expr::Local(bindings) = &facts.exprs[value] else { return None };
                only_parameter(facts, bindings, left - 1)?
            }
            _ => return None,
        };
        if only.is_some_and(|only| only != found) {
            return None;
        }
        only = Some(found);
    }
    only
}

/// Questions for the class of a name, one after the other.
const MOST_NARROWED: u32 = 6;
/// Places where a name is bound anew, each of which is looked at.
const MOST_ANEW: usize = 4;
