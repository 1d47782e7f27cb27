//! Takes statements away, and what is left empty by that: a `try` with nothing to try, a `finally` with nothing to do, a `with` without contexts.

use super::edit::{Edit, indent, line_end, line_start, line_starts};
use super::walk::span;
use crate::facts::Span;
use crate::syntax::{ExceptHandler, Expr, Module, Ranged, Stmt, Visitor, ast, walk_expr, walk_stmt};
use std::collections::BTreeSet;

struct Sweeper<'t> {
    text: &'t str,
    gone: &'t BTreeSet<Span>,
    /// Contexts that go.
    opened: &'t BTreeSet<Span>,
    edits: Vec<Edit>,
}

/// The changes that take these statements away, and the `with` around these contexts.
pub(super) fn sweep(text: &str, gone: &BTreeSet<Span>, opened: &BTreeSet<Span>) -> Vec<Edit> {
    if gone.is_empty() && opened.is_empty() {
        return Vec::new();
    }
    let module = Module::parse(text);
    let mut sweeper = Sweeper { text, gone, opened, edits: Vec::new() };
    sweeper.block(module.body(), true);
    sweeper.edits
}

impl Sweeper<'_> {
    fn is_gone(&self, statement: &Stmt) -> bool {
        if self.gone.contains(&span(statement.range())) {
            return true;
        }
        let Stmt::Try(try_) = statement else { return false };
        // What is not tried raises nothing.
        self.all_gone(&try_.body) && self.all_gone(&try_.orelse) && self.all_gone(&try_.finalbody)
    }

    fn all_gone(&self, body: &[Stmt]) -> bool {
        body.iter().all(|statement| self.is_gone(statement))
    }

    fn block(&mut self, body: &[Stmt], can_be_empty: bool) {
        let is_empty = !can_be_empty && !body.is_empty() && self.all_gone(body);
        for (index, statement) in body.iter().enumerate() {
            if self.is_gone(statement) {
                let range = span(statement.range());
                let edit = if is_empty && index == 0 {
                    Edit::replace(range, "pass")
                } else {
                    Edit::replace(whole_line(self.text, range), "")
                };
                self.edits.push(edit);
            } else {
                self.statement(statement);
            }
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Try(try_) if !try_.finalbody.is_empty() && self.all_gone(&try_.finalbody) => {
                self.without_finally(try_);
            }
            Stmt::FunctionDef(function) => self.block(&function.body, false),
            Stmt::ClassDef(class) => self.block(&class.body, false),
            Stmt::If(if_) => {
                self.block(&if_.body, false);
                if_.elif_else_clauses.iter().for_each(|clause| self.block(&clause.body, false));
            }
            Stmt::With(with) => {
                if with.items.iter().all(|item| self.opened.contains(&span(item.context_expr.range()))) {
                    self.without_head(with);
                }
                self.block(&with.body, false);
            }
            Stmt::For(for_) => {
                self.block(&for_.body, false);
                self.block(&for_.orelse, false);
            }
            Stmt::While(while_) => {
                self.block(&while_.body, false);
                self.block(&while_.orelse, false);
            }
            Stmt::Try(try_) => {
                self.block(&try_.body, false);
                self.handlers(&try_.handlers);
                self.block(&try_.orelse, false);
                self.block(&try_.finalbody, false);
            }
            Stmt::Match(match_) => match_.cases.iter().for_each(|case| self.block(&case.body, false)),
            _ => {}
        }
    }

    fn handlers(&mut self, handlers: &[ExceptHandler]) {
        for ExceptHandler::ExceptHandler(handler) in handlers {
            self.block(&handler.body, false);
        }
    }

    fn without_finally(&mut self, try_: &ast::StmtTry) {
        let (Some(first), Some(last)) = (try_.body.first(), try_.finalbody.last()) else { return };
        let before = try_
            .orelse
            .last()
            .map(Ranged::range)
            .or_else(|| try_.handlers.last().map(Ranged::range))
            .or_else(|| try_.body.last().map(Ranged::range));
        let Some(before) = before.map(span) else { return };
        let end = line_end(self.text, span(last.range()).end);
        let start = line_end(self.text, before.end);
        let is_bare = try_.handlers.is_empty() && try_.orelse.is_empty();
        let (head, body) = (span(try_.range), span(first.range()));
        let indent = line_start(self.text, body.start);
        let first_line = Span { start: line_start(self.text, head.start), end: line_end(self.text, head.start) };
        let is_simple = self.text[indent as usize..body.start as usize].trim().is_empty()
            && first_line.start < indent
            && self.text[head.start as usize..first_line.end as usize].trim() == "try:";
        if is_bare && is_simple {
            self.edits.push(Edit::replace(first_line, ""));
            self.dedent(&try_.body, head.start, before.end);
            self.edits.push(Edit::replace(Span { start, end }, ""));
        } else if is_bare {
            self.block(&try_.finalbody, false);
        } else {
            self.edits.push(Edit::replace(Span { start, end }, ""));
        }
        self.block(&try_.body, is_bare);
        self.handlers(&try_.handlers);
        self.block(&try_.orelse, false);
    }

    /// `with context:` goes; what it says behind that stays.
    fn without_head(&mut self, with: &ast::StmtWith) {
        let (Some(first), Some(last), Some(item)) = (with.body.first(), with.body.last(), with.items.last()) else {
            return;
        };
        let (start, body) = (with.range.start().to_u32(), first.range().start().to_u32());
        let Some(colon) = colon(self.text, item.range.end().to_u32()) else { return };
        let line = line_end(self.text, colon);
        let rest = &self.text[colon as usize..line as usize];
        if body < line {
            self.edits.push(Edit::replace(Span { start, end: body }, ""));
        } else if rest.trim().is_empty() {
            self.edits.push(Edit::replace(Span { start: line_start(self.text, start), end: line }, ""));
        } else {
            let blanks = rest.len() - rest.trim_start().len();
            self.edits.push(Edit::replace(Span { start, end: colon + blanks as u32 }, ""));
        }
        if body >= line {
            let end = self.end_of_comments(last.range().end().to_u32(), body - line_start(self.text, body));
            self.dedent(&with.body, start, end);
        }
    }

    /// Comments behind a block belong to it, if they are as far to the right.
    fn end_of_comments(&self, block: u32, blanks: u32) -> u32 {
        let (mut end, mut at) = (block, line_end(self.text, block));
        while (at as usize) < self.text.len() {
            let next = line_end(self.text, at);
            let line = &self.text[at as usize..next as usize];
            let is_in_it = indent(self.text, at).len() >= blanks as usize && line.trim_start().starts_with('#');
            if is_in_it {
                end = next - 1;
            } else if !line.trim().is_empty() {
                break;
            }
            at = next;
        }
        end
    }

    /// The lines of a block, behind what it is in begins, take that one's place; but for those within strings.
    fn dedent(&mut self, block: &[Stmt], start: u32, end: u32) {
        let Some(first) = block.first() else { return };
        let depth = |at: u32| indent(self.text, at).len() as u32;
        let by = depth(first.range().start().to_u32()).saturating_sub(depth(start));
        let strings = long_strings(self.text, block);
        for at in line_starts(self.text, Span { start, end }) {
            if !strings.iter().any(|string| string.start < at && at < string.end) {
                self.edits.push(Edit::outdent(at, by));
            }
        }
    }
}

/// Behind the colon that follows, but for brackets and comments.
fn colon(text: &str, from: u32) -> Option<u32> {
    let mut is_comment = false;
    let place = text[from as usize..].bytes().position(|byte| {
        is_comment = !matches!(byte, b'\n' | b'\r') && (is_comment || byte == b'#');
        byte == b':' && !is_comment
    })?;
    Some(from + place as u32 + 1)
}

/// Strings that go over several lines.
fn long_strings(text: &str, block: &[Stmt]) -> Vec<Span> {
    struct Finder<'t>(&'t str, Vec<Span>);
    impl<'a> Visitor<'a> for Finder<'_> {
        fn visit_stmt(&mut self, statement: &'a Stmt) {
            walk_stmt(self, statement);
        }
        fn visit_expr(&mut self, expr: &'a Expr) {
            let is_text =
                matches!(expr, Expr::StringLiteral(_) | Expr::BytesLiteral(_) | Expr::FString(_) | Expr::TString(_));
            if is_text && self.0[expr.range()].contains(['\n', '\r']) {
                self.1.push(span(expr.range()));
            }
            walk_expr(self, expr);
        }
    }
    let mut finder = Finder(text, Vec::new());
    for statement in block {
        finder.visit_stmt(statement);
    }
    finder.1
}

/// A statement with its line, if it has the line for itself.
fn whole_line(text: &str, statement: Span) -> Span {
    let start = text[..statement.start as usize].rfind('\n').map_or(0, |place| place + 1);
    let end = text[statement.end as usize..].find('\n').map_or(text.len(), |place| statement.end as usize + place + 1);
    let is_alone =
        text[start..statement.start as usize].trim().is_empty() && text[statement.end as usize..end].trim().is_empty();
    if !is_alone {
        // One of several in a line.
        let rest = &text[statement.end as usize..end];
        let next = rest.find(|character: char| character != ' ').filter(|place| rest[*place..].starts_with(';'));
        let blank = |place: usize| rest[place + 1..].len() - rest[place + 1..].trim_start_matches(' ').len();
        let before = text[..statement.start as usize].trim_end_matches(' ');
        return match next {
            Some(place) => Span { start: statement.start, end: statement.end + (place + 1 + blank(place)) as u32 },
            None if before.ends_with(';') => Span { start: before.len() as u32 - 1, end: statement.end },
            // A comment takes its place.
            None => Span { start: statement.start, end: statement.end + (rest.len() - rest.trim_start().len()) as u32 },
        };
    }
    // Of the empty lines around it one side is enough.
    let before = &text[..start];
    let is_after_gap = before.ends_with("\n\n") || before.ends_with("\n\r\n");
    let gap = if !is_after_gap {
        0
    } else if text[end..].starts_with("\r\n") {
        2
    } else {
        usize::from(text[end..].starts_with('\n'))
    };
    Span { start: start as u32, end: (end + gap) as u32 }
}
