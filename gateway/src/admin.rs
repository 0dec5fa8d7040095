//! The admin address: health, metrics, profiles, the configuration in force, reload, breakers, drain, the flight recorder and the
//! console. It has a thread of its own, so that
//! nothing done here delays the hot path, and nothing slow here delays `/livez`.

pub mod metrics;
pub mod profile;

pub mod guard;
pub mod token;

mod debug;
mod operate;
mod server;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub use metrics::{HistogramSnapshot, MetricsSource, Snapshot};

use crate::auth::keys::SharedKeys;
use crate::breaker::board::Board;
use crate::certs::Certificates;
use crate::console::About;
use crate::desk::Desk;
use crate::live::Live;
use crate::logging::Recent;
use crate::recorder::Tape;
use crate::reload::Reloader;
use token::AdminToken;

#[cfg(test)]
mod tests;

/// What the admin thread serves and looks after.
pub struct Admin {
    /// Figures, readiness and drain; what the gateway implements.
    pub source: Arc<dyn MetricsSource>,
    /// What `/config` shows.
    pub live: Arc<Live>,
    /// Reads the configuration again.
    pub reloader: Option<Arc<Reloader>>,
    /// Breakers of the shard threads.
    pub board: Arc<Board>,
    /// Certificates to look at for changes.
    pub certificates: Option<Arc<Certificates>>,
    /// Keys to look at for changes.
    pub keys: Option<Arc<SharedKeys>>,
    /// How often.
    pub reload: Duration,
    /// What browsers and other machines must show to change something.
    pub token: AdminToken,
    /// The flight recorder's tapes, one a net thread.
    pub tapes: Vec<Tape>,
    /// The way to the shards.
    pub desk: Option<Desk>,
    /// The last warnings and errors.
    pub log: Recent,
    /// What the console says of this run.
    pub about: About,
}

/// The running thread. It ends with the process; nothing waits for it.
pub struct Running {
    /// Where it listens: the port that was chosen, if 0 was asked for.
    pub address: SocketAddr,
    /// The thread.
    pub thread: JoinHandle<()>,
}

/// Binds `address` and starts the thread, called `admin`.
///
/// # Errors
/// The address cannot be bound, or the thread not be made.
pub fn start(address: SocketAddr, admin: Admin) -> io::Result<Running> {
    let listener = std::net::TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let thread = std::thread::Builder::new()
        .name("admin".into())
        .spawn(move || server::run(listener, admin))?;
    Ok(Running { address, thread })
}
