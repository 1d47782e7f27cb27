//! Hosts of the simulated network: names, addresses, ports, and who gets what is sent to them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{
    Address, BindOptions, Family, Fault, HostError, HostId, Kind, Result, Simulated, SocketId,
};
use std::net::IpAddr;
use world::{Net, internet, v4, v6};

fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

fn bind_with(world: &mut Simulated, host: HostId, address: &str, options: BindOptions) -> Result<SocketId> {
    let address = internet(address);
    let is_v4 = matches!(&address, Address::Internet(address) if address.is_ipv4());
    let id = world.socket(host, if is_v4 { Family::V4 } else { Family::V6 }, Kind::Stream);
    world.bind(id, &address, options)?;
    world.listen(id, 8)?;
    Ok(id)
}

fn bind(world: &mut Simulated, host: HostId, address: &str) -> Result<SocketId> {
    bind_with(world, host, address, BindOptions::default())
}

fn connect(world: &mut Simulated, from: HostId, to: &Address) -> Result<SocketId> {
    let is_v4 = matches!(to, Address::Internet(address) if address.is_ipv4());
    let id = world.socket(from, if is_v4 { Family::V4 } else { Family::V6 }, Kind::Stream);
    world.connect(id, to).map(|()| id)
}

#[test]
fn a_world_without_set_up_is_open() {
    let mut world = Simulated::new(0);
    assert!(world.is_open());
    let names = world.resolve("db.example");
    assert_eq!(names, world.resolve("DB.example."), "names have neither case nor a last dot");
    assert_ne!(names, world.resolve("other.example"));
    assert_eq!(world.name_of(names[0]), Some("db.example"));
    assert!(world.knows("db.example") && world.knows("192.0.2.1") && !world.knows("third.example"));
    let listener = bind(&mut world, HostId::MAIN, "0.0.0.0:80").unwrap();
    for to in ["10.0.0.2:80", "192.0.2.1:80", "127.0.0.1:80", "0.0.0.0:80"] {
        connect(&mut world, HostId::MAIN, &internet(to)).unwrap();
        world.accept(listener).unwrap();
    }
    assert!(bind(&mut world, HostId::MAIN, "198.51.100.7:80").is_err(), "the port is taken on all addresses");
    assert!(bind(&mut world, HostId::MAIN, "198.51.100.7:81").is_ok(), "but any address can be had");
}

#[test]
fn with_its_first_host_a_world_is_closed() {
    let mut world = Simulated::new(0);
    let alias = world.resolve("db")[0];
    let db = world.add_host("db", &[]).unwrap();
    assert!(!world.is_open());
    assert_ne!(world.resolve("db")[0], alias, "the name is the host's from now on");
    assert_eq!(world.resolve("db"), world.addresses(db));
    assert!(world.resolve("nobody").is_empty());
    assert_eq!(world.host_named("DB"), Some(db));
    assert_eq!(world.host_name(db), "db");
    assert_eq!(world.hosts().collect::<Vec<_>>(), [HostId::MAIN, db]);
    assert_eq!(db.number(), 1);
    assert_eq!(connect(&mut world, db, &internet("192.0.2.1:80")).unwrap_err(), Fault::HostUnreachable);
    assert_eq!(bind(&mut world, db, "192.0.2.1:80").unwrap_err(), Fault::AddressNotAvailable);
    assert!(world.owns(&v4(&world, db, 1)));
    assert!(!world.owns(&v4(&world, HostId::MAIN, 1)));
}

#[test]
fn names_and_addresses_are_given_once() {
    let mut world = Simulated::new(0);
    let own = ip("192.0.2.1");
    let host = world.add_host("Web", &[own]).unwrap();
    assert_eq!(world.addresses(host), [own]);
    assert_eq!(world.add_host("web", &[]), Err(HostError::NameTaken));
    assert_eq!(world.add_host("main", &[]), Err(HostError::NameTaken));
    assert_eq!(world.add_host("localhost", &[]), Err(HostError::NameTaken));
    for taken in [own, ip("127.0.0.1"), ip("0.0.0.0"), ip("::")] {
        assert_eq!(world.add_host("other", &[taken]), Err(HostError::AddressTaken(taken)));
    }
    let mut seen: Vec<IpAddr> = Vec::new();
    for number in 0..600 {
        let host = world.add_host(&format!("host{number}"), &[]).unwrap();
        let addresses = world.addresses(host);
        assert!(addresses.len() == 2 && addresses[0].is_ipv4() && addresses[1].is_ipv6());
        let IpAddr::V4(v4) = addresses[0] else { unreachable!() };
        assert!(v4.octets()[0] == 10 && !matches!(v4.octets()[3], 0 | 255), "{v4}");
        seen.extend(addresses);
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 1200);
}

#[test]
fn loopback_is_each_hosts_own() {
    let mut net = Net::perfect();
    let listener = bind(&mut net.world, net.a, "127.0.0.1:80").unwrap();
    connect(&mut net.world, net.a, &internet("127.0.0.1:80")).unwrap();
    net.world.accept(listener).unwrap();
    let refused = Err(Fault::ConnectionRefused);
    assert_eq!(connect(&mut net.world, net.b, &internet("127.0.0.1:80")), refused);
    let outside = v4(&net.world, net.a, 80);
    assert_eq!(connect(&mut net.world, net.b, &outside), refused, "it is not reached from outside");
    assert!(bind(&mut net.world, net.b, "127.0.0.1:80").is_ok());
    assert_eq!(net.world.resolve("localhost"), [ip("127.0.0.1"), ip("::1")]);
    assert_eq!(net.world.name_of(ip("::1")), Some("localhost"));
}

#[test]
fn ports_are_taken_by_address_family_and_kind() {
    let mut net = Net::perfect();
    let first = bind(&mut net.world, net.a, "127.0.0.1:80").unwrap();
    let taken = Err(Fault::AddressInUse);
    assert_eq!(bind(&mut net.world, net.a, "127.0.0.1:80"), taken);
    assert_eq!(bind(&mut net.world, net.a, "0.0.0.0:80"), taken);
    assert!(bind(&mut net.world, net.a, "127.0.0.2:80").is_ok());
    assert!(bind(&mut net.world, net.a, "[::1]:80").is_ok());
    assert!(bind(&mut net.world, net.b, "0.0.0.0:80").is_ok());
    let datagrams = net.world.socket(net.a, Family::V4, Kind::Datagram);
    assert_eq!(net.world.bind(datagrams, &internet("0.0.0.0:80"), BindOptions::default()), Ok(()));
    net.world.close(first);
    assert!(bind(&mut net.world, net.a, "127.0.0.1:80").is_ok());
    let shared = BindOptions { shares_port: true, ..BindOptions::default() };
    assert!(bind_with(&mut net.world, net.a, "0.0.0.0:90", shared).is_ok());
    assert!(bind_with(&mut net.world, net.a, "0.0.0.0:90", shared).is_ok());
    assert_eq!(bind(&mut net.world, net.a, "0.0.0.0:90"), taken);
}

#[test]
fn sockets_without_a_port_get_one_that_is_free() {
    let mut net = Net::perfect();
    let mut ports = Vec::new();
    for _ in 0..1000 {
        let id = bind(&mut net.world, net.a, "0.0.0.0:0").unwrap();
        let Address::Internet(name) = net.world.local_name(id).unwrap() else { unreachable!() };
        ports.push(name.port());
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 1000);
    assert!(ports[0] >= 49_152);
    for _ in 1000..16_384 {
        bind(&mut net.world, net.a, "0.0.0.0:0").unwrap();
    }
    assert_eq!(bind(&mut net.world, net.a, "0.0.0.0:0"), Err(Fault::AddressInUse), "no port is left");
}

#[test]
fn one_that_has_the_address_comes_before_one_that_has_them_all() {
    let mut net = Net::perfect();
    let shared = BindOptions { shares_port: true, ..BindOptions::default() };
    let any = bind_with(&mut net.world, net.b, "0.0.0.0:80", shared).unwrap();
    let exact = v4(&net.world, net.b, 80);
    let Address::Internet(text) = &exact else { unreachable!() };
    let one = bind_with(&mut net.world, net.b, &text.to_string(), shared).unwrap();
    for _ in 0..5 {
        connect(&mut net.world, net.a, &exact).unwrap();
        assert!(net.world.accept(one).is_ok() && net.world.accept(any).is_err());
        connect(&mut net.world, net.b, &internet("127.0.0.1:80")).unwrap();
        assert!(net.world.accept(any).is_ok() && net.world.accept(one).is_err());
    }
}

#[test]
fn version_6_stands_for_both_unless_it_is_told_not_to() {
    let mut net = Net::perfect();
    let (v4, v6) = (v4(&net.world, net.b, 80), v6(&net.world, net.b, 80));
    let both = bind(&mut net.world, net.b, "[::]:80").unwrap();
    for to in [&v4, &v6] {
        connect(&mut net.world, net.a, to).unwrap();
        assert!(net.world.accept(both).is_ok());
    }
    assert_eq!(bind(&mut net.world, net.b, "0.0.0.0:80"), Err(Fault::AddressInUse));
    net.world.close(both);

    let only = BindOptions { only_v6: true, ..BindOptions::default() };
    let six = bind_with(&mut net.world, net.b, "[::]:80", only).unwrap();
    assert_eq!(connect(&mut net.world, net.a, &v4), Err(Fault::ConnectionRefused));
    let four = bind(&mut net.world, net.b, "0.0.0.0:80").unwrap();
    connect(&mut net.world, net.a, &v4).unwrap();
    connect(&mut net.world, net.a, &v6).unwrap();
    assert!(net.world.accept(four).is_ok() && net.world.accept(four).is_err());
    assert!(net.world.accept(six).is_ok());
}

#[test]
fn who_serves_is_known() {
    let mut net = Net::perfect();
    let to = v4(&net.world, net.b, 80);
    assert!(!net.world.serves(net.a, Kind::Stream, &to));
    bind(&mut net.world, net.b, "0.0.0.0:80").unwrap();
    assert!(net.world.serves(net.a, Kind::Stream, &to));
    assert!(!net.world.serves(net.a, Kind::Datagram, &to));
    assert!(!net.world.serves(net.a, Kind::Stream, &internet("127.0.0.1:80")));
    assert!(net.world.serves(net.b, Kind::Stream, &internet("127.0.0.1:80")));
}

#[test]
fn clocks_of_hosts_differ_as_they_were_set() {
    let mut net = Net::perfect();
    net.world.set_clock_offset(net.a, -5);
    assert_eq!(net.world.clock_offset(net.a), -5);
    assert_eq!(net.world.clock_offset(net.b), 0);
}
