//! The outline of a program's calls, after an edit: places and functions have moved, and calls that block have come and gone.

use super::alignment::{Alone, Come, Gone, Moves, Under};
use super::quiet::{Callee, Stopping};
use crate::facts::{Facts, FunctionId, Id, Names, Span};
use crate::graph::{Hop, Site};
use crate::link::values::{FileId, FnId};
use crate::link::{Need, Passed, What};
use crate::search::{Call, Kind, Outline, Runs, Stop, Where};
use rustc_hash::{FxHashMap, FxHashSet};

/// An edit of one file, as the outline sees it.
pub(super) struct Shift<'e> {
    file: FileId,
    moves: &'e Moves,
    new: &'e Facts,
    /// The file's first function, and how many it had.
    first: u32,
    count: u32,
}

impl Moves {
    /// Whether all calls return which more, or less, is behind than was: that this is so then says nothing.
    pub(super) fn asked_return(&self, outline: &Outline, file: FileId) -> bool {
        self.asked.iter().all(|span| outline.returns_at(Site { file, span: *span }))
    }
}

impl<'e> Shift<'e> {
    pub(super) fn new(outline: &Outline, file: FileId, (old, new): (&Facts, &'e Facts), moves: &'e Moves) -> Self {
        Self { file, moves, new, first: outline.firsts[file.0 as usize], count: old.functions.len() as u32 }
    }

    /// The number that a function has now, if it is still there.
    pub(super) fn function(&self, function: FnId) -> Option<FnId> {
        match function.0.checked_sub(self.first) {
            None => Some(function),
            Some(local) if local < self.count => {
                self.moves.functions.get(&FunctionId::new(local)).map(|now| self.global(*now))
            }
            Some(local) => Some(FnId(self.first + self.new.functions.len() as u32 + local - self.count)),
        }
    }

    pub(super) fn site(&self, site: Site) -> Option<Site> {
        if site.file != self.file {
            return Some(site);
        }
        self.moves.spans.get(&site.span).map(|span| Site { span: *span, ..site })
    }

    fn global(&self, function: FunctionId) -> FnId {
        FnId(self.first + function.raw())
    }

    fn has_all_functions(&self) -> bool {
        self.moves.functions.len() == self.count as usize && self.new.functions.len() == self.count as usize
    }

    fn hops(&self, via: &mut [Hop]) -> Option<()> {
        for hop in via {
            *hop = Hop { function: self.function(hop.function)?, site: self.site(hop.site)? };
        }
        Some(())
    }

    fn need(&self, need: Need) -> Option<Need> {
        let what = match need.what {
            What::Receives(method, after) => What::Receives(self.function(method)?, after),
            what => what,
        };
        Some(Need { owner: self.function(need.owner)?, what, ..need })
    }

    /// The outline after the edit; none, if it cannot be told.
    pub(super) fn apply(&self, mut outline: Outline) -> Option<Outline> {
        self.gone(&mut outline)?;
        if !self.has_all_functions() {
            self.renumber(&mut outline)?;
        }
        self.calls(&mut outline)?;
        self.stops(&mut outline)?;
        self.come(&mut outline)?;
        for scheduled in &mut outline.scheduled {
            scheduled.caller = self.function(scheduled.caller)?;
            scheduled.callee = self.function(scheduled.callee)?;
            scheduled.site = self.site(scheduled.site)?;
        }
        for scheduled in &mut outline.scheduled_stops {
            scheduled.caller = self.function(scheduled.caller)?;
            scheduled.site = self.site(scheduled.site)?;
        }
        for idle in &mut outline.stakes.idle {
            *idle = self.site(*idle)?;
        }
        let place = outline.suppressions.partition_point(|(file, _)| *file < self.file);
        outline.suppressions.retain(|(file, _)| *file != self.file);
        let own = self.new.suppressions.iter().map(|one| (self.file, one.clone()));
        outline.suppressions.splice(place..place, own);
        Some(outline)
    }

    /// Functions that have come or gone; the others have new numbers.
    fn renumber(&self, outline: &mut Outline) -> Option<()> {
        let place = |function: u32| function as usize;
        let (first, end) = (place(self.first), place(self.first + self.count));
        let came_from: FxHashMap<FunctionId, usize> =
            self.moves.functions.iter().map(|(old, new)| (*new, first + old.index())).collect();
        let mut names = Names::default();
        for function in 0..first {
            names.push(&outline.names[Id::new(function as u32)]);
        }
        let mut kinds = Vec::with_capacity(self.new.functions.len());
        for (id, function) in self.new.functions.iter() {
            names.push(self.new.name(function.qualified));
            kinds.push(match came_from.get(&id) {
                Some(old) => outline.kinds[*old],
                // Those that are new stand in the module.
                None => Kind { is_async: function.is_async, is_on_loop: function.is_async },
            });
        }
        for function in end..outline.kinds.len() {
            names.push(&outline.names[Id::new(function as u32)]);
        }
        outline.names = names;
        outline.kinds.splice(first..end, kinds);
        for flags in [&mut outline.is_self_contained, &mut outline.returning] {
            let own = self.new.functions.iter().map(|(id, _)| came_from.get(&id).is_some_and(|old| flags[*old]));
            let own: Vec<bool> = own.collect();
            flags.splice(first..end, own);
        }
        for known in &mut outline.firsts[self.file.0 as usize + 1..] {
            *known = *known + self.new.functions.len() as u32 - self.count;
        }
        for need in outline.needs.iter_mut().flatten() {
            *need = self.need(*need)?;
        }
        let passed = std::mem::take(&mut outline.passed).into_iter().map(|((call, need), passed)| {
            let passed = match passed {
                Passed::As(need) => Passed::As(self.need(need)?),
                passed => passed,
            };
            Some(((call, self.need(need)?), passed))
        });
        outline.passed = passed.collect::<Option<_>>()?;
        for functions in outline.replaced_functions() {
            *functions = functions.iter().filter_map(|function| self.function(*function)).collect();
        }
        for functions in [&mut outline.stakes.candidates, &mut outline.stakes.threads] {
            *functions = functions.iter().filter_map(|function| self.function(*function)).collect();
        }
        outline.untold = outline.untold.iter().filter_map(|function| self.function(*function)).collect();
        Some(())
    }

    fn calls(&self, outline: &mut Outline) -> Option<()> {
        let called: FxHashSet<FnId> = self.moves.called.iter().map(|function| self.global(*function)).collect();
        for call in &mut outline.calls {
            let now = (self.function(call.caller), self.function(call.callee), self.site(call.site));
            match now {
                (Some(caller), Some(callee), Some(site)) if self.hops(&mut call.via).is_some() => {
                    (call.caller, call.callee, call.site) = (caller, callee, site);
                }
                _ if call.runs == Runs::Elsewhere => {}
                // A function that does nothing, or did nothing: calls of it are quiet, and nobody has paired them.
                (_, Some(callee), _) if called.contains(&callee) => call.runs = Runs::Elsewhere,
                (_, None, _) => call.runs = Runs::Elsewhere,
                _ => return None,
            }
        }
        outline.untold.extend(called);
        Some(())
    }

    fn stops(&self, outline: &mut Outline) -> Option<()> {
        for stop in &mut outline.stops {
            (stop.caller, stop.site) = (self.function(stop.caller)?, self.site(stop.site)?);
            self.hops(&mut stop.via)?;
        }
        Some(())
    }

    /// Takes out what is there no more. (Numbers and places are still the old ones.)
    fn gone(&self, outline: &mut Outline) -> Option<()> {
        for Gone { function, span, what } in &self.moves.gone {
            let (caller, site) = (FnId(self.first + function.raw()), Site { file: self.file, span: *span });
            match what {
                Alone::Stop(_) => {
                    let before = outline.stops.len();
                    outline.stops.retain(|stop| !(stop.is_direct && stop.caller == caller && stop.site == site));
                    (outline.stops.len() + 1 == before).then_some(())?;
                }
                Alone::Call(callee) => {
                    let callee = match callee {
                        Callee::Here(function) => FnId(self.first + function.raw()),
                        Callee::In(file, name) => outline.function_of(*file, name)?,
                    };
                    may_go(outline, caller, callee)?;
                    let is_own =
                        |call: &&mut Call| call.runs != Runs::Elsewhere && call.caller == caller && call.site == site;
                    let mut own = outline.calls.iter_mut().filter(is_own);
                    let (Some(call), None) = (own.next(), own.next()) else { return None };
                    (call.callee == callee).then_some(())?;
                    call.runs = Runs::Elsewhere;
                }
            }
        }
        Some(())
    }

    /// Puts in what is new.
    fn come(&self, outline: &mut Outline) -> Option<()> {
        for Come { function, span, what, under } in &self.moves.come {
            let (caller, site) = (self.global(*function), Site { file: self.file, span: *span });
            if !self.may_be_on_loop(outline, caller, under) {
                return None;
            }
            let at = Where { may_be_on_loop: true, is_other_loop: false, is_covered: under.is_covered, needs: 0 };
            let (via, is_registered, is_direct) = (Box::default(), false, true);
            match what {
                Alone::Stop(Stopping { path, category }) => {
                    let (text, category, told_as) = (outline.number(path), *category, *category);
                    outline.stops.push(Stop {
                        caller,
                        site,
                        text,
                        category,
                        told_as,
                        at,
                        via,
                        is_registered,
                        is_direct,
                    });
                }
                Alone::Call(callee) => {
                    let callee = match callee {
                        Callee::Here(function) => self.global(*function),
                        Callee::In(file, name) => outline.function_of(*file, name)?,
                    };
                    may_go(outline, caller, callee)?;
                    let (runs, is_told_asynchronous) = (Runs::AtOnce, false);
                    let call =
                        Call { caller, callee, site, runs, at, via, is_registered, is_told_asynchronous, is_direct };
                    outline.calls.push(call);
                }
            }
        }
        self.put_in_order(outline);
        Some(())
    }

    /// Whether code under these conditions runs on a loop like on none, whatever its function was given.
    fn may_be_on_loop(&self, outline: &Outline, caller: FnId, under: &Under) -> bool {
        let site = |span: &Span| Site { file: self.file, span: *span };
        let return_on_loop = |calls: &[Span]| calls.iter().all(|call| outline.returns_at(site(call)));
        let is_plain = |at: Where| at.may_be_on_loop && !at.is_other_loop && at.needs == 0;
        let calls = outline.present_calls().filter(|call| call.caller == caller && is_plain(call.at));
        let stops = outline.stops.iter().filter(|stop| stop.caller == caller && stop.is_direct && is_plain(stop.at));
        let told: FxHashSet<Site> = calls.map(|call| call.site).chain(stops.map(|stop| stop.site)).collect();
        return_on_loop(&under.behind)
            && (under.shared.as_deref().is_some_and(return_on_loop)
                || under.beside.iter().any(|span| told.contains(&site(span))))
    }

    /// What is new in a function stands where it would if all were told anew: in the order of what happens, before what callers say.
    fn put_in_order(&self, outline: &mut Outline) {
        let mut functions: Vec<FunctionId> = self.moves.come.iter().map(|come| come.function).collect();
        functions.dedup();
        for function in functions {
            let (events, caller) = (&self.new.functions[function].events, self.global(function));
            let place = |site: Site| events.iter().position(|event| event.span == site.span);
            let order = |is_direct: bool, site: Site| if is_direct { (0, place(site)) } else { (1, None) };
            sort(&mut outline.stops, |stop| stop.caller == caller, |stop| order(stop.is_direct, stop.site));
            let own = |call: &Call| call.caller == caller;
            let moved = sort(&mut outline.calls, own, |call| order(call.is_direct, call.site));
            if moved.iter().any(|(old, new)| old != new) {
                let passed = std::mem::take(&mut outline.passed).into_iter();
                outline.passed = passed
                    .map(|((call, need), passed)| ((moved.get(&call).copied().unwrap_or(call), need), passed))
                    .collect();
            }
        }
    }
}

/// Whether calls of a function may come to and go from another one: that neither takes nor gives anything that matters, and no rule asks who
/// gets where from there.
fn may_go(outline: &Outline, caller: FnId, callee: FnId) -> Option<()> {
    let is_free = outline.is_self_contained[callee.0 as usize]
        && outline.returning[callee.0 as usize]
        && !outline.is_called_by_any(&outline.stakes.candidates, caller)
        && !outline.is_called_by_any(&outline.stakes.threads, caller);
    is_free.then_some(())
}

/// Sorts some items among themselves, and tells where each of them has gone.
fn sort<T: Clone, K: Ord>(items: &mut [T], is_one: impl Fn(&T) -> bool, key: impl Fn(&T) -> K) -> FxHashMap<u32, u32> {
    let places: Vec<usize> = (0..items.len()).filter(|place| is_one(&items[*place])).collect();
    let mut sorted = places.clone();
    sorted.sort_by_key(|place| key(&items[*place]));
    let own: Vec<T> = sorted.iter().map(|place| items[*place].clone()).collect();
    for (place, item) in places.iter().zip(own) {
        items[*place] = item;
    }
    sorted.into_iter().zip(places).map(|(old, new)| (old as u32, new as u32)).collect()
}
