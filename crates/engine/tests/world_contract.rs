//! The contract of a world (`world/mod.rs`) as one text of claims, made of the real and of the simulated one.
//!
//! No claim compares with a wall clock: a world is asked for its own time only.

#![allow(clippy::disallowed_methods, reason = "whoever wakes a world is another thread")]
#![cfg(feature = "real")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use soliloop_engine::world::Interest;
use soliloop_engine::world::real::{Events, Real};
use soliloop_engine::world::sim::{Simulated, Step};
use soliloop_engine::{Instant, Wait};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// A world as the claims see it.
trait World {
    /// The world that the claims are about, as failures name it.
    const NAME: &'static str;
    fn new() -> Self;
    fn now(&self) -> Instant;
    fn wait(&mut self, wait: Wait) -> End;
}

/// How a wait has ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Turn,
    Stuck,
}

struct RealArm {
    world: Arc<Real>,
    events: Events,
}

impl World for RealArm {
    const NAME: &'static str = "real";

    fn new() -> Self {
        Self { world: Arc::new(Real::new().expect("descriptors are to be had")), events: Events::with_capacity(16) }
    }

    fn now(&self) -> Instant {
        Real::now()
    }

    fn wait(&mut self, wait: Wait) -> End {
        self.world.wait(wait, &mut self.events).expect("an epoll instance can be waited for");
        End::Turn
    }
}

impl RealArm {
    /// The descriptors of the last wait: (number, readable, writable).
    fn sources(&self) -> Vec<(i32, bool, bool)> {
        let sources = self.events.iter().filter_map(|event| self.world.source(event));
        sources.map(|(fd, event)| (fd, event.readable, event.writable)).collect()
    }
}

impl World for Simulated {
    const NAME: &'static str = "simulated";

    fn new() -> Self {
        Self::new(0)
    }

    fn now(&self) -> Instant {
        self.now()
    }

    fn wait(&mut self, wait: Wait) -> End {
        match self.wait(wait) {
            Step::Turn(now) => {
                assert_eq!(now, Simulated::now(self), "a turn begins at the time that the clock shows");
                End::Turn
            }
            Step::Stuck => End::Stuck,
        }
    }
}

fn after<W: World>(world: &W, nanos: u64) -> Instant {
    Instant::from_nanos(world.now().as_nanos() + nanos)
}

/// Waits as a loop does: a world may return early, and is asked again.
fn wait_until<W: World>(world: &mut W, deadline: Instant) {
    while world.now() < deadline {
        assert_eq!(world.wait(Wait::Until(deadline)), End::Turn, "{}", W::NAME);
    }
}

fn time_never_goes_back<W: World>() {
    let mut world = W::new();
    let mut last = world.now();
    let waits = [Wait::None, Wait::Until(Instant::ORIGIN), Wait::Until(last), Wait::Until(after(&world, 20_000))];
    for wait in waits.into_iter().cycle().take(200) {
        assert_eq!(world.wait(wait), End::Turn, "{}", W::NAME);
        let now = world.now();
        assert!(now >= last, "{}: {now:?} comes after {last:?}", W::NAME);
        last = now;
    }
}

fn a_wait_for_nothing_returns<W: World>() {
    let mut world = W::new();
    for _ in 0..1000 {
        assert_eq!(world.wait(Wait::None), End::Turn, "{}", W::NAME);
    }
}

fn a_wait_reaches_its_deadline<W: World>() {
    let mut world = W::new();
    for nanos in [0, 1, 999, 1_000, 50_000, 2_000_000] {
        let deadline = after(&world, nanos);
        wait_until(&mut world, deadline);
        assert!(world.now() >= deadline, "{}", W::NAME);
    }
}

fn a_deadline_in_the_past_is_no_wait<W: World>() {
    let mut world = W::new();
    let start = after(&world, 1_000);
    wait_until(&mut world, start);
    assert_eq!(world.wait(Wait::Until(Instant::ORIGIN)), End::Turn, "{}", W::NAME);
    assert!(world.now() >= start, "{}", W::NAME);
}

macro_rules! claims {
    ($arm:ident: $world:ty) => {
        mod $arm {
            use super::*;

            #[test]
            fn time_never_goes_back() {
                super::time_never_goes_back::<$world>();
            }

            #[test]
            fn a_wait_for_nothing_returns() {
                super::a_wait_for_nothing_returns::<$world>();
            }

            #[test]
            fn a_wait_reaches_its_deadline() {
                super::a_wait_reaches_its_deadline::<$world>();
            }

            #[test]
            fn a_deadline_in_the_past_is_no_wait() {
                super::a_deadline_in_the_past_is_no_wait::<$world>();
            }
        }
    };
}

claims!(real: RealArm);
claims!(simulated: Simulated);

// -------------------------------------------------------------------- what only one of the worlds can promise

#[test]
fn a_simulated_wait_ends_exactly_at_its_deadline() {
    let mut world = Simulated::new(0);
    assert_eq!(world.now(), Instant::ORIGIN);
    let years = Instant::from_nanos(500 * 365 * 24 * 3600 * 1_000_000_000);
    for deadline in [Instant::from_nanos(1), Instant::from_nanos(200_000_001), years] {
        assert_eq!(world.wait(Wait::Until(deadline)), Step::Turn(deadline));
    }
    world.advance_to(Instant::ORIGIN);
    assert_eq!(world.now(), years);
}

#[test]
fn a_simulated_world_says_that_it_is_stuck_and_stays_where_it_is() {
    let mut world = Simulated::new(0);
    world.advance_to(Instant::from_nanos(7));
    assert_eq!(world.wait(Wait::Forever), Step::Stuck);
    assert_eq!(world.now(), Instant::from_nanos(7));
    assert_eq!(world.wait(Wait::None), Step::Turn(Instant::from_nanos(7)));
}

#[test]
fn a_wake_from_another_thread_ends_a_wait_without_a_deadline() {
    let mut arm = RealArm::new();
    let waker = Arc::clone(&arm.world);
    // No order between wake and wait is needed: a wake that comes first is kept.
    let thread = thread::spawn(move || waker.wake());
    assert_eq!(World::wait(&mut arm, Wait::Forever), End::Turn);
    assert_eq!(arm.sources(), [], "a wake is no descriptor");
    thread.join().expect("waking does not panic");
}

#[test]
fn a_wake_ends_a_wait_for_a_late_deadline() {
    let mut arm = RealArm::new();
    let deadline = after(&arm, 3_600_000_000_000);
    let waker = Arc::clone(&arm.world);
    let thread = thread::spawn(move || {
        thread::sleep(Duration::from_millis(5));
        waker.wake();
    });
    assert_eq!(World::wait(&mut arm, Wait::Until(deadline)), End::Turn);
    assert!(arm.now() < deadline);
    thread.join().expect("waking does not panic");
}

#[test]
fn a_wake_is_used_up_by_the_wait_that_it_ends() {
    let mut arm = RealArm::new();
    for _ in 0..3 {
        arm.world.wake();
    }
    assert_eq!(World::wait(&mut arm, Wait::Forever), End::Turn);
    assert_eq!(arm.sources(), []);
    // Nothing is left: this one runs into its deadline.
    let deadline = after(&arm, 1_000_000);
    assert_eq!(World::wait(&mut arm, Wait::Until(deadline)), End::Turn);
    assert!(arm.now() >= deadline);
}

#[test]
fn storms_of_wakes_from_several_threads_lose_none() {
    const ROUNDS: usize = 200;
    let mut arm = RealArm::new();
    let (sender, receiver) = std::sync::mpsc::channel();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (waker, sender) = (Arc::clone(&arm.world), sender.clone());
            thread::spawn(move || {
                for _ in 0..ROUNDS {
                    sender.send(()).expect("the receiver is there");
                    waker.wake();
                }
            })
        })
        .collect();
    let mut received = 0;
    while received < 4 * ROUNDS {
        assert_eq!(World::wait(&mut arm, Wait::Forever), End::Turn);
        // Used up before the inbox is read, as a loop does: a message behind the reading wakes again.
        assert_eq!(arm.sources(), []);
        received += receiver.try_iter().count();
    }
    for thread in threads {
        thread.join().expect("waking does not panic");
    }
}

#[test]
fn an_event_that_was_not_acted_upon_comes_again() {
    let mut arm = RealArm::new();
    let (mut near, mut far) = UnixStream::pair().expect("sockets are to be had");
    arm.world.watch(near.as_raw_fd(), Interest::READ).expect("a socket can be watched");
    far.write_all(b"x").expect("the peer is open");
    for _ in 0..3 {
        assert_eq!(World::wait(&mut arm, Wait::Forever), End::Turn);
        assert_eq!(arm.sources(), [(near.as_raw_fd(), true, false)]);
    }
    near.read_exact(&mut [0]).expect("a byte is there");
    assert_eq!(World::wait(&mut arm, Wait::None), End::Turn);
    assert_eq!(arm.sources(), []);
}

#[test]
fn watching_can_be_changed_and_ended() {
    let mut arm = RealArm::new();
    let (near, _far) = UnixStream::pair().expect("sockets are to be had");
    let fd = near.as_raw_fd();
    arm.world.watch(fd, Interest::READ).expect("a socket can be watched");
    arm.world.rewatch(fd, Interest { read: true, write: true, is_edge: false }).expect("it is watched");
    assert_eq!(World::wait(&mut arm, Wait::Forever), End::Turn);
    assert_eq!(arm.sources(), [(fd, false, true)]);
    arm.world.unwatch(fd).expect("it is watched");
    assert_eq!(World::wait(&mut arm, Wait::None), End::Turn);
    assert_eq!(arm.sources(), []);
    assert!(arm.world.unwatch(fd).is_err(), "it is not watched any more");
    assert!(arm.world.watch(-1, Interest::READ).is_err(), "there is no such descriptor");
}
