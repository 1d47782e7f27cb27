//! Async generators that are left in the middle.

use super::{Context, Rule, Severity};
use crate::facts::{BindingId, BindingKind, Condition, Event, EventKind, Expr, ExprId, Facts, FunctionId, Span};
use crate::link::values::{FileId, FnId, Value};
use std::collections::BTreeMap;

/// `SL014`
pub(super) const RULE: Rule = Rule {
    code: "SL014",
    name: "async-generator-not-closed",
    severity: Severity::Warning,
    summary: "a loop leaves an async generator that has something to clean up",
    documentation: "\
## What it does
Finds `async for` loops with a `break` or `return` over a new async generator that yields within `try ... finally` or `with`, or that loops over
one that does, also where that is the `__aiter__` of an object; and `anext()` of such a generator, or of a name for one, where nothing else is done with it.

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
    for file in context.files() {
        let loops = context.program.file(file).facts.early_exits.clone();
        for (function, iterated, span) in loops {
            let function = context.program.global_fn(file, function);
            let name = new_generator(context, file, iterated).or_else(|| own_generator(context, file, iterated));
            if let Some(name) = name {
                tell(context, function, span, name, "this loop may leave the generator in the middle");
            }
        }
    }
    for function in context.functions() {
        let file = context.program.file_of(function);
        // Where names are advanced.
        let mut names: BTreeMap<BindingId, Vec<Event>> = BTreeMap::new();
        for event in context.program.events(function).iter().copied() {
            let Some(generator) = advanced(context, file, event.expr).filter(|_| is_call(event.kind)) else { continue };
            match context.program.expr(file, generator) {
                Expr::Call(..) => {
                    if let Some(name) = new_generator(context, file, generator) {
                        tell(context, function, event.span, name, LEFT);
                    }
                }
                Expr::Local(bindings) => {
                    if let [binding] = **bindings {
                        names.entry(binding).or_default().push(event);
                    }
                }
                _ => {}
            }
        }
        for (binding, advances) in names {
            let facts = &context.program.file(file).facts;
            if let BindingKind::Value(value) = facts.bindings[binding].kind
                && uses(facts, binding) == advances.len()
                && !is_repeated(facts, binding, &advances)
                && let Some(last) = advances.last()
                && let Some(name) = new_generator(context, file, value)
                && !expects_end(context, function, binding, &advances)
            {
                tell(context, function, last.span, name, LEFT);
            }
        }
    }
}

const fn is_call(kind: EventKind) -> bool {
    matches!(kind, EventKind::Call(_))
}

/// What a call takes the next value of.
fn advanced(context: &mut Context<'_>, file: FileId, call: ExprId) -> Option<ExprId> {
    let Expr::Call(callee, ref arguments) = *context.program.expr(file, call) else { return None };
    let first = arguments.first().map(|argument| argument.value);
    match *context.program.expr(file, callee) {
        Expr::Attribute(generator, name) if context.program.file(file).facts.name(name) == "__anext__" => {
            Some(generator)
        }
        Expr::Attribute(..) => None,
        _ => {
            let path = context.program.external_path_of(file, callee)?;
            first.filter(|_| context.program.values.path_text(path) == "anext")
        }
    }
}

/// How often a name with this value is read; any other use may close what it has.
fn uses(facts: &Facts, binding: BindingId) -> usize {
    let is_use = |expr: &Expr| matches!(expr, Expr::Local(bindings) if bindings.contains(&binding));
    let count = facts.exprs.iter().filter(|(_, expr)| is_use(expr)).count();
    if facts.is_seen_outside(binding) { usize::MAX } else { count }
}

/// Whether a loop advances it, to the end as it may be.
fn is_repeated(facts: &Facts, binding: BindingId, advances: &[Event]) -> bool {
    let made = facts.bindings[binding].span;
    let behind = facts.loops.iter().filter(|span| made.end <= span.start);
    behind.into_iter().any(|span| advances.iter().any(|advance| span.contains(advance.span)))
}

/// Whether something around it takes the error by which a generator ends: a `with` that is not around the name's value as well.
fn expects_end(context: &mut Context<'_>, function: FnId, binding: BindingId, advances: &[Event]) -> bool {
    let file = context.program.file_of(function);
    let facts = &context.program.file(file).facts;
    let withs = |guard| facts.conditions(guard).filter(|condition| matches!(condition, Condition::Within(_))).count();
    let outer = withs(facts.bindings[binding].guard);
    let is_own = |id: FunctionId| context.program.global_fn(file, id) == function;
    let is_it =
        |expr: &ExprId| matches!(facts.exprs[*expr], Expr::Global(name) if facts.name(name) == "StopAsyncIteration");
    advances.iter().any(|event| withs(event.guard) > outer)
        || facts.handlers.iter().any(|handler| is_own(handler.function) && handler.types.iter().any(is_it))
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
            if !matches!(facts.exprs[value], Expr::Call(..)) || uses(facts, binding) > 1 {
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

/// The `__aiter__` of what is looped over, if that surely is such a generator function: nobody but the loop has the generator.
fn own_generator(context: &mut Context<'_>, file: FileId, expr: ExprId) -> Option<String> {
    let name = context.program.values.known_symbol("__aiter__")?;
    let set = context.program.eval(file, expr);
    let mut found = None;
    for object in context.program.values.shared(set).iter().copied() {
        if !matches!(context.program.values.get(object), Value::Instance { .. }) {
            return None;
        }
        let methods = context.program.attribute(object, name);
        for method in context.program.values.shared(methods).iter().copied() {
            let Value::Bound(method, ..) = *context.program.values.get(method) else { return None };
            let this = context.program.function(method);
            if !(this.is_async && this.is_generator && cleans_up(context, method, 0)) {
                return None;
            }
            found = Some(context.program.qualified_name(method));
        }
    }
    found
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
    for event in context.program.ask_events(generator).iter().copied() {
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

const LEFT: &str = "this takes one value and leaves the generator there";
