//! Where functions are called, as the text has it: a call of a parameter is where the parameter is called, not where it was handed over.

use crate::facts::{EventKind, Span};
use crate::graph::{Edge, Graph, Outside, Site};
use crate::link::values::{FileId, FnId, PathId};
use rustc_hash::FxHashMap;

/// What happens at a place of the text, for all callers.
#[derive(Default)]
pub(super) struct Sites {
    edges: FxHashMap<(FnId, Site), Vec<usize>>,
    outside: FxHashMap<(FnId, Site), Vec<PathId>>,
    /// By the function in whose text they are.
    edges_of: FxHashMap<FnId, Vec<usize>>,
    /// Calls by their site alone.
    calls: FxHashMap<Site, Vec<usize>>,
    /// Calls of functions outside the program, by who calls.
    outside_of: FxHashMap<FnId, Vec<usize>>,
    /// All such calls, by file.
    outside_in: FxHashMap<FileId, Vec<usize>>,
}

/// The function that calls, and where.
pub(super) fn at(edge: &Edge) -> (FnId, Site) {
    edge.via.last().map_or((edge.caller, edge.site), |hop| (hop.function, hop.site))
}

/// What is handed to a function outside the program, and what an iteration takes, are no calls of the text.
pub(super) fn is_call(edge: &Edge) -> bool {
    matches!(edge.kind, EventKind::Call(_)) && !edge.is_handed
}

impl Sites {
    pub(super) fn new(graph: &Graph) -> Self {
        let mut sites = Self::default();
        for (index, edge) in graph.edges.iter().enumerate() {
            sites.edges.entry(at(edge)).or_default().push(index);
            sites.edges_of.entry(at(edge).0).or_default().push(index);
            if edge.via.is_empty() && is_call(edge) {
                sites.calls.entry(edge.site).or_default().push(index);
            }
        }
        for (index, outside) in graph.outside.iter().enumerate() {
            sites.outside_of.entry(outside.caller).or_default().push(index);
            sites.outside_in.entry(outside.site.file).or_default().push(index);
            sites.outside.entry((outside.caller, outside.site)).or_default().push(outside.path);
        }
        sites
    }

    /// All edges at the place of one, itself too.
    pub(super) fn beside<'s>(&'s self, graph: &'s Graph, edge: &Edge) -> impl Iterator<Item = &'s Edge> {
        let (caller, site) = at(edge);
        self.at(graph, caller, site)
    }

    /// All edges at a place.
    pub(super) fn at<'s>(&'s self, graph: &'s Graph, caller: FnId, site: Site) -> impl Iterator<Item = &'s Edge> {
        self.edges.get(&(caller, site)).into_iter().flatten().map(|index| &graph.edges[*index])
    }

    /// All edges in the text of a function.
    pub(super) fn of<'s>(&'s self, graph: &'s Graph, function: FnId) -> impl Iterator<Item = &'s Edge> {
        self.edges_of.get(&function).into_iter().flatten().map(|index| &graph.edges[*index])
    }

    /// What a function calls outside the program.
    pub(super) fn outside_of<'s>(&'s self, graph: &'s Graph, function: FnId) -> impl Iterator<Item = &'s Outside> {
        self.outside_of.get(&function).into_iter().flatten().map(|index| &graph.outside[*index])
    }

    /// What is called outside the program in a part of a file, whoever says what that is.
    pub(super) fn outside_in<'s>(
        &'s self,
        graph: &'s Graph,
        file: FileId,
        part: Span,
    ) -> impl Iterator<Item = &'s Outside> {
        let all = self.outside_in.get(&file).into_iter().flatten().map(|index| &graph.outside[*index]);
        all.filter(move |outside| part.contains(outside.site.span))
    }

    /// Functions outside the program that are called there, too.
    pub(super) fn outside(&self, edge: &Edge) -> &[PathId] {
        self.outside.get(&at(edge)).map_or(&[], Vec::as_slice)
    }

    /// Functions outside the program that this call is of.
    pub(super) fn outside_at(&self, caller: FnId, site: Site) -> &[PathId] {
        self.outside.get(&(caller, site)).map_or(&[], Vec::as_slice)
    }

    /// Edges of a call.
    pub(super) fn calls<'s>(&'s self, graph: &'s Graph, site: Site) -> impl Iterator<Item = &'s Edge> {
        self.calls.get(&site).into_iter().flatten().map(|index| &graph.edges[*index])
    }

    /// Whether each caller of the function that calls its parameter there says what that is; as far as edges with these callees tell.
    pub(super) fn is_complete(&self, graph: &Graph, edge: &Edge) -> bool {
        let (function, _) = at(edge);
        let givers = graph.into[function.0 as usize].iter().map(|index| &graph.edges[*index]);
        givers.filter(|giver| giver.runs || giver.via.is_empty()).all(|giver| {
            let from = at(giver);
            self.beside(graph, edge).any(|known| before(known) == Some(from))
        })
    }
}

/// The step before the last of an edge that goes over parameters.
fn before(edge: &Edge) -> Option<(FnId, Site)> {
    match edge.via.as_slice() {
        [] => None,
        [_] => Some((edge.caller, edge.site)),
        [.., hop, _] => Some((hop.function, hop.site)),
    }
}
