//! Properties: which names are, and what reading or setting such an attribute runs.

use super::Program;
use super::classes::WIDEST;
use super::values::{ANYHOW, ClsId, Decoration, EnvId, FileId, FnId, NO_ARGS, NO_ENV, Symbol, Value, ValueId};
use crate::facts::{BindingId, BindingKind, EventKind, Expr, ExprId, Facts};
use rustc_hash::FxHashSet;

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
        found
    }

    /// Names that are properties of some class, and do more than to give what is there.
    pub(super) fn learn_properties(&mut self) {
        let mut getters: Vec<(Symbol, FnId)> = Vec::new();
        let mut names = FxHashSet::default();
        for (index, file) in self.files.iter().enumerate() {
            let facts = &file.facts;
            for (id, function) in facts.functions.iter() {
                if function.class.is_some() && function.decorators.iter().any(|one| is_property(facts, *one)) {
                    getters.push((file.symbols[function.name.index()], self.global_fn(FileId(index as u32), id)));
                }
            }
            // `name = property(getter)`
            for (_, class) in facts.classes.iter() {
                for (name, bindings) in &facts.scopes[class.scope].names {
                    let is_made = |binding: &BindingId| match facts.bindings[*binding].kind {
                        BindingKind::Value(value) => match facts.exprs[value] {
                            Expr::Call(callee, _) => is_property(facts, callee),
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
