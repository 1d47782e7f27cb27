//! Who calls whom, where, and with what: the calls of the whole program, and where it meets code outside.
//!
//! A call of a parameter (`fn(x)`, `self.pool.submit(...)` with an unannotated `pool`) is kept as a variable call of its function, and becomes an
//! edge of each caller that says what the parameter is: what two callers hand over is never mixed up.

mod arguments;
mod data;
mod handed;
mod noises;
pub(crate) mod other_loops;
mod outside;
pub(crate) mod part;
mod variables;

use crate::catalogue::{Handed, Sink};
use crate::facts::{ALWAYS, Event, EventKind, Expr, ExprId, GuardId, Use};
use crate::link::values::{EMPTY, FileId, FnId, NO_ARGS, PathId, SetId, Step, Symbol, Value, ValueId};
use crate::link::{Need, Program, Receiver, Target, Targets, Truth, Whose, is_answered};
pub(crate) use data::{
    Edge, Graph, Hop, Offloaded, OffloadedTo, Outside, Scheduled, ScheduledSink, SinkCall, Site, is_shorter,
};
use data::{Happening, Variable};
use hashbrown::hash_table::Entry;
use noises::Heard;
pub(crate) use noises::Noise;
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};
use std::hash::BuildHasher;
use std::rc::Rc;
pub(crate) use variables::{MOST_GIVERS, bit_of, bits_from};

struct Builder<'p> {
    program: &'p mut Program,
    graph: Graph,
    /// What is known where there is no condition.
    always: Rc<Truth>,
    truths: FxHashMap<(FileId, GuardId, FnId), Rc<Truth>>,
    dispatches: FxHashMap<(FnId, Receiver, FnId), Result<Option<Need>, ()>>,
    specials: FxHashSet<Symbol>,
    /// Calls that come of what functions hand on, by their callers.
    indirect: FxHashMap<FnId, u32>,
    /// Some class can be awaited, or entered or iterated asynchronously.
    has_async_specials: bool,
    /// Objects may have a say in whether they are true.
    has_truths: bool,
    /// How much is being handed over, one within the other.
    handing: u32,
    /// Functions are looked at, each by itself: nothing is known of their parameters.
    is_direct: bool,
    /// What the catalogue says of paths that were met.
    paths: FxHashMap<PathId, Catalogued>,
    /// Of the event that is looked at.
    heard: Heard,
}

/// What the catalogue says of something outside the program.
#[derive(Clone)]
struct Catalogued {
    sink: Option<Sink>,
    handed: Rc<[Handed]>,
    /// The same of what a call gives, once that is iterated.
    lazily: Rc<[Handed]>,
    is_quiet: bool,
}

/// Looks at all that the program does.
pub(crate) fn build(program: &mut Program) -> Graph {
    let mut builder = Builder::new(program);
    for function in builder.program.functions() {
        builder.function(function);
    }
    builder.is_direct = false;
    builder.graph.direct_edges = builder.graph.edges.len();
    builder.spread();
    builder.defaults();
    for _ in 0..MOST_OWNERS {
        builder.decorators();
        builder.foreign();
        builder.spread();
        if builder.graph.foreign.is_empty() {
            break;
        }
    }
    builder.settle_noises();
    builder.graph.patches = builder.program.patches();
    builder.graph
}

impl<'p> Builder<'p> {
    fn new(program: &'p mut Program) -> Self {
        let count = program.functions().count();
        let graph = Graph {
            into: vec![Vec::new(); count],
            from: vec![Vec::new(); count],
            sinks_of: vec![Vec::new(); count],
            variables: vec![Vec::new(); count],
            ..Graph::default()
        };
        let specials = program.special_names();
        program.learn_loggers();
        let has = |name: &str| program.values.known_symbol(name).is_some_and(|name| specials.contains(&name));
        let has_async_specials = ["__await__", "__aenter__", "__aexit__", "__aiter__"].into_iter().any(has);
        let has_truths = has("__bool__");
        let (truths, dispatches, paths) = (FxHashMap::default(), FxHashMap::default(), FxHashMap::default());
        let always = Rc::default();
        let (is_direct, heard, indirect) = (true, Heard::default(), FxHashMap::default());
        Self {
            program,
            graph,
            always,
            truths,
            dispatches,
            specials,
            indirect,
            has_async_specials,
            has_truths,
            handing: 0,
            is_direct,
            paths,
            heard,
        }
    }

    fn function(&mut self, function: FnId) {
        let file = self.program.file_of(function);
        let facts = self.program.file(file).facts.share();
        for event in &facts.functions[self.program.local_fn(function)].events {
            self.listened(file, function, *event);
        }
        self.share(&facts.functions[self.program.local_fn(function)].events);
    }

    /// Decorators are called with what they decorate: those that keep it for what others call.
    fn decorators(&mut self) {
        if self.graph.owners.is_empty() {
            return;
        }
        for decoration in self.program.decorations() {
            if !self.may_be_owners(decoration.decorators) {
                continue;
            }
            let args = crate::link::values::Args { positional: smallvec![decoration.decorated], ..Default::default() };
            let args = self.program.values.new_args(args);
            // Definitions mostly run when the module is imported; one that blocks in a coroutine is not worth the noise.
            let at = Happening {
                caller: decoration.caller,
                site: decoration.site,
                kind: EventKind::Call(Use::Other),
                is_handed: true,
                is_registered: false,
                taken_under: None,
                truth: Rc::new(Truth { is_outside: true, ..Truth::default() }),
                via: Vec::new(),
                receiver: None,
                whose: Whose::Own,
                own_field: None,
                scheduled_by: None,
            };
            for target in self.program.targets(decoration.decorators, args) {
                if matches!(target, Target::Function(callee, _) if self.graph.owners.contains(&callee)) {
                    self.target(&at, target);
                }
            }
        }
    }

    /// Whether a call of one of these values may run a function of which others ask what it was handed.
    fn may_be_owners(&self, callees: SetId) -> bool {
        self.program.values.members(callees).iter().any(|value| match self.program.values.get(*value) {
            Value::Function(callee, _) | Value::Bound(callee, ..) => self.graph.owners.contains(callee),
            Value::External(_) => false,
            _ => true,
        })
    }

    fn event(&mut self, file: FileId, function: FnId, event: Event) {
        if let (EventKind::Call(_), &Expr::Call(callee, _)) = (event.kind, self.program.expr(file, event.expr)) {
            let Some(choices) = self.program.choices(file, function, callee) else {
                return self.call((file, function, event), callee, None);
            };
            for (callee, chosen) in choices {
                self.call((file, function, event), callee, Some(chosen));
            }
            return;
        }
        if event.kind == EventKind::Enter && self.enter_chosen(file, function, event) {
            return;
        }
        let mut targets = Targets::new();
        let mut receiver = None;
        match event.kind {
            EventKind::Read => {
                self.read(file, event.expr, false, &mut targets);
                receiver = self.receiver(file, function, event.expr);
            }
            EventKind::Write => self.read(file, event.expr, true, &mut targets),
            EventKind::Enter => self.steps(file, event.expr, Step::Enter, &mut targets),
            EventKind::Iterate => self.steps(file, event.expr, Step::Element, &mut targets),
            EventKind::Unpack => self.unpack(file, event.expr, &mut targets),
            EventKind::Operator(name) => self.operator(file, event.expr, name, &mut targets),
            EventKind::Await => {
                let Expr::Await(value) = *self.program.expr(file, event.expr) else { return };
                self.sync_steps(file, value, Step::Await, &mut targets);
            }
            EventKind::AsyncEnter => self.sync_steps(file, event.expr, Step::AsyncEnter, &mut targets),
            EventKind::AsyncIterate => self.sync_steps(file, event.expr, Step::AsyncElement, &mut targets),
            EventKind::Test => self.truth_of(file, event.expr, &mut targets),
            EventKind::Call(_) => return,
        }
        let truth = self.truth(function, event.guard);
        self.happens((file, function, event), truth, receiver, targets);
    }

    /// A call, under a condition of its own if it is one of several.
    fn call(&mut self, (file, function, event): (FileId, FnId, Event), callee: ExprId, chosen: Option<Truth>) {
        let mut callees = self.program.eval(file, callee);
        if let Some(own) = self.program.methods_of_new(file, function, callee) {
            callees = self.program.values.union(callees, own);
        }
        if callees == EMPTY {
            return;
        }
        let args = if self.reads_arguments(callees) { self.program.call_arguments(file, event.expr) } else { NO_ARGS };
        let mut targets = self.program.targets(callees, args);
        let has_sink = targets.iter().any(|target| matches!(target, Target::External(..)));
        if has_sink && self.asks_any_future(&targets) {
            targets.retain(|target| !self.is_of(target, "concurrent.futures.Future()."));
        }
        if has_sink && self.is_patient(file, event, callee) {
            self.heard.is_loud = true;
            targets.retain(|target| !matches!(target, Target::External(..)));
        }
        let is_plain = |program: &Program, target: &Target| matches!(target, Target::Function(callee, _) if !program.function(*callee).is_async);
        if event.guard != ALWAYS
            && targets.iter().any(|target| is_plain(self.program, target))
            && self.program.is_asked_coroutine(file, callee, event.guard)
        {
            targets.retain(|target| !is_plain(self.program, target));
        }
        if has_sink && self.program.has_attached() && targets.iter().any(|target| self.is_of(target, LOGGER)) {
            self.add_logged(file, callee, &mut targets);
        }
        let receiver = self.receiver(file, function, callee);
        let truth = self.truth(function, event.guard);
        let mut chosen = chosen.unwrap_or_default();
        chosen.needs.extend(self.program.needed_field(file, function, callee));
        if has_sink {
            chosen.needs.extend(self.program.needed_answer(file, function, callee));
        }
        let truth = if chosen == Truth::default() { truth } else { Rc::new(Truth::both(chosen, &truth)) };
        self.happens((file, function, event), truth, receiver, targets);
    }

    /// Whether a call is one of a future that may be asyncio's: who asks that for its result knows that it is done.
    fn asks_any_future(&self, targets: &Targets) -> bool {
        let is_asyncios =
            |target: &Target| self.is_of(target, "asyncio.Future().") || self.is_of(target, "asyncio.Task().");
        targets.len() > 1 && targets.iter().any(is_asyncios)
    }

    fn is_of(&self, target: &Target, class: &str) -> bool {
        matches!(target, Target::External(path, _) if self.program.values.path_text(*path).starts_with(class))
    }

    /// `with (one if test else other)(...)`: each is entered under its condition. Whether it is of that form.
    fn enter_chosen(&mut self, file: FileId, function: FnId, event: Event) -> bool {
        let Expr::Call(callee, _) = *self.program.expr(file, event.expr) else { return false };
        let Some(choices) = self.program.choices(file, function, callee) else { return false };
        let truth = self.truth(function, event.guard);
        let args = self.program.call_arguments(file, event.expr);
        for (callee, chosen) in choices {
            let callees = self.program.eval(file, callee);
            let made = self.program.step_set(callees, Step::Call(args));
            let mut targets = Targets::new();
            for value in self.program.values.shared(made).iter().copied() {
                self.program.targets_of_step(value, Step::Enter, &mut targets);
            }
            self.happens((file, function, event), Rc::new(Truth::both(chosen, &truth)), None, targets);
        }
        true
    }

    /// All that one event runs.
    fn happens(
        &mut self,
        (file, function, event): (FileId, FnId, Event),
        truth: Rc<Truth>,
        receiver: Option<(Receiver, Symbol)>,
        mut targets: Targets,
    ) {
        if event.kind == EventKind::Call(Use::Awaited) {
            self.awaited(&mut targets);
        }
        if targets.is_empty() {
            return;
        }
        let site = Site { file, span: event.span };
        let is_registered = self.program.is_from_registry(file, event.expr);
        let is_variable = targets.iter().any(|target| matches!(target, Target::Variable(..)));
        let taken_under = is_variable.then(|| self.program.taken_under(file, function, event.expr)).flatten();
        let at = Happening {
            caller: function,
            site,
            kind: event.kind,
            is_handed: false,
            is_registered,
            taken_under,
            truth,
            via: Vec::new(),
            receiver,
            whose: self.program.whose(file, event.expr),
            own_field: is_variable.then(|| self.program.own_field(file, function, event.expr)).flatten(),
            scheduled_by: None,
        };
        for target in targets {
            if let Target::External(path, _) = target {
                self.graph.outside.push(Outside { caller: function, path, site });
                self.hear(file, event, path);
            }
            self.target(&at, target);
        }
    }

    /// What is awaited was no plain function, if it may have been a coroutine function, or one that gives a coroutine.
    fn awaited(&mut self, targets: &mut Targets) {
        let is_async =
            |target: &Target| matches!(target, Target::Function(callee, _) if self.program.function(*callee).is_async);
        if targets.iter().any(is_async) {
            targets.retain(|target| is_async(target));
            return;
        }
        // Nor if a decorator that nobody knows may have made one of it.
        let count = targets.len();
        targets.retain(|target| !matches!(target, Target::Function(callee, _) if self.program.is_disguised(*callee)));
        let is_one_unknown = targets.len() < count;
        if count < 2 {
            return;
        }
        let (mut surely, mut others) = (Targets::new(), Targets::new());
        for target in targets.drain(..) {
            match target {
                Target::Function(callee, env) if self.program.gives_coroutine(callee, env) => surely.push(target),
                _ => others.push(target),
            }
        }
        // What may be so many things is not known.
        if count > MOST_AWAITED && !others.is_empty() {
            return;
        }
        *targets = if surely.is_empty() && !is_one_unknown { others } else { surely };
    }

    /// Whether a call does not wait, as the code around it says.
    fn is_patient(&self, file: FileId, event: Event, callee: ExprId) -> bool {
        let facts = &self.program.file(file).facts;
        facts.unwaiting.binary_search(&event.expr).is_ok() || is_answered(facts, callee, event.guard)
    }

    /// An operator runs a special method of its operand.
    fn operator(&mut self, file: FileId, expr: ExprId, name: crate::facts::NameId, targets: &mut Targets) {
        let name = self.program.symbol(file, name);
        if !self.specials.contains(&name) {
            return;
        }
        let name = self.program.values.text(name).to_owned();
        let values = self.program.eval(file, expr);
        self.specials_of(values, &name, targets);
    }

    /// What a call gives is taken for a truth.
    fn truth_of(&mut self, file: FileId, call: ExprId, targets: &mut Targets) {
        if self.has_truths {
            let values = self.program.eval(file, call);
            self.specials_of(values, "__bool__", targets);
        }
    }

    /// What is attached to a logger runs as well.
    fn add_logged(&mut self, file: FileId, callee: ExprId, targets: &mut Targets) {
        for (object, methods) in self.program.logged(file, callee) {
            let mut run = Targets::new();
            self.program.special_targets(object, methods, &mut run);
            targets.extend(run.into_iter().filter(|target| matches!(target, Target::Function(..))));
        }
    }

    /// What a special method of objects of the program runs.
    fn specials_of(&mut self, values: SetId, name: &str, targets: &mut Targets) {
        for value in self.program.values.shared(values).iter().copied() {
            if matches!(self.program.values.get(value), Value::Instance { .. }) {
                self.program.special_targets(value, &[name], targets);
            }
        }
    }

    fn truth(&mut self, function: FnId, guard: GuardId) -> Rc<Truth> {
        if guard == ALWAYS {
            return Rc::clone(&self.always);
        }
        let file = self.program.file_of(function);
        let mut fresh: SmallVec<[GuardId; 8]> = SmallVec::new();
        let (mut next, mut truth) = (guard, Rc::clone(&self.always));
        while next != ALWAYS {
            if let Some(known) = self.truths.get(&(file, next, function)) {
                truth = Rc::clone(known);
                break;
            }
            fresh.push(next);
            next = self.program.file(file).facts.guards[next].parent;
        }
        // From the outermost condition on: each adds to what those around it say.
        for guard in fresh.into_iter().rev() {
            let mut own = Truth::default();
            let condition = self.program.file(file).facts.guards[guard].condition;
            self.program.learn_condition(function, condition, &mut own);
            if own != Truth::default() {
                truth = Rc::new(Truth::both(own, &truth));
            }
            self.truths.insert((file, guard, function), Rc::clone(&truth));
        }
        truth
    }

    fn steps(&mut self, file: FileId, expr: ExprId, step: Step, targets: &mut Targets) {
        let values = self.program.eval(file, expr);
        for value in self.program.values.shared(values).iter().copied() {
            self.program.targets_of_step(value, step, targets);
        }
    }

    /// Only generators and iterators of the program's own matter where the parts are few.
    fn unpack(&mut self, file: FileId, expr: ExprId, targets: &mut Targets) {
        let values = self.program.eval(file, expr);
        for value in self.program.values.shared(values).iter().copied() {
            if matches!(self.program.values.get(value), Value::Generator(..) | Value::Lazy(..) | Value::Instance { .. })
            {
                self.program.targets_of_step(value, Step::Element, targets);
            }
        }
    }

    /// What is awaited, or entered or iterated asynchronously, may be made so by a plain function.
    fn sync_steps(&mut self, file: FileId, expr: ExprId, step: Step, targets: &mut Targets) {
        if !self.has_async_specials {
            return;
        }
        let values = self.program.eval(file, expr);
        for value in self.program.values.shared(values).iter().copied() {
            if matches!(self.program.values.get(value), Value::Instance { .. }) {
                self.program.targets_of_step(value, step, targets);
            }
        }
        targets
            .retain(|target| matches!(target, Target::Function(callee, _) if !self.program.function(*callee).is_async));
    }

    fn receiver(&self, file: FileId, function: FnId, attribute: ExprId) -> Option<(Receiver, Symbol)> {
        let receiver = self.program.receiver_of(file, function, attribute)?;
        let Expr::Attribute(_, name) = *self.program.expr(file, attribute) else { return None };
        Some((receiver, self.program.symbol(file, name)))
    }

    /// Reading or setting an attribute may run a property's getter or setter.
    fn read(&mut self, file: FileId, expr: ExprId, is_set: bool, targets: &mut Targets) {
        let Expr::Attribute(object, name) = *self.program.expr(file, expr) else { return };
        let name = self.program.symbol(file, name);
        if !self.program.is_property(name) {
            return;
        }
        let objects = self.program.eval(file, object);
        for object in self.program.values.shared(objects).iter().copied() {
            self.accessed(object, name, is_set, targets);
        }
    }

    fn accessed(&mut self, object: ValueId, name: Symbol, is_set: bool, targets: &mut Targets) {
        if self.program.values.is_variable(object) {
            let step = self.program.variable_members(object, Step::Attribute(name));
            targets.extend(step.iter().map(|step| Target::Variable(*step, NO_ARGS)));
            return;
        }
        let run = if is_set { self.program.setters(object, name) } else { self.program.getters(object, name) };
        targets.extend(run.into_iter().map(|(function, env)| Target::Function(function, env)));
    }

    fn target(&mut self, at: &Happening, target: Target) {
        match target {
            // What a test hands over for others to call is the test's business.
            Target::Function(callee, _)
                if !self.is_direct && self.is_for_tests(callee) && !self.is_for_tests(at.caller) => {}
            Target::Function(callee, env) if at.scheduled_by.is_some() => {
                let Happening { caller, site, kind, is_handed, is_registered, via, truth, whose, .. } = at.clone();
                if let Some(by) = at.scheduled_by {
                    let truth = Rc::clone(&truth);
                    self.graph.callbacks.insert(callee);
                    self.graph.scheduled.push(Scheduled { caller, site, by, callee, truth });
                }
                // What it is given is known here; it runs elsewhere.
                let runs = false;
                let edge = Edge { caller, callee, site, env, runs, truth, via, kind, is_handed, is_registered, whose };
                self.edge(edge, true);
            }
            Target::Function(callee, env) => {
                if self.program.is_plain(callee)
                    && at.kind == EventKind::Call(Use::Awaited)
                    && !self.program.is_constructor(callee)
                    && !self.program.gives_awaitable(callee, env)
                {
                    return;
                }
                let Some(truth) = self.dispatched(at, callee) else { return };
                let function = self.program.function(callee);
                let is_step = !matches!(at.kind, EventKind::Call(_));
                let runs = !function.is_async && (is_step || !function.is_generator);
                let Happening { caller, site, kind, is_handed, is_registered, via, whose, .. } = at.clone();
                let edge = Edge { caller, callee, site, env, runs, truth, via, kind, is_handed, is_registered, whose };
                self.edge(edge, false);
            }
            Target::External(path, args) => self.external(at, path, args),
            Target::Variable(value, args) => {
                let at = Happening { receiver: None, ..at.clone() };
                let holder = at.caller;
                self.variable(Variable { value, args, at, holder });
            }
        }
    }

    fn is_for_tests(&self, function: FnId) -> bool {
        self.program.file(self.program.file_of(function)).is_test
    }

    /// The truth of an edge, with what the caller's own object must be for it; none, if it never is.
    fn dispatched(&mut self, at: &Happening, callee: FnId) -> Option<Rc<Truth>> {
        let Some((receiver, name)) = at.receiver else { return Some(Rc::clone(&at.truth)) };
        if self.program.symbol(self.program.file_of(callee), self.program.function(callee).name) != name {
            return Some(Rc::clone(&at.truth));
        }
        let key = (at.caller, receiver, callee);
        let found = if let Some(known) = self.dispatches.get(&key) {
            *known
        } else {
            let found = self.program.dispatch(at.caller, receiver, callee);
            self.dispatches.insert(key, found);
            found
        };
        match found {
            Ok(None) => Some(Rc::clone(&at.truth)),
            Ok(Some(need)) => {
                let mut truth = (*at.truth).clone();
                truth.needs.push(need);
                truth.needs.sort_unstable();
                Some(Rc::new(truth))
            }
            Err(()) => None,
        }
    }

    /// Work that is offloaded is no call of the caller's, but says what the parameters are.
    fn edge(&mut self, edge: Edge, is_deferred: bool) {
        let key = edge.key();
        let hash = FxBuildHasher.hash_one(key);
        let index = self.graph.edges.len();
        let Graph { known, edges, .. } = &mut self.graph;
        match known.entry(
            hash,
            |place| edges[*place as usize].key() == key,
            |place| FxBuildHasher.hash_one(edges[*place as usize].key()),
        ) {
            Entry::Occupied(known) => {
                let known = &mut edges[*known.get() as usize];
                if is_shorter(&edge.via, &known.via) {
                    *known = edge;
                }
                return;
            }
            Entry::Vacant(place) => {
                if !self.is_direct {
                    // Of functions that hand each other on without end, that is enough.
                    let count = self.indirect.entry(edge.caller).or_default();
                    if *count >= MOST_CALLS {
                        return;
                    }
                    *count += 1;
                }
                place.insert(index as u32)
            }
        };
        if is_deferred {
            self.graph.deferred_into.entry(edge.callee).or_default().push(index);
        } else {
            self.graph.into[edge.callee.0 as usize].push(index);
            self.graph.from[edge.caller.0 as usize].push(index);
        }
        self.graph.edges.push(edge);
        self.graph.seen.push(0);
        self.graph.fresh.push(index);
    }
}

const LOGGER: &str = "logging.Logger().";
/// Functions that hand on to the next one what they were handed, to be kept.
const MOST_OWNERS: u32 = 3;
/// What one call may come to whose value is awaited.
const MOST_AWAITED: usize = 8;
/// Calls of one function that come of what it hands on.
const MOST_CALLS: u32 = 1000;
