//! The world as text: hosts, links, sockets. For the message of a test that has failed.

use super::Simulated;
use super::address::{Address, Family};
use super::link::Quality;
use super::socket::{Kind, Role, Socket};
use std::fmt::{self, Display, Write};

/// What [`Simulated::snapshot`] shows.
#[derive(Debug)]
pub struct Snapshot<'a>(pub(super) &'a Simulated);

impl Display for Snapshot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let world = self.0;
        writeln!(
            f,
            "at {:.9} s, {} events ahead, digest {:016x}",
            world.now.as_secs_f64(),
            world.agenda.len(),
            world.digest()
        )?;
        for id in world.hosts.ids() {
            let host = world.hosts.get(id);
            let state = if host.is_up { "" } else { " (down)" };
            let addresses: Vec<String> = world.hosts.addresses_of(id).iter().map(ToString::to_string).collect();
            writeln!(f, "host {}{state}: {}", host.name, addresses.join(", "))?;
            for (_, socket) in world.sockets.iter().filter(|(_, socket)| socket.host == id) {
                writeln!(f, "  {}", line(socket))?;
            }
        }
        for (from, to, qualities, is_cut) in world.hosts.links() {
            let cut = if is_cut { "cut, " } else { "" };
            let (from, to) = (&world.hosts.get(from).name, &world.hosts.get(to).name);
            writeln!(f, "link {from} -> {to}: {cut}{}", quality(qualities))?;
        }
        Ok(())
    }
}

fn line(socket: &Socket) -> String {
    let kind = match (socket.family, socket.kind) {
        (Family::V4, Kind::Stream) => "tcp4",
        (Family::V6, Kind::Stream) => "tcp6",
        (Family::V4, Kind::Datagram) => "udp4",
        (Family::V6, Kind::Datagram) => "udp6",
        (Family::Unix, Kind::Stream) => "unix",
        (Family::Unix, Kind::Datagram) => "unix-dgram",
    };
    let mut text = format!("{kind} {}", name(&socket.name()));
    let (peer, state) = match &socket.role {
        Role::Fresh => (None, "unconnected".to_owned()),
        Role::Listener(listener) => (None, listener.describe()),
        Role::Stream(stream) => (stream.peer_name().or_else(|| stream.target().cloned()), stream.describe()),
        Role::Datagram(datagram) => (datagram.peer_name(), datagram.describe()),
    };
    if let Some(peer) = peer {
        let _ = write!(text, " -> {}", name(&peer));
    }
    let closed = if socket.is_closed { ", closed here" } else { "" };
    format!("{text}: {state}{closed}")
}

/// An address as people write it.
fn name(address: &Address) -> String {
    match address {
        Address::Internet(address) => address.to_string(),
        Address::Path(path) => String::from_utf8_lossy(path).replace('\0', "@"),
        Address::Nameless => "nameless".to_owned(),
    }
}

fn quality(quality: &Quality) -> String {
    let mut text = format!("{:?}", quality.latency);
    for (what, probability) in [("loss", quality.loss), ("duplicate", quality.duplicate), ("reorder", quality.reorder)]
    {
        if probability > 0.0 {
            let _ = write!(text, ", {what} {probability}");
        }
    }
    if !quality.jitter.is_zero() {
        let _ = write!(text, ", jitter {:?}", quality.jitter);
    }
    if let Some(bandwidth) = quality.bandwidth {
        let _ = write!(text, ", {bandwidth} B/s");
    }
    text
}
