//! What is remembered of a socket between its calls: whether it may be ready, and who waits for it.
//!
//! `may_be_ready` of a side is false only if the system said "nothing now" (or proved it, see [`Calls::note_drained`]) while the socket
//! was registered, edge-triggered, and no event has come since. The next thing to happen is therefore an event, and a call can wait for
//! it without trying. True promises nothing: a call tries, and may find nothing.

use super::call::SocketCall;
use crate::job::Scheduled;
use crate::watchers::Side;
use pyo3::prelude::*;
use pyo3::types::{PyWeakrefMethods, PyWeakrefReference};
use soliloop_engine::world::real::SocketKind;
use soliloop_engine::world::{Interest, Readiness};
use std::collections::VecDeque;

/// The calls of one socket.
pub(crate) struct Calls {
    /// Whose calls they are; `None` for an object that can't be referred to weakly, of which nothing is remembered.
    socket: Option<Py<PyWeakrefReference>>,
    kind: SocketKind,
    /// Whether events are edges, so that readiness can be remembered.
    is_edge: bool,
    /// Whether edges of writability are asked for. Only TCP tells of them just to those who were refused; other sockets do so whenever
    /// the peer has read something.
    is_write_told: bool,
    /// An event has told of an error, an end or urgent data.
    is_exceptional: bool,
    reading: Queue,
    writing: Queue,
}

#[derive(Default)]
struct Queue {
    may_be_ready: bool,
    /// In the order in which they came. The first one is under way once the socket is ready.
    waiting: VecDeque<Py<SocketCall>>,
}

/// What is known of one side of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// It is not registered.
    Nothing,
    /// It is registered, and may be ready.
    MayBeReady,
    /// It is registered, and not ready; or others wait.
    MustWait,
}

impl Calls {
    pub(crate) fn new(socket: Option<Py<PyWeakrefReference>>, kind: SocketKind) -> Self {
        Self {
            socket,
            kind,
            is_edge: false,
            is_write_told: kind.is_tcp,
            is_exceptional: false,
            reading: Queue::default(),
            writing: Queue::default(),
        }
    }

    /// Whether this is about that very object.
    #[inline]
    pub(crate) fn is_of(&self, socket: &Bound<'_, PyAny>) -> bool {
        // What the reference gives is dropped at once, but it is never the last reference: the object was alive before.
        let known = self.socket.as_ref().and_then(|reference| reference.bind(socket.py()).upgrade());
        known.is_some_and(|known| known.is(socket))
    }

    #[inline]
    pub(crate) fn look(&self, side: Side) -> Known {
        let queue = self.queue(side);
        let is_free = queue.waiting.is_empty() && (queue.may_be_ready || !self.is_edge);
        if is_free { Known::MayBeReady } else { Known::MustWait }
    }

    pub(crate) fn kind(&self) -> SocketKind {
        self.kind
    }

    pub(crate) fn is_exceptional(&self) -> bool {
        self.is_exceptional
    }

    pub(crate) fn waits(&self, side: Side) -> bool {
        !self.queue(side).waiting.is_empty()
    }

    pub(crate) fn waiting(&self) -> impl Iterator<Item = &Py<SocketCall>> {
        self.reading.waiting.iter().chain(&self.writing.waiting)
    }

    /// The registration was made or changed: the system will tell of what is ready now.
    pub(crate) fn forget_readiness(&mut self, is_edge: bool) {
        self.is_edge = is_edge;
        self.reading.may_be_ready = true;
        self.writing.may_be_ready = true;
    }

    /// Takes over who waits for the number.
    pub(crate) fn inherit(&mut self, before: Self) {
        self.reading.waiting = before.reading.waiting;
        self.writing.waiting = before.writing.waiting;
        self.is_write_told |= before.is_write_told;
    }

    /// What is asked for while there is no sink.
    pub(crate) fn edges(&self) -> Interest {
        Interest::edges(self.is_write_told)
    }

    /// Puts a call in its queue, unless it is there already. Gives whether more is to be asked for from now on.
    #[inline]
    pub(crate) fn wait(&mut self, side: Side, call: &Bound<'_, SocketCall>, saw_nothing: bool) -> bool {
        let wants_more = matches!(side, Side::Writer) && !self.is_write_told;
        self.is_write_told |= wants_more;
        let queue = self.queue_mut(side);
        if saw_nothing {
            queue.may_be_ready = false;
        }
        if !queue.waiting.iter().any(|waiting| waiting.is(call)) {
            queue.waiting.push_back(call.clone().unbind());
        }
        wants_more
    }

    /// Takes a call from its queue; gives the job of the one behind it, if that may go on.
    #[inline]
    pub(crate) fn end_wait(&mut self, side: Side, call: &Bound<'_, SocketCall>) -> Option<Scheduled> {
        let (queue, is_edge) = (self.queue(side), self.is_edge);
        let place = queue.waiting.iter().position(|waiting| waiting.is(call))?;
        let queue = self.queue_mut(side);
        // The caller holds the call: this is not its end.
        drop(queue.waiting.remove(place));
        queue.next(call.py(), is_edge)
    }

    /// A read has brought less than it asked for. If that proves that there was no more, the next call can wait at once.
    ///
    /// It does for TCP, whose reads end early only at an empty queue, at the end of the stream, at an error, or before urgent data. It does
    /// for streams of the Unix family, which end them at a message with a descriptor or credentials as well, if the read would have told of
    /// that (`tells_of_messages`). What comes after the read makes an event. What came before it made one as well, which may have been told
    /// of already: so the proof holds unless an event has told of an end, an error or urgent data. Of other families nothing is proved.
    #[inline]
    pub(crate) fn note_drained(&mut self, tells_of_messages: bool) {
        let is_proved = self.kind.is_tcp || (self.kind.is_unix && tells_of_messages);
        if self.is_edge && is_proved && !self.is_exceptional {
            self.reading.may_be_ready = false;
        }
    }

    /// Something has happened: gives the jobs of the calls that it concerns.
    #[inline]
    pub(crate) fn note(&mut self, py: Python<'_>, event: Readiness) -> [Option<Scheduled>; 2] {
        self.is_exceptional |= event.is_exceptional;
        self.reading.may_be_ready |= event.readable;
        self.writing.may_be_ready |= event.writable;
        let jobs = |queue: &Queue, is_ready| if is_ready { queue.next(py, false) } else { None };
        [jobs(&self.reading, event.readable), jobs(&self.writing, event.writable)]
    }

    #[inline]
    fn queue(&self, side: Side) -> &Queue {
        match side {
            Side::Reader => &self.reading,
            Side::Writer => &self.writing,
        }
    }

    #[inline]
    fn queue_mut(&mut self, side: Side) -> &mut Queue {
        match side {
            Side::Reader => &mut self.reading,
            Side::Writer => &mut self.writing,
        }
    }
}

impl Queue {
    /// The job of the first call, unless it is under way, or must wait for an edge.
    #[inline]
    fn next(&self, py: Python<'_>, is_edge: bool) -> Option<Scheduled> {
        let first = self.waiting.front().filter(|_| self.may_be_ready || !is_edge)?;
        SocketCall::note_ready(first, py)
    }
}
