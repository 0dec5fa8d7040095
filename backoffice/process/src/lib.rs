//! The backoffice in a process of its own: gRPC to the edges, Kafka, MySQL.
//!
//! Edges dial. What they send and ask is described by `tidegate-api`; what is done with it is the same code as in one process:
//! `tidegate-follow`, `tidegate-kafka`, `tidegate-mysql` and `tidegate-backoffice`. Here is what a process needs around them: configuration,
//! roles, streams, health, metrics and an orderly end.

pub mod admin;
pub mod bearer;
pub mod cli;
pub mod config;
pub mod desk;
pub mod exchange;
pub mod follow;
pub mod health;
pub mod logging;
pub mod metrics;
pub mod run;
pub mod server;
pub mod service;
pub mod shop;
pub mod store;
mod supervisor;
