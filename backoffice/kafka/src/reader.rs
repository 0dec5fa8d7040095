//! Reads committed entries at places that it is told.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode;
use rdkafka::{Offset, TopicPartitionList};
use tidegate_follow::Record;

use crate::client::Ear;
use crate::message::decode;
use crate::{Fault, Settings};

/// Offsets before the end that are looked at first for the last entry: mostly it lies right before its transaction's marker.
const TAIL: i64 = 16;

/// How much further back the next look goes when all that was seen were markers and aborted entries.
const WIDER: i64 = 16;

/// The longest single wait, so that a deadline is kept.
const POLL: Duration = Duration::from_millis(100);

/// What a transaction wrote is read once its end is marked in the partition.
const COMMITTED: &str = "read_committed";

/// An entry that was found, or why it cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Where.
    pub offset: i64,
    /// What.
    pub record: Result<Record, String>,
}

/// A consumer of one topic, which no group knows of.
pub(crate) struct Reader {
    consumer: BaseConsumer<Ear>,
    topic: String,
}

impl Reader {
    /// For looks here and there: what was asked before a look is waited for, so a fetch is short and small. No broker is asked yet.
    pub(crate) fn to_look(settings: &Settings) -> Result<Reader, Fault> {
        Reader::new(settings, COMMITTED, Duration::from_millis(5), 64 << 10)
    }

    /// For where partitions end when transactions that are open, or whose end is not marked yet, are counted as well.
    pub(crate) fn of_the_uncommitted(settings: &Settings) -> Result<Reader, Fault> {
        Reader::new(settings, "read_uncommitted", Duration::from_millis(5), 64 << 10)
    }

    /// For reading on and on.
    pub(crate) fn to_follow(settings: &Settings) -> Result<Reader, Fault> {
        Reader::new(settings, COMMITTED, Duration::from_millis(100), 1 << 20)
    }

    fn new(settings: &Settings, isolation: &str, wait: Duration, bytes: u32) -> Result<Reader, Fault> {
        settings.check()?;
        let consumer = settings
            .reader(isolation, wait, bytes)
            .create_with_context(Ear::default())
            .map_err(|error| Fault::Settings(error.to_string()))?;
        Ok(Reader {
            consumer,
            topic: settings.topic.clone(),
        })
    }

    pub(crate) fn consumer(&self) -> &BaseConsumer<Ear> {
        &self.consumer
    }

    /// Partitions of the topic; none when there is no such topic.
    pub(crate) fn partitions(&self, deadline: Instant) -> Result<Option<usize>, Fault> {
        let metadata = self
            .consumer
            .fetch_metadata(Some(&self.topic), left(deadline))
            .map_err(|error| self.again("brokers do not tell what topics they have", &error))?;
        let Some(topic) = metadata.topics().first() else {
            return Ok(None);
        };
        match topic.error().map(RDKafkaErrorCode::from) {
            None => Ok(Some(topic.partitions().len())),
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => Ok(None),
            // A topic that was made a moment ago.
            Some(RDKafkaErrorCode::LeaderNotAvailable) => Ok(None),
            Some(code) => Err(Fault::Topic(format!("the topic {}: {code}", self.topic))),
        }
    }

    /// The oldest offset of a partition and the one after its last.
    pub(crate) fn ends(&self, partition: i32, deadline: Instant) -> Result<(i64, i64), Fault> {
        self.consumer
            .fetch_watermarks(&self.topic, partition, left(deadline))
            .map_err(|error| self.again("the ends of a partition cannot be read", &error))
    }

    /// From now on, these partitions are read from these offsets on, and no others.
    pub(crate) fn assign(&self, places: &[(i32, i64)]) -> Result<(), Fault> {
        let mut list = TopicPartitionList::new();
        for (partition, offset) in places {
            list.add_partition_offset(&self.topic, *partition, Offset::Offset(*offset))
                .map_err(|error| self.again("an offset is out of range", &error))?;
        }
        self.consumer
            .assign(&list)
            .map_err(|error| self.again("partitions cannot be assigned", &error))
    }

    /// The last committed entry of each partition; none where there is none.
    pub(crate) fn last(
        &self,
        partitions: &[i32],
        deadline: Instant,
    ) -> Result<BTreeMap<i32, Option<Found>>, Fault> {
        let mut tails = BTreeMap::new();
        let mut open = Vec::new();
        for &partition in partitions {
            let (low, high) = self.ends(partition, deadline)?;
            open.push((partition, low, high, TAIL));
        }
        while !open.is_empty() {
            let from =
                |(partition, low, high, back): &(i32, i64, i64, i64)| (*partition, *low.max(&(high - back)));
            let places: Vec<_> = open.iter().map(from).collect();
            let mut seen = BTreeMap::new();
            self.read_to_end(&places, deadline, |partition, found| {
                seen.insert(partition, found);
            })?;
            open.retain_mut(|look| {
                let start = from(look).1;
                let (partition, low, _, back) = look;
                let found = seen.remove(partition);
                if found.is_some() || start <= *low {
                    tails.insert(*partition, found);
                    return false;
                }
                *back = back.saturating_mul(WIDER);
                true
            });
        }
        self.assign(&[])?;
        Ok(tails)
    }

    /// Reads each partition from an offset to its end.
    pub(crate) fn read_to_end(
        &self,
        places: &[(i32, i64)],
        deadline: Instant,
        mut each: impl FnMut(i32, Found),
    ) -> Result<(), Fault> {
        self.assign(places)?;
        let mut open: Vec<i32> = places.iter().map(|(partition, _)| *partition).collect();
        while !open.is_empty() {
            match self.next(deadline)? {
                Seen::Entry(partition, found) => each(partition, found),
                Seen::End(partition) => open.retain(|other| *other != partition),
            }
        }
        Ok(())
    }

    /// The first committed entry at an offset or after it; none when the partition ends before one.
    pub(crate) fn first_from(
        &self,
        partition: i32,
        offset: i64,
        deadline: Instant,
    ) -> Result<Option<Found>, Fault> {
        self.assign(&[(partition, offset)])?;
        loop {
            match self.next(deadline)? {
                Seen::Entry(from, found) if from == partition && found.offset >= offset => {
                    return Ok(Some(found));
                }
                Seen::End(from) if from == partition => return Ok(None),
                // Of an assignment before.
                Seen::Entry(..) | Seen::End(_) => {}
            }
        }
    }

    /// What comes next of what is assigned.
    fn next(&self, deadline: Instant) -> Result<Seen, Fault> {
        let mut why = None;
        loop {
            match self.consumer.poll(left(deadline).min(POLL)) {
                Some(Ok(message)) => {
                    let record = decode(message.partition(), message.payload());
                    let found = Found {
                        offset: message.offset(),
                        record: record.map_err(|error| error.to_string()),
                    };
                    return Ok(Seen::Entry(message.partition(), found));
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => return Ok(Seen::End(partition)),
                // librdkafka goes on by itself.
                Some(Err(error)) => why = Some(error),
                None => {}
            }
            if Instant::now() >= deadline {
                let why = why.unwrap_or(KafkaError::NoMessageReceived);
                return Err(self.again("the topic cannot be read in time", &why));
            }
        }
    }

    /// A fault with what librdkafka said last.
    fn again(&self, what: &str, error: &KafkaError) -> Fault {
        match self.consumer.context().complaint() {
            Some(complaint) => Fault::Again(format!("{what}: {error} ({complaint})")),
            None => Fault::Again(format!("{what}: {error}")),
        }
    }
}

/// What a poll gave.
enum Seen {
    Entry(i32, Found),
    End(i32),
}

/// What is left until a deadline.
pub(crate) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now())
}
