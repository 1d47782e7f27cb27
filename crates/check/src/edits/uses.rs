//! How the names of a function are used that have what calls give: for rules that ask what becomes of a task, a generator, a coroutine.

use super::quiet::Quiet;
use crate::facts::{BindingId, Expr, ExprId, Facts, Part, Parts, ScopeId};
use crate::rules::{is_shown, is_text, misuse};
use rustc_hash::{FxHashMap, FxHashSet, FxHasher};
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

/// Of one text.
pub(super) struct Uses {
    all: FxHashMap<BindingId, Ways>,
    /// Names that functions within the one that has them use.
    seen: FxHashSet<BindingId>,
    /// Names of objects that are none of the program's, as the other text knows.
    outsiders: FxHashSet<BindingId>,
}

/// As what a name is used: the forms of what it is a part of, and whether it is a condition.
type Ways = BTreeSet<(u64, bool)>;

impl Uses {
    pub(super) fn of(quiet: Quiet<'_>, outsiders: FxHashSet<BindingId>) -> Self {
        let facts = quiet.facts;
        let truths = misuse::truths(facts);
        let mut all: FxHashMap<BindingId, Ways> = FxHashMap::default();
        let mut told: FxHashSet<ExprId> = FxHashSet::default();
        let mut add = |value: ExprId, way: u64| {
            if let Expr::Local(bindings) = &facts.exprs[value] {
                for binding in bindings.iter() {
                    all.entry(*binding).or_default().insert((way, truths.contains(&value)));
                }
            }
        };
        each_use(facts, &mut |value, way| {
            told.insert(value);
            add(value, way);
        });
        // `assert task`, and what else is a part of nothing.
        let alone = way(&"alone");
        facts.exprs.iter().filter(|(value, _)| !told.contains(value)).for_each(|(value, _)| add(value, alone));
        Self { all, seen: facts.seen_outside(), outsiders }
    }

    /// How a name is used, and whether by others.
    pub(super) fn get(&self, binding: BindingId) -> (Option<&Ways>, bool) {
        (self.all.get(&binding), self.seen.contains(&binding))
    }

    /// Whether it is known to be an object that is none of the program's.
    pub(super) fn is_outsider(&self, quiet: Quiet<'_>, binding: BindingId) -> bool {
        self.outsiders.contains(&binding) || quiet.outsiders().contains(&binding)
    }

    /// In which ways the names of a function are used that have what calls give; of those that both texts have, each is asked about by itself.
    pub(super) fn results(&self, quiet: Quiet<'_>, scope: ScopeId) -> Vec<(Option<&Ways>, bool)> {
        let all = quiet.facts.scopes[scope].names.iter().flat_map(|(_, bindings)| bindings.iter().copied());
        let known = all.filter(|binding| !self.is_outsider(quiet, *binding) && quiet.has_result(*binding));
        let mut known: Vec<_> = known.map(|binding| self.get(binding)).collect();
        known.sort_unstable();
        known
    }
}

/// Tells all expressions that something is made of, or that something happens to, and what that is.
fn each_use(facts: &Facts, tell: &mut impl FnMut(ExprId, u64)) {
    for (id, expr) in facts.exprs.iter() {
        let name = match expr {
            Expr::Attribute(_, name) => facts.name(*name),
            _ => "",
        };
        let way = way(&(std::mem::discriminant(expr), name, is_shown(facts, id)));
        each_part(expr, |part| tell(part, way));
    }
    for (_, binding) in facts.bindings.iter() {
        let way = way(&("binding", std::mem::discriminant(&binding.kind)));
        each_part(&binding.kind, |part| tell(part, way));
    }
    for (_, function) in facts.functions.iter() {
        function.returns.iter().for_each(|(value, _)| tell(*value, way(&"return")));
        function.yields.iter().for_each(|(value, _)| tell(*value, way(&"yield")));
        function.raised.iter().for_each(|value| tell(*value, way(&"raise")));
        for event in &function.events {
            tell(event.expr, way(&("event", std::mem::discriminant(&event.kind), is_text(facts, event.kind))));
        }
    }
    facts.stores.iter().for_each(|store| tell(store.value, way(&"store")));
    let fields = facts.classes.iter().flat_map(|(_, class)| &class.fields);
    fields.filter_map(|field| field.value).for_each(|value| tell(value, way(&"field")));
}

fn each_part(of: &impl Parts, mut tell: impl FnMut(ExprId)) {
    of.each_part(&mut |part| {
        if let Part::Expr(part) = part {
            tell(part);
        }
    });
}

fn way(of: &impl Hash) -> u64 {
    let mut hasher = FxHasher::default();
    of.hash(&mut hasher);
    hasher.finish()
}
