//! What special methods run.

use super::values::{NO_ARGS, Symbol, Value, ValueId};
use super::{Program, Targets};
use crate::facts::{INSTEAD, asked_in_turn};
use rustc_hash::FxHashSet;

impl Program {
    /// What a special method of a value runs.
    pub(crate) fn special_targets(&mut self, value: ValueId, names: &[&str], all: &mut Targets) {
        for name in names {
            let name = self.answering(value, name);
            let name = self.values.symbol(name);
            let method = self.attribute(value, name);
            all.extend(self.targets(method, NO_ARGS));
        }
    }

    /// The special method that answers in place of one.
    fn answering<'n>(&mut self, value: ValueId, name: &'n str) -> &'n str {
        let Value::Instance { class, .. } = *self.values.get(value) else { return name };
        let is_there =
            |one: &&&str| self.values.known_symbol(one).is_some_and(|one| self.defining(class, one).is_some());
        let found = asked_in_turn(name).iter().find(is_there).copied().unwrap_or(name);
        if found != name && self.external_bases(class).iter().any(|base| has_before(base, name, found)) {
            return name;
        }
        found
    }

    /// The special methods that classes of the program have, and those in place of which they are asked.
    pub(crate) fn special_names(&self) -> FxHashSet<Symbol> {
        let mut names = self.own_special_names();
        let is_asked = |chain: &&&[&str]| {
            chain.iter().any(|one| self.values.known_symbol(one).is_some_and(|one| names.contains(&one)))
        };
        let asked = INSTEAD.iter().filter(is_asked).filter_map(|chain| self.values.known_symbol(chain[0]));
        let asked: Vec<Symbol> = asked.collect();
        names.extend(asked);
        names
    }
}

/// Whether a class outside the program has a method that is asked before another one does.
fn has_before(base: &str, first: &str, found: &str) -> bool {
    let is_plain = || matches!(base, "object" | "abc.ABC" | "typing.Generic" | "typing.Protocol");
    match (first, found) {
        // An empty format is that of `str()`.
        ("__format__", "__str__") => false,
        (_, "__repr__") => {
            !is_plain() && !matches!(base, "dict" | "list" | "tuple" | "set" | "frozenset" | "int" | "float")
        }
        ("__bool__", _) => matches!(base, "int" | "float" | "complex" | "decimal.Decimal" | "datetime.timedelta"),
        // In place.
        _ => matches!(base, "list" | "set" | "dict" | "bytearray" | "collections.deque" | "collections.Counter"),
    }
}
