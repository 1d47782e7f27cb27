//! Tables whose keys tell what is in them: all that a program takes out of one, it takes under a key that a function was given, and calls at
//! once. What was put in under one key then never comes out under another.

use super::Program;
use super::alone::Lead;
use super::values::{FileId, Symbol};
use crate::facts::{Argument, BindingId, BindingKind, Expr, ExprId, Facts, Key, MODULE_SCOPE, NameId, Part, Parts};
use rustc_hash::FxHashSet;

impl Program {
    /// Whether nothing but such calls is done with a table that these names lead to.
    pub(super) fn is_told_by_key(&mut self, table: Lead) -> bool {
        if let Some(known) = self.makings.by_key.get(&table) {
            return *known;
        }
        let mut names = vec![table.name()];
        let is_one = self.files_of_table(table).is_some_and(|files| {
            files.into_iter().all(|file| {
                self.table_names(file, table).is_some_and(|table| self.is_taken_whole(file, &table, &mut names))
            })
        });
        self.makings.watched.extend(names);
        self.makings.by_key.insert(table, is_one);
        is_one
    }

    fn files_of_table(&self, table: Lead) -> Option<Vec<FileId>> {
        if let Lead::Bound(file, ..) = table {
            return Some(vec![file]);
        }
        let all = (0..self.files.len() as u32).map(FileId);
        let is_one = |file: &FileId| !self.file(*file).is_test && self.file(*file).symbols.contains(&table.name());
        let found: Vec<FileId> = all.filter(is_one).take(MOST_FILES + 1).collect();
        (found.len() <= MOST_FILES).then_some(found)
    }

    /// The expressions of a file that may be the table; none, if it has another name there.
    fn table_names(&self, file: FileId, table: Lead) -> Option<FxHashSet<ExprId>> {
        let mut names = self.names_of(file, table);
        let Lead::Module(..) = table else { return Some(names) };
        let facts = &self.file(file).facts;
        let is_it = |name: NameId| self.symbol(file, name) == table.name();
        names.extend(facts.exprs.iter().filter_map(|(id, expr)| match *expr {
            Expr::Attribute(_, name) | Expr::Global(name) if is_it(name) => Some(id),
            _ => None,
        }));
        let module = &facts.scopes[MODULE_SCOPE].names;
        let own: Vec<BindingId> =
            module.iter().filter(|(name, _)| is_it(*name)).flat_map(|(_, bindings)| bindings.iter().copied()).collect();
        let is_renamed = facts.bindings.iter().any(|(id, binding)| match binding.kind {
            BindingKind::ImportFrom { name, .. } => is_it(name) && !own.contains(&id),
            _ => false,
        });
        (!is_renamed).then_some(names)
    }

    /// Whether a file only looks a table's keys up, and calls at once what it takes out; and the names that this has meanwhile.
    fn is_taken_whole(&self, file: FileId, table: &FxHashSet<ExprId>, names: &mut Vec<Symbol>) -> bool {
        let facts = &self.file(file).facts;
        let is_kept = self.usage(file).deeds(table.iter().copied()).is_kept || is_returned(facts, table);
        let Some(mut taken) = taken_out(facts, table).filter(|_| !is_kept) else { return false };
        loop {
            let before = taken.len();
            for (id, expr) in facts.exprs.iter() {
                let gives = match expr {
                    Expr::Element(of) => taken.contains(of),
                    Expr::Call(callee, arguments) => gives_again(facts, *callee, arguments, &taken),
                    _ => false,
                };
                taken.extend(gives.then_some(id));
            }
            for (scope, this) in facts.scopes.iter() {
                for (name, bindings) in &this.names {
                    let is_one = |one: &&BindingId| match facts.bindings[**one].kind {
                        BindingKind::Value(value) => taken.contains(&value),
                        _ => false,
                    };
                    let Some(one) = bindings.iter().find(is_one) else { continue };
                    names.push(self.symbol(file, *name));
                    if scope == MODULE_SCOPE {
                        return false;
                    }
                    taken.extend(self.names_of(file, Lead::Bound(file, *one, self.symbol(file, *name))));
                }
            }
            if taken.len() == before {
                break;
            }
        }
        is_called_only(facts, &taken)
    }
}

/// What a file takes out of a table, under keys that are parameters; none, if it does more with it.
fn taken_out(facts: &Facts, table: &FxHashSet<ExprId>) -> Option<FxHashSet<ExprId>> {
    let is_it = |expr: &ExprId| table.contains(expr);
    let mut taken = FxHashSet::default();
    let mut methods = FxHashSet::default();
    for (id, expr) in facts.exprs.iter() {
        match expr {
            Expr::Item(of, Key::Of(key)) if is_it(of) && is_parameter(facts, *key) => {
                taken.insert(id);
            }
            Expr::Call(callee, arguments) => {
                let Expr::Attribute(of, method) = facts.exprs[*callee] else { continue };
                if is_it(&of) && is_look_up(facts, facts.name(method), arguments) {
                    taken.insert(id);
                    methods.insert(*callee);
                }
            }
            _ => {}
        }
    }
    let is_fine = |id: ExprId, expr: &Expr| match expr {
        Expr::Attribute(..) => methods.contains(&id),
        Expr::Item(..) => taken.contains(&id),
        Expr::Element(_) => true,
        _ => only_asks(facts, expr),
    };
    let is_misused = facts.exprs.iter().any(|(id, expr)| has_part(expr, table) && !is_fine(id, expr));
    (!is_misused).then_some(taken)
}

/// Whether what was taken out is only called, or one of its methods.
fn is_called_only(facts: &Facts, taken: &FxHashSet<ExprId>) -> bool {
    let callees: FxHashSet<ExprId> = facts
        .exprs
        .iter()
        .filter_map(|(_, expr)| if let Expr::Call(callee, _) = expr { Some(*callee) } else { None })
        .collect();
    let is_misused = facts.exprs.iter().any(|(id, expr)| {
        let is_fine = match expr {
            Expr::Attribute(..) => callees.contains(&id),
            Expr::Element(_) => true,
            Expr::Call(_, arguments) => {
                taken.contains(&id) || only_asks(facts, expr) || arguments.iter().all(|one| !taken.contains(&one.value))
            }
            _ => only_asks(facts, expr),
        };
        !is_fine && has_part(expr, taken)
    });
    let bound = facts.bindings.iter();
    let is_unpacked = |kind| matches!(kind, BindingKind::Unpacked(value, _) | BindingKind::Annotated { value: Some(value), .. } if taken.contains(&value));
    !is_misused && !bound.into_iter().any(|(_, binding)| is_unpacked(binding.kind)) && !is_returned(facts, taken)
}

/// Whether a call gives what was taken out once more: `list(handlers[name])`, `handlers[name].pop()`.
fn gives_again(facts: &Facts, callee: ExprId, arguments: &[Argument], taken: &FxHashSet<ExprId>) -> bool {
    match facts.exprs[callee] {
        Expr::Global(name) if matches!(facts.name(name), "list" | "tuple") => {
            arguments.iter().any(|one| taken.contains(&one.value))
        }
        Expr::Attribute(object, name) => {
            taken.contains(&object)
                && matches!(facts.name(name), "pop" | "popleft" | "copy" | "get" | "values" | "items")
        }
        _ => false,
    }
}

/// Whether a method of a table takes out what is there under a parameter, or nothing.
fn is_look_up(facts: &Facts, method: &str, arguments: &[Argument]) -> bool {
    let is_empty = |expr: ExprId| match &facts.exprs[expr] {
        Expr::Constant(_) => true,
        Expr::Sequence(parts) => parts.is_empty(),
        Expr::Mapping(items) => items.is_empty(),
        _ => false,
    };
    matches!(method, "get" | "setdefault" | "pop")
        && match arguments {
            [key] => is_parameter(facts, key.value),
            [key, default] => is_parameter(facts, key.value) && is_empty(default.value),
            _ => false,
        }
}

/// Whether an expression asks something about its parts, and gives none of them.
fn only_asks(facts: &Facts, expr: &Expr) -> bool {
    match expr {
        Expr::Compared(..) | Expr::Same(..) | Expr::Not(_) => true,
        Expr::Call(callee, _) => match facts.exprs[*callee] {
            Expr::Global(name) => matches!(facts.name(name), "len" | "bool" | "callable" | "isinstance"),
            Expr::Attribute(_, name) | Expr::Free(_, name) => facts.name(name) == "iscoroutinefunction",
            _ => false,
        },
        _ => false,
    }
}

fn has_part(expr: &Expr, wanted: &FxHashSet<ExprId>) -> bool {
    let mut has = false;
    expr.each_part(&mut |part| has |= matches!(part, Part::Expr(one) if wanted.contains(&one)));
    has
}

/// Whether a function returns one of these, or has it as a default; or it is kept in an attribute.
fn is_returned(facts: &Facts, wanted: &FxHashSet<ExprId>) -> bool {
    let is_one = |expr: &ExprId| wanted.contains(expr);
    let fields = facts.classes.iter().flat_map(|(_, class)| class.fields.iter().filter_map(|field| field.value));
    let mut stored = fields.chain(facts.stores.iter().map(|store| store.value));
    stored.any(|value| is_one(&value))
        || facts.functions.iter().any(|(_, function)| {
            function.returns.iter().chain(&function.yields).any(|(value, _)| is_one(value))
                || function.parameters.iter().any(|parameter| parameter.default.as_ref().is_some_and(is_one))
        })
}

/// Whether an expression is a parameter of a function, and was never anything else.
fn is_parameter(facts: &Facts, expr: ExprId) -> bool {
    let bindings = match &facts.exprs[expr] {
        Expr::Local(bindings) => bindings,
        Expr::Free(scope, name) => match facts.scopes[*scope].names.iter().find(|(known, _)| known == name) {
            Some((_, bindings)) => bindings,
            None => return false,
        },
        _ => return false,
    };
    matches!(**bindings, [one] if matches!(facts.bindings[one].kind, BindingKind::Parameter(..)))
}

/// Files in which a table's name stands.
const MOST_FILES: usize = 20;
