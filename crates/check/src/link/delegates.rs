//! Objects that give what another one has: by `__getattr__`, or because their type says what they hold.

use super::values::{EMPTY, SetId, Step, Symbol, Value, ValueId};
use super::{Busy, Program};
use crate::facts::{BindingKind, Expr, ExprId};

impl Program {
    /// An attribute that a class does not have, where its `__getattr__` returns that of another object: `return getattr(self._inner, name)`.
    pub(super) fn delegated(&mut self, value: ValueId, name: Symbol) -> SetId {
        let Value::Instance { class, .. } = *self.values.get(value) else { return EMPTY };
        let Some(special) = self.values.known_symbol("__getattr__") else { return EMPTY };
        let Some(owner) = self.defining(class, special).filter(|_| !self.values.text(name).starts_with("__")) else {
            return EMPTY;
        };
        let key = Busy::Member(class, name);
        if !self.busy.insert(key) {
            return EMPTY;
        }
        let mut all = EMPTY;
        for method in self.own_method(owner, special) {
            let file = self.file_of(method);
            let returns = self.ask_returns(method);
            for (returned, _) in returns {
                if let Some(object) = self.asked_for_name(file, returned) {
                    let objects = self.eval(file, object);
                    let found = self.step_set(objects, Step::Attribute(name));
                    all = self.values.union(all, found);
                }
            }
        }
        self.busy.remove(&key);
        all
    }

    /// The object of `getattr(object, name)`, where the name is the method's own parameter.
    fn asked_for_name(&self, file: super::values::FileId, expr: ExprId) -> Option<ExprId> {
        let expr = self.bound_value(file, expr).unwrap_or(expr);
        let Expr::Call(callee, arguments) = self.expr(file, expr) else { return None };
        let [object, name, ..] = &**arguments else { return None };
        let facts = &self.file(file).facts;
        let is_getattr = matches!(self.expr(file, *callee), Expr::Global(name) if facts.name(*name) == "getattr");
        let Expr::Local(bindings) = self.expr(file, name.value) else { return None };
        let is_own = bindings.iter().any(|one| matches!(facts.bindings[*one].kind, BindingKind::Parameter(_, 1)));
        (is_getattr && is_own).then_some(object.value)
    }

    /// A method by which something gives what it holds: a queue, a task, a variable of a context.
    pub(super) fn holder_method(&mut self, held: SetId, name: Symbol) -> SetId {
        match self.values.text(name) {
            "result" | "get_nowait" => self.giver(held),
            "get" => {
                let later = self.single(Value::Holding(held));
                let given = self.values.union(held, later);
                self.giver(given)
            }
            _ => EMPTY,
        }
    }
}
