//! `isinstance(value, Class)`, where what the value is only callers know.

use super::Program;
use super::needs::{Need, What};
use super::values::{ClsId, FileId, FnId, SetId, Symbol, Value};
use crate::facts::{Constant, Expr, ExprId, NameId};

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
            // No class of the program may be among alternatives: see `What::is_of_program`.
            several if several.iter().all(|what| matches!(what, What::IsOutside(_))) => {
                let (what, is) = self.one_of(several.iter().map(|what| (*what, true)).collect());
                vec![need(what, is)]
            }
            _ => Vec::new(),
        }
    }

    /// The classes of the second argument; none, if some are not known.
    fn wanted_classes(&mut self, classes: SetId) -> Option<Vec<What>> {
        let mut all = Vec::new();
        self.add_wanted(classes, 0, &mut all)?;
        (!all.is_empty()).then_some(all)
    }

    fn add_wanted(&mut self, classes: SetId, depth: u32, all: &mut Vec<What>) -> Option<()> {
        let [one] = *self.values.members(classes) else { return None };
        match self.values.get(one).clone() {
            // A tuple may have others in it.
            Value::Sequence(parts) if parts.len() <= MOST_CLASSES && depth < DEEPEST => {
                parts.iter().try_for_each(|part| self.add_wanted(*part, depth + 1, all))?;
            }
            // Of `type(self)` it is not known which class it is; and some say themselves what their instances are.
            Value::Class { class, is_exact: true } if !self.tells_its_instances(class) => all.push(What::Is(class)),
            Value::External(path) => {
                let path = self.values.path_text(path).to_owned();
                all.push(What::IsOutside(self.values.symbol(&path)));
            }
            _ => return None,
        }
        (all.len() <= MOST_CLASSES).then_some(())
    }

    /// Its metaclass may, it may have a hook, or others may be registered as its heirs.
    fn tells_its_instances(&mut self, class: ClsId) -> bool {
        let hook = self.values.known_symbol("__subclasshook__");
        if self.hierarchy.protocols.contains(&class)
            || self.has_metaclass(class)
            || hook.is_some_and(|hook| self.defining(class, hook).is_some())
        {
            return true;
        }
        if !self.external_bases(class).iter().any(|base| base.starts_with("abc.")) {
            return false;
        }
        if let Some(known) = self.makings.registered.get(&class) {
            return *known;
        }
        let is_one = self.has_registered(class);
        self.makings.registered.insert(class, is_one);
        is_one
    }

    /// `Base.register(Other)`, or `@Base.register`: anywhere.
    fn has_registered(&mut self, class: ClsId) -> bool {
        let register = self.values.symbol("register");
        self.makings.watched.insert(register);
        let name = self.symbol(self.class_file(class), self.class(class).name);
        self.files.iter().any(|file| {
            let is_it = |name_here: NameId, name: Symbol| file.symbols[name_here.index()] == name;
            file.symbols.contains(&register)
                && file.symbols.contains(&name)
                && file.facts.exprs.iter().any(|(_, expr)| match *expr {
                    Expr::Attribute(class, method) if is_it(method, register) => {
                        file.facts.mentioned(class).iter().any(|one| is_it(*one, name))
                    }
                    _ => false,
                })
        })
    }

    /// Whether it is an instance of a class of the program.
    pub(super) fn is_of_class(&self, value: &Value, wanted: ClsId) -> Option<bool> {
        match *value {
            Value::Instance { class, .. } if self.is_subclass(class, wanted) => Some(true),
            // It may be of an heir.
            Value::Instance { class, is_exact, made } => {
                let is_exact = self.is_of_its_class(is_exact, made);
                let is_made = |heir: &ClsId| self.is_subclass(wanted, class) || self.is_live(*heir);
                let is_either = |heir: &ClsId| self.is_subclass(*heir, wanted) && is_made(heir);
                (is_exact || !self.heirs(class).iter().any(is_either)).then_some(false)
            }
            Value::Text(_) | Value::Prefix(_) | Value::Constant(_) | Value::Sequence(_) | Value::Mapping(_) => {
                Some(false)
            }
            Value::Function(..) | Value::Bound(..) => Some(false),
            // One from outside may be of a class that derives from both.
            Value::External(path) => {
                self.values.path_text(path).strip_suffix("()").filter(|class| BUILT_IN.contains(class))?;
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
                let is_other = is_built_in && (BUILT_IN.contains(&class) || is_plain_object(class));
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

    /// Whether nothing but classes of the program is behind a class, and behind its heirs: no `str`, no `TypedDict`.
    fn is_family_of_program(&self, class: ClsId) -> bool {
        let heirs = self.heirs(class).iter().copied().filter(|heir| self.is_live(*heir));
        std::iter::once(class).chain(heirs).all(|class| {
            let is_plain = |base: &String| {
                let base = base.strip_prefix("typing_extensions.").or(base.strip_prefix("typing."));
                base.is_some_and(|base| base.starts_with("Generic") || base.starts_with("Protocol"))
            };
            self.external_bases(class).iter().all(|base| base == "object" || base.starts_with("abc.") || is_plain(base))
        })
    }
}

/// Whether a class of the standard library derives from no built-in one.
fn is_plain_object(class: &str) -> bool {
    const MODULES: &[&str] = &["asyncio", "datetime", "io", "pathlib", "queue", "ssl", "threading", "uuid"];
    // Not what a method of one gives.
    class.split_once('.').is_some_and(|(module, name)| {
        let is_class = name.starts_with(|first: char| first.is_ascii_uppercase())
            || matches!(name, "datetime" | "date" | "time" | "timedelta");
        MODULES.contains(&module) && is_class && !name.contains(['.', '(', '['])
    })
}

/// Built-in classes: nothing derives from two of them, but for `bool`, which is an `int`.
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

/// Tuples of classes within each other.
const DEEPEST: u32 = 3;
/// Classes in one question.
const MOST_CLASSES: usize = 8;
