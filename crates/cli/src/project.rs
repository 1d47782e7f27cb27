//! `[tool.soliloop.check]` in the `pyproject.toml` next above what is checked, and in those that it extends.

use similar::get_close_matches;
use soliloop_check::settings::{KEYS, Table};
use std::path::{Path, PathBuf};
use toml::Value;

/// The settings that were found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) table: Table,
    /// The project's folder: patterns of files are told from there, and it has the cache.
    pub(crate) home: PathBuf,
    /// The file that has the table.
    pub(crate) file: Option<PathBuf>,
}

/// Looks upwards from the first path for a `pyproject.toml` that has the table. The next one without it is the project's all the same.
pub(crate) fn find(paths: &[PathBuf], root: &Path) -> Result<Found, String> {
    let first = paths.first().map_or_else(|| root.to_owned(), |path| crate::files::normal(&root.join(path)));
    let mut home = None;
    for folder in first.ancestors() {
        let file = folder.join("pyproject.toml");
        if !file.is_file() {
            continue;
        }
        home.get_or_insert_with(|| folder.to_owned());
        if let Some(table) = table(&file, 0)? {
            return Ok(Found { table, home: folder.to_owned(), file: Some(file) });
        }
    }
    Ok(Found { table: Table::default(), home: home.unwrap_or_else(|| root.to_owned()), file: None })
}

/// The settings of one file, which must have some.
pub(crate) fn read(file: &Path, root: &Path) -> Result<Found, String> {
    let file = root.join(file);
    let Some(table) = table(&file, 0)? else { return Err(format!("{}: has no [{TABLE}]", file.display())) };
    Ok(Found { table, home: file.parent().unwrap_or(root).to_owned(), file: Some(file) })
}

fn table(file: &Path, depth: u32) -> Result<Option<Table>, String> {
    let wrong = |message: &dyn std::fmt::Display| format!("{}: {message}", file.display());
    let text = std::fs::read_to_string(file).map_err(|error| wrong(&error))?;
    let project: toml::Table = toml::from_str(&text).map_err(|error| wrong(&error))?;
    let mut next = project.get("tool");
    for name in ["soliloop", "check"] {
        next = next.and_then(|value| value.get(name));
    }
    let Some(found) = next else { return Ok(None) };
    let wrong = |message: &dyn std::fmt::Display| format!("{}: [{TABLE}]: {message}", file.display());
    let Value::Table(entries) = found else { return Err(wrong(&"is no table")) };
    for key in entries.keys() {
        if !KEYS.contains(&key.as_str()) {
            return Err(wrong(&format!("unknown setting `{key}`{}", instead_of(key, KEYS))));
        }
    }
    for (key, value) in entries {
        // One by one, so that it is said which.
        let one: toml::Table = [(key.clone(), value.clone())].into_iter().collect();
        one.try_into::<Table>().map_err(|error| wrong(&format!("`{key}`: {}", error.message())))?;
    }
    let table: Table = found.clone().try_into().map_err(|error: toml::de::Error| wrong(&error.message()))?;
    let Some(base) = &table.extend else { return Ok(Some(table)) };
    if depth >= MOST_FILES {
        return Err(wrong(&"`extend`: one file extends the other in a ring"));
    }
    let base = file.parent().unwrap_or(Path::new("")).join(base);
    match self::table(&base, depth + 1)? {
        Some(base) => Ok(Some(table.over(base))),
        None => Err(wrong(&format!("`extend`: {} has no [{TABLE}]", base.display()))),
    }
}

/// A guess what was meant.
pub(crate) fn instead_of(word: &str, known: &[&str]) -> String {
    match get_close_matches(word, known, 1, 0.6).first() {
        Some(near) => format!(": did you mean `{near}`?"),
        None => format!(": there are {}", known.join(", ")),
    }
}

const TABLE: &str = "tool.soliloop.check";
/// Files that extend each other.
const MOST_FILES: u32 = 16;
