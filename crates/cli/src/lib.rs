//! `soliloop check`: reads files and settings, has them checked, and says what was found. All that the checker does not know of the world
//! outside is here: arguments, folders, `pyproject.toml`, threads.

#![forbid(unsafe_code)]

mod arguments;
mod cache;
mod files;
mod project;
mod repair;

use arguments::{Arguments, Colour, Format};
use cache::{Cache, Key};
use clap::Parser;
use files::Read;
use project::Found;
use rayon::prelude::*;
use soliloop_check::report::{self, Drawing, Style};
use soliloop_check::settings::Table;
use soliloop_check::{Knowledge, RULES, Report, Rule, Settings, SyncCallers};
use std::collections::HashMap;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Many small pieces on all cores, given back in another order: with the system's allocator it takes a tenth to an eighth longer. (Where pages
/// may have several sizes, it is the system's all the same: this one is told theirs when it is built.)
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What the command says, and its exit status: 0 if nothing was found, 1 if something was, 2 if it could not be done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// For standard output.
    pub output: String,
    /// For standard error.
    pub complaint: String,
    /// The exit status.
    pub status: u8,
}

/// Runs the command with these arguments, without the command's own name. `is_terminal` says whether people will read the output.
pub fn run(arguments: Vec<OsString>, is_terminal: bool) -> Answer {
    let name = OsString::from("soliloop check");
    match Arguments::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(arguments) => run_in_pool(move |tell| {
            if let Err(complaint) = answer(&arguments, is_terminal, tell) {
                let complaint = format!("soliloop check: {complaint}\n");
                tell(Answer { complaint, status: 2, ..Answer::default() });
            }
        }),
        Err(error) if error.use_stderr() => Answer { complaint: error.to_string(), status: 2, ..Answer::default() },
        Err(help) => Answer { output: help.to_string(), ..Answer::default() },
    }
}

/// Does something on threads with deep stacks, as deeply nested code needs them, until it tells its answer. What it does then, it does by the
/// way: it gives back its memory, unless the process ends first.
fn run_in_pool(work: impl FnOnce(&dyn Fn(Answer)) + Send + 'static) -> Answer {
    let (sender, answers) = mpsc::channel();
    let work = move || {
        let tell = |answer| {
            // Nobody listens after the first answer.
            let _ = sender.send(Ok(answer));
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(&tell))) {
            let _ = sender.send(Err(panic));
        }
    };
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK).build();
    match &pool {
        Ok(pool) => pool.spawn(work),
        Err(_) => work(),
    }
    match answers.recv() {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => resume_unwind(panic),
        Err(_) => Answer { complaint: "soliloop check: no answer\n".to_owned(), status: 2, ..Answer::default() },
    }
}

fn answer(arguments: &Arguments, is_terminal: bool, tell_answer: &dyn Fn(Answer)) -> Result<(), String> {
    if let Some(code) = &arguments.explain {
        tell_answer(Answer { output: explain(code)?, ..Answer::default() });
        return Ok(());
    }
    let root = std::env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
    let is_input = arguments.paths == [Path::new("-")];
    let paths: &[PathBuf] = if is_input { &[] } else { &arguments.paths };
    let found = match &arguments.config {
        _ if arguments.isolated => Found { table: Table::default(), home: root.clone(), file: None },
        Some(file) => project::read(file, &root)?,
        None => project::find(paths, &root)?,
    };
    let cache_dir = arguments.cache_dir.clone().or_else(|| found.table.cache_dir.as_ref().map(PathBuf::from));
    let cache_dir = found.home.join(cache_dir.unwrap_or_else(|| PathBuf::from(CACHE)));
    let base = files::base_of(paths, &root);
    let question = format!(
        "{:?} {:?} {:?} {:?} {} {} {paths:?}",
        found.table,
        arguments.select,
        arguments.extend_select,
        arguments.ignore,
        arguments.strict,
        base.display()
    );
    let settings = settings(arguments, found, &base)?;
    let read = if is_input {
        files::read_input(arguments.stdin_filename.as_deref().unwrap_or("-"))?
    } else {
        files::read(paths, &root, &settings)?
    };
    let style = style(arguments.color, is_terminal);
    let cache = if arguments.no_cache || is_input { None } else { Cache::open(&cache_dir) };
    if arguments.fix || arguments.diff {
        tell_answer(repair::repair(arguments, &settings, &read, known(&read, cache.as_ref()), style)?);
        return Ok(());
    }
    check(&read, &settings, cache.as_ref(), &question, |mut report| {
        report.problems.extend(read.problems.iter().cloned());
        report.problems.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
        let found = !report.findings.is_empty();
        let output = tell(arguments, &report, &read.files, style);
        let status = u8::from(found && !arguments.exit_zero);
        tell_answer(Answer { output, complaint: String::new(), status });
    });
    Ok(())
}

fn settings(arguments: &Arguments, found: Found, base: &Path) -> Result<Settings, String> {
    let home = format!("{}/", found.home.display());
    let file = found.file;
    let settings = Settings::new(found.table).map_err(|error| match file {
        Some(file) => format!("{}: {}", file.display(), error.0),
        None => error.0,
    })?;
    let mut settings = settings
        .with(arguments.select.clone(), &arguments.extend_select, &arguments.ignore)
        .map_err(|error| error.0)?
        .told_from(&format!("{}/", base.display()), &home);
    settings.strict |= arguments.strict;
    settings.sync_callers = match arguments.sync_callers {
        Some(arguments::SyncWay::Run) => SyncCallers::Run,
        Some(arguments::SyncWay::Wrapper) => SyncCallers::Wrapper,
        None => settings.sync_callers,
    };
    Ok(settings)
}

/// Hands on the report: kept from the last time if nothing but places has changed since, else made of facts that are kept or new.
fn check(read: &Read, settings: &Settings, cache: Option<&Cache>, question: &str, then: impl FnOnce(Report)) {
    let Some(cache) = cache else {
        return soliloop_check::check_then(&read.files, known(read, None), settings, then);
    };
    let key = Key::new(question);
    match cache.report(&key, read, settings) {
        Some(report) => then(report),
        None => soliloop_check::check_then(&read.files, cache.know(read), settings, |report| {
            cache.keep(&key, read, &report);
            then(report);
        }),
    }
}

/// What is known of the files: kept from the last time, or new.
fn known(read: &Read, cache: Option<&Cache>) -> Vec<Knowledge> {
    match cache {
        Some(cache) => cache.know(read),
        None => read.files.par_iter().map(|file| soliloop_check::know(&file.text)).collect(),
    }
}

fn style(colour: Colour, is_terminal: bool) -> Style {
    let is_wanted = match colour {
        Colour::Always => true,
        Colour::Never => false,
        Colour::Auto => is_terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    if is_wanted { Style::Coloured } else { Style::Plain }
}

fn tell(arguments: &Arguments, report: &Report, files: &[soliloop_check::File], style: Style) -> String {
    if let Some(drawing) = arguments.graph {
        let drawing = match drawing {
            arguments::Graph::Mermaid => Drawing::Mermaid,
            arguments::Graph::Dot => Drawing::Dot,
        };
        return report::draw(report, drawing);
    }
    if arguments.statistics {
        return report::statistics(report);
    }
    match arguments.format {
        Format::Full => {
            let texts: HashMap<&str, &str> =
                files.iter().map(|file| (file.path.as_str(), file.text.as_str())).collect();
            report::text(report, style, &|path, line| texts.get(path)?.lines().nth(line - 1).map(str::to_owned))
        }
        Format::Concise => report::concise(report),
        Format::Json => report::json(report),
        Format::Sarif => report::sarif(report),
        Format::Github => report::github(report),
    }
}

/// What people may read about a rule.
fn explain(code: &str) -> Result<String, String> {
    let rule: &Rule =
        RULES.iter().find(|rule| rule.code.eq_ignore_ascii_case(code) || rule.name == code).ok_or_else(|| {
            let names: Vec<&str> = RULES.iter().map(|rule| rule.name).collect();
            let near = similar::get_close_matches(code, &names, 1, 0.6);
            let near = near.first().map_or_else(String::new, |near| format!(" (did you mean `{near}`?)"));
            format!("unknown rule `{code}`{near}: rules are SL001 to SL{:03}", RULES.len())
        })?;
    Ok(format!("# {} ({})\n\n{}\n", rule.name, rule.code, rule.documentation.trim_end()))
}

/// A path as reports show it: below the folder, with `/`.
fn shown(path: &Path, root: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}

/// The folder of the cache, beside `pyproject.toml`.
const CACHE: &str = ".soliloop_cache";
/// Bytes; only what is used is taken.
const STACK: usize = 256 << 20;
