//! What needs are told in: the numbers that a program gave to names and alternatives, for programs that number them otherwise.

use super::answers::Given;
use crate::link::values::Symbol;
use crate::link::{AnyId, Need, Passed, Program, What};
use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// The names and alternatives of an outline's needs. (No alternative is of a function or class: those may get other numbers.)
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Terms {
    texts: FxHashMap<Symbol, String>,
    alternatives: Vec<Box<[(What, bool)]>>,
}

impl Terms {
    /// Those of the program that made the needs.
    pub(crate) fn new(program: &Program, needs: impl Iterator<Item = Need>) -> Self {
        let mut terms = Self { alternatives: program.alternatives().map(Into::into).collect(), ..Self::default() };
        let alternatives = program.alternatives().flatten().map(|(what, _)| *what);
        for what in needs.map(|need| need.what).chain(alternatives) {
            terms.learn(program, what);
        }
        if let Some(done) = program.values.known_symbol("done") {
            terms.learn(program, What::Asked(done));
        }
        terms
    }

    /// Those of answers as well.
    pub(super) fn add_answers(&mut self, program: &Program, passed: &Given) {
        let told = passed.iter().flat_map(|((_, need), passed)| match passed {
            Passed::As(needed) => vec![need.what, needed.what],
            _ => vec![need.what],
        });
        told.collect::<Vec<What>>().into_iter().for_each(|what| self.learn(program, what));
    }

    pub(super) fn text(&self, name: Symbol) -> Option<&str> {
        self.texts.get(&name).map(String::as_str)
    }

    fn learn(&mut self, program: &Program, what: What) {
        what.each_name(|name| {
            self.texts.entry(name).or_insert_with(|| program.values.text(name).to_owned());
        });
    }

    /// A need in the terms of a program.
    pub(crate) fn to_program(&self, program: &mut Program, need: Need) -> Need {
        Need { what: self.question_to(program, need.what), ..need }
    }

    fn question_to(&self, program: &mut Program, what: What) -> What {
        match what {
            What::Any(list) => {
                let list = self.alternatives[list.index()].iter();
                let list = list.map(|(what, is)| (self.question_to(program, *what), *is)).collect();
                program.one_of(list).0
            }
            _ => what.with_names(|name| self.texts.get(&name).map_or(name, |text| program.values.symbol(text))),
        }
    }

    /// A need of a program, in these terms.
    pub(crate) fn take_from(&mut self, program: &Program, need: Need) -> Need {
        Need { what: self.question_from(program, need.what), ..need }
    }

    fn question_from(&mut self, program: &Program, what: What) -> What {
        match what {
            What::Any(list) => {
                let list = program.alternative(list).to_vec();
                let mut list: Vec<(What, bool)> =
                    list.into_iter().map(|(what, is)| (self.question_from(program, what), is)).collect();
                list.sort_unstable();
                let known = self.alternatives.iter().position(|known| **known == *list);
                What::Any(AnyId::new(known.unwrap_or_else(|| {
                    self.alternatives.push(list.into());
                    self.alternatives.len() - 1
                })))
            }
            _ => what.with_names(|name| self.number(program.values.text(name))),
        }
    }

    fn number(&mut self, text: &str) -> Symbol {
        if let Some((known, _)) = self.texts.iter().find(|(_, known)| *known == text) {
            return *known;
        }
        let next = self.texts.keys().map(|known| known.0 + 1).max().unwrap_or_default();
        self.texts.insert(Symbol(next), text.to_owned());
        Symbol(next)
    }
}
