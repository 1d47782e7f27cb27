//! Safe wrappers of the operating-system calls of the event loop: descriptors and `io::Result`, nothing else.
//!
//! | module | wraps |
//! |---|---|
//! | [`epoll`] | waiting for readiness of many descriptors |
//! | [`wake`] | an eventfd that ends such a wait from another thread |
//! | [`socket`] | the pair of connected sockets through which a signal handler ends one |
//! | [`stream`] | reading, writing and accepting |
//! | [`child`] | the end of a child process as an event |
//! | [`datagram`] | sending and receiving datagrams |
//! | [`clock`] | the monotonic clock |
//!
//! It knows neither the engine nor Python, and gives no meaning to a token. The system calls themselves are `rustix`'s.

pub mod child;
pub mod clock;
pub mod datagram;
mod descriptor;
pub mod epoll;
pub mod socket;
pub mod stream;
pub mod wake;
