//! What an expression may be.

use super::alone::Lead;
use super::classes::Owner;
use super::mappings::Items;
use super::values::{
    ANYHOW, Args, Decoration, EMPTY, EnvId, FileId, FnId, Gathered, NO_ARGS, NO_ENV, PathId, SetId, Step, Symbol,
    Value, ValueId,
};
use super::{Busy, Memo, Named, Program};
use crate::catalogue::{canonical, is_builtin};
use crate::facts::{
    BindingId, BindingKind, Constant, Expr, ExprId, Key, MODULE_SCOPE, NameId, ScopeId, is_prefix_of_names,
};
use smallvec::{SmallVec, smallvec};

impl Program {
    /// `path / "name"` is a path, and a class of the program's own says what its operators give; others are of no use here.
    fn operation(&mut self, file: FileId, name: NameId, left: ExprId, right: ExprId) -> SetId {
        let left = self.eval(file, left);
        if let Some(text) = self.only_text(left)
            && self.file(file).facts.name(name) == "__add__"
            && is_prefix_of_names(self.values.text(text))
        {
            let right = self.eval(file, right);
            return match self.only_text(right) {
                Some(rest) => {
                    let text = format!("{}{}", self.values.text(text), self.values.text(rest));
                    self.made_text(&text)
                }
                None => self.single(Value::Prefix(text)),
            };
        }
        let mut all = EMPTY;
        for value in self.values.members(left).to_vec() {
            let given = match self.values.get(value) {
                Value::External(path) if self.values.path_text(*path) == "pathlib.Path()" => SetId::of(value),
                Value::Instance { .. } => {
                    let method = self.symbol(file, name);
                    let method = self.attribute(value, method);
                    let positional = smallvec![self.eval(file, right)];
                    let args = self.values.new_args(Args { positional, ..Args::default() });
                    self.step_set(method, Step::Call(args))
                }
                Value::Mapping(_) if self.file(file).facts.name(name) == "__or__" => {
                    let right = self.eval(file, right);
                    self.joined_mappings(SetId::of(value), right)
                }
                _ => continue,
            };
            all = self.values.union(all, given);
        }
        all
    }

    /// What an expression may be.
    pub(crate) fn eval(&mut self, file: FileId, expr: ExprId) -> SetId {
        let place = (self.file(file).first_expr + expr.raw()) as usize;
        match self.memo[place] {
            Memo::Known(set) => return set,
            Memo::Busy => {
                self.cut_all();
                return EMPTY;
            }
            Memo::Open => {}
        }
        if self.depth >= DEEPEST {
            return EMPTY;
        }
        self.memo[place] = Memo::Busy;
        self.depth += 1;
        let set = self.eval_fresh(file, expr);
        self.depth -= 1;
        self.memo[place] = Memo::Known(set);
        set
    }

    /// A text that stands nowhere in the program: it may be a name that somebody has.
    fn made_text(&mut self, text: &str) -> SetId {
        let text = self.values.symbol(text);
        self.makings.watched.insert(text);
        self.single(Value::Text(text))
    }

    /// Something was come to again: the functions that are asked what they give depend on who was asked first.
    fn cut_all(&mut self) {
        let asked = self.busy.iter().filter_map(|busy| match *busy {
            Busy::Returned(function) | Busy::Yielded(function) => Some(function),
            _ => None,
        });
        self.cut.extend(asked);
    }

    fn eval_fresh(&mut self, file: FileId, expr: ExprId) -> SetId {
        let facts = self.file(file).facts.share();
        match &facts.exprs[expr] {
            Expr::Unknown | Expr::Not(_) | Expr::Same(..) | Expr::Compared(..) => EMPTY,
            Expr::Local(bindings) => self.eval_bindings(file, bindings),
            Expr::Free(scope, name) => self.eval_scope_name(file, *scope, *name),
            Expr::Global(name) => self.eval_global(file, *name),
            Expr::Attribute(value, name) => {
                let value = self.eval(file, *value);
                let name = self.symbol(file, *name);
                self.step_set(value, Step::Attribute(name))
            }
            Expr::Call(callee, _) => {
                let callee = self.eval(file, *callee);
                if callee == EMPTY {
                    return EMPTY;
                }
                let args = if self.ignores_arguments(callee) { NO_ARGS } else { self.call_arguments(file, expr) };
                self.step_set(callee, Step::Call(args))
            }
            Expr::Await(value) => self.eval_step(file, *value, Step::Await),
            Expr::Item(value, key) => {
                let step = match *key {
                    Key::Unknown | Key::Of(_) | Key::All => Step::Item,
                    Key::Text(name) => Step::Key(self.symbol(file, name)),
                    Key::Index(index) => Step::Index(index),
                };
                self.eval_step(file, *value, step)
            }
            Expr::Element(value) => self.eval_step(file, *value, Step::Element),
            Expr::AsyncElement(value) => self.eval_step(file, *value, Step::AsyncElement),
            Expr::Enter(value) => self.eval_step(file, *value, Step::Enter),
            Expr::AsyncEnter(value) => self.eval_step(file, *value, Step::AsyncEnter),
            Expr::Union(parts) | Expr::Logic(_, parts) => self.eval_all(file, parts),
            Expr::Choice { then, other, .. } => self.eval_all(file, &[*then, *other]),
            Expr::Sequence(parts) if parts.len() > MOST_PARTS => {
                let part = self.eval_all(file, parts);
                self.single(Value::Sequence([part].into()))
            }
            Expr::Sequence(parts) => {
                let parts = parts.iter().map(|part| self.eval(file, *part)).collect();
                self.single(Value::Sequence(parts))
            }
            Expr::Generator(part) => {
                let part = self.eval(file, *part);
                self.single(Value::Sequence([part].into()))
            }
            Expr::Mapping(items) if items.len() > MOST_PARTS => {
                let mut any = EMPTY;
                for (key, value) in items {
                    let mut set = self.eval(file, *value);
                    if *key == Key::All {
                        set = self.step_set(set, Step::Item);
                    }
                    any = self.values.union(any, set);
                }
                self.single(Value::Mapping([(None, any)].into()))
            }
            Expr::Mapping(items) => {
                let mut all = Items::default();
                for (key, value) in items {
                    let set = self.eval(file, *value);
                    match key {
                        Key::All => self.put_all(set, &mut all),
                        Key::Text(name) => self.put(Some(self.symbol(file, *name)), set, &mut all),
                        _ => self.put(None, set, &mut all),
                    }
                }
                self.mapping(all)
            }
            Expr::Lambda(function) => {
                let function = self.global_fn(file, *function);
                self.single(Value::Function(function, NO_ENV))
            }
            Expr::Super(class, function) => {
                let class = self.global_cls(file, *class);
                let function = self.global_fn(file, *function);
                let receiver =
                    self.receiver(function).unwrap_or(Value::Instance { class, is_exact: false, made: ANYHOW });
                let receiver = self.value(receiver);
                self.single(Value::Super(class, receiver))
            }
            Expr::Constant(constant) => self.single(Value::Constant(*constant)),
            Expr::Text(name) => {
                let text = self.symbol(file, *name);
                self.single(Value::Text(text))
            }
            Expr::Prefix(name) => {
                let text = self.symbol(file, *name);
                self.single(Value::Prefix(text))
            }
            Expr::Joined(first, rest) => {
                let first = self.eval(file, *first);
                let Some(first) = self.only_text(first) else { return EMPTY };
                let text = format!("{}{}", self.values.text(first), facts.name(*rest));
                self.made_text(&text)
            }
            Expr::Operation(name, left, right) => self.operation(file, *name, *left, *right),
            Expr::Narrowed { value, classes, is } => self.narrowed(file, *value, *classes, *is),
            Expr::Bare(binding) => self.eval_binding(file, *binding),
        }
    }

    fn eval_step(&mut self, file: FileId, value: ExprId, step: Step) -> SetId {
        let value = self.eval(file, value);
        self.step_set(value, step)
    }

    pub(super) fn eval_all(&mut self, file: FileId, parts: &[ExprId]) -> SetId {
        let mut all = EMPTY;
        for part in parts {
            let part = self.eval(file, *part);
            all = self.values.union(all, part);
        }
        all
    }

    // ------------------------------------------------------------------- names

    pub(super) fn eval_bindings(&mut self, file: FileId, bindings: &[BindingId]) -> SetId {
        let [_, _, ..] = bindings else {
            return bindings.first().map_or(EMPTY, |binding| self.eval_binding(file, *binding));
        };
        let (mut all, mut unreal) = (EMPTY, EMPTY);
        for binding in bindings {
            let set = self.eval_binding(file, *binding);
            let side = if self.is_never_bound(file, *binding) { &mut unreal } else { &mut all };
            *side = self.values.union(*side, set);
        }
        // What is there for type checkers only says what the rest is; but of functions, those that are there are called.
        let is_function = |value: &ValueId| matches!(self.values.get(*value), Value::Function(..));
        if self.values.members(all).iter().any(is_function) { all } else { self.values.union(all, unreal) }
    }

    pub(super) fn eval_binding(&mut self, file: FileId, binding: BindingId) -> SetId {
        let kind = self.file(file).facts.bindings[binding].kind;
        let is_import = matches!(kind, BindingKind::Import { .. } | BindingKind::ImportFrom { .. });
        if !is_import {
            return self.eval_binding_kind(file, kind);
        }
        if let Some(known) = self.imports.get(&(file, binding)) {
            return *known;
        }
        let found = self.eval_binding_kind(file, kind);
        // While something is being looked at, cycles may cut answers short; but not those for modules themselves.
        let is_whole = self.busy.is_empty() || matches!(kind, BindingKind::Import { .. });
        if is_whole && found != EMPTY {
            self.imports.insert((file, binding), found);
        }
        found
    }

    fn eval_binding_kind(&mut self, file: FileId, kind: BindingKind) -> SetId {
        match kind {
            BindingKind::Value(expr) => self.eval(file, expr),
            BindingKind::Annotated { annotation, value } => {
                let known = value.map_or(EMPTY, |value| self.eval(file, value));
                if self.values.members(known).iter().any(|value| self.says_all(*value)) {
                    return known;
                }
                let declared = self.annotated(file, annotation);
                let says = self.values.members(known).iter().any(|value| self.says(*value));
                if says { self.values.union(known, declared) } else { declared }
            }
            BindingKind::Parameter(function, index) => {
                let function = self.global_fn(file, function);
                self.parameter(function, index)
            }
            BindingKind::Import { module, is_root } => {
                let name = self.file(file).facts.name(module).to_owned();
                let name = if is_root { name.split('.').next().unwrap_or(&name).to_owned() } else { name };
                self.module(file, &name)
            }
            BindingKind::ImportFrom { module, level, name } => {
                let Some(module) = self.imported_module(file, module, level) else { return EMPTY };
                let name = self.symbol(file, name);
                self.imported(file, module, name)
            }
            BindingKind::Function(function) => {
                let function = self.global_fn(file, function);
                self.decorated(function)
            }
            BindingKind::Class(class) => {
                let class = self.global_cls(file, class);
                self.single(Value::Class { class, is_exact: true })
            }
            BindingKind::Unpacked(value, index) => self.eval_step(file, value, Step::Index(index)),
            BindingKind::Raised(class) => {
                let class = self.eval(file, class);
                self.instances(class)
            }
            BindingKind::Unknown => EMPTY,
        }
    }

    fn eval_scope_name(&mut self, file: FileId, scope: ScopeId, name: NameId) -> SetId {
        let symbol = self.symbol(file, name);
        if scope == MODULE_SCOPE {
            return self.own_member(file, symbol).unwrap_or(EMPTY);
        }
        let facts = self.file(file).facts.share();
        let names = &facts.scopes[scope].names;
        let Ok(place) = names.binary_search_by_key(&name, |(name, _)| *name) else { return EMPTY };
        self.eval_bindings(file, &names[place].1)
    }

    /// A name that the file does not bind.
    fn eval_global(&mut self, file: FileId, name: NameId) -> SetId {
        let symbol = self.symbol(file, name);
        if let Some(found) = self.starred_member(file, symbol) {
            return found;
        }
        let text = self.values.text(symbol).to_owned();
        if is_builtin(&text) {
            return self.external(&text);
        }
        self.outside_star(file, &text)
    }

    /// A name that a star import of a module outside the program may give: one of which something is known, or that can come from nowhere else.
    fn outside_star(&mut self, file: FileId, name: &str) -> SetId {
        let stars = self.file(file).facts.scopes[MODULE_SCOPE].stars.clone();
        for (module, level) in &stars {
            let Some(module) = self.imported_module(file, *module, *level) else { continue };
            let path = format!("{}.{name}", self.values.text(module.name));
            let is_outside = module.file.is_none() && !self.modules.is_namespace(self.values.text(module.name));
            if is_outside && (stars.len() == 1 || self.catalogue.knows(&path)) {
                return self.external(&path);
            }
        }
        EMPTY
    }

    /// What others get of a module under a name; none, if it has no such name.
    pub(crate) fn module_member(&mut self, file: FileId, name: Symbol) -> Option<SetId> {
        self.asked.insert((file, name));
        self.own_member(file, name)
    }

    fn own_member(&mut self, file: FileId, name: Symbol) -> Option<SetId> {
        let this = self.file(file);
        let Some(&place) = this.members.get(&name) else { return self.starred_member(file, name) };
        let facts = this.facts.share();
        let key = Busy::Global(file, name);
        if !self.busy.insert(key) {
            return Some(EMPTY);
        }
        let bindings = facts.scopes[MODULE_SCOPE].names[place].1.iter().copied();
        let last: SmallVec<[BindingId; 4]> = bindings.filter(|one| !facts.bindings[*one].is_replaced).collect();
        let mut set = self.eval_bindings(file, &last);
        if !self.values.members(set).iter().any(|value| self.says(*value)) {
            let stored = self.stored_from_outside(name, Owner::Module(file));
            set = self.values.union(set, stored);
        }
        self.busy.remove(&key);
        Some(self.settled(Lead::Module(file, name), set))
    }

    fn starred_member(&mut self, file: FileId, name: Symbol) -> Option<SetId> {
        let stars = self.file(file).facts.scopes[MODULE_SCOPE].stars.clone();
        for (module, level) in stars {
            let Some(module) = self.imported_module(file, module, level) else { continue };
            let Some(target) = module.file else { continue };
            let key = Busy::Global(file, name);
            if target == file || !self.busy.insert(key) {
                continue;
            }
            let found = self.module_member(target, name);
            self.busy.remove(&key);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// The module that an import names: `level` dots, and the rest.
    pub(super) fn imported_module(&mut self, file: FileId, module: NameId, level: u32) -> Option<Named> {
        if let Some(known) = self.named_modules.get(&(file, module, level)) {
            return *known;
        }
        let name = self.absolute_name(file, module, level);
        let found = name.map(|name| Named { file: self.modules.find(&name, file), name: self.values.symbol(&name) });
        self.named_modules.insert((file, module, level), found);
        found
    }

    /// The file that a `from` import takes names from.
    pub(crate) fn imported_file(&self, importer: FileId, module: NameId, level: u32) -> Option<FileId> {
        self.modules.find(&self.absolute_name(importer, module, level)?, importer)
    }

    fn absolute_name(&self, importer: FileId, module: NameId, level: u32) -> Option<String> {
        let this = self.file(importer);
        let rest = this.facts.name(module);
        if level == 0 { Some(rest.to_owned()) } else { self.modules.absolute(importer, &this.module, level, rest) }
    }

    /// A module by its name: of the program, or from outside.
    pub(super) fn module(&mut self, importer: FileId, name: &str) -> SetId {
        if let Some(file) = self.modules.find(name, importer) {
            return self.single(Value::Module(file));
        }
        if self.modules.is_namespace(name) {
            let symbol = self.values.symbol(name);
            return self.single(Value::Namespace(symbol));
        }
        self.external(name)
    }

    /// `from module import name`
    fn imported(&mut self, importer: FileId, module: Named, name: Symbol) -> SetId {
        if let Some(file) = module.file
            && let Some(found) = self.module_member(file, name)
            && found != EMPTY
        {
            return found;
        }
        let key = (importer, module.name, name);
        if let Some(known) = self.submodules.get(&key) {
            return *known;
        }
        let full = format!("{}.{}", self.values.text(module.name), self.values.text(name));
        let found = if module.file.is_some() {
            self.modules.find(&full, importer).map_or(EMPTY, |file| self.single(Value::Module(file)))
        } else if self.modules.is_namespace(self.values.text(module.name)) {
            self.module(importer, &full)
        } else {
            self.external(&full)
        };
        self.submodules.insert(key, found);
        found
    }

    pub(super) fn external(&mut self, path: &str) -> SetId {
        let path = self.external_path(path);
        self.single(Value::External(path))
    }

    fn external_path(&mut self, path: &str) -> PathId {
        match canonical(path) {
            Some(path) => self.values.path(&path),
            None => self.values.path(path),
        }
    }

    // -------------------------------------------------------------- parameters

    /// What a parameter is inside its function.
    fn parameter(&mut self, function: FnId, index: u32) -> SetId {
        if index == 0
            && let Some(receiver) = self.receiver(function)
        {
            return match self.told_of(function) {
                Some(heirs) => heirs,
                None => self.single(receiver),
            };
        }
        let file = self.file_of(function);
        let parameter = self.function(function).parameters[index as usize].clone();
        let declared = match parameter.annotation {
            Some(annotation) => self.parameter_type(file, &parameter, annotation),
            None => EMPTY,
        };
        let is_useful =
            self.values.members(declared).iter().any(|value| !matches!(self.values.get(*value), Value::Constant(_)));
        let itself = match declared {
            EMPTY => self.fixture(function, index),
            _ => EMPTY,
        };
        if itself != EMPTY {
            return itself;
        }
        let itself = self.single(Value::Parameter(function, index));
        if !is_useful {
            return itself;
        }
        // What a callable or an iterator of such a type does, or what is in a queue, only callers know.
        let is_whole = |value: &ValueId| match *self.values.get(*value) {
            Value::Holding(_) | Value::Partial(..) => false,
            Value::Instance { class, .. } => !self.is_protocol_of_callables(class),
            Value::External(path) => !self.values.path_text(path).ends_with("Queue()"),
            _ => true,
        };
        if self.values.members(declared).iter().all(is_whole) { declared } else { self.values.union(declared, itself) }
    }

    /// The classes of which `__init_subclass__` is told, if it is that: those of its heirs, one after the other.
    fn told_of(&mut self, function: FnId) -> Option<SetId> {
        let class = self.class_of(function)?;
        let is_one = self.file(self.file_of(function)).facts.name(self.function(function).name) == "__init_subclass__";
        if !is_one {
            return None;
        }
        let is_test = self.file(self.class_file(class)).is_test;
        let heirs = self.heirs(class).iter().copied();
        let heirs: Vec<_> = heirs.filter(|heir| is_test || !self.file(self.class_file(*heir)).is_test).collect();
        let is_few = !heirs.is_empty() && heirs.len() <= MOST_TOLD;
        is_few.then(|| {
            heirs.into_iter().fold(EMPTY, |all, class| {
                let heir = self.single(Value::Class { class, is_exact: true });
                self.values.union(all, heir)
            })
        })
    }

    /// What the first parameter of a method is.
    pub(super) fn receiver(&self, function: FnId) -> Option<Value> {
        let class = self.class_of(function)?;
        if self.function(function).parameters.is_empty() {
            return None;
        }
        let name = self.file(self.file_of(function)).facts.name(self.function(function).name);
        match self.method_kind(function) {
            Some(Decoration::StaticMethod) => None,
            Some(Decoration::ClassMethod) => Some(Value::Class { class, is_exact: false }),
            _ if matches!(name, "__new__" | "__init_subclass__" | "__class_getitem__") => {
                Some(Value::Class { class, is_exact: false })
            }
            _ => Some(Value::Instance { class, is_exact: false, made: ANYHOW }),
        }
    }

    /// Whether a method is a class method or static, as its decorators say.
    pub(super) fn method_kind(&self, function: FnId) -> Option<Decoration> {
        let file = self.file(self.file_of(function));
        self.function(function).decorators.iter().find_map(|decorator| match &file.facts.exprs[*decorator] {
            Expr::Global(name) => match file.facts.name(*name) {
                "classmethod" => Some(Decoration::ClassMethod),
                "staticmethod" => Some(Decoration::StaticMethod),
                _ => None,
            },
            _ => None,
        })
    }

    // --------------------------------------------------------------- functions

    /// What the name of a function is bound to: the function, as its decorators make it.
    pub(crate) fn decorated(&mut self, function: FnId) -> SetId {
        if let Some(&known) = self.decorated.get(&function) {
            return known;
        }
        let bare = self.single(Value::Function(function, NO_ENV));
        let key = Busy::Decorated(function);
        if !self.busy.insert(key) {
            return bare;
        }
        let file = self.file_of(function);
        let decorators = self.function(function).decorators.clone();
        let mut value = bare;
        for decorator in decorators.into_iter().rev() {
            let decorator = self.eval(file, decorator);
            let made = self.decorate(decorator, value);
            // A decorator of which nothing is known leaves the function as it is.
            if made == EMPTY {
                self.disguised.insert(function);
            } else {
                value = made;
            }
        }
        self.busy.remove(&key);
        self.decorated.insert(function, value);
        value
    }

    // --------------------------------------------------------------- narrowing

    fn narrowed(&mut self, file: FileId, value: ExprId, classes: ExprId, is: bool) -> SetId {
        let value = self.eval(file, value);
        let classes = self.eval(file, classes);
        let mut wanted = Vec::new();
        for class in self.values.shared(classes).iter().copied() {
            match self.values.get(class).clone() {
                Value::Sequence(parts) => {
                    for part in &*parts {
                        wanted.extend_from_slice(self.values.members(*part));
                    }
                }
                _ => wanted.push(class),
            }
        }
        let mut kept = Vec::new();
        for one in self.values.shared(value).iter().copied() {
            match self.is_instance(one, &wanted) {
                Some(matches) if matches != is => {}
                None if is => self.add_heirs_of(one, &wanted, &mut kept),
                _ => kept.push(one),
            }
        }
        let is_known = kept.iter().any(|one| !self.values.is_open(*one));
        if is && !is_known {
            // Of what it was nothing was known; now it is.
            let wanted = self.values.set(wanted);
            return self.instances_of(wanted);
        }
        self.values.set(kept)
    }

    /// What may be an instance of some of these classes is one of those that derive from its own.
    fn add_heirs_of(&mut self, value: ValueId, classes: &[ValueId], kept: &mut Vec<ValueId>) {
        let Value::Instance { class, made, .. } = *self.values.get(value) else {
            kept.push(value);
            return;
        };
        for wanted in classes {
            if let Value::Class { class: wanted, .. } = *self.values.get(*wanted)
                && self.is_subclass(wanted, class)
            {
                kept.push(self.value(Value::Instance { class: wanted, is_exact: false, made }));
            }
        }
    }

    fn instances_of(&mut self, classes: SetId) -> SetId {
        let mut all = Gathered::new();
        for class in self.values.shared(classes).iter().copied() {
            match self.values.get(class).clone() {
                Value::Class { class, .. } => {
                    all.push(self.value(Value::Instance { class, is_exact: false, made: ANYHOW }));
                }
                Value::External(path) => {
                    let path = format!("{}()", self.values.path_text(path));
                    let path = self.external_path(&path);
                    all.push(self.value(Value::External(path)));
                }
                _ => {}
            }
        }
        self.values.set(all)
    }

    /// What instances of these classes are.
    pub(super) fn instances(&mut self, classes: SetId) -> SetId {
        self.instances_of(classes)
    }

    /// Whether the value is an instance of one of the classes, where that is known.
    fn is_instance(&mut self, value: ValueId, classes: &[ValueId]) -> Option<bool> {
        match self.values.get(value).clone() {
            Value::Instance { class, is_exact, .. } => {
                for wanted in classes {
                    if let Value::Class { class: wanted, .. } = *self.values.get(*wanted) {
                        if self.is_subclass(class, wanted) {
                            return Some(true);
                        }
                        if !is_exact && self.is_subclass(wanted, class) {
                            return None;
                        }
                    }
                }
                Some(false)
            }
            Value::External(path) => {
                let text = self.values.path_text(path).to_owned();
                let class = text.strip_suffix("()")?;
                let is_one = classes.iter().any(|wanted| {
                    matches!(self.values.get(*wanted), Value::External(wanted) if self.values.path_text(*wanted) == class)
                });
                is_one.then_some(true)
            }
            Value::Constant(Constant::None) | Value::Sequence(_) | Value::Mapping(_) => Some(false),
            // Such a thing is none of the program's classes.
            Value::Function(..) | Value::Bound(..) | Value::Partial(..) | Value::Holding(_) => {
                let are_own = classes.iter().all(|wanted| matches!(self.values.get(*wanted), Value::Class { .. }));
                are_own.then_some(false)
            }
            _ => None,
        }
    }

    /// Nothing but what closures need of an environment.
    pub(super) fn closure_env(&mut self, function: FnId, env: EnvId) -> EnvId {
        let entries: Vec<_> = self.values.env(env).to_vec();
        let kept = entries
            .into_iter()
            .filter(|((owner, _), _)| *owner != function && self.is_within(function, *owner))
            .collect();
        self.values.new_env(kept)
    }
}

/// Expressions within expressions, over all files.
const DEEPEST: u32 = 400;
/// Parts of a container that are told apart.
const MOST_PARTS: usize = 64;
/// Heirs that a class is told of, each as itself.
const MOST_TOLD: usize = 40;
