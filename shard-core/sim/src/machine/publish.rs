//! The bus's side: what is durable is published a transaction at a time, and a machine that lost its disk is made again from the bus.

use tidegate_follow::{Bus as _, Record, StoreError};
use tidegate_log::{Appender, AppenderConfig, Chains};
use tidegate_node::{Fed, FeedError, open, segments};
use tidegate_shard_core::Entry;

use super::follow::Off;
use crate::bus::{Bus, Trouble};
use crate::disk::Disk;
use crate::plan::{MS, Plan};
use crate::queue::{Event, Live};
use crate::store::shard_mark;
use crate::world::{Broken, World};

impl World {
    /// A transaction of the bus, if there is a bus and a machine.
    pub(crate) fn publish(&mut self) -> Result<(), Broken> {
        let Some(plan) = self.plan.bus.clone() else {
            return Ok(());
        };
        let next = self.now + self.rng.between(plan.transaction_us.0, plan.transaction_us.1);
        self.queue.plan(next, Event::Publish);
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        self.audit.read_logs(&self.disk, &machine.manifest)?;
        self.fill_transaction()?;
        let (Some(bus), Some(machine)) = (&mut self.bus, &mut self.machine) else {
            return Ok(());
        };
        let following = &mut machine.following;
        let done = bus.publish(&following.batch);
        self.audit.published(bus.marks());
        match done {
            Ok(()) => {}
            Err(StoreError::Failed(Trouble::Aborted))
                if !self.calm && self.rng.percent(plan.midway_losses) =>
            {
                return self.lose_disk();
            }
            // The same batch is handed in again.
            Err(StoreError::Failed(_)) => {
                self.tell_published();
                return Ok(());
            }
            Err(error) => return Err(format!("the bus refuses a batch: {error}")),
        }
        for record in std::mem::take(&mut following.batch) {
            let believed = following.feed.published(shard_mark(record.mark()));
            believed.map_err(|parted| format!("the feed does not believe the bus: {parted}"))?;
        }
        self.tell_published();
        Ok(())
    }

    /// Takes what is durable into the batch, unless one is under way.
    fn fill_transaction(&mut self) -> Result<(), Broken> {
        let Some(machine) = &mut self.machine else {
            return Ok(());
        };
        let (threads, audit, following) = (&machine.threads, &self.audit, &mut machine.following);
        if !following.batch.is_empty() {
            return Ok(());
        }
        let most = self.rng.between(1, 200) as usize;
        let planted = self.plan.open_config(3, 0).log_planted;
        let durable = |thread: usize| threads[thread].node.appender().durable_upto();
        let (feed, batch) = (&mut following.feed, &mut following.batch);
        loop {
            let read = feed.read(&mut self.disk, planted, durable, |record| {
                audit.fed(record).map_err(Off::Broken)?;
                if batch.len() >= most {
                    return Err(Off::BatchFull);
                }
                batch.push(Record {
                    shard: record.shard,
                    op: record.op,
                    previous: record.previous,
                    chain: record.chain,
                    payload: record.payload.into(),
                });
                Ok(())
            });
            match read {
                Ok(Fed::More) => {}
                Ok(Fed::All | Fed::Full) | Err(FeedError::Visitor(Off::BatchFull)) => return Ok(()),
                Err(FeedError::Visitor(Off::Broken(broken))) => return Err(broken),
                Err(error) => return Err(format!("the bus's feed: {error:?}")),
            }
        }
    }

    /// Marks of the bus that the feed found right reach their nodes a moment later.
    fn tell_published(&mut self) {
        while let Some(mark) = self.running().following.feed.pop_published() {
            let delay = self.rng.between(5, 2 * MS);
            self.plan_live(delay, Live::Published(mark));
        }
    }

    /// The machine and all that it had are gone. Another one is made from what the bus has, and every rule holds on.
    pub(crate) fn lose_disk(&mut self) -> Result<(), Broken> {
        let Some(bus) = &self.bus else { return Ok(()) };
        self.trace(|| "the disk is lost".to_owned());
        self.figures.lost_disks += 1;
        self.machine = None;
        self.life += 1;
        self.disk = Disk::default();
        rebuild(&mut self.disk, &self.plan, self.rng.bits(), bus)?;
        self.audit.only_the_bus_is_left(bus)?;
        self.clients_cut_off();
        let down = self.rng.between(1, 100) * MS;
        self.queue.plan(self.now + down, Event::Start);
        Ok(())
    }
}

/// Writes what the bus has into the log of a new data directory.
fn rebuild(disk: &mut Disk, plan: &Plan, entropy: u64, bus: &Bus) -> Result<(), Broken> {
    let config = plan.open_config(1, entropy);
    let opened = open(disk, &config, &mut |_| {}).map_err(|error| error.to_string())?;
    let log = opened.manifest.current().logs[0].log;
    let config = AppenderConfig {
        segment_bytes: config.segment_bytes,
        batch_bytes_max: config.batch_bytes_max,
        ..AppenderConfig::new(log, opened.manifest.start)
    };
    let mut appender = Appender::new(config, &Chains::strict([]));
    let mut write = |appender: &mut Appender| {
        while let Some(segment) = appender.need_segment() {
            segments::prepare(disk, log, &segment).map_err(|error| error.to_string())?;
            appender.segment_ready(segment.number);
        }
        while let Some(batch) = appender.seal().or_else(|| appender.seal_mark()) {
            let path = segments::path(log, batch.segment);
            tidegate_node::Files::write_at(disk, &path, u64::from(batch.offset), &batch.bytes)
                .and_then(|()| tidegate_node::Files::sync(disk, &path))
                .map_err(|error| error.to_string())?;
            appender.synced(batch);
            while let Some(segment) = appender.need_segment() {
                segments::prepare(disk, log, &segment).map_err(|error| error.to_string())?;
                appender.segment_ready(segment.number);
            }
        }
        Ok::<(), Broken>(())
    };
    for record in (0..plan.shards).flat_map(|shard| bus.partition(shard)) {
        let entry = Entry::decode(&record.payload).map_err(|error| format!("{error:?}"))?;
        appender.append(record.shard, record.op, entry.at.0, &record.payload);
        if appender.chain(record.shard) != record.chain {
            return Err(format!("the bus has another op {} than was logged", record.op));
        }
        if appender.is_full() {
            write(&mut appender)?;
        }
    }
    write(&mut appender)
}
