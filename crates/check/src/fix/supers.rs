//! Where a method that others override is taken of `super()` or of its class, and not called at once: it goes by another name then, or gets to who
//! calls it later.

use super::closure::{Closures, Obstacle};
use crate::facts::{Expr, ExprId};
use crate::graph::Site;
use crate::link::Program;
use crate::link::values::{ClsId, FileId, FnId, Value};
use rustc_hash::FxHashSet;

impl Closures<'_, '_> {
    /// Whether a method of a class above is only called, `super().method(...)` or `Class.method(...)`, wherever it may be this one.
    pub(super) fn is_taken_of_objects(&mut self, function: FnId) -> Result<(), Obstacle> {
        let Some(class) = self.program.class_of(function) else { return Ok(()) };
        let heirs = self.program.heirs(class).iter().copied().chain([class]);
        let classes: FxHashSet<ClsId> =
            heirs.flat_map(|heir| self.program.ancestors(heir).chain([heir]).collect::<Vec<_>>()).collect();
        let name = self.name_of(function);
        let is_of_class = self.has_class(function);
        for index in 0..self.program.files.len() {
            let file = FileId(index as u32);
            for (taken, object) in self.taken(file, &name) {
                let is_itself = match *self.program.expr(file, object) {
                    Expr::Super(class, _) => classes.contains(&self.program.global_cls(file, class)),
                    _ => !is_of_class && taken != object && self.is_class_among(file, object, &classes),
                };
                if is_itself {
                    let site = Site { file, span: self.program.file(file).facts.span(taken) };
                    let reason = format!(
                        "`{name}` may be taken of a class above here, and called later, outside any loop: it would run the override's coroutine function"
                    );
                    return Err(Obstacle { site, reason });
                }
            }
        }
        Ok(())
    }

    /// Attributes of a name that are not called where they are read, with their objects; and each `super()` of which no attribute is read.
    fn taken(&self, file: FileId, name: &str) -> Vec<(ExprId, ExprId)> {
        let facts = &self.program.file(file).facts;
        let (mut asked, mut called) = (FxHashSet::default(), FxHashSet::default());
        for (_, expr) in facts.exprs.iter() {
            match expr {
                Expr::Attribute(object, _) => drop(asked.insert(*object)),
                Expr::Call(callee, _) => drop(called.insert(*callee)),
                _ => {}
            }
        }
        let taken = facts.exprs.iter().filter_map(|(id, expr)| match expr {
            Expr::Super(..) if !asked.contains(&id) => Some((id, id)),
            Expr::Attribute(object, attribute) if facts.name(*attribute) == name && !called.contains(&id) => {
                Some((id, *object))
            }
            _ => None,
        });
        taken.collect()
    }

    fn is_class_among(&mut self, file: FileId, object: ExprId, classes: &FxHashSet<ClsId>) -> bool {
        let set = self.program.eval(file, object);
        let mut values = self.program.values.members(set).iter();
        values.any(
            |value| matches!(self.program.values.get(*value), Value::Class { class, .. } if classes.contains(class)),
        )
    }
}

/// Classes of the program that derive from `typing.Protocol` themselves.
pub(super) fn protocols(program: &Program) -> Vec<ClsId> {
    let mut all: Vec<ClsId> = program
        .functions()
        .filter(|function| program.is_of_protocols(*function))
        .filter_map(|function| program.class_of(function))
        .filter(|class| program.external_bases(*class).iter().any(|base| base.ends_with(".Protocol")))
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}
