//! The topic: made with the right number of partitions, or found as it must be.

use std::time::{Duration, Instant};

use futures_executor::block_on;
use rdkafka::admin::{
    AdminClient, AdminOptions, ConfigResource, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use rdkafka::types::RDKafkaErrorCode;

use crate::reader::Reader;
use crate::{Fault, Settings};

/// What its producers must know of the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    /// Bytes of a batch, and so of a message, at most.
    pub message_bytes_max: u32,
}

/// Makes the topic if it is missing, with a partition a shard, and waits until brokers know it. It keeps everything for ever.
///
/// # Errors
/// [`Fault`]: the topic is there and has another number of partitions, or asks for fewer replicas than the settings do; or no broker can
/// do it now.
pub fn ensure_topic(settings: &Settings) -> Result<(), Fault> {
    ensure(settings, &Reader::to_look(settings)?).map(|_| ())
}

pub(crate) fn ensure(settings: &Settings, reader: &Reader) -> Result<Topic, Fault> {
    settings.check()?;
    let deadline = Instant::now() + settings.call_timeout;
    let admin = settings
        .client()
        .create::<AdminClient<DefaultClientContext>>()
        .map_err(|error| Fault::Settings(error.to_string()))?;
    if reader.partitions(deadline)?.is_none() {
        make(settings, &admin)?;
    }
    loop {
        match reader.partitions(deadline)? {
            Some(partitions) if partitions == usize::from(settings.shards) => break,
            Some(partitions) => return Err(settings.other_number(partitions)),
            // It was made, and this broker has not heard of it yet.
            None if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(50)),
            None => {
                return Err(Fault::Again(format!(
                    "the topic {} does not appear",
                    settings.topic
                )));
            }
        }
    }
    examine(settings, &admin)
}

pub(crate) fn options(settings: &Settings) -> AdminOptions {
    AdminOptions::new()
        .request_timeout(Some(settings.call_timeout))
        .operation_timeout(Some(settings.call_timeout))
}

fn make(settings: &Settings, admin: &AdminClient<DefaultClientContext>) -> Result<(), Fault> {
    let replicas = settings.min_insync_replicas.to_string();
    let topic = NewTopic::new(
        &settings.topic,
        i32::from(settings.shards),
        TopicReplication::Fixed(i32::from(settings.replication)),
    )
    .set("min.insync.replicas", &replicas)
    .set("unclean.leader.election.enable", "false")
    .set("cleanup.policy", "delete")
    .set("retention.ms", "-1")
    .set("retention.bytes", "-1");
    let made = block_on(admin.create_topics([&topic], &options(settings)))
        .map_err(|error| Fault::Again(format!("the topic {} cannot be made: {error}", settings.topic)))?;
    match made.into_iter().next() {
        Some(Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists))) => Ok(()),
        Some(Err((_, code))) => Err(Fault::Topic(format!(
            "the topic {} cannot be made with {} partitions and {} replicas: {code}",
            settings.topic, settings.shards, settings.replication
        ))),
        None => Err(Fault::Again(format!(
            "nobody answered for the topic {}",
            settings.topic
        ))),
    }
}

/// Reads what the topic is set to.
fn examine(settings: &Settings, admin: &AdminClient<DefaultClientContext>) -> Result<Topic, Fault> {
    let topic = &settings.topic;
    let again =
        |why: String| Fault::Again(format!("the settings of the topic {topic} cannot be read: {why}"));
    let asked = [ResourceSpecifier::Topic(topic)];
    let answer = block_on(admin.describe_configs(&asked, &options(settings)))
        .map_err(|error| again(error.to_string()))?
        .into_iter()
        .next()
        .ok_or_else(|| again("no answer".into()))?
        .map_err(|code| again(code.to_string()))?;
    let number = |name| number(&answer, name).ok_or_else(|| again(format!("there is no {name}")));
    let insync = number("min.insync.replicas")?;
    if insync < i64::from(settings.min_insync_replicas) {
        return Err(Fault::Topic(format!(
            "the topic {topic} has min.insync.replicas {insync}, and {} are asked for: raise it",
            settings.min_insync_replicas
        )));
    }
    if number("retention.ms")? != -1 || number("retention.bytes")? != -1 {
        tracing::warn!(
            topic,
            "the topic forgets: a store that is behind the oldest entry cannot go on"
        );
    }
    let message_bytes_max = number("max.message.bytes")?;
    Ok(Topic {
        message_bytes_max: u32::try_from(message_bytes_max).unwrap_or(0),
    })
}

pub(crate) fn number(config: &ConfigResource, name: &str) -> Option<i64> {
    text(config, name)?.parse().ok()
}

pub(crate) fn text<'a>(config: &'a ConfigResource, name: &str) -> Option<&'a str> {
    config.get(name)?.value.as_deref()
}

#[cfg(test)]
mod tests;
