//! The rules: one file each, with its documentation; this is their list.
//!
//! A rule reads the program and its graph, and says what it finds. It knows no format of output, and no file.

mod async_generator_not_closed;
mod async_without_await;
mod await_under_sync_lock;
mod blocking;
mod busy_wait;
mod coroutine_never_awaited;
mod deprecated_get_event_loop;
mod loop_from_other_thread;
mod loop_lifecycle;
pub(crate) mod misuse;
mod nest_asyncio;
pub(crate) mod offloads;
mod swallowed_cancellation;
mod task_dropped;

pub(crate) use async_without_await::{needs_a_loop, tell_all as tell_idle, wanted_by};
pub(crate) use blocking::{LET_IT_NEST, tell_all as tell_blocking};
pub(crate) use nest_asyncio::is_patch;
pub(crate) use swallowed_cancellation::is_to_cancel;
pub(crate) use task_dropped::{is_shown, is_text};

use crate::facts::{Condition, Event, EventKind, ExprId, Span, Use};
use crate::graph::{Graph, Site};
use crate::link::Program;
use crate::link::values::{FileId, FnId};
use crate::search::Stakes;
use serde::{Deserialize, Deserializer, Serialize, de::Error};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Severity {
    /// Worth a look.
    Warning,
    /// It stalls the loop, or breaks the program.
    Error,
}

/// A rule, and what people may read about it.
#[derive(Debug)]
pub struct Rule {
    /// `SL001`
    pub code: &'static str,
    /// `nested-run`
    pub name: &'static str,
    /// How bad its findings are, unless they say otherwise.
    pub severity: Severity,
    /// In one line, what it finds.
    pub summary: &'static str,
    /// What it does, why that is bad, an example, and what to do instead; Markdown.
    pub documentation: &'static str,
}

/// What a rule says.
pub(crate) struct Raw {
    pub(crate) rule: &'static Rule,
    pub(crate) severity: Severity,
    pub(crate) site: Site,
    pub(crate) message: String,
    pub(crate) help: String,
    /// The functions on the way, from the one that runs on the loop; and where each calls the next.
    pub(crate) chain: Vec<(String, Option<Site>)>,
    /// The first of them is a coroutine function.
    pub(crate) is_async: bool,
}

/// What rules look at, and where they say what they found.
pub(crate) struct Context<'c> {
    pub(crate) program: &'c mut Program,
    pub(crate) graph: &'c Graph,
    pub(crate) found: Vec<Raw>,
    pub(crate) stakes: Stakes,
    /// The only file to look at, if not all of them.
    pub(crate) only: Option<FileId>,
}

/// All rules, by code.
pub const RULES: &[&Rule] = &[
    &blocking::NESTED_RUN,
    &blocking::BLOCKING_SLEEP,
    &blocking::BLOCKING_CALL,
    &deprecated_get_event_loop::RULE,
    &coroutine_never_awaited::RULE,
    &task_dropped::RULE,
    &nest_asyncio::RULE,
    &async_without_await::RULE,
    &loop_from_other_thread::RULE,
    &swallowed_cancellation::RULE,
    &await_under_sync_lock::RULE,
    &loop_lifecycle::RULE,
    &blocking::SELF_DEADLOCK,
    &async_generator_not_closed::RULE,
    &busy_wait::RULE,
];

/// Has all rules look, but for those of ways to what blocks: what these found is there.
pub(crate) fn run(context: &mut Context<'_>) {
    run_by_file(context);
    loop_from_other_thread::check(context);
    // Last: functions in which others have found something are another matter.
    async_without_await::check(context);
    say_once(context);
}

/// Has those rules look that say of each file what is in it, whoever calls it.
pub(crate) fn run_by_file(context: &mut Context<'_>) {
    deprecated_get_event_loop::check(context);
    coroutine_never_awaited::check(context);
    task_dropped::check(context);
    nest_asyncio::check(context);
    swallowed_cancellation::check(context);
    await_under_sync_lock::check(context);
    loop_lifecycle::check(context);
    async_generator_not_closed::check(context);
    busy_wait::check(context);
    say_once(context);
}

/// Whether a rule tells of ways to what blocks.
pub(crate) fn is_of_ways(code: &str) -> bool {
    blocking::RULES.iter().any(|rule| rule.code == code)
}

/// Whether a rule reads nothing but the outline of the calls.
pub(crate) fn is_of_outline(code: &str) -> bool {
    is_of_ways(code) || code == async_without_await::RULE.code
}

/// The rule of what threads do, and the one of tasks that are dropped.
pub(crate) const OF_THREADS: &str = loop_from_other_thread::RULE.code;
pub(crate) const OF_TASKS: &str = task_dropped::RULE.code;

/// Names that may matter to rules wherever they are mentioned.
pub(crate) fn watched_names(program: &Program) -> impl Iterator<Item = String> + '_ {
    async_without_await::watched_names(program)
}

/// A task that is made in the wrong thread or of a closed loop, and dropped: its maker is one finding.
fn say_once(context: &mut Context<'_>) {
    let worse: Vec<Site> =
        context.found.iter().filter(|raw| matches!(raw.rule.code, "SL009" | "SL012")).map(|raw| raw.site).collect();
    context.found.retain(|raw| raw.rule.code != "SL006" || !worse.contains(&raw.site));
}

impl Context<'_> {
    /// The files to look at.
    fn files(&self) -> impl Iterator<Item = FileId> + use<> {
        let all = self.program.files.len() as u32;
        let files = self.only.map_or(0..all, |only| only.0..only.0 + 1);
        files.map(FileId)
    }

    /// The functions to look at.
    fn functions(&self) -> impl Iterator<Item = FnId> + use<> {
        let functions = match self.only {
            Some(file) => self.program.functions_of(file),
            None => self.program.all_functions(),
        };
        functions.map(FnId)
    }

    /// The calls of a function whose value nobody gets.
    fn dropped_calls(&self, function: FnId) -> Vec<ExprId> {
        let facts = &self.program.file(self.program.file_of(function)).facts;
        // A module's names are for others.
        let is_module = self.program.function(function).at.end == 0;
        let is_dropped = |event: &Event| match event.kind {
            EventKind::Call(Use::Discarded) => true,
            EventKind::Call(Use::Bound(binding)) => !facts.bindings[binding].is_used && !is_module,
            _ => false,
        };
        let events = self.program.function(function).events.iter();
        events.filter(|event| is_dropped(event)).map(|event| event.expr).collect()
    }

    /// Whether a place stands under a condition that is never so: `if DEBUG`, where that is false in the whole program.
    fn is_ruled_out(&mut self, function: FnId, span: Span) -> bool {
        let file = self.program.file_of(function);
        let facts = self.program.file(file).facts.share();
        let events = &facts.functions[self.program.local_fn(function)].events;
        let around = events.iter().filter(|event| event.span.contains(span));
        let Some(event) = around.min_by_key(|event| event.span.end - event.span.start) else { return false };
        facts.conditions(event.guard).any(|condition| match condition {
            Condition::Test { expr, is } => self.program.constant_truth(file, expr).is_some_and(|truth| truth != is),
            _ => false,
        })
    }

    /// Says something about a place in a function.
    fn report(
        &mut self,
        rule: &'static Rule,
        function: FnId,
        span: Span,
        message: String,
        help: &str,
        then: &[String],
    ) {
        if self.is_ruled_out(function, span) {
            return;
        }
        let site = Site { file: self.program.file_of(function), span };
        let mut chain = vec![(self.program.qualified_name(function), Some(site))];
        chain.extend(then.iter().map(|name| (name.clone(), None)));
        let is_async = self.program.function(function).is_async;
        self.found.push(Raw { rule, severity: rule.severity, site, message, help: help.to_owned(), chain, is_async });
    }
}

/// The code of a rule, as a report that was kept has it.
pub(crate) fn known_code<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    known(deserializer, |rule| rule.code)
}

/// The name of a rule, likewise.
pub(crate) fn known_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<&'static str, D::Error> {
    known(deserializer, |rule| rule.name)
}

fn known<'de, D: Deserializer<'de>>(deserializer: D, of: fn(&Rule) -> &'static str) -> Result<&'static str, D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut known = RULES.iter().map(|rule| of(rule));
    known.find(|known| *known == text).ok_or_else(|| D::Error::custom("no such rule"))
}

/// The last part of a path, without calls: `run_until_complete`.
fn last_part(path: &str) -> String {
    let path = path.trim_end_matches("()");
    path.rsplit('.').next().unwrap_or(path).to_owned()
}

/// A path as people write it: `threading.Thread.join`.
fn plain(path: &str) -> String {
    let path = path.replace("()", "").replace("[*]", "").replace("[]", "");
    // Types of ours that tell more than Python's.
    let known = [
        ("asyncio.RunningLoopOrNone", "asyncio.AbstractEventLoop"),
        ("asyncio.RunningLoop", "asyncio.AbstractEventLoop"),
        ("asyncio.CurrentLoop", "asyncio.AbstractEventLoop"),
        ("asyncio.threadsafe.Future", "concurrent.futures.Future"),
        ("asyncio.KeptTask", "asyncio.Task"),
    ];
    match known.iter().find_map(|(own, name)| Some((name, path.strip_prefix(own)?))) {
        Some((name, rest)) => format!("{name}{rest}"),
        None => path,
    }
}
