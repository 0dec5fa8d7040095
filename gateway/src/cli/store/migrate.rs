//! `tidegate store migrate DATA --to FILE`: moves the store to another file, and the data directory's feed with it.
//!
//! The copy is made beside the target under another name, checked, synced, and only then put in the target's place; then the manifest is replaced,
//! which is the moment of the move. A note in the data directory says from before the first byte which files are ours, so that a repeat after a
//! crash takes away what was begun, and nothing else.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with, statvfs};
use tidegate_backoffice::store::copy::{self, Contents};
use tidegate_host::{Resting, StartError};

use super::note::{self, Note};
use crate::backoffice::place;
use crate::shards::NO_STORE;

/// How often a long copy says how far it is.
const WORD_EVERY: Duration = Duration::from_secs(1);

/// A move that is under way, one step after the other: [`begin`], [`copy`](Move::copy), [`put`](Move::put), [`switch`](Move::switch),
/// [`end`](Move::end). Whatever step is the last before a crash, one of the two stores is in force and whole.
pub(super) struct Move {
    held: Resting,
    data: PathBuf,
    source: PathBuf,
    note: Note,
}

/// How a move begins.
pub(super) enum Begun {
    /// It is to be done.
    Due(Box<Move>),
    /// The data directory feeds the store in this file already: it was done before.
    Done(PathBuf),
}

/// Does all of it, and says what to put into the configuration. `source`: the store's file of today.
pub(super) fn run(data: &Path, source: &Path, to: &Path) -> Result<(), String> {
    let mut say = |line: &str| eprintln!("{line}");
    let target = match begin(data, source, to, &mut say)? {
        Begun::Done(target) => {
            say("the data directory feeds the store in that file already: nothing is left to be done");
            target
        }
        Begun::Due(mut work) => {
            let contents = work.copy(&mut say)?;
            work.put()?;
            work.switch()?;
            work.end()?;
            say(&format!(
                "moved {} orders; {} stays where it was, and is refused from now on",
                contents.rows.get("orders").copied().unwrap_or(0),
                source.display()
            ));
            work.note.file
        }
    };
    print!("{}", advice(data, &target));
    Ok(())
}

/// What the next start has to be told.
pub(super) fn advice(data: &Path, target: &Path) -> String {
    let folder = data.canonicalize().unwrap_or_else(|_| data.to_path_buf());
    let place = target.strip_prefix(&folder).unwrap_or(target);
    if place == Path::new(&crate::config::raw::RawBackoffice::default().store) {
        return "the store is where it is looked for by default: backoffice.store need not be set\n"
            .to_owned();
    }
    let text = toml::Value::String(place.display().to_string());
    format!("put this into the configuration before the next start:\n\n[backoffice]\nstore = {text}\n")
}

/// Takes the directory's lock, tidies up what an earlier try left, and notes what is to be made.
pub(super) fn begin(
    data: &Path,
    source: &Path,
    to: &Path,
    say: &mut dyn FnMut(&str),
) -> Result<Begun, String> {
    let held = hold(data)?;
    let target = target(to)?;
    if let Some(note) = note::read(data)? {
        if note.name == held.store() {
            say(&format!(
                "the move to {} was done, but for its note",
                note.file.display()
            ));
        } else {
            say(&format!(
                "an earlier move to {} was cut short; it is begun again",
                note.file.display()
            ));
            undo(&note)?;
        }
        note::remove(data)?;
    }
    if held.store() == NO_STORE {
        return Err(format!(
            "{}: the data directory has fed no store yet, so there is nothing to move; set backoffice.store before its first start",
            data.display()
        ));
    }
    if target.exists() && place::name(&target).is_ok_and(|name| name.as_deref() == Some(held.store())) {
        return Ok(Begun::Done(target));
    }
    place::check(data, source)?;
    for path in files_of(&target).chain(files_of(&part(&target))) {
        if path.exists() {
            return Err(format!(
                "{}: it is there already, and is not replaced; move it away, or name another file with --to",
                path.display()
            ));
        }
    }
    has_room(source, &target)?;
    let name =
        copy::fresh_name().map_err(|error| format!("no random bytes for the store's name: {error}"))?;
    let note = Note { name, file: target };
    note::write(data, &note)?;
    Ok(Begun::Due(Box::new(Move {
        held,
        data: data.to_owned(),
        source: source.to_owned(),
        note,
    })))
}

impl Move {
    /// Copies the store, checks the copy and names it.
    pub(super) fn copy(&mut self, say: &mut dyn FnMut(&str)) -> Result<Contents, String> {
        let part = part(&self.note.file);
        let failed = |error: &dyn std::fmt::Display| {
            format!(
                "{} to {}: {error}; the store stays where it was. Put that right (room, rights, the disk), and ask again",
                self.source.display(),
                part.display()
            )
        };
        let mut last = Instant::now();
        copy::copy(&self.source, &part, &mut |done, all| {
            if last.elapsed() >= WORD_EVERY {
                last = Instant::now();
                let percent = (done * 100).checked_div(all).unwrap_or(100);
                // Pages are of 4 KiB.
                say(&format!("copied {percent} % of {} MiB", all >> 8));
            }
        })
        .map_err(|error| failed(&error))?;
        say("copied; the copy is read again and compared");
        let checked = copy::check_and_name(&self.source, &part, &self.note.name);
        checked.map_err(|error| failed(&error))
    }

    /// Makes the copy durable and gives it the target's place, which is free. The old store is in force still.
    pub(super) fn put(&mut self) -> Result<(), String> {
        let (part, target) = (part(&self.note.file), &self.note.file);
        let put = || -> std::io::Result<()> {
            File::open(&part)?.sync_all()?;
            renameat_with(CWD, &part, CWD, target, RenameFlags::NOREPLACE)?;
            File::open(place::folder_of(target))?.sync_all()
        };
        put().map_err(|error| format!("{}: {error}; the store stays where it was", target.display()))
    }

    /// Makes the data directory feed the copy.
    pub(super) fn switch(&mut self) -> Result<(), String> {
        self.held.feed(&self.note.name).map_err(|error| error.to_string())
    }

    /// Nothing is left to be tidied up.
    pub(super) fn end(&mut self) -> Result<(), String> {
        note::remove(&self.data)
    }
}

fn hold(data: &Path) -> Result<Resting, String> {
    Resting::hold(data).map_err(|error| match error {
        StartError::Locked { path } => format!(
            "the gateway of this data directory runs ({} is locked): stop it first (`fuser {}` names it), since a store is moved while nothing \
             writes to it",
            path.display(),
            path.display()
        ),
        error => error.to_string(),
    })
}

/// The absolute path of `--to`, so that the configuration can name it wherever the gateway is started.
fn target(to: &Path) -> Result<PathBuf, String> {
    let name = to.file_name().filter(|_| !to.is_dir());
    let name =
        name.ok_or_else(|| format!("{}: it is a folder; name a file in it with --to", to.display()))?;
    let folder = place::folder_of(to);
    let absolute = folder.canonicalize().map_err(|error| {
        format!(
            "{}: {error}; make the folder, mount its disk, or name another file with --to",
            folder.display()
        )
    })?;
    let target = absolute.join(name);
    match target.to_str() {
        Some(_) => Ok(target),
        None => Err(format!(
            "{}: a configuration cannot name it, since it is not UTF-8; name another file with --to",
            target.display()
        )),
    }
}

/// Takes away what an earlier try made. The file in the target's place is its own only under the name that the note gave it, and no data directory
/// has fed it.
fn undo(note: &Note) -> Result<(), String> {
    let mut ours: Vec<PathBuf> = files_of(&part(&note.file)).collect();
    if note.file.exists() && place::name(&note.file).is_ok_and(|name| name.as_deref() == Some(&note.name)) {
        ours.extend(files_of(&note.file));
    }
    for path in ours.iter().filter(|path| path.exists()) {
        fs::remove_file(path)
            .map_err(|error| format!("{}: {error}; remove it, and ask again", path.display()))?;
    }
    Ok(())
}

/// Where the copy is made.
fn part(target: &Path) -> PathBuf {
    with_suffix(target, ".part")
}

/// A store's file and those that SQLite has beside it.
fn files_of(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let path = path.to_owned();
    ["", "-wal", "-shm", "-journal"]
        .into_iter()
        .map(move |suffix| with_suffix(&path, suffix))
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut text = path.as_os_str().to_owned();
    text.push(suffix);
    PathBuf::from(text)
}

/// Better said now than after an hour of copying.
fn has_room(source: &Path, target: &Path) -> Result<(), String> {
    let needed: u64 = files_of(source)
        .filter_map(|path| fs::metadata(path).ok())
        .map(|meta| meta.len())
        .sum();
    let folder = place::folder_of(target);
    match statvfs(folder) {
        Ok(stat) if stat.f_bavail.saturating_mul(stat.f_frsize) < needed => Err(format!(
            "{}: there are {} MiB free, and the store needs {} MiB; free some, or name a file on another disk with --to",
            folder.display(),
            stat.f_bavail.saturating_mul(stat.f_frsize) >> 20,
            (needed >> 20) + 1
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
