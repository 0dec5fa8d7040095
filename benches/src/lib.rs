//! What the side-by-side comparison (`bin/compare.rs`) and the memory figures (`bin/memory.rs`) share: servers that are started on one
//! core, load that is started on another, and the meters between them.
//!
//! Everything here runs on loopback and stops only what it started, by its own pid.

pub mod affinity;
pub mod arguments;
pub mod cases;
pub mod certificate;
pub mod client;
pub mod load;
pub mod machine;
pub mod meter;
pub mod programs;
pub mod report;
pub mod run;
pub mod sample;
pub mod server;
pub mod shop;
pub mod verdict;
