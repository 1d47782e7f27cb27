//! Stores of callbacks: containers that one part of a program fills, and from which another takes what it calls.
//!
//! What comes out of one may be what was put in, at some time: a call of it is followed, but what many share is not blamed for it (see
//! [`crate::search`]).

use super::Program;
use super::values::{FileId, FnId, Value};
use crate::facts::{BindingKind, Expr, ExprId, Key, MODULE_SCOPE};

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
            Expr::Element(container) | Expr::Item(container, Key::Unknown) => self.is_filled(file, container),
            _ => false,
        }
    }

    /// Whether it is a module's container, and has more in it than it was written with.
    fn is_filled(&mut self, file: FileId, container: ExprId) -> bool {
        let (module, name) = match *self.expr(file, container) {
            Expr::Free(scope, name) if scope == MODULE_SCOPE => (file, self.symbol(file, name)),
            Expr::Attribute(object, name) => {
                let objects = self.eval(file, object);
                let [one] = *self.values.members(objects) else { return false };
                let Value::Module(module) = *self.values.get(one) else { return false };
                (module, self.symbol(file, name))
            }
            _ => return false,
        };
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
