//! Descriptors that somebody else owns, given by their numbers.

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use std::os::fd::RawFd;

/// The descriptor that a number stands for, for the length of one call.
pub(crate) fn borrow<'fd>(fd: RawFd) -> Result<BorrowedFd<'fd>, Errno> {
    if fd < 0 {
        return Err(Errno::BADF);
    }
    // SAFETY: the number is not -1, which is all that the type relies on for memory safety. It is handed to one system
    // call and not kept; a number that is not open is answered with EBADF.
    Ok(unsafe { BorrowedFd::borrow_raw(fd) })
}
