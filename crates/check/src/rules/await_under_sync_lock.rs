//! Awaits while a lock of `threading` is held.

use super::{Context, Rule, Severity};
use crate::facts::{Condition, Event, EventKind, Expr, ExprId};
use crate::link::values::{FileId, FnId};

/// `SL011`
pub(super) const RULE: Rule = Rule {
    code: "SL011",
    name: "await-under-sync-lock",
    severity: Severity::Error,
    summary: "a coroutine awaits while it holds a lock of threading",
    documentation: "\
## What it does
Finds `await` within `with lock:`, or between `lock.acquire()` and `lock.release()`, where the lock is one of `threading` or `multiprocessing`.

## Why is this bad?
Another task of the loop that wants the lock blocks the loop's thread, and the holder never gets to release it: a deadlock.

## Example
```python
async def add(item):
    with lock:
        await store(item)
```

## Use instead
```python
async def add(item):
    async with async_lock:
        await store(item)
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for function in context.program.functions() {
        if context.program.function(function).is_async {
            look(context, function);
        }
    }
}

fn look(context: &mut Context<'_>, function: FnId) {
    let file = context.program.file_of(function);
    let events: Vec<Event> = context.program.function(function).events.clone();
    let mut held: Vec<String> = Vec::new();
    for event in events {
        match event.kind {
            EventKind::Call(_) => {
                let Expr::Call(callee, _) = *context.program.expr(file, event.expr) else { continue };
                let Expr::Attribute(object, name) = *context.program.expr(file, callee) else { continue };
                let name = context.program.file(file).facts.name(name).to_owned();
                if !matches!(name.as_str(), "acquire" | "release") || !context.program.is_thread_lock(file, object) {
                    continue;
                }
                let key = key_of(context, file, object);
                held.retain(|known| *known != key);
                if name == "acquire" {
                    held.push(key);
                }
            }
            EventKind::Await | EventKind::AsyncEnter | EventKind::AsyncIterate => {
                let conditions: Vec<Condition> = context.program.file(file).facts.conditions(event.guard).collect();
                let within = conditions.iter().any(|condition| match condition {
                    Condition::Within(manager) => context.program.is_thread_lock(file, *manager),
                    _ => false,
                });
                if within || !held.is_empty() {
                    let span = context.program.file(file).facts.span(event.expr);
                    let message = "this awaits while a lock of `threading` is held: a task that wants the lock stops the loop for ever".to_owned();
                    context.report(
                        &RULE,
                        function,
                        span,
                        message,
                        "`asyncio.Lock` with `async with`, or release the lock first",
                        &[],
                    );
                }
            }
            _ => {}
        }
    }
}

/// The expression of the lock, as a text that is the same for the same names.
fn key_of(context: &Context<'_>, file: FileId, expr: ExprId) -> String {
    let facts = &context.program.file(file).facts;
    match &facts.exprs[expr] {
        Expr::Attribute(object, name) => format!("{}.{}", key_of(context, file, *object), facts.name(*name)),
        Expr::Free(_, name) | Expr::Global(name) => facts.name(*name).to_owned(),
        Expr::Local(bindings) => format!("{bindings:?}"),
        _ => "?".to_owned(),
    }
}
