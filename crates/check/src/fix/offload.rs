//! Blocking calls without a twin: a thread runs them, and the coroutine awaits that.

use super::closure::Obstacle;
use super::edit::{Edit, apply};
use super::places::Places;
use super::rewrite::tell;
use super::{Step, knowledge};
use crate::catalogue::Category;
use crate::facts::Span;
use crate::link::values::FileId;
use crate::search::{Search, Witness};
use crate::{File, Settings};
use std::collections::BTreeMap;

/// `load(x)` in a coroutine becomes `await asyncio.to_thread(load, x)`.
pub(super) fn calls(files: &[File], settings: &Settings) -> Step {
    let (program, graph) = crate::analyse(files, knowledge(files), settings);
    let witnesses = Search::new(&program, &graph).witnesses(&program);
    let mut places: BTreeMap<FileId, Places> = BTreeMap::new();
    let mut edits: BTreeMap<FileId, Vec<Edit>> = BTreeMap::new();
    let mut refused = Vec::new();
    for witness in witnesses.iter().filter(|witness| is_wanted(witness)) {
        let file = witness.first_site.file;
        let text = &files[file.0 as usize].text;
        let places = places.entry(file).or_insert_with(|| Places::new(text));
        match offloaded(text, places, witness) {
            Ok(mut new) => {
                let edits = edits.entry(file).or_default();
                if places.name_of("asyncio").is_none() {
                    let at = places.first_import;
                    new.push(Edit::replace(Span { start: at, end: at }, "import asyncio\n"));
                }
                // Two reasons at one place are one call.
                edits.extend(new.into_iter().filter(|edit| !edits.contains(edit)).collect::<Vec<_>>());
            }
            Err(reason) => refused.push(Obstacle { site: witness.first_site, reason }),
        }
    }
    let mut changed = BTreeMap::new();
    for (file, edits) in edits {
        let file = &files[file.0 as usize];
        if let Some(text) = apply(&file.text, &edits) {
            changed.insert(file.path.clone(), text);
        }
    }
    (changed, tell(files, refused))
}

/// Files and databases are left: the one mostly are fast, the others' objects belong to their thread.
const fn is_wanted(witness: &Witness) -> bool {
    matches!(witness.category, Category::Network | Category::Process | Category::Wait | Category::Input)
}

fn offloaded(text: &str, places: &Places, witness: &Witness) -> Result<Vec<Edit>, String> {
    let span = witness.first_site.span;
    if witness.scheduled_by.is_some() {
        return Err("the loop calls it as a plain function: hand it to a thread there".to_owned());
    }
    let Some(call) = places.calls.get(&span) else { return Err("this is no plain call".to_owned()) };
    if call.around.is_closed || call.around.is_awaited {
        return Err("there is no place for `await`".to_owned());
    }
    let function = &text[call.function.start as usize..call.function.end as usize];
    let module = places.name_of("asyncio").unwrap_or("asyncio");
    let has_arguments = !call.arguments.is_empty() || call.has_keywords;
    let open = if call.around.is_tight { "(await " } else { "await " };
    let comma = if has_arguments { ", " } else { "" };
    let head = Span { start: span.start, end: call.inner.start };
    let mut edits = vec![Edit::replace(head, format!("{open}{module}.to_thread({function}{comma}"))];
    if call.around.is_tight {
        edits.push(Edit::behind(span, ")"));
    }
    Ok(edits)
}
