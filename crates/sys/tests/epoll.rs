//! epoll: which readiness is told, how a hang-up looks, and which error each misuse gives.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use soliloop_sys::clock;
use soliloop_sys::epoll::{Epoll, Event, Events, Interest};
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

const BOTH: Interest = Interest { read: true, write: true, is_edge: false };
const WRITE: Interest = Interest { read: false, write: true, is_edge: false };
const NOTHING: Interest = Interest::NONE;

const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const EBADF: i32 = 9;
const EEXIST: i32 = 17;

fn poll(epoll: &Epoll) -> Vec<Event> {
    let mut events = Events::with_capacity(8);
    epoll.wait(&mut events, Some(Duration::ZERO)).expect("no signal comes here");
    events.iter().collect()
}

/// What is told of a socket in its middle years.
fn event(token: u64, readable: bool, writable: bool) -> Event {
    Event { token, readable, writable, is_exceptional: false }
}

fn errno(result: io::Result<()>) -> Option<i32> {
    result.expect_err("a misuse").raw_os_error()
}

/// A number that no descriptor of this process has.
fn closed() -> RawFd {
    1_000_000
}

#[test]
fn a_socket_is_readable_when_bytes_are_there_and_writable_from_the_start() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (mut near, mut far) = UnixStream::pair().expect("a pair");
    epoll.add(near.as_raw_fd(), 7, BOTH).expect("a socket can be added");
    assert_eq!(poll(&epoll), [event(7, false, true)]);
    far.write_all(b"abc").expect("the peer is open");
    assert_eq!(poll(&epoll), [event(7, true, true)]);
    near.read_exact(&mut [0; 2]).expect("three bytes are there");
    assert_eq!(poll(&epoll), [event(7, true, true)], "one byte is left");
    near.read_exact(&mut [0]).expect("one byte is there");
    assert_eq!(poll(&epoll), [event(7, false, true)]);
}

#[test]
fn only_what_was_asked_for_is_told() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (near, mut far) = UnixStream::pair().expect("a pair");
    far.write_all(b"abc").expect("the peer is open");
    epoll.add(near.as_raw_fd(), 1, Interest::READ).expect("a socket can be added");
    assert_eq!(poll(&epoll), [event(1, true, false)]);
    epoll.modify(near.as_raw_fd(), 2, WRITE).expect("it is registered");
    assert_eq!(poll(&epoll), [event(2, false, true)]);
    epoll.modify(near.as_raw_fd(), 3, NOTHING).expect("it is registered");
    assert_eq!(poll(&epoll), []);
    assert!(NOTHING.is_none() && !WRITE.is_none() && !Interest::READ.is_none());
}

#[test]
fn an_edge_is_told_once_and_an_end_besides() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (mut near, mut far) = UnixStream::pair().expect("a pair");
    epoll.add(near.as_raw_fd(), 1, Interest::edges(false)).expect("a socket can be added");
    assert_eq!(poll(&epoll), []);
    far.write_all(b"abc").expect("the peer is open");
    assert_eq!(poll(&epoll), [event(1, true, false)]);
    assert_eq!(poll(&epoll), [], "nothing has changed");
    near.read_exact(&mut [0]).expect("three bytes are there");
    assert_eq!(poll(&epoll), [], "two are still");
    far.write_all(b"d").expect("the peer is open");
    assert_eq!(poll(&epoll), [event(1, true, false)]);
    epoll.modify(near.as_raw_fd(), 2, Interest::edges(true)).expect("it is registered");
    assert_eq!(poll(&epoll), [event(2, true, true)], "a change of the registration tells anew");
    far.shutdown(Shutdown::Write).expect("the peer is open");
    assert!(matches!(poll(&epoll)[..], [Event { readable: true, is_exceptional: true, .. }]));
    assert_eq!(poll(&epoll), []);
}

#[test]
fn a_full_buffer_is_not_writable_until_it_is_read() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (mut near, mut far) = UnixStream::pair().expect("a pair");
    near.set_nonblocking(true).expect("a flag");
    let mut sent = 0;
    while let Ok(count) = near.write(&[0; 4096]) {
        sent += count;
    }
    epoll.add(near.as_raw_fd(), 1, WRITE).expect("a socket can be added");
    assert_eq!(poll(&epoll), []);
    far.read_exact(&mut vec![0; sent]).expect("as much was sent");
    assert_eq!(poll(&epoll), [event(1, false, true)]);
}

#[test]
fn a_hang_up_is_told_to_whoever_reads_and_whoever_writes() {
    for (interest, readable, writable) in [(Interest::READ, true, true), (WRITE, true, true), (BOTH, true, true)] {
        let epoll = Epoll::new().expect("an epoll instance");
        let (near, far) = UnixStream::pair().expect("a pair");
        epoll.add(near.as_raw_fd(), 1, interest).expect("a socket can be added");
        drop(far);
        assert_eq!(poll(&epoll), [Event { is_exceptional: true, ..event(1, readable, writable) }], "{interest:?}");
    }
}

#[test]
fn a_peer_that_has_ended_its_sending_makes_readable() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (mut near, far) = UnixStream::pair().expect("a pair");
    far.shutdown(Shutdown::Write).expect("it is open");
    epoll.add(near.as_raw_fd(), 1, Interest::READ).expect("a socket can be added");
    assert!(matches!(poll(&epoll)[..], [Event { token: 1, readable: true, .. }]));
    assert_eq!(near.read(&mut [0]).expect("the end is no error"), 0);
}

#[test]
fn a_refused_connection_is_told_as_readable_and_writable() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("it is bound")
    };
    // A blocking attempt would tell by itself; the reset of a connection is the same event.
    assert!(TcpStream::connect(address).is_err());
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut near = TcpStream::connect(listener.local_addr().expect("it is bound")).expect("loopback");
    let (far, _) = listener.accept().expect("it has connected");
    let epoll = Epoll::new().expect("an epoll instance");
    epoll.add(near.as_raw_fd(), 1, Interest::READ).expect("a socket can be added");
    near.write_all(b"never read").expect("it is open");
    drop(far);
    let mut events = Events::with_capacity(1);
    epoll.wait(&mut events, None).expect("no signal comes here");
    assert!(events.iter().all(|event| event.readable), "the read is what reports the reset");
}

#[test]
fn misuse_is_answered_by_its_error() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (near, _far) = UnixStream::pair().expect("a pair");
    let fd = near.as_raw_fd();
    for number in [closed(), -1, -5, RawFd::MIN] {
        assert_eq!(errno(epoll.add(number, 1, BOTH)), Some(EBADF), "{number}");
        assert_eq!(errno(epoll.modify(number, 1, BOTH)), Some(EBADF), "{number}");
        assert_eq!(errno(epoll.delete(number)), Some(EBADF), "{number}");
    }
    assert_eq!(errno(epoll.modify(fd, 1, BOTH)), Some(ENOENT));
    assert_eq!(errno(epoll.delete(fd)), Some(ENOENT));
    epoll.add(fd, 1, BOTH).expect("a socket can be added");
    assert_eq!(errno(epoll.add(fd, 1, BOTH)), Some(EEXIST));
    let file = File::open("/proc/self/exe").expect("it exists");
    assert_eq!(errno(epoll.add(file.as_raw_fd(), 1, BOTH)), Some(EPERM), "a regular file is always ready");
}

#[test]
fn a_descriptor_that_is_closed_leaves_by_itself() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (near, _far) = UnixStream::pair().expect("a pair");
    epoll.add(near.as_raw_fd(), 1, BOTH).expect("a socket can be added");
    drop(near);
    assert_eq!(poll(&epoll), []);
}

#[test]
fn more_events_than_the_buffer_holds_come_with_the_next_waits() {
    let epoll = Epoll::new().expect("an epoll instance");
    let pairs: Vec<_> = (0..10).map(|_| UnixStream::pair().expect("a pair")).collect();
    for (token, (near, _)) in (0..).zip(&pairs) {
        epoll.add(near.as_raw_fd(), token, WRITE).expect("a socket can be added");
    }
    let mut events = Events::with_capacity(4);
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        epoll.wait(&mut events, Some(Duration::ZERO)).expect("no signal comes here");
        assert!(events.iter().count() <= 4);
        seen.extend(events.iter().map(|event| event.token));
    }
    assert_eq!(seen, (0..10).collect());
}

#[test]
fn an_empty_wait_forgets_the_events_of_the_one_before() {
    let epoll = Epoll::new().expect("an epoll instance");
    let (near, _far) = UnixStream::pair().expect("a pair");
    epoll.add(near.as_raw_fd(), 1, WRITE).expect("a socket can be added");
    let mut events = Events::with_capacity(4);
    epoll.wait(&mut events, None).expect("no signal comes here");
    assert_eq!(format!("{events:?}"), "[Event { token: 1, readable: false, writable: true, is_exceptional: false }]");
    epoll.delete(near.as_raw_fd()).expect("it is registered");
    epoll.wait(&mut events, Some(Duration::ZERO)).expect("no signal comes here");
    assert_eq!(events.iter().count(), 0);
    events.clear();
    assert_eq!(events.iter().count(), 0);
}

#[test]
fn a_wait_lasts_to_the_nanosecond_it_was_given_or_longer() {
    let epoll = Epoll::new().expect("an epoll instance");
    let mut events = Events::with_capacity(4);
    for nanos in [1, 999, 1_001, 300_000] {
        let before = clock::monotonic();
        epoll.wait(&mut events, Some(Duration::from_nanos(nanos))).expect("no signal comes here");
        assert!(clock::monotonic() - before >= nanos, "{nanos}");
    }
}
