//! An edit of what functions do: the whole program is asked what it comes to, and only what others cannot see of it may be something else.
//!
//! What the file's functions do is looked at again, and that alone; its old parts must come to the same as before. What others have asked of
//! the functions must have the same answers. Then the outline of the calls is as it would be if all were looked at, and is searched again; and
//! the rules of single files look at this one.

use super::moves::{Changed, Moves};
use super::retold::{HeardAgain, Shift};
use super::{Edit, add_idle};
use crate::facts::{Expr, ExprId, FunctionId, Parameter, ParameterKind, Span};
use crate::graph::part::Part;
use crate::graph::{Graph, MOST_GIVERS, Site, bit_of, bits_from};
use crate::link::values::{FileId, FnId, Value};
use crate::link::{Asked, Prints, Program};
use crate::rules::{self, Raw};
use crate::search::{Again, Call, FromAgain, Outline, Search, Stakes};
use crate::settings::Settings;
use crate::{File, Finding, Known, Report, Texts, is_wanted, program_of};
use rustc_hash::FxHashSet;

impl Report {
    /// The report after an edit of which only the whole program can tell what it comes to; `whole` gives what is known of all files.
    pub(super) fn redone(
        mut self,
        moves: &Moves,
        edit: Edit<'_>,
        (files, settings): (&[File], &Settings),
        whole: &dyn Fn() -> Option<Vec<Known>>,
    ) -> Option<Self> {
        if settings.strict {
            return None;
        }
        let (id, old, new) = (FileId(edit.index as u32), &edit.old.1, &edit.new.1);
        let before = self.outline.take()?;
        let shift = Shift::new(&before, id, (old, new), moves);
        let (called, lost) = (shift.called(&before), shift.came_by(&before));
        let heard = shift.heard_again(&before)?;
        let mut outline = shift.apply(before)?;
        moves.asked_return(&outline, id).then_some(())?;
        add_idle(&mut outline, new, id, &moves.idle);
        is_unseen(&outline, moves, edit).then_some(())?;
        let mut program = program_of(files, whole()?, settings, Some(&outline.families));
        has_same_classes(&program, &outline, moves, id).then_some(())?;
        (!moves.renewed.fields().any(|field| program.may_tell_of(id, field))).then_some(())?;
        gives_the_same(&mut program, &outline, moves, edit)?;
        let touched: Vec<bool> =
            heard.iter().map(|call| hands_on_the_same(&mut program, &outline, call)).collect::<Option<_>>()?;
        let known = heard.iter().map(|call| (call.caller, call.callee, call.site)).collect();
        let functions = program.functions_of(id).map(FnId);
        let mut part = Part::new(&mut program, functions, outline.before(&called));
        part.spread(shift.news(), &lost, &known)?;
        let places: FxHashSet<Span> = moves.spans.values().copied().collect();
        let is_old = |site: Site| site.file == id && places.contains(&site.span);
        let news = Again { file: id, news: shift.news(), is_old: &is_old, known: &known };
        let edges = outline.take(&part, &news)?;
        // Behind calls of those that only return where no loop runs, none does: that is so, or not, for all that is there.
        let come = edges.keys().map(|call| outline.calls[*call as usize].callee);
        called.iter().copied().chain(come).all(|callee| outline.returning[callee.0 as usize]).then_some(())?;
        heard.iter().zip(touched).all(|(call, is_touched)| is_there_again(&outline, call, is_touched)).then_some(())?;
        // Those whom nobody calls any more have their own defaults.
        let is_called = outline.calls.iter().map(|call| call.callee).collect::<FxHashSet<FnId>>();
        let is_left = |function: &FnId| !is_called.contains(function) && outline.has_variables[function.0 as usize];
        (!called.iter().any(is_left)).then_some(())?;
        is_unheard(&outline, moves, id, edges.keys().copied()).then_some(())?;
        let found = search(&mut outline, &mut part, edges)?;
        let graph = part.into_graph();
        let is_cut = |(_, new): (FunctionId, FunctionId)| program.is_cut(program.global_fn(id, new));
        (!moves.redone().any(is_cut)).then_some(())?;
        let own = run_rules(&mut program, &graph, &outline.stakes, id)?;
        outline.renew_noises(&program, &graph, &news);
        outline.add_noises(&program, own.iter().map(|raw| raw.site).chain(graph.answered()));
        outline.renew_asked(&program)?;
        self.renew_own(own, (edit, moves), &mut outline, (files, settings))?;
        self.tell(outline, found, files, settings);
        self.watched.renew(&program);
        self.sort();
        Some(self)
    }

    /// What rules of single files find in this one. In functions that did not change it must be what it was.
    fn renew_own(
        &mut self,
        own: Vec<Raw>,
        (edit, moves): (Edit<'_>, &Moves),
        outline: &mut Outline,
        (files, settings): (&[File], &Settings),
    ) -> Option<()> {
        let file = &files[edit.index];
        let (old, new) = (&edit.old.1, &edit.new.1);
        let is_own = |finding: &Finding| {
            finding.place.path == file.path && !rules::is_of_outline(finding.code) && finding.code != rules::OF_THREADS
        };
        let (kept, others) = std::mem::take(&mut self.findings).into_iter().partition(is_own);
        self.findings = others;
        self.findings.retain(|finding| !rules::is_of_outline(finding.code));
        self.move_places(&file.path, file, &moves.spans)?;
        let threads: FxHashSet<Span> = self
            .findings
            .iter()
            .filter(|finding| finding.place.path == file.path)
            .map(|finding| finding.place.span())
            .collect();
        let own: Vec<Raw> = own
            .into_iter()
            .filter(|raw| raw.rule.code != rules::OF_TASKS || !threads.contains(&raw.site.span))
            .collect();
        for idle in outline.stakes.idle.iter_mut().filter(|idle| idle.site.file.0 as usize == edit.index) {
            let is_of_threads = || threads.iter().any(|span| idle.site.span.contains(*span));
            let is_mended = own.iter().any(|raw| idle.site.contains(raw.site)) || is_of_threads();
            // It may have been by something that a comment silences.
            (is_mended || !idle.is_mended).then_some(())?;
            idle.is_mended = is_mended;
        }
        let own: Vec<Raw> = own.into_iter().filter(|raw| is_wanted(raw, outline, files, settings)).collect();
        let redone = |of: fn(&(FunctionId, FunctionId)) -> FunctionId| moves.redone().map(move |pair| of(&pair));
        let were: Vec<Span> = redone(|(old, _)| *old).map(|id| old.functions[id].span).collect();
        let are: Vec<Span> = redone(|(_, new)| *new).map(|id| new.functions[id].span).collect();
        let is_in = |spans: &[Span], span: Span| spans.iter().any(|one| one.contains(span));
        let kept = kept.iter().filter(|finding: &&Finding| !is_in(&were, finding.place.span()));
        let kept: Option<FxHashSet<(&str, Span)>> =
            kept.map(|finding| Some((finding.code, *moves.spans.get(&finding.place.span())?))).collect();
        let told =
            own.iter().filter(|raw| !is_in(&are, raw.site.span)).map(|raw| (raw.rule.code, raw.site.span)).collect();
        (kept? == told).then_some(())?;
        let mut texts = Texts::new(files);
        self.findings.extend(own.into_iter().map(|raw| texts.tell(raw)));
        Some(())
    }
}

impl Moves {
    /// Functions that do or give something else than before: as they were, and as they are.
    pub(super) fn redone(&self) -> impl Iterator<Item = (FunctionId, FunctionId)> {
        let functions = self.anew.functions.iter().map(|redone| (redone.old, redone.new));
        functions.chain(self.anew.given.iter().copied())
    }
}

/// Whether nobody has looked at how these functions do what they do, or how they say what they return.
fn is_unseen(outline: &Outline, moves: &Moves, edit: Edit<'_>) -> bool {
    let (new, first) = (&edit.new.1, outline.firsts[edit.index]);
    let asked = |id: FunctionId| outline.asked_of[(first + id.raw()) as usize];
    let around = |id: FunctionId| {
        std::iter::successors(Some(id), |id| (*id != crate::facts::MODULE).then(|| new.functions[*id].parent))
    };
    moves.redone().all(|(_, id)| around(id).all(|id| !asked(id).has(Asked::BODY)))
        && moves.anew.given.iter().all(|(_, id)| !asked(*id).has(Asked::FORM))
}

/// Whether what functions return, yield and end like is what others were told.
fn gives_the_same(program: &mut Program, outline: &Outline, moves: &Moves, edit: Edit<'_>) -> Option<()> {
    for (old, new) in &moves.anew.given {
        let function = program.global_fn(FileId(edit.index as u32), *new);
        let place = function.0 as usize;
        let is_returning = !program.only_returns_outside(function);
        (is_returning == outline.returning[place]).then_some(())?;
        let (before, now) = (&edit.old.1.functions[*old], &edit.new.1.functions[*new]);
        let is_empty = before.returns.is_empty() == now.returns.is_empty();
        if outline.asked_of[place].has(Asked::VALUE) {
            program.learn_given(function, outline.prints[place]);
            let print = Prints::default().of(program, function);
            (is_empty && print.is_like(outline.prints[place])).then_some(())?;
        }
    }
    Some(())
}

/// Whether a call hands on anything else than before; none, if others hear of that.
fn hands_on_the_same(program: &mut Program, outline: &Outline, heard: &HeardAgain<'_>) -> Option<bool> {
    let HeardAgain { by, site, again, .. } = *heard;
    let asked = outline.asked_parameters.get(&by).copied().unwrap_or(u32::MAX);
    let call = (site.file, again.call);
    let touched = again.changed.iter().fold(0, |all, changed| all | touched(program, by, call, changed));
    (asked & touched == 0).then_some(touched != 0)
}

/// Whether the call is there. Where it hands on something else, so many calls as there are do not tell who is asked: of too many nobody is.
fn is_there_again(outline: &Outline, heard: &HeardAgain<'_>, is_touched: bool) -> bool {
    let mut calls = outline.calls.iter().filter(|call| call.callee == heard.callee);
    let is_it = |call: &Call| (call.caller, call.site, call.runs) == (heard.caller, heard.site, heard.runs);
    let givers = calls.clone().count();
    calls.any(is_it) && (!is_touched || givers.max(heard.givers) <= MOST_GIVERS)
}

/// The parameters that may be something else where an argument is, as bits.
fn touched(program: &mut Program, callee: FnId, call: (FileId, ExprId), changed: &Changed) -> u32 {
    let Some(given) = given_before(program, callee, call) else { return u32::MAX };
    let facts = &program.file(program.file_of(callee)).facts;
    // What has no parameter of its own is in one that takes the rest.
    let (own, name, rest) = match changed {
        Changed::Positional(place) => (bits_from((place + given) as u32), "", ParameterKind::Variadic),
        Changed::Keyword(name) => (0, &**name, ParameterKind::VariadicKeyword),
        Changed::Starred(_) | Changed::Any => return u32::MAX,
    };
    let is_it = |one: &Parameter| one.kind == rest || facts.name(one.name) == name;
    let parameters = (0..).zip(&program.function(callee).parameters).filter(|(_, one)| is_it(one));
    parameters.fold(own, |all, (place, _)| all | bit_of(place))
}

/// How many parameters a function has been given before a call's arguments: the object, if it is a method. None, if something stands between both.
fn given_before(program: &mut Program, callee: FnId, (file, call): (FileId, ExprId)) -> Option<usize> {
    let Expr::Call(called, _) = *program.expr(file, call) else { return None };
    let called = program.eval(file, called);
    let given = program.values.members(called).iter().map(|value| match program.values.get(*value) {
        Value::Function(function, _) => (*function == callee).then_some(0),
        Value::Bound(function, ..) => (*function == callee).then_some(1),
        Value::Class { .. } => program.is_constructor(callee).then_some(1),
        _ => None,
    });
    given.collect::<Option<Vec<usize>>>()?.into_iter().min()
}

/// Whether no rule asks of those who do something else now what they get to: neither what threads do, nor what needs a loop.
fn is_unheard(outline: &Outline, moves: &Moves, file: FileId, calls: impl Iterator<Item = u32>) -> bool {
    let Stakes { candidates, threads, .. } = &outline.stakes;
    let reached = outline.reached(candidates.iter().chain(threads).copied());
    let first = outline.firsts[file.0 as usize];
    let redone = moves.anew.functions.iter().map(|redone| FnId(first + redone.new.raw()));
    let mut callers = calls.map(|call| outline.calls[call as usize].caller).chain(redone);
    callers.all(|caller| !reached.contains(&caller) && !outline.elsewhere.contains(&caller))
}

/// The ways to what blocks.
fn search(outline: &mut Outline, part: &mut Part<'_>, edges: rustc_hash::FxHashMap<u32, usize>) -> Option<Vec<Raw>> {
    let answers = FromAgain::new(part, outline.terms.clone(), edges);
    let found = rules::tell_blocking(outline, &Search::new(outline, &answers));
    let (given, terms) = answers.given()?;
    outline.passed.extend(given);
    outline.terms = terms;
    Some(found)
}

/// What rules of single files find; none, if the file wants something else of functions that may be told to be plain ones.
fn run_rules(program: &mut Program, graph: &Graph, known: &Stakes, file: FileId) -> Option<Vec<Raw>> {
    let mut context = rules::Context { program, graph, found: Vec::new(), stakes: Stakes::default(), only: Some(file) };
    let is_same = match known.wanted.get(file.0 as usize) {
        Some(wanted) => rules::wanted_by(&mut context, file, &known.candidates) == *wanted,
        None => known.candidates.is_empty(),
    };
    rules::run_by_file(&mut context);
    is_same.then(|| context.found.into_iter().filter(|raw| raw.site.file == file).collect())
}

/// Whether the same classes may have instances as before, and none of their methods asks for more that says which classes fit a protocol.
fn has_same_classes(program: &Program, outline: &Outline, moves: &Moves, file: FileId) -> bool {
    let is_asked_for = |id: &FunctionId| program.is_of_protocols(program.global_fn(file, *id));
    program.has_same_live(&outline.families) && !moves.anew.grown.iter().any(is_asked_for)
}
