//! Functions, lambdas and classes.

use super::{Frame, Lowering, span};
use crate::facts::{
    BindingKind, Class, ClassId, Constant, Expr as Fact, ExprId, Function, FunctionId, Parameter, ParameterKind,
    ScopeKind,
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
        let is_method = class.is_some() && !is_static(definition);
        self.enter_function(id, &definition.parameters, &definition.body, is_method);
        self.body(&definition.body);
        self.leave_function(id);
    }

    pub(super) fn lambda(&mut self, lambda: &ast::ExprLambda) -> ExprId {
        let parameters = lambda.parameters.as_deref().map_or_else(Vec::new, |parameters| self.parameters(parameters));
        let parent = self.frame().function;
        let function = Function {
            name: self.name("lambda"),
            qualified: self.qualified("lambda"),
            is_lambda: true,
            parent,
            parameters,
            at: span(lambda.range),
            span: span(lambda.range),
            ..Function::default()
        };
        let id = self.facts.functions.push(function);
        let none = Parameters::default();
        self.enter_function(id, lambda.parameters.as_deref().unwrap_or(&none), &[], false);
        let value = self.expr(&lambda.body);
        let guard = self.frame().guard;
        self.function().returns.push((value, guard));
        self.leave_function(id);
        self.add(Fact::Lambda(id), lambda.range)
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

    fn enter_function(&mut self, id: FunctionId, parameters: &Parameters, body: &[Stmt], is_method: bool) {
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

    fn leave_function(&mut self, id: FunctionId) {
        let frame = self.frames.pop();
        let falls_through = frame.is_some_and(|frame| !frame.flow.is_dead);
        let function = &mut self.facts.functions[id];
        function.is_generator = !function.yields.is_empty();
        if falls_through && !function.is_lambda && !function.returns.is_empty() {
            // It ends without a `return` on some way.
            let none = self.add(Fact::Constant(Constant::None), TextRange::default());
            self.facts.functions[id].returns.push((none, crate::facts::ALWAYS));
        }
    }

    pub(super) fn class_definition(&mut self, definition: &ast::StmtClassDef) {
        let decorators = definition.decorator_list.iter().map(|decorator| self.expr(&decorator.expression)).collect();
        let mut bases = Vec::new();
        if let Some(arguments) = &definition.arguments {
            bases.extend(arguments.args.iter().map(|base| self.base(base)));
            for keyword in &arguments.keywords {
                self.expr(&keyword.value);
            }
        }
        let name = self.name(&definition.name);
        let qualified = self.qualified(&definition.name);
        let class = Class { name, qualified, bases, decorators, at: span(definition.name.range), ..Class::default() };
        let id = self.facts.classes.push(class);
        self.bind(name, BindingKind::Class(id), definition.name.range);
        self.class_body(id, &definition.body);
    }

    fn class_body(&mut self, id: ClassId, body: &[Stmt]) {
        let (locals, declared) = self.bound_names(body, &[]);
        let scope = self.new_scope(ScopeKind::Class(id));
        self.facts.classes[id].scope = scope;
        let (function, guard) = (self.frame().function, self.frame().guard);
        let mut frame = Frame::new(scope, function, locals, declared);
        frame.class = Some(id);
        frame.is_class_body = true;
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
