//! CPU profiles of the whole process, by sampling.

use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use pprof::protos::Message as _;

/// Samples per second of CPU time. The kernel's tick caps it near 250 anyway; a prime, so that periodic work is not always
/// met at the same point.
const FREQUENCY_HZ: i32 = 199;
/// The longest profile.
pub const SECONDS_MAX: u64 = 120;

/// One profile at a time: the sampler is the process's one SIGPROF handler.
static RUNNING: Mutex<()> = Mutex::new(());

/// Why there is no profile.
#[derive(Debug, PartialEq, Eq)]
pub enum ProfileError {
    /// Another one is being taken.
    Busy,
    /// Nothing ran on a CPU in that time.
    Empty,
    /// The sampler or an encoder said so.
    Failed(String),
}

/// What a profile is turned into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// gzipped `profile.proto`, which `go tool pprof` reads.
    Protobuf,
    /// A flame graph as SVG.
    Flamegraph,
}

/// Samples the process for `seconds`, which blocks the calling thread, and returns the profile's bytes.
///
/// # Errors
/// Another profile is being taken, nothing ran, or the sampler failed.
pub fn take(seconds: u64, form: Form) -> Result<Vec<u8>, ProfileError> {
    let _one = RUNNING.try_lock().map_err(|_| ProfileError::Busy)?;
    let failed = |error: pprof::Error| ProfileError::Failed(error.to_string());
    let guard = pprof::ProfilerGuardBuilder::default()
        .frequency(FREQUENCY_HZ)
        .build()
        .map_err(failed)?;
    std::thread::sleep(Duration::from_secs(seconds.clamp(1, SECONDS_MAX)));
    let report = guard.report().build().map_err(failed)?;
    // Stops the timer before the work below, so that it is not in the way and not in the next profile.
    drop(guard);
    match form {
        Form::Protobuf => protobuf(&report),
        Form::Flamegraph => flamegraph(&report),
    }
}

fn protobuf(report: &pprof::Report) -> Result<Vec<u8>, ProfileError> {
    let profile = report
        .pprof()
        .map_err(|error| ProfileError::Failed(error.to_string()))?;
    let mut zip = GzEncoder::new(Vec::new(), Compression::fast());
    zip.write_all(&profile.encode_to_vec())
        .map_err(|error| ProfileError::Failed(error.to_string()))?;
    zip.finish()
        .map_err(|error| ProfileError::Failed(error.to_string()))
}

fn flamegraph(report: &pprof::Report) -> Result<Vec<u8>, ProfileError> {
    let lines = folded(report);
    if lines.is_empty() {
        return Err(ProfileError::Empty);
    }
    let mut options = inferno::flamegraph::Options::default();
    options.title = "tidegate, CPU".to_string();
    options.count_name = "samples".to_string();
    let mut svg = Vec::new();
    inferno::flamegraph::from_lines(&mut options, lines.iter().map(String::as_str), &mut svg)
        .map_err(|error| ProfileError::Failed(error.to_string()))?;
    Ok(svg)
}

/// One line a stack: `thread;outermost;…;innermost count`.
fn folded(report: &pprof::Report) -> Vec<String> {
    let mut lines: Vec<_> = report
        .data
        .iter()
        .map(|(frames, count)| {
            let mut line = frames.thread_name_or_id();
            for symbol in frames
                .frames
                .iter()
                .rev()
                .flat_map(|inlined| inlined.iter().rev())
            {
                line.push(';');
                line.extend(symbol.name().chars().map(|c| if c == ';' { ':' } else { c }));
            }
            line.push_str(&format!(" {count}"));
            line
        })
        .collect();
    lines.sort_unstable();
    lines
}
