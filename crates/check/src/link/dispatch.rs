//! Which of several methods a call on `self` gets to: that depends on the class of what the caller was called on.
//!
//! Inside a method, `self` may be an instance of any heir. So an edge to one override is only taken by callers whose object may have it.

use super::Program;
use super::needs::{Need, What};
use super::values::{ANYHOW, ClsId, Decoration, EnvId, FileId, FnId, SetId, Symbol, Value, ValueId};
use crate::facts::{BindingKind, Expr, ExprId};

/// On what a method is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Receiver {
    /// The caller's own `self`.
    Own,
    /// `super()` of the caller, in this class.
    Super(ClsId),
}

/// Whose method is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Whose {
    /// That of the caller's own object, as far as anybody knows.
    Own,
    /// The constructor of what the caller itself is called on: `cls()`.
    New,
    /// That of an object which has another name, or comes from elsewhere.
    Other,
}

impl Program {
    /// Whose attribute it is that an expression reads, or calls.
    pub(crate) fn whose(&self, file: FileId, expr: ExprId) -> Whose {
        let read = match *self.expr(file, expr) {
            Expr::Call(callee, _) if self.is_receiver(file, callee) => return Whose::New,
            Expr::Call(callee, _) => callee,
            _ => expr,
        };
        let Expr::Attribute(object, _) = *self.expr(file, read) else { return Whose::Own };
        let is_own = match self.expr(file, object) {
            Expr::Super(..) => true,
            Expr::Local(_) | Expr::Free(..) => self.may_be_receiver(file, object, 0),
            _ => false,
        };
        if is_own { Whose::Own } else { Whose::Other }
    }

    /// Whether a name is the first parameter of some function, and nothing else.
    fn is_receiver(&self, file: FileId, name: ExprId) -> bool {
        let Expr::Local(bindings) = self.expr(file, name) else { return false };
        let facts = &self.file(file).facts;
        bindings.iter().all(|binding| matches!(facts.bindings[*binding].kind, BindingKind::Parameter(_, 0)))
    }

    /// Whether a name may be bound to the first parameter of some function.
    fn may_be_receiver(&self, file: FileId, name: ExprId, depth: u32) -> bool {
        let facts = &self.file(file).facts;
        let bindings = match self.expr(file, name) {
            Expr::Local(bindings) => bindings,
            Expr::Free(scope, name) => {
                let mut names = facts.scopes[*scope].names.iter();
                let Some((_, bindings)) = names.find(|(known, _)| known == name) else { return false };
                bindings
            }
            _ => return false,
        };
        bindings.iter().any(|binding| match facts.bindings[*binding].kind {
            BindingKind::Parameter(_, place) => place == 0,
            BindingKind::Value(value) => depth < MOST_NAMES && self.may_be_receiver(file, value, depth + 1),
            _ => false,
        })
    }

    /// Whether an attribute is read of the function's own `self`, or of `super()`.
    pub(crate) fn receiver_of(&self, file: FileId, function: FnId, attribute: ExprId) -> Option<Receiver> {
        self.class_of(function)?;
        let Expr::Attribute(object, _) = *self.expr(file, attribute) else { return None };
        match self.expr(file, object) {
            Expr::Super(class, _) => Some(Receiver::Super(self.global_cls(file, *class))),
            _ => self.is_of_own_class(file, function, object, 0).then_some(Receiver::Own),
        }
    }

    /// The methods that a call on a new object of the own class gets to, whatever that class is: `cls().run()`.
    pub(crate) fn methods_of_new(&mut self, file: FileId, function: FnId, callee: ExprId) -> Option<SetId> {
        let class = self.class_of(function)?;
        let Expr::Attribute(object, name) = *self.expr(file, callee) else { return None };
        let made = self.bound_value(file, object).unwrap_or(object);
        let is_new = matches!(self.expr(file, made), Expr::Call(..)) && self.is_of_own_class(file, function, made, 0);
        let own = is_new.then(|| self.value(Value::Instance { class, is_exact: false, made: ANYHOW }))?;
        Some(self.attribute(own, self.symbol(file, name)))
    }

    /// Whether an expression is the function's own `self` or `cls`, or a new object of that class: `cls()`, `type(self)()`.
    fn is_of_own_class(&self, file: FileId, function: FnId, expr: ExprId, depth: u32) -> bool {
        if depth > MOST_NAMES {
            return false;
        }
        let facts = &self.file(file).facts;
        match self.expr(file, expr) {
            Expr::Local(bindings) => {
                let [binding] = **bindings else { return false };
                match facts.bindings[binding].kind {
                    BindingKind::Parameter(owner, 0) => self.global_fn(file, owner) == function,
                    BindingKind::Value(value) if matches!(self.expr(file, value), Expr::Call(..)) => {
                        self.is_of_own_class(file, function, value, depth + 1)
                    }
                    _ => false,
                }
            }
            Expr::Call(callee, _) => match self.expr(file, *callee) {
                Expr::Local(_) => {
                    self.method_kind(function) == Some(Decoration::ClassMethod)
                        && self.is_of_own_class(file, function, *callee, depth + 1)
                }
                Expr::Attribute(object, name) => {
                    facts.name(*name) == "__class__" && self.is_of_own_class(file, function, *object, depth + 1)
                }
                Expr::Call(of, arguments) => {
                    matches!(self.expr(file, *of), Expr::Global(name) if facts.name(*name) == "type")
                        && matches!(&**arguments, [argument] if self.is_of_own_class(file, function, argument.value, depth + 1))
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// The class of the own object of which a field is read first in an expression, and what that field is: `self.pool.get().run`.
    pub(crate) fn own_field(&mut self, file: FileId, function: FnId, expr: ExprId) -> Option<(ClsId, SetId)> {
        let mut next = expr;
        for _ in 0..MOST_STEPS {
            next = match *self.expr(file, next) {
                Expr::Call(callee, _) => callee,
                Expr::Await(awaited) => awaited,
                Expr::Attribute(object, _) => match self.own_class(file, function, object) {
                    Some(class) => return Some((class, self.eval(file, next))),
                    None => object,
                },
                _ => self.bound_value(file, next)?,
            };
        }
        None
    }

    /// The class in whose method a name is that of the object.
    fn own_class(&self, file: FileId, function: FnId, name: ExprId) -> Option<ClsId> {
        let facts = &self.file(file).facts;
        let bindings = match self.expr(file, name) {
            Expr::Local(bindings) => bindings,
            Expr::Free(scope, name) => facts.bindings_of(*scope, *name),
            _ => return None,
        };
        let [binding] = *bindings else { return None };
        let BindingKind::Parameter(owner, 0) = facts.bindings[binding].kind else { return None };
        let owner = self.global_fn(file, owner);
        let is_method = self.method_kind(owner).is_none() && self.is_within(function, owner);
        self.class_of(owner).filter(|_| is_method)
    }

    /// Whether an object that a method was called on, with these parameters, may be one of a class.
    pub(crate) fn may_be_of(&self, env: EnvId, method: FnId, class: ClsId) -> bool {
        let Some((_, objects)) = self.values.env(env).iter().find(|(key, _)| *key == (method, 0)) else { return true };
        self.values.members(*objects).iter().any(|object| match *self.values.get(*object) {
            Value::Instance { class: own, is_exact: true, .. } => self.is_subclass(own, class),
            Value::Instance { class: own, is_exact: false, .. } => {
                self.is_subclass(own, class)
                    || self.is_subclass(class, own)
                    || self.heirs(own).iter().any(|heir| self.is_subclass(*heir, class))
            }
            _ => true,
        })
    }

    /// What `self` must be for a call on it to get to a method; `Err` if it never does.
    pub(crate) fn dispatch(&self, caller: FnId, receiver: Receiver, callee: FnId) -> Result<Option<Need>, ()> {
        let (Some(class), Some(_), Some(own)) = (self.class_of(caller), self.class_of(callee), self.receiver(caller))
        else {
            return Ok(None);
        };
        if !matches!(own, Value::Instance { .. } | Value::Class { .. }) {
            return Ok(None);
        }
        let after = match receiver {
            Receiver::Own => None,
            Receiver::Super(class) => Some(class),
        };
        let name = self.symbol(self.file_of(callee), self.function(callee).name);
        let heirs = self.heirs(class).iter().filter(|heir| self.may_run(**heir, caller));
        let live: Vec<ClsId> =
            std::iter::once(&class).chain(heirs).filter(|class| self.has_instances(**class)).copied().collect();
        let may = live.is_empty() || live.iter().any(|heir| self.receives(*heir, name, callee, after));
        let may_not = live.iter().any(|heir| !self.receives(*heir, name, callee, after));
        match (may, may_not) {
            (true, false) => Ok(None),
            (false, true) => Err(()),
            _ => Ok(Some(Need { owner: caller, parameter: 0, what: What::Receives(callee, after), is: true })),
        }
    }

    /// Whether a method may run with a `self` of that class: unless the class has another one of that name, which does not call this one.
    fn may_run(&self, class: ClsId, method: FnId) -> bool {
        let name = self.symbol(self.file_of(method), self.function(method).name);
        let Some(defining) = self.ancestors(class).find(|ancestor| self.has_own(*ancestor, name)) else { return true };
        let own = self.own_method(defining, name);
        own.is_empty() || own.contains(&method) || own.into_iter().any(|own| self.asks_super(own))
    }

    /// Whether a method calls something of `super()`. (An edit that says so, or no longer, mentions a class.)
    fn asks_super(&self, method: FnId) -> bool {
        let facts = &self.file(self.file_of(method)).facts;
        let is_super = |expr: ExprId| match facts.exprs[expr] {
            Expr::Attribute(object, _) => matches!(facts.exprs[object], Expr::Super(..)),
            _ => false,
        };
        self.function(method).events.iter().any(|event| match facts.exprs[event.expr] {
            Expr::Call(callee, _) => is_super(callee),
            _ => is_super(event.expr),
        })
    }

    /// Whether instances of a class, or of its heirs unless that is exact, may have this method under its name; and whether some have another.
    pub(super) fn may_receive(&self, class: ClsId, is_exact: bool, method: FnId, after: Option<ClsId>) -> (bool, bool) {
        let name = self.symbol(self.file_of(method), self.function(method).name);
        if is_exact {
            let is_it = self.receives(class, name, method, after);
            return (is_it, !is_it);
        }
        let (mut may, mut may_not) = (false, false);
        let heirs = self.heirs(class);
        let live = std::iter::once(&class).chain(heirs).filter(|class| self.has_instances(**class));
        let mut is_any = false;
        for heir in live {
            is_any = true;
            let is_it = self.receives(*heir, name, method, after);
            may |= is_it;
            may_not |= !is_it;
        }
        // Nobody is known to make one: all may be.
        if is_any { (may, may_not) } else { (true, false) }
    }

    fn receives(&self, class: ClsId, name: Symbol, method: FnId, after: Option<ClsId>) -> bool {
        let mut order = self.ancestors(class);
        if let Some(after) = after {
            // Of another family: nothing is known.
            if !order.any(|ancestor| ancestor == after) {
                return true;
            }
        }
        let Some(owner) = order.find(|ancestor| self.has_own(*ancestor, name)) else { return true };
        let own = self.own_method(owner, name);
        own.is_empty() || own.contains(&method)
    }

    /// Whether a value is a new object of the class that the caller is called on: `cls()`.
    pub(super) fn is_made_of_own(&self, value: ValueId, caller: FnId) -> bool {
        match (self.receiver(caller), self.values.get(value)) {
            (Some(Value::Class { class, .. }), Value::Instance { class: made, is_exact: false, .. }) => class == *made,
            _ => false,
        }
    }

    /// Whether a function is called on a class.
    pub(super) fn is_given_class(&self, function: FnId) -> bool {
        matches!(self.receiver(function), Some(Value::Class { .. }))
    }

    /// Whether a value is what the caller's `self` is.
    pub(super) fn is_own_receiver(&self, value: ValueId, caller: FnId) -> bool {
        self.receiver(caller).is_some_and(|own| own == *self.values.get(value))
    }
}

/// Names that one object gets, one after the other.
const MOST_NAMES: u32 = 3;
/// Steps from the own object to what is called.
const MOST_STEPS: usize = 8;
