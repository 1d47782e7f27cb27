//! Hosts: their names and addresses, and the links between them. This is the world's name service and its routing table.
//!
//! There is always one host, [`HostId::MAIN`], for code that runs on no host in particular. As long as it is the only one the world is *open*:
//! any name and any address stands for it, so that a program needs no set-up. With the first host that is added the world is closed:
//! only what was added is known. Loopback addresses belong to every host, each to itself.

use super::link::{Direction, Quality};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The number of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostId(u32);

/// Why a host can't be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Another host has the name.
    NameTaken,
    /// Another host has the address, or it is none that a host can have.
    AddressTaken(IpAddr),
}

#[derive(Debug)]
pub(super) struct Hosts {
    list: Vec<Host>,
    /// By name, in lower case.
    ids: BTreeMap<String, HostId>,
    /// What other names an open world was asked for: they stand for the main host.
    aliases: BTreeMap<String, Vec<IpAddr>>,
    owners: BTreeMap<IpAddr, HostId>,
    names: BTreeMap<IpAddr, String>,
    directions: BTreeMap<(HostId, HostId), Direction>,
    default: Quality,
    /// How many addresses were given out.
    given: u32,
    is_open: bool,
}

#[derive(Debug)]
pub(super) struct Host {
    pub(super) name: String,
    /// Loopback apart.
    addresses: Vec<IpAddr>,
    pub(super) is_up: bool,
    /// What its clocks show beyond the world's, in nanoseconds.
    pub(super) clock_offset: i64,
    /// The next port that is tried for a socket without one.
    pub(super) next_port: u16,
}

impl HostId {
    /// The host of code that runs on no other one.
    pub const MAIN: Self = Self(0);

    /// Its number, in the order of creation.
    pub const fn number(self) -> u32 {
        self.0
    }
}

impl Hosts {
    pub(super) fn new() -> Self {
        let mut hosts = Self {
            list: Vec::new(),
            ids: BTreeMap::new(),
            aliases: BTreeMap::new(),
            owners: BTreeMap::new(),
            names: BTreeMap::new(),
            directions: BTreeMap::new(),
            default: Quality::PERFECT,
            given: 0,
            is_open: true,
        };
        let addresses = hosts.next_addresses().to_vec();
        hosts.insert(MAIN_NAME, addresses);
        hosts
    }

    /// Adds a host; without addresses it gets one of each family.
    pub(super) fn add(&mut self, name: &str, given: &[IpAddr]) -> Result<HostId, HostError> {
        let key = key(name);
        if self.ids.contains_key(&key) || LOOPBACK_NAMES.contains(&key.as_str()) {
            return Err(HostError::NameTaken);
        }
        for address in given {
            let is_alias =
                self.owner(*address) == Some(HostId::MAIN) && !self.addresses_of(HostId::MAIN).contains(address);
            if !is_for_a_host(*address) || (self.owners.contains_key(address) && !is_alias) {
                return Err(HostError::AddressTaken(*address));
            }
        }
        // A name that stood for the main host so far is this one's from now on.
        for address in self.aliases.remove(&key).unwrap_or_default() {
            self.owners.remove(&address);
            self.names.remove(&address);
        }
        let addresses = if given.is_empty() { self.next_addresses().to_vec() } else { given.to_vec() };
        self.is_open = false;
        Ok(self.insert(name, addresses))
    }

    /// The main host takes other addresses in the place of these: nobody has chosen its own.
    pub(super) fn give_way(&mut self, wanted: &[IpAddr]) {
        if !self.addresses_of(HostId::MAIN).iter().any(|address| wanted.contains(address)) {
            return;
        }
        for address in std::mem::take(&mut self.get_mut(HostId::MAIN).addresses) {
            self.owners.remove(&address);
            self.names.remove(&address);
        }
        let addresses = loop {
            let next = self.next_addresses();
            if !next.iter().any(|address| wanted.contains(address)) {
                break next;
            }
        };
        self.own(HostId::MAIN, MAIN_NAME, &addresses);
        self.get_mut(HostId::MAIN).addresses = addresses.to_vec();
    }

    /// The addresses of a name; one that is written as an address stands for itself. In an open world every name has one.
    pub(super) fn resolve(&mut self, name: &str) -> Vec<IpAddr> {
        if let Some(addresses) = self.given_to(name) {
            return addresses;
        }
        match self.aliases.get(&key(name)) {
            Some(addresses) => addresses.clone(),
            None => self.alias(name, true).into_iter().collect(),
        }
    }

    /// The address of a name that is of one IP version. In an open world every name has one.
    pub(super) fn resolve_in(&mut self, name: &str, is_v4: bool) -> Option<IpAddr> {
        let fits = |address: &IpAddr| address.is_ipv4() == is_v4;
        if let Some(addresses) = self.given_to(name) {
            return addresses.into_iter().find(fits);
        }
        let known = self.aliases.get(&key(name)).and_then(|addresses| addresses.iter().copied().find(fits));
        known.or_else(|| self.alias(name, is_v4))
    }

    /// The addresses of a name that stands for them whatever it is asked for.
    fn given_to(&self, name: &str) -> Option<Vec<IpAddr>> {
        if let Ok(address) = name.parse() {
            return Some(vec![address]);
        }
        let key = key(name);
        if LOOPBACK_NAMES.contains(&key.as_str()) {
            return Some(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
        }
        self.ids.get(&key).map(|host| self.addresses_of(*host).to_vec())
    }

    /// Has a name stand for the main host.
    fn alias(&mut self, name: &str, is_v4: bool) -> Option<IpAddr> {
        if !self.is_open {
            return None;
        }
        let [v4, v6] = self.next_addresses();
        let (key, address) = (key(name), if is_v4 { v4 } else { v6 });
        self.own(HostId::MAIN, &key, &[address]);
        self.aliases.entry(key).or_default().push(address);
        Some(address)
    }

    pub(super) fn knows(&self, name: &str) -> bool {
        let key = key(name);
        LOOPBACK_NAMES.contains(&key.as_str()) || self.ids.contains_key(&key) || self.aliases.contains_key(&key)
    }

    /// Whether an address is one of a host other than the main one.
    pub(super) fn is_added(&self, address: IpAddr) -> bool {
        self.owner(address).is_some_and(|host| host != HostId::MAIN)
    }

    /// The name that an address was given.
    pub(super) fn name_of(&self, address: IpAddr) -> Option<&str> {
        if address.is_loopback() {
            return Some(LOOPBACK_NAMES[0]);
        }
        self.names.get(&address).map(String::as_str)
    }

    /// The host that a packet from `from` to an address reaches.
    pub(super) fn route(&self, from: HostId, to: IpAddr) -> Option<HostId> {
        if to.is_loopback() || to.is_unspecified() {
            return Some(from);
        }
        self.owner(to).or(self.is_open.then_some(HostId::MAIN))
    }

    /// Whether a socket of the host can have the address; in an open world the main host takes any.
    pub(super) fn can_bind(&mut self, host: HostId, address: IpAddr) -> bool {
        if address.is_loopback() || address.is_unspecified() || self.owner(address) == Some(host) {
            return true;
        }
        let is_free = self.is_open && host == HostId::MAIN && is_for_a_host(address);
        if is_free {
            self.owners.insert(address, host);
        }
        is_free
    }

    /// The address that a socket of `from` has on the way to `to`.
    pub(super) fn source(&self, from: HostId, to: IpAddr) -> IpAddr {
        if to.is_loopback() || to.is_unspecified() || self.owner(to) == Some(from) {
            return to;
        }
        let of_family = |address: &&IpAddr| address.is_ipv4() == to.is_ipv4();
        let loopback: IpAddr = if to.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() };
        self.addresses_of(from).iter().find(of_family).copied().unwrap_or(loopback)
    }

    pub(super) fn addresses_of(&self, host: HostId) -> &[IpAddr] {
        &self.get(host).addresses
    }

    pub(super) fn get(&self, host: HostId) -> &Host {
        &self.list[host.0 as usize]
    }

    pub(super) fn get_mut(&mut self, host: HostId) -> &mut Host {
        &mut self.list[host.0 as usize]
    }

    pub(super) fn named(&self, name: &str) -> Option<HostId> {
        self.ids.get(&key(name)).copied()
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = HostId> + use<> {
        (0..u32::try_from(self.list.len()).unwrap_or(u32::MAX)).map(HostId)
    }

    /// Whether only the hosts that were added are known.
    pub(super) const fn is_open(&self) -> bool {
        self.is_open
    }

    // ------------------------------------------------------------------ links

    /// The direction from one host to another one. As long as nothing was said of it, it is as the default is now.
    pub(super) fn direction(&mut self, from: HostId, to: HostId) -> &mut Direction {
        let quality = *self.quality(from, to);
        let direction = self.directions.entry((from, to)).or_insert_with(|| Direction::new(quality));
        direction.quality = quality;
        direction
    }

    /// What one direction is like.
    pub(super) fn quality(&self, from: HostId, to: HostId) -> &Quality {
        match self.directions.get(&(from, to)) {
            Some(direction) if direction.is_set => &direction.quality,
            _ if from == to => &Quality::PERFECT,
            _ => &self.default,
        }
    }

    /// Says what one direction is like.
    pub(super) fn set_quality(&mut self, from: HostId, to: HostId, quality: Quality) {
        let direction = self.direction(from, to);
        direction.is_set = true;
        direction.quality = quality.within_bounds();
    }

    /// Sets what the links are like that nothing else was said of; what was set before stays.
    pub(super) fn set_default(&mut self, quality: Quality) {
        self.default = quality.within_bounds();
    }

    /// Whether what is sent arrives at once. Asked for each message: without a search where nothing was set up.
    #[inline]
    pub(super) fn is_perfect(&self, from: HostId, to: HostId) -> bool {
        if from == to {
            return true;
        }
        let is_perfect = match self.directions.get(&(from, to)) {
            Some(direction) if direction.is_set => !direction.is_cut && direction.quality.is_perfect(),
            Some(direction) => !direction.is_cut && self.default.is_perfect(),
            None => self.default.is_perfect(),
        };
        is_perfect && self.get(from).is_up && self.get(to).is_up
    }

    /// Whether datagrams may be lost, doubled or held back on the way.
    pub(super) fn is_lossy(&self, from: HostId, to: HostId) -> bool {
        let quality = self.quality(from, to);
        from != to && (quality.loss > 0.0 || quality.duplicate > 0.0 || quality.reorder > 0.0)
    }

    /// Whether nothing passes: the link is cut or loses everything, or one of the two hosts is down. A host always reaches itself.
    pub(super) fn is_blocked(&self, from: HostId, to: HostId) -> bool {
        let is_cut = || self.directions.get(&(from, to)).is_some_and(|direction| direction.is_cut);
        let is_up = |host| self.get(host).is_up;
        from != to && (!is_up(from) || !is_up(to) || is_cut() || self.quality(from, to).loss >= 1.0)
    }

    /// Every direction that was used or spoken of: its ends, what it is like, and whether it is cut.
    pub(super) fn links(&self) -> impl Iterator<Item = (HostId, HostId, &Quality, bool)> {
        let others = self.directions.iter().filter(|((from, to), _)| from != to);
        others.map(|((from, to), direction)| (*from, *to, self.quality(*from, *to), direction.is_cut))
    }

    // ------------------------------------------------------------------ addresses

    fn owner(&self, address: IpAddr) -> Option<HostId> {
        self.owners.get(&address).copied()
    }

    fn insert(&mut self, name: &str, addresses: Vec<IpAddr>) -> HostId {
        let id = HostId(u32::try_from(self.list.len()).unwrap_or(u32::MAX));
        let key = key(name);
        self.own(id, &key, &addresses);
        self.ids.insert(key, id);
        let name = name.to_owned();
        self.list.push(Host { name, addresses, is_up: true, clock_offset: 0, next_port: FIRST_EPHEMERAL });
        id
    }

    fn own(&mut self, host: HostId, name: &str, addresses: &[IpAddr]) {
        for address in addresses {
            self.owners.insert(*address, host);
            self.names.insert(*address, name.to_owned());
        }
    }

    /// The next pair of addresses that nobody has.
    fn next_addresses(&mut self) -> [IpAddr; 2] {
        loop {
            self.given += 1;
            // 10.0.0.1 and up, without the numbers that look like a network's own or its broadcast.
            let number = (self.given / 254) << 8 | (self.given % 254 + u32::from(self.given >= 254));
            let number = if self.given < 254 { self.given } else { number };
            let v4: IpAddr = Ipv4Addr::from(0x0A00_0000 + number).into();
            let v6: IpAddr = Ipv6Addr::from((0xFD00_u128 << 112) + u128::from(number)).into();
            if !self.owners.contains_key(&v4) && !self.owners.contains_key(&v6) {
                return [v4, v6];
            }
        }
    }
}

/// A name as it is looked for: case and a final dot make no difference.
fn key(name: &str) -> String {
    name.trim_end_matches('.').to_lowercase()
}

/// Whether a host can have the address for itself.
fn is_for_a_host(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(address) if address.is_broadcast());
    let is_mapped = address != address.to_canonical();
    !(address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_broadcast || is_mapped)
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NameTaken => f.write_str("another host has the name (\"main\" is that of code that runs on none)"),
            Self::AddressTaken(address) => write!(f, "another host has the address {address}, or no host can have it"),
        }
    }
}

impl std::error::Error for HostError {}

/// What the host is called that code runs on without further notice.
const MAIN_NAME: &str = "main";
/// Names of every host for itself.
const LOOPBACK_NAMES: [&str; 3] = ["localhost", "localhost.localdomain", "ip6-localhost"];
/// The first of the ports that sockets without one get, as on Linux.
pub(super) const FIRST_EPHEMERAL: u16 = 32_768;
