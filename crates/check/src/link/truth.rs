//! Conditions: what they say about a running loop, and about parameters.

use super::needs::{Need, What};
use super::values::{FileId, FnId, SetId, Symbol, Value};
use super::{Busy, Program};
use crate::facts::{
    ALWAYS, Argument, BindingId, BindingKind, Condition, Constant, Expr, ExprId, Facts, GuardId, MODULE_SCOPE, NameId,
};

/// What is known where some code runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Truth {
    /// No loop runs there.
    pub(crate) is_outside: bool,
    /// The loop that runs is not the one that is dealt with.
    pub(crate) is_other_loop: bool,
    /// Code for callers that said they are not asynchronous.
    pub(crate) is_dual: bool,
    /// A handler hides errors: where it is.
    pub(crate) covered: Option<u32>,
    /// What parameters must be.
    pub(crate) needs: Vec<Need>,
}

impl Truth {
    /// Both hold.
    pub(crate) fn both(mut one: Truth, other: &Truth) -> Truth {
        one.is_outside |= other.is_outside;
        one.is_other_loop |= other.is_other_loop;
        one.is_dual |= other.is_dual;
        one.covered = one.covered.or(other.covered);
        one.needs.extend(&other.needs);
        one.needs.sort_unstable();
        one.needs.dedup();
        one
    }
}

impl Program {
    /// What is known where an event of this function happens.
    pub(crate) fn truth(&mut self, function: FnId, guard: GuardId) -> Truth {
        let file = self.file_of(function);
        let conditions: Vec<Condition> = self.file(file).facts.conditions(guard).collect();
        let mut truth = Truth::default();
        for condition in conditions {
            self.learn_condition(function, condition, &mut truth);
        }
        truth.needs.sort_unstable();
        truth.needs.dedup();
        truth
    }

    /// What one condition of a function's code says.
    pub(crate) fn learn_condition(&mut self, function: FnId, condition: Condition, truth: &mut Truth) {
        let file = self.file_of(function);
        match condition {
            Condition::Called { expr, went_well } => {
                truth.is_outside |= if went_well {
                    self.returns_outside(file, expr)
                } else {
                    self.asks_for_loop(file, expr, &["asyncio.RunningLoop()", "asyncio.CurrentLoop()", TASK])
                };
            }
            Condition::Test { expr, is } => self.learn(file, function, expr, is, truth),
            Condition::Covered(place) => truth.covered = truth.covered.or(Some(place)),
            Condition::Always | Condition::Caught | Condition::Within(_) | Condition::AsyncWithin(_) => {}
        }
    }

    /// Whether a function of the program is called that only returns where no loop runs.
    fn returns_outside(&mut self, file: FileId, call: ExprId) -> bool {
        let Expr::Call(callee, _) = *self.expr(file, call) else { return false };
        let callees = self.eval(file, callee);
        let [one] = *self.values.members(callees) else { return false };
        let (Value::Function(function, _) | Value::Bound(function, ..)) = *self.values.get(one) else { return false };
        self.only_returns_outside(function)
    }

    /// Whether a function only returns where no loop runs.
    pub(crate) fn only_returns_outside(&mut self, function: FnId) -> bool {
        if let Some(known) = self.returns_anyway(function) {
            return !known;
        }
        let known = self.function(function);
        let ends: Vec<GuardId> = known.returns.iter().map(|(_, guard)| *guard).chain(known.end).collect();
        let key = Busy::Outside(function);
        if !self.busy.insert(key) {
            return false;
        }
        let is_outside = ends.iter().all(|guard| self.truth(function, *guard).is_outside);
        self.busy.remove(&key);
        // While something else is being looked at, cycles may cut answers short.
        if self.busy.is_empty() {
            self.outside.insert(function, is_outside);
        }
        is_outside
    }

    /// Whether a call of it returns where a loop runs as well, as far as that is known by now.
    pub(crate) fn returns_anyway(&self, function: FnId) -> Option<bool> {
        let known = self.function(function);
        let mut ends = known.returns.iter().map(|(_, guard)| *guard).chain(known.end).peekable();
        let is_no_question = known.is_async || known.is_generator || known.events.is_empty() || ends.peek().is_none();
        if is_no_question || ends.any(|guard| guard == ALWAYS) {
            return Some(true);
        }
        self.outside.get(&function).map(|is_outside| !is_outside)
    }

    /// What an expression says that is true, or false.
    fn learn(&mut self, file: FileId, function: FnId, expr: ExprId, is: bool, truth: &mut Truth) {
        if let Some((owner, parameter, key)) = self.asked_key(file, function, expr) {
            truth.needs.push(Need { owner, parameter, what: What::KeyTrue(key), is });
            return;
        }
        let is_all = match self.expr(file, expr).clone() {
            Expr::Not(inner) => {
                self.learn(file, function, inner, !is, truth);
                true
            }
            Expr::Logic(is_and, parts) if is_and == is => {
                for part in parts {
                    self.learn(file, function, part, is, truth);
                }
                true
            }
            Expr::Choice { test, then, other } => {
                self.learn_choice(file, function, (test, then, other), is, truth);
                true
            }
            Expr::Local(_) | Expr::Free(..) if self.bindings_of(file, expr).is_some_and(|all| all.len() > 1) => {
                self.learn_rebound(file, function, (expr, is), truth)
            }
            Expr::Local(_) | Expr::Free(..) => self.learn_name(file, function, expr, is, truth),
            Expr::Call(callee, arguments) => self.learn_call(file, function, (callee, &arguments, is), truth),
            Expr::Attribute(_, name) => {
                truth.is_dual |= !is && is_dual_name(self.file(file).facts.name(name));
                truth.needs.extend(self.asked_field(file, function, expr, (What::True, is)));
                false
            }
            Expr::Same(left, right, is_negated) => {
                self.learn_same(file, function, (left, right, is != is_negated), truth)
            }
            _ => false,
        };
        if !is_all {
            truth.is_outside |= self.is_false_on_loop(file, expr, is);
        }
    }

    /// Whether an expression cannot be true, or false, where a loop runs.
    fn is_false_on_loop(&mut self, file: FileId, expr: ExprId, is: bool) -> bool {
        self.constant_truth(file, expr).is_some_and(|truth| truth != is)
            || self.loop_truth(file, expr, 0).is_some_and(|means_running| means_running != is)
            || self.says_no_loop(file, expr, is)
    }

    /// `then if test else other`: on a loop, one of the two may be out of the question.
    fn learn_choice(
        &mut self,
        file: FileId,
        function: FnId,
        (test, then, other): (ExprId, ExprId, ExprId),
        is: bool,
        truth: &mut Truth,
    ) {
        let (is_then, is_other) =
            (self.loop_truth(file, then, 0) != Some(!is), self.loop_truth(file, other, 0) != Some(!is));
        match (is_then, is_other) {
            (true, true) => {}
            (false, false) => truth.is_outside = true,
            _ => {
                self.learn(file, function, test, is_then, truth);
                self.learn(file, function, if is_then { then } else { other }, is, truth);
            }
        }
    }

    /// A parameter that was bound anew meanwhile, to its default or in a loop; whether that is all.
    fn learn_rebound(&mut self, file: FileId, function: FnId, (name, is): (ExprId, bool), truth: &mut Truth) -> bool {
        let facts = &self.file(file).facts;
        let bindings = self.bindings_of(file, name).unwrap_or_default();
        truth.is_dual |= !is
            && bindings.iter().any(|binding| match facts.bindings[*binding].kind {
                BindingKind::Parameter(owner, parameter) => {
                    is_dual_name(facts.name(facts.functions[owner].parameters[parameter as usize].name))
                }
                _ => false,
            });
        let need = self.asked(file, function, name, (What::True, is));
        truth.needs.extend(need);
        need.is_some()
    }

    /// A name of a question, or a parameter; whether that is all.
    fn learn_name(&mut self, file: FileId, function: FnId, name: ExprId, is: bool, truth: &mut Truth) -> bool {
        if let Some(value) = self.bound_value(file, name)
            && (matches!(self.expr(file, value), Expr::Choice { .. } | Expr::Not(_))
                || self.is_question_of_coroutine(file, value))
        {
            self.learn(file, function, value, is, truth);
            return true;
        }
        let Some((owner, parameter)) = self.asked_parameter(file, function, name) else { return false };
        truth.needs.push(Need { owner, parameter, what: What::True, is });
        let name = self.function(owner).parameters[parameter as usize].name;
        truth.is_dual |= !is && is_dual_name(self.file(file).facts.name(name));
        true
    }

    /// A call that asks about a parameter, or is one of `bool`; whether that is all.
    fn learn_call(
        &mut self,
        file: FileId,
        function: FnId,
        (callee, arguments, is): (ExprId, &[Argument], bool),
        truth: &mut Truth,
    ) -> bool {
        let first = arguments.first().map(|argument| argument.value);
        if let (Expr::Global(name), Some(first)) = (self.expr(file, callee), first)
            && self.file(file).facts.name(*name) == "bool"
        {
            self.learn(file, function, first, is, truth);
            return true;
        }
        if let (Expr::Global(name), [value, classes]) = (self.expr(file, callee), arguments)
            && self.file(file).facts.name(*name) == "isinstance"
        {
            let needs = self.asked_class(file, function, (value.value, classes.value), is);
            truth.needs.extend(needs);
            return false;
        }
        truth.needs.extend(self.answered(file, function, callee, is));
        let Some((subject, what)) = self.question(file, callee, first) else { return false };
        let need = self.asked(file, function, subject, (what, is));
        truth.needs.extend(need);
        need.is_some()
    }

    /// What `left is right` says, or that it is not so; whether that is all.
    fn learn_same(
        &mut self,
        file: FileId,
        function: FnId,
        (left, right, is): (ExprId, ExprId, bool),
        truth: &mut Truth,
    ) -> bool {
        let wanted = self.eval(file, right);
        let loops = ["asyncio.RunningLoop()", "asyncio.CurrentLoop()"];
        truth.is_other_loop |= !is && self.asks_for_main_thread(file, left, right);
        truth.is_other_loop |= !is
            && self.only_constant(wanted).is_none()
            && (self.asks_for_loop(file, left, &loops) || self.asks_for_loop(file, right, &loops));
        if !is
            && self.only_constant(wanted) == Some(Constant::None)
            && let Some((test, is)) = self.chosen_for_something(file, left)
        {
            self.learn(file, function, test, is, truth);
            return true;
        }
        if let Some((owner, parameter, key)) = self.asked_key(file, function, left) {
            let asked = match self.only_constant(wanted) {
                Some(Constant::None) => Some(What::KeyNone(key)),
                Some(Constant::True) => Some(What::KeyTrue(key)),
                _ => None,
            };
            truth.needs.extend(asked.map(|what| Need { owner, parameter, what, is }));
            return true;
        }
        let need = self.equal(wanted, is).and_then(|question| self.asked(file, function, left, question));
        truth.needs.extend(need);
        need.is_some()
    }

    /// What must have been true for a name not to be None: `name = None if test else value`.
    fn chosen_for_something(&self, file: FileId, name: ExprId) -> Option<(ExprId, bool)> {
        let Expr::Choice { test, then, other } = *self.expr(file, self.bound_value(file, name)?) else { return None };
        let is_none = |expr: ExprId| *self.expr(file, expr) == Expr::Constant(Constant::None);
        (is_none(then) != is_none(other)).then(|| (test, is_none(other)))
    }

    /// What is called, and under which condition, where a call chooses: `(one if test else other)()`.
    pub(crate) fn choices(&mut self, file: FileId, function: FnId, callee: ExprId) -> Option<[(ExprId, Truth); 2]> {
        let value = self.bound_value(file, callee).unwrap_or(callee);
        let Expr::Choice { test, then, other } = *self.expr(file, value) else { return None };
        let mut chosen = |expr: ExprId, is: bool| {
            let mut truth = Truth::default();
            self.learn(file, function, test, is, &mut truth);
            (expr, truth)
        };
        Some([chosen(then, true), chosen(other, false)])
    }

    /// Whether a condition says that the thread has no loop, not even one at rest.
    fn says_no_loop(&mut self, file: FileId, expr: ExprId, is: bool) -> bool {
        let (value, is_none) = match *self.expr(file, expr) {
            Expr::Same(left, right, is_negated) => {
                let right = self.eval(file, right);
                let asks = self.only_constant(right) == Some(Constant::None);
                (left, asks && is != is_negated)
            }
            _ => (expr, !is),
        };
        if !is_none {
            return false;
        }
        let set = self.eval(file, value);
        let (mut is_loop, mut is_none) = (false, false);
        for value in self.values.members(set) {
            match self.values.get(*value) {
                Value::External(path) if self.values.path_text(*path) == "asyncio.CurrentLoop()" => is_loop = true,
                Value::Constant(Constant::None) => is_none = true,
                _ => return false,
            }
        }
        is_loop && is_none
    }

    /// Whether code that binds a name never runs.
    pub(super) fn is_never_bound(&mut self, file: FileId, binding: BindingId) -> bool {
        let guard = self.file(file).facts.bindings[binding].guard;
        if guard == ALWAYS {
            return false;
        }
        let conditions: Vec<Condition> = self.file(file).facts.conditions(guard).collect();
        conditions.into_iter().any(|condition| match condition {
            Condition::Test { expr, is } => self.constant_truth(file, expr) == Some(!is),
            _ => false,
        })
    }

    /// Conditions that are written as constants; what stands under `TYPE_CHECKING` never runs.
    pub(crate) fn constant_truth(&mut self, file: FileId, expr: ExprId) -> Option<bool> {
        match self.expr(file, expr) {
            Expr::Constant(constant) => Some(matches!(constant, Constant::True | Constant::Other)),
            &Expr::Not(inner) => self.constant_truth(file, inner).map(|is| !is),
            Expr::Logic(is_and, parts) => {
                // One part that is false is enough for `and`; all must be, for `or`.
                let (is_and, parts) = (*is_and, parts.clone());
                let truths: Vec<_> = parts.iter().map(|part| self.constant_truth(file, *part)).collect();
                let is_all = |wanted: bool| truths.iter().all(|truth| *truth == Some(wanted));
                if truths.contains(&Some(!is_and)) { Some(!is_and) } else { is_all(is_and).then_some(is_and) }
            }
            Expr::Global(_) | Expr::Free(..) | Expr::Attribute(..) | Expr::Local(_) => {
                let set = self.eval(file, expr);
                let [one] = self.values.members(set) else { return None };
                match *self.values.get(*one) {
                    Value::External(path) => (self.values.path_text(path) == "typing.TYPE_CHECKING").then_some(false),
                    Value::Constant(constant @ (Constant::True | Constant::False | Constant::Zero)) => {
                        self.is_lasting(file, expr).then_some(constant == Constant::True)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Whether a name of a module is bound once in the whole program, to what is written there: `DEBUG = False`.
    fn is_lasting(&mut self, file: FileId, expr: ExprId) -> bool {
        let Some((target, name)) = self.name_of_module(file, expr) else { return false };
        self.is_bound_once(target, name, 0)
    }

    fn is_bound_once(&mut self, file: FileId, name: Symbol, depth: u32) -> bool {
        // Somebody else may set it.
        if self.stores.contains_key(&name) {
            return false;
        }
        let facts = self.file(file).facts.share();
        let Some(&place) = self.file(file).members.get(&name) else { return false };
        let [only] = *facts.scopes[MODULE_SCOPE].names[place].1 else { return false };
        // `from local_settings import *` may bring another one.
        if !facts.scopes[MODULE_SCOPE].stars.is_empty() {
            return false;
        }
        let binding = &facts.bindings[only];
        match binding.kind {
            _ if binding.guard != ALWAYS || binding.is_declared => false,
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => {
                matches!(facts.exprs[value], Expr::Constant(_))
            }
            BindingKind::ImportFrom { module, level, name } if depth < MOST_IMPORTS => {
                let name = self.symbol(file, name);
                let target = self.imported_module(file, module, level).and_then(|module| module.file);
                target.is_some_and(|target| self.is_bound_once(target, name, depth + 1))
            }
            _ => false,
        }
    }

    /// Whether the expression is true just if a loop runs (true), or just if none does.
    fn loop_truth(&mut self, file: FileId, expr: ExprId, depth: u32) -> Option<bool> {
        if depth > 6 {
            return None;
        }
        let found = match self.expr(file, expr).clone() {
            Expr::Not(inner) => return self.loop_truth(file, inner, depth + 1).map(|is| !is),
            Expr::Same(left, right, is_negated) => return self.same_loop_truth(file, (left, right, is_negated), depth),
            Expr::Logic(is_and, parts) => {
                // `loop and loop.is_running()`; or `is_main_thread and not is_running`, which says less when it is false.
                let known: Vec<bool> =
                    parts.iter().filter_map(|part| self.loop_truth(file, *part, depth + 1)).collect();
                return if known.contains(&true) { Some(true) } else { known.first().copied().filter(|_| is_and) };
            }
            Expr::Attribute(_, name) if is_dual_name(self.file(file).facts.name(name)) => return Some(true),
            Expr::Call(callee, arguments) => {
                self.call_loop_truth(file, callee, arguments.get(1).map(|argument| argument.value), depth)
            }
            Expr::Local(bindings) => self.name_loop_truth(file, &bindings, depth),
            Expr::Attribute(object, name) if self.is_property(self.symbol(file, name)) => {
                self.property_loop_truth(file, object, name, depth)
            }
            _ => None,
        };
        found.or_else(|| self.is_loop_or_none(file, expr).then_some(true))
    }

    /// `left is right`, or that it is not so.
    fn same_loop_truth(
        &mut self,
        file: FileId,
        (left, right, is_negated): (ExprId, ExprId, bool),
        depth: u32,
    ) -> Option<bool> {
        if self.is_thread_of_loop(file, left, right) || self.is_thread_of_loop(file, right, left) {
            return Some(!is_negated);
        }
        let right = self.eval(file, right);
        match self.only_constant(right)? {
            Constant::None if self.asks_for_loop(file, left, &["asyncio.RunningLoop()", TASK]) => Some(is_negated),
            Constant::None => self.is_loop_or_none(file, left).then_some(is_negated),
            Constant::True => self.loop_truth(file, left, depth + 1).map(|is| is != is_negated),
            Constant::False => self.loop_truth(file, left, depth + 1).map(|is| is == is_negated),
            _ => None,
        }
    }

    /// A question that is called, or a function that gives the answer to one; `getattr(flow, "isasync", True)`.
    fn call_loop_truth(&mut self, file: FileId, callee: ExprId, name: Option<ExprId>, depth: u32) -> Option<bool> {
        if let Some(name) = name
            && let Expr::Text(name) = *self.expr(file, name)
            && is_dual_name(self.file(file).facts.name(name))
        {
            return Some(true);
        }
        let callee = self.eval(file, callee);
        for value in self.values.shared(callee).iter().copied() {
            let found = match *self.values.get(value) {
                Value::External(path) => self.is_question(path).then_some(true),
                Value::Function(function, _) | Value::Bound(function, ..) => {
                    self.returns_loop_truth(function, depth + 1)
                }
                _ => None,
            };
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// A name that the answer was given.
    fn name_loop_truth(&mut self, file: FileId, bindings: &[BindingId], depth: u32) -> Option<bool> {
        let facts = &self.file(file).facts;
        let flag = |binding: &BindingId| match facts.bindings[*binding].kind {
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => {
                Some((value, facts.bindings[*binding].guard))
            }
            _ => None,
        };
        let flags: Option<Vec<(ExprId, GuardId)>> = bindings.iter().map(flag).collect();
        self.agreeing(file, &flags?, depth + 1)
    }

    fn property_loop_truth(&mut self, file: FileId, object: ExprId, name: NameId, depth: u32) -> Option<bool> {
        let (objects, name) = (self.eval(file, object), self.symbol(file, name));
        for object in self.values.shared(objects).iter().copied() {
            for (getter, _) in self.getters(object, name) {
                let found = self.returns_loop_truth(getter, depth + 1);
                if found.is_some() {
                    return found;
                }
            }
        }
        None
    }

    fn returns_loop_truth(&mut self, function: FnId, depth: u32) -> Option<bool> {
        let file = self.file_of(function);
        let returns = self.ask_returns(function);
        self.agreeing(file, &returns, depth)
    }

    /// Flags that are set where a loop is known to run, or known not to.
    fn agreeing(&mut self, file: FileId, flags: &[(ExprId, GuardId)], depth: u32) -> Option<bool> {
        let mut answer = None;
        for (expr, guard) in flags {
            let set = self.eval(file, *expr);
            let found = match self.only_constant(set) {
                Some(constant @ (Constant::True | Constant::False)) => match self.runs_under(file, *guard) {
                    Some(runs) => Some(runs == (constant == Constant::True)),
                    None => continue,
                },
                _ => self.loop_truth(file, *expr, depth),
            };
            match (answer, found?) {
                (None, found) => answer = Some(found),
                (Some(known), found) if known != found => return None,
                _ => {}
            }
        }
        answer
    }

    /// Whether a loop runs under these conditions, as the question for it went.
    fn runs_under(&mut self, file: FileId, guard: GuardId) -> Option<bool> {
        let conditions: Vec<Condition> = self.file(file).facts.conditions(guard).collect();
        for condition in conditions {
            if let Condition::Called { expr, went_well } = condition
                && self.asks_for_loop(file, expr, &["asyncio.RunningLoop()"])
            {
                return Some(went_well);
            }
        }
        None
    }

    fn asks_for_loop(&mut self, file: FileId, call: ExprId, loops: &[&str]) -> bool {
        let set = self.eval(file, call);
        self.values.members(set).iter().any(|value| {
            matches!(self.values.get(*value), Value::External(path) if loops.contains(&self.values.path_text(*path)))
        })
    }

    /// `threading.current_thread() is threading.main_thread()`: where it is not, it is nobody's own loop that is waited for.
    fn asks_for_main_thread(&mut self, file: FileId, left: ExprId, right: ExprId) -> bool {
        let threads = ["threading.current_thread()", "threading.main_thread()"];
        [left, right].into_iter().all(|side| self.asks_for_loop(file, side, &threads))
    }

    /// `loop_thread_id == threading.get_ident()`
    fn is_thread_of_loop(&mut self, file: FileId, one: ExprId, other: ExprId) -> bool {
        let set = self.eval(file, other);
        let asks = self.values.members(set).iter().any(|value| {
            matches!(self.values.get(*value), Value::External(path)
                if matches!(self.values.path_text(*path), "threading.get_ident()" | "threading.current_thread()" | "threading.get_native_id()"))
        });
        let name = match self.expr(file, one) {
            Expr::Attribute(_, name) | Expr::Free(_, name) | Expr::Global(name) => Some(*name),
            _ => None,
        };
        asks && name.is_some_and(|name| self.file(file).facts.name(name).contains("loop"))
    }

    fn is_question(&self, path: super::values::PathId) -> bool {
        let text = self.values.path_text(path);
        matches!(
            text,
            "asyncio.AbstractEventLoop().is_running"
                | "asyncio.CurrentLoop().is_running"
                | "asyncio.RunningLoop().is_running"
                | "asyncio.RunningLoopOrNone().is_running"
                | "asyncio.current_task"
                | "sniffio.current_async_library"
        )
    }

    fn is_loop_or_none(&mut self, file: FileId, expr: ExprId) -> bool {
        let set = self.eval(file, expr);
        let (mut is_loop, mut is_none) = (false, false);
        for value in self.values.members(set) {
            match self.values.get(*value) {
                Value::External(path) => match self.values.path_text(*path) {
                    "asyncio.RunningLoop()" => is_loop = true,
                    "asyncio.RunningLoopOrNone()" => (is_loop, is_none) = (true, true),
                    _ => {}
                },
                Value::Constant(Constant::None) => is_none = true,
                _ => {}
            }
        }
        is_loop && is_none
    }

    pub(crate) fn only_constant(&self, set: SetId) -> Option<Constant> {
        match self.values.members(set) {
            [one] => match self.values.get(*one) {
                Value::Constant(constant) => Some(*constant),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Whether a method does not wait here, as a question before said: `if future.done(): future.result()`; or as it was waited for before.
pub(crate) fn is_answered(facts: &Facts, callee: ExprId, guard: GuardId) -> bool {
    let Expr::Attribute(object, name) = facts.exprs[callee] else { return false };
    let Some((_, question, wanted)) = QUESTIONS.iter().find(|(method, ..)| *method == facts.name(name)) else {
        return false;
    };
    facts.conditions(guard).any(|condition| match condition {
        Condition::Test { expr, is } => asks(facts, expr, is, (object, question, *wanted)),
        Condition::Called { expr, went_well: true } if *question == "done" => {
            waited_for(facts, expr).is_some_and(|future| is_same(facts, object, future))
        }
        _ => false,
    })
}

/// `await asyncio.wrap_future(future)`: the future that is done once that went well.
pub(crate) fn waited_for(facts: &Facts, call: ExprId) -> Option<ExprId> {
    let Expr::Call(callee, arguments) = &facts.exprs[call] else { return None };
    let waits = facts.has_name(*callee, |name| facts.name(name) == "wrap_future");
    arguments.first().filter(|_| waits).map(|future| future.value)
}

fn asks(facts: &Facts, expr: ExprId, is: bool, question: (ExprId, &str, bool)) -> bool {
    match &facts.exprs[expr] {
        Expr::Not(inner) => asks(facts, *inner, !is, question),
        Expr::Logic(is_and, parts) if *is_and == is => parts.iter().any(|part| asks(facts, *part, is, question)),
        Expr::Call(callee, _) => {
            let (object, wanted, is_wanted) = question;
            let Expr::Attribute(asked, name) = facts.exprs[*callee] else { return false };
            is == is_wanted && facts.name(name) == wanted && is_same(facts, asked, object)
        }
        _ => false,
    }
}

/// Whether two expressions are written the same, and mean the same.
pub(super) fn is_same(facts: &Facts, one: ExprId, other: ExprId) -> bool {
    match (&facts.exprs[one], &facts.exprs[other]) {
        (Expr::Attribute(one, name), Expr::Attribute(other, other_name)) => {
            name == other_name && is_same(facts, *one, *other)
        }
        (one @ (Expr::Local(_) | Expr::Free(..)), other) => one == other,
        _ => false,
    }
}

/// Modules that import a name from each other.
const MOST_IMPORTS: u32 = 4;
const TASK: &str = "asyncio.current_task()";

/// A method, and what must be asked before, and answered so, for it not to wait.
pub(super) const QUESTIONS: &[(&str, &str, bool)] = &[
    ("result", "done", true),
    ("exception", "done", true),
    ("get", "empty", false),
    ("wait", "is_set", true),
    ("recv", "poll", true),
    ("join", "is_alive", false),
];

/// Parameters by which callers say that they want a coroutine.
pub(crate) fn is_dual_name(name: &str) -> bool {
    matches!(
        name,
        "asynchronous"
            | "isasync"
            | "is_async"
            | "_asynchronous"
            | "_is_async"
            | "async_"
            | "run_async"
            | "use_async"
            | "_async"
    )
}
