//! `[tool.soliloop.check]` in the `pyproject.toml` next above what is checked.

use serde::Deserialize;
use soliloop_check::settings::Table;
use std::path::{Path, PathBuf};

/// The settings that were found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) table: Table,
}

#[derive(Deserialize)]
struct Project {
    tool: Option<Tools>,
}

#[derive(Deserialize)]
struct Tools {
    soliloop: Option<Soliloop>,
}

#[derive(Deserialize)]
struct Soliloop {
    check: Option<Table>,
}

/// Looks upwards from the first path for a `pyproject.toml` that has the table.
pub(crate) fn find(paths: &[PathBuf], root: &Path) -> Result<Found, String> {
    let first = paths.first().map_or_else(|| root.to_owned(), |path| root.join(path));
    for folder in first.ancestors() {
        let file = folder.join("pyproject.toml");
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        let project: Project = toml::from_str(&text).map_err(|error| format!("{}: {error}", file.display()))?;
        if let Some(table) = project.tool.and_then(|tools| tools.soliloop).and_then(|soliloop| soliloop.check) {
            return Ok(Found { table });
        }
    }
    Ok(Found::default())
}
