//! What annotations say.

use super::values::{EMPTY, FileId, Gathered, SetId, Symbol, Value, ValueId};
use super::{Busy, Program};
use crate::facts::{BindingId, BindingKind, Expr, ExprId, MODULE_SCOPE, Parameter, ParameterKind, ScopeId};
use std::rc::Rc;

impl Program {
    /// What a value with this annotation may be.
    pub(super) fn annotated(&mut self, file: FileId, annotation: ExprId) -> SetId {
        let facts = self.file(file).facts.share();
        match &facts.exprs[annotation] {
            Expr::Union(parts) | Expr::Sequence(parts) => self.any_annotated(file, parts),
            Expr::Choice { then, other, .. } => self.any_annotated(file, &[*then, *other]),
            Expr::Constant(constant) => self.single(Value::Constant(*constant)),
            Expr::Call(generic, arguments) => {
                let parts = match arguments.first().map(|argument| &facts.exprs[argument.value]) {
                    Some(Expr::Sequence(parts)) => &**parts,
                    _ => &[],
                };
                self.generic(file, *generic, parts)
            }
            _ => {
                let classes = self.eval(file, annotation);
                let found = self.instances_of_type(classes);
                if found != EMPTY {
                    return found;
                }
                self.alias(file, annotation)
            }
        }
    }

    /// A name for a type that is more than a class: `Names = list[Name]`, here or in another module.
    fn alias(&mut self, file: FileId, annotation: ExprId) -> SetId {
        let (scope, name) = match self.expr(file, annotation) {
            Expr::Free(scope, name) => (*scope, *name),
            Expr::Local(bindings) => match **bindings {
                [binding] => return self.bound_alias(file, binding, 0),
                _ => return EMPTY,
            },
            _ => return EMPTY,
        };
        match self.bound_once(file, scope, self.symbol(file, name)) {
            Some(binding) => self.bound_alias(file, binding, 0),
            None => EMPTY,
        }
    }

    fn bound_alias(&mut self, file: FileId, binding: BindingId, depth: u32) -> SetId {
        match self.file(file).facts.bindings[binding].kind {
            BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. }
                if matches!(self.expr(file, value), Expr::Call(..) | Expr::Union(_)) =>
            {
                // `Json = str | list["Json"]`; several that name each other multiply.
                let key = Busy::Alias(file, binding);
                let around = self.busy.iter().filter(|busy| matches!(busy, Busy::Alias(..))).count();
                if around >= MOST_ALIASES || !self.busy.insert(key) {
                    return EMPTY;
                }
                let found = self.annotated(file, value);
                self.busy.remove(&key);
                found
            }
            BindingKind::ImportFrom { module, level, name } if depth < MOST_IMPORTS => {
                let name = self.symbol(file, name);
                let Some(module) = self.imported_module(file, module, level) else { return EMPTY };
                let Some(target) = module.file else { return EMPTY };
                self.asked.insert((target, name));
                match self.bound_once(target, MODULE_SCOPE, name) {
                    Some(binding) => self.bound_alias(target, binding, depth + 1),
                    None => EMPTY,
                }
            }
            _ => EMPTY,
        }
    }

    /// The only binding of a name.
    fn bound_once(&self, file: FileId, scope: ScopeId, name: Symbol) -> Option<BindingId> {
        let this = self.file(file);
        let names = &this.facts.scopes[scope].names;
        let place = if scope == MODULE_SCOPE {
            this.members.get(&name).copied()
        } else {
            names.iter().position(|(known, _)| this.symbols[known.index()] == name)
        };
        match *names[place?].1 {
            [binding] => Some(binding),
            _ => None,
        }
    }

    pub(super) fn parameter_type(&mut self, file: FileId, parameter: &Parameter, annotation: ExprId) -> SetId {
        let declared = self.annotated(file, annotation);
        if declared == EMPTY {
            return EMPTY;
        }
        match parameter.kind {
            ParameterKind::Variadic => self.single(Value::Sequence([declared].into())),
            ParameterKind::VariadicKeyword => self.single(Value::Mapping([(None, declared)].into())),
            _ => declared,
        }
    }

    fn any_annotated(&mut self, file: FileId, parts: &[ExprId]) -> SetId {
        let mut all = EMPTY;
        for part in parts {
            let part = self.annotated(file, *part);
            all = self.values.union(all, part);
        }
        all
    }

    fn instances_of_type(&mut self, classes: SetId) -> SetId {
        let mut all = Vec::new();
        for class in self.values.shared(classes).iter().copied() {
            match self.values.get(class) {
                Value::External(path) => {
                    let path = self.values.path_text(*path);
                    let generic = path.strip_suffix("[]");
                    let path = generic.unwrap_or(path);
                    // Types of `typing` stand for something else; built-in types are of no use.
                    if path.starts_with("typing") || path.starts_with("collections.abc") || !path.contains('.') {
                        continue;
                    }
                    let Some(generic) = generic.map(str::to_owned) else {
                        all.push(class);
                        continue;
                    };
                    // A generic type with its arguments.
                    let generic = self.external(&generic);
                    all.extend_from_slice(self.values.members(generic));
                }
                Value::Class { .. } => all.push(class),
                _ => {}
            }
        }
        let classes = self.values.set(all);
        self.instances(classes)
    }

    fn generic(&mut self, file: FileId, generic: ExprId, parts: &[ExprId]) -> SetId {
        let values = self.eval(file, generic);
        let last = parts.last().copied();
        let Some(name) = self.generic_name(file, generic, values) else {
            let made = self.instances_of_type(values);
            // A queue or task of elsewhere, and what it holds. What variables of a context hold depends on who runs.
            let is_outside = |value: &ValueId| {
                matches!(self.values.get(*value), Value::External(path)
                    if self.values.path_text(*path) != "contextvars.ContextVar()")
            };
            return match (last, parts.len()) {
                (Some(held), 1) if self.values.members(made).iter().all(is_outside) => {
                    let held = self.holding(file, held);
                    self.values.union(made, held)
                }
                _ => made,
            };
        };
        match name.as_str() {
            "Optional" | "Union" => self.any_annotated(file, parts),
            "Annotated" | "Final" | "ClassVar" | "Required" | "NotRequired" | "ReadOnly" => match parts.first() {
                Some(first) => self.annotated(file, *first),
                None => EMPTY,
            },
            "type" | "Type" => {
                let Some(first) = parts.first() else { return EMPTY };
                let classes = self.eval(file, *first);
                let mut all = Gathered::new();
                for class in self.values.shared(classes).iter().copied() {
                    if let Value::Class { class, .. } = *self.values.get(class) {
                        all.push(self.value(Value::Class { class, is_exact: false }));
                    }
                }
                self.values.set(all)
            }
            "Awaitable" | "Coroutine" => last.map_or(EMPTY, |held| self.holding(file, held)),
            "AsyncIterator"
            | "AsyncIterable"
            | "AsyncGenerator"
            | "Iterator"
            | "Iterable"
            | "Generator"
            | "ContextManager"
            | "AsyncContextManager" => parts.first().map_or(EMPTY, |held| self.holding(file, *held)),
            "Callable" => match last.map_or(EMPTY, |given| self.annotated(file, given)) {
                given if self.values.members(given).iter().any(|value| self.says(*value)) => self.giver(given),
                _ => EMPTY,
            },
            "list" | "List" | "set" | "Set" | "frozenset" | "FrozenSet" | "Sequence" | "Collection" | "deque"
            | "Deque" | "MutableSequence" | "AbstractSet" | "Container" | "tuple" | "Tuple" => {
                let is_tuple = matches!(name.as_str(), "tuple" | "Tuple");
                let used = if is_tuple { parts } else { &parts[..parts.len().min(1)] };
                let parts: Rc<[SetId]> = used.iter().map(|part| self.annotated(file, *part)).collect();
                if parts.iter().all(|part| *part == EMPTY) {
                    return EMPTY;
                }
                self.single(Value::Sequence(parts))
            }
            "dict"
            | "Dict"
            | "Mapping"
            | "MutableMapping"
            | "defaultdict"
            | "DefaultDict"
            | "OrderedDict"
            | "WeakValueDictionary" => {
                let Some(last) = last else { return EMPTY };
                let value = self.annotated(file, last);
                if value == EMPTY {
                    return EMPTY;
                }
                self.single(Value::Mapping([(None, value)].into()))
            }
            _ => self.instances_of_type(values),
        }
    }

    fn holding(&mut self, file: FileId, held: ExprId) -> SetId {
        let held = self.annotated(file, held);
        let says = self.values.members(held).iter().any(|value| self.says(*value));
        if says { self.single(Value::Holding(held)) } else { EMPTY }
    }

    /// The name of a generic type of `typing`, `collections` or the built-in ones.
    fn generic_name(&mut self, file: FileId, generic: ExprId, values: SetId) -> Option<String> {
        let external = self.values.members(values).iter().find_map(|value| match self.values.get(*value) {
            Value::External(path) => Some(self.values.path_text(*path).to_owned()),
            _ => None,
        });
        if let Some(path) = external {
            let (module, name) = path.rsplit_once('.').unwrap_or(("", &path));
            return matches!(
                module,
                "" | "typing" | "typing_extensions" | "collections" | "collections.abc" | "weakref"
            )
            .then(|| name.to_owned());
        }
        match self.expr(file, generic) {
            Expr::Global(name) => Some(self.file(file).facts.name(*name).to_owned()),
            _ => None,
        }
    }
}

/// Modules that an alias may be imported through.
const MOST_IMPORTS: u32 = 4;
/// Names for types within each other.
const MOST_ALIASES: usize = 4;
