//! All names and texts of a program, by how many files have them: of a text that nothing else is like it does not matter what it says.

use super::Program;
use super::needs::{Need, What};
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hash};

/// Kept as hashes: two words with one hash make an edit matter that does not, and never the other way round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Words {
    /// Of one file, in order.
    once: Vec<u32>,
    /// Of several, and parts of the names of modules.
    several: Vec<u32>,
    /// What texts are asked to begin with.
    prefixes: Vec<String>,
    /// Of those of one file: what that has no more. As texts, so that no other word with the same hash is taken to be gone.
    gone: Vec<String>,
}

impl Words {
    pub(crate) fn new<'n>(program: &Program, needs: impl Iterator<Item = &'n Need>) -> Self {
        let asked = needs.map(|need| need.what).chain(program.alternatives.each());
        let prefixes = asked.filter_map(|what| match what {
            What::Prefix(prefix) => Some(program.values.text(prefix).to_owned()),
            _ => None,
        });
        let mut prefixes: Vec<String> = prefixes.collect();
        prefixes.sort_unstable();
        prefixes.dedup();
        let mut words = Self { prefixes, ..Self::default() };
        for (name, files) in program.names() {
            if files > 1 { &mut words.several } else { &mut words.once }.push(hash(name));
        }
        words.several.extend(program.files.iter().flat_map(|file| file.module.split('.')).map(hash));
        for list in [&mut words.once, &mut words.several] {
            list.sort_unstable();
            list.dedup();
        }
        words
    }

    /// Whether a text of a file is one that no other file has, and that is nothing but a text.
    pub(crate) fn is_in_one_file(&self, text: &str) -> bool {
        self.is_nothing_else(text) && self.is_of_one_file(text)
    }

    /// Whether a text is one that no file had, and that is nothing but a text.
    pub(crate) fn is_new(&self, text: &str) -> bool {
        self.is_nothing_else(text) && self.is_unknown(text)
    }

    /// Whether no file has it.
    pub(crate) fn is_unknown(&self, word: &str) -> bool {
        !self.has_once(word) && !self.has_several(word)
    }

    /// Whether one file alone has it.
    pub(crate) fn is_of_one_file(&self, word: &str) -> bool {
        self.has_once(word) && !self.has_several(word)
    }

    /// A file that had it has it no more. (Of too many that is not remembered: then they are taken to be there.)
    pub(crate) fn remove(&mut self, word: &str) {
        if self.is_of_one_file(word) && self.gone.len() < MOST_GONE {
            self.gone.push(word.to_owned());
        }
    }

    /// A file that did not have it has it now.
    pub(crate) fn add(&mut self, word: &str) {
        if let Some(place) = self.gone.iter().position(|gone| gone == word) {
            self.gone.swap_remove(place);
            return;
        }
        let list = if self.has_once(word) { &mut self.several } else { &mut self.once };
        let hash = hash(word);
        if let Err(place) = list.binary_search(&hash) {
            list.insert(place, hash);
        }
    }

    fn has_once(&self, word: &str) -> bool {
        self.once.binary_search(&hash(word)).is_ok() && !self.gone.iter().any(|gone| gone == word)
    }

    fn has_several(&self, word: &str) -> bool {
        self.several.binary_search(&hash(word)).is_ok()
    }

    /// Whether it is no name of something, nor a path to it, and does not begin as texts are asked to.
    fn is_nothing_else(&self, text: &str) -> bool {
        let is_path = text.chars().all(|sign| sign.is_alphanumeric() || matches!(sign, '_' | '.' | '[' | ']'));
        !is_path && !self.prefixes.iter().any(|prefix| text.starts_with(prefix))
    }
}

/// Words that are there no more.
const MOST_GONE: usize = 256;

fn hash<T: Hash + ?Sized>(word: &T) -> u32 {
    FxBuildHasher.hash_one(word) as u32
}
