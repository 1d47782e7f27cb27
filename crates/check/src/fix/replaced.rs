//! What others put in the place of what a module calls: `mock.patch("util.time.sleep")`, `monkeypatch.setattr(time, "sleep", fake)`.

use super::closure::Closures;
use super::sites::at;
use crate::facts::{Expr, ExprId, Facts};
use crate::graph::SinkCall;
use crate::link::values::{FileId, FnId, Value};
use rustc_hash::FxHashSet;

impl Closures<'_, '_> {
    /// Whether something else is put in the place of what blocks, at run time, where the call is or before it comes there.
    pub(super) fn is_replaced_there(&mut self, sink: &SinkCall) -> bool {
        let file = sink.site.file;
        let Some(call) = self.pages.places(file).calls.get(&sink.site.span).map(|call| call.function) else {
            return false;
        };
        let own = format!("{}.{}", self.program.file(file).module, self.pages.slice(file, call));
        let path = self.program.values.path_text(sink.path).to_owned();
        let mut callers: Option<FxHashSet<FileId>> = None;
        for index in 0..self.program.files.len() {
            let other = FileId(index as u32);
            let names = first_texts(&self.program.files[index].facts);
            if names.iter().any(|text| *text == own || text.ends_with(&format!(".{own}"))) {
                return true;
            }
            let is_put = names.contains(&path) || self.replaces(other, &path);
            if is_put && callers.get_or_insert_with(|| self.files_above(sink.caller)).contains(&other) {
                return true;
            }
        }
        false
    }

    /// `time.sleep = fake`, or `monkeypatch.setattr(time, "sleep", fake)`.
    fn replaces(&mut self, file: FileId, path: &str) -> bool {
        let Some((module, name)) = path.rsplit_once('.') else { return false };
        let facts = self.program.file(file).facts.share();
        let setters = facts.exprs.iter().filter_map(|(_, expr)| {
            let Expr::Call(callee, arguments) = expr else { return None };
            let setter = match facts.exprs[*callee] {
                Expr::Attribute(_, name) | Expr::Global(name) => facts.name(name),
                _ => "",
            };
            let [object, named, ..] = &**arguments else { return None };
            let is_it = matches!(facts.exprs[named.value], Expr::Text(text) if facts.name(text) == name);
            (is_it && matches!(setter, "setattr" | "object")).then_some(object.value)
        });
        let stores = facts.stores.iter().filter(|store| facts.name(store.name) == name).map(|store| store.object);
        let objects: Vec<ExprId> = setters.chain(stores).collect();
        objects.into_iter().any(|object| {
            let set = self.program.eval(file, object);
            self.program.values.members(set).iter().any(|value| match self.program.values.get(*value) {
                Value::External(path) => self.program.values.path_text(*path) == module,
                _ => false,
            })
        })
    }

    /// Files of all that gets to a function.
    fn files_above(&self, function: FnId) -> FxHashSet<FileId> {
        let (mut seen, mut next) = (FxHashSet::default(), vec![function]);
        while let Some(function) = next.pop() {
            if seen.insert(function) {
                let into = self.graph.into[function.0 as usize].iter().map(|index| &self.graph.edges[*index]);
                next.extend(into.flat_map(|edge| [at(edge).0, edge.caller]));
            }
        }
        seen.into_iter().map(|function| self.program.file_of(function)).collect()
    }
}

/// Texts that are the first argument of some call.
fn first_texts(facts: &Facts) -> Vec<String> {
    let texts = facts.exprs.iter().filter_map(|(_, expr)| match expr {
        Expr::Call(_, arguments) => match facts.exprs[arguments.first()?.value] {
            Expr::Text(text) => Some(facts.name(text).to_owned()),
            _ => None,
        },
        _ => None,
    });
    texts.filter(|text| text.contains('.')).collect()
}
