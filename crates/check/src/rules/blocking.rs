//! Nested runs, sleeps and other blocking calls on the loop, however many functions deep; and waits for the loop on its own thread.

use super::{Context, Raw, Rule, Severity, last_part, plain};
use crate::catalogue::Category;
use crate::facts::{BindingKind, Expr, ExprId};
use crate::graph::{OffloadedTo, Site};
use crate::link::Program;
use crate::link::values::{FileId, PathId};
use crate::search::Witness;

/// `SL001`
pub(super) const NESTED_RUN: Rule = Rule {
    code: "SL001",
    name: "nested-run",
    severity: Severity::Error,
    summary: "a coroutine gets to a call that runs an event loop",
    documentation: "\
## What it does
Finds ways from a coroutine, or a callback of the loop, over any number of synchronous functions to `asyncio.run`, `run_until_complete` and
their like.

## Why is this bad?
A loop runs one callback at a time. While it runs, asyncio refuses another run on its thread: \"This event loop is already running\", or
\"asyncio.run() cannot be called from a running event loop\". Under a broad `except` the error is swallowed, and the work is silently left out.

## Example
```python
def load():
    return asyncio.run(fetch())

async def main():
    load()
```

## Use instead
```python
async def load():
    return await fetch()

async def main():
    await load()
```
`soliloop check --fix` rewrites such chains: async all the way up. Where a function cannot become a coroutine function, let the loop nest
(`soliloop.run(main())`), or give the function a loop of its own: `await asyncio.to_thread(load)`.
",
};

/// `SL002`
pub(super) const BLOCKING_SLEEP: Rule = Rule {
    code: "SL002",
    name: "blocking-sleep",
    severity: Severity::Error,
    summary: "a coroutine gets to a call that sleeps",
    documentation: "\
## What it does
Finds ways from a coroutine, or a callback of the loop, to `time.sleep`.

## Why is this bad?
The loop stands still meanwhile: no other task, timer or connection goes on.

## Example
```python
def pause():
    time.sleep(1)

async def main():
    pause()
```

## Use instead
```python
async def pause():
    await asyncio.sleep(1)

async def main():
    await pause()
```
",
};

/// `SL003`
pub(super) const BLOCKING_CALL: Rule = Rule {
    code: "SL003",
    name: "blocking-call",
    severity: Severity::Error,
    summary: "a coroutine gets to a call that blocks: network, child process, database, lock, file",
    documentation: "\
## What it does
Finds ways from a coroutine, or a callback of the loop, to calls that wait for something: `requests.get`, `subprocess.run`, `Future.result`,
`Thread.join`, database drivers, `open`. More can be named in `pyproject.toml`:

```toml
[tool.soliloop.check.blocking-calls]
network = [\"ourlib.Client().fetch\"]
```

## Why is this bad?
The loop stands still until it returns. Files are warnings: mostly they are fast.

## Example
```python
def rate(country):
    return requests.get(URL + country).json()

async def checkout(cart):
    return cart.total * rate(cart.country)
```

## Use instead
```python
async def checkout(cart):
    return cart.total * await asyncio.to_thread(rate, cart.country)
```
or a library with coroutines.
",
};

/// `SL013`
pub(super) const SELF_DEADLOCK: Rule = Rule {
    code: "SL013",
    name: "self-deadlock",
    severity: Severity::Error,
    summary: "the loop's own thread waits for what only the loop can do",
    documentation: "\
## What it does
Finds `asyncio.run_coroutine_threadsafe(...).result()` where the loop's own thread gets to it.

## Why is this bad?
The coroutine can only run when the loop goes on, and the loop waits for the coroutine: for ever.

## Example
```python
def call(coro, loop):
    return asyncio.run_coroutine_threadsafe(coro, loop).result()

async def main():
    call(work(), asyncio.get_running_loop())
```

## Use instead
```python
async def main():
    await work()
```
",
};

pub(super) fn check(context: &mut Context<'_>) {
    let mut witnesses = context.search.witnesses(context.program);
    // Of several loops, one that a thread runs can do what this one waits for.
    if threads_run_loops(context) {
        for witness in witnesses.iter_mut().filter(|witness| witness.category == Category::Deadlock) {
            if is_for_a_new_loop(context, witness) {
                witness.category = Category::Wait;
            }
        }
    }
    for witness in witnesses {
        let raw = tell(context, &witness);
        context.found.push(raw);
    }
}

/// Whether some thread of the program runs a loop.
fn threads_run_loops(context: &Context<'_>) -> bool {
    let runs = |path: PathId| {
        matches!(last_part(context.program.values.path_text(path)).as_str(), "run_forever" | "run_until_complete")
    };
    let outside = context.graph.outside.iter().chain(&context.graph.outside_by_parameter);
    let mut all = outside.filter(|call| context.graph.elsewhere.contains(&call.caller));
    all.any(|call| runs(call.path))
        || context.graph.offloaded.iter().any(|call| matches!(call.callee, OffloadedTo::External(path) if runs(path)))
}

/// Whether what is waited for was given to a loop that was made for that, and is not the one that runs.
fn is_for_a_new_loop(context: &mut Context<'_>, witness: &Witness) -> bool {
    let (function, site) = match witness.hops.last() {
        Some(hop) => (hop.function, hop.site),
        None => (witness.root, witness.first_site),
    };
    let event = context.program.function(function).events.iter().find(|event| event.span == site.span).copied();
    let Some(waits) = event.and_then(|event| called_on(context, site.file, event.expr)) else { return false };
    let made = match context.program.expr(site.file, waits).clone() {
        Expr::Local(bindings) => {
            match bindings.first().map(|binding| &context.program.file(site.file).facts.bindings[*binding].kind) {
                Some(BindingKind::Value(value)) => *value,
                _ => return false,
            }
        }
        _ => waits,
    };
    let Expr::Call(_, arguments) = context.program.expr(site.file, made).clone() else { return false };
    let Some(given) = arguments.get(1) else { return false };
    let path = context.program.external_path_of(site.file, given.value);
    path.is_some_and(|path| context.program.values.path_text(path) == "asyncio.AbstractEventLoop()")
}

/// The object of a method call.
fn called_on(context: &Context<'_>, file: FileId, call: ExprId) -> Option<ExprId> {
    let Expr::Call(callee, _) = *context.program.expr(file, call) else { return None };
    match *context.program.expr(file, callee) {
        Expr::Attribute(object, _) => Some(object),
        _ => None,
    }
}

fn tell(context: &Context<'_>, witness: &Witness) -> Raw {
    let program = &*context.program;
    let rule = match witness.category {
        Category::Nested => &NESTED_RUN,
        Category::Sleep => &BLOCKING_SLEEP,
        Category::Deadlock => &SELF_DEADLOCK,
        _ => &BLOCKING_CALL,
    };
    let mut chain: Vec<(String, Option<Site>)> = Vec::new();
    let first = match &witness.scheduled_by {
        Some(by) => by.clone(),
        None => program.qualified_name(witness.root),
    };
    chain.push((first, Some(witness.first_site)));
    chain.extend(witness.hops.iter().map(|hop| (program.qualified_name(hop.function), Some(hop.site))));
    let sink = plain(&witness.sink);
    let caller = match (&witness.scheduled_by, program.function(witness.root).is_async) {
        (Some(by), _) => format!("`{by}` has the loop call `{}`, which", name_of(program, witness)),
        (None, true) => format!("coroutine `{}`", name_of(program, witness)),
        (None, false) => format!("`{}`, which the loop calls,", name_of(program, witness)),
    };
    let verb = if witness.hops.is_empty() { "calls" } else { "gets to" };
    let mut message = format!("{caller} {verb} `{sink}`, which {}", consequence(witness.category));
    if let (Some(by), true) = (&witness.scheduled_by, witness.hops.is_empty()) {
        message = format!("`{by}` has the loop call `{sink}`, which {}", consequence(witness.category));
    }
    if let (Category::Nested, Some(_)) = (witness.category, witness.covered) {
        message.push_str("; a broad `except` on the way hides that error, and the work is left out silently");
    }
    chain.push((sink, None));
    let severity = if matches!(witness.category, Category::File) { Severity::Warning } else { rule.severity };
    Raw {
        rule,
        severity,
        site: witness.first_site,
        message,
        help: help(program, witness),
        chain,
        is_async: witness.scheduled_by.is_none() && program.function(witness.root).is_async,
    }
}

fn name_of(program: &Program, witness: &Witness) -> String {
    let file = program.file(program.file_of(witness.root));
    file.facts.name(program.function(witness.root).qualified).to_owned()
}

const fn consequence(category: Category) -> &'static str {
    match category {
        Category::Nested => "runs an event loop: this event loop is already running",
        Category::Sleep => "sleeps: the loop stands still meanwhile",
        Category::Network => "waits for the network: the loop stands still meanwhile",
        Category::Process => "waits for a child process: the loop stands still meanwhile",
        Category::Database => "waits for a database: the loop stands still meanwhile",
        Category::Wait => "waits for another thread: the loop stands still meanwhile",
        Category::File => "waits for a disk: the loop stands still meanwhile",
        Category::Input => "waits for a person: the loop stands still meanwhile",
        Category::Deadlock => "waits for the loop on the loop's own thread: for ever",
    }
}

fn help(program: &Program, witness: &Witness) -> String {
    match (witness.category, witness.hops.last()) {
        (Category::Nested, None) => format!("await the coroutine (--fix does); or {LET_IT_NEST}"),
        (Category::Nested, Some(hop)) => {
            let file = program.file(program.file_of(hop.function));
            let guilty = file.facts.name(program.function(hop.function).qualified);
            format!(
                "make `{guilty}` a coroutine function, await the coroutine in it, and await its callers too \
                 (async all the way up; --fix does); or {LET_IT_NEST}"
            )
        }
        (category, hop) => advice(category, hop.is_none()).to_owned(),
    }
}

const fn advice(category: Category, is_direct: bool) -> &'static str {
    match (category, is_direct) {
        (Category::Sleep, true) => "`await asyncio.sleep(...)`",
        (Category::Sleep, false) => {
            "make the functions on the way `async def`, and `await asyncio.sleep(...)` at the end (--fix does)"
        }
        (Category::Deadlock, _) => "`await` the coroutine: this is the loop's own thread",
        (_, true) => "`await asyncio.to_thread(...)`, or use a library with coroutines",
        (_, false) => "`await asyncio.to_thread(...)` of the first function, or use a library with coroutines",
    }
}

/// The second way out, in the words of the error that the loop raises.
pub(crate) const LET_IT_NEST: &str = "let the loop nest: make it by soliloop.new_event_loop(nesting=True), start the program with soliloop.run(), \
                           or call soliloop.nest.apply()";
