//! The outline of a program's calls, after an edit: places and functions have moved, and calls that block have come and gone.

use super::forms::LikeCall;
use super::moves::{Alone, CalledAgain, Come, Gone, Moves, Under};
use super::quiet::{Callee, Stopping};
use crate::facts::{Facts, FunctionId, Id, Names, Span};
use crate::graph::{Hop, Site};
use crate::link::values::{FileId, FnId};
use crate::link::{ClassShift, Need, Passed, What};
use crate::search::{Call, Idle, Kind, Outline, Runs, Stop, Where};
use rustc_hash::{FxHashMap, FxHashSet};
use std::ops::Range;

/// An edit of one file, as the outline sees it.
pub(super) struct Shift<'e> {
    file: FileId,
    moves: &'e Moves,
    old: &'e Facts,
    new: &'e Facts,
    /// The file's first function, and how many it had.
    first: u32,
    count: u32,
    /// Of the classes too, if some have come or gone.
    classes: Option<ClassShift>,
    /// What calls come to of which the file had others like them: by the places of those. (Functions have their old numbers.)
    likes: FxHashMap<(FunctionId, Span), Vec<Row>>,
    /// Where something happened in functions that do something else now, with their old numbers.
    undone: FxHashSet<(FnId, Site)>,
    /// Where it happens now, with their new ones.
    news: FxHashSet<(FnId, Site)>,
}

/// A call that has gone, of what hands on what it is given, and another one in its place.
#[derive(Clone, Copy)]
pub(super) struct HeardAgain<'e> {
    pub(super) caller: FnId,
    pub(super) callee: FnId,
    pub(super) runs: Runs,
    /// How many calls of the callee there were.
    pub(super) givers: usize,
    /// What is called there itself: it, or what calls it.
    pub(super) by: FnId,
    pub(super) site: Site,
    pub(super) again: &'e CalledAgain,
}

/// What a call comes to.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Row {
    callee: FnId,
    runs: Runs,
    is_registered: bool,
    is_handed: bool,
}

impl Moves {
    /// Whether all calls return which more, or less, is behind than was: that this is so then says nothing.
    pub(super) fn asked_return(&self, outline: &Outline, file: FileId) -> bool {
        self.asked.iter().all(|span| outline.returns_at(Site { file, span: *span }))
    }
}

impl<'e> Shift<'e> {
    pub(super) fn new(outline: &Outline, file: FileId, (old, new): (&'e Facts, &'e Facts), moves: &'e Moves) -> Self {
        let (first, count) = (outline.firsts[file.0 as usize], old.functions.len() as u32);
        let is_come = |come: &Come| matches!(&come.what, Alone::Call { like, .. } if !like.is_empty());
        let likes = if moves.come.iter().any(is_come) { rows(outline, file, first) } else { FxHashMap::default() };
        let (undone, news) = (FxHashSet::default(), FxHashSet::default());
        let classes = shifted(outline, file, (old, new), moves);
        let mut shift = Self { file, moves, old, new, first, count, classes, likes, undone, news };
        shift.learn_redone();
        shift
    }

    /// What stands in one place with something that has come or gone, or is the same there, comes and goes with that.
    fn learn_redone(&mut self) {
        let came_from: FxHashMap<Span, Span> = self.moves.spans.iter().map(|(old, new)| (*new, *old)).collect();
        for redone in &self.moves.anew.functions {
            let come = redone.come.iter().map(|place| self.new.functions[redone.new].events[*place].span);
            let with_gone = redone.gone.iter().filter_map(|span| self.moves.spans.get(span).copied());
            let come: Vec<Span> = come.chain(with_gone).collect();
            let gone = redone.gone.iter().copied().chain(come.iter().filter_map(|span| came_from.get(span).copied()));
            let site = |span: Span| Site { file: self.file, span };
            let (old, new) = (FnId(self.first + redone.old.raw()), self.global(redone.new));
            self.undone.extend(gone.map(|span| (old, site(span))));
            self.news.extend(come.into_iter().map(|span| (new, site(span))));
        }
    }

    /// Where functions do something else now.
    pub(super) fn news(&self) -> &FxHashSet<(FnId, Site)> {
        &self.news
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

    /// Whether a function has no more parameters than before.
    fn has_its_parameters(&self, function: FnId) -> bool {
        let local = function.0.checked_sub(self.first).filter(|local| *local < self.count).map(FunctionId::new);
        let count = |facts: &Facts, id: FunctionId| facts.functions[id].parameters.len();
        local.is_none_or(|old| {
            self.moves.functions.get(&old).is_none_or(|new| count(self.old, old) == count(self.new, *new))
        })
    }

    /// Whether something stood in a function that nobody asked for, and which is there no more.
    pub(super) fn has_lost(&self, site: Site) -> bool {
        site.file == self.file && self.moves.has_lost(site.span)
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
            What::Receives(method, after) => {
                let after = match (after, &self.classes) {
                    (Some(class), Some(classes)) => Some(classes.class(class)?),
                    (after, _) => after,
                };
                What::Receives(self.function(method)?, after)
            }
            What::Is(class) => What::Is(match &self.classes {
                Some(classes) => classes.class(class)?,
                None => class,
            }),
            what => what,
        };
        Some(Need { owner: self.function(need.owner)?, what, ..need })
    }

    /// The outline after the edit; none, if it cannot be told.
    pub(super) fn apply(&self, mut outline: Outline) -> Option<Outline> {
        self.gone(&mut outline)?;
        if !self.undone.is_empty() {
            self.undo(&mut outline)?;
        }
        if !self.has_all_functions() {
            self.renumber(&mut outline);
        }
        if let Some(classes) = &self.classes {
            outline.families.renumber(classes);
        }
        if !self.has_all_functions() || self.classes.is_some() {
            self.needs(&mut outline)?;
        }
        self.calls(&mut outline)?;
        self.stops(&mut outline)?;
        self.come(&mut outline)?;
        let foreign = std::mem::take(&mut outline.foreign).into_iter();
        outline.foreign = foreign
            .filter_map(|(caller, site, print)| Some((self.function(caller)?, self.site(site)?, print)))
            .collect();
        let offloads = std::mem::take(&mut outline.offloads).into_iter();
        let offloads = offloads.map(|(caller, site)| Some((self.function(caller)?, self.site(site)?)));
        outline.offloads = offloads.collect::<Option<_>>()?;
        for scheduled in &mut outline.scheduled {
            self.has_its_parameters(scheduled.callee).then_some(())?;
            scheduled.caller = self.function(scheduled.caller)?;
            scheduled.callee = self.function(scheduled.callee)?;
            scheduled.site = self.site(scheduled.site)?;
        }
        for scheduled in &mut outline.scheduled_stops {
            scheduled.caller = self.function(scheduled.caller)?;
            scheduled.site = self.site(scheduled.site)?;
        }
        outline.stakes.idle.retain(|idle| !self.has_lost(idle.site));
        for idle in &mut outline.stakes.idle {
            let name = Site { span: idle.at, ..idle.site };
            let (function, site, at) = (self.function(idle.function)?, self.site(idle.site)?, self.site(name)?.span);
            *idle = Idle { function, site, at, ..*idle };
        }
        let (before, now): (FxHashSet<&str>, FxHashSet<&str>) =
            (self.old.names.iter().collect(), self.new.names.iter().collect());
        before.difference(&now).for_each(|name| outline.words.remove(name));
        now.difference(&before).for_each(|name| outline.words.add(name));
        outline.set_noises(self.file, self.moves.noises.iter().copied());
        let place = outline.suppressions.partition_point(|(file, _)| *file < self.file);
        outline.suppressions.retain(|(file, _)| *file != self.file);
        let own = self.new.suppressions.iter().map(|one| (self.file, one.clone()));
        outline.suppressions.splice(place..place, own);
        Some(outline)
    }

    /// Functions that have come or gone; the others have new numbers.
    fn renumber(&self, outline: &mut Outline) {
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
        let Outline {
            is_self_contained,
            is_free,
            is_deaf,
            is_owner,
            has_variables,
            holds_for_others,
            returning,
            asked_of,
            prints,
            ..
        } = outline;
        let range = first..end;
        for flags in [is_self_contained, is_free, is_deaf, is_owner, has_variables, holds_for_others, returning] {
            self.replace(flags, &range, &came_from);
        }
        self.replace(asked_of, &range, &came_from);
        self.replace(prints, &range, &came_from);
        for known in &mut outline.firsts[self.file.0 as usize + 1..] {
            *known = *known + self.new.functions.len() as u32 - self.count;
        }
        for functions in outline.replaced_functions() {
            *functions = functions.iter().filter_map(|function| self.function(*function)).collect();
        }
        for functions in [&mut outline.stakes.candidates, &mut outline.stakes.threads] {
            *functions = functions.iter().filter_map(|function| self.function(*function)).collect();
        }
        let asked = std::mem::take(&mut outline.asked_parameters).into_iter();
        outline.asked_parameters =
            asked.filter_map(|(function, asked)| Some((self.function(function)?, asked))).collect();
        outline.elsewhere = outline.elsewhere.iter().filter_map(|function| self.function(*function)).collect();
        outline.untold = outline.untold.iter().filter_map(|function| self.function(*function)).collect();
    }

    /// What must be so where something is called, with the numbers that functions and classes have now.
    fn needs(&self, outline: &mut Outline) -> Option<()> {
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
        Some(())
    }

    /// What is known of each of the file's functions, and nothing of those that are new.
    fn replace<T: Copy + Default>(
        &self,
        known: &mut Vec<T>,
        range: &Range<usize>,
        came_from: &FxHashMap<FunctionId, usize>,
    ) {
        let own =
            self.new.functions.iter().map(|(id, _)| came_from.get(&id).map(|old| known[*old]).unwrap_or_default());
        let own: Vec<T> = own.collect();
        known.splice(range.clone(), own);
    }

    /// Calls by functions that are there no more, or of these, or in places that are quiet now, are out.
    fn calls(&self, outline: &mut Outline) -> Option<()> {
        let called: FxHashSet<FnId> = self.moves.called.iter().map(|function| self.global(*function)).collect();
        let mut is_there = Vec::with_capacity(outline.calls.len());
        for call in &mut outline.calls {
            let now = (self.function(call.caller), self.function(call.callee), self.site(call.site));
            is_there.push(match now {
                (Some(caller), Some(callee), Some(site)) if self.hops(&mut call.via).is_some() => {
                    (call.caller, call.callee, call.site) = (caller, callee, site);
                    true
                }
                _ if call.runs == Runs::Elsewhere => false,
                // A function that does nothing, or did nothing: calls of it are quiet, and nobody has paired them.
                (_, Some(callee), _) if called.contains(&callee) => false,
                (_, None, _) => false,
                _ => return None,
            });
        }
        if is_there.contains(&false) {
            outline.keep_calls(|place, _| is_there[place]);
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

    /// Those whom functions called that do something else now.
    pub(super) fn called(&self, outline: &Outline) -> FxHashSet<FnId> {
        let undone = outline.calls.iter().filter(|call| self.undone.contains(&(call.caller, call.site)));
        undone.filter_map(|call| self.function(call.callee)).collect()
    }

    /// Where others came to something by way of what functions did that do something else now: in new numbers.
    pub(super) fn came_by(&self, outline: &Outline) -> FxHashSet<(FnId, Site)> {
        let is_undone = |via: &[Hop]| via.iter().any(|hop| self.undone.contains(&(hop.function, hop.site)));
        let calls = outline.calls.iter().map(|call| (call.caller, call.site, &*call.via));
        let all = calls.chain(outline.stops.iter().map(|stop| (stop.caller, stop.site, &*stop.via)));
        let others = all.filter(|(_, _, via)| is_undone(via));
        others.filter_map(|(caller, site, _)| Some((self.function(caller)?, self.site(site)?))).collect()
    }

    /// Where that is told which functions do with what they are given, if these do something else now: at the calls of them, and of those who hand
    /// it on to them. `undone` are the calls that are out already.
    fn told_of_others(&self, outline: &Outline, undone: &[Call]) -> FxHashSet<(FnId, Site)> {
        let mut told = FxHashSet::default();
        let redone = self.undone.iter().map(|(function, _)| *function);
        let mut next: Vec<FnId> = redone.filter(|function| outline.has_variables[function.0 as usize]).collect();
        let mut seen: FxHashSet<FnId> = next.iter().copied().collect();
        while let Some(function) = next.pop() {
            for call in outline.calls.iter().chain(undone).filter(|call| call.callee == function) {
                told.insert((call.caller, call.site));
                if outline.has_variables[call.caller.0 as usize] && seen.insert(call.caller) {
                    next.push(call.caller);
                }
            }
        }
        told
    }

    /// Calls that have gone, of whose arguments others hear; but there are others like them. None, if it is not known by which calls they came.
    pub(super) fn heard_again(&self, outline: &Outline) -> Option<Vec<HeardAgain<'e>>> {
        let mut all = Vec::new();
        let heard = outline.calls.iter().filter(|call| is_heard(outline, call));
        for (call, again) in heard.filter_map(|call| Some((call, self.again(call)?))) {
            let site = Site { file: self.file, span: again.new };
            let (caller, callee) = (self.function(call.caller)?, self.function(call.callee)?);
            let is_here = |by: &&Call| by.is_direct && (by.caller, by.site) == (call.caller, call.site);
            let mut by = outline.calls.iter().filter(is_here).filter(|by| !call.is_direct || by.callee == call.callee);
            let givers = outline.calls.iter().filter(|one| one.callee == call.callee).count();
            let first = by.next()?;
            for by in [first].into_iter().chain(by) {
                let (by, runs) = (self.function(by.callee)?, call.runs);
                all.push(HeardAgain { caller, callee, runs, givers, by, site, again });
            }
        }
        Some(all)
    }

    /// The call that stands for one that has gone, and calls the same.
    fn again(&self, call: &Call) -> Option<&'e CalledAgain> {
        self.undone.contains(&(call.caller, call.site)).then_some(())?;
        let function = FunctionId::new(call.caller.0.checked_sub(self.first)?);
        let redone = self.moves.anew.functions.iter().find(|redone| redone.old == function)?;
        redone.again.iter().find(|again| again.old == call.site.span)
    }

    /// Takes out what functions did that do something else now. (Numbers and places are still the old ones.)
    fn undo(&self, outline: &mut Outline) -> Option<()> {
        let is_hop = |hop: &Hop| self.undone.contains(&(hop.function, hop.site));
        let is_undone = |call: &Call| self.undone.contains(&(call.caller, call.site)) || call.via.iter().any(is_hop);
        let undone = outline.keep_calls(|_, call| !is_undone(call));
        let says_something = |call: &Call| is_heard(outline, call) && self.again(call).is_none();
        // What the loop is told to call where something calls it that it was given, is told for who gave it.
        let has_given = |caller: FnId, site: Site| {
            let is_one = |call: &&Call| call.caller == caller && outline.has_variables[call.callee.0 as usize];
            let places = || undone.iter().filter(is_one).map(|call| call.site);
            places().next().is_some() && !places().any(|place| place == site)
        };
        let scheduled = outline.scheduled.iter().map(|one| (one.caller, one.site));
        let stops = outline.scheduled_stops.iter().map(|one| (one.caller, one.site));
        let is_own = |site: Site, caller: FnId| {
            let local = caller.0.checked_sub(self.first).filter(|local| *local < self.count).map(FunctionId::new);
            site.file == self.file && local.is_some_and(|id| self.old.functions[id].span.contains(site.span))
        };
        if scheduled.clone().chain(stops.clone()).any(|(caller, site)| has_given(caller, site) && !is_own(site, caller))
        {
            return None;
        }
        let told = self.told_of_others(outline, &undone);
        let sites: FxHashSet<Site> = self.undone.iter().map(|(_, site)| *site).collect();
        let is_of_others =
            |place: (FnId, Site)| told.contains(&place) || (sites.contains(&place.1) && !self.undone.contains(&place));
        if scheduled.chain(stops).chain(outline.offloads.iter().copied()).any(is_of_others) {
            return None;
        }
        if undone.iter().any(says_something) || self.undone.iter().any(|one| outline.offloads.contains(one)) {
            return None;
        }
        outline.foreign.retain(|(caller, site, _)| {
            let place = (*caller, *site);
            !told.contains(&place) && !self.undone.contains(&place)
        });
        outline.stops.retain(|stop| !self.undone.contains(&(stop.caller, stop.site)) && !stop.via.iter().any(is_hop));
        let range = outline.range_of(self.file);
        outline.scheduled.retain(|one| {
            let is_own = range.contains(&(one.callee.0 as usize));
            !(self.undone.contains(&(one.caller, one.site)) && is_own)
        });
        let is_left = outline.scheduled.iter().any(|one| self.undone.contains(&(one.caller, one.site)));
        outline.scheduled_stops.retain(|one| !self.undone.contains(&(one.caller, one.site)));
        (!is_left).then_some(())
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
                Alone::Call { callee, like, .. } => {
                    let known = match callee {
                        Some(Callee::Here(function)) => Some(FnId(self.first + function.raw())),
                        Some(Callee::In(file, name)) => outline.function_of(*file, name),
                        None => None,
                    };
                    let is_own = |call: &Call| {
                        call.runs != Runs::Elsewhere && call.is_direct && call.caller == caller && call.site == site
                    };
                    let own = outline.calls.iter().enumerate().filter(|(_, call)| is_own(call));
                    let own: Vec<(usize, FnId)> = own.map(|(place, call)| (place, call.callee)).collect();
                    let is_known = matches!(own[..], [(_, callee)] if Some(callee) == known);
                    for (place, callee) in own {
                        outline.calls[place].runs = Runs::Elsewhere;
                        let mut others = outline.calls.iter();
                        let as_before = others.any(|call| call.callee == callee && call.runs != Runs::Elsewhere);
                        may_go(outline, caller, callee, if is_known { Of::Known } else { Of::Like { as_before } })?;
                    }
                    (is_known || !like.is_empty()).then_some(())?;
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
            let (via, is_direct): (Box<[Hop]>, _) = (Box::default(), true);
            match what {
                Alone::Stop(Stopping { path, category }) => {
                    let (text, category, told_as) = (outline.number(path), *category, *category);
                    let is_registered = false;
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
                Alone::Call { callee, like, form, is_dropped } => {
                    let known = match callee {
                        Some(Callee::Here(function)) => Some(self.global(*function)),
                        Some(Callee::In(file, name)) => outline.function_of(*file, name),
                        None => None,
                    };
                    let known = known.filter(|callee| may_go(outline, caller, *callee, Of::Known).is_some());
                    let as_before = form.is_some() && like.iter().any(|call| call.form == *form);
                    let of = if known.is_some() { Of::Known } else { Of::Like { as_before } };
                    let rows = match known {
                        Some(callee) => {
                            vec![Row { callee, runs: Runs::AtOnce, is_registered: false, is_handed: false }]
                        }
                        None => self.rows_like(like)?,
                    };
                    let is_told_asynchronous = false;
                    for Row { callee, runs, is_registered, is_handed } in rows {
                        may_go(outline, caller, callee, of)?;
                        // A coroutine that is dropped is told of, unless something was asked before.
                        (!(*is_dropped && outline.kinds[callee.0 as usize].is_async)).then_some(())?;
                        let via = via.clone();
                        let call = Call {
                            caller,
                            callee,
                            site,
                            runs,
                            at,
                            via,
                            is_registered,
                            is_told_asynchronous,
                            is_direct,
                            is_handed,
                        };
                        outline.calls.push(call);
                    }
                }
            }
        }
        Some(())
    }

    /// What these calls come to, if that is the same.
    fn rows_like(&self, calls: &[LikeCall]) -> Option<Vec<Row>> {
        let mut known = calls.iter().filter_map(|call| self.likes.get(&(call.function, call.span)));
        let rows = known.next()?;
        let rows = known.all(|other| other == rows).then_some(rows)?;
        rows.iter().map(|row| Some(Row { callee: self.function(row.callee)?, ..*row })).collect()
    }

    /// Whether code under these conditions runs on a loop like on none, whatever its function was given.
    fn may_be_on_loop(&self, outline: &Outline, caller: FnId, under: &Under) -> bool {
        let site = |span: &Span| Site { file: self.file, span: *span };
        let return_on_loop = |calls: &[Span]| calls.iter().all(|call| outline.returns_at(site(call)));
        let calls = outline.present_calls().filter(|call| call.caller == caller && call.at.is_plain());
        let stops = outline.stops.iter().filter(|stop| stop.caller == caller && stop.is_direct && stop.at.is_plain());
        let told: FxHashSet<Site> = calls.map(|call| call.site).chain(stops.map(|stop| stop.site)).collect();
        return_on_loop(&under.behind)
            && (under.shared.as_deref().is_some_and(return_on_loop)
                || under.beside.iter().any(|span| told.contains(&site(span))))
    }
}

/// How it is known what a call calls.
#[derive(Clone, Copy)]
enum Of {
    /// As the text says, and nothing more.
    Known,
    /// As other calls like it do; one of which gives it the same, or calls it all the same.
    Like { as_before: bool },
}

/// Whether calls of a function may come to and go from another one: that takes nothing that matters, gives nothing that matters if more is not
/// known of such calls, and no rule asks who gets where from there.
fn may_go(outline: &Outline, caller: FnId, callee: FnId, of: Of) -> Option<()> {
    let place = callee.0 as usize;
    let is_free = match of {
        Of::Known => outline.is_self_contained[place],
        Of::Like { as_before } => outline.is_free[place] || (as_before && outline.is_deaf[place]),
    };
    let may_go = is_free
        && outline.returning[place]
        && !outline.reached(outline.stakes.candidates.iter().chain(&outline.stakes.threads).copied()).contains(&caller);
    may_go.then_some(())
}

/// What the calls of a file come to that stand under no condition which may matter.
fn rows(outline: &Outline, file: FileId, first: u32) -> FxHashMap<(FunctionId, Span), Vec<Row>> {
    let mut rows: FxHashMap<(FunctionId, Span), Vec<Row>> = FxHashMap::default();
    let mut others = FxHashSet::default();
    for call in outline.calls.iter().filter(|call| call.site.file == file && call.is_direct) {
        let Call { callee, runs, is_registered, is_handed, .. } = *call;
        let place = (FunctionId::new(call.caller.0 - first), call.site.span);
        rows.entry(place).or_default().push(Row { callee, runs, is_registered, is_handed });
        if call.runs == Runs::Elsewhere || !call.at.is_plain() || call.is_told_asynchronous {
            others.insert(place);
        }
    }
    rows.retain(|place, _| !others.contains(place));
    rows
}

/// Whether others hear of what a call gives: what the callee keeps is given to whoever asks; what runs later calls what it is given where it
/// stands, and so do functions within the callee.
fn is_heard(outline: &Outline, call: &Call) -> bool {
    let place = call.callee.0 as usize;
    let asks = outline.has_variables[place];
    outline.is_owner[place]
        || outline.holds_for_others[place]
        || (asks && call.runs != Runs::AtOnce && !outline.is_deaf[place])
}

/// Where the classes of the file have gone, if some have come or gone.
fn shifted(outline: &Outline, file: FileId, (old, new): (&Facts, &Facts), moves: &Moves) -> Option<ClassShift> {
    let (before, now) = (old.classes.len(), new.classes.len());
    (moves.classes.len() < before.max(now)).then(|| {
        let gone_to = old.classes.iter().map(|(class, _)| moves.classes.get(&class).map(|class| class.raw()));
        let come = moves.classes_come.iter().map(|(class, bases)| (class.raw(), bases.clone()));
        ClassShift::new(&outline.families, file, (gone_to.collect(), now as u32), come.collect())
    })
}
