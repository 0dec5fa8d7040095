//! Work on files that shard threads must not wait for: segments are made and freed, checkpoints taken.
//!
//! Two threads, because a checkpoint takes seconds and the next segment must not wait for it; a third scrubs.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use tidegate_link::Bell;
use tidegate_log::{LogId, Manifest, NewSegment, SegmentNumber, ShardMark};
use tidegate_node::checkpoint::{self, CheckpointJob};
use tidegate_node::open::OldLogs;
use tidegate_node::{OpenConfig, segments};
use tidegate_shard_core::{Op, ShardId};

use crate::background::give_way;
use crate::disk::direct::open_direct;
use crate::os_files::{OsFiles, named};
use crate::scrub::{self, ScrubStats};

/// How often a segment that found no room is tried again.
const NO_ROOM_RETRY: Duration = Duration::from_secs(1);

/// What a shard thread wants done.
#[derive(Debug)]
pub(crate) enum Job {
    Prepare {
        thread: usize,
        log: LogId,
        segment: NewSegment,
    },
    Free {
        log: LogId,
        segment: SegmentNumber,
    },
    Checkpoint {
        thread: usize,
        job: CheckpointJob,
    },
    /// The store has applied the shard up to this op: logs of earlier layouts may go.
    Applied {
        shard: ShardId,
        op: Op,
    },
}

/// What a shard thread is told, by the keepers and by the host.
#[derive(Debug)]
pub(crate) enum Notice {
    /// With the segment opened for the log's writer, so that a switch to it needs no descriptor.
    SegmentReady(SegmentNumber, File),
    /// Not now, and why; it is tried again.
    NoRoom(&'static str),
    /// A segment cannot be prepared, and not for want of room.
    Broken(String),
    Checkpointed(Vec<ShardMark>),
    CheckpointFailed,
    /// The store has everything up to the mark.
    Applied(ShardMark),
    /// The bus has everything up to the mark.
    Published(ShardMark),
    /// Store and log have parted.
    StopShard(ShardId),
    /// The thread's share of the bytes that earlier layouts' logs keep.
    OldBytes(u64),
}

/// Reaches one shard thread.
#[derive(Debug, Clone)]
pub(crate) struct Mailbox {
    notices: Sender<Notice>,
    bell: Arc<Bell>,
}

impl Mailbox {
    pub(crate) fn new(bell: Arc<Bell>) -> (Mailbox, Receiver<Notice>) {
        let (notices, inbox) = channel();
        (Mailbox { notices, bell }, inbox)
    }

    pub(crate) fn tell(&self, notice: Notice) {
        // A thread that ended needs nothing any more.
        if self.notices.send(notice).is_ok() {
            self.bell.ring_urgent();
        }
    }
}

/// Logs of earlier layouts of threads, and the manifest that names them.
pub(crate) struct Old {
    pub(crate) logs: OldLogs,
    pub(crate) manifest: Manifest,
    /// What the store has applied, by shard.
    applied: Vec<u64>,
}

impl Old {
    pub(crate) fn new(logs: OldLogs, manifest: Manifest) -> Old {
        let applied = vec![0; usize::from(manifest.shards)];
        Old {
            logs,
            manifest,
            applied,
        }
    }

    fn applied(&mut self, files: &mut OsFiles, shard: ShardId, op: Op, mailboxes: &[Mailbox]) {
        let Some(mark) = self.applied.get_mut(usize::from(shard.0)) else {
            return;
        };
        *mark = op.0.max(*mark);
        if self.logs.is_empty() {
            return;
        }
        let before = self.logs.bytes();
        let applied = &self.applied;
        let removed = self
            .logs
            .remove_applied(files, &mut self.manifest, |shard| applied[usize::from(shard)]);
        if let Err(error) = removed {
            eprintln!("tidegate: removing logs that are applied: {error}; they are kept");
        }
        let bytes = self.logs.bytes();
        if bytes != before {
            let share = bytes / mailboxes.len() as u64;
            mailboxes
                .iter()
                .for_each(|mailbox| mailbox.tell(Notice::OldBytes(share)));
        }
    }
}

/// The senders that shard threads hold; the keepers end when the last is dropped.
#[derive(Debug, Clone)]
pub(crate) struct Keepers {
    segments: Sender<Job>,
    checkpoints: Sender<Job>,
    /// Says nothing; the scrubber ends when it is dropped.
    _scrub: Sender<()>,
}

impl Keepers {
    pub(crate) fn ask(&self, job: Job) {
        let sender = if matches!(job, Job::Checkpoint { .. }) {
            &self.checkpoints
        } else {
            &self.segments
        };
        _ = sender.send(job);
    }
}

#[cfg(test)]
impl Keepers {
    /// All jobs to one receiver.
    pub(crate) fn for_test() -> (Keepers, Receiver<Job>) {
        let (segments, jobs) = channel();
        (
            Keepers {
                checkpoints: segments.clone(),
                segments,
                _scrub: channel().0,
            },
            jobs,
        )
    }
}

/// Starts all three threads.
pub(crate) fn start(
    data_dir: &Path,
    config: Arc<OpenConfig>,
    shards: u16,
    mailboxes: Vec<Mailbox>,
    old: Old,
    scrub: (u64, Arc<ScrubStats>),
) -> io::Result<(Keepers, Vec<std::thread::JoinHandle<()>>)> {
    let spawn = |name: &str, work: Box<dyn FnOnce() + Send>| {
        std::thread::Builder::new().name(name.to_owned()).spawn(work)
    };
    let (segments, segment_jobs) = channel();
    let (checkpoints, checkpoint_jobs) = channel();
    let dir = PathBuf::from(data_dir);
    let boxes = mailboxes.clone();
    let keep = spawn(
        "tidegate-segments",
        Box::new(move || keep_segments(&dir, &segment_jobs, &boxes, old)),
    )?;
    let dir = PathBuf::from(data_dir);
    let take = spawn(
        "tidegate-checkpoints",
        Box::new(move || take_checkpoints(&dir, &checkpoint_jobs, &mailboxes, &config, shards)),
    )?;
    let (running, ended) = channel();
    let scrub = scrub::start(data_dir, scrub.0, scrub.1, ended)?;
    Ok((
        Keepers {
            segments,
            checkpoints,
            _scrub: running,
        },
        vec![keep, take, scrub],
    ))
}

fn keep_segments(data_dir: &Path, jobs: &Receiver<Job>, mailboxes: &[Mailbox], mut old: Old) {
    let mut files = OsFiles::new(data_dir);
    // Segments that found no room; the jobs behind them may free some.
    let mut waiting: Vec<Wanted> = Vec::new();
    loop {
        let job = if waiting.is_empty() {
            jobs.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            jobs.recv_timeout(NO_ROOM_RETRY)
        };
        match job {
            Ok(Job::Prepare { thread, log, segment }) => waiting.push(Wanted {
                thread,
                log,
                segment,
                made: false,
            }),
            Ok(Job::Free { log, segment }) => {
                if let Err(error) = segments::free(&mut files, log, segment) {
                    eprintln!("tidegate: freeing a segment: {error}; its room is lost until the next start");
                }
            }
            Ok(Job::Applied { shard, op }) => old.applied(&mut files, shard, op, mailboxes),
            Ok(Job::Checkpoint { .. }) | Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        waiting.retain_mut(|wanted| {
            let notice = prepare(data_dir, &mut files, wanted);
            let again = matches!(notice, Notice::NoRoom(_));
            mailboxes[wanted.thread].tell(notice);
            again
        });
    }
}

/// A segment that a shard thread waits for.
struct Wanted {
    thread: usize,
    log: LogId,
    segment: NewSegment,
    /// It is there, and only has to be opened.
    made: bool,
}

fn prepare(data_dir: &Path, files: &mut OsFiles, wanted: &mut Wanted) -> Notice {
    let number = wanted.segment.number;
    match make(data_dir, files, wanted) {
        Ok(file) => Notice::SegmentReady(number, file),
        Err(error) => match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Notice::NoRoom("the disk is full"),
            io::ErrorKind::ResourceBusy => Notice::NoRoom("too many files are open"),
            _ => Notice::Broken(format!("preparing a log segment: {error}")),
        },
    }
}

fn make(data_dir: &Path, files: &mut OsFiles, wanted: &mut Wanted) -> io::Result<File> {
    if !wanted.made {
        segments::prepare(files, wanted.log, &wanted.segment)?;
        wanted.made = true;
    }
    let path = segments::path(wanted.log, wanted.segment.number);
    open_direct(&data_dir.join(&path)).map_err(|error| named(error, &path))
}

fn take_checkpoints(
    data_dir: &Path,
    jobs: &Receiver<Job>,
    mailboxes: &[Mailbox],
    config: &OpenConfig,
    shards: u16,
) {
    let mut files = OsFiles::new(data_dir);
    // It may take its time; orders come first.
    give_way();
    while let Ok(job) = jobs.recv() {
        let Job::Checkpoint { thread, job } = job else {
            continue;
        };
        let made = checkpoint::run(&mut files, &job, &|shard| config.shard_config(shard, shards));
        mailboxes[thread].tell(match made {
            Ok(marks) => Notice::Checkpointed(marks),
            Err(error) => {
                eprintln!("tidegate: a checkpoint was not made: {error}; the log is kept");
                Notice::CheckpointFailed
            }
        });
    }
}
