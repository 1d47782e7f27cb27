//! What an edit of a file comes to: where everything has gone, and what has come and gone.

use super::forms::LikeCall;
use super::quiet::{Callee, Quiet, Stopping};
use super::renewed::Renewed;
use crate::facts::{ClassId, Event, EventKind, ExprId, FunctionId, Span, Use};
use crate::graph::Noise;
use crate::link::values::FileId;
use rustc_hash::{FxHashMap, FxHashSet};

/// What only the whole program can tell: it is asked of it again.
#[derive(Default)]
pub(super) struct Anew {
    /// Functions that do something else than before.
    pub(super) functions: Vec<Redone>,
    /// Functions that return, yield or end otherwise, as they were and as they are.
    pub(super) given: Vec<(FunctionId, FunctionId)>,
    /// What rules see that look at this file alone is something else, or which names it mentions.
    pub(super) is_seen: bool,
    /// Functions that have more parameters, or say something else of what they return.
    pub(super) grown: Vec<FunctionId>,
}

/// A function that does something else than before.
pub(super) struct Redone {
    pub(super) old: FunctionId,
    pub(super) new: FunctionId,
    /// Where something happened that does not any more.
    pub(super) gone: Vec<Span>,
    /// What happens now, by its place in the function.
    pub(super) come: Vec<usize>,
    /// Calls among both that call the same as before.
    pub(super) again: Vec<CalledAgain>,
}

/// A call of the same as before, with other arguments or under other conditions.
pub(super) struct CalledAgain {
    pub(super) old: Span,
    pub(super) new: Span,
    pub(super) call: ExprId,
    pub(super) changed: Vec<Changed>,
}

/// An argument that is another one than before.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Changed {
    /// By its place.
    Positional(usize),
    Keyword(String),
    /// One that stands for several.
    Starred(usize),
    /// Nobody knows which.
    Any,
}

impl Anew {
    pub(super) const fn is_empty(&self) -> bool {
        self.functions.is_empty() && self.given.is_empty() && !self.is_seen
    }
}

/// Where everything has gone.
pub(super) struct Moves {
    pub(super) spans: FxHashMap<Span, Span>,
    pub(super) functions: FxHashMap<FunctionId, FunctionId>,
    pub(super) classes: FxHashMap<ClassId, ClassId>,
    /// Classes of which nobody has heard, and which are new, with their bases.
    pub(super) classes_come: Vec<(ClassId, Vec<String>)>,
    /// Calls that are there no more, by the function that had them.
    pub(super) gone: Vec<Gone>,
    /// Calls that are new.
    pub(super) come: Vec<Come>,
    /// Functions that nobody asks for, and which are there no more: where they stood.
    pub(super) lost: Vec<Span>,
    /// Coroutine functions that nobody asks for, are new, and await nothing.
    pub(super) idle: Vec<FunctionId>,
    /// How much there is to hear of each event, as far as its form says.
    pub(super) noises: Vec<Noise>,
    /// Functions that quiet code calls now.
    pub(super) called: FxHashSet<FunctionId>,
    /// Calls that must return where a loop runs, for the edit to say nothing of what is behind them.
    pub(super) asked: Vec<Span>,
    pub(super) anew: Anew,
    /// What is read otherwise than before.
    pub(super) renewed: Renewed,
}

/// A call that is there no more.
pub(super) struct Gone {
    pub(super) function: FunctionId,
    pub(super) span: Span,
    pub(super) what: Alone,
}

/// A call that is new.
pub(super) struct Come {
    pub(super) function: FunctionId,
    pub(super) span: Span,
    pub(super) what: Alone,
    pub(super) under: Under,
}

/// What may come and go.
pub(super) enum Alone {
    Stop(Stopping),
    Call {
        /// What it calls, as this text alone says.
        callee: Option<Callee>,
        /// Calls of the old text like it.
        like: Vec<LikeCall>,
        form: Option<u64>,
        /// Nobody gets its value.
        is_dropped: bool,
    },
}

/// Under which conditions a new call stands.
pub(super) struct Under {
    pub(super) is_covered: bool,
    /// Calls before it that may come and go, which must return where a loop runs for it to do so.
    pub(super) behind: Vec<Span>,
    /// The other calls before it, likewise; none, if there are other conditions. What is beside it shares them all.
    pub(super) shared: Option<Vec<Span>>,
    /// What stands under the same conditions, and did before.
    pub(super) beside: Vec<Span>,
}

impl Moves {
    /// Whether something stood in a function that is there no more.
    pub(super) fn has_lost(&self, span: Span) -> bool {
        self.lost.iter().any(|lost| lost.contains(span))
    }
}

impl Alone {
    pub(super) fn of(quiet: Quiet<'_>, event: &Event) -> Option<Self> {
        let call = || {
            let (callee, like) = (quiet.call_alone(event), quiet.like(event).to_vec());
            let form = quiet.forms.expr(event.expr);
            let is_dropped = event.kind == EventKind::Call(Use::Discarded);
            (callee.is_some() || !like.is_empty()).then_some(Self::Call { callee, like, form, is_dropped })
        };
        quiet.stop(event).map(Self::Stop).or_else(call)
    }

    /// Whether it is a call of what blocks.
    pub(super) const fn is_stop(&self) -> bool {
        matches!(self, Self::Stop(_))
    }

    /// The name of another module that it uses.
    pub(super) fn asked(&self) -> Option<(FileId, &str)> {
        match self {
            Self::Call { callee: Some(Callee::In(file, name)), .. } => Some((*file, name)),
            _ => None,
        }
    }
}
