//! Finds, explains and repairs what makes asyncio programs stall: nested runs, blocking calls, and their kin, across a whole program.

#![forbid(unsafe_code)]

mod catalogue;
mod facts;
mod graph;
mod link;
mod lower;
mod search;
mod syntax;

use catalogue::{Catalogue, Category};
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
    let mut out = Vec::new();
    for witness in search.witnesses(&program) {
        let code = match witness.category {
            Category::Nested => "SL001",
            Category::Sleep => "SL002",
            Category::Deadlock => "SL013",
            _ => "SL003",
        };
        let file = witness.first_site.file;
        let index = syntax::LineIndex::from_source_text(&texts[file.0 as usize]);
        let line = index.line_index((witness.first_site.span.start).into()).get();
        let mut chain: Vec<String> = Vec::new();
        match &witness.scheduled_by {
            Some(by) => chain.push(by.clone()),
            None => chain.push(program.qualified_name(witness.root)),
        }
        chain.extend(witness.hops.iter().map(|hop| program.qualified_name(hop.function)));
        chain.push(witness.sink.replace("()", ""));
        let chain: Vec<String> = chain.iter().map(|name| format!("{name:?}")).collect();
        out.push(format!("{{\"path\":{:?},\"line\":{line},\"code\":\"{code}\",\"chain\":[{}]}}", program.file(file).path, chain.join(",")));
    }
    format!("{{\"findings\":[{}]}}", out.join(",\n"))
}
