//! The breakers of the shard threads and of the backoffice, as operators see them and set them by hand.
//!
//! Each net thread has its own view of each breaker. The board sums the views up, and hands an operator's decision to
//! all of them: one byte a breaker, which net threads load at the start of a turn, or when they ask the backoffice.

use std::sync::atomic::{AtomicU8, Ordering};

use serde::Serialize;
use tidegate_link::stats::Counter;

use super::{Force, State};

/// The name of the backoffice's breaker.
pub const BACKOFFICE: &str = "backoffice";

/// Shared by the net threads and the admin thread.
#[derive(Debug)]
pub struct Board {
    /// The shard threads' in their order, then the backoffice's, if there is one.
    names: Box<[String]>,
    /// By breaker: an index into [`Force::ALL`].
    forces: Box<[AtomicU8]>,
    /// By net thread, then by breaker.
    views: Box<[Box<[View]>]>,
}

/// What one net thread says of one breaker; it alone writes it.
#[derive(Debug, Default)]
struct View {
    /// An index into [`STATES`].
    state: Counter,
    transitions: Counter,
    refused: Counter,
}

/// The more it refuses, the later it stands.
const STATES: [(State, &str); 3] = [
    (State::Closed, "closed"),
    (State::HalfOpen, "half_open"),
    (State::Open, "open"),
];

/// A breaker, over all net threads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// `shard-0`: the first shard thread's; `backoffice`.
    pub name: String,
    /// `open` when any net thread sends nothing, `half_open` while the backoffice gets probes only, else `closed`.
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
    /// Closed breakers of `shards` shard threads and of a backoffice, if there is one, as `nets` net threads see them.
    pub fn new(nets: usize, shards: usize, backoffice: bool) -> Board {
        let shards = (0..shards).map(|shard| format!("shard-{shard}"));
        let names: Box<[String]> = shards.chain(backoffice.then(|| BACKOFFICE.to_owned())).collect();
        let views = || names.iter().map(|_| View::default()).collect();
        Board {
            forces: names.iter().map(|_| AtomicU8::new(0)).collect(),
            views: (0..nets).map(|_| views()).collect(),
            names,
        }
    }

    /// The backoffice's breaker: the last one.
    pub fn backoffice(&self) -> Option<usize> {
        self.names.iter().rposition(|name| name == BACKOFFICE)
    }

    /// Holds a breaker, or lets it go. It stands until the next decision or the next start.
    ///
    /// # Errors
    /// No breaker has that name; the text names those there are.
    pub fn force(&self, name: &str, force: Force) -> Result<Row, String> {
        let Some(breaker) = self.names.iter().position(|known| known == name) else {
            return Err(format!(
                "no breaker is called `{name}`; there are {}",
                self.names.join(", ")
            ));
        };
        // The byte stands for itself: nothing else is published through it.
        self.forces[breaker].store(force as u8, Ordering::Relaxed);
        Ok(self.row(breaker))
    }

    /// What an operator decided about a breaker. A shard thread's has the thread's number.
    pub fn forced(&self, breaker: usize) -> Force {
        let index = self.forces[breaker].load(Ordering::Relaxed);
        Force::ALL[usize::from(index)]
    }

    /// Net thread `net` says how it sees a breaker.
    pub fn publish(&self, net: usize, breaker: usize, state: State, transitions: u64) {
        let view = &self.views[net][breaker];
        let index = STATES.iter().position(|(known, _)| *known == state);
        view.state.set(index.unwrap_or(0) as u64);
        view.transitions.set(transitions);
    }

    /// Net thread `net` refused a request.
    pub fn refused(&self, net: usize, breaker: usize) {
        self.views[net][breaker].refused.add(1);
    }

    /// Every breaker.
    pub fn rows(&self) -> Vec<Row> {
        (0..self.names.len()).map(|breaker| self.row(breaker)).collect()
    }

    fn row(&self, breaker: usize) -> Row {
        let views = || self.views.iter().map(|views| &views[breaker]);
        let forced = self.forced(breaker);
        // A decision is shown at once: net threads follow within a tick.
        let state = match forced {
            Force::Open => "open",
            Force::Closed => "closed",
            Force::Automatic => {
                let most = views().map(|view| view.state.get()).max().unwrap_or(0);
                STATES[most as usize].1
            }
        };
        Row {
            name: self.names[breaker].clone(),
            state,
            forced: forced.word(),
            transitions: views().map(|view| view.transitions.get()).max().unwrap_or(0),
            refused: views().map(|view| view.refused.get()).sum(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::breaker::Progress;

    #[test]
    fn a_decision_reaches_every_net_thread_and_an_unknown_name_is_answered_with_the_known_ones() {
        let board = Board::new(2, 2, true);
        assert_eq!(board.force("shard-1", Force::Open).unwrap().state, "open");
        assert_eq!(
            (board.forced(0), board.forced(1)),
            (Force::Automatic, Force::Open)
        );
        let error = board.force("shard-2", Force::Open).unwrap_err();
        assert!(error.contains("shard-0, shard-1, backoffice"), "{error}");
        assert_eq!(board.force(BACKOFFICE, Force::Open).unwrap().state, "open");
        assert_eq!(board.backoffice().map(|row| board.forced(row)), Some(Force::Open));
    }

    #[test]
    fn a_breaker_that_one_net_thread_sees_open_is_shown_open() {
        let board = Board::new(2, 1, false);
        let mut breaker = Progress::new(1_000);
        breaker.observe(0, 1, Some(1));
        breaker.observe(5_000, 1, Some(1));
        board.publish(1, 0, breaker.state(), breaker.transitions());
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
