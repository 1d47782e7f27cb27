//! A child process as a descriptor that becomes readable when it ends (Linux 5.4).

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, WaitId, WaitIdOptions, pidfd_open, waitid};
use std::io;
use std::os::fd::RawFd;

/// A child process that nobody has asked for its status yet.
#[derive(Debug)]
pub struct Child {
    fd: OwnedFd,
}

impl Child {
    /// The child with a number; closed on exec.
    ///
    /// # Errors
    /// What the system says: `ESRCH` if there is no such process any more.
    pub fn new(pid: i32) -> io::Result<Self> {
        let pid = Pid::from_raw(pid).ok_or(Errno::SRCH)?;
        Ok(Self { fd: pidfd_open(pid, PidfdFlags::empty())? })
    }

    /// The descriptor to register for reading.
    pub fn descriptor(&self) -> RawFd {
        self.fd.as_raw_fd()
    }

    /// Takes the status of the child, which has ended: its exit code, or the negative number of the signal that ended it.
    ///
    /// # Errors
    /// `ECHILD` if somebody else took it.
    pub fn status(&self) -> io::Result<i32> {
        loop {
            match waitid(WaitId::PidFd(self.fd.as_fd()), WaitIdOptions::EXITED) {
                Ok(status) => {
                    let ended = status.and_then(|status| {
                        status.exit_status().or_else(|| status.terminating_signal().map(|number| -number))
                    });
                    return ended.ok_or_else(|| Errno::CHILD.into());
                }
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
