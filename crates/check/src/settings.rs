//! What a check is asked for: rules, files to spare, and blocking calls of the user's own.

use crate::Category;
use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The settings of a check.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Codes, or beginnings of codes; all rules if empty.
    select: Vec<String>,
    ignore: Vec<String>,
    per_file: Vec<(GlobMatcher, Vec<String>)>,
    /// More calls that block, by path, as `ourlib.Client().fetch`.
    pub(crate) blocking: Vec<(String, Category)>,
    /// Files and folders that are left out, as globs.
    pub exclude: Vec<String>,
}

/// The table `[tool.soliloop.check]` of `pyproject.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Table {
    select: Option<Vec<String>>,
    ignore: Vec<String>,
    exclude: Vec<String>,
    per_file_ignores: BTreeMap<String, Vec<String>>,
    blocking_calls: BTreeMap<String, Vec<String>>,
}

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(pub String);

impl Settings {
    /// From a table and the command line, which has the last word on what is selected.
    ///
    /// # Errors
    /// Names what is wrong: an unknown code or category, or a bad glob.
    pub fn new(table: Table, select: Option<Vec<String>>, ignore: Vec<String>) -> Result<Self, SettingsError> {
        let mut settings =
            Self { select: select.or(table.select).unwrap_or_default(), ignore: table.ignore, ..Self::default() };
        settings.ignore.extend(ignore);
        for code in settings.select.iter().chain(&settings.ignore).chain(table.per_file_ignores.values().flatten()) {
            if code != "ALL" && !crate::RULES.iter().any(|rule| is_of(rule.code, code)) {
                return Err(SettingsError(format!(
                    "unknown rule `{code}`: rules are SL001 to SL{:03}",
                    crate::RULES.len()
                )));
            }
        }
        for (glob, codes) in table.per_file_ignores {
            let matcher = Glob::new(&glob)
                .map_err(|error| SettingsError(format!("per-file-ignores: {error}")))?
                .compile_matcher();
            settings.per_file.push((matcher, codes));
        }
        for (name, paths) in table.blocking_calls {
            let Some(category) = category(&name) else {
                let known = CATEGORIES.map(|(name, _)| name).join(", ");
                return Err(SettingsError(format!("blocking-calls: unknown category `{name}`: one of {known}")));
            };
            settings.blocking.extend(paths.into_iter().map(|path| (path, category)));
        }
        settings.exclude = table.exclude;
        Ok(settings)
    }

    /// Whether a rule is asked for.
    pub fn is_selected(&self, code: &str) -> bool {
        let has = |codes: &[String]| codes.iter().any(|known| known == "ALL" || is_of(code, known));
        (self.select.is_empty() || has(&self.select)) && !has(&self.ignore)
    }

    /// Whether a rule has nothing to say about a file.
    pub(crate) fn is_ignored_in(&self, code: &str, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        self.per_file.iter().any(|(glob, codes)| {
            (glob.is_match(path) || glob.is_match(name))
                && codes.iter().any(|known| known == "ALL" || is_of(code, known))
        })
    }
}

/// `SL00` and `SL` mean all codes that begin with it.
fn is_of(code: &str, prefix: &str) -> bool {
    !prefix.is_empty() && code.starts_with(prefix)
}

fn category(name: &str) -> Option<Category> {
    CATEGORIES.iter().find(|(known, _)| *known == name).map(|(_, category)| *category)
}

const CATEGORIES: [(&str, Category); 8] = [
    ("nested", Category::Nested),
    ("sleep", Category::Sleep),
    ("network", Category::Network),
    ("process", Category::Process),
    ("database", Category::Database),
    ("wait", Category::Wait),
    ("file", Category::File),
    ("input", Category::Input),
];
