//! Reads the store through `tidegate store dump`, and that of the split system through `tidegate-backoffice dump`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::log::{LogLine, Shards};
use super::path::Step;

mod compare;

pub use compare::{Sides, compare};

/// An order as the store has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Stored {
    /// Its id, as text.
    pub order: String,
    /// The token's subject.
    pub user: String,
    /// Its status word.
    pub status: String,
    /// What it costs, in minor units.
    pub total: u64,
    /// ISO 4217 letters.
    pub currency: String,
    /// Its lines, sorted by SKU.
    pub lines: Vec<LogLine>,
    /// Its steps, by op.
    pub history: Vec<StoredStep>,
}

/// A step of an order's history.
#[derive(Clone, Debug, Deserialize)]
pub struct StoredStep {
    /// The order's home shard.
    pub shard: u16,
    /// That shard's operation counter.
    pub op: u64,
    /// The entry's kind.
    pub kind: String,
    /// What the kind does not say.
    #[serde(default)]
    detail: Detail,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Detail {
    charge: Option<String>,
    ends: Option<String>,
    held_again: Option<bool>,
}

impl StoredStep {
    /// What it is in the state table.
    pub fn step(&self) -> Step<'_> {
        Step {
            kind: &self.kind,
            charge: self.detail.charge.as_deref(),
            ends: self.detail.ends.as_deref(),
            held_again: self.detail.held_again == Some(true),
        }
    }
}

/// Runs `tidegate store dump DIR`, with the store where `file` says, or where it is by default. `None`: the directory has fed no store.
pub fn dump(program: &Path, dir: &Path, file: Option<&Path>) -> Result<Option<Vec<Stored>>, String> {
    let manifest = dir.join("MANIFEST");
    let text = std::fs::read(&manifest).map_err(|e| format!("{}: {e}", manifest.display()))?;
    if String::from_utf8_lossy(&text)
        .lines()
        .any(|line| line == "store none")
    {
        return Ok(None);
    }
    let mut command = Command::new(program);
    command.args(["store", "dump"]).arg(dir);
    if let Some(file) = file {
        command.args(["--set", &setting(file)]);
    }
    printed(command, "store dump", "--tidegate").map(Some)
}

/// Runs `tidegate-backoffice dump`, which prints the same of MySQL.
pub fn dump_behind(program: &Path, config: &Path) -> Result<Vec<Stored>, String> {
    let mut command = Command::new(program);
    command.args(["dump", "--config"]).arg(config);
    printed(command, "dump", "--tidegate-backoffice")
}

/// What a dump prints. `named`: the argument that says where its program is.
fn printed(mut command: Command, does: &str, named: &str) -> Result<Vec<Stored>, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{program}: {e}; build it, or name it with {named}"))?;
    let orders = child
        .stdout
        .take()
        .map_or_else(|| Ok(Vec::new()), |out| parse(BufReader::new(out)));
    let status = child.wait().map_err(|e| format!("{program}: {e}"))?;
    match status.success() {
        true => orders,
        false => Err(format!("{program} {does}: {status}; what it said is above")),
    }
}

/// The gateway's setting for a store in `file`.
pub fn setting(file: &Path) -> String {
    format!("backoffice.store={}", file.display())
}

/// Parses a dump's lines.
pub fn parse(lines: impl BufRead) -> Result<Vec<Stored>, String> {
    let parsed = lines.lines().enumerate().map(|(n, line)| {
        let line = line.map_err(|e| format!("store dump: {e}"))?;
        serde_json::from_str(&line).map_err(|e| format!("store dump, line {}: {e}: {line}", n + 1))
    });
    parsed.collect()
}

/// Whether the log still begins with each shard's first operation. What the store has, it may have let go of.
pub fn is_whole(log: &Shards) -> bool {
    log.values()
        .all(|entries| entries.first().is_none_or(|first| first.op == 1))
}

#[cfg(test)]
mod tests;
