//! Code that says nothing to any rule, whatever the rest of the program is.

use super::watched::Watched;
use crate::catalogue::{Catalogue, Handed, canonical, is_quiet};
use crate::facts::{
    Argument, BindingId, BindingKind, Condition, Event, EventKind, Expr, ExprId, Facts, FunctionId, Guard, GuardId,
    MODULE, MODULE_SCOPE,
};
use crate::link::is_test;
use crate::rules::{is_to_cancel, misuse};

/// What is quiet in a file.
#[derive(Clone, Copy)]
pub(super) struct Quiet<'q> {
    pub(super) facts: &'q Facts,
    pub(super) path: &'q str,
    /// Whether a module is none of the program's own.
    pub(super) is_outside: &'q dyn Fn(&str) -> bool,
    pub(super) catalogue: &'q Catalogue,
    pub(super) watched: &'q Watched,
    /// Functions that were looked into, one within the other.
    pub(super) depth: u32,
}

impl Quiet<'_> {
    /// Whether an event is one that nobody hears of.
    pub(super) fn event(&self, event: &Event) -> bool {
        let expr = event.expr;
        if self.uses_results(event) {
            return false;
        }
        match event.kind {
            EventKind::Call(_) | EventKind::Test => self.call(expr),
            EventKind::Read => match self.facts.exprs[expr] {
                Expr::Attribute(object, name) => {
                    let name = self.facts.name(name);
                    let is_plain = !self.watched.has(name) || self.path_of(object, 0).is_some();
                    is_plain && !is_to_cancel(name)
                }
                _ => false,
            },
            EventKind::Operator(name) => !self.watched.has(self.facts.name(name)) || self.is_plain(expr),
            EventKind::Iterate => {
                self.path_of(expr, 0).is_some_and(|path| self.says_nothing(&format!("{path}[*]"), &[]))
            }
            _ => false,
        }
    }

    /// Whether an event uses what a call gives, by itself or by a name, that may be one of the program's: it may be a coroutine.
    fn uses_results(&self, event: &Event) -> bool {
        let object = |expr: ExprId| match self.facts.exprs[expr] {
            Expr::Attribute(object, _) => Some(object),
            _ => None,
        };
        let used: Vec<ExprId> = match (event.kind, &self.facts.exprs[event.expr]) {
            (EventKind::Call(_), Expr::Call(callee, arguments)) => {
                object(*callee).into_iter().chain(arguments.iter().map(|argument| argument.value)).collect()
            }
            (EventKind::Read, _) => object(event.expr).into_iter().collect(),
            _ => vec![event.expr],
        };
        used.into_iter().any(|used| match &self.facts.exprs[used] {
            Expr::Local(bindings) => bindings.iter().any(|binding| self.has_result(*binding)),
            _ => misuse::calls(self.facts, used).iter().any(|call| !self.call(*call)),
        })
    }

    /// Whether a name has what a call gives that may be one of the program's.
    pub(super) fn has_result(&self, binding: BindingId) -> bool {
        let value = misuse::value_of(&self.facts.bindings[binding]);
        value.is_some_and(|value| misuse::calls(self.facts, value).iter().any(|call| !self.call(*call)))
    }

    /// Whether a function that has come or gone is one that nobody hears of.
    pub(super) fn function(&self, id: FunctionId) -> bool {
        let function = &self.facts.functions[id];
        let name = self.facts.name(function.name);
        // Of coroutine functions that await nothing, only these are not told.
        let is_spared = function.is_stub || is_test(self.path);
        let is_form_quiet = !function.is_async || (is_spared && !self.watched.has(name));
        is_form_quiet && self.does_nothing(id) && self.name(name, self.facts.bindings_of(MODULE_SCOPE, function.name))
    }

    /// Whether a name is that of a function of this module that does nothing either.
    fn calls_nothing(&self, callee: ExprId) -> bool {
        let bindings = match &self.facts.exprs[callee] {
            Expr::Local(bindings) => bindings,
            Expr::Free(scope, name) => self.facts.bindings_of(*scope, *name),
            _ => return false,
        };
        let [binding] = *bindings else { return false };
        match self.facts.bindings[binding].kind {
            BindingKind::Function(id) => !self.facts.functions[id].is_async && self.does_nothing(id),
            _ => false,
        }
    }

    /// Whether a function stands in the module as it is, and all that it does is quiet.
    fn does_nothing(&self, id: FunctionId) -> bool {
        let inner = Quiet { depth: self.depth + 1, ..*self };
        let function = &self.facts.functions[id];
        let is_plain = !function.is_generator && !function.is_lambda && function.decorators.is_empty();
        let is_alone = function.parent == MODULE && function.class.is_none();
        let bindings = self.facts.bindings_of(MODULE_SCOPE, function.name);
        let is_bound = matches!(bindings, [one] if self.facts.bindings[*one].kind == BindingKind::Function(id));
        let is_quiet = || function.events.iter().all(|event| inner.event(event));
        self.depth < DEEPEST_CALL && is_plain && is_alone && is_bound && is_quiet()
    }

    /// Whether a name that the module has got, or has no more, is one that nobody hears of.
    pub(super) fn name(&self, name: &str, bindings: &[BindingId]) -> bool {
        let is_plain = |binding: &BindingId| {
            let kind = self.facts.bindings[*binding].kind;
            !matches!(kind, BindingKind::Class(_) | BindingKind::Unknown | BindingKind::Unpacked(..))
        };
        bindings.iter().all(is_plain) && !self.watched.is_asked_for(self.path, name)
    }

    /// The condition, or the first one around it that more than a quiet call of something outside the program has to do with.
    pub(super) fn guard(&self, guard: GuardId) -> GuardId {
        let mut next = guard;
        while let Guard { parent, condition: Condition::Called { expr, .. } } = self.facts.guards[next]
            && self.calls_outside(expr)
        {
            next = parent;
        }
        next
    }

    fn call(&self, call: ExprId) -> bool {
        let Expr::Call(callee, _) = self.facts.exprs[call] else { return false };
        self.calls_outside(call) || self.calls_nothing(callee)
    }

    fn calls_outside(&self, call: ExprId) -> bool {
        let Expr::Call(callee, arguments) = &self.facts.exprs[call] else { return false };
        // What is done with an object of the function's own may say something of others that it has.
        let is_of_local = match self.facts.exprs[*callee] {
            Expr::Attribute(object, _) => self.is_own_object(object),
            _ => false,
        };
        !is_of_local && self.path_of(*callee, 0).is_some_and(|path| self.says_nothing(&path, arguments))
    }

    /// Whether it is a name of the function that is no module or what a module has.
    fn is_own_object(&self, object: ExprId) -> bool {
        let Expr::Local(bindings) = &self.facts.exprs[object] else { return false };
        let is_imported = |binding: &BindingId| {
            matches!(self.facts.bindings[*binding].kind, BindingKind::Import { .. } | BindingKind::ImportFrom { .. })
        };
        !bindings.iter().all(is_imported)
    }

    /// Whether a call of something outside the program means nothing to any rule.
    fn says_nothing(&self, path: &str, arguments: &[Argument]) -> bool {
        is_quiet(path)
            && self.catalogue.sink(path).is_none()
            && self.catalogue.handed(path).iter().all(|what| {
                let is_plain = |place: usize| arguments.get(place).is_none_or(|argument| self.is_plain(argument.value));
                match *what {
                    Handed::Special(place, method) => !self.watched.has(method) || is_plain(place),
                    Handed::Iterates(place) => is_plain(place),
                    _ => false,
                }
            })
    }

    /// Whether a value is no object of the program.
    fn is_plain(&self, value: ExprId) -> bool {
        match &self.facts.exprs[value] {
            Expr::Unknown
            | Expr::Constant(_)
            | Expr::Sequence(_)
            | Expr::Not(_)
            | Expr::Same(..)
            | Expr::Compared(..) => true,
            _ => self.path_of(value, 0).is_some(),
        }
    }

    /// What an expression is called, if it is one thing outside the program, as this file alone says.
    fn path_of(&self, expr: ExprId, depth: u32) -> Option<String> {
        if depth > DEEPEST {
            return None;
        }
        match &self.facts.exprs[expr] {
            Expr::Text(_) | Expr::Joined(..) => Some("str()".to_owned()),
            Expr::Global(name) if self.facts.scopes[MODULE_SCOPE].stars.is_empty() => {
                let name = self.facts.name(*name);
                is_quiet(name).then(|| name.to_owned())
            }
            Expr::Local(bindings) => self.bound(bindings, depth),
            Expr::Free(scope, name) => self.bound(self.facts.bindings_of(*scope, *name), depth),
            Expr::Attribute(object, name) => {
                let object = self.path_of(*object, depth + 1)?;
                known(&format!("{object}.{}", self.facts.name(*name)))
            }
            Expr::Call(callee, _) => {
                let callee = self.path_of(*callee, depth + 1)?;
                match self.catalogue.returned(&callee) {
                    Some(given) => known(given),
                    None => known(&format!("{callee}()")),
                }
            }
            _ => None,
        }
    }

    fn bound(&self, bindings: &[BindingId], depth: u32) -> Option<String> {
        let [binding] = *bindings else { return None };
        match self.facts.bindings[binding].kind {
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => {
                self.path_of(value, depth + 1)
            }
            BindingKind::Import { module, is_root } => {
                let name = self.facts.name(module);
                let name = if is_root { name.split('.').next().unwrap_or(name) } else { name };
                (self.is_outside)(name).then(|| known(name)).flatten()
            }
            BindingKind::ImportFrom { module, level: 0, name } => {
                let module = self.facts.name(module);
                let name = self.facts.name(name);
                (self.is_outside)(module).then(|| known(&format!("{module}.{name}"))).flatten()
            }
            _ => None,
        }
    }
}

/// The path, if it is one of those that may be quiet.
fn known(path: &str) -> Option<String> {
    let path = canonical(path).unwrap_or_else(|| path.to_owned());
    is_quiet(&path).then_some(path)
}

/// Functions that call each other.
const DEEPEST_CALL: u32 = 2;
/// Steps from a name to what it is.
const DEEPEST: u32 = 12;
