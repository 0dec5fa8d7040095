//! Asks the API before and after a run: stock, limits, orders, and once more about every key whose outcome is unknown.

use std::collections::HashMap;
use std::rc::Rc;

use serde::Deserialize;

use super::facts::{End, Facts};
use super::{OrderSeen, SkuEvidence};
use crate::batch::{self, Job, Reply};
use crate::clock::Clock;
use crate::ledger::{Kind, Ledger, Outcome, Record, RecordId, Stock};
use crate::load::judge;
use crate::net::pool::PoolConfig;
use crate::request::Method;
use crate::users::{Users, operator};

/// How long one list of questions may take.
const PATIENCE_NS: u64 = 60_000_000_000;

/// Someone who asks.
pub struct Asker<'a> {
    /// How to connect.
    pub config: &'a PoolConfig,
    /// Clock of the run.
    pub clock: Clock,
    /// Everyone's credentials.
    pub users: &'a Rc<Users>,
}

#[derive(Deserialize)]
struct SkuAnswer {
    buyer_limit: Option<u32>,
    limit_scope: Option<String>,
    price: Option<u64>,
    currency: Option<String>,
}

#[derive(Deserialize)]
struct OrderAnswer {
    order_id: String,
    status: String,
    pay_by: Option<String>,
    total: Option<u64>,
    currency: Option<String>,
    #[serde(default)]
    lines: Vec<LineAnswer>,
}

#[derive(Deserialize)]
struct LineAnswer {
    sku: String,
    qty: u64,
}

impl Asker<'_> {
    fn ask(&self, jobs: Vec<Job>) -> Result<Vec<Option<Reply>>, String> {
        batch::run(self.config, self.clock, self.users, jobs, PATIENCE_NS)
    }

    /// The stock of every SKU, as an operator sees it.
    pub fn stock(&self, names: &[String]) -> Result<Vec<Stock>, String> {
        let job = |(n, name): (usize, &String)| Job {
            path: format!("/v1/stock/{name}"),
            user: operator(n as u32),
            ..Job::default()
        };
        let replies = self.ask(names.iter().enumerate().map(job).collect())?;
        let read = |(name, reply): (&String, Option<Reply>)| {
            let reply = reply.ok_or_else(|| format!("stock of {name}: no answer"))?;
            if reply.status != 200 {
                return Err(format!(
                    "stock of {name}: {} {}",
                    reply.status,
                    String::from_utf8_lossy(&reply.body)
                ));
            }
            serde_json::from_slice(&reply.body).map_err(|e| format!("stock of {name}: {e}"))
        };
        names.iter().zip(replies).map(read).collect()
    }

    /// Stock once it stands still: snapshots lag by a fraction of a second, releases on other shards by a little more.
    pub fn settled_stock(&self, names: &[String]) -> Result<Vec<Stock>, String> {
        let mut last = self.stock(names)?;
        for _ in 0..20 {
            std::thread::sleep(std::time::Duration::from_millis(600));
            let next = self.stock(names)?;
            let same =
                |(a, b): (&Stock, &Stock)| (a.available, a.held, a.sold) == (b.available, b.held, b.sold);
            if last.iter().zip(&next).all(same) {
                return Ok(next);
            }
            last = next;
        }
        Ok(last)
    }

    /// Stock and limits before the run.
    pub fn skus(&self, names: &[String]) -> Result<Vec<SkuEvidence>, String> {
        let base = self.settled_stock(names)?;
        let job = |(n, name): (usize, &String)| Job {
            path: format!("/v1/skus/{name}"),
            user: operator(n as u32),
            ..Job::default()
        };
        let replies = self.ask(names.iter().enumerate().map(job).collect())?;
        let limit = |name: &str, answer: &SkuAnswer| {
            let counts = match answer.limit_scope.as_deref() {
                Some("group") => name.split(':').next().unwrap_or(name),
                _ => name,
            };
            Some((answer.buyer_limit?, counts.to_string()))
        };
        let sku = |((name, reply), base): ((&String, &Option<Reply>), Stock)| {
            let body = reply.as_ref().map_or(&[][..], |reply| &reply.body);
            let answer: Option<SkuAnswer> = serde_json::from_slice(body).ok();
            SkuEvidence {
                base,
                end: base,
                limit: answer.as_ref().and_then(|answer| limit(name, answer)),
                price: answer.and_then(|answer| answer.price.zip(answer.currency)),
            }
        };
        Ok(names.iter().zip(&replies).zip(base).map(sku).collect())
    }

    /// Asks once more, with the same key, about every order whose outcome is unknown; and about `again` acknowledged ones, which
    /// must be the same orders. The answers become records.
    pub fn settle(
        &self,
        ledger: &mut Ledger,
        names: &[String],
        facts: &[Facts],
        again: usize,
    ) -> Result<(), String> {
        let made = facts.iter().filter(|f| f.order != 0).count();
        let stride = (made / again.max(1)).max(1);
        let mut nth = 0;
        let chosen: Vec<RecordId> = facts
            .iter()
            .filter(|f| {
                nth += usize::from(f.order != 0);
                f.unknown || (f.order != 0 && again > 0 && nth % stride == 0)
            })
            .map(|f| f.origin)
            .collect();
        let job = |&origin: &RecordId| {
            let record = &ledger.records[origin as usize];
            let mut job = Job {
                method: Method::Post,
                path: "/v1/orders".into(),
                user: record.user,
                ..Job::default()
            };
            ledger.write_key(origin, &mut job.key);
            ledger.write_body(record, names, &mut job.body);
            job
        };
        let sent = self.clock.now();
        let replies = self.ask(chosen.iter().map(job).collect())?;
        let answered = self.clock.now();
        for (origin, reply) in chosen.into_iter().zip(replies) {
            let first = ledger.records[origin as usize];
            let (status, body) = reply.map_or((0, Vec::new()), |r| (r.status, r.body));
            let outcome = judge(Kind::Place, status, &body);
            let order = if outcome == Outcome::Made {
                crate::ledger::find_order_id(&body).unwrap_or(0)
            } else {
                0
            };
            let record = Record {
                intended: sent,
                sent,
                answered,
                origin,
                order,
                status,
                outcome,
                kind: Kind::Place,
                ..first
            };
            ledger.records.push(record);
            if first.order == 0 {
                ledger.records[origin as usize].order = order;
            }
        }
        Ok(())
    }

    /// Reads orders back as their owners: all whose end is unknown, and at most `cap` of the others.
    pub fn orders(
        &self,
        ledger: &Ledger,
        facts: &[Facts],
        cap: usize,
        seen: &mut HashMap<RecordId, OrderSeen>,
    ) -> Result<(), String> {
        let made = facts.iter().filter(|f| f.order != 0).count();
        let stride = made.div_ceil(cap.max(1)).max(1);
        let with_order = facts.iter().filter(|f| f.order != 0).enumerate();
        let chosen: Vec<&Facts> = with_order
            .filter(|(n, f)| f.end == End::Maybe || n % stride == 0)
            .map(|(_, f)| f)
            .collect();
        let job = |f: &&Facts| Job {
            path: format!("/v1/orders/{}", f.order),
            user: ledger.records[f.origin as usize].user,
            ..Job::default()
        };
        let replies = self.ask(chosen.iter().map(job).collect())?;
        for (f, reply) in chosen.iter().zip(replies) {
            let reply = reply.ok_or_else(|| format!("order {}: no answer", f.order))?;
            seen.insert(f.origin, read_order(&reply));
        }
        Ok(())
    }
}

fn read_order(reply: &Reply) -> OrderSeen {
    let answer: Option<OrderAnswer> = serde_json::from_slice(&reply.body)
        .ok()
        .filter(|_| reply.status == 200);
    let Some(answer) = answer else {
        return OrderSeen {
            http: reply.status,
            order: 0,
            status: String::new(),
            lines: Vec::new(),
            pay_by: None,
            total: None,
            currency: None,
        };
    };
    let mut lines: Vec<_> = answer.lines.into_iter().map(|l| (l.sku, l.qty)).collect();
    lines.sort();
    OrderSeen {
        http: 200,
        order: answer.order_id.parse().unwrap_or(0),
        status: answer.status,
        lines,
        pay_by: answer.pay_by.as_deref().and_then(unix_ms),
        total: answer.total,
        currency: answer.currency,
    }
}

/// Unix ms of an RFC 3339 time in UTC (`2026-11-23T16:00:00.123Z`).
fn unix_ms(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (date, time) = text.split_once('T')?;
    let mut date = date.splitn(3, '-').map(|n| n.parse::<u64>().ok());
    let (y, m, d) = (date.next()??, date.next()??, date.next()??);
    let mut time = time.splitn(3, ':');
    let (h, min) = (
        time.next()?.parse::<u64>().ok()?,
        time.next()?.parse::<u64>().ok()?,
    );
    let s: f64 = time.next()?.parse().ok()?;
    if !(1970..10_000).contains(&y) || !(1..=12).contains(&m) || !(1..=31).contains(&d) {
        return None;
    }
    // Days since the epoch, counting years from March (Hinnant, "chrono-compatible low-level date algorithms").
    let (year, month) = if m > 2 { (y, m - 3) } else { (y - 1, m + 9) };
    let day_of_year = (153 * month + 2) / 5 + d - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468;
    Some(((days * 24 + h) * 60 + min) * 60_000 + (s * 1000.0).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_as_unix_milliseconds() {
        assert_eq!(unix_ms("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(unix_ms("2026-11-23T15:52:36Z"), Some(1_795_449_156_000));
        assert_eq!(unix_ms("2024-02-29T23:59:59.5Z"), Some(1_709_251_199_500));
        assert_eq!(unix_ms("2024-02-29 23:59"), None);
    }
}
