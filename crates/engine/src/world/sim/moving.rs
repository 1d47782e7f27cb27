//! Sockets that go to another world: what was set up before the world was there that it is for.
//!
//! Only what is at rest can go: a stream socket that nothing was done with, or both ends of a connection of which nothing is under way and
//! that nobody waits for. Datagrams, listening sockets and names stay.

use super::Simulated;
use super::address::Address;
use super::fault::{Fault, Result};
use super::hosts::HostId;
use super::socket::{Role, Socket, SocketId};

impl Simulated {
    /// Moves a socket to a host of another world, with the one that it is connected to; gives what their new numbers are.
    ///
    /// # Errors
    /// [`Fault::BadSocket`]; [`Fault::Invalid`] if it, or what it is connected to, is not at rest.
    pub fn move_to(&mut self, id: SocketId, world: &mut Self, host: HostId) -> Result<Vec<(SocketId, SocketId)>> {
        self.sockets.look(id)?;
        let peer = self.sockets.stream(id).and_then(|stream| stream.peer);
        let peer = peer.filter(|peer| self.sockets.get(*peer).is_some());
        let group: Vec<SocketId> = [id].into_iter().chain(peer).collect();
        if !group.iter().all(|id| self.sockets.get(*id).is_some_and(Socket::is_at_rest)) {
            return Err(Fault::Invalid);
        }
        let mut moved = Vec::new();
        for id in group {
            let Some(mut socket) = self.sockets.remove(id) else { continue };
            socket.host = host;
            if let Role::Stream(stream) = &mut socket.role {
                stream.peer = None;
                stream.peer_host = host;
                stream.last_arrival = world.now;
            }
            moved.push((id, world.sockets.insert(socket)));
        }
        if let [(_, one), (_, other)] = moved[..] {
            for (id, peer) in [(one, other), (other, one)] {
                if let Some(stream) = world.sockets.stream(id) {
                    stream.peer = Some(peer);
                }
            }
        }
        Ok(moved)
    }
}

impl Socket {
    /// Whether nobody waits for it, nothing of it is under way, and no name stands for it.
    fn is_at_rest(&self) -> bool {
        let is_quiet = match &self.role {
            Role::Fresh => true,
            Role::Stream(stream) => stream.is_quiet(),
            Role::Listener(_) | Role::Datagram(_) => false,
        };
        is_quiet && self.is_unwatched() && matches!(self.local, None | Some(Address::Nameless))
    }
}
