//! Special methods that are asked in place of one that an object does not have.
//!
//! Source: the Python language reference, section 3.3 (special method names).

/// Methods that are asked in turn: the next one where an object has none of the first.
pub(crate) const INSTEAD: &[&[&str]] = &[
    &["__format__", "__str__", "__repr__"],
    &["__str__", "__repr__"],
    &["__bool__", "__len__"],
    &["__iadd__", "__add__"],
    &["__isub__", "__sub__"],
    &["__imul__", "__mul__"],
    &["__imatmul__", "__matmul__"],
    &["__itruediv__", "__truediv__"],
    &["__ifloordiv__", "__floordiv__"],
    &["__imod__", "__mod__"],
    &["__ipow__", "__pow__"],
    &["__ilshift__", "__lshift__"],
    &["__irshift__", "__rshift__"],
    &["__iand__", "__and__"],
    &["__ior__", "__or__"],
    &["__ixor__", "__xor__"],
];

/// A special method, and those that are asked where there is none; nothing, if it is asked alone.
pub(crate) fn asked_in_turn(name: &str) -> &'static [&'static str] {
    INSTEAD.iter().find(|names| names[0] == name).copied().unwrap_or_default()
}
