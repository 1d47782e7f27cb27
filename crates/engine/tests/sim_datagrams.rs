//! Datagrams: who hears which, what is lost, doubled or overtaken, and who is told that nobody hears.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::Interest;
use soliloop_engine::world::sim::{Address, BindOptions, Family, Fault, Kind, Quality, Simulated, SocketId};
use world::*;

fn receive(world: &mut Simulated, id: SocketId) -> Result<(Vec<u8>, Address), Fault> {
    let mut buffer = [0; 100];
    world.receive_from(id, &mut buffer, false).map(|(count, from)| (buffer[..count].to_vec(), from))
}

/// The numbers that have come, of datagrams that are a number each.
fn numbers(world: &mut Simulated, id: SocketId) -> Vec<u32> {
    std::iter::from_fn(|| receive(world, id).ok())
        .map(|(data, _)| u32::from_be_bytes(data.try_into().unwrap()))
        .collect()
}

/// Sends numbers over a link, and gives those that come.
fn sent_over(quality: Quality, count: u32) -> Vec<u32> {
    let (mut world, a, b) = two_hosts(quality);
    let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    for number in 0..count {
        world.send_to(one, &number.to_be_bytes(), Some(&to)).unwrap();
    }
    run(&mut world);
    numbers(&mut world, other)
}

#[test]
fn a_datagram_arrives_whole_with_its_senders_name() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (one, other) = (world.socket(a, Family::V4, Kind::Datagram), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    world.watch(other, Interest::READ).unwrap();
    world.send_to(one, b"hello", Some(&to)).unwrap();
    world.send_to(one, b"", Some(&to)).unwrap();
    assert_eq!(world.local_name(one), Ok(internet("0.0.0.0:32768")), "a port, but no address of its own");
    run(&mut world);
    assert_eq!(time(&world), MILLIS_10);
    assert_eq!(ready(&mut world), [(other, true, false)]);
    assert_eq!(world.readable_bytes(other), Ok(5));
    let from = port_of(&world, a, 32768);
    let mut two = [0; 2];
    assert_eq!(world.receive_from(other, &mut two, true), Ok((2, from.clone())));
    assert_eq!(world.receive_from(other, &mut two, false), Ok((2, from.clone())), "the rest is lost");
    assert_eq!(receive(&mut world, other), Ok((vec![], from)));
    assert_eq!(receive(&mut world, other), Err(Fault::WouldBlock));
    // The port is of all addresses: over loopback it is heard as well.
    let local = datagrams(&mut world, a, 5);
    world.send_to(one, b"near", Some(&internet("127.0.0.1:5"))).unwrap();
    assert_eq!(receive(&mut world, local), Ok((b"near".to_vec(), internet("127.0.0.1:32768"))));
}

#[test]
fn who_is_connected_hears_one_peer_only() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (one, stranger, other) =
        (datagrams(&mut world, a, 1), datagrams(&mut world, a, 3), datagrams(&mut world, b, 2));
    let (to_one, to_other) = (port_of(&world, a, 1), port_of(&world, b, 2));
    assert_eq!(world.send_to(other, b"x", None), Err(Fault::NoDestination));
    world.connect(other, &to_one).unwrap();
    assert_eq!(world.peer_name(other), Ok(to_one.clone()));
    assert_eq!(world.local_name(other), Ok(to_other.clone()));
    world.send_to(stranger, b"unheard", Some(&to_other)).unwrap();
    world.send_to(one, b"heard", Some(&to_other)).unwrap();
    assert_eq!(receive(&mut world, other), Ok((b"heard".to_vec(), to_one)));
    assert_eq!(receive(&mut world, other), Err(Fault::WouldBlock));
    assert_eq!(send(&mut world, other, b"back"), Ok(4));
    assert_eq!(receive(&mut world, one), Ok((b"back".to_vec(), to_other)));
}

#[test]
fn only_who_is_connected_learns_that_nobody_hears() {
    for quality in [Quality::PERFECT, slow(MILLIS_10)] {
        let (mut world, a, b) = two_hosts(quality);
        let (free, bound) = (datagrams(&mut world, a, 1), datagrams(&mut world, a, 2));
        let (nobody, somebody) = (port_of(&world, b, 9), port_of(&world, b, 8));
        datagrams(&mut world, b, 8);
        world.connect(bound, &nobody).unwrap();
        for id in [free, bound] {
            world.send_to(id, b"x", Some(&nobody)).unwrap();
        }
        run(&mut world);
        assert_eq!(receive(&mut world, free), Err(Fault::WouldBlock));
        assert!(world.readiness(bound).unwrap().readable);
        assert_eq!(receive(&mut world, bound), Err(Fault::ConnectionRefused));
        assert_eq!(receive(&mut world, bound), Err(Fault::WouldBlock));
        world.send_to(bound, b"x", None).unwrap();
        run(&mut world);
        assert_eq!(
            world.send_to(bound, b"x", Some(&somebody)),
            Err(Fault::ConnectionRefused),
            "it is about an earlier one"
        );
        assert_eq!(world.send_to(bound, b"x", Some(&somebody)), Ok(()));
        run(&mut world);
        assert_eq!(world.take_error(bound), Ok(None));
    }
}

#[test]
fn loss_is_as_frequent_as_it_was_said() {
    let got = sent_over(Quality { loss: 0.3, ..slow(MILLIS_10) }, 4000);
    assert!((2680..2920).contains(&got.len()), "{}", got.len());
    assert!(got.is_sorted());
    assert_eq!(sent_over(Quality { loss: 1.0, ..slow(MILLIS_10) }, 10), []);
    assert_eq!(sent_over(Quality { loss: f64::NAN, ..slow(MILLIS_10) }, 10).len(), 10);
}

#[test]
fn duplicates_are_as_frequent_as_it_was_said() {
    let got = sent_over(Quality { duplicate: 0.25, ..Quality::PERFECT }, 4000);
    assert!((4880..5120).contains(&got.len()), "{}", got.len());
    let twice = sent_over(Quality { duplicate: 1.0, ..Quality::PERFECT }, 2);
    assert_eq!(twice, [0, 0, 1, 1]);
}

#[test]
fn some_are_overtaken() {
    let (mut world, a, b) = two_hosts(Quality { reorder: 0.2, ..slow(MILLIS_10) });
    let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    let mut got = Vec::new();
    for number in 0..1000_u32 {
        world.send_to(one, &number.to_be_bytes(), Some(&to)).unwrap();
        run_for(&mut world, MILLIS_10 / 10);
        got.extend(numbers(&mut world, other));
    }
    run(&mut world);
    got.extend(numbers(&mut world, other));
    let late = got.windows(2).filter(|pair| pair[1] < pair[0]).count();
    assert!((100..250).contains(&late), "{late} were overtaken");
    got.sort_unstable();
    assert!(got.into_iter().eq(0..1000), "and none was lost or doubled");
}

#[test]
fn every_piece_of_a_long_datagram_can_be_lost() {
    let arrived = |mtu| {
        let (mut world, a, b) = two_hosts(Quality { loss: 0.05, mtu, ..Quality::PERFECT });
        let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
        let to = port_of(&world, b, 2);
        let send = |_: &u32| {
            world.send_to(one, &[0; 10 * 1472], Some(&to)).unwrap();
            run(&mut world);
            receive(&mut world, other).is_ok()
        };
        (0..1000).filter(send).count()
    };
    // Ten pieces arrive with a probability of 0.95^10, which is 0.599; one of 0.95.
    let (pieces, whole) = (arrived(1500), arrived(65_535));
    assert!((540..660).contains(&pieces), "{pieces}");
    assert!((920..980).contains(&whole), "{whole}");
}

#[test]
fn the_longest_datagram() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let one = datagrams(&mut world, a, 1);
    let to = port_of(&world, b, 2);
    assert_eq!(world.send_to(one, &vec![0; 65_507], Some(&to)), Ok(()));
    assert_eq!(world.send_to(one, &vec![0; 65_508], Some(&to)), Err(Fault::MessageTooLong));
    assert_eq!(world.send_to(one, b"", Some(&internet("9.9.9.9:9"))), Err(Fault::HostUnreachable));
    assert_eq!(world.send_to(one, b"", Some(&internet("[::1]:9"))), Err(Fault::WrongFamily));
}

#[test]
fn a_reader_that_sleeps_loses_what_is_too_much() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    for size in [0, 1000] {
        for _ in 0..10_000 {
            assert_eq!(world.send_to(one, &vec![0; size], Some(&to)), Ok(()));
        }
        let kept = std::iter::from_fn(|| receive(&mut world, other).ok()).count();
        assert_eq!(kept, 212_992 / (size + 28));
    }
}

#[test]
fn what_is_under_way_over_a_link_that_is_cut_is_lost() {
    let (mut world, a, b) = two_hosts(slow(MILLIS_10));
    let (one, other) = (datagrams(&mut world, a, 1), datagrams(&mut world, b, 2));
    let to = port_of(&world, b, 2);
    world.send_to(one, b"x", Some(&to)).unwrap();
    world.set_cut(a, b, true);
    world.send_to(one, b"x", Some(&to)).unwrap();
    run(&mut world);
    world.set_cut(a, b, false);
    world.send_to(one, b"heard", Some(&to)).unwrap();
    world.close(one);
    run(&mut world);
    assert_eq!(receive(&mut world, other).unwrap().0, b"heard", "its sender is gone, it is not");
    assert_eq!(receive(&mut world, other), Err(Fault::WouldBlock));
    world.close(other);
    assert_empty(&mut world);
}

#[test]
fn of_two_at_one_port_the_one_that_is_connected_hears_its_peer() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let shared = BindOptions { shares_port: true, ..BindOptions::default() };
    let [all, one] = [(); 2].map(|()| {
        let id = world.socket(b, Family::V4, Kind::Datagram);
        world.bind(id, &internet("0.0.0.0:7"), shared).unwrap();
        id
    });
    let (peer, stranger) = (datagrams(&mut world, a, 1), datagrams(&mut world, a, 2));
    let (to, from) = (port_of(&world, b, 7), port_of(&world, a, 1));
    world.connect(one, &from).unwrap();
    world.send_to(peer, b"to the one", Some(&to)).unwrap();
    world.send_to(stranger, b"to all", Some(&to)).unwrap();
    assert_eq!(receive(&mut world, one).unwrap().0, b"to the one");
    assert_eq!(receive(&mut world, all).unwrap().0, b"to all");
}

#[test]
fn version_6_answers_version_4() {
    let (mut world, a, b) = two_hosts(Quality::PERFECT);
    let server = world.socket(b, Family::V6, Kind::Datagram);
    world.bind(server, &internet("[::]:7"), BindOptions::default()).unwrap();
    let client = datagrams(&mut world, a, 1);
    let to = port_of(&world, b, 7);
    world.connect(client, &to).unwrap();
    world.send_to(client, b"ping", None).unwrap();
    let (data, from) = receive(&mut world, server).unwrap();
    assert_eq!(data, b"ping");
    assert!(matches!(&from, Address::Internet(from) if from.is_ipv6()), "{from:?}");
    world.send_to(server, b"pong", Some(&from)).unwrap();
    assert_eq!(receive(&mut world, client), Ok((b"pong".to_vec(), to)));
}
