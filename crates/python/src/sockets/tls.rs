//! TLS with blocking calls (`ssl.SSLContext.wrap_socket`): OpenSSL writes to descriptors itself, and a token leads nowhere. What stands in the
//! place of its object is made by the loop.

use crate::ffi::intercept::{Call, Target};
use crate::inside;
use pyo3::intern;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyTuple};

/// The intercepted method.
pub(crate) const TARGETS: &[Target] = &[Target::new("_ssl._SSLContext._wrap_socket", wrap_socket)];

fn wrap_socket<'py>(call: &Call<'_, 'py>) -> PyResult<Option<Bound<'py, PyAny>>> {
    let py = call.py();
    let socket = match call.arg(0) {
        Some(socket) => Some(socket),
        None => call.keyword("sock")?,
    };
    let (Some(core), Some(context), Some(socket)) = (inside::current(py), call.this(), socket) else {
        return Ok(None);
    };
    if super::of(&core, &socket, "wrap_socket")?.is_none() {
        return Ok(None);
    }
    let mut args = vec![context];
    args.extend(call.args());
    let options = PyDict::new(py);
    for name in call.keywords()? {
        options.set_item(&name, call.keyword(&name)?)?;
    }
    core.call_method(intern!(py, "_wrap_socket"), PyTuple::new(py, args)?, Some(&options)).map(Some)
}
