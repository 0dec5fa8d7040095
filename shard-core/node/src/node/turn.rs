//! What a node does once a turn of its thread: deliver, expire, show stock.

use tidegate_shard_core::{Input, Millis, StockView};

use super::{Deferred, Node};
use crate::limits;
use crate::output::{Output, StockRow, Unavailable};

impl Node {
    /// Once a turn: orders that waited for a lease, messages between this thread's shards, timers that are due, and
    /// stock rows. Each has its bound; [`next_wake`](Node::next_wake) is in the past while something is left.
    pub fn turn(&mut self, now: Millis) {
        if self.failed || !self.started {
            return;
        }
        self.retry_deferred(now);
        self.deliver_local(now);
        self.run_timers(now);
        self.emit_stock(now);
    }

    fn retry_deferred(&mut self, now: Millis) {
        while self
            .deferred
            .front()
            .is_some_and(|first| first.gate <= self.progress.durable)
        {
            let Some(Deferred {
                home,
                ticket,
                command,
                ..
            }) = self.deferred.pop_front()
            else {
                return;
            };
            if self.homes[home].stopped {
                self.refuse(ticket, Unavailable::Stopped);
                continue;
            }
            let decision = self.homes[home].shard.decide(now, Input::Command(&command));
            self.carry_out(home, Some(ticket), decision);
        }
    }

    fn deliver_local(&mut self, now: Millis) {
        for _ in 0..limits::LOCAL_PER_TURN {
            if self.appender.is_full() {
                return;
            }
            let Some(envelope) = self.local.pop_front() else {
                return;
            };
            self.receive(now, &envelope);
        }
    }

    fn run_timers(&mut self, now: Millis) {
        if now < self.earliest {
            return;
        }
        let mut left = limits::TIMERS_PER_TURN;
        let homes = self.homes.len();
        for step in 0..homes {
            let at = (self.turn_from + step) % homes;
            while left > 0 && self.homes[at].timer <= now && !self.appender.is_full() {
                left -= 1;
                match self.homes[at].shard.poll_timer(now) {
                    Some(decision) => self.carry_out(at, None, decision),
                    None => {
                        self.note_timer(at);
                        break;
                    }
                }
            }
            if left == 0 {
                self.turn_from = at;
                break;
            }
        }
        self.earliest = self
            .homes
            .iter()
            .map(|home| home.timer)
            .min()
            .unwrap_or(Millis(u64::MAX));
    }

    /// Asks the shard for a lease entry now and then while orders come, so that a quiet shard writes nothing.
    pub(super) fn renew_lease(&mut self, now: Millis, at: usize) {
        let home = &mut self.homes[at];
        if now < home.lease_at {
            return;
        }
        home.lease_at = now.after(limits::LEASE_EVERY_MS);
        if let Some(entry) = home.shard.lease(now) {
            self.record(at, &entry);
        }
    }

    fn emit_stock(&mut self, now: Millis) {
        if now < self.rows_at {
            return;
        }
        self.bound_growth();
        let mut next = Millis(u64::MAX);
        let mut rows = 0;
        for at in 0..self.homes.len() {
            if !self.homes[at].stock_changed || self.homes[at].unpublished.rows_wait() {
                continue;
            }
            if now >= self.homes[at].stock_at && rows < limits::STOCK_ROWS_PER_TURN {
                rows += self.emit_changed(now, at);
            } else {
                next = next.min(self.homes[at].stock_at);
            }
        }
        self.rows_at = next;
    }

    /// The rows of one shard's changed SKUs, at its present op.
    fn emit_changed(&mut self, now: Millis, at: usize) -> usize {
        let home = &mut self.homes[at];
        home.stock_changed = false;
        home.stock_at = now.after(self.config.stock_every_ms);
        let rows: Vec<StockView> = home.shard.changed_skus().collect();
        for view in &rows {
            self.hold_back(at, Output::Stock(row(view)));
        }
        rows.len()
    }

    /// Every row of a shard, for those who have none yet.
    pub(super) fn emit_all_stock(&mut self, at: usize) {
        let home = &mut self.homes[at];
        // Recovery changed them all; the rows below say so.
        home.shard.changed_skus().for_each(drop);
        let rows: Vec<StockView> = home.shard.skus().collect();
        for view in &rows {
            self.hold_back(at, Output::Stock(row(view)));
        }
    }

    /// Holds the order rows of all shards to one budget.
    fn bound_growth(&mut self) {
        let rows: u64 = self.homes.iter().map(|home| home.shard.order_rows()).sum();
        let allowed = rows < self.config.order_rows_max;
        self.homes
            .iter_mut()
            .for_each(|home| home.shard.allow_growth(allowed));
    }
}

fn row(view: &StockView) -> StockRow {
    StockRow {
        sku: view.sku,
        op: view.op,
        stocked: view.stocked,
        available: view.available,
        held: view.held,
        sold: view.sold,
    }
}
