//! The strings of a file in one text: there are many, and most are short.

use super::Id;
use serde::{Deserialize, Serialize};
use std::ops::Index;

/// Strings that are never removed.
#[derive(Clone, Debug, PartialEq, Default, Serialize, Deserialize)]
pub(crate) struct Names {
    text: String,
    /// Where each one ends in the text.
    ends: Vec<u32>,
}

impl Names {
    pub(crate) fn push(&mut self, name: &str) -> Id<Names> {
        let id = Id::new(self.ends.len() as u32);
        self.text.push_str(name);
        self.ends.push(self.text.len() as u32);
        id
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.ends.len() as u32).map(|place| &self[Id::new(place)])
    }

    pub(crate) fn shrink_to_fit(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }
}

impl Index<Id<Names>> for Names {
    type Output = str;

    fn index(&self, id: Id<Names>) -> &str {
        let start = id.index().checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.text[start as usize..self.ends[id.index()] as usize]
    }
}
