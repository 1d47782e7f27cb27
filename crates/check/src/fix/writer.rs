//! The text of chains: `async def`, `await`, `async with`, `async for`; and what comes in the place of the blocking call.

use super::closure::Closures;
use super::edit::{Edit, apply, indent, line_starts};
use super::pages::Pages;
use super::places::{Around, Call, Form, Listed, Places};
use super::shared::Shared;
use super::sites::at;
use super::sweep::sweep;
use super::{imports, twins};
use crate::catalogue::Category;
use crate::facts::{EventKind, Span};
use crate::graph::{Edge, SinkCall, Site};
use crate::link::Program;
use crate::link::values::{FileId, FnId};
use std::collections::{BTreeMap, BTreeSet};

/// What is to be written, of all files.
#[derive(Default)]
pub(super) struct Writer {
    edits: BTreeMap<FileId, Vec<Edit>>,
    /// Statements that go.
    gone: BTreeMap<FileId, BTreeSet<Span>>,
    /// Contexts of `with` statements that go; the bodies stay.
    opened: BTreeMap<FileId, BTreeSet<Span>>,
    /// Members of modules that are imported beside one that is: the known one's name, and the new one's.
    beside: BTreeMap<FileId, BTreeSet<(String, String)>>,
    /// Files that need `asyncio`.
    needs: BTreeSet<FileId>,
}

/// How code outside any loop runs a coroutine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Outside {
    /// `asyncio.run(...)`
    #[default]
    Run,
    /// On the thread's own loop, as before.
    Current,
}

impl Writer {
    pub(super) fn edit(&mut self, file: FileId, edit: Edit) {
        let edits = self.edits.entry(file).or_default();
        if !edits.contains(&edit) {
            edits.push(edit);
        }
    }

    pub(super) fn remove(&mut self, file: FileId, statement: Span) {
        self.gone.entry(file).or_default().insert(statement);
    }

    /// The only context of a `with` goes, and with it the `with`.
    pub(super) fn open(&mut self, file: FileId, context: Span) {
        self.edit(file, Edit::replace(context, ""));
        self.opened.entry(file).or_default().insert(context);
    }

    /// What `asyncio` is called in a file; it is imported if it is not there.
    pub(super) fn module(&mut self, pages: &mut Pages<'_>, file: FileId) -> String {
        let places = pages.places(file);
        if let Some(name) = places.name_of("asyncio") {
            return name.to_owned();
        }
        self.needs.insert(file);
        "asyncio".to_owned()
    }

    /// The blocking call itself.
    pub(super) fn sink(&mut self, pages: &mut Pages<'_>, sink: &SinkCall) {
        let (file, span) = (sink.site.file, sink.site.span);
        let Some(call) = pages.places(file).calls.get(&span).cloned() else { return };
        if sink.sink.category == Category::Sleep {
            let module = self.module(pages, file);
            self.edit(file, Edit::replace(call.function, format!("{module}.sleep")));
            self.await_(file, span, call.around);
            return;
        }
        if sink.sink.category != Category::Nested {
            return self.offloaded(pages, sink.site);
        }
        self.unwrap(pages.text(file), file, span, &call);
    }

    /// `load(x)` becomes `await asyncio.to_thread(load, x)`.
    pub(super) fn offloaded(&mut self, pages: &mut Pages<'_>, site: Site) {
        let Some(call) = pages.places(site.file).calls.get(&site.span).cloned() else { return };
        let module = self.module(pages, site.file);
        self.listed(site.file, call.around);
        let open = if call.around.is_tight { "(await " } else { "await " };
        self.edit(site.file, Edit::before(site.span, format!("{open}{module}.to_thread(")));
        let has_arguments = !call.arguments.is_empty() || !call.keywords.is_empty();
        let comma = match pages.slice(site.file, call.inner) {
            _ if !has_arguments => "",
            inner if inner.starts_with(['\n', '\r', ' ', '\t']) => ",",
            _ => ", ",
        };
        let between = Span { start: call.function.end, end: call.inner.start };
        self.edit(site.file, Edit::replace(between, comma));
        if call.around.is_tight {
            self.edit(site.file, Edit::behind(site.span, ")"));
        }
    }

    /// `asyncio.run(work(), debug=True)` becomes `await work()`.
    fn unwrap(&mut self, text: &str, file: FileId, span: Span, call: &Call) {
        let Some(argument) = call.run else { return };
        let open = if call.around.is_tight { "(await " } else { "await " };
        let close = if call.around.is_tight { ")" } else { "" };
        self.listed(file, call.around);
        let (head, tail) = (Span { end: argument.span.start, ..span }, Span { start: argument.span.end, ..span });
        let has_comment = |part: Span| text[part.start as usize..part.end as usize].contains('#');
        if has_comment(head) || has_comment(tail) {
            // The brackets stay, with all that is in them.
            self.edit(file, Edit::replace(Span { end: call.inner.start, ..span }, format!("{open}(")));
            if let Some(comma) = comma(text, tail) {
                self.edit(file, Edit::replace(Span { start: comma, end: comma + 1 }, ""));
            }
            self.edit(file, Edit::behind(span, close));
            return;
        }
        self.outdent(text, file, span, argument.span);
        let (before, behind) = if argument.is_loose { ("(", ")") } else { ("", "") };
        self.edit(file, Edit::replace(head, format!("{open}{before}")));
        self.edit(file, Edit::replace(tail, format!("{behind}{close}")));
    }

    /// An argument that had lines of its own moves to the left.
    fn outdent(&mut self, text: &str, file: FileId, call: Span, argument: Span) {
        let inner = &text[argument.start as usize..argument.end as usize];
        let is_own_line = text[call.start as usize..argument.start as usize].contains(['\n', '\r']);
        if !is_own_line || inner.contains("\"\"\"") || inner.contains("'''") {
            return;
        }
        let by = indent(text, argument.start).len().saturating_sub(indent(text, call.start).len());
        let outdents = line_starts(text, argument).map(|at| Edit::outdent(at, by as u32));
        self.edits.entry(file).or_default().extend(outdents);
    }

    fn await_(&mut self, file: FileId, span: Span, around: Around) {
        if around.is_lambda {
            return;
        }
        self.listed(file, around);
        self.edit(file, Edit::before(span, if around.is_tight { "(await " } else { "await " }));
        if around.is_tight {
            self.edit(file, Edit::behind(span, ")"));
        }
    }

    /// A generator expression around it becomes a list.
    fn listed(&mut self, file: FileId, around: Around) {
        let Some(Listed { span, has_brackets }) = around.list else { return };
        if has_brackets {
            self.edit(file, Edit::replace(Span { start: span.start, end: span.start + 1 }, "["));
            self.edit(file, Edit::replace(Span { start: span.end - 1, end: span.end }, "]"));
        } else {
            self.edit(file, Edit::before(span, "["));
            self.edit(file, Edit::behind(span, "]"));
        }
    }

    pub(super) fn definition(&mut self, closures: &mut Closures<'_, '_>, function: FnId) {
        let this = closures.program.function(function);
        let (at, is_generator) = (this.at, this.is_generator);
        let file = closures.program.file_of(function);
        let places = closures.pages.places(file);
        let Some(definition) = places.definitions.get(&at) else { return };
        let head = closures.pages.slice(file, Span { start: definition.from, end: at.start });
        let Some(place) = head.rfind("def") else { return };
        let start = definition.from + place as u32;
        self.edit(file, Edit::replace(Span { start, end: start }, "async "));
        match closures.pages.slice(file, at) {
            "__enter__" => self.edit(file, Edit::replace(at, "__aenter__")),
            "__exit__" => self.edit(file, Edit::replace(at, "__aexit__")),
            _ => {}
        }
        if is_generator {
            for span in definition.decorators.clone() {
                self.renamed(closures.pages, file, span, "contextmanager", "asynccontextmanager");
            }
            if let Some(annotation) = definition.annotation {
                self.annotation(closures.pages, file, annotation);
            }
        }
    }

    /// `Iterator[int]` of a generator becomes `AsyncIterator[int]`.
    fn annotation(&mut self, pages: &mut Pages<'_>, file: FileId, span: Span) {
        let text = pages.slice(file, span);
        let (name, arguments) = text.split_at(text.find('[').unwrap_or(text.len()));
        let last = name.rsplit('.').next().unwrap_or(name).trim();
        if !matches!(last, "Iterator" | "Iterable" | "Generator") {
            return;
        }
        let head = Span { start: span.start, end: span.start + name.trim_end().len() as u32 };
        self.renamed(pages, file, head, last, &format!("Async{last}"));
        if last == "Generator"
            && let Some(comma) = last_comma(arguments)
        {
            // It returns nothing.
            let start = head.start + (name.len() + comma) as u32;
            self.edit(file, Edit::replace(Span { start, end: span.end - 1 }, ""));
        }
    }

    /// Another member of the module that a name is of.
    fn renamed(&mut self, pages: &mut Pages<'_>, file: FileId, span: Span, old: &str, new: &str) {
        let text = pages.slice(file, span);
        let Some(place) = text.rfind(old).filter(|place| text[..*place].is_empty() || text[..*place].ends_with('.'))
        else {
            return self.aliased(pages, file, span, old, new);
        };
        if place == 0 {
            self.beside.entry(file).or_default().insert((old.to_owned(), new.to_owned()));
        }
        let start = span.start + place as u32;
        self.edit(file, Edit::replace(Span { start, end: start + old.len() as u32 }, new));
    }

    /// `from contextlib import contextmanager as manager`.
    fn aliased(&mut self, pages: &mut Pages<'_>, file: FileId, span: Span, old: &str, new: &str) {
        let name = pages.slice(file, span).to_owned();
        let is_it = pages.places(file).import_of(&name).is_some_and(|import| import.member.as_deref() == Some(old));
        if is_it {
            self.beside.entry(file).or_default().insert((name, new.to_owned()));
            self.edit(file, Edit::replace(span, new));
        }
    }

    /// A call or another use of a function that has become a coroutine function.
    ///
    /// `outside` says how to run it where nothing can be awaited.
    pub(super) fn edge(&mut self, closures: &mut Closures<'_, '_>, edge: &Edge, outside: Option<Outside>) {
        let (_, site) = at(edge);
        let is_generator = closures.program.function(edge.callee).is_generator;
        let places = closures.pages.places(site.file);
        match edge.kind {
            EventKind::Enter => {
                if let Some((start, _)) = places.withs.get(&site.span) {
                    self.edit(site.file, Edit::replace(Span { start: *start, end: *start }, "async "));
                }
            }
            EventKind::Iterate => self.iteration(closures.pages, site, edge.is_handed),
            _ if is_generator => {}
            kind => {
                let around = match kind {
                    EventKind::Read => places.reads.get(&site.span).copied(),
                    _ => places.calls.get(&site.span).map(|call| call.around),
                };
                let Some(around) = around else { return };
                match outside {
                    None => self.await_(site.file, site.span, around),
                    Some(outside) => self.run(closures.pages, site, outside),
                }
            }
        }
    }

    /// What runs a coroutine outside any loop, up to its bracket.
    pub(super) fn runner(&mut self, pages: &mut Pages<'_>, file: FileId, outside: Outside) -> String {
        let module = self.module(pages, file);
        match outside {
            Outside::Run => format!("{module}.run("),
            Outside::Current => format!("{module}.get_event_loop().run_until_complete("),
        }
    }

    /// Outside any loop.
    fn run(&mut self, pages: &mut Pages<'_>, site: Site, outside: Outside) {
        let open = self.runner(pages, site.file, outside);
        self.edit(site.file, Edit::before(site.span, open));
        self.edit(site.file, Edit::behind(site.span, ")"));
    }

    fn iteration(&mut self, pages: &mut Pages<'_>, site: Site, is_handed: bool) {
        let file = site.file;
        let places = pages.places(file);
        if is_handed {
            let item = free_name(&places);
            let Some(call) = places.calls.get(&site.span) else { return };
            let Some(argument) = call.arguments.first().map(|argument| argument.span) else { return };
            let open = format!("[{item} async for {item} in ");
            self.listed(file, call.around);
            if pages.slice(file, call.function) == "list" && call.keywords.is_empty() {
                self.edit(file, Edit::replace(Span { start: site.span.start, end: argument.start }, open));
                self.edit(file, Edit::replace(Span { start: argument.end, end: site.span.end }, "]"));
            } else {
                self.edit(file, Edit::before(argument, open));
                self.edit(file, Edit::behind(argument, "]"));
            }
            return;
        }
        let Some(found) = places.loops.get(&site.span) else { return };
        self.listed(file, found.around);
        match found.form {
            Form::For(start) => self.edit(file, Edit::replace(Span { start, end: start }, "async ")),
            Form::Delegation(inner) => self.delegation(pages, site, inner, "async "),
        }
    }

    /// What else a generator that becomes asynchronous yields from: `yield from` is for plain ones.
    pub(super) fn delegations(
        &mut self,
        closures: &mut Closures<'_, '_>,
        function: FnId,
        is_changed: impl Fn(FnId) -> bool,
    ) {
        let Site { file, span: name } = closures.site_of(function);
        let places = closures.pages.places(file);
        let Some(range) = places.definitions.get(&name).map(|definition| definition.range) else { return };
        for (span, found) in places.loops.iter().filter(|(span, _)| range.contains(**span)) {
            let Form::Delegation(inner) = found.form else { continue };
            let is_own = places.function_around(span.start).is_some_and(|definition| definition.range == range);
            let site = Site { file, span: *span };
            let mut known = closures.sites.at(closures.graph, function, site);
            let is_asynchronous = known.any(|edge| edge.kind == EventKind::Iterate && is_changed(edge.callee));
            if is_own && !is_asynchronous {
                self.delegation(closures.pages, site, inner, "");
            }
        }
    }

    /// `yield from inner` becomes `for item in inner: yield item`.
    fn delegation(&mut self, pages: &mut Pages<'_>, site: Site, inner: Span, lead: &str) {
        let file = site.file;
        let item = free_name(&pages.places(file));
        let text = pages.text(file);
        let start = text[..site.span.start as usize].rfind('\n').map_or(0, |place| place + 1);
        let indent = &text[start..site.span.start as usize];
        let line = if indent.trim().is_empty() {
            let step = if indent.contains('\t') { "\t" } else { "    " };
            format!("{}{indent}{step}", imports::line_break(text))
        } else {
            " ".to_owned()
        };
        let head = Span { start: site.span.start, end: inner.start };
        self.edit(file, Edit::replace(head, format!("{lead}for {item} in ")));
        let tail = Span { start: inner.end, end: site.span.end };
        self.edit(file, Edit::replace(tail, format!(":{line}yield {item}")));
    }

    /// A coroutine calls a coroutine function of this name instead, which is where the function is.
    pub(super) fn other_name(&mut self, closures: &mut Closures<'_, '_>, edge: &Edge, name: &str) {
        let (_, site) = at(edge);
        if edge.kind == EventKind::Enter {
            return self.edge(closures, edge, None);
        }
        let Some(call) = closures.pages.places(site.file).calls.get(&site.span).cloned() else { return };
        let home = closures.program.file_of(edge.callee);
        let text = closures.pages.slice(site.file, call.function);
        let (span, new) = twins::renamed(text, call.function, name);
        if !text.contains('.') && site.file != home {
            self.beside.entry(site.file).or_default().insert((text.to_owned(), name.to_owned()));
        }
        self.edit(site.file, Edit::replace(span, new));
        self.await_(site.file, site.span, call.around);
    }

    /// `asyncio.to_thread(load, x)` becomes `asyncio.to_thread(asyncio.run, load(x))`.
    pub(super) fn offload(&mut self, pages: &mut Pages<'_>, site: Site, function: Span) {
        let file = site.file;
        let Some(call) = pages.places(file).calls.get(&site.span).cloned() else { return };
        let module = self.module(pages, file);
        self.edit(file, Edit::before(function, format!("{module}.run, ")));
        let rest = pages.slice(file, Span { start: function.end, end: call.inner.end });
        let Some(comma) = rest.find(',').filter(|place| rest[..*place].trim().is_empty()) else {
            self.edit(file, Edit::behind(function, "()"));
            return;
        };
        let blank = rest[comma + 1..].len() - rest[comma + 1..].trim_start_matches([' ', '\t']).len();
        let end = function.end + (comma + 1 + blank) as u32;
        self.edit(file, Edit::replace(Span { start: function.end, end }, "("));
        self.edit(file, Edit::replace(Span { start: call.inner.end, end: call.inner.end }, ")"));
    }

    /// The new texts, without what nobody needs any more; none at all, if changes got into each other's way.
    pub(super) fn finish(mut self, program: &mut Program, pages: &mut Pages<'_>) -> Option<BTreeMap<String, String>> {
        let mut touched: BTreeSet<FileId> = self.edits.keys().copied().collect();
        touched.extend(self.gone.keys());
        touched.extend(&self.needs);
        let mut changed = BTreeMap::new();
        let shared = if touched.is_empty() { Shared::default() } else { Shared::new(program) };
        for file in touched {
            let places = pages.places(file);
            let text = pages.text(file);
            let mut edits = self.edits.remove(&file).unwrap_or_default();
            let mut gone = self.gone.remove(&file).unwrap_or_default();
            let opened = self.opened.remove(&file).unwrap_or_default();
            let beside = self.beside.remove(&file).unwrap_or_default();
            let is_shared = |name: &str| shared.has(file, name);
            let new = imports::adjust(&places, text, &edits, &mut gone, &beside, self.needs.contains(&file), is_shared);
            edits.extend(new);
            edits.extend(sweep(text, &gone, &opened));
            let new = apply(text, &edits)?;
            if new != text {
                changed.insert(pages.files[file.0 as usize].path.clone(), new);
            }
        }
        Some(changed)
    }
}

/// The first comma that is in no comment.
fn comma(text: &str, part: Span) -> Option<u32> {
    let mut is_comment = false;
    let place = text[part.start as usize..part.end as usize].bytes().position(|byte| {
        is_comment = !matches!(byte, b'\n' | b'\r') && (is_comment || byte == b'#');
        byte == b',' && !is_comment
    })?;
    Some(part.start + place as u32)
}

/// A name for what a loop takes.
fn free_name(places: &Places) -> &'static str {
    let name = ["item", "each", "element", "_item"].into_iter().find(|name| !places.bound.contains(*name));
    name.unwrap_or("_each")
}

/// The last comma of `[one, two, three]` that is between its arguments.
fn last_comma(text: &str) -> Option<usize> {
    let (mut depth, mut last, mut count) = (0, None, 0);
    for (place, character) in text.char_indices() {
        match character {
            '[' | '(' => depth += 1,
            ']' | ')' => depth -= 1,
            ',' if depth == 1 => (last, count) = (Some(place), count + 1),
            _ => {}
        }
    }
    last.filter(|_| count == 2)
}
