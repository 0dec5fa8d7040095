//! `tidegate store dump` and `tidegate store marks`: what the store of a data directory has. Nothing is changed, and the gateway may be
//! running.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use tidegate_backoffice::store::{FILE, reader};

/// Prints every order as one line of JSON.
pub(super) fn dump(data: &Path) -> Result<(), String> {
    let (path, store) = open(data)?;
    let mut out = BufWriter::with_capacity(1 << 18, io::stdout().lock());
    let mut written = Ok(());
    reader::orders(&store, |order| {
        if written.is_ok() {
            written = serde_json::to_writer(&mut out, &order)
                .map_err(io::Error::from)
                .and_then(|()| out.write_all(b"\n"));
        }
    })
    .map_err(|error| unreadable(&path, &error))?;
    printed(written.and_then(|()| out.flush()))
}

/// Prints how far the store has each shard.
pub(super) fn marks(data: &Path) -> Result<(), String> {
    let (path, store) = open(data)?;
    let marks = reader::marks(&store).map_err(|error| unreadable(&path, &error))?;
    let mut out = io::stdout().lock();
    printed(marks.iter().try_for_each(|mark| {
        writeln!(
            out,
            "{{\"shard\":{},\"op\":{},\"chain\":\"{:016x}\"}}",
            mark.shard, mark.op, mark.chain
        )
    }))
}

fn open(data: &Path) -> Result<(PathBuf, reader::Reader), String> {
    let path = data.join(FILE);
    if !path.exists() {
        return Err(format!(
            "{}: there is no store; name the data directory of a gateway that ran with backoffice.mode=embedded",
            path.display()
        ));
    }
    let store = reader::Reader::open(&path).map_err(|error| unreadable(&path, &error))?;
    Ok((path, store))
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> String {
    format!(
        "{}: {error}; is it the file of this version, and may you read it?",
        path.display()
    )
}

/// A reader (`head`, say) that has what it wanted is no error.
fn printed(written: io::Result<()>) -> Result<(), String> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!(
            "standard output: {error}; free space there, or send it elsewhere"
        )),
        _ => Ok(()),
    }
}
