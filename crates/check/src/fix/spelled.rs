//! Functions that texts name: `getattr(module, "load")`, `globals()["load"]`, `eval("load(1)")`, `operator.methodcaller("load")`. Who gets them
//! that way calls them as they are now.

use super::closure::{Closures, Obstacle};
use crate::facts::{Argument, Expr, ExprId, Facts, Key, NameId};
use crate::graph::Site;
use crate::link::Program;
use crate::link::values::{FileId, Value};
use rustc_hash::FxHashMap;

/// Words of texts that may name functions, and where.
pub(super) type Spelled = FxHashMap<String, Vec<Site>>;

/// All of them, but for those of which it is known what they name.
pub(super) fn spelled(program: &mut Program) -> Spelled {
    let mut all = Spelled::default();
    for index in 0..program.files.len() {
        let file = FileId(index as u32);
        let facts = program.files[index].facts.share();
        for (at, expr) in facts.exprs.iter() {
            let text = match expr {
                Expr::Call(callee, arguments) => text_in_call(program, &facts, file, (*callee, arguments)),
                Expr::Item(object, Key::Text(name)) if is_namespace(program, file, *object) => Some(*name),
                _ => None,
            };
            let Some(text) = text else { continue };
            let set = program.eval(file, at);
            let is_function =
                |value: &Value| matches!(value, Value::Function(..) | Value::Bound(..) | Value::Class { .. });
            if program.values.members(set).iter().any(|value| is_function(program.values.get(*value))) {
                continue;
            }
            let site = Site { file, span: facts.span(at) };
            let is_part = |character: char| character.is_alphanumeric() || character == '_';
            for word in facts.name(text).split(|character: char| !is_part(character)).filter(|word| !word.is_empty()) {
                all.entry(word.to_owned()).or_default().push(site);
            }
        }
    }
    all
}

fn text_in_call(
    program: &mut Program,
    facts: &Facts,
    file: FileId,
    (callee, arguments): (ExprId, &[Argument]),
) -> Option<NameId> {
    let text = |place: usize| match facts.exprs[arguments.get(place)?.value] {
        Expr::Text(text) => Some(text),
        _ => None,
    };
    match facts.exprs[callee] {
        Expr::Global(name) => match facts.name(name) {
            "getattr" => text(1),
            "eval" | "exec" => text(0),
            _ => None,
        },
        // `globals().get("load")`
        Expr::Attribute(object, name) if facts.name(name) == "get" && text(0).is_some() => {
            if is_namespace(program, file, object) { text(0) } else { None }
        }
        _ if text(0).is_some() => {
            let path = program.external_path_of(file, callee)?;
            let path = program.values.path_text(path);
            matches!(path, "operator.methodcaller" | "operator.attrgetter").then(|| text(0)).flatten()
        }
        _ => None,
    }
}

/// `globals()`, or what else keeps the names of a module.
fn is_namespace(program: &mut Program, file: FileId, object: ExprId) -> bool {
    let set = program.eval(file, object);
    program.values.members(set).iter().any(|value| match program.values.get(*value) {
        Value::External(path) => {
            let path = program.values.path_text(*path);
            matches!(path, "globals()" | "vars()" | "locals()") || path.ends_with("__dict__")
        }
        _ => false,
    })
}

impl Closures<'_, '_> {
    /// Whether no text names a function.
    pub(super) fn is_not_spelled(&self, name: &str) -> Result<(), Obstacle> {
        match self.spelled.get(name).and_then(|sites| sites.first()) {
            Some(site) => {
                let reason = format!("a text says `{name}` here: what is called by that name is called as it is now");
                Err(Obstacle { site: *site, reason })
            }
            None => Ok(()),
        }
    }
}
