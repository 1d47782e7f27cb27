//! What a check is asked for: rules, files to spare, and blocking calls of the user's own.

use crate::Category;
use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use std::borrow::Cow;
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
    /// Whether calls that may mean too many functions are told of.
    pub strict: bool,
    /// What a repair makes of callers that no loop runs.
    pub sync_callers: SyncCallers,
    /// What is to be put before paths, so that they are told from the project's folder.
    above: String,
    /// What is to be taken off paths, for the same reason.
    below: String,
}

/// What a repair makes of callers that no loop runs, where they call what becomes a coroutine function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SyncCallers {
    /// Each call becomes `asyncio.run(...)`.
    #[default]
    Run,
    /// They stay as they are: a plain function of the old name runs the coroutine function, which has a new name.
    Wrapper,
}

/// The table `[tool.soliloop.check]` of `pyproject.toml`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Table {
    select: Option<Vec<String>>,
    extend_select: Vec<String>,
    ignore: Vec<String>,
    exclude: Vec<String>,
    per_file_ignores: BTreeMap<String, Vec<String>>,
    blocking_calls: BTreeMap<String, Vec<String>>,
    strict: Option<bool>,
    sync_callers: Option<SyncCallers>,
    /// Where facts are kept.
    pub cache_dir: Option<String>,
    /// A file with more settings, below these.
    pub extend: Option<String>,
}

/// The keys of the table.
pub const KEYS: &[&str] = &[
    "select",
    "extend-select",
    "ignore",
    "exclude",
    "per-file-ignores",
    "blocking-calls",
    "strict",
    "sync-callers",
    "cache-dir",
    "extend",
];

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError(pub String);

impl Table {
    /// These settings, over those of another file: lists are added to its lists, all else takes its place.
    #[must_use]
    pub fn over(mut self, mut base: Self) -> Self {
        let add = |lists: &mut BTreeMap<String, Vec<String>>, more: BTreeMap<String, Vec<String>>| {
            for (key, list) in more {
                lists.entry(key).or_default().extend(list);
            }
        };
        base.select = self.select.or(base.select);
        base.extend_select.append(&mut self.extend_select);
        base.ignore.append(&mut self.ignore);
        base.exclude.append(&mut self.exclude);
        add(&mut base.per_file_ignores, self.per_file_ignores);
        add(&mut base.blocking_calls, self.blocking_calls);
        base.strict = self.strict.or(base.strict);
        base.sync_callers = self.sync_callers.or(base.sync_callers);
        base.cache_dir = self.cache_dir.or(base.cache_dir);
        base
    }
}

impl Settings {
    /// The same, with all rules for all files.
    pub(crate) fn with_all_rules(&self) -> Self {
        Self { blocking: self.blocking.clone(), ..Self::default() }
    }

    /// From a table.
    ///
    /// # Errors
    /// Names what is wrong: an unknown code or category, or a bad glob.
    pub fn new(table: Table) -> Result<Self, SettingsError> {
        let mut settings = Self {
            ignore: table.ignore,
            exclude: table.exclude,
            strict: table.strict.unwrap_or_default(),
            sync_callers: table.sync_callers.unwrap_or_default(),
            ..Self::default()
        };
        if let Some(select) = table.select {
            settings.select = select;
            settings.select.extend(table.extend_select);
        } else {
            known_codes(&table.extend_select)?;
        }
        known_codes(settings.select.iter().chain(&settings.ignore).chain(table.per_file_ignores.values().flatten()))?;
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
        Ok(settings)
    }

    /// These, with what the command line says, which has the last word on what is selected.
    ///
    /// # Errors
    /// Names an unknown code.
    pub fn with(
        mut self,
        select: Option<Vec<String>>,
        extend: &[String],
        ignore: &[String],
    ) -> Result<Self, SettingsError> {
        known_codes(select.iter().flatten().chain(extend).chain(ignore))?;
        self.select = select.unwrap_or(self.select);
        if !self.select.is_empty() {
            self.select.extend_from_slice(extend);
        }
        // What is asked for by name is not left out by the settings.
        self.ignore.retain(|code| !extend.contains(code));
        self.ignore.extend_from_slice(ignore);
        Ok(self)
    }

    /// These, for files whose paths are told from `base`, where patterns are told from `home`: both with `/` at their ends.
    #[must_use]
    pub fn told_from(mut self, base: &str, home: &str) -> Self {
        base.strip_prefix(home).unwrap_or_default().clone_into(&mut self.above);
        home.strip_prefix(base).unwrap_or_default().clone_into(&mut self.below);
        self
    }

    /// A path as patterns see it: from the project's folder.
    pub fn seen<'p>(&self, path: &'p str) -> Cow<'p, str> {
        if self.above.is_empty() {
            return Cow::Borrowed(path.strip_prefix(&self.below).unwrap_or(path));
        }
        Cow::Owned(format!("{}{path}", self.above))
    }

    /// Whether a rule is asked for.
    pub fn is_selected(&self, code: &str) -> bool {
        let has = |codes: &[String]| codes.iter().any(|known| known == "ALL" || is_of(code, known));
        (self.select.is_empty() || has(&self.select)) && !has(&self.ignore)
    }

    /// Whether a rule has nothing to say about a file.
    pub(crate) fn is_ignored_in(&self, code: &str, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        let seen = self.seen(path);
        self.per_file.iter().any(|(glob, codes)| {
            (glob.is_match(&*seen) || glob.is_match(name))
                && codes.iter().any(|known| known == "ALL" || is_of(code, known))
        })
    }
}

fn known_codes<'c>(codes: impl IntoIterator<Item = &'c String>) -> Result<(), SettingsError> {
    let is_known = |code: &str| code == "ALL" || crate::RULES.iter().any(|rule| is_of(rule.code, code));
    match codes.into_iter().find(|code| !is_known(code)) {
        Some(code) => {
            Err(SettingsError(format!("unknown rule `{code}`: rules are SL001 to SL{:03}", crate::RULES.len())))
        }
        None => Ok(()),
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
