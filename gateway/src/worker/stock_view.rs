//! What this thread knows of stock: a snapshot stamped with the op it shows, never older than one shown before.

use foldhash::HashMap;
use serde::Serialize;
use tidegate_host::StockRow;
use tidegate_shard_core::{SkuName, StockView as ShardStock};

/// One SKU's units as of a durable op of its shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct StockLine {
    /// The shard's op that this shows.
    pub op: u64,
    /// Units ever put on sale.
    pub stocked: u64,
    /// Units that can be ordered.
    pub available: u64,
    /// Units held by orders that are not paid.
    pub held: u64,
    /// Units sold.
    pub sold: u64,
}

impl From<&ShardStock> for StockLine {
    fn from(view: &ShardStock) -> StockLine {
        let ShardStock {
            op,
            stocked,
            available,
            held,
            sold,
            ..
        } = *view;
        StockLine {
            op: op.0,
            stocked,
            available,
            held,
            sold,
        }
    }
}

impl From<&StockRow> for StockLine {
    fn from(row: &StockRow) -> StockLine {
        let StockRow {
            op,
            stocked,
            available,
            held,
            sold,
            ..
        } = *row;
        StockLine {
            op: op.0,
            stocked,
            available,
            held,
            sold,
        }
    }
}

/// The stock of every SKU, fed by the shards about ten times a second.
#[derive(Default)]
pub struct StockView {
    lines: HashMap<SkuName, StockLine>,
}

impl StockView {
    /// Takes a row in, unless a newer one is known.
    pub fn update(&mut self, sku: SkuName, line: StockLine) {
        debug_assert_eq!(line.stocked, line.available + line.held + line.sold);
        let known = self.lines.entry(sku).or_insert(line);
        if line.op >= known.op {
            *known = line;
        }
    }

    /// What is known of a SKU.
    pub fn get(&self, sku: &SkuName) -> Option<&StockLine> {
        self.lines.get(sku)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_never_goes_back() {
        let sku = SkuName::parse(b"SKU-1").unwrap();
        let at = |op, held| StockLine {
            op,
            stocked: 10,
            available: 10 - held,
            held,
            sold: 0,
        };
        let mut view = StockView::default();
        view.update(sku, at(5, 3));
        view.update(sku, at(4, 9));
        assert_eq!(view.get(&sku), Some(&at(5, 3)));
        view.update(sku, at(6, 1));
        assert_eq!(view.get(&sku), Some(&at(6, 1)));
    }
}
