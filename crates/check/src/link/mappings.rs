//! Tables that are made of others: `dict(table, name=value)`, `{**table}`, `table | other`.

use super::Program;
use super::values::{Args, EMPTY, SetId, Symbol, Value};

impl Program {
    /// What `dict` and its like make of what they are called with; none, if no table is among that.
    pub(super) fn copied_mapping(&mut self, arguments: &Args) -> Option<SetId> {
        let mut items = Vec::new();
        arguments.positional.iter().for_each(|set| self.add_items(*set, &mut items));
        items.extend(arguments.keywords.iter().map(|(name, set)| (Some(*name), *set)));
        (!items.is_empty()).then(|| self.mapping(items))
    }

    /// One table with all that others have.
    pub(super) fn joined_mappings(&mut self, left: SetId, right: SetId) -> SetId {
        let mut items = Vec::new();
        self.add_items(left, &mut items);
        self.add_items(right, &mut items);
        self.mapping(items)
    }

    /// Adds what tables have.
    pub(super) fn add_items(&self, tables: SetId, items: &mut Vec<(Option<Symbol>, SetId)>) {
        for table in self.values.members(tables) {
            if let Value::Mapping(own) = self.values.get(*table) {
                items.extend(own.iter().copied());
            }
        }
    }

    /// A table of these, of which the last one of a key counts. Of too many, it is not told which is which.
    pub(super) fn mapping(&mut self, items: Vec<(Option<Symbol>, SetId)>) -> SetId {
        if items.len() > MOST_ITEMS {
            let any = items.into_iter().fold(EMPTY, |any, (_, set)| self.values.union(any, set));
            return self.single(Value::Mapping([(None, any)].into()));
        }
        let mut all: Vec<(Option<Symbol>, SetId)> = Vec::with_capacity(items.len());
        for (key, set) in items {
            match all.iter_mut().find(|(known, _)| key.is_some() && *known == key) {
                Some((_, known)) => *known = set,
                None => all.push((key, set)),
            }
        }
        self.single(Value::Mapping(all.into()))
    }
}

/// Items of a table.
const MOST_ITEMS: usize = 256;
