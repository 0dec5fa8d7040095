//! What lies in the topic: an entry, verbatim, with what is needed to compare it.

use std::fmt;

use prost::Message as _;
use rdkafka::message::{Header, OwnedHeaders};
use tidegate_follow::Record;
use tidegate_shard_core::Entry;
use tidegate_shard_core::entry::Effect;

/// The version that this code writes, and the only one that it reads.
pub const VERSION: u32 = 1;

/// A message's value. The numbers of its fields are for good; a field that means something else is a new version.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct Value {
    #[prost(uint32, tag = "1")]
    version: u32,
    #[prost(uint32, tag = "2")]
    shard: u32,
    #[prost(uint64, tag = "3")]
    op: u64,
    #[prost(fixed64, tag = "4")]
    previous: u64,
    #[prost(fixed64, tag = "5")]
    chain: u64,
    #[prost(bytes = "vec", tag = "6")]
    payload: Vec<u8>,
}

/// What every version has: its number.
#[derive(Clone, PartialEq, Eq, prost::Message)]
struct AnyVersion {
    #[prost(uint32, tag = "1")]
    version: u32,
}

/// Why a message is not an entry that this version can read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageError {
    /// It has no value: a tombstone.
    Empty,
    /// It is no protobuf message.
    Malformed(String),
    /// Another version wrote it.
    Version(u32),
    /// It has fields that this version does not write, or in another form.
    NotCanonical,
    /// A field is out of its range.
    Field {
        /// Its name.
        name: &'static str,
        /// What it has.
        value: u64,
    },
    /// It lies in another shard's partition.
    Partition {
        /// The shard that it names.
        shard: u16,
        /// Where it lies.
        partition: i32,
    },
}

impl fmt::Display for MessageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MessageError::Empty => f.write_str("the message has no value"),
            MessageError::Malformed(why) => write!(f, "the message is no entry of Tidegate's: {why}"),
            MessageError::Version(version) => write!(
                f,
                "the message has version {version}, and this program reads version {VERSION} only: run the version that wrote it"
            ),
            MessageError::NotCanonical => {
                f.write_str("the message has fields that its version does not have")
            }
            MessageError::Field { name, value } => {
                write!(f, "the message's field {name} is {value}, which is out of range")
            }
            MessageError::Partition { shard, partition } => {
                write!(
                    f,
                    "the message is of shard {shard} and lies in partition {partition}"
                )
            }
        }
    }
}

impl std::error::Error for MessageError {}

/// Appends the value that a record has in the topic.
pub fn encode(record: &Record, into: &mut Vec<u8>) {
    let value = Value {
        version: VERSION,
        shard: u32::from(record.shard),
        op: record.op,
        previous: record.previous,
        chain: record.chain,
        payload: record.payload.to_vec(),
    };
    into.reserve(value.encoded_len());
    value.encode_raw(into);
}

/// Reads what [`encode`] wrote, and nothing else.
///
/// # Errors
/// [`MessageError`], which says what it is instead.
pub fn decode(partition: i32, bytes: Option<&[u8]>) -> Result<Record, MessageError> {
    let bytes = bytes.ok_or(MessageError::Empty)?;
    let malformed = |error: prost::DecodeError| MessageError::Malformed(error.to_string());
    // The version first: another one may have other types under the same numbers.
    let AnyVersion { version } = AnyVersion::decode(bytes).map_err(malformed)?;
    if version != VERSION {
        return Err(MessageError::Version(version));
    }
    let value = Value::decode(bytes).map_err(malformed)?;
    // Protobuf skips fields that it does not know and takes the last of those that come twice.
    if value.encoded_len() != bytes.len() || value.encode_to_vec() != bytes {
        return Err(MessageError::NotCanonical);
    }
    let shard = u16::try_from(value.shard).map_err(|_| MessageError::Field {
        name: "shard",
        value: u64::from(value.shard),
    })?;
    if i32::from(shard) != partition {
        return Err(MessageError::Partition { shard, partition });
    }
    if value.op == 0 {
        return Err(MessageError::Field { name: "op", value: 0 });
    }
    // No entry is empty: the message was cut.
    if value.payload.is_empty() {
        return Err(MessageError::Field {
            name: "payload",
            value: 0,
        });
    }
    Ok(Record {
        shard,
        op: value.op,
        previous: value.previous,
        chain: value.chain,
        payload: value.payload.into(),
    })
}

/// The key: `shard:op`. Where a message lies is decided by its partition alone; the key is for people and their tools.
pub fn key(record: &Record) -> String {
    format!("{}:{}", record.shard, record.op)
}

/// The headers: `kind` as `tidegate log dump` prints it, `op`, and `term` where the entry has one (a start's). An entry carries no trace,
/// so there is no `traceparent`. Nothing that reads the topic for a store needs them.
pub fn headers(record: &Record, entry: &Entry) -> OwnedHeaders {
    let op = record.op.to_string();
    let headers = OwnedHeaders::new_with_capacity(3)
        .insert(text("kind", entry.kind()))
        .insert(text("op", &op));
    match &entry.effect {
        Effect::Start { term } => headers.insert(text("term", &term.to_string())),
        _ => headers,
    }
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a str> {
    Header {
        key,
        value: Some(value),
    }
}

#[cfg(test)]
mod tests;
