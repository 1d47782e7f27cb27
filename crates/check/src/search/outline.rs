//! The graph of calls as the search sees it: without the values that it was made of. So it can be kept, and searched again after an edit.

use super::again::Again;
use super::answers::Given;
use super::rows::Rows;
use super::terms::Terms;
use crate::catalogue::Category;
use crate::facts::{Event, EventKind, Id, Names, Span, Suppression};
use crate::graph::{self, Edge, Graph, Hop, Noise, Site, other_loops};
use crate::link::values::{FileId, FnId, PathId};
use crate::link::{Asked, Families, Need, Print, Prints, Program, Truth, Words, is_dual_name};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::ops::Range;

/// The calls of a program, and what blocks, for [`crate::Report::after`]; what is in it is the checker's own business.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Outline {
    /// By file.
    modules: Names,
    pub(super) is_test: Vec<bool>,
    /// The number of each file's first function.
    pub(crate) firsts: Vec<u32>,
    /// By function: as Python's `__qualname__`.
    pub(crate) names: Names,
    pub(crate) kinds: Vec<Kind>,
    /// Functions that are known to return where a loop runs as well.
    pub(crate) returning: Vec<bool>,
    /// Plain functions of modules that give nothing but constants, call nothing of what they are given, and have no other name.
    pub(crate) is_self_contained: Vec<bool>,
    /// Functions to which it is all the same who calls them, and with what.
    pub(crate) is_free: Vec<bool>,
    /// Those too of which nobody has said what the parameters are that they call: one who calls them as others do says nothing.
    pub(crate) is_deaf: Vec<bool>,
    /// Functions that keep what they are given for what others call.
    pub(crate) is_owner: Vec<bool>,
    /// Functions that call something of what they are given.
    pub(crate) has_variables: Vec<bool>,
    /// Whether functions within this one call what it is given.
    pub(crate) holds_for_others: Vec<bool>,
    /// Of which parameters of each of both somebody asks what they are, as bits.
    pub(crate) asked_parameters: FxHashMap<FnId, u32>,
    /// Calls of parameters of other functions: who makes them, where, and a print of what they call.
    pub(crate) foreign: FxHashSet<(FnId, Site, u64)>,
    /// What others have asked of each function, and what it gave to them.
    pub(crate) asked_of: Vec<Asked>,
    pub(crate) prints: Vec<Print>,
    /// Functions that other threads or processes are told to call.
    pub(crate) elsewhere: FxHashSet<FnId>,
    /// Where others are told to call something.
    pub(crate) offloads: FxHashSet<(FnId, Site)>,
    /// By the numbers that the graph's edges have.
    pub(crate) calls: Vec<Call>,
    pub(crate) stops: Vec<Stop>,
    pub(crate) scheduled: Vec<Scheduled>,
    pub(crate) scheduled_stops: Vec<ScheduledStop>,
    pub(super) texts: Texts,
    /// Lists of them; the first one is empty.
    pub(crate) needs: Vec<Box<[Need]>>,
    /// What calls have made of needs, as far as that was asked.
    pub(crate) passed: Given,
    /// Who derives from whom.
    pub(crate) families: Families,
    /// What needs are told in.
    pub(crate) terms: Terms,
    pub(super) replaced: Replaced,
    /// Comments that silence rules, and the files that they stand in.
    pub(crate) suppressions: Vec<(FileId, Suppression)>,
    pub(crate) stakes: Stakes,
    /// By file: how much there is to hear of each event, in their order; a letter each.
    noises: Vec<String>,
    pub(crate) words: Words,
    /// Functions that others than the calls here tell of may call.
    pub(crate) untold: FxHashSet<FnId>,
}

/// Functions for which it matters to other rules what is found in them, or where they get to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Stakes {
    /// Coroutine functions that should be plain ones, unless something else is found in them.
    pub(crate) idle: Vec<Idle>,
    /// Coroutine functions that await nothing.
    pub(crate) candidates: Vec<FnId>,
    /// What each file wants of the latter, as a print; none of any, if there are no such functions.
    pub(crate) wanted: Vec<u64>,
    /// Those that threads begin with.
    pub(crate) threads: Vec<FnId>,
}

/// A coroutine function that should be a plain one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Idle {
    pub(crate) function: FnId,
    /// All of it.
    pub(crate) site: Site,
    /// Its name.
    pub(crate) at: Span,
    /// A rule has found something in it, other than a way to what blocks.
    pub(crate) is_mended: bool,
}

/// Of which kind a function is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kind {
    pub(crate) is_async: bool,
    /// A coroutine function, or a method of a protocol.
    pub(crate) is_on_loop: bool,
}

/// When the body of a function that is called runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) enum Runs {
    AtOnce,
    /// A coroutine or generator is made.
    Later,
    /// Not where the call is.
    Elsewhere,
}

/// What must be so where something is called.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Where {
    /// A loop may run there, and callers have not said that they are not asynchronous.
    pub(crate) may_be_on_loop: bool,
    pub(crate) is_other_loop: bool,
    /// A handler hides errors.
    pub(crate) is_covered: bool,
    pub(crate) needs: u32,
}

impl Where {
    /// Whether a loop may run there, whatever the function was given.
    pub(crate) const fn is_plain(self) -> bool {
        self.may_be_on_loop && !self.is_other_loop && self.needs == 0
    }
}

#[expect(clippy::struct_excessive_bools, reason = "independent facts, not a state")]
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Call {
    pub(crate) caller: FnId,
    pub(crate) callee: FnId,
    pub(crate) site: Site,
    pub(crate) runs: Runs,
    pub(crate) at: Where,
    pub(crate) via: Box<[Hop]>,
    /// As in [`crate::graph::Edge`].
    pub(crate) is_registered: bool,
    /// The callee is told that its caller is asynchronous.
    pub(crate) is_told_asynchronous: bool,
    /// The caller itself says what is called.
    pub(crate) is_direct: bool,
    /// The callee was handed to somebody, who calls it.
    pub(crate) is_handed: bool,
}

/// A call of something that blocks.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Stop {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) text: u32,
    pub(crate) category: Category,
    /// As which it is told of.
    pub(crate) told_as: Category,
    pub(crate) at: Where,
    pub(crate) via: Box<[Hop]>,
    pub(crate) is_registered: bool,
    /// The caller itself says what is called.
    pub(crate) is_direct: bool,
}

/// A function that the loop is told to call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Scheduled {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    /// The name of what tells it.
    pub(crate) by: u32,
    pub(crate) callee: FnId,
    pub(crate) is_outside: bool,
    /// The parameter that is the future which is done, if it is called for one.
    pub(crate) done: Option<u32>,
}

/// Something that blocks, which the loop is told to call itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct ScheduledStop {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) by: u32,
    pub(crate) text: u32,
    pub(crate) category: Category,
}

/// What tests have other things in place of.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Replaced {
    /// By the file that says so.
    said: FxHashMap<FileId, (FxHashSet<FnId>, FxHashSet<u32>)>,
    /// For files of tests: those that speak for them.
    speakers: FxHashMap<FileId, Vec<FileId>>,
}

impl Call {
    /// What no two calls have in common.
    pub(super) fn key(&self) -> (FnId, FnId, Site, Runs, &[Hop]) {
        (self.caller, self.callee, self.site, self.runs, &self.via)
    }

    pub(crate) fn new(edge: &Edge, at: Where, is_told_asynchronous: bool, is_direct: bool) -> Self {
        Self {
            caller: edge.caller,
            callee: edge.callee,
            site: edge.site,
            runs: if edge.runs { Runs::AtOnce } else { Runs::Later },
            at,
            via: edge.via.as_slice().into(),
            is_registered: edge.is_registered,
            is_told_asynchronous,
            is_direct,
            is_handed: edge.is_handed && matches!(edge.kind, EventKind::Call(_)),
        }
    }
}

impl Scheduled {
    pub(super) fn new(program: &Program, scheduled: &graph::Scheduled, texts: &mut Texts) -> Self {
        let by = program.values.path_text(scheduled.by);
        let last = (program.function(scheduled.callee).parameters.len() as u32).checked_sub(1);
        Self {
            caller: scheduled.caller,
            site: scheduled.site,
            by: texts.number(last_name(by)),
            callee: scheduled.callee,
            is_outside: scheduled.truth.is_outside,
            done: last.filter(|_| by.ends_with(".add_done_callback")),
        }
    }
}

impl ScheduledStop {
    pub(super) fn new(program: &Program, scheduled: &graph::ScheduledSink, texts: &mut Texts) -> Self {
        Self {
            caller: scheduled.caller,
            site: scheduled.site,
            by: texts.number(last_name(program.values.path_text(scheduled.by))),
            text: texts.number(program.values.path_text(scheduled.path)),
            category: scheduled.sink.category,
        }
    }
}

/// Each text once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Texts {
    all: Vec<String>,
    numbers: FxHashMap<String, u32>,
}

impl Texts {
    pub(super) fn number(&mut self, text: &str) -> u32 {
        if let Some(known) = self.numbers.get(text) {
            return *known;
        }
        let number = self.all.len() as u32;
        self.all.push(text.to_owned());
        self.numbers.insert(text.to_owned(), number);
        number
    }
}

impl Outline {
    pub(crate) fn new(program: &mut Program, graph: &Graph) -> Self {
        let categories = other_loops::told_as(program, graph);
        let mut outline = Self { needs: vec![Box::new([])], ..Self::default() };
        outline.add_functions(program);
        let mut lists = Lists::default();
        outline.add_calls(program, graph, &mut lists);
        for (function, is_deaf) in program.functions().zip(&outline.is_deaf) {
            // These may be called from elsewhere tomorrow.
            let is_returning =
                if *is_deaf { Some(!program.only_returns_outside(function)) } else { program.returns_anyway(function) };
            outline.returning.push(is_returning == Some(true));
        }
        for (sink, told_as) in graph.sinks.iter().zip(categories) {
            outline.stops.push(Stop {
                caller: sink.caller,
                site: sink.site,
                text: outline.texts.number(program.values.path_text(sink.path)),
                category: sink.sink.category,
                told_as,
                at: lists.place(&mut outline.needs, &sink.truth, |need| need),
                via: sink.via.as_slice().into(),
                is_registered: sink.is_registered,
                is_direct: sink.is_direct,
            });
        }
        outline.add_scheduled(program, graph);
        outline.add_replaced(program, graph);
        outline.words = Words::new(program, outline.needs.iter().flatten());
        outline.terms = Terms::new(program, outline.needs.iter().flatten().copied());
        let mut noises = graph.noises.iter().map(|noise| noise.letter());
        for (file, known) in (0..).map(FileId).zip(&program.files) {
            let events = known.facts.functions.iter().map(|(_, function)| function.events.len()).sum();
            outline.noises.push(noises.by_ref().take(events).collect());
            outline.suppressions.extend(known.facts.suppressions.iter().map(|one| (file, one.clone())));
        }
        outline
    }

    fn add_functions(&mut self, program: &Program) {
        for file in &program.files {
            self.modules.push(&file.module);
            self.is_test.push(file.is_test);
            self.firsts.push(self.kinds.len() as u32);
            for (_, function) in file.facts.functions.iter() {
                let id = FnId(self.kinds.len() as u32);
                self.names.push(file.facts.name(function.qualified));
                self.kinds.push(Kind {
                    is_async: function.is_async,
                    is_on_loop: function.is_async || program.is_protocol_method(id),
                });
            }
        }
    }

    fn add_calls(&mut self, program: &mut Program, graph: &Graph, lists: &mut Lists) {
        let dual: Vec<bool> = program.functions().map(|function| is_dual(program, function)).collect();
        let is_plain = |id: FnId| !dual[id.0 as usize] && !program.is_constructor(id);
        self.is_free = program.functions().map(|id| is_plain(id) && graph.asks_nothing(id)).collect();
        self.is_deaf = program.functions().map(|id| is_plain(id) && graph.gets_no_answer(id)).collect();
        self.is_owner = program.functions().map(|id| graph.is_owner(id)).collect();
        self.has_variables = program.functions().map(|id| graph.has_variables(id)).collect();
        self.holds_for_others = program.functions().map(|id| graph.holds_for_others(id)).collect();
        self.asked_parameters.clone_from(graph.asked_parameters());
        self.add_foreign(program, graph);
        self.elsewhere.clone_from(&graph.elsewhere);
        self.offloads = graph.offloaded.iter().map(|offloaded| (offloaded.caller, offloaded.site)).collect();
        self.is_self_contained = program
            .functions()
            .map(|id| !dual[id.0 as usize] && graph.asks_nothing(id) && program.is_self_contained(id))
            .collect();
        for (index, edge) in graph.edges.iter().enumerate() {
            let at = lists.place(&mut self.needs, &edge.truth, |need| need);
            let is_told = dual[edge.callee.0 as usize] && program.is_told_asynchronous(edge.callee, edge.env);
            self.calls.push(Call::new(edge, at, is_told, index < graph.direct_edges));
        }
        for edge in graph.deferred_edges() {
            self.calls[edge].runs = Runs::Elsewhere;
        }
    }

    /// Adds calls of parameters of other functions.
    pub(super) fn add_foreign(&mut self, program: &Program, graph: &Graph) {
        let mut prints = Prints::default();
        let places = graph.foreign_places().iter();
        self.foreign.extend(places.map(|(caller, site, value)| (*caller, *site, prints.value(program, *value))));
    }

    fn add_scheduled(&mut self, program: &Program, graph: &Graph) {
        for scheduled in &graph.scheduled {
            self.scheduled.push(Scheduled::new(program, scheduled, &mut self.texts));
        }
        for scheduled in graph.scheduled_sinks.iter().filter(|scheduled| !scheduled.truth.is_outside) {
            self.scheduled_stops.push(ScheduledStop::new(program, scheduled, &mut self.texts));
        }
    }

    fn add_replaced(&mut self, program: &Program, graph: &Graph) {
        let texts = &mut self.texts;
        let mut number = |path: PathId| texts.number(program.values.path_text(path));
        self.replaced.said = graph.patches.replaced(program, &mut number);
        self.replaced.speakers = graph.patches.speakers();
    }

    /// The numbers of all calls but those that run elsewhere: by what they are, whatever the order in which they were found. Of several
    /// methods the caller's own neighbour comes first.
    pub(super) fn calls_in_order(&self) -> Vec<usize> {
        let is_here = |place: &usize| self.calls[*place].runs != Runs::Elsewhere;
        let mut places: Vec<usize> = (0..self.calls.len()).filter(is_here).collect();
        places.sort_by_cached_key(|place| {
            let Call { caller, callee, site, runs, via, .. } = &self.calls[*place];
            let is_far = !self.range_of(site.file).contains(&(callee.0 as usize));
            (*caller, *site, is_far, *callee, *runs, via)
        });
        places
    }

    /// The numbers of all that blocks, likewise.
    pub(super) fn stops_in_order(&self) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.stops.len()).collect();
        let key = |place: usize| {
            let Stop { caller, site, text, via, .. } = &self.stops[place];
            (*caller, *site, self.text(*text), via)
        };
        places.sort_by(|one, other| key(*one).cmp(&key(*other)));
        places
    }

    /// The number of a text, which may be a new one.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
        self.texts.number(text)
    }

    /// What tests replace, for whoever gives functions new numbers.
    pub(crate) fn replaced_functions(&mut self) -> impl Iterator<Item = &mut FxHashSet<FnId>> {
        self.replaced.said.values_mut().map(|(functions, _)| functions)
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        &self.texts.all[number as usize]
    }

    pub(crate) fn needs(&self, list: u32) -> &[Need] {
        &self.needs[list as usize]
    }

    pub(crate) fn kind(&self, function: FnId) -> Kind {
        self.kinds[function.0 as usize]
    }

    pub(crate) fn file_of(&self, function: FnId) -> FileId {
        FileId(self.firsts.partition_point(|first| *first <= function.0) as u32 - 1)
    }

    /// The function that has a name of a module by itself, if it is one of those that are simple.
    pub(crate) fn function_of(&self, file: FileId, name: &str) -> Option<FnId> {
        let mut own = self.range_of(file).map(|function| FnId(function as u32));
        own.find(|function| self.is_self_contained[function.0 as usize] && self.name(*function) == name)
    }

    /// The calls that are where their places say, and go over nobody else.
    pub(crate) fn present_calls(&self) -> impl Iterator<Item = &Call> {
        self.calls.iter().filter(|call| call.runs != Runs::Elsewhere && call.via.is_empty())
    }

    /// Whether it is known what is called there, and that this returns where a loop runs as well.
    pub(crate) fn returns_at(&self, site: Site) -> bool {
        let mut calls = self.present_calls().filter(|call| call.site == site).peekable();
        calls.peek().is_some() && calls.all(|call| self.returning[call.callee.0 as usize])
    }

    /// Some functions, and all to which they get without a loop in between.
    pub(crate) fn reached(&self, some: impl Iterator<Item = FnId>) -> FxHashSet<FnId> {
        let mut next: Vec<FnId> = some.collect();
        let mut seen: FxHashSet<FnId> = next.iter().copied().collect();
        let calls = || self.calls.iter().enumerate().filter(|(_, call)| call.runs == Runs::AtOnce);
        let from = Rows::new(self.kinds.len(), calls().map(|(place, call)| (call.caller, place)));
        while let Some(caller) = next.pop() {
            let callees = from[caller].iter().map(|call| self.calls[*call as usize].callee);
            next.extend(callees.filter(|callee| seen.insert(*callee)));
        }
        seen
    }

    /// Now it is known what calls make of needs.
    pub(crate) fn set_answers(&mut self, program: &Program, passed: Given) {
        self.terms.add_answers(program, &passed);
        self.passed = passed;
    }

    /// Now it is known what others have asked of functions.
    pub(crate) fn add_asked(&mut self, program: &Program) {
        let mut prints = Prints::default();
        self.asked_of = program.functions().map(|function| program.asked_of(function)).collect();
        self.prints = program.functions().map(|function| prints.of(program, function)).collect();
        self.families = program.families();
    }

    /// The same once more, after some have asked again. None, if they got another answer than before.
    pub(crate) fn renew_asked(&mut self, program: &Program) -> Option<()> {
        let mut prints = Prints::default();
        for function in program.functions() {
            let place = function.0 as usize;
            self.asked_of[place] = self.asked_of[place] | program.asked_of(function);
            let (known, print) = (&mut self.prints[place], prints.of(program, function));
            print.is_like(*known).then_some(())?;
            *known = known.or(print);
        }
        Some(())
    }

    /// How much there is to hear of what the functions of a file do anew.
    pub(crate) fn renew_noises(&mut self, program: &Program, graph: &Graph, again: &Again<'_>) {
        let facts = &program.file(again.file).facts;
        let events = facts.functions.iter().flat_map(|(id, this)| this.events.iter().map(move |event| (id, event)));
        let known: Vec<Noise> = self.noises(again.file).collect();
        let noises = events.zip(known.into_iter().zip(&graph.noises)).map(|((id, event), (known, now))| {
            let function = program.global_fn(again.file, id);
            match now {
                _ if !again.news.contains(&(function, Site { file: again.file, span: event.span })) => known,
                // Somebody may say something of the parameter.
                Noise::Asked => Noise::Some,
                noise => *noise,
            }
        });
        let noises: Vec<Noise> = noises.collect();
        self.set_noises(again.file, noises.into_iter());
    }

    /// What others have asked of the functions of a file.
    pub(crate) fn asked_of(&self, file: FileId) -> &[Asked] {
        &self.asked_of[self.range_of(file)]
    }

    /// The numbers of a file's functions.
    pub(crate) fn range_of(&self, file: FileId) -> Range<usize> {
        let end = self.firsts.get(file.0 as usize + 1).map_or(self.kinds.len(), |first| *first as usize);
        self.firsts[file.0 as usize] as usize..end
    }

    /// How much there is to hear of each event of a file, in their order.
    pub(crate) fn noises(&self, file: FileId) -> impl Iterator<Item = Noise> + '_ {
        self.noises[file.0 as usize].bytes().map(Noise::of_letter)
    }

    /// The same, after an edit.
    pub(crate) fn set_noises(&mut self, file: FileId, noises: impl Iterator<Item = Noise>) {
        self.noises[file.0 as usize] = noises.map(Noise::letter).collect();
    }

    /// Rules have found something in these places: of what happens there nobody can say that no rule asks.
    pub(crate) fn add_noises(&mut self, program: &Program, places: impl Iterator<Item = Site>) {
        let mut by_file: BTreeMap<FileId, Vec<Span>> = BTreeMap::new();
        places.for_each(|site| by_file.entry(site.file).or_default().push(site.span));
        for (file, mut spans) in by_file {
            spans.sort_unstable();
            let events = program.file(file).facts.functions.iter().flat_map(|(_, function)| &function.events);
            let is_told = |event: &Event| {
                let from = spans.partition_point(|span| span.start < event.span.start);
                let mut within = spans[from..].iter().take_while(|span| span.start < event.span.end);
                within.any(|span| event.span.contains(*span))
            };
            let noises = events.zip(self.noises(file));
            let noises: Vec<Noise> =
                noises.map(|(event, noise)| if is_told(event) { Noise::Some } else { noise }).collect();
            self.set_noises(file, noises.into_iter());
        }
    }

    /// As Python's `__qualname__`.
    pub(crate) fn name(&self, function: FnId) -> &str {
        &self.names[Id::new(function.0)]
    }

    /// `orders.Broker.fetch`
    pub(crate) fn qualified_name(&self, function: FnId) -> String {
        format!("{}.{}", &self.modules[Id::new(self.file_of(function).0)], self.name(function))
    }

    /// Whether tests of a file have something else in place of anything.
    pub(super) fn has_replaced(&self, test: FileId) -> bool {
        self.replaced_for(test).next().is_some()
    }

    /// Whether tests of a file have something else in place of one of these functions, or of what has this text.
    pub(super) fn is_replaced(&self, test: FileId, functions: &[FnId], text: u32) -> bool {
        self.replaced_for(test).any(|(replaced, outside)| {
            outside.contains(&text) || functions.iter().any(|function| replaced.contains(function))
        })
    }

    fn replaced_for(&self, test: FileId) -> impl Iterator<Item = &(FxHashSet<FnId>, FxHashSet<u32>)> {
        self.replaced.speakers.get(&test).into_iter().flatten().filter_map(|file| self.replaced.said.get(file))
    }

    /// Whether a comment silences a rule there.
    pub(crate) fn is_silenced(&self, site: Site, code: &str) -> bool {
        let first = self.suppressions.partition_point(|(file, _)| *file < site.file);
        let here = self.suppressions[first..].iter().take_while(|(file, _)| *file == site.file);
        here.map(|(_, one)| one).any(|one| one.silences(site.span, code))
    }
}

/// Lists of needs, by what is in them.
#[derive(Default)]
pub(crate) struct Lists {
    known: FxHashMap<Box<[Need]>, u32>,
}

impl Lists {
    /// Those that are known.
    pub(crate) fn of(lists: &[Box<[Need]>]) -> Self {
        Self { known: (0..).zip(lists).map(|(number, list)| (list.clone(), number)).collect() }
    }

    /// Where something is; its needs in other terms.
    pub(crate) fn place(
        &mut self,
        lists: &mut Vec<Box<[Need]>>,
        truth: &Truth,
        told: impl FnMut(Need) -> Need,
    ) -> Where {
        let mut list: Vec<Need> = truth.needs.iter().copied().map(told).collect();
        list.sort_unstable();
        let needs = match self.known.get(&*list) {
            Some(known) => *known,
            None if list.is_empty() => 0,
            None => {
                let number = lists.len() as u32;
                lists.push(list.as_slice().into());
                self.known.insert(list.into(), number);
                number
            }
        };
        Where {
            may_be_on_loop: !truth.is_outside && !truth.is_dual,
            is_other_loop: truth.is_other_loop,
            is_covered: truth.covered.is_some(),
            needs,
        }
    }
}

/// Whether a function is told whether its caller is asynchronous.
pub(super) fn is_dual(program: &Program, function: FnId) -> bool {
    let facts = &program.file(program.file_of(function)).facts;
    program.function(function).parameters.iter().any(|parameter| is_dual_name(facts.name(parameter.name)))
}

fn last_name(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}
