//! Streams: what is sent arrives, in order; ends, resets and closing as on Linux. Windows, handshakes and faults have files of their own.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::Interest;
use soliloop_engine::world::sim::{Family, Fault, HostId, Kind, Quality, Simulated};
use world::*;

/// The same claim on a link that is perfect and on one that is not.
fn on_both(claim: fn(Quality)) {
    claim(Quality::PERFECT);
    claim(slow(MILLIS_10));
}

#[test]
fn bytes_arrive_in_order() {
    on_both(|quality| {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        for word in ["one ", "two ", "three"] {
            assert_eq!(send(&mut world, near, word.as_bytes()), Ok(word.len()));
        }
        assert_eq!(send(&mut world, far, b"back"), Ok(4));
        run(&mut world);
        assert_eq!(read(&mut world, far), b"one two three");
        assert_eq!(read(&mut world, near), b"back");
        assert_eq!(end(&mut world, far), Err(Fault::WouldBlock));
    });
}

#[test]
fn what_is_kept_can_be_read_again() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, b"word").unwrap();
    let mut buffer = [0; 2];
    assert_eq!(world.receive(far, &mut buffer, true), Ok(2));
    assert_eq!(world.readable_bytes(far), Ok(4));
    assert_eq!(read(&mut world, far), b"word");
}

#[test]
fn a_half_that_was_ended_leaves_the_other_one() {
    on_both(|quality| {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        send(&mut world, near, b"question").unwrap();
        assert_eq!(world.end_writing(near), Ok(()));
        assert_eq!(send(&mut world, near, b"more"), Err(Fault::BrokenPipe));
        assert!(world.readiness(near).unwrap().writable, "a write would not block");
        run(&mut world);
        assert_eq!(read(&mut world, far), b"question");
        assert_eq!(end(&mut world, far), Ok(0));
        assert!(world.readiness(far).unwrap().is_exceptional);
        send(&mut world, far, b"answer").unwrap();
        run(&mut world);
        assert_eq!(read(&mut world, near), b"answer");
        world.close(far);
        run(&mut world);
        assert_eq!(end(&mut world, near), Ok(0));
        world.close(near);
        assert_empty(&mut world);
    });
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    on_both(|quality| {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        send(&mut world, near, b"last words").unwrap();
        world.close(near);
        assert_eq!(world.local_name(near), Err(Fault::BadSocket));
        assert_eq!(send(&mut world, near, b"x"), Err(Fault::BadSocket));
        run(&mut world);
        assert_eq!(read(&mut world, far), b"last words");
        assert_eq!(end(&mut world, far), Ok(0));
        world.close(far);
        assert_empty(&mut world);
    });
}

#[test]
fn closing_with_unread_bytes_resets() {
    on_both(|quality| {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        send(&mut world, near, b"unread").unwrap();
        send(&mut world, far, b"came before").unwrap();
        run(&mut world);
        world.close(far);
        run(&mut world);
        assert_eq!(read(&mut world, near), b"came before", "a reset does not take away what has come");
        assert!(world.readiness(near).unwrap().readable);
        assert_eq!(world.peer_name(near), Err(Fault::NotConnected));
        world.close(near);
        assert_empty(&mut world);
    });
}

#[test]
fn a_reset_is_told_once() {
    on_both(|quality| {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        world.abort(far);
        run(&mut world);
        assert_eq!(end(&mut world, near), Err(Fault::ConnectionReset));
        assert_eq!(end(&mut world, near), Ok(0));
        assert_eq!(send(&mut world, near, b"x"), Err(Fault::BrokenPipe));
        assert_eq!(world.take_error(near), Ok(None));
        assert_eq!(world.end_writing(near), Err(Fault::NotConnected));
        world.close(near);
        assert_empty(&mut world);
    });
}

#[test]
fn many_refusals_are_one_reset() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, _) = connection(&mut world, a, b);
    world.crash(b);
    world.restart(b);
    let begun = world.now();
    for _ in 0..5 {
        send(&mut world, near, b"late").unwrap();
        run_for(&mut world, MILLIS_10 / 10);
    }
    run(&mut world);
    assert_eq!(begun.until(world.now()), 2 * MILLIS_10, "the other four move no clock");
    assert_eq!(world.take_error(near), Ok(Some(Fault::ConnectionReset)));
    assert_eq!(world.take_error(near), Ok(None));
}

#[test]
fn who_writes_after_the_peers_end_finds_the_pipe_broken() {
    on_both(|quality| {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        world.close(far);
        run(&mut world);
        assert_eq!(end(&mut world, near), Ok(0));
        assert_eq!(send(&mut world, near, b"x"), Ok(1), "the first one is only refused when it arrives");
        run(&mut world);
        assert_eq!(end(&mut world, near), Ok(0), "the end stays the end");
        assert_eq!(send(&mut world, near, b"x"), Err(Fault::BrokenPipe));
        world.close(near);
        assert_empty(&mut world);
    });
}

#[test]
fn bytes_for_a_socket_that_was_closed_reset_the_sender() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, b"crossing").unwrap();
    world.close(far);
    run(&mut world);
    assert_eq!(world.take_error(near), Ok(Some(Fault::BrokenPipe)), "the end came first, then the reset");
    world.close(near);
    assert_empty(&mut world);
}

#[test]
fn a_reading_half_that_was_ended_gives_what_had_come() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, b"early").unwrap();
    assert_eq!(world.end_reading(far), Ok(()));
    assert_eq!(read(&mut world, far), b"early");
    assert_eq!(end(&mut world, far), Ok(0));
    assert_eq!(send(&mut world, near, b"the peer learns nothing of it"), Ok(29));
    world.end_writing(far).unwrap();
    send(&mut world, near, b"now it does").unwrap();
    assert_eq!(world.take_error(near), Ok(Some(Fault::BrokenPipe)));
}

#[test]
fn a_socket_without_a_connection_says_so() {
    let mut world = Simulated::new(0);
    let id = stream(&mut world, HostId::MAIN);
    assert_eq!(end(&mut world, id), Err(Fault::NotConnected));
    assert_eq!(send(&mut world, id, b"x"), Err(Fault::BrokenPipe));
    assert_eq!(world.end_writing(id), Err(Fault::NotConnected));
    assert_eq!(world.end_reading(id), Err(Fault::NotConnected));
    assert_eq!(world.peer_name(id), Err(Fault::NotConnected));
    assert_eq!(world.accept(id), Err(Fault::Invalid));
    let now = world.readiness(id).unwrap();
    assert!(now.readable && now.writable, "a hang-up, as epoll has it");
    world.close(id);
    assert_eq!(world.readiness(id), Err(Fault::BadSocket));
    assert_eq!(world.watch(id, Interest::READ), Err(Fault::BadSocket));
    world.close(id);
    assert_empty(&mut world);
}

#[test]
fn what_is_ready_is_told_as_long_as_it_is() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    world.watch(far, Interest::READ).unwrap();
    assert_eq!(ready(&mut world), []);
    assert!(!world.has_ready());
    send(&mut world, near, b"word").unwrap();
    assert_eq!(ready(&mut world), [(far, true, false)]);
    assert_eq!(ready(&mut world), [(far, true, false)]);
    read(&mut world, far);
    assert_eq!(ready(&mut world), []);
    assert!(!world.has_ready());
    world.watch(far, WATCH_BOTH).unwrap();
    assert_eq!(ready(&mut world), [(far, false, true)]);
    world.watch(far, Interest::NONE).unwrap();
    assert_eq!(ready(&mut world), []);
}

#[test]
fn a_change_is_told_once_where_that_was_asked_for() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    world.watch(far, Interest::edges(false)).unwrap();
    assert_eq!(ready(&mut world), []);
    send(&mut world, near, b"word").unwrap();
    assert_eq!(ready(&mut world), [(far, true, false)]);
    assert_eq!(ready(&mut world), []);
    world.close(near);
    let mut events = Vec::new();
    world.take_ready(&mut events);
    assert!(events[0].1.is_exceptional, "the end is a change of its own");
    assert_eq!(ready(&mut world), []);
}

#[test]
fn a_closed_socket_is_never_ready() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    world.watch(near, WATCH_BOTH).unwrap();
    send(&mut world, near, b"still under way").unwrap();
    world.close(near);
    world.close(far);
    assert_eq!(ready(&mut world), []);
    while world.next_event().is_some() {
        step(&mut world);
        assert_eq!(ready(&mut world), []);
        assert!(!world.has_ready(), "the clock would stand still for ever");
    }
    assert_empty(&mut world);
}

#[test]
fn a_number_is_never_given_out_twice() {
    let mut world = Simulated::new(0);
    let first = stream(&mut world, HostId::MAIN);
    world.close(first);
    let second = stream(&mut world, HostId::MAIN);
    assert_eq!(first.index(), second.index());
    assert_ne!(first, second);
    assert_eq!(world.kind(first), Err(Fault::BadSocket));
    assert_eq!(world.kind(second), Ok((Family::V4, Kind::Stream)));
}

#[test]
fn ten_thousand_connections_leave_nothing() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let listener = serve(&mut world, b, PORT, 20_000);
    let callers: Vec<_> = (0..10_000).map(|_| call(&mut world, a, b).0).collect();
    run_for(&mut world, 4 * MILLIS_10);
    for caller in callers {
        send(&mut world, caller, b"hello").unwrap();
        world.close(caller);
    }
    run_for(&mut world, 4 * MILLIS_10);
    for _ in 0..10_000 {
        let (end, _) = world.accept(listener).unwrap();
        assert_eq!(read(&mut world, end), b"hello");
        world.close(end);
    }
    world.close(listener);
    assert_empty(&mut world);
}
