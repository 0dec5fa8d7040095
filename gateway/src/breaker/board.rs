//! The breakers of the shard threads, as operators see them and set them by hand.
//!
//! Each net thread has its own view of each shard thread. The board sums the views up, and hands an operator's
//! decision to all of them: one byte a shard thread, which net threads load at the start of a turn.

use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use tidegate_link::stats::Counter;

use super::{Force, Progress, State};

/// Shared by the net threads and the admin thread.
#[derive(Debug)]
pub struct Board {
    /// By shard thread: an index into [`Force::ALL`].
    forces: Box<[AtomicU8]>,
    /// By net thread, then by shard thread.
    views: Box<[Box<[View]>]>,
}

/// What one net thread says of one breaker; it alone writes it.
#[derive(Debug, Default)]
struct View {
    is_open: Counter,
    transitions: Counter,
    refused: Counter,
}

/// A breaker, over all net threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `shard-0`: the first shard thread's.
    pub name: String,
    /// `open` when any net thread sends nothing.
    pub state: &'static str,
    /// `open` or `closed` while an operator holds it, else `auto`.
    pub forced: &'static str,
    /// Changes of state, of the net thread that saw most of them.
    pub transitions: u64,
    /// Requests that were refused.
    pub refused: u64,
}

impl Row {
    /// Whether nothing is sent.
    pub fn is_open(&self) -> bool {
        self.state == "open"
    }
}

impl Board {
    /// Closed breakers of `shards` shard threads, as `nets` net threads see them.
    pub fn new(nets: usize, shards: usize) -> Board {
        let views = || (0..shards).map(|_| View::default()).collect();
        Board {
            forces: (0..shards).map(|_| AtomicU8::new(0)).collect(),
            views: (0..nets).map(|_| views()).collect(),
        }
    }

    /// Holds a breaker, or lets it go. It stands until the next decision or the next start.
    ///
    /// # Errors
    /// No breaker has that name; the text names those there are.
    pub fn force(&self, name: &str, force: Force) -> Result<Row, String> {
        let found = (0..self.forces.len()).find(|shard| name_of(*shard) == name);
        let Some(shard) = found else {
            let names: Vec<String> = (0..self.forces.len()).map(name_of).collect();
            return Err(format!(
                "no breaker is called `{name}`; there are {}",
                names.join(", ")
            ));
        };
        // The byte stands for itself: nothing else is published through it.
        self.forces[shard].store(force as u8, Ordering::Relaxed);
        Ok(self.row(shard))
    }

    /// What an operator decided about the breaker of a shard thread.
    pub fn forced(&self, shard: usize) -> Force {
        let index = self.forces[shard].load(Ordering::Relaxed);
        Force::ALL[usize::from(index)]
    }

    /// Net thread `net` says how it sees the breaker of a shard thread.
    pub fn publish(&self, net: usize, shard: usize, breaker: &Progress) {
        let view = &self.views[net][shard];
        view.is_open.set(u64::from(breaker.state() == State::Open));
        view.transitions.set(breaker.transitions());
    }

    /// Net thread `net` refused a request.
    pub fn refused(&self, net: usize, shard: usize) {
        self.views[net][shard].refused.add(1);
    }

    /// Every breaker.
    pub fn rows(&self) -> Vec<Row> {
        (0..self.forces.len()).map(|shard| self.row(shard)).collect()
    }

    fn row(&self, shard: usize) -> Row {
        let views = || self.views.iter().map(|views| &views[shard]);
        let forced = self.forced(shard);
        // A decision is shown at once: net threads follow within a tick.
        let is_open = match forced {
            Force::Open => true,
            Force::Closed => false,
            Force::Automatic => views().any(|view| view.is_open.get() != 0),
        };
        Row {
            name: name_of(shard),
            state: if is_open { "open" } else { "closed" },
            forced: forced.word(),
            transitions: views().map(|view| view.transitions.get()).max().unwrap_or(0),
            refused: views().map(|view| view.refused.get()).sum(),
        }
    }
}

fn name_of(shard: usize) -> String {
    format!("shard-{shard}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_reaches_every_net_thread_and_an_unknown_name_is_answered_with_the_known_ones() {
        let board = Board::new(2, 2);
        assert_eq!(board.force("shard-1", Force::Open).unwrap().state, "open");
        assert_eq!(
            (board.forced(0), board.forced(1)),
            (Force::Automatic, Force::Open)
        );
        let error = board.force("shard-2", Force::Open).unwrap_err();
        assert!(error.contains("shard-0, shard-1"), "{error}");
    }

    #[test]
    fn a_breaker_that_one_net_thread_sees_open_is_shown_open() {
        let board = Board::new(2, 1);
        let mut breaker = Progress::new(1_000);
        breaker.observe(0, 1, Some(1));
        breaker.observe(5_000, 1, Some(1));
        board.publish(1, 0, &breaker);
        board.refused(0, 0);
        board.refused(1, 0);
        let row = Row {
            name: "shard-0".into(),
            state: "open",
            forced: "auto",
            transitions: 1,
            refused: 2,
        };
        assert_eq!(board.rows(), [row]);
    }
}
