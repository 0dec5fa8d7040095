//! A net thread's seat among the others: how many connections each of them has, and sockets on their way between them.
//!
//! `SO_REUSEPORT` picks a thread by a hash of the addresses. Thousands of connections spread well, the 32 long ones of a CDN do
//! not: some cores get twice their share and some get none, for an hour. So the thread that accepted a socket gives it to the one with
//! the fewest connections, before a byte of it was read. This is once a connection, never once a request.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use tidegate_link::Bell;

use crate::limits::ARRIVALS;

#[cfg(test)]
mod tests;

/// A socket that was accepted and not read yet.
#[derive(Debug)]
pub struct Accepted {
    /// The socket; dropping it closes it.
    pub fd: OwnedFd,
    /// Who opened it.
    pub peer: SocketAddr,
}

/// What a thread knows of another, and how it reaches it.
struct Place {
    /// Open connections and sockets on their way there.
    load: AtomicUsize,
    arrivals: SyncSender<Accepted>,
    bell: Arc<Bell>,
}

/// One thread's seat. What is still on its way to a seat when it is dropped is closed.
pub struct Seat {
    index: usize,
    places: Arc<[Place]>,
    arrivals: Receiver<Accepted>,
    /// Taken off the queue by a look whether there is something.
    arrived: Option<Accepted>,
    hand_over: bool,
}

/// One seat for each bell, which wakes the thread that sits there. Without `hand_over` every socket stays where it was accepted.
pub fn seats(bells: Vec<Arc<Bell>>, hand_over: bool) -> Vec<Seat> {
    let (places, arrivals): (Vec<_>, Vec<_>) = bells
        .into_iter()
        .map(|bell| {
            let (sender, receiver) = sync_channel(ARRIVALS);
            let place = Place {
                load: AtomicUsize::new(0),
                arrivals: sender,
                bell,
            };
            (place, receiver)
        })
        .unzip();
    let places: Arc<[Place]> = places.into();
    let seat = |(index, arrivals)| Seat {
        index,
        places: Arc::clone(&places),
        arrivals,
        arrived: None,
        hand_over,
    };
    arrivals.into_iter().enumerate().map(seat).collect()
}

impl Seat {
    /// Gives the socket to a thread with clearly fewer connections and wakes it.
    ///
    /// # Errors
    /// The socket, when nobody has clearly fewer, or has as many on their way already as may be: it stays here.
    pub fn give(&self, socket: Accepted) -> Result<(), Accepted> {
        let Some(other) = self.emptier() else {
            return Err(socket);
        };
        // Counted before it is shown, so that a thread that takes it at once does not count below zero.
        other.load.fetch_add(1, Ordering::Relaxed);
        match other.arrivals.try_send(socket) {
            Ok(()) => {
                other.bell.ring();
                Ok(())
            }
            Err(TrySendError::Full(socket) | TrySendError::Disconnected(socket)) => {
                other.load.fetch_sub(1, Ordering::Relaxed);
                Err(socket)
            }
        }
    }

    /// The thread with the fewest connections, if that is clearly fewer than here.
    fn emptier(&self) -> Option<&Place> {
        if !self.hand_over {
            return None;
        }
        let count = self.places.len();
        // From the next seat on, so that several threads with a socket each do not all find the same one.
        let others = (1..count).map(|step| &self.places[(self.index + step) % count]);
        let (least, place) = others
            .map(|place| (place.load.load(Ordering::Relaxed), place))
            .min_by_key(|(load, _)| *load)?;
        let own = self.places[self.index].load.load(Ordering::Relaxed);
        (own > least + margin(least)).then_some(place)
    }

    /// The next socket that another thread gave to this one.
    pub fn next_arrival(&mut self) -> Option<Accepted> {
        let socket = self.arrived.take().or_else(|| self.arrivals.try_recv().ok())?;
        self.closed();
        Some(socket)
    }

    /// Whether a socket has arrived. Before sleeping, look after the bell's flag is up: who gives one after that rings.
    pub fn has_arrivals(&mut self) -> bool {
        if self.arrived.is_none() {
            self.arrived = self.arrivals.try_recv().ok();
        }
        self.arrived.is_some()
    }

    /// This thread has one connection more.
    pub fn opened(&self) {
        self.places[self.index].load.fetch_add(1, Ordering::Relaxed);
    }

    /// This thread has one connection less.
    pub fn closed(&self) {
        self.places[self.index].load.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How many connections more than another a thread may have before it gives the next one away. One of a few is worth the wake-up;
/// of thousands, which come and go, a sixteenth is noise, and moving them about would only cost.
fn margin(least: usize) -> usize {
    1 + least / 16
}
