//! Configuration as the program uses it: every value was checked, durations are `Duration`s, names are enums. Made only by
//! [`Config::check`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::address::TrustedProxies;
use crate::auth::jwks::Remote;
use crate::auth::keys::KeySource;
use crate::gcra::Limit;

mod check;

/// All of it.
#[derive(Debug, Clone)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// `[shards]`
    pub shards: Shards,
    /// `[limits]`
    pub limits: Limits,
    /// `[auth]`
    pub auth: Auth,
    /// `[timeouts]`
    pub timeouts: Timeouts,
    /// `[http]`
    pub http: Http,
    /// `[overload]`
    pub overload: Overload,
    /// What stands behind the edge.
    pub backoffice: BackofficeMode,
    /// The file of the embedded store: `backoffice.store`, which is relative to the data directory unless it is absolute.
    pub store: PathBuf,
    /// How a backoffice in another process is reached; with [`BackofficeMode::Remote`] only.
    pub remote: Option<RemoteBackoffice>,
    /// `[slow_lane]`
    pub slow_lane: SlowLane,
    /// `[observe]`
    pub observe: Observe,
    /// `[logging]`
    pub logging: Logging,
    /// What `/config` shows: every key with the value in force, secrets replaced.
    pub effective: serde_json::Value,
}

/// What stands behind the edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackofficeMode {
    /// Nothing: the log keeps what is owed.
    None,
    /// A backoffice in this process, with its store in one file.
    Embedded,
    /// A backoffice in a process of its own.
    Remote,
}

/// How a backoffice in another process is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteBackoffice {
    /// `https://host:port`, or `http://` on loopback.
    pub address: String,
    /// Authorities of its certificate, as PEM.
    pub ca: Option<PathBuf>,
    /// What this edge shows of itself.
    pub identity: Option<CertificateFiles>,
    /// A file with the token that it asks for.
    pub token_file: Option<PathBuf>,
    /// How long a start waits for it.
    pub start_wait: Duration,
}

/// Where it listens and what it runs on.
#[derive(Debug, Clone)]
pub struct Server {
    /// HTTPS.
    pub listen: SocketAddr,
    /// The admin address: loopback unless somebody decided otherwise.
    pub admin: SocketAddr,
    /// The data directory.
    pub data: PathBuf,
    /// Net threads; `None`: chosen from the machine.
    pub threads: Option<usize>,
    /// Cores of the net threads, by thread; empty: not pinned.
    pub cores: Vec<usize>,
    /// How net threads do I/O.
    pub io: Io,
    /// How long a busy net thread waits for more to do in one turn, microseconds; 0: not at all.
    pub turn_us: u32,
    /// Peers whose word about the client's address is taken.
    pub trusted_proxies: TrustedProxies,
    /// Whether connections of these peers begin with a PROXY header.
    pub proxy_protocol: bool,
    /// Connections at once, over all net threads.
    pub connections_max: usize,
    /// Whether an accepted socket goes to the net thread with the fewest connections.
    pub hand_over: bool,
}

/// How a net thread does its I/O.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Io {
    /// io_uring where it works, else epoll with one line that says so.
    Auto,
    /// io_uring or no start.
    Uring,
    /// epoll.
    Epoll,
    /// monoio's io_uring driver, for comparison.
    Monoio,
}

/// Certificates and tickets.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Certificate chains with their keys; the first serves clients whose name none covers.
    pub certificates: Vec<CertificateFiles>,
    /// Whether the first pair is the data directory's own, made at the first start.
    pub own_certificate: bool,
    /// Ticket keys that outlive a restart and serve several machines; `None`: random ones.
    pub ticket_key_file: Option<PathBuf>,
    /// Who is believed about clients' certificates; `None`: nobody is asked for one.
    pub client_auth: Option<ClientAuth>,
    /// How often files are looked at for changes.
    pub reload: Duration,
}

/// Clients' certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientAuth {
    /// The authorities, PEM.
    pub ca: PathBuf,
    /// Whether a client without a certificate is refused.
    pub required: bool,
}

/// One chain and its key, both PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, leaf first.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// The host's settings.
#[derive(Debug, Clone)]
pub struct Shards {
    /// Shards of a new data directory, 1 to 1024; an existing one knows its own.
    pub count: u16,
    /// Shard threads; `None`: chosen from the machine.
    pub threads: Option<usize>,
    /// Cores of the shard threads, by thread; empty: chosen by `placement`.
    pub cores: Vec<usize>,
    /// Own cores or shared with net threads.
    pub placement: Placement,
    /// Bound of the commit window.
    pub window: Duration,
    /// Which log writer.
    pub writer: Writer,
    /// Bytes of one log segment, a multiple of 4096.
    pub segment_bytes: u64,
    /// What an answer waits for.
    pub durability: Durability,
    /// Bytes of log that may be owed to the backoffice before new orders get 503.
    pub backlog_bytes: u64,
    /// Bytes of closed segments of one shard thread that make a checkpoint due.
    pub checkpoint_bytes: u64,
    /// Bytes of closed segments read again a second; 0: none.
    pub scrub_bytes_per_s: u64,
    /// Start although the wall clock is more than 24 h ahead of the log.
    pub allow_clock_jump: bool,
}

/// Where shard threads run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Cores of their own.
    Own,
    /// A core shared with a net thread.
    Shared,
}

/// What an answer waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// The log here.
    Local,
    /// The bus as well.
    Replicated,
}

/// The log writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writer {
    /// The faster one that works here.
    Auto,
    /// glommio's DMA file.
    Glommio,
    /// A plain thread with O_DIRECT.
    Direct,
}

/// Token buckets.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Requests per user.
    pub user: Limit,
    /// Requests per client address.
    pub address: Limit,
    /// TLS handshakes per peer address; trusted proxies are exempt.
    pub handshakes: Limit,
}

/// Who may ask.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The keys of the configuration, and the data directory's own if it is in use.
    pub keys: Vec<KeySource>,
    /// The data directory's own key is in use and may have to be made.
    pub local_key: Option<PathBuf>,
    /// A JWKS file, with the issuer and audience that its keys sign for.
    pub jwks_file: Option<PathBuf>,
    /// A JWKS that is fetched, for the same issuer and audience.
    pub jwks: Option<Remote>,
    /// `iss` of tokens under JWKS keys.
    pub issuer: String,
    /// `aud` of tokens under JWKS keys.
    pub audience: String,
    /// Clock difference that `exp` and `nbf` forgive.
    pub leeway: Duration,
    /// Verified tokens remembered per net thread.
    pub cache_tokens: usize,
}

/// One time-out per phase of a connection.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each is explained in configs/tidegate.toml")]
pub struct Timeouts {
    pub handshake: Duration,
    pub head: Duration,
    pub request: Duration,
    pub write: Duration,
    pub idle: Duration,
    pub answer: Duration,
    pub connection_age: Duration,
    pub drain: Duration,
}

/// Bounds of HTTP.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs, reason = "each is explained in configs/tidegate.toml")]
pub struct Http {
    pub head_bytes: usize,
    pub head_fields: usize,
    pub target_bytes: usize,
    pub body_bytes: usize,
    pub requests_per_connection: u64,
    pub h2_streams: u32,
    pub h2_stream_window_bytes: u32,
    pub h2_connection_window_bytes: u32,
}

/// When load is refused.
#[derive(Debug, Clone, Copy)]
pub struct Overload {
    /// An order that waited longer than this for its shard is answered 503.
    pub shed_after: Duration,
    /// A shard thread whose log makes no progress for this long is refused work.
    pub stall: Duration,
    /// Requests one net thread may have at the shards.
    pub inflight_per_thread: usize,
    /// TLS handshakes one net thread finishes a turn.
    pub handshakes_per_turn: usize,
}

/// What is asked of the backoffice.
#[derive(Debug, Clone, Copy)]
pub struct SlowLane {
    /// Requests under way over all net threads.
    pub exchanges: usize,
    /// Those of them that the backoffice works on at the same time.
    pub running: usize,
    /// Requests a second that one net thread hands over, of those that only read.
    pub reads_per_s: u64,
    /// The same of all others.
    pub changes_per_s: u64,
    /// How long the backoffice may be silent.
    pub answer: Duration,
    /// An answer that took longer counts as failed for the breaker.
    pub slow: Duration,
}

/// What is kept to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Observe {
    /// Requests that the flight recorder of each net thread remembers, 192 bytes each; 0: none.
    pub recorder_requests: usize,
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logging {
    /// A `tracing` filter such as `info,tidegate=debug`.
    pub filter: String,
    /// JSON lines, or text for eyes.
    pub json: bool,
}

/// `DATA/cert.pem` and `DATA/key.pem`.
pub fn own_certificate_files(data: &Path) -> CertificateFiles {
    CertificateFiles {
        cert: data.join("cert.pem"),
        key: data.join("key.pem"),
    }
}

/// `DATA/token.key`.
pub fn own_token_key(data: &Path) -> PathBuf {
    data.join("token.key")
}
