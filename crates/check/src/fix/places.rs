//! What stands around the expressions of a file that are to be changed: the syntax tree again, as facts have no text.
//!
//! [`super::walk`] fills it.

use crate::facts::Span;
use rustc_hash::{FxHashMap, FxHashSet};

/// What is known of the text of one file.
#[derive(Default)]
pub(super) struct Places {
    pub(super) calls: FxHashMap<Span, Call>,
    /// Attributes that are read.
    pub(super) reads: FxHashMap<Span, Around>,
    /// Functions, by the span of their names.
    pub(super) definitions: FxHashMap<Span, Definition>,
    /// `with` statements by the span of each context: the statement, and the spans of all its contexts.
    pub(super) withs: FxHashMap<Span, (u32, Vec<Span>)>,
    /// `with call as name` statements.
    pub(super) entered: Vec<Entered>,
    /// What is iterated over, by its span.
    pub(super) loops: FxHashMap<Span, Loop>,
    /// What is handed to a function as its only argument: the call.
    pub(super) sole: FxHashMap<Span, Span>,
    pub(super) imports: Vec<Import>,
    /// Where a new import goes.
    pub(super) first_import: u32,
    /// How often each name is read, by its text; words in strings count, as they may be annotations or exports.
    pub(super) uses: FxHashMap<String, usize>,
    /// Names that are read.
    pub(super) names: Vec<NameRead>,
    /// Names that are bound by something else than an import.
    pub(super) bound: FxHashSet<String>,
    /// Statements that are one call.
    pub(super) statements: FxHashMap<Span, Span>,
    /// Names that are given a value, and where.
    pub(super) stores: Vec<(String, u32)>,
    /// Names that `global` or `nonlocal` says are not the function's own, and where.
    pub(super) shared: Vec<(String, u32)>,
    /// Statements `name = call`, and the span of the call.
    pub(super) assignments: Vec<(String, Span, Span)>,
}

/// An expression's surroundings.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, not a state")]
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// `await` needs brackets here.
    pub(super) is_tight: bool,
    /// In a lambda, generator expression, default or decorator: no place for `await`.
    pub(super) is_closed: bool,
    pub(super) is_awaited: bool,
    /// In `f"{expression=}"`, which shows how it is written.
    pub(super) is_shown: bool,
    /// All of a lambda's body.
    pub(super) is_lambda: bool,
    /// In a generator expression that a list can take the place of.
    pub(super) list: Option<Listed>,
}

/// A generator expression that is used up at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) span: Span,
    /// It has brackets of its own.
    pub(super) has_brackets: bool,
}

/// A name that a `with` statement gives a value.
#[derive(Clone, Debug)]
pub(super) struct Entered {
    pub(super) name: String,
    pub(super) context: Span,
    pub(super) statement: Span,
    /// Where the body begins.
    pub(super) body: u32,
    /// The statement has no other contexts.
    pub(super) is_alone: bool,
}

/// What takes elements.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loop {
    pub(super) form: Form,
    pub(super) around: Around,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Form {
    /// `for`, where it stands: a statement, or part of a comprehension.
    For(u32),
    /// A statement `yield from`, and what it yields from.
    Delegation(Span),
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts, not a state")]
#[derive(Clone, Debug)]
pub(super) struct Definition {
    /// Behind the decorators.
    pub(super) from: u32,
    pub(super) range: Span,
    /// From its decorators to its colon.
    pub(super) head: Span,
    /// The first statement of its body, and whether that is a docstring.
    pub(super) first: (Span, bool),
    /// Its defaults are the same things where they are made twice.
    pub(super) has_plain_defaults: bool,
    pub(super) decorators: Vec<Span>,
    pub(super) annotation: Option<Span>,
    pub(super) returns_value: bool,
    /// It sets attributes, items or names that are not its own, or changes what is not.
    pub(super) changes: bool,
    /// The value of some `yield` is used, or what it yields from is no statement.
    pub(super) is_sent_to: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) around: Around,
    pub(super) function: Span,
    /// The positional arguments.
    pub(super) arguments: Vec<Argument>,
    /// The names of the others; `**` for some.
    pub(super) keywords: Vec<String>,
    /// What a call that runs a coroutine runs: its first argument, by place or by name.
    pub(super) run: Option<Argument>,
    /// Between the brackets.
    pub(super) inner: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    pub(super) span: Span,
    /// It binds weaker than `await` does, or needs brackets to go over several lines.
    pub(super) is_loose: bool,
    pub(super) is_starred: bool,
}

/// A name that is read, and what for.
#[derive(Clone, Debug)]
pub(super) struct NameRead {
    pub(super) name: String,
    pub(super) span: Span,
    pub(super) becomes: Becomes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Becomes {
    /// It is called there.
    Called(Span),
    /// An attribute of it is read: `name.attribute`.
    Attribute(Span),
    /// It is the first argument of the call of what stands there.
    Given(Span),
    Other,
}

/// `import module as name`, or `from module import name as name`.
#[derive(Clone, Debug)]
pub(super) struct Import {
    pub(super) module: String,
    pub(super) member: Option<String>,
    pub(super) name: String,
    pub(super) statement: Span,
    /// The name with its alias.
    pub(super) span: Span,
    pub(super) is_alone: bool,
    pub(super) is_top: bool,
    /// It always runs.
    pub(super) is_sure: bool,
}

impl Places {
    /// What a module is called in this file, if it is imported at the top.
    pub(super) fn name_of(&self, module: &str) -> Option<&str> {
        let found = self
            .imports
            .iter()
            .find(|import| import.is_top && import.is_sure && import.member.is_none() && import.module == module)?;
        Some(&found.name)
    }

    /// The import of a member of a module under some name.
    pub(super) fn import_of(&self, name: &str) -> Option<&Import> {
        self.imports.iter().find(|import| import.is_top && import.name == name && import.member.is_some())
    }

    /// The innermost function around a place.
    pub(super) fn function_around(&self, at: u32) -> Option<&Definition> {
        self.definitions
            .values()
            .filter(|definition| definition.range.start <= at && at < definition.range.end)
            .min_by_key(|definition| definition.range.end - definition.range.start)
    }
}
