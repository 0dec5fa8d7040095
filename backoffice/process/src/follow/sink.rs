//! Where a stream's records go first: the bus, or without one the store.

use tidegate_follow::{Bus, Mark, Record, Store, StoreError};
use tidegate_kafka::{Fault, KafkaBus};
use tidegate_mysql::{Mysql, MysqlError, Settings};
use tonic::Status;

use crate::config::{BusKind, Config};

/// Takes records; blocks.
pub(super) trait Sink {
    /// Takes the next records, each shard's in the order of its ops; what it has already changes nothing.
    fn take_in(&mut self, batch: &[Record]) -> Result<(), StoreError<SinkFault>>;
}

/// Why a batch was not taken by now.
#[derive(Debug)]
pub(super) struct SinkFault {
    /// In words.
    pub line: String,
    /// For metrics.
    pub kind: &'static str,
    /// The sink is of no use any more.
    pub ends: bool,
}

impl std::fmt::Display for SinkFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.line)
    }
}

impl From<Fault> for SinkFault {
    fn from(fault: Fault) -> SinkFault {
        SinkFault {
            line: fault.to_string(),
            kind: kind(&fault),
            ends: fault.stops(),
        }
    }
}

/// A word of a fault of Kafka, for metrics.
pub(crate) fn kind(fault: &Fault) -> &'static str {
    match fault {
        Fault::Settings(_) => "kafka_settings",
        Fault::Topic(_) => "kafka_topic",
        Fault::Again(_) => "kafka_again",
        Fault::TooLarge { .. } => "kafka_too_large",
        Fault::NotOurs { .. } => "kafka_not_ours",
        Fault::Superseded { .. } => "kafka_superseded",
        Fault::Broken { .. } => "kafka_broken",
    }
}

impl From<MysqlError> for SinkFault {
    fn from(error: MysqlError) -> SinkFault {
        SinkFault {
            // A store that is another one now is no place for this stream's rows; its welcome was of the one before.
            ends: matches!(error, MysqlError::Refused(_)),
            line: error.to_string(),
            kind: "mysql",
        }
    }
}

impl Sink for KafkaBus {
    fn take_in(&mut self, batch: &[Record]) -> Result<(), StoreError<SinkFault>> {
        self.publish(batch).map_err(|error| error.map(SinkFault::from))
    }
}

impl Sink for Mysql {
    fn take_in(&mut self, batch: &[Record]) -> Result<(), StoreError<SinkFault>> {
        self.apply(batch).map_err(|error| error.map(SinkFault::from))
    }
}

/// An open sink and how far everything is.
pub(super) struct Opened {
    pub sink: Box<dyn Sink>,
    /// What it took is applied, not only published.
    pub applies: bool,
    pub applied: Vec<Mark>,
    /// Empty without a bus.
    pub published: Vec<Mark>,
}

/// Opens bus and store. Blocks.
pub(super) fn open(config: &Config, name: &str) -> Result<Opened, Status> {
    let mut store = Mysql::open(config.mysql.clone()).map_err(unreachable)?;
    if store.name() != name {
        return Err(Status::aborted(format!(
            "the store is {} now, and was {name} a moment ago",
            store.name()
        )));
    }
    let applied = store.marks().map_err(unreachable)?;
    if config.bus == BusKind::None {
        return Ok(Opened {
            sink: Box::new(store),
            applies: true,
            applied,
            published: Vec::new(),
        });
    }
    drop(store);
    let bus = KafkaBus::open(config.kafka.clone(), 0..config.shards).map_err(|fault| match fault {
        Fault::Again(_) => Status::unavailable(fault.to_string()),
        // Somebody else opened it at the same time.
        Fault::Superseded { .. } | Fault::Broken { .. } => Status::aborted(fault.to_string()),
        Fault::Settings(_) | Fault::Topic(_) | Fault::TooLarge { .. } | Fault::NotOurs { .. } => {
            Status::failed_precondition(fault.to_string())
        }
    })?;
    let published: Vec<Mark> = bus.marks().collect();
    reaches(&published, &applied).map_err(Status::failed_precondition)?;
    Ok(Opened {
        sink: Box::new(bus),
        applies: false,
        applied,
        published: published.into_iter().filter(|mark| mark.op > 0).collect(),
    })
}

/// A store follows its topic, so it never has more. If it has, the topic is another one, and what lies between could not be published.
fn reaches(published: &[Mark], applied: &[Mark]) -> Result<(), String> {
    for has in applied {
        let of_shard = published.iter().find(|mark| mark.shard == has.shard);
        if let Some(mark) = of_shard.filter(|mark| mark.op < has.op) {
            return Err(format!(
                "shard {}: the store has op {}, and the topic ends at op {}: it is not the topic that this store followed; name that one (kafka.topic), or go on without a bus",
                has.shard, has.op, mark.op
            ));
        }
    }
    Ok(())
}

/// Which store this is; its tables are made at the first start.
pub(super) async fn store_name(settings: Settings) -> Result<String, Status> {
    let read = move || Mysql::open(settings).map(|store| store.name().to_owned());
    match tokio::task::spawn_blocking(read).await {
        Ok(name) => name.map_err(unreachable),
        Err(error) => Err(Status::internal(format!(
            "the store's name was not read: {error}"
        ))),
    }
}

fn unreachable(error: MysqlError) -> Status {
    match error {
        MysqlError::Refused(line) => Status::failed_precondition(line),
        other => Status::unavailable(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(shard: u16, op: u64) -> Mark {
        Mark { shard, op, chain: op }
    }

    #[test]
    fn a_topic_that_ends_before_its_store_is_another_one() {
        let applied = [mark(0, 5), mark(1, 2)];
        assert!(reaches(&[mark(0, 5), mark(1, 9)], &applied).is_ok());
        // One whose end cannot be read stops alone, later.
        assert!(reaches(&[mark(0, 5)], &applied).is_ok());
        let line = reaches(&[mark(0, 5), mark(1, 0)], &applied).unwrap_err();
        assert!(line.contains("shard 1") && line.contains("kafka.topic"), "{line}");
    }
}
