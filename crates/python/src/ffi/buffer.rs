//! Memory that Python objects lend out (the buffer protocol).

use pyo3::ffi;
use pyo3::prelude::*;
use std::ffi::c_int;
use std::io;

/// Memory of an object, of whatever items, in one piece (`PyBUF_SIMPLE`).
struct Memory(Box<ffi::Py_buffer>);

// SAFETY: the memory is reached by methods only that hold the interpreter lock.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn of(object: &Bound<'_, PyAny>, flags: c_int) -> PyResult<Self> {
        let mut buffer = Box::new(ffi::Py_buffer::new());
        // SAFETY: the object is alive and the structure is empty; the call fills it, or raises.
        match unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &raw mut *buffer, flags) } {
            0 => Ok(Self(buffer)),
            _ => Err(PyErr::fetch(object.py())),
        }
    }

    fn address(&self) -> *mut u8 {
        // An empty buffer may have none.
        if self.0.buf.is_null() { std::ptr::NonNull::dangling().as_ptr() } else { self.0.buf.cast() }
    }

    fn len(&self) -> usize {
        self.0.len.unsigned_abs()
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the buffer was filled by `of`, and is released once, by a thread that is attached.
        Python::attach(|_| unsafe { ffi::PyBuffer_Release(&raw mut *self.0) });
    }
}

/// The memory of an object, to be written to. It stays in place as long as this lives.
pub(crate) struct Writable(Memory);

impl Writable {
    /// Borrows the memory of `object`.
    ///
    /// # Errors
    /// `BufferError` or `TypeError` if it has none, or none that is writable and in one piece.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Memory::of(object, ffi::PyBUF_WRITABLE).map(Self)
    }

    /// Whether there is no room.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Copies `bytes` to the memory, from `start` on.
    ///
    /// # Panics
    /// If there is no room for them.
    pub(crate) fn put(&self, _py: Python<'_>, start: usize, bytes: &[u8]) {
        let (address, len) = self.raw();
        assert!(start <= len && bytes.len() <= len - start, "beyond the end of a buffer");
        // SAFETY: the memory is writable and of this length, and stays in place. It may be what `bytes` is in, so the copy is one that
        // allows for that.
        unsafe { address.add(start).copy_from(bytes.as_ptr(), bytes.len()) };
    }

    /// Where the memory is, and its length.
    pub(super) fn raw(&self) -> (*mut u8, usize) {
        (self.0.address(), self.0.len())
    }

    /// Lets `fill` write to the memory. `fill` must not call into Python.
    pub(crate) fn fill(&self, _py: Python<'_>, fill: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        // SAFETY: the buffer is writable, contiguous and of this length, and its owner keeps it in place until it is released. The
        // interpreter lock is held, and `fill` does not let Python code run that could reach the same memory meanwhile.
        fill(unsafe { std::slice::from_raw_parts_mut(self.0.address(), self.0.len()) })
    }
}

/// The memory of an object, to be read from. It stays in place as long as this lives; what is in it may change.
pub(crate) struct Readable(Memory);

impl Readable {
    /// Borrows the memory of `object`.
    ///
    /// # Errors
    /// `TypeError` if it has none; `BufferError` if it is not in one piece.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        Memory::of(object, ffi::PyBUF_SIMPLE).map(Self)
    }

    /// Lets `read` look at the memory. `read` must not call into Python.
    pub(crate) fn read<R>(&self, _py: Python<'_>, read: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: the buffer is contiguous and of this length, and its owner keeps it in place until it is released. The interpreter
        // lock is held, and `read` does not let Python code run that could change the memory meanwhile.
        read(unsafe { std::slice::from_raw_parts(self.0.address(), self.0.len()) })
    }
}
