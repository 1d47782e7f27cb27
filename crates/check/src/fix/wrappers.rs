//! Functions of which a plain one stays, under the old name, for callers that no loop runs: it runs a loop for the coroutine function, which
//! has a new name beside it. Coroutines call that one.
//!
//! All methods that override each other get a plain one, or none does: each runs the coroutine function that its object has. Where the two could
//! differ, a chain is refused: calls of what is overridden from outside a loop (`super().get()` would come to the override), decorators and
//! defaults that would be made twice, names that are taken, and places that may get at the function in other ways than by a call of its name.

use super::closure::{Closure, Closures, Obstacle};
use super::edit::{Edit, indent};
use super::escapes::Escape;
use super::imports;
use super::obstacles::may_call;
use super::sites::{at, is_call};
use super::writer::{Outside, Writer};
use crate::facts::{BindingKind, Expr, ExprId, MODULE_SCOPE, ParameterKind, Span};
use crate::graph::{Edge, Site};
use crate::link::Program;
use crate::link::values::{FileId, FnId, Value};
use rustc_hash::FxHashSet;

/// Functions that `__all__` of some module names, and public methods of such classes.
pub(super) fn exports(program: &mut Program) -> FxHashSet<FnId> {
    let (mut functions, mut classes) = (FxHashSet::default(), FxHashSet::default());
    for index in 0..program.files.len() {
        let file = FileId(index as u32);
        for name in exported_names(program, file) {
            let Some(set) = program.values.known_symbol(&name).and_then(|name| program.module_member(file, name))
            else {
                continue;
            };
            for value in program.values.members(set) {
                match program.values.get(*value) {
                    Value::Function(function, _) => drop(functions.insert(*function)),
                    Value::Class { class, .. } => drop(classes.insert(*class)),
                    _ => {}
                }
            }
        }
    }
    let methods = program.functions().filter(|function| {
        let name = program.file(program.file_of(*function)).facts.name(program.function(*function).name);
        !name.starts_with('_') && program.class_of(*function).is_some_and(|class| classes.contains(&class))
    });
    functions.extend(methods);
    functions
}

fn exported_names(program: &Program, file: FileId) -> Vec<String> {
    let facts = &program.file(file).facts;
    let names = &facts.scopes[MODULE_SCOPE].names;
    let bindings =
        names.iter().filter(|(name, _)| facts.name(*name) == "__all__").flat_map(|(_, bindings)| &**bindings);
    let mut next: Vec<ExprId> = bindings
        .filter_map(|binding| match facts.bindings[*binding].kind {
            BindingKind::Value(value) => Some(value),
            BindingKind::Annotated { value, .. } => value,
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    while let Some(expr) = next.pop() {
        match &facts.exprs[expr] {
            Expr::Sequence(parts) | Expr::Union(parts) => next.extend(parts),
            Expr::Operation(_, one, two) => next.extend([*one, *two]),
            Expr::Text(name) => found.push(facts.name(*name).to_owned()),
            _ => {}
        }
    }
    found
}

impl Closures<'_, '_> {
    /// Chooses the functions of which a plain one stays.
    pub(super) fn wrap(&mut self, closure: &mut Closure) -> Result<(), Obstacle> {
        let all = closure.functions.iter().copied();
        let mut next: Vec<FnId> = all.filter(|function| self.is_for_others(*function, closure)).collect();
        while let Some(function) = next.pop() {
            if closure.functions.contains(&function) && !closure.wrapped.contains_key(&function) {
                closure.wrapped.insert(function, self.can_wrap(function, closure)?);
                closure.is_called_outside = true;
                next.extend(self.family(function));
                next.extend(self.alternatives(function, closure));
            }
        }
        for &function in closure.wrapped.keys() {
            let is_overridden = self.family(function).len() > 1;
            for &index in &self.graph.into[function.0 as usize] {
                let edge = &self.graph.edges[index];
                let caller = at(edge).0;
                if self.awaits(caller) || closure.functions.contains(&caller) {
                    self.can_call_anew(edge, closure)?;
                } else if is_overridden {
                    self.asks_object(edge)?;
                }
            }
            if is_overridden {
                self.is_taken_of_objects(function)?;
            }
        }
        Ok(())
    }

    /// What else coroutines may call where they call a function.
    fn alternatives(&self, function: FnId, closure: &Closure) -> Vec<FnId> {
        let into = self.graph.into[function.0 as usize].iter().map(|index| &self.graph.edges[*index]);
        let calls = into.filter(|edge| self.awaits(at(edge).0) || closure.functions.contains(&at(edge).0));
        calls.flat_map(|edge| self.sites.beside(self.graph, edge)).map(|other| other.callee).collect()
    }

    /// Whether a call outside any loop leaves it to the object which of several methods that is.
    fn asks_object(&mut self, edge: &Edge) -> Result<(), Obstacle> {
        let (_, site) = at(edge);
        let object = self.object_called(at(edge).0, site);
        let is_itself = match object {
            Some(object) if matches!(self.program.expr(site.file, object), Expr::Super(..)) => true,
            Some(object) if !self.has_class(edge.callee) => {
                let set = self.program.eval(site.file, object);
                let members = self.program.values.members(set);
                members.iter().any(|value| matches!(self.program.values.get(*value), Value::Class { .. }))
            }
            _ => false,
        };
        if is_itself { Err(Obstacle { site, reason: NOT_THE_OBJECT.to_owned() }) } else { Ok(()) }
    }

    /// Whether a method is one of the class: of a class that is written before its name, too.
    pub(super) fn has_class(&mut self, function: FnId) -> bool {
        let file = self.program.file_of(function);
        self.program.function(function).decorators.clone().into_iter().any(|decorator| {
            let path = self.program.external_path_of(file, decorator);
            path.is_some_and(|path| matches!(self.program.values.path_text(path), "staticmethod" | "classmethod"))
        })
    }

    /// Whether something calls it that no loop runs, a thread, or who imports the module.
    fn is_for_others(&self, function: FnId, closure: &Closure) -> bool {
        let is_exported = self.exports.as_ref().is_some_and(|exports| exports.contains(&function));
        let into = self.graph.into[function.0 as usize].iter().map(|index| at(&self.graph.edges[*index]).0);
        let mut callers = into.filter(|caller| !self.awaits(*caller) && !closure.functions.contains(caller));
        let escapes = self.escapes.get(&function).into_iter().flatten();
        let mut given = escapes.filter_map(|escape| match escape {
            Escape::Given(call) => Some(call),
            _ => None,
        });
        is_exported || callers.next().is_some() || given.any(|call| self.offloads.contains_key(&(*call, function)))
    }

    /// The coroutine function's name, if a plain function can stay.
    fn can_wrap(&mut self, function: FnId, closure: &Closure) -> Result<String, Obstacle> {
        let site = self.site_of(function);
        let name = self.name_of(function);
        let obstacle = |reason: &str| {
            Err(Obstacle { site, reason: format!("no plain function can stay for callers outside any loop: {reason}") })
        };
        let this = self.program.function(function);
        if this.is_lambda || this.is_generator || name.ends_with("__") {
            return obstacle(&format!("`{name}` is a lambda, a generator or a special method"));
        }
        if let Some(decorator) = self.other_decorator(function) {
            return obstacle(&format!("the decorator `{decorator}` of `{name}` would be used twice"));
        }
        let places = self.pages.places(site.file);
        let Some(definition) = places.definitions.get(&site.span) else { return obstacle("its text is not known") };
        if !definition.has_plain_defaults {
            return obstacle(&format!("the defaults of `{name}` would be made twice"));
        }
        if let Some(class) = self.program.class_of(function) {
            let is_foreign = self.program.external_bases(class).iter().any(|base| may_call(base, &name));
            if is_foreign || self.family(function).iter().any(|method| !closure.functions.contains(method)) {
                return obstacle(&format!(
                    "`{name}` overrides a method that stays as it is, or one that does overrides it"
                ));
            }
            if self.receiver(function).is_none() {
                return obstacle(&format!("what `{name}` is a method of has no name there"));
            }
        }
        if self.is_replaced(function, &name) {
            return obstacle(&format!("something else is put in the place of `{name}` at run time"));
        }
        let new = format!("{name}_async");
        if self.is_taken(function, &new) {
            return obstacle(&format!("the name `{new}` is taken"));
        }
        Ok(new)
    }

    /// A decorator that cannot stand at both.
    fn other_decorator(&mut self, function: FnId) -> Option<String> {
        let file = self.program.file_of(function);
        self.program.function(function).decorators.clone().into_iter().find_map(|decorator| {
            let path = self.program.external_path_of(file, decorator);
            let name = path.map(|path| self.program.values.path_text(path).to_owned());
            let name = name.unwrap_or_else(|| self.written(file, decorator));
            (!FOR_BOTH.contains(&name.as_str())).then_some(name)
        })
    }

    /// What the method is called of: its first parameter, or its class.
    fn receiver(&mut self, function: FnId) -> Option<String> {
        let Some(class) = self.program.class_of(function) else { return Some(String::new()) };
        let is_static = self.is_static(function);
        let facts = &self.program.file(self.program.file_of(function)).facts;
        let parameters = &self.program.function(function).parameters;
        if !is_static {
            let is_named = |kind| matches!(kind, ParameterKind::Positional | ParameterKind::PositionalOnly);
            let first = parameters.first().filter(|first| is_named(first.kind))?;
            return Some(format!("{}.", facts.name(first.name)));
        }
        let class = self.program.class(class);
        let name = facts.name(class.name);
        let is_hidden = parameters.iter().any(|parameter| facts.name(parameter.name) == name);
        (facts.name(class.qualified) == name && !is_hidden).then(|| format!("{name}."))
    }

    fn is_static(&mut self, function: FnId) -> bool {
        let file = self.program.file_of(function);
        self.program.function(function).decorators.clone().into_iter().any(|decorator| {
            let path = self.program.external_path_of(file, decorator);
            path.is_some_and(|path| self.program.values.path_text(path) == "staticmethod")
        })
    }

    /// Whether an attribute of its name is set somewhere, or a text says where it is, as those of `mock.patch` do.
    fn is_replaced(&self, function: FnId, name: &str) -> bool {
        let full = self.program.qualified_name(function);
        self.program.values.known_symbol(&full).is_some()
            || self.program.files.iter().any(|file| {
                let facts = &file.facts;
                let is_it = |known| facts.name(known) == name;
                let is_set = facts.stores.iter().any(|store| is_it(store.name))
                    || facts.classes.iter().any(|(_, class)| class.fields.iter().any(|field| is_it(field.name)));
                let is_put = |expr: &Expr| match expr {
                    Expr::Call(callee, arguments) => {
                        let is_text = |at: usize| {
                            arguments.get(at).is_some_and(
                                |given| matches!(facts.exprs[given.value], Expr::Text(text) if is_it(text)),
                            )
                        };
                        let setter = match facts.exprs[*callee] {
                            Expr::Attribute(_, name) | Expr::Global(name) => facts.name(name),
                            _ => "",
                        };
                        matches!(setter, "setattr" | "object" | "delattr") && is_text(1)
                    }
                    _ => false,
                };
                is_set || facts.exprs.iter().any(|(_, expr)| is_put(expr))
            })
    }

    /// Whether the new name is one already: of a method anywhere, else where the function is or is called.
    fn is_taken(&self, function: FnId, new: &str) -> bool {
        let Some(_) = self.program.values.known_symbol(new) else { return false };
        if self.program.class_of(function).is_some() {
            return true;
        }
        let into = self.graph.into[function.0 as usize].iter().map(|index| at(&self.graph.edges[*index]).1.file);
        let mut files = into.chain([self.program.file_of(function)]);
        files.any(|file| self.program.file(file).facts.names.iter().any(|known| known == new))
    }

    /// Whether a coroutine that calls it can call the coroutine function by its new name instead.
    fn can_call_anew(&mut self, edge: &Edge, closure: &Closure) -> Result<(), Obstacle> {
        let name = self.name_of(edge.callee);
        let others: Vec<FnId> = self.sites.beside(self.graph, edge).map(|other| other.callee).collect();
        let is_same = |other: &FnId| closure.wrapped.contains_key(other) && self.name_of(*other) == name;
        let is_plain = is_call(edge) && edge.via.is_empty() && others.iter().all(is_same);
        if is_plain && self.is_in_reach(edge, None) {
            return Ok(());
        }
        let reason = format!(
            "`{name}` is called by another name here, or not from where it is defined: it would have no new one"
        );
        Err(Obstacle { site: at(edge).1, reason })
    }

    /// Whether a call can be of something else that is where the function is: of its twin, or of a coroutine function that is new.
    pub(super) fn is_in_reach(&mut self, edge: &Edge, twin: Option<FnId>) -> bool {
        let (caller, site) = at(edge);
        let home = self.program.file_of(edge.callee);
        let places = self.pages.places(site.file);
        let Some(call) = places.calls.get(&site.span) else { return false };
        let text = self.pages.slice(site.file, call.function);
        let name = self.name_of(edge.callee);
        match text.rsplit_once('.') {
            Some((_, last)) if last.trim() != name => false,
            Some(_) if self.program.class_of(edge.callee).is_some() => true,
            Some(_) => {
                let Some(module) = self.module_called(caller, site) else { return false };
                module == home || self.has_twin(module, twin)
            }
            None if text != name => false,
            None if site.file == home => true,
            None => {
                let is_import = places.import_of(text).is_some_and(|import| import.member.as_deref() == Some(text));
                is_import
                    && self
                        .imports_of(site.file, text)
                        .into_iter()
                        .all(|file| file.is_some_and(|file| file == home || self.has_twin(file, twin)))
            }
        }
    }

    /// The object of `object.function(...)`.
    fn object_called(&self, caller: FnId, site: Site) -> Option<ExprId> {
        let event = self.program.function(caller).events.iter().find(|event| {
            event.span == site.span && matches!(self.program.expr(site.file, event.expr), Expr::Call(..))
        })?;
        let Expr::Call(callee, _) = self.program.expr(site.file, event.expr) else { return None };
        match *self.program.expr(site.file, *callee) {
            Expr::Attribute(object, _) => Some(object),
            _ => None,
        }
    }

    /// The module of `module.function(...)`.
    fn module_called(&mut self, caller: FnId, site: Site) -> Option<FileId> {
        let object = self.object_called(caller, site)?;
        let set = self.program.eval(site.file, object);
        match self.program.values.members(set) {
            [one] => match self.program.values.get(*one) {
                Value::Module(file) => Some(*file),
                _ => None,
            },
            _ => None,
        }
    }

    fn has_twin(&mut self, module: FileId, twin: Option<FnId>) -> bool {
        let Some(twin) = twin else { return false };
        let name = self.program.symbol(self.program.file_of(twin), self.program.function(twin).name);
        let Some(set) = self.program.module_member(module, name) else { return false };
        super::obstacles::functions_in(self.program, set).contains(&twin)
    }

    /// The files that a name of a module is imported from; nothing for what is no import of the program's.
    fn imports_of(&self, file: FileId, name: &str) -> Vec<Option<FileId>> {
        let facts = &self.program.file(file).facts;
        let names = facts.scopes[MODULE_SCOPE].names.iter().filter(|(known, _)| facts.name(*known) == name);
        let bindings = names.flat_map(|(_, bindings)| &**bindings);
        bindings
            .map(|binding| match facts.bindings[*binding].kind {
                BindingKind::ImportFrom { module, level, .. } => self.program.imported_file(file, module, level),
                _ => None,
            })
            .collect()
    }
}

/// The plain function, before the coroutine function, which gets its new name.
pub(super) fn write(writer: &mut Writer, closures: &mut Closures<'_, '_>, function: FnId, new: &str, outside: Outside) {
    let Site { file, span: name } = closures.site_of(function);
    let places = closures.pages.places(file);
    let Some(definition) = places.definitions.get(&name) else { return };
    let receiver = closures.receiver(function).unwrap_or_default();
    let skipped = usize::from(!receiver.is_empty() && !closures.is_static(function));
    let call = format!("{receiver}{new}({})", handed_on(closures.program, function, skipped));
    let open = writer.runner(closures.pages, file, outside);
    let text = closures.pages.text(file);
    let (blanks, step) = (indent(text, definition.head.start), indent(text, definition.first.0.start));
    let step = if step.len() > blanks.len() { step.to_owned() } else { format!("{blanks}    ") };
    let end = imports::line_break(text);
    let mut plain = closures.pages.slice(file, definition.head).to_owned();
    if let (docstring, true) = definition.first {
        plain.extend([end, &step, closures.pages.slice(file, docstring)]);
    }
    let is_none = definition.annotation.is_some_and(|span| closures.pages.slice(file, span) == "None");
    let returns = if is_none { "" } else { "return " };
    let gap = end.repeat(if blanks.is_empty() { 3 } else { 2 });
    plain.extend([end, &step, returns, &open, &call, ")", &gap, blanks]);
    let whole = Span { start: definition.head.start, end: definition.range.end };
    writer.edit(file, Edit::before(whole, plain));
    writer.edit(file, Edit::replace(name, new));
}

/// All parameters, as arguments of a function that takes the same.
fn handed_on(program: &Program, function: FnId, skipped: usize) -> String {
    let facts = &program.file(program.file_of(function)).facts;
    let mut parameters: Vec<_> = program.function(function).parameters.iter().skip(skipped).collect();
    parameters.sort_by_key(|parameter| parameter.kind as u8);
    let arguments = parameters.into_iter().map(|parameter| {
        let name = facts.name(parameter.name);
        match parameter.kind {
            ParameterKind::PositionalOnly | ParameterKind::Positional => name.to_owned(),
            ParameterKind::Variadic => format!("*{name}"),
            ParameterKind::KeywordOnly => format!("{name}={name}"),
            ParameterKind::VariadicKeyword => format!("**{name}"),
        }
    });
    arguments.collect::<Vec<String>>().join(", ")
}

const NOT_THE_OBJECT: &str = "a method that others override is called for itself, outside any loop: it would run the override's coroutine function";

/// Decorators that do nothing but say what a function is.
const FOR_BOTH: &[&str] = &[
    "staticmethod",
    "classmethod",
    "abc.abstractmethod",
    "typing.final",
    "typing.override",
    "typing_extensions.final",
    "typing_extensions.override",
];
