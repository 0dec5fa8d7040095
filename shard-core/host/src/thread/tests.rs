//! Shard threads over writers and files that are recorded, slow or broken.

mod crash;
mod failure;
mod harness;
mod images;
mod notices;
