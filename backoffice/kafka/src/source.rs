//! The topic's entries for a store, from where the store is.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::types::RDKafkaErrorCode;
use tidegate_follow::{Fed, Mark, Next, Record, Source, check};

use crate::message::decode;
use crate::reader::Reader;
use crate::{Fault, MessageError, Settings};

mod cursor;
mod search;

use cursor::Cursor;
use search::Search;

/// How long a read waits for a partition whose end it has not seen.
const WAIT: Duration = Duration::from_millis(100);

/// Entries that one read hands out at most, so that the store's marks are heard of in between.
const READ_MAX: usize = 8192;

/// Reads committed entries of some shards after a store's marks, for a [`Follower`](tidegate_follow::Follower).
pub struct KafkaSource {
    settings: Settings,
    reader: Reader,
    cursors: BTreeMap<u16, Cursor>,
    /// What was not taken, and comes again.
    pending: Option<Record>,
    /// Lines that no read has said yet.
    lines: VecDeque<String>,
    /// Entries that were handed out and that no mark covers.
    unmarked: usize,
}

impl KafkaSource {
    /// Finds where each shard goes on after the store's marks; one without a mark is read from its first entry on. A shard whose mark the
    /// topic does not have is stopped, and the first read says why.
    ///
    /// # Errors
    /// [`Fault`]; one that does not [stop](Fault::stops) may be gone at the next try.
    pub fn open(
        settings: Settings,
        shards: impl IntoIterator<Item = u16>,
        marks: &[Mark],
    ) -> Result<KafkaSource, Fault> {
        settings.check()?;
        let shards: Vec<u16> = shards.into_iter().collect();
        settings.check_shards(&shards)?;
        let reader = Reader::to_follow(&settings)?;
        let deadline = Instant::now() + settings.call_timeout;
        match reader.partitions(deadline)? {
            Some(partitions) if partitions == usize::from(settings.shards) => {}
            Some(partitions) => return Err(settings.other_number(partitions)),
            None => {
                return Err(Fault::Again(format!("there is no topic {} yet", settings.topic)));
            }
        }
        let cursor = |shard| {
            let mark = marks.iter().find(|mark| mark.shard == shard).copied();
            let nothing = Mark {
                shard,
                ..Mark::default()
            };
            (shard, Cursor::new(mark.unwrap_or(nothing)))
        };
        let mut source = KafkaSource {
            cursors: shards.into_iter().map(cursor).collect(),
            settings,
            reader,
            pending: None,
            lines: VecDeque::new(),
            unmarked: 0,
        };
        source.seek()?;
        Ok(source)
    }

    /// Shards that cannot be read any more.
    pub fn stopped(&self) -> impl Iterator<Item = u16> {
        let stopped = self.cursors.iter().filter(|(_, cursor)| cursor.stopped);
        stopped.map(|(shard, _)| *shard)
    }

    /// Has each shard read from after what was given. One that its partition does not have is stopped.
    fn seek(&mut self) -> Result<(), Fault> {
        let search = Search::new(&self.settings)?;
        let mut places = Vec::new();
        for (shard, cursor) in self.cursors.iter_mut().filter(|(_, cursor)| !cursor.stopped) {
            let deadline = Instant::now() + self.settings.call_timeout;
            match search.place(cursor.given, deadline)? {
                Ok(offset) => places.push((i32::from(*shard), offset)),
                Err(line) => {
                    cursor.stopped = true;
                    self.lines.push_back(line);
                }
            }
            cursor.at_end = false;
        }
        // What was not taken is read again.
        self.pending = None;
        self.reader.assign(&places)
    }

    /// A shard's cursor, unless it was stopped.
    fn cursor(&mut self, shard: u16) -> Option<&mut Cursor> {
        self.cursors.get_mut(&shard).filter(|cursor| !cursor.stopped)
    }

    fn all_at_end(&self) -> bool {
        self.cursors
            .values()
            .all(|cursor| cursor.stopped || cursor.at_end)
    }

    /// A message that comes next in its partition: none when the store has it or its shard was stopped.
    fn judge(
        &mut self,
        (partition, offset): (i32, i64),
        message: Result<Record, MessageError>,
    ) -> Result<Option<Record>, String> {
        let Some((shard, given)) = u16::try_from(partition)
            .ok()
            .and_then(|shard| Some((shard, self.cursor(shard)?)))
            .map(|(shard, cursor)| {
                cursor.at_end = false;
                (shard, cursor.given)
            })
        else {
            return Ok(None);
        };
        let why = match message {
            Ok(record) => match check(given, &record) {
                Ok(Next::New) => return Ok(Some(record)),
                Ok(Next::Known) => return Ok(None),
                Err(parted) => parted.to_string(),
            },
            Err(error) => error.to_string(),
        };
        self.stop_shard(shard);
        Err(format!(
            "offset {offset} of partition {partition} of the topic {}: {why}",
            self.settings.topic
        ))
    }

    /// Offers a record; false when it was not taken.
    fn offer(&mut self, record: Record, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> bool {
        if take(&|| record.clone()) {
            self.unmarked += 1;
            if let Some(cursor) = self.cursor(record.shard) {
                cursor.gave(record.mark());
            }
            return true;
        }
        self.pending = Some(record);
        false
    }

    /// What a poll said that is no entry: a complaint, or none when it only says how far a partition was read.
    ///
    /// # Errors
    /// A line: where to read on was not found.
    fn heard(&mut self, error: &KafkaError) -> Result<Option<String>, String> {
        if let KafkaError::PartitionEOF(partition) = error {
            if let Some(cursor) = u16::try_from(*partition)
                .ok()
                .and_then(|shard| self.cursor(shard))
            {
                cursor.at_end = true;
            }
            return Ok(None);
        }
        let code = error.rdkafka_error_code();
        if let Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) = code {
            // Some partition does not have what is to be read next, and librdkafka does not say which.
            return self.seek().map(|()| None).map_err(|fault| fault.to_string());
        }
        let complaint = self.reader.consumer().context().complaint();
        Ok(Some(match complaint {
            Some(complaint) => format!("reading the topic {}: {error} ({complaint})", self.settings.topic),
            None => format!("reading the topic {}: {error}", self.settings.topic),
        }))
    }
}

impl Source for KafkaSource {
    /// Waits up to 100 ms for a partition whose end was not seen yet.
    fn read(&mut self, take: &mut dyn FnMut(&dyn Fn() -> Record) -> bool) -> Result<Fed, String> {
        if let Some(line) = self.lines.pop_front() {
            return Err(line);
        }
        if let Some(record) = self.pending.take()
            && self.cursor(record.shard).is_some()
            && !self.offer(record, take)
        {
            return Ok(Fed::More);
        }
        // While brokers are away complaints queue up. The queue is gone through in one read: who waits after each of them is late by as many
        // waits when the brokers are back, and what comes after a complaint makes it old.
        let mut complaint = None;
        for _ in 0..READ_MAX {
            if self.unmarked >= self.settings.unmarked_max {
                return Ok(Fed::Full);
            }
            let waits = complaint.is_none() && !self.all_at_end();
            let wait = if waits { WAIT } else { Duration::ZERO };
            let (next, heard) = match self.reader.consumer().poll(wait) {
                Some(Ok(message)) => {
                    let place = (message.partition(), message.offset());
                    (Some((place, decode(place.0, message.payload()))), None)
                }
                Some(Err(error)) => (None, Some(error)),
                None if complaint.is_some() => break,
                None if self.all_at_end() => return Ok(Fed::All),
                None => return Ok(Fed::More),
            };
            if let Some(error) = heard {
                complaint = self.heard(&error)?;
            }
            let Some((place, message)) = next else { continue };
            complaint = None;
            if let Some(record) = self.judge(place, message)?
                && !self.offer(record, take)
            {
                return Ok(Fed::More);
            }
        }
        complaint.map_or(Ok(Fed::More), Err)
    }

    /// Needs no broker.
    fn applied(&mut self, mark: Mark) -> Result<(), String> {
        let Some(cursor) = self.cursor(mark.shard) else {
            return Ok(());
        };
        match cursor.applied(mark) {
            Ok(covered) => {
                self.unmarked -= covered;
                Ok(())
            }
            Err(parted) => {
                self.stop_shard(mark.shard);
                Err(parted.to_string())
            }
        }
    }

    fn stop_shard(&mut self, shard: u16) {
        let Some(cursor) = self.cursor(shard) else { return };
        cursor.stopped = true;
        let unmarked = cursor.unmarked();
        self.unmarked -= unmarked;
        if self.pending.as_ref().is_some_and(|record| record.shard == shard) {
            self.pending = None;
        }
        // What was fetched already is left out by `judge`; this only spares the network.
        let mut list = TopicPartitionList::new();
        list.add_partition(&self.settings.topic, i32::from(shard));
        if let Err(error) = self.reader.consumer().pause(&list) {
            tracing::warn!(shard, "a stopped shard is fetched still: {error}");
        }
    }
}

#[cfg(test)]
mod tests;
