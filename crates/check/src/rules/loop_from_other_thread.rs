//! What belongs to a loop, touched from another thread.

use super::{Context, Rule, Severity, last_part};
use crate::facts::{Condition, Expr, ExprId, NameId, Span};
use crate::graph::{Offloaded, OffloadedTo, Site};
use crate::link::values::{FileId, FnId, PathId, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// `SL009`
pub(super) const RULE: Rule = Rule {
    code: "SL009",
    name: "loop-from-other-thread",
    severity: Severity::Error,
    summary: "another thread touches the loop, a task, a future, or an asyncio primitive",
    documentation: "\
## What it does
Finds calls of loops, tasks, futures, queues and events of asyncio in functions that run in other threads: targets of threads, executors and
`to_thread`, `run` of thread classes, and what these call. Threads that run a loop of their own are left alone, and code that asks which thread
it is in.

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
    let threads = threads(context);
    context.stakes.threads = threads.iter().map(|(function, _)| *function).collect();
    let mut calls: FxHashMap<FnId, Vec<(Site, PathId)>> = FxHashMap::default();
    for call in context.graph.outside.iter().chain(&context.graph.outside_by_parameter) {
        calls.entry(call.caller).or_default().push((call.site, call.path));
    }
    let mut seen: FxHashSet<(FnId, Span)> = FxHashSet::default();
    let mut found = Vec::new();
    for (root, started_by) in threads {
        let functions = called_by(context, root);
        let own = functions.iter().filter_map(|function| Some((*function, calls.get(function)?)));
        let own: Vec<(FnId, &Vec<(Site, PathId)>)> = own.collect();
        let path_of = |path: PathId| context.program.values.path_text(path);
        if own.iter().any(|(_, calls)| calls.iter().any(|(_, path)| runs_a_loop(path_of(*path)))) {
            continue;
        }
        for (function, calls) in own {
            // It would fail where no loop runs.
            if calls.iter().any(|(_, path)| path_of(*path) == "asyncio.get_running_loop") {
                continue;
            }
            for (site, path) in calls {
                if is_unsafe(path_of(*path)) && seen.insert((function, site.span)) {
                    found.push((function, *site, path_of(*path).to_owned(), started_by));
                }
            }
        }
    }
    for (function, site, path, started_by) in found {
        if !knows_its_thread(context, function, site) {
            tell(context, (function, site.span), &path, started_by);
        }
    }
    handed_over(context);
}

fn tell(context: &mut Context<'_>, (function, span): (FnId, Span), path: &str, started_by: Option<FnId>) {
    let message =
        format!("`{}` is called in another thread than the loop's, and is not thread-safe", super::plain(path));
    let help = "`loop.call_soon_threadsafe(...)`, or `asyncio.run_coroutine_threadsafe(...)`";
    context.report(&RULE, function, span, message, help, &[last_part(path)]);
    // Who starts the thread comes first.
    if let (Some(starter), Some(raw)) = (started_by.filter(|starter| *starter != function), context.found.last_mut()) {
        raw.is_async = context.program.function(starter).is_async;
        raw.chain.insert(0, (context.program.qualified_name(starter), None));
    }
}

/// `Thread(target=event.set)`
fn handed_over(context: &mut Context<'_>) {
    for Offloaded { caller, site, callee, .. } in context.graph.offloaded.clone() {
        let OffloadedTo::External(path) = callee else { continue };
        let path = context.program.values.path_text(path).to_owned();
        if is_unsafe(&path) {
            tell(context, (caller, site.span), &path, None);
        }
    }
}

/// Functions that threads begin with, and who starts them.
fn threads(context: &Context<'_>) -> Vec<(FnId, Option<FnId>)> {
    let mut all = Vec::new();
    for Offloaded { caller, callee, by, .. } in &context.graph.offloaded {
        // Nothing of this process's is in another one.
        let is_process = context.program.values.path_text(*by).starts_with("multiprocessing.");
        if let (OffloadedTo::Function(function), false) = (callee, is_process) {
            all.push((*function, Some(*caller)));
        }
    }
    for function in context.program.functions() {
        let name =
            context.program.file(context.program.file_of(function)).facts.name(context.program.function(function).name);
        let is_thread = |base: &String| matches!(base.as_str(), "threading.Thread" | "threading.Timer");
        let class = context.program.class_of(function).filter(|_| name == "run");
        if class.is_some_and(|class| context.program.external_bases(class).iter().any(is_thread)) {
            all.push((function, None));
        }
    }
    all.retain(|(function, _)| !context.program.function(*function).is_async);
    all.sort_unstable();
    all.dedup_by_key(|(function, _)| *function);
    all
}

/// A function, and those that it calls.
fn called_by(context: &Context<'_>, root: FnId) -> Vec<FnId> {
    let mut seen: FxHashSet<FnId> = FxHashSet::default();
    let (mut all, mut next) = (Vec::new(), vec![root]);
    while let Some(function) = next.pop() {
        if context.program.function(function).is_async || !seen.insert(function) {
            continue;
        }
        all.push(function);
        let edges = context.graph.from[function.0 as usize].iter().map(|edge| &context.graph.edges[*edge]);
        next.extend(edges.filter(|edge| edge.runs).map(|edge| edge.callee));
    }
    all
}

fn runs_a_loop(path: &str) -> bool {
    let known = [
        "asyncio.run",
        "asyncio.new_event_loop",
        "asyncio.Runner",
        "asyncio.set_event_loop",
        "uvloop.run",
        "anyio.run",
    ];
    known.contains(&path)
        || matches!(last_part(path).as_str(), "run_forever" | "run_until_complete")
        || matches!(path, "tornado.ioloop.IOLoop().start" | "tornado.ioloop.IOLoop().run_sync")
}

fn is_unsafe(path: &str) -> bool {
    if matches!(path, "asyncio.create_task" | "asyncio.ensure_future") {
        return true;
    }
    let Some((class, method)) = path.rsplit_once("().") else { return false };
    let methods: &[&str] = match class {
        "asyncio.AbstractEventLoop" | "asyncio.CurrentLoop" | "asyncio.RunningLoop" | "asyncio.RunningLoopOrNone" => {
            LOOP_METHODS
        }
        "asyncio.Future" | "asyncio.Task" | "asyncio.KeptTask" => {
            &["set_result", "set_exception", "cancel", "add_done_callback"]
        }
        "asyncio.Event" => &["set", "clear"],
        "asyncio.Queue" | "asyncio.PriorityQueue" | "asyncio.LifoQueue" => &["put_nowait", "get_nowait", "task_done"],
        "asyncio.Lock" | "asyncio.Semaphore" | "asyncio.BoundedSemaphore" => &["release"],
        "asyncio.Condition" => &["release", "notify", "notify_all"],
        _ => &[],
    };
    methods.contains(&method)
}

/// Whether the code around a call has asked in which thread it is, or whether a loop runs there.
fn knows_its_thread(context: &mut Context<'_>, function: FnId, site: Site) -> bool {
    let event = context.program.function(function).events.iter().find(|event| event.span == site.span).copied();
    let Some(event) = event else { return false };
    let conditions: Vec<Condition> = context.program.file(site.file).facts.conditions(event.guard).collect();
    conditions.into_iter().any(|condition| match condition {
        Condition::Called { expr, .. } | Condition::Test { expr, .. } => {
            asks_for_thread(context, (site.file, expr), DEEPEST)
        }
        _ => false,
    })
}

/// Whether a condition asks for the thread, or a function or property in it does: so many calls deep.
fn asks_for_thread(context: &mut Context<'_>, (file, expr): (FileId, ExprId), depth: usize) -> bool {
    match context.program.expr(file, expr).clone() {
        Expr::Attribute(object, name) => {
            asks_for_thread(context, (file, object), depth) || property_tells(context, (file, object, name), depth)
        }
        Expr::Not(inner) => asks_for_thread(context, (file, inner), depth),
        Expr::Logic(_, parts) => parts.iter().any(|part| asks_for_thread(context, (file, *part), depth)),
        Expr::Compared(left, right) | Expr::Same(left, right, _) => {
            asks_for_thread(context, (file, left), depth) || asks_for_thread(context, (file, right), depth)
        }
        Expr::Call(callee, _) => is_own_thread(context, file, expr) || function_tells(context, (file, callee), depth),
        Expr::Local(_) | Expr::Free(..) => is_own_thread(context, file, expr),
        _ => false,
    }
}

fn is_own_thread(context: &mut Context<'_>, file: FileId, expr: ExprId) -> bool {
    let set = context.program.eval(file, expr);
    context.program.values.members(set).iter().any(|value| match context.program.values.get(*value) {
        Value::External(path) => SELF_KNOWLEDGE.contains(&context.program.values.path_text(*path)),
        _ => false,
    })
}

/// `if in_async_call(loop):`
fn function_tells(context: &mut Context<'_>, (file, callee): (FileId, ExprId), depth: usize) -> bool {
    let set = context.program.eval(file, callee);
    let called: Vec<FnId> = context
        .program
        .values
        .members(set)
        .iter()
        .filter_map(|value| match *context.program.values.get(*value) {
            Value::Function(function, _) | Value::Bound(function, ..) => Some(function),
            _ => None,
        })
        .collect();
    tell_thread(context, called, depth)
}

/// `if self.asynchronous:`
fn property_tells(context: &mut Context<'_>, (file, object, name): (FileId, ExprId, NameId), depth: usize) -> bool {
    let name = context.program.symbol(file, name);
    if !context.program.is_property(name) {
        return false;
    }
    let set = context.program.eval(file, object);
    let objects = context.program.values.shared(set);
    let getters = objects.iter().flat_map(|value| context.program.getters(*value, name)).map(|(getter, _)| getter);
    let getters: Vec<FnId> = getters.collect();
    tell_thread(context, getters, depth)
}

/// Whether what these functions return depends on the thread.
fn tell_thread(context: &mut Context<'_>, functions: Vec<FnId>, depth: usize) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return false };
    functions.into_iter().any(|function| {
        let file = context.program.file_of(function);
        let returns = context.program.ask_returns(function);
        let is_plain = context.program.is_plain(function);
        is_plain && returns.into_iter().any(|(value, _)| asks_for_thread(context, (file, value), depth))
    })
}

/// A property that asks a function.
const DEEPEST: usize = 3;

/// What tells in which thread one is, or which loop runs there.
const SELF_KNOWLEDGE: &[&str] = &[
    "threading.get_ident()",
    "threading.get_native_id()",
    "threading.current_thread()",
    "threading.main_thread()",
    "asyncio.RunningLoop()",
    "asyncio.RunningLoopOrNone()",
    "asyncio.current_task()",
];

const LOOP_METHODS: &[&str] = &[
    "call_soon",
    "call_later",
    "call_at",
    "create_task",
    "create_future",
    "stop",
    "close",
    "add_reader",
    "add_writer",
    "remove_reader",
    "remove_writer",
];
