//! The node over files in memory.

#[path = "node/bus_marks.rs"]
mod bus_marks;
#[path = "node/checkpoints.rs"]
mod checkpoints;
#[path = "node/common.rs"]
mod common;
#[path = "node/cost.rs"]
mod cost;
#[path = "node/feed.rs"]
mod feed;
#[path = "node/gating.rs"]
mod gating;
#[path = "node/growth.rs"]
mod growth;
#[path = "node/published.rs"]
mod published;
#[path = "node/restart.rs"]
mod restart;
