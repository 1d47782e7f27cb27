//! Runners that were there for nested runs only: once these are awaited, `with asyncio.Runner() as runner:` goes, and its body stays; or
//! `runner = asyncio.Runner()` and `runner.close()` go.
//!
//! A runner that is used for more stays, and so do its runs. Its `debug=` goes with it; a `loop_factory=` says which loop it must be.

use super::closure::Closures;
use super::edit::indent;
use super::pages::Pages;
use super::places::{Becomes, NameRead, Places};
use crate::facts::Span;
use crate::graph::{Outside, Site};
use crate::link::values::{FileId, FnId};
use rustc_hash::FxHashSet;

/// What goes with a runner.
#[derive(Default)]
pub(super) struct Runner {
    /// The call that makes it.
    pub(super) made: Span,
    /// All its runs.
    pub(super) runs: Vec<Span>,
    /// Statements that are dead without it.
    pub(super) gone: Vec<Span>,
    /// The context of the `with` that makes it.
    pub(super) context: Option<Span>,
}

/// What makes a runner.
const MADE: &str = "asyncio.Runner";

/// The path of what a runner does.
pub(super) const RUN: &str = "asyncio.Runner().run";

/// The runner of a call of `runner.run`; or why it must stay.
pub(super) fn of(pages: &mut Pages<'_>, file: FileId, run: Span) -> Result<Runner, String> {
    let places = pages.places(file);
    let Some(call) = places.calls.get(&run) else { return Err(NOT_MADE_HERE.to_owned()) };
    let Some((owner, _)) = pages.slice(file, call.function).rsplit_once('.') else {
        return Err(NOT_MADE_HERE.to_owned());
    };
    let owner = owner.trim_end();
    let made = Span { start: run.start, end: run.start + owner.len() as u32 };
    let mut runner = Runner::default();
    if places.calls.contains_key(&made) {
        is_plain(pages, &places, file, made)?;
        is_run(&places, run)?;
        runner.made = made;
        runner.runs.push(run);
        return Ok(runner);
    }
    let region = made_there(pages, &places, file, (run, owner), &mut runner)?;
    for read in places.names.iter().filter(|read| read.name == owner && region.contains(read.span)) {
        use_of(pages, &places, file, read, &mut runner)?;
    }
    Ok(runner)
}

/// A runner that a function makes, and that is none of these.
pub(super) fn unknown(closures: &Closures<'_, '_>, function: FnId, known: &FxHashSet<Site>) -> Option<Site> {
    let Closures { program, graph, sites, .. } = closures;
    let calls = sites.outside_of(graph, function);
    let makes = |call: &&Outside| program.values.path_text(call.path) == MADE && !known.contains(&call.site);
    calls.filter(makes).map(|call| call.site).min()
}

/// Where a name is one runner: a `with` statement, or a function.
fn made_there(
    pages: &Pages<'_>,
    places: &Places,
    file: FileId,
    (run, name): (Span, &str),
    runner: &mut Runner,
) -> Result<Span, String> {
    let not_here = || NOT_MADE_HERE.to_owned();
    let function = places.function_around(run.start).ok_or_else(not_here)?.range;
    is_own(places, function, name)?;
    let withs: Vec<_> = places.entered.iter().filter(|entered| entered.name == name).collect();
    let around = withs.iter().filter(|entered| entered.statement.contains(run) && function.contains(entered.statement));
    let mut reads = places.names.iter().filter(|read| read.name == name && function.contains(read.span));
    let region = if let Some(entered) = around.max_by_key(|entered| entered.statement.start) {
        if !entered.is_alone {
            return Err("this `with` has other contexts, too".to_owned());
        }
        let blanks = |at: u32| indent(pages.text(file), at);
        if !blanks(entered.body).starts_with(blanks(entered.statement.start)) {
            return Err("blanks and tabs are mixed here".to_owned());
        }
        let is_within =
            |at: u32| withs.iter().any(|entered| entered.statement.start <= at && at < entered.statement.end);
        let mut stores =
            places.stores.iter().filter(|(known, at)| known == name && function.start <= *at && *at < function.end);
        if !reads.all(|read| is_within(read.span.start)) || !stores.all(|(_, at)| is_within(*at)) {
            return Err(USED_FOR_MORE.to_owned());
        }
        is_plain(pages, places, file, entered.context)?;
        runner.made = entered.context;
        runner.context = Some(entered.context);
        entered.statement
    } else {
        let is_it = |known: &str, statement: Span| known == name && function.contains(statement);
        let made = places.assignments.iter().find(|(known, statement, _)| is_it(known, *statement));
        let (_, statement, call) = made.ok_or_else(not_here)?;
        is_plain(pages, places, file, *call)?;
        runner.made = *call;
        runner.gone.push(*statement);
        function
    };
    let is_within = |at: u32| region.start <= at && at < region.end;
    let stores = places.stores.iter().filter(|(known, at)| known == name && is_within(*at));
    if stores.count() != 1 {
        return Err(USED_FOR_MORE.to_owned());
    }
    Ok(region)
}

/// Whether a name is a function's alone: neither that of a module or a function around it, nor read by functions in it, which run at another time.
fn is_own(places: &Places, function: Span, name: &str) -> Result<(), String> {
    let is_within = |at: u32| function.start <= at && at < function.end;
    let mut shared = places.shared.iter().filter(|(known, at)| known == name && is_within(*at));
    let is_here = |read: &NameRead| {
        places.function_around(read.span.start).is_some_and(|definition| definition.range == function)
    };
    let mut reads = places.names.iter().filter(|read| read.name == name && function.contains(read.span));
    if shared.next().is_some() || !reads.all(is_here) {
        return Err(USED_FOR_MORE.to_owned());
    }
    Ok(())
}

/// Whether this makes a runner, on a loop like any other.
fn is_plain(pages: &Pages<'_>, places: &Places, file: FileId, made: Span) -> Result<(), String> {
    let Some(call) = places.calls.get(&made) else { return Err(NOT_MADE_HERE.to_owned()) };
    let text = pages.slice(file, call.function);
    let is_runner = match text.rsplit_once('.') {
        Some((_, member)) => member.trim() == "Runner",
        None => places.import_of(text).is_some_and(|import| import.member.as_deref() == Some("Runner")),
    };
    if !is_runner {
        return Err(NOT_MADE_HERE.to_owned());
    }
    match call.keywords.iter().find(|keyword| *keyword != "debug") {
        Some(keyword) => Err(format!("the `{keyword}` of this runner says which loop it must be")),
        None => Ok(()),
    }
}

/// Whether `await` can take the place of a run.
fn is_run(places: &Places, run: Span) -> Result<(), String> {
    match places.calls.get(&run) {
        Some(call) if call.arguments.len() == 1 && call.keywords.is_empty() => Ok(()),
        _ => Err("this runs in a context that it is given".to_owned()),
    }
}

fn use_of(
    pages: &Pages<'_>,
    places: &Places,
    file: FileId,
    read: &NameRead,
    runner: &mut Runner,
) -> Result<(), String> {
    let Becomes::Attribute(attribute) = read.becomes else { return Err(USED_FOR_MORE.to_owned()) };
    let method = pages.slice(file, attribute).rsplit('.').next().unwrap_or_default().trim();
    let call = places.calls.iter().find(|(_, call)| call.function == attribute).map(|(span, _)| *span);
    let statement = call.and_then(|call| places.statements.get(&call));
    match (method, call, statement) {
        ("run", Some(run), _) => {
            is_run(places, run)?;
            runner.runs.push(run);
        }
        ("close", _, Some(statement)) => runner.gone.push(*statement),
        _ => return Err(USED_FOR_MORE.to_owned()),
    }
    Ok(())
}

const NOT_MADE_HERE: &str = "this runner is not made here: what else runs on it is not known";
const USED_FOR_MORE: &str = "this runner is used for more than its runs";
