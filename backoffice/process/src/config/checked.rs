//! Configuration as the program uses it: every value was checked, durations are `Duration`s, names are enums. Made only by
//! [`Config::check`].

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::secrets::Secret;

mod check;

/// All of it.
#[derive(Clone)]
pub struct Config {
    /// What this process does.
    pub roles: BTreeSet<Role>,
    /// Shards of the shop.
    pub shards: u16,
    /// Between feed and store.
    pub bus: BusKind,
    /// How long an orderly end may take.
    pub stop: Duration,
    /// `[grpc]`
    pub grpc: Grpc,
    /// `[feed]`
    pub feed: Feed,
    /// `[mysql]`, password included.
    pub mysql: tidegate_mysql::Settings,
    /// `[kafka]`, password included.
    pub kafka: tidegate_kafka::Settings,
    /// Metrics and health.
    pub admin: SocketAddr,
    /// `[logging]`
    pub logging: Logging,
}

/// A part of the backoffice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Takes the edges' entries.
    Feed,
    /// Brings what is on the bus into the store.
    Store,
    /// Answers what goes by the slow lane.
    Api,
    /// Drives payments and imports on.
    Jobs,
}

impl Role {
    /// All there are.
    pub const ALL: [Role; 4] = [Role::Feed, Role::Store, Role::Api, Role::Jobs];

    /// Its name in the configuration, in metrics and in health.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Role::Feed => "feed",
            Role::Store => "store",
            Role::Api => "api",
            Role::Jobs => "jobs",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What stands between feed and store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BusKind {
    /// Nothing: the feed writes into the store.
    None,
    /// A topic of Kafka.
    Kafka,
}

/// Where edges dial, and who may.
#[derive(Debug, Clone)]
pub struct Grpc {
    /// The address.
    pub listen: SocketAddr,
    /// Certificate and key; none: in the clear.
    pub tls: Option<Tls>,
    /// What an edge must send.
    pub token: Option<Secret>,
    /// Bytes of entries on their way without being published.
    pub window_bytes: u32,
}

/// Files of TLS, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Authorities of the edges' certificates; none: no certificate is asked for.
    pub client_ca: Option<PathBuf>,
}

/// How the feed waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Feed {
    /// Between two looks how far the store is.
    pub marks: Duration,
    /// The longest wait before what failed is tried again.
    pub back_off: Duration,
}

/// What is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// A filter of tracing.
    pub filter: String,
    /// JSON lines or plain text.
    pub json: bool,
}

impl fmt::Debug for Config {
    /// Without what holds passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("roles", &self.roles)
            .field("shards", &self.shards)
            .field("bus", &self.bus)
            .field("grpc", &self.grpc)
            .field("admin", &self.admin)
            .finish_non_exhaustive()
    }
}

impl Config {
    /// Whether this process has a role.
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    /// Whether a store follows the bus here.
    #[must_use]
    pub fn follows_bus(&self) -> bool {
        self.has(Role::Store) && self.bus == BusKind::Kafka
    }
}
