//! What facts refer to, one after the other: for whoever compares the facts of two texts.

use super::{
    Argument, ArgumentKind, BindingId, BindingKind, ClassId, Condition, EventKind, Expr, ExprId, FunctionId, Key,
    NameId, ScopeId, Use,
};

/// A reference, or a number.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Part {
    Expr(ExprId),
    Binding(BindingId),
    Name(NameId),
    Function(FunctionId),
    Class(ClassId),
    Scope(ScopeId),
    Number(i64),
}

/// Something that is made of a form, which its variant says, and parts.
pub(crate) trait Parts {
    /// Tells all parts, in an order that the form decides.
    fn each_part(&self, tell: &mut impl FnMut(Part));

    /// All parts, in that order.
    fn parts(&self) -> Vec<Part> {
        let mut all = Vec::new();
        self.each_part(&mut |part| all.push(part));
        all
    }
}

impl Parts for Expr {
    fn each_part(&self, tell: &mut impl FnMut(Part)) {
        match self {
            Self::Unknown => {}
            Self::Local(bindings) => bindings.iter().copied().map(Part::Binding).for_each(tell),
            Self::Free(scope, name) => [Part::Scope(*scope), Part::Name(*name)].into_iter().for_each(tell),
            Self::Global(name) | Self::Text(name) | Self::Prefix(name) => tell(Part::Name(*name)),
            Self::Attribute(value, name) | Self::Joined(value, name) => {
                [Part::Expr(*value), Part::Name(*name)].into_iter().for_each(tell);
            }
            Self::Call(callee, arguments) => {
                tell(Part::Expr(*callee));
                for argument in arguments {
                    each_argument_part(argument, tell);
                }
            }
            Self::Await(value)
            | Self::Element(value)
            | Self::AsyncElement(value)
            | Self::Enter(value)
            | Self::AsyncEnter(value)
            | Self::Generator(value)
            | Self::Not(value) => tell(Part::Expr(*value)),
            Self::Item(value, key) => {
                tell(Part::Expr(*value));
                each_key_part(*key, tell);
            }
            Self::Union(parts) | Self::Sequence(parts) => parts.iter().copied().map(Part::Expr).for_each(tell),
            Self::Logic(is_and, parts) => {
                tell(Part::Number(i64::from(*is_and)));
                parts.iter().copied().map(Part::Expr).for_each(tell);
            }
            Self::Choice { test, then, other } => [*test, *then, *other].map(Part::Expr).into_iter().for_each(tell),
            Self::Mapping(items) => {
                for (key, value) in items {
                    each_key_part(*key, tell);
                    tell(Part::Expr(*value));
                }
            }
            Self::Lambda(function) => tell(Part::Function(*function)),
            Self::Super(class, function) => {
                [Part::Class(*class), Part::Function(*function)].into_iter().for_each(tell);
            }
            Self::Constant(constant) => tell(Part::Number(*constant as i64)),
            Self::Same(left, right, is_negated) => {
                let negated = Part::Number(i64::from(*is_negated));
                [Part::Expr(*left), Part::Expr(*right), negated].into_iter().for_each(tell);
            }
            Self::Compared(left, right) => [*left, *right].map(Part::Expr).into_iter().for_each(tell),
            Self::Operation(name, left, right) => {
                [Part::Name(*name), Part::Expr(*left), Part::Expr(*right)].into_iter().for_each(tell);
            }
            Self::Narrowed { value, classes, is } => {
                let is = Part::Number(i64::from(*is));
                [Part::Expr(*value), Part::Expr(*classes), is].into_iter().for_each(tell);
            }
            Self::Bare(binding) => tell(Part::Binding(*binding)),
        }
    }
}

fn each_argument_part(argument: &Argument, tell: &mut impl FnMut(Part)) {
    tell(Part::Number(match argument.kind {
        ArgumentKind::Positional => 0,
        ArgumentKind::Star => 1,
        ArgumentKind::Keyword(_) => 2,
        ArgumentKind::DoubleStar => 3,
    }));
    if let ArgumentKind::Keyword(name) = argument.kind {
        tell(Part::Name(name));
    }
    tell(Part::Expr(argument.value));
}

fn each_key_part(key: Key, tell: &mut impl FnMut(Part)) {
    let (form, part) = match key {
        Key::Unknown => (0, None),
        Key::Text(name) => (1, Some(Part::Name(name))),
        Key::Index(index) => (2, Some(Part::Number(i64::from(index)))),
        Key::Of(name) => (3, Some(Part::Expr(name))),
        Key::All => (4, None),
    };
    tell(Part::Number(form));
    part.into_iter().for_each(tell);
}

impl Parts for BindingKind {
    fn each_part(&self, tell: &mut impl FnMut(Part)) {
        match *self {
            Self::Value(value) | Self::Raised(value) => tell(Part::Expr(value)),
            Self::Annotated { annotation, value } => {
                [annotation].into_iter().chain(value).map(Part::Expr).for_each(tell);
            }
            Self::Parameter(function, index) => {
                [Part::Function(function), Part::Number(i64::from(index))].into_iter().for_each(tell);
            }
            Self::Import { module, is_root } => {
                [Part::Name(module), Part::Number(i64::from(is_root))].into_iter().for_each(tell);
            }
            Self::ImportFrom { module, level, name } => {
                [Part::Name(module), Part::Number(i64::from(level)), Part::Name(name)].into_iter().for_each(tell);
            }
            Self::Function(function) => tell(Part::Function(function)),
            Self::Class(class) => tell(Part::Class(class)),
            Self::Unpacked(value, index) => {
                [Part::Expr(value), Part::Number(i64::from(index))].into_iter().for_each(tell);
            }
            Self::Unknown => {}
        }
    }
}

impl Parts for EventKind {
    fn each_part(&self, tell: &mut impl FnMut(Part)) {
        match *self {
            Self::Call(Use::Bound(binding)) => [Part::Number(0), Part::Binding(binding)].into_iter().for_each(tell),
            Self::Call(Use::Discarded) => tell(Part::Number(1)),
            Self::Call(Use::Awaited) => tell(Part::Number(2)),
            Self::Call(Use::Entered) => tell(Part::Number(3)),
            Self::Call(Use::Other) => tell(Part::Number(4)),
            Self::Operator(name) => tell(Part::Name(name)),
            _ => {}
        }
    }
}

impl Parts for Condition {
    /// All but places.
    fn each_part(&self, tell: &mut impl FnMut(Part)) {
        match *self {
            Self::Test { expr, is } | Self::Called { expr, went_well: is } => {
                [Part::Expr(expr), Part::Number(i64::from(is))].into_iter().for_each(tell);
            }
            Self::Within(expr) | Self::AsyncWithin(expr) => tell(Part::Expr(expr)),
            Self::Always | Self::Caught | Self::Covered(_) => {}
        }
    }
}
