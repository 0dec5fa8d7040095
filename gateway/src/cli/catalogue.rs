//! `tidegate catalogue`: SKUs in bulk, by the API of a gateway that runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use self::client::Client;

mod client;
mod export;
mod import;
mod split;

#[derive(Debug, Subcommand)]
pub(super) enum CatalogueCommand {
    /// Sets SKUs from a file of CSV: checked as a whole, then applied line by line. Run again, it goes on where it was cut off.
    Import(ImportArgs),
    /// Writes every SKU as CSV.
    Export(ExportArgs),
}

/// Flags of `catalogue import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The file; its first line names the columns, as an export does: sku,name,price,currency,stock,…
    file: PathBuf,
    /// Check the file and apply nothing.
    #[arg(long)]
    check: bool,
    /// Apply a file that was imported before once more.
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Flags of `catalogue export`.
#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    /// The file to write; without it, standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    gateway: GatewayArgs,
}

/// Which gateway, and who asks.
#[derive(Debug, Args)]
struct GatewayArgs {
    /// Where the gateway serves.
    #[arg(long, value_name = "URL", default_value = "https://127.0.0.1:8443")]
    target: String,
    /// The gateway's data directory: its key signs the operator's token, and its certificate is trusted.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// A file with a token of the role operator, in place of one under the data directory's key.
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Who vouches for the gateway's certificate (PEM); with --token-file and without this, the public authorities.
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
}

pub(super) fn run(command: &CatalogueCommand) -> Result<(), String> {
    match command {
        CatalogueCommand::Import(args) => import::run(args, &Client::new(&args.gateway)?),
        CatalogueCommand::Export(args) => export::run(args.out.as_deref(), &Client::new(&args.gateway)?),
    }
}
