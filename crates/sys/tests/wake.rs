//! The waker: readable from the first wake until the reset, from whatever thread.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use soliloop_sys::epoll::{Epoll, Events, Interest};
use soliloop_sys::wake::Waker;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

fn is_readable(waker: &Waker) -> bool {
    let epoll = Epoll::new().expect("an epoll instance");
    epoll.add(waker.descriptor(), 1, Interest::READ).expect("an eventfd can be added");
    let mut events = Events::with_capacity(4);
    epoll.wait(&mut events, Some(Duration::ZERO)).expect("no signal comes here");
    events.iter().any(|event| event.token == 1 && event.readable)
}

#[test]
fn it_is_readable_from_wake_to_reset() {
    let waker = Waker::new().expect("an eventfd");
    assert!(!is_readable(&waker));
    waker.wake();
    assert!(is_readable(&waker));
    assert!(is_readable(&waker), "looking does not use it up");
    waker.reset();
    assert!(!is_readable(&waker));
}

#[test]
fn one_reset_takes_back_many_wakes_and_a_needless_one_does_nothing() {
    let waker = Waker::new().expect("an eventfd");
    (0..1000).for_each(|_| waker.wake());
    waker.reset();
    assert!(!is_readable(&waker));
    waker.reset();
    waker.wake();
    assert!(is_readable(&waker));
}

#[test]
fn it_ends_a_wait_of_another_thread() {
    let waker = Arc::new(Waker::new().expect("an eventfd"));
    let epoll = Epoll::new().expect("an epoll instance");
    epoll.add(waker.descriptor(), 1, Interest::READ).expect("an eventfd can be added");
    let remote = Arc::clone(&waker);
    let thread = thread::spawn(move || remote.wake());
    let mut events = Events::with_capacity(4);
    epoll.wait(&mut events, None).expect("no signal comes here");
    assert_eq!(events.iter().count(), 1);
    thread.join().expect("waking does not panic");
}
