//! Answers in the order of the requests, each whole or in pieces (RFC 9112 section 9.3.2).

use super::H1;
use super::write::{self, Coding, Shape};
use crate::context::Context;
use crate::limits::{IDLE_BUFFER_BYTES, SPARE_ANSWERS};
use crate::{Answer, AnswerHead, ExchangeId, Nanos};

/// The answer of one exchange, as far as it is not written yet.
#[derive(Debug)]
pub(super) struct Slot {
    pub shape: Shape,
    pub said: Said,
}

/// How far the answer has come.
#[derive(Debug)]
pub(super) enum Said {
    Nothing,
    /// It is formatted whole, while older ones are missing.
    Whole(Vec<u8>),
    /// Its head is formatted, while older answers are missing.
    Head(Vec<u8>, Coding),
    /// Its head is written, and all that was given of its body.
    Begun(Coding),
}

impl H1 {
    pub fn respond(&mut self, context: &Context<'_>, exchange: ExchangeId, answer: &Answer<'_>) -> bool {
        let Some(index) = self.unanswered_index(exchange) else {
            return false;
        };
        self.unanswered -= 1;
        let shape = self.slots[index].shape;
        if index == 0 {
            write::answer(self.output.buffer(), answer, shape);
            self.pop_slot(context.now);
            self.flush_ready(context.now);
        } else {
            let mut ready = self.spare.pop().unwrap_or_default();
            write::answer(&mut ready, answer, shape);
            self.slots[index].said = Said::Whole(ready);
        }
        true
    }

    /// Where an exchange is in the queue, if its answer has not begun.
    fn unanswered_index(&self, exchange: ExchangeId) -> Option<usize> {
        let index = self.index(exchange)?;
        matches!(self.slots[index].said, Said::Nothing).then_some(index)
    }

    /// Where an exchange is in the queue.
    fn index(&self, exchange: ExchangeId) -> Option<usize> {
        let index = exchange.0.checked_sub(self.first)?;
        usize::try_from(index)
            .ok()
            .filter(|index| *index < self.slots.len())
    }

    pub fn respond_head(&mut self, exchange: ExchangeId, head: &AnswerHead<'_>) -> bool {
        let Some(index) = self.unanswered_index(exchange) else {
            return false;
        };
        let shape = self.slots[index].shape;
        let said = if index == 0 {
            Said::Begun(write::head(self.output.buffer(), head, shape))
        } else {
            let mut ready = self.spare.pop().unwrap_or_default();
            let coding = write::head(&mut ready, head, shape);
            Said::Head(ready, coding)
        };
        let is_last = matches!(
            said,
            Said::Begun(Coding::UntilClose) | Said::Head(_, Coding::UntilClose)
        );
        self.slots[index].said = said;
        if is_last {
            // What was asked behind it could not be told apart from its body.
            self.truncate(index + 1);
            self.end();
        }
        true
    }

    pub fn room(&self, context: &Context<'_>, exchange: ExchangeId) -> usize {
        match self.slots.front().map(|slot| &slot.said) {
            Some(Said::Begun(coding)) if exchange.0 == self.first => {
                let room = self.output.room(context.config.limits.output_bytes);
                match coding {
                    Coding::Length(left) => usize::try_from(*left).map_or(room, |left| room.min(left)),
                    _ => room,
                }
            }
            _ => 0,
        }
    }

    pub fn respond_chunk(&mut self, context: &Context<'_>, exchange: ExchangeId, data: &[u8]) -> usize {
        let taken = data.len().min(self.room(context, exchange));
        let data = &data[..taken];
        // An empty chunk would end the body.
        if !data.is_empty()
            && let Some(Said::Begun(coding)) = self.slots.front_mut().map(|slot| &mut slot.said)
        {
            write::piece(self.output.buffer(), data, coding);
        }
        taken
    }

    pub fn respond_end(&mut self, context: &Context<'_>, exchange: ExchangeId) {
        let Some(index) = self.index(exchange) else { return };
        let (output, said) = (&mut self.output, &mut self.slots[index].said);
        let coding = match said {
            Said::Nothing | Said::Whole(_) => return,
            Said::Head(_, coding) | Said::Begun(coding) => *coding,
        };
        if matches!(coding, Coding::Length(1..)) {
            return self.abort(exchange);
        }
        if let Said::Head(ready, _) = said {
            write::end(ready, coding);
            *said = Said::Whole(std::mem::take(ready));
        } else {
            write::end(output.buffer(), coding);
        }
        self.unanswered -= 1;
        if index == 0 {
            self.pop_slot(context.now);
            self.flush_ready(context.now);
        }
    }

    /// Breaks an exchange off, and with it the connection; what was asked before is still answered.
    pub fn abort(&mut self, exchange: ExchangeId) {
        let Some(index) = self.index(exchange) else { return };
        match self.slots[index].said {
            Said::Whole(_) => return,
            // Nothing but the connection's end tells the peer where this body ends: it must not look like one.
            Said::Begun(Coding::UntilClose) => self.is_cut = true,
            _ => {}
        }
        self.truncate(index);
        self.end();
    }

    /// Nobody is answered from this slot on.
    fn truncate(&mut self, index: usize) {
        for slot in self.slots.drain(index..) {
            if !matches!(slot.said, Said::Whole(_)) {
                self.unanswered -= 1;
            }
        }
    }

    fn pop_slot(&mut self, now: Nanos) {
        self.slots.pop_front();
        self.first += 1;
        if self.slots.is_empty() {
            self.idle_since = now;
        }
    }

    /// Moves answers whose turn has come to the output.
    pub(super) fn flush_ready(&mut self, now: Nanos) {
        while let Some(slot) = self.slots.front_mut() {
            match std::mem::replace(&mut slot.said, Said::Nothing) {
                Said::Whole(ready) => {
                    self.write_ready(ready);
                    self.pop_slot(now);
                }
                Said::Head(ready, coding) => {
                    slot.said = Said::Begun(coding);
                    self.write_ready(ready);
                    break;
                }
                said => {
                    slot.said = said;
                    break;
                }
            }
        }
        if self.slots.is_empty() {
            self.spare = Vec::new();
        }
    }

    fn write_ready(&mut self, mut ready: Vec<u8>) {
        self.output.buffer().extend_from_slice(&ready);
        if self.spare.len() < SPARE_ANSWERS && ready.capacity() <= IDLE_BUFFER_BYTES {
            ready.clear();
            self.spare.push(ready);
        }
    }
}
