//! Start and stop of the shard threads.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::thread::JoinHandle;

use tidegate_link::Bell;
use tidegate_link::mesh::{Mesh, Plan};
use tidegate_log::{Manifest, ShardMark};
use tidegate_node::{OpenConfig, Opened, open};
use tidegate_shard_core::{ShardConfig, ShardId};

use crate::clock::Clock;
use crate::config::HostConfig;
use crate::disk::{self, Selected};
use crate::feed::{Feeder, HostFeed};
use crate::keeper::{self, Keepers, Mailbox, Notice, Old};
use crate::knobs::Knobs;
use crate::limits;
use crate::lock::Lock;
use crate::os_files::OsFiles;
use crate::port::NetPort;
use crate::scrub::ScrubStats;
use crate::shared::Shared;
use crate::start_error::StartError;
use crate::stats::ThreadStats;

mod spawn;

use spawn::spawn_threads;

/// Shards of a new data directory, unless configured.
const SHARDS_DEFAULT: u16 = 64;

/// How a start comes along; for a line on the terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// One line for the operator.
    Line(String),
    /// Log read so far.
    Recovered {
        /// Records.
        records: u64,
        /// Bytes of their payloads.
        bytes: u64,
    },
}

/// Why the host no longer serves: a failed write or sync. It is never retried; the process has to end.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The shard thread.
    pub thread: usize,
    /// One line for the operator.
    pub text: String,
}

/// The running shard threads.
#[derive(Debug)]
pub struct Host {
    shared: Arc<Shared>,
    bells: Vec<Arc<Bell>>,
    mailboxes: Vec<Mailbox>,
    threads: Vec<JoinHandle<()>>,
    /// Dropped at the stop: the keepers end with the last of their senders.
    keepers: Option<Keepers>,
    keeper_threads: Vec<JoinHandle<()>>,
    scrub: Arc<ScrubStats>,
    data_dir: PathBuf,
    manifest: Manifest,
    _lock: Lock,
}

impl Host {
    /// Locks the data directory, recovers it, and starts the shard threads. Returns one port for each of
    /// `nets` net threads. Blocks until the shards serve; `progress` is called on the way.
    pub fn start(
        config: HostConfig,
        nets: usize,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(Host, Vec<NetPort>), StartError> {
        check(&config, nets)?;
        create_data_dir(&config)?;
        let lock = Lock::take(&config.data_dir)?;
        let (selected, note) = disk::select(config.writer);
        note.into_iter().for_each(|line| progress(Progress::Line(line)));
        let open_config = Arc::new(open_config(&config)?);
        let opened = open(&mut OsFiles::new(&config.data_dir), &open_config, &mut |now| {
            progress(Progress::Recovered {
                records: now.records,
                bytes: now.bytes,
            });
        })
        .map_err(|error| StartError::Open {
            data_dir: config.data_dir.clone(),
            error,
        })?;
        for line in &opened.warnings {
            progress(Progress::Line(line.clone()));
        }
        let (records, bytes) = (opened.recovered.records, opened.recovered.bytes);
        progress(Progress::Recovered { records, bytes });
        let clock = Clock::start(opened.last_time, config.allow_clock_jump).map_err(StartError::ClockJump)?;
        serve(
            Starting {
                config: &config,
                selected,
                open_config,
                opened,
                clock,
            },
            nets,
            lock,
        )
    }

    /// Stops: what was accepted is answered (within 10 s), the logs are synced, the threads end. The ports
    /// must still be drained meanwhile by their owners, or be dropped.
    pub fn stop(mut self) -> Result<(), Failure> {
        self.join();
        match self.failure() {
            Some(failure) => Err(failure),
            None => Ok(()),
        }
    }

    fn join(&mut self) {
        self.shared.stop(&self.bells);
        // A panic was reported as a failure by the thread itself.
        self.threads.drain(..).for_each(|thread| _ = thread.join());
        self.keepers = None;
        self.keeper_threads.drain(..).for_each(|thread| _ = thread.join());
    }

    /// The figures of each shard thread.
    pub fn stats(&self) -> Vec<Arc<ThreadStats>> {
        self.shared.stats.clone()
    }

    /// What may change while it runs.
    pub fn knobs(&self) -> Arc<Knobs> {
        Arc::clone(&self.shared.knobs)
    }

    /// The figures of scrubbing.
    pub fn scrub_stats(&self) -> Arc<ScrubStats> {
        Arc::clone(&self.scrub)
    }

    /// Set once the log cannot go on: no more is acknowledged, and the process should exit non-zero.
    pub fn failure(&self) -> Option<Failure> {
        self.shared.failure()
    }

    /// Number of shards of the data directory.
    pub fn shards(&self) -> u16 {
        self.shared.shards()
    }

    /// A feed for a store that has each shard up to its mark, those that [`HostConfig::marks`] named at the start. The log is
    /// told of them at once. Drop it before [`Host::stop`], which waits for it. `None` once the host has stopped.
    pub fn feed(&self, marks: &[ShardMark]) -> Option<HostFeed> {
        Some(self.feeder()?.feed(marks))
    }

    /// As [`Host::feed`], for a bus with a store behind it; see [`Feeder::feed_of_bus`].
    pub fn feed_of_bus(&self, published: &[ShardMark], applied: &[ShardMark]) -> Option<HostFeed> {
        Some(self.feeder()?.feed_of_bus(published, applied))
    }

    /// Makes feeds, for a store that is reached anew now and then. Drop it before [`Host::stop`], as a feed. `None` once the host has stopped.
    pub fn feeder(&self) -> Option<Feeder> {
        Some(Feeder {
            data_dir: self.data_dir.clone(),
            manifest: self.manifest.clone(),
            shared: Arc::clone(&self.shared),
            mailboxes: self.mailboxes.clone(),
            keepers: self.keepers.clone()?,
        })
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.join();
    }
}

fn check(config: &HostConfig, nets: usize) -> Result<(), StartError> {
    let wrong = |text: String| Err(StartError::Config(text));
    if nets == 0 || config.threads == 0 {
        return wrong("at least one net thread and one shard thread are needed".to_owned());
    }
    if config.credits == 0 || config.credits > limits::CREDITS_MAX {
        return wrong(format!(
            "credits must be 1 to {}, not {}",
            limits::CREDITS_MAX,
            config.credits
        ));
    }
    if config.shards > ShardId::COUNT_MAX {
        return wrong(format!(
            "at most {} shards, not {}",
            ShardId::COUNT_MAX,
            config.shards
        ));
    }
    let segment = tidegate_log::limits::SEGMENT_BYTES_MIN..=tidegate_log::limits::SEGMENT_BYTES_MAX;
    if !segment.contains(&config.segment_bytes)
        || !config.segment_bytes.is_multiple_of(tidegate_log::BLOCK as u32)
    {
        return wrong(format!(
            "a segment of {} bytes: whole blocks of {}, {} to {}",
            config.segment_bytes,
            tidegate_log::BLOCK,
            segment.start(),
            segment.end()
        ));
    }
    match &config.cores {
        Some(cores) if cores.len() != config.threads => wrong(format!(
            "{} cores are named for {} shard threads",
            cores.len(),
            config.threads
        )),
        _ => Ok(()),
    }
}

fn create_data_dir(config: &HostConfig) -> Result<(), StartError> {
    let dir = &config.data_dir;
    make_durable_dir(dir).map_err(|error| StartError::Io {
        doing: format!("making the data directory {}", dir.display()),
        error,
    })
}

/// Makes a directory and its parents, and syncs those that got a new entry: a log whose directory is lost is lost.
fn make_durable_dir(dir: &Path) -> io::Result<()> {
    let parents = dir.ancestors().zip(dir.ancestors().skip(1));
    let missing: Vec<&Path> = parents
        .take_while(|(dir, _)| !dir.exists())
        .map(|(_, parent)| parent)
        .collect();
    std::fs::create_dir_all(dir)?;
    for parent in missing {
        let here = if parent.as_os_str().is_empty() {
            Path::new(".")
        } else {
            parent
        };
        File::open(here)?.sync_all()?;
    }
    Ok(())
}

fn open_config(config: &HostConfig) -> Result<OpenConfig, StartError> {
    let shards = if config.shards == 0 {
        SHARDS_DEFAULT
    } else {
        config.shards
    };
    let [entropy, hash_seed] = random().map_err(|error| StartError::Io {
        doing: "reading /dev/urandom".to_owned(),
        error,
    })?;
    let mut open = OpenConfig::new(shards, config.threads);
    open.store.clone_from(&config.store);
    open.marks.clone_from(&config.marks);
    open.entropy = entropy;
    open.segment_bytes = config.segment_bytes;
    open.shard = ShardConfig {
        limits: config.limits.clone(),
        hash_seed,
        ..ShardConfig::new(ShardId(0), shards)
    };
    open.node.durability = config.durability;
    open.node.backlog_bytes_max = config.backlog_bytes_max / config.threads as u64;
    open.node.stock_every_ms = config.stock_every_ms;
    open.node.checkpoint_segments = checkpoint_segments(config);
    Ok(open)
}

/// Closed segments that make a checkpoint due: one at least.
fn checkpoint_segments(config: &HostConfig) -> u32 {
    let segments = config.checkpoint_bytes / u64::from(config.segment_bytes);
    u32::try_from(segments).unwrap_or(u32::MAX).max(1)
}

fn random() -> io::Result<[u64; 2]> {
    let mut bytes = [[0; 8]; 2];
    File::open("/dev/urandom")?.read_exact(bytes.as_flattened_mut())?;
    Ok(bytes.map(u64::from_ne_bytes))
}

/// What a start has made so far.
struct Starting<'a> {
    config: &'a HostConfig,
    selected: Selected,
    open_config: Arc<OpenConfig>,
    opened: Opened,
    clock: Clock,
}

fn serve(starting: Starting<'_>, nets: usize, lock: Lock) -> Result<(Host, Vec<NetPort>), StartError> {
    let Starting { config, opened, .. } = &starting;
    let manifest = opened.manifest.clone();
    let layout = manifest.current();
    let threads_of = (0..manifest.shards).map(|shard| layout.thread_of(shard).unwrap_or(0) as u16);
    let credits = config.credits.next_power_of_two();
    let on_failure = config.on_failure.clone();
    let shared = Arc::new(Shared::new(
        threads_of.collect(),
        config.threads,
        credits,
        on_failure,
    ));
    shared.knobs.set_shed_after_ms(config.shed_after_ms);
    shared.knobs.set_backlog_bytes_max(config.backlog_bytes_max);
    let mesh = Mesh::new(&plan(config, nets, credits)).map_err(io_error("making eventfds"))?;
    let bells: Vec<_> = mesh.shards.iter().map(|end| Arc::clone(&end.bell)).collect();
    let (mailboxes, inboxes): (Vec<_>, Vec<_>) =
        bells.iter().map(|bell| Mailbox::new(Arc::clone(bell))).unzip();
    let old = Old::new(opened.old_logs.clone(), manifest.clone());
    let open_config = Arc::clone(&starting.open_config);
    let scrub = Arc::new(ScrubStats::default());
    let (keepers, keeper_threads) = keeper::start(
        &config.data_dir,
        open_config,
        manifest.shards,
        mailboxes.clone(),
        old,
        (config.scrub_bytes_per_s, Arc::clone(&scrub)),
    )
    .map_err(io_error("starting a thread"))?;
    let mut host = Host {
        shared,
        bells,
        mailboxes,
        threads: Vec::new(),
        keepers: Some(keepers),
        keeper_threads,
        scrub,
        data_dir: config.data_dir.clone(),
        manifest: manifest.clone(),
        _lock: lock,
    };
    let nets = mesh.nets.into_iter();
    let ports = nets
        .map(|end| NetPort::new(end, Arc::clone(&host.shared)))
        .collect();
    let is_ready = spawn_threads(&mut host, starting, mesh.shards, inboxes)?;
    wait_until_ready(&mut host, &is_ready)?;
    Ok((host, ports))
}

fn plan(config: &HostConfig, nets: usize, credits: usize) -> Plan {
    Plan {
        nets,
        threads: config.threads,
        request_slots: credits,
        // Half for replies, which are reserved, half for stock rows.
        reply_slots: credits * 2,
        peer_slots: limits::PEER_SLOTS,
        shard_bells_with_fd: false,
    }
}

fn io_error(doing: &str) -> impl FnOnce(io::Error) -> StartError {
    let doing = doing.to_owned();
    move |error| StartError::Io { doing, error }
}

/// Every thread says once that its shards' start is durable, or ends.
fn wait_until_ready(host: &mut Host, is_ready: &Receiver<()>) -> Result<(), StartError> {
    for _ in 0..host.threads.len() {
        if is_ready.recv().is_err() {
            // One ended before it served. A thread that panics says so after its sender is dropped.
            host.join();
            let unsaid = || Failure {
                thread: 0,
                text: "a shard thread ended before it served; this is a bug in tidegate".to_owned(),
            };
            return Err(StartError::Failed(host.failure().unwrap_or_else(unsaid)));
        }
    }
    match host.failure() {
        Some(failure) => Err(StartError::Failed(failure)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_ends_before_it_serves_is_a_failed_start() {
        let dir = tempfile::tempdir().unwrap();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let serves = ready.clone();
        let mut host = Host {
            shared: Arc::new(Shared::new([0].into(), 2, 1, None)),
            bells: Vec::new(),
            mailboxes: Vec::new(),
            threads: vec![
                std::thread::spawn(move || serves.send(()).unwrap()),
                std::thread::spawn(move || drop(ready)),
            ],
            keepers: None,
            keeper_threads: Vec::new(),
            scrub: Arc::default(),
            data_dir: dir.path().to_owned(),
            manifest: Manifest {
                shards: 0,
                hash: String::new(),
                store: String::new(),
                start: tidegate_log::StartNumber(0),
                next_segment: tidegate_log::SegmentNumber(1),
                layouts: Vec::new(),
            },
            _lock: Lock::take(dir.path()).unwrap(),
        };
        let failed = wait_until_ready(&mut host, &is_ready);
        assert!(
            matches!(failed, Err(StartError::Failed(failure)) if failure.text.contains("before it served"))
        );
    }

    #[test]
    fn a_data_directory_is_made_with_its_parents() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        for _ in 0..2 {
            make_durable_dir(&deep).unwrap();
            assert!(deep.is_dir());
        }
    }
}
