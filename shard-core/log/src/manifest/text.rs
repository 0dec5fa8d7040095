//! The manifest's text.

use super::{Layout, LogShards, Manifest, ManifestError};
use crate::crc::crc32c;
use crate::limits::{LAYOUTS_MAX, LOGS_MAX, MANIFEST_BYTES_MAX, SHARDS_MAX};
use crate::position::{LogId, SegmentNumber, StartNumber};
use std::fmt::Write;

const MAGIC: &str = "tidegate-manifest ";
const VERSION: u32 = 2;

pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut text = String::new();
    let mut line = |line: std::fmt::Arguments<'_>| writeln!(text, "{line}").expect("a String takes all");
    line(format_args!("{MAGIC}{VERSION}"));
    line(format_args!("shards {}", manifest.shards));
    line(format_args!("hash {}", manifest.hash));
    line(format_args!("store {}", manifest.store));
    line(format_args!("start {}", manifest.start.0));
    line(format_args!("next-segment {}", manifest.next_segment));
    for layout in &manifest.layouts {
        line(format_args!(
            "layout {} threads {}",
            layout.generation,
            layout.logs.len()
        ));
        for log in &layout.logs {
            let shards: Vec<String> = log.shards.iter().map(u16::to_string).collect();
            let shards = if shards.is_empty() {
                "none".to_owned()
            } else {
                shards.join(",")
            };
            line(format_args!("log {} shards {shards}", log.log));
        }
    }
    let crc = crc32c(text.as_bytes());
    writeln!(text, "crc {crc:08x}").expect("a String takes all");
    text.into_bytes()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let text = body(bytes).ok_or(ManifestError::Damaged)?;
    let mut lines = Lines {
        lines: text.lines(),
        number: 0,
    };
    let version: u32 = lines.expect(MAGIC, |v| v.parse().ok())?;
    if version != VERSION {
        return Err(ManifestError::OtherVersion(version));
    }
    let mut manifest = Manifest {
        shards: lines.expect("shards ", |v| v.parse().ok())?,
        hash: lines.expect("hash ", |v| Some(v.to_owned()))?,
        store: lines.expect("store ", |v| Some(v.to_owned()))?,
        start: StartNumber(lines.expect("start ", |v| v.parse().ok())?),
        next_segment: SegmentNumber(lines.expect("next-segment ", |v| v.parse().ok())?),
        layouts: Vec::new(),
    };
    while let Some(line) = lines.next() {
        let (layout, threads) = parse_layout(line).ok_or(ManifestError::Line(lines.number))?;
        manifest.layouts.push(layout);
        let logs = &mut manifest.layouts.last_mut().expect("just pushed").logs;
        for _ in 0..threads {
            logs.push(lines.expect("log ", parse_log)?);
        }
    }
    Ok(manifest)
}

/// The text before the CRC's line, if the CRC matches.
fn body(bytes: &[u8]) -> Option<&str> {
    if bytes.len() > MANIFEST_BYTES_MAX {
        return None;
    }
    const TRAILER: usize = "crc 01234567\n".len();
    let (body, trailer) = bytes.split_at(bytes.len().checked_sub(TRAILER)?);
    let expected = format!("crc {:08x}\n", crc32c(body));
    if trailer != expected.as_bytes() {
        return None;
    }
    std::str::from_utf8(body).ok()
}

struct Lines<'a> {
    lines: std::str::Lines<'a>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.number += 1;
        self.lines.next()
    }

    fn expect<T>(&mut self, prefix: &str, parse: impl Fn(&'a str) -> Option<T>) -> Result<T, ManifestError> {
        let value = self
            .next()
            .and_then(|line| line.strip_prefix(prefix))
            .and_then(parse);
        value.ok_or(ManifestError::Line(self.number))
    }
}

fn parse_layout(line: &str) -> Option<(Layout, usize)> {
    let (generation, threads) = line.strip_prefix("layout ")?.split_once(" threads ")?;
    let threads: usize = threads.parse().ok()?;
    if threads == 0 || threads > LOGS_MAX {
        return None;
    }
    Some((
        Layout {
            generation: generation.parse().ok()?,
            logs: Vec::new(),
        },
        threads,
    ))
}

fn parse_log(value: &str) -> Option<LogShards> {
    let (log, shards) = value.split_once(" shards ")?;
    let shards = match shards {
        "none" => Vec::new(),
        list => list
            .split(',')
            .map(|shard| shard.parse().ok())
            .collect::<Option<Vec<u16>>>()?,
    };
    Some(LogShards {
        log: log.parse::<LogId>().ok()?,
        shards,
    })
}

pub(super) fn check(manifest: &Manifest) -> Result<(), ManifestError> {
    let require = |holds: bool, what| {
        if holds {
            Ok(())
        } else {
            Err(ManifestError::Inconsistent(what))
        }
    };
    require(
        (1..=SHARDS_MAX).contains(&manifest.shards),
        "the number of shards",
    )?;
    require(is_word(&manifest.hash), "the hash's name")?;
    require(is_word(&manifest.store), "the store's name")?;
    require(
        (1..=LAYOUTS_MAX).contains(&manifest.layouts.len()),
        "the number of layouts",
    )?;
    let rising = manifest
        .layouts
        .windows(2)
        .all(|pair| pair[0].generation < pair[1].generation);
    require(rising, "the generations of layouts must rise")?;
    let mut ids: Vec<LogId> = manifest
        .layouts
        .iter()
        .flat_map(|l| &l.logs)
        .map(|l| l.log)
        .collect();
    ids.sort_unstable();
    require(
        ids.windows(2).all(|pair| pair[0] != pair[1]),
        "a log is in two places",
    )?;
    require(ids.first() != Some(&LogId(0)), "a log without an id")?;
    for layout in &manifest.layouts {
        require(!layout.logs.is_empty(), "a layout without logs")?;
        let ascending = |log: &LogShards| log.shards.windows(2).all(|pair| pair[0] < pair[1]);
        require(layout.logs.iter().all(ascending), "a log's shards must ascend")?;
        let mut shards: Vec<u16> = layout
            .logs
            .iter()
            .flat_map(|log| log.shards.iter().copied())
            .collect();
        shards.sort_unstable();
        let each_once = shards.iter().copied().eq(0..manifest.shards);
        require(each_once, "each shard must be in exactly one log of a layout")?;
    }
    Ok(())
}

/// One to 200 printable ASCII characters without a space: fit for a line of their own.
fn is_word(text: &str) -> bool {
    (1..=200).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic())
}
