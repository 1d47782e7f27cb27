//! `asyncio.get_event_loop` outside coroutines, and event loop policies.

use super::{Context, Rule, Severity, last_part};
use crate::facts::{Condition, Expr, ExprId, Span};
use crate::graph::Outside;
use crate::link::values::{FileId, FnId};

/// `SL004`
pub(super) const RULE: Rule = Rule {
    code: "SL004",
    name: "deprecated-get-event-loop",
    severity: Severity::Warning,
    summary: "a deprecated way to an event loop: get_event_loop() where none runs, or a policy",
    documentation: "\
## What it does
Finds `asyncio.get_event_loop()` outside coroutine functions and callbacks of the loop, and code that gets, sets, makes or derives from event
loop policies or child watchers. Code under a condition on `sys.version_info` is left alone.

## Why is this bad?
Where no loop runs, `get_event_loop` raises from Python 3.14 on. Policies are deprecated there and go in 3.16; child watchers are gone.

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
    let mut found: Vec<(FnId, Span, String)> = Vec::new();
    for call in &context.graph.outside {
        let path = context.program.values.path_text(call.path);
        let is_question = path == "asyncio.get_event_loop" && !is_on_loop(context, call.caller);
        if (is_question || is_policy(path)) && !is_for_a_version(context, call) {
            found.push((call.caller, call.site.span, path.to_owned()));
        }
    }
    derived(context, &mut found);
    let all = found.clone();
    for (function, span, path) in found {
        // A policy that is made to be set is one finding.
        let is_part = all.iter().any(|(other, outer, _)| *other == function && *outer != span && outer.contains(span));
        if !is_part {
            tell(context, (function, span), &path);
        }
    }
}

/// Classes that derive from a policy.
fn derived(context: &mut Context<'_>, found: &mut Vec<(FnId, Span, String)>) {
    for file in context.files() {
        let classes = context.program.file(file).facts.classes.iter();
        let bases: Vec<(Span, ExprId)> =
            classes.flat_map(|(_, class)| class.bases.iter().map(|base| (class.at, *base))).collect();
        for (at, base) in bases {
            let Some(path) = context.program.external_path_of(file, base) else { continue };
            let path = context.program.values.path_text(path).to_owned();
            if is_policy(&path) {
                found.push((context.program.global_fn(file, crate::facts::MODULE), at, path));
            }
        }
    }
}

fn tell(context: &mut Context<'_>, (function, span): (FnId, Span), path: &str) {
    let name = last_part(path);
    let is_watcher = name.ends_with("ChildWatcher") || name.ends_with("child_watcher");
    let (message, help) = if is_watcher {
        (
            format!("`{name}` is gone in Python 3.14, with all child watchers"),
            "leave it out: asyncio knows by itself how to watch child processes",
        )
    } else if is_policy(path) {
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
    context.report(&RULE, function, span, message, help, &[name]);
}

fn is_policy(path: &str) -> bool {
    match path.rsplit_once('.') {
        Some(("asyncio", name)) => {
            matches!(
                name,
                "set_event_loop_policy" | "get_event_loop_policy" | "get_child_watcher" | "set_child_watcher"
            ) || name.ends_with("EventLoopPolicy")
                || name.ends_with("ChildWatcher")
        }
        Some(("uvloop", name)) => matches!(name, "EventLoopPolicy" | "install"),
        _ => false,
    }
}

/// Whether a function only runs where a loop does: a coroutine function, a callback of the loop, or a function within one.
fn is_on_loop(context: &Context<'_>, function: FnId) -> bool {
    let file = context.program.file_of(function);
    let mut next = function;
    loop {
        let this = context.program.function(next);
        if context.graph.elsewhere.contains(&next) {
            return false;
        }
        if this.is_async || context.graph.callbacks.contains(&next) || context.program.is_protocol_method(next) {
            return true;
        }
        if this.parent == crate::facts::MODULE {
            return false;
        }
        next = context.program.global_fn(file, this.parent);
    }
}

/// Whether the call is for some versions of Python only.
fn is_for_a_version(context: &Context<'_>, call: &Outside) -> bool {
    let (file, function) = (call.site.file, context.program.function(call.caller));
    let facts = &context.program.file(file).facts;
    let Some(event) = function.events.iter().find(|event| event.span == call.site.span) else { return false };
    facts.conditions(event.guard).any(|condition| match condition {
        Condition::Test { expr, .. } => asks_for_version(context, file, expr),
        _ => false,
    })
}

fn asks_for_version(context: &Context<'_>, file: FileId, expr: ExprId) -> bool {
    let facts = &context.program.file(file).facts;
    match &facts.exprs[expr] {
        Expr::Not(inner) => asks_for_version(context, file, *inner),
        Expr::Logic(_, parts) => parts.iter().any(|part| asks_for_version(context, file, *part)),
        Expr::Compared(left, right) | Expr::Same(left, right, _) => {
            [*left, *right].into_iter().any(|side| asks_for_version(context, file, side))
        }
        Expr::Item(object, _) => asks_for_version(context, file, *object),
        Expr::Attribute(_, name) => facts.name(*name) == "version_info",
        _ => false,
    }
}
