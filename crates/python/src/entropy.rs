//! The random numbers of a simulation that has a seed, in the place of Python's own.
//!
//! The functions of the module `random` are methods of one hidden object. On a thread that such a simulation owns, the C methods below them are
//! called on a generator of the simulation instead: the hidden object never learns of it, and so there is nothing to put back.
//! Its one attribute beside them, `gauss_next`, becomes a descriptor's for as long as there are such simulations.

use crate::event_loop::LoopCore;
use crate::ffi::cell::GilCell;
use crate::ffi::intercept::{Call, Target};
use crate::inside;
use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyBytes, PyDict};

type Answer<'py> = PyResult<Option<Bound<'py, PyAny>>>;

pub(crate) const TARGETS: &[Target] = &[
    Target::new("_random.Random.random", draw),
    Target::new("_random.Random.getrandbits", draw),
    Target::new("_random.Random.getstate", draw),
    Target::new("_random.Random.setstate", draw),
    Target::new("_random.Random.seed", seed),
    Target::new("posix.urandom", system_bytes),
    Target::new("posix.getrandom", system_bytes),
];

/// The generators of one loop.
pub(crate) struct Entropy {
    /// An `int`; without one the loop has no random numbers of its own.
    seed: Option<Py<PyAny>>,
    /// Whether it stands for the operating system's as well.
    of_system: bool,
    /// One for each [`Stream`], made when it is first asked for.
    generators: [GilCell<Option<Py<PyAny>>>; 3],
    /// The hidden object's attribute of that name.
    gauss_next: GilCell<Option<Py<PyAny>>>,
}

/// What is drawn for: drawing for one does not change what the others get.
#[derive(Clone, Copy)]
enum Stream {
    /// The functions of the module `random`. It is what `random.Random(seed)` gives.
    Module,
    /// Seeds of generators that were made without one.
    Seeds,
    /// The operating system's bytes.
    System,
}

/// What the module `random` hides.
struct Hidden {
    /// The object whose methods the module's functions are.
    object: Py<PyAny>,
    /// Its class, and the subclass that it has while there are simulations.
    class: Py<PyAny>,
    subclass: Py<PyAny>,
    /// The C class below.
    generator: Py<PyAny>,
}

impl Entropy {
    pub(crate) const fn new(seed: Option<Py<PyAny>>, of_system: bool) -> Self {
        Self { seed, of_system, generators: [const { GilCell::new(None) }; 3], gauss_next: GilCell::new(None) }
    }

    pub(crate) fn is_seeded(&self) -> bool {
        self.seed.is_some()
    }

    fn generator<'py>(&self, py: Python<'py>, stream: Stream) -> PyResult<Bound<'py, PyAny>> {
        let cell = &self.generators[stream as usize];
        if let Some(generator) = cell.with(py, |generator| generator.as_ref().map(|made| made.clone_ref(py))) {
            return Ok(generator.into_bound(py));
        }
        let seed = self.seed.as_ref().map_or_else(|| py.None(), |seed| seed.clone_ref(py)).into_bound(py);
        let seed = match stream {
            Stream::Module => seed,
            other => seed.lshift(STREAM_BITS)?.add(other as usize)?,
        };
        let generator = Hidden::get(py)?.generator.bind(py).call1((seed,))?;
        drop(cell.replace(py, Some(generator.clone().unbind())));
        Ok(generator)
    }
}

impl Hidden {
    fn get(py: Python<'_>) -> PyResult<&'static Self> {
        static HIDDEN: PyOnceLock<Hidden> = PyOnceLock::new();
        HIDDEN.get_or_try_init(py, || {
            let object = py.import("random")?.getattr("_inst")?;
            let class = object.getattr("__class__")?;
            let body = PyDict::new(py);
            body.set_item("__doc__", class.getattr("__doc__")?)?;
            body.set_item("__module__", class.getattr("__module__")?)?;
            body.set_item("gauss_next", Bound::new(py, GaussNext)?)?;
            let subclass = class.get_type().call1((class.getattr("__name__")?, (&class,), body))?;
            let generator = py.import("_random")?.getattr("Random")?.unbind();
            Ok(Self { object: object.unbind(), class: class.unbind(), subclass: subclass.unbind(), generator })
        })
    }
}

/// The first simulation with a seed has come in.
///
/// # Errors
/// What the module `random` answers.
pub(crate) fn install(py: Python<'_>) -> PyResult<()> {
    let hidden = Hidden::get(py)?;
    hidden.object.bind(py).setattr(intern!(py, "__class__"), &hidden.subclass)
}

/// The last simulation with a seed has gone out.
///
/// # Errors
/// As [`install`].
pub(crate) fn remove(py: Python<'_>) -> PyResult<()> {
    let hidden = Hidden::get(py)?;
    hidden.object.bind(py).setattr(intern!(py, "__class__"), &hidden.class)
}

/// The simulation that answers on the calling thread.
fn seeded(py: Python<'_>) -> Option<Bound<'_, LoopCore>> {
    inside::find(py, |core| core.entropy.is_seeded())
}

fn is_hidden(call: &Call<'_, '_>) -> PyResult<bool> {
    let hidden = Hidden::get(call.py())?;
    Ok(call.this().is_some_and(|this| this.is(&hidden.object)))
}

/// A method of a generator: those of the hidden one are called on the simulation's.
fn draw<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    if !is_hidden(call)? {
        return Ok(None);
    }
    let Some(core) = seeded(call.py()) else { return Ok(None) };
    call.original_on(&core.get().entropy.generator(call.py(), Stream::Module)?).map(Some)
}

/// The same for `seed`; and a generator that is to take its seed from the system gets it from the simulation.
fn seed<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(core) = seeded(py) else { return Ok(None) };
    let entropy = &core.get().entropy;
    let wants_seed = call.len() == 0 || call.len() == 1 && call.arg(0).is_some_and(|seed| seed.is_none());
    let drawn = || entropy.generator(py, Stream::Seeds)?.call_method1(intern!(py, "getrandbits"), (SEED_BITS,));
    match (is_hidden(call)?, wants_seed) {
        (true, false) => call.original_on(&entropy.generator(py, Stream::Module)?).map(Some),
        (true, true) => entropy.generator(py, Stream::Module)?.call_method1(intern!(py, "seed"), (drawn()?,)).map(Some),
        (false, true) => call.call_original((drawn()?,)).map(Some),
        (false, false) => Ok(None),
    }
}

/// Bytes in the place of the operating system's, for a simulation that wants it so.
fn system_bytes<'py>(call: &Call<'_, 'py>) -> Answer<'py> {
    let py = call.py();
    let Some(core) = inside::find(py, |core| core.entropy.of_system) else { return Ok(None) };
    let Some(size) = call.arg(0).or(call.keyword("size")?) else { return Ok(None) };
    // What is no size the original refuses.
    let Ok(size) = size.extract::<usize>() else { return Ok(None) };
    let generator = core.get().entropy.generator(py, Stream::System)?;
    let mut bytes = Vec::new();
    while bytes.len() < size {
        let count = (size - bytes.len()).min(CHUNK);
        let number = generator.call_method1(intern!(py, "getrandbits"), (8 * count,))?;
        let chunk = number.call_method1(intern!(py, "to_bytes"), (count, intern!(py, "little")))?;
        bytes.extend_from_slice(chunk.cast::<PyBytes>()?.as_bytes());
    }
    Ok(Some(PyBytes::new(py, &bytes).into_any()))
}

/// The attribute in which `random.gauss` keeps the second of the two numbers that it makes at a time.
#[pyclass(frozen, module = "soliloop._soliloop")]
struct GaussNext;

#[pymethods]
impl GaussNext {
    #[allow(clippy::unused_self, reason = "a descriptor's method")]
    fn __get__(&self, object: &Bound<'_, PyAny>, _class: Option<&Bound<'_, PyAny>>) -> PyResult<Py<PyAny>> {
        let py = object.py();
        if let Some(core) = seeded(py) {
            let kept = core.get().entropy.gauss_next.with(py, |next| next.as_ref().map(|next| next.clone_ref(py)));
            return Ok(kept.unwrap_or_else(|| py.None()));
        }
        let own = object.getattr(intern!(py, "__dict__"))?.get_item(NAME);
        own.map(Bound::unbind).map_err(|_| PyAttributeError::new_err(NAME))
    }

    #[allow(clippy::unused_self, reason = "a descriptor's method")]
    fn __set__(&self, object: &Bound<'_, PyAny>, value: Py<PyAny>) -> PyResult<()> {
        let py = object.py();
        if let Some(core) = seeded(py) {
            drop(core.get().entropy.gauss_next.replace(py, Some(value)));
            return Ok(());
        }
        object.getattr(intern!(py, "__dict__"))?.set_item(NAME, value)
    }
}

const NAME: &str = "gauss_next";
/// Seeds of the other streams are that of the first one, shifted by so much, plus their number.
const STREAM_BITS: u32 = 64;
const SEED_BITS: u32 = 128;
/// Bytes that are drawn at a time.
const CHUNK: usize = 1 << 20;
