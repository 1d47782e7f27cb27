//! Timers against a model: a sorted list that does the obvious thing.
//!
//! The claims: jobs come out by (deadline, order of creation) and not before their deadline; a cancelled timer never becomes ready;
//! the memory of cancelled timers comes back. The payload is a number with a flag, so nothing here depends on what a job is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use soliloop_engine::{Engine, Instant, Job, Wait};
use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

/// A job whose cancellation is a flag that the test holds as well.
#[derive(Clone, Debug)]
struct Ticket {
    number: usize,
    cancelled: Rc<Cell<bool>>,
}

impl Job for Ticket {
    fn is_cancelled(&self) -> bool {
        self.cancelled.get()
    }
}

/// What a program does with an engine.
#[derive(Clone, Debug)]
enum Step {
    Push,
    /// As many timers as the first number says, of this deadline and the following ones.
    PushAt(usize, u64),
    /// Cancels as many pending jobs as the first number says, from the given one on, every so-many-th.
    Cancel(usize, prop::sample::Index, usize),
    /// Begins a turn this much later.
    BeginTurn(u64),
    Next,
    Drain,
}

fn step() -> impl Strategy<Value = Step> {
    let few_or_many = || prop_oneof![4 => 1..4_usize, 1 => 50..400_usize];
    prop_oneof![
        2 => Just(Step::Push),
        6 => (few_or_many(), 0..60_u64).prop_map(|(count, deadline)| Step::PushAt(count, deadline)),
        1 => Just(Step::PushAt(1, u64::MAX)),
        5 => (few_or_many(), any::<prop::sample::Index>(), 1..4_usize)
            .prop_map(|(count, from, stride)| Step::Cancel(count, from, stride)),
        4 => (0..20_u64).prop_map(Step::BeginTurn),
        6 => Just(Step::Next),
        1 => Just(Step::Drain),
    ]
}

/// The engine that is tested, and beside it what it should contain.
#[derive(Default)]
struct Pair {
    engine: Engine<Ticket>,
    now: u64,
    tickets: Vec<Ticket>,
    /// Sorted by (deadline, number); without cancelled ones.
    timers: Vec<(u64, usize)>,
    ready: VecDeque<usize>,
    batch: usize,
}

impl Pair {
    fn ticket(&mut self) -> Ticket {
        let ticket = Ticket { number: self.tickets.len(), cancelled: Rc::default() };
        self.tickets.push(ticket.clone());
        ticket
    }

    fn push_at(&mut self, deadline: u64) -> usize {
        let ticket = self.ticket();
        let row = (deadline, ticket.number);
        self.timers.insert(self.timers.partition_point(|other| *other < row), row);
        self.engine.push_at(Instant::from_nanos(deadline), ticket);
        row.1
    }

    fn cancel(&mut self, number: usize) {
        let was_cancelled = self.tickets[number].cancelled.replace(true);
        let Some(index) = self.timers.iter().position(|(_, other)| *other == number) else { return };
        assert!(!was_cancelled, "the model keeps no cancelled timers");
        self.timers.remove(index);
        self.engine.note_cancelled_timer();
        self.assert_swept();
    }

    fn begin_turn(&mut self, later: u64) {
        self.now += later;
        let due = self.timers.partition_point(|(deadline, _)| *deadline <= self.now);
        self.ready.extend(self.timers.drain(..due).map(|(_, number)| number));
        self.batch = self.ready.len();
        self.engine.begin_turn(Instant::from_nanos(self.now));
    }

    fn next(&mut self) -> Option<usize> {
        let expected = if self.batch == 0 { None } else { self.ready.pop_front() };
        self.batch = self.batch.saturating_sub(1);
        let given = self.engine.next().map(|ticket| ticket.number);
        assert_eq!(given, expected);
        given
    }

    fn drain(&mut self) {
        let is_live = |number: &usize| !self.tickets[*number].cancelled.get();
        let mut given: Vec<usize> =
            self.engine.drain().into_iter().map(|ticket| ticket.number).filter(is_live).collect();
        let pending = self.ready.drain(..).chain(self.timers.drain(..).map(|(_, number)| number));
        let mut expected: Vec<usize> = pending.filter(is_live).collect();
        given.sort_unstable();
        expected.sort_unstable();
        assert_eq!(given, expected);
        self.batch = 0;
        assert_eq!(self.engine.timers_len(), 0);
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Push => {
                let ticket = self.ticket();
                self.ready.push_back(ticket.number);
                self.engine.push(ticket);
            }
            Step::PushAt(count, deadline) => {
                for later in 0..*count as u64 {
                    self.push_at(deadline.saturating_add(self.now).saturating_add(later / 2));
                }
            }
            Step::Cancel(count, from, stride) => {
                let pending: Vec<usize> =
                    self.ready.iter().copied().chain(self.timers.iter().map(|(_, number)| *number)).collect();
                if !pending.is_empty() {
                    let chosen = pending.iter().skip(from.index(pending.len())).step_by(*stride).take(*count);
                    chosen.for_each(|number| self.cancel(*number));
                }
            }
            Step::BeginTurn(later) => self.begin_turn(*later),
            Step::Next => drop(self.next()),
            Step::Drain => self.drain(),
        }
        self.assert_alike();
    }

    fn assert_alike(&mut self) {
        assert_eq!(self.engine.ready_len(), self.ready.len());
        assert_eq!(self.engine.has_ready(), !self.ready.is_empty());
        assert!(self.engine.timers_len() >= self.timers.len());
        let expected = match self.timers.first() {
            _ if !self.ready.is_empty() => Wait::None,
            None | Some((u64::MAX, _)) => Wait::Forever,
            Some((deadline, _)) => Wait::Until(Instant::from_nanos(*deadline)),
        };
        assert_eq!(self.engine.wait(), expected);
    }

    fn assert_swept(&self) {
        let (held, live) = (self.engine.timers_len(), self.timers.len());
        assert!(held <= 2 * live + UNSWEPT, "{held} timers are held, and {live} are pending");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_engine_does_what_a_sorted_list_does(steps in prop::collection::vec(step(), 1..120)) {
        let mut pair = Pair::default();
        for step in &steps {
            pair.take(step);
        }
        // Whatever is left comes out in order, and nothing else does.
        pair.begin_turn(u64::MAX - pair.now);
        while pair.next().is_some() {}
        prop_assert_eq!(pair.engine.timers_len(), 0);
        prop_assert!(!pair.engine.has_ready());
    }

    #[test]
    fn equal_deadlines_keep_the_order_of_creation(deadlines in prop::collection::vec(0..3_u64, 1..200)) {
        let mut pair = Pair::default();
        let mut expected: Vec<(u64, usize)> =
            deadlines.iter().map(|deadline| (*deadline, pair.push_at(*deadline))).collect();
        expected.sort_by_key(|(deadline, _)| *deadline);
        pair.begin_turn(3);
        for (_, number) in expected {
            prop_assert_eq!(pair.next(), Some(number));
        }
    }
}

proptest! {
    // Each is long.
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// More than are kept in one heap, near and far, also all at once and most of them at once.
    #[test]
    fn thousands_of_timers_come_out_in_order(
        waves in prop::collection::vec((1..5000_usize, prop_oneof![Just(1_u64), Just(3), 1..100_000_u64], 0..5_000_u64, 0..2000_usize), 1..6),
        salt in any::<u64>(),
    ) {
        let mut pair = Pair::default();
        for (count, spread, later, cancelled) in waves {
            for number in 0..count as u64 {
                let deadline = (number ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15) % spread;
                pair.push_at(pair.now + deadline);
            }
            let pending: Vec<usize> = pair.timers.iter().map(|(_, number)| *number).step_by(3).take(cancelled).collect();
            for number in pending {
                pair.cancel(number);
            }
            pair.begin_turn(later);
            while pair.next().is_some() {}
        }
        pair.begin_turn(u64::MAX - pair.now);
        while pair.next().is_some() {}
        prop_assert_eq!(pair.engine.timers_len(), 0);
    }
}

#[test]
fn a_timer_is_ready_at_its_deadline_and_not_a_nanosecond_before() {
    let mut pair = Pair::default();
    let number = pair.push_at(1000);
    pair.begin_turn(999);
    assert_eq!(pair.next(), None);
    pair.begin_turn(1);
    assert_eq!(pair.next(), Some(number));
}

#[test]
fn a_deadline_in_the_past_is_due_in_the_next_turn_only() {
    let mut pair = Pair::default();
    pair.begin_turn(1000);
    let number = pair.push_at(5);
    assert_eq!(pair.next(), None);
    pair.begin_turn(0);
    assert_eq!(pair.next(), Some(number));
}

#[test]
fn a_deadline_that_never_comes_is_no_reason_to_wake_up() {
    let mut engine = Engine::new();
    engine.push_at(Instant::NEVER, Ticket { number: 0, cancelled: Rc::default() });
    assert_eq!(engine.wait(), Wait::Forever);
    assert_eq!(engine.timers_len(), 1);
}

#[test]
fn a_timer_that_became_ready_can_be_cancelled_still() {
    let mut pair = Pair::default();
    let number = pair.push_at(1);
    pair.begin_turn(1);
    pair.tickets[number].cancelled.set(true);
    // The queue hands it out: whoever runs jobs asks them.
    assert!(pair.engine.next().expect("it was ready").is_cancelled());
}

#[test]
fn a_million_cancelled_timers_are_given_back() {
    let mut engine = Engine::new();
    let tickets: Vec<Ticket> = (0..1_000_000).map(|number| Ticket { number, cancelled: Rc::default() }).collect();
    for (later, ticket) in (1..).zip(&tickets) {
        engine.push_at(Instant::from_nanos(later), ticket.clone());
    }
    // The last one lives, so that none goes because it is the first.
    for ticket in &tickets[1..] {
        ticket.cancelled.set(true);
        engine.note_cancelled_timer();
        drop(engine.take_discarded());
    }
    assert!(engine.timers_len() <= 2 + UNSWEPT, "{} are held", engine.timers_len());
    let held = tickets.iter().filter(|ticket| Rc::strong_count(&ticket.cancelled) > 1).count();
    assert_eq!(held, engine.timers_len(), "the jobs themselves are given back");
}

/// A job whose drop is noted.
struct Noted(Rc<Cell<usize>>);

impl Job for Noted {
    fn is_cancelled(&self) -> bool {
        true
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn the_engine_drops_no_job_itself() {
    let dropped = Rc::new(Cell::new(0));
    let mut engine = Engine::new();
    for later in 1..=1000 {
        engine.push_at(Instant::from_nanos(later), Noted(dropped.clone()));
    }
    for _ in 0..900 {
        engine.note_cancelled_timer();
    }
    let _ = engine.wait();
    engine.begin_turn(Instant::from_nanos(5000));
    assert_eq!((dropped.get(), engine.timers_len()), (0, 0));
    drop(engine.take_discarded());
    assert_eq!(dropped.get(), 1000);
}

#[test]
fn cancelled_timers_are_swept_too_when_the_others_have_run() {
    let mut pair = Pair::default();
    let early: Vec<usize> = (0..10_000).map(|_| pair.push_at(10)).collect();
    pair.push_at(1000);
    let late: Vec<usize> = (0..10_000).map(|_| pair.push_at(2000)).collect();
    // As many as live: not a reason to sweep yet.
    for number in &late {
        pair.cancel(*number);
    }
    pair.begin_turn(10);
    for number in early {
        assert_eq!(pair.next(), Some(number));
    }
    pair.begin_turn(1);
    pair.assert_swept();
}

/// Cancelled timers that may wait for company.
const UNSWEPT: usize = 65;
