//! Behaviours that every store is held to. Each function panics where a store does otherwise, and wants a database that nothing else was
//! written to but, for the lists, [`log::records`].
//!
//! A store is given twice, as two processes have it: by two handles of one database, or one handle twice where only one process may.

pub mod books;
pub mod charges;
pub mod imports;
pub mod lists;
pub mod log;

use std::sync::Arc;

use futures_util::future::join_all;
use tidegate_shard_core::{ChargeId, Millis};

use crate::{Answer, Rows};

/// One database, as two processes have it.
pub type Two = [Arc<dyn Rows>; 2];

/// The time at which a behaviour begins.
const NOW: Millis = Millis(1_764_000_000_000);

fn charge_id(number: u32) -> ChargeId {
    format!("ch_{number:032x}").parse().expect("a charge's id")
}

/// Asks many times at once, by both handles in turn.
async fn at_once<'a, T>(
    two: &'a Two,
    times: usize,
    ask: impl Fn(&'a dyn Rows, usize) -> Answer<'a, T>,
) -> Vec<T> {
    let asked = (0..times).map(|time| ask(&*two[time % 2], time));
    let answers = join_all(asked).await;
    answers
        .into_iter()
        .map(|answer| answer.expect("an answer"))
        .collect()
}
