//! The ready queue: what belongs to a batch, and how a policy picks inside it.
//!
//! A batch may be taken over by another stack between any two jobs; for the engine that means that pushes, turns and takes come in
//! any order.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use proptest::prelude::*;
use soliloop_engine::policy::Policy;
use soliloop_engine::{Engine, Instant, Job, Wait};

/// A job that nobody cancels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Number(u32);

impl Job for Number {
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// Runs the youngest job of a batch first.
#[derive(Debug)]
struct LastIn;

impl Policy for LastIn {
    fn pick(&mut self, count: usize) -> usize {
        count - 1
    }
}

/// Draws from a sequence that is fixed by its seed, and remembers between how many it had to choose.
#[derive(Debug)]
struct Seeded {
    state: u64,
}

impl Policy for Seeded {
    fn pick(&mut self, count: usize) -> usize {
        assert!(count > 0, "a policy is asked only when there is something to choose");
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.state >> 33).expect("31 bits") % count
    }
}

fn push<P: Policy>(engine: &mut Engine<Number, P>, numbers: impl IntoIterator<Item = u32>) {
    numbers.into_iter().for_each(|number| engine.push(Number(number)));
}

fn take<P: Policy>(engine: &mut Engine<Number, P>) -> Vec<u32> {
    std::iter::from_fn(|| engine.next()).map(|number| number.0).collect()
}

/// A turn at the origin of time: no timer becomes due.
fn turn<P: Policy>(engine: &mut Engine<Number, P>) -> Vec<u32> {
    engine.begin_turn(Instant::ORIGIN);
    take(engine)
}

#[test]
fn nothing_runs_before_a_turn_begins() {
    let mut engine = Engine::new();
    push(&mut engine, [1, 2]);
    assert_eq!(take(&mut engine), []);
    assert_eq!(turn(&mut engine), [1, 2]);
    assert_eq!(turn(&mut engine), []);
}

#[test]
fn what_is_pushed_during_a_batch_waits_for_the_next_one() {
    let mut engine = Engine::new();
    push(&mut engine, [1, 2]);
    engine.begin_turn(Instant::ORIGIN);
    assert_eq!(engine.next(), Some(Number(1)));
    push(&mut engine, [3]);
    assert_eq!(take(&mut engine), [2]);
    assert_eq!(engine.wait(), Wait::None);
    assert_eq!(turn(&mut engine), [3]);
}

#[test]
fn a_job_that_pushes_itself_leaves_each_batch() {
    let mut engine = Engine::new();
    push(&mut engine, [0]);
    for _ in 0..1000 {
        engine.begin_turn(Instant::ORIGIN);
        let job = engine.next().expect("it was pushed in the turn before");
        engine.push(job);
        assert_eq!(engine.next(), None, "events get their turn");
    }
}

#[test]
fn a_batch_can_be_taken_over_in_the_middle() {
    let mut engine = Engine::new();
    push(&mut engine, [1, 2, 3]);
    engine.begin_turn(Instant::ORIGIN);
    assert_eq!(engine.next(), Some(Number(1)));
    // Job 1 is still running when another stack carries on: it ends the batch and begins the next turns.
    push(&mut engine, [4]);
    assert_eq!(take(&mut engine), [2, 3]);
    assert_eq!(turn(&mut engine), [4]);
    push(&mut engine, [5]);
    // Back in the cycle that ran job 1: the batch that it knew is over, and nothing runs twice.
    assert_eq!(engine.next(), None);
    assert_eq!(turn(&mut engine), [5]);
}

#[test]
fn a_turn_that_begins_in_mid_batch_makes_all_that_is_ready_one_batch() {
    let mut engine = Engine::new();
    push(&mut engine, [1, 2, 3]);
    engine.begin_turn(Instant::ORIGIN);
    assert_eq!(engine.next(), Some(Number(1)));
    push(&mut engine, [4]);
    assert_eq!(turn(&mut engine), [2, 3, 4]);
}

#[test]
fn due_timers_come_behind_what_events_made_ready() {
    let mut engine = Engine::new();
    engine.push_at(Instant::ORIGIN, Number(2));
    push(&mut engine, [1]);
    assert_eq!(turn(&mut engine), [1, 2]);
}

#[test]
fn draining_in_mid_batch_ends_the_batch() {
    let mut engine = Engine::new();
    push(&mut engine, [1, 2, 3]);
    engine.push_at(Instant::from_nanos(9), Number(4));
    engine.begin_turn(Instant::ORIGIN);
    assert_eq!(engine.next(), Some(Number(1)));
    let mut drained: Vec<u32> = engine.drain().into_iter().map(|number| number.0).collect();
    drained.sort_unstable();
    assert_eq!(drained, [2, 3, 4]);
    push(&mut engine, [5]);
    assert_eq!(engine.next(), None, "what comes afterwards is not part of the old batch");
    assert_eq!(engine.jobs().collect::<Vec<_>>(), [&Number(5)]);
    assert_eq!(turn(&mut engine), [5]);
}

#[test]
fn last_in_first_out_picks_inside_the_batch_only() {
    let mut engine = Engine::with_policy(LastIn);
    push(&mut engine, [1, 2, 3]);
    engine.begin_turn(Instant::ORIGIN);
    assert_eq!(engine.next(), Some(Number(3)));
    push(&mut engine, [4, 5]);
    assert_eq!(take(&mut engine), [2, 1]);
    assert_eq!(turn(&mut engine), [5, 4]);
}

#[test]
fn a_seed_repeats_its_run() {
    let run = |seed| {
        let mut engine = Engine::with_policy(Seeded { state: seed });
        push(&mut engine, 0..50);
        turn(&mut engine)
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
    assert_ne!(run(1), (0..50).collect::<Vec<_>>());
}

proptest! {
    /// Per turn: how many are pushed before it, and how many after each job of it.
    #[test]
    fn any_policy_runs_each_job_once_and_in_its_batch(
        seed in any::<u64>(),
        turns in prop::collection::vec((0..6_u32, prop::collection::vec(0..3_u32, 0..6)), 1..20),
    ) {
        let mut engine = Engine::with_policy(Seeded { state: seed });
        let mut model_policy = Seeded { state: seed };
        let mut queue: Vec<u32> = Vec::new();
        let mut count = 0;
        for (before, during) in turns {
            for _ in 0..before {
                engine.push(Number(count));
                queue.push(count);
                count += 1;
            }
            engine.begin_turn(Instant::ORIGIN);
            let mut batch = std::mem::take(&mut queue);
            let mut pushes = during.into_iter();
            while !batch.is_empty() {
                let expected = batch.remove(model_policy.pick(batch.len()));
                prop_assert_eq!(engine.next(), Some(Number(expected)));
                for _ in 0..pushes.next().unwrap_or(0) {
                    engine.push(Number(count));
                    queue.push(count);
                    count += 1;
                }
                prop_assert_eq!(engine.ready_len(), batch.len() + queue.len());
            }
            prop_assert_eq!(engine.next(), None);
        }
    }
}

#[test]
fn the_last_job_can_be_taken_back_unless_it_is_in_the_batch() {
    let mut engine = Engine::new();
    push(&mut engine, [1, 2]);
    engine.begin_turn(Instant::ORIGIN);
    assert_eq!(engine.take_last(), None);
    push(&mut engine, [3, 4]);
    assert_eq!(engine.take_last(), Some(Number(4)));
    assert_eq!(engine.take_last(), Some(Number(3)));
    assert_eq!(engine.take_last(), None);
    assert_eq!(engine.next(), Some(Number(1)));
}
