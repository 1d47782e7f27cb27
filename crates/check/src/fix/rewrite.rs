//! The text of chains: `async def`, `await`, `async with`; and what comes in the place of the blocking call.

use super::closure::{Closures, Obstacle, is_for_chains};
use super::edit::{Edit, apply};
use super::places::{Around, Call, Places};
use super::{Refusal, Step, knowledge};
use crate::catalogue::Category;
use crate::facts::{EventKind, Span};
use crate::graph::{Edge, Graph, SinkCall, Site};
use crate::link::Program;
use crate::link::values::{FileId, FnId};
use crate::{File, Settings, Texts};
use std::collections::{BTreeMap, BTreeSet};

struct Writer<'f> {
    files: &'f [File],
    places: BTreeMap<FileId, Places>,
    edits: BTreeMap<FileId, Vec<Edit>>,
    /// Reads of a name that are gone, by file.
    gone: BTreeMap<FileId, Vec<String>>,
}

/// Chains to nested runs and sleeps.
pub(super) fn chains(files: &[File], settings: &Settings) -> Step {
    let (mut program, graph) = crate::analyse(files, knowledge(files), settings);
    let mut closures = Closures::new(&mut program, &graph);
    let mut refused: Vec<Obstacle> = Vec::new();
    let mut convert: BTreeSet<FnId> = BTreeSet::new();
    let mut sinks: Vec<usize> = Vec::new();
    let mut writer = Writer { files, places: BTreeMap::new(), edits: BTreeMap::new(), gone: BTreeMap::new() };
    for (index, sink) in graph.sinks.iter().enumerate() {
        let is_wanted = is_for_chains(sink.sink.category) && closures.on_loop.contains(&sink.caller);
        if !is_wanted || sink.truth.is_outside || sink.truth.is_dual {
            continue;
        }
        match closures.of(index).and_then(|closure| {
            writer.can_write(closures.program, &graph, &closure, sink)?;
            Ok(closure)
        }) {
            Ok(closure) => {
                convert.extend(closure);
                sinks.push(index);
            }
            Err(obstacle) => refused.push(obstacle),
        }
    }
    let on_loop = closures.on_loop.clone();
    for index in sinks {
        writer.sink(&graph.sinks[index]);
    }
    for function in &convert {
        writer.definition(&program, *function);
        for &edge in &graph.into[function.0 as usize] {
            writer.edge(&program, &graph.edges[edge], &convert, on_loop.contains(&graph.edges[edge].caller));
        }
    }
    (writer.finish(), tell(files, refused))
}

/// `nest_asyncio.apply()`, once nothing needs it any more.
pub(super) fn patches(files: &[File], settings: &Settings) -> Step {
    let (program, graph) = crate::analyse(files, knowledge(files), settings);
    let mut writer = Writer { files, places: BTreeMap::new(), edits: BTreeMap::new(), gone: BTreeMap::new() };
    let search = crate::search::Search::new(&program, &graph);
    let is_needed = search.witnesses(&program).iter().any(|witness| witness.category == Category::Nested);
    for call in graph.outside.iter().filter(|_| !is_needed) {
        if program.values.path_text(call.path) != "nest_asyncio.apply" {
            continue;
        }
        let text = &files[call.site.file.0 as usize].text;
        let places = writer.places(call.site.file);
        if let Some(statement) = places.statements.get(&call.site.span).copied() {
            let function = places.calls.get(&call.site.span).map(|call| call.function);
            writer.edit(call.site.file, Edit::replace(whole_line(text, statement), ""));
            if let Some(function) = function {
                let name = &text[function.start as usize..function.end as usize];
                let root = name.split('.').next().unwrap_or(name).to_owned();
                writer.gone.entry(call.site.file).or_default().push(root);
            }
        }
    }
    (writer.finish(), Vec::new())
}

pub(super) fn tell(files: &[File], obstacles: Vec<Obstacle>) -> Vec<Refusal> {
    let mut texts = Texts::new(files);
    obstacles
        .into_iter()
        .map(|obstacle| Refusal { place: texts.place(obstacle.site), reason: obstacle.reason })
        .collect()
}

impl Writer<'_> {
    fn places(&mut self, file: FileId) -> &Places {
        let text = &self.files[file.0 as usize].text;
        self.places.entry(file).or_insert_with(|| Places::new(text))
    }

    fn edit(&mut self, file: FileId, edit: Edit) {
        self.edits.entry(file).or_default().push(edit);
    }

    /// Whether the text has a place for all that must be written.
    fn can_write(
        &mut self,
        program: &Program,
        graph: &Graph,
        closure: &BTreeSet<FnId>,
        sink: &SinkCall,
    ) -> Result<(), Obstacle> {
        let obstacle = |site: Site, reason: &str| Err(Obstacle { site, reason: reason.to_owned() });
        let Some(call) = self.places(sink.site.file).calls.get(&sink.site.span).cloned() else {
            return obstacle(sink.site, "this is no plain call");
        };
        if call.around.is_closed || call.around.is_awaited {
            return obstacle(sink.site, NO_PLACE);
        }
        let path = program.values.path_text(sink.path);
        let has_one = matches!(call.arguments.as_slice(), [first, ..] if !first.is_starred);
        let is_run = matches!(path.rsplit('.').next(), Some("run" | "run_until_complete"));
        match sink.sink.category {
            Category::Nested if !(is_run && has_one) || path.starts_with("uvicorn") || path.starts_with("aiohttp") => {
                return obstacle(sink.site, "what this runs is not known");
            }
            Category::Deadlock => return obstacle(sink.site, "`await` the coroutine here instead"),
            Category::Sleep if path != "time.sleep" => {
                return obstacle(sink.site, "no coroutine is known that does the same");
            }
            _ => {}
        }
        for function in closure {
            for &edge in &graph.into[function.0 as usize] {
                let edge = &graph.edges[edge];
                let places = self.places(edge.site.file);
                let around: Option<Around> = match edge.kind {
                    EventKind::Call(_) => places.calls.get(&edge.site.span).map(|call| call.around),
                    EventKind::Read => places.reads.get(&edge.site.span).copied(),
                    EventKind::Enter => match places.withs.get(&edge.site.span) {
                        Some((_, 1)) => Some(Around::default()),
                        _ => return obstacle(edge.site, "this `with` has other contexts, too"),
                    },
                    _ => None,
                };
                match around {
                    Some(around) if !(around.is_closed || around.is_awaited) => {}
                    _ => return obstacle(edge.site, NO_PLACE),
                }
            }
        }
        Ok(())
    }

    /// What the module is called in a file; it is imported if it is not there.
    pub(super) fn module(&mut self, file: FileId) -> String {
        let places = self.places(file);
        if let Some(name) = places.name_of("asyncio") {
            return name.to_owned();
        }
        let at = places.first_import;
        self.edit(file, Edit::replace(Span { start: at, end: at }, "import asyncio\n"));
        "asyncio".to_owned()
    }

    fn sink(&mut self, sink: &SinkCall) {
        let (file, span) = (sink.site.file, sink.site.span);
        let Some(call) = self.places(file).calls.get(&span).cloned() else { return };
        let text = &self.files[file.0 as usize].text;
        let callee = &text[call.function.start as usize..call.function.end as usize];
        let root = callee.split('.').next().unwrap_or(callee).trim().to_owned();
        self.gone.entry(file).or_default().push(root);
        let open = if call.around.is_tight { "(await " } else { "await " };
        if sink.sink.category == Category::Sleep {
            let module = self.module(file);
            self.edit(file, Edit::before(span, open));
            self.edit(file, Edit::replace(call.function, format!("{module}.sleep")));
            if call.around.is_tight {
                self.edit(file, Edit::behind(span, ")"));
            }
            return;
        }
        self.unwrap(file, span, &call, open);
    }

    /// `asyncio.run(work(), debug=True)` becomes `await work()`.
    fn unwrap(&mut self, file: FileId, span: Span, call: &Call, open: &str) {
        let Some(argument) = call.arguments.first().copied() else { return };
        let (before, behind) = if argument.is_loose { ("(", ")") } else { ("", "") };
        let close = if call.around.is_tight { ")" } else { "" };
        self.edit(file, Edit::replace(Span { start: span.start, end: argument.span.start }, format!("{open}{before}")));
        self.edit(file, Edit::replace(Span { start: argument.span.end, end: span.end }, format!("{behind}{close}")));
    }

    fn definition(&mut self, program: &Program, function: FnId) {
        let file = program.file_of(function);
        let at = program.function(function).at;
        let text = &self.files[file.0 as usize].text;
        let Some(from) = self.places(file).definitions.get(&at).copied() else { return };
        let Some(place) = text[from as usize..at.start as usize].rfind("def") else { return };
        let start = from + place as u32;
        self.edit(file, Edit::replace(Span { start, end: start }, "async "));
        let renamed = match &text[at.start as usize..at.end as usize] {
            "__enter__" => "__aenter__",
            "__exit__" => "__aexit__",
            _ => return,
        };
        self.edit(file, Edit::replace(at, renamed));
    }

    fn edge(&mut self, program: &Program, edge: &Edge, convert: &BTreeSet<FnId>, is_on_loop: bool) {
        let (file, span) = (edge.site.file, edge.site.span);
        let awaits = program.function(edge.caller).is_async || convert.contains(&edge.caller) || is_on_loop;
        let places = self.places(file);
        let around = match edge.kind {
            EventKind::Enter => {
                if let Some((start, _)) = places.withs.get(&span).copied() {
                    self.edit(file, Edit::replace(Span { start, end: start }, "async "));
                }
                return;
            }
            EventKind::Read => places.reads.get(&span).copied(),
            _ => places.calls.get(&span).map(|call| call.around),
        };
        let Some(around) = around else { return };
        let (open, close) = match (awaits, around.is_tight) {
            (true, true) => ("(await ".to_owned(), ")"),
            (true, false) => ("await ".to_owned(), ""),
            (false, _) => (format!("{}.run(", self.module(file)), ")"),
        };
        self.edit(file, Edit::before(span, open));
        if !close.is_empty() {
            self.edit(file, Edit::behind(span, close));
        }
    }

    /// The new texts, without imports that nobody needs any more.
    fn finish(mut self) -> BTreeMap<String, String> {
        let mut changed = BTreeMap::new();
        for (file, gone) in std::mem::take(&mut self.gone) {
            self.drop_imports(file, &gone);
        }
        for (file, edits) in self.edits {
            let file = &self.files[file.0 as usize];
            if let Some(text) = apply(&file.text, &edits)
                && text != file.text
            {
                changed.insert(file.path.clone(), text);
            }
        }
        changed
    }

    fn drop_imports(&mut self, file: FileId, gone: &[String]) {
        let text = &self.files[file.0 as usize].text;
        let places = self.places(file);
        let mut lines = Vec::new();
        for import in &places.imports {
            let is_gone = matches!(import.module.as_str(), "time" | "nest_asyncio");
            let uses = places.uses.get(&import.name).copied().unwrap_or(0);
            let removed = gone.iter().filter(|name| **name == import.name).count();
            if is_gone
                && import.is_alone
                && import.is_top
                && removed > 0
                && uses == removed
                && import.member.as_deref() != Some("*")
            {
                lines.push(whole_line(text, import.statement));
            }
        }
        for line in lines {
            self.edit(file, Edit::replace(line, ""));
        }
    }
}

/// A statement with its line, if it has the line for itself.
fn whole_line(text: &str, statement: Span) -> Span {
    let start = text[..statement.start as usize].rfind('\n').map_or(0, |place| place + 1);
    let end = text[statement.end as usize..].find('\n').map_or(text.len(), |place| statement.end as usize + place + 1);
    let is_alone =
        text[start..statement.start as usize].trim().is_empty() && text[statement.end as usize..end].trim().is_empty();
    if !is_alone {
        return statement;
    }
    // Of the empty lines around it one side is enough.
    let is_after_gap = text[..start].ends_with("\n\n");
    let gap = usize::from(is_after_gap && text[end..].starts_with('\n'));
    Span { start: start as u32, end: (end + gap) as u32 }
}

const NO_PLACE: &str =
    "there is no place for `await`: a lambda, a generator expression, a default, a decorator, or a class body";
