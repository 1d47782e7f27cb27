//! Awaits while a lock of `threading` is held.

use super::{Context, Rule, Severity};
use crate::facts::{ArgumentKind, Condition, Constant, Event, EventKind, Expr, ExprId, GuardId};
use crate::link::values::{FileId, FnId, Value};

/// `SL011`
pub(super) const RULE: Rule = Rule {
    code: "SL011",
    name: "await-under-sync-lock",
    severity: Severity::Error,
    summary: "a coroutine awaits while it holds a lock of threading",
    documentation: "\
## What it does
Finds the first `await` within `with lock:`, or between `lock.acquire()` and `lock.release()`, where the lock is one of `threading` or
`multiprocessing`; also where a context manager of the program's own holds the lock.

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

/// A lock that was acquired, under a condition.
struct Held {
    key: String,
    guard: GuardId,
    /// An await was found already.
    is_said: bool,
}

fn look(context: &mut Context<'_>, function: FnId) {
    let file = context.program.file_of(function);
    let events = context.program.events(function);
    let mut held: Vec<Held> = Vec::new();
    let mut entered: Vec<ExprId> = Vec::new();
    for event in events.iter().copied() {
        match event.kind {
            EventKind::Call(_) => {
                if let Some((key, is_held)) = lock_call(context, file, event.expr) {
                    held.retain(|known| known.key != key);
                    if is_held {
                        held.push(Held { key, guard: event.guard, is_said: false });
                    }
                }
            }
            EventKind::Await | EventKind::AsyncEnter | EventKind::AsyncIterate => {
                let mut is_new = false;
                let facts = &context.program.file(file).facts;
                for lock in held.iter_mut().filter(|lock| facts.is_under(event.guard, lock.guard)) {
                    is_new |= !std::mem::replace(&mut lock.is_said, true);
                }
                for manager in managers(context, file, &event) {
                    if !entered.contains(&manager) && holds_lock(context, file, manager) {
                        entered.push(manager);
                        is_new = true;
                    }
                }
                if is_new {
                    let span = context.program.file(file).facts.span(event.expr);
                    tell(context, function, span);
                }
            }
            _ => {}
        }
    }
}

fn tell(context: &mut Context<'_>, function: FnId, span: crate::facts::Span) {
    let message = "this awaits while a lock of `threading` is held: a task that wants the lock stops the loop for ever"
        .to_owned();
    context.report(&RULE, function, span, message, "`asyncio.Lock` with `async with`, or release the lock first", &[]);
}

/// The context managers of `with` around an event.
fn managers(context: &Context<'_>, file: FileId, event: &Event) -> Vec<ExprId> {
    let conditions = context.program.file(file).facts.conditions(event.guard);
    conditions
        .filter_map(|condition| if let Condition::Within(manager) = condition { Some(manager) } else { None })
        .collect()
}

/// `lock.acquire()` or `lock.release()`: which lock, and whether it is held from there on.
fn lock_call(context: &mut Context<'_>, file: FileId, call: ExprId) -> Option<(String, bool)> {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return None };
    let Expr::Attribute(object, name) = *context.program.expr(file, callee) else { return None };
    let name = context.program.file(file).facts.name(name).to_owned();
    if !matches!(name.as_str(), "acquire" | "release") || !context.program.is_thread_lock(file, object) {
        return None;
    }
    // One that does not wait for the lock stops no loop.
    let facts = &context.program.file(file).facts;
    let Expr::Call(_, arguments) = &facts.exprs[call] else { return None };
    let waits = !arguments.iter().any(|argument| {
        let is_flag = match argument.kind {
            ArgumentKind::Positional => true,
            ArgumentKind::Keyword(name) => matches!(facts.name(name), "blocking" | "block" | "timeout"),
            _ => false,
        };
        is_flag && matches!(facts.exprs[argument.value], Expr::Constant(Constant::False | Constant::Zero))
    });
    Some((key_of(context, file, object), name == "acquire" && waits))
}

/// A lock, or a context manager that yields while it holds one.
fn holds_lock(context: &mut Context<'_>, file: FileId, manager: ExprId) -> bool {
    if context.program.is_thread_lock(file, manager) {
        return true;
    }
    let set = context.program.eval(file, manager);
    for value in context.program.values.shared(set).iter().copied() {
        let Value::Manager(inner) = *context.program.values.get(value) else { continue };
        let Value::Generator(generator, _) = *context.program.values.get(inner) else { continue };
        let home = context.program.file_of(generator);
        for (_, guard) in context.program.function(generator).yields.clone() {
            let conditions: Vec<Condition> = context.program.file(home).facts.conditions(guard).collect();
            let within = conditions.into_iter().any(|condition| {
                matches!(condition, Condition::Within(manager) if context.program.is_thread_lock(home, manager))
            });
            if within {
                return true;
            }
        }
    }
    false
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
