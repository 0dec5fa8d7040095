//! Whole-node simulation: the production state machine, log, node, recovery, checkpoints, protocol between shards, feed
//! and follower, on a simulated disk, clock, network and store, driven by a seed.
//!
//! Only the disk, the clock, the network, the store's tables and the clients are replaced. A seed decides everything, so a failing one
//! replays: `cargo run -p tidegate-sim --release -- --seed N --trace`.

mod audit;
mod bug;
mod bus;
mod clients;
mod disk;
mod machine;
mod plan;
mod queue;
mod rng;
mod store;
mod world;

pub use bug::Bug;
pub use store::StoreFigures;
pub use world::{Broken, Figures, World};

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a seed; a panic of the code under test is a broken rule as well.
///
/// # Errors
/// The rule that was broken.
pub fn run_seed(seed: u64, bug: Option<Bug>, trace: bool) -> Result<Figures, Broken> {
    catch_unwind(AssertUnwindSafe(|| World::run(seed, bug, trace))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
        Err(format!("panic: {}", text.unwrap_or("without a text")))
    })
}

/// The command that replays a seed.
pub fn replay_command(seed: u64) -> String {
    format!("cargo run -p tidegate-sim --release -- --seed {seed} --trace")
}
