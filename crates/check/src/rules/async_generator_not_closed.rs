//! Async generators that are left in the middle.

use super::{Context, Rule, Severity};
use crate::facts::{BindingKind, EventKind, Expr, ExprId, Span};
use crate::link::values::{FileId, FnId, Value};

/// `SL014`
pub(super) const RULE: Rule = Rule {
    code: "SL014",
    name: "async-generator-not-closed",
    severity: Severity::Warning,
    summary: "a loop leaves an async generator that has something to clean up",
    documentation: "\
## What it does
Finds `async for` loops with a `break` or `return` over a new async generator that yields within `try ... finally` or `with`, or that loops over
one that does; and `anext()` of such a generator.

## Why is this bad?
Its clean-up runs some time later, in another task, or never (PEP 533).

## Example
```python
async for row in rows():
    return row
```

## Use instead
```python
async with contextlib.aclosing(rows()) as all_rows:
    async for row in all_rows:
        return row
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for index in 0..context.program.files.len() {
        let file = FileId(index as u32);
        let loops = context.program.file(file).facts.early_exits.clone();
        for (function, iterated, span) in loops {
            let function = context.program.global_fn(file, function);
            if let Some(name) = new_generator(context, file, iterated) {
                tell(context, function, span, name, "this loop may leave the generator in the middle");
            }
        }
    }
    for function in context.program.functions() {
        for event in context.program.events(function).iter().copied() {
            let file = context.program.file_of(function);
            if let (EventKind::Call(_), Expr::Call(callee, arguments)) =
                (event.kind, context.program.expr(file, event.expr).clone())
                && let [first, ..] = &*arguments
                && matches!(context.program.expr(file, first.value), Expr::Call(..))
                && context
                    .program
                    .external_path_of(file, callee)
                    .is_some_and(|path| context.program.values.path_text(path) == "anext")
                && let Some(name) = new_generator(context, file, first.value)
            {
                tell(context, function, event.span, name, "this takes one value and leaves the generator there");
            }
        }
    }
}

fn tell(context: &mut Context<'_>, function: FnId, span: Span, name: String, what: &str) {
    let message = format!("{what}, and nobody closes it: its clean-up runs late, or never");
    context.report(&RULE, function, span, message, "`async with contextlib.aclosing(...)`", &[name]);
}

/// The generator function, if it has something to clean up and nobody else has the generator.
fn new_generator(context: &mut Context<'_>, file: FileId, expr: ExprId) -> Option<String> {
    match context.program.expr(file, expr) {
        Expr::Call(..) => {}
        Expr::Local(bindings) => {
            let facts = &context.program.file(file).facts;
            let [binding] = **bindings else { return None };
            let BindingKind::Value(value) = facts.bindings[binding].kind else { return None };
            // Any other use may close it.
            let is_other = |other: &Expr| matches!(other, Expr::Local(bindings) if bindings.contains(&binding));
            let uses = facts.exprs.iter().filter(|(_, other)| is_other(other)).count();
            if !matches!(facts.exprs[value], Expr::Call(..)) || uses > 1 || facts.is_seen_outside(binding) {
                return None;
            }
        }
        _ => return None,
    }
    let set = context.program.eval(file, expr);
    let members = context.program.values.members(set).iter();
    let generators: Vec<FnId> = members
        .filter_map(|value| match *context.program.values.get(*value) {
            Value::AsyncGenerator(generator, _) => Some(generator),
            _ => None,
        })
        .collect();
    let found = generators.into_iter().find(|generator| cleans_up(context, *generator, 0));
    found.map(|generator| context.program.qualified_name(generator))
}

/// Whether it yields in the middle of something that has an end, by itself or by way of a generator that it loops over.
fn cleans_up(context: &mut Context<'_>, generator: FnId, depth: u32) -> bool {
    if context.program.function(generator).cleans_up {
        return true;
    }
    if depth >= DEEPEST {
        return false;
    }
    let file = context.program.file_of(generator);
    for event in context.program.events(generator).iter().copied() {
        if event.kind != EventKind::AsyncIterate || !matches!(context.program.expr(file, event.expr), Expr::Call(..)) {
            continue;
        }
        let set = context.program.eval(file, event.expr);
        for value in context.program.values.shared(set).iter().copied() {
            if let Value::AsyncGenerator(inner, _) = *context.program.values.get(value)
                && inner != generator
                && cleans_up(context, inner, depth + 1)
            {
                return true;
            }
        }
    }
    false
}

const DEEPEST: u32 = 3;
