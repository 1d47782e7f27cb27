//! Waits for work that was given to a loop: the one that runs can never do it meanwhile, another one that a thread runs can.

use super::{Graph, Hop, OffloadedTo, SinkCall};
use crate::catalogue::Category;
use crate::facts::{BindingKind, Expr, ExprId};
use crate::link::Program;
use crate::link::values::{FileId, PathId};

/// As which each sink is told of: a wait that may be for another loop is no deadlock.
pub(crate) fn told_as(program: &mut Program, graph: &Graph) -> Vec<Category> {
    let is_possible =
        graph.sinks.iter().any(|sink| sink.sink.category == Category::Deadlock) && threads_run_loops(program, graph);
    let mut told_as = |sink: &SinkCall| match sink.sink.category {
        Category::Deadlock if is_possible && is_for_a_new_loop(program, sink) => Category::Wait,
        category => category,
    };
    graph.sinks.iter().map(&mut told_as).collect()
}

/// Whether some thread of the program runs a loop.
fn threads_run_loops(program: &Program, graph: &Graph) -> bool {
    let runs = |path: PathId| {
        let path = program.values.path_text(path).trim_end_matches("()");
        matches!(path.rsplit('.').next(), Some("run_forever" | "run_until_complete"))
    };
    let mut outside = graph.outside.iter().chain(&graph.outside_by_parameter);
    outside.any(|call| graph.elsewhere.contains(&call.caller) && runs(call.path))
        || graph.offloaded.iter().any(|call| matches!(call.callee, OffloadedTo::External(path) if runs(path)))
}

/// Whether what is waited for was given to a loop that was made for that, and is not the one that runs.
fn is_for_a_new_loop(program: &mut Program, sink: &SinkCall) -> bool {
    let Hop { function, site } = sink.via.last().copied().unwrap_or(Hop { function: sink.caller, site: sink.site });
    let event = program.function(function).events.iter().find(|event| event.span == site.span).copied();
    let Some(waits) = event.and_then(|event| called_on(program, site.file, event.expr)) else { return false };
    let made = match program.expr(site.file, waits).clone() {
        Expr::Local(bindings) => {
            match bindings.first().map(|binding| &program.file(site.file).facts.bindings[*binding].kind) {
                Some(BindingKind::Value(value)) => *value,
                _ => return false,
            }
        }
        _ => waits,
    };
    let Expr::Call(_, arguments) = program.expr(site.file, made).clone() else { return false };
    let Some(given) = arguments.get(1) else { return false };
    let path = program.external_path_of(site.file, given.value);
    path.is_some_and(|path| program.values.path_text(path) == "asyncio.AbstractEventLoop()")
}

/// The object of a method call.
fn called_on(program: &Program, file: FileId, call: ExprId) -> Option<ExprId> {
    let Expr::Call(callee, _) = *program.expr(file, call) else { return None };
    match *program.expr(file, callee) {
        Expr::Attribute(object, _) => Some(object),
        _ => None,
    }
}
