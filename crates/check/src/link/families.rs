//! Who derives from whom, kept for another program: one of which only the bodies of functions are others, or which has other classes that
//! nobody has heard of.

use super::Program;
use super::classes::Ancestor;
use super::values::{ClsId, FileId, PathId};
use crate::facts::Digest;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

/// A hierarchy, with paths as texts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Families {
    /// The number of each file's first class.
    firsts: Vec<u32>,
    paths: Vec<String>,
    orders: Vec<Vec<Kin>>,
    heirs: Vec<Vec<ClsId>>,
    live: Vec<ClsId>,
    protocols: Vec<ClsId>,
    properties: Vec<String>,
}

/// A class, or a path by its place.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Kin {
    Class(ClsId),
    External(u32),
}

/// Where the classes of one file have gone, after an edit.
pub(crate) struct ClassShift {
    file: FileId,
    /// The file's first class, and how many it had.
    first: u32,
    /// The numbers that its classes have now in the file, by those that they had.
    now: Vec<Option<u32>>,
    /// How many it has now.
    count: u32,
    /// Those that are new, and their bases, which are outside the program.
    come: Vec<(u32, Vec<String>)>,
}

impl ClassShift {
    pub(crate) fn new(
        families: &Families,
        file: FileId,
        (now, count): (Vec<Option<u32>>, u32),
        come: Vec<(u32, Vec<String>)>,
    ) -> Self {
        Self { file, first: families.firsts[file.0 as usize], now, count, come }
    }

    /// The number that a class has now, if it is still there.
    pub(crate) fn class(&self, class: ClsId) -> Option<ClsId> {
        match class.0.checked_sub(self.first) {
            None => Some(class),
            Some(local) => match self.now.get(local as usize) {
                Some(now) => now.map(|now| ClsId(self.first + now)),
                None => Some(ClsId(class.0 - self.now.len() as u32 + self.count)),
            },
        }
    }

    fn classes(&self, classes: &[ClsId]) -> Vec<ClsId> {
        classes.iter().filter_map(|class| self.class(*class)).collect()
    }
}

impl Families {
    /// The same where classes have come that derive from nothing in the program, or such are there no more.
    pub(crate) fn renumber(&mut self, shift: &ClassShift) {
        let Self { firsts, paths, orders, heirs, live, protocols, .. } = self;
        let count = orders.len() - shift.now.len() + shift.count as usize;
        let mut new_orders: Vec<Vec<Kin>> = (0..count as u32).map(|class| vec![Kin::Class(ClsId(class))]).collect();
        let mut new_heirs: Vec<Vec<ClsId>> = vec![Vec::new(); count];
        for (place, (order, heirs)) in std::mem::take(orders).into_iter().zip(&*heirs).enumerate() {
            let Some(now) = shift.class(ClsId(place as u32)) else { continue };
            let kin = order.into_iter().filter_map(|kin| match kin {
                Kin::Class(class) => shift.class(class).map(Kin::Class),
                Kin::External(path) => Some(Kin::External(path)),
            });
            new_orders[now.0 as usize] = kin.collect();
            new_heirs[now.0 as usize] = shift.classes(heirs);
        }
        for (local, bases) in &shift.come {
            for base in bases {
                let path = paths.iter().position(|path| path == base).unwrap_or_else(|| {
                    paths.push(base.clone());
                    paths.len() - 1
                });
                new_orders[(shift.first + local) as usize].push(Kin::External(path as u32));
            }
        }
        (*orders, *heirs) = (new_orders, new_heirs);
        for classes in [live, protocols] {
            *classes = shift.classes(classes);
        }
        for first in &mut firsts[shift.file.0 as usize + 1..] {
            *first = *first + shift.count - shift.now.len() as u32;
        }
    }
}

impl Program {
    /// Those of this program.
    pub(crate) fn families(&self) -> Families {
        let (mut paths, mut numbers) = (Vec::new(), FxHashMap::default());
        let mut kin = |ancestor: &Ancestor| match *ancestor {
            Ancestor::Class(class) => Kin::Class(class),
            Ancestor::External(path) => Kin::External(*numbers.entry(path).or_insert_with(|| {
                paths.push(self.values.path_text(path).to_owned());
                paths.len() as u32 - 1
            })),
        };
        let hierarchy = &self.hierarchy;
        let orders = hierarchy.orders.iter().map(|order| order.iter().map(&mut kin).collect()).collect();
        let sorted = |classes: &FxHashSet<ClsId>| {
            let mut classes: Vec<ClsId> = classes.iter().copied().collect();
            classes.sort_unstable();
            classes
        };
        Families {
            firsts: self.files.iter().map(|file| file.first_cls).collect(),
            orders,
            paths,
            heirs: hierarchy.heirs.clone(),
            live: sorted(&hierarchy.live),
            protocols: sorted(&hierarchy.protocols),
            properties: hierarchy.properties.iter().map(|name| self.values.text(*name).to_owned()).collect(),
        }
    }

    /// Takes over those that are known from before.
    pub(super) fn know_families(&mut self, digests: &[Digest], families: &Families) {
        let paths: Vec<PathId> = families.paths.iter().map(|path| self.values.path(path)).collect();
        let ancestor = |kin: &Kin| match *kin {
            Kin::Class(class) => Ancestor::Class(class),
            Kin::External(path) => Ancestor::External(paths[path as usize]),
        };
        let properties = families.properties.iter().map(|name| self.values.symbol(name)).collect();
        let hierarchy = &mut self.hierarchy;
        hierarchy.orders = families.orders.iter().map(|order| order.iter().map(ancestor).collect()).collect();
        hierarchy.heirs.clone_from(&families.heirs);
        hierarchy.protocols.extend(&families.protocols);
        hierarchy.properties = properties;
        self.learn_live(digests);
    }

    /// Whether instances of the same classes may exist as before.
    pub(crate) fn has_same_live(&self, families: &Families) -> bool {
        let live = &self.hierarchy.live;
        live.len() == families.live.len() && families.live.iter().all(|class| live.contains(class))
    }
}
