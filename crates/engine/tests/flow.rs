//! The write buffer against the obvious model: one string of bytes.

use proptest::prelude::*;
use soliloop_engine::flow::{Advice, Flow};

#[derive(Clone, Debug)]
enum Step {
    Push(Vec<u8>),
    Send(usize),
    Clear,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 0..20).prop_map(Step::Push),
        4 => (0_usize..50).prop_map(Step::Send),
        1 => Just(Step::Clear),
    ];
    proptest::collection::vec(step, 0..60)
}

proptest! {
    #[test]
    fn what_waits_is_what_was_pushed_and_not_sent(steps in steps()) {
        let (mut flow, mut model) = (Flow::new(), Vec::new());
        for step in steps {
            match step {
                Step::Push(chunk) => {
                    model.extend_from_slice(&chunk);
                    flow.push(chunk);
                }
                Step::Send(count) => {
                    let count = count.min(flow.len());
                    flow.consume(count);
                    model.drain(..count);
                }
                Step::Clear => {
                    flow.clear();
                    model.clear();
                }
            }
            prop_assert_eq!(flow.len(), model.len());
            prop_assert_eq!(flow.is_empty(), model.is_empty());
            prop_assert_eq!(flow.pieces().collect::<Vec<_>>().concat(), model.clone());
            prop_assert!(flow.pieces().all(|piece| !piece.is_empty()));
        }
    }

    #[test]
    fn the_writer_is_told_to_pause_and_to_resume_in_turns(sizes in proptest::collection::vec((0_usize..30, 0_usize..30), 0..40)) {
        let mut flow = Flow::new();
        flow.set_limits(5, 20);
        let mut is_paused = false;
        for (pushed, sent) in sizes {
            flow.push(vec![0_u8; pushed]);
            flow.consume(sent.min(flow.len()));
            let is_right = match flow.advise() {
                Advice::Pause => !std::mem::replace(&mut is_paused, true) && flow.len() > 20,
                Advice::Resume => std::mem::replace(&mut is_paused, false) && flow.len() <= 5,
                Advice::None if is_paused => flow.len() > 5,
                Advice::None => flow.len() <= 20,
            };
            prop_assert!(is_right, "{} bytes wait", flow.len());
            prop_assert_eq!(flow.is_paused(), is_paused);
        }
    }
}

#[test]
fn the_marks_are_asyncios() {
    assert_eq!(Flow::<Vec<u8>>::new().limits(), (16 * 1024, 64 * 1024));
}
