//! How an HTTP/1.1 connection ends: a drain, deadlines.

use super::{H1, Stage};
use crate::context::Context;
use crate::{Nanos, Refusal};

impl H1 {
    /// Takes at most the request whose bytes have begun to come; the last answer says that the connection closes.
    pub fn drain(&mut self) {
        self.release_handed();
        self.draining = true;
        let in_request = matches!(
            self.stage,
            Stage::Head(_) | Stage::Held { .. } | Stage::Body { .. }
        );
        if in_request {
            return;
        }
        if let Some(last) = self.slots.back_mut() {
            last.shape.close = true;
            self.end();
        } else if self.base == self.input.len() {
            self.end();
        }
    }

    /// When something is due.
    pub fn timeout(&self, context: &Context<'_>) -> Option<Nanos> {
        let deadlines = &context.config.deadlines;
        match (self.stage, self.begun_at) {
            // Held back by our own answers: the peer is not to blame.
            (Stage::Ended | Stage::Handed { .. } | Stage::Held { .. }, _) => None,
            (Stage::Head(_), Some(begun)) => Some(begun.after(deadlines.head)),
            (Stage::Body { .. }, Some(begun)) => Some(begun.after(deadlines.request)),
            _ if self.slots.is_empty() => Some(self.idle_since.after(deadlines.idle)),
            _ => None,
        }
    }

    pub fn handle_timeout(&mut self, context: &Context<'_>) {
        self.release_handed();
        if self.timeout(context).is_none_or(|at| context.now < at) {
            return;
        }
        match self.stage {
            Stage::Head(_) => self.refuse(context, Refusal::HeadTimeout),
            Stage::Body { .. } => self.refuse(context, Refusal::RequestTimeout),
            _ => {
                context.config.counters.refuse(Refusal::IdleTimeout);
                self.end();
            }
        }
    }
}
