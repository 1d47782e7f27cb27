//! The two worlds of a loop behind one face, dispatched over an enum.

use crate::error;
use crate::exit;
use crate::ffi::cell::GilCell;
use pyo3::prelude::*;
use soliloop_engine::world::real::{Events, Real};
use soliloop_engine::world::sim::{Simulated, Step};
use soliloop_engine::{Instant, Pacing, Wait};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

pub(crate) enum World {
    Real(RealWorld),
    Simulated(SimulatedWorld),
}

/// The operating system's part: opened when it is first needed, closed with the loop.
pub(crate) struct RealWorld {
    real: GilCell<Option<Arc<Real>>>,
    pacing: GilCell<Pacing>,
    events: GilCell<Option<Events>>,
    /// Whether the loop's thread may be blocked in a wait: then another thread must wake it.
    waiting: AtomicBool,
}

pub(crate) struct SimulatedWorld {
    clock: GilCell<Simulated>,
    pace: Option<Pace>,
}

/// A simulation that is played at a multiple of real time: it waits for as long as its clock is about to jump.
struct Pace {
    /// Simulated seconds per real second.
    factor: f64,
    world: RealWorld,
    /// The real instant at which the simulated clock was at its origin.
    origin: GilCell<Instant>,
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

    pub(crate) fn simulated(factor: Option<f64>) -> Self {
        let pace = factor.map(|factor| Pace { factor, world: RealWorld::new(), origin: GilCell::new(Instant::ORIGIN) });
        Self::Simulated(SimulatedWorld { clock: GilCell::new(Simulated::new()), pace })
    }

    /// The current instant.
    #[inline]
    pub(crate) fn now(&self, py: Python<'_>) -> Instant {
        match self {
            Self::Real(_) => Real::now(),
            Self::Simulated(world) => world.clock.with(py, |clock| clock.now()),
        }
    }

    /// An outermost run begins: its first turn looks for events, and a paced clock takes up where it stood.
    pub(crate) fn resume(&self, py: Python<'_>) {
        match self {
            Self::Real(world) => world.pacing.with(py, Pacing::reset),
            Self::Simulated(world) => {
                if let Some(pace) = &world.pace {
                    pace.resume(py, world.clock.with(py, |clock| clock.now()));
                }
            }
        }
    }

    /// Waits as `wait` says: without the interpreter lock where it can block. Calls `before` first: without the lock, if it blocks.
    ///
    /// # Errors
    /// What the operating system says.
    #[inline]
    pub(crate) fn wait(&self, py: Python<'_>, wait: Wait, before: impl FnOnce() + Send) -> PyResult<Waited> {
        match self {
            Self::Real(world) => world.wait(py, wait, before),
            Self::Simulated(world) => {
                before();
                world.wait(py, wait)
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
            Self::Simulated(world) => world.pace.as_ref().map(|pace| &pace.world),
        }
    }

    /// Moves a simulated clock on; nothing that becomes due has run yet.
    pub(crate) fn advance(&self, py: Python<'_>, duration: Duration) {
        if let Self::Simulated(world) = self {
            world.advance(py, duration);
        }
    }

    /// Simulated seconds per real second, in a paced simulation.
    pub(crate) fn factor(&self) -> Option<f64> {
        match self {
            Self::Simulated(SimulatedWorld { pace: Some(pace), .. }) => Some(pace.factor),
            _ => None,
        }
    }

    pub(crate) fn is_simulated(&self) -> bool {
        matches!(self, Self::Simulated(_))
    }
}

impl RealWorld {
    fn new() -> Self {
        Self {
            real: GilCell::new(None),
            pacing: GilCell::new(Pacing::new()),
            events: GilCell::new(None),
            waiting: AtomicBool::new(false),
        }
    }

    /// The descriptors. Kept alive by a count of their own, since a wait uses them where nothing of the loop is borrowed.
    pub(crate) fn real(&self, py: Python<'_>) -> PyResult<Arc<Real>> {
        if let Some(real) = self.opened(py) {
            return Ok(real);
        }
        let real = Arc::new(Real::new().map_err(|error| error::of_system(&error))?);
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
    fn wait(&self, py: Python<'_>, wait: Wait, before: impl FnOnce() + Send) -> PyResult<Waited> {
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
            Some(offer) => self.look_and_offer(
                py,
                &real,
                Instant::from_nanos(now.as_nanos() + nanos(offer.as_secs_f64())),
                &mut events,
            ),
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

    fn block(&self, py: Python<'_>, wait: Wait, events: &mut Events, before: impl FnOnce() + Send) -> PyResult<()> {
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

    fn take_events(&self, py: Python<'_>) -> Events {
        self.events.replace(py, None).unwrap_or_else(|| Events::with_capacity(EVENTS))
    }

    /// Gives the buffer back for the next wait.
    pub(crate) fn return_events(&self, py: Python<'_>, events: Events) {
        drop(self.events.replace(py, Some(events)));
    }
}

impl SimulatedWorld {
    fn advance(&self, py: Python<'_>, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.clock
            .with(py, |clock| clock.advance_to(Instant::from_nanos(clock.now().as_nanos().saturating_add(nanos))));
    }

    fn wait(&self, py: Python<'_>, wait: Wait) -> PyResult<Waited> {
        if let (Some(pace), Wait::Until(deadline)) = (&self.pace, wait) {
            let (reached, events) = pace.wait_until(py, deadline)?;
            self.clock.with(py, |clock| clock.advance_to(reached));
            return Ok(Waited::Turn(self.clock.with(py, |clock| clock.now()), events));
        }
        Ok(match self.clock.with(py, |clock| clock.wait(wait)) {
            Step::Turn(now) => Waited::Turn(now, None),
            Step::Stuck => Waited::Stuck,
        })
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
    fn wait_until(&self, py: Python<'_>, deadline: Instant) -> PyResult<(Instant, Option<Events>)> {
        let origin = self.origin.get(py);
        let due = Instant::from_nanos(origin.as_nanos().saturating_add(nanos(deadline.as_secs_f64() / self.factor)));
        let mut events = None;
        if Real::now() < due {
            let mut buffer = self.world.take_events(py);
            self.world.block(py, Wait::Until(due), &mut buffer, || ())?;
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

/// To take the interpreter lock takes a tenth of this when nobody has it.
const LOCK_WAS_FREE: Duration = Duration::from_micros(2);
/// Events of one wait: more come with the next one.
const EVENTS: usize = 256;
