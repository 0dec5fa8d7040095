use super::*;
use crate::testing::{assert_committed, on_a_broker, record, whole};
use crate::topic::ensure;

/// Publishes these ops of shard 0.
fn write(group: &mut Group, ops: std::ops::RangeInclusive<u64>, within: Duration) {
    let batch: Vec<Record> = ops.map(|op| record(0, op)).collect();
    let entries = batch
        .iter()
        .map(|record| (record, Entry::decode(&record.payload).unwrap()))
        .collect();
    group.write(&entries, Instant::now() + within).unwrap();
}

#[test]
fn an_end_that_lies_before_what_was_committed_is_not_believed() {
    let Some(settings) = on_a_broker("an old end", 1) else {
        return;
    };
    let reader = Reader::to_look(&settings).unwrap();
    let topic = ensure(&settings, &reader).unwrap();
    let mut group = Group::open(&settings, 0, [0].into_iter(), topic).unwrap();
    let second = Duration::from_secs(1);
    let soon = || Instant::now() + second;
    group.settle(&reader, Instant::now() + 10 * second).unwrap();
    write(&mut group, 1..=3, 10 * second);
    // As if the markers of a commit up to op 5 were still on their way.
    group.tails.insert(0, Tail::Mark(record(0, 5).mark()));
    group.unread = true;
    let fault = group.settle(&reader, soon()).unwrap_err();
    assert!(!fault.stops(), "{fault}");
    assert!(fault.to_string().contains("partition 0"), "{fault}");
    assert_eq!(group.tail(0), Tail::Mark(record(0, 5).mark()));
    write(&mut group, 4..=5, 10 * second);
    group.unread = true;
    group.settle(&reader, Instant::now() + 10 * second).unwrap();
    assert_eq!(group.tail(0), Tail::Mark(record(0, 5).mark()));
    assert_committed(&settings, &whole(1, 5), "what was published");
}

#[test]
fn errors_of_a_transaction_are_tried_again_or_aborted_or_end_the_producer() {
    let code = |code| Verdict::of(&KafkaError::MessageProduction(code));
    assert!(matches!(code(RDKafkaErrorCode::Fenced), Verdict::Fenced(_)));
    assert!(matches!(
        code(RDKafkaErrorCode::ProducerFenced),
        Verdict::Fenced(_)
    ));
    assert!(matches!(
        code(RDKafkaErrorCode::InvalidTransactionalState),
        Verdict::Broken(_)
    ));
    let late = KafkaError::Flush(RDKafkaErrorCode::OperationTimedOut);
    assert!(matches!(Verdict::of(&late), Verdict::Retry(_)));
    assert!(matches!(Verdict::of(&KafkaError::Canceled), Verdict::Broken(_)));
}
