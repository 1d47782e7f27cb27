//! What is put into tables and lists after they were made: `table[key] = value`, `items.append(value)`.

use super::Lowering;
use crate::facts::{Binding, BindingId, BindingKind, Expr as Fact, ExprId, Key, Store, UNKNOWN};
use crate::syntax::{Expr, Ranged, ast};

impl Lowering {
    /// The container may have that value too; a table has it under a key.
    pub(super) fn add_item(&mut self, container: &Expr, value: ExprId, key: Option<Key>) {
        if !self.may_matter(value) {
            return;
        }
        let range = container.range();
        let item = match key {
            Some(key) => self.add(Fact::Mapping([(key, value)].into()), range),
            None => self.add(Fact::Sequence([value].into()), range),
        };
        match container {
            Expr::Name(name) => self.add_to_name(name, item),
            Expr::Attribute(attribute) => self.store(attribute, Some(item), None),
            // `table[key].append(value)`
            Expr::Subscript(subscript) => {
                let key = self.name_as_key(&subscript.slice);
                self.add_item(&subscript.value, item, Some(key));
            }
            // `table.setdefault(key, []).append(value)`
            Expr::Call(call) => {
                if let Expr::Attribute(method) = &*call.func
                    && matches!(method.attr.as_str(), "setdefault" | "get")
                {
                    let key = call.arguments.args.first().map_or(Key::Unknown, |key| self.name_as_key(key));
                    self.add_item(&method.value, item, Some(key));
                }
            }
            _ => {}
        }
    }

    /// A key that is a name, once more.
    fn name_as_key(&mut self, key: &Expr) -> Key {
        let Expr::Name(name) = key else { return Key::Unknown };
        let name = self.name(&name.id);
        Key::Of(self.look_up(name))
    }

    fn add_to_name(&mut self, name: &ast::ExprName, item: ExprId) {
        let name_id = self.name(&name.id);
        if self.frame().locals.contains_key(&name_id) {
            let before = self.look_up(name_id);
            let both = self.union(vec![before, item], name.range);
            self.bind(name_id, BindingKind::Value(both), name.range);
        } else if let Some(scope) = self.outer_scope(name_id) {
            let guard = self.frame().guard;
            let kind = BindingKind::Value(item);
            let binding = Binding {
                kind,
                guard,
                is_used: true,
                is_declared: false,
                is_replaced: false,
                span: super::span(name.range),
            };
            let binding = self.facts.bindings.push(binding);
            self.remember(scope, name_id, binding);
        }
    }

    /// Whether a value may be called, or have something that may be.
    fn may_matter(&self, value: ExprId) -> bool {
        value != UNKNOWN
            && !matches!(
                self.facts.exprs[value],
                Fact::Constant(_) | Fact::Text(_) | Fact::Not(_) | Fact::Same(..) | Fact::Operation(..)
            )
    }

    /// Calls that put something into a container, or an attribute into an object.
    pub(super) fn filling_call(&mut self, call: &ast::ExprCall, callee: ExprId, positional: &[ExprId]) {
        match (&*call.func, positional) {
            // What it gives is that, if there was nothing.
            (Expr::Attribute(method), [key, value]) if method.attr.as_str() == "setdefault" => {
                let is_name = call.arguments.args.first().is_some_and(Expr::is_name_expr);
                self.put_in(method, *value, Some(if is_name { Key::Of(*key) } else { Key::Unknown }));
            }
            (Expr::Attribute(method), [.., value]) => {
                let is_filling = match method.attr.as_str() {
                    "append" | "appendleft" | "add" => positional.len() == 1,
                    "insert" => positional.len() == 2,
                    // Other things are put elsewhere: `session.put(url)`.
                    "put" | "put_nowait" => positional.len() == 1 && self.is_of_queue(callee),
                    _ => false,
                };
                if is_filling {
                    self.put_in(method, *value, None);
                }
            }
            (Expr::Name(name), [object, key, value]) if name.id == "setattr" => {
                if let Fact::Text(name) = self.facts.exprs[*key] {
                    self.facts.stores.push(Store { object: *object, name, value: *value });
                }
            }
            _ => {}
        }
    }

    /// Whether what has a method is a name, or a field of the own object, that was given a queue: `self.jobs = asyncio.Queue()`.
    fn is_of_queue(&self, method: ExprId) -> bool {
        let Fact::Attribute(object, _) = self.facts.exprs[method] else { return false };
        let is_queue = |value: ExprId| match self.facts.exprs[value] {
            Fact::Call(callee, _) => match &self.facts.exprs[callee] {
                Fact::Attribute(_, name) | Fact::Global(name) | Fact::Free(_, name) => {
                    self.names[*name].ends_with("Queue")
                }
                Fact::Local(bindings) => bindings.iter().any(|binding| match self.facts.bindings[*binding].kind {
                    BindingKind::ImportFrom { name, .. } => self.names[name].ends_with("Queue"),
                    _ => false,
                }),
                _ => false,
            },
            _ => false,
        };
        let is_given_one = |binding: &BindingId| match self.facts.bindings[*binding].kind {
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => is_queue(value),
            _ => false,
        };
        match &self.facts.exprs[object] {
            Fact::Local(bindings) => bindings.iter().any(is_given_one),
            Fact::Free(scope, name) => self
                .places
                .get(&(*scope, *name))
                .is_some_and(|place| self.facts.scopes[*scope].names[*place].1.iter().any(is_given_one)),
            Fact::Attribute(_, field) => {
                let class = self.frames.iter().rev().find_map(|frame| frame.class);
                let fields = class.map_or(&[][..], |class| &self.facts.classes[class].fields);
                fields.iter().any(|one| one.name == *field && one.value.is_some_and(is_queue))
            }
            _ => false,
        }
    }

    fn put_in(&mut self, method: &ast::ExprAttribute, value: ExprId, key: Option<Key>) {
        let frame = self.frame();
        if frame.filled < MOST_FILLED {
            frame.filled += 1;
            self.add_item(&method.value, value, key);
        }
    }
}

/// Values that one function puts into containers, one by one.
const MOST_FILLED: u32 = 40;
