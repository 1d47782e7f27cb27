//! Unix sockets: paths, names of their own space, pairs; streams and datagrams of one host.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{Address, BindOptions, Family, Fault, HostId, Kind, Simulated, SocketId};
use world::*;

fn path(text: &str) -> Address {
    Address::Path(text.as_bytes().to_vec())
}

fn unix(world: &mut Simulated, kind: Kind, at: Option<&str>) -> SocketId {
    let id = world.socket(HostId::MAIN, Family::Unix, kind);
    if let Some(at) = at {
        world.bind(id, &path(at), BindOptions::default()).unwrap();
    }
    id
}

#[test]
fn a_path_is_listened_at() {
    let mut world = Simulated::new(0);
    for at in ["/run/db.sock", "\0abstract"] {
        let listener = unix(&mut world, Kind::Stream, Some(at));
        let near = unix(&mut world, Kind::Stream, None);
        assert_eq!(world.connect(near, &path(at)), Err(Fault::ConnectionRefused));
        world.listen(listener, 5).unwrap();
        assert_eq!(world.connect(near, &path(at)), Ok(()));
        let (far, name) = world.accept(listener).unwrap();
        assert_eq!(name, Address::Nameless);
        assert_eq!(world.local_name(far), Ok(path(at)));
        assert_eq!(world.peer_name(near), Ok(path(at)));
        send(&mut world, near, b"hello").unwrap();
        assert_eq!(read(&mut world, far), b"hello");
        for id in [near, far, listener] {
            world.close(id);
        }
        unix(&mut world, Kind::Stream, Some(at));
    }
}

#[test]
fn paths_that_nobody_has() {
    let mut world = Simulated::new(0);
    let near = unix(&mut world, Kind::Stream, None);
    assert_eq!(world.connect(near, &path("/nowhere")), Err(Fault::NoSuchPath));
    assert_eq!(world.connect(near, &path("\0nowhere")), Err(Fault::ConnectionRefused));
    assert_eq!(world.connect(near, &internet("127.0.0.1:80")), Err(Fault::WrongFamily));
    assert_eq!(world.listen(near, 1), Err(Fault::Invalid));
    assert_eq!(send(&mut world, near, b"x"), Err(Fault::NotConnected));
    assert_eq!(end(&mut world, near), Err(Fault::Invalid));
    unix(&mut world, Kind::Stream, Some("/here"));
    assert_eq!(world.bind(near, &path("/here"), BindOptions::default()), Err(Fault::AddressInUse));
    let host = world.add_host("other", &[]).unwrap();
    let elsewhere = world.socket(host, Family::Unix, Kind::Stream);
    assert_eq!(world.bind(elsewhere, &path("/here"), BindOptions::default()), Ok(()), "each host has paths of its own");
}

#[test]
fn a_name_is_made_up_for_who_asks_for_none() {
    let mut world = Simulated::new(0);
    let [one, other] = [(); 2].map(|()| unix(&mut world, Kind::Datagram, None));
    for id in [one, other] {
        world.bind(id, &Address::Nameless, BindOptions::default()).unwrap();
    }
    assert_ne!(world.local_name(one), world.local_name(other));
    let to = world.local_name(other).unwrap();
    world.send_to(one, b"hello", Some(&to)).unwrap();
    assert_eq!(read(&mut world, other), b"hello");
}

#[test]
fn a_full_backlog_is_told_at_once() {
    let mut world = Simulated::new(0);
    let listener = unix(&mut world, Kind::Stream, Some("/s"));
    world.listen(listener, 0).unwrap();
    let [one, other] = [(); 2].map(|()| unix(&mut world, Kind::Stream, None));
    assert_eq!(world.connect(one, &path("/s")), Ok(()));
    assert_eq!(world.connect(other, &path("/s")), Err(Fault::WouldBlock));
    world.accept(listener).unwrap();
    assert_eq!(world.connect(other, &path("/s")), Ok(()));
    world.close(listener);
    assert_eq!(end(&mut world, other), Err(Fault::ConnectionReset));
}

#[test]
fn the_two_of_a_pair_hear_each_other() {
    let mut world = Simulated::new(0);
    let (one, other) = world.pair(HostId::MAIN, Family::Unix, Kind::Stream);
    send(&mut world, one, b"to the other").unwrap();
    send(&mut world, other, b"to the one").unwrap();
    assert_eq!(read(&mut world, one), b"to the one");
    assert_eq!(read(&mut world, other), b"to the other");
    assert_eq!(world.local_name(one), Ok(Address::Nameless));
    assert_eq!(world.peer_name(one), Ok(Address::Nameless));
    send(&mut world, one, b"rest").unwrap();
    world.close(one);
    assert_eq!(send(&mut world, other, b"x"), Err(Fault::BrokenPipe), "there is nobody, and it shows at once");
    assert_eq!(read(&mut world, other), b"rest");
    assert_eq!(end(&mut world, other), Ok(0));
    world.close(other);
    assert_empty(&mut world);
}

#[test]
fn who_stops_reading_stops_the_peers_writing() {
    let mut world = Simulated::new(0);
    let (one, other) = world.pair(HostId::MAIN, Family::Unix, Kind::Stream);
    world.end_reading(one).unwrap();
    assert_eq!(send(&mut world, other, b"x"), Err(Fault::BrokenPipe));
    assert_eq!(end(&mut world, one), Ok(0));
    assert_eq!(send(&mut world, one, b"x"), Ok(1));
}

#[test]
fn datagrams_of_a_pair() {
    let mut world = Simulated::new(0);
    let (one, other) = world.pair(HostId::MAIN, Family::Unix, Kind::Datagram);
    world.send_to(one, b"first", None).unwrap();
    world.send_to(one, &vec![7; 100_000], None).unwrap();
    assert_eq!(world.send_to(one, &vec![7; 300_000], None), Err(Fault::MessageTooLong));
    let mut buffer = vec![0; 200_000];
    assert_eq!(world.receive_from(other, &mut buffer, false), Ok((5, Address::Nameless)));
    assert_eq!(world.receive_from(other, &mut buffer, false), Ok((100_000, Address::Nameless)));
    world.close(other);
    assert_eq!(world.send_to(one, b"x", None), Err(Fault::ConnectionRefused));
}

#[test]
fn datagrams_to_a_path() {
    let mut world = Simulated::new(0);
    let server = unix(&mut world, Kind::Datagram, Some("/server"));
    let client = unix(&mut world, Kind::Datagram, Some("/client"));
    let stranger = unix(&mut world, Kind::Datagram, None);
    assert_eq!(world.send_to(client, b"x", None), Err(Fault::NotConnected));
    assert_eq!(world.send_to(client, b"x", Some(&path("/nowhere"))), Err(Fault::NoSuchPath));
    assert_eq!(world.connect(client, &path("/nowhere")), Err(Fault::NoSuchPath));
    world.connect(client, &path("/server")).unwrap();
    world.send_to(client, b"ping", None).unwrap();
    world.send_to(stranger, b"hello", Some(&path("/server"))).unwrap();
    let mut buffer = [0; 10];
    assert_eq!(world.receive_from(server, &mut buffer, false), Ok((4, path("/client"))));
    assert_eq!(world.receive_from(server, &mut buffer, false), Ok((5, Address::Nameless)));
    world.close(server);
    assert_eq!(world.send_to(client, b"x", None), Err(Fault::ConnectionRefused));
}

#[test]
fn a_sender_waits_for_room_and_is_told_of_it() {
    let mut world = Simulated::new(0);
    let (one, other) = world.pair(HostId::MAIN, Family::Unix, Kind::Datagram);
    world.watch(one, WATCH_BOTH).unwrap();
    let mut sent = 0;
    while world.send_to(one, &[7; 1000], None).is_ok() {
        sent += 1;
    }
    assert_eq!(world.send_to(one, &[7; 1000], None), Err(Fault::WouldBlock));
    assert_eq!(sent, 212_992 / 1028);
    assert_eq!(ready(&mut world), [], "it would spin if it were told that it may write");
    end(&mut world, other).unwrap();
    assert_eq!(ready(&mut world), [(one, false, true)]);
    assert_eq!(world.send_to(one, &[7; 1000], None), Ok(()));
    assert_eq!(world.send_to(one, &[7; 1000], None), Err(Fault::WouldBlock));
    world.close(other);
    assert_eq!(ready(&mut world), [(one, false, true)], "the write is what tells");
    assert_eq!(world.send_to(one, b"x", None), Err(Fault::ConnectionRefused));
}
