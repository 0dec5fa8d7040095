//! Tidegate's gateway: everything a byte from the network meets on its way to a shard, as a library so that
//! tests and the binary share it.
//!
//! The modules here are the rooms that need no runtime: configuration, who is asking, limits, breakers,
//! certificates, the first start, and the admin thread. None of them is on the hot path except
//! [`auth`]'s cache, [`gcra`] and [`breaker`], and those take the time as an argument, allocate nothing and lock nothing.

pub mod address;
pub mod admin;
pub mod auth;
pub mod backoffice;
pub mod breaker;
pub mod catalogue;
pub mod certs;
pub mod cli;
pub mod codes;
pub mod config;
pub mod console;
pub mod desk;
pub mod first_start;
pub mod gcra;
pub mod limits;
pub mod live;
pub mod logging;
pub mod net;
pub mod observe;
pub mod recorder;
pub mod reload;
pub(crate) mod roots;
pub mod serve;
pub mod shards;
pub mod supervisor;
pub mod worker;
