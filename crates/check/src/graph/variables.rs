//! Variable calls: calls of parameters, which become edges of those who say what the parameters are.

use super::{Builder, Edge, Happening, Hop, Outside, Variable};
use crate::facts::EventKind;
use crate::link::values::{ClsId, EMPTY, EnvId, FnId, NO_ARGS, NO_ENV, SetId, Step, Symbol, Value, ValueId};
use crate::link::{Need, Target, Targets, Truth, What};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// What a function is called with, as long as it has so many calls.
struct Given {
    calls: usize,
    envs: Rc<[EnvId]>,
}

impl Builder<'_> {
    pub(super) fn variable(&mut self, variable: Variable) {
        let function = variable.holder;
        let owner = self.root(variable.value);
        self.note_parameters(&variable);
        if !self.graph.known_variables.insert((function, variable.value, variable.at.site)) {
            return;
        }
        if !self.program.is_within(function, owner) {
            let owner = self.root(variable.value);
            self.graph.owners.insert(owner);
            self.graph.foreign_places.push((variable.at.caller, variable.at.site, variable.value));
            self.graph.foreign.push(variable);
            return;
        }
        let variables = &mut self.graph.variables[function.0 as usize];
        if variables.len() < MOST_VARIABLES && variable.at.via.len() < LONGEST_VIA {
            variables.push(variable);
            // Whoever calls it is to be asked.
            let deferred = self.graph.deferred_into.get(&function).map_or(&[][..], Vec::as_slice);
            self.graph.fresh.extend(self.graph.into[function.0 as usize].iter().chain(deferred));
        }
    }

    /// Notes which parameters say what a variable is: one, or any of the functions around.
    fn note_parameters(&mut self, variable: &Variable) {
        let values = &self.program.values;
        let mut is_clear = !values.is_open_args(variable.args) && variable.at.taken_under.is_none();
        let mut next = variable.value;
        while let Value::Step(inner, step) = *values.get(next) {
            is_clear &= !matches!(step, Step::Call(args) if values.is_open_args(args));
            next = inner;
        }
        let Value::Parameter(owner, parameter) = *values.get(next) else { return };
        *self.graph.asked_parameters.entry(owner).or_default() |= bit_of(parameter);
        if !is_clear {
            for inner in [owner, variable.holder, variable.at.caller] {
                for function in self.program.around(inner) {
                    self.graph.asked_parameters.insert(function, u32::MAX);
                }
            }
        }
    }

    pub(super) fn root(&self, value: ValueId) -> FnId {
        let mut next = value;
        loop {
            match *self.program.values.get(next) {
                Value::Step(inner, _) => next = inner,
                Value::Parameter(function, _) => return function,
                _ => return FnId(0),
            }
        }
    }

    /// Tells callers what the variable calls of their callees come to.
    pub(super) fn spread(&mut self) {
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
        let targets = match *self.program.values.get(variable.value) {
            Value::Step(inner, step) if !matches!(variable.at.kind, EventKind::Call(_)) => {
                let objects = self.program.fill_value(inner, edge.env);
                if self.program.values.members(objects) == [inner] {
                    self.hold(edge, variable);
                    return;
                }
                self.stepped(objects, step, variable.at.kind)
            }
            _ => {
                let filled = self.program.fill_value(variable.value, edge.env);
                if self.program.values.members(filled) == [variable.value] {
                    self.hold(edge, variable);
                    return;
                }
                if filled == EMPTY {
                    return;
                }
                let args = self.program.fill_args(variable.args, edge.env);
                self.program.targets(filled, args)
            }
        };
        self.answer(variable, &targets);
        let Some(at) = self.seen_from(edge, variable) else { return };
        for target in targets {
            if let Target::External(path, _) = target {
                self.graph.outside_by_parameter.push(Outside { caller: at.caller, path, site: at.site });
            }
            self.target(&at, target);
        }
    }

    /// Somebody has said what a parameter is, unless that is another one.
    fn answer(&mut self, variable: &Variable, targets: &[Target]) {
        if targets.iter().any(|target| !matches!(target, Target::Variable(..))) {
            self.graph.answered.insert(variable.at.origin());
        }
    }

    /// What a call of a parameter is for those who say what it is; none, if it never gets there.
    ///
    /// What a coroutine or generator calls, it calls itself, when it runs; and so does what another thread is told to call, but there no
    /// loop runs. What the loop is told, it is told there.
    fn seen_from(&self, edge: &Edge, variable: &Variable) -> Option<Happening> {
        if variable.at.scheduled_by.is_some() {
            (!edge.truth.is_outside).then(|| Happening { caller: edge.caller, ..variable.at.clone() })
        } else if variable.holder != variable.at.caller {
            Some(variable.at.clone())
        } else if edge.runs {
            self.passed_up(edge, variable)
        } else if self.graph.elsewhere.contains(&edge.callee) {
            let truth = Truth { is_outside: true, ..Truth::clone(&variable.at.truth) };
            Some(Happening { truth: Rc::new(truth), ..variable.at.clone() })
        } else {
            Some(variable.at.clone())
        }
    }

    /// The same, for the caller of the function in which it is called.
    fn passed_up(&self, edge: &Edge, variable: &Variable) -> Option<Happening> {
        if edge.truth.is_outside || variable.at.truth.is_outside {
            return None;
        }
        let inner = &variable.at.truth;
        let needs = self.program.passed((edge.caller, edge.callee), (edge.env, edge.whose), &inner.needs)?;
        let truth = if needs.is_empty() && !inner.is_dual {
            Rc::clone(&edge.truth)
        } else {
            let inner = Truth { needs, is_dual: inner.is_dual, ..Truth::default() };
            Rc::new(Truth::both(inner, &edge.truth))
        };
        let mut via = edge.via.clone();
        via.push(Hop { function: edge.callee, site: variable.at.site });
        via.extend(&variable.at.via);
        let is_registered = edge.is_registered || variable.at.is_registered;
        Some(Happening { caller: edge.caller, site: edge.site, truth, via, is_registered, ..variable.at.clone() })
    }

    /// A parameter of a function around both: its callers will say what it is.
    fn hold(&mut self, edge: &Edge, variable: &Variable) {
        let (holder, owner) = (edge.caller, self.root(variable.value));
        if holder == variable.holder || !self.program.is_within(holder, owner) {
            return;
        }
        if let Some(at) = self.seen_from(edge, variable) {
            self.variable(Variable { at, holder, ..variable.clone() });
        }
    }

    /// What a step into something comes to, of which it is known by now what it is.
    fn stepped(&mut self, objects: SetId, step: Step, kind: EventKind) -> Targets {
        let mut targets = Targets::new();
        for object in self.program.values.shared(objects).iter().copied() {
            match step {
                Step::Attribute(name) if matches!(kind, EventKind::Read | EventKind::Write) => {
                    self.accessed(object, name, kind == EventKind::Write, &mut targets);
                }
                Step::Attribute(_) | Step::Call(_) => {}
                _ => self.program.targets_of_step(object, step, &mut targets),
            }
        }
        targets
    }

    /// What nobody is known to call has the defaults of its parameters.
    pub(super) fn defaults(&mut self) {
        for index in 0..self.graph.variables.len() {
            let function = FnId(index as u32);
            if self.graph.into[index].is_empty() && !self.graph.deferred_into.contains_key(&function) {
                self.defaults_of(function);
            }
        }
    }

    pub(super) fn defaults_of(&mut self, function: FnId) {
        let env = self.program.bind(function, NO_ENV, None, NO_ARGS);
        for variable in self.graph.variables[function.0 as usize].clone() {
            let filled = self.program.fill_value(variable.value, env);
            if self.program.values.members(filled) == [variable.value] {
                continue;
            }
            let args = self.program.fill_args(variable.args, env);
            if matches!(variable.at.kind, EventKind::Call(_)) {
                let targets = self.program.targets(filled, args);
                self.answer(&variable, &targets);
                for target in targets {
                    if !matches!(target, Target::Variable(..)) {
                        self.target(&variable.at, target);
                    }
                }
            }
        }
    }

    /// Calls of what another function was handed: an instance's field that its constructor was given.
    pub(super) fn foreign(&mut self) {
        let mut given: FxHashMap<(FnId, Option<ClsId>), Given> = FxHashMap::default();
        for variable in std::mem::take(&mut self.graph.foreign) {
            let owner = self.root(variable.value);
            let class = self.class_with_field(&variable, owner);
            let calls = self.graph.into[owner.0 as usize].len();
            // Meanwhile more may call it.
            let known = given.get(&(owner, class)).filter(|given| given.calls == calls);
            let known = known.map(|given| Rc::clone(&given.envs));
            let envs = known.unwrap_or_else(|| self.envs_of_calls(owner, class).into());
            given.insert((owner, class), Given { calls, envs: Rc::clone(&envs) });
            if envs.len() > MOST_GIVERS {
                continue;
            }
            let is_registered = variable.at.is_registered || !self.program.is_constructor(owner);
            let at = Happening { is_registered, ..variable.at.clone() };
            let handed = self.handed_over(&variable, &envs);
            self.answer(&variable, &handed.iter().map(|(target, _)| *target).collect::<Vec<_>>());
            for (target, needs) in handed {
                if let Target::External(path, _) = target {
                    let Happening { caller, site, .. } = at;
                    self.graph.outside_by_parameter.push(Outside { caller, path, site });
                }
                if let Target::Variable(value, _) = target
                    && !self.is_handed_on(&at, value, owner)
                {
                    continue;
                }
                match self.one_of(&at, needs) {
                    None => self.target(&at, target),
                    Some(need) => {
                        let truth = Truth::both(Truth { needs: vec![need], ..Truth::default() }, &at.truth);
                        self.target(&Happening { truth: Rc::new(truth), ..at.clone() }, target);
                    }
                }
            }
        }
    }

    /// With what a function is called; as a method of objects that may be of a class.
    fn envs_of_calls(&self, function: FnId, class: Option<ClsId>) -> Vec<EnvId> {
        let calls = self.graph.into[function.0 as usize].iter();
        let mut envs: Vec<EnvId> = calls.map(|edge| self.graph.edges[*edge].env).collect();
        envs.sort_unstable();
        envs.dedup();
        if let Some(class) = class {
            envs.retain(|env| self.program.may_be_of(*env, function, class));
        }
        envs
    }

    /// Whether it is what yet another function was handed, whose callers are to say what it is: a factory's.
    fn is_handed_on(&self, at: &Happening, value: ValueId, owner: FnId) -> bool {
        let other = self.root(value);
        other != owner && !self.program.is_within(at.caller, other)
    }

    /// The class of the object whose field it is that a function was handed.
    fn class_with_field(&self, variable: &Variable, owner: FnId) -> Option<ClsId> {
        let (class, field) = variable.at.own_field?;
        let values = &self.program.values;
        let mut kept = values.members(field).iter().filter(|value| values.is_variable(**value));
        kept.any(|value| self.root(*value) == owner).then_some(class)
    }

    /// What a function was handed in all, and the keys under which it put it into a table, where they are known.
    fn handed_over(&mut self, variable: &Variable, envs: &[EnvId]) -> Vec<(Target, Vec<Option<Symbol>>)> {
        let key = self.key_of_put(variable);
        let mut all: Vec<(Target, Vec<Option<Symbol>>)> = Vec::new();
        for &env in envs {
            let filled = self.program.fill_value(variable.value, env);
            if self.program.values.members(filled) == [variable.value] {
                continue;
            }
            let given = key.and_then(|(owner, parameter)| {
                let need = Need { owner, parameter, what: What::None, is: true };
                self.program.given(env, need).and_then(|given| self.program.only_text(given))
            });
            let args = self.program.fill_args(variable.args, env);
            for target in self.program.targets(filled, args) {
                match all.iter_mut().find(|(known, _)| *known == target) {
                    Some((_, keys)) => keys.push(given),
                    None => all.push((target, vec![given])),
                }
            }
        }
        all
    }

    /// The parameter of the function that was handed something which is the key of that.
    fn key_of_put(&mut self, variable: &Variable) -> Option<(FnId, u32)> {
        variable.at.taken_under?;
        let mut next = variable.value;
        while let Value::Step(inner, _) = *self.program.values.get(next) {
            next = inner;
        }
        let Value::Parameter(owner, parameter) = *self.program.values.get(next) else { return None };
        Some((owner, self.program.put_under(owner, parameter)?))
    }

    /// That a call takes it out under one of these keys: none, if there is one that is not known.
    fn one_of(&mut self, at: &Happening, keys: Vec<Option<Symbol>>) -> Option<Need> {
        let (owner, parameter) = at.taken_under?;
        let texts: Option<Vec<(What, bool)>> = keys.into_iter().map(|key| Some((What::Text(key?), true))).collect();
        let (what, is) = self.program.one_of(texts?);
        Some(Need { owner, parameter, what, is })
    }
}

/// The bit of a parameter: the last one is that of all others.
pub(crate) fn bit_of(parameter: u32) -> u32 {
    1 << parameter.min(u32::BITS - 1)
}

/// The bits of a parameter, and of all behind it.
pub(crate) fn bits_from(parameter: u32) -> u32 {
    u32::MAX << parameter.min(u32::BITS - 1)
}

pub(super) const MOST_VARIABLES: usize = 24;
const LONGEST_VIA: usize = 5;
const MOST_ROUNDS: usize = 2_000_000;
pub(crate) const MOST_GIVERS: usize = 12;
