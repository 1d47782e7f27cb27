//! What stands around the expressions of a file that are to be changed: the syntax tree again, as facts have no text.

use crate::facts::Span;
use crate::syntax::{Expr, Module, Operator, Ranged, Stmt, TextRange, Visitor, ast, walk_expr, walk_stmt};
use rustc_hash::FxHashMap;

/// What is known of the text of one file.
pub(super) struct Places {
    pub(super) calls: FxHashMap<Span, Call>,
    /// Attributes that are read.
    pub(super) reads: FxHashMap<Span, Around>,
    /// Where each function says `def`, by the span of its name.
    pub(super) definitions: FxHashMap<Span, u32>,
    /// `with` statements by the span of each context: the statement, and how many contexts it has.
    pub(super) withs: FxHashMap<Span, (u32, usize)>,
    pub(super) imports: Vec<Import>,
    /// Where a new import goes.
    pub(super) first_import: u32,
    /// How often each name is read, by its text.
    pub(super) uses: FxHashMap<String, usize>,
    /// Statements that are one call.
    pub(super) statements: FxHashMap<Span, Span>,
}

/// An expression's surroundings.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Around {
    /// `await` needs brackets here.
    pub(super) is_tight: bool,
    /// In a lambda, generator expression, default or decorator: no place for `await`.
    pub(super) is_closed: bool,
    pub(super) is_awaited: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) around: Around,
    pub(super) function: Span,
    /// The positional arguments; none if there is a star.
    pub(super) arguments: Vec<Argument>,
    pub(super) has_keywords: bool,
    /// Between the brackets.
    pub(super) inner: Span,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Argument {
    pub(super) span: Span,
    /// It binds weaker than `await` does.
    pub(super) is_loose: bool,
    pub(super) is_starred: bool,
}

/// `import module as name`, or `from module import name as name`.
#[derive(Clone, Debug)]
pub(super) struct Import {
    pub(super) module: String,
    pub(super) member: Option<String>,
    pub(super) name: String,
    pub(super) statement: Span,
    pub(super) is_alone: bool,
    pub(super) is_top: bool,
}

struct Walker {
    places: Places,
    around: Around,
    depth: usize,
}

impl Places {
    pub(super) fn new(text: &str) -> Self {
        let module = Module::parse(text);
        let places = Self {
            calls: FxHashMap::default(),
            reads: FxHashMap::default(),
            definitions: FxHashMap::default(),
            withs: FxHashMap::default(),
            imports: Vec::new(),
            first_import: 0,
            uses: FxHashMap::default(),
            statements: FxHashMap::default(),
        };
        let mut walker = Walker { places, around: Around::default(), depth: 0 };
        walker.places.first_import = first_import(module.body());
        for statement in module.body() {
            walker.visit_stmt(statement);
        }
        walker.places
    }

    /// What a module is called in this file, if it is imported at the top.
    pub(super) fn name_of(&self, module: &str) -> Option<&str> {
        let found =
            self.imports.iter().find(|import| import.is_top && import.member.is_none() && import.module == module)?;
        Some(&found.name)
    }
}

impl Walker {
    fn inside(&mut self, around: Around, walk: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.around, around);
        walk(self);
        self.around = before;
    }

    fn plain(&self) -> Around {
        Around { is_closed: self.around.is_closed, ..Around::default() }
    }

    fn tight(&self) -> Around {
        Around { is_tight: true, ..self.plain() }
    }

    fn import(&mut self, module: &str, member: Option<&str>, alias: &ast::Alias, statement: TextRange, is_alone: bool) {
        let name = alias.asname.as_ref().unwrap_or(&alias.name).to_string();
        let is_top = self.depth == 0;
        let (module, member) = (module.to_owned(), member.map(str::to_owned));
        self.places.imports.push(Import { module, member, name, statement: span(statement), is_alone, is_top });
    }
}

impl<'a> Visitor<'a> for Walker {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(function) => {
                // Behind the decorators.
                let from =
                    function.decorator_list.last().map_or(function.range.start(), |decorator| decorator.range.end());
                self.places.definitions.insert(span(function.name.range), from.to_u32());
                for decorator in &function.decorator_list {
                    self.inside(CLOSED, |this| this.visit_expr(&decorator.expression));
                }
                self.inside(CLOSED, |this| this.visit_parameters(&function.parameters));
                self.depth += 1;
                self.inside(Around::default(), |this| this.visit_body(&function.body));
                self.depth -= 1;
                return;
            }
            Stmt::ClassDef(_) => {
                self.depth += 1;
                self.inside(CLOSED, |this| walk_stmt(this, statement));
                self.depth -= 1;
                return;
            }
            Stmt::With(with) => {
                for item in &with.items {
                    let place = (with.range.start().to_u32(), with.items.len());
                    self.places.withs.insert(span(item.context_expr.range()), place);
                }
            }
            Stmt::Import(import) => {
                for alias in &import.names {
                    self.import(&alias.name, None, alias, import.range, import.names.len() == 1);
                }
            }
            Stmt::ImportFrom(import) => {
                let module = import.module.as_ref().map_or("", |module| module.as_str());
                for alias in &import.names {
                    self.import(module, Some(&alias.name), alias, import.range, import.names.len() == 1);
                }
            }
            Stmt::Expr(expr) => {
                if let Expr::Call(call) = &*expr.value {
                    self.places.statements.insert(span(call.range()), span(expr.range));
                }
            }
            _ => {}
        }
        let plain = self.plain();
        self.inside(plain, |this| walk_stmt(this, statement));
    }

    fn visit_annotation(&mut self, annotation: &'a Expr) {
        self.inside(CLOSED, |this| walk_expr(this, annotation));
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        let around = self.around;
        match expr {
            Expr::Call(call) => {
                self.places.calls.insert(span(call.range()), describe(call, around));
                self.inside(self.tight(), |this| this.visit_expr(&call.func));
                self.inside(self.plain(), |this| this.visit_arguments(&call.arguments));
            }
            Expr::Attribute(attribute) => {
                self.places.reads.insert(span(attribute.range), around);
                self.inside(self.tight(), |this| this.visit_expr(&attribute.value));
            }
            Expr::Subscript(subscript) => {
                self.inside(self.tight(), |this| this.visit_expr(&subscript.value));
                self.inside(self.plain(), |this| this.visit_expr(&subscript.slice));
            }
            Expr::BinOp(binary) if binary.op == Operator::Pow => {
                self.inside(self.tight(), |this| this.visit_expr(&binary.left));
                self.inside(self.plain(), |this| this.visit_expr(&binary.right));
            }
            Expr::Await(await_) => {
                let inner = Around { is_awaited: true, ..self.tight() };
                self.inside(inner, |this| this.visit_expr(&await_.value));
            }
            Expr::Lambda(_) | Expr::Generator(_) => self.inside(CLOSED, |this| walk_expr(this, expr)),
            Expr::Name(name) => {
                if name.ctx.is_load() {
                    *self.places.uses.entry(name.id.to_string()).or_default() += 1;
                }
            }
            _ => self.inside(self.plain(), |this| walk_expr(this, expr)),
        }
    }
}

fn describe(call: &ast::ExprCall, around: Around) -> Call {
    let arguments = call.arguments.args.iter().map(|argument| Argument {
        span: span(argument.range()),
        is_loose: !matches!(
            argument,
            Expr::Call(_)
                | Expr::Name(_)
                | Expr::Attribute(_)
                | Expr::Subscript(_)
                | Expr::List(_)
                | Expr::Dict(_)
                | Expr::NumberLiteral(_)
        ),
        is_starred: argument.is_starred_expr(),
    });
    let brackets = span(call.arguments.range);
    Call {
        around,
        function: span(call.func.range()),
        arguments: arguments.collect(),
        has_keywords: !call.arguments.keywords.is_empty(),
        inner: Span { start: brackets.start + 1, end: brackets.end - 1 },
    }
}

/// Behind the docstring and imports from `__future__`.
fn first_import(body: &[Stmt]) -> u32 {
    for statement in body {
        let is_docstring = matches!(statement, Stmt::Expr(expr) if expr.value.is_string_literal_expr());
        let is_future = matches!(statement, Stmt::ImportFrom(import) if import.module.as_ref().is_some_and(|module| module.as_str() == "__future__"));
        if !(is_docstring || is_future) {
            return statement.range().start().to_u32();
        }
    }
    body.last().map_or(0, |last| last.range().end().to_u32())
}

fn span(range: TextRange) -> Span {
    Span { start: range.start().to_u32(), end: range.end().to_u32() }
}

const CLOSED: Around = Around { is_tight: false, is_closed: true, is_awaited: false };
