//! The whole program: facts of all files, put together. What a name of another module is, what an expression may be, what a call calls.
//!
//! Evaluation is lazy and remembered per expression. What depends on a function's parameters stays symbolic ([`Value::Parameter`]) and is
//! filled in per call, so that two callers of a helper are not mixed up. A cycle sees nothing of itself.

mod alone;
mod busy;
mod calls;
mod classes;
mod constructors;
mod decorations;
mod delegates;
mod dispatch;
mod eval;
mod families;
mod fixtures;
mod instances;
mod known;
mod lazy;
mod loggers;
mod made;
mod mappings;
mod modules;
mod needs;
mod patches;
mod places;
mod prints;
mod properties;
mod protocols;
mod questions;
mod registries;
mod returns;
mod specials;
mod tables;
mod truth;
mod types;
mod usage;
pub(crate) mod values;
mod words;

pub(crate) use calls::{Target, Targets};
pub(crate) use dispatch::{Receiver, Whose};
pub(crate) use families::{ClassShift, Families};
pub(crate) use loggers::LOGGING;
pub(crate) use modules::{Modules, Source, is_test, module_name};
pub(crate) use needs::{AnyId, Need, Passed, What};
pub(crate) use patches::{Patches, may_replace};
pub(crate) use prints::{Print, Prints};
pub(crate) use truth::{Truth, is_answered, is_dual_name, waited_for};
pub(crate) use words::Words;

use crate::catalogue::Catalogue;
use crate::facts::{self, ClassId, Expr, ExprId, Facts, FunctionId, GuardId, Lazy, NameId};
use busy::{Busy, BusyStack};
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};
use std::cell::{Cell, OnceCell};
use std::ops::Range;
use std::rc::Rc;
use values::{ClsId, FileId, FnId, PathId, SetId, Symbol, Value, ValueId, Values};

/// One file of the program.
pub(crate) struct File {
    pub(crate) path: String,
    /// Its name as a module: `shop.tax`.
    pub(crate) module: String,
    pub(crate) is_test: bool,
    pub(crate) facts: Lazy,
    symbols: Vec<Symbol>,
    /// What the module binds: where its scope has it.
    members: FxHashMap<Symbol, usize>,
    usage: OnceCell<usage::Usage>,
    first_fn: u32,
    first_cls: u32,
    first_expr: u32,
}

pub(crate) struct Program {
    pub(crate) files: Vec<File>,
    pub(crate) values: Values,
    pub(crate) catalogue: Catalogue,
    modules: Modules,
    fn_files: Vec<FileId>,
    cls_files: Vec<FileId>,
    /// Whether one file has a symbol, or more.
    name_files: Vec<u8>,
    /// What each expression may be; expressions of all files in a row.
    memo: Vec<Memo>,
    returned: FxHashMap<FnId, Rc<[Returned]>>,
    /// What anybody asked of each function. (How it ends, and which names its own file hands on, may be read without: an edit that changes these
    /// matters whether anybody asked or not.)
    asked_of: Vec<Cell<Asked>>,
    yielded: FxHashMap<FnId, SetId>,
    decorated: FxHashMap<FnId, SetId>,
    /// Functions with a decorator of which nothing is known.
    disguised: FxHashSet<FnId>,
    /// Where attributes of other objects than `self` are set, by name.
    stores: FxHashMap<Symbol, Vec<(FileId, usize)>>,
    /// What is being looked at, against cycles.
    busy: BusyStack,
    alternatives: needs::Alternatives,
    /// What iterators of the standard library give.
    iterators: lazy::Iterators,
    makings: made::Makings,
    loggers: loggers::Loggers,
    hierarchy: classes::Hierarchy,
    /// What things outside the program give.
    external_steps: FxHashMap<(values::PathId, values::Step), SetId>,
    /// Functions outside the program that give nothing of what they are handed.
    unlisted: FxHashSet<PathId>,
    /// What imports have found.
    imports: FxHashMap<(FileId, facts::BindingId), SetId>,
    /// The modules that imports of each file name, by name and level.
    named_modules: FxHashMap<(FileId, NameId, u32), Option<Named>>,
    /// What `from module import name` gives where the module has no such name itself.
    submodules: FxHashMap<(FileId, Symbol, Symbol), SetId>,
    /// What calls make of parameters.
    bound: FxHashMap<(FnId, values::EnvId, Option<ValueId>, values::ArgsId), values::EnvId>,
    /// Names that modules were asked for by others.
    asked: FxHashSet<(FileId, Symbol)>,
    /// Known once somebody has asked.
    fixtures: Option<Rc<fixtures::Fixtures>>,
    /// Whether functions only return where no loop runs.
    outside: FxHashMap<FnId, bool>,
    /// Functions that were come to again while they were asked what they give.
    cut: FxHashSet<FnId>,
    depth: u32,
    filling: calls::Filling,
}

/// What others have asked of a function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Asked(u8);

impl Asked {
    /// What it gives.
    pub(crate) const VALUE: Self = Self(1);
    /// How it says what it returns.
    pub(crate) const FORM: Self = Self(2);
    /// What it does.
    pub(crate) const BODY: Self = Self(4);

    /// Whether somebody has asked for all of that.
    pub(crate) const fn has(self, what: Self) -> bool {
        self.0 & what.0 == what.0
    }

    /// Whether somebody asked for what it returns, in any way.
    pub(crate) const fn has_returns(self) -> bool {
        self.has(Self::VALUE) || self.has(Self::FORM)
    }
}

impl std::ops::BitOr for Asked {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// What a function returns, and what its parameters must be for that.
#[derive(Clone, Debug)]
struct Returned {
    set: SetId,
    /// The same, told of what the method is called on: `return self`, `return cls()`.
    of_receiver: SetId,
    needs: Vec<Need>,
}

/// A module as an import names it.
#[derive(Clone, Copy)]
struct Named {
    name: Symbol,
    /// Where it is, if it is one of the program.
    file: Option<FileId>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Memo {
    Open,
    Busy,
    Known(SetId),
}

impl Program {
    /// Puts the files together; `sources` in the order of their paths, `families` if they are known from before.
    pub(crate) fn new(sources: Vec<Source>, catalogue: Catalogue, families: Option<&Families>) -> Self {
        let mut values = Values::new();
        // Asked for whether any file has them or not.
        facts::INSTEAD.iter().flat_map(|names| names.iter()).for_each(|name| _ = values.symbol(name));
        let modules = Modules::new(sources.iter().map(|source| (&*source.path, &*source.module)));
        let mut files: Vec<File> = Vec::with_capacity(sources.len());
        let (mut fn_files, mut cls_files, mut name_files) = (Vec::new(), Vec::new(), Vec::new());
        let mut exprs = 0;
        let mut digests = Vec::with_capacity(sources.len());
        for (index, source) in sources.into_iter().enumerate() {
            let digest = source.digest;
            let symbols: Vec<Symbol> = digest.names.iter().map(|name| values.symbol(name)).collect();
            for symbol in &symbols {
                let place = symbol.0 as usize;
                name_files.resize(name_files.len().max(place + 1), 0);
                name_files[place] = 2.min(name_files[place] + 1);
            }
            let members = digest.members.iter().enumerate();
            let members = members.map(|(place, name)| (symbols[name.index()], place)).collect();
            let file = FileId(index as u32);
            let (first_fn, first_cls, first_expr) = (fn_files.len() as u32, cls_files.len() as u32, exprs);
            fn_files.extend(std::iter::repeat_n(file, digest.functions as usize));
            cls_files.extend(std::iter::repeat_n(file, digest.classes.len()));
            exprs += digest.exprs;
            let is_test = modules::is_test(&source.path);
            files.push(File {
                path: source.path,
                module: source.module,
                is_test,
                facts: source.facts,
                symbols,
                members,
                usage: OnceCell::new(),
                first_fn,
                first_cls,
                first_expr,
            });
            digests.push(digest);
        }
        let asked_of = vec![Cell::default(); fn_files.len()];
        let mut program = Self {
            files,
            values,
            catalogue,
            modules,
            fn_files,
            cls_files,
            name_files,
            memo: vec![Memo::Open; exprs as usize],
            returned: FxHashMap::default(),
            asked_of,
            yielded: FxHashMap::default(),
            decorated: FxHashMap::default(),
            disguised: FxHashSet::default(),
            stores: FxHashMap::default(),
            loggers: loggers::Loggers::default(),
            busy: BusyStack::default(),
            alternatives: needs::Alternatives::default(),
            iterators: lazy::Iterators::default(),
            makings: made::Makings::default(),
            hierarchy: classes::Hierarchy::default(),
            external_steps: FxHashMap::default(),
            unlisted: FxHashSet::default(),
            imports: FxHashMap::default(),
            named_modules: FxHashMap::default(),
            submodules: FxHashMap::default(),
            bound: FxHashMap::default(),
            asked: FxHashSet::default(),
            fixtures: None,
            outside: FxHashMap::default(),
            cut: FxHashSet::default(),
            depth: 0,
            filling: calls::Filling::default(),
        };
        for (index, file) in program.files.iter().enumerate() {
            for (place, name) in digests[index].stores.iter().enumerate() {
                let name = file.symbols[name.index()];
                program.stores.entry(name).or_default().push((FileId(index as u32), place));
            }
        }
        program.learn_classes(&digests, families);
        program
    }

    /// All names and texts that files have, and whether one has it, or more.
    fn names(&self) -> impl Iterator<Item = (&str, u8)> {
        let known = self.name_files.iter().enumerate().filter(|(_, files)| **files > 0);
        known.map(|(place, files)| (self.values.text(Symbol(place as u32)), *files))
    }

    /// Names that modules were asked for by others, whether they have them or not.
    pub(crate) fn asked_members(&self) -> impl Iterator<Item = (FileId, Symbol)> + '_ {
        self.asked.iter().copied()
    }

    /// Whether something unknown may have made another function of it.
    pub(crate) fn is_disguised(&self, function: FnId) -> bool {
        self.disguised.contains(&function)
    }

    pub(crate) fn file(&self, id: FileId) -> &File {
        &self.files[id.0 as usize]
    }

    /// Where a file reads its names, and what it does with what it reads.
    fn usage(&self, id: FileId) -> &usage::Usage {
        let file = self.file(id);
        file.usage.get_or_init(|| usage::Usage::of(file))
    }

    pub(crate) fn functions(&self) -> impl Iterator<Item = FnId> + use<> {
        self.all_functions().map(FnId)
    }

    /// The numbers of all functions.
    pub(crate) fn all_functions(&self) -> Range<u32> {
        0..self.fn_files.len() as u32
    }

    /// The numbers of a file's functions.
    pub(crate) fn functions_of(&self, file: FileId) -> Range<u32> {
        let next = self.files.get(file.0 as usize + 1).map_or(self.fn_files.len() as u32, |next| next.first_fn);
        self.file(file).first_fn..next
    }

    /// A file's classes.
    fn classes_of(&self, file: FileId) -> impl Iterator<Item = ClsId> + use<> {
        let next = self.files.get(file.0 as usize + 1).map_or(self.cls_files.len() as u32, |next| next.first_cls);
        (self.file(file).first_cls..next).map(ClsId)
    }

    pub(crate) fn file_of(&self, function: FnId) -> FileId {
        self.fn_files[function.0 as usize]
    }

    pub(crate) fn function(&self, function: FnId) -> &facts::Function {
        let file = self.file(self.file_of(function));
        &file.facts.functions[self.local_fn(function)]
    }

    /// What a function returns, as it says, and under which conditions; it is noted that somebody asked.
    pub(crate) fn ask_returns(&self, function: FnId) -> Vec<(ExprId, GuardId)> {
        self.note(function, Asked::FORM);
        self.function(function).returns.clone()
    }

    /// What a function does, for whoever calls it; it is noted that somebody asked.
    pub(crate) fn ask_events(&self, function: FnId) -> Events {
        self.note(function, Asked::BODY);
        self.events(function)
    }

    fn note(&self, function: FnId, what: Asked) {
        let asked = &self.asked_of[function.0 as usize];
        asked.set(asked.get() | what);
    }

    /// What anybody has asked of a function.
    pub(crate) fn asked_of(&self, function: FnId) -> Asked {
        self.asked_of[function.0 as usize].get()
    }

    /// What a function does, for whoever asks the program about it meanwhile.
    pub(crate) fn events(&self, function: FnId) -> Events {
        let file = self.file(self.file_of(function));
        Events { facts: file.facts.share(), function: self.local_fn(function) }
    }

    /// Whether a call of it runs its body.
    pub(crate) fn is_plain(&self, function: FnId) -> bool {
        let function = self.function(function);
        !function.is_async && !function.is_generator
    }

    /// Whether it is a function of a module, as it is, that gives nothing but constants and has no other name.
    pub(crate) fn is_self_contained(&mut self, id: FnId) -> bool {
        self.stands_alone(id) && {
            let given = self.returned(id, values::NO_ENV);
            let is_constant = |value: &ValueId| matches!(self.values.get(*value), Value::Constant(_) | Value::Text(_));
            self.values.members(given).iter().all(is_constant)
        }
    }

    /// Whether a function returns something that may be, or hold, what comes from outside the program, as a task does. Of how it says so nobody
    /// need ask then.
    pub(crate) fn may_give_what_is_outside(&mut self, id: FnId) -> bool {
        let given = self.returned(id, values::NO_ENV);
        let is_outside = |value: &ValueId| {
            matches!(self.values.get(*value), Value::External(_) | Value::Holding(_) | Value::Sequence(_))
        };
        let is_unknown = given == values::EMPTY && !self.function(id).returns.is_empty();
        is_unknown || self.values.members(given).iter().any(is_outside)
    }

    fn stands_alone(&self, id: FnId) -> bool {
        let (file, function) = (self.file(self.file_of(id)), self.function(id));
        let own = facts::BindingKind::Function(self.local_fn(id));
        let bindings = file.facts.bindings_of(facts::MODULE_SCOPE, function.name);
        let is_bound = matches!(bindings, [one] if file.facts.bindings[*one].kind == own);
        let is_alone = function.parent == facts::MODULE && function.class.is_none() && function.decorators.is_empty();
        is_alone && is_bound && self.is_plain(id) && !self.stores.contains_key(&file.symbols[function.name.index()])
    }

    /// Its place in its file.
    pub(crate) fn local_fn(&self, function: FnId) -> FunctionId {
        FunctionId::new(function.0 - self.file(self.file_of(function)).first_fn)
    }

    pub(crate) fn global_fn(&self, file: FileId, function: FunctionId) -> FnId {
        FnId(self.file(file).first_fn + function.raw())
    }

    pub(crate) fn class_file(&self, class: ClsId) -> FileId {
        self.cls_files[class.0 as usize]
    }

    pub(crate) fn class(&self, class: ClsId) -> &facts::Class {
        let file = self.file(self.class_file(class));
        &file.facts.classes[self.local_cls(class)]
    }

    /// Its place in its file.
    fn local_cls(&self, class: ClsId) -> ClassId {
        ClassId::new(class.0 - self.file(self.class_file(class)).first_cls)
    }

    pub(crate) fn global_cls(&self, file: FileId, class: ClassId) -> ClsId {
        ClsId(self.file(file).first_cls + class.raw())
    }

    /// The class whose method it is.
    pub(crate) fn class_of(&self, function: FnId) -> Option<ClsId> {
        let class = self.function(function).class?;
        Some(self.global_cls(self.file_of(function), class))
    }

    pub(crate) fn symbol(&self, file: FileId, name: NameId) -> Symbol {
        self.file(file).symbols[name.index()]
    }

    /// Those of all names of a file.
    pub(crate) fn symbols(&self, file: FileId) -> &[Symbol] {
        &self.file(file).symbols
    }

    pub(crate) fn expr(&self, file: FileId, expr: ExprId) -> &Expr {
        &self.file(file).facts.exprs[expr]
    }

    /// `orders.Broker.fetch`
    pub(crate) fn qualified_name(&self, function: FnId) -> String {
        let file = self.file(self.file_of(function));
        format!("{}.{}", file.module, file.facts.name(self.function(function).qualified))
    }

    /// A function, and those that it is in.
    pub(crate) fn around(&self, function: FnId) -> impl Iterator<Item = FnId> + '_ {
        std::iter::successors(Some(function), |inner| {
            let parent = self.function(*inner).parent;
            (parent != facts::MODULE).then(|| self.global_fn(self.file_of(*inner), parent))
        })
    }

    /// A function's parameters are variable in it, and in the functions within.
    pub(crate) fn is_within(&self, inner: FnId, outer: FnId) -> bool {
        self.file_of(inner) == self.file_of(outer) && self.around(inner).any(|function| function == outer)
    }

    /// Whether the loop calls it: a method of an `asyncio` protocol.
    pub(crate) fn is_protocol_method(&self, function: FnId) -> bool {
        let Some(class) = self.class_of(function) else { return false };
        let name = self.file(self.file_of(function)).facts.name(self.function(function).name);
        PROTOCOL_METHODS.contains(&name)
            && self
                .external_bases(class)
                .iter()
                .any(|base| base == "asyncio.BaseProtocol" || self.catalogue.base(base) == Some("asyncio.BaseProtocol"))
    }

    /// What an expression is, if it is one thing outside the program.
    pub(crate) fn external_path_of(&mut self, file: FileId, expr: ExprId) -> Option<PathId> {
        let set = self.eval(file, expr);
        match self.values.members(set) {
            [one] => match *self.values.get(*one) {
                Value::External(path) => Some(path),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether something may be a lock that stops a thread.
    pub(crate) fn is_thread_lock(&self, set: SetId) -> bool {
        self.values.members(set).iter().any(|value| match self.values.get(*value) {
            Value::External(path) => is_thread_lock(self.values.path_text(*path)),
            _ => false,
        })
    }

    fn value(&mut self, value: Value) -> ValueId {
        let (fn_files, files) = (&self.fn_files, &self.files);
        self.values.value(value, |function| {
            let file = &files[fn_files[function.0 as usize].0 as usize];
            file.facts.functions[FunctionId::new(function.0 - file.first_fn)].parent != facts::MODULE
        })
    }

    fn single(&mut self, value: Value) -> SetId {
        let value = self.value(value);
        SetId::of(value)
    }
}

/// The events of a function.
pub(crate) struct Events {
    facts: Rc<Facts>,
    function: FunctionId,
}

impl std::ops::Deref for Events {
    type Target = [facts::Event];

    fn deref(&self) -> &[facts::Event] {
        &self.facts.functions[self.function].events
    }
}

/// Whether a value outside the program is a lock that stops a thread.
pub(crate) fn is_thread_lock(path: &str) -> bool {
    LOCKS.contains(&path)
}

const PROTOCOL_METHODS: &[&str] = &[
    "connection_made",
    "connection_lost",
    "pause_writing",
    "resume_writing",
    "data_received",
    "eof_received",
    "get_buffer",
    "buffer_updated",
    "datagram_received",
    "error_received",
    "pipe_data_received",
    "pipe_connection_lost",
    "process_exited",
];

const LOCKS: &[&str] = &[
    "threading.Lock()",
    "threading.RLock()",
    "threading.Condition()",
    "threading.Semaphore()",
    "threading.BoundedSemaphore()",
    "multiprocessing.Lock()",
    "multiprocessing.RLock()",
];
