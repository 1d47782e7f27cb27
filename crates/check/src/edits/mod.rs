//! What an edit leaves as it was: a report that was kept is carried over to a file's new text, where all that changed says nothing.
//!
//! The facts of both texts are laid side by side ([`alignment`]). Comments, empty lines and other spaces only move places. Code that neither
//! calls, awaits nor hands on anything that matters ([`quiet`]) may come and go: `retries = 3`, `log.info("sent")`; and what is like something
//! that the program knows to say nothing ([`forms`]). A new name of a module is of no interest if nobody asked the module for it, nor what a
//! function returns if nobody asked for that. Calls that block, or like which there are others, and functions that nobody asks for change the
//! outline of the calls ([`retold`]), which is searched again. What else functions do is asked of the whole program ([`redone`]), as long as
//! others were told nothing else of them. All else is checked anew: this never guesses.

mod alignment;
mod forms;
mod heard;
mod mentions;
mod moves;
mod pairing;
mod pairs;
mod quiet;
mod redone;
mod renewed;
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
use crate::search::{FromBefore, Idle, Outline, Search};
use crate::settings::Settings;
use crate::{File, Knowledge, Known, Place, Report, Texts, is_wanted};
use alignment::Alignment;
use forms::{Alike, Forms};
use moves::Moves;
use quiet::{Around, Quiet};
use renewed::Renewed;
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

    /// The report, after an edit of which it can be told what it comes to without a look at all that the program does; none, if that is not so.
    ///
    /// `files` are those of the whole program, as they are now, in the order of their paths; `whole` gives what is known of each, if more must
    /// be asked than what the edit itself says.
    #[must_use]
    pub fn after(
        mut self,
        edit: Edit<'_>,
        files: &[File],
        settings: &Settings,
        whole: &dyn Fn() -> Option<Vec<Known>>,
    ) -> Option<Self> {
        let (file, old, new) = (&files[edit.index], &edit.old.1, &edit.new.1);
        if old.error.is_some() || new.error.is_some() || self.problems.iter().any(|problem| problem.path == file.path) {
            return None;
        }
        let moves = self.moves(edit, files, settings, false)?;
        if !is_silenced_alike(old, new, &moves.spans) {
            return None;
        }
        self.findings.retain(|finding| finding.place.path != file.path || !moves.has_lost(finding.place.span()));
        for (class, _) in &moves.classes_come {
            self.watched.add_class(new.name(new.classes[*class].name));
        }
        if !moves.anew.is_empty() {
            return self.redone(&moves, edit, (files, settings), whole);
        }
        if moves.idle.is_empty() && moves.gone.is_empty() && moves.come.is_empty() {
            return self.moved(&moves, edit, files);
        }
        if let Some(found) = self.searched(&moves, edit, settings) {
            return self.retold(&moves, edit, (files, settings), found);
        }
        let moves = self.moves(edit, files, settings, true)?;
        self.redone(&moves, edit, (files, settings), whole)
    }

    /// Nothing is called that was not, nor the other way round: places have moved.
    fn moved(mut self, moves: &Moves, edit: Edit<'_>, files: &[File]) -> Option<Self> {
        let (file, id) = (&files[edit.index], FileId(edit.index as u32));
        self.move_places(&file.path, file, &moves.spans)?;
        let facts = (&edit.old.1, &edit.new.1);
        let outline = self.outline.take();
        self.outline = outline.and_then(|outline| Shift::new(&outline, id, facts, moves).apply(outline));
        if !moves.asked.is_empty() {
            let after = self.outline.as_ref()?;
            moves.asked_return(after, id).then_some(())?;
        }
        self.sort();
        Some(self)
    }

    /// The outline after the edit, and what is found in it; none, if answers are missing.
    fn searched(&self, moves: &Moves, edit: Edit<'_>, settings: &Settings) -> Option<(Outline, Vec<rules::Raw>)> {
        if settings.strict {
            return None;
        }
        let id = FileId(edit.index as u32);
        let before = self.outline.as_ref()?;
        let mut after = Shift::new(before, id, (&edit.old.1, &edit.new.1), moves).apply(before.clone())?;
        moves.asked_return(&after, id).then_some(())?;
        add_idle(&mut after, &edit.new.1, id, &moves.idle);
        let answers = FromBefore::default();
        let found = rules::tell_blocking(&after, &Search::new(&after, &answers));
        (!answers.is_incomplete()).then_some((after, found))
    }

    /// The ways have been searched again.
    fn retold(
        mut self,
        moves: &Moves,
        edit: Edit<'_>,
        (files, settings): (&[File], &Settings),
        (outline, found): (Outline, Vec<rules::Raw>),
    ) -> Option<Self> {
        let (file, new) = (&files[edit.index], &edit.new.1);
        self.findings.retain(|finding| !rules::is_of_outline(finding.code));
        self.move_places(&file.path, file, &moves.spans)?;
        self.tell(outline, found, files, settings);
        let idle = moves.idle.iter().map(|function| new.name(new.functions[*function].name));
        idle.for_each(|name| self.watched.add_idle(name));
        for (asked, name) in moves.come.iter().filter_map(|come| come.what.asked()) {
            self.watched.ask(&files[asked.0 as usize].path, name);
        }
        self.sort();
        Some(self)
    }

    /// Takes over what was found in an outline, and the functions that are idle with that.
    fn tell(&mut self, outline: Outline, mut found: Vec<rules::Raw>, files: &[File], settings: &Settings) {
        found.extend(rules::tell_idle(&outline, &found));
        let mut texts = Texts::new(files);
        let wanted = found.into_iter().filter(|raw| is_wanted(raw, &outline, files, settings));
        self.findings.extend(wanted.map(|raw| texts.tell(raw)));
        self.outline = Some(outline);
    }

    /// What has become of the file's text. `asks`: what functions do otherwise is to be asked of the whole program, however little that is.
    fn moves(&self, edit: Edit<'_>, files: &[File], settings: &Settings, asks: bool) -> Option<Moves> {
        let catalogue = Catalogue::new(&settings.blocking);
        let packages: FxHashSet<&str> =
            files.iter().filter_map(|file| file.path.strip_suffix("/__init__.py")).collect();
        let names: Vec<String> =
            files.iter().map(|file| module_name(&file.path, |folder| packages.contains(folder))).collect();
        let modules = Modules::new(files.iter().map(|file| &*file.path).zip(names.iter().map(|name| &**name)));
        let around = Around { modules: &modules, file: FileId(edit.index as u32), name: &names[edit.index] };
        let mut renewed = Renewed::default();
        for _ in 0..MOST_TIMES {
            let moves = self.moves_with(edit, &files[edit.index].path, (&around, &catalogue), &renewed, asks)?;
            if moves.renewed == renewed {
                return Some(moves);
            }
            renewed = moves.renewed;
        }
        None
    }

    /// The same, where all that reads these is told apart.
    fn moves_with(
        &self,
        edit: Edit<'_>,
        path: &str,
        (around, catalogue): (&Around<'_>, &Catalogue),
        renewed: &Renewed,
        asks: bool,
    ) -> Option<Moves> {
        let (old, new) = match &self.outline {
            Some(outline) => Forms::of_both((&edit.old.1, &edit.new.1), renewed, &outline.words),
            None => (Forms::new(&edit.old.1, None), Forms::new(&edit.new.1, Some(renewed))),
        };
        let alike = self.outline.as_ref().map(|outline| Alike::new(&old, outline.noises(around.file)));
        let alike = alike.unwrap_or_default();
        let quiet = |facts, forms| Quiet {
            facts,
            forms,
            alike: &alike,
            path,
            around,
            catalogue,
            watched: &self.watched,
            asked_of: self.outline.as_ref().map_or(&[], |outline| outline.asked_of(around.file)),
            words: self.outline.as_ref().map(|outline| &outline.words),
            depth: 0,
        };
        Alignment::new(quiet(&edit.old.1, &old), quiet(&edit.new.1, &new), renewed, asks).moves()
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

/// Coroutine functions that are new and await nothing: told of unless something else is to be mended in them.
fn add_idle(outline: &mut Outline, facts: &Facts, file: FileId, idle: &[FunctionId]) {
    for id in idle {
        let this = &facts.functions[*id];
        let function = FnId(outline.firsts[file.0 as usize] + id.raw());
        let site = Site { file, span: this.span };
        outline.stakes.idle.push(Idle { function, site, at: this.at, is_mended: false });
        outline.stakes.candidates.push(function);
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

/// Texts are laid side by side so often, as more and more is found to be read otherwise.
const MOST_TIMES: usize = 8;
