//! The files to check, and their texts.
//!
//! Folders are walked without following symbolic links, so that no ring of them is endless; what `.gitignore` names is left out, as are folders
//! of tools and virtual environments.

use crate::{cache, shown};
use globset::{Glob, GlobSet, GlobSetBuilder};
use ignore::WalkBuilder;
use rayon::prelude::*;
use soliloop_check::{File, Problem, Settings};
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};

/// What was read, and what could not be.
#[derive(Default)]
pub(crate) struct Read {
    pub(crate) files: Vec<File>,
    /// Of the text of each.
    pub(crate) hashes: Vec<u128>,
    pub(crate) problems: Vec<Problem>,
    /// Where each file is, by the path that is shown.
    pub(crate) places: BTreeMap<String, PathBuf>,
}

/// Reads all Python files at these paths, in the order of their names.
pub(crate) fn read(paths: &[PathBuf], root: &Path, settings: &Settings) -> Result<Read, String> {
    let exclude = globs(&settings.exclude)?;
    let base = base_of(paths, root);
    let is_excluded = |path: &Path| {
        exclude.is_match(&*settings.seen(&shown(&normal(path), &base)))
            || exclude.is_match(path.file_name().unwrap_or_default())
    };
    let here = [PathBuf::from(".")];
    let mut found: Vec<PathBuf> = Vec::new();
    let mut problems = Vec::new();
    for path in if paths.is_empty() { &here } else { paths } {
        let full = root.join(path);
        match std::fs::metadata(&full) {
            Ok(data) if data.is_file() => found.push(full),
            Ok(data) if data.is_dir() => walk(&full, &base, &is_excluded, &mut found, &mut problems),
            Ok(_) => return Err(format!("{}: neither a file nor a folder", path.display())),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(format!("{}: no such file or folder", path.display()));
            }
            Err(error) => return Err(format!("{}: {error}", path.display())),
        }
    }
    let mut found: Vec<(String, PathBuf)> =
        found.into_iter().map(|path| normal(&path)).map(|path| (shown(&path, &base), path)).collect();
    found.sort_unstable();
    found.dedup();
    let texts: Vec<Result<(File, u128), Problem>> = found.par_iter().map(|(path, full)| one(path, full)).collect();
    let mut read = Read { problems, places: found.into_iter().collect(), ..Read::default() };
    for text in texts {
        match text {
            Ok((file, hash)) => {
                read.files.push(file);
                read.hashes.push(hash);
            }
            Err(problem) => read.problems.push(problem),
        }
    }
    Ok(read)
}

/// One file from standard input, which is told of under this name.
pub(crate) fn read_input(name: &str) -> Result<Read, String> {
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes).map_err(|error| format!("standard input: {error}"))?;
    let hashes = vec![cache::hash(&bytes)];
    let text = decoded(bytes).map_err(|problem| format!("standard input: {problem}"))?;
    Ok(Read { files: vec![File { path: name.to_owned(), text }], hashes, ..Read::default() })
}

fn one(path: &str, full: &Path) -> Result<(File, u128), Problem> {
    let problem = |message: String| Problem { path: path.to_owned(), line: 0, message };
    let size = std::fs::metadata(full).map_err(|error| problem(error.to_string()))?.len();
    if size > LARGEST {
        return Err(problem(format!("is larger than {} MiB", LARGEST >> 20)));
    }
    let bytes = std::fs::read(full).map_err(|error| problem(error.to_string()))?;
    let hash = cache::hash(&bytes);
    let text = decoded(bytes).map_err(problem)?;
    Ok((File { path: path.to_owned(), text }, hash))
}

/// A file's text; or why it is none.
fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err("is UTF-16, not UTF-8".to_owned());
    }
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        match declared_encoding(error.as_bytes()) {
            Some(encoding) => format!("is {encoding}, not UTF-8: from byte {place} on"),
            None => format!("is not UTF-8 from byte {place} on"),
        }
    })
}

/// The encoding that one of the first two lines declares, as PEP 263 says.
fn declared_encoding(bytes: &[u8]) -> Option<String> {
    bytes.split(|byte| *byte == b'\n').take(2).find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let (before, rest) = line.split_once("coding")?;
        if !before.trim_start().starts_with('#') {
            return None;
        }
        let name = rest.strip_prefix([':', '='])?.trim_start();
        let end = name.find(|sign: char| !(sign.is_ascii_alphanumeric() || "-_.".contains(sign)));
        Some(name[..end.unwrap_or(name.len())].to_owned()).filter(|name| !name.is_empty())
    })
}

fn walk(
    folder: &Path,
    base: &Path,
    is_excluded: &dyn Fn(&Path) -> bool,
    found: &mut Vec<PathBuf>,
    problems: &mut Vec<Problem>,
) {
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
                if is_file && is_python && !is_excluded(path) {
                    found.push(path.to_owned());
                }
            }
            Err(error) => problems.push(Problem { path: shown(folder, base), line: 0, message: error.to_string() }),
        }
    }
}

/// The folder that names are told from: the one that is checked if it is one, else the working folder.
pub(crate) fn base_of(paths: &[PathBuf], root: &Path) -> PathBuf {
    match paths {
        [one] if root.join(one).is_dir() && one.is_absolute() && !one.starts_with(root) => normal(&root.join(one)),
        _ => normal(root),
    }
}

/// Without `.` and `..`.
pub(crate) fn normal(path: &Path) -> PathBuf {
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
/// Bytes: places in a text are 32 bits wide, and no program has such a file.
const LARGEST: u64 = 256 << 20;
