//! One time-out per phase.

use super::{Conn, Life, Spoken, context};
use crate::{Nanos, Refusal};

impl Conn {
    /// When `handle_timeout` is to be called, if nothing happens before.
    pub fn timeout(&self) -> Option<Nanos> {
        let deadlines = &self.config.deadlines;
        let stalled = self.stalled_since.map(|since| since.after(deadlines.write));
        let phase = match self.life {
            Life::Closed => return None,
            Life::Closing { since, .. } => Some(since.after(deadlines.linger)),
            Life::Open => self.phase_timeout(),
        };
        [stalled, phase].into_iter().flatten().min()
    }

    fn phase_timeout(&self) -> Option<Nanos> {
        let deadlines = &self.config.deadlines;
        let age = (!self.draining).then(|| self.born.after(deadlines.age));
        let phase = match &self.spoken {
            Spoken::Unknown { .. } if self.tls.is_some() => Some(self.born.after(deadlines.handshake)),
            Spoken::Unknown {
                first_at: Some(first_at),
                ..
            } => Some(first_at.after(deadlines.head)),
            Spoken::Unknown { .. } => Some(self.born.after(deadlines.idle)),
            Spoken::H1(h1) => h1.timeout(&self.context()),
            Spoken::H2(h2) => h2.timeout(&self.context()),
        };
        [age, phase].into_iter().flatten().min()
    }

    /// Acts on every deadline that has passed; early calls do nothing.
    pub fn handle_timeout(&mut self, now: Nanos) {
        self.now = now;
        let deadlines = self.config.deadlines;
        if self
            .stalled_since
            .is_some_and(|since| now >= since.after(deadlines.write))
        {
            self.config.counters.refuse(Refusal::WriteTimeout);
            self.life = Life::Closed;
        }
        match self.life {
            Life::Closed => return,
            Life::Closing { since, .. } => {
                if now >= since.after(deadlines.linger) {
                    self.life = Life::Closed;
                }
                return;
            }
            Life::Open => {}
        }
        if !self.draining && now >= self.born.after(deadlines.age) {
            self.drain(now);
        }
        if self.phase_timeout().is_some_and(|at| now >= at) {
            self.end_phase();
        }
        self.settle();
    }

    /// The deadline of the phase has passed.
    fn end_phase(&mut self) {
        let counters = self.config.counters.clone();
        match &mut self.spoken {
            Spoken::Unknown { .. } if self.tls.is_some() => {
                counters.refuse(Refusal::HandshakeTimeout);
                self.begin_closing();
            }
            Spoken::Unknown { bytes, .. } if bytes.is_empty() => {
                counters.refuse(Refusal::IdleTimeout);
                self.begin_closing();
            }
            Spoken::Unknown { .. } => {
                // Part of a preface, and then nothing.
                counters.refuse(Refusal::HeadTimeout);
                self.begin_closing();
            }
            Spoken::H1(h1) => {
                let context = context(&self.config, self.tls.as_ref(), self.now, self.id);
                h1.handle_timeout(&context);
            }
            Spoken::H2(h2) => {
                let context = context(&self.config, self.tls.as_ref(), self.now, self.id);
                h2.handle_timeout(&context);
            }
        }
    }
}
