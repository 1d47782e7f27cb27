//! What becomes of the results of functions that others call: of `asyncio.to_thread(work)`, and of what waits for it.
//!
//! It reads the facts of one file alone.

use crate::facts::{BindingId, Event, EventKind, Expr, ExprId, Facts, Part, Parts};

/// All calls of a file that may hand a function to another thread and give its result, in the order of the text, and whether somebody uses that.
pub(crate) fn all(facts: &Facts) -> Vec<bool> {
    if !facts.names.iter().any(|name| GIVERS.contains(&name)) {
        return Vec::new();
    }
    let calls = facts.exprs.iter().filter(|(call, _)| gives_result(facts, *call));
    calls.map(|(call, _)| is_used(facts, call, Stage::Waiting, 0)).collect()
}

/// Whether such a call gives what the function returns, and somebody uses that.
pub(super) fn has_used_result(facts: &Facts, call: ExprId) -> bool {
    gives_result(facts, call) && is_used(facts, call, Stage::Waiting, 0)
}

fn gives_result(facts: &Facts, call: ExprId) -> bool {
    let Expr::Call(callee, _) = facts.exprs[call] else { return false };
    facts.has_name(callee, |name| GIVERS.contains(&facts.name(name)))
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Something that can be awaited.
    Waiting,
    /// What that gives.
    Result,
}

/// Whether a result goes anywhere, even if it is to be awaited itself. What has a name goes where that goes.
fn is_used(facts: &Facts, value: ExprId, stage: Stage, depth: u32) -> bool {
    if depth > DEEPEST {
        return true;
    }
    let is_it = |part: Part| matches!(part, Part::Expr(part) if part == value);
    let is_part = facts.exprs.iter().any(|(id, expr)| match expr {
        Expr::Await(awaited) => {
            *awaited == value && (stage == Stage::Result || is_used(facts, id, Stage::Result, depth + 1))
        }
        other => has_part(other, is_it),
    });
    let mut functions = facts.functions.iter().map(|(_, function)| function);
    is_part
        || functions.any(|function| {
            function.returns.iter().chain(&function.yields).any(|(given, _)| *given == value)
                || function.raised.contains(&value)
                || function.events.iter().any(|event| event.expr == value && takes(event))
        })
        || facts.stores.iter().any(|store| store.value == value)
        || facts.classes.iter().any(|(_, class)| class.fields.iter().any(|field| field.value == Some(value)))
        || facts
            .bindings
            .iter()
            .any(|(id, binding)| has_part(&binding.kind, is_it) && is_name_used(facts, id, stage, depth))
}

/// Whether what an event does with a value is more than to make it, or to wait for it.
const fn takes(event: &Event) -> bool {
    !matches!(event.kind, EventKind::Call(_) | EventKind::Await)
}

fn is_name_used(facts: &Facts, binding: BindingId, stage: Stage, depth: u32) -> bool {
    let is_it = |expr: &Expr| matches!(expr, Expr::Local(bindings) if bindings.contains(&binding));
    let mut uses = facts.exprs.iter().filter(|(_, expr)| is_it(expr));
    facts.is_for_others(binding)
        || facts.is_seen_outside(binding)
        || uses.any(|(id, _)| is_used(facts, id, stage, depth + 1))
}

fn has_part(of: &impl Parts, is_it: impl Fn(Part) -> bool) -> bool {
    let mut has = false;
    of.each_part(&mut |part| has |= is_it(part));
    has
}

/// Functions that give what the function returns which they are handed, or what can be waited for to have that.
const GIVERS: &[&str] = &["to_thread", "run_sync", "run_in_threadpool", "run_in_executor", "submit"];
/// How many names and `await`s a value may go through.
const DEEPEST: u32 = 4;
