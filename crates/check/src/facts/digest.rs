//! What linking asks of every file, in short: all else of a file is only looked at where somebody asks for it.

use super::{BindingId, BindingKind, EventKind, Expr, ExprId, Facts, MODULE_SCOPE, NameId, Names};
use rustc_hash::FxHashSet;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Of one file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Digest {
    pub(crate) names: Arc<Names>,
    /// How many there are.
    pub(crate) functions: u32,
    pub(crate) exprs: u32,
    /// The names of the module, in their order.
    pub(crate) members: Vec<NameId>,
    pub(crate) classes: Vec<ClassDigest>,
    /// The names of attributes that are set of other objects than `self`.
    pub(crate) stores: Vec<NameId>,
    /// Names that stand where a value is: called, handed on, returned, stored.
    pub(crate) values: Vec<NameId>,
}

/// Of a class: the names in its body, and of its fields.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ClassDigest {
    pub(crate) name: NameId,
    pub(crate) members: Vec<NameId>,
    pub(crate) fields: Vec<NameId>,
}

impl Digest {
    pub(crate) fn of(facts: &Facts) -> Self {
        let names_of = |scope| facts.scopes[scope].names.iter().map(|(name, _)| *name).collect();
        let classes = facts.classes.iter().map(|(_, class)| ClassDigest {
            name: class.name,
            members: names_of(class.scope),
            fields: class.fields.iter().map(|field| field.name).collect(),
        });
        Self {
            names: Arc::clone(&facts.names),
            functions: facts.functions.len() as u32,
            exprs: facts.exprs.len() as u32,
            members: names_of(MODULE_SCOPE),
            classes: classes.collect(),
            stores: facts.stores.iter().map(|store| store.name).collect(),
            values: values(facts),
        }
    }
}

/// Names that stand where a value is; and what imported ones are called where they come from.
fn values(facts: &Facts) -> Vec<NameId> {
    let mut names: FxHashSet<NameId> = FxHashSet::default();
    let mut exprs: Vec<ExprId> = Vec::new();
    for (_, function) in facts.functions.iter() {
        for event in &function.events {
            let (EventKind::Call(_), Expr::Call(callee, arguments)) = (event.kind, &facts.exprs[event.expr]) else {
                continue;
            };
            exprs.push(*callee);
            // `Session.open()` may make one.
            if let Expr::Attribute(object, _) = facts.exprs[*callee] {
                exprs.push(object);
            }
            let is_question = matches!(&facts.exprs[*callee], Expr::Global(name) if matches!(facts.name(*name), "isinstance" | "issubclass"));
            if !is_question {
                exprs.extend(arguments.iter().map(|argument| argument.value));
            }
        }
        exprs.extend(function.returns.iter().map(|(expr, _)| *expr));
        exprs.extend(&function.decorators);
    }
    for (_, binding) in facts.bindings.iter() {
        match binding.kind {
            BindingKind::Value(expr)
            | BindingKind::Annotated { value: Some(expr), .. }
            | BindingKind::Unpacked(expr, _) => exprs.push(expr),
            _ => {}
        }
    }
    for (_, class) in facts.classes.iter() {
        exprs.extend(class.fields.iter().filter_map(|field| field.value));
        exprs.extend(&class.decorators);
    }
    let mut at = 0;
    while let Some(&expr) = exprs.get(at) {
        at += 1;
        match &facts.exprs[expr] {
            Expr::Free(_, name) | Expr::Global(name) | Expr::Attribute(_, name) => {
                names.insert(*name);
                if let Expr::Free(scope, name) = &facts.exprs[expr] {
                    original_names(facts, facts.bindings_of(*scope, *name), &mut names);
                }
            }
            Expr::Local(bindings) => original_names(facts, bindings, &mut names),
            Expr::Union(parts) | Expr::Sequence(parts) | Expr::Logic(_, parts) => exprs.extend(parts),
            Expr::Element(value) | Expr::AsyncElement(value) | Expr::Item(value, _) => exprs.push(*value),
            Expr::Choice { then, other, .. } => exprs.extend([*then, *other]),
            Expr::Mapping(items) => exprs.extend(items.iter().map(|(_, value)| *value)),
            _ => {}
        }
    }
    let mut names: Vec<NameId> = names.into_iter().collect();
    names.sort_unstable();
    names
}

/// What imported names are called where they come from.
fn original_names(facts: &Facts, bindings: &[BindingId], names: &mut FxHashSet<NameId>) {
    for binding in bindings {
        match facts.bindings[*binding].kind {
            BindingKind::ImportFrom { name, .. } => {
                names.insert(name);
            }
            BindingKind::Class(class) => {
                names.insert(facts.classes[class].name);
            }
            _ => {}
        }
    }
}
