//! Links: when what was sent arrives, to the nanosecond where nothing is left to chance, and within bounds and on average elsewhere.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{Latency, Quality, Simulated, SocketId};
use std::time::Duration;
use world::*;

/// How long each of some datagrams is on its way, in milliseconds.
fn delays(quality: Quality) -> Vec<f64> {
    let (mut world, a, b) = two_hosts(quality);
    let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    let delay = |_: u32| {
        let begun = world.now();
        world.send_to(one, b"x", Some(&to)).unwrap();
        run(&mut world);
        world.receive_from(other, &mut [0], false).unwrap();
        begun.until(world.now()).as_secs_f64() * 1e3
    };
    (0..2000).map(delay).collect()
}

#[allow(clippy::cast_precision_loss, reason = "a few thousand")]
fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn deviation(values: &[f64]) -> f64 {
    let mean = mean(values);
    self::mean(&values.iter().map(|value| (value - mean).powi(2)).collect::<Vec<_>>()).sqrt()
}

/// Until something has come that was not read; gives how long that took.
fn arrival(world: &mut Simulated, id: SocketId) -> Duration {
    let begun = world.now();
    while world.readable_bytes(id) == Ok(0) {
        step(world);
    }
    begun.until(world.now())
}

#[test]
fn a_fixed_latency_is_exact() {
    let exact = delays(slow(Duration::from_nanos(12_345_678)));
    assert!(exact.iter().all(|delay| (*delay - 12.345_678).abs() < 1e-9));
}

#[test]
fn a_uniform_latency_stays_within_its_bounds() {
    let values = delays(Quality { latency: Latency::Uniform(millis(10), millis(30)), ..Quality::PERFECT });
    assert!(values.iter().all(|delay| (10.0..=30.0).contains(delay)));
    assert!((mean(&values) - 20.0).abs() < 0.5, "{}", mean(&values));
    assert!(values.iter().any(|delay| *delay < 10.5) && values.iter().any(|delay| *delay > 29.5));
}

#[test]
fn a_normal_latency_has_its_mean_and_deviation() {
    let values = delays(Quality { latency: Latency::Normal(millis(50), millis(10)), ..Quality::PERFECT });
    assert!((mean(&values) - 50.0).abs() < 1.0, "{}", mean(&values));
    assert!((deviation(&values) - 10.0).abs() < 1.0, "{}", deviation(&values));
    let clipped = delays(Quality { latency: Latency::Normal(millis(1), millis(10)), ..Quality::PERFECT });
    assert!(clipped.iter().all(|delay| *delay >= 0.0));
}

#[test]
fn an_exponential_latency_has_a_floor_and_a_mean_above_it() {
    let values = delays(Quality { latency: Latency::Exponential(millis(5), millis(20)), ..Quality::PERFECT });
    assert!(values.iter().all(|delay| *delay >= 5.0));
    assert!((mean(&values) - 25.0).abs() < 1.5, "{}", mean(&values));
    assert!((deviation(&values) - 20.0).abs() < 2.0, "{}", deviation(&values));
}

#[test]
fn jitter_comes_on_top() {
    let values = delays(Quality { jitter: millis(8), ..slow(millis(10)) });
    assert!(values.iter().all(|delay| (10.0..=18.0).contains(delay)));
    assert!((mean(&values) - 14.0).abs() < 0.3, "{}", mean(&values));
}

#[test]
fn jitter_does_not_reorder_a_stream() {
    let (mut world, a, b) = two_hosts(Quality { jitter: millis(50), ..slow(millis(1)) });
    let (near, far) = connection(&mut world, a, b);
    let mut got = Vec::new();
    for byte in 0..200 {
        send(&mut world, near, &[byte]).unwrap();
        run_for(&mut world, millis(1));
        got.extend(read(&mut world, far));
    }
    run(&mut world);
    got.extend(read(&mut world, far));
    assert!(got.into_iter().eq(0..200));
}

#[test]
fn bytes_leave_one_after_the_other() {
    // A thousand bytes a millisecond.
    let (mut world, a, b) = two_hosts(Quality { bandwidth: Some(1e6), ..slow(millis(10)) });
    let (near, far) = connection(&mut world, a, b);
    let (second_near, second_far) = connection(&mut world, a, b);
    send(&mut world, near, &[0; 5000]).unwrap();
    send(&mut world, second_near, &[0; 2000]).unwrap();
    send(&mut world, near, &[0; 1000]).unwrap();
    assert_eq!(arrival(&mut world, far), millis(15));
    assert_eq!(read(&mut world, far).len(), 5000);
    assert_eq!(arrival(&mut world, second_far), millis(2), "the two share the link");
    assert_eq!(arrival(&mut world, far), millis(1));
    assert_eq!(read(&mut world, far).len(), 1000);
    // The other direction was idle all the time, and this one is again.
    send(&mut world, far, &[0; 1000]).unwrap();
    assert_eq!(arrival(&mut world, near), millis(11));
    send(&mut world, near, &[0; 1000]).unwrap();
    assert_eq!(arrival(&mut world, far), millis(11));
}

#[test]
fn datagrams_and_streams_share_the_bandwidth() {
    let (mut world, a, b) = two_hosts(Quality { bandwidth: Some(1e6), ..slow(millis(10)) });
    let (near, far) = connection(&mut world, a, b);
    let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    world.send_to(one, &[0; 3000], Some(&to)).unwrap();
    send(&mut world, near, &[0; 3000]).unwrap();
    assert_eq!(arrival(&mut world, other), millis(13));
    assert_eq!(arrival(&mut world, far), millis(3));
}

#[test]
fn the_two_directions_are_apart() {
    let (mut world, a, b) = two_hosts(slow(millis(10)));
    world.set_link(b, a, slow(millis(300)));
    assert_eq!(world.link(a, b), slow(millis(10)));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, b"x").unwrap();
    assert_eq!(arrival(&mut world, far), millis(10));
    send(&mut world, far, b"x").unwrap();
    assert_eq!(arrival(&mut world, near), millis(300));
}

#[test]
fn loss_is_delay_for_a_stream() {
    let (mut world, a, b) = two_hosts(Quality { loss: 0.5, ..slow(millis(10)) });
    let (near, far) = connection(&mut world, a, b);
    run(&mut world);
    let mut delays = Vec::new();
    for byte in 0..200 {
        send(&mut world, near, &[byte]).unwrap();
        delays.push(arrival(&mut world, far));
        assert_eq!(read(&mut world, far), [byte]);
    }
    // A round trip is shorter than the least time after which TCP sends again: 200 ms, then 400, 800 ...
    assert!(
        delays.iter().all(|delay| [10, 210, 610, 1410].map(millis).contains(delay) || *delay > millis(3000)),
        "{delays:?}"
    );
    let at_once = delays.iter().filter(|delay| **delay == MILLIS_10).count();
    assert!((75..125).contains(&at_once), "{at_once} of 200");
}

#[test]
fn what_is_set_now_holds_for_what_is_sent_from_now_on() {
    let (mut world, a, b) = two_hosts(slow(millis(100)));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, b"first").unwrap();
    world.set_link(a, b, Quality::PERFECT);
    send(&mut world, near, b"second").unwrap();
    assert_eq!(arrival(&mut world, far), millis(100), "it does not overtake");
    assert_eq!(read(&mut world, far), b"firstsecond");
}

#[test]
fn the_default_is_for_links_that_nothing_was_said_of() {
    let mut world = Simulated::new(0);
    let [a, b, c] = ["a", "b", "c"].map(|name| world.add_host(name, &[]).unwrap());
    world.set_link(a, b, slow(millis(1)));
    // Neither cutting nor asking nor using says what a link is like.
    world.set_cut(a, c, true);
    world.set_cut(a, c, false);
    let (near, far) = connection(&mut world, a, c);
    world.set_default_link(slow(millis(7)));
    assert_eq!(world.link(a, b), slow(millis(1)));
    assert_eq!(world.link(b, a), slow(millis(7)));
    send(&mut world, near, b"x").unwrap();
    assert_eq!(arrival(&mut world, far), millis(7));
    let (near, far) = connection(&mut world, a, a);
    send(&mut world, near, b"x").unwrap();
    assert_eq!(arrival(&mut world, far), millis(0), "a host is next to itself");
}

#[test]
fn numbers_out_of_all_proportion_do_no_harm() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e300];
    let long = Duration::MAX;
    let latencies = [
        Latency::Fixed(long),
        Latency::Uniform(long, millis(0)),
        Latency::Normal(long, long),
        Latency::Exponential(long, long),
    ];
    for number in odd {
        for latency in latencies {
            let quality = Quality {
                latency,
                jitter: long,
                bandwidth: Some(number),
                loss: number,
                duplicate: number,
                reorder: number,
                mtu: 0,
            };
            let (mut world, a, b) = two_hosts(quality);
            let (one, _) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
            let to = port_of(&world, b, 2);
            world.send_to(one, &vec![0; 60_000], Some(&to)).unwrap();
            serve(&mut world, b, PORT, 1);
            let (near, _) = call(&mut world, a, b);
            run(&mut world);
            world.close(near);
        }
    }
}
