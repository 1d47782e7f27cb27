//! From what blocks back to the loop: the shortest way for each function and each reason.

use crate::catalogue::Category;
use crate::graph::{Edge, Graph, Hop, SinkCall, Site};
use crate::link::Need;
use crate::link::Program;
use crate::link::Truth;
use crate::link::values::{FileId, FnId};
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
    Sink(usize),
    /// An edge, and the way of its callee.
    Edge(usize, usize),
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
    /// The edge that leaves the root, for fixes.
    pub(crate) covered: Option<u32>,
}

pub(crate) struct Search<'g> {
    graph: &'g Graph,
    ways: Vec<Vec<Way>>,
    /// Functions that many share, which get to something that others registered; where, and how many share it. Ways end there.
    pub(crate) shared: Vec<(FnId, Site, usize)>,
}

impl<'g> Search<'g> {
    /// All ways, by breadth from what blocks.
    pub(crate) fn new(program: &Program, graph: &'g Graph) -> Self {
        let mut search = Self { graph, ways: vec![Vec::new(); graph.into.len()], shared: Vec::new() };
        // The shortest first; ties in the order of the text.
        let mut queue: BinaryHeap<std::cmp::Reverse<(u32, u32, usize)>> = BinaryHeap::new();
        for (index, sink) in graph.sinks.iter().enumerate() {
            if let Some(needs) = usable(&sink.truth, sink.sink.category)
                && !program.function(sink.caller).is_async
            {
                let way = Way {
                    category: sink.sink.category,
                    needs,
                    length: 1 + sink.via.len() as u32,
                    first: First::Sink(index),
                    is_registered: sink.is_registered,
                };
                search.add(sink.caller, way, &mut queue);
            }
        }
        while let Some(std::cmp::Reverse((_, function, place))) = queue.pop() {
            let function = FnId(function);
            let way = search.ways[function.0 as usize][place].clone();
            for &index in &graph.into[function.0 as usize] {
                let edge = &graph.edges[index];
                // What runs on the loop is where ways end.
                if !edge.runs || program.function(edge.caller).is_async {
                    continue;
                }
                if let Some(needs) = passed(program, edge, way.category, &way.needs) {
                    let length = way.length + 1 + edge.via.len() as u32;
                    let (first, is_registered) = (First::Edge(index, place), way.is_registered || edge.is_registered);
                    let next = Way { category: way.category, needs, length, first, is_registered };
                    search.add(edge.caller, next, &mut queue);
                }
            }
        }
        search
    }

    fn add(&mut self, function: FnId, way: Way, queue: &mut BinaryHeap<std::cmp::Reverse<(u32, u32, usize)>>) {
        let ways = &self.ways[function.0 as usize];
        let mut same = 0;
        for known in ways.iter().filter(|known| known.category == way.category) {
            same += 1;
            let is_better = known.needs.iter().all(|need| way.needs.contains(need));
            if is_better && known.length <= way.length && known.is_registered <= way.is_registered {
                return;
            }
        }
        if same >= MOST_WAYS || (way.is_registered && self.is_shared(function, way.first)) {
            return;
        }
        let ways = &mut self.ways[function.0 as usize];
        queue.push(std::cmp::Reverse((way.length, function.0, ways.len())));
        ways.push(way);
    }

    /// Whether so many call a function that what somebody registered with it says nothing of any one of them.
    fn is_shared(&mut self, function: FnId, first: First) -> bool {
        let into = &self.graph.into[function.0 as usize];
        if into.len() <= MOST_SHARING {
            return false;
        }
        let callers: FxHashSet<FnId> = into.iter().map(|edge| self.graph.edges[*edge].caller).collect();
        let is_shared = callers.len() > MOST_SHARING;
        if is_shared && self.shared.iter().all(|(known, ..)| *known != function) {
            let site = match first {
                First::Sink(sink) => self.graph.sinks[sink].site,
                First::Edge(edge, _) => self.graph.edges[edge].site,
            };
            self.shared.push((function, site, callers.len()));
        }
        is_shared
    }

    /// All ways from functions that run on the loop, one per call and reason.
    pub(crate) fn witnesses(&self, program: &Program) -> Vec<Witness> {
        let mut found = Vec::new();
        let mut roots: FxHashSet<FnId> = FxHashSet::default();
        for function in program.functions() {
            if program.function(function).is_async || program.is_protocol_method(function) {
                roots.insert(function);
                self.from(program, function, &mut found);
            }
        }
        let mut seen = FxHashSet::default();
        for scheduled in &self.graph.scheduled {
            if scheduled.truth.is_outside
                || roots.contains(&scheduled.callee)
                || program.function(scheduled.callee).is_async
            {
                continue;
            }
            let mut by_category: FxHashMap<Category, usize> = FxHashMap::default();
            for (place, way) in self.ways[scheduled.callee.0 as usize].iter().enumerate() {
                if program.is_of_what_is_done(scheduled.by, scheduled.callee, &way.needs) {
                    continue;
                }
                let best = by_category.entry(way.category).or_insert(place);
                if self.ways[scheduled.callee.0 as usize][*best].length > way.length {
                    *best = place;
                }
            }
            let mut by_category: Vec<(Category, usize)> = by_category.into_iter().collect();
            by_category.sort_unstable();
            for (category, place) in by_category {
                if !seen.insert((scheduled.site, scheduled.callee, category)) {
                    continue;
                }
                let mut hops = Vec::new();
                let (sink, covered) = self.follow(program, scheduled.callee, place, &mut hops);
                let by = program.values.path_text(scheduled.by);
                let by = by.rsplit('.').next().unwrap_or(by).to_owned();
                found.push(Witness {
                    category,
                    root: scheduled.callee,
                    scheduled_by: Some(by),
                    first_site: scheduled.site,
                    hops,
                    sink,
                    covered,
                });
            }
        }
        self.scheduled_sinks(program, &mut found);
        found
    }

    /// What blocks and is handed to the loop itself: `call_soon(time.sleep, 1)`.
    fn scheduled_sinks(&self, program: &Program, found: &mut Vec<Witness>) {
        for scheduled in self.graph.scheduled_sinks.iter().filter(|scheduled| !scheduled.truth.is_outside) {
            let by = program.values.path_text(scheduled.by);
            found.push(Witness {
                category: scheduled.sink.category,
                root: scheduled.caller,
                scheduled_by: Some(by.rsplit('.').next().unwrap_or(by).to_owned()),
                hops: Vec::new(),
                first_site: scheduled.site,
                sink: program.values.path_text(scheduled.path).to_owned(),
                covered: None,
            });
        }
    }

    fn from(&self, program: &Program, root: FnId, found: &mut Vec<Witness>) {
        // The shortest way per place and reason.
        let mut best: FxHashMap<(Site, Category), (u32, First)> = FxHashMap::default();
        let test = program.file_of(root);
        let has_patches = !self.graph.patches.is_empty(test);
        let mut offer = |site: Site, category: Category, length: u32, first: First| {
            if has_patches && self.is_patched(program, test, first) {
                return;
            }
            let entry = best.entry((site, category)).or_insert((length, first));
            if entry.0 > length {
                *entry = (length, first);
            }
        };
        for &index in &self.graph.sinks_of[root.0 as usize] {
            let sink = &self.graph.sinks[index];
            if usable(&sink.truth, sink.sink.category)
                .is_some_and(|needs| self.may_meet(program, root, sink.sink.category, &needs))
            {
                offer(sink.site, sink.sink.category, 1 + sink.via.len() as u32, First::Sink(index));
            }
        }
        for &index in &self.graph.from[root.0 as usize] {
            let edge = &self.graph.edges[index];
            if !edge.runs || program.function(edge.callee).is_async {
                continue;
            }
            for (place, way) in self.ways[edge.callee.0 as usize].iter().enumerate() {
                if passed(program, edge, way.category, &way.needs)
                    .is_some_and(|needs| self.may_meet(program, root, way.category, &needs))
                {
                    offer(edge.site, way.category, way.length + 1 + edge.via.len() as u32, First::Edge(index, place));
                }
            }
        }
        let mut best: Vec<((Site, Category), (u32, First))> = best.into_iter().collect();
        best.sort_unstable_by_key(|((site, category), _)| (*site, *category));
        for ((site, category), (_, first)) in best {
            let mut hops = Vec::new();
            let (sink, covered) = match first {
                First::Sink(index) => self.at_sink(program, index, &mut hops),
                First::Edge(edge, place) => {
                    let covered = self.graph.edges[edge].truth.covered;
                    let (sink, inner) = self.along(program, edge, place, &mut hops);
                    (sink, covered.or(inner))
                }
            };
            found.push(Witness { category, root, scheduled_by: None, first_site: site, hops, sink, covered });
        }
    }

    /// Whether a test has something else in place of what stands on a way.
    fn is_patched(&self, program: &Program, test: FileId, first: First) -> bool {
        let patches = &self.graph.patches;
        let (mut next, mut hops) = (first, Vec::new());
        let sink = loop {
            match next {
                First::Sink(index) => break &self.graph.sinks[index],
                First::Edge(index, place) => {
                    let edge = &self.graph.edges[index];
                    hops.extend(edge.via.iter().map(|hop| hop.function).chain([edge.callee]));
                    next = self.ways[edge.callee.0 as usize][place].first;
                }
            }
        };
        hops.extend(sink.via.iter().map(|hop| hop.function));
        patches.is_replaced_outside(test, sink.path)
            || hops.into_iter().any(|function| patches.is_replaced(program, test, function))
    }

    /// Whether some caller of a coroutine function meets the needs; or nobody is known to call it.
    fn may_meet(&self, program: &Program, root: FnId, category: Category, needs: &[Need]) -> bool {
        if needs.is_empty() {
            return true;
        }
        let is_by_test =
            |edge: &Edge| program.file(edge.site.file).is_test && !program.file(program.file_of(root)).is_test;
        let into = || self.graph.into[root.0 as usize].iter().map(|edge| &self.graph.edges[*edge]);
        // What tests do not ask of it, others may.
        into().all(is_by_test) || into().any(|edge| passed(program, edge, category, needs).is_some())
    }

    fn at_sink(&self, program: &Program, index: usize, hops: &mut Vec<Hop>) -> (String, Option<u32>) {
        let sink: &SinkCall = &self.graph.sinks[index];
        hops.extend(&sink.via);
        (program.values.path_text(sink.path).to_owned(), sink.truth.covered)
    }

    fn along(&self, program: &Program, edge: usize, place: usize, hops: &mut Vec<Hop>) -> (String, Option<u32>) {
        let edge: &Edge = &self.graph.edges[edge];
        hops.extend(&edge.via);
        self.follow(program, edge.callee, place, hops)
    }

    fn follow(&self, program: &Program, function: FnId, place: usize, hops: &mut Vec<Hop>) -> (String, Option<u32>) {
        let (mut function, mut place) = (function, place);
        let mut covered = None;
        loop {
            match self.ways[function.0 as usize][place].first {
                First::Sink(index) => {
                    hops.push(Hop { function, site: self.graph.sinks[index].site });
                    let (sink, inner) = self.at_sink(program, index, hops);
                    return (sink, covered.or(inner));
                }
                First::Edge(index, next) => {
                    let edge = &self.graph.edges[index];
                    covered = covered.or(edge.truth.covered);
                    hops.push(Hop { function, site: edge.site });
                    hops.extend(&edge.via);
                    (function, place) = (edge.callee, next);
                }
            }
        }
    }
}

/// What must hold, unless nothing can.
fn usable(truth: &Truth, category: Category) -> Option<Vec<Need>> {
    let waits_for_another = category == Category::Deadlock && truth.is_other_loop;
    (!truth.is_outside && !truth.is_dual && !waits_for_another).then(|| truth.needs.clone())
}

/// What a caller needs, for its callee to have what it needs.
fn passed(program: &Program, edge: &Edge, category: Category, needs: &[Need]) -> Option<Vec<Need>> {
    let mut own = usable(&edge.truth, category)?;
    let waits = matches!(category, Category::Nested | Category::Wait | Category::Deadlock);
    if waits && program.is_told_asynchronous(edge.callee, edge.env) {
        return None;
    }
    own.extend(program.passed((edge.caller, edge.callee), (edge.env, edge.whose), needs)?);
    own.sort_unstable();
    own.dedup();
    (!Program::are_contrary(&own)).then_some(own)
}

const MOST_WAYS: usize = 6;
/// Callers of a function that can still be blamed one by one.
const MOST_SHARING: usize = 20;
