//! The ledger of the catalogue's imports: a file's parts, and how many of its lines have their outcome.

use serde::Serialize;
use tidegate_shard_core::Millis;

use crate::Answer;

/// Imports that are being uploaded, at most: beyond it, the one that has waited longest for its next part goes. Many that begin at the same
/// moment may be a few more.
pub const UPLOADS_MAX: u32 = 16;
/// Finished imports that are remembered.
pub const FINISHED_MAX: u32 = 100;
/// Failures that are shown; all of them are kept and counted.
pub const FAILURES_SHOWN: u32 = 100;

/// How long a driver that is not heard of keeps its import, where several processes share a database.
pub const DRIVER_LEASE_MS: u64 = 60_000;

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    /// Its parts come in.
    Uploading,
    /// Its lines are being applied.
    Applying,
    /// Every line has its outcome.
    Done,
}

impl ImportState {
    /// The state of a word in the store.
    #[must_use]
    pub fn parse(word: &str) -> ImportState {
        match word {
            "uploading" => ImportState::Uploading,
            "applying" => ImportState::Applying,
            _ => ImportState::Done,
        }
    }
}

/// An import.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportRow {
    /// How far it is.
    pub state: ImportState,
    /// Lines that set something; 0 until it was checked.
    pub lines: u64,
    /// The first so many have their outcome.
    pub done: u64,
    /// Of these, so many were refused.
    pub failed: u64,
    /// When its first part came.
    pub created_at: Millis,
    /// When it last went on.
    pub changed_at: Millis,
}

/// A line that a shard refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// Which, of the file.
    pub line: u64,
    /// The word of `docs/CODES.md`.
    pub code: String,
    /// What was wrong and what would be right.
    pub detail: String,
}

/// A part as it was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// From 1.
    pub number: u32,
    /// The line of the file that the part's first line is, after the one with the columns' names.
    pub first_line: u64,
    /// CSV.
    pub text: String,
}

/// Who applies imports: a number of its own for each job of each process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Driver(pub u64);

/// An import that is to be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Its id.
    pub id: String,
    /// The first so many lines have their outcome.
    pub done: u64,
}

/// Imports, oldest first and one at a time: two files may set the same SKU.
pub trait Imports: Send + Sync + 'static {
    /// One import, and its first failures by line.
    fn import(&self, id: String) -> Answer<'_, Option<(ImportRow, Vec<Failure>)>>;

    /// Keeps a part, unless its import is past that: whether it was kept. A part that is sent again takes the place of the first. The first
    /// part begins the import, and what is beyond [`UPLOADS_MAX`] or [`FINISHED_MAX`] is forgotten.
    fn put_part(&self, id: String, part: Part, now: Millis) -> Answer<'_, bool>;

    /// The part after the one with a number, or the first.
    fn part_after(&self, id: String, number: Option<u32>) -> Answer<'_, Option<Part>>;

    /// Lets the `parts` that were checked be applied: whether the import was still being uploaded. Parts behind them are of a longer file
    /// before it, and go.
    fn start_import(&self, id: String, parts: u32, lines: u64, now: Millis) -> Answer<'_, bool>;

    /// The import that is to be applied next, for this driver; none while another drives one, unless nothing was heard of that one for
    /// [`DRIVER_LEASE_MS`].
    fn take_import(&self, driver: Driver) -> Answer<'_, Option<Taken>>;

    /// So many lines after the first `seen` have their outcome, and some were refused; with none, the driver is heard of. `false`: it is not
    /// this driver's any more, or does not stand where it was seen, and nothing was done.
    fn advance_import(
        &self,
        driver: Driver,
        seen: Taken,
        lines: u64,
        failures: Vec<Failure>,
        now: Millis,
    ) -> Answer<'_, bool>;

    /// Every line has its outcome: the parts go. `false`: as of [`advance_import`](Self::advance_import).
    fn finish_import(&self, driver: Driver, seen: Taken, now: Millis) -> Answer<'_, bool>;
}
