//! How connections come about: names, refusals, backlogs, and how long it takes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{Address, BindOptions, Family, Fault, Kind, Quality, Simulated};
use std::time::Duration;
use world::*;

#[test]
fn a_connection_takes_a_round_trip_for_one_and_half_of_one_more_for_the_other() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let listener = serve(&mut world, b, PORT, 1);
    world.watch(listener, soliloop_engine::world::Interest::READ).unwrap();
    let (near, said) = call(&mut world, a, b);
    assert_eq!(said, Err(Fault::InProgress));
    let to = port_of(&world, b, PORT);
    assert_eq!(world.connect(near, &to), Err(Fault::Already));
    assert_eq!(end(&mut world, near), Err(Fault::WouldBlock));
    assert_eq!(send(&mut world, near, b"x"), Err(Fault::WouldBlock));
    assert!(!world.readiness(near).unwrap().writable);
    world.watch(near, WATCH_BOTH).unwrap();
    while ready(&mut world).is_empty() {
        step(&mut world);
    }
    assert_eq!(time(&world), millis(20));
    assert_eq!(world.take_error(near), Ok(None));
    assert_eq!(world.peer_name(near), Ok(to.clone()));
    assert_eq!(world.connect(near, &to), Err(Fault::IsConnected));
    assert_eq!(world.accept(listener), Err(Fault::WouldBlock));
    send(&mut world, near, b"at once").unwrap();
    run_for(&mut world, MILLIS_10);
    let (far, name) = world.accept(listener).unwrap();
    assert_eq!(Ok(name), world.local_name(near));
    assert_eq!(world.local_name(far), Ok(to));
    assert_eq!(read(&mut world, far), b"at once");
}

#[test]
fn a_perfect_link_connects_within_the_call() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let listener = serve(&mut world, b, PORT, 1);
    let (near, said) = call(&mut world, a, b);
    assert_eq!(said, Ok(()));
    assert!(world.accept(listener).is_ok());
    assert!(world.readiness(near).unwrap().writable);
    assert_eq!(world.next_event(), None);
}

#[test]
fn nobody_listens() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let (near, said) = call(&mut world, a, b);
        if said == Err(Fault::InProgress) {
            run_for(&mut world, 2 * MILLIS_10);
            assert!(world.readiness(near).unwrap().writable);
            assert_eq!(world.take_error(near), Ok(Some(Fault::ConnectionRefused)));
        } else {
            assert_eq!(said, Err(Fault::ConnectionRefused));
        }
        world.close(near);
        assert_empty(&mut world);
    }
}

#[test]
fn a_socket_that_was_refused_can_try_again() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, _) = call(&mut world, a, b);
    // Something is ahead before the first try would be repeated, so that it is not simply passed over.
    let half_a_second = world.now().after(Duration::from_millis(500));
    world.sleep_until(half_a_second);
    run_for(&mut world, 2 * MILLIS_10);
    let to = port_of(&world, b, PORT);
    assert_eq!(world.connect(near, &to), Err(Fault::ConnectionRefused), "whoever has not asked is told");
    world.set_cut(a, b, true);
    assert_eq!(world.connect(near, &to), Err(Fault::InProgress));
    let begun = world.now();
    run(&mut world);
    assert_eq!(world.take_error(near), Ok(Some(Fault::TimedOut)));
    assert_eq!(begun.until(world.now()), Duration::from_secs(127), "what was left of the first try did not hurry it");
    world.set_cut(a, b, false);
    let listener = serve(&mut world, b, PORT, 1);
    assert_eq!(world.connect(near, &to), Err(Fault::InProgress));
    run(&mut world);
    assert!(world.accept(listener).is_ok());
    world.abort(listener);
    run(&mut world);
    assert_eq!(world.connect(near, &to), Err(Fault::IsConnected));
}

#[test]
fn no_answer_for_two_minutes_is_a_timeout() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    world.crash(b);
    let (near, said) = call(&mut world, a, b);
    assert_eq!(said, Err(Fault::InProgress));
    run(&mut world);
    assert_eq!(time(&world), Duration::from_secs(127));
    assert!(world.readiness(near).unwrap().writable);
    assert_eq!(world.take_error(near), Ok(Some(Fault::TimedOut)));
    world.close(near);
    assert_empty(&mut world);
}

#[test]
fn an_answer_that_comes_after_the_next_try_counts() {
    let (mut world, a, b) = two_hosts(slow(Duration::from_secs(2)));
    let listener = serve(&mut world, b, PORT, 1);
    let (near, _) = call(&mut world, a, b);
    run_for(&mut world, Duration::from_secs(4));
    assert!(world.readiness(near).unwrap().writable);
    run(&mut world);
    assert!(world.accept(listener).is_ok());
    assert_eq!(world.accept(listener), Err(Fault::WouldBlock), "the second try came for nothing");
}

#[test]
fn a_try_that_is_given_up_leaves_nothing() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let listener = serve(&mut world, b, PORT, 1);
    for wait in [0, 10, 20, 25] {
        let (near, _) = call(&mut world, a, b);
        run_for(&mut world, Duration::from_millis(wait));
        world.crash(a);
        world.restart(a);
        assert_eq!(world.kind(near), Err(Fault::BadSocket));
        run(&mut world);
        assert_eq!(world.accept(listener), Err(Fault::WouldBlock));
    }
    world.close(listener);
    assert_empty(&mut world);
}

#[test]
fn a_full_backlog_makes_callers_wait() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let listener = serve(&mut world, b, PORT, 1);
        let callers: Vec<_> = (0..5).map(|_| call(&mut world, a, b).0).collect();
        run_for(&mut world, Duration::from_millis(900));
        let waiting = world.snapshot().to_string();
        assert!(waiting.contains("listening, 2 of 1 waiting"), "Linux takes one more, and so does this:\n{waiting}");
        for caller in &callers {
            if world.readiness(*caller).unwrap().writable {
                send(&mut world, *caller, b"hello").unwrap();
            }
        }
        let mut accepted = 0;
        while accepted < 5 {
            while let Ok((end, _)) = world.accept(listener) {
                accepted += 1;
                world.close(end);
            }
            if accepted < 5 {
                step(&mut world);
            }
        }
        for caller in callers {
            world.close(caller);
        }
        world.close(listener);
        assert_empty(&mut world);
    }
}

#[test]
fn who_is_never_accepted_gives_up_in_the_end() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let listener = serve(&mut world, b, PORT, 0);
    // Both are answered before either has come.
    let callers = [call(&mut world, a, b).0, call(&mut world, a, b).0];
    run(&mut world);
    let errors = callers.map(|caller| world.take_error(caller).unwrap());
    assert_eq!(errors, [None, Some(Fault::TimedOut)]);
    for id in callers.into_iter().chain([listener]) {
        world.close(id);
    }
    assert_empty(&mut world);
}

#[test]
fn a_listener_that_closes_resets_those_who_wait() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let listener = serve(&mut world, b, PORT, 5);
        let early = call(&mut world, a, b).0;
        run(&mut world);
        let late = call(&mut world, a, b).0;
        run_for(&mut world, 2 * MILLIS_10);
        world.close(listener);
        run(&mut world);
        for caller in [early, late] {
            assert_eq!(world.take_error(caller), Ok(Some(Fault::ConnectionReset)));
            world.close(caller);
        }
        assert_empty(&mut world);
    }
}

#[test]
fn a_port_is_free_again_while_its_connections_live() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (near, far) = connection(&mut world, a, b);
    let again = serve(&mut world, b, PORT, 1);
    send(&mut world, near, b"as before").unwrap();
    assert_eq!(read(&mut world, far), b"as before");
    world.close(far);
    assert!(call(&mut world, a, b).1.is_ok());
    assert!(world.accept(again).is_ok());
}

#[test]
fn of_several_that_share_a_port_each_gets_some() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let options = BindOptions { shares_port: true, ..BindOptions::default() };
    let listeners = [(); 3].map(|()| {
        let id = stream(&mut world, b);
        world.bind(id, &internet("0.0.0.0:80"), options).unwrap();
        world.listen(id, 100).unwrap();
        id
    });
    for _ in 0..60 {
        assert_eq!(call(&mut world, a, b).1, Ok(()));
    }
    for listener in listeners {
        let count = std::iter::from_fn(|| world.accept(listener).ok()).count();
        assert!((8..=40).contains(&count), "{count} of 60");
    }
}

#[test]
fn version_6_takes_in_version_4() {
    let mut world = Simulated::new(0);
    let a = world.add_host("a", &["10.0.0.8".parse().unwrap()]).unwrap();
    let b = world.add_host("b", &["10.0.0.9".parse().unwrap(), "fd00::9".parse().unwrap()]).unwrap();
    let listener = world.socket(b, Family::V6, Kind::Stream);
    world.bind(listener, &internet("[::]:80"), BindOptions::default()).unwrap();
    world.listen(listener, 5).unwrap();
    let near = stream(&mut world, a);
    world.connect(near, &internet("10.0.0.9:80")).unwrap();
    let (far, peer) = world.accept(listener).unwrap();
    assert_eq!(peer, internet("[::ffff:10.0.0.8]:32768"));
    assert_eq!(world.local_name(far), Ok(internet("[::ffff:10.0.0.9]:80")));
    assert_eq!(world.local_name(near), Ok(internet("10.0.0.8:32768")));
    let mapped = world.socket(a, Family::V6, Kind::Stream);
    world.connect(mapped, &internet("[::ffff:10.0.0.9]:80")).unwrap();
    assert_eq!(world.peer_name(mapped), Ok(internet("[::ffff:10.0.0.9]:80")));
    let other = stream(&mut world, b);
    assert_eq!(world.bind(other, &internet("0.0.0.0:80"), BindOptions::default()), Err(Fault::AddressInUse));
    world.close(listener);
    let only = world.socket(b, Family::V6, Kind::Stream);
    world.bind(only, &internet("[::]:80"), BindOptions { only_v6: true, ..BindOptions::default() }).unwrap();
    world.listen(only, 5).unwrap();
    assert_eq!(call(&mut world, a, b).1, Err(Fault::ConnectionRefused));
    assert_eq!(world.bind(other, &internet("0.0.0.0:80"), BindOptions::default()), Ok(()));
    let wrong = world.socket(a, Family::V6, Kind::Stream);
    assert_eq!(world.connect(wrong, &internet("10.0.0.9:80")), Err(Fault::WrongFamily));
}

#[test]
fn calls_that_make_no_sense_are_refused() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let listener = serve(&mut world, b, PORT, 1);
    let to = port_of(&world, b, PORT);
    assert_eq!(world.connect(listener, &to), Err(Fault::IsConnected));
    assert_eq!(world.listen(listener, 7), Ok(()));
    assert_eq!(world.bind(listener, &to, BindOptions::default()), Err(Fault::Invalid));
    assert_eq!(end(&mut world, listener), Err(Fault::NotConnected));
    assert_eq!(send(&mut world, listener, b"x"), Err(Fault::BrokenPipe));
    let near = call(&mut world, a, b).0;
    assert_eq!(world.listen(near, 1), Err(Fault::Invalid));
    let udp = datagrams(&mut world, a, 1);
    assert_eq!(world.listen(udp, 1), Err(Fault::NotSupported));
    assert_eq!(world.accept(udp), Err(Fault::NotSupported));
    let fresh = stream(&mut world, a);
    assert_eq!(world.connect(fresh, &internet("99.9.9.9:80")), Err(Fault::HostUnreachable));
    assert_eq!(world.connect(fresh, &Address::Nameless), Err(Fault::WrongFamily));
    let bound = stream(&mut world, a);
    world.bind(bound, &internet("127.0.0.1:0"), BindOptions::default()).unwrap();
    assert_eq!(world.connect(bound, &to), Err(Fault::Invalid), "loopback leads nowhere else");
}
