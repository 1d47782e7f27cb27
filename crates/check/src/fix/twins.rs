//! Coroutine functions that do the same as a function: `get` and `aget`, `__enter__` and `__aenter__`. Coroutines call those instead, and the
//! function stays as it is.

use super::closure::Closures;
use super::sites::{at, is_call};
use crate::facts::{EventKind, MODULE, Span};
use crate::link::Program;
use crate::link::values::{FileId, FnId};
use rustc_hash::FxHashSet;

/// The twin of a function, if all calls on the loop can be of it.
pub(super) fn twin(closures: &mut Closures<'_, '_>, function: FnId) -> Option<FnId> {
    let twin = own_twin(closures, function)?;
    let family = closures.family(function);
    let (own, name) = (closures.name_of(function), closures.name_of(twin));
    for relative in family {
        let known = own_twin(closures, relative)?;
        if closures.name_of(relative) == own && closures.name_of(known) != name {
            return None;
        }
    }
    let graph = closures.graph;
    for edge in graph.into[function.0 as usize].iter().map(|index| &graph.edges[*index]) {
        let (caller, site) = at(edge);
        if !(closures.on_loop.contains(&caller) || closures.program.function(caller).is_async) {
            continue;
        }
        let places = closures.pages.places(site.file);
        if edge.kind == EventKind::Enter && edge.via.is_empty() && places.withs.contains_key(&site.span) {
            continue;
        }
        if !is_call(edge) || !edge.via.is_empty() || caller == twin {
            return None;
        }
        let others: Vec<FnId> = closures.sites.beside(graph, edge).map(|other| other.callee).collect();
        let is_alone = others.iter().all(|other| *other == function || own_twin(closures, *other).is_some());
        let call = places.calls.get(&site.span)?;
        if !is_alone
            || !super::obstacles::is_open(call.around)
            || call.around.is_lambda
            || !closures.is_in_reach(edge, Some(twin))
        {
            return None;
        }
    }
    Some(twin)
}

/// The text of a call's function with the twin's name: where, and what.
pub(super) fn renamed(text: &str, span: Span, name: &str) -> (Span, String) {
    let last = text.rfind('.').map_or(0, |place| place + 1);
    (Span { start: span.start + last as u32, end: span.end }, name.to_owned())
}

fn own_twin(closures: &Closures<'_, '_>, function: FnId) -> Option<FnId> {
    let program = &*closures.program;
    let file = program.file_of(function);
    let this = program.function(function);
    if this.is_async || this.is_generator || this.is_lambda || !this.decorators.is_empty() {
        return None;
    }
    let name = program.file(file).facts.name(this.name);
    if matches!(name, "__enter__" | "__exit__") {
        let pair = ["__aenter__", "__aexit__"].map(|name| named(program, function, file, name));
        let [Some(enter), Some(exit)] = pair else { return None };
        let twin = if name == "__enter__" { enter } else { exit };
        let is_alone = !gets_to(closures, enter, function) && !gets_to(closures, exit, function);
        return (program.function(enter).is_async && program.function(exit).is_async && is_alone).then_some(twin);
    }
    let bare = name.trim_start_matches('_');
    let lead = &name[..name.len() - bare.len()];
    if bare.is_empty() || bare.ends_with("__") {
        return None;
    }
    let names = [format!("{lead}a{bare}"), format!("{lead}async_{bare}"), format!("{lead}{bare}_async")];
    let candidates = names.iter().find_map(|name| named(program, function, file, name));
    candidates.filter(|twin| is_alike(program, function, *twin) && !gets_to(closures, *twin, function))
}

fn named(program: &Program, function: FnId, file: FileId, name: &str) -> Option<FnId> {
    if let Some(class) = program.class_of(function) {
        return program.own_method(class, program.values.known_symbol(name)?).into_iter().next();
    }
    let facts = &program.file(file).facts;
    let is_top = |known: &crate::facts::Function| known.class.is_none() && known.parent == MODULE;
    let mut functions = facts.functions.iter();
    let found = functions.find(|(_, known)| is_top(known) && facts.name(known.name) == name).map(|(id, _)| id)?;
    is_top(program.function(function)).then(|| program.global_fn(file, found))
}

/// Whether both take the same.
fn is_alike(program: &Program, function: FnId, twin: FnId) -> bool {
    let (one, two) = (program.function(function), program.function(twin));
    let (facts, others) = (&program.file(program.file_of(function)).facts, &program.file(program.file_of(twin)).facts);
    let is_same = one.parameters.len() == two.parameters.len()
        && one.parameters.iter().zip(&two.parameters).all(|(one, two)| {
            one.kind == two.kind
                && facts.name(one.name) == others.name(two.name)
                && one.default.is_some() == two.default.is_some()
        });
    two.is_async && !two.is_generator && two.decorators.is_empty() && is_same
}

/// A twin that calls the function is none.
fn gets_to(closures: &Closures<'_, '_>, from: FnId, to: FnId) -> bool {
    let mut seen = FxHashSet::default();
    let mut next = vec![from];
    while let Some(function) = next.pop() {
        if function == to {
            return true;
        }
        if seen.insert(function) {
            let graph = closures.graph;
            next.extend(graph.from[function.0 as usize].iter().map(|index| graph.edges[*index].callee));
        }
    }
    false
}
