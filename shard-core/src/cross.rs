//! Orders over several shards.
//!
//! Home: `Gathering` is logged, then holds are asked for; the last yes is logged as `Committed`, which is the point of
//! acknowledgement. Fates follow lazily and are repeated until acknowledged. An attempt that died needs no memory: an
//! unknown attempt is a released one.
//!
//! Participant: a hold is logged before it is answered and has no deadline of its own; it asks. Once settled it cannot
//! come back: until its prepare deadline a tombstone refuses it, afterwards the deadline does.

mod effects;
mod home;
mod participant;

use crate::entry::Gathering;
use crate::expiry::Chore;
use crate::ids::{Millis, ShardId};
use crate::message::{Fate, Message, Standing};
use crate::order::Participant;
use crate::order_state::State;
use crate::shard::{Decision, Shard};

type Sends = Vec<(ShardId, Message)>;

impl Shard {
    pub(crate) fn decide_message(&self, now: Millis, from: ShardId, message: &Message) -> Decision {
        match message {
            Message::Hold(hold) => self.hold_asked(now, from, hold),
            Message::HoldAnswer {
                order,
                attempt,
                result,
            } => self.hold_answered(now, from, (*order, *attempt), result),
            Message::Settle {
                order,
                attempt,
                fate,
                prepare_deadline,
            } => self.settle_told(now, from, (*order, *attempt), *fate, *prepare_deadline),
            Message::Settled { order, attempt } => self.settled_told(now, from, *order, *attempt),
            Message::Ask { order, attempt } => self.asked(from, *order, *attempt),
            Message::Answer {
                order,
                attempt,
                standing,
            } => match standing {
                Standing::Ended(fate) if self.holds.get((*order, *attempt)).is_some() => {
                    self.settle_told(now, from, (*order, *attempt), *fate, Millis(0))
                }
                // Wait and held: the next question is planned already.
                _ => Decision::nothing(),
            },
        }
    }

    pub(crate) fn chore_due(&mut self, now: Millis, chore: Chore) -> Option<Decision> {
        match chore {
            Chore::GatherTimeout(order) => self.gather_timed_out(now, order),
            Chore::SaleEnd(slot) => self.sale_ended(now, slot),
            Chore::Resend { order, wait_ms } => {
                let row = self.orders.find(order).filter(|row| row.unsettled())?;
                let sends = self.settles(row, fate(row.state));
                let chore = Chore::Resend {
                    order,
                    wait_ms: self.longer(wait_ms),
                };
                self.timers.push_chore(now.after(wait_ms), chore);
                Some(Decision::nothing().with_sends(sends))
            }
            Chore::Ask { attempt, wait_ms } => {
                self.holds.get(attempt)?;
                let chore = Chore::Ask {
                    attempt,
                    wait_ms: self.longer(wait_ms),
                };
                self.timers.push_chore(now.after(wait_ms), chore);
                let (order, attempt) = attempt;
                Some(Decision::send(order.shard(), Message::Ask { order, attempt }))
            }
        }
    }

    fn longer(&self, wait_ms: u64) -> u64 {
        (wait_ms * 2).min(self.config.limits.again_ms * 64)
    }
}

fn fate(state: State) -> Fate {
    if state == State::Confirmed {
        Fate::Sold
    } else {
        Fate::Released
    }
}

/// The other shards of a new order, each with its lines.
fn participants(gathering: &Gathering, home: ShardId) -> Vec<Participant> {
    let mut parts: Vec<Participant> = Vec::new();
    for (line, &shard) in gathering.placed.lines.iter().zip(&gathering.shards) {
        if shard == home {
            continue;
        }
        match parts.iter_mut().find(|part| part.shard == shard) {
            Some(part) => part.lines.push(*line),
            None => parts.push(Participant {
                shard,
                lines: vec![*line],
                held: None,
                acknowledged: false,
            }),
        }
    }
    parts
}
