//! Loops that ask again and again.

use super::{Context, Rule, Severity};
use crate::facts::{Constant, Expr};
use crate::link::values::{FileId, Value};

/// `SL015`
pub(super) const RULE: Rule = Rule {
    code: "SL015",
    name: "busy-wait",
    severity: Severity::Warning,
    summary: "a loop sleeps until something has changed",
    documentation: "\
## What it does
Finds `while` loops whose body is no more than `await asyncio.sleep(...)`.

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
    for index in 0..context.program.files.len() {
        let file = FileId(index as u32);
        let polls = context.program.file(file).facts.polls.clone();
        for poll in polls {
            if matches!(context.program.expr(file, poll.test), Expr::Constant(Constant::True | Constant::Other)) {
                continue;
            }
            let Expr::Call(callee, _) = *context.program.expr(file, poll.call) else { continue };
            let set = context.program.eval(file, callee);
            let is_sleep = context.program.values.members(set).iter().any(|value| {
                matches!(context.program.values.get(*value), Value::External(path)
                    if matches!(context.program.values.path_text(*path), "asyncio.sleep" | "anyio.sleep" | "trio.sleep"))
            });
            if is_sleep {
                let function = context.program.global_fn(file, poll.function);
                let message = "this loop sleeps until something has changed: it notices late, and wakes up for nothing"
                    .to_owned();
                context.report(
                    &RULE,
                    function,
                    poll.span,
                    message,
                    "wait for an `asyncio.Event`, a `Condition` or a future",
                    &[],
                );
            }
        }
    }
}
