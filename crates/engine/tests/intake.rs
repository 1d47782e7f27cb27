//! The read buffer against the obvious model: one string of bytes.

use proptest::prelude::*;
use soliloop_engine::intake::{Found, Intake, Taken};

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<u8>),
    Take(usize),
    Skip(usize),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Step::Push),
        4 => (0_usize..50).prop_map(Step::Take),
        1 => (0_usize..50).prop_map(Step::Skip),
        1 => Just(Step::Clear),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn what_waits_is_what_was_pushed_and_not_taken(steps in steps()) {
        let (mut intake, mut model) = (Intake::new(), Vec::new());
        for step in steps {
            match step {
                Step::Push(chunk) => {
                    model.extend_from_slice(&chunk);
                    intake.push(chunk);
                }
                Step::Take(count) => {
                    let (Taken::Whole(taken) | Taken::Made(taken)) = intake.take(count, <[u8]>::to_vec);
                    let expected: Vec<u8> = model.drain(..count.min(model.len())).collect();
                    prop_assert_eq!(taken, expected);
                }
                Step::Skip(count) => {
                    intake.skip(count);
                    model.drain(..count.min(model.len()));
                }
                Step::Clear => {
                    intake.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(intake.bytes(), &model[..]);
            prop_assert_eq!(intake.len(), model.len());
            prop_assert_eq!(intake.is_empty(), model.is_empty());
        }
    }

    #[test]
    fn a_separator_is_found_where_the_first_one_ends(
        bytes in proptest::collection::vec(0_u8..3, 0..80),
        separators in proptest::collection::vec(proptest::collection::vec(0_u8..3, 1..4), 1..4),
        from in 0_usize..10,
    ) {
        let mut intake = Intake::new();
        intake.push(bytes.clone());
        let separators: Vec<&[u8]> = separators.iter().map(Vec::as_slice).collect();
        let mut places = Vec::new();
        for separator in &separators {
            for start in from..bytes.len() {
                if bytes[start..].starts_with(separator) {
                    places.push((start + separator.len(), start));
                }
            }
        }
        let first = places.into_iter().min_by_key(|&(end, start)| (end, std::cmp::Reverse(start)));
        let expected = first.map(|(end, start)| Found { start, end });
        prop_assert_eq!(intake.find(&separators, from), expected);
    }
}

#[test]
fn a_chunk_that_is_taken_whole_is_not_copied() {
    let mut intake = Intake::new();
    let chunk = b"chunk".to_vec();
    let memory = chunk.as_ptr();
    intake.push(chunk);
    assert!(matches!(intake.take(5, |_| ()), Taken::Whole(taken) if taken.as_ptr() == memory));
}
