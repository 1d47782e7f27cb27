//! From a value to the next: attributes, calls, iteration; how arguments meet parameters; and what variable parts become.

use super::Program;
use super::values::{
    ANYHOW, Args, ArgsId, Decoration, EMPTY, Entries, EnvId, FileId, FnId, Members, NO_ARGS, NO_ENV, SetId, Step,
    Symbol, Value, ValueId,
};
use crate::catalogue::canonical;
use crate::facts::{ArgumentKind, Expr, ExprId, ParameterKind};
use smallvec::{SmallVec, smallvec};
use std::rc::Rc;

/// What a call or another event makes happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Target {
    /// The body of this function runs, or, if it is a coroutine function or generator function, is made ready to.
    Function(FnId, EnvId),
    /// Something outside the program.
    External(super::values::PathId, ArgsId),
    /// What a parameter stands for is called.
    Variable(ValueId, ArgsId),
}

/// How much more may be filled in, for one value from outside.
#[derive(Clone, Copy)]
pub(super) struct Filling {
    is_within: bool,
    left: u32,
}

impl Default for Filling {
    fn default() -> Self {
        Self { is_within: false, left: MOST_FILLED }
    }
}

/// Targets while they are gathered: mostly few.
pub(crate) type Targets = SmallVec<[Target; 4]>;

impl Program {
    pub(crate) fn step_set(&mut self, set: SetId, step: Step) -> SetId {
        if let [only] = *self.values.members(set) {
            return self.step(only, step);
        }
        let mut all = EMPTY;
        for value in self.values.shared(set).iter().copied() {
            let next = self.step(value, step);
            all = self.values.union(all, next);
        }
        all
    }

    /// What a value gives.
    pub(crate) fn step(&mut self, value: ValueId, step: Step) -> SetId {
        match (self.values.get(value).clone(), step) {
            (Value::Parameter(..) | Value::Step(..), _) => self.variable_step(value, step),
            (Value::External(path), _) => self.external_step(path, step),
            (_, Step::Attribute(name)) => self.attribute(value, name),
            (_, Step::Call(args)) => self.call(value, args),
            (Value::Coroutine(function, env), Step::Await) => self.returned(function, env),
            (Value::Generator(function, env), Step::Element)
            | (Value::AsyncGenerator(function, env), Step::AsyncElement) => {
                let set = self.yielded(function);
                self.fill(set, env)
            }
            (
                Value::Holding(held),
                Step::Await | Step::Element | Step::AsyncElement | Step::Enter | Step::AsyncEnter,
            ) => held,
            (Value::Lazy(steps, args), Step::Element | Step::Index(_)) => self.lazy_element(steps, args),
            // Members of an enumeration are iterated, or taken by their names.
            (Value::Class { class, .. }, Step::Element | Step::Item | Step::Index(_) | Step::Key(_))
                if self.is_enum(class) =>
            {
                self.single(Value::Instance { class, is_exact: true, made: ANYHOW })
            }
            // `Stack[Job]()`
            (Value::Class { class, .. }, Step::Item | Step::Index(_) | Step::Key(_)) => {
                let special = self.values.symbol("__class_getitem__");
                match self.defining(class, special) {
                    Some(_) => self.special(value, "__class_getitem__"),
                    None if self.has_metaclass(class) => EMPTY,
                    None => SetId::of(value),
                }
            }
            // What `gather` gives, once it was awaited.
            (Value::Sequence(_), Step::Await) => SetId::of(value),
            (Value::Manager(inner), Step::Enter) => self.step(inner, Step::Element),
            (Value::Manager(inner), Step::AsyncEnter) => self.step(inner, Step::AsyncElement),
            (Value::Sequence(parts), Step::Index(index)) => self.part(&parts, index),
            (Value::Sequence(parts), Step::Item | Step::Element) => self.any_of(&parts),
            (Value::Mapping(items), Step::Key(key)) => {
                let exact: Vec<SetId> =
                    items.iter().filter(|(known, _)| *known == Some(key)).map(|(_, set)| *set).collect();
                let open: Vec<SetId> = items.iter().filter(|(known, _)| known.is_none()).map(|(_, set)| *set).collect();
                self.any_of(&[exact, open].concat())
            }
            (Value::Mapping(items), Step::Item | Step::Index(_)) => {
                let parts: Vec<SetId> = items.iter().map(|(_, set)| *set).collect();
                self.any_of(&parts)
            }
            (Value::Instance { .. }, Step::Enter) if self.is_closed_at_last(value) => SetId::of(value),
            (Value::Instance { .. }, Step::Enter) => self.special(value, "__enter__"),
            (Value::Instance { .. }, Step::AsyncEnter) => {
                let made = self.special(value, "__aenter__");
                self.step_set(made, Step::Await)
            }
            (Value::Instance { .. }, Step::Element | Step::AsyncElement) => self.iterated(value, step),
            (Value::Instance { .. }, Step::Item | Step::Index(_) | Step::Key(_)) => {
                let found = self.special(value, "__getitem__");
                match (found, step) {
                    (EMPTY, Step::Index(place)) => self.field_at(value, place),
                    (EMPTY, Step::Key(key)) if self.is_typed_dict(value) => self.attribute(value, key),
                    _ => found,
                }
            }
            _ => EMPTY,
        }
    }

    /// What an object of the program gives to a loop.
    fn iterated(&mut self, value: ValueId, step: Step) -> SetId {
        let is_async = step == Step::AsyncElement;
        let iterators = self.special(value, if is_async { "__aiter__" } else { "__iter__" });
        let mut all = EMPTY;
        for iterator in self.values.shared(iterators).iter().copied() {
            let next = match self.values.get(iterator) {
                Value::Instance { .. } if is_async => {
                    let made = self.special(iterator, "__anext__");
                    self.step_set(made, Step::Await)
                }
                Value::Instance { .. } => self.special(iterator, "__next__"),
                _ => self.step(iterator, step),
            };
            all = self.values.union(all, next);
        }
        all
    }

    fn part(&mut self, parts: &[SetId], index: i32) -> SetId {
        let place =
            if index < 0 { parts.len().checked_sub(index.unsigned_abs() as usize) } else { Some(index as usize) };
        match place.and_then(|place| parts.get(place)) {
            Some(part) => *part,
            None => self.any_of(parts),
        }
    }

    pub(super) fn any_of(&mut self, parts: &[SetId]) -> SetId {
        parts.iter().fold(EMPTY, |all, part| self.values.union(all, *part))
    }

    /// What a special method gives.
    fn special(&mut self, value: ValueId, name: &str) -> SetId {
        let name = self.values.symbol(name);
        let method = self.attribute(value, name);
        self.step_set(method, Step::Call(NO_ARGS))
    }

    pub(super) fn variable_step(&mut self, value: ValueId, step: Step) -> SetId {
        let mut length = 0;
        let mut next = value;
        while let Value::Step(inner, _) = *self.values.get(next) {
            next = inner;
            length += 1;
        }
        if length >= LONGEST {
            return EMPTY;
        }
        self.single(Value::Step(value, step))
    }

    fn external_step(&mut self, path: super::values::PathId, step: Step) -> SetId {
        if let Step::Call(args) = step {
            return self.external_call(path, args);
        }
        if let Some(known) = self.external_steps.get(&(path, step)) {
            return *known;
        }
        let next = self.fresh_external_step(path, step);
        self.external_steps.insert((path, step), next);
        next
    }

    fn fresh_external_step(&mut self, path: super::values::PathId, step: Step) -> SetId {
        let text = self.values.path_text(path);
        if text.len() > LONGEST_PATH {
            return EMPTY;
        }
        let next = match step {
            Step::Attribute(name) => format!("{text}.{}", self.values.text(name)),
            Step::Await if matches!(text, "asyncio.Task()" | "asyncio.Future()") => return EMPTY,
            Step::Index(_) | Step::Key(_) | Step::Item => format!("{text}[]"),
            Step::Element | Step::AsyncElement => format!("{text}[*]"),
            Step::Call(_) => format!("{text}()"),
            // A file, connection or pool gives itself.
            Step::Await | Step::Enter | Step::AsyncEnter => text.to_owned(),
        };
        self.external(&next)
    }

    fn external_call(&mut self, path: super::values::PathId, args: ArgsId) -> SetId {
        if let Some(found) = self.known_call(path, args) {
            return found;
        }
        // Without arguments that matter, all calls of it give the same.
        if let Some(known) = self.external_steps.get(&(path, Step::Call(NO_ARGS))) {
            return *known;
        }
        let text = self.values.path_text(path);
        let given = match self.catalogue.returned(text) {
            Some(given) => self.external(given),
            None => self.external(&format!("{text}()")),
        };
        self.external_steps.insert((path, Step::Call(NO_ARGS)), given);
        given
    }

    /// What a decorator makes of a function; nothing, if it is not known.
    pub(super) fn decorate(&mut self, decorators: SetId, function: SetId) -> SetId {
        let args = self.values.new_args(Args { positional: smallvec![function], ..Args::default() });
        let mut all = EMPTY;
        for decorator in self.values.shared(decorators).iter().copied() {
            let made = match *self.values.get(decorator) {
                Value::External(path) => self.known_call(path, args).unwrap_or(EMPTY),
                Value::Class { class, .. } if self.makes_property(class) => {
                    self.decoration(Decoration::Property, function)
                }
                _ => self.step(decorator, Step::Call(args)),
            };
            all = self.values.union(all, made);
        }
        all
    }

    pub(super) fn decoration(&mut self, decoration: Decoration, inner: SetId) -> SetId {
        self.single(Value::Decorated(decoration, inner))
    }

    // ------------------------------------------------------------------- calls

    /// What a call gives.
    fn call(&mut self, callee: ValueId, args: ArgsId) -> SetId {
        match self.values.get(callee).clone() {
            Value::Function(function, env) => self.call_function(function, env, None, args),
            Value::Bound(function, env, receiver) => self.call_function(function, env, Some(receiver), args),
            Value::Class { class, is_exact } => self.construct(class, is_exact, args),
            Value::Instance { .. } if self.depth < DEEPEST_FILL => {
                let name = self.values.symbol("__call__");
                self.depth += 1;
                let method = self.attribute(callee, name);
                let given = self.step_set(method, Step::Call(args));
                self.depth -= 1;
                given
            }
            Value::Partial(inner, first) => {
                let args = self.joined(first, args);
                self.step(inner, Step::Call(args))
            }
            Value::Decorated(decoration, inner) => {
                let made = self.step_set(inner, Step::Call(args));
                match decoration {
                    Decoration::ContextManager | Decoration::AsyncContextManager => {
                        let managers: Vec<ValueId> = self.values.members(made).to_vec();
                        let managers: Vec<ValueId> =
                            managers.into_iter().map(|made| self.value(Value::Manager(made))).collect();
                        self.values.set(managers)
                    }
                    Decoration::Synchronous => self.step_set(made, Step::Await),
                    _ => made,
                }
            }
            _ => EMPTY,
        }
    }

    fn call_function(&mut self, function: FnId, env: EnvId, receiver: Option<ValueId>, args: ArgsId) -> SetId {
        let env = self.bind(function, env, receiver, args);
        let (is_async, is_generator) = (self.function(function).is_async, self.function(function).is_generator);
        match (is_async, is_generator) {
            (true, true) => self.single(Value::AsyncGenerator(function, env)),
            (true, false) => self.single(Value::Coroutine(function, env)),
            (false, true) => self.single(Value::Generator(function, env)),
            (false, false) => self.returned(function, env),
        }
    }

    /// Arguments that were given before, and those given now.
    fn joined(&mut self, first: ArgsId, then: ArgsId) -> ArgsId {
        if first == NO_ARGS || then == NO_ARGS {
            return if first == NO_ARGS { then } else { first };
        }
        let (mut all, then) = (self.values.arguments(first).clone(), self.values.arguments(then).clone());
        all.positional.extend(then.positional);
        all.keywords.retain(|(name, _)| !then.keywords.iter().any(|(known, _)| known == name));
        all.keywords.extend(then.keywords);
        all.star = all.star.or(then.star);
        all.double_star = all.double_star.or(then.double_star);
        self.values.new_args(all)
    }

    /// The arguments of a call expression.
    pub(crate) fn call_arguments(&mut self, file: FileId, call: ExprId) -> ArgsId {
        let facts = self.file(file).facts.share();
        let Expr::Call(_, arguments) = &facts.exprs[call] else { return NO_ARGS };
        if arguments.is_empty() {
            return NO_ARGS;
        }
        let mut args = Args::default();
        for argument in arguments {
            let value = self.eval(file, argument.value);
            match argument.kind {
                ArgumentKind::Positional => args.positional.push(value),
                ArgumentKind::Keyword(name) => args.keywords.push((self.symbol(file, name), value)),
                ArgumentKind::Star => match self.fixed_parts(value) {
                    Some(parts) if args.star.is_none() => args.positional.extend(parts),
                    _ => args.star = Some(value),
                },
                ArgumentKind::DoubleStar => args.double_star = Some(value),
            }
        }
        self.values.new_args(args)
    }

    /// The parts of a sequence of known length.
    fn fixed_parts(&self, set: SetId) -> Option<Vec<SetId>> {
        let [one] = self.values.members(set) else { return None };
        match self.values.get(*one) {
            Value::Sequence(parts) => Some(parts.to_vec()),
            _ => None,
        }
    }

    /// What a call's arguments make of the function's parameters.
    pub(crate) fn bind(&mut self, function: FnId, env: EnvId, receiver: Option<ValueId>, args: ArgsId) -> EnvId {
        if self.function(function).parameters.is_empty() {
            return env;
        }
        let key = (function, env, receiver, args);
        if let Some(known) = self.bound.get(&key) {
            return *known;
        }
        let bound = self.bind_fresh(function, env, receiver, args);
        // While something is being looked at, cycles may cut answers short.
        if self.busy.is_empty() {
            self.bound.insert(key, bound);
        }
        bound
    }

    fn bind_fresh(&mut self, function: FnId, env: EnvId, receiver: Option<ValueId>, args: ArgsId) -> EnvId {
        let file = self.file_of(function);
        let facts = self.file(file).facts.share();
        let parameters = &facts.functions[self.local_fn(function)].parameters;
        let receiver = receiver.map(SetId::of);
        let args = self.values.shared_arguments(args);
        let positional: SmallVec<[SetId; 6]> = receiver.into_iter().chain(args.positional.iter().copied()).collect();
        let mut entries = Entries::from_slice(self.values.env(env));
        let mut taken: SmallVec<[bool; 8]> = smallvec![false; args.keywords.len()];
        let mut next = 0;
        for (index, parameter) in (0..).zip(parameters) {
            let name = self.symbol(file, parameter.name);
            let keyword = args.keywords.iter().position(|(known, _)| *known == name);
            let value = match parameter.kind {
                ParameterKind::Variadic => {
                    let rest = positional.get(next..).unwrap_or_default();
                    next = positional.len();
                    match args.star {
                        Some(star) if rest.is_empty() => star,
                        _ => self.single(Value::Sequence(rest.into())),
                    }
                }
                ParameterKind::VariadicKeyword => {
                    let rest = args.keywords.iter().zip(&taken).filter(|(_, taken)| !**taken);
                    let rest: Rc<[_]> = rest.map(|((name, set), _)| (Some(*name), *set)).collect();
                    match args.double_star {
                        Some(double_star) if rest.is_empty() => double_star,
                        _ => self.single(Value::Mapping(rest)),
                    }
                }
                kind => {
                    let is_positional = kind != ParameterKind::KeywordOnly;
                    if is_positional && next < positional.len() {
                        next += 1;
                        positional[next - 1]
                    } else if let Some(keyword) = keyword {
                        taken[keyword] = true;
                        args.keywords[keyword].1
                    } else {
                        // Only `*args` and `**kwargs` can fill it, or its default.
                        let star =
                            args.star.filter(|_| is_positional).map(|star| (star, (next - positional.len()) as i32));
                        next += usize::from(is_positional);
                        self.absent(
                            file,
                            parameter.default,
                            star,
                            args.double_star.map(|double_star| (double_star, name)),
                        )
                    }
                }
            };
            if value != EMPTY {
                entries.push(((function, index), value));
            }
        }
        // A later entry for the same parameter, as in recursion, wins.
        entries.reverse();
        entries.sort_by_key(|(key, _)| *key);
        entries.dedup_by_key(|(key, _)| *key);
        self.values.new_env(entries)
    }

    /// What a parameter is that no argument was written for.
    fn absent(
        &mut self,
        file: FileId,
        default: Option<ExprId>,
        star: Option<(SetId, i32)>,
        named: Option<(SetId, Symbol)>,
    ) -> SetId {
        let mut value = EMPTY;
        if let Some((star, place)) = star {
            value = self.step_set(star, Step::Index(place));
        }
        if let Some((double_star, name)) = named {
            let named = self.step_set(double_star, Step::Key(name));
            value = self.values.union(value, named);
        }
        match default {
            Some(default) if value == EMPTY => self.eval(file, default),
            _ => value,
        }
    }

    // ------------------------------------------------------------ substitution

    /// The set, with what the environment says for its variable parts.
    pub(crate) fn fill(&mut self, set: SetId, env: EnvId) -> SetId {
        if env == NO_ENV || !self.values.is_open_set(set) || self.depth > DEEPEST_FILL {
            return set;
        }
        self.depth += 1;
        let mut all = EMPTY;
        if let [only] = *self.values.members(set) {
            all = self.fill_value(only, env);
        } else {
            for value in self.values.shared(set).iter().copied() {
                let filled = self.fill_value(value, env);
                all = self.values.union(all, filled);
            }
        }
        self.depth -= 1;
        all
    }

    pub(crate) fn fill_value(&mut self, value: ValueId, env: EnvId) -> SetId {
        if !self.values.is_open(value) {
            return SetId::of(value);
        }
        if let Some(known) = self.busy.filled().get(&(value, env)) {
            return *known;
        }
        // Functions that call themselves with more and more would have no end.
        if self.filling.left == 0 {
            return EMPTY;
        }
        let is_outermost = !self.filling.is_within;
        self.filling = Filling { is_within: true, left: self.filling.left - 1 };
        let filled = self.fill_fresh(value, env);
        self.busy.filled().insert((value, env), filled);
        if is_outermost {
            self.filling = Filling::default();
        }
        filled
    }

    fn fill_fresh(&mut self, value: ValueId, env: EnvId) -> SetId {
        let filled = match self.values.get(value).clone() {
            Value::Parameter(function, index) => {
                let known = self.values.env(env).iter().find(|(key, _)| *key == (function, index)).map(|(_, set)| *set);
                return known.unwrap_or_else(|| SetId::of(value));
            }
            Value::Step(inner, step) => {
                let base = self.fill_value(inner, env);
                let step = match step {
                    Step::Call(args) => Step::Call(self.fill_args(args, env)),
                    other => other,
                };
                return self.step_set(base, step);
            }
            Value::Function(function, own) => Value::Function(function, self.fill_closure(function, own, env)),
            Value::Bound(function, own, receiver) => {
                let own = self.fill_closure(function, own, env);
                let receivers = self.fill_value(receiver, env);
                let mut all = Vec::new();
                for receiver in self.values.shared(receivers).iter().copied() {
                    all.push(self.value(Value::Bound(function, own, receiver)));
                }
                return self.values.set(all);
            }
            Value::Coroutine(function, own) => Value::Coroutine(function, self.fill_env(function, own, env)),
            Value::Generator(function, own) => Value::Generator(function, self.fill_env(function, own, env)),
            Value::AsyncGenerator(function, own) => Value::AsyncGenerator(function, self.fill_env(function, own, env)),
            Value::Manager(inner) => {
                let filled = self.fill_value(inner, env);
                let filled: Vec<ValueId> = self.values.members(filled).to_vec();
                let filled: Vec<ValueId> = filled.into_iter().map(|inner| self.value(Value::Manager(inner))).collect();
                return self.values.set(filled);
            }
            Value::Sequence(parts) => Value::Sequence(parts.iter().map(|part| self.fill(*part, env)).collect()),
            Value::Mapping(items) => {
                Value::Mapping(items.iter().map(|(key, part)| (*key, self.fill(*part, env))).collect())
            }
            Value::Partial(inner, args) => {
                let args = self.fill_args(args, env);
                let filled = self.fill_value(inner, env);
                let filled: Vec<ValueId> = self.values.members(filled).to_vec();
                let filled: Vec<ValueId> =
                    filled.into_iter().map(|inner| self.value(Value::Partial(inner, args))).collect();
                return self.values.set(filled);
            }
            Value::Decorated(decoration, inner) => Value::Decorated(decoration, self.fill(inner, env)),
            Value::Holding(held) => Value::Holding(self.fill(held, env)),
            Value::Lazy(steps, args) => Value::Lazy(steps, self.fill_args(args, env)),
            Value::Super(class, receiver) => {
                let filled = self.fill_value(receiver, env);
                match self.values.members(filled).first() {
                    Some(receiver) => Value::Super(class, *receiver),
                    None => return EMPTY,
                }
            }
            _ => return SetId::of(value),
        };
        self.single(filled)
    }

    /// What a closure learns about the parameters of the functions around it.
    fn fill_closure(&mut self, function: FnId, own: EnvId, env: EnvId) -> EnvId {
        let outer = self.closure_env(function, env);
        self.fill_env_with(own, outer, env)
    }

    fn fill_env(&mut self, function: FnId, own: EnvId, env: EnvId) -> EnvId {
        self.fill_closure(function, own, env)
    }

    fn fill_env_with(&mut self, own: EnvId, outer: EnvId, env: EnvId) -> EnvId {
        let mut entries = Entries::new();
        for (key, set) in Entries::from_slice(self.values.env(own)) {
            let set = self.fill(set, env);
            entries.push((key, set));
        }
        for (key, set) in Entries::from_slice(self.values.env(outer)) {
            if !entries.iter().any(|(known, _)| *known == key) {
                entries.push((key, set));
            }
        }
        self.values.new_env(entries)
    }

    pub(crate) fn fill_args(&mut self, args: ArgsId, env: EnvId) -> ArgsId {
        let given = self.values.arguments(args);
        if given.star.is_none() && given.double_star.is_none() && !self.values.is_open_args(args) {
            return args;
        }
        let mut filled = given.clone();
        for set in &mut filled.positional {
            *set = self.fill(*set, env);
        }
        for (_, set) in &mut filled.keywords {
            *set = self.fill(*set, env);
        }
        filled.star = filled.star.map(|set| self.fill(set, env));
        filled.double_star = filled.double_star.map(|set| self.fill(set, env));
        if let Some(star) = filled.star
            && let Some(parts) = self.fixed_parts(star)
        {
            filled.positional.extend(parts);
            filled.star = None;
        }
        if let Some(double_star) = filled.double_star
            && let [one] = self.values.members(double_star)
            && let Value::Mapping(items) = self.values.get(*one).clone()
        {
            filled.keywords.extend(items.iter().filter_map(|(name, set)| Some(((*name)?, *set))));
            filled.double_star = None;
        }
        self.values.new_args(filled)
    }

    // ----------------------------------------------------------------- targets

    /// What happens when one of these values is called.
    pub(crate) fn targets(&mut self, callees: SetId, args: ArgsId) -> Targets {
        let mut all = Targets::new();
        for callee in self.values.shared(callees).iter().copied() {
            self.add_targets(callee, args, &mut all, 0);
        }
        all
    }

    fn add_targets(&mut self, callee: ValueId, args: ArgsId, all: &mut Targets, depth: u32) {
        if depth > DEEPEST_CALL {
            return;
        }
        match self.values.get(callee).clone() {
            Value::Function(function, env) => {
                let env = self.bind(function, env, None, args);
                all.push(Target::Function(function, env));
            }
            Value::Bound(function, env, receiver) => {
                let env = self.bind(function, env, Some(receiver), args);
                all.push(Target::Function(function, env));
                if self.is_made_constructor(function) {
                    self.special_targets(receiver, &["__post_init__"], all);
                }
            }
            Value::External(path) => all.push(Target::External(path, args)),
            Value::Parameter(..) | Value::Step(..) => all.push(Target::Variable(callee, args)),
            Value::Partial(inner, first) => {
                let args = self.joined(first, args);
                self.add_targets(inner, args, all, depth + 1);
            }
            Value::Class { class, is_exact } => {
                let instance = self.value(Value::Instance { class, is_exact, made: ANYHOW });
                let runs_more = self.runs_after_init(class).then_some("__post_init__");
                for name in ["__new__", "__init__"].into_iter().chain(runs_more) {
                    let name = self.values.symbol(name);
                    for method in self.class_attribute(class, true, instance, name) {
                        self.add_targets(method, args, all, depth + 1);
                    }
                }
                self.add_external_constructor(class, args, all);
            }
            Value::Instance { .. } => {
                let name = self.values.symbol("__call__");
                let methods = self.attribute(callee, name);
                for method in self.values.shared(methods).iter().copied() {
                    self.add_targets(method, args, all, depth + 1);
                }
            }
            Value::Decorated(Decoration::Offloaded, _) => {}
            Value::Decorated(Decoration::Synchronous, _) => {
                let path = self.values.path("asgiref.sync.async_to_sync()()");
                all.push(Target::External(path, args));
            }
            Value::Decorated(_, inner) => {
                for inner in self.values.shared(inner).iter().copied() {
                    self.add_targets(inner, args, all, depth + 1);
                }
            }
            _ => {}
        }
    }

    /// What runs when something is stepped into, iterated or entered.
    pub(crate) fn targets_of_step(&mut self, value: ValueId, step: Step, all: &mut Targets) {
        match (self.values.get(value).clone(), step) {
            (Value::Generator(function, env), Step::Element | Step::Enter) => {
                all.push(Target::Function(function, env));
            }
            (Value::Lazy(steps, args), Step::Element) => all.push(Target::External(steps, args)),
            (Value::Manager(inner), Step::Enter) => self.targets_of_step(inner, Step::Element, all),
            (Value::Instance { .. }, Step::Element) => {
                self.special_targets(value, &["__iter__"], all);
                let name = self.values.symbol("__iter__");
                let method = self.attribute(value, name);
                let iterators = self.step_set(method, Step::Call(NO_ARGS));
                for iterator in self.values.shared(iterators).iter().copied() {
                    match self.values.get(iterator) {
                        Value::Instance { .. } => self.special_targets(iterator, &["__next__"], all),
                        Value::Generator(..) | Value::Lazy(..) => self.targets_of_step(iterator, Step::Element, all),
                        _ => {}
                    }
                }
            }
            (Value::Instance { .. }, Step::Enter) if self.is_closed_at_last(value) => {
                self.special_targets(value, &["close"], all);
            }
            (Value::Instance { .. }, Step::Enter) => self.special_targets(value, &["__enter__", "__exit__"], all),
            // Those that are coroutine functions run when they are awaited, and are told of by themselves.
            (Value::Instance { .. }, Step::AsyncEnter) => {
                self.special_targets(value, &["__aenter__", "__aexit__"], all);
            }
            (Value::Instance { .. }, Step::AsyncElement) => self.special_targets(value, &["__aiter__"], all),
            (Value::Instance { .. }, Step::Await) => self.special_targets(value, &["__await__"], all),
            (Value::External(path), Step::Element) => {
                let text = format!("{}[*]", self.values.path_text(path));
                let path = self.values.path(&text);
                all.push(Target::External(path, NO_ARGS));
            }
            (Value::Parameter(..) | Value::Step(..), _) => {
                let next = self.variable_members(value, step);
                all.extend(next.iter().map(|next| Target::Variable(*next, NO_ARGS)));
            }
            _ => {}
        }
    }

    /// Whether `with` takes an object that is no context manager, by way of `contextlib.closing`.
    fn is_closed_at_last(&mut self, value: ValueId) -> bool {
        let Value::Instance { class, .. } = *self.values.get(value) else { return false };
        let name = self.values.symbol("__enter__");
        self.external_bases(class).iter().all(|base| base == "object") && self.attribute(value, name) == EMPTY
    }

    pub(crate) fn variable_members(&mut self, value: ValueId, step: Step) -> Members {
        let set = self.variable_step(value, step);
        self.values.shared(set)
    }

    pub(crate) fn path_symbol(&mut self, text: &str) -> super::values::PathId {
        match canonical(text) {
            Some(text) => self.values.path(&text),
            None => self.values.path(text),
        }
    }
}

/// Steps from a parameter.
const LONGEST: usize = 6;
const LONGEST_PATH: usize = 160;
const DEEPEST_FILL: u32 = 300;
const DEEPEST_CALL: u32 = 8;
/// Parts that are filled in for one value, and for what that comes to.
const MOST_FILLED: u32 = 1_000;
