//! Annotations of GitHub Actions ("Workflow commands for GitHub Actions").

use super::{chain, word};
use crate::Report;
use std::fmt::Write;

/// One command a finding.
pub fn github(report: &Report) -> String {
    let mut text = String::new();
    for finding in &report.findings {
        let place = &finding.place;
        let _ = writeln!(
            text,
            "::{} file={},line={},col={},endLine={},endColumn={},title={}::{}%0A{}",
            word(finding.severity),
            property(&place.path),
            place.line,
            place.column,
            place.end_line,
            place.end_column,
            property(&format!("{} {}", finding.code, finding.name)),
            data(&finding.message),
            data(&chain(finding)),
        );
    }
    for problem in &report.problems {
        let _ = writeln!(
            text,
            "::warning file={},line={}::{}",
            property(&problem.path),
            problem.line.max(1),
            data(&problem.message)
        );
    }
    text
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
