//! Coroutine functions that never wait.

use super::{Context, Raw, Rule, Severity};
use crate::facts::{BindingId, BindingKind, Expr, ExprId, Facts, MODULE_SCOPE, ScopeId};
use crate::graph::Site;
use crate::link::values::{ClsId, EMPTY, FileId, FnId, Symbol, Value};
use crate::link::{Prints, Program};
use crate::search::{Idle, Outline};
use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};
use std::hash::BuildHasher;

/// `SL008`
pub(super) const RULE: Rule = Rule {
    code: "SL008",
    name: "async-without-await",
    severity: Severity::Warning,
    summary: "a coroutine function awaits nothing",
    documentation: "\
## What it does
Finds `async def` functions that await nothing and do nothing with the loop. Those whose form somebody asks for are left alone: decorated
functions, functions that are handed on or made a task, methods that override one or that other classes have as well.

## Why is this bad?
Every caller has to be asynchronous for nothing, and a loop in it never lets others run.

## Example
```python
async def total(items):
    return sum(items)
```

## Use instead
```python
def total(items):
    return sum(items)
```
",
};

/// Names of functions that are told of unless somebody wants them as they are.
pub(super) fn watched_names(program: &Program) -> impl Iterator<Item = String> + '_ {
    let candidates = program.functions().filter(|function| is_candidate(program, *function));
    candidates
        .map(|function| program.file(program.file_of(function)).facts.name(program.function(function).name).to_owned())
}

pub(super) fn check(context: &mut Context<'_>) {
    let candidates: Vec<FnId> =
        context.program.functions().filter(|function| is_candidate(context.program, *function)).collect();
    if candidates.is_empty() {
        return;
    }
    context.stakes.candidates.clone_from(&candidates);
    let wanted = Wanted::new(context, &candidates);
    let on_loop = users_of_the_loop(context);
    for function in candidates {
        let file = context.program.file_of(function);
        let this = context.program.function(function);
        let (name, at) = (context.program.symbol(file, this.name), this.at);
        let is_asked_for = wanted.functions.contains(&function)
            || wanted.names.contains(&name)
            || has_form_of_others(context, function, &wanted)
            || uses_the_loop(context, function, &on_loop);
        if is_asked_for {
            continue;
        }
        let site = Site { file, span: context.program.function(function).span };
        let is_mended = context.found.iter().any(|raw| !super::is_of_ways(raw.rule.code) && site.contains(raw.site));
        context.stakes.idle.push(Idle { function, site, at, is_mended });
    }
}

/// Tells of all functions that are to be plain ones. In others a rule has found something, or one of these ways begins: once that is mended,
/// they await.
pub(crate) fn tell_all(outline: &Outline, ways: &[Raw]) -> Vec<Raw> {
    let begins = |idle: &Idle| ways.iter().any(|raw| super::is_of_ways(raw.rule.code) && idle.site.contains(raw.site));
    let told = outline.stakes.idle.iter().filter(|idle| !idle.is_mended && !begins(idle));
    told.map(|idle| awaits_nothing(outline, idle)).collect()
}

fn awaits_nothing(outline: &Outline, idle: &Idle) -> Raw {
    let (site, name) = (Site { span: idle.at, ..idle.site }, outline.name(idle.function));
    Raw {
        rule: &RULE,
        severity: RULE.severity,
        site,
        message: format!("`{}` is `async def`, and awaits nothing", super::last_part(name)),
        help: "make it a plain function".to_owned(),
        chain: vec![(outline.qualified_name(idle.function), Some(site))],
        is_async: true,
    }
}

/// What a file wants of the functions that may be told to be plain ones, as a print: for whoever asks whether it is still the same.
pub(crate) fn wanted_by(context: &mut Context<'_>, file: FileId, candidates: &[FnId]) -> u64 {
    let program = &*context.program;
    let name = |function: &FnId| program.symbol(program.file_of(*function), program.function(*function).name);
    let names: FxHashSet<Symbol> = candidates.iter().map(name).collect();
    Wanted::of_file(context, file, &names).print(context.program, &mut Prints::default())
}

fn is_candidate(program: &Program, function: FnId) -> bool {
    let this = program.function(function);
    if !this.is_async || this.awaits || this.is_generator || this.is_stub {
        return false;
    }
    let file = program.file(program.file_of(function));
    let is_plain = |decorator: &ExprId| matches!(&file.facts.exprs[*decorator], Expr::Global(name) if matches!(file.facts.name(*name), "staticmethod" | "classmethod"));
    let name = file.facts.name(this.name);
    let outer = file.facts.name(file.facts.functions[this.parent].name);
    let is_special = (name.starts_with("__") && name.ends_with("__")) || outer == "__await__";
    !is_special && !file.is_test && this.decorators.iter().all(is_plain)
}

/// Functions and names of which somebody may want the form of a coroutine function.
struct Wanted {
    functions: FxHashSet<FnId>,
    /// Attributes of objects that are not known.
    names: FxHashSet<Symbol>,
    /// Classes with attributes that are looked up by computed names.
    classes: FxHashSet<ClsId>,
    /// Where coroutine functions of this name are, other than the candidates: in a class, or in a module.
    named: FxHashMap<Symbol, Vec<Home>>,
    /// How many of the candidates have this name.
    counts: FxHashMap<Symbol, usize>,
}

impl Wanted {
    fn new(context: &mut Context<'_>, candidates: &[FnId]) -> Self {
        let mut names: FxHashSet<Symbol> = FxHashSet::default();
        for function in candidates {
            names.insert(
                context.program.symbol(context.program.file_of(*function), context.program.function(*function).name),
            );
        }
        let mut wanted = Self {
            functions: FxHashSet::default(),
            names: FxHashSet::default(),
            classes: FxHashSet::default(),
            named: named(context, candidates),
            counts: FxHashMap::default(),
        };
        for function in candidates {
            let name =
                context.program.symbol(context.program.file_of(*function), context.program.function(*function).name);
            *wanted.counts.entry(name).or_default() += 1;
        }
        let mut prints = Prints::default();
        for file in context.files() {
            let own = Self::of_file(context, file, &names);
            context.stakes.wanted.push(own.print(context.program, &mut prints));
            wanted.functions.extend(own.functions);
            wanted.names.extend(own.names);
            wanted.classes.extend(own.classes);
        }
        wanted
    }

    /// What a file wants.
    fn of_file(context: &mut Context<'_>, file: FileId, names: &FxHashSet<Symbol>) -> Self {
        let mut own = Self {
            functions: FxHashSet::default(),
            names: FxHashSet::default(),
            classes: FxHashSet::default(),
            named: FxHashMap::default(),
            counts: FxHashMap::default(),
        };
        own.read(context, file, names);
        own
    }

    fn print(&self, program: &Program, prints: &mut Prints) -> u64 {
        let functions = self.functions.iter().map(|function| prints.function(program, *function));
        let functions = functions.fold(0_u64, u64::wrapping_add);
        let names = self.names.iter().map(|name| FxBuildHasher.hash_one(program.values.text(*name)));
        let names = names.fold(0_u64, u64::wrapping_add);
        let classes = self.classes.iter().map(|class| prints.class(program, *class));
        FxBuildHasher.hash_one((functions, names, classes.fold(0_u64, u64::wrapping_add)))
    }

    /// Looks at all places of a file where a function may be used as a value.
    fn read(&mut self, context: &mut Context<'_>, file: FileId, names: &FxHashSet<Symbol>) {
        let (mut values, mut calls) = (Vec::new(), Vec::new());
        {
            let facts = &context.program.file(file).facts;
            let is_one: Vec<bool> = context.program.symbols(file).iter().map(|name| names.contains(name)).collect();
            each_value(facts, |value| {
                if facts.has_name(value, |name| is_one[name.index()]) {
                    values.push(value);
                }
            });
            for (_, expr) in facts.exprs.iter() {
                let Expr::Call(callee, arguments) = expr else { continue };
                let name = match facts.exprs[*callee] {
                    Expr::Attribute(_, name) | Expr::Global(name) | Expr::Free(_, name) => facts.name(name),
                    _ => "",
                };
                match (name, &**arguments) {
                    ("getattr", [object, name, ..]) if !matches!(facts.exprs[name.value], Expr::Text(_)) => {
                        calls.push((None, object.value));
                    }
                    ("getattr", _) | (_, []) => {}
                    (name, given) => {
                        // Those of `gather` are all made tasks.
                        let given = given.iter().take(if name == "gather" { given.len() } else { 1 });
                        let made = given.filter(|one| matches!(facts.exprs[one.value], Expr::Call(..)));
                        calls.extend(made.map(|one| (Some(*callee), one.value)));
                    }
                }
            }
        }
        values.sort_unstable();
        values.dedup();
        for value in values {
            self.handed_on(context, file, value);
        }
        for (callee, argument) in calls {
            match callee {
                Some(callee) => self.made_a_task(context, file, callee, argument),
                None => self.looked_up(context, file, argument),
            }
        }
    }

    fn handed_on(&mut self, context: &mut Context<'_>, file: FileId, value: ExprId) {
        let set = context.program.eval(file, value);
        if let (EMPTY, Expr::Attribute(_, name)) = (set, context.program.expr(file, value)) {
            self.names.insert(context.program.symbol(file, *name));
        }
        for value in context.program.values.members(set) {
            match context.program.values.get(*value) {
                Value::Function(function, _) | Value::Bound(function, ..) => {
                    self.functions.insert(*function);
                }
                _ => {}
            }
        }
    }

    /// `create_task(work())`: it is to run in a turn of its own.
    fn made_a_task(&mut self, context: &mut Context<'_>, file: FileId, callee: ExprId, argument: ExprId) {
        let Some(path) = context.program.external_path_of(file, callee) else { return };
        let given = context.program.catalogue.returned(context.program.values.path_text(path));
        let path = context.program.values.path_text(path);
        let is_task = matches!(given, Some("asyncio.Task()" | "asyncio.threadsafe.Future()"))
            || path.ends_with("().create_task")
            || matches!(path, "asyncio.gather" | "asyncio.wait_for" | "asyncio.shield");
        if is_task {
            let set = context.program.eval(file, argument);
            for value in context.program.values.members(set) {
                if let Value::Coroutine(function, _) = context.program.values.get(*value) {
                    self.functions.insert(*function);
                }
            }
        }
    }

    /// `getattr(self, "on_" + name)`
    fn looked_up(&mut self, context: &mut Context<'_>, file: FileId, object: ExprId) {
        let set = context.program.eval(file, object);
        for value in context.program.values.shared(set).iter().copied() {
            if let Value::Instance { class, .. } | Value::Class { class, .. } = *context.program.values.get(value) {
                for class in std::iter::once(class).chain(context.program.heirs(class).iter().copied()) {
                    self.classes.extend(context.program.ancestors(class));
                }
            }
        }
    }
}

/// Where a function is: its class or, on its own, its module.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Home {
    Class(ClsId),
    Module(FileId),
}

impl Home {
    /// Another one of the same kind.
    fn is_like(self, other: Self) -> bool {
        self != other && matches!((self, other), (Self::Class(_), Self::Class(_)) | (Self::Module(_), Self::Module(_)))
    }
}

fn home_of(context: &Context<'_>, function: FnId) -> Home {
    context.program.class_of(function).map_or(Home::Module(context.program.file_of(function)), Home::Class)
}

/// Coroutine functions but for the candidates: those say what others of their name are like.
fn named(context: &Context<'_>, candidates: &[FnId]) -> FxHashMap<Symbol, Vec<Home>> {
    let candidates: FxHashSet<FnId> = candidates.iter().copied().collect();
    let mut all: FxHashMap<Symbol, Vec<Home>> = FxHashMap::default();
    for function in context.program.functions() {
        let this = context.program.function(function);
        let is_own = this.class.is_some() || this.parent == crate::facts::MODULE;
        if this.is_async && is_own && !candidates.contains(&function) {
            let name = context.program.symbol(context.program.file_of(function), this.name);
            all.entry(name).or_default().push(home_of(context, function));
        }
    }
    all
}

/// Looks at all expressions whose value goes somewhere, other than to be called.
fn each_value(facts: &Facts, mut look: impl FnMut(ExprId)) {
    for (_, expr) in facts.exprs.iter() {
        match expr {
            Expr::Call(_, arguments) => arguments.iter().for_each(|argument| look(argument.value)),
            Expr::Mapping(items) => items.iter().for_each(|(_, value)| look(*value)),
            Expr::Sequence(parts) | Expr::Union(parts) | Expr::Logic(_, parts) => {
                parts.iter().copied().for_each(&mut look);
            }
            Expr::Generator(part) | Expr::Attribute(part, _) => look(*part),
            Expr::Choice { then, other, .. } => [*then, *other].into_iter().for_each(&mut look),
            _ => {}
        }
    }
    for (_, function) in facts.functions.iter() {
        function.returns.iter().chain(&function.yields).for_each(|(value, _)| look(*value));
        function.parameters.iter().filter_map(|parameter| parameter.default).for_each(&mut look);
    }
    for (_, binding) in facts.bindings.iter() {
        if let BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } = binding.kind {
            look(value);
        }
    }
    let fields = facts.classes.iter().flat_map(|(_, class)| class.fields.iter().filter_map(|field| field.value));
    fields.chain(facts.stores.iter().map(|store| store.value)).for_each(look);
}

/// A class's bases or heirs have a method of that name, or may have one; or classes, or modules, that know nothing of each other have it.
fn has_form_of_others(context: &Context<'_>, function: FnId, wanted: &Wanted) -> bool {
    let file = context.program.file_of(function);
    let name = context.program.symbol(file, context.program.function(function).name);
    let home = home_of(context, function);
    if has_two_forms(context, function) {
        return true;
    }
    let is_elsewhere = wanted.named.get(&name).is_some_and(|homes| homes.iter().any(|other| other.is_like(home)));
    if is_elsewhere || wanted.counts.get(&name).is_some_and(|count| *count >= A_CONVENTION) {
        return true;
    }
    let Some(class) = context.program.class_of(function) else { return false };
    let mut relatives: Vec<_> = context.program.ancestors(class).filter(|ancestor| *ancestor != class).collect();
    // An abstract class is for heirs, here or elsewhere; what derives from one need not be.
    let is_inherited = |base: &String| relatives.iter().any(|one| context.program.external_bases(*one).contains(base));
    let is_plain = |base: &String| {
        base == "object"
            || base.starts_with("typing.Generic")
            || (matches!(base.as_str(), "abc.ABC" | "typing.Protocol") && is_inherited(base))
    };
    if wanted.classes.contains(&class) || !context.program.external_bases(class).iter().all(is_plain) {
        return true;
    }
    relatives.extend_from_slice(context.program.heirs(class));
    relatives.iter().any(|relative| context.program.has_own(*relative, name))
        || context.program.fits_protocol(class, name)
}

/// The same name is, under another condition, a plain function or another one.
fn has_two_forms(context: &Context<'_>, function: FnId) -> bool {
    let facts = &context.program.file(context.program.file_of(function)).facts;
    let (this, local) = (context.program.function(function), context.program.local_fn(function));
    let is_it = |binding: &BindingId| matches!(facts.bindings[*binding].kind, BindingKind::Function(id) if id == local);
    let outer = |scope: &ScopeId| (*scope != MODULE_SCOPE).then(|| facts.scopes[*scope].parent);
    std::iter::successors(Some(this.scope), outer).any(|scope| {
        let names = &facts.scopes[scope].names;
        let place = names.binary_search_by_key(&this.name, |(name, _)| *name);
        place.is_ok_and(|place| names[place].1.len() > 1 && names[place].1.iter().any(is_it))
    })
}

/// That many functions of one name are what somebody calls by that name.
const A_CONVENTION: usize = 2;

/// Whether something is of asyncio, or of what is built on it.
pub(crate) fn needs_a_loop(path: &str) -> bool {
    ["asyncio.", "aiohttp.", "anyio.", "trio.", "tornado."].iter().any(|own| path.starts_with(own))
}

/// Functions that call something of asyncio or of what is built on it, or a coroutine function.
fn users_of_the_loop(context: &Context<'_>) -> FxHashSet<FnId> {
    let outside = context.graph.outside.iter().chain(&context.graph.outside_by_parameter);
    let outside = outside.filter(|call| needs_a_loop(context.program.values.path_text(call.path)));
    let makes = |function: &FnId| {
        let edges = context.graph.from[function.0 as usize].iter().map(|edge| &context.graph.edges[*edge]);
        edges.into_iter().any(|edge| !edge.runs && !edge.is_handed && context.program.function(edge.callee).is_async)
    };
    outside.map(|call| call.caller).chain(context.program.functions().filter(makes)).collect()
}

/// What it does, or has others do, may only be done where a loop runs.
fn uses_the_loop(context: &Context<'_>, function: FnId, users: &FxHashSet<FnId>) -> bool {
    let mut seen: FxHashSet<FnId> = FxHashSet::default();
    let mut next = vec![function];
    while let Some(function) = next.pop() {
        if users.contains(&function) {
            return true;
        }
        let edges = context.graph.from[function.0 as usize].iter().map(|edge| &context.graph.edges[*edge]);
        next.extend(edges.filter(|edge| edge.runs).map(|edge| edge.callee).filter(|callee| seen.insert(*callee)));
    }
    false
}
