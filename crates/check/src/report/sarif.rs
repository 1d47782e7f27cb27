//! SARIF 2.1.0 (OASIS), with a code flow a chain.

use super::word;
use crate::{Finding, Link, Place, RULES, Report};
use serde_json::{Value, json};
use std::fmt::Write;

/// The whole report as SARIF, with a line break at the end.
pub fn sarif(report: &Report) -> String {
    let rules: Vec<Value> = RULES
        .iter()
        .map(|rule| {
            json!({
                "id": rule.code,
                "name": rule.name,
                "shortDescription": {"text": rule.summary},
                "help": {"text": rule.documentation, "markdown": rule.documentation},
                "defaultConfiguration": {"level": word(rule.severity)},
            })
        })
        .collect();
    let results: Vec<Value> = report.findings.iter().map(result).collect();
    let notifications: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| {
            json!({
                "level": "warning",
                "message": {"text": problem.message},
                "locations": [{"physicalLocation": {
                    "artifactLocation": {"uri": uri(&problem.path)},
                    "region": {"startLine": problem.line.max(1)},
                }}],
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {"name": "soliloop check", "version": env!("CARGO_PKG_VERSION"), "rules": rules}},
            "invocations": [{"executionSuccessful": true, "toolExecutionNotifications": notifications}],
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    let mut text = serde_json::to_string_pretty(&log).unwrap_or_default();
    text.push('\n');
    text
}

fn result(finding: &Finding) -> Value {
    let index = RULES.iter().position(|rule| rule.code == finding.code);
    let steps: Vec<Value> = finding.chain.iter().filter_map(step).collect();
    json!({
        "ruleId": finding.code,
        "ruleIndex": index,
        "level": word(finding.severity),
        "message": {"text": format!("{}. {}", finding.message, finding.help)},
        "locations": [{"physicalLocation": physical(&finding.place)}],
        "codeFlows": [{"threadFlows": [{"locations": steps}]}],
    })
}

fn step(link: &Link) -> Option<Value> {
    let place = link.place.as_ref()?;
    Some(json!({"location": {
        "message": {"text": link.name},
        "physicalLocation": physical(place),
        "logicalLocations": [{"fullyQualifiedName": link.name, "kind": "function"}],
    }}))
}

fn physical(place: &Place) -> Value {
    json!({
        "artifactLocation": {"uri": uri(&place.path)},
        "region": {
            "startLine": place.line,
            "startColumn": place.column,
            "endLine": place.end_line,
            "endColumn": place.end_column,
        },
    })
}

/// A path as a relative reference (RFC 3986).
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"/-._~".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            let _ = write!(uri, "%{byte:02X}");
        }
    }
    uri
}
