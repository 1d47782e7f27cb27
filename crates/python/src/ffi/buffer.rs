//! Memory that Python objects lend out (the buffer protocol).

use pyo3::buffer::PyBuffer;
use pyo3::exceptions::PyBufferError;
use pyo3::prelude::*;
use std::io;

/// The memory of an object, to be written to. It stays in place as long as this lives.
pub(crate) struct Writable(PyBuffer<u8>);

impl Writable {
    /// Borrows the memory of `object`.
    ///
    /// # Errors
    /// `BufferError` or `TypeError` if it has none, or none that is writable and in one piece.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = PyBuffer::<u8>::get(object)?;
        if buffer.readonly() || !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("a buffer is needed that is writable and contiguous"));
        }
        Ok(Self(buffer))
    }

    /// Whether there is no room.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its length in bytes.
    pub(crate) fn len(&self) -> usize {
        self.0.len_bytes()
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
        (self.0.buf_ptr().cast::<u8>(), self.0.len_bytes())
    }

    /// Lets `fill` write to the memory. `fill` must not call into Python.
    pub(crate) fn fill(&self, _py: Python<'_>, fill: impl FnOnce(&mut [u8]) -> io::Result<usize>) -> io::Result<usize> {
        // SAFETY: the buffer is writable, contiguous and of this length, and its owner keeps it in place until it is released. The
        // interpreter lock is held, and `fill` does not let Python code run that could reach the same memory meanwhile.
        fill(unsafe { std::slice::from_raw_parts_mut(self.0.buf_ptr().cast::<u8>(), self.0.len_bytes()) })
    }
}

/// The memory of an object, to be read from. It stays in place as long as this lives; what is in it may change.
pub(crate) struct Readable(PyBuffer<u8>);

impl Readable {
    /// Borrows the memory of `object`.
    ///
    /// # Errors
    /// `TypeError` if it has none; `BufferError` if it is not in one piece, or not of bytes.
    pub(crate) fn of(object: &Bound<'_, PyAny>) -> PyResult<Self> {
        let buffer = PyBuffer::<u8>::get(object)?;
        if !buffer.is_c_contiguous() {
            return Err(PyBufferError::new_err("a buffer is needed that is contiguous"));
        }
        Ok(Self(buffer))
    }

    /// Lets `read` look at the memory. `read` must not call into Python.
    pub(crate) fn read<R>(&self, _py: Python<'_>, read: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: the buffer is contiguous and of this length, and its owner keeps it in place until it is released. The interpreter
        // lock is held, and `read` does not let Python code run that could change the memory meanwhile.
        read(unsafe { std::slice::from_raw_parts(self.0.buf_ptr().cast::<u8>(), self.0.len_bytes()) })
    }
}
