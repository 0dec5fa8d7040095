//! Which SKUs are in demand: a bounded sketch of the last half to whole minute.
//!
//! Space-saving (Metwally, Agrawal, El Abbadi, "Efficient Computation of Frequent and Top-k Elements in Data Streams", ICDT 2005) in
//! sets of eight, so that a look-up is one cache line: who is not known takes the place of the least wanted of its set and inherits that one's weight, so
//! a SKU with a good share of the demand cannot be pushed out by many with a little each.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, TryLockError};

use foldhash::fast::RandomState;
use serde::Serialize;
use tidegate_shard_core::{OrderView, Outcome, Refusal, SkuName};

use crate::worker::stock_view::{StockLine, StockView};

/// Sets and SKUs a set: 512 SKUs a thread, 50 KB.
const SETS: usize = 64;
const WAYS: usize = 8;
/// Half of the time that is looked back on at most.
const HALF_NS: u64 = 30_000_000_000;
/// SKUs that a thread shows: more than a page has room for, so that what is first over all threads is among each one's.
pub const SHOWN: usize = 64;

/// What was asked of a SKU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    orders: u32,
    sold_out: u32,
    refused: u32,
}

impl Counts {
    fn sum(&self) -> u32 {
        self.orders
            .saturating_add(self.sold_out)
            .saturating_add(self.refused)
    }
}

#[derive(Clone, Copy, Default)]
struct Cell {
    sku: Option<SkuName>,
    now: Counts,
    before: Counts,
    /// The weight that was inherited: what may have been asked for while it was not watched.
    missed: u32,
}

/// The sketch of one net thread.
pub struct Sketch {
    hasher: RandomState,
    /// Hashes, apart from the cells: one line a set. 0: free.
    tags: Box<[[u64; WAYS]]>,
    weights: Box<[[u32; WAYS]]>,
    cells: Box<[[Cell; WAYS]]>,
    half_began_ns: u64,
    began_ns: u64,
    order: Vec<(u32, u16)>,
}

impl Sketch {
    /// An empty one.
    pub fn new(now_ns: u64) -> Sketch {
        Sketch {
            hasher: RandomState::default(),
            tags: vec![[0; WAYS]; SETS].into(),
            weights: vec![[0; WAYS]; SETS].into(),
            cells: vec![[Cell::default(); WAYS]; SETS].into(),
            half_began_ns: now_ns,
            began_ns: now_ns,
            order: Vec::with_capacity(SETS * WAYS),
        }
    }

    /// Counts what a shard answered to an order. A SKU that does not exist is not in demand, whoever asks for it.
    #[inline]
    pub fn see(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Order(OrderView {
                lines,
                repeated: false,
                ..
            }) => {
                for line in lines {
                    self.count(&line.sku, |counts| counts.orders += 1);
                }
            }
            Outcome::Refused(Refusal::SoldOut { sku }) => self.count(sku, |counts| counts.sold_out += 1),
            Outcome::Refused(
                Refusal::LimitReached { sku, .. }
                | Refusal::NotOnSale { sku, .. }
                | Refusal::SaleEnded { sku }
                | Refusal::Paused { sku },
            ) => self.count(sku, |counts| counts.refused += 1),
            _ => {}
        }
    }

    #[inline]
    fn count(&mut self, sku: &SkuName, add: impl FnOnce(&mut Counts)) {
        let tag = self.hasher.hash_one(sku.as_bytes()) | 1;
        let set = (tag >> 32) as usize % SETS;
        let known = self.tags[set].iter().position(|known| *known == tag);
        let way = known.unwrap_or_else(|| self.admit(set, tag, sku));
        self.weights[set][way] = self.weights[set][way].saturating_add(1);
        add(&mut self.cells[set][way].now);
    }

    #[cold]
    fn admit(&mut self, set: usize, tag: u64, sku: &SkuName) -> usize {
        let weights = &self.weights[set];
        let way = (0..WAYS).min_by_key(|way| weights[*way]).unwrap_or(0);
        self.tags[set][way] = tag;
        self.cells[set][way] = Cell {
            sku: Some(*sku),
            missed: weights[way],
            ..Cell::default()
        };
        way
    }

    /// Forgets what is older than a minute.
    pub fn roll(&mut self, now_ns: u64) {
        if now_ns.saturating_sub(self.half_began_ns) < HALF_NS {
            return;
        }
        self.began_ns = self.half_began_ns;
        self.half_began_ns = now_ns;
        for ((tags, weights), cells) in self.tags.iter_mut().zip(&mut self.weights).zip(&mut self.cells) {
            for ((tag, weight), cell) in tags.iter_mut().zip(weights).zip(cells) {
                cell.before = std::mem::take(&mut cell.now);
                cell.missed = 0;
                *weight = cell.before.sum();
                if *weight == 0 {
                    *tag = 0;
                    cell.sku = None;
                }
            }
        }
    }

    /// The [`SHOWN`] SKUs most asked for, into `rows`, which is empty and has room for them.
    fn top(&mut self, rows: &mut Vec<Row>, stock: &StockView, now_ns: u64) {
        self.order.clear();
        for (set, cells) in self.cells.iter().enumerate() {
            for (way, cell) in cells.iter().enumerate().filter(|(_, cell)| cell.sku.is_some()) {
                let asked = cell.now.sum() + cell.before.sum();
                self.order.push((asked, (set * WAYS + way) as u16));
            }
        }
        self.order.sort_unstable_by(|a, b| b.cmp(a));
        for (_, index) in self.order.iter().take(SHOWN) {
            let cell = &self.cells[usize::from(*index) / WAYS][usize::from(*index) % WAYS];
            let Some(sku) = cell.sku else { continue };
            rows.push(Row {
                sku,
                orders: u64::from(cell.now.orders) + u64::from(cell.before.orders),
                sold_out: u64::from(cell.now.sold_out) + u64::from(cell.before.sold_out),
                refused: u64::from(cell.now.refused) + u64::from(cell.before.refused),
                missed_at_most: u64::from(cell.missed),
                seconds: now_ns.saturating_sub(self.began_ns) as f64 / 1e9,
                stock: stock.get(&sku).copied(),
            });
        }
    }
}

/// Demand for a SKU.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Which.
    pub sku: SkuName,
    /// Orders placed that have it.
    pub orders: u64,
    /// Orders refused because it was sold out.
    pub sold_out: u64,
    /// Orders refused because of its limit, its sale's time or its pause.
    pub refused: u64,
    /// Orders that may have been missed before it was watched.
    pub missed_at_most: u64,
    /// How long these were counted.
    pub seconds: f64,
    /// Its stock, as far as the thread knows it.
    pub stock: Option<StockLine>,
}

/// What a net thread shows of its sketch. It never waits for a reader: when one looks just now, it shows at the next tick.
#[derive(Debug, Default)]
pub struct Board(Mutex<Vec<Row>>);

impl Board {
    /// Net thread: replaces what is shown.
    pub fn show(&self, sketch: &mut Sketch, stock: &StockView, now_ns: u64) {
        let mut rows = match self.0.try_lock() {
            Ok(rows) => rows,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        rows.clear();
        // Allocates once, at the first tick.
        rows.reserve(SHOWN);
        sketch.top(&mut rows, stock, now_ns);
    }

    /// Any thread: what is shown.
    pub fn rows(&self) -> Vec<Row> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// What several threads show, as one list, most wanted first.
    pub fn merged<'a>(boards: impl IntoIterator<Item = &'a Board>) -> Vec<Row> {
        let mut all: Vec<Row> = Vec::new();
        for row in boards.into_iter().flat_map(Board::rows) {
            match all.iter_mut().find(|known| known.sku == row.sku) {
                Some(known) => known.merge(&row),
                None => all.push(row),
            }
        }
        all.sort_by_key(|row| (std::cmp::Reverse(row.asked()), row.sku));
        all
    }
}

impl Row {
    /// All that was asked for.
    pub fn asked(&self) -> u64 {
        self.orders + self.sold_out + self.refused
    }

    fn merge(&mut self, other: &Row) {
        self.orders += other.orders;
        self.sold_out += other.sold_out;
        self.refused += other.refused;
        self.missed_at_most += other.missed_at_most;
        self.seconds = self.seconds.max(other.seconds);
        // Threads hear of a change one after the other: the later op is the truth.
        let newer = |stock: &Option<StockLine>| stock.map_or(0, |line| line.op);
        if newer(&other.stock) > newer(&self.stock) {
            self.stock = other.stock;
        }
    }
}

impl Serialize for Row {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut row = serializer.serialize_struct("Row", 6)?;
        row.serialize_field("sku", self.sku.as_str())?;
        row.serialize_field("orders", &self.orders)?;
        row.serialize_field("sold_out", &self.sold_out)?;
        row.serialize_field("refused", &self.refused)?;
        row.serialize_field("missed_at_most", &self.missed_at_most)?;
        row.serialize_field("stock", &self.stock)?;
        row.end()
    }
}
