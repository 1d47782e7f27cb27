//! The two worlds of a loop behind one face, dispatched over an enum.

use crate::error;
use crate::exit;
use crate::ffi::cell::GilCell;
use crate::port::Source;
pub(crate) use crate::simulated::SimulatedWorld;
use pyo3::prelude::*;
use soliloop_engine::world::Interest;
use soliloop_engine::world::real::{Events, Real};
use soliloop_engine::world::sim::{self, Simulated, SocketId};
use soliloop_engine::{Instant, Pacing, Wait};
use std::io;
use std::net::IpAddr;
use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

pub(crate) enum World {
    Real(RealWorld),
    Simulated(Box<SimulatedWorld>),
}

/// The operating system's part: opened when it is first needed, closed with the loop.
pub(crate) struct RealWorld {
    real: GilCell<Option<Arc<Real>>>,
    pacing: GilCell<Pacing>,
    events: GilCell<Option<Events>>,
    /// Whether the loop's thread may be blocked in a wait: then another thread must wake it.
    waiting: AtomicBool,
}

/// What a wait has brought. Handlers of signals have not run yet.
pub(crate) enum Waited {
    /// A turn can begin at this instant; these descriptors are ready.
    Turn(Instant, Option<Events>),
    /// Nothing can ever happen again.
    Stuck,
}

impl World {
    pub(crate) fn real() -> Self {
        Self::Real(RealWorld::new())
    }

    /// The current instant.
    #[inline]
    pub(crate) fn now(&self, py: Python<'_>) -> Instant {
        match self {
            Self::Real(_) => Real::now(),
            Self::Simulated(world) => world.now(py),
        }
    }

    /// An outermost run begins: its first turn looks for events, and a paced clock takes up where it stood.
    pub(crate) fn resume(&self, py: Python<'_>) {
        match self {
            Self::Real(world) => world.pacing.with(py, Pacing::reset),
            Self::Simulated(world) => world.resume(py),
        }
    }

    /// Waits as `wait` says: without the interpreter lock where it can block. Calls `before` first: without the lock, if it blocks.
    ///
    /// # Errors
    /// What the operating system says.
    #[inline]
    pub(crate) fn wait(
        &self,
        py: Python<'_>,
        wait: Wait,
        before: impl FnOnce() + Send,
        is_outside_busy: impl FnOnce() -> bool,
    ) -> PyResult<Waited> {
        match self {
            Self::Real(world) => world.wait(py, wait, before),
            Self::Simulated(world) => {
                before();
                world.wait(py, wait, world.reaches_out() && wait != Wait::None && is_outside_busy())
            }
        }
    }

    /// Makes a wait that is under way return at once. Costs no system call when none is.
    #[inline]
    pub(crate) fn wake(&self, py: Python<'_>) {
        if let Some(world) = self.descriptors() {
            world.wake(py);
        }
    }

    /// What [`World::wake`] would wake, for the caller to wake soon: without the interpreter lock, which the loop will ask for.
    pub(crate) fn sleeper(&self, py: Python<'_>) -> Option<Arc<Real>> {
        self.descriptors().and_then(|world| world.sleeper(py))
    }

    /// Another thread has been heard of, which may want the interpreter lock.
    #[inline]
    pub(crate) fn expect_others(&self, py: Python<'_>) {
        if let Some(world) = self.descriptors() {
            world.expect_others(py);
        }
    }

    /// What watches descriptors: nothing in a simulation, unless it is paced.
    pub(crate) fn descriptors(&self) -> Option<&RealWorld> {
        match self {
            Self::Real(world) => Some(world),
            Self::Simulated(world) => world.outside(),
        }
    }

    /// What is behind a descriptor.
    #[inline]
    pub(crate) fn source(&self, py: Python<'_>, fd: RawFd) -> Source {
        match self {
            Self::Real(_) => Source::Descriptor(fd),
            Self::Simulated(world) => world.source(py, fd),
        }
    }

    /// Whether something can be watched here.
    pub(crate) fn reaches(&self, source: Source) -> bool {
        matches!(source, Source::Simulated(_)) || self.reaches_out()
    }

    /// Whether the program may use the real world.
    pub(crate) fn reaches_out(&self) -> bool {
        match self {
            Self::Real(_) => true,
            Self::Simulated(world) => world.reaches_out(),
        }
    }

    /// The name that a host is told by, in a simulation that does so.
    pub(crate) fn host_name(&self, py: Python<'_>, address: IpAddr) -> Option<String> {
        match self {
            Self::Real(_) => None,
            Self::Simulated(world) => world.host_name(py, address),
        }
    }

    /// Whether the program may start real threads.
    pub(crate) fn allows_threads(&self) -> bool {
        match self {
            Self::Real(_) => true,
            Self::Simulated(world) => world.allows_threads(),
        }
    }

    /// Sets what is told of a source, from what was told before: nothing means that it is not registered.
    ///
    /// # Errors
    /// What the system says.
    pub(crate) fn tell(&self, py: Python<'_>, source: Source, before: Interest, after: Interest) -> io::Result<()> {
        match source {
            Source::Simulated(id) => self.simulated_world()?.watch(py, id, after),
            Source::Descriptor(fd) => {
                let world = self.descriptors().ok_or(io::ErrorKind::Unsupported)?;
                tell(&*world.open(py)?, fd, before, after)
            }
        }
    }

    /// Does something to a simulated socket.
    ///
    /// # Errors
    /// What the socket refuses.
    #[inline]
    pub(crate) fn simulated<R>(
        &self,
        py: Python<'_>,
        call: impl FnOnce(&mut Simulated) -> sim::Result<R>,
    ) -> io::Result<R> {
        self.simulated_world()?.call(py, call)
    }

    /// Closes a simulated socket, if it is open.
    pub(crate) fn close_socket(&self, py: Python<'_>, id: SocketId) {
        if let Self::Simulated(world) = self {
            world.with(py, |sim| sim.close(id));
        }
    }

    fn simulated_world(&self) -> io::Result<&SimulatedWorld> {
        match self {
            Self::Simulated(world) => Ok(world),
            // No real world gives out such numbers.
            Self::Real(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }
}

impl RealWorld {
    pub(crate) fn new() -> Self {
        Self {
            real: GilCell::new(None),
            pacing: GilCell::new(Pacing::new()),
            events: GilCell::new(None),
            waiting: AtomicBool::new(false),
        }
    }

    /// The descriptors. Kept alive by a count of their own, since a wait uses them where nothing of the loop is borrowed.
    pub(crate) fn real(&self, py: Python<'_>) -> PyResult<Arc<Real>> {
        self.open(py).map_err(|error| error::of_system(&error))
    }

    /// As [`RealWorld::real`], with the system's own error.
    fn open(&self, py: Python<'_>) -> io::Result<Arc<Real>> {
        if let Some(real) = self.opened(py) {
            return Ok(real);
        }
        let real = Arc::new(Real::new()?);
        self.real.replace(py, Some(real.clone()));
        Ok(real)
    }

    /// The descriptors, if they have been opened.
    pub(crate) fn opened(&self, py: Python<'_>) -> Option<Arc<Real>> {
        self.real.with(py, |real| real.clone())
    }

    pub(crate) fn close(&self, py: Python<'_>) {
        drop(self.real.replace(py, None));
    }

    #[inline]
    pub(crate) fn wait(&self, py: Python<'_>, wait: Wait, before: impl FnOnce() + Send) -> PyResult<Waited> {
        if wait == Wait::None {
            before();
            return self.look(py);
        }
        let mut events = self.take_events(py);
        self.block(py, wait, &mut events, before)?;
        let now = Real::now();
        self.pacing.with(py, |pacing| pacing.waited(now));
        Ok(Waited::Turn(now, Some(events)))
    }

    /// Something is ready: looks for events only if it is time to.
    #[inline]
    fn look(&self, py: Python<'_>) -> PyResult<Waited> {
        if let Some(now) = self.pacing.with(py, |pacing| pacing.skip(Real::last_tick)) {
            return Ok(Waited::Turn(now, None));
        }
        let now = Real::now();
        if !self.pacing.with(py, |pacing| pacing.must_look(now, Real::last_tick())) {
            return Ok(Waited::Turn(now, None));
        }
        let mut events = self.take_events(py);
        let real = self.real(py)?;
        let looked = match self.pacing.with(py, |pacing| pacing.offer(now)) {
            None => real.wait(Wait::None, &mut events),
            Some(offer) => self.look_and_offer(py, &real, now.after(offer), &mut events),
        };
        looked.map_err(|error| error::of_system(&error))?;
        Ok(Waited::Turn(now, Some(events)))
    }

    /// Looks for events, and leaves the interpreter lock to other threads until `end`.
    fn look_and_offer(&self, py: Python<'_>, real: &Real, end: Instant, events: &mut Events) -> io::Result<()> {
        let (looked, offered) = exit::detached(py, || {
            let looked = real.wait(Wait::None, events);
            while Real::now() < end {
                std::thread::yield_now();
            }
            (looked, Real::now())
        });
        if offered.until(Real::now()) > LOCK_WAS_FREE {
            self.expect_others(py);
        }
        looked
    }

    fn expect_others(&self, py: Python<'_>) {
        self.pacing.with(py, Pacing::expect_others);
    }

    pub(crate) fn block(
        &self,
        py: Python<'_>,
        wait: Wait,
        events: &mut Events,
        before: impl FnOnce() + Send,
    ) -> PyResult<()> {
        let real = self.real(py)?;
        self.waiting.store(true, Relaxed);
        let waited = exit::detached(py, || {
            before();
            real.wait(wait, events)
        });
        self.waiting.store(false, Relaxed);
        waited.map_err(|error| error::of_system(&error))
    }

    fn wake(&self, py: Python<'_>) {
        if let Some(real) = self.sleeper(py) {
            real.wake();
        }
    }

    fn sleeper(&self, py: Python<'_>) -> Option<Arc<Real>> {
        // One write is enough for a wait: whoever clears the flag writes, at once or (a worker of the executor) when nothing else can come between.
        if self.waiting.swap(false, Relaxed) { self.opened(py) } else { None }
    }

    pub(crate) fn take_events(&self, py: Python<'_>) -> Events {
        self.events.replace(py, None).unwrap_or_else(|| Events::with_capacity(EVENTS))
    }

    /// Gives the buffer back for the next wait.
    pub(crate) fn return_events(&self, py: Python<'_>, events: Events) {
        drop(self.events.replace(py, Some(events)));
    }
}

/// Brings epoll from `before` to `after`. Who asks may be wrong about what is registered: a number may be another descriptor's by now.
fn tell(real: &Real, fd: RawFd, before: Interest, after: Interest) -> io::Result<()> {
    if after.is_none() {
        return real.unwatch(fd);
    }
    if before.is_none() {
        return match real.watch(fd, after) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => real.rewatch(fd, after),
            done => done,
        };
    }
    match real.rewatch(fd, after) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => real.watch(fd, after),
        done => done,
    }
}

/// To take the interpreter lock takes a tenth of this when nobody has it.
const LOCK_WAS_FREE: Duration = Duration::from_micros(2);
/// Events of one wait: more come with the next one.
const EVENTS: usize = 256;
