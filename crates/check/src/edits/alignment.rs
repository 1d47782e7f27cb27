//! Two facts of one file, side by side: what of the old one is what of the new one, and whether anything else is quiet.

use super::heard::{Heard, Matched, matched};
use super::mentions::{Paired, mentions};
use super::moves::{Anew, CalledAgain, Changed, Come, Gone, Moves, Redone, Under};
use super::pairs::{Pair, Pairs};
use super::quiet::Quiet;
use super::renewed::{Renewed, is_of_file_alone};
use super::uses::Uses;
use crate::facts::{
    ALWAYS, Argument, ArgumentKind, BindingId, Class, ClassId, Condition, Event, EventKind, Expr, ExprId, Facts, Field,
    Function, FunctionId, GuardId, MODULE, MODULE_SCOPE, NameId, Parameter, ParameterKind, Part, Parts, ScopeId, Span,
    Use,
};
use crate::graph::Noise;
use crate::link::{Asked, is_dual_name};
use crate::rules::offloads;
use rustc_hash::{FxHashMap, FxHashSet};
use std::collections::{BTreeMap, BTreeSet};

/// What has been found to be the same, and where it has gone.
pub(super) struct Alignment<'q> {
    pub(super) old: Quiet<'q>,
    pub(super) new: Quiet<'q>,
    pub(super) exprs: Pairs<ExprId>,
    pub(super) bindings: Pairs<BindingId>,
    pub(super) guards: Pairs<GuardId>,
    pub(super) functions: Pairs<FunctionId>,
    pub(super) classes: Pairs<ClassId>,
    pub(super) scopes: Pairs<ScopeId>,
    pub(super) spans: Pairs<Span>,
    /// Calls that have returned, for whoever must ask whether they do: around one thing and its counterpart.
    asked: Vec<(Vec<ExprId>, Vec<ExprId>)>,
    /// Calls that have come or gone.
    pub(super) gone: Vec<Gone>,
    pub(super) come: Vec<Come>,
    /// Functions that nobody asks for: those that are there no more, and new ones.
    pub(super) lost: Vec<FunctionId>,
    pub(super) fresh: Vec<FunctionId>,
    pub(super) anew: Anew,
    /// What was found to be read otherwise, and has been told apart; and what has been found now.
    renewed: &'q Renewed,
    found: Renewed,
    asks: bool,
}

impl<'q> Alignment<'q> {
    /// `renewed` is told apart wherever it is read; `asks`: what functions do otherwise is not told here.
    pub(super) fn new(old: Quiet<'q>, new: Quiet<'q>, renewed: &'q Renewed, asks: bool) -> Self {
        Self {
            asks,
            renewed,
            found: Renewed::default(),
            old,
            new,
            exprs: Pairs::default(),
            bindings: Pairs::default(),
            guards: Pairs::default(),
            functions: Pairs::default(),
            classes: Pairs::default(),
            scopes: Pairs::default(),
            spans: Pairs::default(),
            asked: Vec::new(),
            gone: Vec::new(),
            come: Vec::new(),
            lost: Vec::new(),
            fresh: Vec::new(),
            anew: Anew::default(),
        }
    }

    /// Where each place has gone, if whatever may matter is the same, but for calls that come and go; and what is read otherwise than before.
    pub(super) fn moves(mut self) -> Option<Moves> {
        let old = self.old.facts;
        let is_same = self.pair_functions()
            && self.pair_classes()
            && self.pair_scopes()
            && self.module_names()
            && old.classes.iter().all(|(class, _)| self.class(class))
            && old.functions.iter().all(|(function, _)| self.function(function))
            && self.stores()
            && self.seen_by_rules()
            && self.mentions();
        let events = self.new.facts.functions.iter().flat_map(|(_, function)| &function.events);
        let quiet = events.filter(|event| self.new.event(event));
        let called = quiet.filter_map(|event| self.new.called(event)).collect();
        let noises = self.noises();
        let asked = self.asked_anew();
        let Self { new, spans, functions, classes, gone, come, lost, fresh, anew, found, .. } = self;
        let lost = lost.into_iter().map(|function| old.functions[function].span).collect();
        let idle = fresh.into_iter().filter(|function| new.is_idle(*function)).collect();
        let fresh_classes = new.facts.classes.iter().filter(|(class, _)| !classes.from.contains_key(class));
        let classes_come = fresh_classes.filter_map(|(class, _)| Some((class, new.outside_bases(class)?))).collect();
        let (spans, functions, classes) = (spans.to, functions.to, classes.to);
        let renewed = found;
        is_same.then_some(Moves {
            spans,
            functions,
            classes,
            classes_come,
            gone,
            come,
            lost,
            idle,
            noises,
            called,
            asked,
            anew,
            renewed,
        })
    }

    /// Whether names that matter elsewhere are mentioned as before; or such only of which the whole program can be asked.
    fn mentions(&mut self) -> bool {
        let is_same = |this: &Self, asks: bool| {
            mentions(this.old, this.paired_old(), asks) == mentions(this.new, this.paired_new(), asks)
        };
        if is_same(self, false) {
            return true;
        }
        self.anew.is_seen = true;
        is_same(self, true)
    }

    /// Calls that both sides have, but which have returned before something on one side only. (Those of one side alone may come and go.)
    fn asked_anew(&self) -> Vec<Span> {
        let mut anew = Vec::new();
        for (old, new) in &self.asked {
            let gone = old.iter().filter_map(|call| self.exprs.to.get(call)).filter(|call| !new.contains(call));
            let is_new = |call: &&ExprId| self.exprs.from.get(call).is_some_and(|call| !old.contains(call));
            anew.extend(gone.chain(new.iter().filter(is_new)).map(|call| self.new.facts.span(*call)));
        }
        anew
    }

    fn noises(&self) -> Vec<Noise> {
        let events = self.new.facts.functions.iter().flat_map(|(_, function)| &function.events);
        events.map(|event| self.new.alike.noise(self.new.forms, event)).collect()
    }

    fn paired_old(&self) -> Paired<'_> {
        let Self { exprs, bindings, guards, functions, classes, lost, .. } = self;
        let (exprs, bindings, guards, functions) = (&exprs.to, &bindings.to, &guards.to, &functions.to);
        Paired { exprs, bindings, guards, functions, classes: &classes.to, unheard_of: lost }
    }

    fn paired_new(&self) -> Paired<'_> {
        let Self { exprs, bindings, guards, functions, classes, fresh, .. } = self;
        let (exprs, bindings, guards, functions) = (&exprs.from, &bindings.from, &guards.from, &functions.from);
        Paired { exprs, bindings, guards, functions, classes: &classes.from, unheard_of: fresh }
    }

    fn class(&mut self, class: ClassId) -> bool {
        let Some(&now) = self.classes.to.get(&class) else { return true };
        let (old, new) = (&self.old.facts.classes[class], &self.new.facts.classes[now]);
        let (members, now) = (names(self.old.facts, old.scope), names(self.new.facts, new.scope));
        self.name(old.name, new.name)
            && self.name(old.qualified, new.qualified)
            && self.span(old.at, new.at)
            && self.exprs(&old.bases, &new.bases)
            && self.exprs(&old.decorators, &new.decorators)
            && old.has_metaclass == new.has_metaclass
            && members.len() == now.len()
            && members.iter().all(|(name, old)| now.get(name).is_some_and(|new| self.bindings(old, new)))
            && self.fields(old, new)
    }

    /// The fields of objects: those that have come or gone, or are set to something else, are nobody else's business.
    fn fields(&mut self, old: &'q Class, new: &'q Class) -> bool {
        let (before, now) = (fields(self.old.facts, old), fields(self.new.facts, new));
        let names: BTreeSet<&str> = before.keys().chain(now.keys()).copied().collect();
        let of = |fields: &BTreeMap<&str, Vec<&'q Field>>, name: &str| fields.get(name).cloned().unwrap_or_default();
        names.into_iter().all(|name| {
            let (old, new) = (of(&before, name), of(&now, name));
            let is_same = self.try_to(|this| {
                this.all(&old, &new, |this, old, new| {
                    this.maybe(old.value, new.value)
                        && this.maybe(old.annotation, new.annotation)
                        && this.functions.are(old.by, new.by)
                })
            });
            is_same || self.is_renewed_field(name, &old, &new)
        })
    }

    /// Whether a field is set otherwise than before, and nobody else has heard of it, nor looked at how it is set.
    fn is_renewed_field(&mut self, name: &str, old: &[&Field], new: &[&Field]) -> bool {
        let by = old.iter().map(|field| Some(field.by));
        let setting = by.chain(new.iter().map(|field| self.functions.from.get(&field.by).copied()));
        let asked = self.old.asked_of;
        let is_unseen =
            |by: Option<FunctionId>| by.and_then(|by| asked.get(by.index())).is_some_and(|one| !one.has(Asked::BODY));
        let is_renewed = setting.into_iter().all(is_unseen) && is_of_file_alone(self.old, self.new, name);
        if is_renewed {
            self.anew.is_seen = true;
            self.found.add_field(name);
        }
        is_renewed
    }

    fn function(&mut self, function: FunctionId) -> bool {
        let Some(&now) = self.functions.to.get(&function) else { return true };
        let (old, new) = (&self.old.facts.functions[function], &self.new.facts.functions[now]);
        let flags = |function: &Function| {
            let Function { is_async, is_generator, is_lambda, awaits, cleans_up, is_stub, .. } = *function;
            (is_async, is_generator, is_lambda, awaits, cleans_up, is_stub)
        };
        flags(old) == flags(new)
            && old.class.map(|class| self.classes.to.get(&class).copied()) == new.class.map(Some)
            && self.name(old.name, new.name)
            && self.functions.are(old.parent, new.parent)
            && self.span(old.at, new.at)
            && self.span(old.span, new.span)
            && self.parameters((function, now), (old, new))
            && self.exprs(&old.decorators, &new.decorators)
            && self.body(function, now)
            && (old.decorators.is_empty() || acts(old) == acts(new))
    }

    /// The parameters of a function; there may be more at the end, with defaults, which nobody gives it.
    fn parameters(&mut self, (function, now): (FunctionId, FunctionId), (old, new): (&Function, &Function)) -> bool {
        let more = new.parameters.get(old.parameters.len()..).unwrap_or_default();
        let is_variadic =
            |one: &Parameter| matches!(one.kind, ParameterKind::Variadic | ParameterKind::VariadicKeyword);
        let is_optional = |one: &Parameter| {
            one.default.is_some() && !is_variadic(one) && !is_dual_name(self.new.facts.name(one.name))
        };
        let is_silent = more.is_empty()
            || (more.iter().all(is_optional) && !old.parameters.iter().any(is_variadic) && !self.new.is_for_tests());
        if !more.is_empty() {
            self.anew.is_seen = true;
            self.anew.grown.push(now);
        }
        is_silent
            && old.parameters.len() <= new.parameters.len()
            && (0..).zip(old.parameters.iter().zip(&new.parameters)).all(|(place, (old, new))| {
                old.kind == new.kind
                    && self.name(old.name, new.name)
                    && self.maybe(old.default, new.default)
                    && (self.try_to(|this| this.maybe(old.annotation, new.annotation))
                        || self.is_renewed_parameter((function, now), place))
            })
    }

    /// Whether a parameter is said to be of another type, and only its function makes anything of that: none of a test, which may be a fixture.
    fn is_renewed_parameter(&mut self, (function, now): (FunctionId, FunctionId), place: u32) -> bool {
        self.anew.is_seen = true;
        self.found.add_parameter((function, now), place);
        !self.new.is_for_tests()
    }

    /// Whether a function says the same of what it returns; if not, the program is to be asked what that is.
    fn promises(&mut self, now: FunctionId, (old, new): (&Function, &Function)) -> Option<bool> {
        let is_same = self.try_to(|this| this.maybe(old.annotation, new.annotation));
        if !is_same {
            self.anew.grown.push(now);
        }
        (is_same || old.annotation.is_some() == new.annotation.is_some()).then_some(is_same)
    }

    /// What a function does and gives; if it is something else than before, the whole program is to be asked again.
    fn body(&mut self, function: FunctionId, now: FunctionId) -> bool {
        let (old, new) = (&self.old.facts.functions[function], &self.new.facts.functions[now]);
        let Some(promises_the_same) = self.promises(now, (old, new)) else { return false };
        let gives_the_same = promises_the_same
            && self.try_to(|this| this.ends(function, (old, new)))
            && self.try_to(|this| this.guarded(&old.yields, &new.yields))
            && (function == MODULE || old.events.is_empty() == new.events.is_empty() || is_open_ended(self.new, new));
        if !gives_the_same {
            self.anew.given.push((function, now));
        }
        self.anew.is_seen |= !self.try_to(|this| this.raised(old, new));
        self.events(function, now)
    }

    /// How a function ends, and what it returns. If nobody asks for that, and it may return whatever happens in it, only what calls give matters.
    fn ends(&mut self, function: FunctionId, (old, new): (&Function, &Function)) -> bool {
        let is_open =
            || old.is_async || old.is_generator || (is_open_ended(self.old, old) && is_open_ended(self.new, new));
        let asked = self.old.asked_of.get(function.index());
        let is_unasked = asked.is_some_and(|asked| !asked.has_returns()) && is_open();
        let told = |quiet: Quiet<'_>, returns: &[(ExprId, GuardId)]| -> Vec<(ExprId, GuardId)> {
            returns.iter().copied().filter(|(value, _)| !is_unasked || quiet.has_results(*value)).collect()
        };
        let (returns, now) = (told(self.old, &old.returns), told(self.new, &new.returns));
        let is_same_end = |this: &mut Self| {
            old.end.is_some() == new.end.is_some() && this.guard(old.end.unwrap_or(ALWAYS), new.end.unwrap_or(ALWAYS))
        };
        returns.len() == now.len()
            && returns.into_iter().zip(now).all(|(old, new)| self.expr(old.0, new.0) && self.guard(old.1, new.1))
            && (is_unasked || is_same_end(self))
    }

    /// What a function raises, if it is made of anything that has a name: that may be a caught error.
    fn raised(&mut self, old: &Function, new: &Function) -> bool {
        let named = |facts: &Facts, raised: &[ExprId]| -> Vec<ExprId> {
            raised.iter().copied().filter(|expr| facts.mentions(*expr, &|_| true)).collect()
        };
        let (old, new) = (named(self.old.facts, &old.raised), named(self.new.facts, &new.raised));
        old.len() == new.len() && old.into_iter().zip(new).all(|(old, new)| self.expr(old, new))
    }

    /// What a function does, but for what is quiet, and for calls that come and go.
    fn events(&mut self, function: FunctionId, now: FunctionId) -> bool {
        // Somebody has looked at what it does.
        let asked = self.old.asked_of.get(function.index());
        let is_looked_at = asked.is_some_and(|asked| asked.has(Asked::BODY));
        if is_looked_at && looks_of(self.old.facts, function) != looks_of(self.new.facts, now) {
            return false;
        }
        let (old, new) = (Heard::all(self.old, function), Heard::all(self.new, now));
        let Some(Matched { pairs, mut gone, mut come }) = matched(&old, &new) else { return false };
        let (mut both, mut again) = (Vec::new(), Vec::new());
        for (one, other) in pairs {
            let (before, now) = (old[one].event, new[other].event);
            let is_same = self.try_to(|this| {
                this.same(&before.kind, &now.kind)
                    && this.expr(before.expr, now.expr)
                    && this.guard(before.guard, now.guard)
                    && this.span(before.span, now.span)
            });
            if is_same {
                both.push(now);
            } else {
                again.extend(self.called_again(before, now));
                gone.push(one);
                come.push(other);
            }
        }
        if gone.is_empty() && come.is_empty() {
            return true;
        }
        let told_gone: Option<Vec<Gone>> = gone.iter().map(|index| self.gone(function, old[*index].event)).collect();
        let told_come: Option<Vec<Come>> =
            come.iter().map(|index| self.come(now, new[*index].event, both.iter().copied())).collect();
        let in_handler = |facts: &Facts, event: &Event| facts.handlers.iter().any(|one| one.span.contains(event.span));
        // Whether a handler's calls return is asked of those whom it calls.
        let is_handled = gone.iter().any(|index| in_handler(self.old.facts, old[*index].event))
            || come.iter().any(|index| in_handler(self.new.facts, new[*index].event));
        match (told_gone, told_come) {
            (Some(gone), Some(come)) if !self.asks && !is_looked_at && !is_handled => {
                self.gone.extend(gone);
                self.come.extend(come);
            }
            _ if gone.iter().any(|index| self.old.replaces(old[*index].event))
                || come.iter().any(|index| self.new.replaces(new[*index].event)) =>
            {
                return false;
            }
            // Whether a property does something, all that read such a name were told.
            _ if self.is_silent_getter(function, now) => return false,
            _ => self.anew.functions.push(Redone {
                old: function,
                new: now,
                gone: gone.into_iter().map(|index| old[index].event.span).collect(),
                come: come.into_iter().map(|index| new[index].place).collect(),
                again,
            }),
        }
        true
    }

    /// Whether two calls call one thing, and which arguments are not the same.
    fn called_again(&mut self, old: &Event, new: &Event) -> Option<CalledAgain> {
        let (EventKind::Call(used), EventKind::Call(used_now)) = (old.kind, new.kind) else { return None };
        let exprs = (&self.old.facts.exprs[old.expr], &self.new.facts.exprs[new.expr]);
        let (Expr::Call(callee, before), Expr::Call(callee_now, now)) = exprs else { return None };
        let is_awaited = |used| used == Use::Awaited;
        if is_awaited(used) != is_awaited(used_now) || !self.try_to(|this| this.expr(*callee, *callee_now)) {
            return None;
        }
        let changed = self.changed(before, now);
        Some(CalledAgain { old: old.span, new: new.span, call: new.expr, changed })
    }

    /// Which arguments are not the same.
    fn changed(&mut self, old: &[Argument], new: &[Argument]) -> Vec<Changed> {
        let (before, now) = (arguments(self.old.facts, old), arguments(self.new.facts, new));
        let mut changed: Vec<Changed> = now.keys().filter(|name| !before.contains_key(name)).cloned().collect();
        for (name, value) in before {
            let other = now.get(&name).copied();
            if !other.is_some_and(|other| self.try_to(|this| this.expr(value, other))) {
                changed.push(name);
            }
        }
        let is_starred = |one: &Argument| matches!(one.kind, ArgumentKind::Star | ArgumentKind::DoubleStar);
        if !changed.is_empty() && old.iter().chain(new).any(is_starred) {
            changed.push(Changed::Any);
        }
        changed
    }

    /// Whether a function may be a property that does nothing but to read attributes, before the edit or after it.
    fn is_silent_getter(&self, function: FunctionId, now: FunctionId) -> bool {
        let (old, new) = (&self.old.facts.functions[function], &self.new.facts.functions[now]);
        !(old.decorators.is_empty() || (acts(old) && acts(new)))
    }

    pub(super) fn under(&self, guard: GuardId, others: impl Iterator<Item = &'q Event>) -> Under {
        let quiet = self.new;
        let beside = others.filter(|other| quiet.guard(other.guard).0 == quiet.guard(guard).0);
        let beside = beside.map(|other| other.span).collect();
        let is_covered = quiet.facts.conditions(guard).any(|one| matches!(one, Condition::Covered(_)));
        let (mut behind, mut shared) = (Vec::new(), Some(Vec::new()));
        for condition in quiet.conditions(guard) {
            match (condition, &mut shared) {
                (Condition::Called { expr, went_well: true }, _) if quiet.may_be_alone(expr) => {
                    behind.push(quiet.facts.span(expr));
                }
                (Condition::Called { expr, went_well: true }, Some(shared)) => shared.push(quiet.facts.span(expr)),
                _ => shared = None,
            }
        }
        Under { is_covered, behind, shared, beside }
    }

    /// Attributes that are set, and calls that do not wait.
    fn stores(&mut self) -> bool {
        let (old, new) = (self.old.facts, self.new.facts);
        self.exprs(&old.unwaiting, &new.unwaiting)
            && self.all(&old.stores, &new.stores, |this, old, new| {
                this.expr(old.object, new.object) && this.name(old.name, new.name) && this.expr(old.value, new.value)
            })
    }

    /// What rules see that look at this file alone; if it is something else, they are to look again.
    fn seen_by_rules(&mut self) -> bool {
        self.anew.is_seen |= !(self.try_to(Self::lists) && self.has_same_uses());
        true
    }

    /// What is listed for the whole file.
    fn lists(&mut self) -> bool {
        let (loops_before, loops_now) = (loops(self.old), loops(self.new));
        let (old, new) = (self.old.facts, self.new.facts);
        self.all(&loops_before, &loops_now, |this, old, new| this.span(*old, *new))
            && self.all(&old.handlers, &new.handlers, |this, old, new| {
                (old.raises, old.awaits, old.is_finally) == (new.raises, new.awaits, new.is_finally)
                    && this.functions.are(old.function, new.function)
                    && this.old.cancels_before(old.span.start) == this.new.cancels_before(new.span.start)
                    && this.span(old.span, new.span)
                    && this.exprs(&old.types, &new.types)
                    && this.exprs(&old.earlier, &new.earlier)
            })
            && offloads::all(old) == offloads::all(new)
            && self.all(&old.polls, &new.polls, |this, old, new| {
                this.functions.are(old.function, new.function)
                    && this.span(old.span, new.span)
                    && this.expr(old.test, new.test)
                    && this.expr(old.call, new.call)
            })
            && self.all(&old.early_exits, &new.early_exits, |this, old, new| {
                this.functions.are(old.0, new.0) && this.expr(old.1, new.1) && this.span(old.2, new.2)
            })
    }

    // ------------------------------------------------------------------- mentions

    /// Whether names that calls are bound to are used as before: a task that is kept, a generator that is closed.
    fn has_same_uses(&self) -> bool {
        let (old, new) = (self.old.facts, self.new.facts);
        let (before, now) = (
            Uses::of(self.old, outsiders(self.new, &self.bindings.from)),
            Uses::of(self.new, outsiders(self.old, &self.bindings.to)),
        );
        let events = old.functions.iter().flat_map(|(_, function)| &function.events);
        let mut bound = events.filter(|event| !self.old.event(event)).filter_map(Event::bound);
        let mut scopes = self.scopes.to.iter().filter(|(scope, _)| **scope != MODULE_SCOPE);
        scopes.all(|(one, other)| before.results(self.old, *one) == now.results(self.new, *other))
            && bound.all(|binding| match self.bindings.to.get(&binding) {
                Some(other) if !before.is_outsider(self.old, binding) => {
                    old.bindings[binding].is_used == new.bindings[*other].is_used
                        && before.get(binding) == now.get(*other)
                }
                _ => true,
            })
    }

    // ---------------------------------------------------------------------- parts

    fn expr(&mut self, old: ExprId, new: ExprId) -> bool {
        match self.exprs.pair(old, new) {
            Pair::Known => return true,
            Pair::Apart => return false,
            Pair::Fresh => {}
        }
        let (one, other) = (&self.old.facts.exprs[old], &self.new.facts.exprs[new]);
        !self.renewed.is_read(self.new.facts, other)
            && self.span(self.old.facts.span(old), self.new.facts.span(new))
            && ((self.old.forms.is_idle(one) && self.new.forms.is_idle(other))
                || self.try_to(|this| this.same_error(one, other))
                || self.try_to(|this| this.same_deaf((old, one), (new, other)))
                || self.same(one, other))
            && match (one, other) {
                (Expr::Free(scope, name), Expr::Free(now, new_name)) => {
                    let (old, new) =
                        (self.old.facts.bindings_of(*scope, *name), self.new.facts.bindings_of(*now, *new_name));
                    self.bindings(old, new)
                }
                _ => true,
            }
    }

    /// Whether both make a built-in exception of one kind, with a message each: what that says is for people.
    fn same_error(&mut self, old: &Expr, new: &Expr) -> bool {
        let (Expr::Call(error, message), Expr::Call(other, now)) = (old, new) else { return false };
        let is_text = |quiet: Quiet<'_>, given: &[Argument]| {
            matches!(given, [Argument { kind: ArgumentKind::Positional, value }]
                if matches!(quiet.facts.exprs[*value], Expr::Text(_)))
        };
        let is_error = self.old.is_builtin_error(*error) && self.new.is_builtin_error(*other);
        is_error && is_text(self.old, message) && is_text(self.new, now) && self.expr(*error, *other)
    }

    /// Whether both call one thing that gives the same whatever texts and numbers it is given.
    fn same_deaf(&mut self, (old, one): (ExprId, &Expr), (new, other): (ExprId, &Expr)) -> bool {
        let (Expr::Call(callee, arguments), Expr::Call(now, given)) = (one, other) else { return false };
        let is_alike = |(old, new): (&Argument, &Argument)| match (old.kind, new.kind) {
            (ArgumentKind::Keyword(old), ArgumentKind::Keyword(new)) => self.name(old, new),
            (old, new) => old == new,
        };
        let is_literal =
            |(old, new): &(&Argument, &Argument)| self.old.is_literal(old.value) && self.new.is_literal(new.value);
        let both = || arguments.iter().zip(given);
        if arguments.len() != given.len()
            || !both().all(is_alike)
            || !self.old.is_like_outside(old)
            || !self.new.is_like_outside(new)
        {
            return false;
        }
        let others: Vec<(ExprId, ExprId)> =
            both().filter(|both| !is_literal(both)).map(|(old, new)| (old.value, new.value)).collect();
        self.expr(*callee, *now) && others.into_iter().all(|(old, new)| self.expr(old, new))
    }

    fn binding(&mut self, old: BindingId, new: BindingId) -> bool {
        match self.bindings.pair(old, new) {
            Pair::Known => return true,
            Pair::Apart => return false,
            Pair::Fresh => {}
        }
        let (old, new) = (&self.old.facts.bindings[old], &self.new.facts.bindings[new]);
        !self.renewed.is_parameter(new.kind)
            && (old.is_declared, old.is_replaced) == (new.is_declared, new.is_replaced)
            && self.same(&old.kind, &new.kind)
            && self.guard(old.guard, new.guard)
            && self.span(old.span, new.span)
    }

    fn guard(&mut self, old: GuardId, new: GuardId) -> bool {
        let ((old, asked), (new, asked_now)) = (self.old.guard(old), self.new.guard(new));
        if !asked.is_empty() || !asked_now.is_empty() {
            self.asked.push((asked, asked_now));
        }
        if old == ALWAYS || new == ALWAYS {
            return old == new;
        }
        match self.guards.pair(old, new) {
            Pair::Known => return true,
            Pair::Apart => return false,
            Pair::Fresh => {}
        }
        let (old, new) = (&self.old.facts.guards[old], &self.new.facts.guards[new]);
        self.same(&old.condition, &new.condition) && self.guard(old.parent, new.parent)
    }

    /// Whether two things are the same; if not, nothing of them is paired.
    pub(super) fn try_to(&mut self, are_same: impl FnOnce(&mut Self) -> bool) -> bool {
        let Self { exprs, bindings, guards, spans, asked, .. } = self;
        let before = (exprs.found.len(), bindings.found.len(), guards.found.len(), spans.found.len(), asked.len());
        let are_same = are_same(self);
        if !are_same {
            self.exprs.truncate(before.0);
            self.bindings.truncate(before.1);
            self.guards.truncate(before.2);
            self.spans.truncate(before.3);
            self.asked.truncate(before.4);
        }
        are_same
    }

    fn guarded(&mut self, old: &[(ExprId, GuardId)], new: &[(ExprId, GuardId)]) -> bool {
        self.all(old, new, |this, old, new| this.expr(old.0, new.0) && this.guard(old.1, new.1))
    }

    fn span(&mut self, old: Span, new: Span) -> bool {
        old == Span::default() || new == Span::default() || !matches!(self.spans.pair(old, new), Pair::Apart)
    }

    fn name(&self, old: NameId, new: NameId) -> bool {
        self.old.facts.name(old) == self.new.facts.name(new)
    }

    fn maybe(&mut self, old: Option<ExprId>, new: Option<ExprId>) -> bool {
        match (old, new) {
            (Some(old), Some(new)) => self.expr(old, new),
            (old, new) => old == new,
        }
    }

    /// Whether two lists have the same items, in the same order.
    fn all<'f, T>(&mut self, old: &'f [T], new: &'f [T], is_same: impl Fn(&mut Self, &'f T, &'f T) -> bool) -> bool {
        old.len() == new.len() && old.iter().zip(new).all(|(old, new)| is_same(self, old, new))
    }

    fn exprs(&mut self, old: &[ExprId], new: &[ExprId]) -> bool {
        self.all(old, new, |this, old, new| this.expr(*old, *new))
    }

    pub(super) fn bindings(&mut self, old: &[BindingId], new: &[BindingId]) -> bool {
        self.all(old, new, |this, old, new| this.binding(*old, *new))
    }

    /// Whether two things have one form and the same parts.
    fn same<T: Parts>(&mut self, old: &T, new: &T) -> bool {
        if std::mem::discriminant(old) != std::mem::discriminant(new) {
            return false;
        }
        let (old, new) = (old.parts(), new.parts());
        old.len() == new.len()
            && old.into_iter().zip(new).all(|parts| match parts {
                (Part::Expr(old), Part::Expr(new)) => self.expr(old, new),
                (Part::Binding(old), Part::Binding(new)) => self.binding(old, new),
                (Part::Name(old), Part::Name(new)) => self.name(old, new),
                (Part::Function(old), Part::Function(new)) => self.functions.are(old, new),
                (Part::Class(old), Part::Class(new)) => self.classes.are(old, new),
                (Part::Scope(old), Part::Scope(new)) => self.scopes.are(old, new),
                (Part::Number(old), Part::Number(new)) => old == new,
                _ => false,
            })
    }
}

/// The names that the other text knows to be of objects that are none of the program's.
fn outsiders(other: Quiet<'_>, pairs: &FxHashMap<BindingId, BindingId>) -> FxHashSet<BindingId> {
    other.outsiders().iter().filter_map(|binding| pairs.get(binding)).copied().collect()
}

/// Whether a function does more than to read attributes. (Of properties that don't, nobody hears.)
fn acts(function: &Function) -> bool {
    function.events.iter().any(|event| event.kind != EventKind::Read)
}

/// Arguments, by what is changed if they are other ones.
fn arguments(facts: &Facts, arguments: &[Argument]) -> BTreeMap<Changed, ExprId> {
    let named = arguments.iter().enumerate().map(|(place, argument)| {
        let name = match argument.kind {
            ArgumentKind::Keyword(name) => Changed::Keyword(facts.name(name).to_owned()),
            ArgumentKind::Positional => Changed::Positional(place),
            ArgumentKind::Star | ArgumentKind::DoubleStar => Changed::Starred(place),
        };
        (name, argument.value)
    });
    named.collect()
}

/// Whether a function may return whatever happens in it: what it does says nothing of where its callers are.
fn is_open_ended(quiet: Quiet<'_>, function: &Function) -> bool {
    function.returns.iter().map(|(_, guard)| *guard).chain(function.end).any(|guard| quiet.guard(guard).0 == ALWAYS)
}

/// The fields of a class's objects, by name.
fn fields<'f>(facts: &'f Facts, class: &'f Class) -> BTreeMap<&'f str, Vec<&'f Field>> {
    let mut fields: BTreeMap<&str, Vec<&Field>> = BTreeMap::new();
    for field in &class.fields {
        fields.entry(facts.name(field.name)).or_default().push(field);
    }
    fields
}

/// The names of a scope, and what they are bound to.
pub(super) fn names(facts: &Facts, scope: ScopeId) -> FxHashMap<&str, &[BindingId]> {
    facts.scopes[scope].names.iter().map(|(name, bindings)| (facts.name(*name), &**bindings)).collect()
}

/// The attributes that a function reads, and those that it changes in place, quiet or not.
fn looks_of(facts: &Facts, function: FunctionId) -> Vec<(bool, &str)> {
    let looks = facts.functions[function].events.iter().filter_map(|event| {
        let is_change = match event.kind {
            EventKind::Read => false,
            EventKind::Operator(special) if facts.name(special).starts_with("__i") => true,
            _ => return None,
        };
        match facts.exprs[event.expr] {
            Expr::Attribute(_, name) => Some((is_change, facts.name(name))),
            _ => None,
        }
    });
    let mut looks: Vec<_> = looks.collect();
    looks.sort_unstable();
    looks
}

/// Loops in which anything is heard, and those in handlers, where it matters what runs in any case.
fn loops(quiet: Quiet<'_>) -> Vec<Span> {
    let events = quiet.facts.functions.iter().flat_map(|(_, function)| &function.events);
    let is_heard = |event: &&Event| !quiet.event(event) && quiet.alone(event).is_none();
    let mut heard: Vec<u32> = events.filter(is_heard).map(|event| event.span.start).collect();
    heard.sort_unstable();
    let is_in_handler = |span: Span| quiet.facts.handlers.iter().any(|handler| handler.span.contains(span));
    let is_heard =
        |span: Span| heard[heard.partition_point(|at| *at < span.start)..].first().is_some_and(|at| *at < span.end);
    quiet.facts.loops.iter().copied().filter(|span| is_heard(*span) || is_in_handler(*span)).collect()
}
