//! The extension module `soliloop._soliloop`: the loop's core as a Python class.
//!
//! | module | what |
//! |---|---|
//! | `event_loop` | the class `LoopCore`: its table of contents |
//! | `turn` | the cycle: wait, expire timers, run a batch |
//! | `handle` | `Handle` and `TimerHandle` |
//! | `context` | the contexts of callbacks, shared until changed |
//! | `nest` | the stacks that the cycle runs on; nested runs |
//! | `session` | what a run sets up and takes down around the cycle |
//! | `world` | real or simulated, dispatched statically |
//! | `simulated` | the simulated world of a loop, and what stands for its sockets |
//! | `port` | one end of a stream, of either world |
//! | `network` | the hosts and links of a simulation, for Python |
//! | `inside` | which loop owns a thread |
//! | `sockets` | Python's sockets in a simulation |
//! | `blocking` | calls that wait, in simulated time |
//! | `locks` | Python's own locks in a simulation |
//! | `graves` | hosts that have crashed |
//! | `outside` | what leads out of a simulation |
//! | `threads`, `identity` | simulated threads; who they are to Python's own modules |
//! | `clocks` | Python's own clocks in a simulation |
//! | `entropy` | Python's own random numbers in a simulation |
//! | `job` | what the queues hold |
//! | `watchers`, `watching` | who waits for which descriptor |
//! | `transport` | bytes between descriptors and protocols |
//! | `server` | listening sockets |
//! | `streams` | asyncio's reader and writer |
//! | `executor` | threads for `run_in_executor` |
//! | `child` | the ends of child processes |
//! | `sock` | the `sock_*` calls |
//! | `signals` | signals end a wait |
//! | `check` | a module of its own, `soliloop._checker`: the command `soliloop check` |
//! | `names` | the table of imported Python names |
//! | `fork` | how often the process was forked |
//! | `exit` | the end of the interpreter while loops run |
//! | `error` | errors of the layers below as exceptions |
//! | `ffi` | all unsafe code |

mod arguments;
mod blocking;
mod callbacks;
mod check;
mod child;
mod clocks;
mod context;
mod entropy;
mod error;
mod event_loop;
mod executor;
mod exit;
mod ffi;
mod fork;
mod graves;
mod handle;
mod identity;
mod inside;
mod job;
mod locks;
mod names;
mod nest;
mod network;
mod outside;
mod port;
mod server;
mod session;
mod signals;
mod simulated;
mod sock;
mod sockets;
mod streams;
mod task;
mod threads;
mod transport;
mod turn;
mod watchers;
mod watching;
mod world;

use pyo3::exceptions::PyImportError;
use pyo3::prelude::*;

#[pymodule(gil_used = true)]
fn _soliloop(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    if let Ok(is_enabled) = py.import("sys")?.getattr("_is_gil_enabled")
        && !is_enabled.call0()?.is_truthy()?
    {
        return Err(PyImportError::new_err("soliloop needs the interpreter lock: run Python without -X gil=0"));
    }
    module.add_class::<event_loop::LoopCore>()?;
    callbacks::define(py)?;
    module.add_class::<handle::Handle>()?;
    module.add_class::<handle::TimerHandle>()?;
    module.add_class::<session::OuterRun>()?;
    module.add_class::<transport::stream::StreamTransport>()?;
    module.add_class::<transport::datagram::DatagramTransport>()?;
    module.add_class::<transport::tls::TlsProtocol>()?;
    module.add_class::<transport::tls::TlsTransport>()?;
    module.add_class::<server::Listener>()?;
    module.add_class::<network::Network>()?;
    module.add_class::<executor::WorkerPool>()?;
    module.add_class::<executor::Worker>()?;
    module.add_class::<sock::call::SocketCall>()?;
    module.add_function(wrap_pyfunction!(fork::_after_fork_in_child, module)?)?;
    module.add_function(wrap_pyfunction!(inside::_intercepted, module)?)?;
    module.add_function(wrap_pyfunction!(inside::_not_intercepted, module)?)?;
    module.add_function(wrap_pyfunction!(sockets::select::_wait_for_sockets, module)?)?;
    module.add_function(wrap_pyfunction!(sockets::_hand_over, module)?)?;
    module.add_function(wrap_pyfunction!(threads::_start_thread, module)?)?;
    module.add_function(wrap_pyfunction!(threads::_simulated_threads, module)?)?;
    module.add_function(wrap_pyfunction!(threads::_end_threads, module)?)?;
    module.add_function(wrap_pyfunction!(ffi::locals::threads_have_values, module)?)?;
    module.add_class::<outside::Outside>()?;
    module.add_function(wrap_pyfunction!(outside::_note_work, module)?)?;
    module.add_function(wrap_pyfunction!(outside::_is_simulated, module)?)?;
    module.add("NumberedTask", task::numbered_class(py)?)?;
    inside::prepare(py)?;
    ffi::locals::prepare(py)?;
    ffi::gc::watch(py)?;
    exit::watch(py)?;
    module.add("CPYTHON_PRIVATE_NAMES", names::PRIVATE.to_vec())
}
