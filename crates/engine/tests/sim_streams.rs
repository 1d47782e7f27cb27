//! Streams of the simulated network: connecting, sending, windows, ends.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::Interest;
use soliloop_engine::world::sim::{
    Address, BindOptions, Family, Fault, Kind, Latency, Quality, Simulated, SocketId, WINDOW,
};
use std::io::IoSlice;
use world::{Net, PORT, at, internet, millis, narrow, pattern, slow, v4};

// ---------------------------------------------------------------------- connecting

#[test]
fn on_a_perfect_link_a_connection_is_made_at_once() {
    let mut net = Net::perfect();
    let listener = net.listen(net.b, 1);
    let (near, outcome) = net.knock(net.a, net.b);
    assert_eq!(outcome, Ok(()));
    let (far, peer) = net.world.accept(listener).unwrap();
    assert_eq!(peer, net.world.local_name(near).unwrap());
    assert_eq!(net.world.peer_name(near), Ok(v4(&net.world, net.b, PORT)));
    assert_eq!(net.world.local_name(far), Ok(v4(&net.world, net.b, PORT)));
    assert_eq!(net.world.peer_name(far), net.world.local_name(near));
    assert_eq!(net.world.now(), at(0));
    assert_eq!(net.world.next_event(), None);
}

#[test]
fn with_latency_it_takes_a_round_trip_here_and_one_and_a_half_there() {
    let mut net = Net::of(slow(10));
    let listener = net.listen(net.b, 1);
    let (near, outcome) = net.knock(net.a, net.b);
    assert_eq!(outcome, Err(Fault::InProgress));
    assert_eq!(net.world.peer_name(near), Err(Fault::NotConnected));
    assert_eq!(net.write(near, b"early"), Err(Fault::WouldBlock));
    assert_eq!(net.until_writable(near), at(20));
    assert_eq!(net.world.take_error(near), Ok(None));
    assert_eq!(net.world.peer_name(near), Ok(v4(&net.world, net.b, PORT)));
    assert_eq!(net.world.accept(listener).unwrap_err(), Fault::WouldBlock);
    assert_eq!(net.until_readable(listener), at(30));
    let (far, _) = net.world.accept(listener).unwrap();
    assert_eq!(net.write(near, b"hello"), Ok(5));
    assert_eq!(net.until_readable(far), at(40));
    assert_eq!(net.read(far).unwrap(), b"hello");
}

#[test]
fn the_two_directions_of_a_link_are_each_for_themselves() {
    let mut net = Net::perfect();
    net.world.set_link(net.a, net.b, slow(5));
    net.world.set_link(net.b, net.a, slow(70));
    net.listen(net.b, 1);
    let (near, _) = net.knock(net.a, net.b);
    assert_eq!(net.until_writable(near), at(75));
}

#[test]
fn an_answer_that_takes_longer_than_a_second_is_the_answer_still() {
    let mut net = Net::of(slow(600));
    let listener = net.listen(net.b, 1);
    let (near, _) = net.knock(net.a, net.b);
    assert_eq!(net.until_writable(near), at(1200));
    assert_eq!(net.until_readable(listener), at(1800));
    net.world.accept(listener).unwrap();
    net.settle();
    assert_eq!(net.world.accept(listener).unwrap_err(), Fault::WouldBlock, "what was asked twice is made once");
}

#[test]
fn where_nobody_listens_a_connection_is_refused() {
    let mut net = Net::perfect();
    let (_, outcome) = net.knock(net.a, net.b);
    assert_eq!(outcome, Err(Fault::ConnectionRefused));

    let mut net = Net::of(slow(10));
    let (near, outcome) = net.knock(net.a, net.b);
    assert_eq!(outcome, Err(Fault::InProgress));
    assert_eq!(net.until_writable(near), at(20));
    assert_eq!(net.world.take_error(near), Ok(Some(Fault::ConnectionRefused)));
    assert_eq!(net.world.take_error(near), Ok(None), "an error is told once");
    assert_eq!(net.settle(), at(20), "nobody asks again");
}

#[test]
fn a_socket_that_was_refused_can_try_again() {
    let mut net = Net::of(slow(10));
    let (near, _) = net.knock(net.a, net.b);
    net.until_writable(near);
    assert_eq!(net.world.take_error(near), Ok(Some(Fault::ConnectionRefused)));
    let listener = net.listen(net.b, 1);
    let to = v4(&net.world, net.b, PORT);
    assert_eq!(net.world.connect(near, &to), Err(Fault::InProgress));
    assert_eq!(net.world.connect(near, &to), Err(Fault::Already));
    assert_eq!(net.until_writable(near), at(40));
    assert_eq!(net.world.take_error(near), Ok(None));
    assert_eq!(net.world.connect(near, &to), Err(Fault::IsConnected));
    net.until_readable(listener);
    let (far, _) = net.world.accept(listener).unwrap();
    net.write(far, b"welcome").unwrap();
    net.until_readable(near);
    assert_eq!(net.read(near).unwrap(), b"welcome");
}

#[test]
fn a_second_try_asks_again_by_its_own_clock() {
    let mut net = Net::of(slow(10));
    let (near, _) = net.knock(net.a, net.b);
    net.until_writable(near);
    net.world.take_error(near).unwrap();
    net.cut(true);
    let to = v4(&net.world, net.b, PORT);
    assert_eq!(net.world.connect(near, &to), Err(Fault::InProgress));
    assert_eq!(net.world.next_event(), Some(at(1020)), "a second after the second try, not after the first");
    net.until_writable(near);
    assert_eq!(net.world.now(), at(127_020));
}

#[test]
fn a_connection_that_was_lost_is_not_made_again_with_the_same_socket() {
    let mut net = Net::perfect();
    let (near, far) = net.connection();
    net.world.abort(far);
    assert_eq!(net.read(near), Err(Fault::ConnectionReset));
    let to = v4(&net.world, net.b, PORT);
    assert_eq!(net.world.connect(near, &to), Err(Fault::IsConnected));
}

#[test]
fn a_connection_that_nobody_answers_is_given_up_after_127_seconds() {
    let mut net = Net::of(slow(10));
    net.listen(net.b, 1);
    net.cut(true);
    let (near, _) = net.knock(net.a, net.b);
    assert_eq!(net.until_writable(near), at(127_000));
    assert_eq!(net.world.take_error(near), Ok(Some(Fault::TimedOut)));
    assert_eq!(net.world.next_event(), None);
    net.world.close(near);
}

#[test]
fn a_lost_question_is_asked_again_after_one_three_and_seven_seconds() {
    for (mended, made) in [(500, 1020), (1500, 3020), (3500, 7020)] {
        let mut net = Net::of(slow(10));
        net.listen(net.b, 1);
        net.cut(true);
        let (near, _) = net.knock(net.a, net.b);
        net.world.advance_to(at(mended));
        net.cut(false);
        assert_eq!(net.until_writable(near), at(made));
    }
}

#[test]
fn who_does_not_know_the_way_hears_of_it_at_once() {
    let mut net = Net::perfect();
    let socket = net.world.socket(net.a, Family::V4, Kind::Stream);
    assert_eq!(net.world.connect(socket, &internet("192.0.2.1:80")), Err(Fault::HostUnreachable));
    assert_eq!(net.world.connect(socket, &internet("[::1]:80")), Err(Fault::WrongFamily));
    assert_eq!(net.world.connect(socket, &Address::Path(b"/x".to_vec())), Err(Fault::WrongFamily));
}

// ---------------------------------------------------------------------- listening

#[test]
fn connections_are_accepted_in_the_order_in_which_they_came() {
    let mut net = Net::perfect();
    let listener = net.listen(net.b, 8);
    let near: Vec<SocketId> = (0..5).map(|_| net.knock(net.a, net.b).0).collect();
    for id in near {
        let (_, peer) = net.world.accept(listener).unwrap();
        assert_eq!(peer, net.world.local_name(id).unwrap());
    }
    assert_eq!(net.world.accept(listener).unwrap_err(), Fault::WouldBlock);
}

#[test]
fn a_full_queue_does_not_answer_until_there_is_room() {
    // Linux takes one more than the backlog says.
    for (room, made) in [(500, 1000), (1500, 3000), (3500, 7000)] {
        let mut net = Net::perfect();
        let listener = net.listen(net.b, 1);
        assert_eq!(net.knock(net.a, net.b).1, Ok(()));
        assert_eq!(net.knock(net.a, net.b).1, Ok(()));
        let (late, outcome) = net.knock(net.a, net.b);
        assert_eq!(outcome, Err(Fault::InProgress));
        net.world.advance_to(at(room));
        assert!(!net.world.readiness(late).unwrap().writable);
        net.world.accept(listener).unwrap();
        assert_eq!(net.until_writable(late), at(made));
        assert_eq!(net.world.take_error(late), Ok(None));
        net.world.accept(listener).unwrap();
        let (far, _) = net.world.accept(listener).unwrap();
        net.write(late, b"at last").unwrap();
        assert_eq!(net.read(far).unwrap(), b"at last");
    }
}

#[test]
fn a_queue_that_stays_full_is_a_timeout() {
    let mut net = Net::of(slow(1));
    let listener = net.listen(net.b, 0);
    let (_, outcome) = net.knock(net.a, net.b);
    assert_eq!(outcome, Err(Fault::InProgress));
    net.until_readable(listener);
    let (late, _) = net.knock(net.a, net.b);
    let begun = net.world.now();
    assert_eq!(begun.until(net.until_writable(late)), millis(127_000));
    assert_eq!(net.world.take_error(late), Ok(Some(Fault::TimedOut)));
}

#[test]
fn listening_makes_an_address_where_there_is_none_and_is_refused_where_it_makes_no_sense() {
    let mut net = Net::perfect();
    let listener = net.world.socket(net.b, Family::V4, Kind::Stream);
    net.world.listen(listener, 1).unwrap();
    let Address::Internet(name) = net.world.local_name(listener).unwrap() else { panic!("not of the internet") };
    assert!(name.ip().is_unspecified() && name.port() >= 49_152, "{name}");
    assert_eq!(net.world.listen(listener, 5), Ok(()), "the backlog can be changed");

    let (near, _) = net.connection();
    assert_eq!(net.world.listen(near, 1), Err(Fault::Invalid));
    assert_eq!(net.world.accept(near).unwrap_err(), Fault::Invalid);
    let datagrams = net.world.socket(net.a, Family::V4, Kind::Datagram);
    assert_eq!(net.world.listen(datagrams, 1), Err(Fault::NotSupported));
    let path = net.world.socket(net.a, Family::Unix, Kind::Stream);
    assert_eq!(net.world.listen(path, 1), Err(Fault::Invalid));
    assert_eq!(net.write(listener, b"x"), Err(Fault::NotConnected));
    assert_eq!(net.read(listener), Err(Fault::NotConnected));
}

#[test]
fn who_waits_in_the_queue_of_a_listener_that_closes_is_reset() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let listener = net.listen(net.b, 4);
        let (near, _) = net.knock(net.a, net.b);
        net.until_readable(listener);
        net.world.close(listener);
        net.until_readable(near);
        assert_eq!(net.read(near), Err(Fault::ConnectionReset));
        assert_eq!(net.read(near), Ok(Vec::new()));
        net.world.close(near);
        net.settle();
        assert_eq!(net.world.sockets_len(), 0);
    }
}

#[test]
fn a_listener_that_closes_in_the_middle_of_a_handshake_resets_or_refuses() {
    for (closes, fault) in [(5, Fault::ConnectionRefused), (15, Fault::ConnectionRefused), (25, Fault::ConnectionReset)]
    {
        let mut net = Net::of(slow(10));
        let listener = net.listen(net.b, 4);
        let (near, _) = net.knock(net.a, net.b);
        net.world.advance_to(at(closes));
        net.world.close(listener);
        net.until_readable(near);
        assert_eq!(net.world.take_error(near), Ok(Some(fault)), "closed at {closes} ms");
        net.world.close(near);
        net.settle();
        assert_eq!(net.world.sockets_len(), 0);
    }
}

#[test]
fn sockets_that_share_a_port_share_the_connections() {
    let mut net = Net::perfect();
    let options = BindOptions { shares_port: true, ..BindOptions::default() };
    let address = v4(&net.world, net.b, PORT);
    let listeners = [0, 1].map(|_| {
        let listener = net.world.socket(net.b, Family::V4, Kind::Stream);
        net.world.bind(listener, &address, options).unwrap();
        net.world.listen(listener, 1000).unwrap();
        listener
    });
    for _ in 0..200 {
        assert_eq!(net.knock(net.a, net.b).1, Ok(()));
    }
    let counts = listeners.map(|listener| (0..).take_while(|_| net.world.accept(listener).is_ok()).count());
    assert_eq!(counts[0] + counts[1], 200);
    assert!(counts.iter().all(|count| (60..140).contains(count)), "{counts:?}");
}

// ---------------------------------------------------------------------- data

/// Sends 3 MB in pieces of odd sizes, as fast as the window takes them, and asserts that they come in order.
fn assert_in_order(quality: Quality) {
    let mut net = Net::of_seed(7, quality);
    let (near, far) = net.connection();
    let sent = pattern(3_000_000);
    let (mut place, mut received) = (0, Vec::new());
    while received.len() < sent.len() {
        let size = 1 + place * 7 % 9_999;
        match net.write(near, &sent[place..sent.len().min(place + size)]) {
            Ok(count) => place += count,
            Err(fault) => {
                assert_eq!(fault, Fault::WouldBlock);
                net.step();
            }
        }
        if place == sent.len() {
            net.step();
        }
        match net.read(far) {
            Ok(bytes) => received.extend(bytes),
            Err(fault) => assert_eq!(fault, Fault::WouldBlock),
        }
    }
    assert!(received == sent, "another order");
}

#[test]
fn data_comes_in_order_over_links_of_all_kinds() {
    assert_in_order(Quality::PERFECT);
    assert_in_order(slow(30));
    assert_in_order(narrow(1e6));
    assert_in_order(Quality { loss: 0.1, ..slow(30) });
    assert_in_order(Quality { jitter: millis(50), ..slow(1) });
    assert_in_order(Quality { latency: Latency::Exponential(millis(1), millis(20)), loss: 0.05, ..narrow(2e6) });
}

#[test]
fn several_chunks_are_one_message() {
    let mut net = Net::perfect();
    let (near, far) = net.connection();
    let chunks = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two")];
    assert_eq!(net.world.transmit(near, &chunks), Ok(7));
    assert_eq!(net.world.readable_bytes(far), Ok(7));
    let mut buffer = [0; 4];
    assert_eq!(net.world.receive(far, &mut buffer, true), Ok(4));
    assert_eq!(net.world.receive(far, &mut buffer, false), Ok(4));
    assert_eq!(&buffer, b"one ");
    assert_eq!(net.read(far).unwrap(), b"two");
    assert_eq!(net.read(far), Err(Fault::WouldBlock));
    assert_eq!(net.write(near, b""), Ok(0));
}

#[test]
fn bytes_take_their_time_on_a_narrow_link() {
    let mut net = Net::of(Quality { latency: Latency::Fixed(millis(10)), ..narrow(1000.0) });
    let (near, far) = net.connection();
    assert_eq!(net.world.now(), at(30));
    net.write(near, &[1; 500]).unwrap();
    net.write(near, &[2; 250]).unwrap();
    assert_eq!(net.until_readable(far), at(540));
    assert_eq!(net.read(far).unwrap(), [1; 500]);
    assert_eq!(net.until_readable(far), at(790));
    assert_eq!(net.read(far).unwrap(), [2; 250]);
}

#[test]
fn connections_share_a_narrow_link() {
    let mut net = Net::of(narrow(1000.0));
    let (one, one_far) = net.connection();
    let (two, two_far) = net.connection();
    let begun = net.world.now();
    net.write(one, &[1; 1000]).unwrap();
    net.write(two, &[2; 1000]).unwrap();
    assert_eq!(begun.until(net.until_readable(one_far)), millis(1000));
    assert_eq!(begun.until(net.until_readable(two_far)), millis(2000));
    // The way back is another one.
    net.write(two_far, &[3; 500]).unwrap();
    assert_eq!(begun.until(net.until_readable(two)), millis(2500));
}

#[test]
fn loss_is_delay() {
    let mut net = Net::of_seed(3, Quality { loss: 0.3, ..slow(10) });
    let (near, far) = net.connection();
    let mut late = 0;
    for _ in 0..200 {
        let begun = net.world.now();
        net.write(near, b"x").unwrap();
        let took = begun.until(net.until_readable(far));
        assert_eq!(net.read(far).unwrap(), b"x");
        // Each time it is lost, the timeout doubles: 200, 600, 1400 ms later.
        let tries = (0..12).find(|tries| took == millis(10 + 200 * ((1 << tries) - 1)));
        assert!(tries.is_some(), "{took:?} is none of the times");
        late += usize::from(tries != Some(0));
    }
    assert!((35..90).contains(&late), "{late} of 200 were late");
}

// ---------------------------------------------------------------------- windows

/// Writes until nothing more is taken; gives how much was.
fn fill(world: &mut Simulated, id: SocketId) -> usize {
    let chunk = vec![7; 10_000];
    let mut total = 0;
    loop {
        match world.transmit(id, &[IoSlice::new(&chunk)]) {
            Ok(count) => total += count,
            Err(fault) => {
                assert_eq!(fault, Fault::WouldBlock);
                return total;
            }
        }
    }
}

#[test]
fn a_window_is_taken_and_given_back_by_quarters() {
    for (quality, later) in [(Quality::PERFECT, 0), (slow(10), 10)] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        assert_eq!(fill(&mut net.world, near), WINDOW);
        assert_eq!(WINDOW, 256 * 1024);
        assert!(!net.world.readiness(near).unwrap().writable);
        net.settle();
        assert!(!net.world.readiness(near).unwrap().writable);
        let mut buffer = vec![0; WINDOW / 4 - 1];
        assert_eq!(net.world.receive(far, &mut buffer, false), Ok(WINDOW / 4 - 1));
        net.settle();
        assert!(!net.world.readiness(near).unwrap().writable, "less than a quarter was read");
        assert_eq!(net.write(near, b"x"), Err(Fault::WouldBlock));
        assert_eq!(net.world.receive(far, &mut buffer[..1], false), Ok(1));
        let begun = net.world.now();
        assert_eq!(begun.until(net.until_writable(near)), millis(later));
        assert_eq!(fill(&mut net.world, near), WINDOW / 4);
    }
}

#[test]
fn a_writer_that_asked_for_edges_is_told_of_room_once() {
    let mut net = Net::perfect();
    let (near, far) = net.connection();
    net.world.watch(near, Interest::edges(true)).unwrap();
    let mut ready = Vec::new();
    net.world.take_ready(&mut ready);
    assert_eq!(ready.len(), 1);
    assert!(ready[0].1.writable && !ready[0].1.readable);
    fill(&mut net.world, near);
    net.world.take_ready(&mut ready);
    assert_eq!(ready.len(), 1, "nothing has changed for the better");
    assert_eq!(net.read(far).unwrap().len(), WINDOW);
    net.world.take_ready(&mut ready);
    assert_eq!(ready.len(), 2);
    assert!(ready[1].1.writable);
    net.world.take_ready(&mut ready);
    assert_eq!(ready.len(), 2);
    assert!(!net.world.has_ready());
}

#[test]
fn a_level_is_told_of_as_long_as_it_lasts() {
    let mut net = Net::perfect();
    let (near, far) = net.connection();
    net.world.watch(far, Interest::READ).unwrap();
    let mut ready = Vec::new();
    net.world.take_ready(&mut ready);
    assert!(ready.is_empty());
    net.write(near, b"abc").unwrap();
    for times in 1..4 {
        net.world.take_ready(&mut ready);
        assert_eq!(ready.len(), times);
    }
    net.read(far).unwrap();
    net.world.take_ready(&mut ready);
    assert_eq!(ready.len(), 3);
    assert!(!net.world.has_ready());
}

// ---------------------------------------------------------------------- ends

#[test]
fn a_half_that_has_ended_does_not_end_the_other() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        net.write(near, b"question").unwrap();
        net.world.end_writing(near).unwrap();
        net.world.end_writing(near).unwrap();
        assert_eq!(net.write(near, b"more"), Err(Fault::BrokenPipe));
        assert!(net.world.readiness(near).unwrap().writable, "an error does not block");
        assert_eq!(net.read_all(far), b"question");
        assert!(net.world.readiness(far).unwrap().is_exceptional);
        net.write(far, b"answer").unwrap();
        net.world.close(far);
        assert_eq!(net.read_all(near), b"answer");
        assert_eq!(net.read(near), Ok(Vec::new()), "the end stays");
        net.world.close(near);
        net.settle();
        assert_eq!(net.world.sockets_len(), 0);
    }
}

#[test]
fn what_was_sent_before_a_close_arrives() {
    for quality in [Quality::PERFECT, slow(10), narrow(1e5), Quality { loss: 0.3, ..slow(10) }] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        let sent = pattern(100_000);
        assert_eq!(net.write(near, &sent), Ok(sent.len()));
        net.world.close(near);
        assert!(!net.world.is_open_socket(near));
        assert_eq!(net.write(near, b"x"), Err(Fault::BadSocket));
        assert!(net.read_all(far) == sent);
        net.world.close(far);
        net.settle();
        assert_eq!(net.world.sockets_len(), 0);
    }
}

#[test]
fn a_close_with_unread_data_resets_the_peer() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        net.write(near, b"unread").unwrap();
        net.until_readable(far);
        net.world.close(far);
        net.until_readable(near);
        assert_eq!(net.read(near), Err(Fault::ConnectionReset));
        assert_eq!(net.read(near), Ok(Vec::new()));
        assert_eq!(net.write(near, b"x"), Err(Fault::BrokenPipe));
        assert_eq!(net.world.peer_name(near), Err(Fault::NotConnected));
        net.world.close(near);
        net.settle();
        assert_eq!(net.world.sockets_len(), 0);
    }
}

#[test]
fn what_comes_for_a_socket_that_was_closed_resets_its_sender() {
    let mut net = Net::perfect();
    let (near, far) = net.connection();
    net.world.close(far);
    assert_eq!(net.read(near), Ok(Vec::new()));
    assert_eq!(net.write(near, b"too late"), Ok(8), "nobody knows yet");
    assert_eq!(net.write(near, b"x"), Err(Fault::ConnectionReset));
    assert_eq!(net.write(near, b"x"), Err(Fault::BrokenPipe));
    assert_eq!(net.write(near, b"x"), Err(Fault::BrokenPipe));
    assert_eq!(net.world.end_writing(near), Err(Fault::NotConnected));
}

#[test]
fn an_error_is_told_once_however_much_was_under_way() {
    let mut net = Net::of(slow(10));
    let (near, far) = net.connection();
    net.world.close(far);
    for _ in 0..4 {
        net.write(near, b"into the void").unwrap();
        net.pass(1);
    }
    net.pass(17);
    assert_eq!(net.write(near, b"x"), Err(Fault::ConnectionReset));
    assert_eq!(net.write(near, b"x"), Err(Fault::BrokenPipe));
    let now = net.world.now();
    assert_eq!(net.settle(), now, "what else comes for it is void");
    assert_eq!(net.write(near, b"x"), Err(Fault::BrokenPipe));
    assert_eq!(net.world.take_error(near), Ok(None));
}

#[test]
fn a_reset_arrives_over_a_lossy_link_too() {
    for seed in 0..50 {
        let mut net = Net::of_seed(seed, slow(10));
        let (near, far) = net.connection();
        net.world.set_link(net.b, net.a, Quality { loss: 0.5, ..slow(10) });
        net.world.crash(net.b);
        net.world.restart(net.b);
        assert!(!net.world.is_open_socket(far));
        net.write(near, b"anybody?").unwrap();
        net.until_readable(near);
        assert_eq!(net.read(near), Err(Fault::ConnectionReset));
    }
}

#[test]
fn data_that_came_before_a_reset_is_read_first() {
    let mut net = Net::perfect();
    let (near, far) = net.connection();
    net.write(far, b"last words").unwrap();
    net.world.abort(far);
    assert_eq!(net.read(near).unwrap(), b"last words");
    assert_eq!(net.read(near), Err(Fault::ConnectionReset));
}

#[test]
fn a_reading_half_that_was_ended_drops_what_comes() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        net.write(near, b"unread").unwrap();
        net.until_readable(far);
        net.world.end_reading(far).unwrap();
        assert_eq!(net.read(far), Ok(Vec::new()));
        for _ in 0..20 {
            net.until_writable(near);
            assert_eq!(net.write(near, &[7; WINDOW / 4]), Ok(WINDOW / 4));
            net.settle();
        }
        assert_eq!(net.read(far), Ok(Vec::new()));
        assert_eq!(net.write(far, b"still here"), Ok(10));
        net.until_readable(near);
        assert_eq!(net.read(near).unwrap(), b"still here");
        net.world.close(far);
        assert_eq!(net.read_all(near), b"", "nothing unread: no reset");
    }
}

#[test]
fn ending_the_reading_half_makes_room_for_a_writer_that_waits() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, far) = net.connection();
        fill(&mut net.world, near);
        net.settle();
        assert!(!net.world.readiness(near).unwrap().writable);
        net.world.end_reading(far).unwrap();
        net.until_writable(near);
        assert_eq!(net.write(near, &[7; WINDOW]), Ok(WINDOW));
    }
}

#[test]
fn a_socket_without_a_connection_says_so() {
    let mut net = Net::perfect();
    let fresh = net.world.socket(net.a, Family::V4, Kind::Stream);
    assert_eq!(net.read(fresh), Err(Fault::NotConnected));
    assert_eq!(net.write(fresh, b"x"), Err(Fault::BrokenPipe));
    assert_eq!(net.world.end_writing(fresh), Err(Fault::NotConnected));
    assert_eq!(net.world.end_reading(fresh), Err(Fault::NotConnected));
    assert_eq!(net.world.peer_name(fresh), Err(Fault::NotConnected));
    net.world.close(fresh);
    net.world.close(fresh);
    assert_eq!(net.world.readiness(fresh).unwrap_err(), Fault::BadSocket);
    assert_eq!(net.read(fresh), Err(Fault::BadSocket));
}
