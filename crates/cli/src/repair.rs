//! `--fix` and `--diff`: writes what the checker has repaired, or shows it.

use crate::arguments::{Arguments, Format};
use crate::files::Read;
use crate::{Answer, tell};
use similar::TextDiff;
use soliloop_check::report::{Style, json_of_repair};
use soliloop_check::{File, Refusal, Repair, Settings, fix};
use std::fmt::Write;

/// Repairs the files; tells what is left, and why.
pub(crate) fn repair(arguments: &Arguments, settings: &Settings, read: &Read, style: Style) -> Result<Answer, String> {
    let Repair { changed, refusals, mut report } = fix(&read.files, settings);
    if arguments.diff && arguments.format == Format::Json {
        let known = read.files.iter().map(|file| soliloop_check::know(&file.text)).collect();
        let before = soliloop_check::check(&read.files, known, settings);
        let status = u8::from(!changed.is_empty() && !arguments.exit_zero);
        let output = json_of_repair(&before, &Repair { changed, refusals: Vec::new(), report });
        return Ok(Answer { output, complaint: refused(&refusals), status });
    }
    if arguments.diff {
        let mut output = String::new();
        for file in &read.files {
            let Some(new) = changed.get(&file.path) else { continue };
            let diff = TextDiff::from_lines(&file.text, new);
            let _ = write!(
                output,
                "{}",
                diff.unified_diff().header(&format!("a/{}", file.path), &format!("b/{}", file.path))
            );
        }
        return Ok(Answer {
            output,
            complaint: refused(&refusals),
            status: u8::from(!changed.is_empty() && !arguments.exit_zero),
        });
    }
    let mut files: Vec<File> = read.files.clone();
    for file in &mut files {
        let Some(text) = changed.get(&file.path) else { continue };
        // A program on standard input has no place: it goes to standard output.
        if let Some(place) = read.places.get(&file.path) {
            std::fs::write(place, text).map_err(|error| format!("{}: {error}", place.display()))?;
        }
        file.text.clone_from(text);
    }
    report.problems.extend(read.problems.iter().cloned());
    let mut complaint = refused(&refusals);
    if !changed.is_empty() {
        let _ =
            writeln!(complaint, "Repaired {} {}.", changed.len(), if changed.len() == 1 { "file" } else { "files" });
    }
    let status = u8::from(!report.findings.is_empty() && !arguments.exit_zero);
    let told = tell(arguments, &report, &files, style);
    if read.places.is_empty()
        && let [file] = files.as_slice()
    {
        return Ok(Answer { output: file.text.clone(), complaint: complaint + &told, status });
    }
    Ok(Answer { output: told, complaint, status })
}

fn refused(refusals: &[Refusal]) -> String {
    let mut text = String::new();
    for Refusal { place, reason } in refusals {
        let _ = writeln!(text, "{}:{}:{}: not repaired: {reason}", place.path, place.line, place.column);
    }
    if !refusals.is_empty() {
        text.push_str("Other ways: let the loop nest (start the program with `soliloop.run()`), or `await asyncio.to_thread(...)` of the first function.\n");
    }
    text
}
