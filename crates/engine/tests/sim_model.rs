//! Streams of the simulated network against the obvious model: one string of bytes for each direction.
//!
//! Whatever is done, what is received is a beginning of what was sent; all of it, once the links are mended and time enough has passed. What is
//! reported ready does not block. When everything is closed, nothing is left.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use proptest::prelude::*;
use soliloop_engine::world::Interest;
use soliloop_engine::world::sim::{Fault, HostId, Latency, Quality, SocketId};
use std::collections::BTreeMap;
use world::{Net, millis, pattern};

#[derive(Clone, Debug)]
enum Step {
    Connect,
    Accept,
    Transmit { of: usize, count: usize },
    Receive { of: usize, count: usize },
    EndWriting { of: usize },
    Close { of: usize },
    Cut { there: bool, back: bool },
    Advance { milliseconds: u64 },
    Settle,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let of = 0_usize..64;
    let step = prop_oneof![
        2 => Just(Step::Connect),
        2 => Just(Step::Accept),
        8 => (of.clone(), prop_oneof![0_usize..100, 0_usize..100_000, 200_000_usize..400_000])
            .prop_map(|(of, count)| Step::Transmit { of, count }),
        8 => (of.clone(), prop_oneof![1_usize..100, 1_usize..400_000])
            .prop_map(|(of, count)| Step::Receive { of, count }),
        1 => of.clone().prop_map(|of| Step::EndWriting { of }),
        1 => of.prop_map(|of| Step::Close { of }),
        1 => any::<(bool, bool)>().prop_map(|(there, back)| Step::Cut { there, back }),
        4 => (0_u64..3000).prop_map(|milliseconds| Step::Advance { milliseconds }),
        2 => Just(Step::Settle),
    ];
    proptest::collection::vec(step, 0..80)
}

fn qualities() -> impl Strategy<Value = Quality> {
    let latency = prop_oneof![
        2 => Just(Latency::Fixed(millis(0))),
        1 => Just(Latency::Fixed(millis(20))),
        1 => Just(Latency::Uniform(millis(1), millis(80))),
        1 => Just(Latency::Normal(millis(20), millis(15))),
        1 => Just(Latency::Exponential(millis(1), millis(30))),
    ];
    let bandwidth = prop_oneof![3 => Just(None), 1 => Just(Some(1e5)), 1 => Just(Some(1e7))];
    let loss = prop_oneof![3 => Just(0.0), 1 => Just(0.01), 1 => Just(0.3)];
    (latency, 0_u64..2, bandwidth, loss).prop_map(|(latency, jitter, bandwidth, loss)| Quality {
        latency,
        jitter: millis(jitter * 30),
        bandwidth,
        loss,
        ..Quality::PERFECT
    })
}

/// One end as the model sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    id: SocketId,
    connection: usize,
    is_near: bool,
}

/// One direction of a connection.
#[derive(Debug, Default)]
struct Direction {
    sent: usize,
    received: usize,
    has_ended: bool,
}

struct Model {
    net: Net,
    listener: SocketId,
    ends: Vec<End>,
    /// Those that were not accepted yet, by the name of the near end.
    asking: Vec<(SocketId, usize)>,
    /// By connection, and whether it is what the near end has sent.
    directions: BTreeMap<(usize, bool), Direction>,
    /// Those at which a close, a reset or a timeout may have cut things short.
    damaged: Vec<usize>,
    bytes: Vec<u8>,
}

impl Model {
    fn new(seed: u64, there: Quality, back: Quality) -> Self {
        let mut net = Net::of_seed(seed, there);
        net.world.set_link(net.b, net.a, back);
        let listener = net.listen(net.b, 4);
        Self {
            net,
            listener,
            ends: Vec::new(),
            asking: Vec::new(),
            directions: BTreeMap::new(),
            damaged: Vec::new(),
            bytes: pattern(65_521),
        }
    }

    fn host(&self, is_near: bool) -> HostId {
        if is_near { self.net.a } else { self.net.b }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Connect => self.connect(),
            Step::Accept => self.accept(),
            Step::Transmit { of, count } => self.on_end(of, |model, end| model.transmit(end, count)),
            Step::Receive { of, count } => self.on_end(of, |model, end| model.receive(end, count)),
            Step::EndWriting { of } => self.on_end(of, Self::end_writing),
            Step::Close { of } => self.on_end(of, Self::close),
            Step::Cut { there, back } => {
                let (a, b) = (self.net.a, self.net.b);
                self.net.world.set_cut(a, b, there);
                self.net.world.set_cut(b, a, back);
            }
            Step::Advance { milliseconds } => self.net.pass(milliseconds),
            Step::Settle => _ = self.net.settle(),
        }
        self.assert_ready_is_ready();
    }

    fn on_end(&mut self, of: usize, act: impl FnOnce(&mut Self, End)) {
        if !self.ends.is_empty() {
            act(self, self.ends[of % self.ends.len()]);
        }
    }

    fn connect(&mut self) {
        let connection = self.directions.len() / 2;
        if connection >= 6 {
            return;
        }
        let (id, outcome) = self.net.knock(self.host(true), self.host(false));
        assert!(matches!(outcome, Ok(()) | Err(Fault::InProgress)), "{outcome:?}");
        self.ends.push(End { id, connection, is_near: true });
        self.asking.push((id, connection));
        self.net.world.watch(id, Interest { read: true, write: true, is_edge: false }).unwrap();
        for is_near in [true, false] {
            self.directions.insert((connection, is_near), Direction::default());
        }
    }

    fn accept(&mut self) {
        let is_ready = self.net.world.readiness(self.listener).unwrap().readable;
        match self.net.world.accept(self.listener) {
            Ok((id, peer)) => {
                // The port tells the connections apart: no two near ends have had the same one.
                let place =
                    self.asking.iter().position(|(near, _)| self.net.world.local_name(*near) == Ok(peer.clone()));
                let Some(place) = place else {
                    // The near end is closed already.
                    self.net.world.close(id);
                    return;
                };
                let (_, connection) = self.asking.remove(place);
                self.ends.push(End { id, connection, is_near: false });
                self.net.world.watch(id, Interest { read: true, write: true, is_edge: false }).unwrap();
            }
            Err(fault) => assert!(fault == Fault::WouldBlock && !is_ready, "{fault}"),
        }
    }

    fn transmit(&mut self, end: End, count: usize) {
        let is_ready = self.net.world.readiness(end.id).unwrap().writable;
        let sent = self.directions[&(end.connection, end.is_near)].sent;
        let chunk: Vec<u8> = (sent..sent + count).map(|place| self.bytes[place % self.bytes.len()]).collect();
        match self.net.write(end.id, &chunk) {
            Ok(taken) => {
                assert!(taken <= count && (taken > 0 || count == 0));
                let direction = self.directions.get_mut(&(end.connection, end.is_near)).unwrap();
                assert!(!direction.has_ended || count == 0);
                direction.sent += taken;
            }
            Err(Fault::WouldBlock) => assert!(!is_ready, "it was ready"),
            Err(Fault::BrokenPipe) => {}
            Err(_) => self.damaged.push(end.connection),
        }
    }

    fn receive(&mut self, end: End, count: usize) {
        let is_ready = self.net.world.readiness(end.id).unwrap().readable;
        let mut buffer = vec![0; count];
        match self.net.world.receive(end.id, &mut buffer, false) {
            Ok(0) => {
                let direction = &self.directions[&(end.connection, !end.is_near)];
                if !self.damaged.contains(&end.connection) {
                    assert!(direction.has_ended, "an end that nobody has made");
                    assert_eq!(direction.sent, direction.received, "an end before the end");
                }
            }
            Ok(taken) => {
                let direction = self.directions.get_mut(&(end.connection, !end.is_near)).unwrap();
                assert!(direction.received + taken <= direction.sent, "more than was sent");
                for (place, byte) in buffer[..taken].iter().enumerate() {
                    assert_eq!(*byte, self.bytes[(direction.received + place) % self.bytes.len()], "another byte");
                }
                direction.received += taken;
            }
            Err(Fault::WouldBlock | Fault::NotConnected) => assert!(!is_ready, "it was ready"),
            Err(_) => self.damaged.push(end.connection),
        }
    }

    fn end_writing(&mut self, end: End) {
        if self.net.world.end_writing(end.id).is_ok() {
            self.directions.get_mut(&(end.connection, end.is_near)).unwrap().has_ended = true;
        }
    }

    fn close(&mut self, end: End) {
        self.net.world.close(end.id);
        self.ends.retain(|other| *other != end);
        self.asking.retain(|(id, _)| *id != end.id);
        self.damaged.push(end.connection);
    }

    /// What the list of the ready says of an end is so.
    fn assert_ready_is_ready(&mut self) {
        let mut ready = Vec::new();
        self.net.world.take_ready(&mut ready);
        for (id, readiness) in ready {
            let mut byte = [0];
            if readiness.readable {
                let outcome = self.net.world.receive(id, &mut byte, true);
                if let Err(fault) = outcome {
                    assert_ne!(fault, Fault::WouldBlock);
                    let end = self.ends.iter().find(|end| end.id == id).expect("only open ends are told of");
                    self.damaged.push(end.connection);
                }
            }
            assert!(readiness.readable || readiness.writable);
        }
    }

    /// Mends everything, reads everything, closes everything.
    fn finish(&mut self) {
        self.net.cut(false);
        loop {
            let before: usize = self.directions.values().map(|direction| direction.received).sum();
            let accepted = self.ends.len();
            for _ in 0..8 {
                self.accept();
            }
            self.net.settle();
            for end in self.ends.clone() {
                self.receive(end, 1 << 20);
            }
            let after: usize = self.directions.values().map(|direction| direction.received).sum();
            if before == after && accepted == self.ends.len() {
                break;
            }
        }
        for end in self.ends.clone() {
            let has_both = self.ends.iter().filter(|other| other.connection == end.connection).count() == 2;
            if has_both && !self.damaged.contains(&end.connection) {
                let direction = &self.directions[&(end.connection, end.is_near)];
                assert_eq!(direction.received, direction.sent, "not all has come\n{}", self.net.world.snapshot());
            }
        }
        for end in self.ends.clone() {
            self.close(end);
        }
        self.net.settle();
        self.net.world.close(self.listener);
        self.net.settle();
        assert_eq!(self.net.world.sockets_len(), 0, "{}", self.net.world.snapshot());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn a_stream_is_a_string_of_bytes(seed in any::<u64>(), there in qualities(), back in qualities(), steps in steps()) {
        let mut model = Model::new(seed, there, back);
        for step in &steps {
            model.act(step);
        }
        model.finish();
    }

    #[test]
    fn what_was_done_twice_went_the_same_way_twice(seed in any::<u64>(), quality in qualities(), steps in steps()) {
        let digests = [0, 1].map(|_| {
            let mut model = Model::new(seed, quality, quality);
            for step in &steps {
                model.act(step);
            }
            model.net.world.digest()
        });
        prop_assert_eq!(digests[0], digests[1]);
    }
}
