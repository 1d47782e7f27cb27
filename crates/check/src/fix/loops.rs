//! Loops that were there for a nested run only: `loop = asyncio.new_event_loop()` before it, and `loop.close()` behind it.

use super::pages::Pages;
use super::places::{Becomes, Places};
use crate::facts::Span;
use crate::link::values::FileId;

/// The statements that are dead once these calls of `loop.run_until_complete` in one function are awaited instead.
pub(super) fn dead(pages: &mut Pages<'_>, file: FileId, runs: &[Span], run: Span) -> Vec<Span> {
    let places = pages.places(file);
    let Some(name) = owner(pages, &places, file, run) else { return Vec::new() };
    let Some(range) = places.function_around(run.start).map(|definition| definition.range) else { return Vec::new() };
    let is_inside = |at: u32| range.start <= at && at < range.end;
    let made: Vec<&(String, Span, Span)> = places
        .assignments
        .iter()
        .filter(|(known, statement, call)| {
            *known == name && is_inside(statement.start) && is_getter(&places, pages, file, *call)
        })
        .collect();
    let stores = places.stores.iter().filter(|(known, at)| *known == name && is_inside(*at)).count();
    if made.is_empty() || stores != made.len() {
        return Vec::new();
    }
    let mut gone: Vec<Span> = made.iter().map(|(_, statement, _)| *statement).collect();
    let mut is_set = false;
    for read in places.names.iter().filter(|read| read.name == name && is_inside(read.span.start)) {
        let call = match read.becomes {
            _ if is_run(pages, &places, file, runs, read.span) => continue,
            Becomes::Attribute(attribute) => {
                let is_known = matches!(member(pages.slice(file, attribute)), "close" | "stop");
                places.statements.iter().find(|(call, _)| is_known && call.start == attribute.start)
            }
            Becomes::Given(callee) => {
                let is_known = matches!(member(pages.slice(file, callee)), "set_event_loop" | "apply");
                is_set |= is_known;
                places.statements.iter().find(|(call, _)| is_known && call.start == callee.start)
            }
            Becomes::Called(_) | Becomes::Other => None,
        };
        match call {
            Some((_, statement)) => gone.push(*statement),
            None => return Vec::new(),
        }
    }
    if is_set {
        let resets = places
            .statements
            .iter()
            .filter(|(call, _)| is_inside(call.start) && pages.slice(file, **call).ends_with("set_event_loop(None)"));
        gone.extend(resets.map(|(_, statement)| *statement));
    }
    gone
}

/// Whether a name is read in what a call is of, and not in its arguments.
fn is_receiver(places: &Places, call: Span, read: Span) -> bool {
    let function = places.calls.get(&call).map(|call| call.function);
    function.is_some_and(|function| function.start <= read.start && read.end <= function.end)
}

/// Whether what a call of `run_until_complete` runs is made by that loop, and only runs on it.
pub(super) fn is_its_own(pages: &mut Pages<'_>, file: FileId, run: Span) -> bool {
    let places = pages.places(file);
    let Some(name) = owner(pages, &places, file, run) else { return false };
    let inside = |read: Span| run.start <= read.start && read.end <= run.end && !is_receiver(&places, run, read);
    kind(pages, file, run) != Kind::Current
        && !is_shutdown(pages, &places, file, run)
        && places.names.iter().any(|read| read.name == name && inside(read.span))
}

/// Whether a name is the loop that one of these calls runs, or in what goes with it.
fn is_run(pages: &Pages<'_>, places: &Places, file: FileId, runs: &[Span], read: Span) -> bool {
    let mut around = runs.iter().filter(|run| run.contains(read));
    around.any(|run| is_receiver(places, *run, read) || is_shutdown(pages, places, file, *run))
}

/// Whether a call of `loop.run_until_complete` does nothing but shut the loop down, as a statement.
pub(super) fn is_shutdown(pages: &Pages<'_>, places: &Places, file: FileId, run: Span) -> bool {
    let Some(call) = places.calls.get(&run).filter(|_| places.statements.contains_key(&run)) else { return false };
    let [argument] = call.arguments.as_slice() else { return false };
    let text = pages.slice(file, argument.span);
    text.ends_with(".shutdown_asyncgens()") || text.ends_with(".shutdown_default_executor()")
}

/// Whether the loop that is made for a run is needed for more, which another loop cannot do.
pub(super) fn is_needed(pages: &mut Pages<'_>, file: FileId, run: Span) -> bool {
    let places = pages.places(file);
    let Some(name) = owner(pages, &places, file, run) else { return false };
    if kind(pages, file, run) != Kind::New {
        return false;
    }
    let Some(range) = places.function_around(run.start).map(|definition| definition.range) else { return false };
    let is_its = |call: &&Span| range.contains(**call) && owner(pages, &places, file, **call).as_ref() == Some(&name);
    let runs: Vec<Span> = places.calls.keys().filter(is_its).copied().collect();
    dead(pages, file, &runs, run).is_empty()
}

/// What kind of loop a call of `run_until_complete` runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One that is made for it.
    New,
    /// The one that the thread has.
    Current,
    /// One of somebody else's.
    Other,
}

/// Which loop it is that runs there.
pub(super) fn kind(pages: &mut Pages<'_>, file: FileId, run: Span) -> Kind {
    let places = pages.places(file);
    let Some(call) = places.calls.get(&run) else { return Kind::Other };
    let text = pages.slice(file, call.function);
    let Some(before) = text.strip_suffix("run_until_complete") else { return Kind::New };
    let of = |text: &str| {
        let text = text.trim_end_matches(|character: char| character == '.' || character.is_whitespace());
        match text.strip_suffix("()").map(member) {
            Some("new_event_loop") => Kind::New,
            Some("get_event_loop") => Kind::Current,
            _ => Kind::Other,
        }
    };
    let Some(name) = owner(pages, &places, file, run) else { return of(before) };
    let Some(range) = places.function_around(run.start).map(|definition| definition.range) else { return Kind::Other };
    let inside = |at: u32| range.start <= at && at < range.end;
    let made = places.assignments.iter().filter(|(known, statement, _)| *known == name && inside(statement.start));
    let kinds: Vec<Kind> = made.map(|(_, _, call)| of(pages.slice(file, *call))).collect();
    match kinds.as_slice() {
        [first, rest @ ..] if rest.iter().all(|kind| kind == first) => *first,
        [] => Kind::Other,
        kinds if kinds.contains(&Kind::Other) => Kind::Other,
        _ => Kind::Current,
    }
}

/// The name of the loop, if it has one.
fn owner(pages: &Pages<'_>, places: &Places, file: FileId, run: Span) -> Option<String> {
    let call = places.calls.get(&run)?;
    let text = pages.slice(file, call.function);
    let (name, method) = text.split_once('.')?;
    let is_name = !name.is_empty() && name.chars().all(|character| character.is_alphanumeric() || character == '_');
    (is_name && method == "run_until_complete").then(|| name.to_owned())
}

fn is_getter(places: &Places, pages: &Pages<'_>, file: FileId, call: Span) -> bool {
    let Some(call) = places.calls.get(&call) else { return false };
    let name = member(pages.slice(file, call.function));
    call.arguments.is_empty() && matches!(name, "get_event_loop" | "new_event_loop" | "get_running_loop")
}

fn member(text: &str) -> &str {
    text.rsplit('.').next().unwrap_or(text)
}
