//! Sockets that go to another world: with what is in them, or not at all.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{BindOptions, Family, Fault, HostId, Kind, Simulated, WINDOW};
use world::*;

#[test]
fn a_pair_goes_with_what_was_not_read() {
    let (mut from, mut to) = (Simulated::new(0), Simulated::new(0));
    // The numbers are others over there.
    stream(&mut to, HostId::MAIN);
    let (one, other) = from.pair(HostId::MAIN, Family::Unix, Kind::Stream);
    send(&mut from, one, b"there").unwrap();
    send(&mut from, other, b"back").unwrap();
    let moved = from.move_to(other, &mut to, HostId::MAIN).unwrap();
    assert_eq!(moved.iter().map(|(before, _)| *before).collect::<Vec<_>>(), [other, one]);
    let (other_now, one_now) = (moved[0].1, moved[1].1);
    for gone in [one, other] {
        assert_eq!(from.kind(gone), Err(Fault::BadSocket));
        assert_eq!(from.move_to(gone, &mut to, HostId::MAIN), Err(Fault::BadSocket));
    }
    assert_eq!(read(&mut to, other_now), b"there");
    assert_eq!(read(&mut to, one_now), b"back");
    let rest = WINDOW - b"there".len();
    assert_eq!(send(&mut to, one_now, &vec![0; WINDOW]), Ok(rest), "the window is as it was");
    to.close(one_now);
    assert_eq!(read(&mut to, other_now).len(), rest);
    assert!(end(&mut to, other_now).is_ok());
}

#[test]
fn a_pair_goes_to_a_host_whose_links_are_not_its_own() {
    let mut from = Simulated::new(0);
    let (mut to, a, _) = two_hosts(slow(MILLIS_10));
    let (one, _) = from.pair(HostId::MAIN, Family::Unix, Kind::Stream);
    let moved = from.move_to(one, &mut to, a).unwrap();
    for (_, id) in &moved {
        assert_eq!(to.host_of(*id), Ok(a));
    }
    send(&mut to, moved[0].1, b"hello").unwrap();
    assert_eq!(read(&mut to, moved[1].1), b"hello", "a host reaches itself at once");
}

#[test]
fn an_end_whose_peer_is_gone_goes_alone() {
    let (mut from, mut to) = (Simulated::new(0), Simulated::new(0));
    let (one, other) = from.pair(HostId::MAIN, Family::Unix, Kind::Stream);
    send(&mut from, other, b"last words").unwrap();
    from.close(other);
    let moved = from.move_to(one, &mut to, HostId::MAIN).unwrap();
    assert_eq!(moved.len(), 1);
    // Whoever has the number of the old peer over there is not meant.
    let stranger = stream(&mut to, HostId::MAIN);
    assert_eq!(read(&mut to, moved[0].1), b"last words");
    assert_eq!(to.receive(moved[0].1, &mut [0; 1], false), Ok(0));
    assert_eq!(send(&mut to, moved[0].1, b"x"), Err(Fault::BrokenPipe));
    assert!(to.is_open_socket(stranger));
}

#[test]
fn a_new_socket_goes() {
    let (mut from, mut to) = (Simulated::new(0), Simulated::new(0));
    let new = stream(&mut from, HostId::MAIN);
    let moved = from.move_to(new, &mut to, HostId::MAIN).unwrap();
    let listener = serve(&mut to, HostId::MAIN, PORT, 1);
    to.connect(moved[0].1, &internet("127.0.0.1:80")).unwrap();
    assert!(to.accept(listener).is_ok());
}

#[test]
fn what_is_not_at_rest_stays() {
    let mut to = Simulated::new(0);
    let mut from = Simulated::new(0);
    let listener = serve(&mut from, HostId::MAIN, PORT, 1);
    let datagrams = datagrams(&mut from, HostId::MAIN, PORT);
    let bound = stream(&mut from, HostId::MAIN);
    from.bind(bound, &internet("127.0.0.1:81"), BindOptions::default()).unwrap();
    let (watched, peer) = from.pair(HostId::MAIN, Family::Unix, Kind::Stream);
    from.watch(watched, WATCH_BOTH).unwrap();
    for id in [listener, datagrams, bound, watched, peer] {
        assert_eq!(from.move_to(id, &mut to, HostId::MAIN), Err(Fault::Invalid));
        assert!(from.is_open_socket(id));
    }
    let (mut slowly, a, b) = two_hosts(slow(MILLIS_10));
    let (near, _) = connection(&mut slowly, a, b);
    send(&mut slowly, near, b"under way").unwrap();
    assert_eq!(slowly.move_to(near, &mut to, HostId::MAIN), Err(Fault::Invalid));
    assert!(slowly.is_open_socket(near));
}
