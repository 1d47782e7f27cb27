//! The parser: the only module that names its crates, whose interfaces change with every release.
//!
//! Nothing here knows rules or facts. Sources that do not parse give what could be read of them, and an error with its place.

pub(crate) use ruff_python_ast::token::TokenKind;
pub(crate) use ruff_python_ast::visitor::{
    Visitor, walk_except_handler, walk_expr, walk_interpolated_string_element, walk_pattern, walk_stmt,
};
pub(crate) use ruff_python_ast::{
    self as ast, BoolOp, CmpOp, ConversionFlag, ExceptHandler, Expr, InterpolatedStringElement, Number, Operator,
    Parameters, Pattern, Stmt, UnaryOp,
};
pub(crate) use ruff_source_file::LineIndex;
pub(crate) use ruff_text_size::{Ranged, TextRange};

use ruff_python_ast::ModModule;
use ruff_python_ast::PySourceType;
use ruff_python_parser::{Parsed, parse_expression, parse_unchecked_source};

/// A module that was read.
pub(crate) struct Module {
    parsed: Parsed<ModModule>,
}

/// Why a module could be read in part only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SyntaxError {
    /// What is wrong, in the parser's words.
    pub(crate) message: String,
    /// Where, in bytes from the beginning.
    pub(crate) at: u32,
}

impl Module {
    /// Reads Python of any version.
    pub(crate) fn parse(text: &str) -> Self {
        Self { parsed: parse_unchecked_source(text, PySourceType::Python) }
    }

    pub(crate) fn body(&self) -> &[Stmt] {
        &self.parsed.syntax().body
    }

    /// The first thing that is no Python.
    pub(crate) fn error(&self) -> Option<SyntaxError> {
        let error = self.parsed.errors().first()?;
        Some(SyntaxError { message: error.error.to_string(), at: error.location.start().to_u32() })
    }

    /// Where the comments are, each with its text.
    pub(crate) fn comments<'t>(&self, text: &'t str) -> impl Iterator<Item = (TextRange, &'t str)> {
        let comments = self.parsed.tokens().iter().filter(|token| token.kind() == TokenKind::Comment);
        comments.map(|token| (token.range(), &text[token.range()]))
    }
}

/// An annotation that was written as a string.
pub(crate) fn parse_annotation(text: &str) -> Option<Expr> {
    parse_expression(text).ok().map(Parsed::into_expr)
}

/// Where brackets or operators nest deeper than any program's: trees of them would not fit a stack.
///
/// What may nest without brackets around it (`a.b().c[0]`, `1 + 1 + 1`, `not not a`) is counted from the last comma or the beginning of the
/// statement on. A word is counted by the space before it.
pub(crate) fn too_deep(text: &str) -> Option<u32> {
    let bytes = text.as_bytes();
    let (mut at, mut depth, mut run) = (0, 0_u32, 0_u32);
    let next = |at: usize| bytes[at..].iter().position(|byte| !matches!(SIGNS[*byte as usize], Sign::Other));
    while let Some(others) = next(at) {
        at += others;
        match SIGNS[bytes[at] as usize] {
            Sign::Operator => run += 1,
            Sign::Space => {
                run += 1;
                at += bytes[at + 1..].iter().take_while(|byte| **byte == b' ').count();
            }
            Sign::Open => (depth, run) = (depth + 1, run + 1),
            Sign::Close => depth = depth.saturating_sub(1),
            Sign::Comma => run = 0,
            Sign::Line if depth == 0 => run = 0,
            Sign::Line | Sign::Other => {}
            Sign::Comment => at = memchr::memchr(b'\n', &bytes[at..]).map_or(bytes.len(), |end| at + end - 1),
            Sign::Quote => at = end_of_string(bytes, at, bytes[at]),
        }
        if depth > DEEPEST || run > LONGEST_RUN {
            return Some(at.min(bytes.len() - 1) as u32);
        }
        at = bytes.len().min(at + 1);
    }
    None
}

#[derive(Clone, Copy)]
enum Sign {
    Other,
    Operator,
    Space,
    Open,
    Close,
    Comma,
    Line,
    Comment,
    Quote,
}

const SIGNS: [Sign; 256] = {
    let mut signs = [Sign::Other; 256];
    let kinds: [(&[u8], Sign); 8] = [
        (b"+-*/.~|&^%:@<>", Sign::Operator),
        (b" ", Sign::Space),
        (b"([{", Sign::Open),
        (b")]}", Sign::Close),
        (b",;", Sign::Comma),
        (b"\n", Sign::Line),
        (b"#", Sign::Comment),
        (b"\"'", Sign::Quote),
    ];
    let mut kind = 0;
    while kind < kinds.len() {
        let mut place = 0;
        while place < kinds[kind].0.len() {
            signs[kinds[kind].0[place] as usize] = kinds[kind].1;
            place += 1;
        }
        kind += 1;
    }
    signs
};

/// The last byte of the string that begins there.
fn end_of_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    if bytes[start..].starts_with(&[quote; 3]) {
        return end_of_long_string(bytes, start + 3, quote);
    }
    let mut at = start + 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 1,
            b'\n' => return at - 1,
            byte if byte == quote => return at,
            _ => {}
        }
        at += 1;
    }
    bytes.len()
}

/// The last byte of the string in triple quotes whose text begins there.
fn end_of_long_string(bytes: &[u8], start: usize, quote: u8) -> usize {
    let mut at = start;
    while let Some(next) = bytes.get(at..).and_then(|rest| memchr::memchr2(quote, b'\\', rest)) {
        at += next;
        match bytes[at] {
            b'\\' => at += 2,
            _ if bytes[at..].starts_with(&[quote; 3]) => return at + 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Brackets in brackets; Python itself takes 200.
const DEEPEST: u32 = 250;
/// Operators and words in a row, without a comma or the end of the statement.
const LONGEST_RUN: u32 = 20_000;
