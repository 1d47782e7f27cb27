//! What a function does, before an edit and after it: which of the one is which of the other.

use super::quiet::Quiet;
use crate::facts::{Event, FunctionId};
use rustc_hash::FxHashSet;

/// An event that is not quiet.
pub(super) struct Heard<'f> {
    pub(super) event: &'f Event,
    /// Its place among all that the function does.
    pub(super) place: usize,
    /// What it calls, if that is all.
    alone: Option<String>,
    /// Where it begins, from the function's beginning on; and where it ends, from its end on.
    places: (u32, u32),
}

/// Places in two lists.
pub(super) struct Matched {
    pub(super) pairs: Vec<(usize, usize)>,
    /// Calls of one side alone.
    pub(super) gone: Vec<usize>,
    pub(super) come: Vec<usize>,
}

impl<'f> Heard<'f> {
    pub(super) fn all(quiet: Quiet<'f>, function: FunctionId) -> Vec<Self> {
        let function = &quiet.facts.functions[function];
        let heard = function.events.iter().enumerate().filter(|(_, event)| !quiet.event(event));
        heard
            .map(|(place, event)| Self {
                event,
                place,
                alone: quiet.alone(event),
                places: (
                    event.span.start.wrapping_sub(function.span.start),
                    function.span.end.wrapping_sub(event.span.end),
                ),
            })
            .collect()
    }
}

/// Which is which: those before and behind an edit stand where they stood. None, if there are too many to compare.
pub(super) fn matched(old: &[Heard<'_>], new: &[Heard<'_>]) -> Option<Matched> {
    let both = old.iter().zip(new);
    let first = both.take_while(|(old, new)| old.alone == new.alone && old.places.0 == new.places.0).count();
    let (rest, others) = (&old[first..], &new[first..]);
    let both = rest.iter().rev().zip(others.iter().rev());
    let last = both.take_while(|(old, new)| old.alone == new.alone && old.places.1 == new.places.1).count();
    let (rest, others) = (&rest[..rest.len() - last], &others[..others.len() - last]);
    let mut pairs: Vec<(usize, usize)> = (0..first).map(|at| (at, at)).collect();
    pairs.extend(in_common(rest, others)?.into_iter().map(|(one, other)| (first + one, first + other)));
    pairs.extend((0..last).map(|place| (first + rest.len() + place, first + others.len() + place)));
    let (ones, twins): (FxHashSet<usize>, FxHashSet<usize>) = pairs.iter().copied().unzip();
    let gone = (0..old.len()).filter(|at| !ones.contains(at)).collect();
    let come = (0..new.len()).filter(|at| !twins.contains(at)).collect();
    Some(Matched { pairs, gone, come })
}

/// The longest row of events that both have; none, if there are too many to compare.
fn in_common(old: &[Heard<'_>], new: &[Heard<'_>]) -> Option<Vec<(usize, usize)>> {
    if old.len() * new.len() > MOST_COMPARED {
        return None;
    }
    // The longest from each pair of places on.
    let mut longest = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for at in (0..old.len()).rev() {
        for other in (0..new.len()).rev() {
            longest[at][other] = if old[at].alone == new[other].alone {
                longest[at + 1][other + 1] + 1
            } else {
                longest[at + 1][other].max(longest[at][other + 1])
            };
        }
    }
    let (mut at, mut other, mut pairs) = (0, 0, Vec::new());
    while at < old.len() && other < new.len() {
        if old[at].alone == new[other].alone {
            pairs.push((at, other));
            (at, other) = (at + 1, other + 1);
        } else if longest[at + 1][other] >= longest[at][other + 1] {
            at += 1;
        } else {
            other += 1;
        }
    }
    Some(pairs)
}

/// Pairs of events.
const MOST_COMPARED: usize = 10_000;
