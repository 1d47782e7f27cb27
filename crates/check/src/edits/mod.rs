//! What an edit leaves as it was: a report that was kept is carried over to a file's new text, where all that changed says nothing.
//!
//! The facts of both texts are laid side by side ([`alignment`]). Comments, empty lines and other spaces only move places. Code that neither
//! calls, awaits nor hands on anything that matters ([`quiet`]) may come and go: `retries = 3`, `log.info("sent")`. A new name of a module is of
//! no interest if nobody asked the module for it. All else is checked anew: this never guesses.

mod alignment;
mod mentions;
mod quiet;
mod watched;

pub(crate) use watched::Watched;

use crate::catalogue::Catalogue;
use crate::facts::{Facts, Span, Suppression};
use crate::graph::Site;
use crate::link::values::FileId;
use crate::link::{Modules, module_name};
use crate::settings::Settings;
use crate::{File, Knowledge, Place, Report, Texts};
use alignment::Alignment;
use quiet::Quiet;
use rustc_hash::{FxHashMap, FxHashSet};

/// A file that has a new text: what is known of the old one, and of the new one.
#[derive(Clone, Copy, Debug)]
pub struct Edit<'e> {
    /// Its place among the files.
    pub index: usize,
    /// Of the text that the report was made of.
    pub old: &'e Knowledge,
    /// Of the text that it has now.
    pub new: &'e Knowledge,
}

impl Report {
    /// The report, after an edit that leaves all findings as they are; none, if that is not sure.
    ///
    /// `files` are those of the whole program, as they are now, in the order of their paths.
    #[must_use]
    pub fn after(mut self, edit: Edit<'_>, files: &[File], settings: &Settings) -> Option<Self> {
        let (file, old, new) = (&files[edit.index], &edit.old.0, &edit.new.0);
        if old.error.is_some() || new.error.is_some() || self.problems.iter().any(|problem| problem.path == file.path) {
            return None;
        }
        let catalogue = Catalogue::new(&settings.blocking);
        let packages: FxHashSet<&str> =
            files.iter().filter_map(|file| file.path.strip_suffix("/__init__.py")).collect();
        let names: Vec<String> =
            files.iter().map(|file| module_name(&file.path, |folder| packages.contains(folder))).collect();
        let modules = Modules::new(files.iter().map(|file| &*file.path).zip(names.iter().map(|name| &**name)));
        let is_outside =
            |module: &str| modules.find(module, FileId(edit.index as u32)).is_none() && !modules.is_namespace(module);
        let quiet = |facts| Quiet {
            facts,
            path: &file.path,
            is_outside: &is_outside,
            catalogue: &catalogue,
            watched: &self.watched,
            depth: 0,
        };
        let moves = Alignment::new(quiet(old), quiet(new)).moves()?;
        if !is_silenced_alike(old, new, &moves) {
            return None;
        }
        let mut texts = Texts::new(std::slice::from_ref(file));
        for finding in &mut self.findings {
            let links = finding.chain.iter_mut().filter_map(|link| link.place.as_mut());
            for place in links.chain([&mut finding.place]).filter(|place| place.path == file.path) {
                let span = *moves.get(&place.span())?;
                *place = texts.place(Site { file: FileId(0), span });
            }
        }
        self.sort();
        Some(self)
    }
}

/// Whether comments silence the same things: all that has moved is on the line of the same one, or of none.
fn is_silenced_alike(old: &Facts, new: &Facts, moves: &FxHashMap<Span, Span>) -> bool {
    let (before, now) = (&old.suppressions, &new.suppressions);
    let is_alike = |(old, new): (&Suppression, &Suppression)| {
        old.codes == new.codes && (old.line == Span::ALL) == (new.line == Span::ALL)
    };
    let at = |suppressions: &[Suppression], place: u32| suppressions.iter().position(|one| one.line.has(place));
    let mut places = moves.iter().flat_map(|(old, new)| [(old.start, new.start), (old.end, new.end)]);
    before.len() == now.len()
        && before.iter().zip(now).all(is_alike)
        && (before.is_empty() || places.all(|(old, new)| at(before, old) == at(now, new)))
}

impl Place {
    fn span(&self) -> Span {
        Span { start: self.bytes.0, end: self.bytes.1 }
    }
}
