//! Coroutines that are made and dropped.

use super::{Context, Rule, Severity, last_part, misuse, offloads};
use crate::catalogue::Handed;
use crate::facts::{Argument, ArgumentKind, BindingKind, Condition, EventKind, Expr, ExprId, Facts, Span};
use crate::graph::OffloadedTo;
use crate::link::values::{EMPTY, FileId, FnId, PathId, SetId, Step, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// `SL005`
pub(super) const RULE: Rule = Rule {
    code: "SL005",
    name: "coroutine-never-awaited",
    severity: Severity::Error,
    summary: "a coroutine is made, and nobody awaits it",
    documentation: "\
## What it does
Finds calls of coroutine functions whose value is dropped, never used, or used as if it were the result: taken for a truth, compared,
looped over, printed; by a name, too, that has no other use. And coroutine functions, and coroutines, that are handed to what calls plain functions (`call_later`,
`add_done_callback`, threads).

## Why is this bad?
The body never runs.

## Example
```python
async def main():
    save()
```

## Use instead
```python
async def main():
    await save()
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    // What things outside the program call, of what they are handed.
    let mut callers = FxHashMap::default();
    let mut seen: FxHashSet<(FnId, Span)> = FxHashSet::default();
    for file in context.files() {
        let functions = context.program.file(file).facts.functions.iter().map(|(id, _)| id).collect::<Vec<_>>();
        // Names that are used as results, where any name is given a coroutine.
        let mut names: FxHashSet<ExprId> = FxHashSet::default();
        let has_names = names_a_coroutine(context, file);
        for id in functions {
            let function = context.program.global_fn(file, id);
            dropped(context, function, &mut seen);
            let events = context.program.events(function);
            for event in events.iter() {
                for &(used, why) in &*misuse::of(context, file, event) {
                    if event.kind == EventKind::AsyncIterate && is_of_stub(context, file, used) {
                        continue;
                    }
                    if has_names && matches!(context.program.expr(file, used), Expr::Local(_)) {
                        names.insert(used);
                    }
                    tell_of_values(context, &mut seen, (function, used), why);
                }
            }
            given_to_callers(context, function, &mut callers, &mut seen);
        }
        let misused = has_names.then(|| misuse::names(&context.program.file(file).facts, &names));
        for (id, value, why) in misused.into_iter().flatten() {
            let function = context.program.global_fn(file, id);
            tell_of_values(context, &mut seen, (function, value), why);
        }
    }
    handed_on(context, &mut seen);
}

/// Whether any name in a file is given what surely is a coroutine.
fn names_a_coroutine(context: &mut Context<'_>, file: FileId) -> bool {
    let facts = context.program.file(file).facts.share();
    let mut values = facts.bindings.iter().filter_map(|(_, binding)| misuse::value_of(binding));
    values.any(|value| {
        misuse::calls(&facts, value).iter().any(|call| {
            let set = context.program.eval(file, *call);
            coroutine(context, set).is_some()
        })
    })
}

/// Whether a value comes of an `async def` without a body: those that have one, of the same name, may be asynchronous generators.
fn is_of_stub(context: &mut Context<'_>, file: FileId, value: ExprId) -> bool {
    let set = context.program.eval(file, value);
    context.program.values.members(set).iter().any(|value| match *context.program.values.get(*value) {
        Value::Coroutine(function, _) => {
            let this = context.program.function(function);
            this.is_stub && this.class.is_some()
        }
        _ => false,
    })
}

/// Calls whose value nobody gets.
fn dropped(context: &mut Context<'_>, function: FnId, seen: &mut FxHashSet<(FnId, Span)>) {
    let file = context.program.file_of(function);
    for call in context.dropped_calls(function) {
        let makers = makers(context, file, call).or_else(|| outside(context, file, call).map(|name| vec![name]));
        if let Some(names) = makers {
            tell(context, seen, (function, call), &names, misuse::NEVER);
        }
    }
}

/// Calls that give the value of an expression which is used as a coroutine never is.
fn tell_of_values(
    context: &mut Context<'_>,
    seen: &mut FxHashSet<(FnId, Span)>,
    (function, used): (FnId, ExprId),
    why: &str,
) {
    let file = context.program.file_of(function);
    for &call in &*misuse::calls(&context.program.file(file).facts, used) {
        if let Some(names) = makers(context, file, call) {
            tell(context, seen, (function, call), &names, why);
        }
    }
}

/// `filter(check, items)`, `atexit.register(save)`: what calls them does not await.
fn given_to_callers(
    context: &mut Context<'_>,
    function: FnId,
    callers: &mut FxHashMap<PathId, Option<(usize, &'static str)>>,
    seen: &mut FxHashSet<(FnId, Span)>,
) {
    let file = context.program.file_of(function);
    for event in context.program.events(function).iter().copied() {
        let Expr::Call(callee, ref arguments) = *context.program.expr(file, event.expr) else { continue };
        if !matches!(event.kind, EventKind::Call(_)) || arguments.is_empty() {
            continue;
        }
        let Some(path) = context.program.external_path_of(file, callee) else { continue };
        let called = *callers.entry(path).or_insert_with(|| called_argument(context, path));
        let Some((place, name)) = called else { continue };
        let path = context.program.values.path_text(path).to_owned();
        let Expr::Call(_, arguments) = context.program.expr(file, event.expr) else { continue };
        let facts = &context.program.file(file).facts;
        let given =
            arguments.iter().enumerate().find(|(index, argument)| is_argument(facts, (*index, argument), place, name));
        let Some(given) = given.map(|(_, argument)| argument.value) else { continue };
        let set = context.program.eval(file, given);
        let [one] = *context.program.values.members(set) else { continue };
        let (Value::Function(given, _) | Value::Bound(given, ..)) = *context.program.values.get(one) else { continue };
        let given_function = context.program.function(given);
        if given_function.is_async && !given_function.is_generator && seen.insert((function, event.span)) {
            let name = context.program.qualified_name(given);
            tell_of_plain_call(context, (function, event.span), &path, name);
        }
    }
}

/// Which argument is called at once, or later by nobody who awaits.
fn called_argument(context: &Context<'_>, path: PathId) -> Option<(usize, &'static str)> {
    match context.program.values.path_text(path) {
        // These give the coroutines.
        "map" | "itertools.starmap" => None,
        "atexit.register" => Some((0, "func")),
        "signal.signal" => Some((1, "handler")),
        path => {
            let catalogue = &context.program.catalogue;
            catalogue.handed(path).iter().chain(catalogue.handed_lazily(path)).find_map(|what| match what {
                Handed::Calls(place, name) => Some((*place, *name)),
                _ => None,
            })
        }
    }
}

pub(super) fn is_argument(facts: &Facts, (index, argument): (usize, &Argument), place: usize, name: &str) -> bool {
    match argument.kind {
        ArgumentKind::Positional => index == place,
        ArgumentKind::Keyword(known) => facts.name(known) == name,
        _ => false,
    }
}

fn tell_of_plain_call(context: &mut Context<'_>, (caller, span): (FnId, Span), by: &str, name: String) {
    if has_asked(context, caller, span) {
        return;
    }
    let message = format!(
        "`{}` calls `{}` as a plain function: the coroutine that it gives is never awaited",
        last_part(by),
        last_part(&name)
    );
    let help = "hand over a function that makes a task of the coroutine";
    context.report(&RULE, caller, span, message, help, &[name]);
}

/// Whether the code has asked if something is a coroutine, or a coroutine function.
fn has_asked(context: &mut Context<'_>, function: FnId, span: Span) -> bool {
    let file = context.program.file_of(function);
    let Some(event) = context.program.function(function).events.iter().find(|event| event.span == span) else {
        return false;
    };
    let conditions: Vec<Condition> = context.program.file(file).facts.conditions(event.guard).collect();
    conditions.into_iter().any(|condition| match condition {
        Condition::Test { expr, .. } => is_question(context, file, expr),
        _ => false,
    })
}

fn is_question(context: &mut Context<'_>, file: FileId, expr: ExprId) -> bool {
    match context.program.expr(file, expr).clone() {
        Expr::Not(inner) => is_question(context, file, inner),
        Expr::Logic(_, parts) => parts.iter().any(|part| is_question(context, file, *part)),
        Expr::Call(callee, _) => context.program.external_path_of(file, callee).is_some_and(|path| {
            let name = last_part(context.program.values.path_text(path));
            matches!(
                name.as_str(),
                "iscoroutinefunction" | "iscoroutine" | "isawaitable" | "isfuture" | "is_coroutine_function"
            )
        }),
        _ => false,
    }
}

fn tell(
    context: &mut Context<'_>,
    seen: &mut FxHashSet<(FnId, Span)>,
    (function, call): (FnId, ExprId),
    names: &[String],
    why: &str,
) {
    let Some(name) = names.last() else { return };
    let span = context.program.file(context.program.file_of(function)).facts.span(call);
    if seen.insert((function, span)) && !has_asked(context, function, span) {
        let message = format!("the coroutine that `{}` gives {why}", last_part(name));
        context.report(&RULE, function, span, message, "`await` it, or make it a task and keep that", names);
    }
}

/// The coroutine function, if a call surely gives a coroutine.
fn made_by(context: &mut Context<'_>, file: FileId, call: ExprId) -> Option<String> {
    let set = context.program.eval(file, call);
    coroutine(context, set).filter(|_| is_certain(context, file, call))
}

/// The coroutine function, if a call surely gives a coroutine; before it those by way of which it comes.
fn makers(context: &mut Context<'_>, file: FileId, call: ExprId) -> Option<Vec<String>> {
    let maker = made_by(context, file, call)?;
    let mut names = Vec::new();
    let mut next = Some((file, call));
    while let Some((file, call)) = next.take().filter(|_| names.len() < DEEPEST as usize) {
        let Expr::Call(callee, _) = *context.program.expr(file, call) else { break };
        let callees = context.program.eval(file, callee);
        for value in context.program.values.members(callees).to_vec() {
            let name = match *context.program.values.get(value) {
                // `wait_for(save(), 1)`
                Value::External(path) => super::plain(context.program.values.path_text(path)),
                Value::Function(function, _) | Value::Bound(function, ..)
                    if !context.program.function(function).is_async =>
                {
                    let returned = context.program.ask_returns(function).first().map(|(returned, _)| *returned);
                    next = returned.map(|returned| (context.program.file_of(function), returned));
                    context.program.qualified_name(function)
                }
                _ => continue,
            };
            names.push(name);
            break;
        }
    }
    names.push(maker);
    Some(names)
}

/// Whether all that the call may return is known.
fn is_certain(context: &mut Context<'_>, file: FileId, call: ExprId) -> bool {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return false };
    let (callees, args) = (context.program.eval(file, callee), context.program.call_arguments(file, call));
    // A plain function among them that gives nothing gives no coroutine.
    let members = context.program.values.shared(callees);
    let mut given = members.iter().map(|one| context.program.step_set(SetId::of(*one), Step::Call(args)));
    given.all(|given| given != EMPTY) && is_known_callee(context, file, callee, 0)
}

fn is_known_callee(context: &mut Context<'_>, file: FileId, callee: ExprId, depth: u32) -> bool {
    let callees = context.program.eval(file, callee);
    for value in context.program.values.shared(callees).iter().copied() {
        let (Value::Function(function, _) | Value::Bound(function, ..)) = *context.program.values.get(value) else {
            continue;
        };
        let is_known = if context.program.function(function).is_async {
            has_known_decorators(context, function)
        } else {
            returns_known(context, function, depth)
        };
        if !is_known {
            return false;
        }
    }
    true
}

/// A decorator from outside may make a plain function of a coroutine function.
fn has_known_decorators(context: &mut Context<'_>, function: FnId) -> bool {
    let home = context.program.file_of(function);
    let decorators = context.program.function(function).decorators.clone();
    decorators.into_iter().all(|decorator| {
        let set = context.program.eval(home, decorator);
        let is_known = |value: &ValueId| match context.program.values.get(*value) {
            Value::External(path) => {
                let path = context.program.values.path_text(*path);
                matches!(path, "staticmethod" | "classmethod")
                    || ["functools.", "abc.", "typing.", "typing_extensions."].iter().any(|own| path.starts_with(own))
            }
            _ => true,
        };
        set != EMPTY && context.program.values.members(set).iter().all(is_known)
    })
}

/// Whether a plain function always returns something, and it is known what.
fn returns_known(context: &mut Context<'_>, function: FnId, depth: u32) -> bool {
    let home = context.program.file_of(function);
    let returns = context.program.ask_returns(function);
    !returns.is_empty() && returns.into_iter().all(|(returned, _)| is_known(context, home, returned, depth + 1))
}

/// Whether all that an expression may be is known.
fn is_known(context: &mut Context<'_>, file: FileId, expr: ExprId, depth: u32) -> bool {
    if depth > DEEPEST || context.program.eval(file, expr) == EMPTY {
        return false;
    }
    match context.program.expr(file, expr).clone() {
        Expr::Call(callee, _) => is_known_callee(context, file, callee, depth),
        Expr::Union(parts) | Expr::Logic(_, parts) => {
            parts.iter().all(|part| is_known(context, file, *part, depth + 1))
        }
        Expr::Local(bindings) => {
            bindings.iter().all(|binding| match context.program.file(file).facts.bindings[*binding].kind {
                BindingKind::Value(value) => is_known(context, file, value, depth + 1),
                _ => true,
            })
        }
        _ => true,
    }
}

/// The coroutine function, if all that the value may be are coroutines.
fn coroutine(context: &Context<'_>, set: SetId) -> Option<String> {
    let mut name = None;
    for value in context.program.values.members(set) {
        match context.program.values.get(*value) {
            Value::Coroutine(function, _) => name = Some(context.program.qualified_name(*function)),
            _ => return None,
        }
    }
    name
}

/// A coroutine function of the standard library.
fn outside(context: &mut Context<'_>, file: FileId, call: ExprId) -> Option<String> {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return None };
    let path = match context.program.external_path_of(file, callee) {
        Some(path) => path,
        None => method_of_queue(context, file, callee)?,
    };
    let path = context.program.values.path_text(path);
    let is_one = match path.rsplit_once('.') {
        Some(("asyncio", function)) => FUNCTIONS.contains(&function),
        Some(("anyio" | "trio", function)) => function == "sleep",
        Some((class, method)) => METHODS.iter().any(|(known, methods)| *known == class && methods.contains(&method)),
        None => false,
    };
    is_one.then(|| super::plain(path))
}

/// The method of a queue, of which callers, or those who put something in, say more.
fn method_of_queue(context: &mut Context<'_>, file: FileId, callee: ExprId) -> Option<PathId> {
    let set = context.program.eval(file, callee);
    let values = &context.program.values;
    let mut found = None;
    for value in values.members(set) {
        match *values.get(*value) {
            Value::External(path) if values.path_text(path).starts_with("asyncio.Queue().") => found = Some(path),
            Value::Parameter(..) | Value::Step(..) | Value::Partial(..) => {}
            _ => return None,
        }
    }
    found
}

/// Coroutine functions for those who call plain functions.
fn handed_on(context: &mut Context<'_>, seen: &mut FxHashSet<(FnId, Span)>) {
    let mut all: Vec<(FnId, Span, PathId, FnId)> = Vec::new();
    for scheduled in &context.graph.scheduled {
        let by = context.program.values.path_text(scheduled.by);
        if !by.contains("start_server") && !by.contains("start_unix_server") {
            all.push((scheduled.caller, scheduled.site.span, scheduled.by, scheduled.callee));
        }
    }
    for offloaded in &context.graph.offloaded {
        if let OffloadedTo::Function(callee) = offloaded.callee {
            all.push((offloaded.caller, offloaded.site.span, offloaded.by, callee));
        }
    }
    let named = all.iter().map(|(.., callee)| coroutine_of_call(context, *callee)).collect::<Vec<_>>();
    // What may be a plain function as well was looked at before it was handed over.
    let places = all.iter().zip(&named).filter(|(_, name)| name.is_none());
    let plain: FxHashSet<(FnId, Span)> = places.map(|((caller, span, ..), _)| (*caller, *span)).collect();
    for ((caller, span, by, _), name) in all.into_iter().zip(named) {
        let may_be_known = plain.contains(&(caller, span)) && !hands_on_all(context, caller, span);
        let Some(name) = name.filter(|_| !may_be_known) else { continue };
        // `await (await asyncio.to_thread(save))`
        let event = context.program.function(caller).events.iter().find(|event| event.span == span);
        let facts = &context.program.file(context.program.file_of(caller)).facts;
        if event.is_some_and(|event| offloads::has_used_result(facts, event.expr)) {
            continue;
        }
        if !seen.insert((caller, span)) {
            continue;
        }
        let by = context.program.values.path_text(by).to_owned();
        tell_of_plain_call(context, (caller, span), &by, name);
    }
}

/// `for job in (save, print): to_thread(job)`: one after the other. What else is handed on, somebody may have chosen by what it is.
fn hands_on_all(context: &Context<'_>, function: FnId, span: Span) -> bool {
    let file = context.program.file_of(function);
    let events = &context.program.function(function).events;
    let Some(event) = events.iter().find(|event| event.span == span) else { return false };
    let Expr::Call(_, arguments) = context.program.expr(file, event.expr) else { return false };
    arguments.iter().any(|argument| {
        let value = context.program.bound_value(file, argument.value).unwrap_or(argument.value);
        matches!(context.program.expr(file, value), Expr::Element(_) | Expr::Choice { .. })
    })
}

/// The coroutine function, if a call of this function surely gives a coroutine.
fn coroutine_of_call(context: &mut Context<'_>, callee: FnId) -> Option<String> {
    let this = context.program.function(callee);
    if this.is_generator {
        return None;
    }
    if this.is_async {
        return Some(context.program.qualified_name(callee));
    }
    let (home, returns) = (context.program.file_of(callee), context.program.ask_returns(callee));
    let mut name = None;
    for (returned, _) in returns {
        name = Some(made_by(context, home, returned)?);
    }
    name
}

const DEEPEST: u32 = 6;

/// Functions of `asyncio`.
const FUNCTIONS: &[&str] = &[
    "sleep",
    "wait",
    "wait_for",
    "to_thread",
    "open_connection",
    "start_server",
    "open_unix_connection",
    "start_unix_server",
    "create_subprocess_exec",
    "create_subprocess_shell",
];

const METHODS: &[(&str, &[&str])] = &[
    ("asyncio.Queue()", &["get", "put", "join"]),
    ("asyncio.PriorityQueue()", &["get", "put", "join"]),
    ("asyncio.LifoQueue()", &["get", "put", "join"]),
    ("asyncio.Lock()", &["acquire"]),
    ("asyncio.Semaphore()", &["acquire"]),
    ("asyncio.BoundedSemaphore()", &["acquire"]),
    ("asyncio.Event()", &["wait"]),
    ("asyncio.Condition()", &["wait", "wait_for", "acquire"]),
    ("asyncio.Barrier()", &["wait", "reset", "abort"]),
    ("asyncio.StreamReader()", &["read", "readline", "readexactly", "readuntil"]),
    ("asyncio.StreamWriter()", &["drain", "wait_closed", "start_tls"]),
    (
        "asyncio.open_connection()[]",
        &["read", "readline", "readexactly", "readuntil", "drain", "wait_closed", "start_tls"],
    ),
    ("asyncio.start_server()", &["wait_closed", "start_serving", "serve_forever"]),
    ("asyncio.create_subprocess_exec()", &["wait", "communicate"]),
    ("asyncio.create_subprocess_shell()", &["wait", "communicate"]),
];
