//! Edits that move code and change nothing else: a comment, an empty line, other spaces. What was found stays, at its new places.

use crate::facts::{Facts, Span};
use crate::graph::Site;
use crate::link::values::FileId;
use crate::{File, Knowledge, Place, Report, Texts};
use rustc_hash::FxHashMap;

impl Report {
    /// The report, after one file became this one; none, if more than places has changed in it. `old` and `new` are what is known of it.
    #[must_use]
    pub fn moved(mut self, file: &File, old: &Knowledge, new: &Knowledge) -> Option<Self> {
        let moves = moves(&old.0, &new.0)?;
        if self.problems.iter().any(|problem| problem.path == file.path) {
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

impl Place {
    fn span(&self) -> Span {
        Span { start: self.bytes.0, end: self.bytes.1 }
    }
}

/// Where each place has gone, if all else is the same.
fn moves(old: &Facts, new: &Facts) -> Option<FxHashMap<Span, Span>> {
    // Lines matter to comments that silence findings.
    let has_lines = |facts: &Facts| !facts.suppressions.is_empty() || facts.error.is_some();
    if has_lines(old) || has_lines(new) {
        return None;
    }
    let (mut old, mut new) = (old.clone(), new.clone());
    let (mut from, mut to) = (Vec::new(), Vec::new());
    old.each_place(&mut |span| from.push(std::mem::take(span)));
    new.each_place(&mut |span| to.push(std::mem::take(span)));
    (old == new && from.len() == to.len()).then(|| from.into_iter().zip(to).collect())
}
