//! Loops that ask again and again.

use super::{Context, Rule, Severity};
use crate::facts::{ArgumentKind, Constant, EventKind, Expr, ExprId, NameId};
use crate::link::values::{FileId, FnId, Value};

/// `SL015`
pub(super) const RULE: Rule = Rule {
    code: "SL015",
    name: "busy-wait",
    severity: Severity::Warning,
    summary: "a loop sleeps until something has changed",
    documentation: "\
## What it does
Finds `while` loops whose body is no more than `await asyncio.sleep(...)`, or that and the `if` which leaves the loop. Questions to the system,
as `os.path.exists(...)`, are left alone: nobody tells when their answer changes.

## Why is this bad?
It notices late, and wakes up for nothing.

## Example
```python
while not self.ready:
    await asyncio.sleep(0.1)
```

## Use instead
```python
await self.ready_event.wait()
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for file in context.files() {
        let polls = context.program.file(file).facts.polls.clone();
        for poll in polls {
            let Expr::Call(callee, arguments) = context.program.expr(file, poll.call).clone() else { continue };
            let Some(path) = context.program.external_path_of(file, callee) else { continue };
            let path = context.program.values.path_text(path).to_owned();
            let is_sleep = matches!(path.as_str(), "asyncio.sleep" | "anyio.sleep" | "trio.sleep");
            let is_endless =
                matches!(context.program.expr(file, poll.test), Expr::Constant(Constant::True | Constant::Other));
            let spins = arguments.first().is_some_and(|seconds| {
                seconds.kind == ArgumentKind::Positional
                    && *context.program.expr(file, seconds.value) == Expr::Constant(Constant::Zero)
            });
            // One that waits for its end only keeps the program alive, if it does not spin.
            if !is_sleep || (is_endless && !spins) || asks_outside(context, file, poll.test) {
                continue;
            }
            let function = context.program.global_fn(file, poll.function);
            let message =
                "this loop sleeps until something has changed: it notices late, and wakes up for nothing".to_owned();
            let help = "wait for an `asyncio.Event`, a `Condition` or a future";
            context.report(&RULE, function, poll.span, message, help, &[path]);
        }
    }
}

/// Whether a condition asks something of the system, or of code that cannot be told to say when; or does what is waited for itself.
fn asks_outside(context: &mut Context<'_>, file: FileId, test: ExprId) -> bool {
    match context.program.expr(file, test).clone() {
        // What has to be awaited is somebody else's.
        Expr::Await(_) => true,
        // `path.stat().st_size`
        Expr::Not(inner) | Expr::Attribute(inner, _) | Expr::Item(inner, _) => asks_outside(context, file, inner),
        Expr::Logic(_, parts) | Expr::Union(parts) => parts.iter().any(|part| asks_outside(context, file, *part)),
        Expr::Compared(left, right) | Expr::Same(left, right, _) | Expr::Operation(_, left, right) => {
            asks_outside(context, file, left) || asks_outside(context, file, right)
        }
        Expr::Call(callee, arguments) => {
            let path = context.program.external_path_of(file, callee);
            // Functions of modules, and methods of what they give; not `len(...)`, nor what asyncio can be asked to tell.
            path.is_some_and(|path| {
                let path = context.program.values.path_text(path);
                path.contains('.') && !OWN.iter().any(|own| path.starts_with(own))
            }) || does_the_work(context, file, callee)
                || arguments.iter().any(|argument| asks_outside(context, file, argument.value))
        }
        _ => false,
    }
}

/// `while not self.take_token(): await sleep(...)`: a method that changes what it looks at. Nobody else could say when.
fn does_the_work(context: &mut Context<'_>, file: FileId, callee: ExprId) -> bool {
    let callees = context.program.eval(file, callee);
    context.program.values.shared(callees).iter().any(|callee| match *context.program.values.get(*callee) {
        Value::Bound(method, ..) => changes_what_it_reads(context, method),
        _ => false,
    })
}

fn changes_what_it_reads(context: &Context<'_>, method: FnId) -> bool {
    let (home, local) = (context.program.file_of(method), context.program.local_fn(method));
    let facts = &context.program.file(home).facts;
    let Some(class) = context.program.class_of(method) else { return false };
    let events = context.program.ask_events(method);
    let own = |expr: ExprId| match facts.exprs[expr] {
        Expr::Attribute(object, name) => {
            (context.program.asked_parameter(home, method, object) == Some((method, 0))).then_some(name)
        }
        _ => None,
    };
    let reads = |name: NameId| {
        events.iter().filter(|event| event.kind == EventKind::Read && own(event.expr) == Some(name)).count()
    };
    let counted = events.iter().filter_map(|event| match event.kind {
        EventKind::Operator(special) if facts.name(special).starts_with("__i") => own(event.expr),
        _ => None,
    });
    let counted: Vec<NameId> = counted.collect();
    // `self.tokens += 1` reads it itself.
    let times = |name: NameId| counted.iter().filter(|one| **one == name).count();
    let fields = context.program.class(class).fields.iter();
    let mut set = fields.filter(|field| field.by == local && field.value.is_some()).map(|field| field.name);
    counted.iter().any(|name| reads(*name) > times(*name)) || set.any(|name| reads(name) > 0)
}

/// What can be waited for, and clocks, which can be asked how long to sleep.
const OWN: &[&str] =
    &["asyncio.", "threading.", "queue.", "collections.", "time.", "datetime.", "concurrent.", "anyio.", "trio."];
