//! The `sock_*` calls of a loop (asyncio docs, "Working with socket objects directly").
//!
//! | module | what |
//! |---|---|
//! | `call` | `SocketCall`, the awaitable that they give: its states, and asyncio's protocol of coroutines and futures |
//! | `operation` | one try of each of them |
//! | `readiness` | what is remembered of a socket between calls |
//!
//! A call does nothing until it is awaited. Then it tries; if that does it, it is over without a future or a switch of tasks. Otherwise
//! the descriptor is registered, and stays so: later calls wait for an event without another registration. The try is repeated
//! in the step of the task that gets the result, so that a cancellation comes before it or after it, and loses no byte.
//!
//! Ground rules.
//! - What is remembered of a descriptor belongs to the socket object that it was learned with (a weak reference), so a number that comes
//!   up again starts anew: the call tries, and then registers. epoll drops a registration when the last descriptor of the open file is
//!   closed. If another one is open still (`dup`, `fork`), the old registration goes on telling, and the new owner of the number
//!   tries once in vain for each event.
//! - A `socket.socket` keeps its open file until it is closed or detached. Who puts another one below it (`os.dup2` onto its number)
//!   must make a new object for that.
//! - Only an object of exactly that class is read and written here, and remembered. A subclass, or what acts as a socket, may have
//!   buffers of its own: its methods are called, each time, and its descriptor is registered anew for each wait.
//! - Where a descriptor has a reader or a writer of `add_reader` or `add_writer`, it is level-triggered for as long (see `watchers`).
//! - Calls of one socket and side go on in the order in which they came.
//! - A stream socket that is closed during a call stays open until the call is over, or the loop is closed, as in uvloop: as if the call
//!   were a file of `socket.makefile`. Who closes a datagram socket or a listening one wants the address back; their calls end
//!   with an error at the next event of the number, if there is one.

pub(crate) mod call;
pub(crate) mod operation;
pub(crate) mod readiness;
