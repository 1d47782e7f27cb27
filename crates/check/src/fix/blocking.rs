//! What blocks, by the function in whose text it stands. Where a parameter is the loop, `loop.run_until_complete(...)` is told of by who says so; but
//! what changes is the function that has the parameter.

use super::pages::Pages;
use super::sites::Sites;
use crate::catalogue::Category;
use crate::graph::{Graph, SinkCall};
use crate::link::Program;
use crate::link::values::FnId;
use rustc_hash::FxHashMap;

pub(super) struct Blocking {
    pub(super) calls: Vec<SinkCall>,
    by_function: FxHashMap<FnId, Vec<usize>>,
}

impl Blocking {
    pub(super) fn new(program: &Program, graph: &Graph, pages: &mut Pages<'_>, sites: &Sites) -> Self {
        let calls: Vec<SinkCall> =
            graph.sinks.iter().map(|sink| where_it_is(program, graph, pages, sites, sink)).collect();
        let mut by_function: FxHashMap<FnId, Vec<usize>> = FxHashMap::default();
        for (index, sink) in calls.iter().enumerate() {
            by_function.entry(sink.caller).or_default().push(index);
        }
        Self { calls, by_function }
    }

    /// Those in the text of a function.
    pub(super) fn of(&self, function: FnId) -> &[usize] {
        self.by_function.get(&function).map_or(&[], Vec::as_slice)
    }
}

fn where_it_is(program: &Program, graph: &Graph, pages: &mut Pages<'_>, sites: &Sites, sink: &SinkCall) -> SinkCall {
    let is_run =
        sink.sink.category == Category::Nested && program.values.path_text(sink.path).ends_with(".run_until_complete");
    let Some(hop) = sink.via.last().filter(|_| is_run) else { return sink.clone() };
    let places = pages.places(hop.site.file);
    let text = places.calls.get(&hop.site.span).map(|call| pages.slice(hop.site.file, call.function));
    let is_method = text.is_some_and(|text| text.ends_with(".run_until_complete"));
    // Nobody gives something of the program there that has such a method.
    if is_method && sites.at(graph, hop.function, hop.site).next().is_none() {
        SinkCall { caller: hop.function, site: hop.site, via: Vec::new(), ..sink.clone() }
    } else {
        sink.clone()
    }
}
