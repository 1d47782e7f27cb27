//! A run depends on its seed alone: the same seed goes the same way, and another one another way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{HostId, Latency, Quality, Simulated, SocketId};
use std::time::Duration;
use world::*;

/// Twenty hosts on bad links, each of which talks to some others while links are cut and hosts crash. Gives the digest, and what was read.
fn scenario(seed: u64) -> (u64, Vec<u8>, String) {
    let mut world = Simulated::new(seed);
    world.set_default_link(Quality {
        latency: Latency::Exponential(Duration::from_millis(5), Duration::from_millis(10)),
        jitter: Duration::from_millis(3),
        bandwidth: Some(1e6),
        loss: 0.05,
        duplicate: 0.05,
        reorder: 0.05,
        ..Quality::PERFECT
    });
    let hosts: Vec<HostId> = (0..20).map(|number| world.add_host(&format!("host-{number}"), &[]).unwrap()).collect();
    let servers: Vec<SocketId> = hosts.iter().map(|host| serve(&mut world, *host, PORT, 5)).collect();
    let gossips: Vec<SocketId> = hosts.iter().map(|host| datagrams(&mut world, *host, 7)).collect();
    let mut open: Vec<SocketId> = Vec::new();
    let mut log = Vec::new();
    for round in 0..60_usize {
        for (number, host) in hosts.iter().enumerate().filter(|(_, host)| world.is_up(**host)).collect::<Vec<_>>() {
            let other = (number * 7 + round) % hosts.len();
            let to = port_of(&world, hosts[other], 7);
            let _ = world.send_to(gossips[number], &[1; 300], Some(&to));
            if (number + round) % 4 == 0 && other != number {
                open.push(call(&mut world, *host, hosts[other]).0);
            }
        }
        match round {
            10 => world.set_cut(hosts[1], hosts[2], true),
            20 => drop(world.crash(hosts[3])),
            30 => world.restart(hosts[3]),
            40 => world.set_cut(hosts[1], hosts[2], false),
            _ => {}
        }
        run_for(&mut world, Duration::from_millis(20));
        open.extend(servers.iter().filter_map(|server| world.accept(*server).ok()).map(|(end, _)| end));
        for id in &open {
            let _ = send(&mut world, *id, &[3; 2000]);
            log.extend(read(&mut world, *id).len().to_le_bytes());
        }
        for id in &gossips {
            log.extend(read(&mut world, *id).len().to_le_bytes());
        }
        if round % 9 == 8 {
            open.drain(..open.len() / 2).for_each(|id| world.close(id));
        }
    }
    let snapshot = world.snapshot().to_string();
    for id in open.into_iter().chain(servers).chain(gossips) {
        world.close(id);
    }
    assert_empty(&mut world);
    (world.digest(), log, snapshot)
}

#[test]
fn the_same_seed_goes_the_same_way() {
    for seed in 0..3 {
        assert!(scenario(seed) == scenario(seed), "seed {seed}");
    }
}

#[test]
fn another_seed_goes_another_way() {
    let digests: std::collections::BTreeSet<u64> = (0..6).map(|seed| scenario(seed).0).collect();
    assert_eq!(digests.len(), 6);
}

#[test]
fn what_is_certain_draws_nothing() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (near, far) = connection(&mut world, a, b);
    send(&mut world, near, b"x").unwrap();
    run(&mut world);
    assert_eq!(read(&mut world, far), b"x");
    assert_eq!(world.tape().drawn(), 0);
}

#[test]
fn a_digest_tells_runs_apart_that_differ_in_little() {
    let digest = |seed, size, wait| {
        let (mut world, a, b) = two_hosts(slow(MILLIS_10));
        let _ = seed;
        let (near, _) = connection(&mut world, a, b);
        run_for(&mut world, Duration::from_nanos(wait));
        send(&mut world, near, &vec![0; size]).unwrap();
        run(&mut world);
        world.digest()
    };
    assert_eq!(digest(1, 10, 0), digest(2, 10, 0), "nothing was drawn");
    assert_ne!(digest(1, 10, 0), digest(1, 11, 0));
    assert_ne!(digest(1, 10, 0), digest(1, 10, 1));
}
