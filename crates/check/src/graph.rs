//! Who calls whom, where, and with what: the calls of the whole program, and where it meets code outside.
//!
//! A call of a parameter (`fn(x)`, `self.pool.submit(...)` with an unannotated `pool`) is kept as a variable call of its function, and becomes an
//! edge of each caller that says what the parameter is: what two callers hand over is never mixed up.

use crate::catalogue::{Handed, Sink, Unless};
use crate::facts::{Condition, Event, EventKind, Expr, ExprId, GuardId, Span, Use};
use crate::link::values::{
    Args, ArgsId, EMPTY, EnvId, FileId, FnId, NO_ARGS, PathId, SetId, Step, Symbol, Value, ValueId,
};
use crate::link::{Need, Program, Target, Truth, What};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// A place in the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Site {
    pub(crate) file: FileId,
    pub(crate) span: Span,
}

/// A function on the way of a variable call, and where it calls on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Hop {
    pub(crate) function: FnId,
    pub(crate) site: Site,
}

#[derive(Clone, Debug)]
pub(crate) struct Edge {
    pub(crate) caller: FnId,
    pub(crate) callee: FnId,
    pub(crate) site: Site,
    pub(crate) env: EnvId,
    /// The body runs at once; else a coroutine or generator is made.
    pub(crate) runs: bool,
    pub(crate) truth: Rc<Truth>,
    pub(crate) via: Vec<Hop>,
    /// What happens at the site.
    pub(crate) kind: EventKind,
    /// The site hands the callee to something that calls it.
    pub(crate) is_handed: bool,
}

/// A call of something that blocks.
#[derive(Clone, Debug)]
pub(crate) struct SinkCall {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) path: PathId,
    pub(crate) sink: Sink,
    pub(crate) truth: Rc<Truth>,
    pub(crate) via: Vec<Hop>,
}

/// A function that the loop is told to call.
#[derive(Clone, Debug)]
pub(crate) struct Scheduled {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) by: PathId,
    pub(crate) callee: FnId,
    pub(crate) truth: Rc<Truth>,
}

/// A call of a function outside the program, for rules that look for names.
#[derive(Clone, Debug)]
pub(crate) struct Outside {
    pub(crate) caller: FnId,
    pub(crate) path: PathId,
    pub(crate) site: Site,
}

/// Something that another thread or process is told to call.
#[derive(Clone, Debug)]
pub(crate) struct Offloaded {
    pub(crate) caller: FnId,
    pub(crate) site: Site,
    pub(crate) by: PathId,
    pub(crate) callee: OffloadedTo,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum OffloadedTo {
    Function(FnId),
    External(PathId),
}

/// Something that happens in a function, whatever it calls.
#[derive(Clone, Debug)]
struct Happening {
    caller: FnId,
    site: Site,
    kind: EventKind,
    is_handed: bool,
    truth: Rc<Truth>,
    via: Vec<Hop>,
    /// It happens to the function's own `self`.
    is_own: bool,
}

/// A call of a parameter.
#[derive(Clone, Debug)]
struct Variable {
    value: ValueId,
    args: ArgsId,
    at: Happening,
}

#[derive(Default)]
pub(crate) struct Graph {
    pub(crate) edges: Vec<Edge>,
    /// Edges into each function.
    pub(crate) into: Vec<Vec<usize>>,
    pub(crate) from: Vec<Vec<usize>>,
    pub(crate) sinks: Vec<SinkCall>,
    /// Those of each function.
    pub(crate) sinks_of: Vec<Vec<usize>>,
    pub(crate) scheduled: Vec<Scheduled>,
    /// Functions that run in other threads or processes.
    pub(crate) elsewhere: FxHashSet<FnId>,
    pub(crate) offloaded: Vec<Offloaded>,
    /// Edges of offloaded work, which are none of `into` and `from`.
    offloaded_into: FxHashMap<FnId, Vec<usize>>,
    pub(crate) outside: Vec<Outside>,
    /// Calls of parameters and of what comes of them, where callers say what they are.
    pub(crate) outside_by_parameter: Vec<Outside>,
    known: FxHashSet<(FnId, FnId, Site, EnvId, bool)>,
    known_sinks: FxHashSet<(FnId, Site, PathId)>,
    variables: Vec<Vec<Variable>>,
    known_variables: FxHashSet<(FnId, ValueId, Site)>,
    /// Calls of parameters of other functions, which only all callers together can tell.
    foreign: Vec<Variable>,
    /// Edges whose callee's variable calls are still to be looked at.
    fresh: Vec<usize>,
    /// How many of them each edge has seen.
    seen: Vec<usize>,
}

struct Builder<'p> {
    program: &'p mut Program,
    graph: Graph,
    truths: FxHashMap<(FileId, GuardId, FnId), Rc<Truth>>,
    properties: FxHashSet<Symbol>,
    specials: FxHashSet<Symbol>,
    /// What the catalogue says of paths that were met.
    paths: FxHashMap<PathId, (Option<Sink>, Rc<[Handed]>)>,
}

/// Looks at all that the program does.
pub(crate) fn build(program: &mut Program) -> Graph {
    let count = program.functions().count();
    let graph = Graph {
        into: vec![Vec::new(); count],
        from: vec![Vec::new(); count],
        sinks_of: vec![Vec::new(); count],
        variables: vec![Vec::new(); count],
        ..Graph::default()
    };
    let (properties, specials) = (program.property_names(), program.special_names());
    let mut builder =
        Builder { program, graph, truths: FxHashMap::default(), properties, specials, paths: FxHashMap::default() };
    for function in builder.program.functions() {
        builder.function(function);
    }
    builder.spread();
    builder.foreign();
    builder.spread();
    builder.graph
}

impl Builder<'_> {
    fn function(&mut self, function: FnId) {
        let file = self.program.file_of(function);
        let events = self.program.function(function).events.clone();
        for event in events {
            self.event(file, function, event);
        }
    }

    fn event(&mut self, file: FileId, function: FnId, event: Event) {
        let mut targets = Vec::new();
        match event.kind {
            EventKind::Call(_) => {
                let crate::facts::Expr::Call(callee, _) = *self.program.expr(file, event.expr) else { return };
                let callees = self.program.eval(file, callee);
                if callees == EMPTY {
                    return;
                }
                let args = self.program.call_arguments(file, event.expr);
                targets = self.program.targets(callees, args);
            }
            EventKind::Read => self.read(file, event.expr, &mut targets),
            EventKind::Enter => self.steps(file, event.expr, Step::Enter, &mut targets),
            EventKind::Iterate => self.steps(file, event.expr, Step::Element, &mut targets),
            EventKind::Operator(name) => self.operator(file, event.expr, name, &mut targets),
            EventKind::Await | EventKind::Test | EventKind::AsyncEnter | EventKind::AsyncIterate => return,
        }
        if event.kind == EventKind::Call(Use::Awaited) {
            // What is awaited was no plain function, if it may have been a coroutine function.
            let is_async = |target: &Target| matches!(target, Target::Function(callee, _) if self.program.function(*callee).is_async);
            if targets.iter().any(is_async) {
                targets.retain(is_async);
            }
        }
        if targets.is_empty() || self.is_done_already(file, &event) {
            return;
        }
        let truth = self.truth(function, event.guard);
        let is_own = self.program.happens_to_self(function, event);
        let site = Site { file, span: event.span };
        let at =
            Happening { caller: function, site, kind: event.kind, is_handed: false, truth, via: Vec::new(), is_own };
        for target in targets {
            if let Target::External(path, _) = target {
                self.graph.outside.push(Outside { caller: function, path, site });
            }
            self.target(&at, target);
        }
    }

    /// `if future.done(): future.result()` does not wait.
    fn is_done_already(&self, file: FileId, event: &Event) -> bool {
        let facts = &self.program.file(file).facts;
        let method = |call: ExprId| {
            let Expr::Call(callee, _) = facts.exprs[call] else { return None };
            let Expr::Attribute(object, name) = facts.exprs[callee] else { return None };
            Some((object, facts.name(name)))
        };
        let Some((object, "result" | "exception")) = method(event.expr) else { return false };
        facts.conditions(event.guard).any(|condition| match condition {
            Condition::Test { expr, is: true } => {
                method(expr).is_some_and(|(asked, name)| name == "done" && facts.exprs[asked] == facts.exprs[object])
            }
            _ => false,
        })
    }

    /// An operator runs a special method of its operand.
    fn operator(&mut self, file: FileId, expr: ExprId, name: crate::facts::NameId, targets: &mut Vec<Target>) {
        let name = self.program.symbol(file, name);
        if !self.specials.contains(&name) {
            return;
        }
        let name = self.program.values.text(name).to_owned();
        let values = self.program.eval(file, expr);
        for value in self.program.values.members(values).to_vec() {
            if matches!(self.program.values.get(value), Value::Instance { .. }) {
                self.program.special_targets(value, &[&name], targets);
            }
        }
    }

    fn truth(&mut self, function: FnId, guard: GuardId) -> Rc<Truth> {
        let key = (self.program.file_of(function), guard, function);
        if let Some(known) = self.truths.get(&key) {
            return Rc::clone(known);
        }
        let truth = Rc::new(self.program.truth(function, guard));
        self.truths.insert(key, Rc::clone(&truth));
        truth
    }

    fn steps(&mut self, file: FileId, expr: ExprId, step: Step, targets: &mut Vec<Target>) {
        let values = self.program.eval(file, expr);
        for value in self.program.values.members(values).to_vec() {
            self.program.targets_of_step(value, step, targets);
        }
    }

    /// Reading an attribute may run a property's getter.
    fn read(&mut self, file: FileId, expr: ExprId, targets: &mut Vec<Target>) {
        let crate::facts::Expr::Attribute(object, name) = *self.program.expr(file, expr) else { return };
        let name = self.program.symbol(file, name);
        if !self.properties.contains(&name) {
            return;
        }
        let objects = self.program.eval(file, object);
        for object in self.program.values.members(objects).to_vec() {
            for (function, env) in self.program.getters(object, name) {
                targets.push(Target::Function(function, env));
            }
        }
    }

    fn target(&mut self, at: &Happening, target: Target) {
        match target {
            Target::Function(callee, env) => {
                let is_plain = !self.program.function(callee).is_async && !self.program.function(callee).is_generator;
                if is_plain && at.kind == EventKind::Call(Use::Awaited) && !self.program.gives_awaitable(callee, env) {
                    return;
                }
                let function = self.program.function(callee);
                let is_step = !matches!(at.kind, EventKind::Call(_));
                let runs = !function.is_async && (is_step || !function.is_generator);
                let Happening { caller, site, kind, is_handed, truth, via, is_own } = at.clone();
                let truth = if is_own { self.of_heir(truth, caller, callee, env) } else { Some(truth) };
                let Some(truth) = truth else { return };
                self.edge(Edge { caller, callee, site, env, runs, truth, via, kind, is_handed }, false);
            }
            Target::External(path, args) => self.external(at, path, args),
            Target::Variable(value, args) => self.variable(Variable { value, args, at: at.clone() }),
        }
    }

    /// What `self` must be, to have an heir's method; none, if it can't.
    fn of_heir(&self, truth: Rc<Truth>, caller: FnId, callee: FnId, env: EnvId) -> Option<Rc<Truth>> {
        let Some(heir) = self.program.heir_in(caller, callee, env) else { return Some(truth) };
        if !self.program.may_be(caller, heir) {
            return None;
        }
        let mut truth = (*truth).clone();
        truth.needs.push(Need { owner: caller, parameter: 0, what: What::Heir(heir), is: true });
        Some(Rc::new(truth))
    }

    /// Work that is offloaded is no call of the caller's, but says what the parameters are.
    fn edge(&mut self, edge: Edge, is_offloaded: bool) {
        let key = (edge.caller, edge.callee, edge.site, edge.env, edge.runs);
        if !self.graph.known.insert(key) {
            return;
        }
        let index = self.graph.edges.len();
        if is_offloaded {
            self.graph.offloaded_into.entry(edge.callee).or_default().push(index);
        } else {
            self.graph.into[edge.callee.0 as usize].push(index);
            self.graph.from[edge.caller.0 as usize].push(index);
        }
        self.graph.edges.push(edge);
        self.graph.seen.push(0);
        self.graph.fresh.push(index);
    }

    fn variable(&mut self, variable: Variable) {
        let function = variable.at.caller;
        let owner = self.root(variable.value);
        if !self.graph.known_variables.insert((function, variable.value, variable.at.site)) {
            return;
        }
        if !self.program.is_within(function, owner) {
            self.graph.foreign.push(variable);
            return;
        }
        let variables = &mut self.graph.variables[function.0 as usize];
        if variables.len() < MOST_VARIABLES && variable.at.via.len() < LONGEST_VIA {
            variables.push(variable);
            // Whoever calls it is to be asked.
            let offloaded = self.graph.offloaded_into.get(&function).map_or(&[][..], Vec::as_slice);
            self.graph.fresh.extend(self.graph.into[function.0 as usize].iter().chain(offloaded));
        }
    }

    fn root(&self, value: ValueId) -> FnId {
        let mut next = value;
        loop {
            match *self.program.values.get(next) {
                Value::Step(inner, _) => next = inner,
                Value::Parameter(function, _) => return function,
                _ => return FnId(0),
            }
        }
    }

    fn external(&mut self, at: &Happening, path: PathId, args: ArgsId) {
        let Program { values, catalogue, .. } = &*self.program;
        let (sink, handed) = self.paths.entry(path).or_insert_with(|| {
            let text = values.path_text(path);
            (catalogue.sink(text), catalogue.handed(text).into())
        });
        let (sink, handed) = (*sink, Rc::clone(handed));
        if let Some(sink) = sink
            && at.kind != EventKind::Call(Use::Awaited)
            && !self.is_harmless(sink, args)
            && self.graph.known_sinks.insert((at.caller, at.site, path))
        {
            let Happening { caller, site, truth, via, .. } = at.clone();
            self.graph.sinks_of[caller.0 as usize].push(self.graph.sinks.len());
            self.graph.sinks.push(SinkCall { caller, site, path, sink, truth, via });
        }
        for what in &*handed {
            self.hand(at, path, args, *what);
        }
    }

    /// Something outside the program is handed a function.
    fn hand(&mut self, at: &Happening, path: PathId, args: ArgsId, what: Handed) {
        let (place, name) = match what {
            Handed::Calls(place, name) | Handed::OnLoop(place, name) | Handed::Elsewhere(place, name) => (place, name),
            Handed::Iterates(place) => (place, ""),
        };
        let given = self.argument(args, place, name);
        if given == EMPTY {
            return;
        }
        if let Handed::Iterates(_) = what {
            let mut targets = Vec::new();
            for value in self.program.values.members(given).to_vec() {
                self.program.targets_of_step(value, Step::Element, &mut targets);
            }
            let at = Happening { kind: EventKind::Iterate, is_handed: true, ..at.clone() };
            for target in targets {
                self.target(&at, target);
            }
            return;
        }
        if let Handed::Elsewhere(..) = what {
            self.offload(at, path, args, (given, place));
            return;
        }
        let inner = Happening { kind: EventKind::Call(Use::Other), is_handed: true, ..at.clone() };
        for target in self.program.targets(given, NO_ARGS) {
            match (what, target) {
                (Handed::Calls(..), _) => self.target(&inner, target),
                (Handed::OnLoop(..), Target::Function(callee, _)) => {
                    let (caller, site, truth) = (at.caller, at.site, Rc::clone(&at.truth));
                    self.graph.scheduled.push(Scheduled { caller, site, by: path, callee, truth });
                }
                _ => {}
            }
        }
    }

    /// Another thread or process is told to call something, with arguments.
    fn offload(&mut self, at: &Happening, path: PathId, args: ArgsId, (given, place): (SetId, usize)) {
        let inner = self.offloaded_arguments(args, place);
        for target in self.program.targets(given, inner) {
            let callee = match target {
                Target::Function(callee, env) => {
                    self.graph.elsewhere.insert(callee);
                    let Happening { caller, site, truth, .. } = at.clone();
                    let kind = EventKind::Call(Use::Other);
                    let (via, is_handed) = (Vec::new(), true);
                    self.edge(Edge { caller, callee, site, env, runs: false, truth, via, kind, is_handed }, true);
                    OffloadedTo::Function(callee)
                }
                Target::External(callee, _) => OffloadedTo::External(callee),
                Target::Variable(..) => continue,
            };
            self.graph.offloaded.push(Offloaded { caller: at.caller, site: at.site, by: path, callee });
        }
    }

    /// `Thread(target=f, args=(1, 2))`, or `to_thread(f, 1, 2)`
    fn offloaded_arguments(&mut self, args: ArgsId, place: usize) -> ArgsId {
        let packed = self.argument(args, NOWHERE, "args");
        let positional = match self.program.values.members(packed) {
            [one] => match self.program.values.get(*one) {
                Value::Sequence(parts) => parts.to_vec(),
                _ => Vec::new(),
            },
            _ => self.program.values.arguments(args).positional.get(place + 1..).unwrap_or_default().to_vec(),
        };
        self.program.values.new_args(Args { positional, ..Args::default() })
    }

    fn argument(&mut self, args: ArgsId, place: usize, name: &str) -> SetId {
        let name = self.program.values.known_symbol(name);
        let args = self.program.values.arguments(args);
        let named = name.and_then(|name| args.keywords.iter().find(|(known, _)| *known == name));
        named.map(|(_, set)| *set).or_else(|| args.positional.get(place).copied()).unwrap_or(EMPTY)
    }

    /// Whether the arguments say that it does not wait.
    fn is_harmless(&mut self, sink: Sink, args: ArgsId) -> bool {
        let mut is_falsy = |place: usize, name: &str| {
            let given = self.argument(args, place, name);
            matches!(
                self.program.only_constant(given),
                Some(crate::facts::Constant::False | crate::facts::Constant::Zero)
            )
        };
        match sink.unless {
            Unless::Never => false,
            Unless::Falsy(place, name) => is_falsy(place, name),
            Unless::EitherFalsy(one, two) => is_falsy(one.0, one.1) || is_falsy(two.0, two.1),
        }
    }

    // --------------------------------------------------------- variable calls

    /// Tells callers what the variable calls of their callees come to.
    fn spread(&mut self) {
        let mut rounds = 0;
        while let Some(index) = self.graph.fresh.pop() {
            rounds += 1;
            if rounds > MOST_ROUNDS {
                self.graph.fresh.clear();
                return;
            }
            let callee = self.graph.edges[index].callee.0 as usize;
            let seen = self.graph.seen[index];
            let variables = self.graph.variables[callee][seen..].to_vec();
            if variables.is_empty() {
                continue;
            }
            self.graph.seen[index] += variables.len();
            let edge = self.graph.edges[index].clone();
            for variable in variables {
                self.resolve(&edge, &variable);
            }
        }
    }

    fn resolve(&mut self, edge: &Edge, variable: &Variable) {
        let filled = self.program.fill_value(variable.value, edge.env);
        if filled == EMPTY || self.program.values.members(filled) == [variable.value] {
            return;
        }
        let args = self.program.fill_args(variable.args, edge.env);
        // What a coroutine or generator calls, it calls itself, when it runs.
        let at = if edge.runs {
            if edge.truth.is_outside || variable.at.truth.is_outside {
                return;
            }
            let mut via = edge.via.clone();
            via.push(Hop { function: edge.callee, site: variable.at.site });
            via.extend(&variable.at.via);
            Happening {
                caller: edge.caller,
                site: edge.site,
                truth: Rc::clone(&edge.truth),
                via,
                is_own: false,
                ..variable.at.clone()
            }
        } else {
            variable.at.clone()
        };
        let is_step = !matches!(at.kind, EventKind::Call(_));
        for value in self.program.values.members(filled).to_vec() {
            let targets = match (is_step, self.program.values.get(value).clone()) {
                (true, Value::Step(..)) | (false, _) => {
                    let one = self.program.values.set([value]);
                    self.program.targets(one, args)
                }
                (true, Value::External(path)) => vec![Target::External(path, args)],
                (true, _) => Vec::new(),
            };
            for target in targets {
                if let Target::External(path, _) = target {
                    let Happening { caller, site, .. } = at;
                    self.graph.outside_by_parameter.push(Outside { caller, path, site });
                }
                self.target(&at, target);
            }
        }
    }

    /// Calls of what another function was handed: an instance's field that its constructor was given.
    fn foreign(&mut self) {
        for variable in std::mem::take(&mut self.graph.foreign) {
            let owner = self.root(variable.value);
            let mut envs: Vec<EnvId> =
                self.graph.into[owner.0 as usize].iter().map(|edge| self.graph.edges[*edge].env).collect();
            envs.sort_unstable();
            envs.dedup();
            if envs.len() > MOST_GIVERS {
                continue;
            }
            for env in envs {
                let filled = self.program.fill_value(variable.value, env);
                if self.program.values.members(filled) == [variable.value] {
                    continue;
                }
                let args = self.program.fill_args(variable.args, env);
                for target in self.program.targets(filled, args) {
                    if let Target::External(path, _) = target {
                        let Happening { caller, site, .. } = variable.at;
                        self.graph.outside_by_parameter.push(Outside { caller, path, site });
                    }
                    if !matches!(target, Target::Variable(..)) {
                        self.target(&variable.at, target);
                    }
                }
            }
        }
    }
}

/// A place that no argument has: it is given by name only.
const NOWHERE: usize = 1000;
const MOST_VARIABLES: usize = 24;
const LONGEST_VIA: usize = 5;
const MOST_ROUNDS: usize = 2_000_000;
const MOST_GIVERS: usize = 12;
