//! How an HTTP/2 connection ends: abuse, a drain's two GOAWAYs, deadlines.

use super::stream::Stream;
use super::{Engine, H2};
use crate::context::Context;
use crate::{Nanos, Refusal};
use ::h2::Reason;

/// How far a drain (RFC 9113 section 6.8) has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drain {
    No,
    /// The first GOAWAY is out; the second waits for the PING's acknowledgement.
    Asked {
        since: Nanos,
        pongs: u32,
    },
    /// The second is out, or the connection was cut.
    Told,
}

impl H2 {
    /// Ends the connection of a peer that only makes work.
    pub(super) fn judge(&mut self, context: &Context<'_>) {
        let (counts, pongs) = {
            let pipe = self.pipe.borrow();
            (pipe.tap_in.counts, pipe.tap_in.pongs)
        };
        if matches!(self.drain, Drain::Asked { pongs: before, .. } if pongs > before) {
            self.drain = Drain::Told;
        }
        if let Some(refusal) = self.abuse.verdict(context.now, &counts, self.has_answered) {
            self.cut(context, Reason::ENHANCE_YOUR_CALM, refusal);
        }
    }

    /// Says GOAWAY and ends.
    fn cut(&mut self, context: &Context<'_>, reason: Reason, refusal: Refusal) {
        let Engine::Open(connection) = &mut self.engine else {
            if !matches!(self.engine, Engine::Done) {
                context.config.counters.refuse(refusal);
                self.end(context, None);
            }
            return;
        };
        context.config.counters.refuse(refusal);
        connection.abrupt_shutdown(reason);
        self.drain = Drain::Told;
        self.accept(context);
        // Blocked output delays the GOAWAY; the deadline for output that does not leave ends that.
        self.has_news = !matches!(self.engine, Engine::Done);
    }

    /// First GOAWAY: no stream is refused yet, for some may be on their way.
    pub fn drain(&mut self, now: Nanos) {
        if self.drain != Drain::No {
            return;
        }
        self.drain = Drain::Asked {
            since: now,
            pongs: self.pipe.borrow().tap_in.pongs,
        };
        if let Engine::Open(connection) = &mut self.engine {
            connection.graceful_shutdown();
            self.has_news = true;
        }
    }

    /// When something is due.
    pub fn timeout(&self, context: &Context<'_>) -> Option<Nanos> {
        let deadlines = &context.config.deadlines;
        let unfinished = match self.engine {
            Engine::Handshake(_) => Some(self.born),
            _ => self.pipe.borrow().tap_in.unfinished_since,
        };
        let drain = match self.drain {
            // What is in flight is answered first.
            Drain::Asked { since, .. } if self.unanswered == 0 => Some(since.after(deadlines.drain)),
            _ => None,
        };
        let idle = self.streams.is_empty() && self.unsent.is_empty() && self.drain == Drain::No;
        [
            unfinished.map(|since| since.after(deadlines.head)),
            self.collecting.front().map(|(at, _)| *at),
            self.unsent.front().map(|(at, _)| *at),
            drain,
            idle.then(|| self.idle_since.after(deadlines.idle)),
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
            if self.streams.get(&id).is_some_and(Stream::is_collecting)
                && let Some(stream) = self.streams.remove(&id)
            {
                self.refuse(context, id, stream, Refusal::RequestTimeout);
            }
        }
        let unfinished = match self.engine {
            Engine::Handshake(_) => Some(self.born),
            _ => self.pipe.borrow().tap_in.unfinished_since,
        };
        if unfinished.is_some_and(|since| now >= since.after(deadlines.head)) {
            self.cut(context, Reason::ENHANCE_YOUR_CALM, Refusal::HeadTimeout);
        } else if self.unsent.front().is_some_and(|(at, _)| now >= *at) {
            // The windows are held at zero.
            self.cut(context, Reason::ENHANCE_YOUR_CALM, Refusal::WriteTimeout);
        } else if matches!(self.drain, Drain::Asked { since, .. } if self.unanswered == 0 && now >= since.after(deadlines.drain))
        {
            self.cut(context, Reason::NO_ERROR, Refusal::H2DrainTimeout);
        } else if self.drain == Drain::No
            && self.streams.is_empty()
            && self.unsent.is_empty()
            && now >= self.idle_since.after(deadlines.idle)
        {
            context.config.counters.refuse(Refusal::IdleTimeout);
            self.drain(now);
        }
    }
}
