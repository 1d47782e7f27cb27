//! What special methods run.

use super::instances::is_built_in;
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
        // Built-in classes have these themselves: a text is its own format, whatever `__str__` says.
        let is_there_already = || self.external_bases(class).iter().any(|base| is_built_in(base));
        if found != name && name != "__bool__" && is_there_already() { name } else { found }
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
