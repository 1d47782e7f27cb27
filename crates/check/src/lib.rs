//! Finds, explains and repairs what makes asyncio programs stall: nested runs, blocking calls, and their kin, across a whole program.

#![forbid(unsafe_code)]

mod catalogue;
mod facts;
mod graph;
mod link;
mod lower;
mod rules;
mod search;
mod syntax;

use catalogue::Catalogue;
pub use catalogue::Category;
pub use rules::{RULES, Rule, Severity};
use link::{Program, Source, module_name};

/// temporary
pub fn check(files: Vec<(String, String)>) -> String {
    let inits: std::collections::BTreeSet<String> =
        files.iter().filter_map(|(path, _)| path.strip_suffix("/__init__.py").map(str::to_owned)).collect();
    let texts: Vec<String> = files.iter().map(|(_, text)| text.clone()).collect();
    let sources = files
        .into_iter()
        .map(|(path, text)| {
            let facts = lower::facts(&text);
            let module = module_name(&path, |folder| inits.contains(folder));
            Source { path, module, facts }
        })
        .collect();
    let mut program = Program::new(sources, Catalogue::new(&[]));
    let graph = graph::build(&mut program);
    let search = search::Search::new(&program, &graph);
    let mut context = rules::Context { program: &mut program, graph: &graph, search: &search, found: Vec::new() };
    rules::run(&mut context);
    let mut out = Vec::new();
    let found = context.found;
    for raw in found {
        let file = raw.site.file;
        let index = syntax::LineIndex::from_source_text(&texts[file.0 as usize]);
        let line = index.line_index(raw.site.span.start.into()).get();
        let chain: Vec<String> = raw.chain.iter().map(|(name, _)| format!("{name:?}")).collect();
        out.push(format!(
            "{{\"path\":{:?},\"line\":{line},\"code\":\"{}\",\"message\":{:?},\"chain\":[{}]}}",
            program.file(file).path,
            raw.rule.code,
            raw.message,
            chain.join(",")
        ));
    }
    format!("{{\"findings\":[{}]}}", out.join(",\n"))
}
