//! Applies the lines of imports, and goes on where a crash cut it off.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tidegate_rows::{DRIVER_LEASE_MS, Failure, RowsError, Taken};
use tidegate_shard_core::{Command, Outcome, PutSku, Refusal};

use super::imports::Imports;
use super::part;
use crate::api::Problem;

/// Lines whose outcome becomes durable together; so many are applied once more after a crash, at most.
const STRIDE: usize = 64;
/// Lines that are at the shards at the same time. An import may take its time: orders come first.
const AT_ONCE: usize = 8;
/// How long lines may be at the shards until they are sent again: well within the time after which another process takes the import over, so that
/// none of them is set when the import after it has begun.
const STRIDE_TIME: Duration = Duration::from_millis(DRIVER_LEASE_MS / 3);
/// How long nothing is looked for without being told.
const REST: Duration = Duration::from_secs(30);
/// Pause after the store or a shard was not there, doubled up to the second.
const RETRY_MS: (u64, u64) = (50, 5_000);

impl Imports {
    /// Runs until it is dropped. Dropping it at any moment loses nothing.
    pub async fn run(&self) {
        loop {
            match self.run_once().await {
                Ok(true) => {}
                Ok(false) => _ = tokio::time::timeout(REST, self.wake.notified()).await,
                Err(error) => {
                    tracing::warn!(%error, "an import of the catalogue does not go on; it is tried again");
                    tokio::time::sleep(Duration::from_millis(RETRY_MS.1)).await;
                }
            }
        }
    }

    /// Applies the import that is next to its end, or as long as it is this job's to apply; whether there was one.
    pub(super) async fn run_once(&self) -> Result<bool, RowsError> {
        let Some(taken) = self.rows.take_import(self.driver).await? else {
            return Ok(false);
        };
        let mut due = Due {
            skip: taken.done,
            number: None,
            taken,
        };
        loop {
            match self.apply_part(&mut due).await? {
                Applied::Part => {}
                Applied::All => break,
                Applied::TakenOver => {
                    tracing::warn!(
                        import = due.taken.id,
                        "another process has taken this import over"
                    );
                    return Ok(false);
                }
            }
        }
        let id = due.taken.id.clone();
        if self
            .rows
            .finish_import(self.driver, due.taken, self.now())
            .await?
        {
            tracing::info!(import = id, "an import of the catalogue is done");
        }
        Ok(true)
    }

    /// Applies the lines of the next part that are not done.
    async fn apply_part(&self, due: &mut Due) -> Result<Applied, RowsError> {
        let Some(part) = self.rows.part_after(due.taken.id.clone(), due.number).await? else {
            return Ok(Applied::All);
        };
        due.number = Some(part.number);
        let lines = part::lines(&part.text, part.first_line);
        let done = (lines.len() as u64).min(due.skip);
        due.skip -= done;
        for stride in lines[done as usize..].chunks(STRIDE) {
            if !self.apply_stride(stride, &mut due.taken).await? {
                return Ok(Applied::TakenOver);
            }
        }
        Ok(Applied::Part)
    }

    /// Applies a few lines and counts them; whether the import is still this job's.
    async fn apply_stride(&self, stride: &[part::Line], taken: &mut Taken) -> Result<bool, RowsError> {
        loop {
            let outcomes = stream::iter(stride.to_vec()).map(|line| self.apply(line));
            let failures = outcomes
                .buffer_unordered(AT_ONCE)
                .filter_map(async |outcome| outcome.err())
                .collect::<Vec<Failure>>();
            let applied = tokio::time::timeout(STRIDE_TIME, failures).await;
            let (count, failures) = match applied {
                Ok(failures) => (stride.len() as u64, failures),
                // The shards are not there: the job is, and says so.
                Err(_) => (0, Vec::new()),
            };
            let counted = self
                .rows
                .advance_import(self.driver, taken.clone(), count, failures, self.now());
            if !counted.await? {
                return Ok(false);
            }
            taken.done += count;
            if count > 0 {
                return Ok(true);
            }
        }
    }

    async fn apply(&self, line: part::Line) -> Result<(), Failure> {
        // It was checked; a newer version of this program may be stricter.
        let (line, put) = line.map_err(|bad| Failure {
            line: bad.line,
            code: "invalid_body".to_owned(),
            detail: bad.detail,
        })?;
        self.put(put).await.map_err(|problem| Failure {
            line,
            code: problem.code().word().to_owned(),
            detail: problem.detail().to_owned(),
        })
    }

    /// Sets the fields of a SKU, however long its shard takes to be there.
    async fn put(&self, put: PutSku) -> Result<(), Problem> {
        let mut pause = RETRY_MS.0;
        loop {
            match self.shards.ask(Command::PutSku(Box::new(put.clone()))).await {
                Ok(Outcome::Sku(_)) => return Ok(()),
                // To set a field twice is to set it once, so an unknown outcome is no reason to stop.
                Err(_) | Ok(Outcome::Refused(Refusal::Busy | Refusal::TryAgain)) => {}
                Ok(Outcome::Refused(refusal)) => return Err(Problem::refused(&refusal)),
                Ok(other) => return Err(Problem::unexpected(&other)),
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
            pause = (pause * 2).min(RETRY_MS.1);
        }
    }
}

/// What came of a part.
enum Applied {
    /// Its lines have their outcome.
    Part,
    /// There was none any more.
    All,
    /// The import is another process's now.
    TakenOver,
}

/// Where in a file an import stands.
struct Due {
    /// The import, and how many of its lines are counted.
    taken: Taken,
    /// Lines that have their outcome and are still to be passed over.
    skip: u64,
    /// The last part that was looked at.
    number: Option<u32>,
}
