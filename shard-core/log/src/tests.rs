//! The log as a whole, on a tiny disk in memory.

mod covered;
mod crash;
mod decoder;
mod disk;
mod faults;
mod format;
#[cfg(feature = "planted-bugs")]
mod planted;
mod recycle;
