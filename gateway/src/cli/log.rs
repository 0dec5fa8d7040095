//! `tidegate log verify` and `tidegate log dump`: a data directory's logs, read from the files alone.
//! Nothing is changed, and the gateway may be running: then the log's end is wherever it was.

use std::convert::Infallible;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tidegate_log::{
    Chains, LogId, Manifest, Planted, Record, SegmentFile, SegmentNumber, SegmentSource, WalkError,
    verify as verify_log, walk,
};

mod line;

use line::Line;

#[cfg(test)]
mod tests;

/// Walks every log, and says what each holds.
pub(super) fn verify(data: &Path) -> Result<(), String> {
    let mut chains = Chains::lenient();
    let logs = logs(data)?;
    let (mut records, mut segments) = (0, 0);
    for log in &logs {
        let walked = verify_log(&mut Files::new(data, *log), *log, &mut chains)
            .map_err(|error: WalkError<io::Error, Infallible>| faulty(data, *log, &error))?;
        println!(
            "log {log}: {} records in {} segments, ends in {} at {}{}",
            walked.records,
            walked.segments.len(),
            walked.end.segment.file_name(),
            walked.end.offset,
            if walked.torn {
                ", then a write that was cut short"
            } else {
                ""
            },
        );
        records += walked.records;
        segments += walked.segments.len();
    }
    let shards = chains.marks().count();
    println!(
        "ok: {records} records of {shards} shards in {segments} segments of {} logs",
        logs.len()
    );
    Ok(())
}

/// Prints every record of every log, the oldest layout's logs first.
pub(super) fn dump(data: &Path) -> Result<(), String> {
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    match dump_to(data, &mut out).and_then(|()| out.flush().map_err(Stop::Output)) {
        Ok(()) => Ok(()),
        // The reader (`head`, say) has what it wanted.
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stop::Output(error)) => Err(format!(
            "standard output: {error}; free space there, or send it elsewhere"
        )),
        // What was read before the fault is printed; the fault decides the exit status.
        Err(Stop::Log(problem)) => {
            let _ = out.flush();
            Err(problem)
        }
    }
}

#[derive(Debug)]
enum Stop {
    Output(io::Error),
    Log(String),
}

fn dump_to(data: &Path, out: &mut impl Write) -> Result<(), Stop> {
    let mut chains = Chains::lenient();
    let mut undecodable = 0_u64;
    for log in logs(data).map_err(Stop::Log)? {
        let visit = |record: Record<'_>| {
            let line = Line::of(&record);
            undecodable += u64::from(line.is_undecodable());
            serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
            out.write_all(b"\n")
        };
        walk(&mut Files::new(data, log), log, &mut chains, Planted::None, visit).map_err(
            |error| match error {
                WalkError::Stopped(error) => Stop::Output(error),
                other => Stop::Log(faulty(data, log, &other)),
            },
        )?;
    }
    if undecodable > 0 {
        return Err(Stop::Log(format!(
            "{undecodable} records hold no entry that this version knows; read them with the version that wrote them"
        )));
    }
    Ok(())
}

/// Where the fault is, and that the directory is worth more as it is than repaired by hand.
fn faulty(data: &Path, log: LogId, error: &dyn std::fmt::Display) -> String {
    format!(
        "{}: {error}; keep the directory as it is, start on a copy from before, and send what `tidegate diagnose --data {}` writes",
        directory(data, log).display(),
        data.display()
    )
}

fn directory(data: &Path, log: LogId) -> PathBuf {
    data.join("logs").join(log.to_string())
}

/// The logs in the order in which a shard's chain runs through them: the manifest's layouts, oldest first. Directories that
/// the manifest does not name are not logs of this data (a start that failed half way made them).
pub(super) fn logs(data: &Path) -> Result<Vec<LogId>, String> {
    let path = data.join("MANIFEST");
    let bytes = fs::read(&path).map_err(|error| {
        format!(
            "{}: {error}; name a data directory that tidegate has served, and that this user may read",
            path.display()
        )
    })?;
    let manifest = Manifest::decode(&bytes).map_err(|error| {
        format!(
            "{}: {error}; restore it from a copy of the directory",
            path.display()
        )
    })?;
    let named = manifest
        .layouts
        .iter()
        .flat_map(|layout| &layout.logs)
        .map(|log| log.log);
    Ok(named.filter(|log| directory(data, *log).is_dir()).collect())
}

/// One log's segment files.
pub(super) struct Files {
    directory: PathBuf,
    open: Option<(SegmentNumber, File)>,
}

impl Files {
    pub(super) fn new(data: &Path, log: LogId) -> Files {
        Files {
            directory: directory(data, log),
            open: None,
        }
    }
}

impl SegmentSource for Files {
    type Error = io::Error;

    fn segments(&mut self) -> io::Result<Vec<SegmentFile>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if let Some(number) = entry.file_name().to_str().and_then(SegmentNumber::from_file_name) {
                files.push(SegmentFile {
                    number,
                    bytes: entry.metadata()?.len(),
                });
            }
        }
        Ok(files)
    }

    fn read(&mut self, segment: SegmentNumber, offset: u64, out: &mut [u8]) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|(number, _)| *number != segment) {
            self.open = Some((segment, File::open(self.directory.join(segment.file_name()))?));
        }
        let (_, file) = self.open.as_mut().expect("it was just opened");
        file.seek(SeekFrom::Start(offset))?;
        let mut filled = 0;
        while filled < out.len() {
            match file.read(&mut out[filled..]) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        out[filled..].fill(0);
        Ok(())
    }
}
