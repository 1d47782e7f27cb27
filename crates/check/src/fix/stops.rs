//! `StopIteration`: a coroutine function cannot raise it, neither itself nor by `next`.

use super::closure::{Closure, Closures, Obstacle};
use super::sites::at;
use crate::facts::Expr;
use crate::graph::Site;
use crate::link::values::FnId;

impl Closures<'_, '_> {
    /// Whether no function that is to change ends an iteration of its callers.
    pub(super) fn ends_no_iteration(&mut self, closure: &Closure) -> Result<(), Obstacle> {
        for &function in &closure.functions {
            if self.program.function(function).is_generator {
                continue;
            }
            if self.raises(function, STOP) {
                let reason = format!("`{}` raises `{STOP}`, which a coroutine function cannot", self.name_of(function));
                return Err(Obstacle { site: self.site_of(function), reason });
            }
            let Some(site) = self.bare_next(function) else { continue };
            let into = closure.functions.iter().flat_map(|one| &self.graph.into[one.0 as usize]);
            let callers: Vec<FnId> = into.map(|edge| at(&self.graph.edges[*edge]).0).collect();
            if callers.into_iter().any(|caller| caller != function && self.mentions(caller, STOP)) {
                let reason = format!("callers wait for the `{STOP}` of this, which a coroutine function cannot raise");
                return Err(Obstacle { site, reason });
            }
        }
        Ok(())
    }

    /// Whether a function raises a built-in exception of this name.
    fn raises(&self, function: FnId, name: &str) -> bool {
        let facts = &self.program.file(self.program.file_of(function)).facts;
        self.program.function(function).raised.iter().any(|raised| {
            let class = match &facts.exprs[*raised] {
                Expr::Call(class, _) => &facts.exprs[*class],
                other => other,
            };
            matches!(class, Expr::Global(known) if facts.name(*known) == name)
        })
    }

    /// A call of `next` without anything to fall back on.
    fn bare_next(&mut self, function: FnId) -> Option<Site> {
        let places = self.pages.places(self.program.file_of(function));
        let calls = self.sites.outside_of(self.graph, function);
        let mut nexts = calls.filter(|call| self.program.values.path_text(call.path) == "next").map(|call| call.site);
        nexts.find(|site| places.calls.get(&site.span).is_some_and(|call| call.arguments.len() == 1))
    }

    /// Whether a name is read in the text of a function.
    fn mentions(&mut self, function: FnId, name: &str) -> bool {
        let Site { file, span } = self.site_of(function);
        let places = self.pages.places(file);
        let Some(range) = places.definitions.get(&span).map(|definition| definition.range) else { return false };
        let inside = |start: u32| range.start <= start && start < range.end;
        places.names.iter().any(|read| read.name == name && inside(read.span.start))
    }
}

const STOP: &str = "StopIteration";
