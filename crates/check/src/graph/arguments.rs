//! What the arguments of calls of the catalogue's say: whether a call waits after all, and under which conditions.

use super::{Builder, Catalogued, Happening};
use crate::catalogue::{Sink, Unless};
use crate::facts::Constant;
use crate::link::values::{ArgsId, EMPTY, SetId, Value};
use crate::link::{Need, Program, Truth, What};
use std::rc::Rc;

impl Builder<'_> {
    /// Whether the arguments of a call of these matter.
    pub(super) fn reads_arguments(&mut self, callees: SetId) -> bool {
        let callees = self.program.values.shared(callees);
        callees.iter().any(|callee| match *self.program.values.get(*callee) {
            Value::External(path) => {
                let Catalogued { sink, handed, .. } = self.catalogued(path);
                !handed.is_empty() || sink.is_some_and(|sink| sink.unless != Unless::Never)
            }
            _ => true,
        })
    }

    pub(super) fn argument(&mut self, args: ArgsId, place: usize, name: &str) -> SetId {
        let name = self.program.values.known_symbol(name);
        let args = self.program.values.arguments(args);
        let named = name.and_then(|name| args.keywords.iter().find(|(known, _)| *known == name));
        named.map(|(_, set)| *set).or_else(|| args.positional.get(place).copied()).unwrap_or(EMPTY)
    }

    /// Whether a call may have this argument.
    pub(super) fn may_have(&self, args: ArgsId, place: usize, name: &str) -> bool {
        let name = self.program.values.known_symbol(name);
        let args = self.program.values.arguments(args);
        args.positional.len() > place
            || args.star.is_some()
            || args.double_star.is_some()
            || args.keywords.iter().any(|(known, _)| Some(*known) == name)
    }

    /// The arguments by which a call says whether it waits.
    fn deciding(&mut self, sink: Sink, args: ArgsId) -> Vec<SetId> {
        match sink.unless {
            Unless::Falsy(place, name) => vec![self.argument(args, place, name)],
            Unless::EitherFalsy(one, two) => vec![self.argument(args, one.0, one.1), self.argument(args, two.0, two.1)],
            Unless::Never | Unless::Truthy(..) | Unless::InMemory(..) | Unless::InMemoryOrMissing(..) => Vec::new(),
        }
    }

    /// Whether the arguments say that it does not wait.
    pub(super) fn is_harmless(&mut self, sink: Sink, args: ArgsId) -> bool {
        let is_falsy =
            |program: &Program, given| matches!(program.only_constant(given), Some(Constant::False | Constant::Zero));
        match sink.unless {
            Unless::Truthy(place, name) => {
                let given = self.argument(args, place, name);
                !is_falsy(self.program, given)
            }
            Unless::InMemory(place, name) => {
                let given = self.argument(args, place, name);
                self.is_in_memory(given)
            }
            Unless::InMemoryOrMissing(place, name) => {
                let given = self.argument(args, place, name);
                !self.may_have(args, place, name)
                    || self.program.only_constant(given) == Some(Constant::None)
                    || self.is_in_memory(given)
            }
            Unless::Never | Unless::Falsy(..) | Unless::EitherFalsy(..) => {
                self.deciding(sink, args).into_iter().any(|given| is_falsy(self.program, given))
            }
        }
    }

    /// Whether it is a file that is no more than text or bytes.
    fn is_in_memory(&self, given: SetId) -> bool {
        let values = &self.program.values;
        let is_buffer = |value: &Value| match value {
            Value::External(path) => matches!(values.path_text(*path), "io.BytesIO()" | "io.StringIO()"),
            _ => false,
        };
        given != EMPTY && values.members(given).iter().all(|value| is_buffer(values.get(*value)))
    }

    /// Under which conditions it waits: what the caller's parameters must be, where they decide.
    pub(super) fn waits(&mut self, sink: Sink, args: ArgsId, at: &Happening) -> Rc<Truth> {
        let mut truth = Rc::clone(&at.truth);
        for given in self.deciding(sink, args) {
            if let [one] = *self.program.values.members(given)
                && let Value::Parameter(owner, parameter) = *self.program.values.get(one)
                && owner == at.caller
            {
                Rc::make_mut(&mut truth).needs.push(Need { owner, parameter, what: What::Zero, is: false });
            }
        }
        truth
    }
}
