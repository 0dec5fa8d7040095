//! The gateway under test, and how it is started.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use super::process::Process;
use crate::verify::store;

/// How a gateway is started.
#[derive(Clone, Debug)]
pub struct Setup {
    /// The program.
    pub program: PathBuf,
    /// Its data.
    pub data: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Its admin address.
    pub admin: SocketAddr,
    /// Where its output goes.
    pub output: PathBuf,
    /// `backoffice.mode`.
    pub backoffice: String,
    /// `backoffice.address`, with the mode `remote`.
    pub address: Option<SocketAddr>,
    /// `backoffice.store`, if it is not where it is by default.
    pub store: Option<PathBuf>,
}

/// Starts it with this many shard threads.
pub fn start(setup: &Setup, threads: usize) -> Result<Process, String> {
    let mut command = Command::new(&setup.program);
    command
        .args(["run", "--data"])
        .arg(&setup.data)
        .args(["--listen", &setup.listen.to_string()])
        .args(["--admin", &setup.admin.to_string()])
        .args(["--set", &format!("shards.threads={threads}")])
        .args(["--set", &format!("backoffice.mode={}", setup.backoffice)]);
    if let Some(file) = &setup.store {
        command.args(["--set", &store::setting(file)]);
    }
    if let Some(address) = setup.address {
        command.args(["--set", &format!("backoffice.address=http://{address}")]);
    }
    command
        // Small segments: they are switched, closed and read back often, which is what a drill is for.
        .args(["--set", "shards.segment_bytes=2097152"])
        .args(["--set", "shards.checkpoint_bytes=4194304"]);
    Process::start("the gateway", command, setup.admin, &setup.output, "--tidegate")
}
