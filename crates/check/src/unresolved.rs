//! Calls that are not followed, because they may mean too many functions: what `--strict` lists. They are no findings; they say where this
//! analysis has a gap.

use crate::facts::{EventKind, Expr};
use crate::graph::Site;
use crate::link::Program;
use crate::link::values::FnId;
use rustc_hash::FxHashSet;

/// All of them, and what is to be said of each, in the order of the text.
pub(crate) fn calls(program: &mut Program, shared: &[(FnId, Site, usize)]) -> Vec<(Site, String)> {
    let mut found = Vec::new();
    for (function, site, count) in shared {
        let name = program.file(program.file_of(*function)).facts.name(program.function(*function).qualified);
        let told =
            format!("{count} functions call `{name}`, and what it calls was registered: not followed from there");
        found.push((*site, told));
    }
    let mut seen = FxHashSet::default();
    for function in program.functions() {
        let file = program.file_of(function);
        for event in program.events(function).iter().copied() {
            let (EventKind::Call(_), Expr::Call(callee, _)) = (event.kind, program.expr(file, event.expr)) else {
                continue;
            };
            let Expr::Attribute(object, name) = *program.expr(file, *callee) else { continue };
            let name = program.symbol(file, name);
            let objects = program.eval(file, object);
            let most =
                program.values.members(objects).iter().filter_map(|object| program.too_many(*object, name)).max();
            let site = Site { file, span: event.span };
            if let Some(count) = most
                && seen.insert(site)
            {
                let name = program.values.text(name);
                found.push((site, format!("`{name}` may be any of {count} functions: this call is not followed")));
            }
        }
    }
    found.sort_unstable();
    found
}
