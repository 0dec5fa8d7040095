//! Real shard threads over a disk of the test's choice.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_link::Bell;
use tidegate_link::mesh::{Mesh, Plan};
use tidegate_log::{AlignedBuf, SegmentNumber};
use tidegate_node::{Envelope, Files, OpenConfig, open, segments};
use tidegate_shard_core::{
    Buyer, Command, KeyHash, Line, Lines, Outcome, Place, PutSku, SkuName, body_hash, home_shard,
};

use super::images::Event as Done;
use crate::clock::{Clock, monotonic_ns};
use crate::disk::DiskWriter;
use crate::disk::direct::{DirectWriter, open_direct};
use crate::keeper::{Job, Keepers, Mailbox, Notice};
use crate::os_files::OsFiles;
use crate::port::{Answer, Event, Request};
use crate::shared::Shared;
use crate::thread::{Settings, ShardThread};
use crate::{NetPort, ThreadStats};

/// What happened, in its order, over all threads, and what is to go wrong.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    pub(super) events: Arc<Mutex<Vec<Done>>>,
    pub(super) faults: Arc<Faults>,
}

/// Switched on and off while the threads run.
#[derive(Default)]
pub(super) struct Faults {
    /// Every write of the log fails.
    pub(super) broken: AtomicBool,
    /// Every write of the log takes so long, in milliseconds.
    pub(super) slow_ms: AtomicU64,
    /// No segment can be made.
    pub(super) full: AtomicBool,
}

impl Recorder {
    pub(super) fn note(&self, done: Done) {
        self.events.lock().unwrap().push(done);
    }

    /// A write is there when it begins, a sync when it has returned: a crash in between may do either.
    fn around<T>(
        &self,
        before: Option<Done>,
        work: impl FnOnce() -> io::Result<T>,
        after: Option<Done>,
    ) -> io::Result<T> {
        before.into_iter().for_each(|done| self.note(done));
        let result = work()?;
        after.into_iter().for_each(|done| self.note(done));
        Ok(result)
    }
}

/// The real files, recorded.
struct RecordedFiles(OsFiles, Recorder);

impl Files for RecordedFiles {
    fn list(&mut self, dir: &str) -> io::Result<Vec<String>> {
        self.0.list(dir)
    }
    fn len(&mut self, path: &str) -> io::Result<u64> {
        self.0.len(path)
    }
    fn read_at(&mut self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(path, offset, buf)
    }
    fn write_at(&mut self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let done = Done::Write {
            path: path.to_owned(),
            offset,
            bytes: bytes.to_vec(),
        };
        self.1
            .clone()
            .around(Some(done), || self.0.write_at(path, offset, bytes), None)
    }
    fn zero(&mut self, path: &str, offset: u64, len: u64) -> io::Result<()> {
        let bytes = vec![0; (len - offset) as usize];
        let done = Done::Write {
            path: path.to_owned(),
            offset,
            bytes,
        };
        self.1
            .clone()
            .around(Some(done), || self.0.zero(path, offset, len), None)
    }
    fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
        let done = Done::Cut {
            path: path.to_owned(),
            len,
        };
        self.1.clone().around(Some(done), || self.0.cut(path, len), None)
    }
    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.1.clone().around(
            None,
            || self.0.sync(path),
            Some(Done::Sync {
                path: path.to_owned(),
            }),
        )
    }
    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let done = Done::Rename {
            from: from.to_owned(),
            to: to.to_owned(),
        };
        self.1
            .clone()
            .around(Some(done), || self.0.rename(from, to), None)
    }
    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.1.clone().around(
            Some(Done::Remove {
                path: path.to_owned(),
            }),
            || self.0.remove(path),
            None,
        )
    }
    fn create_dir(&mut self, dir: &str) -> io::Result<()> {
        self.1.clone().around(
            Some(Done::CreateDir { dir: dir.to_owned() }),
            || self.0.create_dir(dir),
            None,
        )
    }
    fn sync_dir(&mut self, dir: &str) -> io::Result<()> {
        self.1
            .clone()
            .around(None, || self.0.sync_dir(dir), Some(Done::SyncDir))
    }
}

/// The real writer, recorded.
struct RecordedWriter {
    writer: DirectWriter,
    log_dir: String,
    recorder: Recorder,
}

impl DiskWriter for RecordedWriter {
    fn write(&mut self, segment: SegmentNumber, offset: u32, bytes: &AlignedBuf) -> io::Result<()> {
        let faults = &self.recorder.faults;
        std::thread::sleep(Duration::from_millis(faults.slow_ms.load(Ordering::Relaxed)));
        if faults.broken.load(Ordering::Relaxed) {
            return Err(io::Error::other("the disk is broken"));
        }
        let path = format!("{}/{}", self.log_dir, segment.file_name());
        let write = Done::Write {
            path: path.clone(),
            offset: u64::from(offset),
            bytes: bytes.to_vec(),
        };
        let writer = &mut self.writer;
        self.recorder.around(
            Some(write),
            || writer.write(segment, offset, bytes),
            Some(Done::Sync { path }),
        )
    }
    fn supply(&mut self, segment: SegmentNumber, file: std::fs::File) {
        self.writer.supply(segment, file);
    }
    fn name(&self) -> &'static str {
        self.writer.name()
    }
}

pub(super) const SHARDS: u16 = 8;
pub(super) const THREADS: usize = 2;

/// `entropy` makes the ids of new logs: another one for each start.
pub(super) fn open_config(threads: usize, entropy: u64) -> OpenConfig {
    let mut config = OpenConfig::new(SHARDS, threads);
    config.segment_bytes = 128 * 1024;
    config.entropy = entropy;
    config.node.checkpoint_segments = 1;
    config
}

pub(super) fn sku(n: u64) -> SkuName {
    SkuName::parse(format!("SKU-{n}").as_bytes()).unwrap()
}

pub(super) fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

pub(super) fn place(number: u64) -> Command {
    let skus = if number.is_multiple_of(4) {
        vec![number % 10, (number + 3) % 10]
    } else {
        vec![number % 10]
    };
    let mut lines: Lines = skus.iter().map(|n| Line { sku: sku(*n), qty: 1 }).collect();
    lines.sort_by_key(|line| line.sku);
    let body = body_hash(&lines);
    Command::Place(Place {
        buyer: Buyer(key(number)),
        subject: Arc::from("ann"),
        key: KeyHash(key(number)),
        body,
        lines,
    })
}

/// Running shard threads and one port.
pub(crate) struct World {
    pub(super) shared: Arc<Shared>,
    pub(super) port: NetPort,
    pub(super) recorder: Recorder,
    bells: Vec<Arc<Bell>>,
    threads: Vec<JoinHandle<()>>,
    keeper: JoinHandle<()>,
}

impl World {
    /// Opens `dir` and starts the real threads on it.
    pub(crate) fn start(dir: &Path, recorder: &Recorder, entropy: u64) -> World {
        let mut files = RecordedFiles(OsFiles::new(dir), recorder.clone());
        let opened = open(&mut files, &open_config(THREADS, entropy), &mut |_| {}).unwrap();
        let clock = Clock::start(opened.last_time, true).unwrap();
        let layout = opened.manifest.current().clone();
        let threads_of = (0..SHARDS).map(|shard| layout.thread_of(shard).unwrap() as u16);
        let shared = Arc::new(Shared::new(threads_of.collect(), THREADS, 256, None));
        let plan = Plan {
            nets: 1,
            threads: THREADS,
            request_slots: 256,
            reply_slots: 512,
            peer_slots: 64,
            shard_bells_with_fd: false,
        };
        let mesh: Mesh<Request, Event, Envelope> = Mesh::new(&plan).unwrap();
        let bells: Vec<_> = mesh.shards.iter().map(|end| Arc::clone(&end.bell)).collect();
        let (mailboxes, inboxes): (Vec<_>, Vec<_>) =
            bells.iter().map(|bell| Mailbox::new(Arc::clone(bell))).unzip();
        let (keepers, jobs) = Keepers::for_test();
        let mut files = RecordedFiles(OsFiles::new(dir), recorder.clone());
        let data_dir = dir.to_owned();
        let keeper = std::thread::spawn(move || keep(&data_dir, &mut files, &jobs, &mailboxes));
        let (ready, is_ready) = mpsc::channel();
        let mut threads = Vec::new();
        let ends = mesh.shards.into_iter().zip(inboxes);
        for ((thread, node), (rings, inbox)) in opened.nodes.into_iter().enumerate().zip(ends) {
            let log = layout.logs[thread].log;
            let settings = Settings {
                thread,
                log,
                window_us_max: 200,
                spin_us: 0,
                control_ports: 0,
            };
            let log_dir = segments::log_dir(log);
            let writer = DirectWriter::new(&dir.join(&log_dir));
            let writer = Box::new(RecordedWriter {
                writer,
                log_dir,
                recorder: recorder.clone(),
            });
            let (clock, keepers, shared) = (clock.clone(), keepers.clone(), Arc::clone(&shared));
            let ready = ready.clone();
            threads.push(std::thread::spawn(move || {
                ShardThread::new(settings, node, writer, rings, clock, inbox, keepers, shared)
                    .run(move || ready.send(()).unwrap());
            }));
        }
        drop((keepers, ready));
        // A thread that fails at its start is never ready.
        (0..THREADS).for_each(|_| _ = is_ready.recv());
        let port = NetPort::new(mesh.nets.into_iter().next().unwrap(), Arc::clone(&shared));
        World {
            shared,
            port,
            recorder: recorder.clone(),
            bells,
            threads,
            keeper,
        }
    }

    pub(crate) fn stop(self) {
        self.shared.stop(&self.bells);
        self.threads.into_iter().for_each(|thread| thread.join().unwrap());
        self.keeper.join().unwrap();
    }

    pub(super) fn stats(&self) -> &[Arc<ThreadStats>] {
        &self.shared.stats
    }

    pub(super) fn send(&mut self, ticket: u64, command: Command) {
        let shard = home_shard(&command, SHARDS);
        self.port
            .try_send(Request {
                ticket,
                at_ns: monotonic_ns(),
                shard,
                command,
            })
            .unwrap();
        self.port.ring_bells();
    }

    /// The next answer, if one comes within `patience`.
    pub(super) fn answer(&mut self, patience: Duration) -> Option<(u64, Answer)> {
        let begin = Instant::now();
        loop {
            match self.port.try_recv() {
                Some(Event::Reply { ticket, answer, .. }) => return Some((ticket, answer)),
                Some(Event::Stock(_)) => {}
                None if begin.elapsed() >= patience => return None,
                None => self.port.wait(Duration::from_millis(1)),
            }
        }
    }

    pub(crate) fn fill_catalogue(&mut self) {
        for n in 0..10 {
            let put = PutSku {
                price: Some(5),
                currency: Some(*b"EUR"),
                stock: Some(1_000_000),
                ..PutSku::new(sku(n))
            };
            self.send(n, Command::PutSku(Box::new(put)));
        }
        for _ in 0..10 {
            assert!(matches!(
                self.answer(PATIENCE),
                Some((_, Answer::Decided(Outcome::Sku(_))))
            ));
        }
    }

    /// Places orders, 40 at a time; every acknowledgement is recorded where it was seen.
    pub(crate) fn place_orders(&mut self, first: u64, orders: u64) {
        let (mut next, mut open) = (first, 0);
        while open > 0 || next < first + orders {
            while open < 40 && next < first + orders {
                self.send(next, place(next));
                next += 1;
                open += 1;
            }
            match self.answer(PATIENCE) {
                Some((number, Answer::Decided(Outcome::Order(view)))) => {
                    self.recorder.note(Done::Acknowledged {
                        order: view.id,
                        number,
                    });
                }
                other => panic!("{other:?}"),
            }
            open -= 1;
        }
    }
}

/// How long a test waits for an answer that has to come.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// The keepers' work, on recorded files, in one thread.
fn keep(data_dir: &Path, files: &mut RecordedFiles, jobs: &mpsc::Receiver<Job>, mailboxes: &[Mailbox]) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Prepare { thread, log, segment } => {
                while files.1.faults.full.load(Ordering::Relaxed) {
                    mailboxes[thread].tell(Notice::NoRoom("the disk is full"));
                    std::thread::sleep(Duration::from_millis(10));
                }
                segments::prepare(files, log, &segment).unwrap();
                let file = open_direct(&data_dir.join(segments::path(log, segment.number))).unwrap();
                mailboxes[thread].tell(Notice::SegmentReady(segment.number, file));
            }
            Job::Applied { .. } => {}
            Job::Free { log, segment } => segments::free(files, log, segment).unwrap(),
            Job::Checkpoint { thread, job } => {
                let config = open_config(THREADS, 0);
                let made =
                    tidegate_node::checkpoint::run(files, &job, &|shard| config.shard_config(shard, SHARDS))
                        .unwrap();
                // Everything that is checkpointed counts as applied, so that segments are freed and used again.
                for mark in &made {
                    mailboxes[thread].tell(Notice::Applied(*mark));
                }
                mailboxes[thread].tell(Notice::Checkpointed(made));
            }
        }
    }
}
