//! Starts from a checkpoint: what is not read again, and what a damaged one costs.

use crate::common::*;
use crate::restart::{fill, open_shop, ops, take_checkpoint};
use tidegate_node::{OpenError, Opened, checkpoint, open, segments};

fn log_of(opened: &Opened) -> tidegate_log::LogId {
    opened.manifest.current().logs[0].log
}

/// A shop on one thread with two checkpoints and some log after them.
fn with_two_checkpoints(files: &mut Memory) -> Opened {
    let mut opened = open_shop(files, 1);
    for round in 1..3 {
        fill(files, &mut opened, round * 1000, 30);
        assert!(take_checkpoint(files, &mut opened, 0));
    }
    fill(files, &mut opened, 3000, 5);
    opened
}

fn reopened(files: &mut Memory) -> Opened {
    open(files, &config(4, 1), &mut |_| {}).expect("it opens")
}

fn flip(files: &mut Memory, path: &str) {
    let bytes = files.files.get_mut(path).expect("the file is there");
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
}

#[test]
fn a_start_reads_only_the_log_after_its_checkpoint() {
    let mut files = Memory::default();
    let before = ops(&with_two_checkpoints(&mut files));
    let entries: u64 = before.iter().map(|(_, op, _)| op).sum();
    let opened = reopened(&mut files);
    assert_eq!(ops(&opened), before);
    assert!(opened.recovered.skipped_segments > 5);
    assert!(opened.recovered.records * 3 < entries, "{:?}", opened.recovered);
    assert!(opened.warnings.is_empty());
}

#[test]
fn a_segment_that_a_checkpoint_covers_may_be_damaged_without_stopping_a_start() {
    let mut files = Memory::default();
    let opened = with_two_checkpoints(&mut files);
    let (before, log) = (ops(&opened), log_of(&opened));
    drop(opened);
    flip(&mut files, &segments::path(log, tidegate_log::SegmentNumber(1)));
    assert_eq!(ops(&reopened(&mut files)), before);
}

#[test]
fn a_damaged_checkpoint_is_passed_over_for_the_one_before_it_and_that_for_the_whole_log() {
    let mut files = Memory::default();
    let opened = with_two_checkpoints(&mut files);
    let (before, log) = (ops(&opened), log_of(&opened));
    drop(opened);
    let first = reopened(&mut files.clone()).recovered;
    flip(&mut files, &checkpoint::path(log));
    let opened = reopened(&mut files);
    assert_eq!(ops(&opened), before);
    assert!(opened.recovered.records > first.records);
    assert!(
        opened.warnings[0].contains(&checkpoint::path(log)),
        "{:?}",
        opened.warnings
    );
    drop(opened);
    assert!(
        !files.files.contains_key(&checkpoint::path(log)),
        "it must not become the one before the next"
    );
    flip(&mut files, &checkpoint::previous_path(log));
    let opened = reopened(&mut files);
    assert_eq!(ops(&opened), before);
    assert_eq!(opened.recovered.skipped_segments, 0);
}

#[test]
fn another_logs_checkpoint_in_its_place_is_passed_over() {
    let mut files = Memory::default();
    let opened = with_two_checkpoints(&mut files);
    let (before, log) = (ops(&opened), log_of(&opened));
    drop(opened);
    let mut elsewhere = Memory::default();
    let mut entropy = config(4, 1);
    entropy.entropy = 99;
    let mut other = start(&mut elsewhere, &entropy);
    send(&mut other, 1, NOW, put("A0", 100));
    fill(&mut elsewhere, &mut other, 100, 30);
    assert!(take_checkpoint(&mut elsewhere, &mut other, 0));
    let foreign = elsewhere.files[&checkpoint::path(log_of(&other))].clone();
    files.files.insert(checkpoint::path(log), foreign);
    let opened = reopened(&mut files);
    assert_eq!(ops(&opened), before);
    assert_eq!(opened.warnings.len(), 1);
}

#[test]
fn an_older_checkpoint_in_the_newest_ones_place_only_makes_the_start_longer() {
    let mut files = Memory::default();
    let opened = with_two_checkpoints(&mut files);
    let (before, log) = (ops(&opened), log_of(&opened));
    drop(opened);
    let older = files.files[&checkpoint::previous_path(log)].clone();
    files.files.insert(checkpoint::path(log), older);
    assert_eq!(ops(&reopened(&mut files)), before);
}

#[test]
fn a_start_without_a_sound_checkpoint_and_without_the_logs_beginning_is_refused() {
    let mut files = Memory::default();
    let mut opened = with_two_checkpoints(&mut files);
    let log = log_of(&opened);
    apply_all(&mut opened);
    let segment = opened.nodes[0].pop_freed().expect("both checkpoints hold it");
    segments::free(&mut files, log, segment).expect("memory");
    drop(opened);
    flip(&mut files, &checkpoint::path(log));
    reopened(&mut files.clone());
    flip(&mut files, &checkpoint::previous_path(log));
    let refused = open(&mut files, &config(4, 1), &mut |_| {})
        .err()
        .expect("it is refused");
    assert!(matches!(refused, OpenError::Checkpoint { .. }), "{refused}");
    assert!(refused.to_string().contains(&checkpoint::path(log)), "{refused}");
}

#[test]
fn logs_of_earlier_layouts_are_not_read_again() {
    let mut files = Memory::default();
    let before = ops(&with_two_checkpoints(&mut files));
    drop(open(&mut files, &config(4, 2), &mut |_| {}).expect("it opens"));
    let opened = open(&mut files, &config(4, 2), &mut |_| {}).expect("it opens");
    assert_eq!(ops(&opened), before);
    assert_eq!(opened.recovered.records, 0);
    assert!(opened.old_logs.bytes() > 0);
    let log = log_of(&opened);
    drop(opened);
    flip(&mut files, &checkpoint::path(log));
    assert_eq!(
        open(&mut files, &config(4, 2), &mut |_| {})
            .expect("it opens")
            .recovered
            .records,
        0
    );
    flip(&mut files, &checkpoint::previous_path(log));
    let opened = open(&mut files, &config(4, 2), &mut |_| {}).expect("it opens");
    assert_eq!(ops(&opened), before);
    assert!(opened.recovered.records > 0, "both copies were damaged");
    drop(opened);
    let again = open(&mut files, &config(4, 2), &mut |_| {}).expect("it opens");
    assert_eq!(again.recovered.records, 0, "the start made new ones");
}
