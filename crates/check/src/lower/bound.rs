//! Which names a body binds, before it is walked: Python decides that for a whole function or class at once.

use super::Lowering;
use crate::facts::NameId;
use crate::syntax::{
    Expr, Parameters, Pattern, Stmt, Visitor, ast, walk_except_handler, walk_expr, walk_pattern, walk_stmt,
};
use rustc_hash::{FxBuildHasher, FxHashMap};

/// The local names, by number; and those declared `global` (true) or `nonlocal`.
pub(super) type Bound = (FxHashMap<NameId, usize>, FxHashMap<NameId, bool>);

struct Collector<'l> {
    lowering: &'l mut Lowering,
    names: Vec<NameId>,
    declared: FxHashMap<NameId, bool>,
}

impl Lowering {
    /// The names that a body binds, its parameters first.
    pub(super) fn bound_names(&mut self, body: &[Stmt], parameters: &[&str]) -> Bound {
        let mut collector = Collector { lowering: self, names: Vec::new(), declared: FxHashMap::default() };
        for name in parameters {
            collector.add(name);
        }
        for statement in body {
            collector.visit_stmt(statement);
        }
        let Collector { names, declared, .. } = collector;
        let mut locals = FxHashMap::with_capacity_and_hasher(names.len(), FxBuildHasher);
        for name in names {
            if !declared.contains_key(&name) {
                let next = locals.len();
                locals.entry(name).or_insert(next);
            }
        }
        (locals, declared)
    }

    /// The names that the body of a loop binds.
    pub(super) fn rebound<'s>(
        &mut self,
        body: impl IntoIterator<Item = &'s Stmt>,
        target: Option<&Expr>,
    ) -> Vec<NameId> {
        let mut collector = Collector { lowering: self, names: Vec::new(), declared: FxHashMap::default() };
        for statement in body {
            collector.visit_stmt(statement);
        }
        if let Some(target) = target {
            collector.visit_expr(target);
        }
        collector.names.sort_unstable();
        collector.names.dedup();
        collector.names
    }
}

impl Collector<'_> {
    fn add(&mut self, name: &str) {
        let name = self.lowering.name(name);
        self.names.push(name);
    }
}

impl<'a> Visitor<'a> for Collector<'_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                self.add(&function.name);
                for decorator in &function.decorator_list {
                    self.visit_expr(&decorator.expression);
                }
                self.visit_parameters(&function.parameters);
            }
            Stmt::ClassDef(class) => {
                self.add(&class.name);
                for decorator in &class.decorator_list {
                    self.visit_expr(&decorator.expression);
                }
                if let Some(arguments) = &class.arguments {
                    self.visit_arguments(arguments);
                }
            }
            Stmt::Import(import) => {
                for alias in &import.names {
                    let whole = alias.asname.as_ref().unwrap_or(&alias.name).as_str();
                    self.add(if alias.asname.is_some() { whole } else { whole.split('.').next().unwrap_or(whole) });
                }
            }
            Stmt::ImportFrom(import) => {
                for alias in &import.names {
                    let name = alias.asname.as_ref().unwrap_or(&alias.name);
                    if name.as_str() != "*" {
                        self.add(name);
                    }
                }
            }
            Stmt::Global(global) => self.declare(&global.names, true),
            Stmt::Nonlocal(nonlocal) => self.declare(&nonlocal.names, false),
            other => walk_stmt(self, other),
        }
    }

    fn visit_except_handler(&mut self, handler: &'a ast::ExceptHandler) {
        let ast::ExceptHandler::ExceptHandler(named) = handler;
        if let Some(name) = &named.name {
            self.add(name);
        }
        walk_except_handler(self, handler);
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Name(name) if !name.ctx.is_load() => self.add(&name.id),
            // Names of their own.
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.visit_parameters(parameters);
                }
            }
            Expr::ListComp(ast::ExprListComp { generators, elt, .. })
            | Expr::SetComp(ast::ExprSetComp { generators, elt, .. })
            | Expr::Generator(ast::ExprGenerator { generators, elt, .. }) => {
                self.comprehension(generators, [&**elt].into_iter());
            }
            Expr::DictComp(comprehension) => {
                let elements = comprehension.key.as_deref().into_iter().chain([&*comprehension.value]);
                self.comprehension(&comprehension.generators, elements);
            }
            // An annotation's text, numbers and constants bind nothing; all else may hold `:=`.
            other => walk_expr(self, other),
        }
    }

    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_parameters(&mut self, parameters: &'a Parameters) {
        for parameter in parameters.iter_non_variadic_params() {
            if let Some(default) = parameter.default() {
                self.visit_expr(default);
            }
        }
    }

    fn visit_pattern(&mut self, pattern: &'a Pattern) {
        match pattern {
            Pattern::MatchAs(ast::PatternMatchAs { name: Some(name), .. })
            | Pattern::MatchStar(ast::PatternMatchStar { name: Some(name), .. })
            | Pattern::MatchMapping(ast::PatternMatchMapping { rest: Some(name), .. }) => self.add(name),
            _ => {}
        }
        walk_pattern(self, pattern);
    }
}

impl Collector<'_> {
    fn declare(&mut self, names: &[ast::Identifier], is_global: bool) {
        for name in names {
            let name = self.lowering.name(name);
            self.declared.insert(name, is_global);
        }
    }

    /// The targets are names of the comprehension; `:=` in it binds outside.
    fn comprehension<'e>(&mut self, generators: &'e [ast::Comprehension], elements: impl Iterator<Item = &'e Expr>) {
        for element in elements {
            self.visit_expr(element);
        }
        for generator in generators {
            self.visit_expr(&generator.iter);
            for condition in &generator.ifs {
                self.visit_expr(condition);
            }
        }
    }
}
