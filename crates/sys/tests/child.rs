//! The end of a child process: an event, and a status that is given once.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::zombie_processes, reason = "the status is taken by what is tested")]

use soliloop_sys::child::Child;
use soliloop_sys::epoll::{Epoll, Events, Interest};
use std::process::{Command, Stdio};
use std::time::Duration;

fn is_readable(epoll: &Epoll, timeout: Option<Duration>) -> bool {
    let mut events = Events::with_capacity(4);
    epoll.wait(&mut events, timeout).expect("no signal comes here");
    events.iter().any(|event| event.token == 1 && event.readable)
}

fn number(process: &std::process::Child) -> i32 {
    process.id().try_into().expect("a process number")
}

#[test]
fn the_end_is_an_event() {
    let mut process =
        Command::new("/bin/sh").args(["-c", "read x; exit 3"]).stdin(Stdio::piped()).spawn().expect("a shell");
    let child = Child::new(number(&process)).expect("a descriptor of a process");
    let epoll = Epoll::new().expect("an epoll instance");
    epoll.add(child.descriptor(), 1, Interest::READ).expect("it can be watched");
    assert!(!is_readable(&epoll, Some(Duration::ZERO)));
    drop(process.stdin.take());
    assert!(is_readable(&epoll, None));
    assert_eq!(child.status().expect("a status"), 3);
    assert!(child.status().is_err(), "it is given once");
}

#[test]
fn a_signal_is_a_negative_status() {
    let mut process = Command::new("sleep").arg("3600").spawn().expect("a program");
    let child = Child::new(number(&process)).expect("a descriptor of a process");
    process.kill().expect("it runs");
    assert_eq!(child.status().expect("a status"), -9);
}

#[test]
fn there_is_no_process_without_a_number() {
    assert!(Child::new(0).is_err());
}
