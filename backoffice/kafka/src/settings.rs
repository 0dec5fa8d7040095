//! Where Kafka is and how it is used.

use std::time::Duration;

use rdkafka::ClientConfig;

use crate::Fault;

/// Shards that are owned together, by one transactional producer.
pub const GROUP_SHARDS: u16 = 8;

/// The most shards that a shop can have.
const SHARDS_MAX: u16 = 1024;

/// What brokers allow at most unless they are told otherwise (`transaction.max.timeout.ms`).
const TRANSACTION_TIMEOUT_MAX: Duration = Duration::from_secs(900);

/// How batches are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// Not at all: entries are small and mostly ids.
    #[default]
    None,
    /// LZ4.
    Lz4,
}

/// The settings. [`Settings::default`] is safe: three replicas of which two must have a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `host:port` of some brokers, with commas between them.
    pub brokers: String,
    /// The topic's name.
    pub topic: String,
    /// Shards of the shop, 1 to 1024: the topic's partitions.
    pub shards: u16,
    /// What the transactional ids begin with. Two shops on the same brokers need two.
    pub transactional_id: String,
    /// Replicas of a topic that is made.
    pub replication: u16,
    /// Replicas that must have a batch before it counts, 1 to `replication`. A topic that is there and asks for fewer is refused.
    pub min_insync_replicas: u16,
    /// How long a transaction may be open before the broker aborts it and its producer has to stop; 1 s to 15 min.
    pub transaction_timeout: Duration,
    /// How long one call may wait for brokers before it fails for now; 1 s to `transaction_timeout`.
    pub call_timeout: Duration,
    /// Entries of a group that wait to be sent, at most. A larger batch is sent piece by piece, in one transaction.
    pub queue_messages: u32,
    /// KiB of them, at most.
    pub queue_kib: u32,
    /// How long entries are gathered before a part of a batch is sent; at most 1 s.
    pub linger: Duration,
    /// How batches are compressed.
    pub compression: Compression,
    /// Entries that a source has handed out and that no mark covers, at most.
    pub unmarked_max: usize,
    /// Other settings of librdkafka (`security.protocol`, `sasl.username`), which may not be any of those that exactly-once depends on.
    pub more: Vec<(String, String)>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            brokers: "127.0.0.1:9092".into(),
            topic: "tidegate.entries".into(),
            shards: 64,
            transactional_id: "tidegate-feed".into(),
            replication: 3,
            min_insync_replicas: 2,
            transaction_timeout: Duration::from_secs(60),
            call_timeout: Duration::from_secs(10),
            queue_messages: 16_384,
            queue_kib: 32_768,
            linger: Duration::from_millis(1),
            compression: Compression::None,
            unmarked_max: 65_536,
            more: Vec::new(),
        }
    }
}

/// What [`Settings::more`] may not change.
const OURS: [&str; 17] = [
    "acks",
    "allow.auto.create.topics",
    "bootstrap.servers",
    "delivery.report.only.error",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "message.max.bytes",
    "message.timeout.ms",
    "metadata.broker.list",
    "request.required.acks",
    "transaction.timeout.ms",
    "transactional.id",
    "auto.offset.reset",
];

impl Settings {
    /// Whether they can be worked with.
    ///
    /// # Errors
    /// [`Fault::Settings`], which names the first that cannot and says what would be right.
    pub fn check(&self) -> Result<(), Fault> {
        let named = |name: &str| {
            !name.is_empty()
                && name.len() <= 249
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
                && name != "."
                && name != ".."
        };
        let second = Duration::from_secs(1);
        let wrong = match self {
            _ if self.brokers.trim().is_empty() => "brokers is empty: name one as host:port",
            _ if !named(&self.topic) => {
                "topic must be 1 to 249 letters, digits, dots, underscores and dashes"
            }
            _ if !named(&self.transactional_id) => {
                "transactional_id must be 1 to 249 letters, digits, dots, underscores and dashes"
            }
            _ if !(1..=SHARDS_MAX).contains(&self.shards) => "shards must be 1 to 1024",
            _ if !(1..=self.replication).contains(&self.min_insync_replicas) => {
                "min_insync_replicas must be 1 to replication"
            }
            _ if !(second..=TRANSACTION_TIMEOUT_MAX).contains(&self.transaction_timeout) => {
                "transaction_timeout must be 1 s to 15 min"
            }
            _ if !(second..=self.transaction_timeout).contains(&self.call_timeout) => {
                "call_timeout must be 1 s to transaction_timeout"
            }
            _ if self.queue_messages == 0 || self.queue_kib == 0 => {
                "queue_messages and queue_kib must be at least 1"
            }
            _ if self.linger > second => "linger must be at most 1 s",
            _ if self.unmarked_max == 0 => "unmarked_max must be at least 1",
            _ => match self.more.iter().find(|(name, _)| OURS.contains(&name.as_str())) {
                Some((name, _)) => {
                    return Err(Fault::Settings(format!("more must not set {name}: leave it out")));
                }
                None => return Ok(()),
            },
        };
        Err(Fault::Settings(wrong.into()))
    }

    /// Whether the shop has these shards.
    pub(crate) fn check_shards<'a>(&self, shards: impl IntoIterator<Item = &'a u16>) -> Result<(), Fault> {
        match shards.into_iter().find(|shard| **shard >= self.shards) {
            Some(shard) => Err(Fault::Settings(format!(
                "there is no shard {shard}: shards are 0 to {}",
                self.shards - 1
            ))),
            None => Ok(()),
        }
    }

    /// The group that a shard belongs to.
    #[must_use]
    pub fn group_of(shard: u16) -> u16 {
        shard / GROUP_SHARDS
    }

    /// The transactional id of a group.
    #[must_use]
    pub fn transactional_id_of(&self, group: u16) -> String {
        format!("{}-{group}", self.transactional_id)
    }

    /// The topic has not as many partitions as the shop has shards.
    pub(crate) fn other_number(&self, partitions: usize) -> Fault {
        Fault::Topic(format!(
            "the topic {} has {partitions} partitions, and the shop has {} shards: name another topic, or make this one anew with as many",
            self.topic, self.shards
        ))
    }

    /// What every client has.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in &self.more {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "tidegate")
            .set(
                "socket.timeout.ms",
                millis(self.call_timeout.min(Duration::from_secs(300))),
            )
            // A broker that comes back is found at once, not after ten seconds.
            .set("reconnect.backoff.max.ms", "1000");
        config
    }

    /// A group's producer. What is larger than the topic takes never leaves.
    pub(crate) fn producer(&self, group: u16, message_bytes_max: u32) -> ClientConfig {
        let mut config = self.client();
        // librdkafka takes no others.
        let message_bytes_max = message_bytes_max.clamp(1000, 1_000_000_000);
        let compression = match self.compression {
            Compression::None => "none",
            Compression::Lz4 => "lz4",
        };
        config
            .set("transactional.id", self.transactional_id_of(group))
            .set("transaction.timeout.ms", millis(self.transaction_timeout))
            .set("message.timeout.ms", millis(self.transaction_timeout))
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("message.max.bytes", message_bytes_max.to_string())
            // The last message that is added to a set may cross this, so a set stays below what the topic takes.
            .set("batch.size", (message_bytes_max / 2).to_string())
            .set("queue.buffering.max.messages", self.queue_messages.to_string())
            .set("queue.buffering.max.kbytes", self.queue_kib.to_string())
            .set("linger.ms", millis(self.linger))
            .set("compression.type", compression)
            // The transaction says that all are there; only what failed is reported one by one.
            .set("delivery.report.only.error", "true");
        config
    }

    /// A consumer that is told its partitions and commits nothing. A fetch waits so long at a partition's end, and asks for so many bytes.
    pub(crate) fn reader(&self, isolation: &str, wait: Duration, bytes: u32) -> ClientConfig {
        let mut config = self.client();
        config
            // librdkafka asks for one, though nothing joins it.
            .set("group.id", format!("{}-reader", self.transactional_id))
            .set("isolation.level", isolation)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("allow.auto.create.topics", "false")
            .set("fetch.wait.max.ms", millis(wait))
            .set("fetch.message.max.bytes", bytes.to_string())
            .set("queued.max.messages.kbytes", "8192");
        config
    }
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_sound_and_wrong_settings_are_named() {
        assert_eq!(Settings::default().check(), Ok(()));
        type Change = fn(&mut Settings);
        let wrong: [(&str, Change); 12] = [
            ("brokers", |s| s.brokers = " ".into()),
            ("topic", |s| s.topic = "a/b".into()),
            ("topic", |s| s.topic = "..".into()),
            ("transactional_id", |s| s.transactional_id = String::new()),
            ("shards", |s| s.shards = 0),
            ("shards", |s| s.shards = 1025),
            ("min_insync_replicas", |s| s.min_insync_replicas = 4),
            ("transaction_timeout", |s| {
                s.transaction_timeout = Duration::from_secs(901)
            }),
            ("call_timeout", |s| s.call_timeout = Duration::from_secs(61)),
            ("queue_messages", |s| s.queue_messages = 0),
            ("linger", |s| s.linger = Duration::from_secs(2)),
            ("isolation.level", |s| {
                s.more.push(("isolation.level".into(), "read_uncommitted".into()));
            }),
        ];
        for (name, change) in wrong {
            let mut settings = Settings::default();
            change(&mut settings);
            let error = settings.check().unwrap_err().to_string();
            assert!(error.contains(name), "{name}: {error}");
        }
    }

    #[test]
    fn eight_shards_share_a_transactional_id() {
        let settings = Settings::default();
        let id = |shard| settings.transactional_id_of(Settings::group_of(shard));
        assert_eq!(
            (id(0), id(7)),
            ("tidegate-feed-0".into(), "tidegate-feed-0".into())
        );
        assert_eq!(id(8), "tidegate-feed-1");
    }
}
