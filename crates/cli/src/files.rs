//! The files to check, and what is known of each.
//!
//! Folders are walked without following symbolic links, so that no ring of them is endless; what `.gitignore` names is left out, as are folders
//! of tools and virtual environments.

use crate::shown;
use globset::{Glob, GlobSet, GlobSetBuilder};
use ignore::WalkBuilder;
use rayon::prelude::*;
use soliloop_check::{File, Knowledge, Problem};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What was read, and what could not be.
pub(crate) struct Read {
    pub(crate) files: Vec<File>,
    pub(crate) problems: Vec<Problem>,
    /// Where each file is, by the path that is shown.
    pub(crate) places: BTreeMap<String, PathBuf>,
}

/// Reads all Python files at these paths, in the order of their names.
pub(crate) fn read(paths: &[PathBuf], root: &Path, exclude: &[String]) -> Result<Read, String> {
    let exclude = globs(exclude)?;
    let here = [PathBuf::from(".")];
    let mut found: Vec<PathBuf> = Vec::new();
    let mut problems = Vec::new();
    for path in if paths.is_empty() { &here } else { paths } {
        let full = root.join(path);
        if full.is_file() {
            found.push(full);
        } else if full.is_dir() {
            walk(&full, root, &exclude, &mut found, &mut problems);
        } else {
            return Err(format!("{}: no such file or folder", path.display()));
        }
    }
    let base = base_of(paths, root);
    let mut found: Vec<(String, PathBuf)> =
        found.into_iter().map(|path| (shown(&normal(&path), &base), path)).collect();
    found.sort_unstable();
    found.dedup();
    let places = found.iter().cloned().collect();
    let texts: Vec<Result<File, Problem>> = found.into_par_iter().map(|(path, full)| one(path, &full)).collect();
    let mut files = Vec::with_capacity(texts.len());
    for text in texts {
        match text {
            Ok(file) => files.push(file),
            Err(problem) => problems.push(problem),
        }
    }
    Ok(Read { files, problems, places })
}

/// What is known of each file, with all cores.
pub(crate) fn know(files: &[File]) -> Vec<Knowledge> {
    let work = || files.par_iter().map(|file| soliloop_check::know(&file.text)).collect();
    // Deeply nested code needs deep stacks.
    match rayon::ThreadPoolBuilder::new().stack_size(STACK).build() {
        Ok(pool) => pool.install(work),
        Err(_) => work(),
    }
}

fn one(path: String, full: &Path) -> Result<File, Problem> {
    let problem = |message: String| Problem { path: path.clone(), line: 0, message };
    let bytes = std::fs::read(full).map_err(|error| problem(error.to_string()))?;
    match String::from_utf8(bytes) {
        Ok(text) => Ok(File { path, text }),
        Err(error) => Err(problem(format!("is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))),
    }
}

fn walk(folder: &Path, root: &Path, exclude: &GlobSet, found: &mut Vec<PathBuf>, problems: &mut Vec<Problem>) {
    let mut walk = WalkBuilder::new(folder);
    walk.follow_links(false).require_git(false).filter_entry(|entry| {
        let name = entry.file_name().to_string_lossy();
        let is_folder = entry.file_type().is_some_and(|kind| kind.is_dir());
        entry.depth() == 0 || !(is_folder && (LEFT_OUT.contains(&&*name) || entry.path().join("pyvenv.cfg").exists()))
    });
    for entry in walk.build() {
        match entry {
            Ok(entry) => {
                let path = entry.path();
                let is_file = entry.file_type().is_some_and(|kind| kind.is_file());
                let is_python = path.extension().is_some_and(|extension| extension == "py");
                if is_file
                    && is_python
                    && !exclude.is_match(shown(path, root))
                    && !exclude.is_match(path.file_name().unwrap_or_default())
                {
                    found.push(path.to_owned());
                }
            }
            Err(error) => problems.push(Problem { path: shown(folder, root), line: 0, message: error.to_string() }),
        }
    }
}

/// The folder that names are told from: the one that is checked if it is one, else the working folder.
fn base_of(paths: &[PathBuf], root: &Path) -> PathBuf {
    match paths {
        [one] if root.join(one).is_dir() && one.is_absolute() && !one.starts_with(root) => normal(&root.join(one)),
        _ => normal(root),
    }
}

/// Without `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            other => normal.push(other),
        }
    }
    normal
}

fn globs(patterns: &[String]) -> Result<GlobSet, String> {
    let mut set = GlobSetBuilder::new();
    for pattern in patterns {
        for pattern in [pattern.clone(), format!("{}/**", pattern.trim_end_matches('/'))] {
            set.add(Glob::new(&pattern).map_err(|error| format!("exclude: {error}"))?);
        }
    }
    set.build().map_err(|error| format!("exclude: {error}"))
}

/// Folders of tools.
const LEFT_OUT: &[&str] = &["__pycache__", "node_modules", "site-packages", "build", "dist", "venv"];
/// Bytes; only what is used is taken.
const STACK: usize = 256 << 20;
