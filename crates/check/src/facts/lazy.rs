//! Facts that are read when somebody asks for them.

use super::Facts;
use std::cell::OnceCell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

/// The facts of a file, or how to get them.
pub(crate) struct Lazy {
    facts: OnceCell<Rc<Facts>>,
    load: Option<Box<dyn Fn() -> Facts>>,
}

impl Lazy {
    /// Facts that are read once somebody asks for them.
    pub(crate) fn new(load: Box<dyn Fn() -> Facts>) -> Self {
        Self { facts: OnceCell::new(), load: Some(load) }
    }

    /// For whoever asks the program about them meanwhile.
    pub(crate) fn share(&self) -> Rc<Facts> {
        Rc::clone(self.get())
    }

    fn get(&self) -> &Rc<Facts> {
        self.facts.get_or_init(|| Rc::new(self.load.as_ref().map(|load| load()).unwrap_or_default()))
    }

    pub(crate) fn into_facts(self) -> Facts {
        let _ = self.get();
        self.facts.into_inner().map(Rc::unwrap_or_clone).unwrap_or_default()
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.facts.fmt(formatter)
    }
}

impl From<Facts> for Lazy {
    fn from(facts: Facts) -> Self {
        Self { facts: OnceCell::from(Rc::new(facts)), load: None }
    }
}

impl Deref for Lazy {
    type Target = Facts;

    fn deref(&self) -> &Facts {
        self.get()
    }
}
