//! Faults of the simulated network: partitions, crashes, and what is left behind.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::Wait;
use soliloop_engine::world::sim::{Fault, Quality, Step};
use world::{Net, at, millis, pattern, slow};

/// After fifteen tries at 200 ms, 400 ms, ... 102.4 s and then 120 s, nothing more is tried.
const GIVEN_UP_AFTER: u64 = 200 * ((1 << 10) - 1) + 5 * 120_000;

#[test]
fn what_is_sent_into_a_partition_arrives_when_it_has_healed() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        net.cut(true);
        let sent = pattern(5000);
        for chunk in sent.chunks(1000) {
            assert_eq!(net.write(near, chunk), Ok(1000));
            net.pass(500);
        }
        net.world.end_writing(near).unwrap();
        net.pass(10_000);
        assert_eq!(net.read(far), Err(Fault::WouldBlock));
        net.cut(false);
        assert!(net.read_all(far) == sent);
    }
}

#[test]
fn the_first_try_after_the_healing_is_what_passes() {
    let mut net = Net::of(slow(10));
    let (near, far) = net.connection();
    net.cut(true);
    let begun = net.world.now();
    net.write(near, b"x").unwrap();
    net.pass(700);
    net.cut(false);
    // Tries: at 0, 200, 600, 1400 ms.
    assert_eq!(begun.until(net.until_readable(far)), millis(1410));
}

#[test]
fn what_is_under_way_when_a_link_is_cut_is_sent_again() {
    let mut net = Net::of(slow(100));
    let (near, far) = net.connection();
    let begun = net.world.now();
    net.write(near, b"one").unwrap();
    net.pass(50);
    net.write(near, b"two").unwrap();
    net.cut(true);
    net.pass(60);
    assert_eq!(net.read(far), Err(Fault::WouldBlock));
    net.cut(false);
    // It was found missing at 100, and is sent again 200 later.
    assert_eq!(begun.until(net.until_readable(far)), millis(400));
    net.settle();
    assert_eq!(net.read(far).unwrap(), b"onetwo");
}

#[test]
fn a_sender_gives_up_after_fifteen_tries() {
    let mut net = Net::of(slow(10));
    let (near, far) = net.connection();
    net.cut(true);
    let begun = net.world.now();
    net.write(near, b"x").unwrap();
    assert_eq!(begun.until(net.until_readable(near)), millis(GIVEN_UP_AFTER));
    assert_eq!(net.read(near), Err(Fault::TimedOut));
    assert_eq!(net.write(near, b"x"), Err(Fault::BrokenPipe));
    assert_eq!(net.read(far), Err(Fault::WouldBlock), "the peer hears nothing");
    net.cut(false);
    net.write(far, b"hello?").unwrap();
    net.until_readable(far);
    assert_eq!(net.read(far), Err(Fault::ConnectionReset));
    net.world.close(near);
    net.world.close(far);
    net.settle();
    assert_eq!(net.world.sockets_len(), 0);
}

#[test]
fn a_direction_can_be_cut_alone() {
    let mut net = Net::of(slow(10));
    let (near, far) = net.connection();
    net.world.set_cut(net.a, net.b, true);
    net.write(far, b"this way").unwrap();
    net.write(near, b"not that way").unwrap();
    net.pass(5000);
    assert_eq!(net.read(near).unwrap(), b"this way");
    assert_eq!(net.read(far), Err(Fault::WouldBlock));
    net.world.set_cut(net.a, net.b, false);
    net.until_readable(far);
    assert_eq!(net.read(far).unwrap(), b"not that way");
}

#[test]
fn a_question_that_is_heard_but_not_answered_is_no_connection() {
    let mut net = Net::of(slow(10));
    let listener = net.listen(net.b, 1);
    net.world.set_cut(net.b, net.a, true);
    let (near, _) = net.knock(net.a, net.b);
    net.pass(2000);
    assert!(!net.world.readiness(near).unwrap().writable);
    assert_eq!(net.world.accept(listener).unwrap_err(), Fault::WouldBlock);
    net.world.set_cut(net.b, net.a, false);
    assert_eq!(net.until_writable(near), at(3020));
}

#[test]
fn nobody_is_told_of_a_crash() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        net.write(far, b"sent before").unwrap();
        net.settle();
        assert!(net.world.is_up(net.b));
        assert_eq!(net.world.crash(net.b), [far]);
        assert!(!net.world.is_up(net.b));
        assert_eq!(net.read(far), Err(Fault::BadSocket));
        assert_eq!(net.read(near).unwrap(), b"sent before");
        assert_eq!(net.read(near), Err(Fault::WouldBlock));
        net.assert_stuck();
        net.write(near, b"anybody?").unwrap();
        net.pass(60_000);
        assert_eq!(net.read(near), Err(Fault::WouldBlock));
        net.until_readable(near);
        assert_eq!(net.read(near), Err(Fault::TimedOut));
    }
}

#[test]
fn who_believes_in_a_connection_from_before_a_restart_is_reset() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, _) = net.connection();
        net.world.crash(net.b);
        net.world.restart(net.b);
        assert!(net.world.is_up(net.b));
        assert_eq!(net.read(near), Err(Fault::WouldBlock));
        net.write(near, b"anybody?").unwrap();
        net.until_readable(near);
        assert_eq!(net.read(near), Err(Fault::ConnectionReset));

        let mut net = Net::of(quality);
        let (near, _) = net.connection();
        net.world.crash(net.b);
        net.write(near, b"anybody?").unwrap();
        net.pass(5000);
        net.world.restart(net.b);
        net.until_readable(near);
        assert_eq!(net.read(near), Err(Fault::ConnectionReset), "sent again after the restart");
        net.listen(net.b, 1);
        net.connection_over_again();
    }
}

impl Net {
    /// A port that was taken before the crash is free after it, and a new connection comes to it.
    fn connection_over_again(&mut self) {
        let (near, outcome) = self.knock(self.a, self.b);
        assert!(matches!(outcome, Ok(()) | Err(Fault::InProgress)));
        self.until_writable(near);
        assert_eq!(self.world.take_error(near), Ok(None));
    }
}

#[test]
fn a_host_that_is_down_does_not_refuse() {
    let mut net = Net::of(slow(10));
    net.listen(net.b, 1);
    let (early, _) = net.knock(net.a, net.b);
    net.pass(15);
    net.world.crash(net.b);
    let (late, _) = net.knock(net.a, net.b);
    net.pass(20_000);
    for id in [early, late] {
        assert!(!net.world.readiness(id).unwrap().writable);
    }
    net.world.restart(net.b);
    net.until_writable(early);
    assert_eq!(net.world.take_error(early), Ok(Some(Fault::ConnectionRefused)));
}

#[test]
fn what_a_host_has_under_way_is_lost_in_its_crash() {
    let mut net = Net::of(slow(100));
    let (near, far) = net.connection();
    net.write(near, b"lost").unwrap();
    net.world.crash(net.a);
    let now = net.world.now();
    assert_eq!(net.settle(), now);
    assert_eq!(net.read(far), Err(Fault::WouldBlock));
}

#[test]
fn void_events_do_not_move_the_clock() {
    let mut net = Net::of(slow(10));
    net.listen(net.b, 1);
    let (near, _) = net.knock(net.a, net.b);
    net.until_writable(near);
    net.settle();
    assert_eq!(net.world.now(), at(30), "that it would have asked again after a second is void");

    let sleeper = net.world.sleep_until(at(5000));
    assert_eq!(net.world.next_event(), Some(at(5000)));
    assert!(net.world.forget_sleeper(sleeper));
    assert!(!net.world.forget_sleeper(sleeper));
    assert_eq!(net.world.next_event(), None);
    assert_eq!(net.world.wait(Wait::Forever), Step::Stuck);
    assert_eq!(net.world.now(), at(30));
}

#[test]
fn sleepers_wake_in_the_order_of_their_times() {
    let mut net = Net::perfect();
    let late = net.world.sleep_until(at(20));
    let early = net.world.sleep_until(at(10));
    let also = net.world.sleep_until(at(20));
    assert_eq!(net.world.wait(Wait::Forever), Step::Turn(at(10)));
    assert_eq!(net.world.take_woken(), [early]);
    assert_eq!(net.world.wait(Wait::Until(at(15))), Step::Turn(at(15)));
    net.pass(100);
    assert_eq!(net.world.take_woken(), [late, also]);
}

#[test]
fn nothing_is_left_when_both_ends_are_closed() {
    for quality in [Quality::PERFECT, slow(10), Quality { loss: 0.2, ..slow(10) }] {
        for order in 0..8 {
            let mut net = Net::of_seed(order, quality);
            let (near, far) = net.connection();
            net.write(near, b"question").unwrap();
            net.write(far, b"answer").unwrap();
            if order & 1 != 0 {
                net.settle();
                net.read(far).unwrap();
            }
            if order & 2 != 0 {
                net.world.end_writing(far).unwrap();
            }
            if order & 4 != 0 {
                net.world.close(far);
                net.pass(3);
            }
            net.world.close(near);
            net.world.close(far);
            net.settle();
            assert_eq!(net.world.sockets_len(), 0, "{}", net.world.snapshot());
        }
    }
}

#[test]
fn nothing_is_left_of_a_handshake_whose_end_never_comes() {
    // The asker crashes, or is cut off, when the answer has come and the end of the handshake is under way.
    let mut net = Net::of(slow(10));
    let listener = net.listen(net.b, 1);
    let (near, _) = net.knock(net.a, net.b);
    net.until_writable(near);
    net.world.crash(net.a);
    net.settle();
    net.world.close(listener);
    assert_eq!(net.world.sockets_len(), 0, "{}", net.world.snapshot());

    let mut net = Net::of(slow(10));
    let listener = net.listen(net.b, 1);
    let (near, _) = net.knock(net.a, net.b);
    net.until_writable(near);
    net.cut(true);
    net.world.close(near);
    net.settle();
    net.world.close(listener);
    assert_eq!(net.world.sockets_len(), 0, "{}", net.world.snapshot());
}

#[test]
fn what_was_closed_in_a_partition_is_given_up_too() {
    let mut net = Net::of(slow(10));
    let (near, far) = net.connection();
    net.cut(true);
    net.write(near, b"x").unwrap();
    net.world.close(near);
    net.world.close(far);
    assert_eq!(net.world.sockets_len(), 2);
    net.settle();
    assert_eq!(net.world.sockets_len(), 0, "{}", net.world.snapshot());
}
