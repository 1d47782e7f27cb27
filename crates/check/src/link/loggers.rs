//! Loggers: which handlers, formatters and filters of the program a call of one runs.
//!
//! Loggers are told apart by their names, where the text says these. What is attached to the root logger is not followed: all that logs would
//! be blamed for it. Source: "Logging Flow" in Python's Logging HOWTO.

use super::Program;
use super::truth::is_same;
use super::values::{FileId, Symbol, Value, ValueId};
use crate::facts::{Argument, BindingId, BindingKind, Constant, EventKind, Expr, ExprId, MODULE_SCOPE};

/// What is attached to loggers.
#[derive(Debug, Default)]
pub(super) struct Loggers {
    attached: Vec<Attached>,
    /// Those that hand nothing on to the ones above them.
    closed: Vec<String>,
}

/// An object of the program that a logger calls.
#[derive(Debug)]
struct Attached {
    logger: String,
    object: ValueId,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Handler,
    Formatter,
    /// Of a handler.
    Filter,
    /// Of a logger: what comes from those below it is not filtered.
    OwnFilter,
}

impl Kind {
    const fn methods(self) -> &'static [&'static str] {
        match self {
            Self::Handler => &["handle", "filter", "emit"],
            Self::Formatter => &["format"],
            Self::Filter | Self::OwnFilter => &["filter"],
        }
    }
}

impl Program {
    /// Looks for all that is attached to loggers.
    pub(crate) fn learn_loggers(&mut self) {
        let attaches = ["addHandler", "addFilter"].map(|name| self.values.known_symbol(name));
        let files: Vec<FileId> = (0..self.files.len() as u32)
            .map(FileId)
            .filter(|file| attaches.iter().flatten().any(|name| self.file(*file).symbols.contains(name)))
            .filter(|file| !self.file(*file).is_test)
            .collect();
        let mut attached = Vec::new();
        for file in files {
            self.add_attached(file, &mut attached);
        }
        if attached.is_empty() {
            return;
        }
        let closing = self.values.known_symbol("propagate").and_then(|name| self.stores.get(&name)).cloned();
        let mut closed = Vec::new();
        for (file, place) in closing.into_iter().flatten() {
            let store = self.file(file).facts.stores[place].clone();
            if matches!(self.expr(file, store.value), Expr::Constant(Constant::False)) {
                closed.extend(self.logger_name(file, store.object, 0));
            }
        }
        self.loggers = Loggers { attached, closed };
    }

    /// Whether anything of the program is attached to a logger.
    pub(crate) fn has_attached(&self) -> bool {
        !self.loggers.attached.is_empty()
    }

    fn add_attached(&mut self, file: FileId, attached: &mut Vec<Attached>) {
        let facts = self.file(file).facts.share();
        // Of a call of a method of that name with one argument: the object, and the argument.
        let call_of = |kind: EventKind, expr: ExprId, name: &str| match (kind, &facts.exprs[expr]) {
            (EventKind::Call(_), Expr::Call(callee, arguments)) => match (&facts.exprs[*callee], &**arguments) {
                (Expr::Attribute(object, known), [Argument { value, .. }]) if facts.name(*known) == name => {
                    Some((*object, *value))
                }
                _ => None,
            },
            _ => None,
        };
        for (_, function) in facts.functions.iter() {
            let calls = |name: &'static str| {
                function.events.iter().filter_map(move |event| call_of(event.kind, event.expr, name))
            };
            for (logger, handler) in calls("addHandler") {
                let Some(logger) = self.logger_name(file, logger, 0) else { continue };
                self.attach(file, &logger, (handler, Kind::Handler), attached);
                // What the handler was given in the same function.
                for (name, kind) in [("setFormatter", Kind::Formatter), ("addFilter", Kind::Filter)] {
                    for (_, given) in calls(name).filter(|(object, _)| is_same(&facts, *object, handler)) {
                        self.attach(file, &logger, (given, kind), attached);
                    }
                }
            }
            for (logger, filter) in calls("addFilter") {
                if let Some(logger) = self.logger_name(file, logger, 0) {
                    self.attach(file, &logger, (filter, Kind::OwnFilter), attached);
                }
            }
        }
    }

    fn attach(&mut self, file: FileId, logger: &str, (given, kind): (ExprId, Kind), attached: &mut Vec<Attached>) {
        let objects = self.eval(file, given);
        let is_own = |object: &&ValueId| matches!(self.values.get(**object), Value::Instance { .. });
        let room = MOST_ATTACHED.saturating_sub(attached.len());
        let objects = self.values.members(objects).iter().filter(is_own).take(room);
        attached.extend(objects.map(|object| Attached { logger: logger.to_owned(), object: *object, kind }));
    }

    /// The objects that a call of a logger runs, each with the methods.
    pub(crate) fn logged(&mut self, file: FileId, callee: ExprId) -> Vec<(ValueId, &'static [&'static str])> {
        let Expr::Attribute(logger, method) = *self.expr(file, callee) else { return Vec::new() };
        let method = self.file(file).facts.name(method);
        // Below a warning nothing is logged, unless somebody says so.
        let is_told = || LEVELS.iter().any(|name| self.values.known_symbol(name).is_some());
        if !(ALWAYS_LOGGED.contains(&method) || (matches!(method, "debug" | "info" | "log") && is_told())) {
            return Vec::new();
        }
        let Some(name) = self.logger_name(file, logger, 0) else { return Vec::new() };
        let (mut found, mut next) = (Vec::new(), Some(&*name));
        while let Some(logger) = next {
            let own = self.loggers.attached.iter().filter(|one| one.logger == logger);
            let own = own.filter(|one| one.kind != Kind::OwnFilter || logger == name);
            found.extend(own.map(|one| (one.object, one.kind.methods())));
            let is_closed = self.loggers.closed.iter().any(|closed| closed == logger);
            found.truncate(MOST_LOGGED);
            next = logger.rsplit_once('.').map(|(parent, _)| parent).filter(|_| !is_closed);
        }
        found
    }

    /// The name of a logger, other than the root.
    fn logger_name(&mut self, file: FileId, expr: ExprId, depth: u32) -> Option<String> {
        if depth > DEEPEST {
            return None;
        }
        if let Some((module, name)) = self.name_of_module(file, expr) {
            return self.logger_of_module(module, name, depth);
        }
        match self.expr(file, expr).clone() {
            Expr::Local(bindings) => self.bound_logger(file, &bindings, depth),
            Expr::Free(scope, name) => {
                let bindings = self.file(file).facts.bindings_of(scope, name).to_vec();
                self.bound_logger(file, &bindings, depth)
            }
            Expr::Call(callee, arguments) => {
                let callees = self.eval(file, callee);
                let [one] = *self.values.members(callees) else { return None };
                match *self.values.get(one) {
                    Value::External(path) if self.values.path_text(path) == "logging.getLogger" => {
                        let [Argument { value, .. }] = *arguments else { return None };
                        match *self.expr(file, value) {
                            Expr::Text(name) => Some(self.file(file).facts.name(name).to_owned()),
                            Expr::Global(name) if self.file(file).facts.name(name) == "__name__" => {
                                Some(self.file(file).module.clone())
                            }
                            _ => None,
                        }
                    }
                    Value::Function(function, _) => {
                        let [(returned, _)] = self.ask_returns(function)[..] else { return None };
                        self.logger_name(self.file_of(function), returned, depth + 1)
                    }
                    _ => None,
                }
            }
            _ => None,
        }
    }

    /// Modules may import a name from each other.
    fn logger_of_module(&mut self, module: FileId, name: Symbol, depth: u32) -> Option<String> {
        if depth > DEEPEST {
            return None;
        }
        let place = *self.file(module).members.get(&name)?;
        let bindings = self.file(module).facts.scopes[MODULE_SCOPE].names[place].1.clone();
        self.bound_logger(module, &bindings, depth)
    }

    fn bound_logger(&mut self, file: FileId, bindings: &[BindingId], depth: u32) -> Option<String> {
        let [binding] = *bindings else { return None };
        match self.file(file).facts.bindings[binding].kind {
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => {
                self.logger_name(file, value, depth + 1)
            }
            BindingKind::ImportFrom { module, level, name } => {
                let name = self.symbol(file, name);
                let module = self.imported_module(file, module, level)?.file?;
                self.logger_of_module(module, name, depth + 1)
            }
            _ => None,
        }
    }
}

/// Names by which code says what loggers run: an edit of such code may matter to all that logs.
pub(crate) const LOGGING: &[&str] = &[
    "addHandler",
    "addFilter",
    "removeHandler",
    "removeFilter",
    "setFormatter",
    "propagate",
    "setLevel",
    "basicConfig",
    "dictConfig",
    "fileConfig",
];
/// What says which levels are logged.
const LEVELS: &[&str] = &["setLevel", "basicConfig", "dictConfig", "fileConfig"];
const ALWAYS_LOGGED: &[&str] = &["warning", "warn", "error", "exception", "critical", "fatal"];
/// Objects that are attached to loggers, and those that one call runs.
const MOST_ATTACHED: usize = 200;
const MOST_LOGGED: usize = 8;
/// Steps from a name to the logger.
const DEEPEST: u32 = 6;
