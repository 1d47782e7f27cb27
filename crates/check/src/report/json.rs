//! JSON: `{"findings": [...], "problems": [...]}`; of a repair `"refusals": [...]` and `"other_ways"` as well.

use super::word;
use crate::{Finding, Place, Refusal, Repair, Report};
use serde_json::{Value, json};
use std::collections::BTreeSet;

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
    let fix = |finding: &Finding| {
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
        (!paths.is_empty()).then(|| json!({"message": finding.help, "paths": paths}))
    };
    told(report, fix, Some(&repair.refusals))
}

fn told(report: &Report, fix: impl Fn(&Finding) -> Option<Value>, refusals: Option<&[Refusal]>) -> String {
    let findings = report.findings.iter().map(|one| {
        let mut told = finding(one);
        if let (Value::Object(entries), Some(fix)) = (&mut told, fix(one)) {
            entries.insert("fix".to_owned(), fix);
        }
        told
    });
    let findings: Vec<Value> = findings.collect();
    let problems: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| json!({"path": problem.path, "line": problem.line, "message": problem.message}))
        .collect();
    let mut whole = json!({"findings": findings, "problems": problems});
    if let (Value::Object(entries), Some(refusals)) = (&mut whole, refusals) {
        entries.insert("refusals".to_owned(), refusals.iter().map(refusal).collect());
        entries.insert("other_ways".to_owned(), Refusal::other_ways().into());
    }
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

fn finding(finding: &Finding) -> Value {
    let chain: Vec<&str> = finding.chain.iter().map(|link| link.name.as_str()).collect();
    let sites: Vec<Value> = finding.chain.iter().filter_map(|link| link.place.as_ref()).map(site).collect();
    json!({
        "path": finding.place.path,
        "line": finding.place.line,
        "column": finding.place.column,
        "end_line": finding.place.end_line,
        "end_column": finding.place.end_column,
        "code": finding.code,
        "name": finding.name,
        "severity": word(finding.severity),
        "message": finding.message,
        "help": finding.help,
        "chain": chain,
        "sites": sites,
    })
}

fn refusal(Refusal { place, reason, functions }: &Refusal) -> Value {
    json!({"path": place.path, "line": place.line, "column": place.column, "functions": functions, "reason": reason})
}

fn site(place: &Place) -> Value {
    json!({"path": place.path, "line": place.line, "column": place.column})
}
