//! Changes of a text by ranges: comments and formatting outside them survive.

use crate::facts::Span;

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
    let mut edits: Vec<&Edit> = edits.iter().collect();
    // Insertions at a place come before what is replaced from there on.
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end, edit.order));
    edits.dedup();
    let mut result = String::with_capacity(text.len() + 16 * edits.len());
    let mut at = 0;
    for edit in edits {
        let (start, end) = (edit.span.start as usize, edit.span.end as usize);
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
