//! What is known of one file: its scopes, names, functions, classes, and what happens in them.
//!
//! Facts are data: they are made from the syntax tree of one file without a look at any other, can be kept on disk, and are all that linking
//! and rules read. Nodes refer to each other by typed indexes; all belong to their file.

mod digest;
mod few;
mod index;
mod lazy;
mod names;
mod parts;
mod specials;

pub(crate) use digest::Digest;
pub(crate) use few::Few;
pub(crate) use index::{Arena, Id};
pub(crate) use lazy::Lazy;
pub(crate) use names::Names;
pub(crate) use parts::{Part, Parts};
pub(crate) use specials::{INSTEAD, asked_in_turn};

use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(crate) type NameId = Id<Names>;
pub(crate) type ExprId = Id<Expr>;
pub(crate) type BindingId = Id<Binding>;
pub(crate) type ScopeId = Id<Scope>;
pub(crate) type FunctionId = Id<Function>;
pub(crate) type ClassId = Id<Class>;
pub(crate) type GuardId = Id<Guard>;

/// What is known of one file. Function 0 is the module's own code, scope 0 its names, expression 0 says nothing, guard 0 is no condition.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Facts {
    /// Kept with the digest, which has them as well.
    #[serde(skip)]
    pub(crate) names: Arc<Names>,
    pub(crate) exprs: Arena<Expr>,
    /// Where each expression is.
    pub(crate) spans: Vec<Span>,
    pub(crate) bindings: Arena<Binding>,
    pub(crate) scopes: Arena<Scope>,
    pub(crate) functions: Arena<Function>,
    pub(crate) classes: Arena<Class>,
    pub(crate) guards: Arena<Guard>,
    /// Attributes of other objects than `self` that are set.
    pub(crate) stores: Vec<Store>,
    pub(crate) handlers: Vec<Handler>,
    pub(crate) polls: Vec<Poll>,
    /// `while` and `for` statements.
    pub(crate) loops: Vec<Span>,
    /// `async for` loops that may be left early, and the function they are in: what they loop over, and where it says so.
    pub(crate) early_exits: Vec<(FunctionId, ExprId, Span)>,
    /// Calls on sockets that were told not to wait, in the order of the text.
    pub(crate) unwaiting: Vec<ExprId>,
    /// Lines with `noqa`.
    pub(crate) suppressions: Vec<Suppression>,
    /// What could not be read.
    pub(crate) error: Option<(String, u32)>,
}

/// Bytes from the beginning of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) end: u32,
}

/// What an expression is, as far as its value may matter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum Expr {
    Unknown,
    /// A name of this function, with what it was last bound to.
    Local(Few<BindingId>),
    /// A name of a scope, whatever it is bound to there.
    Free(ScopeId, NameId),
    /// A name that the file doesn't bind: a built-in, or from a star import.
    Global(NameId),
    Attribute(ExprId, NameId),
    Call(ExprId, Box<[Argument]>),
    Await(ExprId),
    Item(ExprId, Key),
    /// What iterating gives.
    Element(ExprId),
    AsyncElement(ExprId),
    /// What `with` gives.
    Enter(ExprId),
    AsyncEnter(ExprId),
    /// One of several.
    Union(Box<[ExprId]>),
    /// `then if test else other`
    Choice {
        test: ExprId,
        then: ExprId,
        other: ExprId,
    },
    /// A list, tuple, set or comprehension of them.
    Sequence(Box<[ExprId]>),
    Generator(ExprId),
    Mapping(Box<[(Key, ExprId)]>),
    Lambda(FunctionId),
    Super(ClassId, FunctionId),
    Constant(Constant),
    Text(NameId),
    /// A text, and a constant one behind it: `f"{MODULE}.name"`.
    Joined(ExprId, NameId),
    /// A text of which only the beginning is known, as that of a name: `f"do_{command}"`.
    Prefix(NameId),
    Not(ExprId),
    /// `and` (true) or `or`, of truths.
    Logic(bool, Box<[ExprId]>),
    /// `is` or `==`; the flag says whether it is negated.
    Same(ExprId, ExprId, bool),
    /// Any other comparison.
    Compared(ExprId, ExprId),
    Operation(NameId, ExprId, ExprId),
    /// An instance of one of these classes; or of none of them.
    Narrowed {
        value: ExprId,
        classes: ExprId,
        is: bool,
    },
    /// What a function or class is before its decorators.
    Bare(BindingId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Constant {
    None,
    True,
    False,
    Zero,
    /// Another number, or bytes.
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) enum Key {
    Unknown,
    Text(NameId),
    Index(i32),
    /// A name.
    Of(ExprId),
    /// All of another table: `{**table}`.
    All,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Argument {
    pub(crate) kind: ArgumentKind,
    pub(crate) value: ExprId,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ArgumentKind {
    Positional,
    Star,
    Keyword(NameId),
    DoubleStar,
}

/// One place that gives a name its value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Binding {
    pub(crate) kind: BindingKind,
    pub(crate) guard: GuardId,
    /// Whether any use was seen.
    pub(crate) is_used: bool,
    /// It is a `global` or `nonlocal` name of the code that binds it.
    pub(crate) is_declared: bool,
    /// Once the module is there, its name has another value.
    pub(crate) is_replaced: bool,
    pub(crate) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) enum BindingKind {
    Value(ExprId),
    Annotated {
        annotation: ExprId,
        value: Option<ExprId>,
    },
    Parameter(FunctionId, u32),
    /// `import a.b` binds `a`; `import a.b as c` binds the module itself.
    Import {
        module: NameId,
        is_root: bool,
    },
    ImportFrom {
        module: NameId,
        level: u32,
        name: NameId,
    },
    Function(FunctionId),
    Class(ClassId),
    Unpacked(ExprId, i32),
    Raised(ExprId),
    /// Deleted, declared only, or out of reach of this analysis.
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) kind: ScopeKind,
    pub(crate) parent: ScopeId,
    /// All that each name is bound to, in the order of the text.
    pub(crate) names: Vec<(NameId, Few<BindingId>)>,
    /// Modules whose names are all taken over: module and level.
    pub(crate) stars: Vec<(NameId, u32)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ScopeKind {
    #[default]
    Module,
    Function(FunctionId),
    Class(ClassId),
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts, not a state")]
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Function {
    pub(crate) name: NameId,
    /// As Python's `__qualname__`, without `<locals>`.
    pub(crate) qualified: NameId,
    pub(crate) is_async: bool,
    pub(crate) is_generator: bool,
    pub(crate) is_lambda: bool,
    /// It awaits, or iterates or enters asynchronously.
    pub(crate) awaits: bool,
    /// It yields in a `try` with a `finally`, or in a `with`: there is something to clean up.
    pub(crate) cleans_up: bool,
    /// Nothing but a docstring, `pass`, `...` or `raise NotImplementedError`.
    pub(crate) is_stub: bool,
    pub(crate) scope: ScopeId,
    pub(crate) parent: FunctionId,
    pub(crate) class: Option<ClassId>,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) decorators: Vec<ExprId>,
    pub(crate) returns: Vec<(ExprId, GuardId)>,
    /// Under which condition it ends without a `return`, if it ever does.
    pub(crate) end: Option<GuardId>,
    pub(crate) annotation: Option<ExprId>,
    pub(crate) yields: Vec<(ExprId, GuardId)>,
    pub(crate) events: Vec<Event>,
    /// What it raises.
    pub(crate) raised: Vec<ExprId>,
    /// The name.
    pub(crate) at: Span,
    pub(crate) span: Span,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parameter {
    pub(crate) name: NameId,
    pub(crate) kind: ParameterKind,
    pub(crate) annotation: Option<ExprId>,
    pub(crate) default: Option<ExprId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ParameterKind {
    PositionalOnly,
    Positional,
    Variadic,
    KeywordOnly,
    VariadicKeyword,
}

/// What a function does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) expr: ExprId,
    pub(crate) guard: GuardId,
    pub(crate) span: Span,
}

impl Event {
    /// The name that a call's value is bound to.
    pub(crate) const fn bound(&self) -> Option<BindingId> {
        match self.kind {
            EventKind::Call(Use::Bound(binding)) => Some(binding),
            _ => None,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum EventKind {
    /// A call, and what becomes of its value.
    Call(Use),
    /// An attribute that is read, other than to be called.
    Read,
    /// An attribute that is set.
    Write,
    Await,
    /// A call is taken for a truth.
    Test,
    Enter,
    AsyncEnter,
    Iterate,
    /// Its parts get names.
    Unpack,
    AsyncIterate,
    /// An operator: the name of the special method of this operand.
    Operator(NameId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Use {
    Discarded,
    Awaited,
    /// By `async with`, or looped over by `async for`.
    Entered,
    /// The binding that it alone makes.
    Bound(BindingId),
    Other,
}

impl Use {
    /// What becomes of a part of an expression: it goes where the whole goes only if that goes nowhere.
    pub(crate) const fn of_part(self) -> Self {
        match self {
            Self::Discarded => Self::Discarded,
            _ => Self::Other,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Class {
    pub(crate) name: NameId,
    pub(crate) qualified: NameId,
    pub(crate) bases: Vec<ExprId>,
    pub(crate) decorators: Vec<ExprId>,
    /// It names a metaclass, other than that of abstract classes.
    pub(crate) has_metaclass: bool,
    pub(crate) scope: ScopeId,
    pub(crate) fields: Vec<Field>,
    pub(crate) at: Span,
}

/// `self.name = value` in a method.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Field {
    pub(crate) name: NameId,
    pub(crate) value: Option<ExprId>,
    pub(crate) annotation: Option<ExprId>,
    /// The function in whose body it stands.
    pub(crate) by: FunctionId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Store {
    pub(crate) object: ExprId,
    pub(crate) name: NameId,
    pub(crate) value: ExprId,
}

/// Under which condition code runs: the last one, and those before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Guard {
    pub(crate) parent: GuardId,
    pub(crate) condition: Condition,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Condition {
    Always,
    Test {
        expr: ExprId,
        is: bool,
    },
    /// In an exception handler of a `try` in which this was called; or after it went well, and raised nothing.
    Called {
        expr: ExprId,
        went_well: bool,
    },
    /// In an exception handler.
    Caught,
    /// In a `try` with a handler for `Exception`, `BaseException` or all, at that place.
    Covered(u32),
    Within(ExprId),
    AsyncWithin(ExprId),
}

/// An exception handler in a coroutine function.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Handler {
    pub(crate) function: FunctionId,
    pub(crate) span: Span,
    /// What it catches; none for all.
    pub(crate) types: Vec<ExprId>,
    /// What the handlers before it catch.
    pub(crate) earlier: Vec<ExprId>,
    pub(crate) raises: bool,
    /// The `try` awaits.
    pub(crate) awaits: bool,
    /// It is no handler, but a `return` or `break` in a `finally`, which ends what was raised.
    pub(crate) is_finally: bool,
}

/// A loop that awaits one call until something is true, and does no more.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Poll {
    pub(crate) function: FunctionId,
    pub(crate) span: Span,
    /// The loop's condition, or that under which it is left.
    pub(crate) test: ExprId,
    pub(crate) call: ExprId,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Suppression {
    /// The line that it stands on; or the whole file.
    pub(crate) line: Span,
    /// All, if empty.
    pub(crate) codes: Vec<String>,
}

impl Suppression {
    /// Whether it silences a rule at a place: on its first line, or its last.
    pub(crate) fn silences(&self, place: Span, code: &str) -> bool {
        let is_there = self.line.has(place.start) || self.line.has(place.end);
        is_there && (self.codes.is_empty() || self.codes.iter().any(|known| known == code))
    }
}

impl Span {
    /// All that any text has.
    pub(crate) const ALL: Self = Self { start: 0, end: u32::MAX };

    pub(crate) const fn has(self, place: u32) -> bool {
        self.start <= place && place < self.end
    }

    pub(crate) const fn contains(self, inner: Self) -> bool {
        self.start <= inner.start && inner.end <= self.end
    }
}

impl Facts {
    /// Gives back the room that was taken for more to come: facts of all files are in memory together.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.exprs.shrink_to_fit();
        self.spans.shrink_to_fit();
        self.bindings.shrink_to_fit();
        self.scopes.shrink_to_fit();
        self.functions.shrink_to_fit();
        self.guards.shrink_to_fit();
        self.loops.shrink_to_fit();
        for function in self.functions.iter_mut() {
            function.events.shrink_to_fit();
            function.parameters.shrink_to_fit();
            function.returns.shrink_to_fit();
        }
        for scope in self.scopes.iter_mut() {
            scope.names.shrink_to_fit();
        }
    }

    pub(crate) fn name(&self, id: NameId) -> &str {
        &self.names[id]
    }

    pub(crate) fn span(&self, id: ExprId) -> Span {
        self.spans[id.index()]
    }

    /// All that a name of a scope is bound to.
    pub(crate) fn bindings_of(&self, scope: ScopeId, name: NameId) -> &[BindingId] {
        let names = &self.scopes[scope].names;
        names.binary_search_by_key(&name, |(name, _)| *name).map_or(&[], |place| &names[place].1)
    }

    /// Whether a name that an expression may have where it was defined is one of these.
    pub(crate) fn has_name(&self, expr: ExprId, mut is_one: impl FnMut(NameId) -> bool) -> bool {
        let mut is_bound = |binding: &BindingId| match self.bindings[*binding].kind {
            BindingKind::Function(function) => is_one(self.functions[function].name),
            BindingKind::ImportFrom { name, .. } => is_one(name),
            _ => false,
        };
        match &self.exprs[expr] {
            Expr::Attribute(_, name) | Expr::Global(name) => is_one(*name),
            Expr::Local(bindings) => bindings.iter().any(is_bound),
            Expr::Free(scope, name) => self.bindings_of(*scope, *name).iter().any(&mut is_bound),
            _ => false,
        }
    }

    /// All names that an expression itself mentions: as they are written, and where they come from.
    pub(crate) fn mentioned(&self, expr: ExprId) -> Vec<NameId> {
        let mut names = Vec::new();
        self.has_name(expr, |name| {
            names.push(name);
            false
        });
        let bindings = match &self.exprs[expr] {
            Expr::Local(bindings) => bindings,
            Expr::Free(scope, name) => {
                names.push(*name);
                self.bindings_of(*scope, *name)
            }
            _ => &[],
        };
        names.extend(bindings.iter().filter_map(|binding| match self.bindings[*binding].kind {
            BindingKind::Class(class) => Some(self.classes[class].name),
            _ => None,
        }));
        names
    }

    /// How often the file uses each of its names and texts.
    pub(crate) fn uses_of_names(&self) -> FxHashMap<NameId, u32> {
        let mut uses: FxHashMap<NameId, u32> = FxHashMap::default();
        let mut tell = |name: NameId| *uses.entry(name).or_default() += 1;
        let mut tell_part = |part: Part| {
            if let Part::Name(name) = part {
                tell(name);
            }
        };
        self.exprs.iter().for_each(|(_, expr)| expr.each_part(&mut tell_part));
        self.bindings.iter().for_each(|(_, binding)| binding.kind.each_part(&mut tell_part));
        let functions = self.functions.iter();
        functions.flat_map(|(_, function)| &function.events).for_each(|event| event.kind.each_part(&mut tell_part));
        for (_, scope) in self.scopes.iter() {
            scope.names.iter().for_each(|(name, _)| tell(*name));
            scope.stars.iter().for_each(|(name, _)| tell(*name));
        }
        for (_, function) in self.functions.iter() {
            [function.name, function.qualified].into_iter().for_each(&mut tell);
            function.parameters.iter().for_each(|parameter| tell(parameter.name));
        }
        for (_, class) in self.classes.iter() {
            [class.name, class.qualified].into_iter().for_each(&mut tell);
            class.fields.iter().for_each(|field| tell(field.name));
        }
        self.stores.iter().for_each(|store| tell(store.name));
        uses
    }

    /// Whether a condition is one of those of some code, or what it is part of.
    pub(crate) fn is_under(&self, guard: GuardId, outer: GuardId) -> bool {
        let mut next = guard;
        loop {
            if next == outer {
                return true;
            }
            if next.index() == 0 {
                return false;
            }
            next = self.guards[next].parent;
        }
    }

    /// Whether the name belongs to another scope than the code that binds it: `global`, `nonlocal`.
    pub(crate) fn is_for_others(&self, binding: BindingId) -> bool {
        self.bindings[binding].is_declared
    }

    /// Whether an expression is made of a name with such a binding.
    pub(crate) fn mentions(&self, expr: ExprId, is_it: &impl Fn(&BindingId) -> bool) -> bool {
        match &self.exprs[expr] {
            Expr::Local(bindings) => bindings.iter().any(is_it),
            // A name that a loop binds.
            Expr::Free(scope, name) => self.bindings_of(*scope, *name).iter().any(is_it),
            Expr::Item(value, _) | Expr::Attribute(value, _) | Expr::Await(value) => self.mentions(*value, is_it),
            Expr::Call(callee, arguments) => {
                self.mentions(*callee, is_it) || arguments.iter().any(|argument| self.mentions(argument.value, is_it))
            }
            Expr::Union(parts) | Expr::Sequence(parts) => parts.iter().any(|part| self.mentions(*part, is_it)),
            Expr::Choice { then, other, .. } => self.mentions(*then, is_it) || self.mentions(*other, is_it),
            _ => false,
        }
    }

    /// Whether functions within the one that has the name use it.
    pub(crate) fn is_seen_outside(&self, binding: BindingId) -> bool {
        let mut scopes = self.scopes.iter();
        let home = scopes.find_map(|(scope, facts)| {
            let (name, _) = facts.names.iter().find(|(_, bindings)| bindings.contains(&binding))?;
            Some((scope, *name))
        });
        let Some((home, name)) = home else { return false };
        self.exprs.iter().any(|(_, expr)| matches!(expr, Expr::Free(scope, used) if *scope == home && *used == name))
    }

    /// All that functions use which other functions have bound.
    pub(crate) fn seen_outside(&self) -> FxHashSet<BindingId> {
        let free = self.exprs.iter().filter_map(|(_, expr)| match expr {
            Expr::Free(scope, name) => Some(self.bindings_of(*scope, *name)),
            _ => None,
        });
        free.flatten().copied().collect()
    }

    /// The conditions of code, the innermost first.
    pub(crate) fn conditions(&self, guard: GuardId) -> impl Iterator<Item = Condition> {
        let mut next = guard;
        std::iter::from_fn(move || {
            let guard = &self.guards[next];
            let is_end = next.index() == 0;
            next = guard.parent;
            (!is_end).then_some(guard.condition)
        })
    }
}

/// No condition, no name's value, the module's own code and names.
pub(crate) const MODULE: FunctionId = Id::new(0);
pub(crate) const MODULE_SCOPE: ScopeId = Id::new(0);
pub(crate) const UNKNOWN: ExprId = Id::new(0);
pub(crate) const ALWAYS: GuardId = Id::new(0);

/// Whether a text may be what several names of methods begin with: `do_`.
pub(crate) fn is_prefix_of_names(text: &str) -> bool {
    text.len() <= LONGEST_PREFIX
        && text.ends_with('_')
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

const LONGEST_PREFIX: usize = 40;
