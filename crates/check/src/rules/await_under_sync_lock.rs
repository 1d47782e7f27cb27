//! Awaits while a lock of `threading` is held.

use super::{Context, Rule, Severity};
use crate::facts::{ArgumentKind, Condition, Constant, Event, EventKind, Expr, ExprId, GuardId, Span};
use crate::link::values::{EnvId, FileId, FnId, NO_ENV, Value, ValueId};

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
Another task of the loop that wants the lock blocks the loop's thread, and the holder never gets to release it: a deadlock. An `RLock` it gets,
as it is the same thread: then both are inside.

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
    for function in context.functions() {
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
                if let Some((key, is_held)) = lock_call(context, file, event.expr, NO_ENV) {
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
                    tell(context, function, event.span);
                }
            }
            _ => {}
        }
    }
}

fn tell(context: &mut Context<'_>, function: FnId, span: Span) {
    let message = "this awaits while a lock of `threading` is held: a task that wants the lock stops the loop for ever, or, if that is an \
        `RLock`, gets it as well"
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
fn lock_call(context: &mut Context<'_>, file: FileId, call: ExprId, env: EnvId) -> Option<(String, bool)> {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return None };
    let Expr::Attribute(object, name) = *context.program.expr(file, callee) else { return None };
    let name = context.program.file(file).facts.name(name);
    let acquires = matches!(name, "acquire" | "__enter__");
    if !(acquires || matches!(name, "release" | "__exit__")) || !is_lock(context, file, object, env) {
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
    Some((key_of(context, file, object), acquires && waits))
}

/// A lock, or a context manager that holds one: a generator function that yields meanwhile, or an object whose `__enter__` leaves it so.
fn holds_lock(context: &mut Context<'_>, file: FileId, manager: ExprId) -> bool {
    if is_lock(context, file, manager, NO_ENV) {
        return true;
    }
    let set = context.program.eval(file, manager);
    for value in context.program.values.shared(set).iter().copied() {
        let is_one = match *context.program.values.get(value) {
            Value::Manager(inner) => match *context.program.values.get(inner) {
                Value::Generator(generator, env) => yields_with_lock(context, generator, env),
                _ => false,
            },
            Value::Instance { .. } => keeps_lock(context, value),
            _ => false,
        };
        if is_one {
            return true;
        }
    }
    false
}

/// Whether an expression is a lock, where parameters are these.
fn is_lock(context: &mut Context<'_>, file: FileId, expr: ExprId, env: EnvId) -> bool {
    let set = context.program.eval(file, expr);
    let set = context.program.fill(set, env);
    context.program.is_thread_lock(set)
}

fn yields_with_lock(context: &mut Context<'_>, generator: FnId, env: EnvId) -> bool {
    let home = context.program.file_of(generator);
    context.program.ask_events(generator);
    for (value, guard) in context.program.function(generator).yields.clone() {
        let facts = &context.program.file(home).facts;
        let (conditions, place): (Vec<Condition>, Span) = (facts.conditions(guard).collect(), facts.span(value));
        let within = conditions
            .into_iter()
            .any(|condition| matches!(condition, Condition::Within(manager) if is_lock(context, home, manager, env)));
        if within || leaves_held(context, generator, env, place.start) {
            return true;
        }
    }
    false
}

fn keeps_lock(context: &mut Context<'_>, manager: ValueId) -> bool {
    let Some(enter) = context.program.values.known_symbol("__enter__") else { return false };
    let methods = context.program.attribute(manager, enter);
    for method in context.program.values.shared(methods).iter().copied() {
        if let Value::Bound(method, env, _) = *context.program.values.get(method)
            && leaves_held(context, method, env, u32::MAX)
        {
            return true;
        }
    }
    false
}

/// Whether a function has acquired a lock, and not released it, when it comes to that place of its text.
fn leaves_held(context: &mut Context<'_>, function: FnId, env: EnvId, place: u32) -> bool {
    let file = context.program.file_of(function);
    let mut held: Vec<String> = Vec::new();
    for event in context.program.ask_events(function).iter().filter(|event| event.span.end <= place) {
        if matches!(event.kind, EventKind::Call(_))
            && let Some((key, is_held)) = lock_call(context, file, event.expr, env)
        {
            held.retain(|known| *known != key);
            held.extend(is_held.then_some(key));
        }
    }
    !held.is_empty()
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
