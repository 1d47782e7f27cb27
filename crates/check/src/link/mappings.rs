//! Tables that are made of others: `dict(table, name=value)`, `{**table}`, `table | other`.

use super::Program;
use super::values::{Args, EMPTY, SetId, Symbol, Value};

/// What a table has under each key; under none, what it may have under any.
#[derive(Default)]
pub(super) struct Items(Vec<(Option<Symbol>, SetId)>);

impl Program {
    /// What `dict` and its like make of what they are called with; none, if no table is among that.
    pub(super) fn copied_mapping(&mut self, arguments: &Args) -> Option<SetId> {
        let mut items = Items::default();
        arguments.positional.iter().for_each(|set| self.put_all(*set, &mut items));
        arguments.keywords.iter().for_each(|(name, set)| self.put(Some(*name), *set, &mut items));
        (!items.0.is_empty()).then(|| self.mapping(items))
    }

    /// One table with all that others have.
    pub(super) fn joined_mappings(&mut self, left: SetId, right: SetId) -> SetId {
        let mut items = Items::default();
        self.put_all(left, &mut items);
        self.put_all(right, &mut items);
        self.mapping(items)
    }

    /// All that a table has; of several, of which it is one, each may be what there is.
    pub(super) fn put_all(&mut self, tables: SetId, items: &mut Items) {
        let tables = self.values.shared(tables);
        for table in tables.iter() {
            let Value::Mapping(own) = self.values.get(*table).clone() else { continue };
            for (key, set) in own.iter() {
                if tables.len() == 1 {
                    self.put(*key, *set, items);
                } else {
                    self.add(*key, *set, items);
                }
            }
        }
    }

    /// What is under a key from now on; what is under one that nobody knows may be under any.
    pub(super) fn put(&mut self, key: Option<Symbol>, set: SetId, items: &mut Items) {
        match items.0.iter_mut().find(|(known, _)| key.is_some() && *known == key) {
            Some((_, known)) => *known = set,
            None => self.add(key, set, items),
        }
    }

    /// What may be under a key as well.
    fn add(&mut self, key: Option<Symbol>, set: SetId, items: &mut Items) {
        match items.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, known)) => *known = self.values.union(*known, set),
            None => items.0.push((key, set)),
        }
    }

    /// A table of these. Of too many, it is not told which is which.
    pub(super) fn mapping(&mut self, items: Items) -> SetId {
        let Items(mut items) = items;
        if items.len() > MOST_ITEMS {
            let any = items.into_iter().fold(EMPTY, |any, (_, set)| self.values.union(any, set));
            items = vec![(None, any)];
        }
        self.single(Value::Mapping(items.into()))
    }
}

/// Items of a table.
const MOST_ITEMS: usize = 256;
