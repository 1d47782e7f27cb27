//! What an edit leaves as it was: a report that was kept is carried over to a file's new text, where all that changed says nothing.
//!
//! The facts of both texts are laid side by side ([`alignment`]). Comments, empty lines and other spaces only move places. Code that neither
//! calls, awaits nor hands on anything that matters ([`quiet`]) may come and go: `retries = 3`, `log.info("sent")`; and what is like something
//! that the program knows to say nothing ([`forms`]). A new name of a module is of no interest if nobody asked the module for it, nor what a
//! function returns if nobody asked for that. Calls that block, or like which there are others, and functions that nobody asks for change the
//! outline of the calls ([`retold`]), which is searched again. All else is checked anew: this never guesses.

mod alignment;
mod forms;
mod heard;
mod mentions;
mod quiet;
mod retold;
mod uses;
mod watched;

pub(crate) use watched::Watched;

use crate::catalogue::Catalogue;
use crate::facts::{Facts, FunctionId, Span, Suppression};
use crate::graph::Site;
use crate::link::values::{FileId, FnId};
use crate::link::{Modules, module_name};
use crate::rules;
use crate::search::{FromBefore, Outline, Search};
use crate::settings::Settings;
use crate::{File, Knowledge, Place, Report, Texts, is_wanted};
use alignment::{Alignment, Moves};
use forms::{Alike, Forms};
use quiet::{Around, Quiet};
use retold::Shift;
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
    /// What it takes to search again after an edit that lets calls that block come or go. It is large, and kept apart.
    pub const fn outline(&self) -> Option<&Outline> {
        self.outline.as_ref()
    }

    /// The report that was kept, with the outline that was.
    #[must_use]
    pub fn with(self, outline: Option<Outline>) -> Self {
        Self { outline, ..self }
    }

    /// The report, after an edit that leaves all findings as they are, or that lets calls that block come or go; none, if that is not sure.
    ///
    /// `files` are those of the whole program, as they are now, in the order of their paths.
    #[must_use]
    pub fn after(mut self, edit: Edit<'_>, files: &[File], settings: &Settings) -> Option<Self> {
        let (file, old, new) = (&files[edit.index], &edit.old.0, &edit.new.0);
        if old.error.is_some() || new.error.is_some() || self.problems.iter().any(|problem| problem.path == file.path) {
            return None;
        }
        let moves = self.moves(edit, files, settings)?;
        if !is_silenced_alike(old, new, &moves.spans) {
            return None;
        }
        let id = FileId(edit.index as u32);
        let outline = self.outline.take();
        self.findings.retain(|finding| finding.place.path != file.path || !moves.has_lost(finding.place.span()));
        if moves.idle.is_empty() && moves.gone.is_empty() && moves.come.is_empty() {
            self.move_places(&file.path, file, &moves.spans)?;
            self.outline = outline.and_then(|outline| Shift::new(&outline, id, (old, new), &moves).apply(outline));
            if !moves.asked.is_empty() {
                let after = self.outline.as_ref()?;
                moves.asked_return(after, id).then_some(())?;
            }
        } else {
            if settings.strict {
                return None;
            }
            let before = outline?;
            let shift = Shift::new(&before, id, (old, new), &moves);
            let mut after = shift.apply(before.clone())?;
            moves.asked_return(&after, id).then_some(())?;
            let mut found = found_anew((&before, &after), &shift)?;
            tell_idle(&mut after, new, id, &moves.idle, &mut found);
            self.findings.retain(|finding| !rules::is_of_ways(finding.code));
            self.move_places(&file.path, file, &moves.spans)?;
            let mut texts = Texts::new(files);
            let wanted = found.into_iter().filter(|raw| is_wanted(raw, &after, files, settings));
            self.findings.extend(wanted.map(|raw| texts.tell(raw)));
            self.outline = Some(after);
            let idle = moves.idle.iter().map(|function| new.name(new.functions[*function].name));
            idle.for_each(|name| self.watched.add(name));
            for (asked, name) in moves.come.iter().filter_map(|come| come.what.asked()) {
                self.watched.ask(&files[asked.0 as usize].path, name);
            }
        }
        self.sort();
        Some(self)
    }

    /// What has become of the file's text, if nothing else was done to it.
    fn moves(&self, edit: Edit<'_>, files: &[File], settings: &Settings) -> Option<Moves> {
        let catalogue = Catalogue::new(&settings.blocking);
        let packages: FxHashSet<&str> =
            files.iter().filter_map(|file| file.path.strip_suffix("/__init__.py")).collect();
        let names: Vec<String> =
            files.iter().map(|file| module_name(&file.path, |folder| packages.contains(folder))).collect();
        let modules = Modules::new(files.iter().map(|file| &*file.path).zip(names.iter().map(|name| &**name)));
        let around = Around { modules: &modules, file: FileId(edit.index as u32), name: &names[edit.index] };
        let (old, new) = match &self.outline {
            Some(outline) => Forms::of_both(&edit.old.0, &edit.new.0, &outline.words),
            None => (Forms::new(&edit.old.0), Forms::new(&edit.new.0)),
        };
        let alike = self.outline.as_ref().map(|outline| Alike::new(&old, outline.noises(around.file)));
        let alike = alike.unwrap_or_default();
        let quiet = |facts, forms| Quiet {
            facts,
            forms,
            alike: &alike,
            path: &files[edit.index].path,
            around: &around,
            catalogue: &catalogue,
            watched: &self.watched,
            unasked: self.outline.as_ref().map_or(&[], |outline| outline.unasked(around.file)),
            words: self.outline.as_ref().map(|outline| &outline.words),
            depth: 0,
        };
        Alignment::new(quiet(&edit.old.0, &old), quiet(&edit.new.0, &new)).moves()
    }

    fn move_places(&mut self, path: &str, file: &File, moves: &FxHashMap<Span, Span>) -> Option<()> {
        let mut texts = Texts::new(std::slice::from_ref(file));
        for finding in &mut self.findings {
            let links = finding.chain.iter_mut().filter_map(|link| link.place.as_mut());
            for place in links.chain([&mut finding.place]).filter(|place| place.path == path) {
                let span = *moves.get(&place.span())?;
                *place = texts.place(Site { file: FileId(0), span });
            }
        }
        Some(())
    }
}

/// The ways to what blocks, after an edit; none, if answers are missing, or other rules would say something else than before.
fn found_anew((before, after): (&Outline, &Outline), shift: &Shift<'_>) -> Option<Vec<rules::Raw>> {
    let search = |outline: &Outline| {
        let answers = FromBefore::default();
        let found = rules::tell_blocking(outline, &Search::new(outline, &answers));
        (!answers.is_incomplete()).then_some(found)
    };
    let (old, new) = (search(before)?, search(after)?);
    // Some are told of unless something else is to be mended in them.
    let is_idle = |outline: &Outline, raw: &rules::Raw| {
        let mut idle = outline.stakes.idle.iter();
        idle.any(|idle| idle.file == raw.site.file && idle.span.contains(raw.site.span))
    };
    let moved: FxHashSet<Site> = old.iter().filter_map(|raw| shift.site(raw.site)).collect();
    let known: FxHashSet<Site> = new.iter().map(|raw| raw.site).collect();
    let is_lost =
        |raw: &&rules::Raw| shift.site(raw.site).is_none_or(|site| !known.contains(&site)) && !shift.has_lost(raw.site);
    let is_fresh = |raw: &&rules::Raw| !moved.contains(&raw.site);
    let is_other = old.iter().filter(is_lost).any(|raw| is_idle(before, raw))
        || new.iter().filter(is_fresh).any(|raw| is_idle(after, raw));
    (!is_other).then_some(new)
}

/// Coroutine functions that are new and await nothing: told of unless something else is to be mended in them.
fn tell_idle(outline: &mut Outline, facts: &Facts, file: FileId, idle: &[FunctionId], found: &mut Vec<rules::Raw>) {
    for id in idle {
        let function = &facts.functions[*id];
        let global = FnId(outline.firsts[file.0 as usize] + id.raw());
        let is_in = |site: Site| site.file == file && function.span.contains(site.span);
        if !found.iter().any(|raw| is_in(raw.site)) {
            let site = Site { file, span: function.at };
            found.push(rules::awaits_nothing(site, outline.qualified_name(global), facts.name(function.name)));
        }
        outline.stakes.idle.push(Site { file, span: function.span });
        outline.stakes.candidates.push(global);
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
