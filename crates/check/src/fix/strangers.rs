//! Functions outside any loop that somebody else calls, maybe while a loop runs, where no other can: the interpreter, or who was handed the
//! function; and loops that threads keep, which are gone once another has run.

use super::closure::{Closure, Closures, Obstacle};
use super::escapes::Escape;
use super::sites::at;
use crate::graph::{Outside, Site};
use crate::link::values::FnId;
use rustc_hash::FxHashSet;

impl Closures<'_, '_> {
    /// Whether nobody but the program calls a function, which would have to run a loop.
    pub(super) fn is_ours_to_call(&mut self, function: FnId) -> Result<(), Obstacle> {
        let name = self.name_of(function);
        let site = self.site_of(function);
        if self.graph.elsewhere.contains(&function) {
            return Ok(());
        }
        let obstacle = |by: &str| {
            let reason = format!("{by} calls `{name}`, maybe while a loop runs: it would have to run another");
            Err(Obstacle { site, reason })
        };
        let is_special = name.starts_with("__") && name.ends_with("__");
        if is_special && self.program.class_of(function).is_some() && !KNOWN_SPECIAL.contains(&name.as_str()) {
            return obstacle("Python");
        }
        for escape in self.escapes.get(&function).cloned().unwrap_or_default() {
            if let Escape::Given(call) = escape
                && let Some(outside) = self.graph.outside.iter().find(|outside| outside.site == call)
            {
                let path = self.program.values.path_text(outside.path);
                if CALLS_AT_ANY_TIME.contains(&path) {
                    return obstacle(&format!("`{path}`"));
                }
            }
        }
        Ok(())
    }

    /// Where the loop of the thread is taken, outside any, by what also gets to callers that would run one.
    pub(super) fn takes_current(&self, closure: &Closure) -> Option<Site> {
        let into = closure.functions.iter().flat_map(|function| &self.graph.into[function.0 as usize]);
        let callers = into.map(|index| at(&self.graph.edges[*index]).0);
        let callers = callers.filter(|caller| !self.awaits(*caller) && !closure.functions.contains(caller));
        let above = self.above(callers.collect());
        let takes = |call: &&Outside| self.program.values.path_text(call.path) == "asyncio.get_event_loop";
        let takers = self.graph.outside.iter().filter(takes).filter(|call| {
            let caller = call.caller;
            !(self.awaits(caller) || closure.functions.contains(&caller) || self.graph.elsewhere.contains(&caller))
        });
        let meets = |call: &&Outside| !above.is_disjoint(&self.above(vec![call.caller]));
        takers.filter(meets).map(|call| call.site).min()
    }

    /// What gets to functions outside any loop, with these.
    fn above(&self, mut next: Vec<FnId>) -> FxHashSet<FnId> {
        let mut all = FxHashSet::default();
        while let Some(function) = next.pop() {
            if !self.awaits(function) && all.insert(function) {
                let into = self.graph.into[function.0 as usize].iter();
                next.extend(into.map(|index| at(&self.graph.edges[*index]).0));
            }
        }
        all
    }
}

/// Methods whose calls are calls of the program.
const KNOWN_SPECIAL: &[&str] = &[
    "__init__",
    "__new__",
    "__post_init__",
    "__call__",
    "__enter__",
    "__exit__",
    "__iter__",
    "__next__",
    "__init_subclass__",
    "__set_name__",
];

/// What has functions called in the middle of anything.
const CALLS_AT_ANY_TIME: &[&str] =
    &["signal.signal", "weakref.finalize", "weakref.ref", "sys.settrace", "sys.setprofile"];
