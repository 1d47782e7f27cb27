//! The waker: an event for each wake, from whatever thread.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use soliloop_sys::epoll::{Epoll, Events};
use soliloop_sys::wake::Waker;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn watched() -> (Epoll, Waker) {
    let (epoll, waker) = (Epoll::new().expect("an epoll instance"), Waker::new().expect("an eventfd"));
    epoll.add_edge(waker.descriptor(), 1).expect("an eventfd can be added");
    (epoll, waker)
}

fn is_told(epoll: &Epoll) -> bool {
    let mut events = Events::with_capacity(4);
    epoll.wait(&mut events, Some(Duration::ZERO)).expect("no signal comes here");
    events.iter().any(|event| event.token == 1 && event.readable)
}

#[test]
fn each_wake_is_told_once() {
    let (epoll, waker) = watched();
    assert!(!is_told(&epoll));
    for _ in 0..3 {
        waker.wake();
        assert!(is_told(&epoll));
        assert!(!is_told(&epoll), "looking uses it up");
    }
}

#[test]
fn many_wakes_before_a_look_are_one() {
    let (epoll, waker) = watched();
    (0..1000).for_each(|_| waker.wake());
    assert!(is_told(&epoll));
    assert!(!is_told(&epoll));
}

#[test]
fn it_ends_a_wait_of_another_thread() {
    let waker = Arc::new(Waker::new().expect("an eventfd"));
    let epoll = Epoll::new().expect("an epoll instance");
    epoll.add_edge(waker.descriptor(), 1).expect("an eventfd can be added");
    let remote = Arc::clone(&waker);
    let thread = thread::spawn(move || remote.wake());
    let mut events = Events::with_capacity(4);
    epoll.wait(&mut events, None).expect("no signal comes here");
    assert_eq!(events.iter().count(), 1);
    thread.join().expect("waking does not panic");
}
