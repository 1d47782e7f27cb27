//! JSON: `{"findings": [...], "problems": [...]}`; of a repair `"refusals": [...]` and `"other_ways"` as well.

use super::word;
use crate::{Finding, Place, Problem, Refusal, Repair, Report};
use serde::Serialize;
use std::collections::BTreeSet;

#[derive(Serialize)]
struct Told<'r> {
    findings: Vec<ToldFinding<'r>>,
    problems: Vec<ToldProblem<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refusals: Option<Vec<ToldRefusal<'r>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    other_ways: Option<String>,
}

#[derive(Serialize)]
struct ToldFinding<'r> {
    path: &'r str,
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
    code: &'static str,
    name: &'static str,
    severity: &'static str,
    message: &'r str,
    help: &'r str,
    chain: Vec<&'r str>,
    sites: Vec<Site<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<Fix<'r>>,
}

#[derive(Serialize)]
struct Site<'r> {
    path: &'r str,
    line: usize,
    column: usize,
}

#[derive(Serialize)]
struct Fix<'r> {
    message: &'r str,
    paths: BTreeSet<&'r str>,
}

#[derive(Serialize)]
struct ToldProblem<'r> {
    path: &'r str,
    line: usize,
    message: &'r str,
}

#[derive(Serialize)]
struct ToldRefusal<'r> {
    path: &'r str,
    line: usize,
    column: usize,
    functions: &'r [String],
    reason: &'r str,
}

/// The whole report as JSON, with a line break at the end.
pub fn json(report: &Report) -> String {
    told(report, |_| None, None)
}

/// The same of what a repair has left.
pub fn json_of_rest(repair: &Repair) -> String {
    told(&repair.report, |_| None, Some(&repair.refusals))
}

/// The same of a program that can be repaired: findings that are gone after it have a `fix`, which names the files that change for it.
pub fn json_of_repair(report: &Report, repair: &Repair) -> String {
    told(report, |finding| fix(finding, repair), Some(&repair.refusals))
}

fn fix<'r>(finding: &'r Finding, repair: &Repair) -> Option<Fix<'r>> {
    let is_left = |left: &Finding| {
        (left.code, &left.place.path) == (finding.code, &finding.place.path)
            && left.chain.iter().map(|link| &link.name).eq(finding.chain.iter().map(|link| &link.name))
    };
    if repair.report.findings.iter().any(is_left) {
        return None;
    }
    let places = finding.chain.iter().filter_map(|link| link.place.as_ref()).chain([&finding.place]);
    let paths: BTreeSet<&str> =
        places.map(|place| place.path.as_str()).filter(|path| repair.changed.contains_key(*path)).collect();
    (!paths.is_empty()).then_some(Fix { message: &finding.help, paths })
}

fn told<'r>(
    report: &'r Report,
    fix: impl Fn(&'r Finding) -> Option<Fix<'r>>,
    refusals: Option<&'r [Refusal]>,
) -> String {
    let whole = Told {
        findings: report.findings.iter().map(|one| ToldFinding { fix: fix(one), ..finding(one) }).collect(),
        problems: report.problems.iter().map(problem).collect(),
        refusals: refusals.map(|refusals| refusals.iter().map(refusal).collect()),
        other_ways: refusals.map(Refusal::other_ways),
    };
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

fn finding(finding: &Finding) -> ToldFinding<'_> {
    ToldFinding {
        path: &finding.place.path,
        line: finding.place.line,
        column: finding.place.column,
        end_line: finding.place.end_line,
        end_column: finding.place.end_column,
        code: finding.code,
        name: finding.name,
        severity: word(finding.severity),
        message: &finding.message,
        help: &finding.help,
        chain: finding.chain.iter().map(|link| link.name.as_str()).collect(),
        sites: finding.chain.iter().filter_map(|link| link.place.as_ref()).map(site).collect(),
        fix: None,
    }
}

fn problem(Problem { path, line, message }: &Problem) -> ToldProblem<'_> {
    ToldProblem { path, line: *line, message }
}

fn refusal(Refusal { place, reason, functions, .. }: &Refusal) -> ToldRefusal<'_> {
    ToldRefusal { path: &place.path, line: place.line, column: place.column, functions, reason }
}

fn site(place: &Place) -> Site<'_> {
    Site { path: &place.path, line: place.line, column: place.column }
}
