//! A net thread's end of the slow lane.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::BytesMut;
use tidegate_link::Consumer;
use tokio::sync::mpsc;

use crate::body::Part;
use crate::exchange::{Opening, OpeningBody};
use crate::limits::{GRANTS, PARTS, WINDOW_BYTES};
use crate::{Event, Head, Key, Place, RequestBody};

/// The way of one net thread to the backoffice. Belongs to that thread; nothing of it waits.
pub struct LanePort {
    net: usize,
    opens: mpsc::Sender<Opening>,
    events: Consumer<Event>,
    under_way: Arc<AtomicUsize>,
    exchanges_max: usize,
    exchanges: Vec<Slot>,
    free: Vec<u32>,
}

struct Slot {
    generation: u32,
    exchange: Option<Exchange>,
}

/// This side's part of an exchange.
struct Exchange {
    /// `None`: the body was given whole, or its end was sent.
    parts: Option<mpsc::Sender<Part>>,
    /// What found no room among the parts on their way; with them at most [`WINDOW_BYTES`].
    waiting: BytesMut,
    /// Nothing comes after what waits.
    ended: bool,
    /// Dropped to cancel.
    grants: mpsc::Sender<usize>,
    /// Bytes that the client took and the service was not told of.
    ungranted: usize,
    _place: Arc<Place>,
}

/// The backoffice does not run: nothing was handed to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gone;

impl fmt::Display for Gone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the backoffice does not run")
    }
}

impl std::error::Error for Gone {}

impl LanePort {
    pub(crate) fn new(
        net: usize,
        opens: mpsc::Sender<Opening>,
        events: Consumer<Event>,
        under_way: Arc<AtomicUsize>,
        exchanges_max: usize,
    ) -> LanePort {
        LanePort {
            net,
            opens,
            events,
            under_way,
            exchanges_max,
            exchanges: Vec::new(),
            free: Vec::new(),
        }
    }

    /// A place for one more exchange; `None` when as many as may be are under way over all net threads.
    pub fn reserve(&self) -> Option<Place> {
        Place::take(&self.under_way, self.exchanges_max)
    }

    /// Whether there is a place at this moment; another net thread may take it first.
    pub fn has_room(&self) -> bool {
        Place::is_free(&self.under_way, self.exchanges_max)
    }

    /// Hands a request over. Events with the key it returns follow, an [`Event::Answer`] or an [`Event::Broke`] among
    /// them, until [`close`](Self::close).
    ///
    /// # Errors
    /// The backoffice does not run.
    pub fn open(&mut self, place: Place, head: Head, body: RequestBody) -> Result<Key, Gone> {
        let place = Arc::new(place);
        let (body, parts) = match body {
            RequestBody::Whole(data) => (OpeningBody::Whole(data), None),
            RequestBody::Parts(length) => {
                let (sender, parts) = mpsc::channel(PARTS);
                (OpeningBody::Parts { length, parts }, Some(sender))
            }
        };
        let (granting, grants) = mpsc::channel(GRANTS);
        let key = self.insert(Exchange {
            parts,
            waiting: BytesMut::new(),
            ended: false,
            grants: granting,
            ungranted: 0,
            _place: Arc::clone(&place),
        });
        let opening = Opening {
            net: self.net,
            key,
            head,
            body,
            grants,
            place,
        };
        // The queue is as long as there are places, so it is never full.
        if self.opens.try_send(opening).is_err() {
            self.close(key);
            return Err(Gone);
        }
        Ok(key)
    }

    /// More of a request's body; `ends` says that it is all. The caller keeps within [`WINDOW_BYTES`] and what
    /// [`Event::Taken`] has added to them.
    pub fn send(&mut self, key: Key, data: &[u8], ends: bool) {
        if let Some(exchange) = self.get_mut(key) {
            exchange.waiting.extend_from_slice(data);
            exchange.ended |= ends;
            exchange.flush();
        }
    }

    /// The client took so many bytes of the answer: the service may send as many more.
    pub fn took(&mut self, key: Key, bytes: usize) {
        if let Some(exchange) = self.get_mut(key) {
            exchange.ungranted += bytes;
            if exchange.ungranted >= WINDOW_BYTES / 2 {
                // A task that is over needs no grant; and there is always room for one (see `GRANTS`).
                let _ = exchange.grants.try_send(std::mem::take(&mut exchange.ungranted));
            }
        }
    }

    /// Nothing more is wanted of an exchange: it was answered, or is cancelled. No more events come of it.
    pub fn close(&mut self, key: Key) {
        let Some(slot) = self.exchanges.get_mut(key.index()) else {
            return;
        };
        if slot.generation == key.generation && slot.exchange.take().is_some() {
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(key.index);
        }
    }

    /// The next event. Costs one load when there is none.
    #[inline]
    pub fn try_recv(&mut self) -> Option<Event> {
        loop {
            let event = self.events.pop()?;
            // What was closed here goes on there for a moment.
            let Some(exchange) = self.get_mut(event.key()) else {
                continue;
            };
            if matches!(event, Event::Taken { .. }) {
                exchange.flush();
            }
            return Some(event);
        }
    }

    /// Whether events wait: the last look before a sleep.
    pub fn has_events(&mut self) -> bool {
        !self.events.is_empty()
    }

    /// Whether the other half has ended: what is under way will have no answer.
    pub fn is_gone(&self) -> bool {
        self.opens.is_closed()
    }

    /// Exchanges of this net thread under way.
    pub fn len(&self) -> usize {
        self.exchanges.len() - self.free.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn insert(&mut self, exchange: Exchange) -> Key {
        let index = self.free.pop().unwrap_or_else(|| {
            self.exchanges.push(Slot {
                generation: 0,
                exchange: None,
            });
            u32::try_from(self.exchanges.len() - 1).expect("far fewer than 2^32 exchanges are under way")
        });
        let slot = &mut self.exchanges[index as usize];
        slot.exchange = Some(exchange);
        Key {
            index,
            generation: slot.generation,
        }
    }

    fn get_mut(&mut self, key: Key) -> Option<&mut Exchange> {
        let slot = self.exchanges.get_mut(key.index())?;
        slot.exchange
            .as_mut()
            .filter(|_| slot.generation == key.generation)
    }
}

impl Exchange {
    /// Sends what waits, as far as there is room.
    fn flush(&mut self) {
        let Some(parts) = &self.parts else { return };
        if parts.is_closed() {
            // The service has read what it wanted, and answers without the rest.
            self.waiting.clear();
            return;
        }
        if !self.waiting.is_empty()
            && let Ok(room) = parts.try_reserve()
        {
            room.send(Part::Data(std::mem::take(&mut self.waiting).freeze()));
        }
        if self.ended && self.waiting.is_empty() && parts.try_send(Part::End).is_ok() {
            self.parts = None;
        }
    }
}
