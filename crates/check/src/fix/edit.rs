//! Changes of a text by ranges: comments and formatting outside them survive.

use crate::facts::Span;
use std::collections::BTreeMap;

/// A range, and what comes in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    span: Span,
    text: String,
    /// Where several insertions meet: the outermost opens first and closes last.
    order: i64,
}

impl Edit {
    pub(super) fn replace(span: Span, text: impl Into<String>) -> Self {
        Self { span, text: text.into(), order: 0 }
    }

    /// A statement that comes before all else that is new there.
    pub(super) fn first(at: u32, text: impl Into<String>) -> Self {
        Self { span: Span { start: at, end: at }, text: text.into(), order: i64::MIN }
    }

    pub(super) const fn span(&self) -> Span {
        self.span
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A line moves to the left, by so many blanks; several such changes add up.
    pub(super) const fn outdent(at: u32, by: u32) -> Self {
        Self { span: Span { start: at, end: at + by }, text: String::new(), order: OUTDENT }
    }

    /// Text before an expression.
    pub(super) fn before(expr: Span, text: impl Into<String>) -> Self {
        Self {
            span: Span { start: expr.start, end: expr.start },
            text: text.into(),
            order: -i64::from(expr.end - expr.start),
        }
    }

    /// Text behind an expression.
    pub(super) fn behind(expr: Span, text: impl Into<String>) -> Self {
        Self {
            span: Span { start: expr.end, end: expr.end },
            text: text.into(),
            order: i64::from(expr.end - expr.start),
        }
    }
}

/// The text with all edits; none, if they overlap.
pub(super) fn apply(text: &str, edits: &[Edit]) -> Option<String> {
    let (outdents, mut edits): (Vec<&Edit>, Vec<&Edit>) = edits.iter().partition(|edit| edit.order == OUTDENT);
    let outdents = added_up(text, &outdents);
    edits.extend(&outdents);
    // Insertions at a place come before what is replaced from there on.
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end, edit.order));
    edits.dedup();
    let mut result = String::with_capacity(text.len() + 16 * edits.len());
    let mut at = 0;
    for edit in edits {
        let (start, end) = (edit.span.start as usize, edit.span.end as usize);
        if end <= at && end > start && edit.text.is_empty() {
            // It has gone with what is around it.
            continue;
        }
        if start < at {
            return None;
        }
        result.push_str(text.get(at..start)?);
        result.push_str(&edit.text);
        at = end;
    }
    result.push_str(text.get(at..)?);
    Some(result)
}

/// Where the line of a place begins.
pub(super) fn line_start(text: &str, at: u32) -> u32 {
    text[..at as usize].rfind(['\n', '\r']).map_or(0, |place| place as u32 + 1)
}

/// Where the next line begins, or the text ends.
pub(super) fn line_end(text: &str, at: u32) -> u32 {
    let Some(place) = text[at as usize..].find(['\n', '\r']) else { return text.len() as u32 };
    let place = at as usize + place;
    (if text[place..].starts_with("\r\n") { place + 2 } else { place + 1 }) as u32
}

/// Where lines begin in a part of the text.
pub(super) fn line_starts(text: &str, part: Span) -> impl Iterator<Item = u32> {
    let next = move |at: &u32| Some(line_end(text, *at));
    std::iter::successors(Some(line_end(text, part.start)), next)
        .take_while(move |at| *at <= part.end && *at < text.len() as u32)
}

/// The blanks that the line of a place begins with.
pub(super) fn indent(text: &str, at: u32) -> &str {
    let line = &text[line_start(text, at) as usize..];
    &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
}

/// One change a line, and no more than it has blanks.
fn added_up(text: &str, outdents: &[&Edit]) -> Vec<Edit> {
    let mut lines: BTreeMap<u32, u32> = BTreeMap::new();
    for edit in outdents {
        *lines.entry(edit.span.start).or_default() += edit.span.end - edit.span.start;
    }
    let blanks = |at: u32| {
        let line = &text[at as usize..];
        (line.len() - line.trim_start_matches([' ', '\t']).len()) as u32
    };
    lines.into_iter().map(|(at, by)| Edit::replace(Span { start: at, end: at + by.min(blanks(at)) }, "")).collect()
}

const OUTDENT: i64 = i64::MAX;
