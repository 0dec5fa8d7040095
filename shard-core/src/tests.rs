//! Rules as sentences; `world.rs` is the bench they run on.

mod end;
mod world;
