//! What some functions do anew, as a part of the graph tells it, goes into an outline of which the rest is as it was.

use super::outline::{Call, Lists, Outline, Runs, Scheduled, ScheduledStop, Stop, is_dual};
use crate::catalogue::Category;
use crate::graph::part::{Before, Part};
use crate::graph::{Edge, Graph, Hop, Site, is_shorter};
use crate::link::values::{FileId, FnId};
use rustc_hash::{FxHashMap, FxHashSet};

/// A file in which functions do something else than before, after the edit.
pub(crate) struct Again<'e> {
    pub(crate) file: FileId,
    /// The functions, and where they do it.
    pub(crate) news: &'e FxHashSet<(FnId, Site)>,
    /// Whether something was in a place before, and still is.
    pub(crate) is_old: &'e dyn Fn(Site) -> bool,
    /// Calls of which others hear nothing new.
    pub(crate) known: &'e FxHashSet<(FnId, FnId, Site)>,
}

/// What no two calls have in common.
type Key<'c> = (FnId, FnId, Site, Runs, &'c [Hop]);

impl Outline {
    /// What a part of the graph needs to know; `called` are those whom functions called that do something else now.
    pub(crate) fn before(&self, called: &FxHashSet<FnId>) -> Before {
        let mut callers: FxHashMap<FnId, Vec<FnId>> = FxHashMap::default();
        for call in &self.calls {
            let known = callers.entry(call.callee).or_default();
            if known.last() != Some(&call.caller) {
                known.push(call.caller);
            }
        }
        Before {
            has_variables: self.has_variables.clone(),
            is_owner: self.is_owner.clone(),
            foreign: self.foreign.clone(),
            elsewhere: self.elsewhere.clone(),
            callbacks: self.scheduled.iter().map(|scheduled| scheduled.callee).collect(),
            called: called.iter().chain(callers.keys()).copied().collect(),
            callers,
        }
    }

    /// Takes out the calls that are not to be kept, of which it is told where they stood; the others have new numbers.
    pub(crate) fn keep_calls(&mut self, is_kept: impl Fn(usize, &Call) -> bool) -> Vec<Call> {
        let (mut places, mut others) = (Vec::with_capacity(self.calls.len()), Vec::new());
        for (place, call) in std::mem::take(&mut self.calls).into_iter().enumerate() {
            let is_kept = is_kept(place, &call);
            places.push(is_kept.then_some(self.calls.len() as u32));
            if is_kept { &mut self.calls } else { &mut others }.push(call);
        }
        if !others.is_empty() {
            let passed = std::mem::take(&mut self.passed).into_iter();
            let passed = passed.filter_map(|((call, need), passed)| Some(((places[call as usize]?, need), passed)));
            self.passed = passed.collect();
        }
        others
    }

    /// Puts in what is new, and tells which calls are which edges of the part. None, if what is old is not as it was.
    pub(crate) fn take(&mut self, part: &Part<'_>, again: &Again<'_>) -> Option<FxHashMap<u32, usize>> {
        self.has_all_old(part.graph(), again).then_some(())?;
        let edges = self.take_calls(part, again)?;
        self.take_stops(part, again)?;
        self.take_scheduled(part, again)?;
        let mut answered = Vec::new();
        for function in part.looked() {
            let place = function.0 as usize;
            self.has_variables[place] |= part.graph().has_variables(function);
            self.holds_for_others[place] |= part.graph().holds_for_others(function);
            self.is_self_contained[place] &= part.graph().asks_nothing(function);
            self.is_free[place] &= part.graph().asks_nothing(function);
            if self.is_deaf[place] && !part.graph().gets_no_answer(function) {
                self.is_deaf[place] = false;
                answered.push(function);
            }
        }
        self.hear_answers(answered);
        self.add_foreign(part.program(), part.graph());
        part.graph().asked_parameters().iter().for_each(|(function, asked)| {
            *self.asked_parameters.entry(*function).or_default() |= asked;
        });
        let count = self.kinds.len() as u32;
        for owner in (0..count).map(FnId).filter(|function| part.graph().is_owner(*function)) {
            self.is_owner[owner.0 as usize] = true;
        }
        again.news.iter().for_each(|(function, _)| {
            self.is_self_contained[function.0 as usize] = false;
        });
        Some(edges)
    }

    /// Somebody has said what the parameters are that these functions call: what others hand on to them, they call as well.
    fn hear_answers(&mut self, mut answered: Vec<FnId>) {
        while let Some(function) = answered.pop() {
            let callers = self.calls.iter().filter(|call| call.callee == function).map(|call| call.caller);
            for caller in callers {
                let place = caller.0 as usize;
                if self.has_variables[place] && self.is_deaf[place] {
                    self.is_deaf[place] = false;
                    answered.push(caller);
                }
            }
        }
    }

    /// Whether all that the file's functions did before, and still do, is there on both sides.
    fn has_all_old(&self, graph: &Graph, again: &Again<'_>) -> bool {
        let range = self.range_of(again.file);
        let is_own = |caller: FnId, site: Site| {
            range.contains(&(caller.0 as usize)) && (again.is_old)(site) && !again.news.contains(&(caller, site))
        };
        let calls = self.calls.iter().filter(|call| call.is_direct && is_own(call.caller, call.site));
        let known: FxHashSet<(FnId, FnId, Site)> =
            calls.clone().map(|call| (call.caller, call.callee, call.site)).collect();
        let edges = graph.edges[..graph.direct_edges].iter().filter(|edge| is_own(edge.caller, edge.site));
        let told: FxHashSet<(FnId, FnId, Site)> = edges.map(|edge| (edge.caller, edge.callee, edge.site)).collect();
        let mut here = calls.filter(|call| call.runs != Runs::Elsewhere);
        told.is_subset(&known) && here.all(|call| told.contains(&(call.caller, call.callee, call.site)))
    }

    fn take_calls(&mut self, part: &Part<'_>, again: &Again<'_>) -> Option<FxHashMap<u32, usize>> {
        let deferred: FxHashSet<usize> = part.graph().deferred_edges().collect();
        let callers: FxHashSet<FnId> = part.graph().edges.iter().map(|edge| edge.caller).collect();
        let known: FxHashSet<Key<'_>> =
            self.calls.iter().filter(|call| callers.contains(&call.caller)).map(Call::key).collect();
        let is_new = |(index, edge): &(usize, &Edge)| {
            let is_here = again.news.contains(&(edge.caller, edge.site));
            let runs = if deferred.contains(index) { Runs::Elsewhere } else { runs(edge) };
            let key = (edge.caller, edge.callee, edge.site, runs, &*edge.via);
            is_here || (!part.is_direct(*index) && !known.contains(&key))
        };
        let new: Vec<usize> = part.graph().edges.iter().enumerate().filter(is_new).map(|(index, _)| index).collect();
        // Of two ways that come to the same, only the shorter one is told.
        let indirect = self.calls.iter().filter(|call| !call.is_direct && call.runs != Runs::Elsewhere);
        let ways: FxHashSet<(FnId, FnId, Site)> = indirect.map(|call| (call.caller, call.callee, call.site)).collect();
        let is_other_way = |index: &usize| {
            let edge = &part.graph().edges[*index];
            !part.is_direct(*index) && ways.contains(&(edge.caller, edge.callee, edge.site))
        };
        let concerns_others = |index: &usize| {
            let edge = &part.graph().edges[*index];
            !part.is_direct(*index)
                && part.concerns_others(edge.callee)
                && !again.known.contains(&(edge.caller, edge.callee, edge.site))
        };
        if new.iter().any(is_other_way) || new.iter().any(concerns_others) {
            return None;
        }
        let mut lists = Lists::of(&self.needs);
        let mut numbers = FxHashMap::default();
        for index in new {
            let edge = part.graph().edges[index].clone();
            let is_direct = part.is_direct(index);
            let program = part.program();
            let at = lists.place(&mut self.needs, &edge.truth, |need| self.terms.take_from(program, need));
            let is_told = is_dual(program, edge.callee) && program.is_told_asynchronous(edge.callee, edge.env);
            let mut call = Call::new(&edge, at, is_told, is_direct);
            if deferred.contains(&index) {
                call.runs = Runs::Elsewhere;
            }
            numbers.insert(self.calls.len() as u32, index);
            self.calls.push(call);
        }
        Some(numbers)
    }

    fn take_stops(&mut self, part: &Part<'_>, again: &Again<'_>) -> Option<()> {
        let known = self
            .stops
            .iter()
            .map(|stop| ((stop.caller, stop.site, self.text(stop.text).to_owned()), stop.via.to_vec()));
        let known: FxHashMap<(FnId, Site, String), Vec<Hop>> = known.collect();
        let mut lists = Lists::of(&self.needs);
        for (index, sink) in part.graph().sinks.clone().into_iter().enumerate() {
            let program = part.program();
            let text = program.values.path_text(sink.path);
            let is_new = again.news.contains(&(sink.caller, sink.site));
            let is_direct = part.is_direct_sink(index);
            if !is_new && is_direct {
                continue;
            }
            match known.get(&(sink.caller, sink.site, text.to_owned())) {
                // Now there is a shorter way to it.
                Some(via) if is_shorter(&sink.via, via) => return None,
                Some(_) => continue,
                None => {}
            }
            // Whether it is one depends on what other threads do.
            (sink.sink.category != Category::Deadlock).then_some(())?;
            let at = lists.place(&mut self.needs, &sink.truth, |need| self.terms.take_from(program, need));
            let stop = Stop {
                caller: sink.caller,
                site: sink.site,
                text: self.texts.number(text),
                category: sink.sink.category,
                told_as: sink.sink.category,
                at,
                via: sink.via.as_slice().into(),
                is_registered: sink.is_registered,
                is_direct,
            };
            self.stops.push(stop);
        }
        Some(())
    }

    fn take_scheduled(&mut self, part: &Part<'_>, again: &Again<'_>) -> Option<()> {
        let known: FxHashSet<(FnId, Site, FnId)> =
            self.scheduled.iter().map(|known| (known.caller, known.site, known.callee)).collect();
        let callbacks: FxHashSet<FnId> = known.iter().map(|(_, _, callee)| *callee).collect();
        let is_ours = |site: Site, caller: FnId| again.news.contains(&(caller, site));
        for scheduled in part.graph().scheduled.clone() {
            if known.contains(&(scheduled.caller, scheduled.site, scheduled.callee)) {
                continue;
            }
            // What others call, or do, may be told of where it is.
            let is_known = callbacks.contains(&scheduled.callee) || self.file_of(scheduled.callee) == again.file;
            is_known.then_some(())?;
            let scheduled = Scheduled::new(part.program(), &scheduled, &mut self.texts);
            self.scheduled.push(scheduled);
        }
        let known: FxHashSet<(FnId, Site, u32)> =
            self.scheduled_stops.iter().map(|known| (known.caller, known.site, known.text)).collect();
        for scheduled in part.graph().scheduled_sinks.clone().iter().filter(|scheduled| !scheduled.truth.is_outside) {
            let scheduled = ScheduledStop::new(part.program(), scheduled, &mut self.texts);
            if !known.contains(&(scheduled.caller, scheduled.site, scheduled.text)) {
                self.scheduled_stops.push(scheduled);
            }
        }
        let mut offloaded = part.graph().offloaded.iter();
        (!offloaded.any(|offloaded| is_ours(offloaded.site, offloaded.caller))).then_some(())
    }
}

const fn runs(edge: &Edge) -> Runs {
    if edge.runs { Runs::AtOnce } else { Runs::Later }
}
