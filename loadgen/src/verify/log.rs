//! Reads the offline log through `tidegate log dump`: one JSON object a line.

use std::collections::BTreeMap;
use std::io::{BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::path::Step;

/// One record, as far as the checks need it. Fields of kinds that this version does not know are ignored.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Entry {
    /// Which shard.
    pub shard: u16,
    /// The shard's operation counter.
    pub op: u64,
    /// What happened.
    pub kind: String,
    /// Order id, as text.
    #[serde(default)]
    pub order: Option<String>,
    /// Lines: all of the order, or those held here.
    #[serde(default)]
    pub lines: Vec<LogLine>,
    /// The token's subject.
    #[serde(default)]
    pub user: Option<String>,
    /// Hash of buyer and key.
    #[serde(default)]
    pub key: Option<String>,
    /// Attempt of an order over several shards.
    #[serde(default)]
    pub attempt: Option<u8>,
    /// `sold` or `released`.
    #[serde(default)]
    pub fate: Option<String>,
    /// How the order ends with this entry.
    #[serde(default)]
    pub ends: Option<String>,
    /// Which SKU.
    #[serde(default)]
    pub sku: Option<String>,
    /// Units ever put on sale.
    #[serde(default)]
    pub stocked: Option<u64>,
    /// An expired order's units were taken again.
    #[serde(default)]
    pub held_again: Option<bool>,
    /// The charge it is about.
    #[serde(default)]
    pub charge: Option<String>,
    /// What an order costs, in minor units; of a gathering one, its home shard's lines.
    #[serde(default)]
    pub total: Option<u64>,
    /// ISO 4217 letters.
    #[serde(default)]
    pub currency: Option<String>,
}

impl Entry {
    /// The order it is about.
    pub fn order_id(&self) -> Option<u64> {
        self.order.as_ref()?.parse().ok()
    }

    /// What it is in the history of an order.
    pub fn step(&self) -> Step<'_> {
        Step {
            kind: &self.kind,
            charge: self.charge.as_deref(),
            ends: self.ends.as_deref(),
            held_again: self.held_again == Some(true),
        }
    }
}

/// A line of an order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
pub struct LogLine {
    /// Which SKU.
    pub sku: String,
    /// How many units.
    pub qty: u64,
}

/// All entries, by shard, in the order of their ops.
pub type Shards = BTreeMap<u16, Vec<Entry>>;

/// What a dump gave.
pub struct Dump {
    /// The entries.
    pub shards: Shards,
    /// What the program said when it did not end well.
    pub complaint: Option<String>,
}

/// Runs `tidegate log dump DIR`.
pub fn dump(program: &Path, dir: &Path) -> Result<Dump, String> {
    let mut child = Command::new(program)
        .args(["log", "dump"])
        .arg(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{}: {e}", program.display()))?;
    // Stderr is a few lines at most, well below a pipe's buffer, so it may wait.
    let entries = child
        .stdout
        .take()
        .map_or_else(|| Ok(Shards::new()), |out| parse(BufReader::new(out)));
    let mut said = String::new();
    if let Some(mut err) = child.stderr.take() {
        let _ = err.read_to_string(&mut said);
    }
    let status = child.wait().map_err(|e| format!("{}: {e}", program.display()))?;
    let complaint = (!status.success()).then(|| format!("log dump: {status}: {}", said.trim()));
    Ok(Dump {
        shards: entries?,
        complaint,
    })
}

/// Parses a dump's lines.
pub fn parse(lines: impl std::io::BufRead) -> Result<Shards, String> {
    let mut shards = Shards::new();
    for (n, line) in lines.lines().enumerate() {
        let line = line.map_err(|e| format!("log dump: {e}"))?;
        let entry: Entry =
            serde_json::from_str(&line).map_err(|e| format!("log dump, line {}: {e}: {line}", n + 1))?;
        shards.entry(entry.shard).or_default().push(entry);
    }
    // A shard's entries lie in several logs once the number of threads was changed.
    for entries in shards.values_mut() {
        entries.sort_by_key(|e| e.op);
    }
    Ok(shards)
}
