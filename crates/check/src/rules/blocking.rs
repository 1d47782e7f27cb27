//! Nested runs, sleeps and other blocking calls on the loop, however many functions deep; and waits for the loop on its own thread.

use super::{Raw, Rule, Severity, plain};
use crate::catalogue::Category;
use crate::graph::Site;
use crate::search::{Outline, Search, Witness};

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

/// This file's rules.
pub(super) const RULES: &[&Rule] = &[&NESTED_RUN, &BLOCKING_SLEEP, &BLOCKING_CALL, &SELF_DEADLOCK];

/// All that they find.
pub(crate) fn tell_all(outline: &Outline, search: &Search<'_>) -> Vec<Raw> {
    search.witnesses().iter().map(|witness| tell(outline, witness)).collect()
}

fn tell(outline: &Outline, witness: &Witness) -> Raw {
    let is_async = outline.kind(witness.root).is_async;
    let rule = match witness.category {
        Category::Nested => &NESTED_RUN,
        Category::Sleep => &BLOCKING_SLEEP,
        Category::Deadlock => &SELF_DEADLOCK,
        _ => &BLOCKING_CALL,
    };
    let mut chain: Vec<(String, Option<Site>)> = Vec::new();
    let first = match &witness.scheduled_by {
        Some(by) => by.clone(),
        None => outline.qualified_name(witness.root),
    };
    chain.push((first, Some(witness.first_site)));
    chain.extend(witness.hops.iter().map(|hop| (outline.qualified_name(hop.function), Some(hop.site))));
    let sink = plain(&witness.sink);
    let caller = match (&witness.scheduled_by, is_async) {
        (Some(by), _) => format!("`{by}` has the loop call `{}`, which", outline.name(witness.root)),
        (None, true) => format!("coroutine `{}`", outline.name(witness.root)),
        (None, false) => format!("`{}`, which the loop calls,", outline.name(witness.root)),
    };
    let verb = if witness.hops.is_empty() { "calls" } else { "gets to" };
    let mut message = format!("{caller} {verb} `{sink}`, which {}", consequence(witness.category));
    if let (Some(by), true) = (&witness.scheduled_by, witness.hops.is_empty()) {
        message = format!("`{by}` has the loop call `{sink}`, which {}", consequence(witness.category));
    }
    if let (Category::Nested, true) = (witness.category, witness.traits.is_covered) {
        message.push_str("; a broad `except` on the way hides that error, and the work is left out silently");
    }
    chain.push((sink, None));
    let severity = if matches!(witness.category, Category::File) { Severity::Warning } else { rule.severity };
    Raw {
        rule,
        severity,
        site: witness.first_site,
        message,
        help: help(outline, witness),
        chain,
        is_async: witness.scheduled_by.is_none() && is_async,
    }
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

fn help(outline: &Outline, witness: &Witness) -> String {
    let nested = witness.category == Category::Nested;
    if let Some((stays, instead)) = plain_one(outline, witness).filter(|_| witness.category != Category::Deadlock) {
        let or = if nested { format!("; or {LET_IT_NEST}") } else { String::new() };
        return format!("{stays}: {instead}{or}");
    }
    match (witness.category, witness.hops.last()) {
        (Category::Nested, None) => format!("await the coroutine (--fix does); or {LET_IT_NEST}"),
        (Category::Nested, Some(hop)) => {
            let guilty = outline.name(hop.function);
            format!(
                "make `{guilty}` a coroutine function, await the coroutine in it, and await its callers too \
                 (async all the way up; --fix does); or {LET_IT_NEST}"
            )
        }
        (category, hop) => advice(category, hop.is_none()).to_owned(),
    }
}

/// Why not all functions on the way can become coroutine functions, if it is plain to see; and what can be done then.
fn plain_one(outline: &Outline, witness: &Witness) -> Option<(String, String)> {
    let nested = witness.category == Category::Nested;
    if witness.scheduled_by.is_some() || !outline.kind(witness.root).is_async {
        let does = match witness.category {
            Category::Nested => "awaits that",
            Category::Sleep => "does `await asyncio.sleep(...)`",
            _ => "does `await asyncio.to_thread(...)`",
        };
        let instead = format!("there, `loop.create_task(...)` of a coroutine that {does}");
        return Some(("the loop calls a plain function".to_owned(), instead));
    }
    if !nested && witness.category != Category::Sleep {
        return None;
    }
    let mut names = witness.hops.iter().map(|hop| outline.name(hop.function));
    let special = names.find(|name| {
        let name = name.rsplit('.').next().unwrap_or(name);
        name.starts_with("__") && name.ends_with("__") && !matches!(name, "__enter__" | "__exit__")
    });
    let stays = match special {
        Some(name) => format!("Python calls `{name}` as a plain function"),
        None if witness.traits.is_handed => {
            "a function on the way was handed over, and is called as a plain one".to_owned()
        }
        None => return None,
    };
    let instead = "`await asyncio.to_thread(...)` of what gets to it, or leave this to a coroutine function that is awaited besides";
    Some((stays, instead.to_owned()))
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
