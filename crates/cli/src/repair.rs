//! `--fix` and `--diff`: writes what the checker has repaired, or shows it.

use crate::arguments::{Arguments, Format};
use crate::files::Read;
use crate::{Answer, tell};
use similar::TextDiff;
use soliloop_check::report::{Style, json_of_repair, json_of_rest};
use soliloop_check::{File, Knowledge, Refusal, Settings, fix};
use std::fmt::Write;

/// Repairs the files, of which this much is known; tells what is left, and why.
pub(crate) fn repair(
    arguments: &Arguments,
    settings: &Settings,
    read: &Read,
    known: Vec<Knowledge>,
    style: Style,
) -> Result<Answer, String> {
    if arguments.diff {
        return Ok(shown(arguments, settings, read, known));
    }
    let mut repair = fix(&read.files, known, settings);
    let mut files: Vec<File> = read.files.clone();
    for file in &mut files {
        let Some(text) = repair.changed.get(&file.path) else { continue };
        // A program on standard input has no place: it goes to standard output.
        if let Some(place) = read.places.get(&file.path) {
            std::fs::write(place, text).map_err(|error| format!("{}: {error}", place.display()))?;
        }
        file.text.clone_from(text);
    }
    repair.report.problems.extend(read.problems.iter().cloned());
    let mut complaint = refused(&repair.refusals);
    let count = repair.changed.len();
    if count > 0 {
        let _ = writeln!(complaint, "Repaired {count} {}.", if count == 1 { "file" } else { "files" });
    }
    let status = u8::from(!repair.report.findings.is_empty() && !arguments.exit_zero);
    let told = match arguments.format {
        Format::Json if !arguments.statistics && arguments.graph.is_none() => json_of_rest(&repair),
        _ => tell(arguments, &repair.report, &files, style),
    };
    if read.places.is_empty()
        && let [file] = files.as_slice()
    {
        return Ok(Answer { output: file.text.clone(), complaint: complaint + &told, status });
    }
    Ok(Answer { output: told, complaint, status })
}

/// What would be repaired; no file changes.
fn shown(arguments: &Arguments, settings: &Settings, read: &Read, known: Vec<Knowledge>) -> Answer {
    let mut output = String::new();
    let repair = if arguments.format == Format::Json {
        let before = soliloop_check::check(&read.files, known.clone(), settings);
        let repair = fix(&read.files, known, settings);
        output = json_of_repair(&before, &repair);
        repair
    } else {
        fix(&read.files, known, settings)
    };
    for file in read.files.iter().filter(|_| arguments.format != Format::Json) {
        let Some(new) = repair.changed.get(&file.path) else { continue };
        let diff = TextDiff::from_lines(&file.text, new);
        let (from, to) = (format!("a/{}", file.path), format!("b/{}", file.path));
        let _ = write!(output, "{}", diff.unified_diff().header(&from, &to));
    }
    let status = u8::from(!repair.changed.is_empty() && !arguments.exit_zero);
    Answer { output, complaint: refused(&repair.refusals), status }
}

fn refused(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    for Refusal { place, reason, functions, .. } in refusals {
        let mut names: Vec<String> = functions.iter().take(MOST_NAMES).map(|name| format!("`{name}`")).collect();
        if functions.len() > MOST_NAMES {
            names.push(format!("{} more", functions.len() - MOST_NAMES));
        }
        let names = names.join(", ");
        let _ = writeln!(text, "{}:{}:{}: not repaired: {names}: {reason}", place.path, place.line, place.column);
    }
    if !refusals.is_empty() {
        let _ = writeln!(text, "Other ways: {}.", Refusal::other_ways(refusals));
    }
    text
}

/// Functions that one line names.
const MOST_NAMES: usize = 3;
