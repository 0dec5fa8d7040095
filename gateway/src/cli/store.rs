//! `tidegate store`: what the store of a data directory has (nothing is changed, and the gateway may be running), and its move to another file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tidegate_backoffice::store::reader;

use crate::backoffice::{fed, place};
use crate::config::{Config, Sources};

mod migrate;
mod note;

/// What is asked of a store.
#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Prints every order as one line of JSON.
    Dump(StoreArgs),
    /// Prints how far the store has followed each shard.
    Marks(StoreArgs),
    /// Moves the store to another file, with the gateway stopped: on a disk of its own, say. The old file stays, and is refused from then on.
    Migrate {
        #[command(flatten)]
        store: StoreArgs,
        /// Where the store is to lie; no file may be there, and its folder must be.
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
    },
}

/// Whose store, and where it lies.
#[derive(Debug, Args)]
pub(super) struct StoreArgs {
    /// The data directory.
    data: String,
    /// The gateway's configuration file: backoffice.store in it says where the store lies.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Any key of the configuration, as backoffice.store=FILE; may be repeated.
    #[arg(long, value_name = "SECTION.KEY=VALUE")]
    set: Vec<String>,
}

impl StoreArgs {
    fn load(&self) -> Result<Config, String> {
        let sources = Sources {
            file: self.config.clone(),
            set: self.set.clone(),
            flags: vec![("server.data", self.data.clone())],
            ..Sources::from_environment()
        };
        sources.load().map_err(|error| error.to_string())
    }
}

/// Does it.
pub(super) fn run(command: &StoreCommand) -> Result<(), String> {
    match command {
        StoreCommand::Dump(args) => dump(args),
        StoreCommand::Marks(args) => marks(args),
        StoreCommand::Migrate { store, to } => {
            let config = store.load()?;
            migrate::run(&config.server.data, &config.store, to)
        }
    }
}

fn dump(args: &StoreArgs) -> Result<(), String> {
    let (path, store) = open(args)?;
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

fn marks(args: &StoreArgs) -> Result<(), String> {
    let (path, store) = open(args)?;
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

/// A file that the directory does not feed is refused: what it has would be taken for the shop's orders of today.
fn open(args: &StoreArgs) -> Result<(PathBuf, reader::Reader), String> {
    let config = args.load()?;
    let (data, path) = (&config.server.data, config.store);
    let fed = fed::store(data)?;
    let found = if path.exists() { place::name(&path)? } else { None };
    match (found, fed) {
        (None, _) => Err(format!(
            "{}: there is no store; name the data directory of a gateway that ran with backoffice.mode=embedded, and if its store lies \
             elsewhere, --config FILE or --set backoffice.store=FILE",
            path.display()
        )),
        (Some(name), Some(fed)) if name != fed => Err(place::other(data, &path, &fed, &name)),
        _ => {
            let store = reader::Reader::open(&path).map_err(|error| unreadable(&path, &error))?;
            Ok((path, store))
        }
    }
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
