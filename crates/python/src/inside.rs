//! Which loop owns a thread: the one whose clock the thread's code sees.
//!
//! A loop comes in when it begins to run, and goes out when the run ends; a simulation also from the beginning to the end of its `with`
//! block. The innermost one counts. If it is simulated, what asks Python's own modules for the time is answered from its world (the tables
//! of [`TABLES`]). Other threads get the true answer, and so does code that runs inside a loop in real time: one of ours is an entry as well; another
//! one is known by its mark as the running loop, if that is neither the owner's nor the one that was there when the owner came in.
//!
//! All is in one list, the threads' entries among each other, because a `with` block may be ended by another thread than its own (a generator
//! that is collected). The thread's own flag says whether its calls are looked at; nothing else does without it.

use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::intercept::{self, Target};
use crate::names::Names;
use crate::nest::thread_mark;
use crate::{clocks, entropy, identity, locks, outside, sockets};
use pyo3::prelude::*;

/// What a simulation answers itself.
const TABLES: &[&[Target]] = &[
    clocks::TARGETS,
    entropy::TARGETS,
    sockets::methods::TARGETS,
    sockets::select::TARGETS,
    sockets::tls::TARGETS,
    locks::TARGETS,
    identity::TARGETS,
    outside::TARGETS,
];
const _: () = assert!(intercept::fit(TABLES), "more targets than slots: raise ROWS in ffi/trampoline.rs");

/// The loops that own threads, the innermost ones last.
static OWNERS: GilCell<Owners> = GilCell::new(Owners { entries: Vec::new(), simulated: 0, seeded: 0 });

struct Owners {
    entries: Vec<Entry>,
    /// How many entries are of simulated loops, and of those with a seed.
    simulated: usize,
    seeded: usize,
}

struct Entry {
    thread: u64,
    core: Py<LoopCore>,
    /// The loop that was running on the thread, if any was.
    below: Option<Py<PyAny>>,
}

/// Entries of a stack that is parked: see [`set_aside`].
#[must_use]
pub(crate) struct Aside(Vec<Entry>);

/// To be called when the module is imported: [`enter`] needs what is looked up here.
///
/// # Errors
/// What importing Python's own modules fails with.
pub(crate) fn prepare(py: Python<'_>) -> PyResult<()> {
    intercept::resolve(py, TABLES)
}

/// From now on the loop owns the calling thread, on which the loop `below` runs or none.
pub(crate) fn enter(core: &Bound<'_, LoopCore>, below: Option<Py<PyAny>>) {
    put(core.py(), Entry { thread: thread_mark(), core: core.clone().unbind(), below });
    refresh(core.py());
}

/// The same, whatever runs.
///
/// # Errors
/// What asking for the running loop fails with.
pub(crate) fn enter_here(core: &Bound<'_, LoopCore>) -> PyResult<()> {
    let running = Names::get(core.py())?.get_running_loop(core.py())?;
    enter(core, Some(running.unbind()));
    Ok(())
}

/// Takes the loop's innermost entry out, wherever it is. Without effect if it has none.
pub(crate) fn leave(core: &Bound<'_, LoopCore>) {
    let py = core.py();
    let thread = thread_mark();
    let index = OWNERS.with(py, |owners| {
        let last = |own: bool| {
            let is_it = |entry: &Entry| entry.core.is(core) && (!own || entry.thread == thread);
            owners.entries.iter().rposition(is_it)
        };
        last(true).or_else(|| last(false))
    });
    drop(index.map(|index| take(py, index)));
    refresh(py);
}

/// The simulated loop that owns the calling thread.
#[inline]
pub(crate) fn current(py: Python<'_>) -> Option<Bound<'_, LoopCore>> {
    find(py, |_| true)
}

/// The one whose time Python's own clocks show.
#[inline]
pub(crate) fn timekeeper(py: Python<'_>) -> Option<Bound<'_, LoopCore>> {
    find(py, |core| core.start.is_some())
}

/// The innermost simulated loop that owns the calling thread and fulfils a condition, unless a loop in real time comes before it.
pub(crate) fn find(py: Python<'_>, is_it: impl Fn(&LoopCore) -> bool) -> Option<Bound<'_, LoopCore>> {
    let thread = thread_mark();
    let running = Names::get(py).and_then(|names| names.get_running_loop(py)).ok()?;
    OWNERS.with(py, |owners| {
        let mut own = owners.entries.iter().rev().filter(|entry| entry.thread == thread).peekable();
        let innermost = own.peek()?;
        let is_known = |below: &Py<PyAny>| below.is(&running);
        if !(running.is_none() || innermost.core.is(&running) || innermost.below.as_ref().is_some_and(is_known)) {
            return None;
        }
        let mut simulated = own.map_while(|entry| is_simulated(entry).then_some(&entry.core));
        simulated.find(|core| is_it(core.get())).map(|core| core.clone_ref(py).into_bound(py))
    })
}

/// The calling stack, which runs a callback of `core`, is about to be parked: takes out what came in since the callback began.
pub(crate) fn set_aside(core: &Bound<'_, LoopCore>) -> Aside {
    let py = core.py();
    let thread = thread_mark();
    let mut aside = Vec::new();
    let last = || {
        OWNERS.with(py, |owners| {
            let index = owners.entries.iter().rposition(|entry| entry.thread == thread)?;
            (!owners.entries[index].core.is(core)).then_some(index)
        })
    };
    while let Some(index) = last() {
        aside.push(take(py, index));
    }
    aside.reverse();
    refresh(py);
    Aside(aside)
}

/// Takes out all that the calling thread has, for the time until [`put_back`].
pub(crate) fn set_all_aside(py: Python<'_>) -> Aside {
    let thread = thread_mark();
    let mut aside = Vec::new();
    let last = || OWNERS.with(py, |owners| owners.entries.iter().rposition(|entry| entry.thread == thread));
    while let Some(index) = last() {
        aside.push(take(py, index));
    }
    aside.reverse();
    refresh(py);
    Aside(aside)
}

/// The stack goes on: puts the entries back.
pub(crate) fn put_back(py: Python<'_>, aside: Aside) {
    for entry in aside.0 {
        put(py, entry);
    }
    refresh(py);
}

/// How many functions of Python's own modules are not the original ones at present: none while no simulation is under way.
#[pyfunction]
pub(crate) fn _intercepted(py: Python<'_>) -> usize {
    intercept::installed(py)
}

/// The functions that should be intercepted and are not to be found in this Python.
#[pyfunction]
pub(crate) fn _not_intercepted(py: Python<'_>) -> Vec<&'static str> {
    intercept::missing(py).to_vec()
}

fn is_simulated(entry: &Entry) -> bool {
    entry.core.get().world.is_simulated()
}

fn put(py: Python<'_>, entry: Entry) {
    let (is_first, is_first_seeded) = OWNERS.with(py, |owners| {
        let (simulated, seeded) = (is_simulated(&entry), is_seeded(&entry));
        owners.simulated += usize::from(simulated);
        owners.seeded += usize::from(seeded);
        owners.entries.push(entry);
        (simulated && owners.simulated == 1, seeded && owners.seeded == 1)
    });
    if is_first {
        intercept::install(py);
    }
    if is_first_seeded && let Err(error) = entropy::install(py) {
        error.write_unraisable(py, None);
    }
}

fn take(py: Python<'_>, index: usize) -> Entry {
    let (entry, is_last, is_last_seeded) = OWNERS.with(py, |owners| {
        let entry = owners.entries.remove(index);
        let (simulated, seeded) = (is_simulated(&entry), is_seeded(&entry));
        owners.simulated -= usize::from(simulated);
        owners.seeded -= usize::from(seeded);
        (entry, simulated && owners.simulated == 0, seeded && owners.seeded == 0)
    });
    if is_last {
        intercept::remove(py);
    }
    if is_last_seeded && let Err(error) = entropy::remove(py) {
        error.write_unraisable(py, None);
    }
    entry
}

fn is_seeded(entry: &Entry) -> bool {
    is_simulated(entry) && entry.core.get().entropy.is_seeded()
}

/// Sets the calling thread's flag. (That of another thread, from which an entry was taken, is on needlessly until its next change.)
fn refresh(py: Python<'_>) {
    let thread = thread_mark();
    let innermost = |owners: &mut Owners| {
        owners.entries.iter().rev().find(|entry| entry.thread == thread).is_some_and(is_simulated)
    };
    intercept::set_active(OWNERS.with(py, innermost));
}
