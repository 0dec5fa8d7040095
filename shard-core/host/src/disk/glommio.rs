//! glommio's DMA file: an io_uring write, then fdatasync, on an executor of the shard thread's own.

use std::io;
use std::path::{Path, PathBuf};

use glommio::io::{DmaFile, OpenOptions};
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement};
use tidegate_log::{AlignedBuf, SegmentNumber};

use super::{DiskWriter, segment_path};

/// Lockable memory that glommio's rings want, a thread.
const MEMLOCK_BYTES: u64 = 512 * 1024;

/// Memory for DMA buffers: two of the largest batches.
const IO_BYTES: usize = 4 << 20;

/// Says in one line why glommio cannot run here, with the remedy. glommio itself would panic.
pub fn probe() -> Result<(), String> {
    if let Err(error) = io_uring::IoUring::new(2) {
        return Err(format!(
            "io_uring is not available ({error}): allow it in the seccomp profile and set kernel.io_uring_disabled=0"
        ));
    }
    let limit = rustix::process::getrlimit(rustix::process::Resource::Memlock);
    if limit.current.is_some_and(|bytes| bytes < MEMLOCK_BYTES) {
        return Err(
            "less than 512 KiB may be locked in memory: raise `ulimit -l` (LimitMEMLOCK=)".to_owned(),
        );
    }
    Ok(())
}

/// Runs its executor for the length of a commit.
pub struct GlommioWriter {
    dir: PathBuf,
    executor: LocalExecutor,
    open: Option<(SegmentNumber, DmaFile)>,
}

impl std::fmt::Debug for GlommioWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GlommioWriter")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl GlommioWriter {
    /// For the log in `dir`. Call [`probe`] first.
    pub fn new(dir: &Path) -> io::Result<GlommioWriter> {
        // The shard thread is pinned by the host, if at all.
        let executor = LocalExecutorBuilder::new(Placement::Unbound)
            .name("tidegate-log")
            .io_memory(IO_BYTES)
            .make()
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(GlommioWriter {
            dir: dir.to_owned(),
            executor,
            open: None,
        })
    }
}

async fn open_segment(path: &Path) -> io::Result<DmaFile> {
    Ok(OpenOptions::new().read(true).write(true).dma_open(path).await?)
}

impl DiskWriter for GlommioWriter {
    fn write(&mut self, segment: SegmentNumber, offset: u32, bytes: &AlignedBuf) -> io::Result<()> {
        let GlommioWriter { dir, executor, open } = self;
        executor.run(async {
            let file = match open.take() {
                Some((number, file)) if number == segment => file,
                other => {
                    if let Some((_, file)) = other {
                        file.close().await?;
                    }
                    open_segment(&segment_path(dir, segment)).await?
                }
            };
            let mut buffer = file.alloc_dma_buffer(bytes.len());
            buffer.as_bytes_mut()[..bytes.len()].copy_from_slice(bytes);
            let wrote = file.write_at(buffer, u64::from(offset)).await;
            let synced = match wrote {
                Ok(wrote) if wrote == bytes.len() => file.fdatasync().await.map_err(io::Error::from),
                Ok(wrote) => Err(io::Error::other(format!(
                    "wrote {wrote} of {} bytes",
                    bytes.len()
                ))),
                Err(error) => Err(error.into()),
            };
            *open = Some((segment, file));
            synced
        })
    }

    fn name(&self) -> &'static str {
        "glommio (DMA file)"
    }
}

impl Drop for GlommioWriter {
    fn drop(&mut self) {
        if let Some((_, file)) = self.open.take() {
            // A DMA file wants to be closed by its executor; what was written is synced already.
            _ = self.executor.run(file.close());
        }
    }
}
