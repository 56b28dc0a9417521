//! How many connections one address may hold, so that none takes all places.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections by the address they come from.
pub(crate) struct Peers {
    max: usize,
    counts: Mutex<HashMap<IpAddr, usize>>,
}

/// One connection's place; given back when dropped.
pub(crate) struct PeerPlace {
    peers: Arc<Peers>,
    address: IpAddr,
}

impl Peers {
    /// At most `max` connections from one address.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, counts: Mutex::default() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a connection from `address`, while there is one.
    pub(crate) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<PeerPlace> {
        let address = whose(address);
        let mut counts = self.counts();
        let count = counts.entry(address).or_default();
        if *count >= self.max {
            return None;
        }
        *count += 1;
        Some(PeerPlace { peers: Arc::clone(self), address })
    }
}

/// An IPv6 host has a whole /64 to itself.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let network = u128::from(v6) & !u128::from(u64::MAX);
            IpAddr::V6(Ipv6Addr::from(network))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Drop for PeerPlace {
    fn drop(&mut self) {
        let mut counts = self.peers.counts();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Peers;
    use std::net::IpAddr;

    #[test]
    fn an_address_has_so_many_places_and_gives_them_back() {
        let peers = Peers::new(2);
        let enter = |text: &str| peers.enter(text.parse::<IpAddr>().unwrap());
        let held = [enter("192.0.2.1"), enter("::ffff:192.0.2.1")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter("192.0.2.1").is_none());
        assert!(enter("192.0.2.2").is_some());
        drop(held);
        assert!(enter("192.0.2.1").is_some());
        let network = [enter("2001:db8::1"), enter("2001:db8::2"), enter("2001:db8::3")];
        assert!(network[2].is_none());
        drop(network);
        assert!(peers.counts().is_empty());
    }
}
