//! Programs to begin with.

use super::{LONGEST, Program};
use std::path::{Path, PathBuf};

/// Programs to begin with: those of the literate cases, and the project's own Python.
pub(super) fn seeds() -> Vec<Program> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut programs = Vec::new();
    for folder in ["crates/check/tests/cases", "crates/check/tests/repairs"] {
        for path in files(&root.join(folder), "md") {
            programs.extend(literate(&std::fs::read_to_string(path).unwrap()));
        }
    }
    for folder in ["python", "examples", "tests/cli", "tests/simulation"] {
        for path in files(&root.join(folder), "py") {
            let text = std::fs::read_to_string(path).unwrap();
            if text.len() < LONGEST {
                programs.push([("main.py".to_owned(), text)].into());
            }
        }
    }
    programs
}

pub(super) fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|own| own == extension) {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// All Python in a folder.
pub(super) fn tree(folder: &Path) -> Program {
    let text = |path: &PathBuf| std::fs::read_to_string(path).ok();
    let name = |path: &Path| path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
    files(folder, "py").iter().filter_map(|path| Some((name(path), text(path)?))).collect()
}

/// The Python of each section of a Markdown file.
fn literate(text: &str) -> Vec<Program> {
    let mut programs = Vec::new();
    for section in text.split("\n## ").skip(1) {
        let mut program = Program::new();
        for (before, rest) in section.match_indices("```python\n").map(|(at, fence)| section.split_at(at + fence.len()))
        {
            let line = before.trim_end().lines().rev().nth(1).unwrap_or_default();
            let line = if line.is_empty() { before.trim_end().lines().rev().nth(2).unwrap_or_default() } else { line };
            let path = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')).unwrap_or("main.py");
            let code = rest.split("```").next().unwrap_or_default();
            program.entry(path.to_owned()).or_insert_with(|| code.to_owned());
        }
        if !program.is_empty() {
            programs.push(program);
        }
    }
    programs
}
