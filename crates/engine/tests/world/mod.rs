//! A tiny driver of a simulated world for the tests beside it: hosts, connections, and time. It claims nothing itself.

#![allow(dead_code, reason = "each file of tests uses a part of it")]
#![allow(unreachable_pub, reason = "a module of several test programs")]

use soliloop_engine::Instant;
use soliloop_engine::world::sim::{
    Address, BindOptions, Family, Fault, HostId, Kind, Latency, Quality, Result, Simulated, SocketId,
};
use soliloop_engine::world::{Interest, Readiness};
use std::io::IoSlice;
use std::time::Duration;

pub const PORT: u16 = 80;
pub const MILLIS_10: Duration = Duration::from_millis(10);
pub const WATCH_BOTH: Interest = Interest { read: true, write: true, is_edge: false };

/// A link with nothing but a latency.
pub fn slow(latency: Duration) -> Quality {
    Quality { latency: Latency::Fixed(latency), ..Quality::PERFECT }
}

/// A world of two hosts, `a` and `b`, and what both directions between them are like.
pub fn two_hosts(quality: Quality) -> (Simulated, HostId, HostId) {
    let mut world = Simulated::new(1);
    let a = world.add_host("a", &[]).unwrap();
    let b = world.add_host("b", &[]).unwrap();
    world.set_link(a, b, quality);
    world.set_link(b, a, quality);
    (world, a, b)
}

/// An address as people write it.
pub fn internet(text: &str) -> Address {
    Address::Internet(text.parse().unwrap())
}

/// A port of a host's first address.
pub fn port_of(world: &Simulated, host: HostId, port: u16) -> Address {
    Address::Internet((world.addresses(host)[0], port).into())
}

pub fn stream(world: &mut Simulated, host: HostId) -> SocketId {
    world.socket(host, Family::V4, Kind::Stream)
}

/// A socket of datagrams that has the port of all addresses.
pub fn datagrams(world: &mut Simulated, host: HostId, port: u16) -> SocketId {
    let id = world.socket(host, Family::V4, Kind::Datagram);
    world.bind(id, &internet(&format!("0.0.0.0:{port}")), BindOptions::default()).unwrap();
    id
}

/// A socket that listens at all addresses.
pub fn serve(world: &mut Simulated, host: HostId, port: u16, backlog: usize) -> SocketId {
    let id = stream(world, host);
    world.bind(id, &internet(&format!("0.0.0.0:{port}")), BindOptions::default()).unwrap();
    world.listen(id, backlog).unwrap();
    id
}

/// A socket that is being connected, and what the call said.
pub fn call(world: &mut Simulated, from: HostId, to: HostId) -> (SocketId, Result<()>) {
    let id = stream(world, from);
    let to = port_of(world, to, PORT);
    let said = world.connect(id, &to);
    (id, said)
}

/// Two ends of a connection between two hosts; what else happens until it is there, happens.
pub fn connection(world: &mut Simulated, from: HostId, to: HostId) -> (SocketId, SocketId) {
    let listener = serve(world, to, PORT, 10);
    let (near, said) = call(world, from, to);
    assert!(matches!(said, Ok(()) | Err(Fault::InProgress)), "{said:?}");
    let mut accepted = world.accept(listener);
    while accepted.is_err() {
        step(world);
        accepted = world.accept(listener);
    }
    world.close(listener);
    assert_eq!(world.take_error(near), Ok(None));
    (near, accepted.unwrap().0)
}

/// Lets happen what happens next.
pub fn step(world: &mut Simulated) {
    let next = world.next_event().unwrap_or_else(|| panic!("nothing is ahead in\n{}", world.snapshot()));
    world.advance_to(next);
}

/// Lets happen what will, until nothing is ahead.
pub fn run(world: &mut Simulated) {
    for _ in 0..1_000_000 {
        let Some(next) = world.next_event() else { return };
        world.advance_to(next);
    }
    panic!("there is no end to it:\n{}", world.snapshot());
}

pub fn run_for(world: &mut Simulated, time: Duration) {
    let until = world.now().after(time);
    world.advance_to(until);
}

/// How long the world has existed.
pub fn time(world: &Simulated) -> Duration {
    Instant::ORIGIN.until(world.now())
}

pub const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub fn send(world: &mut Simulated, id: SocketId, bytes: &[u8]) -> Result<usize> {
    world.transmit(id, &[IoSlice::new(bytes)])
}

/// Everything that has come.
pub fn read(world: &mut Simulated, id: SocketId) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = vec![0; 10_000];
    while let Ok(count @ 1..) = world.receive(id, &mut buffer, false) {
        all.extend_from_slice(&buffer[..count]);
    }
    all
}

/// What a read says when nothing has come.
pub fn end(world: &mut Simulated, id: SocketId) -> Result<usize> {
    world.receive(id, &mut [0; 100], false)
}

/// What is ready of what is watched, each with (readable, writable).
pub fn ready(world: &mut Simulated) -> Vec<(SocketId, bool, bool)> {
    let mut ready = Vec::new();
    world.take_ready(&mut ready);
    ready.into_iter().map(|(id, Readiness { readable, writable, .. })| (id, readable, writable)).collect()
}

/// How many sockets the world still has, closed ones included.
pub fn sockets(world: &Simulated) -> usize {
    world.snapshot().to_string().lines().filter(|line| line.starts_with("  ")).count()
}

/// Nothing is left: no socket, and nothing ahead.
pub fn assert_empty(world: &mut Simulated) {
    run(world);
    assert_eq!(sockets(world), 0, "{}", world.snapshot());
}
