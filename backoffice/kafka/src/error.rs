//! What can go wrong with Kafka, by what is to be done about it.

use std::fmt;

use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaErrorCode;

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A setting is wrong.
    Settings(String),
    /// The topic is not as it must be.
    Topic(String),
    /// Not now: no broker answered in time, or it aborted the transaction. The same again may succeed.
    Again(String),
    /// An entry is larger than the topic takes. The same again succeeds once the topic takes more and the bus was opened anew.
    TooLarge {
        /// `shard:op` of the entry.
        key: String,
        /// Bytes that the topic takes.
        limit: u32,
    },
    /// A record of a shard that the bus was not opened for.
    NotOurs {
        /// The shard.
        shard: u16,
    },
    /// Another producer has taken the group over, or the broker gave the transaction up: this one publishes no more.
    Superseded {
        /// The group's transactional id.
        transactional_id: String,
        /// What the broker said.
        why: String,
    },
    /// The group's producer is broken for good.
    Broken {
        /// The group's transactional id.
        transactional_id: String,
        /// What librdkafka said.
        why: String,
    },
}

impl Fault {
    /// Whether the bus must not be used any more: handing the same batch in again cannot succeed. Who still owns the shards may open a
    /// new one.
    #[must_use]
    pub fn stops(&self) -> bool {
        match self {
            Fault::Again(_) => false,
            Fault::Settings(_)
            | Fault::Topic(_)
            | Fault::TooLarge { .. }
            | Fault::NotOurs { .. }
            | Fault::Superseded { .. }
            | Fault::Broken { .. } => true,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Settings(why) => write!(f, "Kafka's settings: {why}"),
            Fault::Topic(why) => f.write_str(why),
            Fault::Again(why) => write!(f, "Kafka: {why}; it is tried again"),
            Fault::TooLarge { key, limit } => write!(
                f,
                "entry {key} is larger than the {limit} bytes that the topic takes: raise its max.message.bytes"
            ),
            Fault::NotOurs { shard } => {
                write!(f, "shard {shard} is not one that this bus was opened to publish")
            }
            Fault::Superseded {
                transactional_id,
                why,
            } => write!(
                f,
                "another producer publishes as {transactional_id} now, or a transaction was open too long ({why}): this one stops"
            ),
            Fault::Broken {
                transactional_id,
                why,
            } => write!(
                f,
                "the producer {transactional_id} cannot go on ({why}): this one stops"
            ),
        }
    }
}

impl std::error::Error for Fault {}

/// What is to be done about an error of a transaction's call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The same call again.
    Retry(String),
    /// The transaction must be aborted.
    Abort(String),
    /// Somebody else has the transactional id, or the broker gave this one's up.
    Fenced(String),
    /// The producer is of no use any more.
    Broken(String),
}

impl Verdict {
    pub(crate) fn of(error: &KafkaError) -> Verdict {
        match error {
            KafkaError::Transaction(error) => {
                let why = error.string();
                if error.is_fatal() {
                    fatal(error.code(), why)
                } else if error.txn_requires_abort() {
                    Verdict::Abort(why)
                } else if error.is_retriable() {
                    Verdict::Retry(why)
                } else {
                    Verdict::Broken(why)
                }
            }
            KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut) => {
                Verdict::Retry("not every entry was sent in time".into())
            }
            other => match other.rdkafka_error_code() {
                Some(code) => fatal(code, other.to_string()),
                None => Verdict::Broken(other.to_string()),
            },
        }
    }
}

fn fatal(code: RDKafkaErrorCode, why: String) -> Verdict {
    use RDKafkaErrorCode::{Fenced, InvalidProducerEpoch, ProducerFenced};
    match code {
        Fenced | InvalidProducerEpoch | ProducerFenced => Verdict::Fenced(why),
        _ => Verdict::Broken(why),
    }
}
