//! What a start finds, and what may be thrown away before it.

use crate::common::*;
use tidegate_node::{OpenError, checkpoint, open, segments};
use tidegate_shard_core::{Command, ShardId};

/// Places orders until every thread has closed a few segments.
pub fn fill(files: &mut Memory, opened: &mut tidegate_node::Opened, from: u64, count: u64) {
    for key in from..from + count {
        send(
            opened,
            key,
            NOW,
            place(key, &[["A0", "B0", "C0", "D0"][key as usize % 4]]),
        );
        settle(files, opened, NOW);
    }
}

/// Takes the checkpoint that is due, if one is.
pub fn take_checkpoint(files: &mut Memory, opened: &mut tidegate_node::Opened, thread: usize) -> bool {
    let Some(job) = opened.nodes[thread].checkpoint_due() else {
        return false;
    };
    let shard_config = |shard| config(4, 1).shard_config(shard, 4);
    let marks = checkpoint::run(files, &job, &shard_config).expect("it is made");
    opened.nodes[thread].checkpointed(&marks);
    true
}

pub fn open_shop(files: &mut Memory, threads: usize) -> tidegate_node::Opened {
    let mut opened = start(files, &config(4, threads));
    for (ticket, name) in ["A0", "B0", "C0", "D0"].into_iter().enumerate() {
        send(&mut opened, ticket as u64, NOW, put(name, 100_000));
    }
    settle(files, &mut opened, NOW);
    opened
}

pub fn ops(opened: &tidegate_node::Opened) -> Vec<(u16, u64, u64)> {
    let shards = opened.nodes.iter().flat_map(|node| node.shards());
    let mut ops: Vec<_> = shards
        .map(|shard| (shard.id().0, shard.op().0, shard.digest()))
        .collect();
    ops.sort_unstable();
    ops
}

#[test]
fn a_start_finds_every_shard_as_it_was() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 3);
    fill(&mut files, &mut opened, 100, 40);
    let before = ops(&opened);
    drop(opened);
    let opened = open(&mut files, &config(4, 3), &mut |_| {}).expect("it opens");
    assert_eq!(ops(&opened), before);
}

#[test]
fn another_number_of_threads_takes_the_shards_over() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 3);
    fill(&mut files, &mut opened, 100, 20);
    let before = ops(&opened);
    drop(opened);
    for threads in [1, 4, 2] {
        let opened = open(&mut files, &config(4, threads), &mut |_| {}).expect("it opens");
        assert_eq!(opened.nodes.len(), threads);
        assert_eq!(ops(&opened), before);
    }
}

#[test]
fn old_logs_go_once_the_store_has_applied_them() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 2);
    fill(&mut files, &mut opened, 100, 10);
    drop(opened);
    let mut opened = start(&mut files, &config(4, 3));
    assert!(opened.old_logs.bytes() > 0);
    let mut manifest = opened.manifest.clone();
    opened
        .old_logs
        .remove_applied(&mut files, &mut manifest, u64::from)
        .expect("memory");
    assert_eq!(manifest.layouts.len(), 2, "the store is behind");
    opened
        .old_logs
        .remove_applied(&mut files, &mut manifest, |_| u64::MAX)
        .expect("memory");
    assert_eq!(manifest.layouts.len(), 1);
    assert!(opened.old_logs.is_empty());
    let before = ops(&opened);
    drop(opened);
    assert_eq!(
        ops(&open(&mut files, &config(4, 3), &mut |_| {}).expect("it opens")),
        before
    );
}

#[test]
fn a_segment_goes_only_when_it_is_applied_and_checkpointed() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 60);
    let everything = apply_all;
    assert_eq!(opened.nodes[0].pop_freed(), None, "neither");
    everything(&mut opened);
    assert_eq!(opened.nodes[0].pop_freed(), None, "no checkpoint");
    assert!(take_checkpoint(&mut files, &mut opened, 0));
    assert_eq!(
        opened.nodes[0].pop_freed(),
        None,
        "were the only checkpoint damaged, the log would be needed"
    );
    fill(&mut files, &mut opened, 200, 20);
    everything(&mut opened);
    assert!(take_checkpoint(&mut files, &mut opened, 0));
    let log = opened.manifest.current().logs[0].log;
    let mut freed = 0;
    while let Some(segment) = opened.nodes[0].pop_freed() {
        segments::free(&mut files, log, segment).expect("memory");
        freed += 1;
    }
    assert!(freed > 0);
    sync(&mut files, &mut opened, 0);
    let before = ops(&opened);
    drop(opened);
    assert_eq!(
        ops(&open(&mut files, &config(4, 1), &mut |_| {}).expect("it opens")),
        before
    );
}

#[test]
fn a_damaged_record_that_was_acknowledged_stops_the_start_with_file_and_offset() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 5);
    drop(opened);
    let (_, segment) = files
        .files
        .iter_mut()
        .find(|(path, _)| path.ends_with("0000000001.seg"))
        .expect("a segment");
    segment[4096 + 60] ^= 1;
    let error = open(&mut files, &config(4, 1), &mut |_| {})
        .err()
        .expect("it does not open");
    assert!(matches!(error, OpenError::Log(_)));
    let text = error.to_string();
    assert!(
        text.contains("0000000001.seg") && text.contains("offset"),
        "{text}"
    );
}

#[test]
fn a_directory_that_fed_no_store_takes_one_and_is_then_refused_to_any_other() {
    let mut files = Memory::default();
    drop(open_shop(&mut files, 1));
    let of = |store: &str| tidegate_node::OpenConfig {
        store: store.to_owned(),
        ..config(4, 1)
    };
    drop(open(&mut files, &of("mysql"), &mut |_| {}).unwrap());
    for other in ["sqlite", "none"] {
        assert!(matches!(
            open(&mut files, &of(other), &mut |_| {}),
            Err(OpenError::OtherStore { .. })
        ));
    }
    drop(open(&mut files, &of("mysql"), &mut |_| {}).unwrap());
}

#[test]
fn a_directory_without_its_manifest_is_refused() {
    let mut files = Memory::default();
    drop(open_shop(&mut files, 1));
    files.files.remove("MANIFEST");
    assert!(matches!(
        open(&mut files, &config(4, 1), &mut |_| {}),
        Err(OpenError::NoManifest)
    ));
}

#[test]
fn an_unknown_shard_is_not_here() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    opened.nodes[0].command(
        NOW,
        tidegate_node::Ticket(9),
        ShardId(99),
        Command::ReadStock { sku: sku("A0") },
    );
    let answers = answers(&mut opened.nodes[0]);
    let (_, answer) = answers.last().expect("answered");
    assert_eq!(
        *answer,
        tidegate_node::Answer::Unavailable(tidegate_node::Unavailable::NotHere)
    );
}
