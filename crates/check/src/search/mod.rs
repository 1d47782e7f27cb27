//! From what blocks back to the loop: the shortest way for each function and each reason.

mod again;
mod answers;
mod outline;
mod rows;
mod terms;

pub(crate) use again::Again;
pub(crate) use answers::{Answers, FromAgain, FromBefore, FromProgram};
pub use outline::Outline;
pub(crate) use outline::{Call, Idle, Kind, Runs, Stakes, Stop, Where};

use crate::catalogue::Category;
use crate::graph::{Graph, Hop, Site};
use crate::link::values::{FileId, FnId};
use crate::link::{Need, Passed, Program, What};
use outline::Scheduled;
use rows::Rows;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::BinaryHeap;

/// A way from a function to something that blocks.
#[derive(Clone, Debug)]
struct Way {
    category: Category,
    needs: Vec<Need>,
    length: u32,
    first: First,
    /// It leads over a store of callbacks.
    is_registered: bool,
}

#[derive(Clone, Copy, Debug)]
enum First {
    Stop(usize),
    /// A call, and the way of its callee.
    Call(usize, usize),
}

/// A way from the loop to something that blocks, told.
#[derive(Clone, Debug)]
pub(crate) struct Witness {
    pub(crate) category: Category,
    /// The function that runs on the loop; or that schedules the sink itself.
    pub(crate) root: FnId,
    /// How it gets there, if no coroutine calls it: `call_later`.
    pub(crate) scheduled_by: Option<String>,
    /// The functions in between, and where each calls the next; the first site is the root's.
    pub(crate) hops: Vec<Hop>,
    pub(crate) first_site: Site,
    pub(crate) sink: String,
    pub(crate) traits: Traits,
}

/// What is true of a way somewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Traits {
    /// A handler hides errors.
    pub(crate) is_covered: bool,
    /// A function was handed to somebody, who calls it.
    pub(crate) is_handed: bool,
}

impl Traits {
    const fn of_call(call: &Call) -> Self {
        Self { is_covered: call.at.is_covered, is_handed: call.is_handed || call.is_registered }
    }

    const fn and(self, other: Self) -> Self {
        Self { is_covered: self.is_covered || other.is_covered, is_handed: self.is_handed || other.is_handed }
    }
}

pub(crate) struct Search<'o> {
    outline: &'o Outline,
    answers: &'o dyn Answers,
    /// Calls of each function, and those in it; what blocks in it.
    into: Rows,
    from: Rows,
    stops: Rows,
    ways: Vec<Vec<Way>>,
    /// Functions that many share, which get to something that others registered; where, and how many share it. Ways end there.
    pub(crate) shared: Vec<(FnId, Site, usize)>,
}

/// All ways of a program from functions that run on the loop.
pub(crate) fn witnesses(program: &mut Program, graph: &Graph) -> Vec<Witness> {
    let outline = Outline::new(program, graph);
    let answers = FromProgram::new(program, graph);
    Search::new(&outline, &answers).witnesses()
}

impl<'o> Search<'o> {
    /// All ways, by breadth from what blocks.
    pub(crate) fn new(outline: &'o Outline, answers: &'o dyn Answers) -> Self {
        let count = outline.kinds.len();
        let (calls, stops) = (outline.calls_in_order(), outline.stops_in_order());
        let calls = || calls.iter().map(|place| (*place, &outline.calls[*place]));
        let stops = || stops.iter().map(|place| (*place, &outline.stops[*place]));
        let mut search = Self {
            outline,
            answers,
            into: Rows::new(count, calls().map(|(place, call)| (call.callee, place))),
            from: Rows::new(count, calls().map(|(place, call)| (call.caller, place))),
            stops: Rows::new(count, stops().map(|(place, stop)| (stop.caller, place))),
            ways: vec![Vec::new(); count],
            shared: Vec::new(),
        };
        // The shortest first; ties in the order of the text.
        let mut queue: BinaryHeap<std::cmp::Reverse<(u32, u32, usize)>> = BinaryHeap::new();
        for (index, stop) in stops() {
            if let Some(needs) = search.usable(stop.at, stop.category)
                && !outline.kind(stop.caller).is_async
            {
                let way = Way {
                    category: stop.category,
                    needs: needs.to_vec(),
                    length: 1 + stop.via.len() as u32,
                    first: First::Stop(index),
                    is_registered: stop.is_registered,
                };
                search.add(stop.caller, way, &mut queue);
            }
        }
        while let Some(std::cmp::Reverse((_, function, place))) = queue.pop() {
            let function = FnId(function);
            let way = search.ways[function.0 as usize][place].clone();
            for at in search.into.range(function) {
                let index = search.into.at(at);
                let call = &outline.calls[index];
                // What runs on the loop is where ways end.
                if call.runs != Runs::AtOnce || outline.kind(call.caller).is_async {
                    continue;
                }
                if let Some(needs) = search.passed(index, way.category, &way.needs) {
                    let length = way.length + 1 + call.via.len() as u32;
                    let (first, is_registered) = (First::Call(index, place), way.is_registered || call.is_registered);
                    let next = Way { category: way.category, needs, length, first, is_registered };
                    search.add(call.caller, next, &mut queue);
                }
            }
        }
        search
    }

    fn add(&mut self, function: FnId, way: Way, queue: &mut BinaryHeap<std::cmp::Reverse<(u32, u32, usize)>>) {
        if self.outline.untold.contains(&function) {
            self.answers.is_untold();
        }
        let ways = &self.ways[function.0 as usize];
        let mut same = 0;
        for known in ways.iter().filter(|known| known.category == way.category) {
            same += 1;
            let is_better = known.needs.iter().all(|need| way.needs.contains(need));
            if is_better && known.length <= way.length && known.is_registered <= way.is_registered {
                return;
            }
        }
        // What needs nothing, everybody gets to.
        let is_one_too_many = same >= MOST_WAYS && !way.needs.is_empty();
        if is_one_too_many || (way.is_registered && self.is_shared(function, way.first)) {
            return;
        }
        let ways = &mut self.ways[function.0 as usize];
        queue.push(std::cmp::Reverse((way.length, function.0, ways.len())));
        ways.push(way);
    }

    /// Whether so many call a function that what somebody registered with it says nothing of any one of them.
    fn is_shared(&mut self, function: FnId, first: First) -> bool {
        let into = &self.into[function];
        if into.len() <= MOST_SHARING {
            return false;
        }
        let callers: FxHashSet<FnId> = into.iter().map(|call| self.outline.calls[*call as usize].caller).collect();
        let is_shared = callers.len() > MOST_SHARING;
        if is_shared && self.shared.iter().all(|(known, ..)| *known != function) {
            let site = match first {
                First::Stop(stop) => self.outline.stops[stop].site,
                First::Call(call, _) => self.outline.calls[call].site,
            };
            self.shared.push((function, site, callers.len()));
        }
        is_shared
    }

    /// All ways from functions that run on the loop, one per call and reason.
    pub(crate) fn witnesses(&self) -> Vec<Witness> {
        let outline = self.outline;
        let mut found = Vec::new();
        for (function, kind) in (0..).map(FnId).zip(&outline.kinds) {
            if kind.is_on_loop {
                self.from(function, &mut found);
            }
        }
        let mut seen = FxHashSet::default();
        for scheduled in outline.scheduled.iter().filter(|scheduled| !scheduled.is_outside) {
            if outline.kind(scheduled.callee).is_on_loop {
                continue;
            }
            let ways = &self.ways[scheduled.callee.0 as usize];
            let mut by_category: FxHashMap<Category, usize> = FxHashMap::default();
            for (place, way) in ways.iter().enumerate() {
                if self.is_of_what_is_done(scheduled, &way.needs) {
                    continue;
                }
                let best = by_category.entry(way.category).or_insert(place);
                if ways[*best].length > way.length {
                    *best = place;
                }
            }
            let mut by_category: Vec<(Category, usize)> = by_category.into_iter().collect();
            by_category.sort_unstable();
            for (category, place) in by_category {
                if seen.insert((scheduled.site, scheduled.callee, category)) {
                    let mut hops = Vec::new();
                    let (stop, traits) = self.follow(scheduled.callee, place, &mut hops);
                    found.push(Witness {
                        category: stop.told_as,
                        root: scheduled.callee,
                        scheduled_by: Some(outline.text(scheduled.by).to_owned()),
                        first_site: scheduled.site,
                        hops,
                        sink: outline.text(stop.text).to_owned(),
                        traits,
                    });
                }
            }
        }
        self.scheduled_stops(&mut found);
        found
    }

    /// What blocks and is handed to the loop itself: `call_soon(time.sleep, 1)`.
    fn scheduled_stops(&self, found: &mut Vec<Witness>) {
        for scheduled in &self.outline.scheduled_stops {
            found.push(Witness {
                category: scheduled.category,
                root: scheduled.caller,
                scheduled_by: Some(self.outline.text(scheduled.by).to_owned()),
                hops: Vec::new(),
                first_site: scheduled.site,
                sink: self.outline.text(scheduled.text).to_owned(),
                traits: Traits::default(),
            });
        }
    }

    fn from(&self, root: FnId, found: &mut Vec<Witness>) {
        let outline = self.outline;
        // The shortest way per place and reason.
        let mut best: FxHashMap<(Site, Category), (u32, First)> = FxHashMap::default();
        let test = outline.file_of(root);
        let has_patches = outline.has_replaced(test);
        let mut offer = |site: Site, category: Category, length: u32, first: First| {
            if has_patches && self.is_patched(test, first) {
                return;
            }
            let entry = best.entry((site, category)).or_insert((length, first));
            if entry.0 > length {
                *entry = (length, first);
            }
        };
        for &index in &self.stops[root] {
            let stop = &outline.stops[index as usize];
            if self.usable(stop.at, stop.category).is_some_and(|needs| self.may_meet(root, stop.category, needs)) {
                offer(stop.site, stop.category, 1 + stop.via.len() as u32, First::Stop(index as usize));
            }
        }
        for &index in &self.from[root] {
            let index = index as usize;
            let call = &outline.calls[index];
            if call.runs != Runs::AtOnce || outline.kind(call.callee).is_async {
                continue;
            }
            for (place, way) in self.ways[call.callee.0 as usize].iter().enumerate() {
                let needs = self.passed(index, way.category, &way.needs);
                if needs.is_some_and(|needs| self.may_meet(root, way.category, &needs)) {
                    offer(call.site, way.category, way.length + 1 + call.via.len() as u32, First::Call(index, place));
                }
            }
        }
        let mut best: Vec<((Site, Category), (u32, First))> = best.into_iter().collect();
        best.sort_unstable_by_key(|((site, category), _)| (*site, *category));
        for ((site, _), (_, first)) in best {
            let mut hops = Vec::new();
            let (stop, traits) = match first {
                First::Stop(index) => self.at_stop(index, &mut hops),
                First::Call(call, place) => {
                    let (stop, traits) = self.along(call, place, &mut hops);
                    (stop, Traits::of_call(&outline.calls[call]).and(traits))
                }
            };
            found.push(Witness {
                category: stop.told_as,
                root,
                scheduled_by: None,
                first_site: site,
                hops,
                sink: outline.text(stop.text).to_owned(),
                traits,
            });
        }
    }

    /// Whether a test has something else in place of what stands on a way.
    fn is_patched(&self, test: FileId, first: First) -> bool {
        let outline = self.outline;
        let (mut next, mut hops) = (first, Vec::new());
        let stop = loop {
            match next {
                First::Stop(index) => break &outline.stops[index],
                First::Call(index, place) => {
                    let call = &outline.calls[index];
                    hops.extend(call.via.iter().map(|hop| hop.function).chain([call.callee]));
                    next = self.ways[call.callee.0 as usize][place].first;
                }
            }
        };
        hops.extend(stop.via.iter().map(|hop| hop.function));
        outline.is_replaced(test, &hops, stop.text)
    }

    /// Whether some caller of a coroutine function meets the needs; or nobody is known to call it.
    fn may_meet(&self, root: FnId, category: Category, needs: &[Need]) -> bool {
        if needs.is_empty() {
            return true;
        }
        let is_test = |file: FileId| self.outline.is_test[file.0 as usize];
        let is_production = !is_test(self.outline.file_of(root));
        let is_by_test = |call: &u32| is_production && is_test(self.outline.calls[*call as usize].site.file);
        let into = &self.into[root];
        // What tests do not ask of it, others may.
        into.iter().all(is_by_test) || into.iter().any(|call| self.passed(*call as usize, category, needs).is_some())
    }

    fn at_stop(&self, index: usize, hops: &mut Vec<Hop>) -> (&'o Stop, Traits) {
        let stop = &self.outline.stops[index];
        hops.extend(&stop.via);
        (stop, Traits { is_covered: stop.at.is_covered, is_handed: false })
    }

    fn along(&self, call: usize, place: usize, hops: &mut Vec<Hop>) -> (&'o Stop, Traits) {
        let call: &Call = &self.outline.calls[call];
        hops.extend(&call.via);
        self.follow(call.callee, place, hops)
    }

    fn follow(&self, function: FnId, place: usize, hops: &mut Vec<Hop>) -> (&'o Stop, Traits) {
        let (mut function, mut place) = (function, place);
        let mut traits = Traits::default();
        loop {
            match self.ways[function.0 as usize][place].first {
                First::Stop(index) => {
                    hops.push(Hop { function, site: self.outline.stops[index].site });
                    let (stop, last) = self.at_stop(index, hops);
                    return (stop, traits.and(last));
                }
                First::Call(index, next) => {
                    let call = &self.outline.calls[index];
                    traits = traits.and(Traits::of_call(call));
                    hops.push(Hop { function, site: call.site });
                    hops.extend(&call.via);
                    (function, place) = (call.callee, next);
                }
            }
        }
    }

    /// What must hold, unless nothing can.
    fn usable(&self, at: Where, category: Category) -> Option<&'o [Need]> {
        let waits_for_another = category == Category::Deadlock && at.is_other_loop;
        (at.may_be_on_loop && !waits_for_another).then(|| self.outline.needs(at.needs))
    }

    /// What a caller needs, for its callee to have what it needs.
    fn passed(&self, index: usize, category: Category, needs: &[Need]) -> Option<Vec<Need>> {
        let call = &self.outline.calls[index];
        let mut own = self.usable(call.at, category)?.to_vec();
        let waits = matches!(category, Category::Nested | Category::Wait | Category::Deadlock);
        if waits && call.is_told_asynchronous {
            return None;
        }
        for need in needs {
            match self.answers.passed(self.outline, index, *need) {
                Passed::Never => return None,
                Passed::Freely => {}
                Passed::As(need) => own.push(need),
            }
        }
        own.sort_unstable();
        own.dedup();
        (!Program::are_contrary(&own)).then_some(own)
    }

    /// A callback of a future asks whether that is done: what is done if not is not done.
    fn is_of_what_is_done(&self, scheduled: &Scheduled, needs: &[Need]) -> bool {
        needs.iter().any(|need| match need.what {
            What::Asked(question) => {
                self.outline.terms.text(question) == Some("done")
                    && !need.is
                    && need.owner == scheduled.callee
                    && Some(need.parameter) == scheduled.done
            }
            _ => false,
        })
    }
}

const MOST_WAYS: usize = 6;
/// Callers of a function that can still be blamed one by one.
const MOST_SHARING: usize = 20;
