//! What an order must cost.

use super::Evidence;
use crate::ledger::Record;

/// Units times prices, in minor units, and their currency. `None`: others may have changed a price meanwhile, or one is not known.
pub(super) fn of<'a>(evidence: &Evidence<'a>, record: &Record) -> Option<(u64, &'a str)> {
    if !evidence.exclusive {
        return None;
    }
    let mut cost: Option<(u64, &str)> = None;
    for line in evidence.ledger.lines(record) {
        let (price, currency) = evidence.skus.get(usize::from(line.sku))?.price.as_ref()?;
        let amount = price.checked_mul(u64::from(line.qty))?;
        cost = Some(match cost {
            None => (amount, currency),
            Some((sum, letters)) if letters == currency => (sum.checked_add(amount)?, letters),
            Some(_) => return None,
        });
    }
    cost
}
