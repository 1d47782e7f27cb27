//! The simulated world of a loop: the engine's, the descriptors that stand for its sockets, and its pace.
//!
//! A Python socket of a simulation is an ordinary `socket.socket`. Its descriptor is a token: a real one, so that its number is its own, but
//! never bound or connected. What is done with it is done to the simulated socket that the table of tokens has for the number (`sockets`).

use crate::blocking;
use crate::ffi::cell::GilCell;
use crate::locks::Held;
use crate::port::{Source, errno};
use crate::threads::Threads;
use crate::world::{RealWorld, Waited};
use pyo3::PyTraverseError;
use pyo3::exceptions::PyValueError;
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::{PyInt, PyWeakrefReference};
use soliloop_engine::world::real::{Events, Real};
use soliloop_engine::world::sim::{self, Simulated, SocketId, Step};
use soliloop_engine::world::{Interest, Readiness};
use soliloop_engine::{Instant, Wait};
use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

/// A world without an outside; or with as much of it as its pace needs.
pub(crate) struct SimulatedWorld {
    sim: GilCell<Simulated>,
    ready: GilCell<Vec<(SocketId, Readiness)>>,
    tokens: GilCell<BTreeMap<RawFd, Token>>,
    threads: GilCell<Threads>,
    locks: GilCell<BTreeMap<usize, Held>>,
    pace: Option<Pace>,
    outside: Option<RealWorld>,
    /// Whether the program may use the real world: then the clock stands still while that is at work.
    reaches_out: bool,
    /// Whether it may start real threads, if nothing else.
    allows_threads: bool,
    /// Whether addresses are told with the names of hosts in place of their numbers.
    tells_names: bool,
    /// Work of the real world that no descriptor tells of.
    work: GilCell<usize>,
    /// Tasks that were made.
    tasks: AtomicUsize,
}

/// What a simulation is to be like.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Plan {
    /// Simulated seconds per real second; without it the clock jumps.
    factor: Option<f64>,
    /// Where the wall clock starts, in nanoseconds since the epoch; without it Python's own clocks are left alone.
    pub(crate) start_ns: Option<i128>,
    /// What the random choices are made of; without it Python's own random numbers are left alone.
    pub(crate) seed: Option<Py<PyInt>>,
    /// Whether the system's random bytes are made of the seed as well.
    pub(crate) entropy: bool,
    /// What the program may use of the real world: "forbid", "threads" or "allow".
    outside: String,
    /// Whether addresses are told with the names of hosts in place of their numbers.
    tells_names: bool,
}

/// A descriptor that stands for a simulated socket.
pub(crate) struct Token {
    pub(crate) id: SocketId,
    /// The Python socket that has it, as far as it is known. When it dies the simulated socket is closed.
    pub(crate) owner: Option<Py<PyWeakrefReference>>,
    /// Closing it resets the connection (`SO_LINGER` with no time).
    pub(crate) resets: bool,
}

/// A simulation that is played at a multiple of real time: it waits for as long as its clock is about to jump.
struct Pace {
    /// Simulated seconds per real second.
    factor: f64,
    /// The real instant at which the simulated clock was at its origin.
    origin: GilCell<Instant>,
}

impl SimulatedWorld {
    /// # Errors
    /// `ValueError` if the factor is no positive number.
    pub(crate) fn new(py: Python<'_>, plan: &Plan) -> PyResult<Self> {
        let (factor, reaches_out) = (plan.factor, plan.outside == "allow");
        if let Some(factor) = factor.filter(|factor| !(factor.is_finite() && *factor > 0.0)) {
            return Err(PyValueError::new_err(format!("factor must be a positive number, not {factor}")));
        }
        let seed = plan.seed.as_ref().map_or(Ok(0), |seed| seed.bind(py).bitand(u64::MAX)?.extract())?;
        let pace = factor.map(|factor| Pace { factor, origin: GilCell::new(Instant::ORIGIN) });
        Ok(Self {
            sim: GilCell::new(Simulated::new(seed)),
            ready: GilCell::new(Vec::new()),
            tokens: GilCell::new(BTreeMap::new()),
            threads: GilCell::new(Threads::default()),
            locks: GilCell::new(BTreeMap::new()),
            outside: (reaches_out || pace.is_some()).then(RealWorld::new),
            pace,
            reaches_out,
            allows_threads: plan.outside != "forbid",
            tells_names: plan.tells_names,
            work: GilCell::new(0),
            tasks: AtomicUsize::new(0),
        })
    }

    /// Works on the engine's world. As with every cell: without a call into Python.
    #[inline]
    pub(crate) fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut Simulated) -> R) -> R {
        self.sim.with(py, work)
    }

    /// Does something to a simulated socket.
    #[inline]
    pub(crate) fn call<R>(&self, py: Python<'_>, call: impl FnOnce(&mut Simulated) -> sim::Result<R>) -> io::Result<R> {
        self.sim.with(py, call).map_err(|fault| io::Error::from_raw_os_error(errno(fault)))
    }

    /// The number of a task that is made.
    pub(crate) fn number_task(&self) -> NonZeroUsize {
        NonZeroUsize::MIN.saturating_add(self.tasks.fetch_add(1, Relaxed))
    }

    /// Whether the program may use the real world.
    pub(crate) const fn reaches_out(&self) -> bool {
        self.reaches_out
    }

    /// Whether the program may start real threads.
    pub(crate) const fn allows_threads(&self) -> bool {
        self.allows_threads
    }

    /// The name that a host is told by, if it is told by name. Loopback addresses are those of every host.
    pub(crate) fn host_name(&self, py: Python<'_>, address: IpAddr) -> Option<String> {
        let is_named = self.tells_names && !address.is_loopback();
        if is_named { self.with(py, |sim| sim.name_of(address).map(str::to_owned)) } else { None }
    }

    /// Work of the real world has begun, or has ended.
    pub(crate) fn note_work(&self, py: Python<'_>, begins: bool) {
        self.work.with(py, |work| *work = if begins { *work + 1 } else { work.saturating_sub(1) });
    }

    /// What waits in the real world.
    pub(crate) const fn outside(&self) -> Option<&RealWorld> {
        self.outside.as_ref()
    }

    pub(crate) fn now(&self, py: Python<'_>) -> Instant {
        self.sim.with(py, |sim| sim.now())
    }

    /// A run begins: a paced clock takes up where it stood.
    pub(crate) fn resume(&self, py: Python<'_>) {
        if let Some(pace) = &self.pace {
            pace.resume(py, self.now(py));
        }
    }

    /// Waits; `is_outside_busy` says whether some of its descriptors are waited for.
    #[inline]
    pub(crate) fn wait(&self, py: Python<'_>, wait: Wait, is_outside_busy: bool) -> PyResult<Waited> {
        if let (true, Some(outside)) = (self.reaches_out, &self.outside) {
            let is_busy = is_outside_busy || self.work.get(py) > 0;
            return self.wait_with_the_outside(py, outside, wait, is_busy);
        }
        if let (Some(pace), Some(outside)) = (&self.pace, &self.outside)
            && wait != Wait::None
        {
            return self.wait_paced(py, pace, outside, wait);
        }
        Ok(self.wait_inside(py, wait))
    }

    #[inline]
    fn wait_inside(&self, py: Python<'_>, wait: Wait) -> Waited {
        match self.sim.with(py, |sim| sim.wait(wait)) {
            Step::Turn(now) => Waited::Turn(now, None),
            Step::Stuck => Waited::Stuck,
        }
    }

    /// As long as the real world is at work the clock stands still.
    fn wait_with_the_outside(
        &self,
        py: Python<'_>,
        outside: &RealWorld,
        wait: Wait,
        is_busy: bool,
    ) -> PyResult<Waited> {
        let (is_ready, now) = self.sim.with(py, |sim| (wait == Wait::None || sim.has_ready(), sim.now()));
        let look = if is_ready {
            Wait::None
        } else if is_busy {
            // Not for ever: some answers are waited for a while only.
            Wait::Until(Real::now().after(LOOKS_EVERY))
        } else {
            // The past: it does not wait at all.
            Wait::Until(Instant::ORIGIN)
        };
        let events = match outside.wait(py, look, || ())? {
            Waited::Turn(_, events) => events,
            Waited::Stuck => None,
        };
        if is_ready || is_busy || events.as_ref().is_some_and(|events| events.iter().next().is_some()) {
            return Ok(Waited::Turn(now, events));
        }
        if let Some(events) = events {
            outside.return_events(py, events);
        }
        if let Some(pace) = &self.pace {
            return self.wait_paced(py, pace, outside, wait);
        }
        let waited = self.wait_inside(py, wait);
        if matches!(waited, Waited::Stuck) && blocking::has_other_threads(py)? {
            // Another thread may call `call_soon_threadsafe`.
            return Ok(match outside.wait(py, Wait::Forever, || ())? {
                Waited::Turn(_, events) => Waited::Turn(now, events),
                Waited::Stuck => Waited::Stuck,
            });
        }
        Ok(waited)
    }

    fn wait_paced(&self, py: Python<'_>, pace: &Pace, outside: &RealWorld, wait: Wait) -> PyResult<Waited> {
        loop {
            let timer = if let Wait::Until(deadline) = wait { Some(deadline) } else { None };
            let (is_ready, event, now) = self.sim.with(py, |sim| (sim.has_ready(), sim.next_event(), sim.now()));
            if is_ready {
                return Ok(Waited::Turn(now, None));
            }
            let Some(deadline) = timer.into_iter().chain(event).min() else { return Ok(Waited::Stuck) };
            let (reached, events) = pace.wait_until(py, outside, deadline)?;
            let (is_ready, now) = self.sim.with(py, |sim| {
                sim.advance_to(reached);
                (sim.has_ready(), sim.now())
            });
            // Before the deadline: something outside has ended the wait.
            if is_ready || now < deadline || timer.is_some_and(|timer| timer <= now) {
                return Ok(Waited::Turn(now, events));
            }
            if let Some(events) = events {
                outside.return_events(py, events);
            }
        }
    }

    /// What is ready, if anything is; to be given back by [`SimulatedWorld::return_ready`].
    #[inline]
    pub(crate) fn take_ready(&self, py: Python<'_>) -> Option<Vec<(SocketId, Readiness)>> {
        if !self.sim.with(py, |sim| sim.has_ready()) {
            return None;
        }
        let mut ready = self.ready.replace(py, Vec::new());
        self.sim.with(py, |sim| sim.take_ready(&mut ready));
        Some(ready)
    }

    #[inline]
    pub(crate) fn return_ready(&self, py: Python<'_>, mut ready: Vec<(SocketId, Readiness)>) {
        ready.clear();
        drop(self.ready.replace(py, ready));
    }

    /// Sets what is told of a socket.
    pub(crate) fn watch(&self, py: Python<'_>, id: SocketId, interest: Interest) -> io::Result<()> {
        self.call(py, |sim| sim.watch(id, interest))
    }

    // ------------------------------------------------------------------ tokens

    /// What is behind a descriptor.
    #[inline]
    pub(crate) fn source(&self, py: Python<'_>, fd: RawFd) -> Source {
        let Some(id) = self.tokens.with(py, |tokens| tokens.get(&fd).map(|token| token.id)) else {
            return Source::Descriptor(fd);
        };
        if self.sim.with(py, |sim| sim.is_open_socket(id)) {
            return Source::Simulated(id);
        }
        // It was closed where nothing is known of tokens: the number may be another descriptor's by now.
        drop(self.tokens.with(py, |tokens| tokens.remove(&fd)));
        Source::Descriptor(fd)
    }

    /// Works on the table of tokens.
    pub(crate) fn with_tokens<R>(&self, py: Python<'_>, work: impl FnOnce(&mut BTreeMap<RawFd, Token>) -> R) -> R {
        self.tokens.with(py, work)
    }

    /// Works on the table of the locks that their owners can take again.
    pub(crate) fn with_locks<R>(&self, py: Python<'_>, work: impl FnOnce(&mut BTreeMap<usize, Held>) -> R) -> R {
        self.locks.with(py, work)
    }

    /// Moves the clock to an instant, at the loop's pace, and lets happen what happens until then.
    pub(crate) fn advance(&self, py: Python<'_>, instant: Instant) -> PyResult<()> {
        if let (Some(pace), Some(outside)) = (&self.pace, &self.outside) {
            // What the caller has taken so far is forgiven.
            pace.resume(py, self.now(py));
            loop {
                let (reached, events) = pace.wait_until(py, outside, instant)?;
                if let Some(events) = events {
                    outside.return_events(py, events);
                }
                py.check_signals()?;
                if reached >= instant {
                    break;
                }
            }
        }
        self.sim.with(py, |sim| sim.advance_to(instant));
        Ok(())
    }

    /// Works on the table of simulated threads.
    pub(crate) fn with_threads<R>(&self, py: Python<'_>, work: impl FnOnce(&mut Threads) -> R) -> R {
        self.threads.with(py, work)
    }

    pub(crate) fn clear(&self, py: Python<'_>) {
        drop(self.threads.replace(py, Threads::default()));
        drop(self.tokens.replace(py, BTreeMap::new()));
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        let visited = self.tokens.visit(|tokens| tokens.values().try_for_each(|token| visit.call(&token.owner)));
        visited.unwrap_or(Ok(()))?;
        self.threads.visit(|threads| threads.traverse(visit)).unwrap_or(Ok(()))
    }
}

impl Pace {
    /// The simulated clock stands at `now`, and goes on from there.
    fn resume(&self, py: Python<'_>, now: Instant) {
        let real = Real::now();
        let elapsed = now.as_secs_f64() / self.factor;
        self.origin.replace(py, Instant::from_nanos(real.as_nanos().saturating_sub(nanos(elapsed))));
    }

    /// Waits until the simulated clock should show `deadline`, or something wakes the loop; gives what it shows then.
    fn wait_until(
        &self,
        py: Python<'_>,
        outside: &RealWorld,
        deadline: Instant,
    ) -> PyResult<(Instant, Option<Events>)> {
        let origin = self.origin.get(py);
        let due = Instant::from_nanos(origin.as_nanos().saturating_add(nanos(deadline.as_secs_f64() / self.factor)));
        let mut events = None;
        if Real::now() < due {
            let mut buffer = outside.take_events(py);
            outside.block(py, Wait::Until(due), &mut buffer, || ())?;
            events = Some(buffer);
        }
        let now = Real::now();
        if now >= due {
            return Ok((deadline, events));
        }
        let shown = Instant::from_nanos(nanos(origin.until(now).as_secs_f64() * self.factor));
        Ok((deadline.min(shown), events))
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates at both ends")]
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

/// How often it is looked whether the real world still owes an answer.
const LOOKS_EVERY: Duration = Duration::from_millis(50);
