//! Whether entries can be published as they must be.

use tidegate_kafka::{Facts, Fault, Settings, TopicFacts};

use super::report::Check;

/// Replicas, and replicas that must have a batch, with which the loss of one broker loses nothing and stops nothing.
const REPLICAS: usize = 3;
const IN_SYNC: u16 = 2;

/// All that is judged; one check alone where no broker answers.
pub(super) fn checks(settings: &Settings, facts: &Result<Facts, Fault>) -> Vec<Check> {
    let facts = match facts {
        Ok(facts) => facts,
        Err(fault) => {
            return vec![Check::fail(
                "Kafka",
                "cannot be used",
                fault.to_string(),
                "start the brokers, correct kafka.brokers and kafka.more, or let the network through (their advertised.listeners as well)",
            )];
        }
    };
    let mut checks = vec![brokers(settings, facts.brokers)];
    match &facts.topic {
        Some(topic) => checks.extend([
            partitions(settings, topic),
            replicas(settings, topic),
            retention(settings, topic),
        ]),
        None => checks.push(missing(settings)),
    }
    checks.push(transactions(&facts.transactions));
    checks
}

fn brokers(settings: &Settings, brokers: usize) -> Check {
    let found = format!("{brokers} at {}", settings.brokers);
    match brokers < usize::from(settings.replication) {
        true => Check::fail(
            "Kafka brokers",
            found,
            format!("the topic is to have {} replicas", settings.replication),
            "start further brokers, or lower kafka.replication, which then survives fewer losses",
        ),
        false => Check::ok("Kafka brokers", found),
    }
}

fn missing(settings: &Settings) -> Check {
    let found = format!(
        "{} is to be made with {} partitions and {} replicas",
        settings.topic, settings.shards, settings.replication
    );
    match usize::from(settings.replication) < REPLICAS || settings.min_insync_replicas < IN_SYNC {
        true => few_replicas(found),
        false => Check::ok("Kafka topic", found),
    }
}

fn few_replicas(found: String) -> Check {
    Check::warn(
        "Kafka replicas",
        found,
        "a broker that is lost takes what was published with it, or stops the feed",
        "3 replicas of which 2 must have a batch (kafka.replication, kafka.min_insync_replicas), but for tests",
    )
}

fn partitions(settings: &Settings, topic: &TopicFacts) -> Check {
    let found = format!("{}, {} partitions", settings.topic, topic.partitions);
    if topic.partitions != usize::from(settings.shards) {
        return Check::fail(
            "Kafka topic",
            found,
            format!(
                "the shop has {} shards, and each has a partition",
                settings.shards
            ),
            "correct process.shards, or name another topic (kafka.topic)",
        );
    }
    match topic.leaderless {
        0 => Check::ok("Kafka topic", found),
        lost => Check::fail(
            "Kafka topic",
            found,
            format!("{lost} have no leader"),
            "start the brokers that have their replicas",
        ),
    }
}

fn replicas(settings: &Settings, topic: &TopicFacts) -> Check {
    let insync = topic
        .min_insync
        .map_or("unknown".into(), |number| number.to_string());
    let found = format!("{}, min.insync.replicas {insync}", topic.replicas);
    let raise = format!(
        "kafka-configs.sh --alter --topic {} --add-config min.insync.replicas={}",
        settings.topic, settings.min_insync_replicas
    );
    if topic
        .min_insync
        .is_none_or(|number| number < i64::from(settings.min_insync_replicas))
    {
        let asked = format!("{} are asked for", settings.min_insync_replicas);
        return Check::fail("Kafka replicas", found, asked, raise);
    }
    if topic.unclean {
        return Check::fail(
            "Kafka replicas",
            found,
            "a broker that lacks entries may become the leader (unclean.leader.election.enable)",
            format!(
                "kafka-configs.sh --alter --topic {} --add-config unclean.leader.election.enable=false",
                settings.topic
            ),
        );
    }
    match topic.replicas < REPLICAS || topic.min_insync < Some(i64::from(IN_SYNC)) {
        true => few_replicas(found),
        false => Check::ok("Kafka replicas", found),
    }
}

fn retention(settings: &Settings, topic: &TopicFacts) -> Check {
    match topic.keeps_all {
        true => Check::ok("Kafka retention", "everything is kept"),
        false => Check::warn(
            "Kafka retention",
            "the topic forgets",
            "a store that is behind its oldest entry cannot go on",
            format!(
                "kafka-configs.sh --alter --topic {} --add-config retention.ms=-1,retention.bytes=-1,cleanup.policy=delete",
                settings.topic
            ),
        ),
    }
}

fn transactions(done: &Result<(), String>) -> Check {
    match done {
        Ok(()) => Check::ok("Kafka transactions", "one was begun and given up"),
        Err(why) => Check::fail(
            "Kafka transactions",
            "not possible",
            why.as_str(),
            "let the user write with transactional ids that begin with kafka.transactional_id; a cluster of fewer than 3 brokers needs transaction.state.log.replication.factor and .min.isr lowered",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::Verdict::{self, Fail, Ok, Warn};
    use super::*;

    fn good() -> Facts {
        Facts {
            brokers: 3,
            topic: Some(TopicFacts {
                partitions: 64,
                replicas: 3,
                leaderless: 0,
                min_insync: Some(2),
                unclean: false,
                keeps_all: true,
            }),
            transactions: Result::Ok(()),
        }
    }

    /// The worst verdict of brokers that are good but for one thing.
    fn worst(change: impl FnOnce(&mut Facts, &mut TopicFacts, &mut Settings)) -> Verdict {
        let (mut facts, mut settings) = (good(), Settings::default());
        let mut topic = facts.topic.take().unwrap();
        change(&mut facts, &mut topic, &mut settings);
        facts.topic = Some(topic);
        let checks = checks(&settings, &Result::Ok(facts));
        for check in &checks {
            assert_eq!(check.verdict == Ok, check.remedy.is_empty(), "{check}");
        }
        checks.iter().map(|check| check.verdict).max().unwrap()
    }

    #[test]
    fn good_brokers_pass_and_each_thing_that_is_wrong_is_judged_by_what_it_costs() {
        assert_eq!(worst(|_, _, _| ()), Ok);
        assert_eq!(worst(|facts, _, _| facts.brokers = 2), Fail);
        assert_eq!(worst(|facts, _, _| facts.transactions = Err("no".into())), Fail);
        assert_eq!(worst(|_, topic, _| topic.partitions = 63), Fail);
        assert_eq!(worst(|_, topic, _| topic.leaderless = 1), Fail);
        assert_eq!(worst(|_, topic, _| topic.min_insync = Some(1)), Fail);
        assert_eq!(worst(|_, topic, _| topic.min_insync = None), Fail);
        assert_eq!(worst(|_, topic, _| topic.unclean = true), Fail);
        assert_eq!(worst(|_, topic, _| topic.replicas = 2), Warn);
        assert_eq!(worst(|_, topic, _| topic.keeps_all = false), Warn);
        let one_broker = |facts: &mut Facts, topic: &mut TopicFacts, settings: &mut Settings| {
            facts.brokers = 1;
            (topic.replicas, topic.min_insync) = (1, Some(1));
            (settings.replication, settings.min_insync_replicas) = (1, 1);
        };
        assert_eq!(worst(one_broker), Warn, "it is asked for, and said what it means");
    }

    #[test]
    fn a_topic_that_is_to_be_made_is_no_fault() {
        let mut facts = good();
        facts.topic = None;
        let checks = checks(&Settings::default(), &Result::Ok(facts));
        assert!(checks.iter().all(|check| check.verdict == Ok));
        assert!(checks.iter().any(|check| check.found.contains("64 partitions")));
    }

    #[test]
    fn brokers_that_nobody_reaches_are_one_failing_line() {
        let checks = checks(&Settings::default(), &Err(Fault::Again("no broker".into())));
        assert_eq!((checks.len(), checks[0].verdict), (1, Fail));
        assert!(checks[0].remedy.contains("kafka.brokers"));
    }
}
