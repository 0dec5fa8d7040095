//! Cold segments are read again from the device, slowly, so that damage is found while a mirror or a store can still mend
//! it, not at the start that needs them.
//!
//! A start from a checkpoint does not read what the checkpoint holds, so nobody else would. The thread checks every
//! CRC and chain of the closed segments, and both checkpoints of each log. It changes nothing.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use rustix::fs::OFlags;
use tidegate_link::stats::Counter;
use tidegate_log::{
    Chains, LogId, Manifest, Position, SegmentFile, SegmentNumber, SegmentSource, WalkError, verify,
};
use tidegate_node::{Files, checkpoint, open, segments};

use crate::background::give_way;
use crate::os_files::OsFiles;

/// How long the thread rests between two passes: damage is found within the hour, and an idle shop's disk stays idle.
const REST: Duration = Duration::from_secs(3600);

/// Segments at a log's end that are left alone: the one that is written, and the one that is prepared.
const HOT_SEGMENTS: usize = 2;

/// What scrubbing did. One thread writes, anyone reads.
#[derive(Debug, Default)]
pub struct ScrubStats {
    /// Bytes of log read.
    pub bytes: Counter,
    /// Passes over all logs finished.
    pub passes: Counter,
    /// Faults found; one that stays is found again in each pass.
    pub faults: Counter,
}

/// Scrubs until the sender of `ended` is dropped. `bytes_per_s` bounds the reading, 0 switches it off.
pub(crate) fn scrub(data_dir: &Path, bytes_per_s: u64, stats: &ScrubStats, ended: &Receiver<()>) {
    if bytes_per_s == 0 {
        return;
    }
    give_way();
    let pace = Pace { bytes_per_s, ended };
    loop {
        match pass(data_dir, &pace, stats, &mut |fault| {
            eprintln!("tidegate: scrubbing: {fault}")
        }) {
            Ok(()) => stats.passes.add(1),
            Err(Stop::Ended) => return,
            Err(Stop::Io(error)) => eprintln!("tidegate: scrubbing stopped for an hour: {error}"),
        }
        if pace.rest(REST).is_err() {
            return;
        }
    }
}

#[derive(Debug)]
enum Stop {
    /// The process ends.
    Ended,
    Io(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Stop {
        Stop::Io(error)
    }
}

struct Pace<'a> {
    bytes_per_s: u64,
    ended: &'a Receiver<()>,
}

impl Pace<'_> {
    fn rest(&self, time: Duration) -> Result<(), Stop> {
        match self.ended.recv_timeout(time) {
            Err(RecvTimeoutError::Timeout) => Ok(()),
            Ok(()) | Err(RecvTimeoutError::Disconnected) => Err(Stop::Ended),
        }
    }

    fn after(&self, bytes: u64) -> Result<(), Stop> {
        let micros = bytes.saturating_mul(1_000_000) / self.bytes_per_s;
        self.rest(Duration::from_micros(micros))
    }
}

/// One look at everything that is closed. Each fault is told with its file and, within a log, its offset.
fn pass(
    data_dir: &Path,
    pace: &Pace<'_>,
    stats: &ScrubStats,
    tell: &mut dyn FnMut(String),
) -> Result<(), Stop> {
    let mut files = OsFiles::new(data_dir);
    let manifest = Manifest::decode(&files.read(open::MANIFEST)?).map_err(io::Error::other)?;
    for (at, layout) in manifest.layouts.iter().enumerate() {
        let is_written = at + 1 == manifest.layouts.len();
        for log in &layout.logs {
            scrub_log(data_dir, log.log, is_written, pace, stats, tell)?;
            if is_written {
                scrub_checkpoints(&mut files, log.log, pace, stats, tell)?;
            }
        }
    }
    Ok(())
}

fn scrub_log(
    data_dir: &Path,
    log: LogId,
    is_written: bool,
    pace: &Pace<'_>,
    stats: &ScrubStats,
    tell: &mut dyn FnMut(String),
) -> Result<(), Stop> {
    let mut from = SegmentNumber::NONE;
    loop {
        let mut source = Cold {
            dir: data_dir.join(segments::log_dir(log)),
            from,
            is_written,
            open: None,
            pace,
            stats,
        };
        let fault = match verify(&mut source, log, &mut Chains::lenient()) {
            Ok(_) => return Ok(()),
            Err(WalkError::Fault(fault)) => fault,
            // The log of an earlier layout was removed meanwhile.
            Err(WalkError::Read {
                error: Stop::Io(error),
                at,
            }) if error.kind() == io::ErrorKind::NotFound && at == Position::START => return Ok(()),
            // The segment was freed meanwhile, and so were those before it.
            Err(WalkError::Read {
                error: Stop::Io(error),
                at,
            }) if error.kind() == io::ErrorKind::NotFound => {
                from = at.segment.next();
                continue;
            }
            Err(WalkError::Read { error, .. }) => return Err(error),
            Err(WalkError::Stopped(never)) => match never {},
        };
        let (_, place) = fault.place();
        // A freed file is used again under another number, which looks like damage. Numbers never come again, so a
        // name that is still there was there all the time.
        if data_dir.join(segments::path(log, place.segment)).exists() {
            stats.faults.add(1);
            tell(fault.to_string());
        }
        from = place.segment.next();
    }
}

fn scrub_checkpoints(
    files: &mut OsFiles,
    log: LogId,
    pace: &Pace<'_>,
    stats: &ScrubStats,
    tell: &mut dyn FnMut(String),
) -> Result<(), Stop> {
    for path in [checkpoint::path(log), checkpoint::previous_path(log)] {
        let bytes = files.len(&path).unwrap_or(0);
        match checkpoint::check(files, &path, log) {
            // It was replaced meanwhile; the next pass sees the new one.
            Err(error) if error.is_io() => {}
            Err(error) => {
                stats.faults.add(1);
                tell(error.to_string());
            }
            Ok(()) => {}
        }
        pace.after(bytes)?;
    }
    Ok(())
}

/// A log's closed segments, read past the page cache: what it holds is not what the disk holds.
struct Cold<'a> {
    dir: PathBuf,
    from: SegmentNumber,
    is_written: bool,
    open: Option<(SegmentNumber, File)>,
    pace: &'a Pace<'a>,
    stats: &'a ScrubStats,
}

impl SegmentSource for Cold<'_> {
    type Error = Stop;

    fn segments(&mut self) -> Result<Vec<SegmentFile>, Stop> {
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.dir)? {
            let entry = entry?;
            let Some(number) = entry.file_name().to_str().and_then(SegmentNumber::from_file_name) else {
                continue;
            };
            // One that was freed since it was listed.
            let Ok(meta) = entry.metadata() else { continue };
            found.push(SegmentFile {
                number,
                bytes: meta.len(),
            });
        }
        found.sort_unstable_by_key(|file| file.number);
        if self.is_written {
            found.truncate(found.len().saturating_sub(HOT_SEGMENTS));
        }
        found.retain(|file| file.number >= self.from);
        Ok(found)
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> Result<(), Stop> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != segment) {
            self.open = Some((segment, open_cold(&self.dir.join(segment.file_name()))?));
        }
        let (_, file) = self
            .open
            .as_ref()
            .ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        let mut filled = 0;
        while filled < out.len() {
            match file.read_at(&mut out[filled..], offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        out[filled..].fill(0);
        self.stats.bytes.add(filled as u64);
        self.pace.after(filled as u64)
    }
}

/// Without O_DIRECT where the file system does not have it (tmpfs).
fn open_cold(path: &Path) -> io::Result<File> {
    let direct = OFlags::DIRECT.bits() as i32;
    match File::options().read(true).custom_flags(direct).open(path) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => File::open(path),
        opened => opened,
    }
}

/// What the host gives the thread.
pub(crate) fn start(
    data_dir: &Path,
    bytes_per_s: u64,
    stats: Arc<ScrubStats>,
    ended: Receiver<()>,
) -> io::Result<std::thread::JoinHandle<()>> {
    let dir = data_dir.to_owned();
    std::thread::Builder::new()
        .name("tidegate-scrub".to_owned())
        .spawn(move || scrub(&dir, bytes_per_s, &stats, &ended))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread::tests::harness::{Recorder, World};

    fn filled() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let recorder = Recorder::default();
        let mut world = World::start(dir.path(), &recorder, 0);
        world.fill_catalogue();
        world.place_orders(0, 2500);
        // A checkpoint is looked for every 50 ms.
        let mut placed = 2500;
        while std::fs::read_dir(dir.path().join("checkpoints")).unwrap().count() == 0 {
            assert!(placed < 100_000, "a checkpoint is due");
            world.place_orders(placed, 20);
            placed += 20;
        }
        world.stop();
        dir
    }

    /// The faults of one pass, and the bytes it read.
    fn faults_in(dir: &Path) -> (Vec<String>, u64) {
        let (_running, ended) = std::sync::mpsc::channel();
        let pace = Pace {
            bytes_per_s: 1 << 40,
            ended: &ended,
        };
        let (stats, mut faults) = (ScrubStats::default(), Vec::new());
        pass(dir, &pace, &stats, &mut |fault| faults.push(fault)).unwrap();
        assert_eq!(stats.faults.get(), faults.len() as u64);
        (faults, stats.bytes.get())
    }

    fn oldest_segment(dir: &Path) -> PathBuf {
        let logs = std::fs::read_dir(dir.join("logs")).unwrap();
        let segments = logs.flat_map(|log| std::fs::read_dir(log.unwrap().path()).unwrap());
        let mut paths: Vec<PathBuf> = segments.map(|entry| entry.unwrap().path()).collect();
        paths.sort_by_key(|path| path.file_name().unwrap().to_owned());
        paths.remove(0)
    }

    fn flip(path: &Path, at: usize) {
        let mut bytes = std::fs::read(path).unwrap();
        bytes[at] ^= 1;
        std::fs::write(path, bytes).unwrap();
    }

    #[test]
    fn a_sound_directory_has_no_faults_and_damage_is_told_with_file_and_offset() {
        let dir = filled();
        let (faults, bytes) = faults_in(dir.path());
        assert!(faults.is_empty(), "{faults:?}");
        assert!(bytes > 0);
        let segment = oldest_segment(dir.path());
        flip(&segment, 4096 + 60);
        let (faults, _) = faults_in(dir.path());
        assert_eq!(faults.len(), 1, "{faults:?}");
        let name = segment.file_name().unwrap().to_str().unwrap();
        assert!(
            faults[0].contains(name) && faults[0].contains("offset 4"),
            "{}",
            faults[0]
        );
    }

    #[test]
    fn a_damaged_checkpoint_is_told_with_its_file() {
        let dir = filled();
        let newest = std::fs::read_dir(dir.path().join("checkpoints")).unwrap();
        let newest = newest.map(|entry| entry.unwrap().path()).next().unwrap();
        flip(&newest, 60);
        let (faults, _) = faults_in(dir.path());
        let name = newest.file_name().unwrap().to_str().unwrap();
        assert!(faults.len() == 1 && faults[0].contains(name), "{faults:?}");
    }

    #[test]
    fn scrubbing_ends_with_the_host_and_is_off_at_no_bytes_a_second() {
        let dir = filled();
        for bytes_per_s in [1, 0] {
            let (running, ended) = std::sync::mpsc::channel();
            let thread = start(dir.path(), bytes_per_s, Arc::default(), ended).unwrap();
            drop(running);
            thread.join().unwrap();
        }
    }
}
