//! Handlers that keep a cancellation for themselves.

use super::{Context, Rule, Severity};
use crate::facts::{Condition, EventKind, Expr, ExprId, Handler, Span};
use crate::link::values::{FileId, FnId, Value};
use rustc_hash::FxHashSet;

/// `SL010`
pub(super) const RULE: Rule = Rule {
    code: "SL010",
    name: "swallowed-cancellation",
    severity: Severity::Warning,
    summary: "a handler catches CancelledError and does not raise it again",
    documentation: "\
## What it does
Finds handlers in coroutine functions around an `await` that catch `asyncio.CancelledError`, `BaseException` or everything, and do not raise it
again. A coroutine that has cancelled a task and waits for its end may catch it.

## Why is this bad?
The task goes on as if nothing had happened: timeouts, task groups and shutdown hang.

## Example
```python
async def poll():
    while True:
        try:
            await step()
        except BaseException:
            log.exception(\"step\")
```

## Use instead
```python
        except Exception:
            log.exception(\"step\")
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for index in 0..context.program.files.len() {
        let file = FileId(index as u32);
        let handlers = context.program.file(file).facts.handlers.clone();
        for handler in handlers {
            if handler.raises || !handler.awaits {
                continue;
            }
            let function = context.program.global_fn(file, handler.function);
            if let Some(what) = caught(context, file, &handler)
                && !has_cancelled(context, file, function, handler.span.start)
            {
                let message = format!(
                    "this handler catches {what} and does not raise it again: the task cannot be cancelled here"
                );
                context.report(&RULE, function, handler.span, message, "catch `Exception`, or `raise` at the end", &[]);
            }
        }
    }
    suppressed(context);
}

/// What the handler catches that it must not.
fn caught(context: &mut Context<'_>, file: FileId, handler: &Handler) -> Option<&'static str> {
    for earlier in &handler.earlier {
        if matches!(class(context, file, *earlier).as_deref(), Some("asyncio.CancelledError" | "BaseException")) {
            return None;
        }
    }
    if handler.types.is_empty() {
        return Some("everything");
    }
    for kind in &handler.types {
        match class(context, file, *kind).as_deref() {
            Some("BaseException") => return Some("`BaseException`"),
            Some("asyncio.CancelledError") => return Some("`asyncio.CancelledError`"),
            _ => {}
        }
    }
    None
}

fn class(context: &mut Context<'_>, file: FileId, expr: ExprId) -> Option<String> {
    let set = context.program.eval(file, expr);
    let [one] = context.program.values.members(set) else { return None };
    match context.program.values.get(*one) {
        Value::External(path) => {
            let path = context.program.values.path_text(*path);
            let is_same = matches!(path, "concurrent.futures.CancelledError" | "anyio.get_cancelled_exc_class()");
            Some(if is_same { "asyncio.CancelledError".to_owned() } else { path.to_owned() })
        }
        _ => None,
    }
}

/// Whether the function has cancelled something before.
fn has_cancelled(context: &Context<'_>, file: FileId, function: FnId, before: u32) -> bool {
    let facts = &context.program.file(file).facts;
    context.program.function(function).events.iter().any(|event| {
        let (EventKind::Call(_), Expr::Call(callee, _)) = (event.kind, &facts.exprs[event.expr]) else { return false };
        let is_cancel =
            matches!(&facts.exprs[*callee], Expr::Attribute(_, name) if facts.name(*name).contains("cancel"));
        is_cancel && facts.span(event.expr).start < before
    })
}

/// `with contextlib.suppress(asyncio.CancelledError): await ...`
fn suppressed(context: &mut Context<'_>) {
    let mut seen: FxHashSet<(FnId, Span)> = FxHashSet::default();
    for function in context.program.functions() {
        if !context.program.function(function).is_async {
            continue;
        }
        let file = context.program.file_of(function);
        let events = context.program.function(function).events.clone();
        for event in events {
            if !matches!(event.kind, EventKind::Await | EventKind::AsyncEnter | EventKind::AsyncIterate) {
                continue;
            }
            let conditions: Vec<Condition> = context.program.file(file).facts.conditions(event.guard).collect();
            for condition in conditions {
                let Condition::Within(manager) = condition else { continue };
                let Expr::Call(callee, arguments) = context.program.expr(file, manager).clone() else { continue };
                if class(context, file, callee).as_deref() != Some("contextlib.suppress") {
                    continue;
                }
                let catches = arguments.iter().any(|argument| {
                    matches!(
                        class(context, file, argument.value).as_deref(),
                        Some("asyncio.CancelledError" | "BaseException")
                    )
                });
                let span = context.program.file(file).facts.span(manager);
                if catches && !has_cancelled(context, file, function, span.start) && seen.insert((function, span)) {
                    let message =
                        "this suppresses `asyncio.CancelledError`: the task cannot be cancelled here".to_owned();
                    context.report(&RULE, function, span, message, "let it pass", &[]);
                }
            }
        }
    }
}
