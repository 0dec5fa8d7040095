//! Looking at a node.

use super::*;

impl Node {
    /// The log's writing end: positions, pending bytes and records for the commit window.
    pub fn appender(&self) -> &Appender {
        &self.appender
    }

    /// A shard of this thread, for views and checks.
    pub fn shard(&self, shard: ShardId) -> Option<&Shard> {
        self.home(shard).map(|at| &self.homes[at].shard)
    }

    /// The shards of this thread.
    pub fn shards(&self) -> impl Iterator<Item = &Shard> + '_ {
        self.homes.iter().map(|home| &home.shard)
    }

    /// A write or sync has failed.
    pub fn has_failed(&self) -> bool {
        self.failed
    }

    /// Orders that have not ended, of all shards.
    pub fn open_orders(&self) -> u64 {
        self.homes.iter().map(|home| home.shard.open_orders()).sum()
    }

    /// Bytes that the log keeps for the store, with this thread's share of earlier layouts' logs.
    pub fn owed_bytes(&self) -> u64 {
        self.owed_bytes
    }

    /// Messages that were dropped at a bound; each costs an order the protocol's time-out.
    pub fn dropped_messages(&self) -> u64 {
        self.dropped_messages
    }

    /// Callers that wait for an order that is under way.
    pub fn parked(&self) -> usize {
        self.parked.len()
    }

    /// Answers and rows that wait for the log or may leave.
    pub fn waiting_outputs(&self) -> usize {
        self.outputs.len()
    }
}
