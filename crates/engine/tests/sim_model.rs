//! Streams against a model: bytes come out as they went in, whatever the links are like, are cut and healed, and hosts crash.
//!
//! The claims: what was read is always a beginning of what was sent; all of it is read once the links are healed and time has passed; a
//! socket is told ready exactly if a call would not block; nobody may send more than a window ahead, and credit is not lost; and when
//! all is closed nothing is left. The model is two lists of bytes for each connection.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use proptest::prelude::*;
use soliloop_engine::world::sim::{Address, Fault, HostId, Latency, Quality, Simulated, SocketId, WINDOW};
use std::time::Duration;
use world::*;

const HOSTS: usize = 3;

#[derive(Clone, Debug)]
enum Operation {
    Connect(usize, usize),
    Accept(usize),
    Send(prop::sample::Index, usize),
    Receive(prop::sample::Index, usize),
    Shutdown(prop::sample::Index),
    Close(prop::sample::Index),
    Partition(usize, usize, bool),
    /// A host is down for so many milliseconds.
    Crash(usize, u64),
    Advance(u64),
}

/// One end of a connection. The ends of the model are numbered; a connection has the ends 2n and 2n + 1.
#[derive(Debug, Default)]
struct End {
    /// Nothing, before it was accepted and after it was closed.
    socket: Option<SocketId>,
    sent: Vec<u8>,
    got: usize,
    has_ended: bool,
}

#[derive(Debug)]
struct Connection {
    ends: [End; 2],
    /// The caller's name, by which it is known when it is accepted.
    caller: Address,
    hosts: [HostId; 2],
    /// No host has crashed, and nobody has closed it while something was on its way to him: then nothing is lost.
    is_clean: bool,
}

struct Model {
    world: Simulated,
    hosts: Vec<HostId>,
    listeners: Vec<SocketId>,
    connections: Vec<Connection>,
    sent: usize,
}

impl Model {
    fn new(qualities: &[Quality]) -> Self {
        let mut world = Simulated::new(3);
        let hosts: Vec<HostId> = (0..HOSTS).map(|number| world.add_host(&format!("h{number}"), &[]).unwrap()).collect();
        for (place, quality) in qualities.iter().enumerate() {
            world.set_link(hosts[place / HOSTS], hosts[place % HOSTS], *quality);
        }
        let listeners: Vec<SocketId> = hosts.iter().map(|host| serve(&mut world, *host, PORT, 2)).collect();
        for id in &listeners {
            world.watch(*id, WATCH_BOTH).unwrap();
        }
        Self { world, hosts, listeners, connections: Vec::new(), sent: 0 }
    }

    fn apply(&mut self, operation: &Operation) {
        let ends = self.connections.len() * 2;
        match operation {
            Operation::Connect(from, to) => self.connect(*from, *to),
            Operation::Accept(host) => {
                self.accept(*host);
            }
            Operation::Advance(millis) => run_for(&mut self.world, Duration::from_millis(*millis)),
            Operation::Partition(from, to, is_cut) => {
                self.world.set_cut(self.hosts[*from], self.hosts[*to], *is_cut);
                self.world.set_cut(self.hosts[*to], self.hosts[*from], *is_cut);
            }
            Operation::Crash(host, millis) => self.crash(*host, Duration::from_millis(*millis)),
            _ if ends == 0 => {}
            Operation::Send(end, size) => self.send(end.index(ends), *size),
            Operation::Receive(end, size) => {
                self.receive(end.index(ends), *size);
            }
            Operation::Shutdown(end) => self.shutdown(end.index(ends)),
            Operation::Close(end) => self.close(end.index(ends)),
        }
        self.check();
    }

    fn connect(&mut self, from: usize, to: usize) {
        let (id, said) = call(&mut self.world, self.hosts[from], self.hosts[to]);
        assert!(matches!(said, Ok(()) | Err(Fault::InProgress)), "{said:?}");
        self.world.watch(id, WATCH_BOTH).unwrap();
        let mut ends = [End::default(), End::default()];
        ends[0].socket = Some(id);
        let caller = self.world.local_name(id).unwrap();
        let hosts = [self.hosts[from], self.hosts[to]];
        self.connections.push(Connection { ends, caller, hosts, is_clean: true });
    }

    fn crash(&mut self, number: usize, down: Duration) {
        let host = self.hosts[number];
        self.world.crash(host);
        run_for(&mut self.world, down);
        self.world.restart(host);
        for connection in self.connections.iter_mut().filter(|connection| connection.hosts.contains(&host)) {
            connection.is_clean = false;
            for (end, _) in connection.ends.iter_mut().zip(connection.hosts).filter(|(_, at)| *at == host) {
                end.socket = None;
                end.has_ended = true;
            }
        }
        self.listeners[number] = serve(&mut self.world, host, PORT, 2);
        self.world.watch(self.listeners[number], WATCH_BOTH).unwrap();
    }

    /// Takes a connection, if there is one; that is so exactly if the listening socket is ready.
    fn accept(&mut self, host: usize) -> bool {
        let is_ready = self.world.readiness(self.listeners[host]).unwrap().readable;
        let accepted = self.world.accept(self.listeners[host]);
        assert_eq!(accepted.is_ok(), is_ready);
        let Ok((id, name)) = accepted else { return false };
        self.world.watch(id, WATCH_BOTH).unwrap();
        let far = self.hosts[host];
        // A port may have been used before: the latest caller is meant.
        let mut callers = self.connections.iter_mut().rev();
        let connection = callers.find(|one| one.caller == name && one.hosts[1] == far).unwrap();
        if connection.ends[1].socket.is_none() && !connection.ends[1].has_ended {
            connection.ends[1].socket = Some(id);
        } else {
            self.world.close(id);
        }
        true
    }

    fn send(&mut self, end: usize, size: usize) {
        let connection = &mut self.connections[end / 2];
        let unread = connection.ends[end % 2].sent.len() - connection.ends[1 - end % 2].got;
        let is_peer_gone = connection.ends[1 - end % 2].has_ended && connection.ends[1 - end % 2].socket.is_none();
        let Some(id) = connection.ends[end % 2].socket else { return };
        let bytes: Vec<u8> = (0..size).map(|place| (place + self.sent).to_le_bytes()[0]).collect();
        self.sent += 7;
        let is_ready = self.world.readiness(id).unwrap().writable;
        match send(&mut self.world, id, &bytes) {
            Ok(count) => {
                assert!(unread + count <= WINDOW, "{count} with {unread} unread");
                connection.ends[end % 2].sent.extend_from_slice(&bytes[..count]);
                connection.is_clean &= !is_peer_gone;
            }
            Err(Fault::WouldBlock) => assert!(!is_ready),
            Err(Fault::BrokenPipe) if connection.ends[end % 2].has_ended => {}
            Err(fault) => self.broke(end, fault),
        }
    }

    /// Reads; gives whether that got the connection on.
    fn receive(&mut self, end: usize, size: usize) -> bool {
        let connection = &mut self.connections[end / 2];
        let Some(id) = connection.ends[end % 2].socket else { return false };
        let is_ready = self.world.readiness(id).unwrap().readable;
        let mut buffer = vec![0; size];
        match self.world.receive(id, &mut buffer, false) {
            Ok(count) => {
                assert!(is_ready);
                let [mine, others] = [end % 2, 1 - end % 2];
                let got = connection.ends[mine].got;
                let sent = &connection.ends[others].sent;
                assert!(sent.get(got..got + count) == Some(&buffer[..count]), "{count} bytes after {got}");
                let is_at_end = connection.ends[others].has_ended && got == sent.len();
                assert!(count > 0 || is_at_end || !connection.is_clean);
                connection.ends[mine].got += count;
                return count > 0;
            }
            Err(Fault::WouldBlock) => assert!(!is_ready),
            Err(fault) => self.broke(end, fault),
        }
        false
    }

    /// A connection may break because somebody has closed it too early, or if it never came about.
    fn broke(&mut self, end: usize, fault: Fault) {
        let connection = &mut self.connections[end / 2];
        let is_unheard = fault == Fault::TimedOut && connection.ends[1].socket.is_none();
        assert!(is_unheard || !connection.is_clean, "{fault:?} of {connection:?}\n{}", self.world.snapshot());
        connection.is_clean = false;
    }

    fn shutdown(&mut self, end: usize) {
        let one = &mut self.connections[end / 2].ends[end % 2];
        let Some(id) = one.socket else { return };
        if self.world.end_writing(id).is_ok() {
            one.has_ended = true;
        }
    }

    fn close(&mut self, end: usize) {
        let connection = &mut self.connections[end / 2];
        let Some(id) = connection.ends[end % 2].socket.take() else { return };
        let was_connected = self.world.peer_name(id).is_ok();
        connection.ends[end % 2].has_ended = true;
        let has_read_all = connection.ends[end % 2].got == connection.ends[1 - end % 2].sent.len();
        connection.is_clean &= has_read_all && was_connected;
        self.world.close(id);
        assert_eq!(self.world.readiness(id), Err(Fault::BadSocket));
    }

    /// What is told ready is what is ready.
    fn check(&mut self) {
        let all = self.connections.iter().flat_map(|connection| &connection.ends).filter_map(|end| end.socket);
        let all: Vec<SocketId> = all.chain(self.listeners.iter().copied()).collect();
        let mut is: Vec<_> = all
            .into_iter()
            .map(|id| (id, self.world.readiness(id).unwrap()))
            .filter(|(_, now)| now.readable || now.writable)
            .map(|(id, now)| (id, now.readable, now.writable))
            .collect();
        let mut told = ready(&mut self.world);
        is.sort_unstable();
        told.sort_unstable();
        assert_eq!(told, is);
    }

    /// Heals everything, and reads until nothing is ahead.
    fn settle(&mut self) {
        for from in 0..HOSTS {
            for to in 0..HOSTS {
                self.world.set_cut(self.hosts[from], self.hosts[to], false);
            }
        }
        loop {
            let accepted = (0..HOSTS).filter(|host| self.accept(*host)).count();
            let read = (0..self.connections.len() * 2).filter(|end| self.receive(*end, 50_000)).count();
            self.check();
            if accepted + read > 0 {
                continue;
            }
            let Some(next) = self.world.next_event() else { break };
            self.world.advance_to(next);
        }
        for number in 0..self.connections.len() {
            let connection = &self.connections[number];
            if !connection.is_clean {
                continue;
            }
            for end in [0, 1] {
                let (one, other) = (&connection.ends[end], &connection.ends[1 - end]);
                assert!(one.socket.is_none() || one.got == other.sent.len(), "{}", self.world.snapshot());
            }
        }
    }

    /// Of connections on which all was read, all credit has come back, but for what is not worth a word.
    fn check_credit(&mut self) {
        for connection in self.connections.iter().filter(|connection| connection.is_clean) {
            let [Some(near), Some(far)] = [0, 1].map(|end| connection.ends[end].socket) else { continue };
            for (end, id) in [near, far].into_iter().enumerate() {
                if connection.ends[end].has_ended || connection.ends[1 - end].has_ended {
                    continue;
                }
                let count = send(&mut self.world, id, &vec![0; WINDOW + 1]).unwrap();
                assert!(count > WINDOW / 4 * 3 && count <= WINDOW, "{count}");
            }
        }
    }

    fn close_all(mut self) {
        for end in 0..self.connections.len() * 2 {
            self.close(end);
        }
        for listener in &self.listeners {
            self.world.close(*listener);
        }
        assert_empty(&mut self.world);
    }
}

fn operation() -> impl Strategy<Value = Operation> {
    let host = || 0..HOSTS;
    let end = any::<prop::sample::Index>;
    let size = || prop_oneof![3 => 1..100_usize, 2 => 1000..20_000_usize, 1 => 100_000..300_000_usize];
    prop_oneof![
        3 => (host(), host()).prop_map(|(from, to)| Operation::Connect(from, to)),
        4 => host().prop_map(Operation::Accept),
        10 => (end(), size()).prop_map(|(end, size)| Operation::Send(end, size)),
        8 => (end(), size()).prop_map(|(end, size)| Operation::Receive(end, size)),
        1 => end().prop_map(Operation::Shutdown),
        1 => end().prop_map(Operation::Close),
        2 => (host(), host(), any::<bool>()).prop_map(|(from, to, cut)| Operation::Partition(from, to, cut)),
        8 => prop_oneof![3 => 0..60_u64, 1 => 1000..4000_u64].prop_map(Operation::Advance),
    ]
}

/// The same, with hosts that crash.
fn rough_operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        40 => operation(),
        1 => (0..HOSTS, 0..20_000_u64).prop_map(|(host, millis)| Operation::Crash(host, millis)),
    ]
}

/// What must be so of any sequence of operations.
fn check(qualities: &[Quality], operations: &[Operation]) {
    let mut model = Model::new(qualities);
    for operation in operations {
        model.apply(operation);
    }
    model.settle();
    model.check_credit();
    model.close_all();
}

fn quality() -> impl Strategy<Value = Quality> {
    let millis = Duration::from_millis;
    let latency = prop_oneof![
        2 => Just(Latency::Fixed(Duration::ZERO)),
        2 => Just(Latency::Fixed(millis(10))),
        1 => Just(Latency::Uniform(millis(1), millis(50))),
        1 => Just(Latency::Exponential(millis(1), millis(20))),
        1 => Just(Latency::Fixed(millis(1500))),
    ];
    let jitter = prop_oneof![2 => Just(Duration::ZERO), 1 => Just(millis(5))];
    let bandwidth = prop_oneof![2 => Just(None), 1 => Just(Some(1e5)), 1 => Just(Some(1e7))];
    let loss = prop_oneof![2 => Just(0.0), 1 => Just(0.02), 1 => Just(0.3)];
    (latency, jitter, bandwidth, loss).prop_map(|(latency, jitter, bandwidth, loss)| Quality {
        latency,
        jitter,
        bandwidth,
        loss,
        ..Quality::PERFECT
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn streams_are_what_the_model_says(
        qualities in prop::collection::vec(quality(), HOSTS * HOSTS),
        operations in prop::collection::vec(operation(), 1..80),
    ) {
        check(&qualities, &operations);
    }

    #[test]
    fn so_they_are_when_hosts_crash(
        qualities in prop::collection::vec(quality(), HOSTS * HOSTS),
        operations in prop::collection::vec(rough_operation(), 1..80),
    ) {
        check(&qualities, &operations);
    }
}
