//! What keeps a function from becoming a coroutine function, and a call from being awaited.

use super::closure::{Closure, Closures, Obstacle};
use super::escapes::Escape;
use super::places::{Around, Form};
use super::sites::{at, is_call};
use crate::catalogue::{Called, called};
use crate::facts::{EventKind, Expr, ExprId};
use crate::graph::{Edge, Site};
use crate::link::Program;
use crate::link::values::{ClsId, FileId, FnId, SetId, Value};

impl Closures<'_, '_> {
    /// Whether a function can be a coroutine function.
    pub(super) fn can_change(&mut self, function: FnId, closure: &mut Closure) -> Result<(), Obstacle> {
        let site = self.site_of(function);
        let obstacle = |reason: String| Err(Obstacle { site, reason });
        self.is_readable(site)?;
        let this = self.program.function(function).clone();
        let name = self.program.file(site.file).facts.name(this.name).to_owned();
        let is_special = name.starts_with("__") && name.ends_with("__");
        if is_special && !matches!(name.as_str(), "__enter__" | "__exit__") {
            return obstacle(format!("`{name}` cannot be a coroutine function: Python calls it"));
        }
        if self.graph.scheduled.iter().any(|scheduled| scheduled.callee == function) {
            return obstacle(format!("the loop calls `{name}` as a plain function"));
        }
        self.hands_over(function, &name, closure)?;
        if let Some(decorator) = self.strange_decorator(function) {
            return obstacle(format!("the decorator `{decorator}` of `{name}` may not take a coroutine function"));
        }
        if this.is_generator {
            self.can_generate(function, &name)?;
        }
        self.stops_nobody(function)?;
        self.is_not_spelled(&name)?;
        self.is_always_a_method(function)?;
        if let Some(class) = self.program.class_of(function) {
            let bases = self.program.external_bases(class);
            if let Some(base) = bases.iter().find(|base| may_call(base, &name)) {
                return obstacle(format!(
                    "`{name}` may override a method of `{base}`, which calls it as a plain function"
                ));
            }
        }
        if name == "__enter__" || name == "__exit__" {
            self.is_entered_by_with(function)?;
            self.has_no_asynchronous_form(function)?;
        }
        self.is_known_everywhere(function, &name)
    }

    /// Whether no class of these has what the context manager would become.
    fn has_no_asynchronous_form(&self, function: FnId) -> Result<(), Obstacle> {
        let Some(class) = self.program.class_of(function) else { return Ok(()) };
        let Some(name) = self.program.values.known_symbol("__aenter__") else { return Ok(()) };
        let heirs = self.program.heirs(class).iter().copied();
        let mut classes = heirs.chain(self.program.ancestors(class)).chain([class]);
        match classes.find(|class| self.program.has_own(*class, name)) {
            Some(class) => {
                let reason = format!("`{}` has an asynchronous form already: use `async with`", self.class_name(class));
                Err(Obstacle { site: self.site_of(function), reason })
            }
            None => Ok(()),
        }
    }

    fn hands_over(&mut self, function: FnId, name: &str, closure: &mut Closure) -> Result<(), Obstacle> {
        let site = self.site_of(function);
        let escapes = self.escapes.get(&function).cloned().unwrap_or_default();
        for escape in &escapes {
            if self.in_the_way(function, *escape) {
                let reason = format!("`{name}` is handed over as a value: who gets it calls it as a plain function");
                return Err(Obstacle { site, reason });
            }
            if let Escape::Given(call) = escape
                && self.offloads.contains_key(&(*call, function))
            {
                closure.offloads.insert((*call, function));
                closure.is_called_outside = true;
            }
        }
        if self.graph.elsewhere.contains(&function) && closure.offloads.is_empty() {
            return Err(Obstacle { site, reason: format!("`{name}` also runs in another thread") });
        }
        Ok(())
    }

    /// Whether no class above or below has something else than a function under its name.
    fn is_always_a_method(&self, function: FnId) -> Result<(), Obstacle> {
        let Some(class) = self.program.class_of(function) else { return Ok(()) };
        let symbol = self.program.symbol(self.program.file_of(function), self.program.function(function).name);
        let heirs = self.program.heirs(class).iter().copied();
        let mut classes = heirs.chain(self.program.ancestors(class)).chain([class]);
        let is_other =
            |class: &ClsId| self.program.has_own(*class, symbol) && self.program.own_method(*class, symbol).is_empty();
        match classes.find(is_other) {
            Some(class) => {
                let (name, class) = (self.name_of(function), self.class_name(class));
                let reason = format!("`{name}` of `{class}` is no plain method: it stays as it is");
                Err(Obstacle { site: self.site_of(function), reason })
            }
            None => Ok(()),
        }
    }

    fn can_generate(&mut self, function: FnId, name: &str) -> Result<(), Obstacle> {
        let site = self.site_of(function);
        let places = self.pages.places(site.file);
        let definition = places.definitions.get(&site.span);
        if definition.is_none_or(|definition| definition.returns_value || definition.is_sent_to) {
            let reason = format!("`{name}` is a generator that returns a value, or is sent one");
            return Err(Obstacle { site, reason });
        }
        Ok(())
    }

    pub(super) fn strange_decorator(&mut self, function: FnId) -> Option<String> {
        let file = self.program.file_of(function);
        let is_generator = self.program.function(function).is_generator;
        for decorator in self.program.function(function).decorators.clone() {
            let set = self.program.eval(file, decorator);
            let mut name = None;
            for value in self.program.values.shared(set).iter().copied() {
                name = match self.program.values.get(value) {
                    Value::External(path) => Some(self.program.values.path_text(*path).to_owned()),
                    Value::Function(known, _) => {
                        let known = *known;
                        match self.wrapper(known) {
                            Some(_) if !is_generator => Some("typing.override".to_owned()),
                            _ => Some(self.program.qualified_name(known)),
                        }
                    }
                    Value::Class { class, .. } => Some(self.class_name(*class)),
                    _ => None,
                };
                if name.is_some() {
                    break;
                }
            }
            let is_known = match name.as_deref() {
                Some("contextlib.contextmanager") => is_generator,
                Some(name) => PLAIN_DECORATORS.contains(&name),
                None => false,
            };
            if !is_known {
                return Some(name.unwrap_or_else(|| self.written(file, decorator)));
            }
        }
        None
    }

    /// What the text calls a decorator, without what it is called with.
    pub(super) fn written(&self, file: FileId, decorator: ExprId) -> String {
        let text = self.pages.slice(file, self.program.file(file).facts.span(decorator));
        text.split('(').next().unwrap_or(text).trim().to_owned()
    }

    /// Whether a file can be changed.
    pub(super) fn is_readable(&self, site: Site) -> Result<(), Obstacle> {
        match self.program.file(site.file).facts.error {
            Some(_) => Err(Obstacle { site, reason: "this file is no Python".to_owned() }),
            None => Ok(()),
        }
    }

    /// Whether the caller can wait for it, there.
    pub(super) fn can_await(&mut self, edge: &Edge) -> Result<(), Obstacle> {
        let (caller, site) = at(edge);
        self.is_readable(site)?;
        let obstacle = |reason: &str| Err(Obstacle { site, reason: reason.to_owned() });
        let is_on_loop = self.program.function(caller).is_async || self.on_loop.contains(&caller);
        let is_generator = self.program.function(edge.callee).is_generator;
        let places = self.pages.places(site.file);
        let around = match edge.kind {
            EventKind::Iterate if is_generator && is_on_loop => return self.can_iterate(edge),
            EventKind::Enter if is_on_loop => {
                self.is_context(edge)?;
                return self.can_enter(site);
            }
            _ if edge.is_handed => {
                return obstacle("the function is handed over as a value: who gets it calls it as a plain function");
            }
            EventKind::Call(_) if is_generator => return self.can_make(edge),
            EventKind::Call(_) => places.calls.get(&site.span).map(|call| call.around),
            EventKind::Read if is_on_loop => places.reads.get(&site.span).copied(),
            EventKind::Read | EventKind::Enter | EventKind::Iterate if !is_on_loop => {
                return obstacle("a caller outside any loop would have to run one for it");
            }
            _ => return obstacle("it runs by an operator or a loop, which cannot await it"),
        };
        if edge.kind == EventKind::Read {
            self.is_always_read_so(edge)?;
        }
        let function = self.program.function(edge.callee);
        let name = self.program.file(self.program.file_of(edge.callee)).facts.name(function.name);
        if is_call(edge) && matches!(name, "__enter__" | "__exit__") {
            return obstacle("this calls it by the name that it has now");
        }
        match around {
            Some(Around { is_shown: true, .. }) => obstacle("`f\"{...=}\"` shows here how it is written"),
            Some(around) if is_on_loop && !is_open(around) => obstacle(NO_PLACE),
            None | Some(Around { is_awaited: true, .. }) => obstacle(NO_PLACE),
            Some(_) => Ok(()),
        }
    }

    /// Whether an attribute is a property of all objects that may stand there: a plain one cannot be awaited.
    fn is_always_read_so(&mut self, edge: &Edge) -> Result<(), Obstacle> {
        let (caller, site) = at(edge);
        let events = &self.program.function(caller).events;
        let read = events.iter().find(|event| event.span == site.span && event.kind == EventKind::Read);
        let Some(Expr::Attribute(object, name)) = read.map(|event| self.program.expr(site.file, event.expr).clone())
        else {
            return Ok(());
        };
        let name = self.program.symbol(site.file, name);
        let set = self.program.eval(site.file, object);
        let mut classes: Vec<ClsId> = Vec::new();
        for value in self.program.values.members(set) {
            if let Value::Instance { class, is_exact, .. } = *self.program.values.get(*value) {
                classes.push(class);
                classes.extend(self.program.heirs(class).iter().filter(|_| !is_exact));
            }
        }
        for class in classes {
            let owners = [class].into_iter().chain(self.program.ancestors(class));
            let owner = owners.into_iter().find(|owner| self.program.has_own(*owner, name));
            if owner.is_none_or(|owner| self.program.own_method(owner, name).is_empty()) {
                let reason = format!("this may be a plain attribute of `{}` as well", self.class_name(class));
                return Err(Obstacle { site, reason });
            }
        }
        Ok(())
    }

    /// A `for`, a comprehension, or a function that takes all elements at once.
    fn can_iterate(&mut self, edge: &Edge) -> Result<(), Obstacle> {
        let (_, site) = at(edge);
        let places = self.pages.places(site.file);
        let obstacle = |reason: &str| Err(Obstacle { site, reason: reason.to_owned() });
        if edge.is_handed {
            let Some(call) = places.calls.get(&site.span) else { return obstacle(NO_PLACE) };
            let is_used_up = super::walk::USED_UP.contains(&self.pages.slice(site.file, call.function));
            return if is_used_up && call.arguments.len() == 1 && is_open(call.around) {
                Ok(())
            } else {
                obstacle("what iterates over it here cannot be asynchronous")
            };
        }
        match places.loops.get(&site.span) {
            Some(found) if is_open(found.around) && !found.around.is_lambda => Ok(()),
            _ => obstacle("what iterates over it here cannot be asynchronous"),
        }
    }

    /// Whether `with` itself calls it: it can be asynchronous then. What else calls something at its end cannot.
    fn is_context(&self, edge: &Edge) -> Result<(), Obstacle> {
        let name = self.name_of(edge.callee);
        if self.program.function(edge.callee).is_generator || matches!(name.as_str(), "__enter__" | "__exit__") {
            return Ok(());
        }
        let reason = format!("`contextlib.closing` calls `{name}` as a plain function");
        Err(Obstacle { site: at(edge).1, reason })
    }

    fn can_enter(&mut self, site: Site) -> Result<(), Obstacle> {
        let places = self.pages.places(site.file);
        let obstacle = |reason: &str| Err(Obstacle { site, reason: reason.to_owned() });
        if places.withs.contains_key(&site.span) { Ok(()) } else { obstacle(NO_PLACE) }
    }

    /// Where a generator is made, it is iterated over or entered, too: nothing else gets hold of it.
    fn can_make(&mut self, edge: &Edge) -> Result<(), Obstacle> {
        let (caller, site) = at(edge);
        let places = self.pages.places(site.file);
        let is_manager = self.is_manager(edge.callee);
        let is_on_loop = self.program.function(caller).is_async || self.on_loop.contains(&caller);
        let sole = places.sole.get(&site.span).and_then(|call| places.calls.get(call));
        let is_delegated =
            places.loops.values().any(|found| matches!(found.form, Form::Delegation(inner) if inner == site.span));
        let is_taken = if is_manager {
            places.withs.contains_key(&site.span)
        } else {
            places.loops.contains_key(&site.span)
                || is_delegated
                || sole.is_some_and(|call| super::walk::USED_UP.contains(&self.pages.slice(site.file, call.function)))
        };
        if is_taken && is_on_loop && edge.via.is_empty() {
            return Ok(());
        }
        let reason = if is_on_loop {
            "a generator is made here, and not iterated over at once"
        } else {
            "a caller outside any loop would have to run one for it"
        };
        Err(Obstacle { site, reason: reason.to_owned() })
    }
}

/// Whether `await` can stand there.
pub(super) const fn is_open(around: Around) -> bool {
    !around.is_awaited && !around.is_shown && (!around.is_closed || (around.is_lambda && !around.is_tight))
}

/// Whether `contextlib.contextmanager` decorates it.
pub(super) fn is_manager(program: &mut Program, function: FnId) -> bool {
    let file = program.file_of(function);
    program.function(function).decorators.clone().into_iter().any(|decorator| {
        let set = program.eval(file, decorator);
        program.values.members(set).iter().any(|value| match program.values.get(*value) {
            Value::External(path) => program.values.path_text(*path) == "contextlib.contextmanager",
            _ => false,
        })
    })
}

/// The functions of the program among these values.
pub(super) fn functions_in(program: &Program, set: SetId) -> Vec<FnId> {
    let members = program.values.members(set).iter();
    members
        .filter_map(|value| match program.values.get(*value) {
            Value::Function(function, _) => Some(*function),
            _ => None,
        })
        .collect()
}

/// Whether a base outside the program may call a method of this name of its heirs: its own, if those are known, else all public ones.
pub(super) fn may_call(base: &str, name: &str) -> bool {
    let is_hidden = name.starts_with('_') && !name.ends_with("__");
    !is_harmless(base) && called(base, name).map_or(!is_hidden, |called| called.is_some())
}

/// Whether a loop may run where it calls it. Of what the program itself calls, only what is known to be the base's is.
pub(super) fn may_call_on_loop(base: &str, name: &str, is_called: bool) -> bool {
    match called(base, name) {
        Ok(called) => called == Some(Called::Anywhere),
        Err(()) => !is_called && may_call(base, name),
    }
}

/// Bases that call nothing of their heirs.
fn is_harmless(base: &str) -> bool {
    matches!(base, "enum.Enum" | "typing.NamedTuple") || base.ends_with("Exception") || base.ends_with("Error")
}

const PLAIN_DECORATORS: &[&str] = &[
    "property",
    "staticmethod",
    "classmethod",
    "abc.abstractmethod",
    "typing.overload",
    "typing_extensions.overload",
    "typing.override",
    "typing.final",
    "functools.wraps()",
    "typing_extensions.override",
];

pub(super) const NO_PLACE: &str =
    "there is no place for `await`: a lambda, a generator expression, a default, a decorator, or a class body";
