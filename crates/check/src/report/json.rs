//! JSON: `{"findings": [...], "problems": [...]}`.

use super::word;
use crate::{Finding, Place, Repair, Report};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// The whole report as JSON, with a line break at the end.
pub fn json(report: &Report) -> String {
    told(report, |_| None)
}

/// The same of a program that was repaired: findings that are gone after it have a `fix`, which names the files that change for it.
pub fn json_of_repair(report: &Report, repair: &Repair) -> String {
    told(report, |finding| {
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
    })
}

fn told(report: &Report, fix: impl Fn(&Finding) -> Option<Value>) -> String {
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
    let mut text =
        serde_json::to_string_pretty(&json!({"findings": findings, "problems": problems})).unwrap_or_default();
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

fn site(place: &Place) -> Value {
    json!({"path": place.path, "line": place.line, "column": place.column})
}
