//! Tasks that nobody keeps.

use super::{Context, Rule, Severity};
use crate::facts::{EventKind, Use};
use crate::link::values::Value;

/// `SL006`
pub(super) const RULE: Rule = Rule {
    code: "SL006",
    name: "task-dropped",
    severity: Severity::Warning,
    summary: "a task is made, and nobody keeps it",
    documentation: "\
## What it does
Finds `create_task` and `ensure_future` whose task is dropped, also by way of a function that returns it.

## Why is this bad?
The loop keeps only weak references to tasks: one that nobody keeps may vanish in the middle (Python docs, `asyncio.create_task`). And its
exception is seen by nobody.

## Example
```python
async def main():
    asyncio.create_task(work())
```

## Use instead
```python
async def main():
    async with asyncio.TaskGroup() as group:
        group.create_task(work())
```
or keep the task until it is done.
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for function in context.program.functions() {
        let file = context.program.file_of(function);
        let events = context.program.function(function).events.clone();
        for event in events {
            let is_dropped = match event.kind {
                EventKind::Call(Use::Discarded) => true,
                EventKind::Call(Use::Bound(binding)) => {
                    !context.program.file(file).facts.bindings[binding].is_used
                        && context.program.function(function).at.end != 0
                }
                _ => false,
            };
            if !is_dropped {
                continue;
            }
            let set = context.program.eval(file, event.expr);
            let is_task = context.program.values.members(set).iter().any(|value| {
                matches!(context.program.values.get(*value), Value::External(path) if context.program.values.path_text(*path) == "asyncio.Task()")
            });
            if is_task {
                let span = context.program.file(file).facts.span(event.expr);
                let message =
                    "nobody keeps this task: it may vanish before it is done, and its exception is seen by nobody"
                        .to_owned();
                context.report(
                    &RULE,
                    function,
                    span,
                    message,
                    "keep it until it is done, or use `asyncio.TaskGroup`",
                    &["create_task".to_owned()],
                );
            }
        }
    }
}
