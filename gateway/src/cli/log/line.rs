//! One record as a line of JSON. Ids, hashes and charges are strings; times are unix milliseconds, amounts minor
//! units. A field that a kind has not is left out.

use serde::{Serialize, Serializer};
use tidegate_log::Record;
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::entry::{AbortReason, Effect, Ending, Entry, Placed};
use tidegate_shard_core::message::{Fate, Part};
use tidegate_shard_core::{Lines, Millis, SkuName};

/// The line of one record.
#[derive(Serialize)]
pub(super) struct Line {
    log: String,
    segment: u32,
    offset: u32,
    shard: u16,
    op: u64,
    time: u64,
    kind: &'static str,
    #[serde(flatten)]
    body: Body,
}

/// What depends on the kind.
#[derive(Serialize, Default)]
struct Body {
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lines: Vec<SkuLine>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    currency: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<String>,
    /// Hash of buyer and idempotency key.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// Hash of the decoded, sorted lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<String>,
    /// The order's deadline.
    #[serde(skip_serializing_if = "Option::is_none")]
    pay_by: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hold_ms: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    charge: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held_again: Option<bool>,
    /// How the order ends, where the kind does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    ends: Option<&'static str>,
    /// `sold` or `released`.
    #[serde(skip_serializing_if = "Option::is_none")]
    fate: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// The other shard.
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<u16>,
    /// The shard of each line.
    #[serde(skip_serializing_if = "Option::is_none")]
    shards: Option<Vec<u16>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prepare_deadline: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    /// Of an `applied` entry: everything up to this op is in the store.
    #[serde(skip_serializing_if = "Option::is_none")]
    applied: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sku: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    price: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stocked: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delta: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    buyer_limit: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    limit_scope: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sale_start: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sale_end: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    paused: Option<bool>,
    /// Of a record that this version cannot read: its bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<String>,
}

#[derive(Serialize)]
struct SkuLine {
    #[serde(serialize_with = "text")]
    sku: SkuName,
    qty: u32,
}

fn text<S: Serializer, T: std::fmt::Display>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

const UNDECODABLE: &str = "undecodable";

impl Line {
    /// Reads the record's entry.
    pub(super) fn of(record: &Record<'_>) -> Line {
        let (kind, body) = match Entry::decode(record.payload) {
            Ok(entry) => (entry.kind(), Body::of(&entry)),
            Err(_) => (
                UNDECODABLE,
                Body {
                    payload: Some(hex(record.payload)),
                    ..Body::default()
                },
            ),
        };
        Line {
            log: record.log.to_string(),
            segment: record.segment.0,
            offset: record.offset,
            shard: record.shard,
            op: record.op,
            time: record.time,
            kind,
            body,
        }
    }

    /// Whether its entry could not be read.
    pub(super) fn is_undecodable(&self) -> bool {
        self.kind == UNDECODABLE
    }
}

impl Body {
    fn of(entry: &Entry) -> Body {
        let mut body = Body {
            order: entry.order().map(|order| order.to_string()),
            ..Body::default()
        };
        body.effect(entry.at, &entry.effect);
        body
    }

    fn effect(&mut self, at: Millis, effect: &Effect) {
        match effect {
            Effect::Start { term } => self.term = Some(*term),
            Effect::Lease { until } => self.until = Some(until.0),
            Effect::Digest { digest } => self.digest = Some(format!("{digest:016x}")),
            Effect::Applied { op, .. } => self.applied = Some(op.0),
            Effect::SkuPut(_) | Effect::StockChanged(_) | Effect::SaleOver { .. } => self.stock(effect),
            Effect::Placed(placed) => {
                self.placed(at, placed);
                self.status = Some("pending");
            }
            Effect::Gathering(gathering) => {
                self.placed(at, &gathering.placed);
                self.shards = Some(gathering.shards.iter().map(|shard| shard.0).collect());
                self.prepare_deadline = Some(gathering.prepare_deadline.0);
            }
            Effect::Regathering(again) => {
                self.attempt = Some(again.attempt);
                self.charge = Some(again.charge.to_string());
                self.prepare_deadline = Some(again.prepare_deadline.0);
            }
            Effect::PaymentStarted { charge, .. } => self.charge = Some(charge.to_string()),
            Effect::RefundDue { charge, .. } => self.charge = Some(charge.to_string()),
            Effect::Confirmed {
                charge, held_again, ..
            } => {
                self.charge = Some(charge.to_string());
                self.held_again = Some(*held_again);
                self.status = Some("confirmed");
            }
            Effect::ChargeClosed { charge, ends, .. } => {
                self.charge = Some(charge.to_string());
                self.ends = ends.map(ending);
            }
            Effect::Closing {
                ending: how, until, ..
            } => {
                self.ends = Some(ending(*how));
                self.until = Some(until.0);
            }
            Effect::Ended { ending: how, .. } => self.status = Some(ending(*how)),
            _ => self.across_shards(at, effect),
        }
    }

    /// Kinds of the protocol between shards.
    fn across_shards(&mut self, at: Millis, effect: &Effect) {
        match effect {
            Effect::Answered {
                attempt, from, part, ..
            } => {
                self.attempt = Some(*attempt);
                self.from = Some(from.0);
                self.part(part);
            }
            Effect::Committed {
                attempt,
                total,
                currency: letters,
                hold_ms,
                ..
            } => {
                self.attempt = Some(*attempt);
                self.total = Some(*total);
                self.currency = Some(currency(letters));
                self.deadline(at, *hold_ms);
                self.status = Some("pending");
            }
            Effect::Aborted { attempt, reason, .. } => {
                self.attempt = Some(*attempt);
                self.reason = Some(abort_reason(*reason).to_string());
            }
            Effect::Acknowledged { attempt, from, .. } => {
                self.attempt = Some(*attempt);
                self.from = Some(from.0);
            }
            Effect::Hold(hold) => {
                self.attempt = Some(hold.attempt);
                self.term = Some(hold.term);
                self.buyer = Some(hex(&hold.buyer.0));
                self.lines = lines(&hold.lines);
                self.prepare_deadline = Some(hold.prepare_deadline.0);
                self.part(&hold.part);
            }
            Effect::HoldSettled { attempt, fate, .. } => {
                self.attempt = Some(*attempt);
                self.fate = Some(match fate {
                    Fate::Sold => "sold",
                    Fate::Released => "released",
                });
            }
            Effect::Tombstone { attempt, until, .. } => {
                self.attempt = Some(*attempt);
                self.until = Some(until.0);
            }
            _ => {}
        }
    }

    fn stock(&mut self, effect: &Effect) {
        match effect {
            Effect::SkuPut(put) => {
                self.sku = Some(put.sku.to_string());
                self.name = Some(put.name.to_string());
                self.price = Some(put.price);
                self.currency = Some(currency(&put.currency));
                self.stocked = Some(put.stocked);
                self.buyer_limit = put.buyer_limit;
                self.limit_scope = Some(match put.limit_scope {
                    LimitScope::Sku => "sku",
                    LimitScope::Group => "group",
                });
                self.sale_start = put.sale_start.map(|at| at.0);
                self.sale_end = put.sale_end.map(|at| at.0);
                self.hold_ms = Some(put.hold_ms);
                self.paused = Some(put.paused);
            }
            Effect::SaleOver { sku } => self.sku = Some(sku.to_string()),
            Effect::StockChanged(change) => {
                self.sku = Some(change.sku.to_string());
                self.delta = Some(change.delta);
                self.stocked = Some(change.stocked);
                self.reason = Some(change.reason.to_string());
                self.key = Some(hex(&change.key.0));
                self.body = Some(format!("{:016x}", change.body.0));
            }
            _ => {}
        }
    }

    fn placed(&mut self, at: Millis, placed: &Placed) {
        self.lines = lines(&placed.lines);
        self.total = Some(placed.total);
        self.currency = Some(currency(&placed.currency));
        self.buyer = Some(hex(&placed.buyer.0));
        self.user = Some(placed.subject.to_string());
        self.key = Some(hex(&placed.key.0));
        self.body = Some(format!("{:016x}", placed.body.0));
        self.deadline(at, placed.hold_ms);
    }

    fn part(&mut self, part: &Part) {
        self.total = Some(part.amount);
        self.currency = Some(currency(&part.currency));
        self.hold_ms = Some(part.hold_ms);
    }

    fn deadline(&mut self, at: Millis, hold_ms: u32) {
        self.hold_ms = Some(hold_ms);
        self.pay_by = Some(at.0.saturating_add(u64::from(hold_ms)));
    }
}

fn lines(lines: &Lines) -> Vec<SkuLine> {
    lines
        .iter()
        .map(|line| SkuLine {
            sku: line.sku,
            qty: line.qty,
        })
        .collect()
}

fn currency(letters: &[u8; 3]) -> String {
    String::from_utf8_lossy(letters).into_owned()
}

fn ending(ending: Ending) -> &'static str {
    match ending {
        Ending::Cancelled => "cancelled",
        Ending::Expired => "expired",
    }
}

fn abort_reason(reason: AbortReason) -> &'static str {
    match reason {
        AbortReason::Refused => "refused",
        AbortReason::TimedOut => "timed_out",
        AbortReason::Restarted => "restarted",
        AbortReason::Unpriceable => "unpriceable",
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from(b"0123456789abcdef"[usize::from(value)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
