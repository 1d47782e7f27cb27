//! Async generators that are left in the middle.

use super::{Context, Rule, Severity};
use crate::facts::Expr;
use crate::link::values::{FileId, Value};

/// `SL014`
pub(super) const RULE: Rule = Rule {
    code: "SL014",
    name: "async-generator-not-closed",
    severity: Severity::Warning,
    summary: "a loop leaves an async generator that has something to clean up",
    documentation: "\
## What it does
Finds `async for` loops with a `break` or `return` over a new async generator that yields within `try ... finally` or `with`.

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
        for (function, iterated) in loops {
            if !matches!(context.program.expr(file, iterated), Expr::Call(..)) {
                continue;
            }
            let set = context.program.eval(file, iterated);
            let name =
                context.program.values.members(set).iter().find_map(|value| match context.program.values.get(*value) {
                    Value::AsyncGenerator(generator, _) if context.program.function(*generator).cleans_up => {
                        Some(context.program.qualified_name(*generator))
                    }
                    _ => None,
                });
            if let Some(name) = name {
                let function = context.program.global_fn(file, function);
                let span = context.program.file(file).facts.span(iterated);
                let message = "this loop may leave the generator in the middle, and nobody closes it: its clean-up runs late, or never".to_owned();
                context.report(&RULE, function, span, message, "`async with contextlib.aclosing(...)`", &[name]);
            }
        }
    }
}
