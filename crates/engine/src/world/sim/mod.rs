//! The simulated world: a clock that moves only when nothing is ready, and then straight to the next event; hosts, links, and sockets
//! between them.
//!
//! | module | what |
//! |---|---|
//! | `agenda` | events by time |
//! | `tape` | every random choice |
//! | `digest` | what has happened, in one number |
//! | `hosts` | names, addresses, routes |
//! | `link` | delay and loss between two hosts |
//! | `socket` | the table of sockets, readiness |
//! | `address` | who has which address |
//! | `stream` | the calls of connected sockets |
//! | `handshake` | how connections come about |
//! | `travel` | segments on their way, resets, stalls |
//! | `moving` | sockets that go to another world |
//! | `datagram` | what travels alone |
//! | `fault` | what sockets refuse |
//! | `snapshot` | the world as text |
//!
//! It knows no descriptor, no thread and no wall clock. When there is neither a job nor a deadline nor an event, nothing can ever happen
//! again: that is [`Step::Stuck`], which is an answer and not a wait. Equal times keep the order in which they came about, collections are
//! ordered, and random choices come from one tape: a run depends on the seed and the program alone.

mod address;
pub use address::{Address, BindOptions, Family};

mod agenda;
mod datagram;
mod digest;
pub use digest::Digest;

mod fault;
pub use fault::{Fault, Result};

mod handshake;
mod hosts;
pub use hosts::{HostError, HostId};

mod inbox;
mod link;
pub use link::{Latency, Quality};

mod moving;

mod snapshot;
pub use snapshot::Snapshot;

mod socket;
pub use socket::{Kind, SocketId};

mod stream;
pub use stream::WINDOW;

mod tape;
pub use tape::Tape;

mod travel;

use crate::clock::Instant;
use crate::engine::Wait;
use agenda::Agenda;
use datagram::Packet;
use hosts::Hosts;
use socket::{Role, Sockets};
use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

/// A world of its own.
#[derive(Debug)]
pub struct Simulated {
    now: Instant,
    agenda: Agenda<Event>,
    tape: Tape,
    digest: Digest,
    hosts: Hosts,
    sockets: Sockets,
    /// How many connections were asked for: each one has its number.
    tickets: u64,
    /// Sleepers that were not woken yet, by number; and those that were, in order.
    asleep: BTreeSet<u64>,
    woken: Vec<u64>,
    sleepers: u64,
}

/// What became of a wait in a simulated world.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The turn can begin at this instant.
    Turn(Instant),
    /// Nothing is ready, no timer is set, no event is under way.
    Stuck,
}

/// What is going to happen. An event that has become void is passed over, and does not move the clock.
#[derive(Debug)]
enum Event {
    /// The first of what a socket has under way arrives.
    Arrive {
        from: SocketId,
        serial: u64,
    },
    /// What a socket has under way is sent again.
    Retry {
        from: SocketId,
        attempt: u32,
    },
    /// A socket asks for a connection.
    Knock {
        from: SocketId,
        ticket: u64,
    },
    /// No answer has come until now.
    KnockAgain {
        from: SocketId,
        ticket: u64,
    },
    /// The answer: from a listening socket, or a refusal.
    Answer {
        to: SocketId,
        ticket: u64,
        listener: Option<SocketId>,
    },
    /// The other end of a connection is gone.
    Reset {
        to: SocketId,
        attempt: u32,
    },
    Datagram(Box<Packet>),
    /// Nobody has waited for what a socket has sent.
    Unreachable {
        to: SocketId,
        about: SocketAddr,
    },
    /// A sleeper's time has come.
    Wake(u64),
}

/// What the digest tells apart.
#[derive(Clone, Copy, Debug)]
enum Noted {
    Connect = 1,
    Send,
    Arrive,
    Close,
    Datagram,
}

impl Simulated {
    /// A world whose clock stands at the origin, and whose random choices are those of a seed.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ORIGIN,
            agenda: Agenda::new(),
            tape: Tape::of_seed(seed),
            digest: Digest::new(),
            hosts: Hosts::new(),
            sockets: Sockets::default(),
            tickets: 0,
            asleep: BTreeSet::new(),
            woken: Vec::new(),
            sleepers: 0,
        }
    }

    // ------------------------------------------------------------------ time

    /// The current simulated instant.
    #[inline]
    pub const fn now(&self) -> Instant {
        self.now
    }

    /// Takes what [`Engine::wait`](crate::Engine::wait) said, and jumps from event to event until somebody is concerned.
    #[inline]
    pub fn wait(&mut self, wait: Wait) -> Step {
        if wait == Wait::None {
            // What is due is not late because somebody is busy.
            self.advance_to(self.now);
            return Step::Turn(self.now);
        }
        loop {
            if !self.woken.is_empty() || self.sockets.has_ready() {
                return Step::Turn(self.now);
            }
            let deadline = match wait {
                Wait::Until(deadline) => Some(deadline),
                Wait::None | Wait::Forever => None,
            };
            match (self.next_event(), deadline) {
                (Some(event), deadline) if deadline.is_none_or(|deadline| event <= deadline) => self.advance_to(event),
                (_, Some(deadline)) => {
                    self.advance_to(deadline);
                    return Step::Turn(self.now);
                }
                (_, None) => return Step::Stuck,
            }
        }
    }

    /// When the next event happens that is not void.
    pub fn next_event(&mut self) -> Option<Instant> {
        loop {
            let (at, event) = self.agenda.peek()?;
            if self.is_due(event) {
                return Some(at);
            }
            self.agenda.pop();
        }
    }

    /// Moves the clock forward to `instant`, and lets happen what happens until then; it stays where it is if that is past.
    #[inline]
    pub fn advance_to(&mut self, instant: Instant) {
        while let Some(at) = self.next_event().filter(|at| *at <= instant) {
            self.now = self.now.max(at);
            if let Some(event) = self.agenda.pop() {
                self.happen(event);
            }
        }
        self.now = self.now.max(instant);
    }

    /// Whether a socket may be ready, or a sleeper was woken: a quick answer, which errs on the side of yes.
    #[inline]
    pub fn has_ready(&self) -> bool {
        self.sockets.has_listed() || !self.woken.is_empty()
    }

    fn is_due(&self, event: &Event) -> bool {
        let stream = |id: &SocketId| match self.sockets.get(*id).map(|socket| &socket.role) {
            Some(Role::Stream(stream)) => Some(stream),
            _ => None,
        };
        match event {
            Event::Arrive { from, serial } => stream(from).is_some_and(|stream| stream.awaits_arrival(*serial)),
            Event::Retry { from, attempt } => stream(from).is_some_and(|stream| stream.awaits_retry(*attempt)),
            Event::Knock { from, ticket }
            | Event::KnockAgain { from, ticket }
            | Event::Answer { to: from, ticket, .. } => {
                stream(from).is_some_and(|stream| stream.awaits_answer(*ticket))
            }
            Event::Reset { to, .. } => stream(to).is_some_and(|stream| stream.is_open()),
            Event::Datagram(_) => true,
            Event::Unreachable { to, about } => self.would_hear(*to, *about),
            Event::Wake(sleeper) => self.asleep.contains(sleeper),
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Arrive { from, .. } => self.on_arrival(from),
            Event::Retry { from, .. } => self.on_retry(from),
            Event::Knock { from, ticket } => self.on_knock(from, ticket),
            Event::KnockAgain { from, .. } => self.on_knock_again(from),
            Event::Answer { to, listener, .. } => self.on_answer(to, listener),
            Event::Reset { to, attempt } => self.on_reset(to, attempt),
            Event::Datagram(packet) => self.on_datagram(*packet),
            Event::Unreachable { to, .. } => self.on_unreachable(to),
            Event::Wake(sleeper) => {
                self.asleep.remove(&sleeper);
                self.woken.push(sleeper);
            }
        }
    }

    // ------------------------------------------------------------------ sleepers

    /// Plans to wake somebody; gives the number by which [`Simulated::take_woken`] will name it.
    pub fn sleep_until(&mut self, instant: Instant) -> u64 {
        self.sleepers += 1;
        self.asleep.insert(self.sleepers);
        self.agenda.push(instant, Event::Wake(self.sleepers));
        self.sleepers
    }

    /// Drops the plan to wake a sleeper; gives whether there was one.
    pub fn forget_sleeper(&mut self, sleeper: u64) -> bool {
        self.asleep.remove(&sleeper)
    }

    /// The sleepers whose time has come, in the order in which it did.
    pub fn take_woken(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.woken)
    }

    // ------------------------------------------------------------------ hosts and links

    /// Adds a host; without addresses it gets one of each family. From now on only what was added is known.
    ///
    /// # Errors
    /// [`HostError`] if another host has its name or one of its addresses.
    pub fn add_host(&mut self, name: &str, addresses: &[IpAddr]) -> std::result::Result<HostId, HostError> {
        let is_main_idle = !self.sockets.iter().any(|(_, socket)| socket.host == HostId::MAIN);
        if is_main_idle {
            self.hosts.give_way(addresses);
        }
        self.hosts.add(name, addresses)
    }

    /// The host of a name.
    pub fn host_named(&self, name: &str) -> Option<HostId> {
        self.hosts.named(name)
    }

    /// The name of a host.
    pub fn host_name(&self, host: HostId) -> &str {
        &self.hosts.get(host).name
    }

    /// Every host, in the order of creation.
    pub fn hosts(&self) -> impl Iterator<Item = HostId> + use<> {
        self.hosts.ids()
    }

    /// The addresses of a host, loopback apart.
    pub fn addresses(&self, host: HostId) -> &[IpAddr] {
        self.hosts.addresses_of(host)
    }

    /// The addresses of a name; in a world without set-up every name has one.
    pub fn resolve(&mut self, name: &str) -> Vec<IpAddr> {
        self.hosts.resolve(name)
    }

    /// The address of a name that is of one IP version; in a world without set-up every name has one.
    pub fn resolve_in(&mut self, name: &str, is_v4: bool) -> Option<IpAddr> {
        self.hosts.resolve_in(name, is_v4)
    }

    /// Whether a name is known: as an address, as a host's, or because a socket was bound to it.
    pub fn knows(&self, name: &str) -> bool {
        name.parse::<IpAddr>().is_ok() || self.hosts.knows(name)
    }

    /// Whether something in this world answers at an address, as seen from a host.
    pub fn serves(&self, from: HostId, kind: Kind, to: &Address) -> bool {
        match to {
            Address::Internet(to) => {
                let to = address::destination(*to);
                let at = |host, is_exact| self.sockets.names.at(host, kind, to, is_exact).next().is_some();
                self.hosts.route(from, to.ip()).is_some_and(|host| at(host, true) || at(host, false))
            }
            Address::Path(path) => self.sockets.names.at_path(from, path).is_some(),
            Address::Nameless => false,
        }
    }

    /// Whether an address belongs to a host that was added.
    pub fn owns(&self, address: &Address) -> bool {
        matches!(address, Address::Internet(address) if self.hosts.is_added(address.ip()))
    }

    /// The name that an address was given.
    pub fn name_of(&self, address: IpAddr) -> Option<&str> {
        self.hosts.name_of(address)
    }

    /// Whether nothing was set up, so that any name stands for the main host.
    pub const fn is_open(&self) -> bool {
        self.hosts.is_open()
    }

    /// Sets what one direction between two hosts is like.
    pub fn set_link(&mut self, from: HostId, to: HostId, quality: Quality) {
        self.hosts.set_quality(from, to, quality);
    }

    /// What one direction between two hosts is like.
    pub fn link(&self, from: HostId, to: HostId) -> Quality {
        *self.hosts.quality(from, to)
    }

    /// Sets what all links are like that nothing else was said of.
    pub fn set_default_link(&mut self, quality: Quality) {
        self.hosts.set_default(quality);
    }

    /// Cuts one direction between two hosts, or mends it.
    pub fn set_cut(&mut self, from: HostId, to: HostId, is_cut: bool) {
        self.hosts.direction(from, to).is_cut = is_cut;
    }

    /// Whether a host runs.
    pub fn is_up(&self, host: HostId) -> bool {
        self.hosts.get(host).is_up
    }

    /// Stops a host at once: its sockets are gone, with what they had under way, and nobody is told. Gives which
    /// they were.
    pub fn crash(&mut self, host: HostId) -> Vec<SocketId> {
        self.hosts.get_mut(host).is_up = false;
        let gone: Vec<SocketId> =
            self.sockets.iter().filter(|(_, socket)| socket.host == host).map(|(id, _)| id).collect();
        for id in &gone {
            self.sockets.remove(*id);
        }
        gone
    }

    /// Starts a host again. Its ports are free; who still believes in an old connection is told when it sends.
    pub fn restart(&mut self, host: HostId) {
        self.hosts.get_mut(host).is_up = true;
    }

    /// What the clocks of a host show beyond the world's, in nanoseconds.
    pub fn clock_offset(&self, host: HostId) -> i64 {
        self.hosts.get(host).clock_offset
    }

    /// Sets a host's clocks.
    pub fn set_clock_offset(&mut self, host: HostId, nanos: i64) {
        self.hosts.get_mut(host).clock_offset = nanos;
    }

    // ------------------------------------------------------------------ looking

    /// The tape, for choices of the owner.
    pub const fn tape(&mut self) -> &mut Tape {
        &mut self.tape
    }

    /// The digest of what has happened so far. Contents of messages are not in it, only their lengths: those of TLS are random.
    pub fn digest(&self) -> u64 {
        let mut digest = self.digest;
        digest.note(self.now.as_nanos());
        digest.note(self.tape.drawn());
        digest.value()
    }

    /// Adds something that the owner has seen to the digest.
    #[inline]
    pub const fn note_word(&mut self, word: u64) {
        self.digest.note(word);
    }

    /// The world as text.
    pub const fn snapshot(&self) -> Snapshot<'_> {
        Snapshot(self)
    }

    #[inline]
    fn note(&mut self, what: Noted, id: SocketId, size: usize) {
        self.digest.note(self.now.as_nanos() ^ ((what as u64) << 60));
        self.digest.note(((id.index() as u64) << 32) ^ size as u64);
    }
}

impl Default for Simulated {
    fn default() -> Self {
        Self::new(0)
    }
}
