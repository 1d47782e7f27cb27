//! Links of the simulated network: what their latencies are like, and which link has which quality.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{Address, BindOptions, Family, Kind, Latency, Quality};
use std::time::Duration;
use world::{Net, at, millis, slow, v4};

/// The delays of 4000 datagrams, in seconds.
fn delays(quality: Quality) -> Vec<f64> {
    let mut net = Net::of_seed(11, quality);
    let near = net.world.socket(net.a, Family::V4, Kind::Datagram);
    let far = net.world.socket(net.b, Family::V4, Kind::Datagram);
    let to = v4(&net.world, net.b, 53);
    net.world.bind(far, &to, BindOptions::default()).unwrap();
    let mut delay = || {
        let begun = net.world.now();
        net.world.send_to(near, b"x", Some(&to)).unwrap();
        let delay = begun.until(net.until_readable(far));
        net.read(far).unwrap();
        delay.as_secs_f64()
    };
    (0..4000).map(|_| delay()).collect()
}

fn of_latency(latency: Latency) -> Vec<f64> {
    delays(Quality { latency, ..Quality::PERFECT })
}

fn assert_shape(delays: &[f64], low: f64, high: f64, mean: f64, deviation: f64) {
    assert!(delays.iter().all(|delay| (low - 1e-9..=high + 1e-9).contains(delay)), "beyond the bounds");
    #[allow(clippy::cast_precision_loss, reason = "a few thousand")]
    let count = delays.len() as f64;
    let found = delays.iter().sum::<f64>() / count;
    let spread = (delays.iter().map(|delay| (delay - found).powi(2)).sum::<f64>() / count).sqrt();
    // Five standard errors, and some for the spread.
    assert!((found - mean).abs() <= 5.0 * deviation / count.sqrt() + 1e-9, "mean {found}, not {mean}");
    assert!((spread - deviation).abs() <= 0.1 * deviation + 1e-9, "deviation {spread}, not {deviation}");
}

#[test]
fn latencies_have_their_shapes() {
    assert_shape(&of_latency(Latency::Fixed(millis(5))), 0.005, 0.005, 0.005, 0.0);
    let uniform = of_latency(Latency::Uniform(millis(10), millis(30)));
    assert_shape(&uniform, 0.010, 0.030, 0.020, 0.020 / 12_f64.sqrt());
    let normal = of_latency(Latency::Normal(millis(50), millis(5)));
    assert_shape(&normal, 0.020, 0.080, 0.050, 0.005);
    let exponential = of_latency(Latency::Exponential(millis(10), millis(20)));
    assert_shape(&exponential, 0.010, 0.400, 0.030, 0.020);
    let clipped = of_latency(Latency::Normal(millis(1), millis(10)));
    assert!(clipped.iter().all(|delay| *delay >= 0.0));
}

#[test]
fn jitter_comes_on_top() {
    let jittery = delays(Quality { jitter: millis(12), ..slow(5) });
    assert_shape(&jittery, 0.005, 0.017, 0.011, 0.012 / 12_f64.sqrt());
    let alone = delays(Quality { jitter: millis(12), ..Quality::PERFECT });
    assert_shape(&alone, 0.0, 0.012, 0.006, 0.012 / 12_f64.sqrt());
}

#[test]
fn jitter_does_not_disorder_a_stream() {
    let mut net = Net::of(Quality { jitter: millis(100), ..slow(1) });
    let (near, far) = net.connection();
    for number in 0..200_u8 {
        net.write(near, &[number]).unwrap();
        net.pass(3);
    }
    net.settle();
    assert_eq!(net.read(far).unwrap(), (0..200).collect::<Vec<u8>>());
}

#[test]
fn the_default_is_of_all_links_that_nothing_else_was_said_of() {
    let mut net = Net::of(slow(10));
    assert_eq!(net.world.link(net.a, net.b), slow(10));
    net.world.set_link(net.a, net.b, slow(20));
    net.world.set_cut(net.b, net.a, true);
    net.world.set_default_link(slow(30));
    assert_eq!(net.world.link(net.a, net.b), slow(20), "this was said of it");
    assert_eq!(net.world.link(net.b, net.a), slow(30), "that it was cut says nothing of its quality");
    net.world.set_cut(net.b, net.a, false);
    assert_eq!(net.world.link(net.b, net.a), slow(30));
    assert_eq!(net.world.link(net.a, net.a), Quality::PERFECT, "a host is near itself");
    net.world.set_default_link(Quality::PERFECT);
    net.world.set_link(net.a, net.b, Quality::PERFECT);
    let (near, far) = net.connection();
    net.write(near, b"x").unwrap();
    assert_eq!(net.read(far).unwrap(), b"x");
    assert_eq!(net.world.now(), at(0));
}

#[test]
fn a_link_that_becomes_better_lets_nothing_overtake() {
    let mut net = Net::of(slow(100));
    let (near, far) = net.connection();
    net.write(near, b"slow").unwrap();
    net.world.set_default_link(Quality::PERFECT);
    net.write(near, b"fast").unwrap();
    let begun = net.world.now();
    assert_eq!(begun.until(net.until_readable(far)), millis(100));
    net.settle();
    assert_eq!(net.read(far).unwrap(), b"slowfast");
}

#[test]
fn a_host_is_near_itself() {
    let mut net = Net::of(Quality { loss: 0.9, ..slow(1000) });
    net.listen(net.a, 1);
    let (near, outcome) = net.knock(net.a, net.a);
    assert_eq!(outcome, Ok(()));
    assert!(matches!(net.world.peer_name(near), Ok(Address::Internet(_))));
    assert_eq!(net.world.now().as_nanos(), Duration::ZERO.subsec_nanos().into());
}
