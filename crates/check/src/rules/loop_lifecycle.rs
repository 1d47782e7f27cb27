//! Loops and runners that are used after their end, or never closed.

use super::{Context, Rule, Severity};
use crate::facts::{
    ArgumentKind, BindingId, BindingKind, Condition, Event, EventKind, Expr, ExprId, Facts, FunctionId, GuardId, Span,
};
use crate::link::values::{FileId, FnId};

/// `SL012`
pub(super) const RULE: Rule = Rule {
    code: "SL012",
    name: "loop-lifecycle",
    severity: Severity::Warning,
    summary: "an event loop is used after it was closed, or never closed",
    documentation: "\
## What it does
Finds calls of a loop, or of an `asyncio.Runner`, after its `close()` or its `with`; those that a function makes, keeps for itself and does not
close; and `close()` of the loop that is running.

## Why is this bad?
A closed loop raises \"Event loop is closed\". One that is not closed keeps its descriptors and threads.

## Example
```python
def main():
    loop = asyncio.new_event_loop()
    loop.run_until_complete(work())
```

## Use instead
```python
def main():
    asyncio.run(work())
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for function in context.functions() {
        let file = context.program.file_of(function);
        let events = context.program.events(function);
        let mut closed: Vec<Closed> = Vec::new();
        for event in events.iter().copied() {
            if !matches!(event.kind, EventKind::Call(_)) {
                continue;
            }
            if let Some(kind) = made(context, file, event.expr) {
                // A field may have it.
                closed.retain(|known| matches!(known.key, Key::Name(_)));
                if is_left_open(context, file, function, &event, kind) {
                    tell(context, function, event.span, kind.never_closed());
                }
            } else if let Some(call) = method_of_loop(context, file, &event) {
                step(context, function, &event, call, &mut closed);
            } else if is_own_method(context, file, event.expr) {
                closed.retain(|known| matches!(known.key, Key::Name(_)));
            }
        }
    }
}

/// What is told: what is wrong, and what to do.
type Story = (&'static str, &'static str);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Loop,
    Runner,
}

impl Kind {
    const fn never_closed(self) -> Story {
        match self {
            Self::Loop => ("this loop is never closed", "`asyncio.run(...)`, or `loop.close()` in a `finally`"),
            Self::Runner => ("this runner is never closed", "`with asyncio.Runner() as runner:`"),
        }
    }
}

/// By what a function knows a loop.
#[derive(Clone, PartialEq, Eq)]
enum Key {
    Name(BindingId),
    Field(String),
}

/// A loop that is closed from somewhere on, under a condition.
struct Closed {
    key: Key,
    guard: GuardId,
    end: u32,
}

/// A method call of a loop or runner.
struct MethodCall {
    object: ExprId,
    method: String,
    key: Option<Key>,
}

fn tell(context: &mut Context<'_>, function: FnId, span: Span, (message, help): Story) {
    context.report(&RULE, function, span, message.to_owned(), help, &[]);
}

/// What a method call does to the loops that are closed, or says of them.
fn step(context: &mut Context<'_>, function: FnId, event: &Event, call: MethodCall, closed: &mut Vec<Closed>) {
    let file = context.program.file_of(function);
    if call.method == "close" {
        if is_running(context, function, call.object) {
            tell(
                context,
                function,
                event.span,
                ("this loop is running: it cannot be closed here", "`asyncio.run(...)` closes it"),
            );
        } else if let Some(key) = call.key {
            closed.push(Closed { key, guard: event.guard, end: event.span.end });
        }
        return;
    }
    if !USES.contains(&call.method.as_str()) {
        return;
    }
    let facts = &context.program.file(file).facts;
    let is_over = closed.iter().any(|known| {
        Some(&known.key) == call.key.as_ref()
            && event.span.start >= known.end
            && facts.is_under(event.guard, known.guard)
    });
    if is_over || is_after_its_with(facts, call.object, event) {
        tell(
            context,
            function,
            event.span,
            ("this loop is closed already", "`asyncio.run(...)`, or close the loop at the very end"),
        );
    }
}

/// A method call of something that is a loop or a runner.
fn method_of_loop(context: &mut Context<'_>, file: FileId, event: &Event) -> Option<MethodCall> {
    let Expr::Call(callee, _) = *context.program.expr(file, event.expr) else { return None };
    let Expr::Attribute(object, name) = *context.program.expr(file, callee) else { return None };
    let method = context.program.file(file).facts.name(name);
    if method != "close" && !USES.contains(&method) {
        return None;
    }
    let method = method.to_owned();
    let path = context.program.external_path_of(file, object)?;
    let is_one = matches!(
        context.program.values.path_text(path),
        "asyncio.AbstractEventLoop()" | "asyncio.CurrentLoop()" | "asyncio.RunningLoop()" | "asyncio.Runner()"
    );
    is_one.then(|| MethodCall { object, method, key: key_of(&context.program.file(file).facts, object) })
}

fn key_of(facts: &Facts, object: ExprId) -> Option<Key> {
    match &facts.exprs[object] {
        Expr::Local(bindings) => match **bindings {
            [binding] => Some(Key::Name(binding)),
            _ => None,
        },
        Expr::Attribute(owner, name) => match &facts.exprs[*owner] {
            Expr::Local(bindings) => Some(Key::Field(format!("{bindings:?}.{}", facts.name(*name)))),
            _ => None,
        },
        _ => None,
    }
}

/// `self.reset()` may change the fields.
fn is_own_method(context: &Context<'_>, file: FileId, call: ExprId) -> bool {
    let facts = &context.program.file(file).facts;
    let Expr::Call(callee, _) = facts.exprs[call] else { return false };
    let Expr::Attribute(owner, _) = facts.exprs[callee] else { return false };
    let is_module = |binding: &BindingId| {
        matches!(facts.bindings[*binding].kind, BindingKind::Import { .. } | BindingKind::ImportFrom { .. })
    };
    matches!(&facts.exprs[owner], Expr::Local(bindings) if !bindings.iter().all(is_module))
}

/// The loop of the coroutine that asks for it; or that of any code that asks for the one that runs.
fn is_running(context: &mut Context<'_>, function: FnId, object: ExprId) -> bool {
    let file = context.program.file_of(function);
    let is_async = context.program.function(function).is_async;
    let call = match context.program.expr(file, object).clone() {
        Expr::Local(bindings) => {
            let [binding] = *bindings else { return false };
            match context.program.file(file).facts.bindings[binding].kind {
                BindingKind::Value(value) => value,
                _ => return false,
            }
        }
        _ => object,
    };
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return false };
    let path = context.program.external_path_of(file, callee);
    path.is_some_and(|path| match context.program.values.path_text(path) {
        "asyncio.get_running_loop" => true,
        "asyncio.get_event_loop" => is_async,
        _ => false,
    })
}

/// `with asyncio.Runner() as runner: ...`, and then `runner.run(...)`; or so of the loop that it gave.
fn is_after_its_with(facts: &Facts, object: ExprId, event: &Event) -> bool {
    let value_of = |expr: ExprId| {
        let Expr::Local(bindings) = &facts.exprs[expr] else { return None };
        let [binding] = **bindings else { return None };
        match facts.bindings[binding].kind {
            BindingKind::Value(value) => Some(value),
            _ => None,
        }
    };
    let runner_of = |value: ExprId| {
        let Expr::Call(callee, _) = facts.exprs[value] else { return None };
        match facts.exprs[callee] {
            Expr::Attribute(runner, name) if facts.name(name) == "get_loop" => value_of(runner),
            _ => None,
        }
    };
    let Some(value) = value_of(object) else { return false };
    let Expr::Enter(manager) = facts.exprs[runner_of(value).unwrap_or(value)] else { return false };
    !facts.conditions(event.guard).any(|condition| matches!(condition, Condition::Within(within) if within == manager))
}

/// What a call makes, if it is a new loop or runner.
fn made(context: &mut Context<'_>, file: FileId, call: ExprId) -> Option<Kind> {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return None };
    let path = context.program.external_path_of(file, callee)?;
    match context.program.values.path_text(path) {
        "asyncio.Runner" => Some(Kind::Runner),
        "asyncio.AbstractEventLoop" => Some(Kind::Loop),
        path if path.ends_with(".new_event_loop") => {
            (context.program.catalogue.returned(path) == Some("asyncio.AbstractEventLoop()")).then_some(Kind::Loop)
        }
        _ => None,
    }
}

/// Whether the function keeps a new loop for itself, and does not close it.
fn is_left_open(context: &mut Context<'_>, file: FileId, function: FnId, event: &Event, kind: Kind) -> bool {
    let local = context.program.local_fn(function);
    let Some(binding) = event.bound() else {
        return kind == Kind::Loop && is_run_at_once(context, file, local, event.expr);
    };
    let facts = context.program.file(file).facts.share();
    let is_module = facts.functions[local].at.end == 0;
    let is_closed = is_closed_somewhere(&facts, binding) || is_entered(&facts, local, binding);
    if is_module || is_closed || escapes(&facts, local, binding) {
        return false;
    }
    let mut is_run = false;
    for other in &facts.functions[local].events {
        let Expr::Call(callee, arguments) = context.program.expr(file, other.expr).clone() else { continue };
        let facts = &context.program.file(file).facts;
        if let Expr::Attribute(object, name) = facts.exprs[callee] {
            let runs = matches!(facts.name(name), "run_until_complete" | "run_forever" | "run");
            is_run |= runs && is_name(facts, object, binding);
        }
        let is_given = arguments.iter().any(|argument| {
            matches!(argument.kind, ArgumentKind::Positional | ArgumentKind::Keyword(_))
                && is_name(facts, argument.value, binding)
        });
        // Somebody else may close it; but nobody looks for the current loop of a thread to close it.
        if is_given && !is_set_as_current(context, file, callee) {
            return false;
        }
    }
    is_run || !is_given_anywhere(&context.program.file(file).facts, binding)
}

/// `loop.close()`, or its method handed on: `atexit.register(loop.close)`.
fn is_closed_somewhere(facts: &Facts, binding: BindingId) -> bool {
    facts.exprs.iter().any(|(_, expr)| match expr {
        Expr::Attribute(object, name) => facts.name(*name) == "close" && is_name(facts, *object, binding),
        _ => false,
    })
}

/// `with runner:`
fn is_entered(facts: &Facts, function: FunctionId, binding: BindingId) -> bool {
    let mut events = facts.functions[function].events.iter();
    events.any(|event| event.kind == EventKind::Enter && is_name(facts, event.expr, binding))
}

fn is_name(facts: &Facts, expr: ExprId, binding: BindingId) -> bool {
    matches!(&facts.exprs[expr], Expr::Local(bindings) if bindings.contains(&binding))
}

fn is_set_as_current(context: &mut Context<'_>, file: FileId, callee: ExprId) -> bool {
    let path = context.program.external_path_of(file, callee);
    path.is_some_and(|path| context.program.values.path_text(path) == "asyncio.set_event_loop")
}

fn is_given_anywhere(facts: &Facts, binding: BindingId) -> bool {
    facts.exprs.iter().any(|(_, expr)| match expr {
        Expr::Call(_, arguments) => arguments.iter().any(|argument| is_name(facts, argument.value, binding)),
        _ => false,
    })
}

/// `asyncio.new_event_loop().run_until_complete(...)`
fn is_run_at_once(context: &Context<'_>, file: FileId, function: FunctionId, made: ExprId) -> bool {
    let facts = &context.program.file(file).facts;
    facts.functions[function].events.iter().any(|event| {
        let Expr::Call(callee, _) = facts.exprs[event.expr] else { return false };
        matches!(facts.exprs[callee], Expr::Attribute(object, name)
            if object == made && matches!(facts.name(name), "run_until_complete" | "run_forever"))
    })
}

/// Returned, stored, seen by a closure, or part of something: somebody else may close it.
fn escapes(facts: &Facts, function: FunctionId, binding: BindingId) -> bool {
    let this = &facts.functions[function];
    let is_it = |expr: ExprId| is_name(facts, expr, binding);
    this.returns.iter().any(|(expr, _)| is_it(*expr))
        || this.yields.iter().any(|(expr, _)| is_it(*expr))
        || facts.stores.iter().any(|store| is_it(store.value))
        || facts.classes.iter().any(|(_, class)| class.fields.iter().any(|field| field.value.is_some_and(is_it)))
        || facts
            .bindings
            .iter()
            .any(|(other, facts)| other != binding && matches!(facts.kind, BindingKind::Value(value) if is_it(value)))
        || facts.exprs.iter().any(|(_, expr)| match expr {
            Expr::Sequence(parts) | Expr::Union(parts) => parts.iter().any(|part| is_it(*part)),
            Expr::Mapping(items) => items.iter().any(|(_, value)| is_it(*value)),
            Expr::Choice { then, other, .. } => is_it(*then) || is_it(*other),
            _ => false,
        })
        || facts.is_seen_outside(binding)
        || facts.is_for_others(binding)
}

/// What a closed loop does no more.
const USES: &[&str] = &[
    "run_until_complete",
    "run_forever",
    "run",
    "create_task",
    "call_soon",
    "call_soon_threadsafe",
    "call_later",
    "call_at",
    "run_in_executor",
];
