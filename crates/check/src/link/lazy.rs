//! Iterators of the standard library that do nothing until somebody iterates them: `map(f, items)`, `zip(rows, more())`.

use super::values::{Args, ArgsId, EMPTY, NO_ARGS, PathId, SetId, Step, Value, ValueId};
use super::{Busy, Program};
use rustc_hash::FxHashMap;

/// What iterators give, as far as that was asked.
#[derive(Default)]
pub(super) struct Iterators {
    known: FxHashMap<(PathId, ArgsId), SetId>,
    /// How often one was asked for while it was being looked at.
    cuts: u32,
}

impl Program {
    /// What a call of one of these gives; none, if nothing of the program's can run when that is iterated.
    pub(super) fn lazy_call(&mut self, path: &str, args: ArgsId) -> Option<SetId> {
        let arguments = self.values.shared_arguments(args);
        let acts = |set: &SetId| self.values.members(*set).iter().any(|value| self.acts_when_iterated(*value));
        let keywords = arguments.keywords.iter().map(|(_, set)| set);
        arguments.positional.iter().chain(&arguments.star).chain(keywords).any(acts).then_some(())?;
        // `iter(read, b"")` calls its first argument.
        let is_called = path == "iter" && arguments.positional.len() == 2;
        let steps = if is_called { "callable_iterator()[*]".to_owned() } else { format!("{path}()[*]") };
        let steps = self.values.path(&steps);
        Some(self.single(Value::Lazy(steps, args)))
    }

    fn acts_when_iterated(&self, value: ValueId) -> bool {
        match self.values.get(value) {
            // `map(requests.get, urls)`
            Value::External(path) => self.catalogue.sink(self.values.path_text(*path)).is_some(),
            Value::Module(_)
            | Value::Namespace(_)
            | Value::Sequence(_)
            | Value::Mapping(_)
            | Value::Constant(_)
            | Value::Text(_)
            | Value::Prefix(_) => false,
            _ => true,
        }
    }

    /// What such an iterator gives, one after the other.
    pub(super) fn lazy_element(&mut self, steps: PathId, args: ArgsId) -> SetId {
        if let Some(known) = self.iterators.known.get(&(steps, args)) {
            return *known;
        }
        let within = self.busy.iter().filter(|busy| matches!(busy, Busy::Iterated(..))).count();
        let (is_deep, is_lasting) = (within >= DEEPEST, within == self.busy.iter().count());
        let key = Busy::Iterated(steps, args);
        if (is_deep && !is_lasting) || !self.busy.insert(key) {
            self.iterators.cuts += 1;
            return EMPTY;
        }
        let cuts = self.iterators.cuts;
        let given = self.given_by_iterator(steps, args);
        self.busy.remove(&key);
        // Cycles cut answers short.
        if is_lasting && self.iterators.cuts == cuts {
            self.iterators.known.insert((steps, args), given);
        }
        given
    }

    fn given_by_iterator(&mut self, steps: PathId, args: ArgsId) -> SetId {
        let path = self.values.path_text(steps).to_owned();
        let arguments = self.values.shared_arguments(args);
        let mut given: Vec<SetId> =
            arguments.positional.iter().map(|part| self.step_set(*part, Step::Element)).collect();
        let Some(first) = arguments.positional.first().copied() else { return EMPTY };
        match path.trim_end_matches("()[*]") {
            "callable_iterator" => self.step_set(first, Step::Call(NO_ARGS)),
            "map" => {
                given.remove(0);
                let args = self.values.new_args(Args { positional: given.into(), ..Args::default() });
                self.step_set(first, Step::Call(args))
            }
            "itertools.starmap" => {
                let element = given.get(1).copied().unwrap_or(EMPTY);
                let args = self.values.new_args(Args { star: Some(element), ..Args::default() });
                self.step_set(first, Step::Call(args))
            }
            "filter" | "itertools.filterfalse" | "itertools.takewhile" | "itertools.dropwhile" => {
                given.get(1).copied().unwrap_or(EMPTY)
            }
            "zip" | "itertools.zip_longest" => self.single(Value::Sequence(given.into())),
            // Of these it is not told what they give: groups, pairs.
            "itertools.batched" | "itertools.groupby" | "itertools.pairwise" => EMPTY,
            "enumerate" => self.single(Value::Sequence([EMPTY, given[0]].into())),
            "itertools.chain" => {
                let star = arguments.star.map_or(EMPTY, |star| self.step_set(star, Step::Element));
                given.push(self.step_set(star, Step::Element));
                given.into_iter().fold(EMPTY, |all, part| self.values.union(all, part))
            }
            "itertools.chain.from_iterable" => self.step_set(given[0], Step::Element),
            _ => given[0],
        }
    }
}

/// What gives such iterators.
pub(super) fn is_lazy(path: &str) -> bool {
    matches!(
        path,
        "map"
            | "filter"
            | "zip"
            | "enumerate"
            | "iter"
            | "itertools.accumulate"
            | "itertools.batched"
            | "itertools.chain"
            | "itertools.chain.from_iterable"
            | "itertools.compress"
            | "itertools.cycle"
            | "itertools.dropwhile"
            | "itertools.filterfalse"
            | "itertools.groupby"
            | "itertools.islice"
            | "itertools.pairwise"
            | "itertools.starmap"
            | "itertools.takewhile"
            | "itertools.zip_longest"
    )
}

/// Iterators one within the other, where it is not remembered what they give.
const DEEPEST: usize = 10;
