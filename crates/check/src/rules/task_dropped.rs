//! Tasks that nobody keeps.

use super::{Context, Rule, Severity, last_part};
use crate::catalogue::Category;
use crate::facts::{Argument, BindingId, BindingKind, Event, EventKind, Expr, ExprId, Facts, Span};
use crate::link::values::{EMPTY, FileId, FnId, Value, ValueId};
use rustc_hash::FxHashSet;

/// `SL006`
pub(super) const RULE: Rule = Rule {
    code: "SL006",
    name: "task-dropped",
    severity: Severity::Warning,
    summary: "a task is made, and nobody keeps it",
    documentation: "\
## What it does
Finds `create_task`, `ensure_future` and `gather` whose task or future is dropped, also by way of a function that returns it and does not keep it. A callback
that is added to the task does not keep it, nor does printing it, naming it, asking whether it is there, or returning it to the loop.

## Why is this bad?
The loop keeps only weak references to tasks: one that nobody keeps may vanish in the middle (Python docs, `asyncio.create_task`). And its
exception is seen by nobody.

## Example
```python
async def main():
    asyncio.create_task(work())
```

## Use instead
```python
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(work())
```
or keep the task until it is done.
",
};

pub(super) fn check(context: &mut Context<'_>) {
    let mut seen: FxHashSet<(FnId, Span)> = FxHashSet::default();
    for function in context.functions() {
        let file = context.program.file_of(function);
        let mut calls: Vec<ExprId> = context.dropped_calls(function);
        for call in &mut calls {
            // `create_task(...).add_done_callback(...)`
            if let Some(task) = said_of(&context.program.file(file).facts, *call) {
                *call = task;
            }
        }
        calls.extend(only_looked_at(&context.program.file(file).facts, &context.program.events(function)));
        calls.extend(only_given_callbacks(context, file, function));
        for call in calls {
            if let Some(names) = fresh_task(context, file, call, 0) {
                let span = context.program.file(file).facts.span(call);
                tell(context, &mut seen, (function, span), &names);
            }
        }
    }
    by_the_loop(context, &mut seen);
}

fn tell(
    context: &mut Context<'_>,
    seen: &mut FxHashSet<(FnId, Span)>,
    (function, span): (FnId, Span),
    names: &[String],
) {
    if seen.insert((function, span)) {
        let message =
            "nobody keeps this task: it may vanish before it is done, and its exception is seen by nobody".to_owned();
        context.report(&RULE, function, span, message, "keep it until it is done, or use `asyncio.TaskGroup`", names);
    }
}

/// Callbacks of the loop that give it a task: `call_later(1, lambda: create_task(work()))`, or the name of a function that does so.
fn by_the_loop(context: &mut Context<'_>, seen: &mut FxHashSet<(FnId, Span)>) {
    let scheduled: Vec<(FnId, FnId, Span)> = context
        .graph
        .scheduled
        .iter()
        .filter(|scheduled| context.program.values.path_text(scheduled.by).starts_with("asyncio."))
        .map(|scheduled| (scheduled.caller, scheduled.callee, scheduled.site.span))
        .collect();
    for (caller, callee, span) in scheduled {
        let (home, this) = (context.program.file_of(callee), context.program.function(callee));
        if !this.is_lambda {
            let names = if this.is_async || this.is_generator { None } else { given_away(context, callee, 0) };
            if let Some(mut names) = names {
                names.insert(0, context.program.qualified_name(callee));
                tell(context, seen, (caller, span), &names);
            }
            continue;
        }
        if home != context.program.file_of(caller) {
            continue;
        }
        for (returned, _) in context.program.ask_returns(callee) {
            if let Some(names) = fresh_task(context, home, returned, 0) {
                let span = context.program.file(home).facts.span(returned);
                tell(context, seen, (caller, span), &names);
            }
        }
    }
}

/// Calls whose value is taken for a truth, or printed: then nobody has it.
fn only_looked_at(facts: &Facts, events: &[Event]) -> Vec<ExprId> {
    let mut calls = Vec::new();
    for event in events {
        match (event.kind, &facts.exprs[event.expr]) {
            (EventKind::Test, Expr::Call(..)) => calls.push(event.expr),
            (EventKind::Call(_), Expr::Call(_, arguments)) if is_shown(facts, event.expr) => {
                let given = arguments.iter().map(|argument| argument.value);
                calls.extend(given.filter(|value| matches!(facts.exprs[*value], Expr::Call(..))));
            }
            _ => {}
        }
    }
    calls
}

/// Calls whose value is bound to a name that is used for nothing but to add callbacks, or to be printed.
fn only_given_callbacks(context: &mut Context<'_>, file: FileId, function: FnId) -> Vec<ExprId> {
    let events = context.program.function(function).events.iter();
    let mut bound: Vec<(ExprId, BindingId)> = events.filter_map(|event| Some((event.expr, event.bound()?))).collect();
    bound.retain(|(call, _)| is_task(context, file, *call));
    bound.retain(|(call, _)| !is_kept_while_a_loop_runs(context, file, function, *call));
    let facts = &context.program.file(file).facts;
    bound.retain(|(_, binding)| {
        let mut uses = uses_of(facts, *binding).peekable();
        uses.peek().is_some() && uses.all(|used| keeps_nothing(facts, used)) && !facts.is_seen_outside(*binding)
    });
    bound.into_iter().map(|(call, _)| call).collect()
}

/// The function runs a loop behind the call: its names last as long.
fn is_kept_while_a_loop_runs(context: &mut Context<'_>, file: FileId, function: FnId, task: ExprId) -> bool {
    let end = context.program.file(file).facts.span(task).end;
    let events = context.program.events(function);
    let mut later = events.iter().filter(|event| matches!(event.kind, EventKind::Call(_)) && event.span.start > end);
    later.any(|event| {
        let Expr::Call(callee, _) = *context.program.expr(file, event.expr) else { return false };
        let Some(path) = context.program.external_path_of(file, callee) else { return false };
        let sink = context.program.catalogue.sink(context.program.values.path_text(path));
        sink.is_some_and(|sink| sink.category == Category::Nested)
    })
}

/// Expressions that are this name.
fn uses_of(facts: &Facts, binding: BindingId) -> impl Iterator<Item = ExprId> + '_ {
    let is_it = move |expr: &Expr| matches!(expr, Expr::Local(bindings) if bindings.contains(&binding));
    facts.exprs.iter().filter(move |(_, expr)| is_it(expr)).map(|(id, _)| id)
}

/// Whether a use of a name leaves nobody with its value: `task.set_name("poll")`, `print(task)`, `f"{task}"`.
fn keeps_nothing(facts: &Facts, value: ExprId) -> bool {
    let mut exprs = facts.exprs.iter();
    let is_part = exprs.any(|(id, expr)| match expr {
        Expr::Attribute(object, name) => *object == value && is_remark(facts.name(*name)),
        Expr::Call(_, arguments) => arguments.iter().any(|argument| argument.value == value) && is_shown(facts, id),
        _ => false,
    });
    let mut events = facts.functions.iter().flat_map(|(_, function)| &function.events);
    is_part || events.any(|event| event.expr == value && is_text(facts, event.kind))
}

/// Whether a call is one of a function that makes a text of what it is given.
pub(crate) fn is_shown(facts: &Facts, call: ExprId) -> bool {
    let Expr::Call(callee, _) = facts.exprs[call] else { return false };
    matches!(facts.exprs[callee], Expr::Global(name) if matches!(facts.name(name), "print" | "str" | "repr"))
}

/// Whether something becomes part of a text.
pub(crate) fn is_text(facts: &Facts, kind: EventKind) -> bool {
    matches!(kind, EventKind::Operator(name) if matches!(facts.name(name), "__format__" | "__str__" | "__repr__"))
}

/// A method of a task that only tells the task something, or gives what is not the task.
fn is_remark(method: &str) -> bool {
    matches!(method, "add_done_callback" | "remove_done_callback" | "set_name" | "get_name")
}

/// What such a method is called of.
fn said_of(facts: &Facts, call: ExprId) -> Option<ExprId> {
    let Expr::Call(callee, _) = facts.exprs[call] else { return None };
    match facts.exprs[callee] {
        Expr::Attribute(object, name) if is_remark(facts.name(name)) => Some(object),
        _ => None,
    }
}

/// Whether a call gives a task that nobody else has; and by way of which functions.
fn fresh_task(context: &mut Context<'_>, file: FileId, call: ExprId, depth: u32) -> Option<Vec<String>> {
    let Expr::Call(callee, arguments) = context.program.expr(file, call).clone() else { return None };
    if depth > DEEPEST {
        return None;
    }
    let callees = context.program.eval(file, callee);
    for value in context.program.values.shared(callees).iter().copied() {
        match *context.program.values.get(value) {
            Value::External(path) => {
                let path = context.program.values.path_text(path).to_owned();
                let is_task = context.program.catalogue.returned(&path) == Some("asyncio.Task()");
                let is_new = !path.ends_with("ensure_future") || gets_a_coroutine(context, file, &arguments);
                if (is_task && is_new) || path == "asyncio.gather" {
                    let mut names = vec![last_part(&path)];
                    names.extend(arguments.first().and_then(|work| coroutine_name(context, file, work.value)));
                    return Some(names);
                }
            }
            Value::Function(function, _) | Value::Bound(function, ..)
                if !context.program.function(function).is_async =>
            {
                if let Some(mut names) = given_away(context, function, depth) {
                    names.insert(0, context.program.qualified_name(function));
                    return Some(names);
                }
            }
            _ => {}
        }
    }
    None
}

/// `ensure_future` of what may be a task already makes none.
fn gets_a_coroutine(context: &mut Context<'_>, file: FileId, arguments: &[Argument]) -> bool {
    let Some(given) = arguments.first() else { return false };
    let is_call = matches!(context.program.expr(file, given.value), Expr::Call(..));
    let set = context.program.eval(file, given.value);
    // What comes from outside may be a task or future as well.
    let is_outside = |value: &ValueId| matches!(context.program.values.get(*value), Value::External(_));
    is_call || (set != EMPTY && !context.program.values.members(set).iter().any(is_outside))
}

/// Whether a function returns a task that it does not keep.
fn given_away(context: &mut Context<'_>, function: FnId, depth: u32) -> Option<Vec<String>> {
    if !context.program.may_give_what_is_outside(function) {
        return None;
    }
    let home = context.program.file_of(function);
    let mut names = None;
    for (returned, _) in context.program.ask_returns(function) {
        let fresh =
            own_call(context, (home, function), returned).and_then(|call| fresh_task(context, home, call, depth + 1));
        let mut may_be_kept = || context.program.eval(home, returned) == EMPTY || is_task(context, home, returned);
        if fresh.is_none() && may_be_kept() {
            return None;
        }
        names = fresh.or(names);
    }
    names
}

/// The call that made what is returned, if nobody else got it meanwhile.
fn own_call(context: &Context<'_>, (home, function): (FileId, FnId), returned: ExprId) -> Option<ExprId> {
    let facts = &context.program.file(home).facts;
    match &facts.exprs[returned] {
        Expr::Call(..) => Some(returned),
        Expr::Local(bindings) => {
            let [binding] = **bindings else { return None };
            let kept = |used: ExprId| used != returned && !keeps_nothing(facts, used);
            let BindingKind::Value(value) = facts.bindings[binding].kind else { return None };
            if matches!(facts.exprs[value], Expr::Call(..)) {
                // What it does with that matters.
                context.program.ask_events(function);
            }
            let is_own = !uses_of(facts, binding).any(kept) && !facts.is_seen_outside(binding);
            is_own.then_some(value)
        }
        _ => None,
    }
}

fn is_task(context: &mut Context<'_>, file: FileId, expr: ExprId) -> bool {
    let set = context.program.eval(file, expr);
    context.program.values.members(set).iter().any(|value| match context.program.values.get(*value) {
        Value::External(path) => context.program.values.path_text(*path) == "asyncio.Task()",
        _ => false,
    })
}

fn coroutine_name(context: &mut Context<'_>, file: FileId, expr: ExprId) -> Option<String> {
    let set = context.program.eval(file, expr);
    context.program.values.members(set).iter().find_map(|value| match context.program.values.get(*value) {
        Value::Coroutine(function, _) => Some(context.program.qualified_name(*function)),
        _ => None,
    })
}

const DEEPEST: u32 = 4;
