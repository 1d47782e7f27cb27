//! Prints of what functions give: numbers that are the same for the same, whatever numbers a program has given to its parts.

use super::values::{ArgsId, ClsId, EnvId, FnId, MadeId, SetId, Step, Symbol, Value, ValueId};
use super::{Need, Program, Returned, What};
use rustc_hash::{FxBuildHasher, FxHashMap};
use serde::{Deserialize, Serialize};
use std::hash::{BuildHasher, Hash};

/// What a function returns and yields, as far as anybody asked: 0 where nobody did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Print {
    pub(crate) returned: u64,
    pub(crate) yielded: u64,
}

impl Print {
    /// Whether both are the same, as far as both are known.
    pub(crate) const fn is_like(self, other: Self) -> bool {
        (self.returned == 0 || other.returned == 0 || self.returned == other.returned)
            && (self.yielded == 0 || other.yielded == 0 || self.yielded == other.yielded)
    }

    /// What is known of one, or else of the other.
    #[must_use]
    pub(crate) const fn or(self, other: Self) -> Self {
        Self {
            returned: if self.returned == 0 { other.returned } else { self.returned },
            yielded: if self.yielded == 0 { other.yielded } else { self.yielded },
        }
    }
}

/// Those of a program's values, which are remembered.
#[derive(Default)]
pub(crate) struct Prints {
    values: FxHashMap<ValueId, u64>,
    functions: FxHashMap<FnId, u64>,
    classes: FxHashMap<ClsId, u64>,
}

impl Prints {
    /// What a function gives, as far as the program knows it by now.
    pub(crate) fn of(&mut self, program: &Program, function: FnId) -> Print {
        let returned = program.returned.get(&function).map(|ways| self.ways(program, ways));
        let yielded = program.yielded.get(&function).map(|set| self.set(program, *set) | 1);
        Print { returned: returned.unwrap_or_default(), yielded: yielded.unwrap_or_default() }
    }

    fn ways(&mut self, program: &Program, ways: &[Returned]) -> u64 {
        let ways = ways.iter().map(|Returned { set, of_receiver, needs }| {
            let needs = all(needs.iter().map(|need| self.need(program, *need)));
            hash((self.set(program, *set), self.set(program, *of_receiver), needs))
        });
        all(ways) | 1
    }

    fn need(&mut self, program: &Program, need: Need) -> u64 {
        let Need { owner, parameter, what, is } = need;
        hash((self.function(program, owner), parameter, self.what(program, what), is))
    }

    fn what(&mut self, program: &Program, what: What) -> u64 {
        let text = |symbol: Symbol| program.values.text(symbol);
        match what {
            What::True => hash(1),
            What::None => hash(2),
            What::Form(form) => hash((3, form)),
            What::Zero => hash(4),
            What::Text(one) => hash((5, text(one))),
            What::Prefix(one) => hash((6, text(one))),
            What::KeyTrue(one) => hash((7, text(one))),
            What::KeyNone(one) => hash((8, text(one))),
            What::FieldTrue(one) => hash((9, text(one))),
            What::FieldNone(one) => hash((10, text(one))),
            What::Asked(one) => hash((11, text(one))),
            What::Answer(one, other) => hash((12, text(one), text(other))),
            What::Receives(method, class) => {
                let class = class.map(|class| self.class(program, class));
                hash((13, self.function(program, method), class))
            }
            What::Any(list) => {
                let questions = program.alternative(list).iter();
                hash((14, all(questions.map(|(what, is)| hash((self.what(program, *what), is))))))
            }
            What::Is(class) => hash((15, self.class(program, class))),
            What::IsOutside(one) => hash((16, text(one))),
        }
    }

    /// A function, by its file and its name there: as the how many-th of that name.
    pub(crate) fn function(&mut self, program: &Program, function: FnId) -> u64 {
        if let Some(known) = self.functions.get(&function) {
            return *known;
        }
        let file = program.file(program.file_of(function));
        let names = file.facts.functions.iter().map(|(_, one)| file.facts.name(one.qualified));
        self.functions.extend((file.first_fn..).map(FnId).zip(counted(&file.path, names)));
        self.functions[&function]
    }

    /// A class, likewise.
    pub(crate) fn class(&mut self, program: &Program, class: ClsId) -> u64 {
        if let Some(known) = self.classes.get(&class) {
            return *known;
        }
        let file = program.file(program.class_file(class));
        let names = file.facts.classes.iter().map(|(_, one)| file.facts.name(one.qualified));
        self.classes.extend((file.first_cls..).map(ClsId).zip(counted(&file.path, names)));
        self.classes[&class]
    }

    /// In any order: that of the members is the one in which they were found.
    fn set(&mut self, program: &Program, set: SetId) -> u64 {
        all(program.values.members(set).iter().map(|value| self.value(program, *value)))
    }

    pub(crate) fn value(&mut self, program: &Program, value: ValueId) -> u64 {
        if let Some(known) = self.values.get(&value) {
            return *known;
        }
        let this = program.values.get(value);
        let print = match this {
            Value::Module(file) => hash(&program.file(*file).path),
            Value::Namespace(name) => hash(program.values.text(*name)),
            Value::External(path) => hash(program.values.path_text(*path)),
            Value::Function(function, env)
            | Value::Coroutine(function, env)
            | Value::Generator(function, env)
            | Value::AsyncGenerator(function, env) => {
                hash((self.function(program, *function), self.env(program, *env)))
            }
            Value::Bound(function, env, receiver) => {
                hash((self.function(program, *function), self.env(program, *env), self.value(program, *receiver)))
            }
            Value::Class { class, is_exact } => hash((self.class(program, *class), is_exact)),
            Value::Instance { class, is_exact, made } => {
                hash((self.class(program, *class), is_exact, made_print(program, *made)))
            }
            Value::Manager(inner) => self.value(program, *inner),
            Value::Sequence(parts) => hash(parts.iter().map(|part| self.set(program, *part)).collect::<Vec<_>>()),
            Value::Mapping(items) => {
                let text = |name: Symbol| program.values.text(name).to_owned();
                let items = items.iter().map(|(name, set)| (name.map(text), self.set(program, *set)));
                hash(items.collect::<Vec<_>>())
            }
            Value::Holding(inner) => self.set(program, *inner),
            Value::Lazy(steps, args) => hash((program.values.path_text(*steps), self.args(program, *args))),
            Value::Partial(inner, args) => hash((self.value(program, *inner), self.args(program, *args))),
            Value::Decorated(decoration, inner) => hash((decoration, self.set(program, *inner))),
            Value::Super(class, receiver) => hash((self.class(program, *class), self.value(program, *receiver))),
            Value::Constant(constant) => hash(constant),
            Value::Text(text) | Value::Prefix(text) => hash(program.values.text(*text)),
            Value::Parameter(function, place) => hash((self.function(program, *function), place)),
            Value::Step(inner, step) => hash((self.value(program, *inner), self.step(program, *step))),
        };
        let print = hash((std::mem::discriminant(this), print));
        self.values.insert(value, print);
        print
    }

    fn step(&mut self, program: &Program, step: Step) -> u64 {
        match step {
            Step::Attribute(name) => hash((1, program.values.text(name))),
            Step::Key(name) => hash((2, program.values.text(name))),
            Step::Call(args) => hash((3, self.args(program, args))),
            other => hash(other),
        }
    }

    fn env(&mut self, program: &Program, env: EnvId) -> u64 {
        let entries = program.values.env(env).iter();
        all(entries.map(|((owner, place), set)| hash((self.function(program, *owner), place, self.set(program, *set)))))
    }

    fn args(&mut self, program: &Program, args: ArgsId) -> u64 {
        let args = program.values.arguments(args);
        let positional: Vec<u64> = args.positional.iter().map(|set| self.set(program, *set)).collect();
        let keywords = args.keywords.iter();
        let keywords = all(keywords.map(|(name, set)| hash((program.values.text(*name), self.set(program, *set)))));
        let rest = [args.star, args.double_star].map(|rest| rest.map(|set| self.set(program, set)));
        hash((positional, keywords, rest))
    }
}

fn made_print(program: &Program, made: MadeId) -> u64 {
    let told = program.values.made(made).iter();
    all(told.map(|told| hash((program.values.text(told.field), told.constant, told.is_settled))))
}

/// Prints of what a file has, by names of which it may have several: each as the how many-th of its name.
fn counted<'f>(path: &str, names: impl Iterator<Item = &'f str>) -> Vec<u64> {
    let mut counts: FxHashMap<&str, u32> = FxHashMap::default();
    let print = |name: &'f str| {
        let count = counts.entry(name).or_default();
        *count += 1;
        hash((path, name, *count))
    };
    names.map(print).collect()
}

/// Of several, in any order.
fn all(prints: impl Iterator<Item = u64>) -> u64 {
    prints.fold(0, |sum, print| sum.wrapping_add(hash(print)))
}

fn hash<T: Hash>(item: T) -> u64 {
    FxBuildHasher.hash_one(item)
}
