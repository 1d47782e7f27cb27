//! The simulated world as text.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod world;

use soliloop_engine::world::sim::{Address, BindOptions, Family, Kind, Quality};
use world::{Net, slow};

/// The lines of the snapshot, without the first one, in which there is a digest.
fn lines(net: &Net) -> Vec<String> {
    net.world.snapshot().to_string().lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_snapshot_shows_hosts_sockets_and_links() {
    let mut net = Net::perfect();
    let (near, far) = net.connection();
    net.write(near, b"hello").unwrap();
    net.world.end_writing(far).unwrap();
    net.listen(net.b, 7);
    let named = net.world.socket(net.a, Family::Unix, Kind::Datagram);
    net.world.bind(named, &Address::Path(b"\0name".to_vec()), BindOptions::default()).unwrap();
    net.world.set_link(net.a, net.b, Quality { loss: 0.5, bandwidth: Some(1000.0), ..slow(10) });
    net.world.set_cut(net.b, net.a, true);
    net.write(near, b"more").unwrap();
    assert!(net.world.snapshot().to_string().starts_with("at 0.000000000 s, 1 events ahead, digest "));
    assert_eq!(
        lines(&net),
        [
            "host main: 10.0.0.1, fd00::1",
            "host a: 10.0.0.2, fd00::2",
            "  tcp4 10.0.0.2:49152 -> 10.0.0.3:80: at the peer's end, 0 B unread, 4 B under way",
            "  unix-dgram @name: 0 datagrams unread",
            "host b: 10.0.0.3, fd00::3",
            "  tcp4 10.0.0.3:80: listening, 0 of 7 waiting",
            "  tcp4 10.0.0.3:80 -> 10.0.0.2:49152: half-closed, 5 B unread, 0 B under way",
            "link a -> b: Fixed(10ms), loss 0.5, 1000 B/s",
            "link b -> a: cut, Fixed(0ns)",
        ]
        .map(str::to_owned)
        .to_vec(),
        "{}",
        net.world.snapshot()
    );
}

#[test]
fn a_snapshot_shows_who_waits_in_vain() {
    let mut net = Net::of(slow(10));
    let (near, _) = net.connection();
    net.cut(true);
    net.write(near, b"hello").unwrap();
    net.world.close(near);
    let (_, outcome) = net.knock(net.a, net.b);
    assert!(outcome.is_err());
    net.pass(1100);
    net.world.crash(net.b);
    let text = lines(&net).join("\n");
    for part in ["sent 3 times in vain, closed here", "connecting (attempt 2)", "host b (down)"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
}
