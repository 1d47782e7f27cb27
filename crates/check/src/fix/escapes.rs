//! Functions that are handed over as values, and to whom: who calls them then, and how?

use super::closure::Closures;
use super::places::Becomes;
use crate::facts::{Expr, ExprId};
use crate::graph::Site;
use crate::link::Program;
use crate::link::values::{FileId, FnId, Value};
use rustc_hash::FxHashMap;

/// One place where a function is taken for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Escape {
    /// An argument of this call.
    Given(Site),
    /// What this function returns.
    Returned(FnId),
    /// A part of a container, or an attribute.
    Kept(Site),
}

/// All of them.
pub(super) fn escapes(program: &mut Program) -> FxHashMap<FnId, Vec<Escape>> {
    let mut all: FxHashMap<FnId, Vec<Escape>> = FxHashMap::default();
    for index in 0..program.files.len() {
        let file = FileId(index as u32);
        let mut exprs: Vec<(ExprId, Escape)> = Vec::new();
        let facts = &program.file(file).facts;
        for (id, expr) in facts.exprs.iter() {
            let site = Site { file, span: facts.span(id) };
            match expr {
                Expr::Call(_, arguments) => {
                    exprs.extend(arguments.iter().map(|argument| (argument.value, Escape::Given(site))));
                }
                Expr::Sequence(parts) => exprs.extend(parts.iter().map(|part| (*part, Escape::Kept(site)))),
                Expr::Mapping(items) => exprs.extend(items.iter().map(|(_, value)| (*value, Escape::Kept(site)))),
                _ => {}
            }
        }
        for store in &facts.stores {
            exprs.push((store.value, Escape::Kept(Site { file, span: facts.span(store.value) })));
        }
        for (_, class) in facts.classes.iter() {
            let values = class.fields.iter().filter_map(|field| field.value);
            exprs.extend(values.map(|value| (value, Escape::Kept(Site { file, span: facts.span(value) }))));
        }
        for (_, function) in facts.functions.iter() {
            let defaults = function.parameters.iter().filter_map(|parameter| parameter.default);
            exprs.extend(defaults.map(|value| (value, Escape::Kept(Site { file, span: facts.span(value) }))));
        }
        let owners: Vec<_> = facts.functions.iter().map(|(id, function)| (id, function.returns.clone())).collect();
        for (owner, returns) in owners {
            let owner = program.global_fn(file, owner);
            exprs.extend(returns.iter().map(|(expr, _)| (*expr, Escape::Returned(owner))));
        }
        for (expr, escape) in exprs {
            let set = program.eval(file, expr);
            for value in program.values.members(set) {
                if let Value::Function(function, _) | Value::Bound(function, ..) = program.values.get(*value) {
                    all.entry(*function).or_default().push(escape);
                }
            }
        }
    }
    all
}

/// Functions by the function of the program that decorates them.
pub(super) fn decorated(program: &mut Program) -> FxHashMap<FnId, Vec<FnId>> {
    let mut all: FxHashMap<FnId, Vec<FnId>> = FxHashMap::default();
    for function in program.functions() {
        let file = program.file_of(function);
        for decorator in program.function(function).decorators.clone() {
            let set = program.eval(file, decorator);
            for value in program.values.members(set) {
                if let Value::Function(decorator, _) = program.values.get(*value) {
                    all.entry(*decorator).or_default().push(function);
                }
            }
        }
    }
    all
}

impl Closures<'_, '_> {
    /// The function that a decorator of the program puts in the place of what it decorates, if it does nothing but call that.
    pub(super) fn wrapper(&mut self, decorator: FnId) -> Option<FnId> {
        let this = self.program.function(decorator).clone();
        let file = self.program.file_of(decorator);
        let mut wrapper = None;
        for (expr, _) in &this.returns {
            let set = self.program.eval(file, *expr);
            let [value] = self.program.values.members(set) else { return None };
            let Value::Function(inner, _) = *self.program.values.get(*value) else { return None };
            let is_own = self.program.is_within(inner, decorator) && inner != decorator;
            if !is_own || wrapper.is_some_and(|known| known != inner) {
                return None;
            }
            wrapper = Some(inner);
        }
        let is_called = self.graph.into[decorator.0 as usize].iter().any(|edge| self.graph.edges[*edge].via.is_empty());
        let is_fit = !this.is_async && !this.is_generator && !is_called && self.is_only_called(decorator, 0);
        wrapper.filter(|_| is_fit)
    }

    /// Whether a function does nothing with one of its parameters but call it.
    pub(super) fn is_only_called(&mut self, function: FnId, parameter: u32) -> bool {
        let file = self.program.file_of(function);
        let this = self.program.function(function);
        let Some(parameter) = this.parameters.get(parameter as usize) else { return false };
        let (name, at) = (self.program.file(file).facts.name(parameter.name).to_owned(), this.at);
        let places = self.pages.places(file);
        let Some(range) = places.definitions.get(&at).map(|definition| definition.range) else { return false };
        let inside = |start: u32| range.start <= start && start < range.end;
        places.names.iter().filter(|read| read.name == name && inside(read.span.start)).all(|read| match read.becomes {
            Becomes::Called(_) => true,
            Becomes::Attribute(span) => {
                let text = self.pages.slice(file, span);
                text.rsplit('.').next().is_some_and(|attribute| attribute.starts_with("__"))
            }
            Becomes::Given(callee) => self.pages.slice(file, callee).rsplit('.').next() == Some("wraps"),
            Becomes::Other => false,
        })
    }

    /// Whether a decorator is used as one only: by itself, or made by a call that is one.
    fn only_decorates(&mut self, decorator: FnId) -> bool {
        let escapes = self.escapes.get(&decorator).cloned().unwrap_or_default();
        escapes.into_iter().all(|escape| {
            let Escape::Returned(maker) = escape else { return false };
            if self.escapes.contains_key(&maker) {
                return false;
            }
            self.graph.into[maker.0 as usize].iter().all(|edge| {
                let site = self.graph.edges[*edge].site;
                let places = self.pages.places(site.file);
                places.definitions.values().any(|definition| definition.decorators.contains(&site.span))
            })
        })
    }

    /// Whether this handing over is in the way.
    pub(super) fn in_the_way(&mut self, function: FnId, escape: Escape) -> bool {
        match escape {
            Escape::Kept(_) => true,
            Escape::Returned(owner) => self.wrapper(owner) != Some(function) || !self.only_decorates(owner),
            Escape::Given(site) => {
                if self.offloads.contains_key(&(site, function)) {
                    return false;
                }
                let mut parameters = Vec::new();
                for edge in self.sites.calls(self.graph, site) {
                    if !self.sites.outside(edge).is_empty() {
                        return true;
                    }
                    for ((owner, parameter), set) in self.program.values.env(edge.env) {
                        let is_it = |value| matches!(self.program.values.get(value), Value::Function(known, _) | Value::Bound(known, ..) if *known == function);
                        if *owner == edge.callee && self.program.values.members(*set).iter().any(|value| is_it(*value))
                        {
                            parameters.push((*owner, *parameter));
                        }
                    }
                }
                parameters.is_empty()
                    || parameters.into_iter().any(|(owner, parameter)| !self.is_only_called(owner, parameter))
            }
        }
    }
}
