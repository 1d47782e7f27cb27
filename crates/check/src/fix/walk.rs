//! Walks over a file for its [`Places`].

use super::places::{
    Argument, Around, Becomes, Call, Definition, Entered, Form, Import, Listed, Loop, NameRead, Places,
};
use crate::facts::Span;
use crate::syntax::{
    Expr, InterpolatedStringElement, Module, Operator, Ranged, Stmt, TextRange, Visitor, ast, walk_expr,
    walk_interpolated_string_element, walk_stmt,
};

struct Walker<'t> {
    text: &'t str,
    places: Places,
    around: Around,
    /// Functions and classes around it.
    depth: usize,
    /// Statements around it that may not run.
    doubts: usize,
    /// The functions that are being walked over.
    functions: Vec<Span>,
}

impl Places {
    pub(super) fn new(text: &str) -> Self {
        let module = Module::parse(text);
        if module.error().is_some() {
            // What stands where is a guess then: nothing is changed there.
            return Self::default();
        }
        let mut walker = Walker {
            text,
            places: Self::default(),
            around: Around::default(),
            depth: 0,
            doubts: 0,
            functions: Vec::new(),
        };
        walker.places.first_import = first_import(module.body(), text);
        for statement in module.body() {
            walker.visit_stmt(statement);
        }
        walker.places
    }
}

impl Walker<'_> {
    fn inside(&mut self, around: Around, walk: impl FnOnce(&mut Self)) {
        let before = std::mem::replace(&mut self.around, around);
        walk(self);
        self.around = before;
    }

    fn plain(&self) -> Around {
        let Around { is_closed, is_shown, list, .. } = self.around;
        Around { is_closed, is_shown, list, ..Around::default() }
    }

    fn tight(&self) -> Around {
        Around { is_tight: true, ..self.plain() }
    }

    fn import(&mut self, module: &str, member: Option<&str>, alias: &ast::Alias, statement: TextRange, is_alone: bool) {
        self.places.imports.push(Import {
            module: module.to_owned(),
            member: member.map(str::to_owned),
            name: alias.asname.as_ref().unwrap_or(&alias.name).to_string(),
            statement: span(statement),
            span: span(alias.range),
            is_alone,
            is_top: self.depth == 0,
            is_sure: self.doubts == 0,
        });
    }

    fn function(&mut self, function: &ast::StmtFunctionDef) {
        // Behind the decorators.
        let from = function.decorator_list.last().map_or(function.range.start(), |decorator| decorator.range.end());
        let name = span(function.name.range);
        let defaults = function.parameters.iter().filter_map(ast::AnyParameterRef::default);
        let definition = Definition {
            from: from.to_u32(),
            range: span(function.range),
            head: self.head(function),
            first: function
                .body
                .first()
                .map_or_else(Default::default, |first| (span(first.range()), is_docstring(first))),
            has_plain_defaults: defaults.into_iter().all(is_plain),
            decorators: function.decorator_list.iter().map(|decorator| span(decorator.expression.range())).collect(),
            annotation: function.returns.as_deref().map(|returns| span(returns.range())),
            returns_value: false,
            changes: false,
            is_sent_to: false,
        };
        self.places.definitions.insert(name, definition);
        self.places.bound.insert(function.name.to_string());
        self.inside(CLOSED, |this| {
            for decorator in &function.decorator_list {
                this.visit_expr(&decorator.expression);
            }
            this.visit_parameters(&function.parameters);
            if let Some(returns) = &function.returns {
                this.visit_annotation(returns);
            }
        });
        for parameter in &*function.parameters {
            self.places.bound.insert(parameter.name().to_string());
        }
        self.depth += 1;
        self.functions.push(name);
        self.inside(Around::default(), |this| this.visit_body(&function.body));
        self.functions.pop();
        self.depth -= 1;
    }

    fn head(&self, function: &ast::StmtFunctionDef) -> Span {
        let start = function.decorator_list.first().map_or(function.range.start(), |decorator| decorator.range.start());
        let end = function.returns.as_ref().map_or(function.parameters.range.end(), |returns| returns.range().end());
        let colon = self.text[end.to_usize()..].find(':').map_or(0, |place| place as u32 + 1);
        Span { start: start.to_u32(), end: end.to_u32() + colon }
    }

    fn definition(&mut self) -> Option<&mut Definition> {
        let name = self.functions.last()?;
        self.places.definitions.get_mut(name)
    }

    fn name(&mut self, name: &ast::ExprName, becomes: Becomes) {
        if name.ctx.is_load() {
            *self.places.uses.entry(name.id.to_string()).or_default() += 1;
            self.places.names.push(NameRead { name: name.id.to_string(), span: span(name.range), becomes });
        } else {
            self.places.bound.insert(name.id.to_string());
            self.places.stores.push((name.id.to_string(), name.range.start().to_u32()));
        }
    }

    fn iterated(&mut self, expr: &Expr, at: u32) {
        let around = self.around;
        self.places.loops.insert(span(expr.range()), Loop { form: Form::For(at), around });
    }

    /// The first iterable is the surrounding code's, all else is the comprehension's.
    fn comprehension(&mut self, generators: &[ast::Comprehension], inner: Around, elements: &[&Expr]) {
        let plain = self.plain();
        for (index, generator) in generators.iter().enumerate() {
            let around = if index == 0 { plain } else { inner };
            self.inside(around, |this| this.visit_expr(&generator.iter));
            self.inside(inner, |this| {
                this.iterated(&generator.iter, generator.range.start().to_u32());
                this.visit_expr(&generator.target);
                generator.ifs.iter().for_each(|test| this.visit_expr(test));
            });
        }
        self.inside(inner, |this| elements.iter().for_each(|element| this.visit_expr(element)));
    }

    fn changes(&mut self) {
        if let Some(definition) = self.definition() {
            definition.changes = true;
        }
    }

    fn call(&mut self, call: &ast::ExprCall, around: Around) {
        if let Expr::Attribute(method) = &*call.func
            && CHANGING.contains(&method.attr.as_str())
            && !method.value.is_name_expr()
        {
            self.changes();
        }
        let described = describe(call, around, self.text);
        self.places.calls.insert(span(call.range()), described);
        let tight = self.tight();
        self.inside(tight, |this| match &*call.func {
            Expr::Name(name) => this.name(name, Becomes::Called(span(call.range()))),
            other => this.visit_expr(other),
        });
        let plain = self.plain();
        if let [only] = &*call.arguments.args {
            self.places.sole.insert(span(only.range()), span(call.range()));
        }
        for (index, argument) in call.arguments.args.iter().enumerate() {
            self.inside(plain, |this| match argument {
                Expr::Name(name) if index == 0 => this.name(name, Becomes::Given(span(call.func.range()))),
                Expr::Generator(generator) if is_used_up(&call.func) && this.around.list.is_none() => {
                    let listed = Listed { span: span(generator.range), has_brackets: generator.parenthesized };
                    let inner = Around { list: Some(listed), ..this.plain() };
                    this.comprehension(&generator.generators, inner, &[&generator.elt]);
                }
                other => this.visit_expr(other),
            });
        }
        for keyword in &call.arguments.keywords {
            self.inside(plain, |this| this.visit_expr(&keyword.value));
        }
    }

    /// Words that may be annotations or exported names.
    fn words(&mut self, text: &str) {
        let is_part = |character: char| character.is_alphanumeric() || character == '_';
        for word in text.split(|character: char| !is_part(character)).filter(|word| !word.is_empty()) {
            *self.places.uses.entry(word.to_owned()).or_default() += 1;
        }
    }

    fn entered(&mut self, with: &ast::StmtWith) {
        for item in &with.items {
            if let Some(Expr::Name(name)) = item.optional_vars.as_deref() {
                self.places.entered.push(Entered {
                    name: name.id.to_string(),
                    context: span(item.context_expr.range()),
                    statement: span(with.range),
                    body: with.body.first().map_or(with.range.end(), |first| first.range().start()).to_u32(),
                    is_alone: with.items.len() == 1 && !with.is_async,
                });
            }
        }
    }

    fn compound(&mut self, statement: &Stmt) {
        match statement {
            Stmt::With(with) => {
                let all: Vec<Span> = with.items.iter().map(|item| span(item.context_expr.range())).collect();
                for item in &all {
                    self.places.withs.insert(*item, (with.range.start().to_u32(), all.clone()));
                }
                self.entered(with);
            }
            Stmt::For(for_) => self.iterated(&for_.iter, for_.range.start().to_u32()),
            Stmt::Import(import) => {
                for alias in &import.names {
                    self.import(&alias.name, None, alias, import.range, import.names.len() == 1);
                }
            }
            Stmt::ImportFrom(import) => {
                let dots = ".".repeat(import.level as usize);
                let module = format!("{dots}{}", import.module.as_ref().map_or("", |module| module.as_str()));
                for alias in &import.names {
                    self.import(&module, Some(&alias.name), alias, import.range, import.names.len() == 1);
                }
            }
            Stmt::Assign(assign) => {
                if let ([Expr::Name(name)], Expr::Call(call)) = (&*assign.targets, &*assign.value) {
                    let assignment = (name.id.to_string(), span(assign.range), span(call.range()));
                    self.places.assignments.push(assignment);
                }
            }
            Stmt::Global(ast::StmtGlobal { names, .. }) | Stmt::Nonlocal(ast::StmtNonlocal { names, .. }) => {
                let shared = names.iter().map(|name| (name.id.to_string(), name.range.start().to_u32()));
                self.places.shared.extend(shared);
                self.changes();
            }
            Stmt::Return(return_) if return_.value.is_some() => {
                if let Some(definition) = self.definition() {
                    definition.returns_value = true;
                }
            }
            _ => {}
        }
    }
}

impl<'a> Visitor<'a> for Walker<'_> {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        self.compound(statement);
        let plain = self.plain();
        match statement {
            Stmt::FunctionDef(function) => self.function(function),
            Stmt::ClassDef(class) => {
                self.places.bound.insert(class.name.to_string());
                self.depth += 1;
                self.inside(CLOSED, |this| walk_stmt(this, statement));
                self.depth -= 1;
            }
            Stmt::If(_) | Stmt::Try(_) | Stmt::While(_) | Stmt::For(_) => {
                self.doubts += 1;
                self.inside(plain, |this| walk_stmt(this, statement));
                self.doubts -= 1;
            }
            Stmt::Expr(expr) => match &*expr.value {
                Expr::Yield(yield_) => {
                    if let Some(value) = &yield_.value {
                        self.inside(plain, |this| this.visit_expr(value));
                    }
                }
                Expr::YieldFrom(yield_) => {
                    let form = Form::Delegation(span(yield_.value.range()));
                    self.places.loops.insert(span(yield_.range), Loop { form, around: plain });
                    self.inside(plain, |this| this.visit_expr(&yield_.value));
                }
                other => {
                    if let Expr::Call(call) = other {
                        self.places.statements.insert(span(call.range()), span(expr.range));
                    }
                    self.inside(plain, |this| this.visit_expr(other));
                }
            },
            _ => self.inside(plain, |this| walk_stmt(this, statement)),
        }
    }

    fn visit_interpolated_string_element(&mut self, element: &'a InterpolatedStringElement) {
        let is_shown = matches!(element, InterpolatedStringElement::Interpolation(part) if part.debug_text.is_some());
        let around = Around { is_shown: is_shown || self.around.is_shown, ..self.plain() };
        self.inside(around, |this| walk_interpolated_string_element(this, element));
    }

    fn visit_annotation(&mut self, annotation: &'a Expr) {
        self.inside(CLOSED, |this| this.visit_expr(annotation));
    }

    fn visit_expr(&mut self, expr: &'a Expr) {
        let around = self.around;
        match expr {
            Expr::Call(call) => self.call(call, around),
            Expr::Attribute(attribute) => {
                if !attribute.ctx.is_load() {
                    self.changes();
                }
                self.places.reads.insert(span(attribute.range), around);
                self.inside(self.tight(), |this| match &*attribute.value {
                    Expr::Name(name) => this.name(name, Becomes::Attribute(span(attribute.range))),
                    other => this.visit_expr(other),
                });
            }
            Expr::Subscript(subscript) => {
                if !subscript.ctx.is_load() && !matches!(&*subscript.value, Expr::Name(_)) {
                    self.changes();
                }
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
            Expr::Lambda(lambda) => {
                if let Some(parameters) = &lambda.parameters {
                    self.inside(CLOSED, |this| this.visit_parameters(parameters));
                }
                self.inside(Around { is_lambda: true, ..CLOSED }, |this| this.visit_expr(&lambda.body));
            }
            Expr::ListComp(list) => self.comprehension(&list.generators, self.plain(), &[&list.elt]),
            Expr::SetComp(set) => self.comprehension(&set.generators, self.plain(), &[&set.elt]),
            Expr::DictComp(dict) => {
                let key = dict.key.as_deref().into_iter();
                let elements: Vec<&Expr> = key.chain([&*dict.value]).collect();
                self.comprehension(&dict.generators, self.plain(), &elements);
            }
            Expr::Generator(generator) => self.comprehension(&generator.generators, CLOSED, &[&generator.elt]),
            Expr::Yield(_) | Expr::YieldFrom(_) => {
                if let Some(definition) = self.definition() {
                    definition.is_sent_to = true;
                }
                self.inside(self.plain(), |this| walk_expr(this, expr));
            }
            Expr::Name(name) => self.name(name, Becomes::Other),
            Expr::StringLiteral(text) => {
                if text.value.to_str().len() <= LONGEST_WORDS {
                    self.words(text.value.to_str());
                }
            }
            _ => self.inside(self.plain(), |this| walk_expr(this, expr)),
        }
    }
}

fn describe(call: &ast::ExprCall, around: Around, text: &str) -> Call {
    let argument = |value: &Expr| Argument {
        span: span(value.range()),
        is_loose: is_loose(value, text),
        is_starred: value.is_starred_expr(),
    };
    let is_run = |name: &str| matches!(name, "main" | "future" | "coro");
    let named = call.arguments.keywords.iter().find(|keyword| keyword.arg.as_deref().is_some_and(is_run));
    let run = call.arguments.args.first().or_else(|| named.map(|keyword| &keyword.value));
    let brackets = span(call.arguments.range);
    Call {
        around,
        function: span(call.func.range()),
        arguments: call.arguments.args.iter().map(argument).collect(),
        keywords: call.arguments.keywords.iter().map(name_of).collect(),
        run: run.map(argument).filter(|argument| !argument.is_starred),
        inner: Span { start: brackets.start + 1, end: brackets.end - 1 },
    }
}

fn name_of(keyword: &ast::Keyword) -> String {
    keyword.arg.as_ref().map_or_else(|| "**".to_owned(), ToString::to_string)
}

fn is_docstring(statement: &Stmt) -> bool {
    matches!(statement, Stmt::Expr(expr) if expr.value.is_string_literal_expr())
}

/// Whether a default is the same thing where it is made twice.
fn is_plain(default: &Expr) -> bool {
    match default {
        Expr::Attribute(attribute) => is_plain(&attribute.value),
        Expr::UnaryOp(operation) => is_plain(&operation.operand),
        Expr::Tuple(tuple) => tuple.elts.iter().all(is_plain),
        other => other.is_literal_expr() || other.is_name_expr(),
    }
}

fn is_loose(expr: &Expr, text: &str) -> bool {
    let outer = match expr {
        Expr::Call(call) => call.func.range(),
        Expr::Subscript(subscript) => subscript.value.range(),
        Expr::Name(_) | Expr::Attribute(_) => expr.range(),
        Expr::List(_) | Expr::Dict(_) | Expr::NumberLiteral(_) => return false,
        _ => return true,
    };
    text[outer].contains('\n')
}

/// A function that takes all elements before it does anything else.
fn is_used_up(function: &Expr) -> bool {
    match function {
        Expr::Name(name) => USED_UP.contains(&name.id.as_str()),
        Expr::Attribute(attribute) => attribute.attr.as_str() == "join" && attribute.value.is_string_literal_expr(),
        _ => false,
    }
}

/// Behind the docstring, imports from `__future__` and names like `__all__`.
fn first_import(body: &[Stmt], text: &str) -> u32 {
    for statement in body {
        let is_future = matches!(statement, Stmt::ImportFrom(import) if import.module.as_ref().is_some_and(|module| module.as_str() == "__future__"));
        let is_special = |target: &Expr| matches!(target, Expr::Name(name) if name.id.starts_with("__"));
        let is_header = matches!(statement, Stmt::Assign(assign) if assign.targets.iter().all(is_special));
        if !(is_docstring(statement) || is_future || is_header) {
            let at = match statement {
                Stmt::FunctionDef(function) => function.decorator_list.first().map(|decorator| decorator.range.start()),
                Stmt::ClassDef(class) => class.decorator_list.first().map(|decorator| decorator.range.start()),
                _ => None,
            };
            return at.unwrap_or_else(|| statement.range().start()).to_u32();
        }
    }
    body.last().map_or(0, |last| {
        let end = last.range().end().to_usize();
        text[end..].find('\n').map_or(text.len(), |place| end + place + 1) as u32
    })
}

pub(super) fn span(range: TextRange) -> Span {
    Span { start: range.start().to_u32(), end: range.end().to_u32() }
}

const CLOSED: Around =
    Around { is_tight: false, is_closed: true, is_awaited: false, is_shown: false, is_lambda: false, list: None };

/// Functions that take all elements of their only argument before they do anything else.
pub(super) const USED_UP: &[&str] = &["list", "tuple", "set", "frozenset", "dict", "sorted", "sum", "min", "max"];

/// Methods that change what they are of.
const CHANGING: &[&str] = &[
    "append",
    "add",
    "pop",
    "popleft",
    "appendleft",
    "update",
    "clear",
    "remove",
    "discard",
    "extend",
    "insert",
    "setdefault",
    "sort",
];

/// Longer strings are prose.
const LONGEST_WORDS: usize = 200;
