//! Applies the lines of imports, and goes on where a crash cut it off.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tidegate_shard_core::{Command, Outcome, PutSku, Refusal};

use super::imports::Imports;
use super::ledger::{self, Failure};
use super::part;
use crate::api::Problem;
use crate::database::DatabaseError;

/// Lines whose outcome becomes durable together; so many are applied once more after a crash, at most.
const STRIDE: usize = 64;
/// Lines that are at the shards at the same time. An import may take its time: orders come first.
const AT_ONCE: usize = 8;
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

    /// Applies the import that is next to its end; whether there was one.
    pub(super) async fn run_once(&self) -> Result<bool, DatabaseError> {
        let Some(id) = self.database.read_async(ledger::next).await? else {
            return Ok(false);
        };
        let asked = id.clone();
        let row = self
            .database
            .read_async(move |connection| ledger::find(connection, &asked))
            .await?;
        let mut due = Due {
            skip: row.map_or(0, |row| row.done),
            number: None,
        };
        while self.apply_part(&id, &mut due).await? {}
        let now = self.now();
        let finished = id.clone();
        self.database
            .write_async(move |tx| ledger::finish(tx, &finished, now))
            .await?;
        tracing::info!(import = id, "an import of the catalogue is done");
        Ok(true)
    }

    /// Applies the lines of the next part that are not done; whether there was a part.
    async fn apply_part(&self, id: &str, due: &mut Due) -> Result<bool, DatabaseError> {
        let (asked, after) = (id.to_owned(), due.number);
        let part = self
            .database
            .read_async(move |connection| ledger::part_after(connection, &asked, after))
            .await?;
        let Some(part) = part else { return Ok(false) };
        due.number = Some(part.number);
        let lines = part::lines(&part.text, part.first_line);
        let done = (lines.len() as u64).min(due.skip);
        due.skip -= done;
        for stride in lines[done as usize..].chunks(STRIDE) {
            let outcomes = stream::iter(stride.to_vec()).map(|line| self.apply(line));
            let failures: Vec<Failure> = outcomes
                .buffer_unordered(AT_ONCE)
                .filter_map(async |outcome| outcome.err())
                .collect()
                .await;
            let (id, count, now) = (id.to_owned(), stride.len() as u64, self.now());
            self.database
                .write_async(move |tx| ledger::advance(tx, &id, count, &failures, now))
                .await?;
        }
        Ok(true)
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

/// Where in a file an import stands.
struct Due {
    /// Lines that have their outcome and are still to be passed over.
    skip: u64,
    /// The last part that was looked at.
    number: Option<u32>,
}
