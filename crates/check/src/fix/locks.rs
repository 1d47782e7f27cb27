//! Locks of threads that are held where something is to be awaited: the loop may come to who waits for the lock, and stand still for good.

use super::closure::{Closures, Obstacle};
use super::unknown::{put_in, root};
use crate::facts::{Condition, EventKind, Expr, ExprId};
use crate::graph::Site;
use crate::link::values::{EMPTY, FileId, FnId, Value};

impl Closures<'_, '_> {
    /// While a lock of threads is held nothing may be awaited.
    pub(super) fn is_free_of_locks(&mut self, function: FnId, site: Site) -> Result<(), Obstacle> {
        for outside in self.sites.outside_of(self.graph, function) {
            let path = self.program.values.path_text(outside.path);
            if path.strip_suffix(".acquire").is_some_and(crate::link::is_thread_lock) {
                return Err(Obstacle { site: outside.site, reason: TAKEN.to_owned() });
            }
        }
        let events = self.program.function(function).events.clone();
        for event in &events {
            if let (EventKind::Call(_), Expr::Call(callee, _)) = (event.kind, self.program.expr(site.file, event.expr))
                && let Expr::Attribute(object, name) = *self.program.expr(site.file, *callee)
                && self.program.file(site.file).facts.name(name) == "acquire"
                && self.may_be_lock(site.file, object)
            {
                return Err(Obstacle { site: Site { file: site.file, span: event.span }, reason: TAKEN.to_owned() });
            }
        }
        for guard in events.iter().filter(|event| event.span == site.span).map(|event| event.guard) {
            let conditions: Vec<Condition> = self.program.file(site.file).facts.conditions(guard).collect();
            for condition in conditions {
                let Condition::Within(manager) = condition else { continue };
                if self.may_be_lock(site.file, manager) {
                    return Err(Obstacle {
                        site,
                        reason: "a lock of `threading` is held here: nothing may be awaited".to_owned(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Whether it is one: as far as it is known what it is; else by what the program gives it, or keeps under that name.
    fn may_be_lock(&mut self, file: FileId, expr: ExprId) -> bool {
        let set = self.program.eval(file, expr);
        if self.program.is_thread_lock(set) {
            return true;
        }
        let members = self.program.values.shared(set);
        let is_open = |value: &Value| matches!(value, Value::Parameter(..) | Value::Step(..));
        if !members.iter().all(|value| is_open(self.program.values.get(*value))) {
            return false;
        }
        for value in members.iter().copied() {
            let Some(root) = root(self.program, value) else { continue };
            for giver in &self.graph.into[root.0.0 as usize] {
                let env = self.program.values.env(self.graph.edges[*giver].env);
                let given = env.iter().find(|(key, _)| *key == root).map_or(EMPTY, |(_, set)| *set);
                let given = put_in(self.program, value, given);
                if self.program.is_thread_lock(given) {
                    return true;
                }
            }
        }
        match *self.program.expr(file, expr) {
            Expr::Attribute(_, name) => {
                let name = self.program.file(file).facts.name(name).to_owned();
                self.is_kept_lock(&name)
            }
            _ => false,
        }
    }

    /// Whether some object keeps a lock under that name.
    fn is_kept_lock(&mut self, name: &str) -> bool {
        for index in 0..self.program.files.len() {
            let file = FileId(index as u32);
            let facts = &self.program.file(file).facts;
            let stores = facts.stores.iter().filter(|store| facts.name(store.name) == name).map(|store| store.value);
            let fields = facts.classes.iter().flat_map(|(_, class)| class.fields.iter());
            let fields = fields.filter(|field| facts.name(field.name) == name).filter_map(|field| field.value);
            for value in stores.chain(fields).collect::<Vec<_>>() {
                let set = self.program.eval(file, value);
                if self.program.is_thread_lock(set) {
                    return true;
                }
            }
        }
        false
    }
}

const TAKEN: &str = "a lock of `threading` is taken here: nothing may be awaited until it is given back";
