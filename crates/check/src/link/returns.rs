//! What functions return and yield.

use super::values::{Args, Decoration, EMPTY, EnvId, FileId, FnId, SetId, Step, Value, ValueId};
use super::{Asked, Busy, Print, Program, Returned};
use crate::facts::{Argument, ArgumentKind, BindingId, BindingKind, Expr, ExprId, GuardId};
use smallvec::{SmallVec, smallvec};
use std::rc::Rc;

impl Program {
    /// What a call of a function returns, whose parameters are these.
    pub(super) fn returned(&mut self, function: FnId, env: EnvId) -> SetId {
        let ways = self.ways_to_return(function);
        let has_receiver = self.values.env(env).iter().any(|(key, _)| *key == (function, 0));
        let mut all = EMPTY;
        for way in &*ways {
            let is_possible = way.needs.iter().all(|need| self.may_hold(env, *need, function));
            if is_possible {
                let set = self.fill(if has_receiver { way.of_receiver } else { way.set }, env);
                all = self.values.union(all, set);
            }
        }
        all
    }

    fn ways_to_return(&mut self, function: FnId) -> Rc<[Returned]> {
        if let Some(known) = self.returned.get(&function) {
            return Rc::clone(known);
        }
        let key = Busy::Returned(function);
        if !self.busy.insert(key) {
            self.cut.insert(function);
            return Rc::new([]);
        }
        let file = self.file_of(function);
        self.note(function, Asked::VALUE);
        // What a function gives is found out once, whoever asks.
        let filling = std::mem::take(&mut self.filling);
        let returns = self.function(function).returns.clone();
        let mut ways: Vec<Returned> = Vec::new();
        let mut is_known = false;
        for (expr, guard) in returns {
            for (set, definition) in self.chosen_functions(file, expr) {
                if set == EMPTY {
                    continue;
                }
                is_known |=
                    self.values.members(set).iter().any(|value| !matches!(self.values.get(*value), Value::Constant(_)));
                let mut needs = self.truth(function, guard).needs;
                if let Some(definition) = definition {
                    needs.extend(self.truth(function, definition).needs);
                }
                let of_receiver = self.made_of_receiver(file, function, expr, 0).unwrap_or(set);
                match ways.iter_mut().find(|way| way.needs == needs) {
                    Some(way) => {
                        way.set = self.values.union(way.set, set);
                        way.of_receiver = self.values.union(way.of_receiver, of_receiver);
                    }
                    None => ways.push(Returned { set, of_receiver, needs }),
                }
            }
        }
        if !is_known && let Some(annotation) = self.function(function).annotation {
            let set = self.annotated(file, annotation);
            ways.push(Returned { set, of_receiver: set, needs: Vec::new() });
        }
        self.filling = filling;
        self.busy.remove(&key);
        let ways: Rc<[Returned]> = ways.into();
        self.returned.insert(function, Rc::clone(&ways));
        ways
    }

    /// What is returned; of a name of several functions, or what a decorator makes of them, each with the condition of its definition.
    fn chosen_functions(&mut self, file: FileId, expr: ExprId) -> SmallVec<[(SetId, Option<GuardId>); 2]> {
        let facts = self.file(file).facts.share();
        let (named, decorator) = match &facts.exprs[expr] {
            Expr::Call(callee, arguments) => match **arguments {
                [Argument { kind: ArgumentKind::Positional, value }] => (value, Some(*callee)),
                [_, Argument { kind: ArgumentKind::Positional, value }] if self.is_cast(file, *callee) => (value, None),
                _ => (expr, None),
            },
            _ => (expr, None),
        };
        let is_function = |one: &BindingId| matches!(facts.bindings[*one].kind, BindingKind::Function(_));
        let bindings = match &facts.exprs[named] {
            Expr::Local(bindings) if bindings.len() > 1 && bindings.iter().all(is_function) => bindings,
            _ => return smallvec![(self.eval(file, expr), None)],
        };
        let each = bindings.iter().map(|binding| {
            let mut set = self.eval_binding(file, *binding);
            if let Some(decorator) = decorator {
                let decorators = self.eval(file, decorator);
                let args = self.values.new_args(Args { positional: smallvec![set], ..Args::default() });
                set = self.step_set(decorators, Step::Call(args));
            }
            (set, Some(facts.bindings[*binding].guard))
        });
        each.collect()
    }

    fn is_cast(&mut self, file: FileId, callee: ExprId) -> bool {
        let callees = self.eval(file, callee);
        let [one] = *self.values.members(callees) else { return false };
        matches!(self.values.get(one), Value::External(path) if self.values.path_text(*path) == "typing.cast")
    }

    /// Whether what a function gives, or what it does with what it itself gives, depends on who was asked first, as far as is known by now.
    pub(crate) fn is_cut(&self, function: FnId) -> bool {
        self.cut.contains(&function)
    }

    /// Finds out what a function gives, as far as that is known of it as it was.
    pub(crate) fn learn_given(&mut self, function: FnId, before: Print) {
        if before.returned != 0 {
            self.ways_to_return(function);
        }
        if before.yielded != 0 {
            self.yielded(function);
        }
    }

    /// What an expression is, told of the method's first parameter: that itself, or what a class method makes of its class.
    fn made_of_receiver(&mut self, file: FileId, method: FnId, expr: ExprId, depth: u32) -> Option<SetId> {
        self.receiver(method)?;
        let is_receiver = |program: &Self, expr: ExprId| {
            let Expr::Local(bindings) = program.expr(file, expr) else { return false };
            let [binding] = **bindings else { return false };
            let kind = program.file(file).facts.bindings[binding].kind;
            kind == BindingKind::Parameter(program.local_fn(method), 0)
        };
        let receiver = self.value(Value::Parameter(method, 0));
        if is_receiver(self, expr) {
            return Some(SetId::of(receiver));
        }
        match *self.expr(file, expr) {
            Expr::Call(callee, _) if is_receiver(self, callee) => {
                if self.method_kind(method) != Some(Decoration::ClassMethod) {
                    return None;
                }
                let args = self.call_arguments(file, expr);
                Some(self.variable_step(receiver, Step::Call(args)))
            }
            _ if depth < MOST_NAMES => {
                let value = self.bound_value(file, expr)?;
                self.made_of_receiver(file, method, value, depth + 1)
            }
            _ => None,
        }
    }

    /// Whether what a plain function gives may be awaited: not where all that it returns is known, and is nothing of that kind.
    pub(crate) fn gives_awaitable(&mut self, function: FnId, env: EnvId) -> bool {
        self.note(function, Asked::VALUE);
        let (this, may_be) = (self.function(function), self.is_disguised(function));
        if this.returns.is_empty() && this.annotation.is_none() && !this.is_stub && !this.is_generator && !may_be {
            return false;
        }
        let given = self.returned(function, env);
        let special = self.values.symbol("__await__");
        given == EMPTY
            || self.values.members(given).iter().any(|value| match *self.values.get(*value) {
                Value::Constant(_) | Value::Text(_) | Value::Sequence(_) | Value::Mapping(_) => false,
                Value::Instance { class, .. } => {
                    self.is_derived_from_outside(class) || self.has_anywhere(class, special)
                }
                _ => true,
            })
    }

    /// Whether a plain function is known to give a coroutine, at times.
    pub(crate) fn gives_coroutine(&mut self, function: FnId, env: EnvId) -> bool {
        self.note(function, Asked::VALUE);
        let given = self.returned(function, env);
        self.values.members(given).iter().any(|value| matches!(self.values.get(*value), Value::Coroutine(..)))
    }

    /// Whether a call of this comes back by an error alone: as it is written, or as the annotation says.
    pub(crate) fn never_returns(&mut self, file: FileId, callee: ExprId, is_awaited: bool) -> bool {
        let callees = self.eval(file, callee);
        let callees = self.values.shared(callees);
        !callees.is_empty()
            && callees.iter().all(|callee| match *self.values.get(*callee) {
                Value::Function(function, _) => self.only_raises(function, is_awaited),
                Value::Bound(function, _, receiver) => {
                    !self.is_overridden(function, receiver) && self.only_raises(function, is_awaited)
                }
                _ => false,
            })
    }

    /// Whether the object may be of an heir with another method of that name.
    fn is_overridden(&self, method: FnId, receiver: ValueId) -> bool {
        let name = self.symbol(self.file_of(method), self.function(method).name);
        match *self.values.get(receiver) {
            Value::Instance { class, is_exact: false, .. } | Value::Class { class, is_exact: false } => {
                self.heirs(class).iter().any(|heir| self.has_own(*heir, name))
            }
            _ => false,
        }
    }

    fn only_raises(&mut self, function: FnId, is_awaited: bool) -> bool {
        self.note(function, Asked::VALUE | Asked::FORM | Asked::BODY);
        let this = self.function(function);
        if this.is_stub || this.is_generator || this.is_async != is_awaited {
            return false;
        }
        if !this.raised.is_empty() && this.returns.is_empty() && this.end.is_none() {
            return true;
        }
        // A coroutine function that returns never may go on for ever.
        let annotation = this.annotation.filter(|_| !this.awaits || !this.raised.is_empty());
        let file = self.file_of(function);
        let path = annotation.and_then(|annotation| self.external_path_of(file, annotation));
        path.is_some_and(|path| {
            let (_, name) = self.values.path_text(path).rsplit_once('.').unwrap_or_default();
            matches!(name, "NoReturn" | "Never")
        })
    }

    /// What a generator yields.
    pub(super) fn yielded(&mut self, function: FnId) -> SetId {
        if let Some(&known) = self.yielded.get(&function) {
            return known;
        }
        let key = Busy::Yielded(function);
        if !self.busy.insert(key) {
            self.cut.insert(function);
            return EMPTY;
        }
        self.note(function, Asked::VALUE);
        let file = self.file_of(function);
        let yields: Vec<ExprId> = self.function(function).yields.iter().map(|(value, _)| *value).collect();
        let mut set = self.eval_all(file, &yields);
        if set == EMPTY
            && let Some(annotation) = self.function(function).annotation
        {
            let declared = self.annotated(file, annotation);
            set = self.step_set(declared, Step::Element);
        }
        self.busy.remove(&key);
        self.yielded.insert(function, set);
        set
    }
}

/// Names that a value is given, one after the other.
const MOST_NAMES: u32 = 3;
