//! Calls of what is outside the program: what blocks, and what is handed things to call.

use super::{Builder, Catalogued, Graph, Happening, ScheduledSink, SinkCall, is_shorter};
use crate::catalogue::is_quiet;
use crate::facts::{EventKind, Use};
use crate::link::Program;
use crate::link::values::{ArgsId, PathId};
use std::rc::Rc;

impl Builder<'_> {
    fn sink(&mut self, sink: SinkCall) {
        let Graph { known_sinks, sinks_of, sinks, .. } = &mut self.graph;
        let own = &mut sinks_of[sink.caller.0 as usize];
        if known_sinks.insert((sink.caller, sink.site, sink.path)) {
            own.push(sinks.len());
            sinks.push(sink);
            return;
        }
        let known = own.iter().find(|known| (sinks[**known].site, sinks[**known].path) == (sink.site, sink.path));
        if let Some(known) = known.map(|known| &mut sinks[*known]).filter(|known| is_shorter(&sink.via, &known.via)) {
            *known = sink;
        }
    }

    /// What the catalogue says of a path.
    pub(super) fn catalogued(&mut self, path: PathId) -> &Catalogued {
        let Program { values, catalogue, .. } = &*self.program;
        self.paths.entry(path).or_insert_with(|| {
            let text = values.path_text(path);
            let (sink, handed) = (catalogue.sink(text), catalogue.handed(text).into());
            let lazily = catalogue.handed_lazily(text).into();
            Catalogued { is_quiet: sink.is_none() && is_quiet(text), sink, handed, lazily }
        })
    }

    pub(super) fn external(&mut self, at: &Happening, path: PathId, args: ArgsId) {
        let Catalogued { sink, handed, .. } = self.catalogued(path).clone();
        if let Some(by) = at.scheduled_by {
            if let Some(sink) = sink
                && !self.is_harmless(sink, args)
            {
                let (caller, site, truth) = (at.caller, at.site, Rc::clone(&at.truth));
                self.graph.scheduled_sinks.push(ScheduledSink { caller, site, by, path, sink, truth });
            }
            return;
        }
        if let Some(sink) = sink
            && !matches!(at.kind, EventKind::Call(Use::Awaited | Use::Entered))
            && !self.is_harmless(sink, args)
        {
            let Happening { caller, site, via, is_registered, .. } = at.clone();
            let truth = self.waits(sink, args, at);
            let is_direct = self.is_direct;
            self.sink(SinkCall { caller, site, path, sink, truth, via, is_registered, is_direct });
        }
        // What is handed over may be made of itself: an object whose iterator is one of that object.
        if self.handing < MOST_HANDED {
            self.handing += 1;
            handed.iter().for_each(|what| self.hand(at, path, args, *what));
            self.handing -= 1;
        }
    }
}

/// Functions of other libraries that hand on what they are given, one to the other.
const MOST_HANDED: u32 = 8;
