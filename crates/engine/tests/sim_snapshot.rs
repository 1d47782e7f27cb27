//! The world as text: what a person reads when a test has failed.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{Family, HostId, Kind, Quality, Simulated};
use std::time::Duration;
use world::*;

/// A snapshot without its first line, which has the digest.
fn body(world: &Simulated) -> Vec<String> {
    world.snapshot().to_string().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn an_untouched_world() {
    let world = Simulated::new(0);
    let text = world.snapshot().to_string();
    assert!(text.starts_with("at 0.000000000 s, 0 events ahead, digest "), "{text}");
    assert_eq!(body(&world), ["host main: 10.0.0.1, fd00::1"]);
}

#[test]
fn every_state_of_a_socket_has_a_line() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    serve(&mut world, b, 8080, 3);
    datagrams(&mut world, b, 7);
    stream(&mut world, b);
    send(&mut world, far, b"1234").unwrap();
    run(&mut world);
    world.set_cut(a, b, true);
    send(&mut world, near, b"123").unwrap();
    world.end_writing(near).unwrap();
    call(&mut world, a, b).1.unwrap_err();
    world.pair(HostId::MAIN, Family::Unix, Kind::Stream);
    run_for(&mut world, Duration::from_secs(1));
    world.crash(HostId::MAIN);
    let text = world.snapshot().to_string();
    assert!(text.starts_with("at 1.040000000 s"), "{text}");
    assert_eq!(
        body(&world),
        [
            "host main (down): 10.0.0.1, fd00::1",
            "host a: 10.0.0.2, fd00::2",
            "  tcp4 10.0.0.2:32768 -> 10.0.0.3:80: half-closed, 4 B unread, 3 B under way, sent 3 times in vain",
            "  tcp4 10.0.0.2:32769 -> 10.0.0.3:80: connecting (attempt 2), 0 B unread, 0 B under way",
            "host b: 10.0.0.3, fd00::3",
            "  tcp4 0.0.0.0:8080: listening, 0 of 3 waiting",
            "  tcp4 10.0.0.3:80 -> 10.0.0.2:32768: open, 0 B unread, 0 B under way",
            "  udp4 0.0.0.0:7: 0 datagrams unread",
            "  tcp4 0.0.0.0:0: unconnected",
            "link a -> b: cut, Fixed(10ms)",
            "link b -> a: Fixed(10ms)",
        ]
    );
}

#[test]
fn a_closed_socket_is_there_until_all_has_arrived() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, _) = connection(&mut world, a, b);
    world.close(near);
    let line = &body(&world)[2];
    assert!(line.ends_with("half-closed, 0 B unread, 0 B under way, closed here"), "{line}");
}

#[test]
fn what_is_particular_about_a_link_is_shown() {
    let quality = Quality { jitter: MILLIS_10, bandwidth: Some(1000.0), loss: 0.5, reorder: 0.25, ..Quality::PERFECT };
    let (world, ..) = two_hosts(quality);
    let lines = body(&world);
    assert_eq!(lines[3], "link a -> b: Fixed(0ns), loss 0.5, reorder 0.25, jitter 10ms, 1000 B/s");
}
