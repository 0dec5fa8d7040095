//! A data directory in memory, and a thread loop in a few lines.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use tidegate_log::Batch;
use tidegate_node::{Files, Node, OpenConfig, Opened, Output, Ticket, open, segments};
use tidegate_shard_core::{
    Buyer, Command, KeyHash, Line, Lines, Millis, Outcome, Place, PutSku, ShardId, SkuName, body_hash,
    home_shard,
};

/// Files in memory; every write is durable at once.
#[derive(Clone, Default)]
pub struct Memory {
    pub files: BTreeMap<String, Vec<u8>>,
    pub full: bool,
}

impl Files for Memory {
    fn list(&mut self, dir: &str) -> io::Result<Vec<String>> {
        let prefix = if dir.is_empty() {
            String::new()
        } else {
            format!("{dir}/")
        };
        let below = self.files.keys().filter_map(|path| path.strip_prefix(&prefix));
        let names: BTreeSet<&str> = below.map(|rest| rest.split('/').next().unwrap_or(rest)).collect();
        Ok(names.into_iter().map(str::to_owned).collect())
    }

    fn len(&mut self, path: &str) -> io::Result<u64> {
        Ok(self.files.get(path).ok_or(io::ErrorKind::NotFound)?.len() as u64)
    }

    fn read_at(&mut self, path: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.files.get(path).ok_or(io::ErrorKind::NotFound)?;
        let from = file.len().min(offset as usize);
        let len = buf.len().min(file.len() - from);
        buf[..len].copy_from_slice(&file[from..from + len]);
        Ok(len)
    }

    fn write_at(&mut self, path: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let file = self.files.entry(path.to_owned()).or_default();
        let end = offset as usize + bytes.len();
        if file.len() < end {
            file.resize(end, 0);
        }
        file[offset as usize..end].copy_from_slice(bytes);
        Ok(())
    }

    fn zero(&mut self, path: &str, offset: u64, len: u64) -> io::Result<()> {
        if self.full {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = self.files.entry(path.to_owned()).or_default();
        file.resize(len as usize, 0);
        file[offset as usize..].fill(0);
        Ok(())
    }

    fn cut(&mut self, path: &str, len: u64) -> io::Result<()> {
        let file = self.files.get_mut(path).ok_or(io::ErrorKind::NotFound)?;
        file.truncate(len as usize);
        Ok(())
    }

    fn sync(&mut self, path: &str) -> io::Result<()> {
        self.len(path).map(|_| ())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let file = self.files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        self.files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, path: &str) -> io::Result<()> {
        self.files.remove(path);
        Ok(())
    }

    fn create_dir(&mut self, _dir: &str) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&mut self, _dir: &str) -> io::Result<()> {
        Ok(())
    }
}

pub const NOW: Millis = Millis(1_767_225_600_000);

/// A small configuration.
pub fn config(shards: u16, threads: usize) -> OpenConfig {
    let mut config = OpenConfig {
        entropy: threads as u64,
        segment_bytes: tidegate_log::limits::SEGMENT_BYTES_MIN,
        ..OpenConfig::new(shards, threads)
    };
    config.node.checkpoint_segments = 1;
    config
}

/// Opens and starts all nodes, and syncs their first entries.
pub fn start(files: &mut Memory, config: &OpenConfig) -> Opened {
    let mut opened = open(files, config, &mut |_| {}).expect("the directory opens");
    for thread in 0..opened.nodes.len() {
        opened.nodes[thread].start(NOW);
        prepare(files, &mut opened, thread);
        sync(files, &mut opened, thread);
    }
    opened
}

/// Prepares the segments that a node asks for.
pub fn prepare(files: &mut Memory, opened: &mut Opened, thread: usize) {
    let log = opened.manifest.current().logs[thread].log;
    while let Some(segment) = opened.nodes[thread].need_segment() {
        match segments::prepare(files, log, &segment) {
            Ok(()) => opened.nodes[thread].segment_ready(segment.number),
            Err(_) => return opened.nodes[thread].no_room(),
        }
    }
}

/// Seals and writes; the batch is not synced yet.
pub fn write(files: &mut Memory, opened: &mut Opened, thread: usize) -> Option<Batch> {
    let log = opened.manifest.current().logs[thread].log;
    let batch = opened.nodes[thread].seal()?;
    files
        .write_at(
            &segments::path(log, batch.segment),
            u64::from(batch.offset),
            &batch.bytes,
        )
        .expect("memory");
    Some(batch)
}

/// Writes and syncs everything that pends.
pub fn sync(files: &mut Memory, opened: &mut Opened, thread: usize) {
    while let Some(batch) = write(files, opened, thread) {
        opened.nodes[thread].synced(batch);
        prepare(files, opened, thread);
    }
}

/// Lets all threads work until none has anything to do.
pub fn settle(files: &mut Memory, opened: &mut Opened, now: Millis) {
    for _ in 0..20 {
        for thread in 0..opened.nodes.len() {
            opened.nodes[thread].turn(now);
            sync(files, opened, thread);
            for other in 0..opened.nodes.len() {
                while let Some(envelope) = opened.nodes[thread].pop_send(other) {
                    opened.nodes[other].receive(now, &envelope);
                }
            }
        }
    }
}

/// Sends a command to the node that has its shard.
pub fn send(opened: &mut Opened, ticket: u64, now: Millis, command: Command) -> usize {
    let shard = home_shard(&command, opened.manifest.shards);
    let thread = thread_of(opened, shard);
    opened.nodes[thread].command(now, Ticket(ticket), shard, command);
    thread
}

pub fn thread_of(opened: &Opened, shard: ShardId) -> usize {
    opened
        .manifest
        .current()
        .thread_of(shard.0)
        .expect("a layout has every shard")
}

/// All answers that may leave, stock rows left out.
pub fn answers(node: &mut Node) -> Vec<(u64, tidegate_node::Answer)> {
    let mut answers = Vec::new();
    while let Some(output) = node.pop_output() {
        if let Output::Reply { ticket, answer, .. } = output {
            answers.push((ticket.0, answer));
        }
    }
    answers
}

/// The orders among the answers: ticket, id, whether it is a repeat.
pub fn orders(node: &mut Node) -> Vec<(u64, u64, bool)> {
    let order = |(ticket, answer)| match answer {
        tidegate_node::Answer::Decided(Outcome::Order(view)) => (ticket, view.id.0, view.repeated),
        other => panic!("no order: {other:?}"),
    };
    answers(node).into_iter().map(order).collect()
}

pub fn sku(name: &str) -> SkuName {
    SkuName::parse(name.as_bytes()).expect("a name")
}

pub fn put(name: &str, stock: u64) -> Command {
    let put = PutSku {
        price: Some(100),
        currency: Some(*b"CNY"),
        stock: Some(stock),
        ..PutSku::new(sku(name))
    };
    Command::PutSku(Box::new(put))
}

pub fn place(key: u64, names: &[&str]) -> Command {
    let mut lines: Lines = names
        .iter()
        .map(|name| Line {
            sku: sku(name),
            qty: 1,
        })
        .collect();
    lines.sort_by_key(|line| line.sku);
    Command::Place(Place {
        buyer: Buyer([1; 16]),
        subject: "buyer".into(),
        key: KeyHash(u128::from(key).to_le_bytes()),
        body: body_hash(&lines),
        lines,
    })
}

/// Two SKUs on different shards; with two threads on different threads.
pub fn apart(shards: u16) -> (String, String) {
    let first = "A0".to_owned();
    let shard = tidegate_shard_core::shard_of(&sku(&first), shards);
    let other = (0..).map(|nth| format!("B{nth}"));
    let other = other
        .into_iter()
        .find(|name| tidegate_shard_core::shard_of(&sku(name), shards).0 % 2 != shard.0 % 2);
    (first, other.expect("some name is elsewhere"))
}

/// The mark of everything that a shard has.
pub fn mark(opened: &Opened, shard: u16) -> tidegate_log::ShardMark {
    let node = &opened.nodes[thread_of(opened, ShardId(shard))];
    tidegate_log::ShardMark {
        shard,
        op: node.shard(ShardId(shard)).expect("here").op().0,
        chain: node.appender().chain(shard),
    }
}

/// Tells the nodes that the store has everything.
pub fn apply_all(opened: &mut Opened) {
    for shard in 0..opened.manifest.shards {
        let (mark, thread) = (mark(opened, shard), thread_of(opened, ShardId(shard)));
        opened.nodes[thread]
            .applied(NOW, mark)
            .expect("it is what the log has");
    }
}
