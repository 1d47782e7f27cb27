//! JSON: `{"findings": [...], "problems": [...]}`.

use super::word;
use crate::{Finding, Place, Report};
use serde_json::{Value, json};

/// The whole report as JSON, with a line break at the end.
pub fn json(report: &Report) -> String {
    let findings: Vec<Value> = report.findings.iter().map(finding).collect();
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
