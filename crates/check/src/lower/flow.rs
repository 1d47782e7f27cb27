//! Which bindings of a function's own names reach a point of its text.

use crate::facts::BindingId;
use std::rc::Rc;

/// What reaches a point: for each local name, by its number. Code that can't be reached has no say where branches meet.
#[derive(Clone, Debug)]
pub(super) struct Flow {
    reach: Vec<Reach>,
    pub(super) is_dead: bool,
}

#[derive(Clone, Debug)]
enum Reach {
    None,
    One(BindingId),
    Many(Rc<[BindingId]>),
    /// Any in its scope: the name is bound in a loop around.
    Any,
}

impl Flow {
    pub(super) fn new(locals: usize) -> Self {
        Self { reach: vec![Reach::None; locals], is_dead: false }
    }

    pub(super) fn bind(&mut self, local: usize, binding: BindingId) {
        self.reach[local] = Reach::One(binding);
    }

    pub(super) fn forget(&mut self, local: usize) {
        self.reach[local] = Reach::Any;
    }

    /// None: any in the scope.
    pub(super) fn reaching(&self, local: usize) -> Option<&[BindingId]> {
        match &self.reach[local] {
            Reach::None => Some(&[]),
            Reach::One(binding) => Some(std::slice::from_ref(binding)),
            Reach::Many(bindings) => Some(bindings),
            Reach::Any => None,
        }
    }

    /// Where two ways meet.
    pub(super) fn join(&mut self, other: &Self) {
        if other.is_dead {
            return;
        }
        if self.is_dead {
            *self = other.clone();
            return;
        }
        for (mine, others) in self.reach.iter_mut().zip(&other.reach) {
            let united = match (&*mine, others) {
                (_, Reach::None) => continue,
                (Reach::One(one), Reach::One(two)) if one == two => continue,
                (Reach::Many(many), Reach::Many(others)) if Rc::ptr_eq(many, others) => continue,
                (Reach::None, others) => others.clone(),
                (Reach::Any, _) | (_, Reach::Any) => Reach::Any,
                (one, two) => Reach::Many(unite(one.bindings(), two.bindings())),
            };
            *mine = united;
        }
    }
}

impl Reach {
    fn bindings(&self) -> &[BindingId] {
        match self {
            Self::One(binding) => std::slice::from_ref(binding),
            Self::Many(bindings) => bindings,
            Self::None | Self::Any => &[],
        }
    }
}

fn unite(one: &[BindingId], two: &[BindingId]) -> Rc<[BindingId]> {
    let mut all = [one, two].concat();
    all.sort_unstable();
    all.dedup();
    all.into()
}
