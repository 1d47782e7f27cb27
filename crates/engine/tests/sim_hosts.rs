//! Hosts: names and addresses, the world that is open until a host is added, ports, clocks.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{BindOptions, Family, Fault, HostError, HostId, Kind, Simulated};
use std::collections::BTreeSet;
use std::net::IpAddr;
use world::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn in_an_open_world_every_name_and_address_is_the_main_host() {
    let mut world = Simulated::new(0);
    assert!(world.is_open());
    let db = world.resolve("db.example.com");
    assert_eq!(world.resolve("DB.Example.com."), db);
    assert_ne!(world.resolve("web"), db);
    assert_eq!(world.name_of(db[0]), Some("db.example.com"));
    let listener = serve(&mut world, HostId::MAIN, PORT, 9);
    for to in [db[0], ip("93.184.216.34"), ip("127.0.0.1"), ip("0.0.0.0"), world.addresses(HostId::MAIN)[0]] {
        let near = stream(&mut world, HostId::MAIN);
        assert_eq!(world.connect(near, &internet(&format!("{to}:80"))), Ok(()), "{to}");
        assert!(world.accept(listener).is_ok());
    }
    let mut at = |address: &str| {
        let id = stream(&mut world, HostId::MAIN);
        world.bind(id, &internet(address), BindOptions::default())
    };
    assert_eq!(at("192.168.7.7:81"), Ok(()), "an address may be bound that nobody has given");
    assert_eq!(at("224.0.0.1:81"), Err(Fault::AddressNotAvailable));
}

#[test]
fn a_listener_at_one_name_does_not_hear_another() {
    let mut world = Simulated::new(0);
    let (db, web) = (world.resolve("db")[0], world.resolve("web")[0]);
    let listener = stream(&mut world, HostId::MAIN);
    world.bind(listener, &internet(&format!("{db}:80")), BindOptions::default()).unwrap();
    world.listen(listener, 9).unwrap();
    let near = stream(&mut world, HostId::MAIN);
    assert_eq!(world.connect(near, &internet(&format!("{web}:80"))), Err(Fault::ConnectionRefused));
    assert_eq!(
        world.connect(near, &internet(&format!("{db}:80"))),
        Ok(()),
        "with the address that suits the second try"
    );
    assert_eq!(world.local_name(near), Ok(internet(&format!("{db}:32769"))));
}

#[test]
fn the_first_host_closes_the_world() {
    let mut world = Simulated::new(0);
    let early = world.resolve("db");
    let taken = world.resolve("web")[0];
    let web = world.add_host("Web", &[]).unwrap();
    assert!(!world.is_open());
    assert_eq!(world.resolve("db"), early, "what was promised stays");
    assert!(!world.resolve("web").contains(&taken), "a host of that name is another one");
    assert_eq!(world.resolve("WEB."), world.addresses(web));
    assert_eq!(world.resolve("unheard-of"), Vec::<IpAddr>::new());
    let near = stream(&mut world, HostId::MAIN);
    assert_eq!(world.connect(near, &internet("93.184.216.34:80")), Err(Fault::HostUnreachable));
    assert_eq!(world.bind(near, &internet("192.168.7.7:81"), BindOptions::default()), Err(Fault::AddressNotAvailable));
}

#[test]
fn the_main_host_gives_way_to_one_that_is_told_its_address() {
    let mut world = Simulated::new(0);
    let main = world.addresses(HostId::MAIN).to_vec();
    let a = world.add_host("a", &[main[0], ip("10.0.0.2")]).unwrap();
    assert_eq!(world.addresses(a), [main[0], ip("10.0.0.2")]);
    assert_eq!(world.name_of(main[0]), Some("a"));
    let moved = world.addresses(HostId::MAIN).to_vec();
    assert!(moved.iter().all(|address| world.name_of(*address) == Some("main")));
    assert_eq!(world.resolve("main"), moved);
    // Not as soon as somebody may use it.
    stream(&mut world, HostId::MAIN);
    assert_eq!(world.add_host("b", &[moved[0]]), Err(HostError::AddressTaken(moved[0])));
    assert_eq!(world.addresses(HostId::MAIN), moved);
}

#[test]
fn names_and_addresses_belong_to_one_host() {
    let mut world = Simulated::new(0);
    let a = world.add_host("a", &[ip("10.9.0.1"), ip("fd09::1")]).unwrap();
    assert_eq!(world.add_host("A", &[]), Err(HostError::NameTaken));
    assert_eq!(world.add_host("main", &[]), Err(HostError::NameTaken));
    assert_eq!(world.add_host("localhost", &[]), Err(HostError::NameTaken));
    for address in ["10.9.0.1", "127.0.0.1", "::", "224.0.0.1", "255.255.255.255", "::ffff:10.0.0.77"] {
        assert_eq!(world.add_host("b", &[ip(address)]), Err(HostError::AddressTaken(ip(address))));
    }
    let b = world.add_host("b", &[]).unwrap();
    assert_eq!(world.addresses(b).len(), 2);
    assert_eq!(world.host_named("a."), Some(a));
    assert_eq!(world.host_name(b), "b");
    assert_eq!(world.name_of(ip("fd09::1")), Some("a"));
    assert_eq!(world.hosts().collect::<Vec<_>>(), [HostId::MAIN, a, b]);
    assert_eq!(world.resolve("10.1.2.3"), [ip("10.1.2.3")]);
    assert_eq!(world.resolve("localhost"), [ip("127.0.0.1"), ip("::1")]);
}

#[test]
fn thousands_of_hosts_have_addresses_of_their_own() {
    let mut world = Simulated::new(0);
    let mut seen = BTreeSet::new();
    for number in 0..3000 {
        let host = world.add_host(&format!("host-{number}"), &[]).unwrap();
        for address in world.addresses(host) {
            assert!(seen.insert(*address), "{address}");
            assert!(!matches!(address, IpAddr::V4(v4) if [0, 255].contains(&v4.octets()[3])), "{address}");
        }
    }
}

#[test]
fn loopback_is_each_hosts_own() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    serve(&mut world, a, PORT, 9);
    let mut over = |host, family, to| {
        let near = world.socket(host, family, Kind::Stream);
        world.connect(near, &internet(to))
    };
    assert_eq!(over(a, Family::V4, "127.0.0.1:80"), Ok(()));
    assert_eq!(over(b, Family::V4, "127.0.0.1:80"), Err(Fault::ConnectionRefused));
    assert_eq!(over(a, Family::V6, "[::1]:80"), Err(Fault::ConnectionRefused), "it listens at version 4 only");
}

#[test]
fn ports_are_each_sockets_own() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let mut at = |host, kind, address: &str| {
        let id = world.socket(host, Family::V4, kind);
        world.bind(id, &internet(address), BindOptions::default()).map(|()| id)
    };
    assert!(at(a, Kind::Stream, "127.0.0.1:7").is_ok());
    let own = at(a, Kind::Stream, "10.0.0.2:7");
    assert!(own.is_ok(), "another address is another one");
    assert_eq!(at(a, Kind::Stream, "0.0.0.0:7"), Err(Fault::AddressInUse));
    assert_eq!(at(a, Kind::Stream, "127.0.0.1:7"), Err(Fault::AddressInUse));
    assert!(at(a, Kind::Datagram, "0.0.0.0:7").is_ok(), "and so is another kind");
    assert!(at(b, Kind::Stream, "0.0.0.0:7").is_ok(), "and another host");
    assert_eq!(at(b, Kind::Stream, "10.0.0.2:8"), Err(Fault::AddressNotAvailable));
    world.close(own.unwrap());
    let again = stream(&mut world, a);
    assert_eq!(world.bind(again, &internet("10.0.0.2:7"), BindOptions::default()), Ok(()));
    let any = stream(&mut world, a);
    world.bind(any, &internet("10.0.0.2:0"), BindOptions::default()).unwrap();
    assert_eq!(world.local_name(any), Ok(internet("10.0.0.2:32768")));
}

#[test]
fn ports_run_out() {
    let mut world = Simulated::new(0);
    let bind = |world: &mut Simulated| {
        let id = stream(world, HostId::MAIN);
        world.bind(id, &internet("127.0.0.1:0"), BindOptions::default()).map(|()| id)
    };
    let first = bind(&mut world).unwrap();
    let rest = std::iter::from_fn(|| bind(&mut world).ok()).count();
    assert_eq!(rest, 32_767);
    let shared = stream(&mut world, HostId::MAIN);
    let options = BindOptions { shares_port: true, ..BindOptions::default() };
    assert_eq!(world.bind(shared, &internet("127.0.0.1:0"), options), Err(Fault::AddressInUse));
    assert_eq!(bind(&mut world), Err(Fault::AddressInUse));
    serve(&mut world, HostId::MAIN, PORT, 9);
    let near = stream(&mut world, HostId::MAIN);
    assert_eq!(world.connect(near, &internet("127.0.0.1:80")), Err(Fault::AddressNotAvailable));
    world.close(first);
    assert_eq!(world.connect(near, &internet("127.0.0.1:80")), Ok(()));
}

#[test]
fn a_crash_frees_the_ports() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let listener = serve(&mut world, b, PORT, 9);
    let other = serve(&mut world, a, PORT, 9);
    world.crash(b);
    assert_eq!(world.kind(listener), Err(Fault::BadSocket));
    assert!(world.kind(other).is_ok());
    world.restart(b);
    serve(&mut world, b, PORT, 9);
}

#[test]
fn a_hosts_clocks_may_differ() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    world.set_clock_offset(a, -5_000_000);
    assert_eq!((world.clock_offset(a), world.clock_offset(b)), (-5_000_000, 0));
}
