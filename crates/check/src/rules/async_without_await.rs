//! Coroutine functions that never wait.

use super::{Context, Rule, Severity};
use crate::facts::{Expr, ExprId};
use crate::link::values::FnId;

/// `SL008`
pub(super) const RULE: Rule = Rule {
    code: "SL008",
    name: "async-without-await",
    severity: Severity::Warning,
    summary: "a coroutine function awaits nothing",
    documentation: "\
## What it does
Finds `async def` functions that await nothing. Methods that others override, or that override one, and decorated functions are left alone:
somebody asks for their form.

## Why is this bad?
Every caller has to be asynchronous for nothing, and a loop in it never lets others run.

## Example
```python
async def total(items):
    return sum(items)
```

## Use instead
```python
def total(items):
    return sum(items)
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    for function in context.program.functions() {
        let this = context.program.function(function);
        let is_plain =
            this.is_async && !this.awaits && !this.is_generator && !this.is_stub && this.decorators.is_empty();
        if !is_plain || context.program.file(context.program.file_of(function)).is_test {
            continue;
        }
        let file = context.program.file(context.program.file_of(function));
        let name = file.facts.name(this.name).to_owned();
        let outer = file.facts.name(file.facts.functions[this.parent].name);
        let is_special = (name.starts_with("__") && name.ends_with("__")) || outer == "__await__";
        if is_special || has_form_of_others(context, function) || is_handed_on(context, function) {
            continue;
        }
        let span = this.at;
        let message = format!("`{name}` is `async def`, and awaits nothing");
        context.report(&RULE, function, span, message, "make it a plain function", &[]);
    }
}

/// A class's bases or heirs have a method of that name, or may have one.
fn has_form_of_others(context: &Context<'_>, function: FnId) -> bool {
    let Some(class) = context.program.class_of(function) else { return false };
    if !context
        .program
        .external_bases(class)
        .iter()
        .all(|base| base == "object" || base.starts_with("typing.Generic") || base == "abc.ABC")
    {
        return true;
    }
    let name = context.program.symbol(context.program.file_of(function), context.program.function(function).name);
    let mut relatives: Vec<_> = context.program.ancestors(class).filter(|ancestor| *ancestor != class).collect();
    relatives.extend_from_slice(context.program.heirs(class));
    relatives.iter().any(|relative| context.program.has_own(*relative, name))
        || context.program.fits_protocol(class, name)
}

/// Its name is used other than to call it: whoever takes it may want a coroutine function.
fn is_handed_on(context: &Context<'_>, function: FnId) -> bool {
    let file = context.program.file(context.program.file_of(function));
    let this = context.program.function(function);
    let binding = file.facts.bindings.iter().find(|(_, binding)| {
        matches!(binding.kind, crate::facts::BindingKind::Function(id) if context.program.global_fn(context.program.file_of(function), id) == function)
    });
    let Some((binding, _)) = binding else { return false };
    let is_it = |value: ExprId| match &file.facts.exprs[value] {
        Expr::Local(bindings) => bindings.contains(&binding),
        Expr::Free(_, name) | Expr::Attribute(_, name) => *name == this.name,
        _ => false,
    };
    file.facts.exprs.iter().any(|(_, expr)| match expr {
        Expr::Call(_, arguments) => arguments.iter().any(|argument| is_it(argument.value)),
        Expr::Mapping(items) => items.iter().any(|(_, value)| is_it(*value)),
        Expr::Sequence(parts) => parts.iter().any(|part| is_it(*part)),
        _ => false,
    }) || file.facts.functions.iter().any(|(_, other)| other.returns.iter().any(|(value, _)| is_it(*value)))
}
