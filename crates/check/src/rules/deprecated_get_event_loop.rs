//! `asyncio.get_event_loop` outside coroutines, and event loop policies.

use super::{Context, Rule, Severity, last_part};

/// `SL004`
pub(super) const RULE: Rule = Rule {
    code: "SL004",
    name: "deprecated-get-event-loop",
    severity: Severity::Warning,
    summary: "a deprecated way to an event loop: get_event_loop() where none runs, or a policy",
    documentation: "\
## What it does
Finds `asyncio.get_event_loop()` outside coroutine functions, and calls that get, set or make event loop policies or child watchers.

## Why is this bad?
Where no loop runs, `get_event_loop` raises from Python 3.14 on; policies are deprecated there and go in 3.16.

## Example
```python
def main():
    loop = asyncio.get_event_loop()
    loop.run_until_complete(work())
```

## Use instead
```python
def main():
    asyncio.run(work())
```
and `asyncio.get_running_loop()` in coroutines; a `loop_factory` for `asyncio.Runner` instead of a policy.
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for call in &context.graph.outside {
        let path = context.program.values.path_text(call.path);
        let is_policy = matches!(
            path,
            "asyncio.set_event_loop_policy"
                | "asyncio.get_event_loop_policy"
                | "asyncio.DefaultEventLoopPolicy"
                | "asyncio.WindowsSelectorEventLoopPolicy"
                | "asyncio.WindowsProactorEventLoopPolicy"
                | "asyncio.get_child_watcher"
                | "asyncio.set_child_watcher"
                | "uvloop.EventLoopPolicy"
        );
        let is_question = path == "asyncio.get_event_loop" && !context.program.function(call.caller).is_async;
        if !(is_policy || is_question) {
            continue;
        }
        let name = last_part(path);
        let (message, help) = if is_policy {
            (
                format!("`{name}` is deprecated: event loop policies go in Python 3.16"),
                "give `asyncio.Runner` or `asyncio.run` a `loop_factory`",
            )
        } else {
            (
                "`asyncio.get_event_loop()` outside a coroutine: where no loop runs it raises from Python 3.14 on"
                    .to_owned(),
                "`asyncio.run(...)`, or `asyncio.get_running_loop()` where a loop runs",
            )
        };
        let (function, span) = (call.caller, call.site.span);
        context.report(&RULE, function, span, message, help, &[name]);
    }
}
