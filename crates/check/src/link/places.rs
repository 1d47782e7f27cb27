//! Fields of objects by their places: of tuples whose parts have names, and of what patterns take apart.

use super::Program;
use super::values::{ClsId, EMPTY, SetId, Step, Symbol, Value, ValueId};
use crate::facts::BindingKind;

impl Program {
    /// `pair[0]`, `left, right = pair`, `case Pair(left, right)`: what the field at that place is.
    pub(super) fn field_at(&mut self, value: ValueId, place: i32) -> SetId {
        let Value::Instance { class, .. } = *self.values.get(value) else { return EMPTY };
        let names = self.placed_fields(class);
        let place = if place < 0 {
            names.len().checked_sub(place.unsigned_abs() as usize)
        } else {
            Some(place.unsigned_abs() as usize)
        };
        match place.and_then(|place| names.get(place)) {
            Some(name) => self.step(value, Step::Attribute(*name)),
            None => EMPTY,
        }
    }

    /// The names that the bodies of a class and its bases annotate, those of bases first, in the order of the text.
    fn placed_fields(&self, class: ClsId) -> Vec<Symbol> {
        let mut all: Vec<Symbol> = Vec::new();
        let ancestors: Vec<ClsId> = self.ancestors(class).collect();
        for ancestor in ancestors.into_iter().rev() {
            let file = self.class_file(ancestor);
            let facts = &self.file(file).facts;
            let names = facts.scopes[self.class(ancestor).scope].names.iter();
            let annotated = names.filter_map(|(name, bindings)| {
                let first = *bindings.first()?;
                let is_field = matches!(facts.bindings[first].kind, BindingKind::Annotated { .. });
                is_field.then_some((first, *name))
            });
            let mut annotated: Vec<_> = annotated.collect();
            annotated.sort_unstable_by_key(|(first, _)| first.raw());
            for (_, name) in annotated {
                let name = self.symbol(file, name);
                if !all.contains(&name) {
                    all.push(name);
                }
            }
        }
        all
    }
}
