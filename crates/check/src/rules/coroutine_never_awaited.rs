//! Coroutines that are made and dropped.

use super::{Context, Rule, Severity, last_part};
use crate::facts::{EventKind, Expr, ExprId, Span, Use};
use crate::link::values::{EMPTY, FileId, FnId, SetId, Value};
use rustc_hash::FxHashSet;

/// `SL005`
pub(super) const RULE: Rule = Rule {
    code: "SL005",
    name: "coroutine-never-awaited",
    severity: Severity::Error,
    summary: "a coroutine is made, and nobody awaits it",
    documentation: "\
## What it does
Finds calls of coroutine functions whose value is dropped, never used, or taken for a truth; and coroutine functions that are handed to what
calls them as plain functions (`call_later`, `add_done_callback`, threads).

## Why is this bad?
The body never runs.

## Example
```python
async def main():
    save()
```

## Use instead
```python
async def main():
    await save()
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    let mut seen: FxHashSet<(FnId, Span)> = FxHashSet::default();
    for function in context.program.functions() {
        let file = context.program.file_of(function);
        let events = context.program.function(function).events.clone();
        for event in events {
            let EventKind::Call(becomes) = event.kind else { continue };
            let is_dropped = match becomes {
                Use::Discarded => true,
                Use::Bound(binding) => {
                    let binding = &context.program.file(file).facts.bindings[binding];
                    !binding.is_used && !is_module_level(context, function)
                }
                Use::Awaited | Use::Entered | Use::Other => false,
            };
            if !is_dropped {
                continue;
            }
            let set = context.program.eval(file, event.expr);
            let callee = coroutine(context, set)
                .filter(|_| is_certain(context, file, event.expr))
                .or_else(|| outside(context, function, event.expr));
            if let Some(name) = callee {
                let span = context.program.file(file).facts.span(event.expr);
                if seen.insert((function, span)) {
                    let message = format!(
                        "the coroutine that `{}` gives is never awaited: its body does not run",
                        last_part(&name)
                    );
                    context.report(
                        &RULE,
                        function,
                        span,
                        message,
                        "`await` it, or make it a task and keep that",
                        &[name],
                    );
                }
            }
        }
        truths(context, function, &mut seen);
    }
    handed_on(context);
}

fn is_module_level(context: &Context<'_>, function: FnId) -> bool {
    context.program.function(function).at.end == 0
}

/// Whether all that the call may return is known.
fn is_certain(context: &mut Context<'_>, file: FileId, call: ExprId) -> bool {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return false };
    let callees = context.program.eval(file, callee);
    for value in context.program.values.members(callees).to_vec() {
        let (Value::Function(function, _) | Value::Bound(function, ..)) = *context.program.values.get(value) else {
            continue;
        };
        if context.program.function(function).is_async {
            continue;
        }
        let home = context.program.file_of(function);
        for (returned, _) in context.program.function(function).returns.clone() {
            if context.program.eval(home, returned) == EMPTY {
                return false;
            }
        }
    }
    true
}

/// The coroutine function, if all that the value may be are coroutines.
fn coroutine(context: &Context<'_>, set: SetId) -> Option<String> {
    let mut name = None;
    for value in context.program.values.members(set) {
        match context.program.values.get(*value) {
            Value::Coroutine(function, _) => name = Some(context.program.qualified_name(*function)),
            _ => return None,
        }
    }
    name
}

/// A coroutine function of the standard library.
fn outside(context: &mut Context<'_>, function: FnId, expr: ExprId) -> Option<String> {
    let file = context.program.file_of(function);
    let Expr::Call(callee, _) = *context.program.expr(file, expr) else { return None };
    let callees = context.program.eval(file, callee);
    let [one] = context.program.values.members(callees) else { return None };
    let Value::External(path) = context.program.values.get(*one) else { return None };
    let path = context.program.values.path_text(*path);
    COROUTINES.contains(&path).then(|| path.replace("()", ""))
}

/// `if coroutine():` is always true.
fn truths(context: &mut Context<'_>, function: FnId, seen: &mut FxHashSet<(FnId, Span)>) {
    let file = context.program.file_of(function);
    let events = context.program.function(function).events.clone();
    for event in events.into_iter().filter(|event| event.kind == EventKind::Test) {
        let set = context.program.eval(file, event.expr);
        if let Some(name) = coroutine(context, set)
            && seen.insert((function, event.span))
        {
            let message =
                format!("the coroutine that `{}` gives is taken for a truth, and never awaited", last_part(&name));
            context.report(&RULE, function, event.span, message, "`await` it", &[name]);
        }
    }
}

/// Coroutine functions for those who call plain functions.
fn handed_on(context: &mut Context<'_>) {
    let mut all = Vec::new();
    for scheduled in &context.graph.scheduled {
        let by = context.program.values.path_text(scheduled.by).to_owned();
        let takes_coroutines = by.contains("start_server") || by.contains("start_unix_server");
        let callee = context.program.function(scheduled.callee);
        if callee.is_async && !callee.is_generator && !takes_coroutines {
            all.push((scheduled.caller, scheduled.site.span, by, scheduled.callee));
        }
    }
    all.dedup();
    for (caller, span, by, callee) in all {
        let name = context.program.qualified_name(callee);
        let message = format!(
            "`{}` calls `{}` as a plain function: the coroutine that it gives is never awaited",
            last_part(&by),
            last_part(&name)
        );
        context.report(
            &RULE,
            caller,
            span,
            message,
            "hand over a function that makes a task of the coroutine",
            &[name],
        );
    }
}

const COROUTINES: &[&str] = &[
    "asyncio.sleep",
    "asyncio.wait",
    "asyncio.wait_for",
    "asyncio.to_thread",
    "asyncio.open_connection",
    "asyncio.start_server",
    "asyncio.open_unix_connection",
    "asyncio.start_unix_server",
    "asyncio.create_subprocess_exec",
    "asyncio.create_subprocess_shell",
    "asyncio.Queue().get",
    "asyncio.Queue().put",
    "asyncio.Queue().join",
    "asyncio.Lock().acquire",
    "asyncio.Semaphore().acquire",
    "asyncio.Event().wait",
    "asyncio.Condition().wait",
    "asyncio.Condition().wait_for",
    "asyncio.Condition().acquire",
    "asyncio.Barrier().wait",
    "anyio.sleep",
    "trio.sleep",
];
