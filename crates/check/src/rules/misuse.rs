//! Uses of a value that a coroutine is no use for: as a truth, an operand, something to loop over; and names that have no other uses.

use super::Context;
use super::coroutine_never_awaited::is_argument;
use crate::catalogue::Handed;
use crate::facts::{
    Argument, Binding, BindingKind, Condition, Constant, Event, EventKind, Expr, ExprId, Facts, Few, FunctionId,
    ScopeKind,
};
use crate::link::values::FileId;
use rustc_hash::{FxHashMap, FxHashSet};

/// What an event uses as a coroutine never is, and what to say of it.
pub(super) fn of(context: &mut Context<'_>, file: FileId, event: &Event) -> Few<(ExprId, &'static str)> {
    let mut found = Few::default();
    let why = match event.kind {
        EventKind::Test => "is taken for a truth, and never awaited",
        EventKind::Iterate | EventKind::AsyncIterate | EventKind::Unpack => "is looped over, and never awaited",
        EventKind::Enter | EventKind::AsyncEnter => "is entered, and never awaited",
        // `if pending: await pending`
        EventKind::Operator(name) if context.program.file(file).facts.name(name) == "__bool__" => return found,
        EventKind::Operator(_) => AS_RESULT,
        EventKind::Read => {
            found.extend(attribute_of(context, file, event.expr).map(|object| (object, AS_RESULT)));
            return found;
        }
        EventKind::Call(_) => {
            let Expr::Call(callee, _) = *context.program.expr(file, event.expr) else { return found };
            found.extend(attribute_of(context, file, callee).map(|object| (object, AS_RESULT)));
            found.extend(arguments_misused(context, file, event.expr, callee));
            return found;
        }
        EventKind::Await | EventKind::Write => return found,
    };
    found.push((event.expr, why));
    found
}

/// What has the attribute, if coroutines have none of that name.
fn attribute_of(context: &Context<'_>, file: FileId, expr: ExprId) -> Option<ExprId> {
    let Expr::Attribute(object, name) = *context.program.expr(file, expr) else { return None };
    let name = context.program.file(file).facts.name(name);
    let is_own = name.starts_with("cr_") || name.starts_with("__") || matches!(name, "send" | "throw" | "close");
    (!is_own).then_some(object)
}

/// Arguments of functions that can do nothing with a coroutine.
fn arguments_misused(
    context: &mut Context<'_>,
    file: FileId,
    call: ExprId,
    callee: ExprId,
) -> Vec<(ExprId, &'static str)> {
    let facts = context.program.file(file).facts.share();
    let Expr::Call(_, arguments) = &facts.exprs[call] else { return Vec::new() };
    let is_value =
        |argument: &&Argument| matches!(facts.exprs[argument.value], Expr::Call(..) | Expr::Local(_) | Expr::Logic(..));
    let gathered = gathered(&facts, call);
    if gathered.is_empty() && !arguments.iter().any(|argument| is_value(&argument)) {
        return Vec::new();
    }
    let Some(path) = context.program.external_path_of(file, callee) else { return Vec::new() };
    let text = context.program.values.path_text(path).to_owned();
    if !gathered.is_empty() && OF_ALL.contains(&text.as_str()) {
        return gathered.iter().map(|part| (*part, AS_RESULT)).collect();
    }
    if CONSUMERS.contains(&text.as_str()) {
        return arguments.iter().filter(is_value).map(|argument| (argument.value, AS_RESULT)).collect();
    }
    let mut found = Vec::new();
    for what in context.program.catalogue.handed(&text) {
        let (Handed::OnLoop(place, name) | Handed::Elsewhere(place, name)) = *what else { continue };
        let why = "is handed over where a function is wanted: it is never awaited";
        let mut all = arguments.iter().enumerate();
        found.extend(
            all.find(|(index, argument)| is_argument(&facts, (*index, argument), place, name))
                .map(|(_, argument)| (argument.value, why)),
        );
    }
    found
}

/// What a comprehension, list or tuple has in it that is all that a function is given which takes its values for results.
pub(crate) fn gathered(facts: &Facts, call: ExprId) -> &[ExprId] {
    let Expr::Call(callee, arguments) = &facts.exprs[call] else { return &[] };
    let is_one = matches!(facts.exprs[*callee], Expr::Global(name) if OF_ALL.contains(&facts.name(name)));
    match &**arguments {
        [only] if is_one => match &facts.exprs[only.value] {
            Expr::Generator(part) => std::slice::from_ref(part),
            Expr::Sequence(parts) => parts,
            _ => &[],
        },
        _ => &[],
    }
}

/// The calls that an expression may have its value from. The first operand of `or` is that value, as coroutines are true.
pub(crate) fn calls(facts: &Facts, expr: ExprId) -> Few<ExprId> {
    let mut found = Few::default();
    add_calls(facts, expr, &mut found);
    found
}

fn add_calls(facts: &Facts, expr: ExprId, found: &mut Few<ExprId>) {
    match &facts.exprs[expr] {
        Expr::Call(..) => found.push(expr),
        Expr::Logic(true, parts) => parts.last().into_iter().for_each(|part| add_calls(facts, *part, found)),
        Expr::Logic(false, parts) => parts.iter().for_each(|part| add_calls(facts, *part, found)),
        Expr::Choice { then, other, .. } => [then, other].into_iter().for_each(|part| add_calls(facts, *part, found)),
        _ => {}
    }
}

/// Values of names that a function has for itself, all uses of which are misuses; `misused` are the uses that events tell of.
pub(super) fn names(facts: &Facts, misused: &FxHashSet<ExprId>) -> Vec<(FunctionId, ExprId, &'static str)> {
    let truths = truths(facts);
    let returned = returned(facts);
    // How often each is used, and how often rightly.
    let mut uses = vec![(0_u32, 0_u32); facts.bindings.len()];
    for (expr, fact) in facts.exprs.iter() {
        let Expr::Local(bindings) = fact else { continue };
        let returned = returned.get(&expr).copied();
        for binding in &**bindings {
            let value = value_of(&facts.bindings[*binding]);
            let is_result = |is_async| value.is_some_and(|value| has_default(facts, value, is_async));
            let is_misuse = misused.contains(&expr) || truths.contains(&expr) || returned.is_some_and(is_result);
            let (all, right) = &mut uses[binding.index()];
            *all += 1;
            *right += u32::from(!is_misuse);
        }
    }
    let mut found = Vec::new();
    for (_, scope) in facts.scopes.iter() {
        let ScopeKind::Function(function) = scope.kind else { continue };
        for binding in scope.names.iter().flat_map(|(_, bindings)| bindings.iter()) {
            let Some(value) = value_of(&facts.bindings[*binding]) else { continue };
            let (all, right) = uses[binding.index()];
            // A call whose name nobody reads is dropped.
            let is_wrong = right == 0 && (all > 0 || !matches!(facts.exprs[value], Expr::Call(..)));
            if is_wrong && !facts.is_for_others(*binding) && !calls(facts, value).is_empty() {
                found.push((*binding, (function, value, if all > 0 { AS_RESULT } else { NEVER })));
            }
        }
    }
    if found.is_empty() {
        return Vec::new();
    }
    let seen = facts.seen_outside();
    // `one = two = save()`
    let mut names: FxHashMap<ExprId, u32> = FxHashMap::default();
    for value in facts.bindings.iter().filter_map(|(_, binding)| value_of(binding)) {
        *names.entry(value).or_default() += 1;
    }
    found.retain(|(binding, (_, value, _))| !seen.contains(binding) && names.get(value) == Some(&1));
    found.into_iter().map(|(_, told)| told).collect()
}

/// What functions return, and whether they are coroutine functions.
fn returned(facts: &Facts) -> FxHashMap<ExprId, bool> {
    let functions = facts.functions.iter().map(|(_, function)| function).filter(|function| !function.is_generator);
    functions.flat_map(|function| function.returns.iter().map(|(value, _)| (*value, function.is_async))).collect()
}

/// `save() or 1`: somebody takes the call for its result. What a plain function returns may be awaited, unless the default cannot.
fn has_default(facts: &Facts, value: ExprId, is_async: bool) -> bool {
    let Expr::Logic(false, parts) = &facts.exprs[value] else { return false };
    parts.last().is_some_and(|last| match &facts.exprs[*last] {
        Expr::Constant(Constant::None | Constant::False) => is_async,
        Expr::Constant(_) | Expr::Text(_) | Expr::Prefix(_) | Expr::Sequence(_) | Expr::Mapping(_) => true,
        Expr::Local(_) => false,
        _ => is_async && calls(facts, *last).is_empty(),
    })
}

/// The value that a name is given.
pub(crate) const fn value_of(binding: &Binding) -> Option<ExprId> {
    match binding.kind {
        BindingKind::Value(value) | BindingKind::Annotated { value: Some(value), .. } => Some(value),
        _ => None,
    }
}

/// Names that are conditions; not those within `and` and `or`, which may be the value of these.
pub(crate) fn truths(facts: &Facts) -> FxHashSet<ExprId> {
    let mut found: FxHashSet<ExprId> = FxHashSet::default();
    for (_, guard) in facts.guards.iter() {
        let Condition::Test { mut expr, .. } = guard.condition else { continue };
        while let Expr::Not(inner) = facts.exprs[expr] {
            expr = inner;
        }
        if matches!(facts.exprs[expr], Expr::Local(_)) {
            found.insert(expr);
        }
    }
    for (_, expr) in facts.exprs.iter() {
        if let Expr::Logic(_, parts) = expr {
            for part in parts {
                found.remove(part);
            }
        }
    }
    found
}

pub(super) const NEVER: &str = "is never awaited: its body does not run";
pub(super) const AS_RESULT: &str = "is used as if it were the result: it is never awaited";

/// Functions that take a value and give another, or none: a coroutine is of no use to them.
const CONSUMERS: &[&str] = &[
    "print",
    "str",
    "repr",
    "len",
    "int",
    "float",
    "bool",
    "bytes",
    "sum",
    "min",
    "max",
    "abs",
    "round",
    "sorted",
    "range",
    "json.dumps",
    "json.loads",
    "math.floor",
    "math.ceil",
];

/// Functions that take the values of something for results, all of them.
const OF_ALL: &[&str] = &["all", "any", "sum", "min", "max"];
