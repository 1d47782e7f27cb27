//! Hosts that have crashed: nothing that ran on them ever runs again.
//!
//! What runs on a host has an incarnation of it in its context (`soliloop._network`). A crash marks the incarnation as dead, and from
//! then on the cycle asks each job for the context that it would run in. Programs whose hosts don't crash pay for one flag.

use crate::event_loop::LoopCore;
use crate::job::Scheduled;
use crate::names::Names;
use crate::port::{Port, Source};
use crate::world::World;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::PyWeakrefMethods;
use soliloop_engine::world::sim::SocketId;
use std::os::fd::RawFd;
use std::sync::atomic::Ordering::Relaxed;

/// Whether a job belongs to a host that has crashed.
#[cold]
pub(crate) fn is_dead(py: Python<'_>, job: &Scheduled) -> bool {
    let variable = Names::get(py).map(|names| names.host.bind(py));
    let Ok(variable) = variable else { return false };
    let incarnation = match job {
        Scheduled::Handle(handle) => handle.get().variable(py, variable),
        Scheduled::Stream(transport, _) => of(transport.get().context(py), variable),
        Scheduled::Datagram(transport, _) => of(transport.get().context(py), variable),
        Scheduled::Listener(listener) => of(listener.get().context(py), variable),
        Scheduled::SocketCall(call) => call.get().context(py).and_then(|context| of(context.bind(py), variable)),
        Scheduled::Thread(thread) => of(thread.get().context(py), variable),
        Scheduled::Call(_) | Scheduled::Child(_) => None,
    };
    incarnation.is_some_and(|incarnation| is_marked(&incarnation))
}

/// The value of a variable in a context.
pub(crate) fn of<'py>(context: &Bound<'py, PyAny>, variable: &Bound<'py, PyAny>) -> Option<Bound<'py, PyAny>> {
    // What is no context fails where it is entered.
    context.call_method1(intern!(context.py(), "get"), (variable,)).ok().filter(|value| !value.is_none())
}

/// Whether a port was a host's that has crashed. No object of Python is asked: it may be in the midst of a garbage collection.
pub(crate) fn is_buried(core: &LoopCore, py: Python<'_>, port: Port) -> bool {
    let Port::Simulated(id) = port else { return false };
    core.has_dead.load(Relaxed) && core.world.simulated(py, |sim| sim.kind(id)).is_err()
}

fn is_marked(incarnation: &Bound<'_, PyAny>) -> bool {
    let is_dead = incarnation.getattr(intern!(incarnation.py(), "is_dead"));
    is_dead.and_then(|is_dead| is_dead.is_truthy()).unwrap_or(false)
}

/// A host has crashed, and these sockets with it: jobs are looked at from now on, nobody waits for the sockets any more, and Python's own
/// sockets that stood for them are closed.
///
/// # Errors
/// What closing a socket raises.
pub(crate) fn bury(core: &Bound<'_, LoopCore>, gone: &[SocketId]) -> PyResult<()> {
    let (py, this) = (core.py(), core.get());
    this.has_dead.store(true, Relaxed);
    for id in gone {
        drop(this.watchers.with(py, |watchers| watchers.forget(Source::Simulated(*id))));
    }
    let World::Simulated(world) = &this.world else { return Ok(()) };
    let tokens: Vec<RawFd> = world.with_tokens(py, |tokens| {
        tokens.iter().filter(|(_, token)| gone.contains(&token.id)).map(|(fd, _)| *fd).collect()
    });
    for fd in tokens {
        let token = world.with_tokens(py, |tokens| tokens.remove(&fd));
        let owner = token.as_ref().and_then(|token| token.owner.as_ref()).map(|owner| owner.clone_ref(py));
        drop(token);
        if let Some(socket) = owner.and_then(|owner| owner.bind(py).upgrade()) {
            socket.call_method0(intern!(py, "close"))?;
        }
    }
    Ok(())
}
