//! The hosts and links of a simulation, for Python: numbers, names and times as Python has them, and nothing else.

use crate::error;
use crate::event_loop::LoopCore;
use crate::graves;
use crate::world::World;
use pyo3::PyTraverseError;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::gc::PyVisit;
use pyo3::prelude::*;
use pyo3::types::PyTuple;
use soliloop_engine::world::sim::{HostId, Latency, Quality, Simulated};
use std::net::IpAddr;
use std::time::Duration;

/// The network of a simulated loop.
#[pyclass(frozen, module = "soliloop._soliloop")]
pub(crate) struct Network {
    core: Py<LoopCore>,
}

/// One direction of a link, as Python says it: the shape of the latency with its one or two times, then jitter, bandwidth, loss,
/// duplicate, reorder, MTU. Times are in seconds, the bandwidth in bytes per second.
type Given<'py> = (String, Bound<'py, PyTuple>, f64, Option<f64>, f64, f64, f64, u32);

impl Network {
    fn with<R>(&self, py: Python<'_>, work: impl FnOnce(&mut Simulated) -> R) -> PyResult<R> {
        match &self.core.get().world {
            World::Simulated(world) => Ok(world.with(py, work)),
            World::Real(_) => Err(PyRuntimeError::new_err("the network of a real loop is the system's")),
        }
    }

    fn host(&self, py: Python<'_>, number: u32) -> PyResult<HostId> {
        let found = self.with(py, |sim| sim.hosts().find(|host| host.number() == number))?;
        found.ok_or_else(|| PyValueError::new_err(format!("there is no host {number}")))
    }
}

#[pymethods]
impl Network {
    #[new]
    fn new(core: Py<LoopCore>) -> Self {
        Self { core }
    }

    /// Adds a host; without addresses it gets one of each family. Gives its number.
    #[allow(clippy::needless_pass_by_value, reason = "Python's values become Rust's own")]
    fn add_host(&self, py: Python<'_>, name: &str, addresses: Vec<IpAddr>) -> PyResult<u32> {
        let added = self.with(py, |sim| sim.add_host(name, &addresses))?;
        added.map(HostId::number).map_err(|error| PyValueError::new_err(format!("host {name:?}: {error}")))
    }

    /// The names of all hosts, by their numbers.
    fn hosts(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |sim| sim.hosts().map(|host| sim.host_name(host).to_owned()).collect())
    }

    /// The addresses of a host, loopback apart.
    fn addresses(&self, py: Python<'_>, host: u32) -> PyResult<Vec<String>> {
        let host = self.host(py, host)?;
        self.with(py, |sim| sim.addresses(host).iter().map(ToString::to_string).collect())
    }

    /// The addresses of a name; those of one IP version, if that is given.
    #[pyo3(signature = (name, version = None))]
    fn resolve(&self, py: Python<'_>, name: &str, version: Option<u8>) -> PyResult<Vec<String>> {
        self.with(py, |sim| {
            let addresses = match version {
                Some(version) => sim.resolve_in(name, version == 4).into_iter().collect(),
                None => sim.resolve(name),
            };
            addresses.iter().map(ToString::to_string).collect()
        })
    }

    /// The name of an address.
    fn name_of(&self, py: Python<'_>, address: IpAddr) -> PyResult<Option<String>> {
        self.with(py, |sim| sim.name_of(address).map(str::to_owned))
    }

    /// Whether a name is known, without making it so.
    fn knows(&self, py: Python<'_>, name: &str) -> PyResult<bool> {
        self.with(py, |sim| sim.knows(name))
    }

    /// Whether nothing was set up, so that any name is known.
    fn is_open(&self, py: Python<'_>) -> PyResult<bool> {
        self.with(py, |sim| sim.is_open())
    }

    /// Sets what one direction is like; without hosts all that nothing else was said of.
    #[pyo3(signature = (quality, source = None, target = None))]
    fn set_link(&self, py: Python<'_>, quality: Given<'_>, source: Option<u32>, target: Option<u32>) -> PyResult<()> {
        let quality = parse(quality)?;
        let (Some(source), Some(target)) = (source, target) else {
            return self.with(py, |sim| sim.set_default_link(quality));
        };
        let (source, target) = (self.host(py, source)?, self.host(py, target)?);
        self.with(py, |sim| sim.set_link(source, target, quality))
    }

    /// Cuts one direction, or mends it.
    fn set_cut(&self, py: Python<'_>, source: u32, target: u32, is_cut: bool) -> PyResult<()> {
        let (source, target) = (self.host(py, source)?, self.host(py, target)?);
        self.with(py, |sim| sim.set_cut(source, target, is_cut))
    }

    /// Stops a host at once: nothing that runs on it goes on.
    fn crash(&self, py: Python<'_>, host: u32) -> PyResult<()> {
        let host = self.host(py, host)?;
        let gone = self.with(py, |sim| sim.crash(host))?;
        graves::bury(self.core.bind(py), &gone)
    }

    /// Starts a host again.
    fn restart(&self, py: Python<'_>, host: u32) -> PyResult<()> {
        let host = self.host(py, host)?;
        self.with(py, |sim| sim.restart(host))
    }

    /// Whether a host runs.
    fn is_up(&self, py: Python<'_>, host: u32) -> PyResult<bool> {
        let host = self.host(py, host)?;
        self.with(py, |sim| sim.is_up(host))
    }

    /// Sets how far the clocks of a host are ahead, in nanoseconds.
    fn set_clock_offset(&self, py: Python<'_>, host: u32, nanos: i64) -> PyResult<()> {
        let host = self.host(py, host)?;
        self.with(py, |sim| sim.set_clock_offset(host, nanos))
    }

    /// The digest of what has happened.
    fn digest(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |sim| sim.digest())
    }

    /// The world as text.
    fn snapshot(&self, py: Python<'_>) -> PyResult<String> {
        self.with(py, |sim| sim.snapshot().to_string())
    }

    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.core)
    }
}

fn parse(given: Given<'_>) -> PyResult<Quality> {
    let (shape, times, jitter, bandwidth, loss, duplicate, reorder, mtu) = given;
    let time = |place: usize| -> PyResult<Duration> { duration(times.get_item(place)?.extract()?) };
    let latency = match shape.as_str() {
        "fixed" => Latency::Fixed(time(0)?),
        "uniform" => Latency::Uniform(time(0)?, time(1)?),
        "normal" => Latency::Normal(time(0)?, time(1)?),
        "exponential" => Latency::Exponential(time(0)?, time(1)?),
        other => return Err(PyValueError::new_err(format!("there is no latency of the shape {other:?}"))),
    };
    Ok(Quality { latency, jitter: duration(jitter)?, bandwidth, loss, duplicate, reorder, mtu })
}

/// Seconds, to the nearest nanosecond.
fn duration(seconds: f64) -> PyResult<Duration> {
    let instant = soliloop_engine::Instant::from_secs_f64(seconds).map_err(error::out_of_range)?;
    Ok(Duration::from_nanos(instant.as_nanos()))
}
