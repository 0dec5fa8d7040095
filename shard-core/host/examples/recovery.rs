//! How long a start takes on a directory that retains everything: from its checkpoint, and without one.
//! `cargo run --release -p tidegate-host --example recovery [ENTRIES] [DIR]`
//!
//! The orders go through the real node and the real files; nothing is synced while they are made.

use std::path::{Path, PathBuf};
use std::time::Instant;

use tidegate_host::os_files::OsFiles;
use tidegate_node::{Files, OpenConfig, Opened, Ticket, checkpoint, open, segments};
use tidegate_shard_core::ids::EPOCH;
use tidegate_shard_core::{
    Buyer, Caller, Command, KeyHash, Line, Lines, Millis, Place, PutSku, SkuName, body_hash, home_shard,
};

const SHARDS: u16 = 64;
const SKUS: u64 = 1000;
const BATCH: u64 = 64;

fn main() {
    let mut args = std::env::args().skip(1);
    let entries: u64 = args.next().and_then(|n| n.parse().ok()).unwrap_or(3_000_000);
    let dir = args
        .next()
        .map_or_else(|| std::env::temp_dir().join("tidegate-recovery"), PathBuf::from);
    _ = std::fs::remove_dir_all(&dir);
    std::fs::create_dir_all(&dir).expect("the directory can be made");
    fill(&dir, entries);
    let (opened, took) = start(&dir);
    report("from the checkpoint", &opened, took);
    let digests = digests(&opened);
    drop(opened);
    std::fs::remove_dir_all(dir.join("checkpoints")).expect("they are there");
    let (opened, took) = start(&dir);
    report("from the whole log", &opened, took);
    assert_eq!(self::digests(&opened), digests);
    _ = std::fs::remove_dir_all(&dir);
}

fn config() -> OpenConfig {
    let mut config = OpenConfig::new(SHARDS, 1);
    config.segment_bytes = 16 << 20;
    config.entropy = 7;
    config.node.backlog_bytes_max = u64::MAX;
    config
}

fn start(dir: &Path) -> (Opened, f64) {
    let begun = Instant::now();
    let opened = open(&mut OsFiles::new(dir), &config(), &mut |_| {});
    let opened = opened.unwrap_or_else(|error| panic!("{error}"));
    (opened, begun.elapsed().as_secs_f64())
}

fn report(what: &str, opened: &Opened, seconds: f64) {
    println!(
        "{what}: {seconds:.2} s, {} entries read, {} segments not",
        opened.recovered.records, opened.recovered.skipped_segments
    );
}

fn digests(opened: &Opened) -> Vec<(u64, u64)> {
    let shards = opened.nodes.iter().flat_map(|node| node.shards());
    shards.map(|shard| (shard.op().0, shard.digest())).collect()
}

/// Orders, each cancelled at once, so that what is open stays small and the log does not.
fn fill(dir: &Path, entries: u64) {
    let mut files = OsFiles::new(dir);
    let (mut opened, _) = start(dir);
    let log = opened.manifest.current().logs[0].log;
    let node = &mut opened.nodes[0];
    let mut now = Millis(EPOCH.0 + 1_000_000_000);
    node.start(now);
    let command = |node: &mut tidegate_node::Node, now, command: Command| {
        let shard = home_shard(&command, SHARDS);
        node.command(now, Ticket(0), shard, command);
    };
    for nth in 0..SKUS {
        let mut put = PutSku::new(sku(nth));
        (put.price, put.currency, put.stock) = (Some(100), Some(*b"CNY"), Some(1 << 40));
        command(node, now, Command::PutSku(put.into()));
    }
    let (mut number, mut made) = (0, 0);
    while made < entries {
        now = now.after(1);
        for _ in 0..BATCH {
            number += 1;
            command(node, now, order(number));
        }
        write(&mut files, node, log);
        let placed = std::iter::from_fn(|| node.pop_output()).filter_map(|output| match output {
            tidegate_node::Output::Reply {
                answer: tidegate_node::Answer::Decided(tidegate_shard_core::Outcome::Order(view)),
                ..
            } if !view.repeated => Some(view.id),
            _ => None,
        });
        for order in placed.collect::<Vec<_>>() {
            let caller = Caller::Operator;
            command(node, now, Command::Cancel { order, caller });
        }
        write(&mut files, node, log);
        std::iter::from_fn(|| node.pop_output()).for_each(drop);
        if let Some(job) = node.checkpoint_due() {
            let config = config();
            let shard_config = |shard| config.shard_config(shard, SHARDS);
            let marks = checkpoint::run(&mut files, &job, &shard_config);
            node.checkpointed(&marks.unwrap_or_else(|error| panic!("{error}")));
        }
        made = node.appender().last().0;
    }
    println!("{made} entries, {} MB of log", node.owed_bytes() / 1_000_000);
}

fn write(files: &mut OsFiles, node: &mut tidegate_node::Node, log: tidegate_log::LogId) {
    loop {
        while let Some(segment) = node.need_segment() {
            segments::prepare(files, log, &segment).expect("there is room");
            node.segment_ready(segment.number);
        }
        let Some(batch) = node.seal() else { return };
        let path = segments::path(log, batch.segment);
        files
            .write_at(&path, u64::from(batch.offset), &batch.bytes)
            .expect("the segment is there");
        node.synced(batch);
    }
}

fn sku(nth: u64) -> SkuName {
    SkuName::parse(format!("SKU-{nth}").as_bytes()).expect("a name")
}

fn order(number: u64) -> Command {
    let lines: Lines = [Line {
        sku: sku(number % SKUS),
        qty: 1,
    }]
    .into_iter()
    .collect();
    let key = u128::from(number).to_le_bytes();
    Command::Place(Place {
        buyer: Buyer(key),
        subject: "user-12345678".into(),
        key: KeyHash(key),
        body: body_hash(&lines),
        lines,
    })
}
