//! Questions: calls that ask something of a value, and whose answers conditions are made of.

use super::Program;
use super::needs::{Form, Need, What};
use super::truth::{QUESTIONS, is_same};
use super::values::{ClsId, FileId, FnId, SetId, Symbol, Value};
use crate::facts::{BindingKind, Condition, Expr, ExprId, Field, GuardId};

impl Program {
    /// A call that asks something of a value: the value, and what is asked.
    pub(super) fn question(&mut self, file: FileId, callee: ExprId, first: Option<ExprId>) -> Option<(ExprId, What)> {
        let first = first?;
        if let Expr::Attribute(object, name) = *self.expr(file, callee)
            && self.file(file).facts.name(name) == "startswith"
        {
            let wanted = self.eval(file, first);
            return Some((object, self.begins_with(wanted)?));
        }
        self.asked_form(file, callee, 0).map(|form| (first, What::Form(form)))
    }

    /// The answer that a parameter gave, or a field of the caller's object: `if self.queue.empty()`.
    pub(super) fn answered(&self, file: FileId, function: FnId, callee: ExprId, is: bool) -> Option<Need> {
        let Expr::Attribute(object, question) = *self.expr(file, callee) else { return None };
        let asked = self.file(file).facts.name(question);
        QUESTIONS.iter().find(|(_, question, _)| *question == asked)?;
        let need = self.need_of_answer(file, function, object, (self.symbol(file, question), is))?;
        match need.what {
            What::Answer(field, _) => {
                self.class_of(need.owner).filter(|class| self.is_kept(*class, field)).map(|_| need)
            }
            _ => Some(need),
        }
    }

    /// Whether the field of an object is what its constructor set it to, as far as its class and the files of that know.
    fn is_kept(&self, class: ClsId, field: Symbol) -> bool {
        self.ancestors(class).chain(self.heirs(class).iter().copied()).all(|class| {
            let file = self.class_file(class);
            let mut fields = self.class(class).fields.iter();
            let is_set = |one: &Field| {
                // What is put into a queue does not make it another one.
                let sets = match one.value {
                    Some(value) => !matches!(self.expr(file, value), Expr::Sequence(_) | Expr::Mapping(_)),
                    None => one.annotation.is_none(),
                };
                sets && self.symbol(file, one.name) == field && !self.is_by_constructor(self.global_fn(file, one.by))
            };
            let stores = self.stores.get(&field).map_or(&[][..], Vec::as_slice);
            !fields.any(is_set) && stores.iter().all(|(storing, _)| *storing != file)
        })
    }

    /// The answer without which a method of one of these does not wait: `self.queue.get()` does not, unless the queue is empty.
    pub(crate) fn needed_answer(&mut self, file: FileId, function: FnId, callee: ExprId) -> Option<Need> {
        let Expr::Attribute(object, method) = *self.expr(file, callee) else { return None };
        let called = self.file(file).facts.name(method);
        let (_, question, answer) = QUESTIONS.iter().find(|(method, ..)| *method == called)?;
        let question = self.values.symbol(question);
        self.need_of_answer(file, function, object, (question, !answer))
    }

    /// A need about what a parameter answers, or a field of the caller's object.
    fn need_of_answer(
        &self,
        file: FileId,
        function: FnId,
        asked: ExprId,
        (question, is): (Symbol, bool),
    ) -> Option<Need> {
        if let Some((owner, parameter)) = self.asked_parameter(file, function, asked) {
            return Some(Need { owner, parameter, what: What::Asked(question), is });
        }
        let Expr::Attribute(object, name) = *self.expr(file, asked) else { return None };
        let (owner, 0) = self.asked_parameter(file, function, object)? else { return None };
        self.class_of(owner).filter(|_| self.method_kind(owner).is_none())?;
        Some(Need { owner, parameter: 0, what: What::Answer(self.symbol(file, name), question), is })
    }

    /// What `startswith` asks: of one text, or of several.
    fn begins_with(&mut self, wanted: SetId) -> Option<What> {
        if let Some(text) = self.only_text(wanted) {
            return Some(What::Prefix(text));
        }
        let [one] = self.values.members(wanted) else { return None };
        let Value::Sequence(parts) = self.values.get(*one).clone() else { return None };
        let prefixes: Option<Vec<_>> =
            parts.iter().map(|part| Some((What::Prefix(self.only_text(*part)?), true))).collect();
        let prefixes = prefixes.filter(|prefixes| prefixes.len() > 1)?;
        Some(self.alternatives.any(prefixes).0)
    }

    /// Whether a call is only made if what is called is a coroutine function: `if iscoroutinefunction(work): await work()`.
    pub(crate) fn is_asked_coroutine(&mut self, file: FileId, callee: ExprId, guard: GuardId) -> bool {
        let facts = self.file(file).facts.share();
        // An attribute may be another one by now.
        let is_lasting = match &facts.exprs[callee] {
            Expr::Local(_) => true,
            Expr::Free(scope, name) => facts.bindings_of(*scope, *name).len() == 1,
            _ => false,
        };
        is_lasting
            && facts.conditions(guard).any(|condition| match condition {
                Condition::Test { expr, is: true } => {
                    let mut parts = vec![expr];
                    if let Expr::Logic(true, all) = &facts.exprs[expr] {
                        parts.extend(all);
                    }
                    parts.into_iter().any(|part| match &facts.exprs[part] {
                        Expr::Call(asks, arguments) => {
                            matches!(&**arguments, [asked] if is_same(&facts, asked.value, callee))
                                && self.asks_for_coroutine(file, *asks)
                        }
                        _ => false,
                    })
                }
                _ => false,
            })
    }

    fn asks_for_coroutine(&mut self, file: FileId, callee: ExprId) -> bool {
        let Some(path) = self.external_path_of(file, callee) else { return false };
        matches!(self.values.path_text(path), "asyncio.iscoroutinefunction" | "inspect.iscoroutinefunction")
    }

    /// Whether an expression is the answer to whether something is a coroutine function, or a generator function.
    pub(super) fn is_question_of_coroutine(&mut self, file: FileId, expr: ExprId) -> bool {
        let Expr::Call(callee, _) = *self.expr(file, expr) else { return false };
        self.asked_form(file, callee, 0).is_some()
    }

    /// Of which form a call asks whether its first argument is a function of it: by `inspect`, or by a function that gives its answer.
    fn asked_form(&mut self, file: FileId, callee: ExprId, depth: u32) -> Option<Form> {
        let callees = self.eval(file, callee);
        let callees = self.values.members(callees).to_vec();
        let mut asked = callees.into_iter().map(|callee| match *self.values.get(callee) {
            Value::External(path) => match self.values.path_text(path) {
                "asyncio.iscoroutinefunction"
                | "inspect.iscoroutinefunction"
                | "asyncio.coroutines.iscoroutinefunction" => Some(Form::Coroutine),
                "inspect.isgeneratorfunction" => Some(Form::Generator),
                "inspect.isasyncgenfunction" => Some(Form::AsyncGenerator),
                _ => None,
            },
            Value::Function(function, _) if depth < DEEPEST => self.given_answer(function, 0, depth),
            Value::Bound(function, ..) if depth < DEEPEST => self.given_answer(function, 1, depth),
            _ => None,
        });
        let first = asked.next()??;
        asked.all(|form| form == Some(first)).then_some(first)
    }

    /// The form that a function asks for of its parameter, or of what it made of that, and whose answer it returns.
    fn given_answer(&mut self, function: FnId, parameter: u32, depth: u32) -> Option<Form> {
        let file = self.file_of(function);
        let mut given: Vec<ExprId> = self.ask_returns(function).into_iter().map(|(value, _)| value).collect();
        let (mut left, mut form) = (MOST_PARTS, None);
        while let Some(expr) = given.pop() {
            left -= 1;
            if left == 0 {
                return None;
            }
            match self.expr(file, expr).clone() {
                Expr::Logic(_, parts) => given.extend(parts),
                Expr::Local(bindings) => {
                    let facts = &self.file(file).facts;
                    given.extend(bindings.iter().filter_map(|binding| match facts.bindings[*binding].kind {
                        BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => Some(value),
                        _ => None,
                    }));
                }
                Expr::Call(callee, arguments) => {
                    let first = arguments.first().map(|argument| argument.value);
                    if first.is_some_and(|first| self.is_of_parameter(file, first, function, parameter))
                        && let Some(asked) = self.asked_form(file, callee, depth + 1)
                    {
                        // Of one form or another: the answer says nothing of either.
                        if form.is_some_and(|form| form != asked) {
                            return None;
                        }
                        form = Some(asked);
                    }
                }
                _ => {}
            }
        }
        form
    }

    /// Whether a name may still be the parameter.
    fn is_of_parameter(&self, file: FileId, expr: ExprId, function: FnId, parameter: u32) -> bool {
        let Expr::Local(bindings) = self.expr(file, expr) else { return false };
        let facts = &self.file(file).facts;
        let own = self.local_fn(function);
        let values = |binding: &crate::facts::BindingId| match facts.bindings[*binding].kind {
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => Some(value),
            _ => None,
        };
        let is_it =
            |binding: &crate::facts::BindingId| facts.bindings[*binding].kind == BindingKind::Parameter(own, parameter);
        bindings.iter().any(|binding| {
            is_it(binding)
                || values(binding)
                    .is_some_and(|value| matches!(&facts.exprs[value], Expr::Local(inner) if inner.iter().any(is_it)))
        })
    }
}

/// Functions that ask others.
const DEEPEST: u32 = 3;
/// Parts of what a function returns that are looked at.
const MOST_PARTS: u32 = 16;
