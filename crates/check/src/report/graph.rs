//! Chains as drawings: coroutine functions and synchronous ones in different colours.

use crate::{Finding, Report};
use std::collections::BTreeMap;
use std::fmt::Write;

/// A language of drawings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Drawing {
    /// <https://mermaid.js.org>
    Mermaid,
    /// <https://graphviz.org>
    Dot,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Async,
    Sync,
    Sink,
}

/// The chains of all findings, as one graph.
pub fn draw(report: &Report, drawing: Drawing) -> String {
    let mut nodes: BTreeMap<String, Kind> = BTreeMap::new();
    let mut edges: BTreeMap<(String, String), String> = BTreeMap::new();
    for finding in &report.findings {
        add(finding, &mut nodes, &mut edges);
    }
    let number: BTreeMap<&String, usize> = nodes.keys().enumerate().map(|(index, name)| (name, index)).collect();
    let mut text = String::from(match drawing {
        Drawing::Mermaid => "flowchart LR\n",
        Drawing::Dot => "digraph chains {\n  rankdir=LR;\n  node [shape=box, style=filled];\n",
    });
    for (name, kind) in &nodes {
        let index = number[name];
        let _ = match drawing {
            Drawing::Mermaid => writeln!(text, "  n{index}[\"{}\"]:::{}", name.replace('"', "'"), class(*kind)),
            Drawing::Dot => {
                writeln!(text, "  n{index} [label=\"{}\", fillcolor=\"{}\"];", name.replace('"', "'"), colour(*kind))
            }
        };
    }
    for ((from, to), place) in &edges {
        let (from, to) = (number[from], number[to]);
        let _ = match drawing {
            Drawing::Mermaid => writeln!(text, "  n{from} -- \"{place}\" --> n{to}"),
            Drawing::Dot => writeln!(text, "  n{from} -> n{to} [label=\"{place}\"];"),
        };
    }
    match drawing {
        Drawing::Mermaid => {
            for kind in [Kind::Async, Kind::Sync, Kind::Sink] {
                let _ = writeln!(text, "  classDef {} fill:{}", class(kind), colour(kind));
            }
        }
        Drawing::Dot => text.push_str("}\n"),
    }
    text
}

fn add(finding: &Finding, nodes: &mut BTreeMap<String, Kind>, edges: &mut BTreeMap<(String, String), String>) {
    let last = finding.chain.len().saturating_sub(1);
    for (index, link) in finding.chain.iter().enumerate() {
        let kind = match link.is_async {
            true => Kind::Async,
            false if index == last => Kind::Sink,
            false => Kind::Sync,
        };
        nodes.entry(link.name.clone()).or_insert(kind);
        if let (Some(place), Some(next)) = (&link.place, finding.chain.get(index + 1)) {
            edges
                .entry((link.name.clone(), next.name.clone()))
                .or_insert_with(|| format!("{}:{}", place.path, place.line));
        }
    }
}

const fn class(kind: Kind) -> &'static str {
    match kind {
        Kind::Async => "coroutine",
        Kind::Sync => "sync",
        Kind::Sink => "blocks",
    }
}

const fn colour(kind: Kind) -> &'static str {
    match kind {
        Kind::Async => "#cfe8ff",
        Kind::Sync => "#fff2cc",
        Kind::Sink => "#ffd6d6",
    }
}
