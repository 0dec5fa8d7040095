//! What an answer waits for.

/// What whatever leaves a shard waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// That its op is synced here. A disk that is lost takes along what was not yet fed to a store.
    #[default]
    Local,
    /// That its op is published on the bus as well ([`Node::published`](crate::Node::published)). What was answered outlives this machine.
    Replicated,
}
