//! Names of modules that other files ask for, by an import or as an attribute of the module, and those that texts name, as those of `mock.patch` do:
//! an import of such a name stays.

use crate::facts::{BindingKind, Expr, ExprId, NameId};
use crate::link::Program;
use crate::link::values::{FileId, Value};
use rustc_hash::{FxHashMap, FxHashSet};

/// What others ask of each file.
#[derive(Default)]
pub(super) struct Shared(FxHashMap<FileId, FxHashSet<String>>);

impl Shared {
    pub(super) fn new(program: &mut Program) -> Self {
        let mut shared = Self::default();
        let modules: FxHashMap<String, FileId> =
            (0..).map(FileId).zip(&program.files).map(|(file, known)| (known.module.clone(), file)).collect();
        for index in 0..program.files.len() {
            let file = FileId(index as u32);
            shared.imports(program, file);
            let facts = program.file(file).facts.share();
            for (_, expr) in facts.exprs.iter() {
                match expr {
                    Expr::Attribute(object, name) => shared.attribute(program, file, *object, *name),
                    Expr::Text(text) => shared.text(&modules, facts.name(*text)),
                    _ => {}
                }
            }
        }
        shared
    }

    /// Whether somebody asks a file for a name.
    pub(super) fn has(&self, file: FileId, name: &str) -> bool {
        self.0.get(&file).is_some_and(|names| names.contains(name))
    }

    fn add(&mut self, file: FileId, name: &str) {
        self.0.entry(file).or_default().insert(name.to_owned());
    }

    fn imports(&mut self, program: &Program, file: FileId) {
        let facts = &program.file(file).facts;
        for binding in facts.bindings.iter().map(|(_, binding)| binding) {
            if let BindingKind::ImportFrom { module, name, level, .. } = binding.kind
                && let Some(home) = program.imported_file(file, module, level)
            {
                self.add(home, facts.name(name));
            }
        }
        let stars = facts.scopes.iter().flat_map(|(_, scope)| &scope.stars);
        for home in stars.filter_map(|(module, level)| program.imported_file(file, *module, *level)) {
            facts.names.iter().for_each(|name| self.add(home, name));
        }
    }

    /// `util.time` of a module `util`.
    fn attribute(&mut self, program: &mut Program, file: FileId, object: ExprId, name: NameId) {
        let set = program.eval(file, object);
        for value in program.values.members(set) {
            if let Value::Module(home) = *program.values.get(*value) {
                self.add(home, program.file(file).facts.name(name));
            }
        }
    }

    /// `"util.time.sleep"`
    fn text(&mut self, modules: &FxHashMap<String, FileId>, text: &str) {
        for (place, _) in text.match_indices('.') {
            if let Some(home) = modules.get(&text[..place]) {
                self.add(*home, text[place + 1..].split('.').next().unwrap_or_default());
            }
        }
    }
}
