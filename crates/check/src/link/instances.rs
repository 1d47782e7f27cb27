//! `isinstance(value, Class)`, where what the value is only callers know.

use super::Program;
use super::needs::{Need, What};
use super::values::{ClsId, FileId, FnId, SetId, Symbol, Value};
use crate::facts::{Constant, ExprId};

impl Program {
    /// What a question for the class of a parameter asks; or what must be so if it is denied.
    pub(super) fn asked_class(
        &mut self,
        file: FileId,
        function: FnId,
        (value, classes): (ExprId, ExprId),
        is: bool,
    ) -> Vec<Need> {
        let Some((owner, parameter)) = self.asked_parameter(file, function, value) else { return Vec::new() };
        let classes = self.eval(file, classes);
        let Some(wanted) = self.wanted_classes(classes) else { return Vec::new() };
        let need = |what, is| Need { owner, parameter, what, is };
        match &wanted[..] {
            _ if !is => wanted.into_iter().map(|what| need(what, false)).collect(),
            [only] => vec![need(*only, true)],
            // Alternatives are kept under numbers of their own.
            several if several.iter().all(|what| matches!(what, What::IsOutside(_))) => {
                let (what, is) = self.one_of(several.iter().map(|what| (*what, true)).collect());
                vec![need(what, is)]
            }
            _ => Vec::new(),
        }
    }

    /// The classes of the second argument; none, if some are not known.
    fn wanted_classes(&mut self, classes: SetId) -> Option<Vec<What>> {
        let [one] = *self.values.members(classes) else { return None };
        match self.values.get(one).clone() {
            Value::Sequence(parts) if parts.len() <= MOST_CLASSES => {
                let mut all = Vec::new();
                for part in &*parts {
                    all.extend(self.wanted_classes(*part)?);
                }
                Some(all)
            }
            Value::Class { class, .. } if !self.hierarchy.protocols.contains(&class) => Some(vec![What::Is(class)]),
            Value::External(path) => {
                let path = self.values.path_text(path).to_owned();
                Some(vec![What::IsOutside(self.values.symbol(&path))])
            }
            _ => None,
        }
    }

    /// Whether it is an instance of a class of the program.
    pub(super) fn is_of_class(&self, value: &Value, wanted: ClsId) -> Option<bool> {
        match *value {
            Value::Instance { class, .. } if self.is_subclass(class, wanted) => Some(true),
            // Some heir of its class may be one.
            Value::Instance { class, is_exact, .. } => {
                let is_either = |heir: &ClsId| self.is_subclass(*heir, wanted) && self.is_live(*heir);
                (is_exact || !self.heirs(class).iter().any(is_either)).then_some(false)
            }
            Value::Text(_) | Value::Prefix(_) | Value::Constant(_) | Value::Sequence(_) | Value::Mapping(_) => {
                Some(false)
            }
            Value::Function(..) | Value::Bound(..) | Value::Class { .. } => Some(false),
            // One from outside may be of a class that derives from both.
            Value::External(path) => {
                built_in(self.values.path_text(path))?;
                self.is_family_of_program(wanted).then_some(false)
            }
            _ => None,
        }
    }

    /// Whether it is an instance of a class from outside.
    pub(super) fn is_of_outside(&self, value: &Value, wanted: Symbol) -> Option<bool> {
        let wanted = self.values.text(wanted);
        let is_built_in = BUILT_IN.contains(&wanted);
        match *value {
            Value::External(path) => {
                let path = self.values.path_text(path);
                let class = path.strip_suffix("()")?;
                if class == wanted || STREAMS.iter().any(|(heir, bases)| *heir == class && bases.contains(&wanted)) {
                    return Some(true);
                }
                let is_other = is_built_in && (built_in(path).is_some() || is_plain_object(class));
                (is_other && (class, wanted) != ("bool", "int")).then_some(false)
            }
            _ if !is_built_in => None,
            Value::Text(_) | Value::Prefix(_) => Some(wanted == "str"),
            Value::Constant(Constant::True | Constant::False) => Some(matches!(wanted, "bool" | "int")),
            Value::Constant(Constant::Zero) if matches!(wanted, "int" | "float" | "complex") => None,
            Value::Constant(Constant::Other) if matches!(wanted, "int" | "float" | "complex" | "bytes") => None,
            Value::Sequence(_) => {
                matches!(wanted, "str" | "bytes" | "int" | "float" | "bool" | "dict").then_some(false)
            }
            Value::Mapping(_) => (wanted != "dict").then_some(false),
            Value::Constant(_) | Value::Function(..) | Value::Bound(..) | Value::Coroutine(..) => Some(false),
            Value::Instance { class, .. } => self.is_family_of_program(class).then_some(false),
            _ => None,
        }
    }

    /// Whether nothing but classes of the program is behind a class, and behind its heirs.
    fn is_family_of_program(&self, class: ClsId) -> bool {
        let heirs = self.heirs(class).iter().copied().filter(|heir| self.is_live(*heir));
        std::iter::once(class).chain(heirs).all(|class| !self.is_derived_from_outside(class))
    }
}

/// The built-in class that a value from outside is made of: nothing derives from two of them.
fn built_in(path: &str) -> Option<&'static str> {
    let class = path.strip_suffix("()")?;
    BUILT_IN.iter().copied().find(|known| *known == class)
}

/// Instances of the standard library that are none of a built-in class.
fn is_plain_object(class: &str) -> bool {
    const MODULES: &[&str] = &["asyncio.", "datetime.", "io.", "pathlib.", "queue.", "ssl.", "threading.", "uuid."];
    MODULES.iter().any(|module| class.starts_with(module))
}

const BUILT_IN: &[&str] =
    &["bool", "bytearray", "bytes", "complex", "dict", "float", "frozenset", "int", "list", "set", "str", "tuple"];

/// Streams, and the classes of `io` that they derive from.
const STREAMS: &[(&str, &[&str])] = &[
    ("io.BytesIO", &["io.IOBase", "io.BufferedIOBase"]),
    ("io.StringIO", &["io.IOBase", "io.TextIOBase"]),
    ("io.TextIOWrapper", &["io.IOBase", "io.TextIOBase"]),
    ("io.BufferedReader", &["io.IOBase", "io.BufferedIOBase"]),
    ("io.BufferedWriter", &["io.IOBase", "io.BufferedIOBase"]),
    ("io.FileIO", &["io.IOBase", "io.RawIOBase"]),
];

/// Classes in one question.
const MOST_CLASSES: usize = 8;
