//! Home's side: what its entries do.

use super::participants;
use crate::entry::{Gathering, Regathering};
use crate::expiry::Chore;
use crate::ids::{Millis, OrderId, ShardId};
use crate::message::Part;
use crate::order::{Cross, Rare, RowLine, RowLines};
use crate::order_state::State;
use crate::place::new_row;
use crate::shard::Shard;

impl Shard {
    pub(crate) fn apply_gathering(&mut self, at: Millis, gathering: &Gathering) {
        let id = self.config.id;
        let placed = &gathering.placed;
        let own = placed
            .lines
            .iter()
            .zip(&gathering.shards)
            .filter(|(_, shard)| **shard == id);
        let lines: Vec<RowLine> = own
            .map(|(line, _)| RowLine {
                sku: self.skus.known(&line.sku),
                qty: line.qty,
            })
            .collect();
        let mut row = new_row(at, placed, RowLines::new(lines.into_iter()), State::Gathering);
        let cross = Cross {
            attempt: 1,
            prepare_deadline: gathering.prepare_deadline,
            charge: None,
            parts: participants(gathering, id),
        };
        row.rare = Some(Box::new(Rare {
            cross: Some(cross),
            ..Rare::default()
        }));
        self.insert_order(row);
        self.timers
            .push_chore(gathering.prepare_deadline, Chore::GatherTimeout(placed.order));
    }

    pub(crate) fn apply_answered(&mut self, order: OrderId, from: ShardId, part: Part) {
        let slot = self.orders.known(order);
        self.update_cross(slot, |cross| {
            cross
                .part_mut(from)
                .expect("an answer is from a participant")
                .held = Some(part);
        });
    }

    pub(crate) fn apply_committed(
        &mut self,
        at: Millis,
        order: OrderId,
        total: u64,
        currency: [u8; 3],
        hold_ms: u32,
    ) {
        let slot = self.orders.known(order);
        self.orders.update(slot, |row| {
            assert!(row.state == State::Gathering, "only what gathers is committed");
            row.state = State::Pending;
            row.placed_at = at;
            row.total = total;
            row.currency = currency;
            row.hold_ms = hold_ms;
        });
        self.push_deadline(slot);
    }

    pub(crate) fn apply_aborted(&mut self, at: Millis, order: OrderId) {
        let slot = self.orders.known(order);
        if self.orders.row(slot).state == State::Regathering {
            return self.give_up_attempt(at, slot);
        }
        assert!(
            self.orders.row(slot).state == State::Gathering,
            "only what gathers is aborted"
        );
        self.release_own(slot);
        self.orders.remove(slot);
    }

    /// A later attempt failed: the order is what it was, expired.
    pub(crate) fn give_up_attempt(&mut self, at: Millis, slot: u32) {
        self.release_own(slot);
        self.retire(slot, State::Expired, at);
    }

    pub(crate) fn apply_regathering(&mut self, again: &Regathering) {
        let slot = self.orders.known(again.order);
        let row = self.orders.row(slot);
        assert!(row.state == State::Expired, "only an expired order is held again");
        for line in row.lines.as_slice() {
            self.skus.hold(line.sku, line.qty, &row.buyer);
        }
        self.orders.revive(slot, State::Regathering);
        self.update_cross(slot, |cross| {
            cross.attempt = again.attempt;
            cross.charge = Some(again.charge);
            cross.prepare_deadline = again.prepare_deadline;
            for part in &mut cross.parts {
                part.held = None;
                part.acknowledged = false;
            }
        });
        self.timers
            .push_chore(again.prepare_deadline, Chore::GatherTimeout(again.order));
    }

    pub(crate) fn apply_acknowledged(&mut self, order: OrderId, from: ShardId) {
        let slot = self.orders.known(order);
        self.update_cross(slot, |cross| {
            cross
                .part_mut(from)
                .expect("an acknowledgement is from a participant")
                .acknowledged = true;
        });
    }

    /// The order just ended: its participants are to hear about it until they acknowledge.
    pub(crate) fn begin_settling(&mut self, slot: u32, at: Millis) {
        if self.orders.row(slot).cross().is_none() {
            return;
        }
        #[cfg(feature = "planted-bugs")]
        let forget = self.planted(crate::shard::PlantedBug::HomeForgetsEarly);
        #[cfg(not(feature = "planted-bugs"))]
        let forget = false;
        self.update_cross(slot, |cross| {
            cross.parts.iter_mut().for_each(|part| part.acknowledged = forget);
        });
        self.push_resend(slot, at);
    }

    pub(crate) fn push_resend(&mut self, slot: u32, at: Millis) {
        let wait_ms = self.config.limits.again_ms;
        let order = self.orders.row(slot).id;
        self.timers
            .push_chore(at.after(wait_ms), Chore::Resend { order, wait_ms });
    }

    fn update_cross(&mut self, slot: u32, change: impl FnOnce(&mut Cross)) {
        self.orders.update(slot, |row| {
            let rare = row.rare.as_mut().and_then(|rare| rare.cross.as_mut());
            change(rare.expect("the order has other shards"));
        });
    }
}
