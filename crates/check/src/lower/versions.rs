//! Conditions on the version of Python: of those that nobody should use any more it is known what they say.

use super::Lowering;
use crate::facts::{BindingKind, Constant, Expr as Fact, ExprId, MODULE_SCOPE};
use crate::syntax::{CmpOp, Expr, Number, ast};
use std::cmp::Ordering;

impl Lowering {
    /// A comparison, if it is one with `sys.version_info`, as what it always comes to.
    pub(super) fn version_test(&mut self, compare: &ast::ExprCompare, compared: ExprId, left: ExprId) -> ExprId {
        let ([operator], [right]) = (&*compare.ops, &*compare.comparators) else { return compared };
        let ordering = match (self.asked_of_version(&compare.left, left), right) {
            (Some(Asked::Major), Expr::NumberLiteral(number)) => number_of(number).map(|number| MAJOR.cmp(&number)),
            (Some(asked @ (Asked::All | Asked::Beginning)), Expr::Tuple(tuple)) => {
                let numbers = tuple.elts.iter().map(|part| part.as_number_literal_expr().and_then(number_of));
                let bound: Option<Vec<i32>> = numbers.collect();
                // Of a newer one than the oldest it may be either. The whole has more parts than two, and is greater than these.
                let is_older = |bound: &[i32]| *bound < OLDEST[..] || (*bound == OLDEST[..] && asked == Asked::All);
                bound.filter(|bound| is_older(bound)).map(|_| Ordering::Greater)
            }
            _ => None,
        };
        let Some(ordering) = ordering else { return compared };
        let is = match operator {
            CmpOp::Lt => ordering.is_lt(),
            CmpOp::LtE => ordering.is_le(),
            CmpOp::Gt => ordering.is_gt(),
            CmpOp::GtE => ordering.is_ge(),
            CmpOp::Eq => ordering.is_eq(),
            CmpOp::NotEq => ordering.is_ne(),
            _ => return compared,
        };
        let constant = self.constant(if is { Constant::True } else { Constant::False });
        // The question is kept beside its answer.
        self.add(Fact::Logic(!is, [compared, constant].into()), compare.range)
    }

    fn asked_of_version(&self, expr: &Expr, fact: ExprId) -> Option<Asked> {
        match (expr, &self.facts.exprs[fact]) {
            (Expr::Subscript(subscript), Fact::Item(object, _)) if self.is_version(*object) => {
                match &*subscript.slice {
                    Expr::Slice(ast::ExprSlice { lower: None, upper: Some(upper), step: None, .. }) => {
                        let upper = upper.as_number_literal_expr().and_then(number_of);
                        (upper == Some(OLDEST.len() as i32)).then_some(Asked::Beginning)
                    }
                    Expr::NumberLiteral(number) if number_of(number) == Some(0) => Some(Asked::Major),
                    _ => None,
                }
            }
            (Expr::Attribute(attribute), Fact::Attribute(object, _)) if attribute.attr.as_str() == "major" => {
                self.is_version(*object).then_some(Asked::Major)
            }
            _ => self.is_version(fact).then_some(Asked::All),
        }
    }

    /// Whether it is `sys.version_info`, or that by its own name.
    fn is_version(&self, fact: ExprId) -> bool {
        match self.facts.exprs[fact] {
            Fact::Attribute(object, name) if &self.names[name] == "version_info" => self.is_imported(object, "sys"),
            _ => self.is_imported(fact, "version_info"),
        }
    }

    /// Whether a name is one of a module that is imported so, or of what it has.
    fn is_imported(&self, fact: ExprId, wanted: &str) -> bool {
        let is_one = |kind| match kind {
            BindingKind::Import { module, .. } => &self.names[module] == wanted,
            BindingKind::ImportFrom { module, level: 0, name } => {
                (&self.names[module], &self.names[name]) == ("sys", wanted)
            }
            _ => false,
        };
        match &self.facts.exprs[fact] {
            Fact::Local(bindings) => matches!(**bindings, [one] if is_one(self.facts.bindings[one].kind)),
            Fact::Free(scope, name) if *scope == MODULE_SCOPE => {
                let Some(place) = self.places.get(&(MODULE_SCOPE, *name)) else { return false };
                let bindings = &self.facts.scopes[MODULE_SCOPE].names[*place].1;
                bindings.iter().all(|binding| is_one(self.facts.bindings[*binding].kind))
            }
            _ => false,
        }
    }
}

/// What of the version is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    All,
    /// As many parts as tell the oldest one.
    Beginning,
    Major,
}

fn number_of(number: &ast::ExprNumberLiteral) -> Option<i32> {
    match &number.value {
        Number::Int(number) => number.as_i32(),
        _ => None,
    }
}

/// Older ones are not supported any more, and code for them alone is not looked at.
const OLDEST: [i32; 2] = [MAJOR, 9];
const MAJOR: i32 = 3;
