//! Flow control: who sends faster than the peer reads must wait, and goes on when there is room.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::Interest;
use soliloop_engine::world::sim::{Fault, Quality, WINDOW};
use world::*;

#[test]
fn a_window_is_all_that_is_taken() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        let much = vec![7; WINDOW + 5];
        assert_eq!(send(&mut world, near, &much), Ok(WINDOW));
        assert_eq!(send(&mut world, near, b"x"), Err(Fault::WouldBlock));
        assert_eq!(send(&mut world, near, b""), Ok(0));
        assert!(!world.readiness(near).unwrap().writable);
        run(&mut world);
        assert_eq!(world.readable_bytes(far), Ok(WINDOW));
        assert_eq!(send(&mut world, near, b"x"), Err(Fault::WouldBlock), "it has come, but was not read");
        assert_eq!(read(&mut world, far).len(), WINDOW);
        run(&mut world);
        assert!(world.readiness(near).unwrap().writable);
        let again = send(&mut world, near, &much).unwrap();
        assert!(again > WINDOW / 4 * 3, "all of it was credited but a rest: {again}");
    }
}

#[test]
fn a_writer_is_told_when_a_quarter_of_the_window_is_free() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    world.watch(near, Interest { read: false, write: true, is_edge: true }).unwrap();
    assert_eq!(ready(&mut world), [(near, false, true)]);
    send(&mut world, near, &vec![7; WINDOW]).unwrap();
    run(&mut world);
    assert_eq!(ready(&mut world), []);
    let begun = world.now();
    let mut part = vec![0; WINDOW / 4 - 1];
    world.receive(far, &mut part, false).unwrap();
    run(&mut world);
    assert_eq!(ready(&mut world), []);
    assert_eq!(world.now(), begun, "a little is not worth a word");
    world.receive(far, &mut [0; 1], false).unwrap();
    run(&mut world);
    assert_eq!(ready(&mut world), [(near, false, true)]);
    assert_eq!(begun.until(world.now()), MILLIS_10, "the word travels as everything does");
    assert_eq!(ready(&mut world), []);
}

#[test]
fn chunks_are_cut_where_the_window_ends() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, &vec![1; WINDOW - 3]).unwrap();
    let chunks = [&b"ab"[..], b"", b"cde"].map(std::io::IoSlice::new);
    assert_eq!(world.transmit(near, &chunks), Ok(3));
    run(&mut world);
    assert!(read(&mut world, far).ends_with(b"\x01abc"));
}

#[test]
fn the_two_directions_have_windows_of_their_own() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    let much = vec![7; 2 * WINDOW];
    assert_eq!(send(&mut world, near, &much), Ok(WINDOW));
    assert_eq!(send(&mut world, far, &much), Ok(WINDOW));
    run(&mut world);
    assert_eq!(read(&mut world, near).len(), WINDOW);
    assert_eq!(read(&mut world, far).len(), WINDOW);
}

#[test]
fn much_arrives_whole_through_small_reads() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    let all: Vec<u8> = (0..2_000_000_u32).map(|number| (number % 251) as u8).collect();
    let (mut sent, mut got, mut buffer) = (0, Vec::new(), [0; 1777]);
    while got.len() < all.len() {
        sent += send(&mut world, near, &all[sent..]).unwrap_or(0);
        match world.receive(far, &mut buffer, false) {
            Ok(count) => got.extend_from_slice(&buffer[..count]),
            Err(fault) => {
                assert_eq!(fault, Fault::WouldBlock);
                step(&mut world);
            }
        }
    }
    assert!(got == all);
    // A window a round trip, with the handshake before.
    assert!(time(&world) > millis(150) && time(&world) < millis(300), "{:?}", time(&world));
}

#[test]
fn a_window_can_be_set_and_is_kept_to_the_byte() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        world.set_window(near, 10).unwrap();
        assert_eq!(send(&mut world, near, &[7; 20]), Ok(10));
        assert_eq!(send(&mut world, near, b"x"), Err(Fault::WouldBlock));
        run(&mut world);
        assert!(!world.readiness(near).unwrap().writable);
        world.receive(far, &mut [0; 3], false).unwrap();
        run(&mut world);
        assert!(world.readiness(near).unwrap().writable);
        assert_eq!(send(&mut world, near, &[7; 20]), Ok(3));
        assert_eq!(send(&mut world, far, &vec![7; WINDOW + 1]), Ok(WINDOW), "the other direction has its own");
    }
}

#[test]
fn a_window_that_shrinks_below_what_is_in_it_waits_for_the_reader() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, &[7; 100]).unwrap();
    run(&mut world);
    // Too little to be credited, as long as the window is the usual one.
    world.receive(far, &mut [0; 30], false).unwrap();
    run(&mut world);
    world.set_window(near, 50).unwrap();
    run(&mut world);
    assert_eq!(send(&mut world, near, b"x"), Err(Fault::WouldBlock));
    world.receive(far, &mut [0; 30], false).unwrap();
    run(&mut world);
    assert_eq!(send(&mut world, near, &[7; 100]), Ok(10));
    run(&mut world);
    assert_eq!(read(&mut world, far).len(), 50);
    run(&mut world);
    assert_eq!(send(&mut world, near, &[7; 100]), Ok(50));
}

#[test]
fn a_window_is_inherited_by_what_connects_and_what_is_accepted() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let listener = serve(&mut world, b, PORT, 1);
        world.set_window(listener, 5).unwrap();
        let near = stream(&mut world, a);
        world.set_window(near, 7).unwrap();
        let to = port_of(&world, b, PORT);
        let _ = world.connect(near, &to);
        run(&mut world);
        let (far, _) = world.accept(listener).unwrap();
        for (sender, receiver, window) in [(near, far, 7), (far, near, 5)] {
            assert_eq!(send(&mut world, sender, &[7; 100]), Ok(window));
            run(&mut world);
            world.receive(receiver, &mut [0; 1], false).unwrap();
            run(&mut world);
            assert_eq!(send(&mut world, sender, &[7; 100]), Ok(1), "each byte is credited");
        }
    }
}

#[test]
fn a_window_has_a_byte_at_least_and_datagrams_have_none() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, _) = connection(&mut world, a, b);
    world.set_window(near, 0).unwrap();
    assert_eq!(send(&mut world, near, b"xy"), Ok(1));
    let datagrams = datagrams(&mut world, a, PORT);
    assert_eq!(world.set_window(datagrams, 1), Err(Fault::NotSupported));
}
