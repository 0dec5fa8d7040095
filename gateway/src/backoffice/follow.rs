//! The host's feed, as the backoffice reads it.

use tidegate_follow::{Fed, Mark, Record, Source};
use tidegate_host::HostFeed;
use tidegate_log::ShardMark;
use tidegate_node::{Fed as HostFed, FeedError};

/// The feed of the shards of this process.
pub struct HostSource(pub HostFeed);

/// The batch is full.
struct Full;

impl Source for HostSource {
    fn read(&mut self, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> Result<Fed, String> {
        let read = self.0.read(|record| {
            let copy = || Record {
                shard: record.shard,
                op: record.op,
                previous: record.previous,
                chain: record.chain,
                payload: record.payload.into(),
            };
            if take(&copy) { Ok(()) } else { Err(Full) }
        });
        match read {
            Ok(HostFed::All) => Ok(Fed::All),
            Ok(HostFed::More) | Err(FeedError::Visitor(Full)) => Ok(Fed::More),
            Ok(HostFed::Full) => Ok(Fed::Full),
            Err(FeedError::Parted(parted)) => Err(parted.to_string()),
            Err(FeedError::Fault(fault)) => Err(format!("the log: {fault}")),
            Err(FeedError::Io(error)) => Err(format!("reading the log: {error}")),
        }
    }

    fn applied(&mut self, mark: Mark) -> Result<(), String> {
        self.0
            .applied(shard_mark(mark))
            .map_err(|parted| parted.to_string())
    }

    fn stop_shard(&mut self, shard: u16) {
        self.0.stop_shard(shard);
    }
}

/// A store's mark, as the log knows it.
pub fn shard_mark(mark: Mark) -> ShardMark {
    ShardMark {
        shard: mark.shard,
        op: mark.op,
        chain: mark.chain,
    }
}
