//! Functions, lambdas and classes.

use super::{Frame, Lowering, span};
use crate::facts::{
    Binding, BindingId, BindingKind, Class, ClassId, Constant, Expr as Fact, ExprId, Few, Field, Function, FunctionId,
    NameId, Parameter, ParameterKind, ScopeId, ScopeKind,
};
use crate::syntax::{Expr, Parameters, Ranged, Stmt, TextRange, ast};

impl Lowering {
    pub(super) fn function_definition(&mut self, definition: &ast::StmtFunctionDef) {
        let decorators = definition.decorator_list.iter().map(|decorator| self.expr(&decorator.expression)).collect();
        let parameters = self.parameters(&definition.parameters);
        let annotation = definition.returns.as_deref().map(|returns| self.annotation(returns));
        let frame = self.frame();
        let (parent, class) = (frame.function, frame.class.filter(|_| frame.is_class_body));
        let function = Function {
            name: self.name(&definition.name),
            qualified: self.qualified(&definition.name),
            is_async: definition.is_async,
            is_stub: is_stub(&definition.body),
            parent,
            class,
            parameters,
            decorators,
            annotation,
            at: span(definition.name.range),
            span: span(definition.range),
            ..Function::default()
        };
        let name = function.name;
        let id = self.facts.functions.push(function);
        self.bind(name, BindingKind::Function(id), definition.name.range);
        self.register(definition, id);
        let is_method = class.is_some() && !is_static(definition);
        self.enter_function(id, &definition.parameters, &definition.body, is_method);
        self.function_body(&definition.body);
        self.leave_function(id);
    }

    /// `@show.register`: what `functools.singledispatch` made of `show` may call this one.
    fn register(&mut self, definition: &ast::StmtFunctionDef, id: FunctionId) {
        for decorator in &definition.decorator_list {
            let decorator = match &decorator.expression {
                Expr::Call(call) => &*call.func,
                other => other,
            };
            let Expr::Attribute(attribute) = decorator else { continue };
            let (Expr::Name(name), "register") = (&*attribute.value, attribute.attr.as_str()) else { continue };
            let (name, scope) = (self.name(&name.id), self.frame().scope);
            let Some(&place) = self.places.get(&(scope, name)) else { continue };
            let is_function =
                |binding: &BindingId| matches!(self.facts.bindings[*binding].kind, BindingKind::Function(_));
            if self.facts.scopes[scope].names[place].1.iter().any(is_function) {
                let (guard, span) = (self.frame().guard, span(definition.name.range));
                let kind = BindingKind::Function(id);
                let binding = self.facts.bindings.push(Binding {
                    kind,
                    guard,
                    is_used: true,
                    is_declared: false,
                    is_replaced: false,
                    span,
                });
                self.remember(scope, name, binding);
            }
        }
    }

    pub(super) fn lambda(&mut self, lambda: &ast::ExprLambda) -> ExprId {
        let parameters = lambda.parameters.as_deref().map_or_else(Vec::new, |parameters| self.parameters(parameters));
        let id = self.small_function("lambda", lambda.range, parameters);
        let none = Parameters::default();
        self.enter_function(id, lambda.parameters.as_deref().unwrap_or(&none), &[], false);
        let value = self.expr(&lambda.body);
        let guard = self.frame().guard;
        self.function().returns.push((value, guard));
        self.leave_function(id);
        self.add(Fact::Lambda(id), lambda.range)
    }

    /// A function within an expression.
    pub(super) fn small_function(&mut self, name: &str, range: TextRange, parameters: Vec<Parameter>) -> FunctionId {
        let parent = self.frame().function;
        let function = Function {
            name: self.name(name),
            qualified: self.qualified(name),
            is_lambda: true,
            parent,
            parameters,
            at: span(range),
            span: span(range),
            ..Function::default()
        };
        self.facts.functions.push(function)
    }

    /// Defaults and annotations are the surrounding code's.
    fn parameters(&mut self, parameters: &Parameters) -> Vec<Parameter> {
        let mut all = Vec::with_capacity(parameters.len());
        let groups = [
            (&parameters.posonlyargs, ParameterKind::PositionalOnly),
            (&parameters.args, ParameterKind::Positional),
            (&parameters.kwonlyargs, ParameterKind::KeywordOnly),
        ];
        for (group, kind) in groups {
            for parameter in group {
                all.push(Parameter {
                    name: self.name(&parameter.parameter.name),
                    kind,
                    annotation: parameter.parameter.annotation.as_deref().map(|annotation| self.annotation(annotation)),
                    default: parameter.default.as_deref().map(|default| self.expr(default)),
                });
            }
        }
        let rest = [(&parameters.vararg, ParameterKind::Variadic), (&parameters.kwarg, ParameterKind::VariadicKeyword)];
        for (parameter, kind) in rest {
            if let Some(parameter) = parameter {
                let annotation = parameter.annotation.as_deref().map(|annotation| self.annotation(annotation));
                all.push(Parameter { name: self.name(&parameter.name), kind, annotation, default: None });
            }
        }
        all
    }

    pub(super) fn enter_function(&mut self, id: FunctionId, parameters: &Parameters, body: &[Stmt], is_method: bool) {
        let names: Vec<&str> = names_of(parameters);
        let (locals, declared) = self.bound_names(body, &names);
        let scope = self.new_scope(ScopeKind::Function(id));
        self.facts.functions[id].scope = scope;
        let mut frame = Frame::new(scope, id, locals, declared);
        frame.class = self.facts.functions[id].class;
        self.frames.push(frame);
        for (index, name) in (0..).zip(names) {
            let name = self.name(name);
            if is_method && index == 0 {
                self.frame().receiver = Some(name);
            }
            self.bind(name, BindingKind::Parameter(id, index), parameters.range());
        }
    }

    pub(super) fn leave_function(&mut self, id: FunctionId) {
        let frame = self.frames.pop();
        let end = frame.filter(|frame| !frame.flow.is_dead).map(|frame| frame.guard);
        let function = &mut self.facts.functions[id];
        function.end = end;
        function.is_generator = !function.yields.is_empty();
        if let Some(end) = end
            && !function.is_lambda
            && !function.returns.is_empty()
        {
            // It ends without a `return` on some way.
            let none = self.add(Fact::Constant(Constant::None), TextRange::default());
            self.facts.functions[id].returns.push((none, end));
        }
    }

    pub(super) fn class_definition(&mut self, definition: &ast::StmtClassDef) {
        let decorators = definition.decorator_list.iter().map(|decorator| self.expr(&decorator.expression)).collect();
        let (mut bases, mut has_metaclass) = (Vec::new(), false);
        if let Some(arguments) = &definition.arguments {
            bases.extend(arguments.args.iter().map(|base| self.base(base)));
            for keyword in &arguments.keywords {
                self.expr(&keyword.value);
                let is_one = keyword.arg.as_ref().is_some_and(|name| name == "metaclass");
                has_metaclass |= is_one && last_name(&keyword.value) != Some("ABCMeta");
            }
        }
        let name = self.name(&definition.name);
        let qualified = self.qualified(&definition.name);
        let at = span(definition.name.range);
        let class = Class { name, qualified, bases, decorators, has_metaclass, at, ..Class::default() };
        let id = self.facts.classes.push(class);
        self.bind(name, BindingKind::Class(id), definition.name.range);
        self.class_body(id, &definition.body, has_setters(definition));
        self.made_constructor(id, definition);
    }

    /// The constructor that `dataclass` and its like make of a class's fields, where no base has any.
    fn made_constructor(&mut self, id: ClassId, definition: &ast::StmtClassDef) {
        let is_named = |name: &str| matches!(name, "dataclass" | "define" | "frozen" | "mutable" | "s" | "attrs");
        let is_made = definition.decorator_list.iter().any(|decorator| {
            last_name(&decorator.expression).is_some_and(is_named) && !is_told_not_to(&decorator.expression)
        });
        let bases = definition.arguments.as_ref().map_or(&[][..], |arguments| &arguments.args);
        let is_tuple = matches!(bases, [base] if last_name(base) == Some("NamedTuple"));
        let init = self.name("__init__");
        let scope = self.facts.classes[id].scope;
        if !(is_tuple || is_made && bases.is_empty()) || self.places.contains_key(&(scope, init)) {
            return;
        }
        let fields: Vec<(NameId, ExprId, Option<ExprId>)> = self.annotated_names(&definition.body, scope);
        let parameter =
            |name, annotation, default| Parameter { name, kind: ParameterKind::Positional, annotation, default };
        let receiver = parameter(self.name("self"), None, None);
        let others = fields.iter().map(|(name, annotation, default)| parameter(*name, Some(*annotation), *default));
        let parameters = std::iter::once(receiver).chain(others).collect();
        let function = self.small_function("__init__", definition.name.range, parameters);
        let qualified = self.names[self.facts.classes[id].qualified].to_owned() + ".__init__";
        self.facts.functions[function].qualified = self.name(&qualified);
        self.facts.functions[function].class = Some(id);
        self.facts.functions[function].is_lambda = false;
        let span = span(definition.name.range);
        let bound = |this: &mut Self, kind| {
            this.facts.bindings.push(Binding {
                kind,
                guard: crate::facts::ALWAYS,
                is_used: true,
                is_declared: false,
                is_replaced: false,
                span,
            })
        };
        let made = bound(self, BindingKind::Function(function));
        self.remember(scope, init, made);
        for (index, (name, ..)) in (1..).zip(fields) {
            let binding = bound(self, BindingKind::Parameter(function, index));
            let value = self.add(Fact::Local(Few::One([binding])), definition.name.range);
            self.facts.classes[id].fields.push(Field { name, value: Some(value), annotation: None, by: function });
        }
    }

    /// The names that a class body annotates, in the order of the text.
    fn annotated_names(&self, body: &[Stmt], scope: ScopeId) -> Vec<(NameId, ExprId, Option<ExprId>)> {
        let names = body.iter().filter_map(|statement| match statement {
            Stmt::AnnAssign(assign) => match &*assign.target {
                Expr::Name(name) => self.known_name(name.id.as_str()),
                _ => None,
            },
            _ => None,
        });
        let known = names.filter_map(|name| {
            let bindings = &self.facts.scopes[scope].names[*self.places.get(&(scope, name))?].1;
            match self.facts.bindings[*bindings.first()?].kind {
                BindingKind::Annotated { annotation, value } => Some((name, annotation, value)),
                _ => None,
            }
        });
        known.collect()
    }

    fn class_body(&mut self, id: ClassId, body: &[Stmt], has_setters: bool) {
        let (locals, declared) = self.bound_names(body, &[]);
        let scope = self.new_scope(ScopeKind::Class(id));
        self.facts.classes[id].scope = scope;
        let (function, guard) = (self.frame().function, self.frame().guard);
        let mut frame = Frame::new(scope, function, locals, declared);
        frame.class = Some(id);
        frame.is_class_body = true;
        frame.has_setters = has_setters;
        frame.guard = guard;
        self.frames.push(frame);
        self.body(body);
        self.frames.pop();
    }

    /// `Generic[T]` and `Base[int]` are `Generic` and `Base`.
    fn base(&mut self, base: &Expr) -> ExprId {
        match base {
            Expr::Subscript(subscript) => self.expr(&subscript.value),
            other => self.expr(other),
        }
    }
}

/// Whether a class has setters, or a base that may have.
fn has_setters(definition: &ast::StmtClassDef) -> bool {
    let is_setter = |decorator: &ast::Decorator| last_name(&decorator.expression) == Some("setter");
    let has_bases = definition.arguments.as_ref().is_some_and(|arguments| !arguments.args.is_empty());
    has_bases
        || definition.body.iter().any(|statement| match statement {
            Stmt::FunctionDef(function) => function.decorator_list.iter().any(is_setter),
            _ => false,
        })
}

/// The last part of a name, whether it is called or not.
fn last_name(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Name(name) => Some(&name.id),
        Expr::Attribute(attribute) => Some(&attribute.attr),
        Expr::Call(call) => last_name(&call.func),
        _ => None,
    }
}

/// In the order of [`Function::parameters`].
fn names_of(parameters: &Parameters) -> Vec<&str> {
    let groups = parameters.posonlyargs.iter().chain(&parameters.args).chain(&parameters.kwonlyargs);
    let plain = groups.map(|parameter| parameter.parameter.name.as_str());
    let rest = parameters.vararg.iter().chain(&parameters.kwarg).map(|parameter| parameter.name.as_str());
    plain.chain(rest).collect()
}

fn is_static(definition: &ast::StmtFunctionDef) -> bool {
    let is_named = |name: &str| {
        definition
            .decorator_list
            .iter()
            .any(|decorator| matches!(&decorator.expression, Expr::Name(known) if known.id == name))
    };
    is_named("staticmethod")
}

fn is_stub(body: &[Stmt]) -> bool {
    body.iter().all(|statement| match statement {
        Stmt::Pass(_) => true,
        Stmt::Expr(expr) => matches!(&*expr.value, Expr::StringLiteral(_) | Expr::EllipsisLiteral(_)),
        Stmt::Raise(raise) => {
            let name = match raise.exc.as_deref() {
                Some(Expr::Call(call)) => &*call.func,
                Some(other) => other,
                None => return false,
            };
            matches!(name, Expr::Name(name) if name.id == "NotImplementedError")
        }
        _ => false,
    })
}

/// `@dataclass(init=False)`
fn is_told_not_to(decorator: &Expr) -> bool {
    let Expr::Call(call) = decorator else { return false };
    let is_no = |value: &Expr| matches!(value, Expr::BooleanLiteral(literal) if !literal.value);
    call.arguments
        .keywords
        .iter()
        .any(|keyword| keyword.arg.as_ref().is_some_and(|name| name == "init") && is_no(&keyword.value))
}
