//! Rules of the language that a parser does not look at, as far as a repair could break them: where `await`, `async for`, `async with`, `yield
//! from` and `return` with a value may stand.

use super::walk::span;
use crate::facts::Span;
use crate::syntax::{Expr, Module, Stmt, TextRange, Visitor, ast, walk_expr, walk_stmt};

/// Where a text is no Python, and why, in the order of the text.
pub(super) fn faults(text: &str) -> Vec<(Span, String)> {
    let module = Module::parse(text);
    if let Some(error) = module.error() {
        return vec![(Span { start: error.at, end: error.at }, error.message)];
    }
    let mut compiler = Compiler { inside: Inside::Plain, found: Vec::new(), yields: Vec::new(), returns: Vec::new() };
    module.body().iter().for_each(|statement| compiler.visit_stmt(statement));
    compiler.found
}

/// What the innermost code is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    /// The module, a class body, a plain function, a lambda.
    Plain,
    Coroutine,
    /// A generator expression: it may await wherever it is made, and yields nothing itself.
    Generator,
}

struct Compiler {
    inside: Inside,
    found: Vec<(Span, String)>,
    /// Where the innermost function yields.
    yields: Vec<Span>,
    /// Where it returns a value.
    returns: Vec<Span>,
}

impl Compiler {
    fn fault(&mut self, range: TextRange, message: &str) {
        self.found.push((span(range), message.to_owned()));
    }

    fn code(&mut self, inside: Inside, walk: impl FnOnce(&mut Self)) {
        let before = (self.inside, std::mem::take(&mut self.yields), std::mem::take(&mut self.returns));
        self.inside = inside;
        walk(self);
        if inside == Inside::Coroutine && !self.yields.is_empty() {
            let returned = std::mem::take(&mut self.returns).into_iter();
            self.found.extend(returned.map(|place| (place, "`return` with a value in an async generator".to_owned())));
        }
        (self.inside, self.yields, self.returns) = before;
    }

    /// Decorators, defaults and annotations belong to the code around.
    fn function(&mut self, function: &ast::StmtFunctionDef) {
        function.decorator_list.iter().for_each(|decorator| self.visit_expr(&decorator.expression));
        self.visit_parameters(&function.parameters);
        let inside = if function.is_async { Inside::Coroutine } else { Inside::Plain };
        self.code(inside, |this| this.visit_body(&function.body));
    }

    fn asynchronous(&mut self, range: TextRange, what: &str) {
        if self.inside == Inside::Plain {
            self.fault(range, &format!("`{what}` outside a coroutine function"));
        }
    }
}

impl<'a> Visitor<'a> for Compiler {
    fn visit_stmt(&mut self, statement: &'a Stmt) {
        match statement {
            Stmt::FunctionDef(function) => return self.function(function),
            Stmt::ClassDef(class) => {
                class.decorator_list.iter().for_each(|decorator| self.visit_expr(&decorator.expression));
                return self.code(Inside::Plain, |this| this.visit_body(&class.body));
            }
            Stmt::For(for_) if for_.is_async => self.asynchronous(for_.range, "async for"),
            Stmt::With(with) if with.is_async => self.asynchronous(with.range, "async with"),
            Stmt::Return(return_) if return_.value.is_some() => self.returns.push(span(return_.range)),
            _ => {}
        }
        walk_stmt(self, statement);
    }

    fn visit_annotation(&mut self, _: &'a Expr) {}

    fn visit_expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Await(await_) => self.asynchronous(await_.range, "await"),
            Expr::Yield(yield_) => self.yields.push(span(yield_.range)),
            Expr::YieldFrom(yield_) => {
                self.yields.push(span(yield_.range));
                if self.inside == Inside::Coroutine {
                    self.fault(yield_.range, "`yield from` in a coroutine function");
                }
            }
            Expr::Lambda(lambda) => {
                lambda.parameters.iter().for_each(|parameters| self.visit_parameters(parameters));
                return self.code(Inside::Plain, |this| this.visit_expr(&lambda.body));
            }
            Expr::Generator(generator) => {
                if let Some(first) = generator.generators.first() {
                    self.visit_expr(&first.iter);
                }
                return self.code(Inside::Generator, |this| walk_expr(this, expr));
            }
            Expr::ListComp(ast::ExprListComp { generators, .. })
            | Expr::SetComp(ast::ExprSetComp { generators, .. })
            | Expr::DictComp(ast::ExprDictComp { generators, .. }) => {
                if let Some(one) = generators.iter().find(|one| one.is_async) {
                    self.asynchronous(one.range, "async for");
                }
            }
            _ => {}
        }
        walk_expr(self, expr);
    }
}

#[cfg(test)]
mod tests {
    use super::faults;

    #[test]
    fn rules() {
        for text in [
            "async def f():\n    yield from g()\n",
            "async def f():\n    yield 1\n    return 2\n",
            "def f():\n    await g()\n",
            "def f():\n    async with g(): pass\n",
            "async def f():\n    return lambda: await g()\n",
            "def f():\n    return [x async for x in g()]\n",
            "class C:\n    await g()\n",
        ] {
            assert_eq!(faults(text).len(), 1, "{text}");
        }
        for text in [
            "def f():\n    yield from g()\n    return 2\n",
            "async def f():\n    def h():\n        yield 1\n        return 2\n    return [await x async for x in h()]\n",
            "async def f():\n    return (await x for x in y)\n",
            "async def f():\n    yield 1\n    return\n",
        ] {
            assert_eq!(faults(text), [], "{text}");
        }
    }
}
