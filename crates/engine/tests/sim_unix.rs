//! Unix sockets of the simulated network: paths, names of their own space, pairs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::Interest;
use soliloop_engine::world::sim::{Address, BindOptions, Family, Fault, HostId, Kind, SocketId};
use world::Net;

fn path(name: &str) -> Address {
    Address::Path(name.as_bytes().to_vec())
}

impl Net {
    fn bound(&mut self, host: HostId, kind: Kind, address: &Address) -> SocketId {
        let id = self.world.socket(host, Family::Unix, kind);
        self.world.bind(id, address, BindOptions::default()).unwrap();
        id
    }

    fn unix_listener(&mut self, host: HostId, address: &Address, backlog: usize) -> SocketId {
        let id = self.bound(host, Kind::Stream, address);
        self.world.listen(id, backlog).unwrap();
        id
    }
}

#[test]
fn a_path_leads_to_its_listener() {
    for name in ["/run/x", "\0of its own space"] {
        let mut net = Net::perfect();
        let listener = net.unix_listener(net.a, &path(name), 1);
        let near = net.world.socket(net.a, Family::Unix, Kind::Stream);
        net.world.connect(near, &path(name)).unwrap();
        let (far, peer) = net.world.accept(listener).unwrap();
        assert_eq!(peer, Address::Nameless);
        assert_eq!(net.world.peer_name(near), Ok(path(name)));
        assert_eq!(net.world.local_name(far), Ok(path(name)));
        net.write(near, b"hello").unwrap();
        assert_eq!(net.read(far).unwrap(), b"hello");
        net.world.close(far);
        assert_eq!(net.read(near), Ok(Vec::new()));
        assert_eq!(net.write(near, b"x"), Err(Fault::BrokenPipe), "on one host it is known at once");
    }
}

#[test]
fn a_path_is_one_of_its_host() {
    let mut net = Net::perfect();
    net.unix_listener(net.a, &path("/run/x"), 1);
    let stranger = net.world.socket(net.b, Family::Unix, Kind::Stream);
    assert_eq!(net.world.connect(stranger, &path("/run/x")), Err(Fault::NoSuchPath));
    assert_eq!(net.world.connect(stranger, &path("\0x")), Err(Fault::ConnectionRefused));
    net.unix_listener(net.b, &path("/run/x"), 1);
    assert_eq!(net.world.connect(stranger, &path("/run/x")), Ok(()));
    assert!(net.world.serves(net.a, Kind::Stream, &path("/run/x")));
    assert!(!net.world.serves(net.a, Kind::Stream, &path("/run/y")));
}

#[test]
fn a_path_is_taken_until_it_is_closed() {
    let mut net = Net::perfect();
    let first = net.bound(net.a, Kind::Stream, &path("/x"));
    let second = net.world.socket(net.a, Family::Unix, Kind::Stream);
    assert_eq!(net.world.bind(second, &path("/x"), BindOptions::default()), Err(Fault::AddressInUse));
    assert_eq!(net.world.connect(second, &path("/x")), Err(Fault::ConnectionRefused), "bound, but not listening");
    net.world.close(first);
    assert_eq!(net.world.bind(second, &path("/x"), BindOptions::default()), Ok(()));
    assert_eq!(net.world.bind(second, &path("/y"), BindOptions::default()), Err(Fault::Invalid));
}

#[test]
fn a_full_queue_refuses_for_now() {
    let mut net = Net::perfect();
    let listener = net.unix_listener(net.a, &path("/x"), 0);
    let [first, second] = [0, 1].map(|_| net.world.socket(net.a, Family::Unix, Kind::Stream));
    net.world.connect(first, &path("/x")).unwrap();
    assert_eq!(net.world.connect(second, &path("/x")), Err(Fault::WouldBlock));
    net.world.accept(listener).unwrap();
    assert_eq!(net.world.connect(second, &path("/x")), Ok(()));
}

#[test]
fn who_asks_for_any_name_gets_one_that_is_free() {
    let mut net = Net::perfect();
    let [first, second] = [0, 1].map(|_| net.bound(net.a, Kind::Datagram, &Address::Nameless));
    assert_eq!(net.world.local_name(first), Ok(path("\x0000000")));
    assert_eq!(net.world.local_name(second), Ok(path("\x0000001")));
    net.world.send_to(first, b"hello", Some(&path("\x0000001"))).unwrap();
    let mut buffer = [0; 8];
    assert_eq!(net.world.receive_from(second, &mut buffer, false), Ok((5, path("\x0000000"))));
}

#[test]
fn the_ends_of_a_pair_are_connected() {
    let mut net = Net::perfect();
    let (one, other) = net.world.pair(net.a, Family::Unix, Kind::Stream);
    net.write(one, b"abc").unwrap();
    net.write(one, b"def").unwrap();
    assert_eq!(net.read(other).unwrap(), b"abcdef");
    assert_eq!(net.world.peer_name(one), Ok(Address::Nameless));
    net.world.close(other);
    assert_eq!(net.read(one), Ok(Vec::new()));
    net.world.close(one);

    let (one, other) = net.world.pair(net.a, Family::Unix, Kind::Datagram);
    net.write(one, b"abc").unwrap();
    net.write(one, b"def").unwrap();
    assert_eq!(net.read(other).unwrap(), b"abc");
    assert_eq!(net.read(other).unwrap(), b"def");
    net.world.close(other);
    assert_eq!(net.write(one, b"x"), Err(Fault::ConnectionRefused));
    net.world.close(one);
    assert_eq!(net.world.sockets_len(), 0);
}

#[test]
fn who_has_filled_the_receiver_is_told_of_room() {
    let mut net = Net::perfect();
    let (one, other) = net.world.pair(net.a, Family::Unix, Kind::Datagram);
    let mut sent = 0;
    while net.write(one, &[0; 1000]).is_ok() {
        sent += 1;
    }
    assert_eq!(sent, 212);
    assert_eq!(net.write(one, &[0; 1000]), Err(Fault::WouldBlock));
    net.world.watch(one, Interest { read: false, write: true, is_edge: false }).unwrap();
    let mut ready = Vec::new();
    net.world.take_ready(&mut ready);
    assert!(ready.is_empty() && !net.world.has_ready(), "else a loop that waits for room would never let time pass");
    net.read(other).unwrap();
    net.world.take_ready(&mut ready);
    assert_eq!(ready.len(), 1);
    assert_eq!(net.write(one, &[0; 1000]), Ok(1000));
    assert_eq!(net.write(one, &[0; 1000]), Err(Fault::WouldBlock));
    net.world.close(other);
    assert!(net.world.readiness(one).unwrap().writable);
    assert_eq!(net.write(one, b"x"), Err(Fault::ConnectionRefused));
}

#[test]
fn datagrams_go_by_path() {
    let mut net = Net::perfect();
    let server = net.bound(net.a, Kind::Datagram, &path("/server"));
    let client = net.world.socket(net.a, Family::Unix, Kind::Datagram);
    assert_eq!(net.world.connect(client, &path("/nobody")), Err(Fault::NoSuchPath));
    net.world.connect(client, &path("/server")).unwrap();
    net.write(client, b"x").unwrap();
    let mut buffer = [0; 8];
    assert_eq!(net.world.receive_from(server, &mut buffer, false), Ok((1, Address::Nameless)));
    assert_eq!(net.world.send_to(server, b"x", Some(&Address::Nameless)), Err(Fault::WrongFamily));
    net.world.close(server);
    assert_eq!(net.write(client, b"x"), Err(Fault::NoSuchPath));
}
