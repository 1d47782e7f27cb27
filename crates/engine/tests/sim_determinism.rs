//! A run of the simulated network depends on its seed and its program alone.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::Wait;
use soliloop_engine::world::Interest;
use soliloop_engine::world::sim::{
    BindOptions, Digest, Family, Fault, HostId, Kind, Latency, Quality, Simulated, SocketId, Step, Tape,
};
use std::io::IoSlice;
use world::{PORT, millis, v4};

/// Twenty hosts, each with a server that echoes and a client that asks three others, over lossy links; and datagrams among them. One host
/// crashes, one link is cut for a while.
fn run(seed: u64) -> (u64, String) {
    let mut world = Simulated::new(seed);
    world.set_default_link(Quality {
        latency: Latency::Exponential(millis(1), millis(10)),
        jitter: millis(2),
        loss: 0.1,
        duplicate: 0.05,
        reorder: 0.1,
        ..Quality::PERFECT
    });
    let hosts: Vec<HostId> = (0..20).map(|number| world.add_host(&format!("h{number}"), &[]).unwrap()).collect();
    let mut listeners = Vec::new();
    for host in &hosts {
        let listener = world.socket(*host, Family::V4, Kind::Stream);
        let address = v4(&world, *host, PORT);
        world.bind(listener, &address, BindOptions::default()).unwrap();
        world.listen(listener, 16).unwrap();
        world.watch(listener, Interest::READ).unwrap();
        let datagrams = world.socket(*host, Family::V4, Kind::Datagram);
        world.bind(datagrams, &address, BindOptions::default()).unwrap();
        world.watch(datagrams, Interest::READ).unwrap();
        listeners.push(listener);
    }
    let mut clients: Vec<SocketId> = Vec::new();
    for (place, host) in hosts.iter().enumerate() {
        for step in [1, 3, 7] {
            let to = v4(&world, hosts[(place + step) % 20], PORT);
            let client = world.socket(*host, Family::V4, Kind::Stream);
            assert_eq!(world.connect(client, &to), Err(Fault::InProgress));
            world.watch(client, Interest::edges(true)).unwrap();
            clients.push(client);
            let datagrams = world.socket(*host, Family::V4, Kind::Datagram);
            world.send_to(datagrams, b"ping", Some(&to)).unwrap();
        }
    }
    let mut buffer = [0; 4096];
    let mut ready = Vec::new();
    for turn in 0..20_000 {
        if turn == 300 {
            world.crash(hosts[4]);
            world.set_cut(hosts[1], hosts[2], true);
        }
        if turn == 900 {
            world.restart(hosts[4]);
            world.set_cut(hosts[1], hosts[2], false);
        }
        if world.wait(Wait::Forever) == Step::Stuck {
            break;
        }
        world.take_ready(&mut ready);
        for (id, readiness) in ready.drain(..) {
            if listeners.contains(&id) {
                if let Ok((end, _)) = world.accept(id) {
                    world.watch(end, Interest::READ).unwrap();
                }
                continue;
            }
            if readiness.readable {
                match world.receive(id, &mut buffer, false) {
                    Ok(0) => world.close(id),
                    // What comes back is sent again, a byte shorter each time.
                    Ok(count) => _ = world.transmit(id, &[IoSlice::new(&buffer[1..count])]),
                    Err(_) => {}
                }
            } else if readiness.writable && clients.contains(&id) && world.take_error(id) == Ok(None) {
                _ = world.transmit(id, &[IoSlice::new(&[7; 30])]);
            }
        }
    }
    (world.digest(), world.snapshot().to_string())
}

#[test]
fn a_seed_repeats_a_run() {
    let runs: Vec<(u64, String)> = (0..5).map(run).collect();
    for (seed, first) in (0..).zip(&runs) {
        assert_eq!(*first, run(seed));
    }
    let mut digests: Vec<u64> = runs.iter().map(|(digest, _)| *digest).collect();
    digests.sort_unstable();
    digests.dedup();
    assert_eq!(digests.len(), 5, "another seed is another run");
}

#[test]
fn what_a_seed_stands_for_is_fixed() {
    let mut tape = Tape::of_seed(0);
    // The first numbers of SplitMix64 for the seed 0, as published.
    assert_eq!([0, 1, 2].map(|_| tape.bits()), [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F]);
    assert_eq!(tape.drawn(), 3);
    assert!(!tape.chance(0.0) && tape.chance(1.0));
    assert_eq!((tape.choose(0), tape.choose(1), tape.between(millis(3), millis(3))), (0, 0, millis(3)));
    assert_eq!(tape.drawn(), 3, "what is certain draws nothing");
    assert!((0..1000).all(|_| tape.choose(7) < 7));
}

#[test]
fn a_digest_tells_words_and_their_order_apart() {
    let of = |words: &[u64]| {
        let mut digest = Digest::new();
        for word in words {
            digest.note(*word);
        }
        digest.value()
    };
    assert_eq!(of(&[1, 2]), of(&[1, 2]));
    assert_ne!(of(&[1, 2]), of(&[2, 1]));
    assert_ne!(of(&[]), of(&[0]));
    let of_bytes = |bytes: &[u8]| {
        let mut digest = Digest::new();
        digest.note_bytes(bytes);
        digest.value()
    };
    assert_ne!(of_bytes(b""), of_bytes(b"\0"));
    assert_ne!(of_bytes(b"12345678"), of_bytes(b"123456789"));
}
