//! What expressions may be at run time: interned values, sets of them, and what they are substituted with.
//!
//! A set holds a few values; one that would grow beyond [`MOST`] stops growing, as what is nearly anything says nothing.

use crate::facts::Constant;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;

/// A string that files share.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Symbol(pub(crate) u32);

/// A function of the program, across files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FnId(pub(crate) u32);

/// A class of the program, across files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct ClsId(pub(crate) u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct FileId(pub(crate) u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ValueId(u32);

/// An interned set of values. One of a single value has that value's number, and [`SINGLE`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct SetId(u32);

/// Interned values of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct EnvId(u32);

/// What an object was made with, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct MadeId(u32);

/// A field that an object was made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    pub(crate) field: Symbol,
    pub(crate) constant: Constant,
    /// Nothing sets it afterwards.
    pub(crate) is_settled: bool,
}

/// The arguments of a call, interned.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ArgsId(u32);

/// Something with a name outside the program: `time.sleep`; an instance of `threading.Thread` is `threading.Thread()`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PathId(u32);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Value {
    Module(FileId),
    /// A package without a file of its own, or of which only a part is known.
    Namespace(Symbol),
    External(PathId),
    Function(FnId, EnvId),
    /// A function that has its first argument.
    Bound(FnId, EnvId, ValueId),
    /// A class; unless exact, any of its subclasses too.
    Class {
        class: ClsId,
        is_exact: bool,
    },
    Instance {
        class: ClsId,
        is_exact: bool,
        made: MadeId,
    },
    Coroutine(FnId, EnvId),
    Generator(FnId, EnvId),
    AsyncGenerator(FnId, EnvId),
    /// What `contextlib` makes of a generator function's generator.
    Manager(ValueId),
    Sequence(Rc<[SetId]>),
    Mapping(Rc<[(Option<Symbol>, SetId)]>),
    /// Something from outside, whose type says what it holds: it gives that when it is awaited, iterated, entered or asked for it.
    Holding(SetId),
    /// An iterator of the standard library that does nothing until it is iterated: a step of what, and what that was called with.
    Lazy(PathId, ArgsId),
    /// A callable with arguments given already.
    Partial(ValueId, ArgsId),
    Decorated(Decoration, SetId),
    Super(ClsId, ValueId),
    Constant(Constant),
    Text(Symbol),
    /// A text that begins so.
    Prefix(Symbol),
    /// Whatever this parameter is given; the variable part of summaries.
    Parameter(FnId, u32),
    /// What becomes of a variable part.
    Step(ValueId, Step),
}

/// What a decorator of the standard library makes of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Decoration {
    Property,
    ClassMethod,
    StaticMethod,
    ContextManager,
    AsyncContextManager,
    /// Its calls run in a thread, and are awaited.
    Offloaded,
    /// Its calls run a coroutine to its end.
    Synchronous,
}

/// From a value to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Step {
    Attribute(Symbol),
    Call(ArgsId),
    Await,
    Index(i32),
    Key(Symbol),
    Item,
    Element,
    AsyncElement,
    Enter,
    AsyncEnter,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Args {
    pub(crate) positional: SmallVec<[SetId; 4]>,
    pub(crate) keywords: SmallVec<[(Symbol, SetId); 2]>,
    /// `*args`, of which the positions are not known.
    pub(crate) star: Option<SetId>,
    pub(crate) double_star: Option<SetId>,
}

/// A parameter, and its values.
type Given = ((FnId, u32), SetId);

/// Parameters, and their values.
pub(crate) type Entries = SmallVec<[Given; 6]>;

/// Values while they are gathered: mostly few.
pub(crate) type Gathered = SmallVec<[ValueId; 6]>;

impl SetId {
    /// The set of one value: most are.
    pub(crate) const fn of(value: ValueId) -> Self {
        Self(value.0 | SINGLE)
    }

    /// The only member, if it has one.
    const fn single(self) -> Option<ValueId> {
        if self.0 & SINGLE == 0 { None } else { Some(ValueId(self.0 ^ SINGLE)) }
    }
}

/// The members of a set.
pub(crate) enum Members {
    One([ValueId; 1]),
    Several(Rc<[ValueId]>),
}

impl std::ops::Deref for Members {
    type Target = [ValueId];

    fn deref(&self) -> &[ValueId] {
        match self {
            Self::One(one) => one,
            Self::Several(several) => several,
        }
    }
}

/// The interner of all of them.
#[derive(Default)]
pub(crate) struct Values {
    table: Table<Value>,
    /// Whether each value has a variable part.
    open: Vec<bool>,
    /// All values, in their order: the members of sets of one.
    ids: Vec<ValueId>,
    sets: Table<Rc<[ValueId]>>,
    open_sets: Vec<bool>,
    envs: Table<Box<[Given]>>,
    args: Table<Rc<Args>>,
    made: Table<Box<[Told]>>,
    symbols: Table<Box<str>>,
    paths: Table<Box<str>>,
}

/// Each item once, with its number.
struct Table<T> {
    items: Vec<T>,
    ids: HashTable<Known>,
}

/// An item's place, and a part of its hash: that a table grows is no reason to look at all items again.
struct Known {
    hash: u32,
    id: u32,
}

impl<T: Eq + Hash> Table<T> {
    fn find<Q: Eq + Hash + ?Sized>(&self, item: &Q) -> Option<u32>
    where
        T: Borrow<Q>,
    {
        let hash = hash(item);
        let is_it = |known: &Known| known.hash == hash && self.items[known.id as usize].borrow() == item;
        self.ids.find(spread(hash), is_it).map(|known| known.id)
    }

    fn intern(&mut self, item: T) -> (u32, bool) {
        let Self { items, ids } = self;
        let hash = hash(&item);
        let is_it = |known: &Known| known.hash == hash && items[known.id as usize] == item;
        match ids.entry(spread(hash), is_it, |known| spread(known.hash)) {
            Entry::Occupied(known) => (known.get().id, false),
            Entry::Vacant(place) => {
                let id = items.len() as u32;
                place.insert(Known { hash, id });
                items.push(item);
                (id, true)
            }
        }
    }
}

fn hash<T: Hash + ?Sized>(item: &T) -> u32 {
    let hash = FxBuildHasher.hash_one(item);
    (hash ^ (hash >> 32)) as u32
}

/// A table looks at the bits of both ends.
fn spread(hash: u32) -> u64 {
    (u64::from(hash) << 32) | u64::from(hash)
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { items: Vec::new(), ids: HashTable::new() }
    }
}

impl Values {
    pub(crate) fn new() -> Self {
        let mut values = Self::default();
        values.intern_set(&[]);
        values.envs.intern(Box::new([]));
        values.args.intern(Rc::default());
        values.made.intern(Box::new([]));
        values
    }

    pub(crate) fn symbol(&mut self, text: &str) -> Symbol {
        match self.symbols.find(text) {
            Some(id) => Symbol(id),
            None => Symbol(self.symbols.intern(text.into()).0),
        }
    }

    /// The symbol, if any file has that string.
    pub(crate) fn known_symbol(&self, text: &str) -> Option<Symbol> {
        self.symbols.find(text).map(Symbol)
    }

    /// Of what is put into a list, only a part may be seen.
    pub(crate) fn is_container(&self, value: ValueId) -> bool {
        matches!(self.get(value), Value::Sequence(_) | Value::Mapping(_))
    }

    pub(crate) fn text(&self, symbol: Symbol) -> &str {
        &self.symbols.items[symbol.0 as usize]
    }

    pub(crate) fn path(&mut self, text: &str) -> PathId {
        match self.paths.find(text) {
            Some(id) => PathId(id),
            None => PathId(self.paths.intern(text.into()).0),
        }
    }

    pub(crate) fn path_text(&self, path: PathId) -> &str {
        &self.paths.items[path.0 as usize]
    }

    /// `is_closure`: functions whose meaning depends on parameters of the functions around them.
    pub(crate) fn value(&mut self, value: Value, is_closure: impl Fn(FnId) -> bool) -> ValueId {
        let is_open = match &value {
            Value::Parameter(..) | Value::Step(..) => true,
            Value::Function(function, env)
            | Value::Coroutine(function, env)
            | Value::Generator(function, env)
            | Value::AsyncGenerator(function, env) => is_closure(*function) || self.is_open_env(*env),
            Value::Bound(function, env, receiver) => {
                is_closure(*function) || self.is_open_env(*env) || self.open[receiver.0 as usize]
            }
            Value::Manager(inner) | Value::Super(_, inner) => self.open[inner.0 as usize],
            Value::Sequence(parts) => parts.iter().any(|part| self.is_open_set(*part)),
            Value::Mapping(items) => items.iter().any(|(_, part)| self.is_open_set(*part)),
            Value::Partial(inner, args) => self.open[inner.0 as usize] || self.is_open_args(*args),
            Value::Lazy(_, args) => self.is_open_args(*args),
            Value::Decorated(_, inner) | Value::Holding(inner) => self.is_open_set(*inner),
            _ => false,
        };
        let (id, is_new) = self.table.intern(value);
        if is_new {
            self.open.push(is_open);
            self.ids.push(ValueId(id));
        }
        ValueId(id)
    }

    pub(crate) fn get(&self, value: ValueId) -> &Value {
        &self.table.items[value.0 as usize]
    }

    /// Whether it is a parameter, or what becomes of one.
    pub(crate) fn is_variable(&self, value: ValueId) -> bool {
        matches!(self.get(value), Value::Parameter(..) | Value::Step(..))
    }

    pub(crate) fn is_open(&self, value: ValueId) -> bool {
        self.open[value.0 as usize]
    }

    pub(crate) fn is_open_set(&self, set: SetId) -> bool {
        match set.single() {
            Some(value) => self.is_open(value),
            None => self.open_sets[set.0 as usize],
        }
    }

    fn is_open_env(&self, env: EnvId) -> bool {
        self.env(env).iter().any(|(_, set)| self.is_open_set(*set))
    }

    pub(crate) fn is_open_args(&self, args: ArgsId) -> bool {
        let args = self.arguments(args);
        let keywords = args.keywords.iter().map(|(_, set)| set);
        args.positional
            .iter()
            .chain(keywords)
            .chain(&args.star)
            .chain(&args.double_star)
            .any(|set| self.is_open_set(*set))
    }

    pub(crate) fn set(&mut self, values: impl IntoIterator<Item = ValueId>) -> SetId {
        let mut given = values.into_iter();
        let (first, second) = (given.next(), given.next());
        let Some(second) = second else {
            return first.map_or(EMPTY, SetId::of);
        };
        let mut values: Gathered = first.into_iter().chain([second]).chain(given).collect();
        values.sort_unstable();
        values.dedup();
        values.truncate(MOST);
        match values[..] {
            [only] => SetId::of(only),
            _ => self.intern_set(&values),
        }
    }

    /// Several `values` in their order, each once; or none.
    fn intern_set(&mut self, values: &[ValueId]) -> SetId {
        if let Some(known) = self.sets.find(values) {
            return SetId(known);
        }
        let is_open = values.iter().any(|value| self.is_open(*value));
        let (id, _) = self.sets.intern(values.into());
        self.open_sets.push(is_open);
        SetId(id)
    }

    pub(crate) fn members(&self, set: SetId) -> &[ValueId] {
        match set.single() {
            Some(value) => std::slice::from_ref(&self.ids[value.0 as usize]),
            None => &self.sets.items[set.0 as usize],
        }
    }

    /// The members, for whoever makes new values while looking at them.
    pub(crate) fn shared(&self, set: SetId) -> Members {
        match set.single() {
            Some(value) => Members::One([value]),
            None => Members::Several(Rc::clone(&self.sets.items[set.0 as usize])),
        }
    }

    pub(crate) fn union(&mut self, one: SetId, two: SetId) -> SetId {
        if one == two || two == EMPTY {
            return one;
        }
        if one == EMPTY {
            return two;
        }
        let (left, right) = (self.members(one), self.members(two));
        if right.iter().all(|value| left.contains(value)) {
            return one;
        }
        // Both are in order.
        let (mut all, mut count) = ([ValueId(0); MOST], 0);
        let (mut at, mut other) = (0, 0);
        while count < MOST && (at < left.len() || other < right.len()) {
            let is_left = other == right.len() || (at < left.len() && left[at] <= right[other]);
            let next = if is_left { left[at] } else { right[other] };
            at += usize::from(left.get(at) == Some(&next));
            other += usize::from(right.get(other) == Some(&next));
            all[count] = next;
            count += 1;
        }
        self.intern_set(&all[..count])
    }

    pub(crate) fn new_env(&mut self, mut entries: Entries) -> EnvId {
        entries.retain(|(_, set)| *set != EMPTY);
        entries.sort_unstable();
        entries.dedup_by_key(|(key, _)| *key);
        let known = self.envs.find(&*entries);
        EnvId(known.unwrap_or_else(|| self.envs.intern(entries.into_boxed_slice()).0))
    }

    pub(crate) fn env(&self, env: EnvId) -> &[Given] {
        &self.envs.items[env.0 as usize]
    }

    pub(crate) fn new_args(&mut self, args: Args) -> ArgsId {
        let id = self.args.find(&args).unwrap_or_else(|| self.args.intern(Rc::new(args)).0);
        ArgsId(id)
    }

    pub(crate) fn new_made(&mut self, fields: &[Told]) -> MadeId {
        let id = self.made.find(fields).unwrap_or_else(|| self.made.intern(fields.into()).0);
        MadeId(id)
    }

    pub(crate) fn made(&self, made: MadeId) -> &[Told] {
        &self.made.items[made.0 as usize]
    }

    pub(crate) fn shared_arguments(&self, args: ArgsId) -> Rc<Args> {
        Rc::clone(&self.args.items[args.0 as usize])
    }

    pub(crate) fn arguments(&self, args: ArgsId) -> &Args {
        &self.args.items[args.0 as usize]
    }
}

/// The bit by which sets of one value are known.
const SINGLE: u32 = 1 << 31;
/// No value is known.
pub(crate) const EMPTY: SetId = SetId(0);
pub(crate) const NO_ENV: EnvId = EnvId(0);
pub(crate) const NO_ARGS: ArgsId = ArgsId(0);
/// Nothing is known of what it was made with.
pub(crate) const ANYHOW: MadeId = MadeId(0);
/// The most values of a set.
const MOST: usize = 24;
