//! Which functions must become coroutine functions together, and whether they can.

use super::blocking::Blocking;
use super::doubts::Named;
use super::escapes::{Escape, decorated, escapes};
use super::pages::Pages;
use super::sites::{Sites, at, is_call};
use super::{obstacles::is_manager, twins};
use crate::catalogue::Category;
use crate::facts::{EventKind, Expr, Span};
use crate::graph::{Edge, Graph, Offloaded, OffloadedTo, SinkCall, Site};
use crate::link::Program;
use crate::link::values::{ClsId, FileId, FnId};
use crate::{Settings, SyncCallers};
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// What stands in the way, and where.
#[derive(Clone, Debug)]
pub(super) struct Obstacle {
    pub(super) site: Site,
    pub(super) reason: String,
}

/// What changes together.
#[derive(Clone, Debug, Default)]
pub(super) struct Closure {
    /// Functions that become coroutine functions.
    pub(super) functions: BTreeSet<FnId>,
    /// Functions that stay, and the coroutine functions that do the same: coroutines call those instead.
    pub(super) twins: BTreeMap<FnId, FnId>,
    /// Something that runs no loop calls it, or a thread.
    pub(super) is_called_outside: bool,
    /// Calls that hand one of them to a thread.
    pub(super) offloads: BTreeSet<(Site, FnId)>,
    /// Functions of which a plain one stays, and the new names of their coroutine functions.
    pub(super) wrapped: BTreeMap<FnId, String>,
}

pub(super) struct Closures<'p, 'f> {
    pub(super) program: &'p mut Program,
    pub(super) graph: &'p Graph,
    pub(super) pages: &'p mut Pages<'f>,
    pub(super) sites: Sites,
    pub(super) blocking: Rc<Blocking>,
    /// Functions that the loop gets to.
    pub(super) on_loop: FxHashSet<FnId>,
    /// Functions that are handed to somebody.
    pub(super) escapes: FxHashMap<FnId, Vec<Escape>>,
    /// Functions by what decorates them.
    pub(super) decorated: FxHashMap<FnId, Vec<FnId>>,
    /// Functions that a call hands to a thread, which can run them still: by the call, with the span of the function.
    pub(super) offloads: FxHashMap<(Site, FnId), Span>,
    /// Attributes of objects of which nothing is known, by their names.
    pub(super) unknown: FxHashMap<String, Vec<super::unknown::Unknown>>,
    /// Objects whose attributes are named at run time.
    pub(super) named: Vec<(FileId, Named)>,
    /// Classes that say what others must have to stand for them.
    pub(super) protocols: Vec<ClsId>,
    /// Words that may name functions.
    pub(super) spelled: super::spelled::Spelled,
    /// What the program exports, if plain functions are to stay.
    pub(super) exports: Option<FxHashSet<FnId>>,
}

impl<'p, 'f> Closures<'p, 'f> {
    pub(super) fn new(
        program: &'p mut Program,
        graph: &'p Graph,
        pages: &'p mut Pages<'f>,
        settings: &Settings,
    ) -> Self {
        let on_loop = on_loop(program, graph);
        let (escapes, decorated) = (escapes(program), decorated(program));
        let (unknown, named) = (super::unknown::unknown(program, graph), super::doubts::named(program));
        let (sites, protocols) = (Sites::new(graph), super::supers::protocols(program));
        let spelled = super::spelled::spelled(program);
        let blocking = Rc::new(Blocking::new(program, graph, pages, &sites));
        let keeps_plain = settings.sync_callers == SyncCallers::Wrapper;
        let offloads = offloads(program, graph, pages, keeps_plain);
        let exports = keeps_plain.then(|| super::wrappers::exports(program));
        Self {
            program,
            graph,
            pages,
            sites,
            blocking,
            on_loop,
            escapes,
            decorated,
            offloads,
            unknown,
            named,
            protocols,
            spelled,
            exports,
        }
    }

    /// The functions that must change for this call of something blocking to be awaited.
    pub(super) fn of(&mut self, sink: &SinkCall) -> Result<Closure, Obstacle> {
        if !sink.via.is_empty() {
            return Err(Obstacle {
                site: sink.site,
                reason: "the blocking function is handed over as a value".to_owned(),
            });
        }
        self.is_readable(sink.site)?;
        let mut closure = Closure::default();
        let mut next = Vec::new();
        if self.program.function(sink.caller).is_async {
            self.is_free_of_locks(sink.caller, sink.site)?;
        } else {
            next.push(sink.caller);
        }
        while let Some(function) = next.pop() {
            let is_known = closure.functions.contains(&function) || closure.twins.contains_key(&function);
            if self.program.function(function).is_async || is_known {
                continue;
            }
            if let Some(twin) = twins::twin(self, function) {
                closure.twins.insert(function, twin);
                self.callers_of_twin(function, &mut next)?;
                continue;
            }
            closure.functions.insert(function);
            self.can_change(function, &mut closure)?;
            next.extend(self.relatives(function));
            self.callers(function, &mut next)?;
        }
        self.look_around(&mut closure)?;
        if closure.functions.contains(&sink.caller) || self.program.function(sink.caller).is_async {
            self.is_free_of_locks(sink.caller, sink.site)?;
        }
        if self.exports.is_some() {
            self.wrap(&mut closure)?;
        }
        if closure.is_called_outside {
            self.is_surely_outside(&closure)?;
        }
        Ok(closure)
    }

    /// Who calls a function must await it, or run a loop for it; what else is called there must be a coroutine function as well.
    fn callers(&mut self, function: FnId, next: &mut Vec<FnId>) -> Result<(), Obstacle> {
        for &index in &self.graph.into[function.0 as usize] {
            let edge = &self.graph.edges[index];
            self.can_await(edge)?;
            let (caller, site) = at(edge);
            self.is_free_of_locks(caller, site)?;
            self.has_one_answer(function, edge, next)?;
            self.is_known_there(edge)?;
            if edge.kind == EventKind::Enter && self.on_loop.contains(&caller) {
                self.enters_together(edge, next)?;
            }
            if !edge.via.is_empty() && !self.is_wrapper(caller) && !self.sites.is_complete(self.graph, edge) {
                return Err(Obstacle { site, reason: "what else this may call is not known".to_owned() });
            }
            if !self.program.function(caller).is_async && self.on_loop.contains(&caller) {
                next.push(caller);
            }
        }
        Ok(())
    }

    /// Whether a function can await, but for those that become able to.
    pub(super) fn awaits(&self, function: FnId) -> bool {
        self.program.function(function).is_async || self.on_loop.contains(&function)
    }

    /// Whether all callers are on the loop; those that are not, and change all the same, must have a place for `await`.
    fn look_around(&mut self, closure: &mut Closure) -> Result<(), Obstacle> {
        let into = closure.functions.iter().flat_map(|function| &self.graph.into[function.0 as usize]);
        for edge in into.map(|index| &self.graph.edges[*index]) {
            let (caller, site) = at(edge);
            if self.awaits(caller) {
                continue;
            }
            if !closure.functions.contains(&caller) {
                closure.is_called_outside = true;
                continue;
            }
            let places = self.pages.places(site.file);
            let call = places.calls.get(&site.span).filter(|_| is_call(edge));
            if call.is_none_or(|call| !super::obstacles::is_open(call.around) || call.around.is_lambda) {
                return Err(Obstacle { site, reason: super::obstacles::NO_PLACE.to_owned() });
            }
        }
        Ok(())
    }

    pub(super) fn name_of(&self, function: FnId) -> String {
        self.program.file(self.program.file_of(function)).facts.name(self.program.function(function).name).to_owned()
    }

    /// As Python's `__qualname__`.
    pub(super) fn class_name(&self, class: ClsId) -> String {
        self.program.file(self.program.class_file(class)).facts.name(self.program.class(class).qualified).to_owned()
    }

    /// All contexts of an `async with` are asynchronous.
    fn enters_together(&mut self, edge: &Edge, next: &mut Vec<FnId>) -> Result<(), Obstacle> {
        let (caller, site) = at(edge);
        let places = self.pages.places(site.file);
        let all = places.withs.get(&site.span).map_or(&[][..], |(_, all)| all);
        for span in all {
            let entered: Vec<FnId> = self
                .sites
                .at(self.graph, caller, Site { file: site.file, span: *span })
                .filter(|other| other.kind == EventKind::Enter)
                .map(|other| other.callee)
                .collect();
            if entered.is_empty() {
                return Err(Obstacle { site, reason: "this `with` has other contexts, too".to_owned() });
            }
            next.extend(entered);
        }
        Ok(())
    }

    fn callers_of_twin(&mut self, function: FnId, next: &mut Vec<FnId>) -> Result<(), Obstacle> {
        for &index in &self.graph.into[function.0 as usize] {
            let edge = &self.graph.edges[index];
            let (caller, site) = at(edge);
            self.is_readable(site)?;
            if self.on_loop.contains(&caller) {
                self.is_free_of_locks(caller, site)?;
                if edge.kind == EventKind::Enter {
                    self.enters_together(edge, next)?;
                }
                if !self.program.function(caller).is_async {
                    next.push(caller);
                }
            }
        }
        Ok(())
    }

    fn is_wrapper(&mut self, function: FnId) -> bool {
        let escapes = self.escapes.get(&function).cloned().unwrap_or_default();
        escapes.iter().any(|escape| matches!(escape, Escape::Returned(owner) if self.wrapper(*owner) == Some(function)))
    }

    pub(super) fn site_of(&self, function: FnId) -> Site {
        Site { file: self.program.file_of(function), span: self.program.function(function).at }
    }

    /// Methods of the same name above and below; the other half of a context manager; and what a decorator has in common.
    fn relatives(&mut self, function: FnId) -> Vec<FnId> {
        let mut found = Vec::new();
        let file = self.program.file_of(function);
        for decorator in self.program.function(function).decorators.clone() {
            let set = self.program.eval(file, decorator);
            for decorator in super::obstacles::functions_in(self.program, set) {
                found.extend(self.wrapper(decorator));
                found.extend(self.decorated.get(&decorator).into_iter().flatten());
            }
        }
        for escape in self.escapes.get(&function).cloned().unwrap_or_default() {
            if let Escape::Returned(owner) = escape
                && self.wrapper(owner) == Some(function)
            {
                found.extend(self.decorated.get(&owner).into_iter().flatten());
            }
        }
        found.extend(self.family(function));
        found
    }

    /// Methods of the same name above and below; and the other half of a context manager.
    pub(super) fn family(&mut self, function: FnId) -> Vec<FnId> {
        let Some(class) = self.program.class_of(function) else { return Vec::new() };
        let file = self.program.file_of(function);
        let name = self.program.symbol(file, self.program.function(function).name);
        let mut names = vec![name];
        match self.program.values.text(name) {
            "__enter__" => names.extend(self.program.values.known_symbol("__exit__")),
            "__exit__" => names.extend(self.program.values.known_symbol("__enter__")),
            _ => {}
        }
        let mut classes: Vec<_> = self.program.ancestors(class).collect();
        let heirs = self.program.heirs(class);
        classes.extend_from_slice(heirs);
        // Who has what a protocol asks for may have inherited it.
        classes.extend(heirs.iter().filter_map(|heir| self.program.defining(*heir, name)));
        classes.sort_unstable();
        classes.dedup();
        classes.extend(self.protocols_of(&classes));
        let mut found = Vec::new();
        for class in classes {
            for name in &names {
                found.extend(self.program.own_method(class, *name));
            }
        }
        found.retain(|method| !self.is_setter(*method));
        found
    }

    /// The protocols that some of these classes stand for, without saying so.
    fn protocols_of(&self, classes: &[ClsId]) -> Vec<ClsId> {
        let stands = |protocol: &&ClsId| {
            !classes.contains(protocol) && self.program.heirs(**protocol).iter().any(|heir| classes.contains(heir))
        };
        self.protocols.iter().filter(stands).copied().collect()
    }

    /// The other parts of a property stay as they are.
    fn is_setter(&self, function: FnId) -> bool {
        let facts = &self.program.file(self.program.file_of(function)).facts;
        self.program.function(function).decorators.iter().any(|decorator| {
            matches!(facts.exprs[*decorator], Expr::Attribute(_, name) if matches!(facts.name(name), "setter" | "deleter"))
        })
    }

    /// A call that may be of something else as well is awaited only if that can be awaited, too.
    fn has_one_answer(&self, function: FnId, edge: &Edge, next: &mut Vec<FnId>) -> Result<(), Obstacle> {
        let (_, site) = at(edge);
        let obstacle = |reason: String| Err(Obstacle { site, reason });
        let is_generator = self.program.function(function).is_generator;
        for other in self.sites.beside(self.graph, edge) {
            let is_same_kind = std::mem::discriminant(&other.kind) == std::mem::discriminant(&edge.kind)
                && other.is_handed == edge.is_handed;
            if !is_same_kind || other.callee == function || edge.kind == EventKind::Enter {
                continue;
            }
            let callee = self.program.function(other.callee);
            if callee.is_async || callee.is_generator != is_generator {
                let name = self.program.qualified_name(other.callee);
                return obstacle(format!("this may also call `{name}`, which stays as it is"));
            }
            next.push(other.callee);
        }
        if is_call(edge)
            && edge.via.is_empty()
            && let [path, ..] = self.sites.outside(edge)
        {
            let name = self.program.values.path_text(*path);
            return obstacle(format!("this may also call `{name}`, which stays as it is"));
        }
        Ok(())
    }

    /// Whether a generator function is one for `with`.
    pub(super) fn is_manager(&mut self, function: FnId) -> bool {
        is_manager(self.program, function)
    }
}

/// All that runs on the loop.
pub(super) fn on_loop(program: &Program, graph: &Graph) -> FxHashSet<FnId> {
    let mut next: Vec<FnId> = program
        .functions()
        .filter(|function| program.function(*function).is_async || program.is_protocol_method(*function))
        .collect();
    next.extend(graph.scheduled.iter().map(|scheduled| scheduled.callee));
    let mut all = FxHashSet::default();
    while let Some(function) = next.pop() {
        if !all.insert(function) {
            continue;
        }
        for &edge in &graph.from[function.0 as usize] {
            let edge = &graph.edges[edge];
            if edge.runs && !edge.truth.is_outside {
                next.push(edge.callee);
                next.extend(edge.via.iter().map(|hop| hop.function));
            }
        }
    }
    all
}

/// Calls that hand a function to a thread: of `asyncio.to_thread` or to the default executor, where it can be called instead, and run; of anything,
/// where a plain function stays.
fn offloads(
    program: &Program,
    graph: &Graph,
    pages: &mut Pages<'_>,
    keeps_plain: bool,
) -> FxHashMap<(Site, FnId), Span> {
    let mut found = FxHashMap::default();
    for Offloaded { site, by, callee, .. } in &graph.offloaded {
        let OffloadedTo::Function(function) = *callee else { continue };
        let places = pages.places(site.file);
        let Some(call) = places.calls.get(&site.span) else { continue };
        let path = program.values.path_text(*by);
        let place = match path {
            "asyncio.to_thread" => Some(0),
            _ => path.ends_with(".run_in_executor").then_some(1),
        };
        let is_default = |place| place == 0 || pages.slice(site.file, call.arguments[0].span) == "None";
        let given = place.and_then(|place| Some((place, *call.arguments.get(place)?)));
        let given = given.filter(|(place, given)| !given.is_starred && !given.is_loose && is_default(*place));
        if let Some(span) = given.map(|(_, given)| given.span).or_else(|| keeps_plain.then_some(call.inner)) {
            found.insert((*site, function), span);
        }
    }
    found
}

/// Whether the user wants to hear of it, there.
pub(super) fn is_told(program: &Program, settings: &Settings, site: Site, category: Category) -> bool {
    let code = category.code();
    let file = program.file(site.file);
    let is_silenced = || file.facts.suppressions.iter().any(|one| one.silences(site.span, code));
    settings.is_selected(code) && !settings.is_ignored_in(code, &file.path) && !is_silenced()
}

/// Whether a repair of chains is for it.
pub(super) const fn is_for_chains(category: Category) -> bool {
    matches!(category, Category::Nested | Category::Sleep | Category::Deadlock)
}
