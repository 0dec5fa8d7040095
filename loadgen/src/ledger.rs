//! What was asked and what was answered: a compact record of every request, kept for the verifier.

use crate::skus::SkuId;
use crate::users::UserId;

/// Index of a [`Record`].
pub type RecordId = u32;

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A new order, or the same key once more (then `origin` is the first one).
    Place,
    /// Reading an order.
    ReadOrder,
    /// Reading a SKU's stock.
    ReadStock,
    /// Cancelling an order.
    Cancel,
    /// Confirming a payment.
    Confirm,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No answer yet.
    Waiting,
    /// The order exists (201).
    Made,
    /// Any other 2xx.
    Done,
    /// 409 `sold_out`.
    SoldOut,
    /// 409 `limit_reached`.
    LimitReached,
    /// Refused for another reason; nothing was changed.
    Refused,
    /// 429 or 503: nothing was reserved.
    Shed,
    /// 504, another 5xx, or a lost connection: it may have happened.
    Unknown,
}

/// One request and its answer.
#[derive(Clone, Copy, Debug)]
pub struct Record {
    /// When it should have been sent, in ns of the run's clock.
    pub intended: u64,
    /// When it was sent.
    pub sent: u64,
    /// When the answer came, or the connection was lost.
    pub answered: u64,
    /// Order id that was answered or asked for; 0 for none.
    pub order: u64,
    /// Who asked.
    pub user: UserId,
    /// The record whose key or order this is about; itself for a first attempt.
    pub origin: RecordId,
    /// Its lines, in [`Ledger::lines`].
    pub lines: LinesRef,
    /// HTTP status; 0 when there was none.
    pub status: u16,
    /// What for.
    pub kind: Kind,
    /// What came of it.
    pub outcome: Outcome,
}

/// One line of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Line {
    /// Which SKU.
    pub sku: SkuId,
    /// How many units.
    pub qty: u16,
}

/// A single line in place, or a range of [`Ledger`]'s table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinesRef {
    /// One line.
    One(Line),
    /// `len` lines from `at`.
    Many {
        /// First.
        at: u32,
        /// How many.
        len: u8,
    },
}

/// A stock read that was answered.
#[derive(Clone, Copy, Debug)]
pub struct StockSeen {
    /// Its record.
    pub record: RecordId,
    /// Connection it came over.
    pub connection: u32,
    /// Which SKU.
    pub sku: SkuId,
    /// The figures.
    pub stock: Stock,
}

/// A SKU's stock at an op of its shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
pub struct Stock {
    /// Units ever put on sale.
    pub stocked: u64,
    /// Units that can be ordered.
    pub available: u64,
    /// Units in unpaid orders; only operators are told exactly.
    #[serde(default)]
    pub held: Option<u64>,
    /// Units paid for; only operators are told exactly.
    #[serde(default)]
    pub sold: Option<u64>,
    /// The shard's operation counter.
    #[serde(default)]
    pub op: u64,
}

impl Stock {
    /// Whether what is told adds up (invariant 1).
    pub fn adds_up(&self) -> bool {
        match (self.held, self.sold) {
            (Some(held), Some(sold)) => {
                self.available.checked_add(held).and_then(|n| n.checked_add(sold)) == Some(self.stocked)
            }
            _ => self.available <= self.stocked,
        }
    }

    /// Units held or sold.
    pub fn committed(&self) -> u64 {
        self.stocked.saturating_sub(self.available)
    }
}

/// Everything a run did.
#[derive(Debug)]
pub struct Ledger {
    /// All requests, in the order of sending.
    pub records: Vec<Record>,
    /// All stock reads, in the order of their answers.
    pub stock_seen: Vec<StockSeen>,
    many: Vec<Line>,
    run: u64,
}

impl Ledger {
    /// An empty ledger; `run` makes its keys unique among runs.
    pub fn new(run: u64) -> Ledger {
        Ledger {
            records: Vec::new(),
            stock_seen: Vec::new(),
            many: Vec::new(),
            run,
        }
    }

    /// Keeps an order's lines.
    pub fn add_lines(&mut self, lines: &[Line]) -> LinesRef {
        if let [line] = lines {
            return LinesRef::One(*line);
        }
        let at = self.many.len() as u32;
        self.many.extend_from_slice(lines);
        LinesRef::Many {
            at,
            len: lines.len() as u8,
        }
    }

    /// An order's lines.
    pub fn lines<'a>(&'a self, record: &'a Record) -> &'a [Line] {
        match &record.lines {
            LinesRef::One(line) => std::slice::from_ref(line),
            LinesRef::Many { at, len } => &self.many[*at as usize..*at as usize + usize::from(*len)],
        }
    }

    /// Writes the `Idempotency-Key` of an order.
    pub fn write_key(&self, origin: RecordId, out: &mut Vec<u8>) {
        use std::io::Write as _;
        // Writing to a Vec cannot fail.
        let _ = write!(out, "lg-{:x}-{origin:x}", self.run);
    }

    /// Writes an order's body.
    pub fn write_body(&self, record: &Record, names: &[String], out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"lines\":[");
        for (n, line) in self.lines(record).iter().enumerate() {
            out.extend_from_slice(if n > 0 { b",{\"sku\":\"" } else { b"{\"sku\":\"" });
            out.extend_from_slice(names[usize::from(line.sku)].as_bytes());
            out.extend_from_slice(b"\",\"qty\":");
            write_number(u64::from(line.qty), out);
            out.push(b'}');
        }
        out.extend_from_slice(b"]}");
    }
}

/// Appends a number in decimal.
pub fn write_number(mut n: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// The order id in an answer's body: the first `"order_id":"…"`.
pub fn find_order_id(body: &[u8]) -> Option<u64> {
    let rest = find_string(body, b"\"order_id\"")?;
    std::str::from_utf8(rest).ok()?.parse().ok()
}

/// The machine word of a refusal.
pub fn find_code(body: &[u8]) -> Option<&[u8]> {
    find_string(body, b"\"code\"")
}

/// The text between the quotes after `name` and its colon; our own answers are compact JSON whose first field of a name counts.
fn find_string<'a>(body: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let at = body.windows(name.len()).position(|w| w == name)? + name.len();
    let rest = body[at..]
        .trim_ascii_start()
        .strip_prefix(b":")?
        .trim_ascii_start()
        .strip_prefix(b"\"")?;
    rest.iter().position(|&b| b == b'"').map(|end| &rest[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_lists_the_lines_and_an_answer_gives_the_id() {
        let mut ledger = Ledger::new(1);
        let lines = ledger.add_lines(&[Line { sku: 0, qty: 1 }, Line { sku: 1, qty: 20 }]);
        let record = Record {
            intended: 0,
            sent: 0,
            answered: 0,
            order: 0,
            user: 0,
            origin: 0,
            lines,
            status: 0,
            kind: Kind::Place,
            outcome: Outcome::Waiting,
        };
        let mut out = Vec::new();
        ledger.write_body(&record, &["A".into(), "B".into()], &mut out);
        assert_eq!(out, br#"{"lines":[{"sku":"A","qty":1},{"sku":"B","qty":20}]}"#);
        assert_eq!(
            find_order_id(br#"{"order_id": "123","status":"pending"}"#),
            Some(123)
        );
        assert_eq!(find_order_id(br#"{"order_id":"x"}"#), None);
        assert_eq!(
            find_code(br#"{"type":"about:blank","code":"sold_out"}"#),
            Some(&b"sold_out"[..])
        );
    }

    #[test]
    fn a_record_stays_small() {
        assert!(std::mem::size_of::<Record>() <= 64);
    }
}
