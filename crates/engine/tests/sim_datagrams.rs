//! Datagrams of the simulated network: loss, doubles, order, and who hears what.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{Address, BindOptions, Family, Fault, HostId, Kind, Quality, Result, SocketId};
use world::{Net, at, internet, millis, narrow, slow, v4};

impl Net {
    fn datagrams(&mut self, host: HostId, port: u16) -> SocketId {
        let id = self.world.socket(host, Family::V4, Kind::Datagram);
        let address = v4(&self.world, host, port);
        self.world.bind(id, &address, BindOptions::default()).unwrap();
        id
    }

    /// A sender of `a`, a receiver of `b`, and its address.
    fn datagram_pair(&mut self) -> (SocketId, SocketId, Address) {
        let (near, far) = (self.datagrams(self.a, 5000), self.datagrams(self.b, 53));
        (near, far, v4(&self.world, self.b, 53))
    }

    fn next(&mut self, id: SocketId) -> Result<(Vec<u8>, Address)> {
        let mut buffer = vec![0; 1 << 16];
        let (count, from) = self.world.receive_from(id, &mut buffer, false)?;
        buffer.truncate(count);
        Ok((buffer, from))
    }
}

#[test]
fn a_datagram_comes_whole_and_with_its_sender() {
    let mut net = Net::of(slow(10));
    let (near, far, to) = net.datagram_pair();
    net.world.send_to(near, b"one", Some(&to)).unwrap();
    net.world.send_to(near, b"", Some(&to)).unwrap();
    net.world.send_to(near, b"three", Some(&to)).unwrap();
    assert_eq!(net.next(far).unwrap_err(), Fault::WouldBlock);
    assert_eq!(net.until_readable(far), at(10));
    net.settle();
    assert_eq!(net.next(far).unwrap(), (b"one".to_vec(), v4(&net.world, net.a, 5000)));
    assert_eq!(net.next(far).unwrap().0, b"");
    assert_eq!(net.world.readable_bytes(far), Ok(5));
    let mut small = [0; 2];
    assert_eq!(net.world.receive_from(far, &mut small, true).unwrap().0, 2);
    assert_eq!(net.world.receive_from(far, &mut small, false).unwrap().0, 2);
    assert_eq!(&small, b"th");
    assert_eq!(net.next(far).unwrap_err(), Fault::WouldBlock, "what has no room is lost");
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let mut net = Net::perfect();
    let (near, far, to) = net.datagram_pair();
    let other = net.datagrams(net.b, 54);
    net.world.connect(near, &to).unwrap();
    assert_eq!(net.world.peer_name(near), Ok(to));
    assert_eq!(net.write(near, b"question"), Ok(8));
    let back = v4(&net.world, net.a, 5000);
    net.world.send_to(other, b"not from me", Some(&back)).unwrap();
    net.world.send_to(far, b"answer", Some(&back)).unwrap();
    assert_eq!(net.read(near).unwrap(), b"answer");
    assert_eq!(net.read(near), Err(Fault::WouldBlock));
    assert_eq!(net.next(far).unwrap().0, b"question");
}

#[test]
fn only_a_connected_sender_hears_that_nobody_waits() {
    for (quality, later) in [(Quality::PERFECT, 0), (slow(10), 20)] {
        let mut net = Net::of(quality);
        let nobody = v4(&net.world, net.b, 53);
        let near = net.datagrams(net.a, 5000);
        net.world.send_to(near, b"x", Some(&nobody)).unwrap();
        assert_eq!(net.settle(), at(later / 2), "an answer that nobody hears of is no event");
        assert_eq!(net.next(near).unwrap_err(), Fault::WouldBlock);
        net.world.connect(near, &nobody).unwrap();
        let begun = net.world.now();
        net.write(near, b"x").unwrap();
        assert_eq!(begun.until(net.until_readable(near)), millis(later));
        assert_eq!(net.next(near).unwrap_err(), Fault::ConnectionRefused);
        assert_eq!(net.next(near).unwrap_err(), Fault::WouldBlock);
        net.write(near, b"x").unwrap();
        net.settle();
        assert_eq!(net.write(near, b"x"), Err(Fault::ConnectionRefused));
    }
}

#[test]
fn so_many_are_lost_doubled_and_overtaken() {
    let quality = Quality { loss: 0.2, duplicate: 0.1, reorder: 0.1, ..slow(10) };
    let mut net = Net::of_seed(5, quality);
    let (near, far, to) = net.datagram_pair();
    let mut counts = vec![0_u32; 2000];
    let mut overtaken = 0;
    let mut latest = 0;
    for number in 0..2000_u32 {
        net.world.send_to(near, &number.to_be_bytes(), Some(&to)).unwrap();
        net.pass(1);
        while let Ok((data, _)) = net.next(far) {
            let number = u32::from_be_bytes(data.try_into().unwrap());
            counts[number as usize] += 1;
            overtaken += u32::from(number < latest);
            latest = latest.max(number);
        }
    }
    net.settle();
    while let Ok((data, _)) = net.next(far) {
        counts[u32::from_be_bytes(data.try_into().unwrap()) as usize] += 1;
    }
    let count = |times: u32| counts.iter().filter(|count| **count == times).count();
    assert!((330..470).contains(&count(0)), "{} lost", count(0));
    assert!((110..210).contains(&count(2)), "{} doubled", count(2));
    assert_eq!(count(0) + count(1) + count(2), 2000);
    assert!((100..350).contains(&overtaken), "{overtaken} overtaken");
}

#[test]
fn a_long_datagram_is_lost_with_any_of_its_pieces() {
    let lost = |size: usize| {
        let mut net = Net::of_seed(6, Quality { loss: 0.1, ..slow(1) });
        let (near, far, to) = net.datagram_pair();
        let mut lost = 0;
        for _ in 0..500 {
            net.world.send_to(near, &vec![0; size], Some(&to)).unwrap();
            net.settle();
            lost += usize::from(net.next(far).is_err());
        }
        lost
    };
    assert!((25..80).contains(&lost(1472)), "one packet");
    assert!((290..390).contains(&lost(14_720)), "ten packets: 1 - 0.9^10 = 65 %");
}

#[test]
fn datagrams_take_their_time_on_a_narrow_link() {
    let mut net = Net::of(narrow(1000.0));
    let (near, far, to) = net.datagram_pair();
    net.world.send_to(near, &[1; 100], Some(&to)).unwrap();
    net.world.send_to(near, &[2; 300], Some(&to)).unwrap();
    assert_eq!(net.until_readable(far), at(100));
    net.next(far).unwrap();
    assert_eq!(net.until_readable(far), at(400));
}

#[test]
fn what_a_slow_reader_has_no_room_for_is_dropped() {
    let mut net = Net::perfect();
    let (near, far, to) = net.datagram_pair();
    for _ in 0..300 {
        net.world.send_to(near, &[0; 1000], Some(&to)).unwrap();
    }
    let kept = (0..1000).take_while(|_| net.next(far).is_ok()).count();
    assert_eq!(kept, 212);
    net.world.send_to(near, b"room again", Some(&to)).unwrap();
    assert_eq!(net.next(far).unwrap().0, b"room again");
}

#[test]
fn nothing_passes_a_cut() {
    for quality in [Quality::PERFECT, slow(10)] {
        let mut net = Net::of(quality);
        let (near, far, to) = net.datagram_pair();
        net.cut(true);
        net.world.send_to(near, b"lost", Some(&to)).unwrap();
        net.settle();
        net.cut(false);
        net.settle();
        assert_eq!(net.next(far).unwrap_err(), Fault::WouldBlock);
    }
    let mut net = Net::of(slow(10));
    let (near, far, to) = net.datagram_pair();
    net.world.send_to(near, b"under way", Some(&to)).unwrap();
    net.pass(5);
    net.cut(true);
    net.settle();
    assert_eq!(net.next(far).unwrap_err(), Fault::WouldBlock, "what is under way is lost as well");
}

#[test]
fn what_a_closed_socket_or_a_crashed_host_has_sent_arrives() {
    let mut net = Net::of(slow(10));
    let (near, far, to) = net.datagram_pair();
    net.world.send_to(near, b"first", Some(&to)).unwrap();
    net.world.close(near);
    net.settle();
    assert_eq!(net.next(far).unwrap().0, b"first");
    let near = net.datagrams(net.a, 5000);
    net.world.send_to(near, b"second", Some(&to)).unwrap();
    net.world.crash(net.a);
    net.settle();
    assert_eq!(net.next(far).unwrap().0, b"second");
    net.world.crash(net.b);
    net.world.restart(net.a);
    let near = net.datagrams(net.a, 5000);
    net.world.connect(near, &to).unwrap();
    net.write(near, b"x").unwrap();
    net.settle();
    assert_eq!(net.next(near).unwrap_err(), Fault::WouldBlock, "a host that is down does not answer");
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut net = Net::perfect();
    let (near, _, to) = net.datagram_pair();
    assert_eq!(net.world.send_to(near, b"x", None), Err(Fault::NoDestination));
    assert_eq!(net.world.send_to(near, &vec![0; 65_507], Some(&to)), Ok(()));
    assert_eq!(net.world.send_to(near, &vec![0; 65_508], Some(&to)), Err(Fault::MessageTooLong));
    assert_eq!(net.world.send_to(near, b"x", Some(&internet("192.0.2.1:1"))), Err(Fault::HostUnreachable));
    assert_eq!(net.world.send_to(near, b"x", Some(&internet("[::1]:1"))), Err(Fault::WrongFamily));
    assert_eq!(net.world.connect(near, &Address::Path(b"/x".to_vec())), Err(Fault::WrongFamily));
    let fresh = net.world.socket(net.a, Family::V4, Kind::Datagram);
    net.world.send_to(fresh, b"x", Some(&to)).unwrap();
    assert!(matches!(net.world.local_name(fresh), Ok(Address::Internet(name)) if name.port() >= 49_152));
}
