//! The columns of a catalogue's CSV, and what their cells mean.

use csv::StringRecord;
use tidegate_shard_core::command::LimitScope;
use tidegate_shard_core::limits::TEXT_BYTES_MAX;
use tidegate_shard_core::{PutSku, SkuName};

use crate::nearest::nearest;
use crate::time::parse_rfc3339;

/// The columns, in the order in which an export writes them.
pub const COLUMNS: [&str; 11] = [
    "sku",
    "name",
    "price",
    "currency",
    "stock",
    "buyer_limit",
    "limit_scope",
    "sale_start",
    "sale_end",
    "hold_seconds",
    "paused",
];

/// The longest hold an operator may set: 24 h, the window in which keys are remembered.
const HOLD_SECONDS_MAX: u32 = 24 * 3600;

/// What is wrong with a cell: its column, and a sentence.
pub(super) type BadCell = (Option<&'static str>, String);

/// Which column each cell of a line belongs to.
#[derive(Debug)]
pub(super) struct Columns(Vec<&'static str>);

impl Columns {
    /// Reads the first line of a file: columns in any order, `sku` among them. A column that is left out keeps its values.
    pub(super) fn read(header: &StringRecord) -> Result<Columns, BadCell> {
        let mut columns = Vec::with_capacity(header.len());
        for name in header {
            let Some(known) = COLUMNS.iter().find(|known| **known == name) else {
                let meant = match nearest(name, &COLUMNS) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None => format!("the columns are {}", COLUMNS.join(", ")),
                };
                return Err((None, format!("there is no column `{name}`; {meant}")));
            };
            if columns.contains(known) {
                return Err((Some(known), format!("the column `{known}` is there twice")));
            }
            columns.push(*known);
        }
        match columns.contains(&"sku") {
            true => Ok(Columns(columns)),
            false => Err((
                None,
                "the first line names the columns, and `sku` is not among them".to_owned(),
            )),
        }
    }

    /// What a line sets. An empty cell keeps its value, but for a buyer's limit and the sale's two moments, where it means none: so a
    /// file that was exported sets exactly what it says.
    pub(super) fn put(&self, record: &StringRecord) -> Result<PutSku, BadCell> {
        if record.len() != self.0.len() {
            let detail = format!(
                "the first line names {} columns, this one has {}",
                self.0.len(),
                record.len()
            );
            return Err((None, detail));
        }
        let cells = || self.0.iter().copied().zip(record);
        let sku = cells().find(|(column, _)| *column == "sku");
        let mut put = PutSku::new(sku_name(sku.map(|(_, cell)| cell).unwrap_or_default())?);
        for (column, cell) in cells() {
            set(&mut put, column, cell).map_err(|wanted| {
                let found = if cell.is_empty() {
                    "nothing".to_owned()
                } else {
                    format!("{cell:?}")
                };
                (Some(column), format!("{column} is {wanted}, not {found}"))
            })?;
        }
        match (put.sale_start.flatten(), put.sale_end.flatten()) {
            (Some(start), Some(end)) if start >= end => {
                Err((Some("sale_end"), "the sale ends before it starts".to_owned()))
            }
            _ => Ok(put),
        }
    }
}

fn sku_name(cell: &str) -> Result<SkuName, BadCell> {
    SkuName::parse(cell.as_bytes()).map_err(|_| {
        let detail = format!("a SKU is 1 to 47 characters of A-Z a-z 0-9 . _ : -, not {cell:?}");
        (Some("sku"), detail)
    })
}

/// Sets one field; the error says what the cell should have been.
fn set(put: &mut PutSku, column: &str, cell: &str) -> Result<(), &'static str> {
    let given = !cell.is_empty();
    let number = |wanted| cell.parse::<u64>().map_err(|_| wanted);
    let time = || match given {
        true => parse_rfc3339(cell)
            .map(Some)
            .ok_or("a time as in 2026-11-27T10:00:00Z (RFC 3339)"),
        false => Ok(None),
    };
    match column {
        "buyer_limit" if given => {
            put.buyer_limit = Some(Some(
                cell.parse().map_err(|_| "a number of units, or empty for none")?,
            ));
        }
        "buyer_limit" => put.buyer_limit = Some(None),
        "sale_start" => put.sale_start = Some(time()?),
        "sale_end" => put.sale_end = Some(time()?),
        _ if !given => {}
        "name" if cell.len() > TEXT_BYTES_MAX => return Err("at most 200 bytes"),
        "name" => put.name = Some(cell.into()),
        "price" => put.price = Some(number("a whole number of minor units, as in 1999")?),
        "stock" => put.stock = Some(number("a number of units")?),
        "currency" => put.currency = Some(currency(cell)?),
        "limit_scope" => put.limit_scope = Some(limit_scope(cell)?),
        "hold_seconds" => {
            let seconds = cell.parse().ok().filter(|s| (1..=HOLD_SECONDS_MAX).contains(s));
            put.hold_ms = Some(seconds.ok_or("a number from 1 to 86400")? * 1000);
        }
        "paused" => put.paused = Some(cell.parse().map_err(|_| "true or false")?),
        // `sku`, which names the line.
        _ => {}
    }
    Ok(())
}

fn currency(cell: &str) -> Result<[u8; 3], &'static str> {
    let letters = <[u8; 3]>::try_from(cell.as_bytes()).ok();
    letters
        .filter(|letters| letters.iter().all(u8::is_ascii_uppercase))
        .ok_or("three capital letters, as in CNY (ISO 4217)")
}

fn limit_scope(cell: &str) -> Result<LimitScope, &'static str> {
    match cell {
        "sku" => Ok(LimitScope::Sku),
        "group" => Ok(LimitScope::Group),
        _ => Err("sku or group"),
    }
}
