//! Imports that a repair needs, and those that nobody needs any more.

use super::edit::Edit;
use super::places::{Import, Places};
use crate::facts::Span;
use std::collections::BTreeSet;

/// New imports; those that are useless now go with the other statements that are gone.
pub(super) fn adjust(
    places: &Places,
    text: &str,
    edits: &[Edit],
    gone: &mut BTreeSet<Span>,
    beside: &BTreeSet<(String, String)>,
    needs_asyncio: bool,
    is_shared: impl Fn(&str) -> bool,
) -> Vec<Edit> {
    let mut new = Vec::new();
    let mut done: BTreeSet<Span> = BTreeSet::new();
    let at = place_for(places, text, "asyncio");
    let is_useless =
        |import: &Import, gone: &BTreeSet<Span>| !is_shared(&import.name) && is_useless(places, import, edits, gone);
    let useless =
        |import: &&Import| import.statement.start == at && import.is_top && import.is_alone && is_useless(import, gone);
    if let Some(import) = places.imports.iter().find(useless).filter(|_| needs_asyncio) {
        // One takes the other's place.
        done.insert(import.span);
        new.push(Edit::replace(import.statement, "import asyncio"));
    } else if needs_asyncio {
        let is_among_others = places.imports.iter().any(|import| import.statement.start == at);
        let is_before_definition =
            ["def ", "async def ", "class ", "@"].iter().any(|word| text[at as usize..].starts_with(word));
        let lines = if is_among_others { 1 } else { 2 + usize::from(is_before_definition) };
        let gap = line_break(text).repeat(lines);
        new.push(Edit::first(at, format!("import asyncio{gap}")));
    }
    for (old, name) in beside {
        let is_known = places.imports.iter().any(|import| import.is_top && import.name == *name);
        let Some(import) = places.import_of(old).filter(|_| !is_known) else { continue };
        if is_useless(import, gone) && done.insert(import.span) {
            new.push(Edit::replace(import.span, name.as_str()));
        } else {
            new.push(Edit::replace(Span { start: import.span.end, end: import.span.end }, format!(", {name}")));
        }
    }
    for import in &places.imports {
        if done.contains(&import.span) || !is_useless(import, gone) || (needs_asyncio && import.name == "asyncio") {
            continue;
        }
        if import.is_alone {
            gone.insert(import.statement);
        } else {
            new.extend(without(places, import, text, &done));
            done.insert(import.statement);
        }
    }
    new
}

/// Whether all that used an import has gone.
fn is_useless(places: &Places, import: &Import, edits: &[Edit], gone: &BTreeSet<Span>) -> bool {
    let is_unique = places.imports.iter().filter(|other| other.name == import.name).count() == 1;
    if import.member.as_deref() == Some("*") || !is_unique || places.bound.contains(&import.name) {
        return false;
    }
    let within = |outer: Span, inner: Span| outer.start <= inner.start && inner.end <= outer.end;
    let reads = places.names.iter().filter(|read| read.name == import.name);
    let removed = reads.filter(|read| {
        edits.iter().any(|edit| within(edit.span(), read.span)) || gone.iter().any(|span| within(*span, read.span))
    });
    let removed = removed.count();
    let uses = places.uses.get(&import.name).copied().unwrap_or(0);
    let is_written = |edit: &Edit| {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        edit.text().match_indices(&import.name).any(|(place, name)| {
            let (before, behind) = (&edit.text()[..place], &edit.text()[place + name.len()..]);
            !before.ends_with(|character| is_part(character) || character == '.') && !behind.starts_with(is_part)
        })
    };
    removed > 0 && removed == uses && !edits.iter().any(is_written)
}

/// The statement without one of its names.
fn without(places: &Places, import: &Import, text: &str, done: &BTreeSet<Span>) -> Option<Edit> {
    if done.contains(&import.statement) {
        return None;
    }
    let mut names: Vec<Span> =
        places.imports.iter().filter(|other| other.statement == import.statement).map(|other| other.span).collect();
    names.sort_unstable();
    let place = names.iter().position(|span| *span == import.span)?;
    let span = match (names.get(place + 1), place.checked_sub(1).and_then(|before| names.get(before))) {
        (Some(next), _) => Span { start: import.span.start, end: next.start },
        (None, Some(last)) => Span { start: last.end, end: import.span.end },
        (None, None) => return None,
    };
    // A comment stays.
    (!text[span.start as usize..span.end as usize].contains('#')).then(|| Edit::replace(span, ""))
}

/// Among the plain imports at the beginning, by its name.
fn place_for(places: &Places, text: &str, module: &str) -> u32 {
    let mut at = places.first_import;
    for import in &places.imports {
        if import.member.is_some()
            || import.statement.start != at
            || !import.is_alone
            || import.module.as_str() > module
        {
            break;
        }
        let end = import.statement.end as usize;
        let Some(line) = text[end..].find('\n').filter(|line| !text[end..end + line].contains(';')) else { break };
        at = (end + line + 1) as u32;
    }
    at
}

pub(super) fn line_break(text: &str) -> &'static str {
    let has_return = text.find('\n').is_some_and(|place| text[..place].ends_with('\r'));
    if has_return { "\r\n" } else { "\n" }
}
