//! Waiting for one of several simulated sockets: what `select.select()` and `select.poll()` do inside a simulation (`soliloop._select`).

use crate::blocking::{self, Place};
use crate::event_loop::LoopCore;
use crate::ffi::intercept::{Call, Target};
use crate::inside;
use crate::port::Source;
use crate::watchers::Side;
use crate::watching::descriptor;
use crate::world::World;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use soliloop_engine::world::sim::{Family, SocketId};
use std::os::fd::RawFd;

type Answer<'py> = PyResult<Option<Bound<'py, PyAny>>>;

/// The intercepted functions.
pub(crate) const TARGETS: &[Target] = &[
    Target::new("select.select", select),
    Target::new("select.poll", poll),
    Target::new("select.epoll.register", register),
];

/// A descriptor, and whether it is ready to be read, to be written, or has come to an end.
type Ready = (RawFd, bool, bool, bool);

fn select<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(core) = inside::current(call.py()) else { return Ok(None) };
    core.call_method1("_select", PyTuple::new(call.py(), call.args())?).map(Some)
}

fn poll<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let Some(core) = inside::current(call.py()) else { return Ok(None) };
    core.call_method0("_poll").map(Some)
}

/// The system would take a simulated socket for one that is not connected.
fn register<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let (Some(core), Some(file)) = (inside::current(call.py()), call.arg(0)) else { return Ok(None) };
    let Ok(fd) = descriptor(&file) else { return Ok(None) };
    let world = &core.get().world;
    match world.source(call.py(), fd) {
        // Those of a pair are connected, and a loop of asyncio's, which is real, makes one for itself.
        Source::Simulated(id)
            if world.simulated(call.py(), |sim| sim.kind(id)).is_ok_and(|(family, _)| family != Family::Unix) =>
        {
            let what = "select.epoll.register() of a simulated socket (select.poll and selectors.PollSelector take it)";
            Err(super::outside(&core, what)?)
        }
        _ => Ok(None),
    }
}

/// Waits until one of the sockets is ready for what is wanted of it (to be read, to be written), for at most so many seconds; gives
/// those that are.
#[pyfunction]
pub(crate) fn _wait_for_sockets(
    core: &Bound<'_, LoopCore>,
    wanted: Vec<(RawFd, bool, bool)>,
    timeout: Option<f64>,
    what: &str,
) -> PyResult<Vec<Ready>> {
    let py = core.py();
    let World::Simulated(world) = &core.get().world else { return Ok(Vec::new()) };
    let mut sockets = Vec::new();
    for (fd, reads, writes) in wanted {
        match world.source(py, fd) {
            Source::Simulated(id) => sockets.push((fd, id, reads, writes)),
            Source::Descriptor(_) => return Err(super::outside(core, &format!("{what} of a real descriptor, {fd}"))?),
        }
    }
    let look = || -> Vec<Ready> {
        let state = |(fd, id, reads, writes): &(RawFd, SocketId, bool, bool)| {
            // One that is gone is told of by whoever tries it.
            let (readable, writable, is_at_end) = match world.with(py, |sim| sim.readiness(*id)) {
                Ok(now) => (now.readable, now.writable, now.is_exceptional),
                Err(_) => (true, true, true),
            };
            let (readable, writable) = (readable && *reads, writable && *writes);
            (readable || writable).then_some((*fd, readable, writable, is_at_end))
        };
        sockets.iter().filter_map(state).collect()
    };
    let ready = look();
    if !ready.is_empty() || timeout.is_some_and(|timeout| timeout <= 0.0) {
        return Ok(ready);
    }
    let sides = |&(_, id, reads, writes): &(RawFd, SocketId, bool, bool)| {
        let reader = reads.then_some((id, Side::Reader));
        reader.into_iter().chain(writes.then_some((id, Side::Writer)))
    };
    let places: Vec<(SocketId, Side)> = sockets.iter().flat_map(sides).collect();
    let deadline = timeout.map(|timeout| blocking::after(core, timeout)).transpose()?;
    let attempt = || Ok(Some(look()).filter(|ready| !ready.is_empty()));
    let ready = blocking::wait(core, Place::Sockets(&places), deadline, what, attempt)?;
    Ok(ready.unwrap_or_default())
}
