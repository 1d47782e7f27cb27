//! Handlers that keep a cancellation for themselves.

use super::{Context, Rule, Severity};
use crate::facts::{BindingId, BindingKind, Condition, Event, EventKind, Expr, ExprId, Facts, Handler, Span, Use};
use crate::link::values::{FileId, FnId, SetId, Value};
use rustc_hash::FxHashSet;

/// `SL010`
pub(super) const RULE: Rule = Rule {
    code: "SL010",
    name: "swallowed-cancellation",
    severity: Severity::Warning,
    summary: "a handler catches CancelledError and does not raise it again",
    documentation: "\
## What it does
Finds handlers in coroutine functions, but those of tests, around an `await` that catch `asyncio.CancelledError`, `BaseException` or everything, and do not raise it
again; and a `return`, `break` or `continue` in a `finally`. A coroutine that has cancelled a task and waits for its end may catch it.

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
    for file in context.files() {
        let handlers = context.program.file(file).facts.handlers.clone();
        for handler in handlers {
            if handler.raises || !handler.awaits || context.program.file(file).is_test {
                continue;
            }
            let function = context.program.global_fn(file, handler.function);
            let Some(what) = caught(context, file, &handler) else { continue };
            if has_cancelled(context, file, function, handler.span.start) || ends_otherwise(context, function, &handler)
            {
                continue;
            }
            let (message, help) = if handler.is_finally {
                (
                    "this leaves a `finally`, and ends a cancellation: the task cannot be cancelled here".to_owned(),
                    "leave after the `finally`",
                )
            } else {
                let message = format!(
                    "this handler catches {what} and does not raise it again: the task cannot be cancelled here"
                );
                (message, "catch `Exception`, or `raise` at the end")
            };
            context.report(&RULE, function, handler.span, message, help, &[]);
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
        for class in classes(context, file, *kind) {
            match class.as_str() {
                "BaseException" => return Some("`BaseException`"),
                "asyncio.CancelledError" => return Some("`asyncio.CancelledError`"),
                _ => {}
            }
        }
    }
    None
}

/// A class, or those of a tuple that has a name.
fn classes(context: &mut Context<'_>, file: FileId, expr: ExprId) -> Vec<String> {
    let set = context.program.eval(file, expr);
    let parts: Vec<SetId> = match context.program.values.members(set) {
        [one] => match context.program.values.get(*one) {
            Value::Sequence(parts) => parts.to_vec(),
            _ => vec![set],
        },
        _ => return Vec::new(),
    };
    parts.into_iter().filter_map(|part| class_of(context, part)).collect()
}

fn class(context: &mut Context<'_>, file: FileId, expr: ExprId) -> Option<String> {
    let set = context.program.eval(file, expr);
    class_of(context, set)
}

fn class_of(context: &Context<'_>, set: SetId) -> Option<String> {
    let [one] = context.program.values.members(set) else { return None };
    match context.program.values.get(*one) {
        Value::External(path) => {
            let path = context.program.values.path_text(*path);
            // That of `concurrent.futures` is another class, an `Exception`.
            let is_same = path == "anyio.get_cancelled_exc_class()";
            Some(if is_same { "asyncio.CancelledError".to_owned() } else { path.to_owned() })
        }
        _ => None,
    }
}

/// A handler that ends in something that raises, ends the program, or says to asyncio that it has dealt with the cancellation.
fn ends_otherwise(context: &mut Context<'_>, function: FnId, handler: &Handler) -> bool {
    let file = context.program.file_of(function);
    if is_raised_later(&context.program.file(file).facts, handler) {
        return true;
    }
    let events = context.program.events(function);
    events.iter().filter(|event| handler.span.contains(event.span)).any(|event| {
        let Expr::Call(callee, _) = *context.program.expr(file, event.expr) else { return false };
        if let Expr::Attribute(_, name) = *context.program.expr(file, callee)
            && context.program.file(file).facts.name(name) == "uncancel"
        {
            return true;
        }
        if is_in_any_case(&context.program.file(file).facts, handler, event)
            && context.program.never_returns(file, callee, event.kind == EventKind::Call(Use::Awaited))
        {
            return true;
        }
        let path = context.program.external_path_of(file, callee);
        path.is_some_and(|path| {
            matches!(context.program.values.path_text(path), "sys.exit" | "os._exit" | "exit" | "quit" | "os.abort")
        })
    })
}

/// Whether something is done in a handler whatever happens: a statement of its own, in no loop and no handler within.
fn is_in_any_case(facts: &Facts, handler: &Handler, event: &Event) -> bool {
    let is_between = |span: Span| span != handler.span && handler.span.contains(span) && span.contains(event.span);
    matches!(event.kind, EventKind::Call(Use::Awaited | Use::Discarded))
        && facts.conditions(event.guard).next() == Some(Condition::Caught)
        && !facts.loops.iter().any(|span| is_between(*span))
        && !facts.handlers.iter().any(|inner| is_between(inner.span))
}

/// `except BaseException as error: kept = error`, and then `raise kept`
fn is_raised_later(facts: &Facts, handler: &Handler) -> bool {
    let is_it = |expr: ExprId| is_what_was_caught(facts, handler, expr, LONGEST);
    // `errors.append(error)`
    let function = &facts.functions[handler.function];
    let collected = function.events.iter().filter_map(|event| {
        let Expr::Call(callee, arguments) = &facts.exprs[event.expr] else { return None };
        let Expr::Attribute(object, _) = facts.exprs[*callee] else { return None };
        let Expr::Local(bindings) = &facts.exprs[object] else { return None };
        // A module keeps nothing: `logging.info(error)`.
        let is_module = |binding: &BindingId| matches!(facts.bindings[*binding].kind, BindingKind::Import { .. });
        if bindings.iter().any(is_module) {
            return None;
        }
        arguments.iter().any(|argument| is_it(argument.value)).then_some(&**bindings)
    });
    let collected: Vec<&[BindingId]> = collected.collect();
    let has_it = |binding: &BindingId| {
        is_caught(facts, handler, *binding)
            || matches!(facts.bindings[*binding].kind, BindingKind::Value(value) if is_it(value))
            || collected.iter().any(|known| known.contains(binding))
    };
    function.raised.iter().any(|raised| facts.mentions(*raised, &has_it))
}

fn is_caught(facts: &Facts, handler: &Handler, binding: BindingId) -> bool {
    let binding = &facts.bindings[binding];
    matches!(binding.kind, BindingKind::Raised(_)) && handler.span.contains(binding.span)
}

/// The handler's error: by its own name, by one behind a question for its class, or by another one.
fn is_what_was_caught(facts: &Facts, handler: &Handler, expr: ExprId, longest: usize) -> bool {
    let Some(rest) = longest.checked_sub(1) else { return false };
    match &facts.exprs[expr] {
        Expr::Narrowed { value, .. } => is_what_was_caught(facts, handler, *value, rest),
        Expr::Local(bindings) => bindings.iter().any(|binding| {
            let other = match facts.bindings[*binding].kind {
                BindingKind::Value(value) => Some(value),
                _ => None,
            };
            is_caught(facts, handler, *binding)
                || other.is_some_and(|other| is_what_was_caught(facts, handler, other, rest))
        }),
        _ => false,
    }
}

/// Whether a name says that something is cancelled.
pub(crate) fn is_to_cancel(name: &str) -> bool {
    name.contains("cancel")
}

/// Whether the function has cancelled something before.
fn has_cancelled(context: &Context<'_>, file: FileId, function: FnId, before: u32) -> bool {
    let facts = &context.program.file(file).facts;
    let is_cancel =
        |expr: ExprId| matches!(facts.exprs[expr], Expr::Attribute(_, name) if is_to_cancel(facts.name(name)));
    // By itself, or by a function within: `call_later(1, task.cancel)`
    let within = facts.functions.iter().filter(|(id, _)| {
        let inner = context.program.global_fn(file, *id);
        context.program.is_within(inner, function)
    });
    let mut events = within.flat_map(|(_, inner)| &inner.events).filter(|event| event.span.start < before);
    events.any(|event| match (event.kind, &facts.exprs[event.expr]) {
        (EventKind::Call(_), Expr::Call(callee, _)) => is_cancel(*callee),
        (EventKind::Read, _) => is_cancel(event.expr),
        _ => false,
    })
}

/// `with contextlib.suppress(asyncio.CancelledError): await ...`
fn suppressed(context: &mut Context<'_>) {
    let mut seen: FxHashSet<(FnId, Span)> = FxHashSet::default();
    for function in context.functions() {
        let file = context.program.file_of(function);
        if !context.program.function(function).is_async || context.program.file(file).is_test {
            continue;
        }
        let events = context.program.events(function);
        for event in events.iter().copied() {
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

/// How many names an error may have, one after the other.
const LONGEST: usize = 4;
