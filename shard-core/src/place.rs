//! Placing an order: what is checked, and what holding means.

use crate::command::{Caller, LINES_MAX, Line, Lines, Place, SUBJECT_BYTES_MAX};
use crate::entry::{Effect, Gathering, Placed};
use crate::ids::{Buyer, Millis, OrderId, ShardId, shard_of};
use crate::message::Part;
use crate::order::{OrderRow, RowLine, RowLines};
use crate::order_state::{ChargeStanding, State};
use crate::outcome::{Bound, ChargeState, OrderView, Outcome, Refusal};
use crate::shard::{Decision, Reply, Shard};
use smallvec::SmallVec;

/// Lines by slot; most orders have one or two.
pub(crate) type Slots = SmallVec<[RowLine; 4]>;

/// What a check of lines is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occasion {
    /// A new order: the sale must be on.
    Sale,
    /// An order that was paid late: it was placed while the sale was on.
    LatePayment,
}

impl Shard {
    pub(crate) fn decide_place(&self, now: Millis, place: &Place) -> Decision {
        if let Some(row) = self.orders.by_key(&place.key) {
            return self.repeat_place(row, place);
        }
        if let Err(why) = well_formed(place, self.config.limits.line_qty_max) {
            return Decision::refuse(Refusal::Malformed(why));
        }
        match self.place_new(now, place) {
            Ok(decision) => decision,
            Err(refusal) => Decision::refuse(refusal),
        }
    }

    /// The same key: the same answer, whatever became of the order. A first request still under way is waited for.
    fn repeat_place(&self, row: &OrderRow, place: &Place) -> Decision {
        if row.body != place.body {
            return Decision::refuse(Refusal::KeyReused);
        }
        if row.state == State::Gathering {
            return Decision {
                reply: Reply::Park(row.id),
                ..Decision::nothing()
            };
        }
        Decision::answer(Outcome::Order(self.order_view(row, true)))
    }

    fn place_new(&self, now: Millis, place: &Place) -> Result<Decision, Refusal> {
        let (own, remote) = self.split(&place.lines)?;
        let part = self.check_lines(now, &place.buyer, &own, Occasion::Sale)?;
        let forgotten = usize::from(self.forgettable(now).orders);
        let full = self.orders.len() - forgotten >= self.config.limits.orders_max as usize;
        if full || (!self.growth_allowed && forgotten == 0) {
            return Err(Refusal::Bound(Bound::Orders));
        }
        let order = self.next_id(now).ok_or(Refusal::Busy)?;
        let placed = Placed {
            order,
            buyer: place.buyer,
            subject: place.subject.clone(),
            key: place.key,
            body: place.body,
            lines: place.lines.clone(),
            total: part.amount,
            currency: part.currency,
            hold_ms: part.hold_ms,
        };
        if !remote.is_empty() {
            return self.gather(now, placed, remote);
        }
        let view = OrderView {
            id: order,
            status: crate::outcome::OrderStatus::Pending,
            total: part.amount,
            currency: part.currency,
            pay_by: now.after(u64::from(part.hold_ms)),
            created: now,
            lines: place.lines.clone(),
            repeated: false,
            charge: ChargeState::None,
        };
        Ok(Decision::log(
            self.forgetting(now, Effect::Placed(placed)),
            Outcome::Order(view),
        ))
    }

    fn gather(
        &self,
        now: Millis,
        placed: Placed,
        shards: SmallVec<[ShardId; 4]>,
    ) -> Result<Decision, Refusal> {
        if self.orders.gathering >= self.config.limits.gathering_max {
            return Err(Refusal::Bound(Bound::Gathering));
        }
        let prepare_deadline = now.after(self.config.limits.gather_ms);
        let gathering = Box::new(Gathering {
            placed,
            shards,
            prepare_deadline,
        });
        let order = gathering.placed.order;
        let sends = self.first_holds(&gathering);
        let entry = self.forgetting(now, Effect::Gathering(gathering));
        Ok(Decision {
            entry: Some(entry),
            reply: Reply::Park(order),
            ..Decision::nothing()
        }
        .with_sends(sends))
    }

    /// The lines of this shard by slot, and, if there are others, the shard of every line.
    fn split(&self, lines: &Lines) -> Result<(Slots, SmallVec<[ShardId; 4]>), Refusal> {
        let mut own = Slots::new();
        let mut shards = SmallVec::new();
        for line in lines {
            if let Some(sku) = self.skus.slot(&line.sku) {
                own.push(RowLine { sku, qty: line.qty });
                continue;
            }
            if shard_of(&line.sku, self.config.shards) == self.config.id {
                return Err(Refusal::UnknownSku { sku: line.sku });
            }
        }
        if own.is_empty() {
            return Err(Refusal::Malformed("no line belongs to this shard"));
        }
        if own.len() < lines.len() {
            shards = lines
                .iter()
                .map(|line| shard_of(&line.sku, self.config.shards))
                .collect();
        }
        Ok((own, shards))
    }

    /// Whether the lines can be held for the buyer now, and what they cost.
    pub(crate) fn check_lines(
        &self,
        now: Millis,
        buyer: &Buyer,
        lines: &[RowLine],
        occasion: Occasion,
    ) -> Result<Part, Refusal> {
        let mut part = Part {
            amount: 0,
            currency: self.skus.row(lines[0].sku).currency,
            hold_ms: u32::MAX,
        };
        for (at, line) in lines.iter().enumerate() {
            let row = self.skus.row(line.sku);
            let sku = row.name;
            if occasion == Occasion::Sale {
                if row.paused {
                    return Err(Refusal::Paused { sku });
                }
                if let Some(starts) = row.sale_start.filter(|start| now < *start) {
                    return Err(Refusal::NotOnSale { sku, starts });
                }
                if row.sale_end.is_some_and(|end| now >= end) {
                    return Err(Refusal::SaleEnded { sku });
                }
            }
            if row.available() < u64::from(line.qty) {
                return Err(Refusal::SoldOut { sku });
            }
            self.check_limit(buyer, lines, at)?;
            if row.currency != part.currency {
                return Err(Refusal::MixedCurrencies);
            }
            let price = row.price.checked_mul(u64::from(line.qty));
            let amount = price.and_then(|price| price.checked_add(part.amount));
            part.amount = amount.ok_or(Refusal::Malformed("the total is too large"))?;
            part.hold_ms = part.hold_ms.min(row.hold_ms);
        }
        Ok(part)
    }

    fn check_limit(&self, buyer: &Buyer, lines: &[RowLine], at: usize) -> Result<(), Refusal> {
        let line = lines[at];
        let row = self.skus.row(line.sku);
        let Some(limit) = row.limit else { return Ok(()) };
        // Paid so late that nobody knows any more what the buyer has.
        if self.skus.is_over(line.sku) {
            return Err(Refusal::LimitReached { sku: row.name, limit });
        }
        let (has, new) = self.skus.counted(line.sku, buyer);
        let earlier = lines[..at]
            .iter()
            .filter(|other| self.skus.count_together(other.sku, line.sku));
        let asked = u64::from(line.qty) + earlier.map(|other| u64::from(other.qty)).sum::<u64>();
        if u64::from(has) + asked > u64::from(limit) {
            return Err(Refusal::LimitReached { sku: row.name, limit });
        }
        if new && self.skus.buyers + lines.len() > self.config.limits.buyers_max as usize {
            return Err(Refusal::Bound(Bound::Buyers));
        }
        Ok(())
    }

    pub(crate) fn apply_placed(&mut self, at: Millis, placed: &Placed) {
        let skus = &self.skus;
        let lines = placed.lines.iter().map(|line| RowLine {
            sku: skus.known(&line.sku),
            qty: line.qty,
        });
        let row = new_row(at, placed, RowLines::new(lines), State::Pending);
        let slot = self.insert_order(row);
        self.push_deadline(slot);
    }

    /// Holds a new order's own lines and remembers it.
    pub(crate) fn insert_order(&mut self, row: OrderRow) -> u32 {
        for line in row.lines.as_slice() {
            self.skus.hold(line.sku, line.qty, &row.buyer);
        }
        self.last_id = self.last_id.max(row.id);
        self.orders.insert(row)
    }

    pub(crate) fn read_order(&self, order: OrderId, caller: &Caller) -> Decision {
        match self.visible(order, caller) {
            Some(row) => Decision::answer(Outcome::Order(self.order_view(row, false))),
            None => Decision::refuse(Refusal::UnknownOrder),
        }
    }

    /// An order that exists as far as the caller may know.
    pub(crate) fn visible(&self, order: OrderId, caller: &Caller) -> Option<&OrderRow> {
        let row = self
            .orders
            .find(order)
            .filter(|row| row.state != State::Gathering)?;
        match caller {
            Caller::Buyer(buyer) if row.buyer != *buyer => None,
            _ => Some(row),
        }
    }

    pub(crate) fn order_view(&self, row: &OrderRow, repeated: bool) -> OrderView {
        OrderView {
            id: row.id,
            status: row.state.status(),
            total: row.total,
            currency: row.currency,
            pay_by: row.pay_by(),
            created: row.placed_at,
            lines: self.all_lines(row),
            repeated,
            charge: charge_state(row),
        }
    }

    /// The lines as they were ordered, those of other shards included.
    fn all_lines(&self, row: &OrderRow) -> Lines {
        let own = row.lines.as_slice().iter();
        let mut lines: Lines = own
            .map(|line| Line {
                sku: self.skus.row(line.sku).name,
                qty: line.qty,
            })
            .collect();
        if let Some(cross) = row.cross() {
            lines.extend(cross.parts.iter().flat_map(|part| part.lines.iter().copied()));
            lines.sort_unstable_by_key(|line| line.sku);
        }
        lines
    }
}

pub(crate) fn new_row(at: Millis, placed: &Placed, lines: RowLines, state: State) -> OrderRow {
    OrderRow {
        id: placed.order,
        key: placed.key,
        buyer: placed.buyer,
        body: placed.body,
        total: placed.total,
        placed_at: at,
        ended_at: Millis(0),
        ended_op: crate::ids::Op(0),
        lines,
        rare: None,
        hold_ms: placed.hold_ms,
        currency: placed.currency,
        state,
    }
}

fn charge_state(row: &OrderRow) -> ChargeState {
    match row.state {
        State::Confirmed => ChargeState::Paid,
        State::Closing => ChargeState::Closing,
        _ if row.charge_in(ChargeStanding::RefundDue).is_some() => ChargeState::RefundDue,
        State::Pending if row.charge_in(ChargeStanding::Open).is_some() => ChargeState::Open,
        _ => ChargeState::None,
    }
}

fn well_formed(place: &Place, qty_max: u32) -> Result<(), &'static str> {
    let lines = &place.lines;
    if lines.is_empty() || lines.len() > LINES_MAX {
        return Err("an order has 1 to 16 lines");
    }
    if lines.windows(2).any(|pair| pair[0].sku >= pair[1].sku) {
        return Err("lines are sorted by SKU, each SKU once");
    }
    if lines.iter().any(|line| line.qty == 0 || line.qty > qty_max) {
        return Err("a quantity is zero or too large");
    }
    if place.subject.len() > SUBJECT_BYTES_MAX {
        return Err("the subject is too long");
    }
    Ok(())
}
