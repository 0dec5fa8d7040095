//! Shard threads over writers and files that are recorded, slow or broken.

mod crash;
mod failure;
pub(crate) mod harness;
mod images;
mod notices;
