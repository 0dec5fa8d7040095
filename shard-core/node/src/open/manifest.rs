//! The manifest of a start.

use tidegate_log::{Layout, LogId, Manifest, SegmentNumber, StartNumber};

use super::{HASH, MANIFEST, NO_STORE, OpenConfig, OpenError, State};
use crate::checkpoint;
use crate::files::Files;
use crate::segments;

pub(super) fn current_logs(manifest: &Manifest) -> Vec<LogId> {
    manifest.current().logs.iter().map(|log| log.log).collect()
}

/// The manifest on disk, or that of a new data directory, which is not on disk yet.
pub(super) fn read_manifest<F: Files>(files: &mut F, config: &OpenConfig) -> Result<Manifest, OpenError> {
    if !files.list("")?.iter().any(|name| name == MANIFEST) {
        return new_manifest(files, config);
    }
    let mut manifest = Manifest::decode(&files.read(MANIFEST)?).map_err(OpenError::Manifest)?;
    if manifest.hash != HASH {
        return Err(OpenError::OtherHash { found: manifest.hash });
    }
    // A directory that fed no store has freed nothing: whatever store comes can follow it from its first op.
    if manifest.store == NO_STORE {
        manifest.store.clone_from(&config.store);
    }
    if manifest.store != config.store {
        return Err(OpenError::OtherStore {
            found: manifest.store,
            wanted: config.store.clone(),
        });
    }
    if config.threads == 0 || config.threads > usize::from(manifest.shards) {
        return Err(OpenError::Threads {
            threads: config.threads,
            shards: manifest.shards,
        });
    }
    files.sync(MANIFEST)?;
    files.sync_dir("")?;
    Ok(manifest)
}

fn new_manifest<F: Files>(files: &mut F, config: &OpenConfig) -> Result<Manifest, OpenError> {
    if config.threads == 0 || config.threads > usize::from(config.shards) {
        return Err(OpenError::Threads {
            threads: config.threads,
            shards: config.shards,
        });
    }
    // Never make a new directory over one whose manifest went missing. Logs without segments are of a first start
    // that was cut short.
    for dir in files.list("logs")? {
        if !files.list(&format!("logs/{dir}"))?.is_empty() {
            return Err(OpenError::NoManifest);
        }
    }
    let mut manifest = Manifest {
        shards: config.shards,
        hash: HASH.to_owned(),
        store: config.store.clone(),
        start: StartNumber(0),
        next_segment: SegmentNumber(1),
        layouts: Vec::new(),
    };
    manifest.layouts.push(new_layout(&manifest, config));
    Ok(manifest)
}

/// The manifest of this start. When the number of threads changed, it has a new layout, whose logs begin with a
/// checkpoint of every shard that is already on disk.
pub(super) fn next_manifest<F: Files>(
    files: &mut F,
    config: &OpenConfig,
    found: &Manifest,
    state: &State,
) -> Result<Manifest, OpenError> {
    let mut manifest = found.clone();
    manifest.start = StartNumber(found.start.0 + 1);
    let largest = state
        .logs
        .iter()
        .filter_map(|found| found.recovered.as_ref())
        .map(|recovered| recovered.next_segment)
        .max();
    manifest.next_segment = manifest.next_segment.max(largest.unwrap_or_default());
    if found.current().logs.len() == config.threads {
        return Ok(manifest);
    }
    if found.layouts.len() >= tidegate_log::limits::LAYOUTS_MAX {
        let threads = found.current().logs.len();
        return Err(OpenError::TooManyLayouts { threads });
    }
    let layout = new_layout(&manifest, config);
    segments::create_dirs(files, layout.logs.iter().map(|log| log.log))?;
    for log in &layout.logs {
        let shards = state.shards_of(log);
        checkpoint::write(files, log.log, manifest.start.0, manifest.shards, &shards)?;
    }
    manifest.layouts.push(layout);
    manifest.check().map_err(OpenError::Manifest)?;
    Ok(manifest)
}

fn new_layout(manifest: &Manifest, config: &OpenConfig) -> Layout {
    let generation = manifest.layouts.last().map_or(0, |last| last.generation) + 1;
    // SplitMix64 over the given entropy: ids that nobody has used, without a source of chance in here.
    let id = |nth: u64| {
        let mut bits = config
            .entropy
            .wrapping_add((nth + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        LogId((bits ^ (bits >> 31)).max(1))
    };
    let logs: Vec<LogId> = (0..config.threads as u64).map(id).collect();
    Layout::spread(generation, &logs, manifest.shards)
}
