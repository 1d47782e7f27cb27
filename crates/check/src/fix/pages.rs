//! The texts that are repaired, each with what stands where in it.

use super::places::Places;
use crate::File;
use crate::facts::Span;
use crate::link::values::FileId;
use std::collections::BTreeMap;
use std::rc::Rc;

/// What stands where, of files that were looked at; as long as their texts stay the same.
pub(super) type Known = BTreeMap<FileId, Rc<Places>>;

pub(super) struct Pages<'f> {
    pub(super) files: &'f [File],
    known: &'f mut Known,
}

impl<'f> Pages<'f> {
    pub(super) const fn new(files: &'f [File], known: &'f mut Known) -> Self {
        Self { files, known }
    }

    pub(super) fn text(&self, file: FileId) -> &'f str {
        &self.files[file.0 as usize].text
    }

    pub(super) fn slice(&self, file: FileId, span: Span) -> &'f str {
        &self.text(file)[span.start as usize..span.end as usize]
    }

    /// Of a file; it is read once.
    pub(super) fn places(&mut self, file: FileId) -> Rc<Places> {
        let text = self.text(file);
        Rc::clone(self.known.entry(file).or_insert_with(|| Rc::new(Places::new(text))))
    }
}
