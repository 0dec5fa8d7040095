//! The node over files in memory.

#[path = "node/common.rs"]
mod common;
#[path = "node/gating.rs"]
mod gating;
#[path = "node/restart.rs"]
mod restart;
