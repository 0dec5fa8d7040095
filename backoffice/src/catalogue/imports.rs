//! Imports: what the API asks of them.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use tidegate_rows::{Driver, Failure, ImportRow, ImportState, Part, Rows, RowsError};
use tidegate_shard_core::{Millis, PutSku, SkuName};
use tokio::sync::Notify;

use super::part::{self, BadLine};
use crate::shop::SharedShards;
use crate::time::Clock;

/// Parts of a file at most; each is a request's body.
pub const PARTS_MAX: u32 = 4_096;
/// Lines of a file at most: what a check of the whole keeps in memory, at 60 bytes a line.
pub const LINES_MAX: u64 = 1_000_000;
/// Bad lines that a report names.
const BAD_LINES_SHOWN: usize = 100;

/// Everything that has to do with imports.
#[derive(Clone)]
pub struct Imports {
    pub(super) rows: Arc<dyn Rows>,
    pub(super) shards: SharedShards,
    pub(super) clock: Clock,
    /// Who applies imports here.
    pub(super) driver: Driver,
    /// An import waits to be applied.
    pub(super) wake: Arc<Notify>,
}

impl fmt::Debug for Imports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Imports")
    }
}

/// What a check of the whole file found.
#[derive(Debug, PartialEq, Eq)]
pub enum Checked {
    /// Every line can be read and names another SKU.
    Sound {
        /// Lines that set something.
        lines: u64,
    },
    /// Nothing of it is applied.
    Unsound {
        /// How many lines are bad.
        count: u64,
        /// The first of them.
        bad: Vec<BadLine>,
    },
}

/// Why an import could not be had.
#[derive(Debug)]
pub enum ImportError {
    /// No part of it has come, or it was forgotten.
    Unknown,
    /// It is being applied or done: its parts stand.
    Started(ImportState),
    /// A part between the first and the last is not there.
    MissingPart(u32),
    /// The store.
    Store(RowsError),
}

impl From<RowsError> for ImportError {
    fn from(error: RowsError) -> ImportError {
        ImportError::Store(error)
    }
}

impl Imports {
    pub(crate) fn new(rows: Arc<dyn Rows>, shards: SharedShards, clock: Clock) -> Imports {
        Imports {
            rows,
            shards,
            clock,
            driver: new_driver(),
            wake: Arc::new(Notify::new()),
        }
    }

    /// Keeps part `number` (from 1) of a file, whose first line after the columns' names is line `first_line` of the file.
    ///
    /// # Errors
    /// [`ImportError::Started`], or the store's.
    pub async fn put_part(
        &self,
        id: String,
        number: u32,
        first_line: u64,
        text: String,
    ) -> Result<(), ImportError> {
        let part = Part {
            number,
            first_line,
            text,
        };
        match self.rows.put_part(id.clone(), part, self.now()).await? {
            true => Ok(()),
            false => Err(ImportError::Started(self.find(id).await?.0.state)),
        }
    }

    /// How far an import is, and the first lines that were refused.
    ///
    /// # Errors
    /// [`ImportError::Unknown`], or the store's.
    pub async fn find(&self, id: String) -> Result<(ImportRow, Vec<Failure>), ImportError> {
        self.rows.import(id).await?.ok_or(ImportError::Unknown)
    }

    /// Looks at all `parts` of a file, as a whole, and changes nothing.
    ///
    /// # Errors
    /// All but [`Checked`]'s own.
    pub async fn check(&self, id: String, parts: u32) -> Result<Checked, ImportError> {
        let row = self.find(id.clone()).await?.0;
        if row.state != ImportState::Uploading {
            return Err(ImportError::Started(row.state));
        }
        let mut check = Check::default();
        for number in 1..=parts {
            let part = self.rows.part_after(id.clone(), number.checked_sub(1)).await?;
            let part = part
                .filter(|part| part.number == number)
                .ok_or(ImportError::MissingPart(number))?;
            let lines = part::lines(&part.text, part.first_line);
            let known = self.rows.known_skus(doubtful(&lines)).await?;
            for line in lines {
                check.line(&known, line);
            }
        }
        Ok(check.verdict())
    }

    /// Lets the lines of a file be applied that was found sound.
    ///
    /// # Errors
    /// [`ImportError::Started`]: somebody was faster.
    pub async fn start(&self, id: String, parts: u32, lines: u64) -> Result<(), ImportError> {
        let started = self.rows.start_import(id.clone(), parts, lines, self.now());
        if !started.await? {
            return Err(ImportError::Started(self.find(id).await?.0.state));
        }
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn now(&self) -> Millis {
        (self.clock)()
    }
}

/// A number of its own for each job. One that is drawn twice would only let two apply the same lines.
fn new_driver() -> Driver {
    Driver(getrandom::u64().unwrap_or_else(|_| u64::from(std::process::id())))
}

/// SKUs of lines that only set what is known already.
fn doubtful(lines: &[part::Line]) -> Vec<SkuName> {
    let puts = lines.iter().filter_map(|line| line.as_ref().ok());
    puts.filter(|(_, put)| lacks_fields(put))
        .map(|(_, put)| put.sku)
        .collect()
}

/// What is known of a file after some of its lines.
#[derive(Default)]
struct Check {
    /// The line of each SKU.
    seen: HashMap<SkuName, u64>,
    count: u64,
    bad: Vec<BadLine>,
}

impl Check {
    /// Takes a line in; `known` are those of its part's SKUs that lack fields and that the store has.
    fn line(&mut self, known: &HashSet<SkuName>, line: part::Line) {
        let (line, put) = match line {
            Ok(sound) => sound,
            Err(bad) => return self.fault(bad),
        };
        let bad = |column, detail| BadLine { line, column, detail };
        if let Some(before) = self.seen.insert(put.sku, line) {
            let detail = format!(
                "{} is in line {before} as well; keep one of them",
                put.sku.as_str()
            );
            self.fault(bad(Some("sku"), detail));
        } else if self.seen.len() as u64 > LINES_MAX {
            if self.seen.len() as u64 == LINES_MAX + 1 {
                self.fault(bad(
                    None,
                    format!("an import has at most {LINES_MAX} lines; divide the file"),
                ));
            }
        } else if lacks_fields(&put) && !known.contains(&put.sku) {
            let detail = "a new SKU needs price, currency and stock".to_owned();
            self.fault(bad(None, detail));
        }
    }

    fn fault(&mut self, bad: BadLine) {
        self.count += 1;
        if self.bad.len() < BAD_LINES_SHOWN {
            self.bad.push(bad);
        }
    }

    fn verdict(mut self) -> Checked {
        let lines = self.seen.len() as u64;
        if lines == 0 && self.count == 0 {
            self.fault(BadLine {
                line: 1,
                column: None,
                detail: "the file has no line below the columns' names".to_owned(),
            });
        }
        match self.count {
            0 => Checked::Sound { lines },
            count => Checked::Unsound { count, bad: self.bad },
        }
    }
}

fn lacks_fields(put: &PutSku) -> bool {
    put.price.is_none() || put.currency.is_none() || put.stock.is_none()
}
