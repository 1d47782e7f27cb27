//! Stores of callbacks: containers that one part of a program fills, and from which another takes what it calls.
//!
//! What comes out of one may be what was put in, at some time: a call of it is followed, but what many share is not blamed for it (see
//! [`crate::search`]).

use super::alone::Lead;
use super::values::{FileId, FnId, Symbol, Value};
use super::{Asked, Program};
use crate::facts::{
    BindingId, BindingKind, Expr, ExprId, Facts, FunctionId, Key, MODULE_SCOPE, NameId, ScopeId, ScopeKind,
};

impl Program {
    /// Whether a call is one of something that was taken out of a container of a module, which other code fills.
    pub(crate) fn is_from_registry(&mut self, file: FileId, call: ExprId) -> bool {
        let Expr::Call(callee, _) = *self.expr(file, call) else { return false };
        let taken = match *self.expr(file, callee) {
            // A method of what was taken out.
            Expr::Attribute(object, _) => object,
            _ => callee,
        };
        let taken = self.bound_value(file, taken).unwrap_or(taken);
        match *self.expr(file, taken) {
            Expr::Element(container) | Expr::Item(container, Key::Unknown | Key::Of(_)) => {
                self.is_filled(file, container)
            }
            _ => false,
        }
    }

    /// The parameter that is the key under which a call takes what it calls out of a table: `for handler in handlers[name]: handler()`.
    pub(crate) fn taken_under(&self, file: FileId, function: FnId, call: ExprId) -> Option<(FnId, u32)> {
        let Expr::Call(callee, _) = *self.expr(file, call) else { return None };
        let mut taken = match *self.expr(file, callee) {
            Expr::Attribute(object, _) => object,
            _ => callee,
        };
        taken = self.bound_value(file, taken).unwrap_or(taken);
        if let Expr::Element(container) = *self.expr(file, taken) {
            taken = self.bound_value(file, container).unwrap_or(container);
        }
        let (table, key) = match self.expr(file, taken) {
            Expr::Item(table, Key::Of(key)) => (*table, *key),
            Expr::Call(callee, arguments) => match (self.expr(file, *callee), &**arguments) {
                (Expr::Attribute(table, name), [key, ..]) if self.file(file).facts.name(*name) == "get" => {
                    (*table, key.value)
                }
                _ => return None,
            },
            _ => return None,
        };
        // A table in a table has two keys.
        let is_whole = matches!(self.expr(file, table), Expr::Free(..) | Expr::Attribute(..) | Expr::Local(_));
        self.asked_parameter(file, function, key).filter(|_| is_whole)
    }

    /// The parameter that is the key under which a function puts another one of its parameters into a table; none, if it also keeps it elsewhere,
    /// or it may come out of the table under another key.
    pub(crate) fn put_under(&mut self, function: FnId, parameter: u32) -> Option<u32> {
        self.note(function, Asked::BODY);
        let facts = &self.file(self.file_of(function)).facts;
        let own = self.local_fn(function);
        let place_of = |expr: ExprId| match &facts.exprs[expr] {
            Expr::Local(bindings) => match **bindings {
                [binding] => match facts.bindings[binding].kind {
                    BindingKind::Parameter(owner, place) if owner == own => Some(place),
                    _ => None,
                },
                _ => None,
            },
            _ => None,
        };
        let is_it = |expr: ExprId| place_of(expr) == Some(parameter);
        let is_list_of_it =
            |expr: ExprId| matches!(&facts.exprs[expr], Expr::Sequence(parts) if parts.iter().any(|part| is_it(*part)));
        let mut known = None;
        let mut tables = Vec::new();
        for (kept, table) in kept_values(facts, own) {
            match &facts.exprs[kept] {
                Expr::Mapping(items) => {
                    for (key, _) in items.iter().filter(|(_, value)| is_it(*value) || is_list_of_it(*value)) {
                        let Key::Of(key) = *key else { return None };
                        let place = place_of(key)?;
                        if known.is_some_and(|known| known != place) {
                            return None;
                        }
                        known = Some(place);
                        tables.push(table);
                    }
                }
                _ if is_it(kept) || is_list_of_it(kept) => return None,
                _ => {}
            }
        }
        let file = self.file_of(function);
        let mut leads = Vec::with_capacity(tables.len());
        for table in tables {
            leads.push(match table {
                Kept::Attribute(name) => Lead::Attribute(self.symbol(file, name)),
                Kept::Name(scope, name, _) if scope == MODULE_SCOPE => Lead::Module(file, self.symbol(file, name)),
                Kept::Name(_, name, binding) => Lead::Bound(file, binding, self.symbol(file, name)),
            });
        }
        known.filter(|_| leads.into_iter().all(|lead| self.is_told_by_key(lead)))
    }

    /// The module and its name that an expression reads: `HANDLERS`, or `app.HANDLERS`.
    pub(super) fn name_of_module(&mut self, file: FileId, expr: ExprId) -> Option<(FileId, Symbol)> {
        match *self.expr(file, expr) {
            Expr::Free(scope, name) if scope == MODULE_SCOPE => Some((file, self.symbol(file, name))),
            Expr::Attribute(object, name) => {
                let objects = self.eval(file, object);
                let [one] = *self.values.members(objects) else { return None };
                let Value::Module(module) = *self.values.get(one) else { return None };
                Some((module, self.symbol(file, name)))
            }
            _ => None,
        }
    }

    /// Whether it is a module's container, and has more in it than it was written with.
    fn is_filled(&mut self, file: FileId, container: ExprId) -> bool {
        let Some((module, name)) = self.name_of_module(file, container) else { return false };
        let this = self.file(module);
        let written = this.members.get(&name).map_or(0, |place| {
            let (_, bindings) = &this.facts.scopes[MODULE_SCOPE].names[*place];
            let is_value = |kind| matches!(kind, BindingKind::Value(_) | BindingKind::Annotated { .. });
            bindings.iter().filter(|binding| is_value(this.facts.bindings[**binding].kind)).count()
        });
        written > 1 || self.stores.get(&name).is_some_and(|stores| stores.iter().any(|(filler, _)| *filler != module))
    }

    /// Whether a function is called when an object is made: what it keeps, the object has from then on.
    pub(crate) fn is_constructor(&self, function: FnId) -> bool {
        let name = self.file(self.file_of(function)).facts.name(self.function(function).name);
        self.class_of(function).is_some() && matches!(name, "__init__" | "__new__" | "__post_init__")
    }
}

/// Where a file keeps something.
#[derive(Clone, Copy)]
enum Kept {
    Attribute(NameId),
    Name(ScopeId, NameId, BindingId),
}

/// What a file keeps in attributes, and in names other than those of one function.
fn kept_values(facts: &Facts, function: FunctionId) -> impl Iterator<Item = (ExprId, Kept)> + '_ {
    let stored = facts.stores.iter().map(|store| (store.value, Kept::Attribute(store.name)));
    let fields = facts.classes.iter().flat_map(|(_, class)| &class.fields);
    let fields = fields.filter_map(|field| Some((field.value?, Kept::Attribute(field.name))));
    let scopes = facts.scopes.iter().filter(move |(_, scope)| scope.kind != ScopeKind::Function(function));
    let bindings = scopes.flat_map(|(id, scope)| {
        scope.names.iter().flat_map(move |(name, bindings)| bindings.iter().map(move |one| (id, *name, *one)))
    });
    let bound = bindings.filter_map(|(scope, name, binding)| match facts.bindings[binding].kind {
        BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => {
            Some((value, Kept::Name(scope, name, binding)))
        }
        _ => None,
    });
    stored.chain(fields).chain(bound)
}
