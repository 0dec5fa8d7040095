//! Imports: what the API asks of them.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use tidegate_shard_core::{Millis, PutSku, SkuName};
use tokio::sync::Notify;

use super::ledger::{self, Failure, ImportRow, ImportState, Part};
use super::part::{self, BadLine};
use crate::database::{Database, DatabaseError};
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
    pub(super) database: Arc<Database>,
    pub(super) shards: SharedShards,
    pub(super) clock: Clock,
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
    Store(DatabaseError),
}

impl From<DatabaseError> for ImportError {
    fn from(error: DatabaseError) -> ImportError {
        ImportError::Store(error)
    }
}

impl Imports {
    pub(crate) fn new(database: Arc<Database>, shards: SharedShards, clock: Clock) -> Imports {
        Imports {
            database,
            shards,
            clock,
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
        let now = self.now();
        let part = Part {
            number,
            first_line,
            text,
        };
        let asked = id.clone();
        let kept = self
            .database
            .write_async(move |tx| ledger::put_part(tx, &id, &part, now))
            .await?;
        match kept {
            true => Ok(()),
            false => Err(ImportError::Started(self.find(asked).await?.0.state)),
        }
    }

    /// How far an import is, and the first lines that were refused.
    ///
    /// # Errors
    /// [`ImportError::Unknown`], or the store's.
    pub async fn find(&self, id: String) -> Result<(ImportRow, Vec<Failure>), ImportError> {
        let found = self
            .database
            .read_async(move |connection| {
                let Some(row) = ledger::find(connection, &id)? else {
                    return Ok(None);
                };
                Ok(Some((row, ledger::failures(connection, &id)?)))
            })
            .await?;
        found.ok_or(ImportError::Unknown)
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
        self.database
            .read_async(move |connection| check(connection, &id, parts))
            .await?
    }

    /// Lets the lines of a file be applied that was found sound.
    ///
    /// # Errors
    /// [`ImportError::Started`]: somebody was faster.
    pub async fn start(&self, id: String, parts: u32, lines: u64) -> Result<(), ImportError> {
        let now = self.now();
        let asked = id.clone();
        let started = self
            .database
            .write_async(move |tx| ledger::start(tx, &id, parts, lines, now))
            .await?;
        if !started {
            return Err(ImportError::Started(self.find(asked).await?.0.state));
        }
        self.wake.notify_one();
        Ok(())
    }

    pub(super) fn now(&self) -> Millis {
        (self.clock)()
    }
}

fn check(connection: &Connection, id: &str, parts: u32) -> rusqlite::Result<Result<Checked, ImportError>> {
    let mut check = Check::default();
    for number in 1..=parts {
        let part = ledger::part_after(connection, id, number.checked_sub(1))?;
        let Some(part) = part.filter(|part| part.number == number) else {
            return Ok(Err(ImportError::MissingPart(number)));
        };
        for line in part::lines(&part.text, part.first_line) {
            check.line(connection, line)?;
        }
    }
    Ok(Ok(check.verdict()))
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
    fn line(&mut self, connection: &Connection, line: part::Line) -> rusqlite::Result<()> {
        let (line, put) = match line {
            Ok(sound) => sound,
            Err(bad) => {
                self.fault(bad);
                return Ok(());
            }
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
        } else if lacks_fields(&put) && !is_known(connection, &put.sku)? {
            let detail = "a new SKU needs price, currency and stock".to_owned();
            self.fault(bad(None, detail));
        }
        Ok(())
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

/// The store has the SKU. It follows the shards by moments: a SKU of this very second may still be missed.
fn is_known(connection: &Connection, sku: &SkuName) -> rusqlite::Result<bool> {
    let found = connection
        .prepare_cached("SELECT 1 FROM skus WHERE sku = ?1")?
        .query_row([sku.as_str()], |_| Ok(()))
        .optional()?;
    Ok(found.is_some())
}
