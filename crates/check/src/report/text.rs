//! For people: each finding with its line and its chain; those with the same end are told together.

use super::chain;
use crate::{Finding, Place, Report, Severity};
use std::collections::BTreeMap;
use std::fmt::Write;

/// Whether text has colours, as terminals show them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// None.
    Plain,
    /// Codes, severities and marks stand out.
    Coloured,
}

#[derive(Clone, Copy)]
enum Ink {
    Bold,
    Error,
    Warning,
    Quiet,
}

impl Style {
    fn paint(self, ink: Ink, text: impl std::fmt::Display) -> String {
        let code = match (self, ink) {
            (Self::Plain, _) => return text.to_string(),
            (Self::Coloured, Ink::Bold) => "1",
            (Self::Coloured, Ink::Error) => "1;31",
            (Self::Coloured, Ink::Warning) => "1;33",
            (Self::Coloured, Ink::Quiet) => "1;34",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The whole report. `line_of` gives a line of a file, without its end.
pub fn text(report: &Report, style: Style, line_of: &dyn Fn(&str, usize) -> Option<String>) -> String {
    let mut text = String::new();
    let mut groups: BTreeMap<(&Place, &str), Vec<&Finding>> = BTreeMap::new();
    for finding in &report.findings {
        groups.entry((end(finding), finding.code)).or_default().push(finding);
    }
    // In the order of their first findings.
    let mut groups: Vec<Vec<&Finding>> = groups.into_values().collect();
    groups.sort_by_key(|group| (&group[0].place, group[0].code));
    for group in groups {
        // The shortest chain explains most.
        let Some(first) = group.iter().min_by_key(|finding| finding.chain.len()) else { continue };
        one(&mut text, first, style, line_of);
        let others: Vec<&&Finding> = group.iter().filter(|finding| *finding != first).collect();
        if !others.is_empty() {
            let _ = writeln!(
                text,
                "   = also from {} other {}:",
                others.len(),
                if others.len() == 1 { "place" } else { "places" }
            );
            for other in others.iter().take(MOST_OTHERS) {
                let _ = writeln!(text, "       {}", chain(other));
            }
            if others.len() > MOST_OTHERS {
                let _ = writeln!(text, "       and {} more (--format concise lists all)", others.len() - MOST_OTHERS);
            }
        }
        text.push('\n');
    }
    problems(&mut text, report);
    summary(&mut text, report);
    text
}

/// A line a finding.
pub fn concise(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let place = &finding.place;
        let _ = writeln!(
            text,
            "{}:{}:{}: {} {} [{}]",
            place.path,
            place.line,
            place.column,
            finding.code,
            finding.message,
            chain(finding)
        );
    }
    problems(&mut text, report);
    summary(&mut text, report);
    text
}

/// How many findings of each rule.
pub fn statistics(report: &Report) -> String {
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for finding in &report.findings {
        *counts.entry((finding.code, finding.name)).or_default() += 1;
    }
    let mut text = String::new();
    for ((code, name), count) in counts {
        let _ = writeln!(text, "{count:>6}  {code}  {name}");
    }
    text
}

fn one(text: &mut String, finding: &Finding, style: Style, line_of: &dyn Fn(&str, usize) -> Option<String>) {
    let place = &finding.place;
    let loud = match finding.severity {
        Severity::Error => Ink::Error,
        Severity::Warning => Ink::Warning,
    };
    let _ = writeln!(
        text,
        "{}:{}:{}: {} [{}] {}",
        style.paint(Ink::Bold, &place.path),
        place.line,
        place.column,
        style.paint(loud, finding.code),
        finding.name,
        finding.message
    );
    if let Some(line) = line_of(&place.path, place.line) {
        let width = place.line.to_string().len().max(2);
        let end = if place.end_line == place.line { place.end_column } else { line.chars().count() + 1 };
        let marks = style.paint(loud, "^".repeat(end.saturating_sub(place.column).max(1)));
        let before: String =
            line.chars().take(place.column - 1).map(|sign| if sign == '\t' { '\t' } else { ' ' }).collect();
        let bar = style.paint(Ink::Quiet, "|");
        let number = style.paint(Ink::Quiet, format!("{:>width$}", place.line));
        let _ = writeln!(text, "{:width$} {bar}", "");
        let _ = writeln!(text, "{number} {bar} {line}");
        let _ = writeln!(text, "{:width$} {bar} {before}{marks}", "");
    }
    if finding.chain.len() > 1 {
        let _ = writeln!(text, "   = {}", chain(finding));
    }
    let _ = writeln!(text, "   = {} {}", style.paint(Ink::Quiet, "help:"), finding.help);
}

fn problems(text: &mut String, report: &Report) {
    for problem in &report.problems {
        let _ = writeln!(text, "{}:{}: not checked, or in part only: {}", problem.path, problem.line, problem.message);
    }
}

fn summary(text: &mut String, report: &Report) {
    let count = report.findings.len();
    let _ = match count {
        0 if report.problems.is_empty() => writeln!(text, "All checks passed!"),
        0 => writeln!(text, "Found no problem in what could be checked."),
        1 => writeln!(text, "Found 1 problem."),
        _ => writeln!(text, "Found {count} problems."),
    };
}

/// Where the chain ends.
fn end(finding: &Finding) -> &Place {
    finding.chain.iter().rev().find_map(|link| link.place.as_ref()).unwrap_or(&finding.place)
}

const MOST_OTHERS: usize = 5;
