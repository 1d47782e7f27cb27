//! What facts refer to, one after the other: for whoever compares the facts of two texts.

use super::{
    ArgumentKind, BindingId, BindingKind, ClassId, Condition, EventKind, Expr, ExprId, FunctionId, Key, NameId,
    ScopeId, Use,
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
    /// All parts, in an order that the form decides.
    fn parts(&self) -> Vec<Part>;
}

impl Parts for Expr {
    fn parts(&self) -> Vec<Part> {
        match self {
            Self::Unknown => Vec::new(),
            Self::Local(bindings) => bindings.iter().copied().map(Part::Binding).collect(),
            Self::Free(scope, name) => vec![Part::Scope(*scope), Part::Name(*name)],
            Self::Global(name) | Self::Text(name) => vec![Part::Name(*name)],
            Self::Attribute(value, name) | Self::Joined(value, name) => vec![Part::Expr(*value), Part::Name(*name)],
            Self::Call(callee, arguments) => {
                let given = arguments.iter().flat_map(|argument| {
                    let (kind, name) = match argument.kind {
                        ArgumentKind::Positional => (0, None),
                        ArgumentKind::Star => (1, None),
                        ArgumentKind::Keyword(name) => (2, Some(Part::Name(name))),
                        ArgumentKind::DoubleStar => (3, None),
                    };
                    [Some(Part::Number(kind)), name, Some(Part::Expr(argument.value))]
                });
                std::iter::once(Part::Expr(*callee)).chain(given.flatten()).collect()
            }
            Self::Await(value)
            | Self::Element(value)
            | Self::AsyncElement(value)
            | Self::Enter(value)
            | Self::AsyncEnter(value)
            | Self::Generator(value)
            | Self::Not(value) => vec![Part::Expr(*value)],
            Self::Item(value, key) => [Part::Expr(*value)].into_iter().chain(key_parts(*key)).collect(),
            Self::Union(parts) | Self::Sequence(parts) => parts.iter().copied().map(Part::Expr).collect(),
            Self::Logic(is_and, parts) => {
                [Part::Number(i64::from(*is_and))].into_iter().chain(parts.iter().copied().map(Part::Expr)).collect()
            }
            Self::Choice { test, then, other } => [*test, *then, *other].map(Part::Expr).to_vec(),
            Self::Mapping(items) => {
                items.iter().flat_map(|(key, value)| key_parts(*key).into_iter().chain([Part::Expr(*value)])).collect()
            }
            Self::Lambda(function) => vec![Part::Function(*function)],
            Self::Super(class, function) => vec![Part::Class(*class), Part::Function(*function)],
            Self::Constant(constant) => vec![Part::Number(*constant as i64)],
            Self::Same(left, right, is_negated) => {
                vec![Part::Expr(*left), Part::Expr(*right), Part::Number(i64::from(*is_negated))]
            }
            Self::Compared(left, right) => vec![Part::Expr(*left), Part::Expr(*right)],
            Self::Operation(name, left, right) => vec![Part::Name(*name), Part::Expr(*left), Part::Expr(*right)],
            Self::Narrowed { value, classes, is } => {
                vec![Part::Expr(*value), Part::Expr(*classes), Part::Number(i64::from(*is))]
            }
            Self::Bare(binding) => vec![Part::Binding(*binding)],
        }
    }
}

fn key_parts(key: Key) -> Vec<Part> {
    match key {
        Key::Unknown => vec![Part::Number(0)],
        Key::Text(name) => vec![Part::Number(1), Part::Name(name)],
        Key::Index(index) => vec![Part::Number(2), Part::Number(i64::from(index))],
        Key::Of(name) => vec![Part::Number(3), Part::Expr(name)],
    }
}

impl Parts for BindingKind {
    fn parts(&self) -> Vec<Part> {
        match *self {
            Self::Value(value) | Self::Raised(value) => vec![Part::Expr(value)],
            Self::Annotated { annotation, value } => [annotation].into_iter().chain(value).map(Part::Expr).collect(),
            Self::Parameter(function, index) => vec![Part::Function(function), Part::Number(i64::from(index))],
            Self::Import { module, is_root } => vec![Part::Name(module), Part::Number(i64::from(is_root))],
            Self::ImportFrom { module, level, name } => {
                vec![Part::Name(module), Part::Number(i64::from(level)), Part::Name(name)]
            }
            Self::Function(function) => vec![Part::Function(function)],
            Self::Class(class) => vec![Part::Class(class)],
            Self::Unpacked(value, index) => vec![Part::Expr(value), Part::Number(i64::from(index))],
            Self::Unknown => Vec::new(),
        }
    }
}

impl Parts for EventKind {
    fn parts(&self) -> Vec<Part> {
        match *self {
            Self::Call(Use::Bound(binding)) => vec![Part::Number(0), Part::Binding(binding)],
            Self::Call(Use::Discarded) => vec![Part::Number(1)],
            Self::Call(Use::Awaited) => vec![Part::Number(2)],
            Self::Call(Use::Entered) => vec![Part::Number(3)],
            Self::Call(Use::Other) => vec![Part::Number(4)],
            Self::Operator(name) => vec![Part::Name(name)],
            _ => Vec::new(),
        }
    }
}

impl Parts for Condition {
    /// All but places.
    fn parts(&self) -> Vec<Part> {
        match *self {
            Self::Test { expr, is } | Self::Called { expr, went_well: is } => {
                vec![Part::Expr(expr), Part::Number(i64::from(is))]
            }
            Self::Within(expr) | Self::AsyncWithin(expr) => vec![Part::Expr(expr)],
            Self::Always | Self::Caught | Self::Covered(_) => Vec::new(),
        }
    }
}
