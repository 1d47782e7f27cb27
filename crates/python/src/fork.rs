//! How often the process was forked: what was noted with another number belongs to a parent.

use pyo3::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How often this process is the child of a fork that happened after the module was imported.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// How often this process is the child of a fork.
pub(crate) fn forks() -> u64 {
    FORKS.load(Relaxed)
}

/// To be called in the child after a fork.
#[pyfunction]
pub(crate) fn _after_fork_in_child() {
    FORKS.fetch_add(1, Relaxed);
}
