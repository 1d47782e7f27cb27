//! The pair of sockets: bytes arrive in order, draining takes all of them and never blocks.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use rustix::fd::BorrowedFd;
use rustix::io::Errno;
use soliloop_sys::epoll::{Epoll, Events, Interest};
use soliloop_sys::socket::Pair;
use std::os::fd::AsRawFd;
use std::time::Duration;

/// What a signal handler does: writes to the number of a descriptor.
fn write(pair: &Pair, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the pair owns the descriptor and outlives this call.
    rustix::io::write(unsafe { BorrowedFd::borrow_raw(pair.writer()) }, bytes)
}

#[test]
fn draining_takes_all_bytes_in_order() {
    let pair = Pair::new().expect("sockets");
    assert_eq!(pair.drain().expect("nothing to read is no error"), []);
    let sent: Vec<u8> = (0..=255).cycle().take(1000).collect();
    assert_eq!(write(&pair, &sent), Ok(1000));
    assert_eq!(pair.drain().expect("bytes are there"), sent);
    assert_eq!(pair.drain().expect("nothing to read is no error"), []);
}

#[test]
fn a_full_pair_refuses_and_loses_nothing() {
    let pair = Pair::new().expect("sockets");
    let mut sent = 0;
    let refusal = loop {
        match write(&pair, &[1; 512]) {
            Ok(count) => sent += count,
            Err(error) => break error,
        }
    };
    assert_eq!(refusal, Errno::AGAIN, "a handler must not block");
    assert_eq!(pair.drain().expect("bytes are there").len(), sent);
    assert_eq!(write(&pair, &[2]), Ok(1));
    assert_eq!(pair.drain().expect("a byte is there"), [2]);
}

#[test]
fn the_reader_is_readable_while_bytes_are_there() {
    let pair = Pair::new().expect("sockets");
    let epoll = Epoll::new().expect("an epoll instance");
    epoll.add(pair.reader(), 1, Interest::READ).expect("a socket can be added");
    let mut events = Events::with_capacity(4);
    let mut count = || {
        epoll.wait(&mut events, Some(Duration::ZERO)).expect("no signal comes here");
        events.iter().count()
    };
    assert_eq!(count(), 0);
    write(&pair, &[1]).expect("there is room");
    assert_eq!(count(), 1);
    pair.drain().expect("a byte is there");
    assert_eq!(count(), 0);
}

#[test]
fn a_socket_that_was_just_made_is_unused() {
    const FAMILIES: [i32; 3] = [1, 2, 10];
    for family in FAMILIES {
        for is_stream in [true, false] {
            let fd = soliloop_sys::socket::unconnected(family, is_stream).expect("a socket can be made");
            assert!(soliloop_sys::socket::is_unused(fd.as_raw_fd()), "family {family}, stream: {is_stream}");
        }
    }
    let (near, _far) = std::os::unix::net::UnixStream::pair().expect("a pair can be made");
    assert!(!soliloop_sys::socket::is_unused(near.as_raw_fd()), "it is connected");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port is free");
    assert!(!soliloop_sys::socket::is_unused(listener.as_raw_fd()), "it is bound");
    assert!(!soliloop_sys::socket::is_unused(-1), "there is no such descriptor");
}
