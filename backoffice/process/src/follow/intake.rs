//! An edge's records from its stream into the thread's queue, within the window.

use std::sync::Arc;
use std::time::Instant;

use tidegate_api::pb::{self, from_edge};
use tidegate_follow::Record;
use tokio::sync::{Semaphore, mpsc};
use tonic::{Status, Streaming};

use super::line::Chunk;
use crate::config::Config;
use crate::metrics::FeedMetrics;

/// Reads until the stream ends, and gives why. While the window is full nothing is read, and HTTP/2 holds the edge back.
pub(super) async fn read(
    mut inbound: Streaming<pb::FromEdge>,
    chunks: mpsc::Sender<Chunk>,
    config: &Config,
    metrics: &FeedMetrics,
) -> Status {
    let window = Arc::new(Semaphore::new(config.grpc.window_bytes as usize));
    loop {
        let records = match inbound.message().await {
            Ok(Some(message)) => match records(message, config.shards) {
                Ok(records) => records,
                Err(status) => return status,
            },
            Ok(None) => return Status::cancelled("the edge ended the stream"),
            Err(status) => return status,
        };
        if records.is_empty() {
            continue;
        }
        let bytes: usize = records.iter().map(|record| record.payload.len()).sum();
        metrics.received.inc_by(records.len() as u64);
        metrics.received_bytes.inc_by(bytes as u64);
        metrics.unpublished.inc_by(records.len() as i64);
        // A message that is larger than the window takes all of it.
        let bytes = u32::try_from(bytes)
            .unwrap_or(u32::MAX)
            .min(config.grpc.window_bytes);
        let place = Arc::clone(&window).acquire_many_owned(bytes).await.ok();
        let chunk = Chunk {
            records,
            place,
            came: Instant::now(),
        };
        if chunks.send(chunk).await.is_err() {
            return Status::aborted("the stream's thread has ended");
        }
    }
}

fn records(message: pb::FromEdge, shards: u16) -> Result<Vec<Record>, Status> {
    let Some(from_edge::Message::Records(records)) = message.message else {
        return Err(Status::invalid_argument("after its hello an edge sends records"));
    };
    let records: Vec<Record> = records
        .records
        .into_iter()
        .map(Record::try_from)
        .collect::<Result<_, _>>()
        .map_err(|malformed| Status::invalid_argument(malformed.to_string()))?;
    match records.iter().find(|record| record.shard >= shards) {
        Some(record) => Err(Status::invalid_argument(format!(
            "a record of shard {}, and there are {shards} shards",
            record.shard
        ))),
        None => Ok(records),
    }
}
