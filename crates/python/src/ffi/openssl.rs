//! `SSL_read` and `SSL_write` of the OpenSSL that Python's module `_ssl` has loaded, on the connection inside an `ssl.SSLObject`
//! (OpenSSL docs, `SSL_read_ex(3)`, `SSL_write_ex(3)`, `BIO_meth_new(3)`).
//!
//! The connection is Python's own: certificates, verification, sessions and callbacks are as its `SSLContext` says. What is exchanged is where its
//! bytes come from and go to: instead of two `ssl.MemoryBIO` a [`Pipe`] of ours, which reads straight from the memory that was received into.
//!
//! The connection's address stands behind three words of the object in the Pythons that are known here, and OpenSSL is asked whether it
//! belongs to the object before it is used. If the library can't be found, as where it is linked into the interpreter, or Python or the
//! object is another one, there is no [`Connection`], and `ssl.MemoryBIO` does.

use super::buffer::Writable;
use pyo3::PyTraverseError;
use pyo3::ffi;
use pyo3::gc::PyVisit;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyType};
use std::ffi::{CStr, CString, c_char, c_int, c_long, c_ulong, c_void};
use std::ptr::NonNull;
use std::sync::OnceLock;

/// A connection inside an `ssl.SSLObject`.
pub(crate) struct Connection {
    ssl: *mut Ssl,
    /// Belongs to the connection.
    pipe: NonNull<Pipe>,
    library: &'static Library,
    /// What the connection belongs to.
    owner: Py<PyAny>,
}

// SAFETY: the pointers are followed in methods only, which need a `Python` token, so that the interpreter lock orders the accesses of different
// threads, as it does for the `SSLObject` itself.
unsafe impl Send for Connection {}
// SAFETY: as above.
unsafe impl Sync for Connection {}

/// What a call has come to.
pub(crate) enum Outcome {
    /// So many bytes were read or written.
    Done(usize),
    /// Nothing now: more must come first.
    Again,
    /// The peer has ended its stream.
    End,
    Failed(PyErr),
}

impl Connection {
    /// The connection inside `object`, an `ssl.SSLObject`, over a pipe of its own from now on. `None` if it can't be reached.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Option<Self>> {
        let py = object.py();
        if !KNOWN.contains(&py.version_info().minor) {
            return Ok(None);
        }
        let module = py.import("_ssl")?;
        let Some(library) = Library::loaded(&module)? else { return Ok(None) };
        let owner = object.getattr(intern!(py, "_sslobj"))?;
        let class = owner.get_type();
        if !class.is(&module.getattr(intern!(py, "_SSLSocket"))?) || size(&class) < ADDRESS_AT + size_of::<*mut Ssl>() {
            return Ok(None);
        }
        // SAFETY: the object is that long, and has been laid out like this since it exists: a header, a word, and the address of the connection.
        let ssl = unsafe { owner.as_ptr().byte_add(ADDRESS_AT).cast::<*mut Ssl>().read() };
        if ssl.is_null() {
            return Ok(None);
        }
        // SAFETY: it is a connection, as above. Python keeps the object's own address with it.
        if unsafe { (library.get_ex_data)(ssl, 0) } != owner.as_ptr().cast() {
            return Ok(None);
        }
        let Some((bio, pipe)) = library.make_pipe() else { return Ok(None) };
        // SAFETY: both are alive. The connection lets go of the pipes it had, and takes over this one: one reference for both directions.
        unsafe { (library.set_bio)(ssl, bio, bio) };
        Ok(Some(Self { ssl, pipe, library, owner: owner.unbind() }))
    }

    /// Has the connection read `input` while `work` is done, and keeps what is left of it.
    pub(crate) fn with_input<R>(&self, py: Python<'_>, input: &[u8], work: impl FnOnce() -> R) -> R {
        self.keep(py);
        // SAFETY: the pipe lives as long as the connection, and nobody else has a reference to it: the connection uses it in its calls only.
        let pipe = unsafe { &mut *self.pipe.as_ptr() };
        (pipe.window, pipe.window_len) = (input.as_ptr(), input.len());
        let _kept = Kept(self, py);
        work()
    }

    /// Copies what has not been read of the memory that was lent.
    fn keep(&self, _py: Python<'_>) {
        // SAFETY: as in `with_input`. Memory that is lent stays in place until the call that has lent it ends.
        unsafe { (*self.pipe.as_ptr()).keep() };
    }

    /// How many bytes wait to be read and decrypted; a record that is read in part is not counted.
    #[inline]
    pub(crate) fn input_len(&self, _py: Python<'_>) -> usize {
        // SAFETY: as in `with_input`.
        unsafe { (*self.pipe.as_ptr()).input_len() }
    }

    /// How many bytes wait to be sent.
    #[inline]
    pub(crate) fn output_len(&self, _py: Python<'_>) -> usize {
        // SAFETY: as in `with_input`.
        unsafe { (*self.pipe.as_ptr()).output.len() }
    }

    /// Takes what waits to be sent.
    #[inline]
    pub(crate) fn take_output<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        // SAFETY: as in `with_input`; to make the object does not run code that could reach the pipe.
        let output = unsafe { &mut (*self.pipe.as_ptr()).output };
        let bytes = PyBytes::new(py, output);
        if output.capacity() > KEPT_CAPACITY {
            *output = Vec::new();
        }
        output.clear();
        bytes
    }

    /// Whether there is nothing more to read for now.
    #[inline]
    pub(crate) fn is_drained(&self, py: Python<'_>) -> bool {
        // SAFETY: the connection is alive.
        self.input_len(py) == 0 && unsafe { (self.library.pending)(self.ssl) } == 0
    }

    /// Reads decrypted bytes.
    #[inline]
    pub(crate) fn read(&self, py: Python<'_>, memory: &mut [u8]) -> Outcome {
        // SAFETY: the memory is writable and of this length.
        unsafe { self.read_to(py, memory.as_mut_ptr(), memory.len()) }
    }

    /// Reads decrypted bytes to `memory`, from `start` on.
    #[inline]
    pub(crate) fn read_into(&self, py: Python<'_>, memory: &Writable, start: usize) -> Outcome {
        let (address, len) = memory.raw();
        assert!(start <= len, "beyond the end of a buffer");
        // SAFETY: the memory is writable and of this length, and stays in place while it is borrowed.
        unsafe { self.read_to(py, address.add(start), len - start) }
    }

    /// # Safety
    /// `memory` is writable, `len` bytes long.
    unsafe fn read_to(&self, py: Python<'_>, memory: *mut u8, len: usize) -> Outcome {
        let mut count = 0;
        // SAFETY: the connection is alive, its owner kept; the memory is the caller's. No cell of the loop is in use, since a renegotiation may call
        // into Python.
        let done = unsafe {
            (self.library.clear_error)();
            (self.library.read)(self.ssl, memory.cast(), len, &raw mut count)
        };
        if done == 1 { Outcome::Done(count) } else { self.failed(py, done) }
    }

    /// Encrypts `data`.
    #[inline]
    pub(crate) fn write(&self, py: Python<'_>, data: &[u8]) -> Outcome {
        // SAFETY: as in `with_input`.
        unsafe { (*self.pipe.as_ptr()).output.reserve(data.len() + (data.len() / RECORD + 1) * OVERHEAD) };
        let mut count = 0;
        // SAFETY: as in `read_to`; the data is only read.
        let done = unsafe {
            (self.library.clear_error)();
            (self.library.write)(self.ssl, data.as_ptr().cast(), data.len(), &raw mut count)
        };
        if done == 1 { Outcome::Done(count) } else { self.failed(py, done) }
    }

    pub(crate) fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&self.owner)
    }

    #[cold]
    fn failed(&self, py: Python<'_>, done: c_int) -> Outcome {
        // SAFETY: the connection is alive, and `done` is what its last call gave.
        match unsafe { (self.library.get_error)(self.ssl, done) } {
            WANT_READ | WANT_WRITE => Outcome::Again,
            ZERO_RETURN => Outcome::End,
            _ => Outcome::Failed(self.error(py).unwrap_or_else(|error| error)),
        }
    }
}

impl Connection {
    /// The last error, as Python's `ssl` would raise it.
    #[cold]
    fn error(&self, py: Python<'_>) -> PyResult<PyErr> {
        let library = self.library;
        // SAFETY: the texts are static, or null.
        let (code, component, reason) = unsafe {
            let code = (library.peek_last_error)();
            let texts = (code, text((library.library_of)(code)), text((library.reason_of)(code)));
            (library.clear_error)();
            texts
        };
        let ssl = py.import(intern!(py, "ssl"))?;
        if code == 0 {
            let class = ssl.getattr(intern!(py, "SSLEOFError"))?;
            return Ok(PyErr::from_value(class.call1((EOF, "EOF occurred in violation of protocol"))?));
        }
        let reason = reason.unwrap_or("unknown error");
        // OpenSSL 3.2 has renamed the texts of the alerts, and not their names.
        let name = reason.to_uppercase().replace([' ', '-'], "_").replace("SSL/TLS_ALERT_", "SSLV3_ALERT_");
        let component = component.and_then(|component| component.split(' ').next()).unwrap_or("SSL").to_uppercase();
        let message = format!("[{component}: {name}] {reason}");
        let error = if name == "CERTIFICATE_VERIFY_FAILED" {
            // SAFETY: the connection is alive; the text is static.
            let (code, detail) = unsafe {
                let code = (library.verify_result)(self.ssl);
                (code, text((library.verify_text)(code)).unwrap_or_default())
            };
            let class = ssl.getattr(intern!(py, "SSLCertVerificationError"))?;
            let error = class.call1((SSL, format!("{message}: {detail}")))?;
            error.setattr(intern!(py, "verify_code"), code)?;
            error.setattr(intern!(py, "verify_message"), detail)?;
            error
        } else {
            ssl.getattr(intern!(py, "SSLError"))?.call1((SSL, message))?
        };
        error.setattr(intern!(py, "library"), component)?;
        error.setattr(intern!(py, "reason"), name)?;
        Ok(PyErr::from_value(error))
    }
}

/// Ends a loan.
struct Kept<'a, 'py>(&'a Connection, Python<'py>);

impl Drop for Kept<'_, '_> {
    fn drop(&mut self) {
        self.0.keep(self.1);
    }
}

/// Where a connection reads from and writes to. It belongs to a BIO.
struct Pipe {
    /// What was kept of earlier input, and how much of it was read.
    kept: Vec<u8>,
    kept_at: usize,
    /// Memory that is lent, behind what was kept.
    window: *const u8,
    window_len: usize,
    output: Vec<u8>,
}

impl Pipe {
    const fn new() -> Self {
        Self { kept: Vec::new(), kept_at: 0, window: std::ptr::null(), window_len: 0, output: Vec::new() }
    }

    const fn input_len(&self) -> usize {
        self.kept.len() - self.kept_at + self.window_len
    }

    fn keep(&mut self) {
        if self.window_len > 0 {
            // A reader that never catches up must not have all that it has read kept.
            if self.kept_at > self.kept.len() / 2 {
                self.kept.drain(..self.kept_at);
                self.kept_at = 0;
            }
            // SAFETY: the memory is lent until this is called.
            let left = unsafe { std::slice::from_raw_parts(self.window, self.window_len) };
            self.kept.extend_from_slice(left);
            self.window_len = 0;
        }
        self.window = std::ptr::null();
    }

    /// Moves up to `len` bytes of input to `memory`; gives their number.
    ///
    /// # Safety
    /// `memory` is writable, `len` bytes long.
    unsafe fn take(&mut self, memory: *mut u8, len: usize) -> usize {
        let kept = &self.kept[self.kept_at..];
        let from_kept = len.min(kept.len());
        let from_window = (len - from_kept).min(self.window_len);
        // SAFETY: each source has as many bytes, and the target has room for both; it is OpenSSL's own memory.
        unsafe {
            memory.copy_from_nonoverlapping(kept.as_ptr(), from_kept);
            if from_window > 0 {
                memory.add(from_kept).copy_from_nonoverlapping(self.window, from_window);
                self.window = self.window.add(from_window);
            }
        }
        self.window_len -= from_window;
        self.kept_at += from_kept;
        if self.kept_at == self.kept.len() {
            self.kept_at = 0;
            if self.kept.capacity() > KEPT_CAPACITY {
                self.kept = Vec::new();
            }
            self.kept.clear();
        }
        from_kept + from_window
    }
}

// ---------------------------------------------------------------------- what OpenSSL calls

unsafe extern "C" fn pipe_read(bio: *mut Bio, memory: *mut c_char, len: c_int) -> c_int {
    let (Some(library), Ok(len)) = (Library::known(), usize::try_from(len)) else { return -1 };
    // SAFETY: the BIO is one of ours, whose data is a pipe; the memory is writable and of this length.
    unsafe {
        (library.bio_clear_flags)(bio, BIO_RETRY_FLAGS);
        let pipe = (library.bio_get_data)(bio).cast::<Pipe>();
        let count = (*pipe).take(memory.cast(), len);
        if count == 0 {
            (library.bio_set_flags)(bio, BIO_RETRY_READ);
            return -1;
        }
        c_int::try_from(count).unwrap_or(-1)
    }
}

unsafe extern "C" fn pipe_write(bio: *mut Bio, data: *const c_char, len: c_int) -> c_int {
    let (Some(library), Ok(count)) = (Library::known(), usize::try_from(len)) else { return -1 };
    // SAFETY: the BIO is one of ours, whose data is a pipe; the data is readable and of this length.
    unsafe {
        (library.bio_clear_flags)(bio, BIO_RETRY_FLAGS);
        let pipe = (library.bio_get_data)(bio).cast::<Pipe>();
        if count > 0 {
            (*pipe).output.extend_from_slice(std::slice::from_raw_parts(data.cast(), count));
        }
    }
    len
}

unsafe extern "C" fn pipe_control(bio: *mut Bio, command: c_int, _number: c_long, _data: *mut c_void) -> c_long {
    let Some(library) = Library::known() else { return 0 };
    // SAFETY: the BIO is one of ours, whose data is a pipe.
    let pipe = unsafe { (library.bio_get_data)(bio).cast::<Pipe>() };
    // SAFETY: as above.
    let (input, output) = unsafe { ((*pipe).input_len(), (*pipe).output.len()) };
    match command {
        BIO_FLUSH => 1,
        BIO_PENDING => c_long::try_from(input).unwrap_or(c_long::MAX),
        BIO_PENDING_OUTPUT => c_long::try_from(output).unwrap_or(c_long::MAX),
        _ => 0,
    }
}

unsafe extern "C" fn pipe_destroy(bio: *mut Bio) -> c_int {
    if let Some(library) = Library::known() {
        // SAFETY: the data was made by `Box::into_raw`, and the BIO is at its end: nobody asks for it again.
        unsafe { drop(Box::from_raw((library.bio_get_data)(bio).cast::<Pipe>())) };
    }
    1
}

// ---------------------------------------------------------------------- the library

#[repr(C)]
struct Ssl([u8; 0]);
#[repr(C)]
struct Bio([u8; 0]);
#[repr(C)]
struct BioMethod([u8; 0]);

type Read = unsafe extern "C" fn(*mut Bio, *mut c_char, c_int) -> c_int;
type Write = unsafe extern "C" fn(*mut Bio, *const c_char, c_int) -> c_int;
type Control = unsafe extern "C" fn(*mut Bio, c_int, c_long, *mut c_void) -> c_long;
type Destroy = unsafe extern "C" fn(*mut Bio) -> c_int;

/// Declares functions of the library, and how they are found.
macro_rules! library {
    ($($field:ident = $symbol:literal: fn($($argument:ty),*) $(-> $result:ty)?;)*) => {
        struct Library {
            pipes: Pipes,
            $($field: unsafe extern "C" fn($($argument),*) $(-> $result)?,)*
        }

        impl Library {
            /// # Safety
            /// `handle` is one of `dlopen`, for a library that stays loaded.
            unsafe fn find(handle: *mut c_void) -> Option<Self> {
                // SAFETY: the types are those of OpenSSL's headers, the same since 1.1.1, the oldest that Python takes.
                unsafe {
                    Some(Self {
                        pipes: Pipes::make(handle)?,
                        $($field: std::mem::transmute::<*mut c_void, unsafe extern "C" fn($($argument),*) $(-> $result)?>(
                            symbol(handle, $symbol)?
                        ),)*
                    })
                }
            }
        }
    };
}

library! {
    read = c"SSL_read_ex": fn(*mut Ssl, *mut c_void, usize, *mut usize) -> c_int;
    write = c"SSL_write_ex": fn(*mut Ssl, *const c_void, usize, *mut usize) -> c_int;
    pending = c"SSL_pending": fn(*const Ssl) -> c_int;
    get_error = c"SSL_get_error": fn(*const Ssl, c_int) -> c_int;
    get_ex_data = c"SSL_get_ex_data": fn(*const Ssl, c_int) -> *mut c_void;
    set_bio = c"SSL_set_bio": fn(*mut Ssl, *mut Bio, *mut Bio);
    bio_new = c"BIO_new": fn(*const BioMethod) -> *mut Bio;
    bio_set_init = c"BIO_set_init": fn(*mut Bio, c_int);
    bio_set_data = c"BIO_set_data": fn(*mut Bio, *mut c_void);
    bio_get_data = c"BIO_get_data": fn(*mut Bio) -> *mut c_void;
    bio_set_flags = c"BIO_set_flags": fn(*mut Bio, c_int);
    bio_clear_flags = c"BIO_clear_flags": fn(*mut Bio, c_int);
    verify_result = c"SSL_get_verify_result": fn(*const Ssl) -> c_long;
    verify_text = c"X509_verify_cert_error_string": fn(c_long) -> *const c_char;
    clear_error = c"ERR_clear_error": fn();
    peek_last_error = c"ERR_peek_last_error": fn() -> c_ulong;
    library_of = c"ERR_lib_error_string": fn(c_ulong) -> *const c_char;
    reason_of = c"ERR_reason_error_string": fn(c_ulong) -> *const c_char;
}

/// The class of our BIOs.
struct Pipes(*const BioMethod);

// SAFETY: it is written once, by `make`, and only read after that.
unsafe impl Send for Pipes {}
// SAFETY: as above.
unsafe impl Sync for Pipes {}

impl Pipes {
    /// # Safety
    /// As [`Library::find`].
    unsafe fn make(handle: *mut c_void) -> Option<Self> {
        type Make = unsafe extern "C" fn(c_int, *const c_char) -> *mut BioMethod;
        type Set<F> = unsafe extern "C" fn(*mut BioMethod, F) -> c_int;
        // SAFETY: as in `Library::find`. The method is never freed.
        unsafe {
            let index: unsafe extern "C" fn() -> c_int = std::mem::transmute(symbol(handle, c"BIO_get_new_index")?);
            let make: Make = std::mem::transmute(symbol(handle, c"BIO_meth_new")?);
            let set_read: Set<Read> = std::mem::transmute(symbol(handle, c"BIO_meth_set_read")?);
            let set_write: Set<Write> = std::mem::transmute(symbol(handle, c"BIO_meth_set_write")?);
            let set_control: Set<Control> = std::mem::transmute(symbol(handle, c"BIO_meth_set_ctrl")?);
            let set_destroy: Set<Destroy> = std::mem::transmute(symbol(handle, c"BIO_meth_set_destroy")?);
            let method = make(index() | BIO_SOURCE_SINK, c"soliloop".as_ptr());
            let is_made = !method.is_null()
                && set_read(method, pipe_read) == 1
                && set_write(method, pipe_write) == 1
                && set_control(method, pipe_control) == 1
                && set_destroy(method, pipe_destroy) == 1;
            is_made.then_some(Self(method))
        }
    }
}

static LIBRARY: OnceLock<Option<Library>> = OnceLock::new();

impl Library {
    /// The library that `module`, which is `_ssl`, has loaded.
    fn loaded(module: &Bound<'_, PyAny>) -> PyResult<Option<&'static Self>> {
        if let Some(known) = LIBRARY.get() {
            return Ok(known.as_ref());
        }
        let file: Option<String> =
            module.getattr_opt(intern!(module.py(), "__file__"))?.map(|file| file.extract()).transpose()?;
        Ok(LIBRARY.get_or_init(|| Self::of_file(&CString::new(file?).ok()?)).as_ref())
    }

    fn of_file(file: &CStr) -> Option<Self> {
        // SAFETY: the call loads nothing: it gives a handle of a library that is loaded already, which is never closed. What is looked for
        // in it is looked for in the libraries that it needs as well, and in no other.
        unsafe {
            let handle = libc::dlopen(file.as_ptr(), libc::RTLD_LAZY | libc::RTLD_NOLOAD);
            if handle.is_null() { None } else { Self::find(handle) }
        }
    }

    #[inline]
    fn known() -> Option<&'static Self> {
        LIBRARY.get()?.as_ref()
    }

    fn make_pipe(&self) -> Option<(*mut Bio, NonNull<Pipe>)> {
        // SAFETY: the method is complete.
        let bio = unsafe { (self.bio_new)(self.pipes.0) };
        if bio.is_null() {
            return None;
        }
        let pipe = NonNull::from(Box::leak(Box::new(Pipe::new())));
        // SAFETY: the BIO is new; it owns the pipe from now on.
        unsafe {
            (self.bio_set_data)(bio, pipe.as_ptr().cast());
            (self.bio_set_init)(bio, 1);
        }
        Some((bio, pipe))
    }
}

/// # Safety
/// `handle` is one of `dlopen`.
unsafe fn symbol(handle: *mut c_void, name: &CStr) -> Option<*mut c_void> {
    // SAFETY: the caller's.
    let found = unsafe { libc::dlsym(handle, name.as_ptr()) };
    (!found.is_null()).then_some(found)
}

/// # Safety
/// `text` is null, or a string that is never freed.
unsafe fn text(text: *const c_char) -> Option<&'static str> {
    if text.is_null() {
        return None;
    }
    // SAFETY: the caller's.
    unsafe { CStr::from_ptr(text) }.to_str().ok()
}

/// The size of the instances of a class.
fn size(class: &Bound<'_, PyType>) -> usize {
    // SAFETY: reads a field of a live class.
    usize::try_from(unsafe { (*class.as_type_ptr()).tp_basicsize }).unwrap_or(0)
}

/// The minor versions of Python 3 whose objects were looked at.
const KNOWN: std::ops::RangeInclusive<u8> = 11..=13;
/// Where the address of a connection stands in an `_ssl._SSLSocket`: behind the header, and a reference to a socket.
const ADDRESS_AT: usize = size_of::<ffi::PyObject>() + size_of::<*mut ffi::PyObject>();
/// What a pipe that is empty may keep, in bytes.
const KEPT_CAPACITY: usize = 4096;
/// Bytes in a record, and what encryption adds to them at most.
const RECORD: usize = 16 * 1024;
const OVERHEAD: usize = 96;

/// Results of `SSL_get_error`, and two that Python numbers in the same way.
const SSL: c_int = 1;
const WANT_READ: c_int = 2;
const WANT_WRITE: c_int = 3;
const ZERO_RETURN: c_int = 6;
const EOF: c_int = 8;

const BIO_SOURCE_SINK: c_int = 0x0400;
const BIO_RETRY_READ: c_int = 0x09;
const BIO_RETRY_FLAGS: c_int = 0x0f;
const BIO_PENDING: c_int = 10;
const BIO_FLUSH: c_int = 11;
const BIO_PENDING_OUTPUT: c_int = 13;
