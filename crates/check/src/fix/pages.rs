//! The texts that are repaired, each with what stands where in it.

use super::places::Places;
use crate::File;
use crate::facts::Span;
use crate::link::values::FileId;
use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) struct Pages<'f> {
    pub(super) files: &'f [File],
    places: BTreeMap<FileId, Rc<Places>>,
}

impl<'f> Pages<'f> {
    pub(super) const fn new(files: &'f [File]) -> Self {
        Self { files, places: BTreeMap::new() }
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
        Rc::clone(self.places.entry(file).or_insert_with(|| Rc::new(Places::new(text))))
    }
}
