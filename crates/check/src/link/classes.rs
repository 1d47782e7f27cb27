//! Classes: what they derive from, what derives from them, and what an attribute of their instances is.

use super::alone::Lead;
use super::values::{
    ANYHOW, ClsId, Decoration, EMPTY, FileId, FnId, Gathered, NO_ARGS, PathId, SetId, Step, Symbol, Value, ValueId,
};
use super::{Busy, Families, Program};
use crate::facts::{BindingKind, Digest, NameId};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::{SmallVec, smallvec};

/// Who derives from whom.
#[derive(Default)]
pub(super) struct Hierarchy {
    /// Each class and its bases, in the order in which Python looks.
    pub(super) orders: Vec<Vec<Ancestor>>,
    /// All that derive from a class, in the order of the text.
    pub(super) heirs: Vec<Vec<ClsId>>,
    /// Classes of which instances may exist: those that are called, or handed on.
    pub(super) live: FxHashSet<ClsId>,
    /// For each class whether it, or one that derives from it, is one of those.
    live_families: Vec<bool>,
    /// The class bodies' names.
    pub(super) members: Vec<FxHashMap<Symbol, usize>>,
    /// Where each class's fields of a name are.
    pub(super) fields: Vec<FxHashMap<Symbol, Vec<usize>>>,
    pub(super) protocols: FxHashSet<ClsId>,
    /// Classes with a `__get__` of their own.
    pub(super) descriptors: FxHashSet<ClsId>,
    /// Names of properties that do something.
    pub(super) properties: FxHashSet<Symbol>,
}

/// Whose attribute it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    Class(ClsId),
    Module(FileId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Ancestor {
    Class(ClsId),
    External(PathId),
}

impl Program {
    /// Looks at all classes, before anything else is evaluated.
    pub(super) fn learn_classes(&mut self, digests: &[Digest], families: Option<&Families>) {
        for (file, digest) in self.files.iter().zip(digests) {
            let symbol = |name: &NameId| file.symbols[name.index()];
            for class in &digest.classes {
                let members = class.members.iter().enumerate().map(|(place, name)| (symbol(name), place)).collect();
                let mut fields: FxHashMap<Symbol, Vec<usize>> = FxHashMap::default();
                for (place, name) in class.fields.iter().enumerate() {
                    fields.entry(symbol(name)).or_default().push(place);
                }
                self.hierarchy.members.push(members);
                self.hierarchy.fields.push(fields);
            }
        }
        if let Some(get) = self.values.known_symbol("__get__") {
            let classes = (0..).map(ClsId).zip(&self.hierarchy.members);
            self.hierarchy.descriptors =
                classes.filter(|(_, members)| members.contains_key(&get)).map(|(class, _)| class).collect();
        }
        match families {
            Some(families) => self.know_families(digests, families),
            None => self.learn_families(digests),
        }
        let is_live = |class: ClsId| self.hierarchy.live.contains(&class);
        let all = (0..self.cls_files.len() as u32).map(ClsId);
        self.hierarchy.live_families =
            all.map(|class| is_live(class) || self.heirs(class).iter().copied().any(is_live)).collect();
    }

    fn learn_families(&mut self, digests: &[Digest]) {
        self.learn_properties();
        let count = self.cls_files.len() as u32;
        self.hierarchy.orders = vec![Vec::new(); count as usize];
        self.hierarchy.heirs = vec![Vec::new(); count as usize];
        self.hierarchy.live_families = vec![false; count as usize];
        let mut bases = Vec::with_capacity(count as usize);
        for class in (0..count).map(ClsId) {
            bases.push(self.bases(class));
        }
        for class in (0..count).map(ClsId) {
            let mut order = Vec::new();
            linearize(Ancestor::Class(class), &bases, &mut order, &mut FxHashSet::default(), 0);
            order.reverse();
            self.hierarchy.orders[class.0 as usize] = order;
        }
        for class in (0..count).map(ClsId) {
            for ancestor in self.hierarchy.orders[class.0 as usize].clone() {
                match ancestor {
                    Ancestor::Class(base) if base != class => self.hierarchy.heirs[base.0 as usize].push(class),
                    Ancestor::External(path)
                        if matches!(self.values.path_text(path), "typing.Protocol" | "typing_extensions.Protocol") =>
                    {
                        let is_direct = bases[class.0 as usize].contains(&ancestor);
                        if is_direct {
                            self.hierarchy.protocols.insert(class);
                        }
                    }
                    _ => {}
                }
            }
        }
        self.learn_live(digests);
        self.learn_protocols();
        // What was evaluated until now knew no overrides.
        self.memo.fill(super::Memo::Open);
        self.returned.clear();
        self.busy.filled().clear();
        self.imports.clear();
        self.bound.clear();
        self.outside.clear();
        self.yielded.clear();
        self.decorated.clear();
        self.iterators = super::lazy::Iterators::default();
        self.makings = super::made::Makings::default();
    }

    fn bases(&mut self, class: ClsId) -> Vec<Ancestor> {
        let file = self.class_file(class);
        let exprs = self.class(class).bases.clone();
        let mut bases = Vec::new();
        for expr in exprs {
            let set = self.eval(file, expr);
            for value in self.values.shared(set).iter().copied() {
                match *self.values.get(value) {
                    Value::Class { class, .. } => bases.push(Ancestor::Class(class)),
                    Value::External(path) => bases.push(Ancestor::External(path)),
                    _ => {}
                }
            }
        }
        bases
    }

    // -------------------------------------------------------------- instances

    /// Classes that are named where a value is: called, handed on, returned, stored.
    pub(super) fn learn_live(&mut self, digests: &[Digest]) {
        let files = self.files.iter().zip(digests);
        let names = files.flat_map(|(file, digest)| digest.values.iter().map(|name| file.symbols[name.index()]));
        let names: FxHashSet<Symbol> = names.collect();
        let files = self.files.iter().zip(digests);
        let classes =
            files.flat_map(|(file, digest)| digest.classes.iter().map(|class| file.symbols[class.name.index()]));
        let live = (0..).map(ClsId).zip(classes).filter(|(_, name)| names.contains(name)).map(|(class, _)| class);
        self.hierarchy.live = live.collect();
        // A base that is told of its heirs may make instances of them.
        let Some(telling) = self.values.known_symbol("__init_subclass__") else { return };
        let tells = |class: &ClsId| !self.own_method(*class, telling).is_empty();
        let all = (0..self.cls_files.len() as u32).map(ClsId).collect::<Vec<_>>();
        let heirs = all.into_iter().filter(tells).flat_map(|class| self.heirs(class).iter().copied());
        let heirs: Vec<ClsId> = heirs.collect();
        self.hierarchy.live.extend(heirs);
    }

    pub(crate) fn ancestors(&self, class: ClsId) -> impl Iterator<Item = ClsId> + '_ {
        self.hierarchy.orders[class.0 as usize].iter().filter_map(|ancestor| match ancestor {
            Ancestor::Class(class) => Some(*class),
            Ancestor::External(_) => None,
        })
    }

    /// Paths of the classes outside the program that it derives from.
    pub(crate) fn external_bases(&self, class: ClsId) -> Vec<String> {
        let order = self.hierarchy.orders[class.0 as usize].iter();
        order
            .filter_map(|ancestor| match ancestor {
                Ancestor::External(path) => Some(self.values.path_text(*path).to_owned()),
                Ancestor::Class(_) => None,
            })
            .collect()
    }

    /// Something else than `type` makes it, as far as the program says.
    pub(super) fn has_metaclass(&self, class: ClsId) -> bool {
        self.ancestors(class).any(|class| self.class(class).has_metaclass)
    }

    pub(super) fn is_enum(&self, class: ClsId) -> bool {
        self.hierarchy.orders[class.0 as usize].iter().any(|ancestor| match ancestor {
            Ancestor::External(path) => self.values.path_text(*path).starts_with("enum."),
            Ancestor::Class(_) => false,
        })
    }

    /// Whether it is a dictionary whose class says what is in it.
    pub(super) fn is_typed_dict(&self, value: ValueId) -> bool {
        let Value::Instance { class, .. } = *self.values.get(value) else { return false };
        let is_it = |base: &String| matches!(&**base, "typing.TypedDict" | "typing_extensions.TypedDict");
        self.external_bases(class).iter().any(is_it)
    }

    pub(crate) fn heirs(&self, class: ClsId) -> &[ClsId] {
        &self.hierarchy.heirs[class.0 as usize]
    }

    pub(super) fn is_subclass(&self, class: ClsId, base: ClsId) -> bool {
        class == base || self.ancestors(class).any(|ancestor| ancestor == base)
    }

    /// Some protocol asks for a method of that name, and the class has all that it asks for.
    pub(crate) fn fits_protocol(&self, class: ClsId, name: Symbol) -> bool {
        let mut protocols = self.hierarchy.protocols.iter();
        protocols.any(|protocol| self.has_own(*protocol, name) && self.heirs(*protocol).contains(&class))
    }

    pub(crate) fn defining(&self, class: ClsId, name: Symbol) -> Option<ClsId> {
        self.ancestors(class).find(|ancestor| self.has_own(*ancestor, name))
    }

    /// It, one that it derives from, or one that derives from it has that name.
    pub(super) fn has_anywhere(&self, class: ClsId, name: Symbol) -> bool {
        self.defining(class, name).is_some() || self.heirs(class).iter().any(|heir| self.has_own(*heir, name))
    }

    /// Some of its bases are not known.
    pub(super) fn is_derived_from_outside(&self, class: ClsId) -> bool {
        let bases = self.external_bases(class);
        bases.iter().any(|base| base != "object" && !base.starts_with("typing.") && !base.starts_with("abc."))
    }

    /// The names that a class has itself; some twice.
    pub(super) fn own_names(&self, class: ClsId) -> impl Iterator<Item = Symbol> + '_ {
        let (members, fields) = (&self.hierarchy.members[class.0 as usize], &self.hierarchy.fields[class.0 as usize]);
        members.keys().chain(fields.keys()).copied()
    }

    pub(crate) fn has_own(&self, class: ClsId, name: Symbol) -> bool {
        self.hierarchy.members[class.0 as usize].contains_key(&name)
            || self.hierarchy.fields[class.0 as usize].contains_key(&name)
    }

    // -------------------------------------------------------------- attributes

    /// What an attribute of a value is.
    pub(crate) fn attribute(&mut self, value: ValueId, name: Symbol) -> SetId {
        match self.values.get(value).clone() {
            Value::Module(file) => self.module_attribute(file, name),
            Value::Namespace(module) => {
                let full = format!("{}.{}", self.values.text(module), self.values.text(name));
                // Any file will do: packages have the same names for all.
                self.module(FileId(0), &full)
            }
            Value::Instance { class, is_exact, .. } | Value::Class { class, is_exact } => {
                let found = self.class_attribute(class, is_exact, value, name);
                match (found.is_empty(), self.values.get(value)) {
                    (false, _) => self.values.set(found),
                    (true, Value::Instance { .. }) if self.values.text(name) == "__class__" => {
                        self.single(Value::Class { class, is_exact })
                    }
                    _ => self.delegated(value, name),
                }
            }
            Value::Super(class, receiver) => self.super_attribute(class, receiver, name),
            Value::Decorated(Decoration::Property, _) => {
                let setter = self.values.path("property.setter");
                let setter = self.value(Value::External(setter));
                let itself = SetId::of(value);
                let args =
                    self.values.new_args(super::values::Args { positional: smallvec![itself], ..Default::default() });
                self.single(Value::Partial(setter, args))
            }
            Value::Parameter(..) | Value::Step(..) | Value::External(_) => self.step(value, Step::Attribute(name)),
            Value::Sequence(parts) => self.sequence_method(value, &parts, name),
            Value::Mapping(_) if matches!(self.values.text(name), "get" | "pop" | "setdefault" | "copy") => {
                let is_copy = self.values.text(name) == "copy";
                let taker = self.values.path(if is_copy { "dict.copy" } else { "dict.get" });
                let taker = self.value(Value::External(taker));
                let positional = smallvec![SetId::of(value)];
                let args = self.values.new_args(super::values::Args { positional, ..Default::default() });
                self.single(Value::Partial(taker, args))
            }
            Value::Mapping(items) => {
                let parts: Vec<SetId> = items.iter().map(|(_, set)| *set).collect();
                let mut all = EMPTY;
                for part in parts {
                    all = self.values.union(all, part);
                }
                self.mapping_method(all, name)
            }
            Value::Holding(held) => self.holder_method(held, name),
            Value::Text(_) => self.external(&format!("str().{}", self.values.text(name))),
            Value::Function(..) | Value::Bound(..) | Value::Partial(..)
                if matches!(self.values.text(name), "__wrapped__" | "func") =>
            {
                SetId::of(value)
            }
            _ => EMPTY,
        }
    }

    fn module_attribute(&mut self, file: FileId, name: Symbol) -> SetId {
        if let Some(found) = self.module_member(file, name)
            && found != EMPTY
        {
            return found;
        }
        let full = format!("{}.{}", self.file(file).module, self.values.text(name));
        match self.modules.find(&full, file) {
            Some(file) => self.single(Value::Module(file)),
            // A folder without a file of its own.
            None if self.modules.is_namespace(&full) => {
                let full = self.values.symbol(&full);
                self.single(Value::Namespace(full))
            }
            None => EMPTY,
        }
    }

    fn sequence_method(&mut self, value: ValueId, parts: &[SetId], name: Symbol) -> SetId {
        match self.values.text(name) {
            "copy" => return self.giver(SetId::of(value)),
            "pop" | "popleft" | "get_nowait" => {
                let given = self.any_of(parts);
                return self.giver(given);
            }
            // What a queue gives: one of asyncio has it awaited.
            "get" => {
                let given = self.any_of(parts);
                let later = self.single(Value::Holding(given));
                let given = self.values.union(given, later);
                return self.giver(given);
            }
            _ => {}
        }
        let path = format!("list().{}", self.values.text(name));
        let method = self.external(&path);
        if path != "list().sort" {
            return method;
        }
        // Its key is called with what is in it.
        let itself = SetId::of(value);
        let args = self.values.new_args(super::values::Args { positional: smallvec![itself], ..Default::default() });
        let methods: Vec<ValueId> = self.values.members(method).to_vec();
        let methods: Vec<ValueId> =
            methods.into_iter().map(|method| self.value(Value::Partial(method, args))).collect();
        self.values.set(methods)
    }

    /// `values` and `items` give what is in it.
    fn mapping_method(&mut self, parts: SetId, name: Symbol) -> SetId {
        let made = match self.values.text(name) {
            "values" => self.single(Value::Sequence([parts].into())),
            "items" => {
                let pair = self.single(Value::Sequence([EMPTY, parts].into()));
                self.single(Value::Sequence([pair].into()))
            }
            _ => return EMPTY,
        };
        self.giver(made)
    }

    /// A function that gives this, whatever its arguments.
    pub(super) fn giver(&mut self, made: SetId) -> SetId {
        let cast = self.values.path("typing.cast");
        let cast = self.value(Value::External(cast));
        let args =
            self.values.new_args(super::values::Args { positional: smallvec![EMPTY, made], ..Default::default() });
        self.single(Value::Partial(cast, args))
    }

    /// All that an attribute may be, of a class or of its instances.
    pub(super) fn class_attribute(
        &mut self,
        class: ClsId,
        is_exact: bool,
        receiver: ValueId,
        name: Symbol,
    ) -> Gathered {
        let mut all = Gathered::new();
        let own = self.defining(class, name);
        if let Some(own) = own {
            self.add_members(own, receiver, name, &mut all);
            // A field may be set by a class and declared by its base.
            for ancestor in self.ancestors(class).collect::<SmallVec<[ClsId; 8]>>() {
                if ancestor != own && self.hierarchy.fields[ancestor.0 as usize].contains_key(&name) {
                    self.add_fields(ancestor, name, &mut all);
                }
            }
        }
        if !is_exact {
            self.add_overrides(class, own.is_some(), receiver, name, &mut all);
        }
        if own.is_none() {
            let is_class = matches!(self.values.get(receiver), Value::Class { .. });
            for base in self.external_bases(class) {
                if base == "object" || base.starts_with("typing.") || base.starts_with("abc.") {
                    continue;
                }
                let path = format!("{base}{}.{}", if is_class { "" } else { "()" }, self.values.text(name));
                let path = self.path_symbol(&path);
                all.push(self.value(Value::External(path)));
            }
        }
        all
    }

    /// The heirs that have a name for themselves, where instances of them may exist.
    fn overriding(&self, class: ClsId, is_known: bool, name: Symbol) -> Vec<ClsId> {
        let is_test = self.file(self.class_file(class)).is_test;
        let mut heirs = Vec::new();
        let is_protocol = self.hierarchy.protocols.contains(&class);
        for &heir in self.heirs(class) {
            let is_possible = is_test || !self.file(self.class_file(heir)).is_test;
            if !is_possible || !self.is_live(heir) {
                continue;
            }
            if self.has_own(heir, name) {
                heirs.push(heir);
            } else if is_protocol && !self.is_subclass(heir, class) {
                // It has it from a base, which knows nothing of the protocol.
                heirs.extend(self.defining(heir, name));
            }
        }
        if is_protocol {
            heirs.sort_unstable();
            heirs.dedup();
        }
        if is_known {
            let usual = self.defining(class, name);
            for &heir in self.heirs(class).iter().filter(|heir| self.has_several_bases(**heir)) {
                // One of its other bases comes first.
                let defining = self.defining(heir, name).filter(|defining| Some(*defining) != usual);
                if let Some(defining) = defining
                    && !heirs.contains(&defining)
                    && !self.is_subclass(defining, class)
                    && self.is_live(heir)
                    && (is_test || !self.file(self.class_file(heir)).is_test)
                {
                    heirs.push(defining);
                }
            }
        } else if heirs.is_empty() {
            for &heir in self.heirs(class) {
                if let Some(defining) = self.defining(heir, name)
                    && self.is_live(heir)
                    && !heirs.contains(&defining)
                {
                    heirs.push(defining);
                }
            }
        }
        heirs
    }

    fn has_several_bases(&self, class: ClsId) -> bool {
        self.class(class).bases.len() > 1
    }

    /// How many functions an attribute of a value may be, if they are too many to follow them.
    pub(crate) fn too_many(&self, value: ValueId, name: Symbol) -> Option<usize> {
        let Value::Instance { class, is_exact: false, .. } = *self.values.get(value) else { return None };
        let count = self.overriding(class, self.defining(class, name).is_some(), name).len();
        (count > WIDEST).then_some(count)
    }

    /// What heirs have instead; or, for a name that only they have, what they have.
    fn add_overrides(&mut self, class: ClsId, is_known: bool, receiver: ValueId, name: Symbol, all: &mut Gathered) {
        let heirs = self.overriding(class, is_known, name);
        // Too many to say anything.
        if heirs.len() > WIDEST {
            return;
        }
        for heir in heirs {
            let own = match self.values.get(receiver) {
                Value::Class { .. } => Value::Class { class: heir, is_exact: false },
                _ => Value::Instance { class: heir, is_exact: false, made: ANYHOW },
            };
            let own = self.value(own);
            self.add_members(heir, own, name, all);
        }
    }

    /// It, or one that derives from it, has instances.
    pub(crate) fn is_live(&self, class: ClsId) -> bool {
        self.hierarchy.live_families[class.0 as usize]
    }

    /// It has instances itself.
    pub(super) fn has_instances(&self, class: ClsId) -> bool {
        self.hierarchy.live.contains(&class)
    }

    fn super_attribute(&mut self, class: ClsId, receiver: ValueId, name: Symbol) -> SetId {
        let mut all = Gathered::new();
        self.add_next(class, class, receiver, name, &mut all);
        // An heir with several bases may have another one in between.
        if let Value::Instance { class: own, is_exact: false, .. } = *self.values.get(receiver) {
            let usual = self.next_defining(class, class, name);
            let heirs = self.heirs(own).iter().copied();
            let unusual: Vec<ClsId> =
                heirs.filter(|heir| self.next_defining(*heir, class, name) != usual && self.is_live(*heir)).collect();
            if unusual.len() <= WIDEST {
                for heir in unusual {
                    let receiver = self.value(Value::Instance { class: heir, is_exact: false, made: ANYHOW });
                    self.add_next(heir, class, receiver, name, &mut all);
                }
            }
        }
        self.values.set(all)
    }

    /// The class behind `after`, in the order of `class`, that defines a name.
    pub(super) fn next_defining(&self, class: ClsId, after: ClsId, name: Symbol) -> Option<ClsId> {
        let order = self.ancestors(class).skip_while(|ancestor| *ancestor != after).skip(1);
        order.into_iter().find(|ancestor| self.has_own(*ancestor, name))
    }

    fn add_next(&mut self, class: ClsId, after: ClsId, receiver: ValueId, name: Symbol, all: &mut Gathered) {
        let order = self.hierarchy.orders[class.0 as usize].clone();
        let behind = order.into_iter().skip_while(|ancestor| *ancestor != Ancestor::Class(after)).skip(1);
        for ancestor in behind {
            match ancestor {
                Ancestor::Class(base) if self.has_own(base, name) => {
                    self.add_members(base, receiver, name, all);
                    break;
                }
                Ancestor::External(path) => {
                    let path = format!("{}().{}", self.values.path_text(path), self.values.text(name));
                    let path = self.path_symbol(&path);
                    all.push(self.value(Value::External(path)));
                }
                Ancestor::Class(_) => {}
            }
        }
    }

    fn add_members(&mut self, class: ClsId, receiver: ValueId, name: Symbol, all: &mut Gathered) {
        let key = Busy::Member(class, name);
        if !self.busy.insert(key) {
            return;
        }
        let (file, scope) = (self.class_file(class), self.class(class).scope);
        if let Some(&place) = self.hierarchy.members[class.0 as usize].get(&name) {
            let facts = self.file(file).facts.share();
            let set = self.eval_bindings(file, &facts.scopes[scope].names[place].1);
            let set = self.settled(Lead::Attribute(name), set);
            for value in self.values.shared(set).iter().copied() {
                let bound = self.bind_member(value, receiver);
                all.extend_from_slice(self.values.members(bound));
            }
        }
        self.add_fields(class, name, all);
        if !all.iter().any(|value| self.says(*value)) {
            let stored = self.stored_from_outside(name, Owner::Class(class));
            all.extend_from_slice(self.values.members(stored));
        }
        self.busy.remove(&key);
    }

    /// What code elsewhere gives an attribute: `object.name = value`.
    pub(super) fn stored_from_outside(&mut self, name: Symbol, owner: Owner) -> SetId {
        let Some(places) = self.stores.get(&name) else { return EMPTY };
        if places.len() > MOST_STORES {
            return EMPTY;
        }
        let mut found = EMPTY;
        for (file, place) in places.clone() {
            let store = self.file(file).facts.stores[place].clone();
            let objects = self.eval(file, store.object);
            let is_it = self.values.shared(objects).iter().any(|object| match (owner, self.values.get(*object)) {
                (Owner::Class(class), Value::Instance { class: other, .. } | Value::Class { class: other, .. }) => {
                    self.is_subclass(*other, class) || self.is_subclass(class, *other)
                }
                (Owner::Module(module), Value::Module(other)) => module == *other,
                _ => false,
            });
            if is_it {
                let value = self.eval(file, store.value);
                found = self.values.union(found, value);
            }
        }
        found
    }

    /// Whether a value says all that a declared type could say of it.
    pub(super) fn says_all(&self, value: ValueId) -> bool {
        self.says(value) && !matches!(self.values.get(value), Value::External(_))
    }

    /// Whether a value says more than that something is not there yet.
    pub(super) fn says(&self, value: ValueId) -> bool {
        match self.values.get(value) {
            Value::Constant(_) => false,
            Value::Sequence(parts) => parts.iter().any(|part| *part != EMPTY),
            Value::Mapping(items) => items.iter().any(|(_, part)| *part != EMPTY),
            Value::External(path) => !matches!(self.values.path_text(*path), "list()" | "dict()" | "set()"),
            _ => true,
        }
    }

    fn add_fields(&mut self, class: ClsId, name: Symbol, all: &mut Gathered) {
        let Some(places) = self.hierarchy.fields[class.0 as usize].get(&name).cloned() else { return };
        let file = self.class_file(class);
        let mut found = EMPTY;
        let mut declared = Vec::new();
        for place in places {
            let field = self.class(class).fields[place].clone();
            if let Some(value) = field.value {
                let set = self.eval(file, value);
                found = self.values.union(found, set);
            }
            declared.extend(field.annotation);
        }
        let is_known =
            self.values.members(found).iter().any(|value| {
                !self.values.is_container(*value) && self.says_all(*value) && !self.values.is_open(*value)
            });
        if !is_known {
            for annotation in declared {
                let set = self.annotated(file, annotation);
                found = self.values.union(found, set);
            }
        }
        let found = self.settled(Lead::Attribute(name), found);
        all.extend_from_slice(self.values.members(found));
    }

    /// A class's member, as an instance or the class itself gives it.
    fn bind_member(&mut self, member: ValueId, receiver: ValueId) -> SetId {
        let is_class = matches!(self.values.get(receiver), Value::Class { .. });
        match self.values.get(member).clone() {
            Value::Function(function, env) if !is_class => {
                let name = self.file(self.file_of(function)).facts.name(self.function(function).name);
                if name == "__new__" {
                    return SetId::of(member);
                }
                self.single(Value::Bound(function, env, receiver))
            }
            Value::Decorated(Decoration::Property, inner) if !is_class => {
                let getter = self.bind_members(inner, receiver);
                self.step_set(getter, Step::Call(NO_ARGS))
            }
            Value::Decorated(Decoration::ClassMethod, inner) => {
                let class = match *self.values.get(receiver) {
                    Value::Instance { class, is_exact, .. } => self.value(Value::Class { class, is_exact }),
                    _ => receiver,
                };
                let mut all = EMPTY;
                for value in self.values.shared(inner).iter().copied() {
                    let bound = match *self.values.get(value) {
                        Value::Function(function, env) => self.single(Value::Bound(function, env, class)),
                        _ => SetId::of(value),
                    };
                    all = self.values.union(all, bound);
                }
                all
            }
            Value::Decorated(Decoration::StaticMethod, inner) => inner,
            Value::Constant(_) | Value::Text(_) | Value::Sequence(_) if is_class => match *self.values.get(receiver) {
                Value::Class { class, .. } if self.is_enum(class) => {
                    self.single(Value::Instance { class, is_exact: true, made: ANYHOW })
                }
                _ => SetId::of(member),
            },
            Value::Decorated(decoration, inner) if !is_class => {
                let inner = self.bind_members(inner, receiver);
                self.single(Value::Decorated(decoration, inner))
            }
            Value::Instance { .. } if !is_class && self.is_descriptor(member) => self.got_by(member, receiver),
            _ => SetId::of(member),
        }
    }

    fn bind_members(&mut self, members: SetId, receiver: ValueId) -> SetId {
        let mut all = EMPTY;
        for member in self.values.shared(members).iter().copied() {
            let bound = self.bind_member(member, receiver);
            all = self.values.union(all, bound);
        }
        all
    }

    /// The method that a class itself defines under a name.
    pub(crate) fn own_method(&self, class: ClsId, name: Symbol) -> Vec<FnId> {
        let Some(&place) = self.hierarchy.members[class.0 as usize].get(&name) else { return Vec::new() };
        let (file, scope) = (self.class_file(class), self.class(class).scope);
        let bindings = &self.file(file).facts.scopes[scope].names[place].1;
        let functions = bindings.iter().filter_map(|binding| match self.file(file).facts.bindings[*binding].kind {
            BindingKind::Function(function) => Some(self.global_fn(file, function)),
            _ => None,
        });
        functions.collect()
    }

    /// A class of the program without a constructor of its own, of a base outside it.
    pub(super) fn add_external_constructor(
        &mut self,
        class: ClsId,
        args: super::values::ArgsId,
        all: &mut super::Targets,
    ) {
        let init = self.values.symbol("__init__");
        if self.defining(class, init).is_some() {
            return;
        }
        for base in self.external_bases(class) {
            let path = self.values.path(&base);
            all.push(super::Target::External(path, args));
        }
    }

    /// Names that lead to objects of which it was asked what is done with them.
    pub(crate) fn leading_names(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.makings.watched.iter().copied()
    }

    pub(crate) fn property_names(&self) -> impl Iterator<Item = Symbol> + '_ {
        self.hierarchy.properties.iter().copied()
    }

    pub(crate) fn class_names(&self) -> impl Iterator<Item = Symbol> + '_ {
        let classes = (0..self.cls_files.len() as u32).map(ClsId);
        classes.map(|class| self.symbol(self.class_file(class), self.class(class).name))
    }

    /// Special methods that classes of the program define.
    pub(super) fn own_special_names(&self) -> FxHashSet<Symbol> {
        let members = self.hierarchy.members.iter().flat_map(FxHashMap::keys);
        members.copied().filter(|name| self.values.text(*name).starts_with("__")).collect()
    }
}

/// The order in which Python looks at a class and its bases, backwards (C3, near enough: depth first, with shared bases last).
///
/// A base that was met before comes with all of its own bases, so each is looked at once, however many ways lead to it.
fn linearize(
    class: Ancestor,
    bases: &[Vec<Ancestor>],
    order: &mut Vec<Ancestor>,
    seen: &mut FxHashSet<Ancestor>,
    depth: usize,
) {
    if depth > DEEPEST || !seen.insert(class) {
        return;
    }
    if let Ancestor::Class(id) = class {
        for base in bases[id.0 as usize].iter().rev() {
            linearize(*base, bases, order, seen, depth + 1);
        }
    }
    order.push(class);
}

/// Classes that derive from each other in a row.
const DEEPEST: usize = 60;
/// Overrides of one method.
pub(super) const WIDEST: usize = 12;
/// Places that set an attribute of some name.
const MOST_STORES: usize = 8;
