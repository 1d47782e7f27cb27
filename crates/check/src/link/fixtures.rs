//! Fixtures of pytest: what a parameter of a test or fixture is, by its name.

use super::Program;
use super::values::{EMPTY, FileId, FnId, NO_ARGS, NO_ENV, SetId, Step, Symbol, Value};
use crate::facts::{ArgumentKind, Expr, ExprId, Facts};
use rustc_hash::FxHashMap;
use std::rc::Rc;

/// All functions that are fixtures, by the names that tests ask for them by.
pub(super) type Fixtures = FxHashMap<Symbol, Vec<(FileId, FnId)>>;

impl Program {
    /// What the fixture gives that a parameter asks for.
    pub(super) fn fixture(&mut self, function: FnId, index: u32) -> SetId {
        let file = self.file_of(function);
        if !self.file(file).is_test || !self.is_run_by_pytest(function) {
            return EMPTY;
        }
        let name = self.symbol(file, self.function(function).parameters[index as usize].name);
        let Some(fixture) = self.fixture_for(file, function, name) else { return EMPTY };
        let made = self.single(Value::Function(fixture, NO_ENV));
        let made = self.step_set(made, Step::Call(NO_ARGS));
        let this = self.function(fixture);
        match (this.is_async, this.is_generator) {
            (true, true) => self.step_set(made, Step::AsyncElement),
            (true, false) => self.step_set(made, Step::Await),
            (false, true) => self.step_set(made, Step::Element),
            (false, false) => made,
        }
    }

    fn is_run_by_pytest(&self, function: FnId) -> bool {
        let facts = &self.file(self.file_of(function)).facts;
        facts.name(self.function(function).name).starts_with("test") || self.fixture_name(function).is_some()
    }

    /// The fixture of a name that a file sees: its own, or that of the nearest `conftest.py`. One may ask for what it takes the place of.
    fn fixture_for(&mut self, file: FileId, asking: FnId, name: Symbol) -> Option<FnId> {
        let all = Rc::clone(self.all_fixtures());
        let folder = |file: FileId| self.file(file).path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let own = folder(file);
        let sees = |at: FileId| {
            let above = folder(at);
            let is_above =
                above.is_empty() || own == above || own.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'));
            let is_shared = self.file(at).path.rsplit('/').next() == Some("conftest.py") && is_above;
            (at == file || is_shared).then_some((at == file, above.len()))
        };
        let seen = all.get(&name)?.iter().filter(|(_, fixture)| *fixture != asking);
        seen.filter_map(|(at, fixture)| Some((sees(*at)?, *fixture))).max().map(|(_, fixture)| fixture)
    }

    fn all_fixtures(&mut self) -> &Rc<Fixtures> {
        if self.fixtures.is_none() {
            let mut all = Fixtures::default();
            for function in self.functions() {
                if let Some(name) = self.fixture_name(function) {
                    all.entry(name).or_default().push((self.file_of(function), function));
                }
            }
            self.fixtures = Some(Rc::new(all));
        }
        self.fixtures.get_or_insert_default()
    }

    /// The name that a function has as a fixture: its own, or the one that its decorator says.
    fn fixture_name(&self, function: FnId) -> Option<Symbol> {
        let this = self.function(function);
        let file = self.file_of(function);
        if this.decorators.is_empty() || !self.file(file).is_test {
            return None;
        }
        let facts = &self.file(file).facts;
        this.decorators.iter().find_map(|decorator| {
            let (callee, arguments) = match &facts.exprs[*decorator] {
                Expr::Call(callee, arguments) => (*callee, &**arguments),
                _ => (*decorator, &[][..]),
            };
            if !is_fixture(facts, callee) {
                return None;
            }
            let told = arguments.iter().find_map(|argument| match (argument.kind, &facts.exprs[argument.value]) {
                (ArgumentKind::Keyword(keyword), Expr::Text(name)) if facts.name(keyword) == "name" => Some(*name),
                _ => None,
            });
            Some(self.symbol(file, told.unwrap_or(this.name)))
        })
    }
}

/// `pytest.fixture`, `pytest_asyncio.fixture`, or a name for one of them.
fn is_fixture(facts: &Facts, decorator: ExprId) -> bool {
    facts.has_name(decorator, |name| facts.name(name) == "fixture")
}
