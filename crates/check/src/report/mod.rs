//! What was found, told: one format a file.

mod github;
mod graph;
mod json;
mod sarif;
mod text;

pub use github::github;
pub use graph::{Drawing, draw};
pub use json::{json, json_of_repair, json_of_rest};
pub use sarif::sarif;
pub use text::{Style, concise, statistics, text};

use crate::{Finding, Severity};

const fn word(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// `main.py:12 A (async) -> orders.py:40 B -> run_until_complete`
fn chain(finding: &Finding) -> String {
    let links = finding.chain.iter().map(|link| {
        let name = if link.is_async { format!("{} (async)", link.name) } else { link.name.clone() };
        match &link.place {
            Some(place) => format!("{}:{} {name}", place.path, place.line),
            None => name,
        }
    });
    links.collect::<Vec<_>>().join(" -> ")
}
