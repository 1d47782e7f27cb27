//! `match`: what its patterns bind, and what they say of the subject.

use super::Lowering;
use crate::facts::{BindingKind, Condition, Expr as Fact, ExprId, UNKNOWN};
use crate::syntax::{Expr, Pattern, Ranged, ast};

impl Lowering {
    pub(super) fn match_(&mut self, match_: &ast::StmtMatch) {
        let subject = self.expr(&match_.subject);
        let before = self.frame().flow.clone();
        let mut after = before.clone();
        let guard = self.frame().guard;
        for case in &match_.cases {
            self.frame().flow = before.clone();
            self.pattern(&case.pattern, subject, Some(&match_.subject));
            if let Some(test) = &case.guard {
                let test = self.test(test);
                self.guard(Condition::Test { expr: test, is: true });
            }
            self.body(&case.body);
            let frame = self.frame();
            after.join(&frame.flow);
            frame.guard = guard;
        }
        self.frame().flow = after;
    }

    fn pattern(&mut self, pattern: &Pattern, value: ExprId, subject: Option<&Expr>) {
        match pattern {
            Pattern::MatchAs(named) => {
                if let Some(inner) = &named.pattern {
                    self.pattern(inner, value, None);
                }
                let Some(name) = &named.name else { return };
                let value = match named.pattern.as_deref() {
                    Some(Pattern::MatchClass(class)) => {
                        let classes = self.expr(&class.cls);
                        self.add(Fact::Narrowed { value, classes, is: true }, named.range)
                    }
                    _ => value,
                };
                let name_id = self.name(name);
                self.bind(name_id, BindingKind::Value(value), name.range);
            }
            Pattern::MatchClass(class) => {
                if let Some(subject) = subject {
                    self.narrow_to(subject, &class.cls, true);
                } else {
                    self.expr(&class.cls);
                }
                let parts = class
                    .arguments
                    .patterns
                    .iter()
                    .chain(class.arguments.keywords.iter().map(|keyword| &keyword.pattern));
                for part in parts {
                    self.pattern(part, UNKNOWN, None);
                }
            }
            Pattern::MatchSequence(sequence) => {
                for part in &sequence.patterns {
                    let element = self.add(Fact::Element(value), part.range());
                    self.pattern(part, element, None);
                }
            }
            Pattern::MatchMapping(mapping) => {
                for part in &mapping.patterns {
                    self.pattern(part, UNKNOWN, None);
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
}
