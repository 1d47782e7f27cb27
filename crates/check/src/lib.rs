//! Finds, explains and repairs what makes asyncio programs stall: nested runs, blocking calls, and their kin, across a whole program.
//!
//! [`check`] takes the text of files and gives what is wrong with them. It opens no file, prints nothing, and never imports or runs what it
//! reads. Files become facts ([`lower`]), facts a program ([`link`]), the program a graph of calls ([`graph`]); rules read those.

#![forbid(unsafe_code)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "offsets and counts are 32 bits wide: no file has 4 GiB, and no program as many parts"
)]

mod catalogue;
mod edits;
mod facts;
mod fix;
mod graph;
mod link;
mod lower;
pub mod report;
mod rules;
mod search;
pub mod settings;
mod syntax;
mod unresolved;

pub use catalogue::Category;
pub use edits::Edit;
pub use fix::{Refusal, Repair, fix};
pub use rules::{RULES, Rule, Severity};
pub use search::Outline;
pub use settings::{Settings, SyncCallers};

use catalogue::Catalogue;
use facts::{Digest, Facts, Lazy};
use graph::{Graph, Site};
use link::values::FnId;
use link::{Families, Program, Source, module_name};
use rustc_hash::FxHashSet;
use search::{FromProgram, Search, Stakes};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use syntax::LineIndex;

/// A file to check.
#[derive(Clone, Debug)]
pub struct File {
    /// Its path below the folder where the check begins, with `/`.
    pub path: String,
    /// What is in it.
    pub text: String,
}

/// What is known of one file, and can be kept for the next time: an [`Outlook`], and then a [`Body`].
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(from = "(Outlook, Body)")]
pub struct Knowledge(Outlook, Facts);

/// What must be known of each file, whatever is asked.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outlook(Digest);

/// All else that is known of a file.
#[derive(Debug, Default, Deserialize)]
pub struct Body(Facts);

/// What is known of a file, of which the rest is read once somebody asks for it.
#[derive(Debug)]
pub struct Known {
    digest: Digest,
    facts: Lazy,
}

impl Known {
    /// `body` gives the rest.
    pub fn new(outlook: Outlook, body: impl Fn() -> Body + 'static) -> Self {
        let names = Arc::clone(&outlook.0.names);
        let load = move || Facts { names: Arc::clone(&names), ..body().0 };
        Self { digest: outlook.0, facts: Lazy::new(Box::new(load)) }
    }
}

impl From<Knowledge> for Known {
    fn from(Knowledge(outlook, facts): Knowledge) -> Self {
        Self { digest: outlook.0, facts: facts.into() }
    }
}

impl From<(Outlook, Body)> for Knowledge {
    fn from((outlook, body): (Outlook, Body)) -> Self {
        let facts = Facts { names: Arc::clone(&outlook.0.names), ..body.0 };
        Self(outlook, facts)
    }
}

impl From<Facts> for Knowledge {
    fn from(facts: Facts) -> Self {
        Self(Outlook(Digest::of(&facts)), facts)
    }
}

/// What was found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// In the order of their places.
    pub findings: Vec<Finding>,
    /// Files that could not be read, or in part only.
    pub problems: Vec<Problem>,
    watched: edits::Watched,
    /// What it takes to search again after an edit; kept apart, as it is large.
    #[serde(skip)]
    outline: Option<Outline>,
}

/// A word of this crate's own. (The name keeps serde from borrowing it from what it reads.)
pub type Word = &'static str;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Where it is.
    pub place: Place,
    /// The rule's code, as `SL001`.
    #[serde(deserialize_with = "rules::known_code")]
    pub code: Word,
    /// The rule's name, as `nested-run`.
    #[serde(deserialize_with = "rules::known_name")]
    pub name: Word,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, in a sentence.
    pub message: String,
    /// What to do.
    pub help: String,
    /// From what runs on the loop to what blocks it.
    pub chain: Vec<Link>,
}

/// A function on the way, and where it calls the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// `orders.Broker.fetch`
    pub name: String,
    /// Whether it is a coroutine function.
    pub is_async: bool,
    /// Where it calls the next; the last one calls none.
    pub place: Option<Place>,
}

/// A range of a file's text; lines and columns count from 1, columns in characters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// As in [`File::path`].
    pub path: String,
    /// The line where it begins.
    pub line: usize,
    /// The column where it begins.
    pub column: usize,
    /// The line where it ends.
    pub end_line: usize,
    /// The column behind its end.
    pub end_column: usize,
    /// The bytes from the beginning of the file to both ends.
    bytes: (u32, u32),
}

/// A file that is no Python, or could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// As in [`File::path`].
    pub path: String,
    /// From 1; 0 if it is about the whole file.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

/// What is known of a file with this text.
pub fn know(text: &str) -> Knowledge {
    match syntax::too_deep(text) {
        Some(at) => Facts { error: Some(("nested too deeply: not checked".to_owned(), at)), ..lower::facts("") }.into(),
        None => lower::facts(text).into(),
    }
}

/// Checks a program.
///
/// `files` in the order of their paths, `known` what [`know`] says of each.
pub fn check(files: &[File], known: Vec<Knowledge>, settings: &Settings) -> Report {
    check_then(files, known, settings, |report| report)
}

/// Checks a program, and hands the report on before the memory that it took is given back: that takes a while.
///
/// `files` and `known` as for [`check`].
pub fn check_then<T>(files: &[File], known: Vec<Knowledge>, settings: &Settings, then: impl FnOnce(Report) -> T) -> T {
    let (mut program, graph) = analyse(files, known, settings);
    then(report(files, &mut program, &graph, settings))
}

fn report(files: &[File], program: &mut Program, graph: &Graph, settings: &Settings) -> Report {
    let mut texts = Texts::new(files);
    let mut problems = Vec::new();
    for (index, file) in files.iter().enumerate() {
        if let Some((message, at)) = &program.files[index].facts.error {
            let line = texts.lines(index).line_index((*at).into()).get();
            problems.push(Problem { path: file.path.clone(), line, message: message.clone() });
        }
    }
    let (mut outline, found, shared) = search_all(program, graph);
    if settings.strict {
        for (site, message) in unresolved::calls(program, &shared) {
            let place = texts.place(site);
            problems.push(Problem { path: place.path, line: place.line, message });
        }
    }
    let mut context = rules::Context { program, graph, found, stakes: Stakes::default(), only: None };
    rules::run(&mut context);
    let mut found = context.found;
    outline.stakes = context.stakes;
    found.extend(rules::tell_idle(&outline, &found));
    let others = found.iter().filter(|raw| !rules::is_of_ways(raw.rule.code));
    outline.add_asked(program);
    outline.add_noises(program, others.map(|raw| raw.site));
    let wanted = found.into_iter().filter(|raw| is_wanted(raw, &outline, files, settings));
    let findings = wanted.map(|raw| texts.tell(raw)).collect();
    let watched = edits::Watched::new(program, rules::watched_names(program));
    let mut report = Report { findings, problems, watched, outline: Some(outline) };
    report.sort();
    report
}

/// The outline, what blocks, and functions that too many share.
fn search_all(program: &mut Program, graph: &Graph) -> (Outline, Vec<rules::Raw>, Vec<(FnId, Site, usize)>) {
    let mut outline = Outline::new(program, graph);
    let answers = FromProgram::new(program, graph);
    let search = Search::new(&outline, &answers);
    let (found, shared) = (rules::tell_blocking(&outline, &search), search.shared);
    outline.set_answers(program, answers.given());
    (outline, found, shared)
}

/// Whether it is selected, and no comment silences it: where it is, or where its chain ends.
fn is_wanted(raw: &rules::Raw, outline: &Outline, files: &[File], settings: &Settings) -> bool {
    let (code, path) = (raw.rule.code, &files[raw.site.file.0 as usize].path);
    let end = raw.chain.iter().rev().find_map(|(_, site)| *site);
    settings.is_selected(code)
        && !settings.is_ignored_in(code, path)
        && ![raw.site].into_iter().chain(end).any(|site| outline.is_silenced(site, code))
}

impl Report {
    fn sort(&mut self) {
        self.findings.sort_by(|one, other| {
            (&one.place, one.code, &one.message).cmp(&(&other.place, other.code, &other.message))
        });
        self.findings.dedup();
    }
}

/// The program, and the graph of its calls.
fn analyse(files: &[File], known: Vec<Knowledge>, settings: &Settings) -> (Program, Graph) {
    let mut program = program_of(files, known, settings, None);
    let graph = graph::build(&mut program);
    (program, graph)
}

fn program_of<K: Into<Known>>(
    files: &[File],
    known: Vec<K>,
    settings: &Settings,
    families: Option<&Families>,
) -> Program {
    let packages: FxHashSet<&str> = files.iter().filter_map(|file| file.path.strip_suffix("/__init__.py")).collect();
    let sources = files.iter().zip(known).map(|(file, known)| {
        let module = module_name(&file.path, |folder| packages.contains(folder));
        let Known { digest, facts } = known.into();
        Source { path: file.path.clone(), module, digest, facts }
    });
    Program::new(sources.collect(), Catalogue::new(&settings.blocking), families)
}

/// The texts, and where their lines begin.
struct Texts<'f> {
    files: &'f [File],
    lines: Vec<Option<LineIndex>>,
}

impl<'f> Texts<'f> {
    fn new(files: &'f [File]) -> Self {
        Self { files, lines: files.iter().map(|_| None).collect() }
    }

    fn lines(&mut self, file: usize) -> &LineIndex {
        let text = &self.files[file].text;
        self.lines[file].get_or_insert_with(|| LineIndex::from_source_text(text))
    }

    fn place(&mut self, site: Site) -> Place {
        let file = site.file.0 as usize;
        let text = &self.files[file].text;
        let lines = self.lines(file);
        // The text is another one than that of the place where one more edit is still to be told of: then the place moves.
        let within = |place: u32| {
            let nearest = (0..=text.len().min(place as usize)).rev().find(|place| text.is_char_boundary(*place));
            (nearest.unwrap_or_default() as u32).into()
        };
        let (start, end) =
            (lines.line_column(within(site.span.start), text), lines.line_column(within(site.span.end), text));
        Place {
            path: self.files[file].path.clone(),
            line: start.line.get(),
            column: start.column.get(),
            end_line: end.line.get(),
            end_column: end.column.get(),
            bytes: (site.span.start, site.span.end),
        }
    }

    fn tell(&mut self, raw: rules::Raw) -> Finding {
        let chain = raw.chain.into_iter().enumerate().map(|(index, (name, site))| Link {
            is_async: index == 0 && raw.is_async,
            place: site.map(|site| self.place(site)),
            name,
        });
        let chain = chain.collect();
        Finding {
            place: self.place(raw.site),
            code: raw.rule.code,
            name: raw.rule.name,
            severity: raw.severity,
            message: raw.message,
            help: raw.help,
            chain,
        }
    }
}
