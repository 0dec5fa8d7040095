//! What the data directory costs when the process starts again and again, and nothing is ever applied.

use crate::common::*;
use crate::restart::{fill, open_shop, ops, take_checkpoint};
use tidegate_log::BLOCK;

/// Bytes of all segments, spares aside.
fn log_bytes(files: &Memory) -> u64 {
    let logs = files.files.iter().filter(|(path, _)| path.starts_with("logs/"));
    logs.map(|(_, bytes)| bytes.len() as u64).sum()
}

#[test]
fn a_restart_costs_what_it_writes_and_not_a_segment() {
    let mut files = Memory::default();
    let mut config = config(4, 1);
    config.segment_bytes = 1 << 20;
    let mut opened = start(&mut files, &config);
    let first = log_bytes(&files);
    for _ in 0..50 {
        drop(opened);
        opened = start(&mut files, &config);
    }
    // A header and one batch of start entries each; the last start's own segment, and the one it prepared, are whole.
    let each = 2 * BLOCK as u64;
    assert!(
        log_bytes(&files) <= first + 50 * each,
        "{} bytes",
        log_bytes(&files)
    );
    let before = ops(&opened);
    drop(opened);
    assert_eq!(ops(&start_again(&mut files, &config)), before);
}

fn start_again(files: &mut Memory, config: &tidegate_node::OpenConfig) -> tidegate_node::Opened {
    tidegate_node::open(files, config, &mut |_| {}).expect("it opens")
}

#[test]
fn after_many_restarts_a_start_reads_only_what_the_last_checkpoint_left() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    for round in 0..30 {
        fill(&mut files, &mut opened, 1000 * (round + 1), 2);
        take_checkpoint(&mut files, &mut opened, 0);
        drop(opened);
        opened = start(&mut files, &config(4, 1));
    }
    let before = ops(&opened);
    drop(opened);
    let opened = start_again(&mut files, &config(4, 1));
    assert_eq!(ops(&opened), before);
    assert!(opened.recovered.skipped_segments > 25, "{:?}", opened.recovered);
    assert!(opened.recovered.records < 60, "{:?}", opened.recovered);
}

#[test]
fn a_change_of_threads_too_many_is_refused_and_the_last_number_goes_on() {
    let mut files = Memory::default();
    let mut before = ops(&open_shop(&mut files, 1));
    for nth in 1..tidegate_log::limits::LAYOUTS_MAX {
        let mut config = config(4, 1 + nth % 2);
        config.entropy = nth as u64 * 1000;
        let opened = start(&mut files, &config);
        assert_eq!(opened.manifest.layouts.len(), nth + 1);
        before = ops(&opened);
    }
    let last = 1 + (tidegate_log::limits::LAYOUTS_MAX - 1) % 2;
    let refused = tidegate_node::open(&mut files, &config(4, 3), &mut |_| {})
        .map(drop)
        .expect_err("one more");
    assert!(
        refused.to_string().contains(&format!("{last} threads")),
        "{refused}"
    );
    assert_eq!(ops(&start_again(&mut files, &config(4, last))), before);
}

#[test]
fn the_bytes_of_earlier_layouts_count_against_the_backlog() {
    let mut files = Memory::default();
    let mut opened = open_shop(&mut files, 1);
    fill(&mut files, &mut opened, 100, 30);
    let owed = opened.nodes[0].owed_bytes();
    drop(opened);
    let mut config = config(4, 2);
    config.node.backlog_bytes_max = owed / 4;
    let mut opened = start(&mut files, &config);
    let old = opened.old_logs.bytes();
    assert!(old >= owed, "{old} of {owed}");
    let both: u64 = opened.nodes.iter().map(|node| node.owed_bytes()).sum();
    assert!(both >= old && both < old + 100_000);
    let thread = send(&mut opened, 9000, NOW, place(9000, &["A0"]));
    let refused = answers(&mut opened.nodes[thread]);
    let backlog = tidegate_node::Answer::Unavailable(tidegate_node::Unavailable::Backlog);
    assert_eq!(refused.last(), Some(&(9000, backlog)));
    // Once the store has applied them they are gone.
    let mut manifest = opened.manifest.clone();
    let gone = opened
        .old_logs
        .remove_applied(&mut files, &mut manifest, |_| u64::MAX);
    gone.expect("memory");
    opened.nodes[thread].set_old_bytes(opened.old_logs.bytes());
    send(&mut opened, 9001, NOW, place(9001, &["A0"]));
    sync(&mut files, &mut opened, thread);
    assert_eq!(orders(&mut opened.nodes[thread]).len(), 1);
}
