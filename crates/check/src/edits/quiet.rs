//! Code that says nothing to any rule, whatever the rest of the program is.

use super::forms::{Alike, Forms, LikeCall};
use super::watched::Watched;
use crate::catalogue::{Catalogue, Category, Handed, Unless, canonical, is_builtin, is_quiet, is_quiet_builtin};
use crate::facts::{
    ALWAYS, Argument, BindingId, BindingKind, ClassId, Condition, Event, EventKind, Expr, ExprId, Facts, FunctionId,
    Guard, GuardId, MODULE, MODULE_SCOPE, Part, Parts, Use,
};
use crate::graph::Noise;
use crate::link::values::FileId;
use crate::link::{Asked, Modules, Words, is_answered, is_test, may_replace, waited_for};
use crate::rules::{is_to_cancel, misuse, needs_a_loop};
use rustc_hash::FxHashSet;

/// What a call blocks on.
pub(super) struct Stopping {
    pub(super) path: String,
    pub(super) category: Category,
}

/// A call of a function of the program, alone on its line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Callee {
    Here(FunctionId),
    /// In the module of that file, by its name.
    In(FileId, String),
}

/// The modules that a file may import.
pub(super) struct Around<'q> {
    pub(super) modules: &'q Modules,
    pub(super) file: FileId,
    /// The file's own name as a module.
    pub(super) name: &'q str,
}

impl Around<'_> {
    /// Whether a module is none of the program's own.
    fn is_outside(&self, module: &str) -> bool {
        self.modules.find(module, self.file).is_none() && !self.modules.is_namespace(module)
    }

    fn find(&self, module: &str, level: u32) -> Option<FileId> {
        if level == 0 {
            return self.modules.find(module, self.file);
        }
        self.modules.find(&self.modules.absolute(self.file, self.name, level, module)?, self.file)
    }
}

/// What is quiet in a file.
#[derive(Clone, Copy)]
pub(super) struct Quiet<'q> {
    pub(super) facts: &'q Facts,
    pub(super) forms: &'q Forms<'q>,
    pub(super) alike: &'q Alike,
    pub(super) path: &'q str,
    pub(super) around: &'q Around<'q>,
    pub(super) catalogue: &'q Catalogue,
    pub(super) watched: &'q Watched,
    /// The names and texts of the program before the edit, if they are known.
    pub(super) words: Option<&'q Words>,
    /// What others have asked of the functions of the old text.
    pub(super) asked_of: &'q [Asked],
    /// Functions that were looked into, one within the other.
    pub(super) depth: u32,
}

impl<'q> Quiet<'q> {
    /// Whether an event is one that nobody hears of.
    pub(super) fn event(&self, event: &Event) -> bool {
        let expr = event.expr;
        if self.asks_for_any(expr) {
            return false;
        }
        // Of what is called in a handler it is asked whether it returns.
        let is_in_handler = || self.facts.handlers.iter().any(|handler| handler.span.contains(event.span));
        if matches!(event.kind, EventKind::Call(_)) && is_in_handler() && !self.calls_outside(expr) {
            return false;
        }
        if self.is_silent(event) {
            return true;
        }
        if self.uses_results(event) {
            return false;
        }
        match event.kind {
            EventKind::Call(Use::Awaited) => self.call(expr) || self.sleeps(expr, event.guard),
            EventKind::Call(_) => self.call(expr),
            EventKind::Test => self.calls_outside(expr) || (self.call(expr) && !self.watched.has("__bool__")),
            EventKind::Await => match self.facts.exprs[expr] {
                Expr::Await(call) => self.sleeps(call, event.guard),
                _ => false,
            },
            EventKind::Read => match self.facts.exprs[expr] {
                Expr::Attribute(object, name) => {
                    let name = self.facts.name(name);
                    let is_known = !self.watched.has(name) && !self.watched.has_property(name);
                    let is_plain = is_known || self.path_of(object, 0).is_some();
                    is_plain && !is_to_cancel(name)
                }
                _ => false,
            },
            EventKind::Operator(name) => !self.watched.has(self.facts.name(name)) || self.is_plain(expr),
            EventKind::Iterate => {
                let steps = self.path_of(expr, 0).map(|path| format!("{path}[*]"));
                // What is given to these is not known here.
                steps.is_some_and(|steps| self.catalogue.handed(&steps).is_empty() && self.says_nothing(&steps, &[]))
            }
            _ => false,
        }
    }

    /// Whether it asks for an attribute by a name that is computed: any may be meant.
    fn asks_for_any(&self, call: ExprId) -> bool {
        let Expr::Call(callee, arguments) = &self.facts.exprs[call] else { return false };
        let is_getattr = matches!(self.facts.exprs[*callee], Expr::Global(name) if self.facts.name(name) == "getattr");
        is_getattr && arguments.get(1).is_none_or(|name| !matches!(self.facts.exprs[name.value], Expr::Text(_)))
    }

    /// What happens in a function that is not quiet.
    pub(super) fn heard(self, function: FunctionId) -> impl Iterator<Item = &'q Event> {
        self.facts.functions[function].events.iter().filter(move |event| !self.event(event))
    }

    /// Whether an event is like others of which the program has heard nothing.
    fn is_silent(&self, event: &Event) -> bool {
        let noise = self.alike.noise(self.forms, event);
        if noise > Noise::Asked {
            return false;
        }
        match (event.kind, &self.facts.exprs[event.expr]) {
            (EventKind::Call(Use::Entered), _) => false,
            (EventKind::Call(_) | EventKind::Test, Expr::Call(callee, arguments)) => {
                let is_free = event.kind != EventKind::Call(Use::Awaited) || self.holds_nothing(event.guard);
                is_free
                    && !self.is_looked_for(*callee)
                    && !self.may_open_again(*callee)
                    && self.keeps_nothing(noise, *callee, arguments)
                    && misuse::gathered(self.facts, event.expr).iter().all(|value| !self.is_result(*value))
            }
            (EventKind::Read, Expr::Attribute(_, name)) => {
                !is_to_cancel(self.facts.name(*name)) && !self.uses_results(event)
            }
            (EventKind::Await, Expr::Await(awaited)) => {
                self.holds_nothing(event.guard)
                    && (matches!(self.facts.exprs[*awaited], Expr::Call(..)) || !self.is_result(*awaited))
            }
            (EventKind::Operator(_) | EventKind::Iterate | EventKind::Unpack, _) => !self.uses_results(event),
            _ => false,
        }
    }

    /// Whether a method of an object may have set anew what that has: a loop that was closed before.
    fn may_open_again(&self, callee: ExprId) -> bool {
        let is_of_loop = |name: &str| {
            name.to_ascii_lowercase().contains("loop")
                || ["call_", "run_", "create_"].iter().any(|prefix| name.starts_with(prefix))
        };
        let names = || self.facts.names.iter();
        self.is_of_own_object(callee) && names().any(|name| name == "close") && names().any(is_of_loop)
    }

    /// Whether a call that says nothing is given nothing that may be a coroutine, and is no method of that.
    fn keeps_nothing(&self, noise: Noise, callee: ExprId, arguments: &[Argument]) -> bool {
        let object = match self.facts.exprs[callee] {
            Expr::Attribute(object, _) if noise != Noise::Outside => Some(object),
            _ => None,
        };
        let given = arguments.iter().map(|argument| argument.value);
        given.chain(object).all(|value| !self.is_result(value))
    }

    /// Whether no lock can be held there.
    fn holds_nothing(&self, guard: GuardId) -> bool {
        let is_within = |condition| matches!(condition, Condition::Within(_) | Condition::AsyncWithin(_));
        !self.facts.conditions(guard).any(is_within)
            && !self.facts.names.iter().any(|name| matches!(name, "acquire" | "__enter__"))
    }

    /// Whether a call is like others that run nothing but what is outside the program, and give nothing of the program's.
    pub(super) fn is_like_outside(&self, call: ExprId) -> bool {
        matches!(self.facts.exprs[call], Expr::Call(callee, _) if !self.is_looked_for(callee))
            && self.alike.noise_of_call(self.forms, call) == Noise::Outside
    }

    /// Calls of the old text like this one, if these run functions of the program, and do nothing else that anybody hears of.
    pub(super) fn like(&self, event: &Event) -> &'q [LikeCall] {
        let Expr::Call(callee, arguments) = &self.facts.exprs[event.expr] else { return &[] };
        let is_dropped = match event.kind {
            EventKind::Call(Use::Discarded) => true,
            EventKind::Call(Use::Awaited) => self.holds_nothing(event.guard),
            _ => false,
        };
        let is_known = is_dropped
            && self.alike.noise(self.forms, event) == Noise::Calls
            && !self.is_looked_for(*callee)
            && !self.may_open_again(*callee)
            && arguments.iter().all(|argument| !self.is_result(argument.value));
        if is_known { self.alike.calls(self.forms, event) } else { &[] }
    }

    /// The names of objects on which functions of other libraries are called that nobody hears of: they are none of the program's.
    pub(super) fn outsiders(&self) -> &'q FxHashSet<BindingId> {
        self.forms.outsiders.get_or_init(|| {
            let events = self.facts.functions.iter().flat_map(|(_, function)| &function.events);
            let calls = events.filter(|event| matches!(event.kind, EventKind::Call(_)));
            let objects = calls.filter_map(|event| match self.facts.exprs[event.expr] {
                Expr::Call(callee, _) => match self.facts.exprs[callee] {
                    Expr::Attribute(object, _) => Some((event.expr, object)),
                    _ => None,
                },
                _ => None,
            });
            let names = objects.filter_map(|(call, object)| match &self.facts.exprs[object] {
                Expr::Local(bindings) if self.is_like_outside(call) => Some(bindings.iter().copied()),
                _ => None,
            });
            names.flatten().collect()
        })
    }

    /// How often the text says, before a place, what cancels.
    pub(super) fn cancels_before(&self, place: u32) -> usize {
        let exprs = self.facts.exprs.iter().filter(|(expr, _)| self.facts.span(*expr).start < place);
        exprs
            .filter(|(_, expr)| matches!(expr, Expr::Attribute(_, name) if is_to_cancel(self.facts.name(*name))))
            .count()
    }

    pub(super) fn is_literal(&self, value: ExprId) -> bool {
        matches!(self.facts.exprs[value], Expr::Unknown | Expr::Constant(_) | Expr::Text(_) | Expr::Prefix(_))
    }

    /// Whether it is the name of a built-in exception.
    pub(super) fn is_builtin_error(&self, expr: ExprId) -> bool {
        match self.facts.exprs[expr] {
            Expr::Global(name) if self.facts.scopes[MODULE_SCOPE].stars.is_empty() => {
                self.facts.name(name).ends_with("Error")
            }
            _ => false,
        }
    }

    /// Whether it is `asyncio.sleep(...)`, where no lock can be held.
    fn sleeps(&self, call: ExprId, guard: GuardId) -> bool {
        let Expr::Call(callee, _) = self.facts.exprs[call] else { return false };
        self.function_outside(callee).is_some_and(|path| path == "asyncio.sleep") && self.holds_nothing(guard)
    }

    /// What an event that may come and go calls, told as a name: nobody hears more of it than that.
    pub(super) fn alone(&self, event: &Event) -> Option<String> {
        if let Some(stop) = self.stop(event) {
            return Some(stop.path);
        }
        if !self.like(event).is_empty() {
            let is_awaited = event.kind == EventKind::Call(Use::Awaited);
            return Some(format!("{is_awaited} {:?}", self.forms.expr(event.expr)));
        }
        match self.call_alone(event)? {
            Callee::Here(function) => {
                Some(format!("here {}", self.facts.name(self.facts.functions[function].qualified)))
            }
            Callee::In(file, name) => Some(format!("{} {name}", file.0)),
        }
    }

    /// What an event blocks on, if that is all that anybody hears of it.
    pub(super) fn stop(&self, event: &Event) -> Option<Stopping> {
        let is_plain = matches!(event.kind, EventKind::Call(Use::Discarded | Use::Bound(_) | Use::Other));
        let Expr::Call(callee, _) = self.facts.exprs[event.expr] else { return None };
        if !is_plain || self.uses_results(event) || is_answered(self.facts, callee, event.guard) {
            return None;
        }
        self.stopping(event.expr)
    }

    /// The function that an event calls, if it is no more than that.
    pub(super) fn call_alone(&self, event: &Event) -> Option<Callee> {
        let is_alone = event.kind == EventKind::Call(Use::Discarded) && !self.uses_results(event);
        is_alone.then(|| self.callee(event.expr)).flatten()
    }

    fn callee(&self, call: ExprId) -> Option<Callee> {
        let Expr::Call(callee, _) = self.facts.exprs[call] else { return None };
        if let Some(own) = self.called_function(callee) {
            return Some(Callee::Here(own));
        }
        let [binding] = *self.bindings(callee)? else { return None };
        match self.facts.bindings[binding].kind {
            BindingKind::ImportFrom { module, level, name } => {
                Some(Callee::In(self.around.find(self.facts.name(module), level)?, self.facts.name(name).to_owned()))
            }
            _ => None,
        }
    }

    /// Whether that a call has returned says nothing of loops, whatever the rest of the program is.
    fn returns_anyhow(&self, call: ExprId) -> bool {
        waited_for(self.facts, call).is_none() && self.says_nothing_of_loops(call)
            || matches!(self.callee(call), Some(Callee::Here(id)) if self.does_nothing(id) && self.is_open_ended(id))
    }

    /// Whether it is a call that is told of by itself wherever it comes or goes.
    pub(super) fn may_be_alone(&self, call: ExprId) -> bool {
        match self.callee(call) {
            Some(Callee::Here(id)) => !self.does_nothing(id),
            Some(Callee::In(..)) => true,
            None => false,
        }
    }

    /// Whether a function may return whatever happens in it, or never does: that it has returned says nothing of where its callers are.
    fn is_open_ended(&self, id: FunctionId) -> bool {
        let function = &self.facts.functions[id];
        let mut ends = function.returns.iter().map(|(_, guard)| *guard).chain(function.end).peekable();
        ends.peek().is_none() || ends.any(|guard| guard == ALWAYS)
    }

    /// What a name is bound to.
    fn bindings(&self, name: ExprId) -> Option<&'q [BindingId]> {
        match &self.facts.exprs[name] {
            Expr::Local(bindings) => Some(bindings),
            Expr::Free(scope, name) => Some(self.facts.bindings_of(*scope, *name)),
            _ => None,
        }
    }

    /// What a call blocks on: a function of another library, to which nothing is handed that it calls.
    fn stopping(&self, call: ExprId) -> Option<Stopping> {
        let Expr::Call(callee, _) = self.facts.exprs[call] else { return None };
        let path = self.function_outside(callee).filter(|_| !self.is_looked_for(callee))?;
        let sink = self.catalogue.sink(&path)?;
        let is_of_loop =
            matches!(sink.category, Category::Nested | Category::Wait | Category::Deadlock) || needs_a_loop(&path);
        let is_plain = sink.unless == Unless::Never && self.catalogue.handed(&path).is_empty();
        (!is_of_loop && is_plain).then_some(Stopping { path, category: sink.category })
    }

    /// The path of a function, or of what has it, if this file alone says that it is none of the program's.
    fn function_outside(&self, expr: ExprId) -> Option<String> {
        let path = match &self.facts.exprs[expr] {
            Expr::Global(name) if self.facts.scopes[MODULE_SCOPE].stars.is_empty() => {
                let name = self.facts.name(*name);
                is_builtin(name).then(|| name.to_owned())?
            }
            Expr::Attribute(object, name) => {
                format!("{}.{}", self.function_outside(*object)?, self.facts.name(*name))
            }
            _ => self.imported(self.bindings(expr)?)?,
        };
        Some(canonical(&path).unwrap_or(path))
    }

    /// The conditions of some code that may say something of loops, the innermost first.
    pub(super) fn conditions(&self, guard: GuardId) -> impl Iterator<Item = Condition> {
        self.facts.conditions(guard).filter(|condition| match condition {
            Condition::Called { expr, .. } => !self.returns_anyhow(*expr),
            Condition::Test { .. } => true,
            _ => false,
        })
    }

    /// The functions of this file that a quiet event calls.
    pub(super) fn called(&self, event: &Event) -> Option<FunctionId> {
        match (event.kind, &self.facts.exprs[event.expr]) {
            (EventKind::Call(_) | EventKind::Test, Expr::Call(callee, _)) => self.called_function(*callee),
            _ => None,
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
                let given = arguments.iter().map(|argument| argument.value);
                let gathered = misuse::gathered(self.facts, event.expr).iter().copied();
                object(*callee).into_iter().chain(given).chain(gathered).collect()
            }
            (EventKind::Read, _) => object(event.expr).into_iter().collect(),
            _ => vec![event.expr],
        };
        used.into_iter().any(|used| self.is_result(used))
    }

    /// Whether it is what a call gives, by itself or by a name, that may be one of the program's.
    fn is_result(&self, used: ExprId) -> bool {
        match &self.facts.exprs[used] {
            Expr::Local(bindings) => bindings.iter().any(|binding| self.has_result(*binding)),
            _ => misuse::calls(self.facts, used).iter().any(|call| !self.gives_nothing(*call)),
        }
    }

    /// Whether anything in an expression is what a call gives that may be one of the program's, or is a name that nothing was bound to.
    pub(super) fn has_results(&self, expr: ExprId) -> bool {
        let is_one = match &self.facts.exprs[expr] {
            Expr::Local(bindings) => bindings.is_empty() || self.is_result(expr),
            Expr::Free(..) => self.bindings(expr).unwrap_or_default().iter().any(|binding| self.has_result(*binding)),
            _ => self.is_result(expr),
        };
        let parts = || self.facts.exprs[expr].parts().into_iter();
        is_one || parts().any(|part| matches!(part, Part::Expr(part) if self.has_results(part)))
    }

    /// Whether a name has what a call gives that may be one of the program's.
    pub(super) fn has_result(&self, binding: BindingId) -> bool {
        let value = misuse::value_of(&self.facts.bindings[binding]);
        !self.outsiders().contains(&binding)
            && value.is_some_and(|value| misuse::calls(self.facts, value).iter().any(|call| !self.gives_nothing(*call)))
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

    /// Whether a function that has come or gone stands in the module as it is, and nothing in the program has its name: nobody asks for it.
    /// (`is_unknown` says so of a name, for the other files.) What it does is to be told.
    pub(super) fn is_unheard_of(&self, id: FunctionId, is_unknown: impl Fn(&Words, &str) -> bool) -> bool {
        let function = &self.facts.functions[id];
        let name = self.facts.name(function.name);
        let bindings = self.facts.bindings_of(MODULE_SCOPE, function.name);
        let is_unused = matches!(bindings, [one] if !self.facts.bindings[*one].is_used);
        self.stands_alone(id)
            && is_unused
            && self.facts.uses_of_names()[&function.name] == USES_OF_ITSELF
            && self.words.is_some_and(|words| is_unknown(words, name))
            && !name.starts_with("__")
            && self.name(name, bindings)
            // Of fixtures of that name it would have to be asked.
            && (function.parameters.is_empty() || !is_test(self.path))
    }

    /// Whether a class stands in the module as it is, with nothing but values, derives from nothing of the program's, and nothing in the program
    /// has its name: nobody derives from it, makes one, or asks what it is.
    pub(super) fn is_idle_class(&self, id: ClassId, is_unknown: impl Fn(&Words, &str) -> bool) -> bool {
        let class = &self.facts.classes[id];
        let name = self.facts.name(class.name);
        let bindings = self.facts.bindings_of(MODULE_SCOPE, class.name);
        let is_alone = matches!(bindings, [one] if {
            let binding = &self.facts.bindings[*one];
            binding.kind == BindingKind::Class(id) && !binding.is_used
        });
        let members = || self.facts.scopes[class.scope].names.iter().flat_map(|(_, bindings)| &**bindings);
        let is_value = |binding: &BindingId| match self.facts.bindings[*binding].kind {
            BindingKind::Value(value) => self.is_literal(value),
            _ => false,
        };
        is_alone
            && class.decorators.is_empty()
            && class.fields.is_empty()
            && self.outside_bases(id).is_some()
            && members().all(is_value)
            && self.facts.uses_of_names()[&class.name] == USES_OF_ITSELF
            && self.words.is_some_and(|words| is_unknown(words, name))
            && !self.watched.is_asked_for(self.path, name)
    }

    /// The bases of a class, if all of them are outside the program, as this file alone says, and none is of protocols.
    pub(super) fn outside_bases(&self, id: ClassId) -> Option<Vec<String>> {
        let base = |base: &ExprId| match self.facts.exprs[*base] {
            Expr::Global(name) if self.facts.scopes[MODULE_SCOPE].stars.is_empty() => {
                let name = self.facts.name(name);
                Some(canonical(name).unwrap_or_else(|| name.to_owned()))
            }
            _ => self.function_outside(*base).filter(|path| !path.ends_with(".Protocol")),
        };
        self.facts.classes[id].bases.iter().map(base).collect()
    }

    /// Whether a coroutine function that nobody asks for is to be told of as one that awaits nothing.
    pub(super) fn is_idle(&self, id: FunctionId) -> bool {
        let function = &self.facts.functions[id];
        function.is_async && !function.awaits && !function.is_stub && !is_test(self.path)
    }

    /// Whether a call is one of a function of this module that does nothing either, and keeps nothing of what it is given.
    fn calls_nothing(&self, callee: ExprId, arguments: &[Argument]) -> bool {
        self.called_function(callee).is_some_and(|id| {
            !self.facts.functions[id].is_async
                && self.does_nothing(id)
                && (arguments.iter().all(|argument| self.is_plain(argument.value)) || !self.sets_names(id))
        })
    }

    /// Whether a function sets names of the module, or puts something into what they have.
    fn sets_names(&self, id: FunctionId) -> bool {
        let span = self.facts.functions[id].span;
        let mut bindings = self.facts.scopes[MODULE_SCOPE].names.iter().flat_map(|(_, bindings)| &**bindings);
        bindings.any(|binding| span.contains(self.facts.bindings[*binding].span))
    }

    /// The function of this module that a name is of.
    fn called_function(&self, callee: ExprId) -> Option<FunctionId> {
        let [binding] = *self.bindings(callee)? else { return None };
        match self.facts.bindings[binding].kind {
            BindingKind::Function(id) => Some(id),
            _ => None,
        }
    }

    /// Whether a function stands in the module as it is, and all that it does is quiet.
    fn does_nothing(&self, id: FunctionId) -> bool {
        let inner = Quiet { depth: self.depth + 1, ..*self };
        let function = &self.facts.functions[id];
        // Of what it does with its parameters, those hear who say what they are.
        let is_asked = |event: &Event| self.alike.noise(self.forms, event) == Noise::Asked;
        let is_quiet = || function.events.iter().all(|event| !is_asked(event) && inner.event(event));
        self.depth < DEEPEST_CALL && self.stands_alone(id) && is_quiet()
    }

    /// Whether a function stands in the module as it is, under a name that nothing else has there.
    fn stands_alone(&self, id: FunctionId) -> bool {
        let function = &self.facts.functions[id];
        let is_plain = !function.is_generator && !function.is_lambda && function.decorators.is_empty();
        let is_alone = function.parent == MODULE && function.class.is_none();
        let bindings = self.facts.bindings_of(MODULE_SCOPE, function.name);
        let is_bound = matches!(bindings, [one] if self.facts.bindings[*one].kind == BindingKind::Function(id));
        is_plain && is_alone && is_bound
    }

    /// Whether a name that the module has got, or has no more, is one that nobody hears of.
    pub(super) fn name(&self, name: &str, bindings: &[BindingId]) -> bool {
        let is_plain = |binding: &BindingId| {
            let kind = self.facts.bindings[*binding].kind;
            !matches!(kind, BindingKind::Class(_) | BindingKind::Unknown | BindingKind::Unpacked(..))
        };
        bindings.iter().all(is_plain) && !self.watched.is_asked_for(self.path, name)
    }

    /// The condition, or the first one around it that is not just that a call has returned which may come and go; and those of these calls of
    /// which somebody else must say whether they return where a loop runs.
    pub(super) fn guard(&self, guard: GuardId) -> (GuardId, Vec<ExprId>) {
        let (mut next, mut asked) = (guard, Vec::new());
        while let Guard { parent, condition: Condition::Called { expr, went_well } } = self.facts.guards[next] {
            if !self.returns_anyhow(expr) {
                // What nobody hears of, nobody can be asked about.
                if !went_well || self.call(expr) || waited_for(self.facts, expr).is_some() {
                    break;
                }
                asked.push(expr);
            }
            next = parent;
        }
        (next, asked)
    }

    fn call(&self, call: ExprId) -> bool {
        let Expr::Call(callee, arguments) = &self.facts.exprs[call] else { return false };
        let makes_error =
            || self.is_builtin_error(*callee) && arguments.iter().all(|argument| self.is_literal(argument.value));
        self.calls_outside(call) || makes_error() || self.calls_nothing(*callee, arguments)
    }

    /// Whether what a call gives is nothing of the program's.
    fn gives_nothing(&self, call: ExprId) -> bool {
        self.call(call) || self.stopping(call).is_some() || self.is_like_outside(call)
    }

    fn says_nothing_of_loops(&self, call: ExprId) -> bool {
        self.calls_outside(call)
            || self.stopping(call).is_some()
            || (matches!(self.facts.exprs[call], Expr::Call(..))
                && self.alike.noise_of_call(self.forms, call) <= Noise::Asked)
    }

    fn calls_outside(&self, call: ExprId) -> bool {
        let Expr::Call(callee, arguments) = &self.facts.exprs[call] else { return false };
        !self.is_of_own_object(*callee)
            && !self.is_looked_for(*callee)
            && self.path_of(*callee, 0).is_some_and(|path| self.says_nothing(&path, arguments))
    }

    /// Whether the file is one of tests.
    pub(super) fn is_for_tests(&self) -> bool {
        is_test(self.path)
    }

    /// Whether it may be told by an event what tests have in place of something.
    pub(super) fn replaces(&self, event: &Event) -> bool {
        match self.facts.exprs[event.expr] {
            Expr::Call(callee, _) => is_test(self.path) && may_replace(self.facts, callee),
            _ => false,
        }
    }

    /// Whether a name, by itself, says something to a rule or of what tests replace, whatever has it.
    fn is_looked_for(&self, callee: ExprId) -> bool {
        let cancels =
            matches!(self.facts.exprs[callee], Expr::Attribute(_, name) if is_to_cancel(self.facts.name(name)));
        cancels || (is_test(self.path) && may_replace(self.facts, callee))
    }

    /// Whether it is a method of an object of the function's own: what is done with that may say something of others that it has.
    fn is_of_own_object(&self, callee: ExprId) -> bool {
        matches!(self.facts.exprs[callee], Expr::Attribute(object, _) if self.is_own_object(object))
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
            && !(path.starts_with("logging.") && self.watched.has_attached())
            && self.catalogue.sink(path).is_none()
            && self.catalogue.handed(path).iter().chain(self.catalogue.handed_lazily(path)).all(|what| {
                let is_plain = |place: usize| arguments.get(place).is_none_or(|argument| self.is_plain(argument.value));
                match *what {
                    Handed::Special(place, method) => !self.watched.has(method) || is_plain(place),
                    Handed::ComparesElements(place, _) => {
                        !["__lt__", "__gt__"].iter().any(|method| self.watched.has(method)) || is_plain(place)
                    }
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
            Expr::Text(_) | Expr::Joined(..) | Expr::Prefix(_) => Some("str()".to_owned()),
            Expr::Global(name) if self.facts.scopes[MODULE_SCOPE].stars.is_empty() => {
                let name = self.facts.name(*name);
                is_quiet_builtin(name).then(|| name.to_owned())
            }
            Expr::Local(_) | Expr::Free(..) => self.bound(self.bindings(expr)?, depth),
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
        match misuse::value_of(&self.facts.bindings[binding]) {
            Some(value) => self.path_of(value, depth + 1),
            None => known(&self.imported(bindings)?),
        }
    }

    /// What an import outside the program binds a name to.
    fn imported(&self, bindings: &[BindingId]) -> Option<String> {
        let [binding] = *bindings else { return None };
        match self.facts.bindings[binding].kind {
            BindingKind::Import { module, is_root } => {
                let name = self.facts.name(module);
                let name = if is_root { name.split('.').next().unwrap_or(name) } else { name };
                self.around.is_outside(name).then(|| name.to_owned())
            }
            BindingKind::ImportFrom { module, level: 0, name } => {
                let (module, name) = (self.facts.name(module), self.facts.name(name));
                self.around.is_outside(module).then(|| format!("{module}.{name}"))
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

/// A function's name, or a class's, is that, and its qualified name, and one of the module: so often do the facts have it.
const USES_OF_ITSELF: u32 = 3;
/// Functions that call each other.
const DEEPEST_CALL: u32 = 2;
/// Steps from a name to what it is.
const DEEPEST: u32 = 12;
