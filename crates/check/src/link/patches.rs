//! What tests put something else in place of: `mock.patch("shop.Broker.fetch")`, `monkeypatch.setattr(shop, "fetch", ...)`.
//!
//! Told per file of tests, with the `conftest.py` of its folders: a chain of a test does not go into what is replaced there.

use super::Program;
use super::values::{ClsId, FileId, FnId, PathId, SetId, Step, Symbol, Value};
use crate::facts::{ArgumentKind, BindingKind, EventKind, Expr, ExprId, Facts};
use rustc_hash::{FxHashMap, FxHashSet};

/// What one file of tests replaces.
#[derive(Debug, Default)]
struct Replaced {
    functions: FxHashSet<FnId>,
    /// Each with all its methods.
    classes: FxHashSet<ClsId>,
    outside: FxHashSet<PathId>,
}

/// What tests replace, by the files that they stand in.
#[derive(Debug, Default)]
pub(crate) struct Patches {
    files: FxHashMap<FileId, Replaced>,
    /// For each file of tests those that speak for it: itself, and the `conftest.py` around it.
    speakers: FxHashMap<FileId, Vec<FileId>>,
}

impl Patches {
    /// What each file of tests replaces: functions, and what is outside the program, by number.
    pub(crate) fn replaced(
        &self,
        program: &Program,
        mut number: impl FnMut(PathId) -> u32,
    ) -> FxHashMap<FileId, (FxHashSet<FnId>, FxHashSet<u32>)> {
        let methods = |replaced: &Replaced| -> Vec<FnId> {
            if replaced.classes.is_empty() {
                return Vec::new();
            }
            let is_one =
                |function: &FnId| program.class_of(*function).is_some_and(|class| replaced.classes.contains(&class));
            program.functions().filter(is_one).collect()
        };
        let told = self.files.iter().map(|(file, replaced)| {
            let functions = replaced.functions.iter().copied().chain(methods(replaced)).collect();
            (*file, (functions, replaced.outside.iter().map(|path| number(*path)).collect()))
        });
        told.collect()
    }

    /// For each file of tests those that speak for it: itself, and the `conftest.py` around it.
    pub(crate) fn speakers(&self) -> FxHashMap<FileId, Vec<FileId>> {
        self.speakers.clone()
    }
}

impl Program {
    /// What all files of tests replace.
    pub(crate) fn patches(&mut self) -> Patches {
        let mut patches = Patches::default();
        let tests: Vec<FileId> =
            (0..self.files.len() as u32).map(FileId).filter(|file| self.file(*file).is_test).collect();
        for &file in &tests {
            let mut replaced = Replaced::default();
            for call in self.replacing_calls(file) {
                for set in self.replaced_by(file, call) {
                    self.add_replaced(set, &mut replaced);
                }
            }
            patches.files.insert(file, replaced);
        }
        patches
            .files
            .retain(|_, known| !(known.functions.is_empty() && known.classes.is_empty() && known.outside.is_empty()));
        for &file in &tests {
            let speaks = |other: &&FileId| {
                let path = &self.file(**other).path;
                **other == file
                    || path.strip_suffix("conftest.py").is_some_and(|folder| self.file(file).path.starts_with(folder))
            };
            let speakers: Vec<FileId> =
                tests.iter().filter(|other| patches.files.contains_key(*other)).filter(speaks).copied().collect();
            patches.speakers.insert(file, speakers);
        }
        patches
    }

    /// Calls whose name says that they replace something. (What never runs replaces nothing, and is no event.)
    fn replacing_calls(&self, file: FileId) -> Vec<(ExprId, Way)> {
        let facts = &self.file(file).facts;
        let events = facts.functions.iter().flat_map(|(_, function)| &function.events);
        let calls = events.filter(|event| matches!(event.kind, EventKind::Call(_)));
        let known = calls.filter_map(|event| match facts.exprs[event.expr] {
            Expr::Call(callee, _) => Some((event.expr, way(facts, callee)?)),
            _ => None,
        });
        known.collect()
    }

    /// What such a call replaces.
    fn replaced_by(&mut self, file: FileId, (call, way): (ExprId, Way)) -> Vec<SetId> {
        let facts = self.file(file).facts.share();
        let Expr::Call(_, arguments) = &facts.exprs[call] else { return Vec::new() };
        let mut positional = arguments.iter().filter(|argument| argument.kind == ArgumentKind::Positional);
        let Some(first) = positional.next() else { return Vec::new() };
        let first = self.eval(file, first.value);
        let second = positional.next().map(|argument| self.eval(file, argument.value));
        let object = match self.only_text(first) {
            Some(name) => self.named(file, name),
            None => Some(first),
        };
        let Some(object) = object else { return Vec::new() };
        let member = second.and_then(|second| self.only_text(second));
        match (way, member) {
            (Way::Members, _) => {
                let names = arguments.iter().filter_map(|argument| match argument.kind {
                    ArgumentKind::Keyword(name) => Some(self.symbol(file, name)),
                    _ => None,
                });
                let names: Vec<_> = names.collect();
                names.into_iter().map(|name| self.step_set(object, Step::Attribute(name))).collect()
            }
            (Way::Member | Way::Either, Some(name)) if self.only_text(first).is_none() => {
                vec![self.step_set(object, Step::Attribute(name))]
            }
            (Way::Named | Way::Either, _) if self.only_text(first).is_some() => vec![object],
            _ => Vec::new(),
        }
    }

    /// What a dotted name means: a member of a module, or of one of its classes.
    fn named(&mut self, importer: FileId, name: Symbol) -> Option<SetId> {
        let name = self.values.text(name).to_owned();
        let ends: Vec<usize> = name.match_indices('.').map(|(end, _)| end).chain([name.len()]).collect();
        let found = ends.iter().rev().find_map(|end| Some((*end, self.modules.find(&name[..*end], importer)?)));
        let (mut object, rest) = if let Some((end, file)) = found {
            (self.single(Value::Module(file)), &name[end..])
        } else {
            let end = *ends.first()?;
            (self.external(&name[..end]), &name[end..])
        };
        for part in rest.split('.').filter(|part| !part.is_empty()) {
            let part = self.values.symbol(part);
            object = self.step_set(object, Step::Attribute(part));
        }
        Some(object)
    }

    fn add_replaced(&self, set: SetId, replaced: &mut Replaced) {
        for value in self.values.members(set) {
            match self.values.get(*value) {
                Value::Function(function, _) | Value::Bound(function, ..) => {
                    replaced.functions.insert(*function);
                }
                Value::Class { class, .. } => {
                    replaced.classes.insert(*class);
                }
                Value::External(path) => {
                    replaced.outside.insert(*path);
                }
                Value::Decorated(_, inner) => self.add_replaced(*inner, replaced),
                _ => {}
            }
        }
    }
}

/// Whether a call of this, in a test, may put something else in the place of something.
pub(crate) fn may_replace(facts: &Facts, callee: ExprId) -> bool {
    way(facts, callee).is_some()
}

fn way(facts: &Facts, callee: ExprId) -> Option<Way> {
    match facts.exprs[callee] {
        Expr::Attribute(object, name) => match facts.name(name) {
            "patch" => Some(Way::Named),
            "setattr" => Some(Way::Either),
            "object" if is_patch(facts, object) => Some(Way::Member),
            "multiple" if is_patch(facts, object) => Some(Way::Members),
            _ => None,
        },
        _ => is_patch(facts, callee).then_some(Way::Named),
    }
}

/// Whether an expression is a name that ends in `patch`: an attribute of some fixture, or what was imported from `unittest.mock`.
fn is_patch(facts: &Facts, expr: ExprId) -> bool {
    match &facts.exprs[expr] {
        Expr::Attribute(_, name) | Expr::Free(_, name) => facts.name(*name) == "patch",
        Expr::Local(bindings) => bindings.iter().all(|binding| match facts.bindings[*binding].kind {
            BindingKind::ImportFrom { name, .. } => facts.name(name) == "patch",
            _ => false,
        }),
        _ => false,
    }
}

/// How a call says what it replaces.
#[derive(Clone, Copy)]
enum Way {
    /// By a dotted name.
    Named,
    /// A member of an object.
    Member,
    /// A dotted name; or an object, and a member of it.
    Either,
    /// Members of an object, as keywords.
    Members,
}
