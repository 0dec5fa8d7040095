//! Frames that ask for work and for no answer, weighed over time.

use super::tap::FrameCounts;
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

/// Compares the tap's counts with what they were when the second began.
#[derive(Debug)]
pub(crate) struct Abuse {
    since: Nanos,
    base: FrameCounts,
}

impl Abuse {
    pub fn new(now: Nanos) -> Abuse {
        Abuse {
            since: now,
            base: FrameCounts::default(),
        }
    }

    /// What the peer is guilty of, if anything.
    pub fn verdict(&mut self, now: Nanos, counts: &FrameCounts, has_answered: bool) -> Option<Refusal> {
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
}
