//! Expressions: what they are, and what happens in them.

use super::Lowering;
use crate::facts::{
    Argument, ArgumentKind, BindingKind, Condition, Constant, EventKind, Expr as Fact, ExprId, Few, Key, NameId,
    UNKNOWN, Use, asked_in_turn, is_prefix_of_names,
};
use crate::syntax::{self, BoolOp, CmpOp, ConversionFlag, Expr, Number, Operator, Ranged, TextRange, UnaryOp, ast};

impl Lowering {
    /// What an expression is; all that it does is noted.
    pub(super) fn expr(&mut self, expr: &Expr) -> ExprId {
        self.used_expr(expr, Use::Other)
    }

    #[expect(clippy::too_many_lines, reason = "one arm a kind of expression")]
    pub(super) fn used_expr(&mut self, expr: &Expr, becomes: Use) -> ExprId {
        match expr {
            Expr::Name(name) => {
                let name = self.name(&name.id);
                self.look_up(name)
            }
            Expr::Attribute(attribute) => {
                let id = self.attribute(attribute);
                self.event(EventKind::Read, id, attribute.range);
                id
            }
            Expr::Call(call) => self.call(call, becomes),
            Expr::Await(await_) => {
                let value = self.used_expr(&await_.value, Use::Awaited);
                self.function().awaits = true;
                let id = self.add(Fact::Await(value), await_.range);
                self.event(EventKind::Await, id, await_.range);
                id
            }
            Expr::Subscript(subscript) => self.subscript(subscript),
            Expr::Named(named) => self.named(named),
            Expr::If(conditional) => {
                let test = self.test(&conditional.test);
                let guard = self.frame().guard;
                self.guard(Condition::Test { expr: test, is: true });
                let body = self.used_expr(&conditional.body, becomes.of_part());
                self.frame().guard = guard;
                self.guard(Condition::Test { expr: test, is: false });
                let orelse = self.used_expr(&conditional.orelse, becomes.of_part());
                self.frame().guard = guard;
                self.add(Fact::Choice { test, then: body, other: orelse }, conditional.range)
            }
            Expr::BoolOp(logic) => self.logic(logic, |this, last| this.used_expr(last, becomes.of_part())),
            // Its operand is taken for a truth wherever it stands.
            Expr::UnaryOp(unary) if unary.op == UnaryOp::Not => self.test(expr),
            Expr::UnaryOp(unary) => {
                let operand = self.expr(&unary.operand);
                match unary.op {
                    UnaryOp::USub if matches!(&*unary.operand, Expr::NumberLiteral(_)) => operand,
                    _ => {
                        let name = self.name(match unary.op {
                            UnaryOp::USub => "__neg__",
                            UnaryOp::UAdd => "__pos__",
                            _ => "__invert__",
                        });
                        self.event(EventKind::Operator(name), operand, unary.range);
                        UNKNOWN
                    }
                }
            }
            Expr::BinOp(binary) => self.binary(binary),
            Expr::Compare(compare) => self.compare(compare),
            Expr::Lambda(lambda) => self.lambda(lambda),
            Expr::List(ast::ExprList { elts, range, .. })
            | Expr::Tuple(ast::ExprTuple { elts, range, .. })
            | Expr::Set(ast::ExprSet { elts, range, .. }) => {
                let parts: Vec<ExprId> = elts.iter().map(|part| self.part(part, becomes.of_part())).collect();
                self.add(Fact::Sequence(parts.into()), *range)
            }
            Expr::Starred(starred) => self.expr(&starred.value),
            Expr::Dict(dict) => self.dict(dict),
            Expr::ListComp(ast::ExprListComp { elt, generators, range, .. })
            | Expr::SetComp(ast::ExprSetComp { elt, generators, range, .. }) => {
                let part = self.comprehension(generators, |this| this.used_expr(elt, becomes.of_part()));
                self.add(Fact::Sequence([part].into()), *range)
            }
            Expr::Generator(generator) => {
                // Mostly it is handed on, and used up at once.
                let part = self.comprehension(&generator.generators, |this| this.expr(&generator.elt));
                self.add(Fact::Generator(part), generator.range)
            }
            Expr::DictComp(comprehension) => {
                let mut keys = UNKNOWN;
                let part = self.comprehension(&comprehension.generators, |this| {
                    keys = comprehension.key.as_deref().map_or(UNKNOWN, |key| this.expr(key));
                    this.expr(&comprehension.value)
                });
                let table = self.add(Fact::Mapping([(Key::Unknown, part)].into()), comprehension.range);
                if !matches!(self.facts.exprs[keys], Fact::Call(..)) {
                    return table;
                }
                // `{pool.submit(work, item): item for item in items}` is iterated for its keys.
                let keys = self.add(Fact::Sequence([keys].into()), comprehension.range);
                self.union(vec![table, keys], comprehension.range)
            }
            Expr::Yield(yield_) => {
                let value = match yield_.value.as_deref() {
                    Some(value) => self.expr(value),
                    // Nothing, in that place.
                    None => self.add(Fact::Unknown, yield_.range),
                };
                self.yields(value);
                UNKNOWN
            }
            Expr::YieldFrom(yield_) => {
                let value = self.expr(&yield_.value);
                let element = self.add(Fact::Element(value), yield_.range);
                self.event(EventKind::Iterate, value, yield_.range);
                self.yields(element);
                UNKNOWN
            }
            Expr::StringLiteral(text) => {
                let text = text.value.to_str();
                // Long texts are no keys, and no names.
                if text.len() > LONGEST_TEXT {
                    return UNKNOWN;
                }
                let name = self.name(text);
                self.add(Fact::Text(name), expr.range())
            }
            Expr::FString(text) => {
                let last = self.interpolated(text.value.elements());
                let mut elements = text.value.elements();
                match (elements.next(), elements.next().and_then(|next| next.as_literal()), elements.next()) {
                    (Some(first), Some(rest), None) if first.is_interpolation() && rest.len() <= LONGEST_TEXT => {
                        let rest = self.name(rest);
                        self.add(Fact::Joined(last, rest), expr.range())
                    }
                    (Some(first), None, _) if first.as_literal().is_some_and(|text| is_prefix_of_names(text)) => {
                        let first = first.as_literal().map_or("", |text| &**text);
                        let first = self.name(first);
                        self.add(Fact::Prefix(first), expr.range())
                    }
                    _ => UNKNOWN,
                }
            }
            Expr::TString(text) => {
                self.interpolated(text.value.elements());
                UNKNOWN
            }
            Expr::NumberLiteral(number) => self.constant(match &number.value {
                Number::Int(int) if int.as_u8() == Some(0) => Constant::Zero,
                Number::Float(float) if *float == 0.0 => Constant::Zero,
                _ => Constant::Other,
            }),
            Expr::BooleanLiteral(boolean) => {
                self.constant(if boolean.value { Constant::True } else { Constant::False })
            }
            Expr::NoneLiteral(_) => self.constant(Constant::None),
            Expr::BytesLiteral(_) => self.constant(Constant::Other),
            Expr::Slice(slice) => {
                for part in [&slice.lower, &slice.upper, &slice.step].into_iter().flatten() {
                    self.expr(part);
                }
                UNKNOWN
            }
            Expr::EllipsisLiteral(_) | Expr::IpyEscapeCommand(_) => UNKNOWN,
        }
    }

    /// `name := value` is a use of the name.
    fn named(&mut self, named: &ast::ExprNamed) -> ExprId {
        let value = self.expr(&named.value);
        let Expr::Name(name) = &*named.target else { return value };
        let binding = self.assign_name(name, value);
        self.facts.bindings[binding].is_used = true;
        self.add(Fact::Local(Few::One([binding])), named.range)
    }

    fn yields(&mut self, value: ExprId) {
        let guard = self.frame().guard;
        self.function().yields.push((value, guard));
    }

    pub(super) fn constant(&mut self, constant: Constant) -> ExprId {
        self.add(Fact::Constant(constant), TextRange::default())
    }

    /// A part of a list, tuple or set.
    fn part(&mut self, part: &Expr, becomes: Use) -> ExprId {
        match part {
            Expr::Starred(starred) => {
                let value = self.expr(&starred.value);
                self.event(EventKind::Iterate, value, starred.range);
                self.add(Fact::Element(value), starred.range)
            }
            other => self.used_expr(other, becomes),
        }
    }

    pub(super) fn union(&mut self, parts: Vec<ExprId>, range: TextRange) -> ExprId {
        match parts.as_slice() {
            [one] => *one,
            _ => self.add(Fact::Union(parts.into()), range),
        }
    }

    /// An attribute as a value: it may be known better for a while.
    fn attribute(&mut self, attribute: &ast::ExprAttribute) -> ExprId {
        if !self.frame().narrowed.is_empty()
            && let Some(path) = path_of(attribute)
            && let Some((_, known)) = self.frame().narrowed.iter().rev().find(|(known, _)| *known == path)
        {
            return *known;
        }
        let value = self.expr(&attribute.value);
        let name = self.name(&attribute.attr);
        self.add(Fact::Attribute(value, name), attribute.range)
    }

    fn call(&mut self, call: &ast::ExprCall, becomes: Use) -> ExprId {
        let range = call.range();
        if let Some(id) = self.super_call(call) {
            return id;
        }
        let callee = match &*call.func {
            // What is called is not read.
            Expr::Attribute(attribute) => self.attribute(attribute),
            other => self.expr(other),
        };
        let mut arguments = Vec::with_capacity(call.arguments.len());
        for argument in &call.arguments.args {
            arguments.push(match argument {
                Expr::Starred(starred) => {
                    let value = self.expr(&starred.value);
                    self.event(EventKind::Unpack, value, starred.range);
                    Argument { kind: ArgumentKind::Star, value }
                }
                other => Argument { kind: ArgumentKind::Positional, value: self.expr(other) },
            });
        }
        for keyword in &call.arguments.keywords {
            let kind =
                keyword.arg.as_ref().map_or(ArgumentKind::DoubleStar, |name| ArgumentKind::Keyword(self.name(name)));
            arguments.push(Argument { kind, value: self.expr(&keyword.value) });
        }
        let positional = arguments.iter().filter(|argument| argument.kind == ArgumentKind::Positional);
        let positional: Vec<ExprId> = positional.map(|argument| argument.value).collect();
        let id = self.add(Fact::Call(callee, arguments.into()), range);
        self.event(EventKind::Call(becomes), id, range);
        self.filling_call(call, callee, &positional);
        self.socket_call(call, id, &positional);
        id
    }

    /// `super()` in a method.
    fn super_call(&mut self, call: &ast::ExprCall) -> Option<ExprId> {
        let is_super = matches!(&*call.func, Expr::Name(name) if name.id == "super");
        if !is_super {
            return None;
        }
        let frame = self.frames.iter().rev().find(|frame| frame.class.is_some())?;
        let (class, function) = (frame.class?, frame.function);
        Some(self.add(Fact::Super(class, function), call.range()))
    }

    fn subscript(&mut self, subscript: &ast::ExprSubscript) -> ExprId {
        let value = self.expr(&subscript.value);
        let written = self.expr(&subscript.slice);
        let key = self.subscript_key(&subscript.slice, written);
        let id = self.add(Fact::Item(value, key), subscript.range);
        let name = self.name("__getitem__");
        self.event(EventKind::Operator(name), value, subscript.range);
        id
    }

    /// `written` is what stands in the brackets.
    pub(super) fn subscript_key(&mut self, key: &Expr, written: ExprId) -> Key {
        if key.is_name_expr() { Key::Of(written) } else { self.key(key) }
    }

    pub(super) fn key(&mut self, key: &Expr) -> Key {
        match key {
            Expr::StringLiteral(text) if text.value.to_str().len() <= LONGEST_TEXT => {
                Key::Text(self.name(text.value.to_str()))
            }
            Expr::NumberLiteral(ast::ExprNumberLiteral { value: Number::Int(int), .. }) => {
                int.as_i32().map_or(Key::Unknown, Key::Index)
            }
            _ => Key::Unknown,
        }
    }

    /// What stands before `and` is taken for a truth; any other operand may be the value, and becomes what the caller says.
    pub(super) fn logic(&mut self, logic: &ast::ExprBoolOp, value_of: impl Fn(&mut Self, &Expr) -> ExprId) -> ExprId {
        let is_and = matches!(logic.op, BoolOp::And);
        let guard = self.frame().guard;
        let known = self.frame().narrowed.len();
        let flow = self.frame().flow.clone();
        let mut parts = Vec::with_capacity(logic.values.len());
        for (index, value) in logic.values.iter().enumerate() {
            let is_last = index + 1 == logic.values.len();
            let part = if is_last || !is_and { value_of(self, value) } else { self.test(value) };
            parts.push(part);
            // What follows `and` is looked at if it was true.
            self.guard(Condition::Test { expr: part, is: is_and });
            self.narrow(value, is_and);
        }
        let frame = self.frame();
        frame.guard = guard;
        frame.narrowed.truncate(known);
        frame.flow.join(&flow);
        self.add(Fact::Logic(is_and, parts.into()), logic.range)
    }

    fn binary(&mut self, binary: &ast::ExprBinOp) -> ExprId {
        let (left, right) = (self.expr(&binary.left), self.expr(&binary.right));
        let name = self.name(special_name(binary.op));
        self.event(EventKind::Operator(name), left, binary.range);
        if binary.right.is_call_expr() {
            let reflected = self.name(reflected_name(binary.op));
            self.event(EventKind::Operator(reflected), right, binary.right.range());
        }
        if left == UNKNOWN && right == UNKNOWN {
            return UNKNOWN;
        }
        self.add(Fact::Operation(name, left, right), binary.range)
    }

    fn compare(&mut self, compare: &ast::ExprCompare) -> ExprId {
        let left = self.expr(&compare.left);
        let rights: Vec<ExprId> = compare.comparators.iter().map(|right| self.expr(right)).collect();
        let ([operator], [right]) = (&*compare.ops, &*rights) else { return UNKNOWN };
        let (name, operand) = match operator {
            CmpOp::Is | CmpOp::IsNot => ("is", left),
            CmpOp::Eq | CmpOp::NotEq => ("__eq__", left),
            CmpOp::In | CmpOp::NotIn => ("__contains__", *right),
            CmpOp::Lt => ("__lt__", left),
            CmpOp::LtE => ("__le__", left),
            CmpOp::Gt => ("__gt__", left),
            CmpOp::GtE => ("__ge__", left),
        };
        let name = self.name(name);
        self.event(EventKind::Operator(name), operand, compare.range);
        let compared = match operator {
            CmpOp::Is | CmpOp::Eq => Fact::Same(left, *right, false),
            CmpOp::IsNot | CmpOp::NotEq => Fact::Same(left, *right, true),
            _ => Fact::Compared(left, *right),
        };
        let compared = self.add(compared, compare.range);
        self.version_test(compare, compared, left)
    }

    fn dict(&mut self, dict: &ast::ExprDict) -> ExprId {
        let mut items = Vec::with_capacity(dict.items.len());
        for item in &dict.items {
            let key = match &item.key {
                Some(key) => {
                    let known = self.key(key);
                    if known == Key::Unknown {
                        self.expr(key);
                    }
                    known
                }
                None => Key::All,
            };
            items.push((key, self.expr(&item.value)));
        }
        self.add(Fact::Mapping(items.into()), dict.range)
    }

    /// Its targets are names of its own, whose values are known where it is.
    fn comprehension(
        &mut self,
        generators: &[ast::Comprehension],
        element: impl FnOnce(&mut Self) -> ExprId,
    ) -> ExprId {
        let known = self.frame().overlay.len();
        let (guard, narrowed) = (self.frame().guard, self.frame().narrowed.len());
        for generator in generators {
            let iter = self.expr(&generator.iter);
            let value = self.iterate(iter, generator.is_async, generator.iter.range());
            self.overlay(&generator.target, value, None);
            for condition in &generator.ifs {
                let test = self.test(condition);
                self.guard(Condition::Test { expr: test, is: true });
                self.narrow(condition, true);
            }
        }
        let element = element(self);
        let frame = self.frame();
        frame.overlay.truncate(known);
        frame.narrowed.truncate(narrowed);
        frame.guard = guard;
        element
    }

    /// A generator expression that is kept: it runs where it is iterated.
    pub(super) fn kept(&mut self, expr: &Expr) -> ExprId {
        let Expr::Generator(generator) = expr else { return self.expr(expr) };
        if generator.generators.iter().any(|generator| generator.is_async) {
            return self.expr(expr);
        }
        let function = self.small_function("genexpr", generator.range, Vec::new());
        self.enter_function(function, &syntax::Parameters::default(), &[], false);
        let part = self.comprehension(&generator.generators, |this| this.expr(&generator.elt));
        self.yields(part);
        self.leave_function(function);
        let function = self.add(Fact::Lambda(function), generator.range);
        self.add(Fact::Call(function, Box::default()), generator.range)
    }

    /// Notes which sockets do not wait, and what is called on sockets.
    fn socket_call(&mut self, call: &ast::ExprCall, id: ExprId, positional: &[ExprId]) {
        let Expr::Attribute(method) = &*call.func else { return };
        let is_told = match method.attr.as_str() {
            "setblocking" | "settimeout" => true,
            "recv" | "recv_into" | "recvfrom" | "recvfrom_into" | "recvmsg" | "accept" | "connect" | "sendall" => false,
            _ => return,
        };
        let name = match &*method.value {
            Expr::Name(name) => self.name(&name.id),
            Expr::Attribute(attribute) => self.name(&attribute.attr),
            _ => return,
        };
        if !is_told {
            self.socket_calls.push((name, id));
        } else if let [value] = positional
            && matches!(self.facts.exprs[*value], Fact::Constant(Constant::False | Constant::Zero))
        {
            self.unwaiting.insert(name);
        }
    }

    fn overlay(&mut self, target: &Expr, value: ExprId, index: Option<i32>) {
        match target {
            Expr::Name(name) => {
                let name_id = self.name(&name.id);
                let kind = index.map_or(BindingKind::Value(value), |index| BindingKind::Unpacked(value, index));
                let guard = self.frame().guard;
                let binding = crate::facts::Binding {
                    kind,
                    guard,
                    is_used: true,
                    is_declared: false,
                    is_replaced: false,
                    span: super::span(name.range),
                };
                let binding = self.facts.bindings.push(binding);
                self.frame().overlay.push((name_id, binding));
            }
            Expr::Tuple(ast::ExprTuple { elts, .. }) | Expr::List(ast::ExprList { elts, .. }) => {
                let value = index.map_or(value, |index| self.add(Fact::Item(value, Key::Index(index)), target.range()));
                for (index, part) in (0..).zip(elts) {
                    self.overlay(part, value, Some(index));
                }
            }
            Expr::Starred(starred) => self.overlay(&starred.value, UNKNOWN, None),
            _ => {}
        }
    }

    /// What a loop over it gives; and that it is looped over.
    pub(super) fn iterate(&mut self, value: ExprId, is_async: bool, range: TextRange) -> ExprId {
        if is_async {
            self.function().awaits = true;
        }
        self.event(if is_async { EventKind::AsyncIterate } else { EventKind::Iterate }, value, range);
        if value == UNKNOWN {
            return UNKNOWN;
        }
        self.add(if is_async { Fact::AsyncElement(value) } else { Fact::Element(value) }, range)
    }

    /// What is put in last.
    fn interpolated<'e>(&mut self, elements: impl Iterator<Item = &'e ast::InterpolatedStringElement>) -> ExprId {
        let mut last = UNKNOWN;
        for element in elements {
            let Some(part) = element.as_interpolation() else { continue };
            let value = self.expr(&part.expression);
            let is_debug = part.debug_text.is_some() && part.format_spec.is_none();
            let how = match part.conversion {
                ConversionFlag::None if is_debug => ConversionFlag::Repr,
                how => how,
            };
            self.shown(how, value, part.range);
            if let Some(format) = &part.format_spec {
                self.interpolated(format.elements.iter());
            }
            last = value;
        }
        last
    }

    /// An object becomes part of a text.
    fn shown(&mut self, how: ConversionFlag, value: ExprId, range: TextRange) {
        let name = match how {
            ConversionFlag::None => "__format__",
            ConversionFlag::Str => "__str__",
            ConversionFlag::Ascii | ConversionFlag::Repr => "__repr__",
        };
        self.special(name, value, range);
    }

    /// A special method of an object is run, or what is asked in place of it.
    pub(super) fn special(&mut self, name: &'static str, value: ExprId, range: TextRange) {
        for instead in asked_in_turn(name) {
            self.name(instead);
        }
        let name = self.name(name);
        self.event(EventKind::Operator(name), value, range);
    }

    /// An annotation; those in quotes are read as well.
    pub(super) fn annotation(&mut self, annotation: &Expr) -> ExprId {
        match annotation {
            Expr::StringLiteral(text) => match syntax::parse_annotation(text.value.to_str()) {
                Some(inner) => self.annotation(&inner),
                None => UNKNOWN,
            },
            Expr::Subscript(subscript) => {
                let value = self.annotation(&subscript.value);
                let parts: Vec<ExprId> = match &*subscript.slice {
                    Expr::Tuple(tuple) => tuple.elts.iter().map(|part| self.annotation(part)).collect(),
                    other => vec![self.annotation(other)],
                };
                let parts = self.add(Fact::Sequence(parts.into()), subscript.range);
                // A generic type with its arguments is a call of the type with them.
                let arguments = [Argument { kind: ArgumentKind::Positional, value: parts }];
                self.add(Fact::Call(value, arguments.into()), subscript.range)
            }
            Expr::BinOp(ast::ExprBinOp { left, op: Operator::BitOr, right, range, .. }) => {
                let parts = vec![self.annotation(left), self.annotation(right)];
                self.union(parts, *range)
            }
            Expr::List(list) => {
                let parts: Vec<ExprId> = list.elts.iter().map(|part| self.annotation(part)).collect();
                self.add(Fact::Sequence(parts.into()), list.range)
            }
            Expr::Attribute(attribute) => {
                let value = self.annotation(&attribute.value);
                let name = self.name(&attribute.attr);
                self.add(Fact::Attribute(value, name), attribute.range)
            }
            Expr::Name(name) => {
                let name = self.name(&name.id);
                self.look_up_type(name)
            }
            Expr::NoneLiteral(_) => self.constant(Constant::None),
            _ => UNKNOWN,
        }
    }

    /// A name in an annotation may be defined later in the text.
    fn look_up_type(&mut self, name: NameId) -> ExprId {
        for index in (0..self.frames.len()).rev() {
            let frame = &self.frames[index];
            if index + 1 < self.frames.len() && frame.is_class_body {
                continue;
            }
            if frame.locals.contains_key(&name) {
                let scope = frame.scope;
                return self.free(scope, name);
            }
        }
        self.look_up(name)
    }
}

/// `a.b.c`, if it is no more than names.
pub(super) fn path_of(attribute: &ast::ExprAttribute) -> Option<String> {
    let mut path = match &*attribute.value {
        Expr::Name(name) => name.id.to_string(),
        Expr::Attribute(inner) => path_of(inner)?,
        _ => return None,
    };
    path.push('.');
    path.push_str(&attribute.attr);
    Some(path)
}

const fn special_name(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "__add__",
        Operator::Sub => "__sub__",
        Operator::Mult => "__mul__",
        Operator::MatMult => "__matmul__",
        Operator::Div => "__truediv__",
        Operator::Mod => "__mod__",
        Operator::Pow => "__pow__",
        Operator::LShift => "__lshift__",
        Operator::RShift => "__rshift__",
        Operator::BitOr => "__or__",
        Operator::BitXor => "__xor__",
        Operator::BitAnd => "__and__",
        Operator::FloorDiv => "__floordiv__",
    }
}

/// The method of the right operand, which is asked where the left one has none.
const fn reflected_name(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "__radd__",
        Operator::Sub => "__rsub__",
        Operator::Mult => "__rmul__",
        Operator::MatMult => "__rmatmul__",
        Operator::Div => "__rtruediv__",
        Operator::Mod => "__rmod__",
        Operator::Pow => "__rpow__",
        Operator::LShift => "__rlshift__",
        Operator::RShift => "__rrshift__",
        Operator::BitOr => "__ror__",
        Operator::BitXor => "__rxor__",
        Operator::BitAnd => "__rand__",
        Operator::FloorDiv => "__rfloordiv__",
    }
}

const LONGEST_TEXT: usize = 60;
