//! Crash images: what the real shard thread writes and syncs is recorded, images are built that lack unsynced
//! writes, and the real recovery runs on each.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::{Mutex, mpsc};

use tidegate_link::mesh::{Mesh, Plan};
use tidegate_log::{AlignedBuf, SegmentNumber};
use tidegate_node::{Files, OpenConfig, open, segments};
use tidegate_shard_core::{
    Buyer, Caller, Command, Input, KeyHash, Line, Lines, OrderId, Outcome, Place, PutSku, Reply, SkuName,
    body_hash, home_shard,
};

use super::*;
use crate::NetPort;
use crate::disk::direct::DirectWriter;
use crate::keeper::Mailbox;
use crate::os_files::OsFiles;

#[path = "tests/images.rs"]
mod images;

use images::{Disk, Event as Done, Rng};

/// What happened, in its order, over all threads.
#[derive(Clone, Default)]
struct Recorder(Arc<Mutex<Vec<Done>>>);

impl Recorder {
    fn note(&self, done: Done) {
        self.0.lock().unwrap().push(done);
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
    fn name(&self) -> &'static str {
        self.writer.name()
    }
}

const SHARDS: u16 = 8;
const THREADS: usize = 2;

/// `entropy` makes the ids of new logs: another one for each start.
fn open_config(threads: usize, entropy: u64) -> OpenConfig {
    let mut config = OpenConfig::new(SHARDS, threads);
    config.segment_bytes = 128 * 1024;
    config.entropy = entropy;
    config.node.checkpoint_segments = 1;
    config
}

fn sku(n: u64) -> SkuName {
    SkuName::parse(format!("SKU-{n}").as_bytes()).unwrap()
}

fn key(number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn place(number: u64) -> Command {
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

/// Runs the real threads in `dir` and places orders; every acknowledgement is recorded where it was seen.
fn run_recorded(dir: &Path, recorder: &Recorder, first: u64, orders: u64) {
    let mut files = RecordedFiles(OsFiles::new(dir), recorder.clone());
    let opened = open(&mut files, &open_config(THREADS, first), &mut |_| {}).unwrap();
    let clock = Clock::start(opened.last_time, true).unwrap();
    let layout = opened.manifest.current().clone();
    let threads_of: Arc<[u16]> = (0..SHARDS)
        .map(|shard| layout.thread_of(shard).unwrap() as u16)
        .collect();
    let shared = Arc::new(Shared::new(threads_of, THREADS, 256, None));
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
    let (stop_keeper, keeper_recorder, keeper_dir) = (mailboxes.clone(), recorder.clone(), dir.to_owned());
    let keeper = std::thread::spawn(move || {
        let mut files = RecordedFiles(OsFiles::new(&keeper_dir), keeper_recorder);
        keep(&mut files, &jobs, &stop_keeper);
    });
    let (ready, is_ready) = mpsc::channel();
    let mut threads = Vec::new();
    for ((thread, node), (rings, inbox)) in opened
        .nodes
        .into_iter()
        .enumerate()
        .zip(mesh.shards.into_iter().zip(inboxes))
    {
        let log = layout.logs[thread].log;
        let settings = Settings {
            thread,
            log,
            window_us_max: 200,
            spin_us: 0,
            shed_after_ms: 0,
        };
        let log_dir = segments::log_dir(log);
        let (dir, recorder) = (dir.join(&log_dir), recorder.clone());
        let (clock, keepers, shared) = (clock.clone(), keepers.clone(), Arc::clone(&shared));
        let ready = ready.clone();
        threads.push(std::thread::spawn(move || {
            let writer = RecordedWriter {
                writer: DirectWriter::new(&dir),
                log_dir,
                recorder,
            };
            ShardThread::new(
                settings,
                node,
                Box::new(writer),
                rings,
                clock,
                inbox,
                keepers,
                shared,
            )
            .run(move || ready.send(()).unwrap());
        }));
    }
    drop(keepers);
    (0..THREADS).for_each(|_| is_ready.recv().unwrap());
    let mut port = NetPort::new(mesh.nets.into_iter().next().unwrap(), Arc::clone(&shared));
    place_orders(&mut port, recorder, first, orders);
    shared.stop(&bells);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    keeper.join().unwrap();
    assert!(shared.failure().is_none());
}

/// The keepers' work, on recorded files, in one thread.
fn keep(files: &mut RecordedFiles, jobs: &mpsc::Receiver<Job>, mailboxes: &[Mailbox]) {
    while let Ok(job) = jobs.recv() {
        match job {
            Job::Prepare { thread, log, segment } => {
                segments::prepare(files, log, &segment).unwrap();
                mailboxes[thread].tell(Notice::SegmentReady(segment.number));
            }
            Job::Free { log, segment } => segments::free(files, log, segment).unwrap(),
            Job::Checkpoint { thread, job } => {
                let config = open_config(THREADS, 0);
                let made =
                    tidegate_node::checkpoint::run(files, &job, &|shard| config.shard_config(shard, SHARDS))
                        .unwrap();
                // Everything that is checkpointed counts as applied, so that segments are freed and used again.
                for mark in &made {
                    let (shard, op) = (
                        tidegate_shard_core::ShardId(mark.shard),
                        tidegate_shard_core::Op(mark.op),
                    );
                    mailboxes[thread].tell(Notice::Applied(shard, op));
                }
                mailboxes[thread].tell(Notice::Checkpointed(made));
            }
        }
    }
}

fn place_orders(port: &mut NetPort, recorder: &Recorder, first: u64, orders: u64) {
    let puts = (0..10).map(|n| {
        Command::PutSku(Box::new(PutSku {
            price: Some(5),
            currency: Some(*b"EUR"),
            stock: Some(1_000_000),
            ..PutSku::new(sku(n))
        }))
    });
    let mut commands = puts
        .chain((first..first + orders).map(place))
        .enumerate()
        .peekable();
    let mut open = 0;
    while open > 0 || commands.peek().is_some() {
        // The catalogue is there before the first order.
        while let Some((number, command)) =
            commands.next_if(|(number, _)| open < 40 && (*number != 10 || open == 0))
        {
            let ticket = if number < 10 {
                u64::MAX
            } else {
                first + number as u64 - 10
            };
            let shard = home_shard(&command, SHARDS);
            port.try_send(Request {
                ticket,
                at_ns: monotonic_ns(),
                shard,
                command,
            })
            .unwrap();
            open += 1;
        }
        port.ring_bells();
        while let Some(event) = port.try_recv() {
            let Event::Reply { ticket, answer, .. } = event else {
                continue;
            };
            open -= 1;
            match answer {
                Answer::Decided(Outcome::Order(view)) => recorder.note(Done::Acknowledged {
                    order: view.id,
                    number: ticket,
                }),
                Answer::Decided(Outcome::Sku(_)) if ticket == u64::MAX => {}
                other => panic!("{other:?}"),
            }
        }
        port.wait(Duration::from_millis(5));
    }
}

/// The real recovery on an image: every order acknowledged before the crash is there.
fn check_image(dir: &Path, threads: usize, acknowledged: &HashMap<OrderId, u64>) {
    let opened = open(&mut OsFiles::new(dir), &open_config(threads, u64::MAX), &mut |_| {})
        .unwrap_or_else(|error| panic!("recovery of {}: {error}", dir.display()));
    let now = opened.last_time;
    for (order, number) in acknowledged {
        let shard = opened
            .nodes
            .iter()
            .find_map(|node| node.shard(order.shard()))
            .expect("the shard is there");
        let read = Command::ReadOrder {
            order: *order,
            caller: Caller::Buyer(Buyer(key(*number))),
        };
        let reply = shard.decide(now, Input::Command(&read)).reply;
        assert!(
            matches!(&reply, Reply::Now(Outcome::Order(view)) if view.id == *order),
            "order {order}: {reply:?}"
        );
    }
}

#[test]
fn no_image_that_lacks_unsynced_writes_loses_an_acknowledged_order() {
    let dir = tempfile::tempdir().unwrap();
    let recorder = Recorder::default();
    // Two starts, so that recovery's own writes are cut short as well.
    run_recorded(dir.path(), &recorder, 0, 1200);
    run_recorded(dir.path(), &recorder, 1200, 600);
    let history = std::mem::take(&mut *recorder.0.lock().unwrap());
    let seed = std::env::var("TIDEGATE_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(20_250_101);
    let mut rng = Rng::new(seed);
    let images = std::env::var("TIDEGATE_IMAGES")
        .ok()
        .and_then(|n| n.parse().ok())
        .unwrap_or(60);
    let mut crashes: Vec<usize> = (0..images)
        .map(|_| rng.below(history.len() as u64 + 1) as usize)
        .collect();
    crashes.sort_unstable();
    let mut disk = Disk::default();
    let (mut at, mut acknowledged) = (0, HashMap::new());
    for (image, crash) in crashes.into_iter().enumerate() {
        for done in &history[at..crash] {
            if let Done::Acknowledged { order, number } = done {
                acknowledged.insert(*order, *number);
            }
            disk.apply(done);
        }
        at = crash;
        let into = tempfile::tempdir().unwrap();
        disk.crash_image(&mut rng, into.path());
        println!(
            "seed {seed}, image {image}: crash after {crash} of {} events",
            history.len()
        );
        check_image(into.path(), 1 + image % 3, &acknowledged);
    }
    assert!(acknowledged.len() > 500);
}
