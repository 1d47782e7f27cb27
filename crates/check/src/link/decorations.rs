//! Decorators, where they are applied: each is a call, with the function or class that stands below it.

use super::Program;
use super::values::{ClsId, EMPTY, FileId, FnId, NO_ENV, SetId, Value};
use crate::facts::{MODULE, ScopeId, ScopeKind};
use crate::graph::Site;

/// A decorator's call.
#[derive(Clone, Debug)]
pub(crate) struct Decoration {
    /// The function in whose body it stands.
    pub(crate) caller: FnId,
    /// The name of what is decorated.
    pub(crate) site: Site,
    pub(crate) decorators: SetId,
    pub(crate) decorated: SetId,
}

impl Program {
    /// All decorators of the program's own, and what they are called with.
    pub(crate) fn decorations(&mut self) -> Vec<Decoration> {
        let mut found = Vec::new();
        for function in self.functions() {
            if !self.function(function).decorators.is_empty() {
                self.add_decorations(function, &mut found);
            }
        }
        for class in (0..self.cls_files.len() as u32).map(ClsId) {
            if !self.class(class).decorators.is_empty() {
                self.add_class_decorations(class, &mut found);
            }
        }
        found
    }

    fn add_decorations(&mut self, function: FnId, found: &mut Vec<Decoration>) {
        let file = self.file_of(function);
        let known = self.function(function);
        let (caller, site) = (self.global_fn(file, known.parent), Site { file, span: known.at });
        let written = self.function(function).decorators.clone();
        let applied: Vec<SetId> = written.into_iter().rev().map(|decorator| self.eval(file, decorator)).collect();
        let Some(last) = applied.iter().rposition(|decorators| self.has_own_code(*decorators)) else { return };
        let mut decorated = self.single(Value::Function(function, NO_ENV));
        for (place, &decorators) in applied[..=last].iter().enumerate() {
            if self.has_own_code(decorators) {
                found.push(Decoration { caller, site, decorators, decorated });
            }
            if place == last {
                break;
            }
            let made = self.decorate(decorators, decorated);
            if made != EMPTY {
                decorated = made;
            }
        }
    }

    fn add_class_decorations(&mut self, class: ClsId, found: &mut Vec<Decoration>) {
        let file = self.class_file(class);
        let known = self.class(class);
        let (caller, site) = (self.function_around(file, known.scope), Site { file, span: known.at });
        let decorated = self.single(Value::Class { class, is_exact: true });
        for decorator in self.class(class).decorators.clone() {
            let decorators = self.eval(file, decorator);
            if self.has_own_code(decorators) {
                found.push(Decoration { caller, site, decorators, decorated });
            }
        }
    }

    fn has_own_code(&self, decorators: SetId) -> bool {
        let is_outside = |value: &Value| matches!(value, Value::External(_) | Value::Decorated(..));
        self.values.members(decorators).iter().any(|value| !is_outside(self.values.get(*value)))
    }

    /// The function in whose body a scope is.
    fn function_around(&self, file: FileId, scope: ScopeId) -> FnId {
        let scopes = &self.file(file).facts.scopes;
        let mut next = scope;
        loop {
            match scopes[next].kind {
                ScopeKind::Module => return self.global_fn(file, MODULE),
                ScopeKind::Function(function) => return self.global_fn(file, function),
                ScopeKind::Class(_) => next = scopes[next].parent,
            }
        }
    }
}
