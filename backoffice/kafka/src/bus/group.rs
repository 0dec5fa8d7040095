//! One transactional producer and the shards that it publishes.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;
use tidegate_follow::{Mark, Record};
use tidegate_shard_core::Entry;

use crate::error::Verdict;
use crate::message::{encode, headers, key};
use crate::reader::{Found, Reader, left};
use crate::topic::Topic;
use crate::{Fault, Settings, client::Ear};

/// Between two tries of the same call.
const PAUSE: Duration = Duration::from_millis(50);

/// Records to publish, with what their headers are made of.
pub(super) type Entries<'a> = Vec<(&'a Record, Entry)>;

/// Between two looks whether brokers have taken what they were sent.
const LOOK: Duration = Duration::from_micros(300);

/// What a partition ends with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// This is published. Op 0 when nothing is.
    Mark(Mark),
    /// What is published last cannot be read.
    Unreadable(String),
}

/// Where the producer stands.
#[derive(Debug)]
enum State {
    /// No transaction is open.
    Ready,
    /// The commit was asked for and not answered; these are its marks.
    Committing(Vec<Mark>),
    /// The transaction failed, and its abort was not answered.
    Aborting,
    /// It publishes no more.
    Over(Fault),
}

/// See the file's head.
pub(super) struct Group {
    transactional_id: String,
    topic: String,
    message_bytes_max: u32,
    producer: BaseProducer<Ear>,
    state: State,
    /// What each shard's partition ends with, and what this producer itself has committed at least.
    tails: BTreeMap<u16, Tail>,
    /// The tails are to be read.
    unread: bool,
}

impl Group {
    /// Takes the group over: whoever had it is fenced, and its open transaction decided.
    pub(super) fn open(
        settings: &Settings,
        number: u16,
        shards: impl Iterator<Item = u16>,
        topic: Topic,
    ) -> Result<Group, Fault> {
        let producer: BaseProducer<Ear> = settings
            .producer(number, topic.message_bytes_max)
            .create_with_context(Ear::default())
            .map_err(|error| Fault::Settings(error.to_string()))?;
        let mut group = Group {
            transactional_id: settings.transactional_id_of(number),
            topic: settings.topic.clone(),
            message_bytes_max: topic.message_bytes_max,
            producer,
            state: State::Ready,
            tails: shards.map(|shard| (shard, Tail::Mark(nothing(shard)))).collect(),
            unread: true,
        };
        let deadline = Instant::now() + settings.call_timeout;
        group.persist(deadline, |producer, left| producer.init_transactions(left))?;
        Ok(group)
    }

    /// What a shard's partition ends with. A shard of another group has nothing.
    pub(super) fn tail(&self, shard: u16) -> Tail {
        self.tails
            .get(&shard)
            .cloned()
            .unwrap_or(Tail::Mark(nothing(shard)))
    }

    /// How far its shards are published.
    pub(super) fn marks(&self) -> impl Iterator<Item = Mark> {
        self.tails.values().filter_map(|tail| match tail {
            Tail::Mark(mark) => Some(*mark),
            Tail::Unreadable(_) => None,
        })
    }

    /// Ends what is undecided, and reads the tails if they are not known.
    pub(super) fn settle(&mut self, reader: &Reader, deadline: Instant) -> Result<(), Fault> {
        match &self.state {
            State::Ready => {}
            State::Over(fault) => return Err(fault.clone()),
            State::Committing(_) => self.commit(deadline)?,
            State::Aborting => self.abort(deadline)?,
        }
        if self.unread {
            self.read_tails(reader, deadline)?;
        }
        Ok(())
    }

    /// Reads what each partition ends with. A commit is answered before its entries can be read, so what this producer has committed is
    /// waited for: to take less for the end would publish the rest twice.
    fn read_tails(&mut self, reader: &Reader, deadline: Instant) -> Result<(), Fault> {
        let partitions: Vec<i32> = self.tails.keys().map(|shard| i32::from(*shard)).collect();
        let mut behind = None;
        while behind.is_none() || Instant::now() < deadline {
            let read = match reader.last(&partitions, deadline) {
                Ok(read) => read,
                Err(_) if behind.is_some() => break,
                Err(fault) => return Err(fault),
            };
            let tails: BTreeMap<u16, Tail> = self
                .tails
                .keys()
                .map(|shard| (*shard, self.tail_of(*shard, read.get(&i32::from(*shard)))))
                .collect();
            let short = tails
                .iter()
                .find(|(shard, tail)| !reaches(tail, &self.tail(**shard)));
            let Some((shard, _)) = short else {
                self.tails = tails;
                self.unread = false;
                return Ok(());
            };
            behind = Some(*shard);
            std::thread::sleep(PAUSE);
        }
        Err(Fault::Again(format!(
            "what {} has committed cannot be read in partition {} yet",
            self.transactional_id,
            behind.unwrap_or_default()
        )))
    }

    fn tail_of(&self, shard: u16, last: Option<&Option<Found>>) -> Tail {
        match last {
            Some(Some(Found { offset, record })) => match record {
                Ok(record) => Tail::Mark(record.mark()),
                Err(why) => Tail::Unreadable(format!(
                    "offset {offset} of partition {shard} of the topic {}: {why}",
                    self.topic
                )),
            },
            _ => Tail::Mark(nothing(shard)),
        }
    }

    /// Publishes records that are new, in one transaction.
    pub(super) fn write(&mut self, entries: &Entries<'_>, deadline: Instant) -> Result<(), Fault> {
        self.send(entries, deadline)?;
        let mut marks: BTreeMap<u16, Mark> = BTreeMap::new();
        marks.extend(entries.iter().map(|(record, _)| (record.shard, record.mark())));
        self.commit_sent(marks.into_values().collect(), deadline)
    }

    /// Commits what was sent; the marks are known from then on.
    pub(super) fn commit_sent(&mut self, marks: Vec<Mark>, deadline: Instant) -> Result<(), Fault> {
        self.state = State::Committing(marks);
        self.commit(deadline)
    }

    /// Waits until brokers have what was sent and not committed.
    #[cfg(test)]
    pub(super) fn sent(&self, deadline: Instant) {
        await_sent(&self.producer, left(deadline));
        assert_eq!(self.producer.in_flight_count(), 0);
    }

    /// Begins a transaction and hands its entries to librdkafka, which sends them meanwhile.
    pub(super) fn send(&mut self, entries: &Entries<'_>, deadline: Instant) -> Result<(), Fault> {
        if let Err(error) = self.producer.begin_transaction() {
            return Err(match Verdict::of(&error) {
                Verdict::Retry(why) | Verdict::Abort(why) => Fault::Again(why),
                other => self.over(other),
            });
        }
        let mut value = Vec::new();
        for (record, entry) in entries {
            value.clear();
            encode(record, &mut value);
            if let Err(fault) = self.send_one(record, entry, &value, deadline) {
                self.state = State::Aborting;
                // What went wrong first is what there is to say.
                return Err(self.abort(deadline).err().filter(Fault::stops).unwrap_or(fault));
            }
        }
        Ok(())
    }

    fn send_one(&self, record: &Record, entry: &Entry, value: &[u8], deadline: Instant) -> Result<(), Fault> {
        let key = key(record);
        let mut message = BaseRecord::to(&self.topic)
            .partition(i32::from(record.shard))
            .key(&key)
            .payload(value)
            .headers(headers(record, entry));
        loop {
            let (error, back) = match self.producer.send(message) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::QueueFull) if Instant::now() < deadline => {
                    rest(&self.producer, LOOK);
                }
                Some(RDKafkaErrorCode::QueueFull) => {
                    return Err(Fault::Again(
                        self.with_complaint("brokers do not take entries in time".into()),
                    ));
                }
                Some(RDKafkaErrorCode::MessageSizeTooLarge) => return Err(self.too_large(key)),
                _ => return Err(Fault::Again(format!("entry {key} cannot be sent: {error}"))),
            }
            message = back;
        }
    }

    /// Asks for the commit until it is answered.
    fn commit(&mut self, deadline: Instant) -> Result<(), Fault> {
        let done = self.persist(deadline, |producer, left| {
            await_sent(producer, left);
            producer.commit_transaction(left)
        });
        match done {
            Ok(()) => {
                if let State::Committing(marks) = std::mem::replace(&mut self.state, State::Ready) {
                    let known = marks.into_iter().map(|mark| (mark.shard, Tail::Mark(mark)));
                    self.tails.extend(known);
                }
                Ok(())
            }
            Err(Halt::Undone(fault)) => {
                self.state = State::Aborting;
                let why = self.why_undelivered(fault);
                Err(self.abort(deadline).err().filter(Fault::stops).unwrap_or(why))
            }
            Err(other) => Err(other.into()),
        }
    }

    /// What a failed transaction comes to.
    #[cfg(test)]
    pub(super) fn give_up(&mut self, deadline: Instant) -> Result<(), Fault> {
        self.state = State::Aborting;
        self.abort(deadline)
    }

    /// Gives the transaction up. What the partitions end with is read again afterwards.
    fn abort(&mut self, deadline: Instant) -> Result<(), Fault> {
        self.unread = true;
        self.persist(deadline, |producer, left| {
            // What is given up is reported entry by entry, and the call waits until that was heard.
            while_polled(producer, || producer.abort_transaction(left))
        })?;
        // These failed because of the abort.
        _ = self.producer.context().undelivered();
        self.state = State::Ready;
        Ok(())
    }

    /// A call of the transaction again and again until it is answered or the deadline passes.
    fn persist(
        &mut self,
        deadline: Instant,
        call: impl Fn(&BaseProducer<Ear>, Duration) -> Result<(), KafkaError>,
    ) -> Result<(), Halt> {
        loop {
            let error = match call(&self.producer, left(deadline)) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            // Errors of brokers are events, which only a poll hears.
            self.producer.poll(Duration::ZERO);
            match Verdict::of(&error) {
                Verdict::Retry(_) if Instant::now() + PAUSE < deadline => std::thread::sleep(PAUSE),
                Verdict::Retry(why) => return Err(Halt::Later(Fault::Again(self.with_complaint(why)))),
                Verdict::Abort(why) => return Err(Halt::Undone(Fault::Again(why))),
                other => return Err(Halt::Later(self.over(other))),
            }
        }
    }

    /// The fault that ends this producer, which it gives from now on.
    fn over(&mut self, verdict: Verdict) -> Fault {
        let transactional_id = self.transactional_id.clone();
        let fault = match verdict {
            Verdict::Fenced(why) => Fault::Superseded {
                transactional_id,
                why,
            },
            Verdict::Retry(why) | Verdict::Abort(why) | Verdict::Broken(why) => Fault::Broken {
                transactional_id,
                why,
            },
        };
        self.state = State::Over(fault.clone());
        fault
    }

    fn too_large(&self, key: String) -> Fault {
        Fault::TooLarge {
            key,
            limit: self.message_bytes_max,
        }
    }

    /// An entry that no broker took says more than its transaction.
    fn why_undelivered(&self, fault: Fault) -> Fault {
        match self.producer.context().undelivered() {
            Some(entry) if entry.code == Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                self.too_large(entry.key)
            }
            Some(entry) => match entry.code {
                Some(code) => Fault::Again(format!("entry {} was not taken: {code}", entry.key)),
                None => fault,
            },
            None => fault,
        }
    }

    fn with_complaint(&self, why: String) -> String {
        match self.producer.context().complaint() {
            Some(complaint) => format!("{why} ({complaint})"),
            None => why,
        }
    }
}

/// Why a call was given up.
enum Halt {
    /// The state says what is to be done next time.
    Later(Fault),
    /// The transaction must be aborted.
    Undone(Fault),
}

impl From<Halt> for Fault {
    fn from(halt: Halt) -> Fault {
        match halt {
            Halt::Later(fault) | Halt::Undone(fault) => fault,
        }
    }
}

/// The mark of a shard of which nothing is published.
fn nothing(shard: u16) -> Mark {
    Mark {
        shard,
        ..Mark::default()
    }
}

/// Whether what was read is no less than what is known.
fn reaches(read: &Tail, known: &Tail) -> bool {
    match (read, known) {
        (Tail::Mark(read), Tail::Mark(known)) => read.op >= known.op,
        (Tail::Mark(_), Tail::Unreadable(_)) | (Tail::Unreadable(_), _) => true,
    }
}

/// Hears what happened, and rests. A poll with a time-out would spin through its last millisecond.
fn rest(producer: &BaseProducer<Ear>, rest: Duration) {
    producer.poll(Duration::ZERO);
    std::thread::sleep(rest);
}

/// Waits until brokers have what was handed in. The commit does so as well, but looks every 100 ms only.
fn await_sent(producer: &BaseProducer<Ear>, left: Duration) {
    let deadline = Instant::now() + left;
    while producer.in_flight_count() > 0 && Instant::now() < deadline {
        rest(producer, LOOK);
    }
}

/// Runs a call that waits for events while another thread hears them.
fn while_polled<T>(producer: &BaseProducer<Ear>, call: impl FnOnce() -> T) -> T {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Acquire) {
                rest(producer, LOOK);
            }
        });
        let result = call();
        done.store(true, Ordering::Release);
        result
    })
}

#[cfg(test)]
mod tests;
