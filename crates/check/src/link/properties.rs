//! Properties, and descriptors of the program's own: which names are, and what reading or setting such an attribute runs.

use super::Program;
use super::classes::WIDEST;
use super::values::{
    ANYHOW, Args, ArgsId, ClsId, Decoration, EMPTY, EnvId, FileId, FnId, NO_ARGS, NO_ENV, SetId, Step, Symbol, Value,
    ValueId,
};
use crate::facts::{BindingId, BindingKind, EventKind, Expr, ExprId, Facts, Use};
use rustc_hash::FxHashSet;
use smallvec::smallvec;

impl Program {
    /// The getters that reading an attribute runs.
    pub(crate) fn getters(&mut self, value: ValueId, name: Symbol) -> Vec<(FnId, EnvId)> {
        let (value, next) = match *self.values.get(value) {
            // `super().total`: that of the next class, for the method's own object.
            Value::Super(class, receiver) => (receiver, Some(class)),
            _ => (value, None),
        };
        let Value::Instance { class: of, is_exact, .. } = *self.values.get(value) else { return Vec::new() };
        let is_exact = is_exact || next.is_some();
        let class = of;
        let defining = next.map_or_else(|| self.defining(class, name), |next| self.next_defining(class, next, name));
        let mut classes: Vec<ClsId> = defining.into_iter().collect();
        if !is_exact {
            let is_test = self.file(self.class_file(class)).is_test;
            let heirs = self.heirs(class).iter().copied();
            classes.extend(heirs.filter(|heir| {
                self.has_own(*heir, name)
                    && self.is_live(*heir)
                    && (is_test || !self.file(self.class_file(*heir)).is_test)
            }));
        }
        if classes.len() > WIDEST {
            classes.truncate(1);
        }
        let mut found = Vec::new();
        for (place, class) in classes.into_iter().enumerate() {
            // An heir's getter has an heir for `self`.
            let is_heir = place > 0 || !self.is_subclass(of, class);
            let value =
                if is_heir { self.value(Value::Instance { class, is_exact: false, made: ANYHOW }) } else { value };
            let (file, scope) = (self.class_file(class), self.class(class).scope);
            let Some(&place) = self.hierarchy.members[class.0 as usize].get(&name) else { continue };
            let bindings = self.file(file).facts.scopes[scope].names[place].1.clone();
            let set = self.eval_bindings(file, &bindings);
            for member in self.values.shared(set).iter().copied() {
                if matches!(self.values.get(member), Value::Instance { .. }) {
                    self.add_descriptors_method((member, "__get__"), (value, name), &mut found);
                    continue;
                }
                let Value::Decorated(Decoration::Property, inner) = *self.values.get(member) else { continue };
                for getter in self.values.shared(inner).iter().copied() {
                    if let Value::Function(function, env) = *self.values.get(getter) {
                        let env = self.bind(function, env, Some(value), NO_ARGS);
                        found.push((function, env));
                    }
                }
            }
        }
        found
    }

    /// The setters that setting an attribute runs.
    pub(crate) fn setters(&mut self, value: ValueId, name: Symbol) -> Vec<(FnId, EnvId)> {
        let Value::Instance { class, .. } = *self.values.get(value) else { return Vec::new() };
        let Some(defining) = self.defining(class, name) else { return Vec::new() };
        let mut found = Vec::new();
        for method in self.own_method(defining, name) {
            let facts = &self.file(self.file_of(method)).facts;
            let is_setter = self.function(method).decorators.iter().any(
                |decorator| matches!(&facts.exprs[*decorator], Expr::Attribute(_, name) if facts.name(*name) == "setter"),
            );
            if is_setter {
                found.push((method, self.bind(method, NO_ENV, Some(value), NO_ARGS)));
            }
        }
        for member in self.descriptors(defining, name) {
            self.add_descriptors_method((member, "__set__"), (value, name), &mut found);
        }
        found
    }

    /// What a class's attribute is that says itself what reading or setting it does.
    fn descriptors(&mut self, class: ClsId, name: Symbol) -> Vec<ValueId> {
        let Some(&place) = self.hierarchy.members[class.0 as usize].get(&name) else { return Vec::new() };
        if self.hierarchy.descriptors.is_empty() {
            return Vec::new();
        }
        let (file, scope) = (self.class_file(class), self.class(class).scope);
        let bindings = self.file(file).facts.scopes[scope].names[place].1.clone();
        let set = self.eval_bindings(file, &bindings);
        let is_one = |value: &ValueId| self.is_descriptor(*value);
        self.values.members(set).iter().copied().filter(is_one).collect()
    }

    /// Whether a value is an object of the program's with `__get__`.
    pub(super) fn is_descriptor(&self, value: ValueId) -> bool {
        let Value::Instance { class, .. } = *self.values.get(value) else { return false };
        !self.hierarchy.descriptors.is_empty()
            && self.ancestors(class).any(|class| self.hierarchy.descriptors.contains(&class))
    }

    /// What a descriptor gives when an object's attribute is read; itself, if that is not known.
    pub(super) fn got_by(&mut self, descriptor: ValueId, object: ValueId) -> SetId {
        let (name, args) = (self.values.symbol("__get__"), self.object_as_argument(object));
        let method = self.attribute(descriptor, name);
        match self.step_set(method, Step::Call(args)) {
            EMPTY => SetId::of(descriptor),
            given => given,
        }
    }

    fn object_as_argument(&mut self, object: ValueId) -> ArgsId {
        self.values.new_args(Args { positional: smallvec![SetId::of(object)], ..Args::default() })
    }

    fn add_descriptors_method(
        &mut self,
        (descriptor, method): (ValueId, &str),
        (object, attribute): (ValueId, Symbol),
        found: &mut Vec<(FnId, EnvId)>,
    ) {
        if !self.is_descriptor(descriptor) || self.is_hidden(descriptor, object, attribute) {
            return;
        }
        let (name, args) = (self.values.symbol(method), self.object_as_argument(object));
        let methods = self.attribute(descriptor, name);
        for method in self.values.shared(methods).iter().copied() {
            if let Value::Bound(function, env, receiver) = *self.values.get(method) {
                found.push((function, self.bind(function, env, Some(receiver), args)));
            }
        }
    }

    /// Whether an object's own field comes before what its class has: unless that says what setting it does.
    fn is_hidden(&self, descriptor: ValueId, object: ValueId, attribute: Symbol) -> bool {
        let Value::Instance { class: kind, .. } = *self.values.get(descriptor) else { return false };
        let Value::Instance { class, .. } = *self.values.get(object) else { return false };
        let sets = self.values.known_symbol("__set__").is_some_and(|set| self.defining(kind, set).is_some());
        !sets && self.ancestors(class).any(|class| self.hierarchy.fields[class.0 as usize].contains_key(&attribute))
    }

    /// Whether a decorator makes a property: its `__get__` calls with the object what the constructor was given.
    pub(super) fn makes_property(&self, class: ClsId) -> bool {
        let Some(name) = self.values.known_symbol("__get__") else { return false };
        let Some(owner) = self.defining(class, name) else { return false };
        let [getter] = self.own_method(owner, name)[..] else { return false };
        let file = self.file_of(getter);
        self.ask_events(getter).iter().filter(|event| event.kind != EventKind::Call(Use::Discarded)).any(|event| {
            let Expr::Call(callee, ref arguments) = *self.expr(file, event.expr) else { return false };
            let (&Expr::Attribute(own, field), [object, ..]) = (self.expr(file, callee), &arguments[..]) else {
                return false;
            };
            let is_method = self
                .defining(class, self.symbol(file, field))
                .is_some_and(|class| self.hierarchy.members[class.0 as usize].contains_key(&self.symbol(file, field)));
            !is_method
                && self.asked_parameter(file, getter, own) == Some((getter, 0))
                && self.asked_parameter(file, getter, object.value) == Some((getter, 1))
        })
    }

    /// Names that are properties of some class, and do more than to give what is there.
    pub(super) fn learn_properties(&mut self) {
        let mut getters: Vec<(Symbol, FnId)> = Vec::new();
        let mut names = FxHashSet::default();
        let descriptors = self.names_of_descriptors();
        for (index, file) in self.files.iter().enumerate() {
            let facts = &file.facts;
            let makes_descriptor = |callee: ExprId| {
                let names = facts.mentioned(callee);
                !descriptors.is_empty() && names.iter().any(|name| descriptors.contains(&file.symbols[name.index()]))
            };
            for (id, function) in facts.functions.iter() {
                if function.class.is_some() && function.decorators.iter().any(|one| makes_descriptor(*one)) {
                    names.insert(file.symbols[function.name.index()]);
                }
                if function.class.is_some() && function.decorators.iter().any(|one| is_property(facts, *one)) {
                    getters.push((file.symbols[function.name.index()], self.global_fn(FileId(index as u32), id)));
                }
            }
            // `name = property(getter)`
            for (_, class) in facts.classes.iter() {
                for (name, bindings) in &facts.scopes[class.scope].names {
                    let is_made = |binding: &BindingId| match facts.bindings[*binding].kind {
                        BindingKind::Value(value) => match facts.exprs[value] {
                            Expr::Call(callee, _) => is_property(facts, callee) || makes_descriptor(callee),
                            _ => false,
                        },
                        _ => false,
                    };
                    if bindings.iter().any(is_made) {
                        names.insert(file.symbols[name.index()]);
                    }
                }
            }
        }
        let known: FxHashSet<Symbol> = getters.iter().map(|(name, _)| *name).collect();
        names.extend(getters.iter().filter(|(_, getter)| self.does_something(*getter, &known)).map(|(name, _)| *name));
        self.hierarchy.properties = names;
    }

    /// The names of classes that say what reading an attribute does.
    fn names_of_descriptors(&self) -> FxHashSet<Symbol> {
        let all = self.hierarchy.descriptors.iter().copied();
        all.map(|class| self.symbol(self.class_file(class), self.class(class).name)).collect()
    }

    /// Whether a getter calls, or reads another property.
    fn does_something(&self, getter: FnId, properties: &FxHashSet<Symbol>) -> bool {
        let file = self.file(self.file_of(getter));
        self.function(getter).events.iter().any(|event| match (event.kind, &file.facts.exprs[event.expr]) {
            (EventKind::Read, Expr::Attribute(_, name)) => properties.contains(&file.symbols[name.index()]),
            _ => true,
        })
    }

    /// Whether reading or setting an attribute of that name may do something.
    pub(crate) fn is_property(&self, name: Symbol) -> bool {
        self.hierarchy.properties.contains(&name)
    }
}

/// Whether a decorator's name says that it makes a property, or its setter.
fn is_property(facts: &Facts, decorator: ExprId) -> bool {
    match &facts.exprs[decorator] {
        Expr::Attribute(_, name) if facts.name(*name) == "setter" => true,
        Expr::Global(name) | Expr::Attribute(_, name) | Expr::Free(_, name) => facts.name(*name).contains("property"),
        Expr::Local(bindings) => bindings.iter().any(|binding| match facts.bindings[*binding].kind {
            BindingKind::ImportFrom { name, .. } => facts.name(name).contains("property"),
            _ => false,
        }),
        _ => false,
    }
}
