//! Which requests are wanted: decided on the words as they are, so that a look at a hundred thousand records is short.

use super::record::{self, Record};
use super::ring::{Ring, Words};
use crate::codes::Code;

/// Conditions that all hold; an unset one holds always.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// The whole `x-request-id`.
    pub id: Option<String>,
    /// The answer's status.
    pub status: Option<u16>,
    /// The refusal's code.
    pub code: Option<Code>,
    /// Index of the route.
    pub route: Option<usize>,
    /// Took longer than this, nanoseconds.
    pub slower_than_ns: Option<u64>,
    /// Answered at this moment or later, unix milliseconds.
    pub since_ms: Option<u64>,
}

impl Filter {
    /// The newest `limit` records of several threads for which it holds, newest first.
    pub fn newest<'a>(&self, rings: impl IntoIterator<Item = &'a Ring>, limit: usize) -> Vec<Record> {
        let found = rings.into_iter().flat_map(|ring| {
            let kept = ring.newest_first().filter(|words| self.holds(words));
            kept.take(limit)
        });
        let mut found: Vec<Words> = found.collect();
        found.sort_by_key(|words| std::cmp::Reverse(record::at_ms(words)));
        found.iter().take(limit).filter_map(Record::decode).collect()
    }

    /// The slowest `limit` records for which it holds, slowest first.
    pub fn slowest<'a>(&self, rings: impl IntoIterator<Item = &'a Ring>, limit: usize) -> Vec<Record> {
        let mut slowest: Vec<Words> = Vec::with_capacity(2 * limit);
        for words in rings.into_iter().flat_map(Ring::newest_first) {
            if !self.holds(&words) {
                continue;
            }
            slowest.push(words);
            if slowest.len() >= 2 * limit {
                keep_slowest(&mut slowest, limit);
            }
        }
        keep_slowest(&mut slowest, limit);
        slowest.iter().filter_map(Record::decode).collect()
    }

    fn holds(&self, words: &Words) -> bool {
        self.since_ms.is_none_or(|since| record::at_ms(words) >= since)
            && self.status.is_none_or(|status| record::status(words) == status)
            && self.slower_than_ns.is_none_or(|ns| record::total_ns(words) > ns)
            && self.route.is_none_or(|route| record::route(words) == route)
            && self.code.is_none_or(|code| record::code(words) == Some(code))
            && self.id.as_ref().is_none_or(|id| record::has_id(words, id))
    }
}

fn keep_slowest(records: &mut Vec<Words>, limit: usize) {
    records.sort_by_key(|words| std::cmp::Reverse(record::total_ns(words)));
    records.truncate(limit);
}
