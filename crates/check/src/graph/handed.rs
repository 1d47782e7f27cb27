//! Functions that are handed to code outside the program: what becomes of them there.

use super::{Builder, Edge, Happening, Offloaded, OffloadedTo};
use crate::catalogue::Handed;
use crate::facts::{EventKind, Use};
use crate::link::values::{Args, ArgsId, EMPTY, PathId, SetId, Step, Value};
use crate::link::{Target, Targets, Whose};
use smallvec::SmallVec;

impl Builder<'_> {
    /// Something outside the program is handed a function, or something to step into.
    pub(super) fn hand(&mut self, at: &Happening, path: PathId, args: ArgsId, what: Handed) {
        let (place, name) = match what {
            Handed::Calls(place, name)
            | Handed::CallsWith(place, name)
            | Handed::OnLoop(place, name)
            | Handed::Elsewhere(place, name) => (place, name),
            Handed::Iterates(place)
            | Handed::Enters(place)
            | Handed::Special(place, _)
            | Handed::ComparesElements(place, _) => (place, ""),
        };
        let given = self.argument(args, place, name);
        if given == EMPTY {
            return;
        }
        let mut targets = Targets::new();
        let mut inner = Happening {
            kind: EventKind::Call(Use::Other),
            is_handed: true,
            receiver: None,
            whose: Whose::Own,
            ..at.clone()
        };
        match what {
            Handed::Iterates(_) | Handed::Enters(_) => {
                let step = if matches!(what, Handed::Enters(_)) { Step::Enter } else { Step::Element };
                inner.kind = if step == Step::Enter { EventKind::Enter } else { EventKind::Iterate };
                for value in self.program.values.shared(given).iter().copied() {
                    self.program.targets_of_step(value, step, &mut targets);
                }
            }
            Handed::Special(_, method) => {
                self.specials_of(given, method, &mut targets);
                targets.retain(|target| matches!(target, Target::Function(..)));
            }
            Handed::ComparesElements(_, method) => {
                // With a key it is the keys that are compared; of several arguments these.
                if self.may_have(args, NOWHERE, "key") {
                    return;
                }
                let compared = match self.program.values.arguments(args).positional.len() {
                    1 => self.program.step_set(given, Step::Element),
                    _ => given,
                };
                // Elements of one kind: the other one is asked where the first has no such method.
                for method in [method, if method == "__lt__" { "__gt__" } else { "__lt__" }] {
                    self.specials_of(compared, method, &mut targets);
                    targets.retain(|target| matches!(target, Target::Function(..)));
                    if !targets.is_empty() {
                        break;
                    }
                }
            }
            Handed::Calls(..) => {
                let elements = self.elements(args, place);
                targets = self.program.targets(given, elements);
            }
            Handed::Elsewhere(..) => {
                self.offload(at, path, args, (given, place));
                return;
            }
            Handed::CallsWith(..) | Handed::OnLoop(..) => {
                let rest = self.rest(args, place);
                targets = self.program.targets(given, rest);
                if matches!(what, Handed::OnLoop(..)) {
                    inner.scheduled_by = Some(path);
                }
            }
        }
        for target in targets {
            self.target(&inner, target);
        }
    }

    /// The arguments behind one.
    fn rest(&mut self, args: ArgsId, place: usize) -> ArgsId {
        let positional = self.program.values.arguments(args).positional.iter().skip(place + 1).copied().collect();
        self.program.values.new_args(Args { positional, ..Args::default() })
    }

    /// What the other arguments have in them.
    fn elements(&mut self, args: ArgsId, place: usize) -> ArgsId {
        let given = self.program.values.arguments(args).positional.clone();
        let others = given.into_iter().enumerate().filter(|(index, _)| *index != place);
        let positional = others.map(|(_, set)| self.program.step_set(set, Step::Element)).collect();
        self.program.values.new_args(Args { positional, ..Args::default() })
    }

    /// Another thread or process is told to call something, with arguments.
    fn offload(&mut self, at: &Happening, path: PathId, args: ArgsId, (given, place): (SetId, usize)) {
        let inner = self.offloaded_arguments(args, place);
        for target in self.program.targets(given, inner) {
            let callee = match target {
                Target::Function(callee, env) => {
                    self.graph.elsewhere.insert(callee);
                    let Happening { caller, site, truth, .. } = at.clone();
                    let kind = EventKind::Call(Use::Other);
                    let (via, is_handed, is_registered) = (Vec::new(), true, at.is_registered);
                    let (runs, whose) = (false, Whose::Own);
                    let edge =
                        Edge { caller, callee, site, env, runs, truth, via, kind, is_handed, is_registered, whose };
                    self.edge(edge, true);
                    OffloadedTo::Function(callee)
                }
                Target::External(callee, _) => OffloadedTo::External(callee),
                Target::Variable(..) => continue,
            };
            self.graph.offloaded.push(Offloaded { caller: at.caller, site: at.site, by: path, callee });
        }
    }

    /// `Thread(target=f, args=(1, 2))`, or `to_thread(f, 1, 2)`
    fn offloaded_arguments(&mut self, args: ArgsId, place: usize) -> ArgsId {
        let packed = self.argument(args, NOWHERE, "args");
        let positional = match self.program.values.members(packed) {
            [one] => match self.program.values.get(*one) {
                Value::Sequence(parts) => SmallVec::from_slice(parts),
                _ => SmallVec::new(),
            },
            _ => self.program.values.arguments(args).positional.get(place + 1..).unwrap_or_default().into(),
        };
        self.program.values.new_args(Args { positional, ..Args::default() })
    }
}

/// A place that no argument has: it is given by name only.
const NOWHERE: usize = 1000;
