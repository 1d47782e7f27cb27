//! What goes wrong between hosts: partitions, stalls, crashes, restarts; and that nothing of it is left when it is over.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::Wait;
use soliloop_engine::world::sim::{Fault, HostId, Quality, Simulated, Step};
use std::time::Duration;
use world::*;

fn part(world: &mut Simulated, one: HostId, other: HostId, is_cut: bool) {
    world.set_cut(one, other, is_cut);
    world.set_cut(other, one, is_cut);
}

#[test]
fn a_partition_holds_bytes_back_until_it_heals() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let (near, far) = connection(&mut world, a, b);
        part(&mut world, a, b, true);
        let begun = world.now();
        send(&mut world, near, b"one ").unwrap();
        send(&mut world, near, b"two ").unwrap();
        run_for(&mut world, Duration::from_secs(1));
        assert_eq!(end(&mut world, far), Err(Fault::WouldBlock));
        part(&mut world, a, b, false);
        send(&mut world, near, b"three").unwrap();
        while end(&mut world, far) == Err(Fault::WouldBlock) {
            step(&mut world);
        }
        // Tries after 0.2, 0.6 and 1.4 seconds.
        let passed = begun.until(world.now());
        let latency = if quality == Quality::PERFECT { Duration::ZERO } else { MILLIS_10 };
        assert_eq!(passed, Duration::from_millis(1400) + latency);
    }
}

#[test]
fn what_is_under_way_when_a_link_is_cut_is_held_back_as_well() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, b"one ").unwrap();
    send(&mut world, near, b"two").unwrap();
    world.close(near);
    run_for(&mut world, MILLIS_10 / 2);
    part(&mut world, a, b, true);
    run_for(&mut world, Duration::from_secs(30));
    assert_eq!(end(&mut world, far), Err(Fault::WouldBlock));
    part(&mut world, a, b, false);
    run(&mut world);
    assert_eq!(read(&mut world, far), b"one two");
    assert_eq!(end(&mut world, far), Ok(0));
    world.close(far);
    assert_empty(&mut world);
}

#[test]
fn a_sender_gives_up_after_a_quarter_of_an_hour() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    part(&mut world, a, b, true);
    send(&mut world, near, b"never heard").unwrap();
    run(&mut world);
    // Linux's tcp_retries2: a sum of 0.2, 0.4 ... 102.4 seconds, and six times 120.
    assert!((world.now().as_secs_f64() - 924.6).abs() < 1e-9, "{}", world.now().as_secs_f64());
    assert_eq!(end(&mut world, near), Err(Fault::TimedOut));
    assert_eq!(end(&mut world, near), Ok(0));
    world.close(near);
    assert_eq!(end(&mut world, far), Err(Fault::WouldBlock), "nobody has told the other one");
    part(&mut world, a, b, false);
    send(&mut world, far, b"hello?").unwrap();
    run(&mut world);
    assert_eq!(end(&mut world, far), Err(Fault::ConnectionReset));
    world.close(far);
    assert_empty(&mut world);
}

#[test]
fn a_stall_that_is_over_is_forgotten() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    for _ in 0..20 {
        part(&mut world, a, b, true);
        let begun = world.now();
        send(&mut world, near, b"x").unwrap();
        run_for(&mut world, Duration::from_secs(100));
        part(&mut world, a, b, false);
        while end(&mut world, far) == Err(Fault::WouldBlock) {
            step(&mut world);
        }
        assert_eq!(
            begun.until(world.now()),
            Duration::from_millis(102_200),
            "0.2 seconds, and twice as long each time"
        );
    }
}

#[test]
fn a_link_that_loses_everything_is_one_that_is_cut() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, _) = connection(&mut world, a, b);
    world.set_link(a, b, Quality { loss: 1.0, ..Quality::PERFECT });
    send(&mut world, near, b"never heard").unwrap();
    run(&mut world);
    assert_eq!(end(&mut world, near), Err(Fault::TimedOut));
}

#[test]
fn a_closed_socket_that_nobody_answers_is_given_up() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    part(&mut world, a, b, true);
    send(&mut world, near, b"never heard").unwrap();
    world.close(near);
    world.close(far);
    assert_eq!(sockets(&world), 2);
    assert_empty(&mut world);
}

#[test]
fn a_cut_in_one_direction_leaves_the_other_one() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    world.set_cut(a, b, true);
    send(&mut world, near, b"held back").unwrap();
    send(&mut world, far, b"passes").unwrap();
    run_for(&mut world, Duration::from_secs(1));
    assert_eq!(read(&mut world, near), b"passes");
    assert_eq!(end(&mut world, far), Err(Fault::WouldBlock));
}

#[test]
fn a_host_that_has_crashed_tells_nobody() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    world.crash(b);
    assert!(!world.is_up(b));
    assert_eq!(send(&mut world, far, b"x"), Err(Fault::BadSocket));
    assert_eq!(end(&mut world, near), Err(Fault::WouldBlock));
    assert_eq!(world.wait(Wait::Forever), Step::Stuck);
    send(&mut world, near, b"anybody?").unwrap();
    run(&mut world);
    assert_eq!(end(&mut world, near), Err(Fault::TimedOut));
    world.close(near);
    assert_empty(&mut world);
}

#[test]
fn a_host_that_has_restarted_knows_no_old_connection() {
    for ends_only in [true, false] {
        for quality in [Quality::PERFECT, slow(MILLIS_10)] {
            let (mut world, a, b) = two_hosts(quality);
            let (near, _) = connection(&mut world, a, b);
            world.crash(b);
            run_for(&mut world, Duration::from_secs(5));
            world.restart(b);
            serve(&mut world, b, PORT, 1);
            if ends_only {
                world.end_writing(near).unwrap();
            } else {
                send(&mut world, near, b"still there?").unwrap();
            }
            run(&mut world);
            assert_eq!(end(&mut world, near), Err(Fault::ConnectionReset));
            let (again, _) = call(&mut world, a, b);
            run(&mut world);
            assert!(world.peer_name(again).is_ok());
        }
    }
}

#[test]
fn a_restart_is_noticed_by_who_was_sending_all_the_time() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, _) = connection(&mut world, a, b);
    world.crash(b);
    let begun = world.now();
    send(&mut world, near, b"x").unwrap();
    run_for(&mut world, Duration::from_secs(1));
    world.restart(b);
    run(&mut world);
    assert_eq!(end(&mut world, near), Err(Fault::ConnectionReset));
    assert_eq!(begun.until(world.now()), Duration::from_millis(1400) + 2 * MILLIS_10);
}

#[test]
fn a_reset_that_does_not_pass_comes_later() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    world.set_cut(b, a, true);
    world.abort(far);
    send(&mut world, near, b"x").unwrap();
    run_for(&mut world, Duration::from_secs(3));
    assert_eq!(end(&mut world, near), Err(Fault::WouldBlock));
    world.set_cut(b, a, false);
    run(&mut world);
    assert_eq!(end(&mut world, near), Err(Fault::ConnectionReset));
    world.close(near);
    assert_empty(&mut world);
}

#[test]
fn nothing_goes_on_for_ever_while_a_link_is_cut() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, &vec![1; 200_000]).unwrap();
    run(&mut world);
    part(&mut world, a, b, true);
    assert_eq!(read(&mut world, far).len(), 200_000);
    send(&mut world, far, b"x").unwrap();
    assert_eq!(call(&mut world, a, b).1, Err(Fault::InProgress));
    assert_eq!(world.wait(Wait::Forever), Step::Stuck);
}

#[test]
fn void_events_do_not_move_the_clock() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    // The next try of a connection that has come about; one that was refused; one that was closed.
    let (near, far) = connection(&mut world, a, b);
    let refused = call(&mut world, a, b).0;
    run_for(&mut world, 2 * MILLIS_10);
    let closed = call(&mut world, a, b).0;
    world.close(closed);
    let sleeper = world.sleep_until(world.now().after(Duration::from_secs(9)));
    assert!(world.forget_sleeper(sleeper));
    // A datagram's sender that is not connected hears nothing, so that nothing is ahead.
    let udp = datagrams(&mut world, a, 1);
    let to = port_of(&world, b, 2);
    world.send_to(udp, b"x", Some(&to)).unwrap();
    run_for(&mut world, MILLIS_10);
    let begun = world.now();
    assert_eq!(world.wait(Wait::Forever), Step::Stuck);
    assert_eq!(world.now(), begun);
    for id in [near, far, refused] {
        world.abort(id);
    }
}

#[test]
fn what_is_due_happens_though_somebody_is_busy() {
    let (mut world, a, b) = two_hosts(Quality { duplicate: 1.0, ..Quality::PERFECT });
    let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    world.send_to(one, b"x", Some(&to)).unwrap();
    assert_eq!(world.readable_bytes(other), Ok(0));
    assert_eq!(world.wait(Wait::None), Step::Turn(world.now()));
    assert_eq!(world.readable_bytes(other), Ok(1));
}

#[test]
fn a_wait_ends_where_somebody_is_concerned() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    world.watch(far, soliloop_engine::world::Interest::READ).unwrap();
    send(&mut world, near, b"x").unwrap();
    let begun = world.now();
    let deadline = begun.after(Duration::from_secs(1));
    assert_eq!(world.wait(Wait::Until(deadline)), Step::Turn(begun.after(MILLIS_10)));
    assert_eq!(ready(&mut world), [(far, true, false)]);
    read(&mut world, far);
    assert_eq!(world.wait(Wait::Until(deadline)), Step::Turn(deadline), "what was acted upon concerns nobody");
    let sleeper = world.sleep_until(deadline.after(MILLIS_10));
    assert_eq!(world.wait(Wait::Forever), Step::Turn(deadline.after(MILLIS_10)));
    assert_eq!(world.take_woken(), [sleeper]);
    assert!(!world.forget_sleeper(sleeper));
}
