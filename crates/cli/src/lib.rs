//! `soliloop check`: reads files and settings, has them checked, and says what was found. All that the checker does not know of the world
//! outside is here: arguments, folders, `pyproject.toml`, threads.

#![forbid(unsafe_code)]

mod arguments;
mod files;
mod project;
mod repair;

use arguments::{Arguments, Format};
use clap::Parser;
use soliloop_check::report::{self, Drawing};
use soliloop_check::{RULES, Report, Rule, Settings};
use std::collections::HashMap;
use std::ffi::OsString;
use std::path::Path;

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

/// Runs the command with these arguments, without the command's own name.
pub fn run(arguments: Vec<OsString>) -> Answer {
    let name = OsString::from("soliloop check");
    match Arguments::try_parse_from(std::iter::once(name).chain(arguments)) {
        Ok(arguments) => answer(&arguments).unwrap_or_else(|complaint| Answer {
            complaint: format!("soliloop check: {complaint}\n"),
            status: 2,
            ..Answer::default()
        }),
        Err(error) if error.use_stderr() => Answer { complaint: error.to_string(), status: 2, ..Answer::default() },
        Err(help) => Answer { output: help.to_string(), ..Answer::default() },
    }
}

fn answer(arguments: &Arguments) -> Result<Answer, String> {
    if let Some(code) = &arguments.explain {
        return explain(code).map(|output| Answer { output, ..Answer::default() });
    }
    let root = std::env::current_dir().map_err(|error| format!("no working directory: {error}"))?;
    let table = if arguments.isolated { project::Found::default() } else { project::find(&arguments.paths, &root)? };
    let settings =
        Settings::new(table.table, arguments.select.clone(), arguments.ignore.clone()).map_err(|error| error.0)?;
    let read = files::read(&arguments.paths, &root, &settings.exclude)?;
    if arguments.fix || arguments.diff {
        return repair::repair(arguments, &settings, &read);
    }
    let known = files::know(&read.files);
    let mut report = soliloop_check::check(&read.files, known, &settings);
    report.problems.extend(read.problems);
    report.problems.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
    let found = !report.findings.is_empty();
    let output = tell(arguments, &report, &read.files);
    let status = u8::from(found && !arguments.exit_zero);
    Ok(Answer { output, complaint: String::new(), status })
}

fn tell(arguments: &Arguments, report: &Report, files: &[soliloop_check::File]) -> String {
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
            report::text(report, &|path, line| texts.get(path)?.lines().nth(line - 1).map(str::to_owned))
        }
        Format::Concise => report::concise(report),
        Format::Json => report::json(report),
        Format::Sarif => report::sarif(report),
        Format::Github => report::github(report),
    }
}

/// What people may read about a rule.
fn explain(code: &str) -> Result<String, String> {
    let rule: &Rule = RULES
        .iter()
        .find(|rule| rule.code.eq_ignore_ascii_case(code) || rule.name == code)
        .ok_or_else(|| format!("unknown rule `{code}`: rules are SL001 to SL{:03}", RULES.len()))?;
    Ok(format!("# {} ({})\n\n{}\n", rule.name, rule.code, rule.documentation.trim_end()))
}

/// A path as reports show it: below the folder, with `/`.
fn shown(path: &Path, root: &Path) -> String {
    let path = path.strip_prefix(root).unwrap_or(path);
    path.to_string_lossy().replace('\\', "/")
}
