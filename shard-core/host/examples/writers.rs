//! Compares the two disk writers: `cargo run --release -p tidegate-host --example writers [DIR] [SECONDS]`.
//!
//! Each commit writes one batch to a pre-allocated, zeroed segment and syncs it. "thread CPU" is what the
//! committing thread used, "core CPU" what its core was busy in all (interrupts and kernel workers too), so
//! run it on a quiet machine. The writers alternate, and medians over the rounds are printed. glommio's executor polls
//! for its completions and was seen to poll for ever on a machine that is busy with other work: the run as a whole has a
//! bound, past which it ends with status 1.

use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use tidegate_host::disk::{self, DiskWriter, Selected};
use tidegate_log::{AlignedBuf, SegmentNumber};

const SEGMENT_BYTES: usize = 32 << 20;
const ROUNDS: usize = 5;

const BATCHES: [usize; 3] = [4096, 16384, 65536];

struct Sample {
    commits_per_s: f64,
    thread_us: f64,
    core_us: f64,
    p50_us: f64,
    p99_us: f64,
}

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args
        .next()
        .map_or_else(|| std::env::temp_dir().join("tidegate-writers"), PathBuf::from);
    let seconds: f64 = args.next().and_then(|s| s.parse().ok()).unwrap_or(0.5);
    // Both writers, and as much again; preparing a segment may take a second.
    let measured = seconds * (2 * 2 * BATCHES.len() * ROUNDS) as f64;
    let bound = Duration::from_secs_f64(measured + 60.0);
    let (done, is_done) = channel();
    std::thread::spawn(move || {
        compare(&dir, seconds);
        _ = done.send(());
    });
    if is_done.recv_timeout(bound).is_err() {
        eprintln!("no end after {bound:.0?}: a writer hangs or failed; the rows above are sound");
        std::process::exit(1);
    }
}

fn compare(dir: &Path, seconds: f64) {
    std::fs::create_dir_all(dir).expect("the directory can be made");
    pin_to_core_0();

    let mut writers = vec![Selected::Direct];
    match disk::glommio::probe() {
        Ok(()) => writers.push(Selected::Glommio),
        Err(why) => println!("glommio left out: {why}"),
    }
    println!("| writer | batch | commits/s | thread CPU us | core CPU us | p50 us | p99 us |");
    println!("|---|---|---|---|---|---|---|");
    for batch in BATCHES {
        let mut samples: Vec<Vec<Sample>> = writers.iter().map(|_| Vec::new()).collect();
        let mut names = vec![""; writers.len()];
        for _ in 0..ROUNDS {
            for (i, selected) in writers.iter().enumerate() {
                prepare(dir);
                let mut writer = disk::open(*selected, dir).expect("the writer opens");
                names[i] = writer.name();
                samples[i].push(measure(writer.as_mut(), batch, seconds));
            }
        }
        for (name, samples) in names.iter().zip(&samples) {
            println!(
                "| {name} | {batch} | {:.0} | {:.1} | {:.1} | {:.0} | {:.0} |",
                median(samples, |s| s.commits_per_s),
                median(samples, |s| s.thread_us),
                median(samples, |s| s.core_us),
                median(samples, |s| s.p50_us),
                median(samples, |s| s.p99_us),
            );
        }
    }
    _ = std::fs::remove_dir_all(dir);
}

fn prepare(dir: &Path) {
    let path = dir.join(SegmentNumber(1).file_name());
    if path.exists() {
        return;
    }
    std::fs::write(&path, vec![0; SEGMENT_BYTES]).expect("the segment can be written");
    std::fs::File::open(&path)
        .and_then(|file| file.sync_all())
        .expect("the segment can be synced");
}

fn measure(writer: &mut dyn DiskWriter, batch: usize, seconds: f64) -> Sample {
    let mut bytes = AlignedBuf::zeroed(batch);
    bytes.fill(0x5a);
    let mut offset = 4096;
    let mut latencies = Vec::new();
    writer
        .write(SegmentNumber(1), 4096, &bytes)
        .expect("the disk writes");
    let (start, thread, core) = (Instant::now(), thread_cpu(), core_0_cpu());
    while start.elapsed().as_secs_f64() < seconds {
        let begin = Instant::now();
        writer
            .write(SegmentNumber(1), offset as u32, &bytes)
            .expect("the disk writes");
        latencies.push(begin.elapsed());
        offset += batch;
        if offset + batch > SEGMENT_BYTES {
            offset = 4096;
        }
    }
    let (elapsed, thread, core) = (start.elapsed(), thread_cpu() - thread, core_0_cpu() - core);
    latencies.sort();
    let commits = latencies.len() as f64;
    let at = |q: f64| latencies[((commits - 1.0) * q) as usize].as_nanos() as f64 / 1000.0;
    Sample {
        commits_per_s: commits / elapsed.as_secs_f64(),
        thread_us: thread.as_nanos() as f64 / 1000.0 / commits,
        core_us: core.as_nanos() as f64 / 1000.0 / commits,
        p50_us: at(0.5),
        p99_us: at(0.99),
    }
}

fn median(samples: &[Sample], of: impl Fn(&Sample) -> f64) -> f64 {
    let mut values: Vec<f64> = samples.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn pin_to_core_0() {
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(0);
    rustix::thread::sched_setaffinity(None, &cores).expect("core 0 is there");
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Busy time of core 0 since boot: all columns of /proc/stat but idle and iowait, in ticks of 10 ms.
fn core_0_cpu() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat
        .lines()
        .find(|line| line.starts_with("cpu0 "))
        .unwrap_or_default();
    let ticks: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|n| n.parse().ok())
        .collect();
    let busy: u64 = ticks
        .iter()
        .enumerate()
        .filter(|(i, _)| !matches!(i, 3 | 4 | 8 | 9))
        .map(|(_, n)| n)
        .sum();
    Duration::from_millis(busy * 10)
}
