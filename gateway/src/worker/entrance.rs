//! How a connection comes in: room, the limit of handshakes, the thread with the fewest connections, the PROXY header.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::atomic::Ordering;

use tidegate_conn::{Conn, Nanos, ProxyReader};

use super::seat::Accepted;
use super::{Slot, Worker};

impl Worker {
    /// A socket was accepted: given back if it is to be [opened](Self::open) here. Otherwise it was refused, or another thread
    /// with fewer connections has it.
    pub fn accept(&mut self, socket: Accepted, now_ns: u64) -> Option<Accepted> {
        if !self.has_room() || !self.may_shake_hands(socket.peer.ip(), now_ns) {
            self.edge.stats.accept_refused.add(1);
            return None;
        }
        // While a drain begins, the others may have ended already.
        if self.shared.drain.load(Ordering::Relaxed) {
            return Some(socket);
        }
        let kept = self.seat.give(socket).err();
        if kept.is_none() {
            self.edge.stats.handed_over.add(1);
        }
        kept
    }

    /// The next socket that another thread accepted for this one, to be [opened](Self::open).
    pub fn next_arrival(&mut self) -> Option<Accepted> {
        self.seat.next_arrival()
    }

    fn has_room(&self) -> bool {
        let open = self.shared.connections.load(Ordering::Relaxed);
        open < self.connections_max && !self.is_draining()
    }

    /// A connection begins in the slot that is returned; `None`: there is no room for it, close it.
    pub fn open(&mut self, peer: SocketAddr, now_ns: u64) -> Option<u32> {
        let peer = peer.ip();
        if !self.has_room() {
            self.edge.stats.accept_refused.add(1);
            return None;
        }
        self.shared.connections.fetch_add(1, Ordering::Relaxed);
        self.open += 1;
        self.seat.opened();
        self.edge.stats.accepted.add(1);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.generations.push(0);
            (self.slots.len() - 1) as u32
        });
        let mut conn = Conn::new(Rc::clone(&self.config), Nanos(now_ns));
        conn.set_id(self.edge.ids.connection());
        self.slots[slot as usize] = Some(Slot {
            conn,
            peer,
            // Only who is believed is read: anybody else's header is not TLS, and ends as that.
            header: (self.proxy_protocol && self.edge.proxies.trusts(peer)).then(ProxyReader::default),
            dirty: false,
            answered: false,
            slow: Vec::new(),
            postponed: false,
            lost: false,
        });
        Some(slot)
    }

    /// Trusted proxies open connections for everybody and are not counted.
    fn may_shake_hands(&self, peer: IpAddr, now_ns: u64) -> bool {
        let table = &self.handshake_limit;
        table.is_off()
            || self.edge.proxies.trusts(peer)
            || table.take(table.address_key(peer), now_ns).allowed
    }

    /// `accept` failed with this errno (the listener stays).
    pub fn accept_failed(&mut self, _errno: i32) {
        self.edge.stats.accept_refused.add(1);
    }

    /// What is the connection's own of these bytes: what follows the PROXY header, where one is due. `None`: nothing yet.
    #[inline]
    pub(super) fn after_header<'a>(&mut self, slot: u32, bytes: &'a [u8], now_ns: u64) -> Option<&'a [u8]> {
        match self.slots[slot as usize].as_ref()?.header {
            None => Some(bytes),
            Some(_) => self.read_header(slot, bytes, now_ns),
        }
    }

    #[cold]
    fn read_header<'a>(&mut self, slot: u32, bytes: &'a [u8], now_ns: u64) -> Option<&'a [u8]> {
        let entry = self.slots[slot as usize].as_mut().filter(|entry| !entry.lost)?;
        let read = entry.header.as_mut()?.receive(bytes);
        let client = match &read {
            Ok(Some((header, _))) => header.client.unwrap_or(entry.peer),
            _ => entry.peer,
        };
        match read {
            Ok(None) => None,
            // The proxy was let in without being counted: who is behind it is.
            Ok(Some((_, rest))) if self.may_shake_hands(client, now_ns) => {
                let entry = self.slots[slot as usize].as_mut()?;
                (entry.header, entry.peer) = (None, client);
                Some(rest)
            }
            Ok(Some(_)) => {
                self.edge.stats.accept_refused.add(1);
                self.lost(slot);
                None
            }
            Err(_) => {
                self.edge.stats.bad_proxy_headers.add(1);
                self.lost(slot);
                None
            }
        }
    }
}
