//! The bundle: named parts, or why they are not there, and the file they go to.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;

use super::ROOT;
use super::scrub::Scrubber;

/// One part.
pub(super) struct Part {
    pub name: &'static str,
    /// Its bytes, or why it was left out.
    pub content: Result<Vec<u8>, String>,
}

/// All parts, scrubbed as they came in.
pub(super) struct Bundle {
    parts: Vec<Part>,
    scrubber: Scrubber,
}

impl Bundle {
    pub(super) fn new(scrubber: Scrubber) -> Bundle {
        Bundle {
            parts: Vec::new(),
            scrubber,
        }
    }

    pub(super) fn scrubber(&self) -> &Scrubber {
        &self.scrubber
    }

    pub(super) fn scrubbed(&self, text: &str) -> String {
        self.scrubber.text(text)
    }

    /// Adds a part without its secrets. Bytes that are no text (a profile) hold names of functions and files.
    pub(super) fn put(&mut self, name: &'static str, content: Result<Vec<u8>, String>) {
        let content = match content {
            Ok(bytes) => Ok(match String::from_utf8(bytes) {
                Ok(text) => self.scrubber.text(&text).into_bytes(),
                Err(binary) => binary.into_bytes(),
            }),
            Err(problem) => Err(self.scrubber.text(&problem)),
        };
        self.parts.push(Part { name, content });
    }

    pub(super) fn put_first(&mut self, name: &'static str, text: String) {
        self.put(name, Ok(text.into_bytes()));
        self.parts.rotate_right(1);
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// A part that is text and is there.
    pub(super) fn text_of(&self, name: &str) -> Option<&str> {
        let part = self.parts.iter().find(|part| part.name == name)?;
        std::str::from_utf8(part.content.as_ref().ok()?).ok()
    }

    /// Writes the archive: the same parts give the same bytes.
    pub(super) fn write(&self, file: File, now_s: u64) -> io::Result<()> {
        let zip = GzEncoder::new(BufWriter::new(file), Compression::default());
        let mut archive = tar::Builder::new(zip);
        for part in &self.parts {
            let Ok(bytes) = &part.content else { continue };
            let mut header = tar::Header::new_ustar();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o600);
            header.set_mtime(now_s);
            archive.append_data(&mut header, format!("{ROOT}/{}", part.name), &bytes[..])?;
        }
        let mut out = archive.into_inner()?.finish()?;
        out.flush()
    }
}

/// Makes the file, for its owner alone.
pub(super) fn create(path: &Path) -> Result<File, String> {
    let opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path);
    opened.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!(
                "{} is there already; remove it, or name another file with --out",
                path.display()
            )
        }
        _ => format!(
            "{}: {error}; name a file that can be written with --out",
            path.display()
        ),
    })
}

/// `tidegate-diagnose-20260102T030405Z.tar.gz`
pub(super) fn default_name(now_s: u64) -> String {
    format!("{ROOT}-{}.tar.gz", stamp(now_s))
}

/// `20260102T030405Z`: the civil date by days since 1970, Hinnant's algorithm.
pub(super) fn stamp(now_s: u64) -> String {
    let (days, second) = (now_s / 86_400, now_s % 86_400);
    let z = days + 719_468;
    let (era, day_of_era) = (z / 146_097, z % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute) = (second / 3_600, second / 60 % 60);
    format!(
        "{year:04}{month:02}{day:02}T{hour:02}{minute:02}{:02}Z",
        second % 60
    )
}
