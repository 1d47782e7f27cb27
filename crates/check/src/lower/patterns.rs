//! `match`: what its patterns bind, and under which conditions its cases run.

use super::Lowering;
use crate::facts::{BindingKind, Condition, Constant, Expr as Fact, ExprId, Key};
use crate::syntax::ast::{self, Singleton};
use crate::syntax::{Expr, Pattern, Ranged, TextRange};

impl Lowering {
    pub(super) fn match_(&mut self, match_: &ast::StmtMatch) {
        let subject = self.expr(&match_.subject);
        let before = self.frame().flow.clone();
        let mut after = before.clone();
        let guard = self.frame().guard;
        for case in &match_.cases {
            self.frame().flow = before.clone();
            let tried = self.frame().guard;
            let asked = self.asked(&case.pattern, subject);
            if let Some(expr) = asked {
                self.guard(Condition::Test { expr, is: true });
            }
            self.pattern(&case.pattern, subject, Some(&match_.subject));
            if let Some(test) = &case.guard {
                let test = self.test(test);
                self.guard(Condition::Test { expr: test, is: true });
            }
            self.body(&case.body);
            let frame = self.frame();
            after.join(&frame.flow);
            frame.guard = tried;
            // The next cases are tried if this one does not fit.
            if let (Some(expr), None) = (asked, &case.guard) {
                self.guard(Condition::Test { expr, is: false });
            }
        }
        let frame = self.frame();
        frame.flow = after;
        frame.guard = guard;
    }

    /// The comparison that a pattern is, if it is no more than that.
    fn asked(&mut self, pattern: &Pattern, subject: ExprId) -> Option<ExprId> {
        let value = match pattern {
            Pattern::MatchValue(literal) => self.expr(&literal.value),
            Pattern::MatchSingleton(singleton) => {
                let constant = match singleton.value {
                    Singleton::None => Constant::None,
                    Singleton::True => Constant::True,
                    Singleton::False => Constant::False,
                };
                self.add(Fact::Constant(constant), pattern.range())
            }
            _ => return None,
        };
        Some(self.add(Fact::Same(subject, value, false), pattern.range()))
    }

    fn pattern(&mut self, pattern: &Pattern, value: ExprId, subject: Option<&Expr>) {
        match pattern {
            Pattern::MatchAs(named) => {
                if let Some(inner) = &named.pattern {
                    self.pattern(inner, value, None);
                }
                let Some(name) = &named.name else { return };
                let classes = named.pattern.as_deref().and_then(|inner| self.classes_of(inner));
                let value = match classes {
                    Some(classes) => self.add(Fact::Narrowed { value, classes, is: true }, named.range),
                    None => value,
                };
                let name_id = self.name(name);
                self.bind(name_id, BindingKind::Value(value), name.range);
            }
            Pattern::MatchClass(class) => {
                let classes = self.expr(&class.cls);
                if let Some(subject) = subject {
                    self.narrow_to(subject, classes, true);
                }
                let narrowed = Fact::Narrowed { value, classes, is: true };
                self.parts_of(&class.arguments, narrowed, class.range);
            }
            Pattern::MatchSequence(sequence) => {
                for part in &sequence.patterns {
                    let element = self.add(Fact::Element(value), part.range());
                    self.pattern(part, element, None);
                }
            }
            Pattern::MatchMapping(mapping) => {
                for (key, part) in mapping.keys.iter().zip(&mapping.patterns) {
                    let key = self.key(key);
                    let item = self.add(Fact::Item(value, key), part.range());
                    self.pattern(part, item, None);
                }
                if let Some(rest) = &mapping.rest {
                    let name = self.name(rest);
                    self.bind(name, BindingKind::Unknown, rest.range);
                }
            }
            Pattern::MatchOr(either) => {
                for part in &either.patterns {
                    self.pattern(part, value, None);
                }
                if let (Some(subject), Some(classes)) = (subject, self.classes_of(pattern)) {
                    self.narrow_to(subject, classes, true);
                }
            }
            Pattern::MatchStar(star) => {
                if let Some(name) = &star.name {
                    let name_id = self.name(name);
                    self.bind(name_id, BindingKind::Unknown, name.range);
                }
            }
            Pattern::MatchValue(literal) => {
                self.expr(&literal.value);
            }
            Pattern::MatchSingleton(_) => {}
        }
    }

    /// The classes of which a pattern takes instances, if it takes nothing else.
    fn classes_of(&mut self, pattern: &Pattern) -> Option<ExprId> {
        match pattern {
            Pattern::MatchClass(class) => Some(self.expr(&class.cls)),
            Pattern::MatchOr(either) => {
                let parts: Option<Vec<ExprId>> = either.patterns.iter().map(|part| self.classes_of(part)).collect();
                Some(self.add(Fact::Sequence(parts?.into()), either.range))
            }
            _ => None,
        }
    }

    /// Patterns for the attributes of an object: by their names, or by their places among its fields.
    fn parts_of(&mut self, arguments: &ast::PatternArguments, object: Fact, range: TextRange) {
        if arguments.patterns.is_empty() && arguments.keywords.is_empty() {
            return;
        }
        let object = self.add(object, range);
        for (place, part) in (0..).zip(&arguments.patterns) {
            let item = self.add(Fact::Item(object, Key::Index(place)), part.range());
            self.pattern(part, item, None);
        }
        for keyword in &arguments.keywords {
            let name = self.name(&keyword.attr);
            let attribute = self.add(Fact::Attribute(object, name), keyword.range);
            self.pattern(&keyword.pattern, attribute, None);
        }
    }
}
