//! Loops that are used after their end, or never closed.

use super::{Context, Rule, Severity};
use crate::facts::{ArgumentKind, BindingId, Condition, EventKind, Expr, Facts, FunctionId, GuardId, Span, Use};
use crate::link::values::{FileId, Value};

/// `SL012`
pub(super) const RULE: Rule = Rule {
    code: "SL012",
    name: "loop-lifecycle",
    severity: Severity::Warning,
    summary: "an event loop is used after it was closed, or never closed",
    documentation: "\
## What it does
Follows loops that a function makes with `asyncio.new_event_loop()` and keeps for itself: finds calls after `close()`, and loops without one.

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
    for index in 0..context.program.files.len() {
        let file = FileId(index as u32);
        let mut made = Vec::new();
        for (function, this) in context.program.file(file).facts.functions.iter() {
            for event in &this.events {
                if let EventKind::Call(Use::Bound(binding)) = event.kind {
                    made.push((function, binding, event.expr));
                }
            }
        }
        for (function, binding, expr) in made {
            let set = context.program.eval(file, expr);
            let is_loop = context.program.values.members(set).iter().any(|value| {
                matches!(context.program.values.get(*value), Value::External(path) if context.program.values.path_text(*path) == "asyncio.AbstractEventLoop()")
            });
            let text = context.program.file(file).facts.span(expr);
            if is_loop && is_new_loop(context, file, expr) {
                let id = context.program.global_fn(file, function);
                match follow(&context.program.file(file).facts, function, binding) {
                    Life::UsedAfterClose(span) => {
                        let message = "this loop is closed already".to_owned();
                        context.report(
                            &RULE,
                            id,
                            span,
                            message,
                            "`asyncio.run(...)`, or close the loop at the very end",
                            &[],
                        );
                    }
                    Life::NeverClosed => {
                        let message = "this loop is never closed".to_owned();
                        context.report(
                            &RULE,
                            id,
                            text,
                            message,
                            "`asyncio.run(...)`, or `loop.close()` in a `finally`",
                            &[],
                        );
                    }
                    Life::Fine => {}
                }
            }
        }
    }
}

fn is_new_loop(context: &mut Context<'_>, file: FileId, call: crate::facts::ExprId) -> bool {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return false };
    let set = context.program.eval(file, callee);
    context.program.values.members(set).iter().any(|value| {
        matches!(context.program.values.get(*value), Value::External(path)
            if matches!(context.program.values.path_text(*path), "asyncio.new_event_loop" | "uvloop.new_event_loop" | "asyncio.AbstractEventLoop"))
    })
}

enum Life {
    Fine,
    UsedAfterClose(Span),
    NeverClosed,
}

/// Whether code runs whenever its function gets there without an error.
fn is_always(facts: &Facts, guard: GuardId) -> bool {
    facts.conditions(guard).all(|condition| matches!(condition, Condition::Called { went_well: true, .. }))
}

/// What a function does with a loop of its own.
fn follow(facts: &Facts, function: FunctionId, binding: BindingId) -> Life {
    let this = &facts.functions[function];
    let is_it = |expr: &Expr| matches!(expr, Expr::Local(bindings) if bindings.contains(&binding));
    // Handed on, stored, returned, seen by a closure: somebody else may close it.
    let is_used_as = |id: crate::facts::ExprId| is_it(&facts.exprs[id]);
    let mut closed: Option<u32> = None;
    let mut is_closed_somewhere = false;
    let mut late = None;
    for event in &this.events {
        let Expr::Call(callee, arguments) = &facts.exprs[event.expr] else { continue };
        if let Expr::Attribute(object, name) = &facts.exprs[*callee]
            && is_it(&facts.exprs[*object])
        {
            let span = facts.span(event.expr);
            match facts.name(*name) {
                "close" => {
                    is_closed_somewhere = true;
                    if is_always(facts, event.guard) {
                        closed = Some(span.end);
                    }
                }
                "run_until_complete" | "run_forever" | "create_task" | "call_soon" | "call_later" | "call_at"
                | "run_in_executor"
                    if late.is_none() && closed.is_some_and(|end| span.start >= end) =>
                {
                    late = Some(span);
                }
                _ => {}
            }
        }
        let is_plain = |kind: ArgumentKind| matches!(kind, ArgumentKind::Positional | ArgumentKind::Keyword(_));
        if arguments.iter().any(|argument| is_plain(argument.kind) && is_used_as(argument.value)) {
            is_closed_somewhere = true;
        }
    }
    if let Some(span) = late {
        return Life::UsedAfterClose(span);
    }
    let escapes = this.returns.iter().any(|(expr, _)| is_used_as(*expr))
        || this.yields.iter().any(|expr| is_used_as(*expr))
        || facts.stores.iter().any(|store| is_used_as(store.value))
        || facts.classes.iter().any(|(_, class)| class.fields.iter().any(|field| field.value.is_some_and(is_used_as)))
        || facts.bindings.iter().any(|(id, other)| {
            id != binding && matches!(other.kind, crate::facts::BindingKind::Value(value) if is_used_as(value))
        })
        || is_seen_outside(facts, function, binding)
        || this.at.end == 0;
    if is_closed_somewhere || escapes { Life::Fine } else { Life::NeverClosed }
}

/// A nested function uses the name.
fn is_seen_outside(facts: &Facts, function: FunctionId, binding: BindingId) -> bool {
    let scope = facts.functions[function].scope;
    let name =
        facts.scopes[scope].names.iter().find(|(_, bindings)| bindings.contains(&binding)).map(|(name, _)| *name);
    let is_it =
        |part: crate::facts::ExprId| matches!(&facts.exprs[part], Expr::Local(bindings) if bindings.contains(&binding));
    facts.exprs.iter().any(|(_, expr)| match expr {
        Expr::Free(home, used) => *home == scope && Some(*used) == name,
        Expr::Sequence(parts) | Expr::Union(parts) => parts.iter().any(|part| is_it(*part)),
        Expr::Choice { then, other, .. } => is_it(*then) || is_it(*other),
        _ => false,
    })
}
