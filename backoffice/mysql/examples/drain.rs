//! How fast a store takes a log in, and what it costs: `TIDEGATE_TEST_MYSQL=mysql://... cargo run --release -p tidegate-mysql --example drain`.
//!
//! Prepares the entries of a shop (orders of one or two lines, half of them paid, some cancelled, each some thousand entries after it was
//! placed), and has a store of its own take them in batches as the feed makes them. The server keeps its own durability.

#[path = "../tests/support/database.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod database;
#[path = "../tests/support/shop.rs"]
#[allow(dead_code, reason = "the tests need more of it")]
mod shop;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use database::Scratch;
use shop::Shop;
use tidegate_follow::{BATCH_RECORDS_MAX, Record, Store};

const ENTRIES: usize = 200_000;
/// Orders that are open at a time: what is paid was not placed in the same batch.
const OPEN: usize = 3_000;

fn main() {
    let entries = std::env::args()
        .nth(1)
        .map_or(ENTRIES, |word| word.parse().expect("a number of entries"));
    let batch = std::env::args().nth(2).map_or(BATCH_RECORDS_MAX, |word| {
        word.parse().expect("a number of records")
    });
    let Some(scratch) = Scratch::make() else { return };
    let log = prepare(entries);
    let mut store = scratch.open();
    let server = server_stat(&scratch);
    let (client_before, server_before) = (cpu(&"/proc/self/stat".into()), server.as_ref().map(cpu));
    let begun = Instant::now();
    let mut slowest = Duration::ZERO;
    for batch in log.chunks(batch) {
        let batch_begun = Instant::now();
        store.apply(batch).expect("the store takes it");
        slowest = slowest.max(batch_begun.elapsed());
    }
    let took = begun.elapsed();
    let each = |cpu: Duration| cpu.as_secs_f64() * 1e6 / log.len() as f64;
    let client = cpu(&"/proc/self/stat".into()) - client_before;
    println!(
        "{} entries in {:.2} s: {:.0} entries/s, batches of {batch}, the slowest {} ms",
        log.len(),
        took.as_secs_f64(),
        log.len() as f64 / took.as_secs_f64(),
        slowest.as_millis()
    );
    println!("CPU an entry: client {:.1} us", each(client));
    match (&server, server_before) {
        (Some(stat), Some(before)) => println!("CPU an entry: server {:.1} us", each(cpu(stat) - before)),
        _ => println!("CPU an entry: the server is not on this machine"),
    }
    for (what, sql) in [
        ("orders", "SELECT status, count(*) FROM orders GROUP BY status"),
        ("lines", "SELECT count(*) FROM order_lines"),
        ("steps of history", "SELECT count(*) FROM history"),
        (
            "server, flush at commit, binary log, its sync",
            "SELECT @@version, @@innodb_flush_log_at_trx_commit, @@log_bin, @@sync_binlog",
        ),
    ] {
        println!("{what}: {}", scratch.rows(sql).join("; "));
    }
}

fn prepare(entries: usize) -> Vec<Record> {
    let mut shop = Shop::new(8, 1);
    let mut orders = 0;
    while shop.log.len() < entries {
        if shop.place().is_none() {
            continue;
        }
        orders += 1;
        if orders > OPEN {
            match orders % 10 {
                0..=4 => shop.pay(),
                5 => shop.cancel(),
                _ => {}
            }
        }
        if orders % 200 == 0 {
            shop.pass(10);
        }
    }
    shop.log.truncate(entries);
    shop.log
}

/// Where the server's CPU time is counted, if it runs here and says its process.
fn server_stat(scratch: &Scratch) -> Option<PathBuf> {
    let file = scratch.rows("SELECT @@pid_file").concat();
    let pid = std::fs::read_to_string(file.trim_matches('\'')).ok()?;
    Some(format!("/proc/{}/stat", pid.trim()).into())
}

/// User and system time of a process.
fn cpu(stat: &PathBuf) -> Duration {
    let text = std::fs::read_to_string(stat).expect("the process runs");
    let (_, after_name) = text.rsplit_once(") ").expect("a name in parentheses");
    let field = |at: usize| -> u64 {
        let word = after_name.split(' ').nth(at).expect("a field");
        word.parse().expect("a number")
    };
    let ticks = field(11) + field(12);
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}
