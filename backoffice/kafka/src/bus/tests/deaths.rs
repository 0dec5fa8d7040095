//! Producers that die, and those that come after them.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::*;
use crate::testing::{assert_committed, on_a_broker, records, settings_of, whole};

/// Names the topic that a child process is to die over.
const CHILD: &str = "TIDEGATE_KAFKA_CHILD";

/// Sends a batch and does not ask for its commit. What was sent lies in the topic when this returns.
fn send_only(bus: &mut KafkaBus, batch: &[Record]) {
    let deadline = bus.deadline();
    bus.settle(batch, deadline).unwrap();
    let new = bus.sift(batch).unwrap();
    for (number, entries) in &new {
        let group = bus.groups.get_mut(number).unwrap();
        group.send(entries, deadline).unwrap();
        group.sent(deadline);
    }
}

#[test]
fn a_producer_that_is_dropped_between_send_and_commit_leaves_nothing_and_its_successor_publishes_each_op_once()
 {
    let Some(settings) = on_a_broker("a dropped producer", 2) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    bus.publish(&records(&[0, 1], 1..=5)).unwrap();
    send_only(&mut bus, &records(&[0, 1], 6..=60));
    drop(bus);
    assert_committed(&settings, &whole(2, 5), "before there is a successor");
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    assert_committed(&settings, &whole(2, 5), "what was sent was aborted");
    bus.publish(&records(&[0, 1], 3..=20)).unwrap();
    assert_committed(&settings, &whole(2, 20), "what was published");
}

#[test]
fn a_process_killed_between_send_and_commit_leaves_nothing_and_its_successor_publishes_each_op_once() {
    if let Ok(topic) = std::env::var(CHILD) {
        let mut bus = KafkaBus::open(settings_of(&topic, 2).unwrap(), 0..2).unwrap();
        bus.publish(&records(&[0, 1], 1..=5)).unwrap();
        send_only(&mut bus, &records(&[0, 1], 6..=60));
        println!("sent");
        std::thread::sleep(Duration::from_secs(60));
        panic!("nobody killed this process");
    }
    let Some(settings) = on_a_broker("a killed process", 2) else {
        return;
    };
    kill_once_sent(&settings.topic);
    assert_committed(&settings, &whole(2, 5), "before there is a successor");
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    bus.publish(&records(&[0, 1], 3..=20)).unwrap();
    assert_committed(&settings, &whole(2, 20), "what was published");
}

/// Runs this test again in a process of its own, and kills it (-9) when it has sent its batch.
fn kill_once_sent(topic: &str) {
    use std::io::{BufRead as _, BufReader};

    let name = std::thread::current().name().unwrap().to_owned();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([&name, "--exact", "--nocapture"])
        .env(CHILD, topic)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // The harness prints the test's name without an end of line before it.
    let sent = lines.map_while(Result::ok).any(|line| line.ends_with("sent"));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(sent, "the child ended before it had sent");
}

#[test]
fn an_aborted_batch_is_published_once_when_it_is_handed_in_again() {
    let Some(settings) = on_a_broker("an aborted batch", 2) else {
        return;
    };
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    for round in 0..10 {
        let first = round * 10 + 1;
        bus.publish(&records(&[0, 1], first..=first + 4)).unwrap();
        let batch = records(&[0, 1], first + 5..=first + 9);
        if round % 2 == 0 {
            send_only(&mut bus, &batch);
        } else {
            // Nothing has left when it is given up.
            let new = bus.sift(&batch).unwrap();
            let deadline = bus.deadline();
            bus.groups.get_mut(&0).unwrap().send(&new[&0], deadline).unwrap();
        }
        let deadline = bus.deadline();
        bus.groups.get_mut(&0).unwrap().give_up(deadline).unwrap();
        bus.publish(&batch).unwrap();
    }
    assert_committed(&settings, &whole(2, 100), "what was published");
}

#[test]
fn a_zombie_is_fenced_and_what_it_sent_is_not_there() {
    let Some(settings) = on_a_broker("a zombie", 2) else {
        return;
    };
    let mut zombie = KafkaBus::open(settings.clone(), 0..2).unwrap();
    zombie.publish(&records(&[0, 1], 1..=5)).unwrap();
    send_only(&mut zombie, &records(&[0, 1], 6..=9));
    let mut bus = KafkaBus::open(settings.clone(), 0..2).unwrap();
    bus.publish(&records(&[0, 1], 6..=7)).unwrap();
    let fenced = |outcome: Result<(), StoreError<Fault>>| match outcome {
        Err(StoreError::Failed(fault)) => {
            assert!(matches!(fault, Fault::Superseded { .. }), "{fault}");
            assert!(fault.stops());
        }
        other => panic!("{other:?}"),
    };
    let group = zombie.groups.get_mut(&0).unwrap();
    let deadline = Instant::now() + Duration::from_secs(10);
    fenced(
        group
            .commit_sent(Vec::new(), deadline)
            .map_err(StoreError::Failed),
    );
    fenced(zombie.publish(&records(&[0, 1], 8..=9)));
    bus.publish(&records(&[0, 1], 1..=12)).unwrap();
    assert_committed(&settings, &whole(2, 12), "what was published");
}

#[test]
fn a_zombie_between_transactions_is_fenced_at_its_next() {
    let Some(settings) = on_a_broker("a zombie between transactions", 1) else {
        return;
    };
    let mut zombie = KafkaBus::open(settings.clone(), [0]).unwrap();
    zombie.publish(&records(&[0], 1..=5)).unwrap();
    let mut bus = KafkaBus::open(settings.clone(), [0]).unwrap();
    for _ in 0..2 {
        let outcome = zombie.publish(&records(&[0], 6..=9));
        assert!(
            matches!(&outcome, Err(StoreError::Failed(Fault::Superseded { .. }))),
            "{outcome:?}"
        );
    }
    bus.publish(&records(&[0], 4..=8)).unwrap();
    assert_committed(&settings, &whole(1, 8), "what was published");
}

#[test]
fn a_transaction_that_was_open_too_long_ends_its_producer_and_a_new_one_goes_on() {
    let Some(settings) = on_a_broker("an old transaction", 1) else {
        return;
    };
    let settings = Settings {
        transaction_timeout: Duration::from_secs(1),
        call_timeout: Duration::from_secs(1),
        ..settings
    };
    let patient = Settings {
        transaction_timeout: Duration::from_secs(60),
        call_timeout: Duration::from_secs(10),
        ..settings.clone()
    };
    drop(KafkaBus::open(patient.clone(), [0]).unwrap());
    let mut bus = KafkaBus::open(settings, [0]).unwrap();
    send_only(&mut bus, &records(&[0], 1..=5));
    // The broker looks for such transactions every ten seconds.
    std::thread::sleep(Duration::from_secs(13));
    let group = bus.groups.get_mut(&0).unwrap();
    let outcome = group.commit_sent(Vec::new(), Instant::now() + Duration::from_secs(5));
    let fault = outcome.unwrap_err();
    assert!(fault.stops(), "{fault}");
    let mut bus = KafkaBus::open(patient.clone(), [0]).unwrap();
    bus.publish(&records(&[0], 1..=8)).unwrap();
    assert_committed(&patient, &whole(1, 8), "what was published");
}
