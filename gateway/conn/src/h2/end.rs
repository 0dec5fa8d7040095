//! How an HTTP/2 connection ends: faults, abuse, a drain's two GOAWAYs, deadlines.

use super::frame::{Reason, put_goaway, put_ping};
use super::receive::DRAIN_PING;
use super::stream::Stream;
use super::{Found, H2, Phase};
use crate::context::Context;
use crate::{Nanos, Refusal};

/// The last stream of a GOAWAY that refuses none.
const ANY_STREAM: u32 = 0x7fff_ffff;

/// How far a drain (RFC 9113 section 6.8) has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    No,
    /// The first GOAWAY is out, or will be after the client's first frame; the second waits for the PING's acknowledgement.
    Asked {
        since: Nanos,
    },
    /// The second is out; streams beyond this one are not served.
    Told {
        last: u32,
    },
}

impl H2 {
    /// Says GOAWAY and ends. What is in flight is decided all the same, and its answers go nowhere.
    pub(super) fn fail(&mut self, context: &Context<'_>, reason: Reason, refusal: Refusal) {
        if self.phase == Phase::Done {
            return;
        }
        context.config.counters.refuse(refusal);
        // A GOAWAY's stream never grows (section 6.8).
        let last = match self.drain {
            Drain::Told { last } => last,
            _ => self.last_stream,
        };
        put_goaway(self.output.buffer(), last, reason);
        self.finish();
    }

    fn finish(&mut self) {
        self.phase = Phase::Done;
        self.streams.clear();
        self.parked.clear();
        self.collecting.clear();
        self.block = None;
        self.unanswered = 0;
    }

    /// Ends the connection of a peer that only makes work.
    pub(super) fn judge(&mut self, context: &Context<'_>) {
        if let Some(refusal) = self.abuse.verdict(context.now, self.has_answered) {
            self.fail(context, Reason::EnhanceYourCalm, refusal);
        }
    }

    /// Resets a stream for what the peer did on it.
    pub(super) fn provoked_reset(&mut self, context: &Context<'_>, id: u32, reason: Reason) -> Option<Found> {
        self.reset(id, reason);
        let found = self.forget(context, id);
        if self.abuse.provoked() {
            self.fail(context, Reason::EnhanceYourCalm, Refusal::H2ProvokedReset);
        }
        found
    }

    /// Nothing more can come, and nothing is owed.
    pub(super) fn end_if_over(&mut self) {
        if self.phase == Phase::Done {
            return;
        }
        // With the output full, whole requests may still lie in the input.
        let is_at_end = self.eof && self.is_read;
        if is_at_end {
            // What is not whole never will be.
            let streams = &mut self.streams;
            streams.retain(|_, stream| !stream.is_collecting());
        }
        let is_last = is_at_end || self.is_left || matches!(self.drain, Drain::Told { .. });
        if is_last && self.streams.is_empty() {
            self.finish();
        }
    }

    /// First GOAWAY: no stream is refused yet, for some may be on their way.
    pub fn drain(&mut self, now: Nanos) {
        if self.drain != Drain::No {
            return;
        }
        self.drain = Drain::Asked { since: now };
        if self.phase == Phase::Open {
            self.carry_out_drain();
        }
    }

    pub(super) fn carry_out_drain(&mut self) {
        if let Drain::Asked { .. } = self.drain {
            put_goaway(self.output.buffer(), ANY_STREAM, Reason::NoError);
            put_ping(self.output.buffer(), 0, DRAIN_PING);
        }
    }

    /// A round trip later: the second GOAWAY, with what is served.
    pub(super) fn drain_acknowledged(&mut self) {
        if let Drain::Asked { .. } = self.drain {
            self.drain = Drain::Told {
                last: self.last_stream,
            };
            put_goaway(self.output.buffer(), self.last_stream, Reason::NoError);
        }
    }

    fn unfinished(&self) -> Option<Nanos> {
        match self.phase {
            Phase::Preface | Phase::Settings => Some(self.born),
            Phase::Open => self.unfinished_since,
            Phase::Done => None,
        }
    }

    fn drain_since(&self) -> Option<Nanos> {
        match self.drain {
            Drain::Asked { since } => Some(since),
            _ => None,
        }
    }

    fn is_idle(&self) -> bool {
        self.streams.is_empty() && self.drain == Drain::No
    }

    /// When something is due.
    pub fn timeout(&self, context: &Context<'_>) -> Option<Nanos> {
        let deadlines = &context.config.deadlines;
        [
            self.unfinished().map(|since| since.after(deadlines.head)),
            self.collecting.front().map(|(at, _)| *at),
            self.parked.front().map(|(at, _)| *at),
            self.drain_since().map(|since| since.after(deadlines.drain)),
            self.is_idle().then(|| self.idle_since.after(deadlines.idle)),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub fn handle_timeout(&mut self, context: &Context<'_>) {
        let now = context.now;
        let deadlines = &context.config.deadlines;
        while let Some((_, id)) = self.collecting.front().copied().filter(|(at, _)| now >= *at) {
            self.collecting.pop_front();
            if self.streams.get(&id).is_some_and(Stream::is_collecting) {
                self.refuse(context, id, Refusal::RequestTimeout);
            }
        }
        let is_due = |since: Option<Nanos>, after| since.is_some_and(|since| now >= since.after(after));
        if is_due(self.unfinished(), deadlines.head) {
            self.fail(context, Reason::EnhanceYourCalm, Refusal::HeadTimeout);
        } else if self.parked.front().is_some_and(|(at, _)| now >= *at) {
            // The windows are held at zero.
            self.fail(context, Reason::EnhanceYourCalm, Refusal::WriteTimeout);
        } else if is_due(self.drain_since(), deadlines.drain) {
            // The second GOAWAY without the acknowledgement: what is in flight is answered to its last byte, and nothing new is taken.
            context.config.counters.refuse(Refusal::H2DrainTimeout);
            self.drain_acknowledged();
        } else if self.is_idle() && now >= self.idle_since.after(deadlines.idle) {
            context.config.counters.refuse(Refusal::IdleTimeout);
            self.drain(now);
        }
        self.end_if_over();
    }
}
