//! Which file a module's name means.

use super::values::FileId;
use crate::facts::{Digest, Lazy};
use rustc_hash::{FxHashMap, FxHashSet};

/// A file that was read: its path below the place where the check began, and what is known of it.
pub(crate) struct Source {
    pub(crate) path: String,
    /// Its name as a module, from the outermost folder with an `__init__.py` on.
    pub(crate) module: String,
    pub(crate) digest: Digest,
    pub(crate) facts: Lazy,
}

/// All names of modules.
#[derive(Default)]
pub(crate) struct Modules {
    /// By the name that the packages give; files in no package, where programs are started: at the top, or in `src`.
    names: FxHashMap<String, FileId>,
    /// By each folder that scripts may be run in: the names from there.
    paths: FxHashMap<String, FileId>,
    /// Folders, by dotted name: packages without a file.
    namespaces: FxHashSet<String>,
    /// For each file the folders where its absolute imports look, the nearest first, as dotted names.
    roots: Vec<Vec<String>>,
    is_package: Vec<bool>,
}

impl Modules {
    /// `files` have paths, and names as modules.
    pub(crate) fn new<'f>(files: impl Iterator<Item = (&'f str, &'f str)> + Clone) -> Self {
        let mut modules = Self::default();
        let packages: FxHashSet<&str> =
            files.clone().filter_map(|(path, _)| path.strip_suffix("/__init__.py")).collect();
        for (index, (path, module)) in (0..).zip(files.clone()) {
            let file = FileId(index);
            let dotted = dotted(path);
            let is_in_package = outermost_package(path, |folder| packages.contains(folder)).is_some();
            if is_in_package || !path.contains('/') {
                modules.names.entry(module.to_owned()).or_insert(file);
            }
            for (place, _) in dotted.match_indices('.') {
                modules.namespaces.insert(dotted[..place].to_owned());
            }
            for (place, _) in module.match_indices('.') {
                modules.namespaces.insert(module[..place].to_owned());
            }
            modules.paths.insert(dotted, file);
            modules.roots.push(roots(path, &packages));
            modules.is_package.push(path.ends_with("__init__.py"));
        }
        for (index, (path, _)) in (0..).zip(files) {
            // A layout with `src`, or several projects in one tree.
            let dotted = dotted(path);
            for prefix in ["src.", "lib.", "python."] {
                if let Some(rest) = dotted.strip_prefix(prefix) {
                    modules.names.entry(rest.to_owned()).or_insert(FileId(index));
                    for (place, _) in rest.match_indices('.') {
                        modules.namespaces.insert(rest[..place].to_owned());
                    }
                }
            }
        }
        modules
    }

    /// The file of a module, as an import in `importer` means it.
    pub(crate) fn find(&self, name: &str, importer: FileId) -> Option<FileId> {
        if let Some(&file) = self.names.get(name) {
            return Some(file);
        }
        // A script finds what is beside it, and what is where it may have been started.
        let beside = self.roots[importer.0 as usize].iter().find_map(|root| self.paths.get(&format!("{root}.{name}")));
        beside.or_else(|| self.paths.get(name)).copied()
    }

    pub(crate) fn is_namespace(&self, name: &str) -> bool {
        self.namespaces.contains(name)
    }

    /// The name that a relative import means: `level` dots, and the rest.
    pub(crate) fn absolute(&self, importer: FileId, importer_name: &str, level: u32, rest: &str) -> Option<String> {
        let is_package = self.is_package[importer.0 as usize];
        let mut parts: Vec<&str> = importer_name.split('.').collect();
        let drop = level as usize - usize::from(is_package);
        if drop > parts.len() {
            return None;
        }
        parts.truncate(parts.len() - drop);
        if !rest.is_empty() {
            parts.push(rest);
        }
        Some(parts.join("."))
    }
}

/// Whether code there is a test: production code never calls it.
pub(crate) fn is_test(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    folders.split('/').any(|folder| matches!(folder, "tests" | "test" | "testing"))
        || name.starts_with("test_")
        || name.ends_with("_test.py")
        || matches!(name, "conftest.py" | "tests.py")
}

/// The module's name, from the outermost folder with an `__init__.py` on; folders without one, within a package, are parts of it.
pub(crate) fn module_name(path: &str, has_init: impl Fn(&str) -> bool) -> String {
    let name = match outermost_package(path, has_init) {
        Some(package) => {
            let above = folder(package);
            dotted(if above.is_empty() { path } else { &path[above.len() + 1..] })
        }
        None => stem(path),
    };
    if name.is_empty() { "__init__".to_owned() } else { name }
}

/// The outermost folder around the file that is a package.
fn outermost_package(path: &str, has_init: impl Fn(&str) -> bool) -> Option<&str> {
    path.match_indices('/').map(|(end, _)| &path[..end]).find(|folder| has_init(folder))
}

/// Where a file's absolute imports look: folders that are not in a package, the nearest first; a test's own folder as well, as pytest has it.
fn roots(path: &str, packages: &FxHashSet<&str>) -> Vec<String> {
    let mut roots = Vec::new();
    let mut next = folder(path);
    while !next.is_empty() {
        let is_own = next == folder(path) && is_test(path) && !packages.contains(next);
        let inside = format!("{next}/_");
        if is_own || outermost_package(&inside, |folder| packages.contains(folder)).is_none() {
            roots.push(next.replace('/', "."));
        }
        next = folder(next);
    }
    roots
}

fn stem(path: &str) -> String {
    let name = path.rsplit('/').next().unwrap_or(path);
    let name = name.strip_suffix(".py").or_else(|| name.strip_suffix(".pyi")).unwrap_or(name);
    if name == "__init__" { String::new() } else { name.to_owned() }
}

fn folder(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn dotted(path: &str) -> String {
    let folder = folder(path).replace('/', ".");
    match (folder.is_empty(), stem(path)) {
        (true, stem) => stem,
        (false, stem) if stem.is_empty() => folder,
        (false, stem) => format!("{folder}.{stem}"),
    }
}
