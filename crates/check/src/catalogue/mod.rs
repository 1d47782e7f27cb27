//! What is known of code outside the program: what blocks, what it gives, and what it does with functions that it is handed.
//!
//! Names are paths: `time.sleep` is a function, `threading.Thread()` an instance, `threading.Thread().join` its method. A `*` at the end of
//! a path stands for one more name, `**` for whatever follows; within a path `*` is one name or a part of it, `**` several.

mod blocking;
mod callbacks;
mod methods;
mod quiet;
mod types;

pub(crate) use methods::{Called, called};
pub(crate) use quiet::{is_builtin, is_quiet, is_quiet_builtin};

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

/// Why something must not be called on the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Category {
    /// It runs an event loop.
    Nested,
    /// It sleeps.
    Sleep,
    /// It waits for the network.
    Network,
    /// It waits for a child process.
    Process,
    /// It waits for a database.
    Database,
    /// It waits for a thread, a lock, a queue or a future.
    Wait,
    /// It waits for a disk.
    File,
    /// It waits for a person.
    Input,
    /// It waits for the loop's own thread to do something.
    Deadlock,
}

impl Category {
    /// The code of the rule that tells of it.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::Nested => "SL001",
            Self::Sleep => "SL002",
            Self::Deadlock => "SL013",
            _ => "SL003",
        }
    }
}

/// When a call does not block after all, as its arguments say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unless {
    Never,
    /// This argument (by place and name) is false, or zero.
    Falsy(usize, &'static str),
    /// Either of two is false, or zero.
    EitherFalsy((usize, &'static str), (usize, &'static str)),
    /// This argument is something else than zero.
    Truthy(usize, &'static str),
    /// This argument is a file in memory.
    InMemory(usize, &'static str),
    /// This argument is a file in memory, or there is none.
    InMemoryOrMissing(usize, &'static str),
}

/// Something that blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sink {
    pub(crate) category: Category,
    pub(crate) unless: Unless,
}

/// What a function of another library does with its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Handed {
    /// Calls this argument at once, with what the others have in them.
    Calls(usize, &'static str),
    /// Has the loop call this argument, later.
    OnLoop(usize, &'static str),
    /// Has another thread or process call it.
    Elsewhere(usize, &'static str),
    /// Calls this argument at once, with those that follow.
    CallsWith(usize, &'static str),
    /// Iterates over this argument.
    Iterates(usize),
    /// Enters this argument, as `with` does.
    Enters(usize),
    /// Runs a special method of this argument.
    Special(usize, &'static str),
    /// Compares what is in this argument, or this argument with others, by a special method; unless there is a key.
    ComparesElements(usize, &'static str),
}

/// All of it, by path.
pub(crate) struct Catalogue {
    sinks: FxHashMap<String, Sink>,
    /// Patterns, the longest first, by their first name, unless that has a `*` itself.
    wide_sinks: FxHashMap<String, Vec<(String, Sink)>>,
    returns: FxHashMap<&'static str, &'static str>,
    bases: FxHashMap<&'static str, &'static str>,
    handed: FxHashMap<&'static str, Vec<Handed>>,
}

impl Catalogue {
    /// The built-in tables, and blocking calls of the user's own.
    pub(crate) fn new(extra: &[(String, Category)]) -> Self {
        let mut sinks = FxHashMap::default();
        let mut wide = Vec::new();
        let own = blocking::SINKS.iter().flat_map(|(category, unless, paths)| {
            paths.split_whitespace().map(|path| (path.to_owned(), Sink { category: *category, unless: *unless }))
        });
        let extra =
            extra.iter().map(|(path, category)| (path.clone(), Sink { category: *category, unless: Unless::Never }));
        for (path, sink) in own.chain(extra) {
            // `[*]` is what a loop over something takes.
            if path.replace("[*]", "").contains('*') {
                wide.push((path, sink));
            } else {
                sinks.insert(path, sink);
            }
        }
        wide.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.len()));
        let mut wide_sinks: FxHashMap<String, Vec<(String, Sink)>> = FxHashMap::default();
        for (pattern, sink) in wide {
            let first = if first_name(&pattern).contains('*') { "" } else { first_name(&pattern) };
            wide_sinks.entry(first.to_owned()).or_default().push((pattern, sink));
        }
        let mut handed: FxHashMap<&str, Vec<Handed>> = FxHashMap::default();
        for (paths, what) in callbacks::HANDED {
            for path in paths.split_whitespace() {
                handed.entry(path).or_default().push(*what);
            }
        }
        let returns =
            types::RETURNS.iter().flat_map(|(given, paths)| paths.split_whitespace().map(|path| (path, *given)));
        let bases = types::BASES.iter().copied();
        Self { sinks, wide_sinks, returns: returns.collect(), bases: bases.collect(), handed }
    }

    /// Whether anything is known of it.
    pub(crate) fn knows(&self, path: &str) -> bool {
        self.sink(path).is_some() || !self.handed(path).is_empty() || self.returned(path).is_some()
    }

    /// Whether a call of it blocks.
    pub(crate) fn sink(&self, path: &str) -> Option<Sink> {
        self.inherited(path, |path| {
            self.sinks.get(path).copied().or_else(|| {
                let mut patterns =
                    [first_name(path), ""].into_iter().filter_map(|name| self.wide_sinks.get(name)).flatten();
                patterns.find(|(pattern, _)| fits(pattern, path) && !is_calm(path)).map(|(_, sink)| *sink)
            })
        })
    }

    /// What it does with functions that it is handed.
    pub(crate) fn handed(&self, path: &str) -> &[Handed] {
        self.inherited(path, |path| self.handed.get(path)).map_or(&[], Vec::as_slice)
    }

    /// The same of what a call of it gives, once that is iterated.
    pub(crate) fn handed_lazily(&self, path: &str) -> &[Handed] {
        self.handed.get(&*format!("{path}()[*]")).map_or(&[], Vec::as_slice)
    }

    /// What a call of it gives, if that is not an instance of it.
    pub(crate) fn returned(&self, path: &str) -> Option<&'static str> {
        self.inherited(path, |path| self.returns.get(path).copied())
    }

    /// The class that a class outside the program derives from.
    pub(crate) fn base(&self, class: &str) -> Option<&'static str> {
        self.bases.get(class).copied()
    }

    /// Looks at `Class().method`, and then at that of its bases.
    fn inherited<T>(&self, path: &str, look: impl Fn(&str) -> Option<T>) -> Option<T> {
        if let Some(found) = look(path) {
            return Some(found);
        }
        let (class, method) = path.rsplit_once("().")?;
        let mut base = self.bases.get(class)?;
        loop {
            if let Some(found) = look(&format!("{base}().{method}")) {
                return Some(found);
            }
            base = self.bases.get(base)?;
        }
    }
}

/// The module or package that a path begins with.
fn first_name(path: &str) -> &str {
    path.split(['.', '(', '[']).next().unwrap_or(path)
}

/// Whether a path is one that the pattern stands for.
fn fits(pattern: &str, path: &str) -> bool {
    let Some((prefix, rest)) = pattern.split_once('*') else { return pattern == path };
    let Some(path) = path.strip_prefix(prefix) else { return false };
    let (is_wide, rest) = rest.strip_prefix('*').map_or((false, rest), |rest| (true, rest));
    if is_wide && rest.is_empty() {
        return true;
    }
    // An attribute of an instance may stand for `.name`.
    let path = if prefix.ends_with(')') { path.strip_prefix('.').unwrap_or(path) } else { path };
    if path.starts_with("__") {
        return false;
    }
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (is_wide && byte == b'.');
    let longest = path.bytes().take_while(|byte| is_name(*byte)).count();
    (1..=longest).rev().any(|end| fits(rest, &path[end..]))
}

/// Whether it only makes or drops an object: what clients have such methods for, and classes.
fn is_calm(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    name.starts_with(|first: char| first.is_ascii_uppercase()) || blocking::CALM.contains(&name)
}

/// The name that everybody uses for something that has several.
pub(crate) fn canonical(path: &str) -> Option<String> {
    for (prefix, canonical) in types::ALIASES {
        if let Some(rest) = path.strip_prefix(prefix)
            && (rest.is_empty() || rest.starts_with(['.', '(']))
        {
            return Some(format!("{canonical}{rest}").trim_start_matches('.').to_owned());
        }
    }
    None
}
