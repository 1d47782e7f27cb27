//! How much there is to hear of each event: for whoever asks whether others like it may come and go.

use super::variables::MOST_VARIABLES;
use super::{Builder, Catalogued, Graph, Site};
use crate::catalogue::Handed;
use crate::facts::{Event, Expr, Span};
use crate::link::values::{FileId, FnId, PathId, Value, ValueId};
use smallvec::SmallVec;

/// What an event runs: the less is known, the greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Noise {
    /// What is outside the program, and of which no rule asks.
    Outside,
    /// Nothing that is known.
    None,
    /// A parameter of which nobody says what it is.
    Asked,
    /// Functions of the program, and nothing else that a rule may ask about.
    Calls,
    /// Something that a rule may ask about, or something that is known only to those who call the function.
    Some,
}

impl Noise {
    /// As a letter: lists of them are long, and are kept.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Some => '!',
            Self::Calls => '(',
            Self::Asked => '?',
            Self::None => ' ',
            Self::Outside => '.',
        }
    }

    pub(crate) const fn of_letter(letter: u8) -> Self {
        match letter {
            b'(' => Self::Calls,
            b'?' => Self::Asked,
            b' ' => Self::None,
            b'.' => Self::Outside,
            _ => Self::Some,
        }
    }
}

/// What an event runs outside the program.
#[derive(Clone, Copy, Default)]
pub(super) struct Heard {
    pub(super) is_quiet: bool,
    /// A rule may ask about it; or it would be told of, if the code around it did not say that it does not wait.
    pub(super) is_loud: bool,
}

impl Builder<'_> {
    /// Looks at an event, and listens.
    pub(super) fn listened(&mut self, file: FileId, function: FnId, event: Event) {
        let (edges, others) = (self.graph.edges.len(), self.told_otherwise());
        let variables = self.graph.known_variables.len();
        self.heard = Heard::default();
        self.event(file, function, event);
        let is_known = others == self.told_otherwise() && !self.heard.is_loud;
        let asks = self.graph.known_variables.len() != variables;
        let noise = match (self.graph.edges.len() == edges, self.heard.is_quiet) {
            _ if !is_known => Noise::Some,
            (true, _) if asks => Noise::Asked,
            _ if asks => Noise::Some,
            (false, _) => Noise::Calls,
            (true, true) if self.is_of_others(file, event) => Noise::Outside,
            (true, _) => Noise::None,
        };
        self.graph.noises.push(noise);
    }

    /// Whether a call is no method of what may be a coroutine as well, or anything else of the program's.
    fn is_of_others(&mut self, file: FileId, event: Event) -> bool {
        let Expr::Call(callee, _) = *self.program.expr(file, event.expr) else { return true };
        let Expr::Attribute(object, _) = *self.program.expr(file, callee) else { return true };
        let objects = self.program.eval(file, object);
        let is_other =
            |value: &ValueId| matches!(self.program.values.get(*value), Value::External(_) | Value::Constant(_));
        self.program.values.members(objects).iter().all(is_other)
    }

    /// How much has been told so far, other than calls of functions of the program and of parameters.
    fn told_otherwise(&self) -> [usize; 5] {
        let Graph { sinks, scheduled, scheduled_sinks, offloaded, elsewhere, .. } = &self.graph;
        let (scheduled, elsewhere) = (scheduled.len() + scheduled_sinks.len(), elsewhere.len());
        let deferred = self.graph.deferred_into.len();
        [sinks.len(), scheduled, offloaded.len(), elsewhere, deferred]
    }

    /// Something outside the program is run.
    pub(super) fn hear(&mut self, file: FileId, event: Event, path: PathId) {
        let Catalogued { is_quiet, handed, lazily, .. } = self.catalogued(path).clone();
        let mut handed = handed.iter().chain(&*lazily).peekable();
        // What these run of what they are given has been told, if there is any: with these arguments, by its own name.
        let is_mild =
            |what: &Handed| matches!(what, Handed::Special(..) | Handed::ComparesElements(..) | Handed::Iterates(_));
        let is_global = || match *self.program.expr(file, event.expr) {
            Expr::Call(callee, _) => matches!(self.program.expr(file, callee), Expr::Global(_)),
            _ => false,
        };
        let is_quiet = is_quiet && (handed.peek().is_none() || (handed.all(is_mild) && is_global()));
        self.heard = Heard { is_quiet, is_loud: self.heard.is_loud || !is_quiet };
    }

    /// What two events of one place run is told once: then nobody knows which it was. `events` are the last ones.
    pub(super) fn share(&mut self, events: &[Event]) {
        let first = self.graph.noises.len() - events.len();
        let noises = &mut self.graph.noises[first..];
        let is_heard = |noise: Noise| noise > Noise::None;
        if !noises.iter().any(|noise| is_heard(*noise)) {
            return;
        }
        let told = events.iter().zip(&*noises).map(|(event, noise)| (event.span, is_heard(*noise)));
        let mut places: SmallVec<[(Span, bool); 32]> = told.collect();
        places.sort_unstable();
        let several = places.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() > 1);
        let shared: Vec<Span> =
            several.filter(|same| same.iter().any(|(_, is_heard)| *is_heard)).map(|same| same[0].0).collect();
        if !shared.is_empty() {
            for (_, noise) in events.iter().zip(noises).filter(|(event, _)| shared.binary_search(&event.span).is_ok()) {
                *noise = Noise::Some;
            }
        }
    }

    /// Now it is known which parameters somebody has said something of. (Where there are nearly too many of them, one more matters.)
    pub(super) fn settle_noises(&mut self) {
        let crowded = self.graph.variables.iter().filter(|variables| variables.len() + ROOM > MOST_VARIABLES).flatten();
        let origins: Vec<Site> = crowded.map(|variable| variable.at.origin()).collect();
        self.graph.answered.extend(origins);
        let mut place = 0;
        for function in self.program.functions() {
            let file = self.program.file_of(function);
            for event in &self.program.function(function).events {
                let noise = &mut self.graph.noises[place];
                if *noise == Noise::Asked && self.graph.answered.contains(&Site { file, span: event.span }) {
                    *noise = Noise::Some;
                }
                place += 1;
            }
        }
    }
}

/// Calls of parameters that a function has room for at least, if one more says nothing.
const ROOM: usize = 8;
