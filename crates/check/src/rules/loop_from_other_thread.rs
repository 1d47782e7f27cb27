//! What belongs to a loop, touched from another thread.

use super::{Context, Rule, Severity, last_part};
use crate::link::values::FnId;
use rustc_hash::FxHashSet;

/// `SL009`
pub(super) const RULE: Rule = Rule {
    code: "SL009",
    name: "loop-from-other-thread",
    severity: Severity::Error,
    summary: "another thread touches the loop, a task, a future, or an asyncio primitive",
    documentation: "\
## What it does
Finds calls of loops, tasks, futures, queues and events of asyncio in functions that run in other threads.

## Why is this bad?
They are not thread-safe (Python docs, \"Concurrency and Multithreading\"): the loop is not woken, or its state breaks.

## Example
```python
def worker():
    loop.call_soon(done.set)

threading.Thread(target=worker).start()
```

## Use instead
```python
def worker():
    loop.call_soon_threadsafe(done.set)
```
or `asyncio.run_coroutine_threadsafe`.
",
};

pub(super) fn check(context: &mut Context<'_>) {
    let threads = in_threads(context);
    let mut own_loops: FxHashSet<FnId> = FxHashSet::default();
    for call in &context.graph.outside {
        if matches!(
            context.program.values.path_text(call.path),
            "asyncio.run" | "asyncio.new_event_loop" | "asyncio.Runner"
        ) {
            own_loops.insert(call.caller);
        }
    }
    let mut found = Vec::new();
    for call in &context.graph.outside {
        if !threads.contains(&call.caller) || own_loops.contains(&call.caller) {
            continue;
        }
        let path = context.program.values.path_text(call.path);
        let Some((class, method)) = path.rsplit_once("().") else { continue };
        let is_unsafe = match class {
            "asyncio.AbstractEventLoop" | "asyncio.CurrentLoop" | "asyncio.RunningLoop" => matches!(
                method,
                "call_soon"
                    | "call_later"
                    | "call_at"
                    | "create_task"
                    | "stop"
                    | "close"
                    | "add_reader"
                    | "add_writer"
                    | "remove_reader"
                    | "remove_writer"
                    | "create_future"
            ),
            "asyncio.Future" | "asyncio.Task" | "asyncio.KeptTask" => {
                matches!(method, "set_result" | "set_exception" | "cancel" | "add_done_callback")
            }
            "asyncio.Event" => matches!(method, "set" | "clear"),
            "asyncio.Queue" | "asyncio.PriorityQueue" | "asyncio.LifoQueue" => {
                matches!(method, "put_nowait" | "get_nowait" | "task_done")
            }
            "asyncio.Lock" | "asyncio.Semaphore" => method == "release",
            _ => false,
        };
        let is_task = path == "asyncio.create_task";
        if is_unsafe || is_task {
            found.push((call.caller, call.site.span, path.to_owned()));
        }
    }
    for (function, span, path) in found {
        let message =
            format!("`{}` is called in another thread than the loop's, and is not thread-safe", super::plain(&path));
        let help = "`loop.call_soon_threadsafe(...)`, or `asyncio.run_coroutine_threadsafe(...)`";
        context.report(&RULE, function, span, message, help, &[last_part(&path)]);
    }
}

/// Functions that threads run, and those that they call.
fn in_threads(context: &Context<'_>) -> FxHashSet<FnId> {
    let mut all: FxHashSet<FnId> = FxHashSet::default();
    let mut next: Vec<FnId> = context.graph.elsewhere.iter().copied().collect();
    next.sort_unstable();
    while let Some(function) = next.pop() {
        if context.program.function(function).is_async || !all.insert(function) {
            continue;
        }
        for &edge in &context.graph.from[function.0 as usize] {
            let edge = &context.graph.edges[edge];
            if edge.runs {
                next.push(edge.callee);
            }
        }
    }
    all
}
