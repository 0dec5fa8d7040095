//! What brokers say of themselves and of the topic, for who is to judge it before a start.

use std::time::Instant;

use futures_executor::block_on;
use rdkafka::admin::{AdminClient, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::Consumer as _;
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::client::Ear;
use crate::reader::{Reader, left};
use crate::topic::{number, options, text};
use crate::{Fault, Settings};

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Brokers that the cluster has now.
    pub brokers: usize,
    /// None when it is to be made.
    pub topic: Option<TopicFacts>,
    /// Whether a transaction can be begun and ended, or why not.
    pub transactions: Result<(), String>,
}

/// How the topic is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFacts {
    /// Its partitions.
    pub partitions: usize,
    /// Replicas of the partition that has the fewest.
    pub replicas: usize,
    /// Partitions that have no leader now.
    pub leaderless: usize,
    /// `min.insync.replicas`, if it was told.
    pub min_insync: Option<i64>,
    /// Whether a broker that lacks entries may become a leader.
    pub unclean: bool,
    /// Whether it keeps everything.
    pub keeps_all: bool,
}

/// Asks brokers. Nothing is written but that the transactional id `...-doctor` was there; no group is fenced. Blocks, for two
/// `call_timeout`s at most.
///
/// # Errors
/// [`Fault`]: no broker answers, or the settings cannot be used.
pub fn facts(settings: &Settings) -> Result<Facts, Fault> {
    settings.check()?;
    let deadline = Instant::now() + settings.call_timeout;
    let reader = Reader::to_look(settings)?;
    let metadata = reader
        .consumer()
        .fetch_metadata(Some(&settings.topic), left(deadline))
        .map_err(|error| Fault::Again(format!("no broker of {} answers: {error}", settings.brokers)))?;
    let partitions = match metadata.topics().first() {
        Some(topic) if topic.error().is_none() => topic.partitions(),
        _ => &[],
    };
    let topic = match partitions {
        [] => None,
        partitions => {
            let set = of_topic(settings)?;
            Some(TopicFacts {
                partitions: partitions.len(),
                replicas: partitions
                    .iter()
                    .map(|one| one.replicas().len())
                    .min()
                    .unwrap_or(0),
                leaderless: partitions.iter().filter(|one| one.leader() < 0).count(),
                ..set
            })
        }
    };
    Ok(Facts {
        brokers: metadata.brokers().len(),
        topic,
        transactions: transact(settings),
    })
}

/// What the topic is set to; its partitions are not looked at.
fn of_topic(settings: &Settings) -> Result<TopicFacts, Fault> {
    let again = |why: String| {
        Fault::Again(format!(
            "the settings of the topic {} cannot be read: {why}",
            settings.topic
        ))
    };
    let admin = settings
        .client()
        .create::<AdminClient<DefaultClientContext>>()
        .map_err(|error| Fault::Settings(error.to_string()))?;
    let asked = [ResourceSpecifier::Topic(&settings.topic)];
    let answer = block_on(admin.describe_configs(&asked, &options(settings)))
        .map_err(|error| again(error.to_string()))?
        .into_iter()
        .next()
        .ok_or_else(|| again("no answer".into()))?
        .map_err(|code| again(code.to_string()))?;
    let forever = |name| number(&answer, name) == Some(-1);
    Ok(TopicFacts {
        partitions: 0,
        replicas: 0,
        leaderless: 0,
        min_insync: number(&answer, "min.insync.replicas"),
        unclean: text(&answer, "unclean.leader.election.enable") == Some("true"),
        keeps_all: forever("retention.ms")
            && forever("retention.bytes")
            && text(&answer, "cleanup.policy") == Some("delete"),
    })
}

/// Begins a transaction and gives it up, by an id of its own.
fn transact(settings: &Settings) -> Result<(), String> {
    let wait = settings.call_timeout;
    let producer: BaseProducer<Ear> = settings
        .producer(0, 1 << 20)
        .set(
            "transactional.id",
            format!("{}-doctor", settings.transactional_id),
        )
        .create_with_context(Ear::default())
        .map_err(|error| error.to_string())?;
    let done = producer
        .init_transactions(wait)
        .and_then(|()| producer.begin_transaction())
        .and_then(|()| producer.abort_transaction(wait));
    done.map_err(|error| match producer.context().complaint() {
        Some(complaint) => format!("{error} ({complaint})"),
        None => error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::ensure_topic;

    #[test]
    fn a_topic_that_was_made_here_is_found_as_it_was_made_and_a_missing_one_is_missing() {
        let Some(settings) = crate::testing::on_a_broker("facts", 3) else {
            return;
        };
        let found = facts(&settings).unwrap();
        assert_eq!(
            (found.brokers, found.topic, found.transactions),
            (1, None, Ok(()))
        );
        ensure_topic(&settings).unwrap();
        let topic = facts(&settings).unwrap().topic.unwrap();
        let expected = TopicFacts {
            partitions: 3,
            replicas: 1,
            leaderless: 0,
            min_insync: Some(1),
            unclean: false,
            keeps_all: true,
        };
        assert_eq!(topic, expected);
    }
}
