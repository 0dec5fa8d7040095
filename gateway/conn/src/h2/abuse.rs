//! Frames that ask for work and for no answer, weighed over time.

use crate::limits::H2_PROVOKED_RESETS;
use crate::{Nanos, Refusal};

/// Resets a second. EDGE: more than 100 is abuse (CVE-2023-44487).
const RESETS_PER_SECOND: u32 = 100;
/// Resets before we answered anything at all.
const RESETS_BEFORE_ANSWER: u32 = 50;
/// PING, SETTINGS, empty DATA, PRIORITY and unknown frames a second, together. A browser sends one or two.
const CONTROL_FRAMES_PER_SECOND: u32 = 500;
/// WINDOW_UPDATE frames a second. A client may send two for each answer; 10,000 answers a second on one connection
/// are more than a core gives.
const WINDOW_UPDATES_PER_SECOND: u32 = 20_000;
const SECOND: Nanos = Nanos::from_secs(1);

/// Frames of the peer that cost it nothing, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FrameCounts {
    pub resets: u32,
    pub pings: u32,
    pub settings: u32,
    pub window_updates: u32,
    pub empty_data: u32,
    /// PRIORITY and whatever else asks for nothing.
    pub others: u32,
}

/// Compares the counts with what they were when the second began.
#[derive(Debug)]
pub(super) struct Abuse {
    pub counts: FrameCounts,
    since: Nanos,
    base: FrameCounts,
    /// Streams that we reset because of what the peer did.
    provoked: u32,
}

impl Abuse {
    pub fn new(now: Nanos) -> Abuse {
        Abuse {
            counts: FrameCounts::default(),
            since: now,
            base: FrameCounts::default(),
            provoked: 0,
        }
    }

    /// What the peer is guilty of, if anything.
    pub fn verdict(&mut self, now: Nanos, has_answered: bool) -> Option<Refusal> {
        let counts = &self.counts;
        if now >= self.since.after(SECOND) {
            self.since = now;
            self.base = *counts;
            return None;
        }
        let resets = counts.resets - self.base.resets;
        if resets > RESETS_PER_SECOND || (!has_answered && counts.resets > RESETS_BEFORE_ANSWER) {
            return Some(Refusal::H2RapidReset);
        }
        let control =
            |counts: &FrameCounts| counts.pings + counts.settings + counts.empty_data + counts.others;
        let is_flood = control(counts) - control(&self.base) > CONTROL_FRAMES_PER_SECOND
            || counts.window_updates - self.base.window_updates > WINDOW_UPDATES_PER_SECOND;
        is_flood.then_some(Refusal::H2Flood)
    }

    /// We reset a stream because of what the peer did. Returns whether that is once too often.
    pub fn provoked(&mut self) -> bool {
        self.provoked += 1;
        self.provoked > H2_PROVOKED_RESETS
    }
}
