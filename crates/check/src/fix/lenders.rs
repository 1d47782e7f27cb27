//! Calls of functions outside the program that are handed its objects: what they give may be those, or be made by them.
//!
//! `stack.enter_context(lease())` and `asyncio.to_thread(Connection)` give a connection; `requests.get(url)` gives nothing of the program's.

use crate::catalogue::{Handed, is_quiet_builtin};
use crate::facts::{ArgumentKind, Expr, ExprId};
use crate::link::Program;
use crate::link::values::{ClsId, EMPTY, FileId, NO_ARGS, SetId, Step, Value, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};

/// Objects of the program that something may be.
#[derive(Clone, Debug, Default)]
pub(super) struct Lent {
    pub(super) is_anything: bool,
    /// Their classes.
    pub(super) classes: FxHashSet<ClsId>,
}

impl Lent {
    pub(super) fn is_nothing(&self) -> bool {
        !self.is_anything && self.classes.is_empty()
    }

    fn add(&mut self, other: &Self) {
        self.is_anything |= other.is_anything;
        self.classes.extend(&other.classes);
    }
}

/// What functions outside the program are handed, by their paths.
pub(super) struct Lenders(FxHashMap<String, Lent>);

impl Lenders {
    pub(super) fn new(program: &mut Program) -> Self {
        let mut all: FxHashMap<String, Lent> = FxHashMap::default();
        for index in 0..program.files.len() {
            let file = FileId(index as u32);
            let facts = program.file(file).facts.share();
            for (_, expr) in facts.exprs.iter() {
                let Expr::Call(callee, arguments) = expr else { continue };
                let callees = program.eval(file, *callee);
                for callee in program.values.shared(callees).iter().copied() {
                    let Value::External(path) = *program.values.get(callee) else { continue };
                    let path = program.values.path_text(path).to_owned();
                    if is_quiet_builtin(&path) {
                        continue;
                    }
                    let asked = asked_only(program, &path);
                    let lent = all.entry(path).or_default();
                    for argument in arguments {
                        let name = match argument.kind {
                            ArgumentKind::Keyword(name) => facts.name(name),
                            _ => "",
                        };
                        if asked != Some(name) {
                            look(program, file, argument.value, lent);
                        }
                    }
                }
            }
        }
        all.retain(|_, lent| !lent.is_nothing());
        Self(all)
    }

    /// What an object that has come out of such calls may be. An object of a class is one of that class, whatever it was made with.
    pub(super) fn given_by(&self, object: &str, of: &mut Lent) {
        for (place, _) in object.match_indices("()") {
            let function = &object[..place];
            let is_made = place + 2 == object.len() && is_class(function);
            if let Some(lent) = self.0.get(function).filter(|_| !is_made) {
                of.add(lent);
            }
        }
    }
}

/// An argument that is called only for what to think of the others: the key of `max`.
fn asked_only(program: &Program, path: &str) -> Option<&'static str> {
    program.catalogue.handed(path).iter().find_map(|handed| match handed {
        Handed::Calls(NO_PLACE.., name) => Some(*name),
        _ => None,
    })
}

fn look(program: &mut Program, file: FileId, argument: ExprId, lent: &mut Lent) {
    let set = program.eval(file, argument);
    if set == EMPTY && !is_plain(program.expr(file, argument)) {
        lent.is_anything = true;
    }
    look_in(program, set, lent, 0);
}

fn look_in(program: &mut Program, set: SetId, lent: &mut Lent, depth: u32) {
    for value in program.values.shared(set).iter().copied() {
        if lent.is_anything {
            return;
        }
        look_at(program, value, lent, depth);
    }
}

fn look_at(program: &mut Program, value: ValueId, lent: &mut Lent, depth: u32) {
    let step = match program.values.get(value).clone() {
        Value::Class { class, .. } | Value::Instance { class, .. } => {
            lent.classes.insert(class);
            return;
        }
        Value::Sequence(parts) => return parts.iter().for_each(|part| look_in(program, *part, lent, depth)),
        Value::Mapping(items) => return items.iter().for_each(|(_, part)| look_in(program, *part, lent, depth)),
        Value::Holding(held) => return look_in(program, held, lent, depth),
        Value::Function(function, _) | Value::Bound(function, ..) => {
            let this = program.function(function);
            if this.returns.is_empty() && !this.is_generator {
                return;
            }
            Step::Call(NO_ARGS)
        }
        Value::Partial(..) | Value::Decorated(..) => Step::Call(NO_ARGS),
        Value::Coroutine(..) => Step::Await,
        Value::Generator(..) | Value::Lazy(..) => Step::Element,
        Value::AsyncGenerator(..) => Step::AsyncElement,
        Value::Manager(inner) => return look_at(program, inner, lent, depth),
        Value::Parameter(..) | Value::Step(..) => {
            lent.is_anything = true;
            return;
        }
        Value::Module(_)
        | Value::Namespace(_)
        | Value::External(_)
        | Value::Super(..)
        | Value::Constant(_)
        | Value::Text(_)
        | Value::Prefix(_) => return,
    };
    let given = program.step(value, step);
    if given == EMPTY || depth > DEEPEST {
        lent.is_anything = true;
    } else {
        look_in(program, given, lent, depth + 1);
    }
}

/// Whether an expression gives a text, a number or a truth, though nobody knows which.
const fn is_plain(expr: &Expr) -> bool {
    matches!(
        expr,
        Expr::Joined(..)
            | Expr::Prefix(_)
            | Expr::Not(_)
            | Expr::Same(..)
            | Expr::Compared(..)
            | Expr::Sequence(_)
            | Expr::Mapping(_)
            | Expr::Text(_)
            | Expr::Constant(_)
    )
}

fn is_class(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    name.starts_with(|first: char| first.is_ascii_uppercase())
}

/// Functions that give functions.
const DEEPEST: u32 = 3;
/// Arguments that have no place are given by their names alone.
const NO_PLACE: usize = 1000;
