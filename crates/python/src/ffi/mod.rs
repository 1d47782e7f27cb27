//! All unsafe code of the extension. Each file wraps one C interface (or one cell) and knows no loop, task or transport.

pub(crate) mod buffer;
pub(crate) mod cell;
pub(crate) mod context;
pub(crate) mod gc;
pub(crate) mod greenlet;
pub(crate) mod intercept;
pub(crate) mod locals;
pub(crate) mod method;
pub(crate) mod numbered;
pub(crate) mod object;
pub(crate) mod openssl;
mod trampoline;
