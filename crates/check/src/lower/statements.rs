//! Statements: which way the code goes, what names get, and under which conditions things happen.

use super::Lowering;
use super::expressions::path_of;
use super::flow::Flow;
use crate::facts::{
    BindingId, BindingKind, Condition, EventKind, Expr as Fact, ExprId, Field, Key, Poll, Store, UNKNOWN, Use,
};
use crate::syntax::{ExceptHandler, Expr, Ranged, Stmt, ast};

impl Lowering {
    pub(super) fn body(&mut self, body: &[Stmt]) {
        for statement in body {
            self.statement(statement);
        }
    }

    /// What a function calls first may be a question that raises: the rest is behind it.
    pub(super) fn function_body(&mut self, body: &[Stmt]) {
        let mut questions = 0;
        for (index, statement) in body.iter().enumerate() {
            let since = self.function().events.len();
            self.statement(statement);
            if let (true, Stmt::Expr(expr)) = (index < FIRST && questions < MOST_QUESTIONS, statement)
                && matches!(&*expr.value, Expr::Call(call) if matches!(&*call.func, Expr::Name(_) | Expr::Attribute(_)))
                && let Some(event) = self.function().events.get(since..).and_then(<[_]>::last)
            {
                let expr = event.expr;
                questions += 1;
                self.guard(Condition::Called { expr, went_well: true });
            }
        }
    }

    pub(super) fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::FunctionDef(definition) => self.function_definition(definition),
            Stmt::ClassDef(definition) => self.class_definition(definition),
            Stmt::Expr(expr) if expr.value.is_generator_expr() => {
                self.kept(&expr.value);
            }
            Stmt::Expr(expr) => {
                let value = self.used_expr(&expr.value, Use::Discarded);
                self.has_waited(value);
            }
            Stmt::Assign(assign) => self.assignment(assign),
            Stmt::AnnAssign(assign) => self.annotated(assign),
            Stmt::AugAssign(assign) => self.augmented(assign),
            Stmt::Return(return_) => self.return_(return_),
            Stmt::Raise(raise) => {
                for part in [&raise.exc, &raise.cause].into_iter().flatten() {
                    let raised = self.expr(part);
                    self.function().raised.push(raised);
                }
                self.frame().flow.is_dead = true;
            }
            Stmt::Break(_) | Stmt::Continue(_) => self.frame().flow.is_dead = true,
            Stmt::If(if_) => self.if_(if_),
            Stmt::While(while_) => {
                self.facts.loops.push(super::span(while_.range));
                self.while_(while_);
            }
            Stmt::For(for_) => {
                self.facts.loops.push(super::span(for_.range));
                self.for_(for_);
            }
            Stmt::With(with) => self.with(with),
            Stmt::Try(try_) => self.try_(try_),
            Stmt::Match(match_) => self.match_(match_),
            Stmt::Assert(assert) => {
                let test = self.test(&assert.test);
                if let Some(message) = &assert.msg {
                    self.expr(message);
                }
                self.narrow(&assert.test, true);
                // Of much that tests assert, only this may say that no loop runs.
                if assert.test.is_unary_op_expr() {
                    self.guard(Condition::Test { expr: test, is: true });
                }
            }
            Stmt::Delete(delete) => delete.targets.iter().for_each(|target| self.delete(target)),
            Stmt::Import(import) => self.import(import),
            Stmt::ImportFrom(import) => self.import_from(import),
            Stmt::TypeAlias(alias) => {
                if let Expr::Name(name) = &*alias.name {
                    let value = self.annotation(&alias.value);
                    let name_id = self.name(&name.id);
                    self.bind(name_id, BindingKind::Value(value), name.range);
                }
            }
            Stmt::Global(_) | Stmt::Nonlocal(_) | Stmt::Pass(_) | Stmt::IpyEscapeCommand(_) => {}
        }
    }

    fn augmented(&mut self, assign: &ast::StmtAugAssign) {
        let value = self.expr(&assign.value);
        let special = in_place_name(assign.op);
        if let Expr::Name(name) = &*assign.target {
            let id = self.name(&name.id);
            let before = self.look_up(id);
            self.special(special, before, assign.range);
            let both = self.union(vec![before, value], assign.range);
            self.bind(id, BindingKind::Value(both), name.range);
        } else {
            let before = self.expr(&assign.target);
            self.special(special, before, assign.range);
        }
    }

    fn delete(&mut self, target: &Expr) {
        if let Expr::Name(name) = target {
            let name_id = self.name(&name.id);
            self.bind(name_id, BindingKind::Unknown, name.range);
        } else if let Expr::Subscript(item) = target {
            let object = self.expr(&item.value);
            self.expr(&item.slice);
            let special = self.name("__delitem__");
            self.event(EventKind::Operator(special), object, item.range);
        } else {
            self.expr(target);
        }
    }

    fn return_(&mut self, return_: &ast::StmtReturn) {
        match return_.value.as_deref() {
            Some(Expr::If(conditional)) => self.return_either(conditional),
            value => {
                let value = value.map_or(UNKNOWN, |value| self.kept(value));
                let guard = self.frame().guard;
                self.function().returns.push((value, guard));
            }
        }
        self.frame().flow.is_dead = true;
    }

    /// `return one if test else other`: each under its condition.
    fn return_either(&mut self, conditional: &ast::ExprIf) {
        let test = self.expr(&conditional.test);
        let guard = self.frame().guard;
        for (value, is) in [(&conditional.body, true), (&conditional.orelse, false)] {
            self.guard(Condition::Test { expr: test, is });
            let value = self.expr(value);
            let inner = self.frame().guard;
            self.function().returns.push((value, inner));
            self.frame().guard = guard;
        }
    }

    // ------------------------------------------------------------- assignments

    fn assignment(&mut self, assign: &ast::StmtAssign) {
        if let ([Expr::Name(name)], Expr::Call(_)) = (assign.targets.as_slice(), &*assign.value) {
            let value = self.expr(&assign.value);
            let name_id = self.name(&name.id);
            let bound = self.bind(name_id, BindingKind::Value(value), name.range);
            self.call_is_bound(value, bound);
            return;
        }
        if let ([Expr::Tuple(targets)], Expr::Tuple(values)) = (assign.targets.as_slice(), &*assign.value)
            && targets.elts.len() == values.elts.len()
            && !values.elts.iter().chain(&targets.elts).any(Expr::is_starred_expr)
        {
            let values: Vec<ExprId> = values.elts.iter().map(|value| self.expr(value)).collect();
            for (target, value) in targets.elts.iter().zip(values) {
                self.assign(target, value);
            }
            return;
        }
        if let [target @ Expr::Name(_)] = assign.targets.as_slice()
            && is_type(&assign.value)
        {
            let value = self.annotation(&assign.value);
            self.assign(target, value);
            return;
        }
        let value = self.kept(&assign.value);
        self.has_waited(value);
        for target in &assign.targets {
            self.assign(target, value);
        }
    }

    /// The only trace of a call may be this name.
    fn call_is_bound(&mut self, call: ExprId, bound: BindingId) {
        let mut events = self.function().events.iter_mut().rev();
        if let Some(event) = events.find(|event| event.expr == call && matches!(event.kind, EventKind::Call(_))) {
            event.kind = EventKind::Call(Use::Bound(bound));
        }
    }

    pub(super) fn assign_name(&mut self, name: &ast::ExprName, value: ExprId) -> BindingId {
        let name_id = self.name(&name.id);
        self.forget_narrowed(&name.id);
        self.bind(name_id, BindingKind::Value(value), name.range)
    }

    pub(super) fn assign(&mut self, target: &Expr, value: ExprId) {
        match target {
            Expr::Name(name) => {
                self.assign_name(name, value);
            }
            Expr::Attribute(attribute) => {
                if self.may_have_setter(attribute) {
                    let object = self.expr(&attribute.value);
                    let name = self.name(&attribute.attr);
                    let written = self.add(Fact::Attribute(object, name), attribute.range);
                    self.event(EventKind::Write, written, attribute.range);
                }
                self.store(attribute, Some(value), None);
            }
            Expr::Subscript(subscript) => {
                let object = self.expr(&subscript.value);
                let written = self.expr(&subscript.slice);
                let name = self.name("__setitem__");
                self.event(EventKind::Operator(name), object, subscript.range);
                let key = match self.subscript_key(&subscript.slice, written) {
                    key @ Key::Of(_) => key,
                    _ => Key::Unknown,
                };
                self.add_item(&subscript.value, value, Some(key));
            }
            Expr::Tuple(ast::ExprTuple { elts, .. }) | Expr::List(ast::ExprList { elts, .. }) => {
                let star = elts.iter().position(Expr::is_starred_expr);
                self.event(EventKind::Unpack, value, target.range());
                for (index, part) in (0..).zip(elts) {
                    if star.is_some_and(|star| index as usize >= star) {
                        let element = self.add(Fact::Element(value), part.range());
                        match part {
                            Expr::Starred(starred) => {
                                let rest = self.add(Fact::Sequence([element].into()), part.range());
                                self.assign(&starred.value, rest);
                            }
                            other => self.assign(other, element),
                        }
                    } else {
                        let item = self.add(Fact::Item(value, Key::Index(index)), part.range());
                        self.assign(part, item);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether setting an attribute may run code: mostly it is one of `self`, whose class has no setters.
    fn may_have_setter(&self, attribute: &ast::ExprAttribute) -> bool {
        let Expr::Name(object) = &*attribute.value else { return true };
        let Some(method) = self.frames.last() else { return true };
        let is_own = method.receiver.is_some_and(|receiver| self.names[receiver] == *object.id.as_str());
        !is_own
            || self.frames.iter().rev().skip(1).find(|frame| frame.is_class_body).is_none_or(|body| body.has_setters)
    }

    pub(super) fn store(&mut self, attribute: &ast::ExprAttribute, value: Option<ExprId>, annotation: Option<ExprId>) {
        let name = self.name(&attribute.attr);
        let receiver = self.frames.iter().rev().find_map(|frame| Some((frame.receiver?, frame.class?)));
        if let (Expr::Name(named), Some((receiver, class))) = (&*attribute.value, receiver)
            && self.name(&named.id) == receiver
        {
            if let Some(path) = path_of(attribute) {
                self.forget_narrowed(&path);
            }
            let by = self.frame().function;
            self.facts.classes[class].fields.push(Field { name, value, annotation, by });
            return;
        }
        let object = self.expr(&attribute.value);
        if let Some(value) = value {
            self.facts.stores.push(Store { object, name, value });
        }
    }

    fn annotated(&mut self, assign: &ast::StmtAnnAssign) {
        let annotation = self.annotation(&assign.annotation);
        let value = assign.value.as_deref().map(|value| self.expr(value));
        match &*assign.target {
            Expr::Name(name) => {
                let name_id = self.name(&name.id);
                let bound = self.bind(name_id, BindingKind::Annotated { annotation, value }, name.range);
                if let (Some(value), Some(Expr::Call(_))) = (value, assign.value.as_deref()) {
                    self.call_is_bound(value, bound);
                }
            }
            Expr::Attribute(attribute) => self.store(attribute, value, Some(annotation)),
            _ => {}
        }
    }

    fn import(&mut self, import: &ast::StmtImport) {
        for alias in &import.names {
            let module = self.name(&alias.name);
            let root = alias.name.split('.').next().unwrap_or(&alias.name);
            let bound = self.name(alias.asname.as_ref().map_or(root, |name| name.as_str()));
            let kind = BindingKind::Import { module, is_root: alias.asname.is_none() };
            self.bind(bound, kind, alias.range);
        }
    }

    fn import_from(&mut self, import: &ast::StmtImportFrom) {
        let module = self.name(import.module.as_ref().map_or("", |module| module.as_str()));
        for alias in &import.names {
            if alias.name.as_str() == "*" {
                let scope = self.frame().scope;
                self.facts.scopes[scope].stars.push((module, import.level));
                continue;
            }
            let name = self.name(&alias.name);
            let bound = self.name(alias.asname.as_ref().unwrap_or(&alias.name));
            let kind = BindingKind::ImportFrom { module, level: import.level, name };
            self.bind(bound, kind, alias.range);
        }
    }

    // ---------------------------------------------------------------- branches

    fn if_(&mut self, if_: &ast::StmtIf) {
        let guard = self.frame().guard;
        let known = self.frame().narrowed.len();
        let mut after: Option<Flow> = None;
        // What holds after the branches that leave: those before the first one that does not.
        let mut rest = guard;
        let mut have_left = true;
        let mut falls = true;
        let clauses = if_.elif_else_clauses.iter().map(|clause| (clause.test.as_ref(), clause.body.as_slice()));
        for (test, body) in std::iter::once((Some(&*if_.test), if_.body.as_slice())).chain(clauses) {
            let condition = test.map(|test| (test, self.test(test)));
            let before = self.frame().flow.clone();
            let outside = self.frame().guard;
            if let Some((test, expr)) = condition {
                self.guard(Condition::Test { expr, is: true });
                self.narrow(test, true);
            }
            self.body(body);
            let frame = self.frame();
            let leaves = frame.flow.is_dead;
            let end = std::mem::replace(&mut frame.flow, before);
            match &mut after {
                Some(after) => after.join(&end),
                None => after = Some(end),
            }
            frame.guard = outside;
            frame.narrowed.truncate(known);
            match condition {
                Some((test, expr)) => {
                    self.guard(Condition::Test { expr, is: false });
                    self.narrow(test, false);
                    have_left &= leaves;
                    if have_left {
                        rest = self.frame().guard;
                    }
                }
                None => falls = false,
            }
        }
        let frame = self.frame();
        frame.narrowed.truncate(known);
        frame.guard = rest;
        if let Some(mut after) = after {
            if falls {
                let skipped = std::mem::replace(&mut frame.flow, Flow::new(0));
                after.join(&skipped);
            }
            frame.flow = after;
        }
        // A test that left: the rest of the body is under its opposite, which may say what a name is.
        if if_.elif_else_clauses.is_empty() && rest != guard {
            self.narrow(&if_.test, false);
        }
    }

    /// A condition; calls in it are taken for truths.
    pub(super) fn test(&mut self, test: &Expr) -> ExprId {
        match test {
            Expr::UnaryOp(unary) if unary.op == ast::UnaryOp::Not => {
                let operand = self.test(&unary.operand);
                self.add(Fact::Not(operand), unary.range)
            }
            Expr::BoolOp(logic) => self.logic(logic, Self::test),
            other => {
                let id = self.expr(other);
                match other {
                    Expr::Call(_) => self.event(EventKind::Test, id, other.range()),
                    Expr::Name(_) | Expr::Attribute(_) | Expr::Subscript(_) => {
                        self.special("__bool__", id, other.range());
                    }
                    _ => {}
                }
                id
            }
        }
    }

    /// Learns from a condition what its names are.
    pub(super) fn narrow(&mut self, test: &Expr, is: bool) {
        match test {
            Expr::UnaryOp(unary) if unary.op == ast::UnaryOp::Not => self.narrow(&unary.operand, !is),
            Expr::BoolOp(logic) if matches!(logic.op, ast::BoolOp::And) == is => {
                for value in &logic.values {
                    self.narrow(value, is);
                }
            }
            Expr::Call(call) => {
                let is_check = matches!(&*call.func, Expr::Name(name) if name.id == "isinstance");
                let [object, classes] = &*call.arguments.args else { return };
                if is_check {
                    let classes = self.expr(classes);
                    self.narrow_to(object, classes, is);
                }
            }
            _ => {}
        }
    }

    pub(super) fn narrow_to(&mut self, object: &Expr, classes: ExprId, is: bool) {
        match object {
            Expr::Name(name) => {
                let name_id = self.name(&name.id);
                let value = self.look_up(name_id);
                let narrowed = self.add(Fact::Narrowed { value, classes, is }, name.range);
                if self.frame().locals.contains_key(&name_id)
                    && !self.frame().overlay.iter().any(|(known, _)| *known == name_id)
                {
                    // Known here only: the scope does not learn of it.
                    let guard = self.frame().guard;
                    let binding = crate::facts::Binding {
                        kind: BindingKind::Value(narrowed),
                        guard,
                        is_used: true,
                        is_declared: false,
                        is_replaced: false,
                        span: super::span(name.range),
                    };
                    let binding = self.facts.bindings.push(binding);
                    let frame = self.frame();
                    if let Some(&local) = frame.locals.get(&name_id) {
                        frame.flow.bind(local, binding);
                    }
                }
            }
            Expr::Attribute(attribute) => {
                let Some(path) = path_of(attribute) else { return };
                let value = self.expr(object);
                let narrowed = self.add(Fact::Narrowed { value, classes, is }, attribute.range);
                self.frame().narrowed.push((path, narrowed));
            }
            _ => {}
        }
    }

    /// A name or attribute has a new value.
    fn forget_narrowed(&mut self, path: &str) {
        let is_part =
            |known: &str| known.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        self.frame().narrowed.retain(|(known, _)| !is_part(known));
    }

    // ------------------------------------------------------------------- loops

    /// What the body binds may be bound when it begins again.
    fn forget_rebound(&mut self, body: &[Stmt], target: Option<&Expr>) {
        for name in self.rebound(body, target) {
            let frame = self.frame();
            if let Some(&local) = frame.locals.get(&name) {
                frame.flow.forget(local);
            }
            let text = self.names[name].to_owned();
            self.forget_narrowed(&text);
        }
    }

    fn loop_body(&mut self, body: &[Stmt]) {
        let is_dead = self.frame().flow.is_dead;
        self.body(body);
        self.frame().flow.is_dead = is_dead;
    }

    fn while_(&mut self, while_: &ast::StmtWhile) {
        let guard = self.frame().guard;
        self.forget_rebound(&while_.body, None);
        let test = self.test(&while_.test);
        let before = self.frame().flow.clone();
        self.guard(Condition::Test { expr: test, is: true });
        let known = self.frame().narrowed.len();
        self.narrow(&while_.test, true);
        self.loop_body(&while_.body);
        let frame = self.frame();
        frame.narrowed.truncate(known);
        frame.guard = guard;
        frame.flow.join(&before);
        let is_endless = matches!(&*while_.test, Expr::BooleanLiteral(literal) if literal.value);
        let ends_by_test = !has_break(&while_.body);
        self.body(&while_.orelse);
        self.poll(while_, test);
        if is_endless && ends_by_test {
            self.frame().flow.is_dead = true;
        } else if ends_by_test {
            self.guard(Condition::Test { expr: test, is: false });
        }
    }

    /// A loop that only sleeps.
    fn poll(&mut self, while_: &ast::StmtWhile, test: ExprId) {
        let (waits, leaves) = match while_.body.as_slice() {
            [one] => (one, None),
            // `while True: if ...: break; await sleep()`, in either order
            [Stmt::If(if_), waits] | [waits, Stmt::If(if_)] if is_exit(if_) => {
                (waits, Some(super::span(if_.test.range())))
            }
            _ => return,
        };
        let Stmt::Expr(expr) = waits else { return };
        let Expr::Await(await_) = &*expr.value else { return };
        let Expr::Call(call) = &*await_.value else { return };
        let is_endless = matches!(&*while_.test, Expr::BooleanLiteral(literal) if literal.value);
        if leaves.is_some() && !is_endless {
            return;
        }
        let wanted = super::span(call.range());
        let function = self.frame().function;
        let found =
            self.facts.functions[function].events.iter().rev().find(|event| {
                self.facts.spans[event.expr.index()] == wanted && matches!(event.kind, EventKind::Call(_))
            });
        let Some(call) = found.map(|event| event.expr) else { return };
        let test = leaves.map_or(Some(test), |span| self.last_test_at(span));
        if let Some(test) = test {
            self.facts.polls.push(Poll { function, span: super::span(while_.range), test, call });
        }
    }

    /// The condition that was read last of those at this place.
    fn last_test_at(&self, place: crate::facts::Span) -> Option<ExprId> {
        let guards = self.facts.guards.iter().rev().map(|(_, guard)| guard.condition);
        guards.take(RECENT_GUARDS).find_map(|condition| match condition {
            Condition::Test { expr, .. } if self.facts.span(expr) == place => Some(expr),
            _ => None,
        })
    }

    fn for_(&mut self, for_: &ast::StmtFor) {
        let becomes = if for_.is_async { Use::Entered } else { Use::Other };
        let iter = self.used_expr(&for_.iter, becomes);
        let value = self.iterate(iter, for_.is_async, for_.iter.range());
        let before = self.frame().flow.clone();
        self.forget_rebound(&for_.body, None);
        self.assign(&for_.target, value);
        let guard = self.frame().guard;
        if for_.is_async && leaves(&for_.body) {
            let function = self.frame().function;
            self.facts.early_exits.push((function, iter, super::span(for_.iter.range())));
        }
        self.loop_body(&for_.body);
        let frame = self.frame();
        frame.guard = guard;
        frame.flow.join(&before);
        self.forget_rebound(&for_.body, Some(&for_.target));
        self.body(&for_.orelse);
    }
}

/// Whether a value is a type with parts, as `Optional[Name]`: then what it is called names that type.
fn is_type(value: &Expr) -> bool {
    let Expr::Subscript(subscript) = value else { return false };
    let name = match &*subscript.value {
        Expr::Name(name) => name.id.as_str(),
        Expr::Attribute(attribute) => attribute.attr.as_str(),
        _ => return false,
    };
    matches!(
        name,
        "Annotated"
            | "Optional"
            | "Union"
            | "List"
            | "Dict"
            | "Sequence"
            | "Iterable"
            | "Mapping"
            | "Tuple"
            | "Set"
            | "list"
            | "dict"
    )
}

const fn in_place_name(operator: ast::Operator) -> &'static str {
    match operator {
        ast::Operator::Add => "__iadd__",
        ast::Operator::Sub => "__isub__",
        ast::Operator::Mult => "__imul__",
        ast::Operator::MatMult => "__imatmul__",
        ast::Operator::Div => "__itruediv__",
        ast::Operator::FloorDiv => "__ifloordiv__",
        ast::Operator::Mod => "__imod__",
        ast::Operator::Pow => "__ipow__",
        ast::Operator::BitOr => "__ior__",
        ast::Operator::BitAnd => "__iand__",
        ast::Operator::LShift => "__ilshift__",
        ast::Operator::BitXor => "__ixor__",
        ast::Operator::RShift => "__irshift__",
    }
}

/// `if ...: break`, or `return`
fn is_exit(if_: &ast::StmtIf) -> bool {
    matches!(if_.body.as_slice(), [.., Stmt::Break(_) | Stmt::Return(_)]) && if_.elif_else_clauses.is_empty()
}

/// The statements that leave a `finally`, wherever in it they stand; `break` and `continue` of a loop in it leave only that.
pub(super) fn exits_of(body: &[Stmt]) -> Vec<crate::facts::Span> {
    let found = std::cell::RefCell::new(Vec::new());
    any_statement(body, false, &|statement, is_inner_loop| {
        let is_exit = match statement {
            Stmt::Return(_) => true,
            Stmt::Break(_) | Stmt::Continue(_) => !is_inner_loop,
            _ => false,
        };
        if is_exit {
            found.borrow_mut().push(super::span(statement.range()));
        }
        false
    });
    found.into_inner()
}

/// Whether the error goes on, on some way.
pub(super) fn raises(body: &[Stmt]) -> bool {
    any_statement(body, false, &|statement, _| matches!(statement, Stmt::Raise(_)))
}

fn has_break(body: &[Stmt]) -> bool {
    any_statement(body, false, &|statement, is_inner_loop| matches!(statement, Stmt::Break(_)) && !is_inner_loop)
}

/// Whether a loop's body may leave it: by `break`, or by `return`.
fn leaves(body: &[Stmt]) -> bool {
    any_statement(body, false, &|statement, is_inner_loop| match statement {
        Stmt::Break(_) => !is_inner_loop,
        Stmt::Return(_) => true,
        _ => false,
    })
}

/// Looks at all statements of a body but those of functions in it; the flag says whether one is in an inner loop.
pub(super) fn any_statement(body: &[Stmt], is_inner_loop: bool, test: &impl Fn(&Stmt, bool) -> bool) -> bool {
    let any = |body: &[Stmt]| any_statement(body, is_inner_loop, test);
    body.iter().any(|statement| {
        test(statement, is_inner_loop)
            || match statement {
                Stmt::If(if_) => any(&if_.body) || if_.elif_else_clauses.iter().any(|clause| any(&clause.body)),
                Stmt::With(with) => any(&with.body),
                Stmt::Try(try_) => {
                    let handlers = try_.handlers.iter().any(|ExceptHandler::ExceptHandler(handler)| any(&handler.body));
                    handlers || [&try_.body, &try_.orelse, &try_.finalbody].into_iter().any(|body| any(body))
                }
                Stmt::Match(match_) => match_.cases.iter().any(|case| any(&case.body)),
                Stmt::For(ast::StmtFor { body, orelse, .. }) | Stmt::While(ast::StmtWhile { body, orelse, .. }) => {
                    any_statement(body, true, test) || any(orelse)
                }
                _ => false,
            }
    })
}

/// Statements at the beginning of a function among which questions are looked for, and how many may be ones.
const FIRST: usize = 8;
const MOST_QUESTIONS: usize = 3;
/// The condition of the last statement but one is among these.
const RECENT_GUARDS: usize = 16;
