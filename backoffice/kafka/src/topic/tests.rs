use super::*;
use crate::testing::{make_topic_with, on_a_broker};

#[test]
fn a_missing_topic_is_made_with_a_partition_a_shard_and_another_number_is_refused() {
    let Some(settings) = on_a_broker("a missing topic", 5) else {
        return;
    };
    ensure_topic(&settings).unwrap();
    ensure_topic(&settings).unwrap();
    let reader = Reader::to_look(&settings).unwrap();
    let deadline = Instant::now() + settings.call_timeout;
    assert_eq!(reader.partitions(deadline), Ok(Some(5)));
    let more = Settings {
        shards: 6,
        ..settings
    };
    let fault = ensure_topic(&more).unwrap_err();
    assert!(fault.stops());
    let text = fault.to_string();
    assert!(
        text.contains("5 partitions") && text.contains("6 shards"),
        "{text}"
    );
}

#[test]
fn a_topic_that_counts_fewer_replicas_than_asked_for_is_refused() {
    let Some(settings) = on_a_broker("few replicas", 1) else {
        return;
    };
    make_topic_with(&settings, "min.insync.replicas", "1");
    let careful = Settings {
        replication: 3,
        min_insync_replicas: 2,
        ..settings
    };
    let text = ensure_topic(&careful).unwrap_err().to_string();
    assert!(text.contains("min.insync.replicas 1"), "{text}");
}

#[test]
fn brokers_that_are_not_there_are_a_fault_that_may_pass() {
    let settings = Settings {
        // Nothing listens on the discard port of loopback.
        brokers: "127.0.0.1:9".into(),
        call_timeout: Duration::from_secs(1),
        ..Settings::default()
    };
    let fault = ensure_topic(&settings).unwrap_err();
    assert!(!fault.stops(), "{fault}");
}
