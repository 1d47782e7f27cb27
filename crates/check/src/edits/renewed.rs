//! What is something else than before wherever it is read, though what reads it stands as it was: fields of objects that are set to something
//! else, and parameters that are said to be of other types.

use super::quiet::Quiet;
use crate::facts::{BindingKind, Expr, Facts, FunctionId, ScopeKind};
use rustc_hash::FxHashSet;

/// Found when two texts are laid side by side. Then they are laid again, with all that reads these told apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Renewed {
    fields: FxHashSet<String>,
    /// Parameters by their places, with their functions: as they were, and as they are.
    parameters: FxHashSet<((FunctionId, FunctionId), u32)>,
}

impl Renewed {
    pub(super) fn add_field(&mut self, name: &str) {
        self.fields.insert(name.to_owned());
    }

    pub(super) fn add_parameter(&mut self, functions: (FunctionId, FunctionId), place: u32) {
        self.parameters.insert((functions, place));
    }

    pub(super) fn fields(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().map(String::as_str)
    }

    /// Whether an expression reads such a field, or may be its name.
    pub(super) fn is_read(&self, facts: &Facts, expr: &Expr) -> bool {
        !self.fields.is_empty()
            && match *expr {
                Expr::Attribute(_, name) | Expr::Text(name) => self.fields.contains(facts.name(name)),
                Expr::Joined(_, rest) => self.fields.iter().any(|field| field.ends_with(facts.name(rest))),
                _ => false,
            }
    }

    /// Whether a name is bound to such a parameter, in the new text.
    pub(super) fn is_parameter(&self, kind: BindingKind) -> bool {
        match kind {
            BindingKind::Parameter(function, place) => {
                self.parameters.iter().any(|((_, now), known)| (*now, *known) == (function, place))
            }
            _ => false,
        }
    }
}

/// Whether a field can only be read in this file, if anybody reads it, and objects are not told apart by what it is.
pub(super) fn is_of_file_alone(old: Quiet<'_>, new: Quiet<'_>, name: &str) -> bool {
    let is_here = || old.facts.names.iter().any(|known| known == name);
    let is_ours = old.words.is_some_and(|words| words.is_unknown(name) || (words.is_of_one_file(name) && is_here()));
    let is_watched = old.watched.has(name) || old.watched.has_property(name) || old.watched.is_told(name);
    is_ours && !is_watched && !is_member(old.facts, name) && !is_member(new.facts, name)
}

/// Whether a class has something else under the name of a field than a value.
fn is_member(facts: &Facts, name: &str) -> bool {
    let classes = facts.scopes.iter().filter(|(_, scope)| matches!(scope.kind, ScopeKind::Class(_)));
    let named = classes.flat_map(|(_, scope)| scope.names.iter().filter(|(known, _)| facts.name(*known) == name));
    let mut bound = named.flat_map(|(_, bindings)| &**bindings).map(|binding| facts.bindings[*binding].kind);
    bound.any(|kind| !matches!(kind, BindingKind::Value(_) | BindingKind::Annotated { .. }))
}
