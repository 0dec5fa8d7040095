//! The flight recorder: what became of each of the last requests, and which SKUs are in demand. Always on.
//!
//! Each net thread has a [`Recorder`] of its own and writes it without a lock, an allocation or a system call; the admin thread reads
//! the [`Ring`] and the [`Board`] behind it while that goes on. Requests that a connection refuses by itself (malformed, too large,
//! too slow) never become requests of the edge: they are counted, not recorded.

mod demand;
mod filter;
mod record;
mod ring;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use demand::{Board, Row, Sketch};
pub use filter::Filter;
pub use record::{Entry, Known, Method, Record, Stages};
pub use ring::{Ring, Writer};

use crate::worker::stock_view::StockView;

/// What the admin thread reads of one net thread.
#[derive(Clone)]
pub struct Tape {
    /// Its last requests.
    pub ring: Arc<Ring>,
    /// SKUs in demand there.
    pub board: Arc<Board>,
}

impl Tape {
    /// One for the last `requests` requests; 0: demand alone.
    pub fn new(requests: usize) -> Tape {
        Tape {
            ring: Arc::new(Ring::new(requests)),
            board: Arc::default(),
        }
    }
}

/// What one net thread writes.
pub struct Recorder {
    requests: Writer,
    /// Demand, counted where a shard's answer to an order comes in.
    pub demand: Sketch,
    board: Arc<Board>,
}

impl Recorder {
    /// The writing end of a tape. There must be one only.
    pub fn new(tape: &Tape, now_ns: u64) -> Recorder {
        Recorder {
            requests: Writer::new(Arc::clone(&tape.ring)),
            demand: Sketch::new(now_ns),
            board: Arc::clone(&tape.board),
        }
    }

    /// Records a request that was answered.
    #[inline]
    pub fn record(&mut self, entry: &Entry<'_>) {
        if self.requests.is_on() {
            self.requests.write(&record::encode(entry));
        }
    }

    /// Ten times a second: shows demand to the admin thread.
    pub fn publish(&mut self, stock: &StockView, now_ns: u64) {
        self.demand.roll(now_ns);
        self.board.show(&mut self.demand, stock, now_ns);
    }
}
