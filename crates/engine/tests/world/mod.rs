//! What the tests of the simulated world share: a world of two hosts, and short words for its calls.

#![allow(dead_code, reason = "no test uses all of it")]

use soliloop_engine::Instant;
use soliloop_engine::Wait;
use soliloop_engine::world::sim::{
    Address, BindOptions, Family, Fault, HostId, Kind, Latency, Quality, Result, Simulated, SocketId, Step,
};
use std::io::IoSlice;
use std::net::SocketAddr;
use std::time::Duration;

/// The port that the tests listen on.
pub(crate) const PORT: u16 = 80;

/// A world with hosts `a` and `b`.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) world: Simulated,
    pub(crate) a: HostId,
    pub(crate) b: HostId,
}

impl Net {
    /// Two hosts, and a link of this quality between them.
    pub(crate) fn of(quality: Quality) -> Self {
        Self::of_seed(0, quality)
    }

    pub(crate) fn of_seed(seed: u64, quality: Quality) -> Self {
        let mut world = Simulated::new(seed);
        world.set_default_link(quality);
        let a = world.add_host("a", &[]).expect("the name is free");
        let b = world.add_host("b", &[]).expect("the name is free");
        Self { world, a, b }
    }

    /// Two hosts between which everything arrives at once.
    pub(crate) fn perfect() -> Self {
        Self::of(Quality::PERFECT)
    }

    /// A socket of `host` that listens on [`PORT`].
    pub(crate) fn listen(&mut self, host: HostId, backlog: usize) -> SocketId {
        let listener = self.world.socket(host, Family::V4, Kind::Stream);
        let address = v4(&self.world, host, PORT);
        self.world.bind(listener, &address, BindOptions::default()).expect("the port is free");
        self.world.listen(listener, backlog).expect("a bound socket can listen");
        listener
    }

    /// A socket of `from` that asks `to` for a connection, and what was said to that.
    pub(crate) fn knock(&mut self, from: HostId, to: HostId) -> (SocketId, Result<()>) {
        let socket = self.world.socket(from, Family::V4, Kind::Stream);
        let address = v4(&self.world, to, PORT);
        let outcome = self.world.connect(socket, &address);
        (socket, outcome)
    }

    /// Both ends of a new connection, `a`'s first. The clock has moved by what that takes.
    pub(crate) fn connection(&mut self) -> (SocketId, SocketId) {
        let listener = self.listen(self.b, 16);
        let (near, outcome) = self.knock(self.a, self.b);
        assert!(matches!(outcome, Ok(()) | Err(Fault::InProgress)), "{outcome:?}");
        let far = loop {
            match self.world.accept(listener) {
                Ok((far, _)) => break far,
                Err(_) => assert!(self.step(), "the connection is never made"),
            }
        };
        self.world.close(listener);
        assert_eq!(self.world.take_error(near), Ok(None));
        (near, far)
    }

    /// Lets the next event happen; gives whether there was one.
    pub(crate) fn step(&mut self) -> bool {
        let next = self.world.next_event();
        if let Some(at) = next {
            self.world.advance_to(at);
        }
        next.is_some()
    }

    /// Lets everything happen that is going to, and gives when the last of it did.
    pub(crate) fn settle(&mut self) -> Instant {
        while self.step() {}
        self.world.now()
    }

    /// Moves the clock on by so many milliseconds.
    pub(crate) fn pass(&mut self, milliseconds: u64) {
        let to = self.world.now().after(millis(milliseconds));
        self.world.advance_to(to);
    }

    pub(crate) fn write(&mut self, id: SocketId, bytes: &[u8]) -> Result<usize> {
        self.world.transmit(id, &[IoSlice::new(bytes)])
    }

    /// One call of `receive` with a large buffer.
    pub(crate) fn read(&mut self, id: SocketId) -> Result<Vec<u8>> {
        let mut buffer = vec![0; 1 << 20];
        let count = self.world.receive(id, &mut buffer, false)?;
        buffer.truncate(count);
        Ok(buffer)
    }

    /// Reads until the end of the stream, and lets happen what it takes.
    pub(crate) fn read_all(&mut self, id: SocketId) -> Vec<u8> {
        let mut all = Vec::new();
        loop {
            match self.read(id) {
                Ok(bytes) if bytes.is_empty() => return all,
                Ok(bytes) => all.extend(bytes),
                Err(Fault::WouldBlock) => assert!(self.step(), "the end never comes\n{}", self.world.snapshot()),
                Err(fault) => panic!("{fault}"),
            }
        }
    }

    /// When the socket can be read, which the clock moves on to.
    pub(crate) fn until_readable(&mut self, id: SocketId) -> Instant {
        while !self.world.readiness(id).expect("it is open").readable {
            assert!(self.step(), "it can never be read\n{}", self.world.snapshot());
        }
        self.world.now()
    }

    /// When the socket can be written, which the clock moves on to.
    pub(crate) fn until_writable(&mut self, id: SocketId) -> Instant {
        while !self.world.readiness(id).expect("it is open").writable {
            assert!(self.step(), "it can never be written\n{}", self.world.snapshot());
        }
        self.world.now()
    }

    /// Cuts both directions between the hosts, or mends them.
    pub(crate) fn cut(&mut self, is_cut: bool) {
        self.world.set_cut(self.a, self.b, is_cut);
        self.world.set_cut(self.b, self.a, is_cut);
    }

    /// Asserts that nothing is ready and nothing ahead.
    pub(crate) fn assert_stuck(&mut self) {
        self.world.take_ready(&mut Vec::new());
        assert_eq!(self.world.wait(Wait::Forever), Step::Stuck, "{}", self.world.snapshot());
    }
}

/// The address of version 4 of a host, with a port.
pub(crate) fn v4(world: &Simulated, host: HostId, port: u16) -> Address {
    let ip = world.addresses(host).iter().find(|ip| ip.is_ipv4()).expect("it has one");
    Address::Internet(SocketAddr::new(*ip, port))
}

/// The address of version 6 of a host, with a port.
pub(crate) fn v6(world: &Simulated, host: HostId, port: u16) -> Address {
    let ip = world.addresses(host).iter().find(|ip| ip.is_ipv6()).expect("it has one");
    Address::Internet(SocketAddr::new(*ip, port))
}

/// An address as people write it.
pub(crate) fn internet(address: &str) -> Address {
    Address::Internet(address.parse().expect("an address and a port"))
}

pub(crate) const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The instant so many milliseconds after the origin.
pub(crate) const fn at(milliseconds: u64) -> Instant {
    Instant::from_nanos(milliseconds * 1_000_000)
}

/// A perfect link but for its latency, in milliseconds.
pub(crate) const fn slow(milliseconds: u64) -> Quality {
    Quality { latency: Latency::Fixed(millis(milliseconds)), ..Quality::PERFECT }
}

/// A perfect link but for its bandwidth, in bytes per second.
pub(crate) const fn narrow(bandwidth: f64) -> Quality {
    Quality { bandwidth: Some(bandwidth), ..Quality::PERFECT }
}

/// Bytes that tell their place.
pub(crate) fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|place| u8::try_from((place ^ (place >> 8) ^ (place >> 16)) & 0xFF).unwrap_or(0)).collect()
}
