//! Attributes of objects of which nothing is known, or which may be some that were handed to others: whose they are, only the run tells.

use super::closure::Closures;
use super::lenders::{Lenders, Lent};
use crate::facts::{ArgumentKind, EventKind, Expr, ExprId, ParameterKind};
use crate::graph::{Graph, Site};
use crate::link::Program;
use crate::link::values::{ClsId, EMPTY, FileId, FnId, SetId, Value, ValueId};
use rustc_hash::FxHashMap;

/// An attribute of an object of which nothing is known.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    pub(super) site: Site,
    pub(super) caller: FnId,
    /// How many arguments it is called with, if they can be counted; none if it is only read.
    arguments: Option<usize>,
    pub(super) is_called: bool,
    /// Whose it may be.
    of: Lent,
    /// It is asked of a module, or of what is in one.
    is_of_module: bool,
}

/// All of them, by the attribute's name.
pub(super) fn unknown(program: &mut Program, graph: &Graph) -> FxHashMap<String, Vec<Unknown>> {
    let mut all: FxHashMap<String, Vec<Unknown>> = FxHashMap::default();
    let lenders = Lenders::new(program);
    for caller in program.functions() {
        let file = program.file_of(caller);
        for event in program.events(caller).iter().copied() {
            let (attribute, is_called, arguments) = match (event.kind, program.expr(file, event.expr)) {
                (EventKind::Call(_), Expr::Call(callee, arguments)) => {
                    let is_counted = arguments.iter().all(|argument| argument.kind == ArgumentKind::Positional);
                    (*callee, true, is_counted.then_some(arguments.len()))
                }
                (EventKind::Read, _) => (event.expr, false, None),
                _ => continue,
            };
            let Expr::Attribute(object, name) = *program.expr(file, attribute) else { continue };
            let set = program.eval(file, attribute);
            let mut search = Search { program, graph, lenders: &lenders, of: Lent::default() };
            if set == EMPTY {
                search.of.is_anything = true;
            }
            search.look(set, true, 0);
            let of = search.of;
            if of.is_nothing() {
                continue;
            }
            let is_of_module = is_of_module(program, file, object);
            let name = program.file(file).facts.name(name).to_owned();
            let site = Site { file, span: event.span };
            all.entry(name).or_default().push(Unknown { site, caller, arguments, is_called, of, is_of_module });
        }
    }
    all
}

impl Closures<'_, '_> {
    /// An attribute of this name that may be this function.
    pub(super) fn doubt(&self, function: FnId, name: &str) -> Option<&Unknown> {
        self.unknown.get(name)?.iter().find(|unknown| self.may_be(function, unknown))
    }

    pub(super) fn may_be(&self, function: FnId, unknown: &Unknown) -> bool {
        let Some(class) = self.program.class_of(function) else {
            return unknown.is_of_module && self.program.around(function).nth(1).is_none();
        };
        if !unknown.of.is_anything && !self.is_related(class, &unknown.of) {
            return false;
        }
        let this = self.program.function(function);
        let is_variadic = this.parameters.iter().any(|parameter| parameter.kind == ParameterKind::Variadic);
        let is_positional = |kind| matches!(kind, ParameterKind::PositionalOnly | ParameterKind::Positional);
        let positional = || this.parameters.iter().filter(|parameter| is_positional(parameter.kind));
        let (most, least) = (positional().count(), positional().filter(|one| one.default.is_none()).count());
        match unknown.arguments {
            // With or without the instance.
            Some(count) if unknown.is_called => (is_variadic || count <= most) && count + 1 >= least,
            _ => true,
        }
    }

    fn is_related(&self, class: ClsId, of: &Lent) -> bool {
        let heirs = self.program.heirs(class).iter().copied();
        heirs.chain(self.program.ancestors(class)).chain([class]).any(|class| of.classes.contains(&class))
    }
}

/// Whose an attribute may be.
struct Search<'s> {
    program: &'s mut Program,
    graph: &'s Graph,
    lenders: &'s Lenders,
    of: Lent,
}

impl Search<'_> {
    fn look(&mut self, set: SetId, is_attribute: bool, depth: u32) {
        for value in self.program.values.shared(set).iter().copied() {
            if self.of.is_anything {
                return;
            }
            self.look_at(value, is_attribute, depth);
        }
    }

    /// Whether a value is, or depends on, something of which nothing is known: the attribute itself, or the object.
    fn look_at(&mut self, value: ValueId, is_attribute: bool, depth: u32) {
        match *self.program.values.get(value) {
            Value::External(path) => {
                let path = self.program.values.path_text(path);
                let object = match path.rsplit_once('.') {
                    Some((object, _)) if is_attribute => object,
                    _ => path,
                };
                self.of.is_anything |= gives_back(path);
                self.lenders.given_by(object, &mut self.of);
            }
            Value::Step(..) | Value::Parameter(..) => self.look_at_variable(value, is_attribute, depth),
            _ => {}
        }
    }

    /// What depends on a parameter is what callers make of it.
    fn look_at_variable(&mut self, value: ValueId, is_attribute: bool, depth: u32) {
        let Some(root) = root(self.program, value) else { return };
        let graph = self.graph;
        let givers = &graph.into[root.0.0 as usize];
        if givers.is_empty() || depth > DEEPEST {
            self.of.is_anything = true;
        }
        for giver in givers {
            let env = self.program.values.env(graph.edges[*giver].env);
            let given = env.iter().find(|(key, _)| *key == root).map_or(EMPTY, |(_, set)| *set);
            if given == EMPTY {
                self.of.is_anything = true;
            }
            if self.of.is_anything {
                return;
            }
            let made = put_in(self.program, value, given);
            self.look(made, is_attribute, depth + 1);
        }
    }
}

/// The parameter that something depends on.
pub(super) fn root(program: &Program, value: ValueId) -> Option<(FnId, u32)> {
    match *program.values.get(value) {
        Value::Step(inner, _) => root(program, inner),
        Value::Parameter(owner, parameter) => Some((owner, parameter)),
        _ => None,
    }
}

/// What comes of a parameter that is this.
pub(super) fn put_in(program: &mut Program, value: ValueId, given: SetId) -> SetId {
    match *program.values.get(value) {
        Value::Step(inner, step) => {
            let inner = put_in(program, inner, given);
            program.step_set(inner, step)
        }
        _ => given,
    }
}

/// Whether an object is a module of the program, or is named after one: a part of it that is not known, or a module that is imported by a name
/// made at run time.
fn is_of_module(program: &mut Program, file: FileId, object: ExprId) -> bool {
    let set = program.eval(file, object);
    let is_one = program.values.members(set).iter().any(|value| match program.values.get(*value) {
        Value::Module(_) | Value::Namespace(_) => true,
        Value::External(path) => {
            let path = program.values.path_text(*path);
            IMPORTERS.iter().any(|importer| path.starts_with(importer))
        }
        _ => false,
    });
    match *program.expr(file, object) {
        Expr::Attribute(inner, _) if !is_one => is_of_module(program, file, inner),
        _ => is_one,
    }
}

/// What comes from there was put there: it may be anything.
fn gives_back(path: &str) -> bool {
    // Without the attribute itself.
    let inner = path.rsplit_once('.').map_or(path, |(inner, _)| inner);
    // Outside a class it says of which class and object.
    if inner.starts_with("super()") {
        return true;
    }
    inner.ends_with([')', ']'])
        && KEEPERS.iter().any(|keeper| inner.strip_prefix(keeper).is_some_and(|rest| rest.len() > 2))
}

/// Parameters that are handed on.
const DEEPEST: u32 = 4;

/// What gives modules.
const IMPORTERS: &[&str] = &["importlib.", "__import__", "sys.modules[", "runpy."];

/// Functions and classes outside the program that give back what they were given.
const KEEPERS: &[&str] = &[
    "list",
    "dict",
    "set",
    "tuple",
    "eval",
    "next",
    "vars",
    "iter",
    "queue.",
    "collections.",
    "asyncio.Queue",
    "asyncio.PriorityQueue",
    "asyncio.LifoQueue",
    "pickle.",
    "copy.",
    "weakref.",
    "heapq.",
    "itertools.",
    "functools.",
    "operator.",
    "random.",
    "multiprocessing.",
    "concurrent.",
    "contextvars.",
    "threading.local",
    "importlib.",
];
