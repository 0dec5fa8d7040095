//! From the raw file to [`Config`]: every value within its bounds, or the key and the reason.

use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{
    CertificateFiles, ClientAuth, Config, Http, Io, Limits, Logging, Observe, Overload, Placement, Server,
    Shards, SlowLane, Timeouts, Tls, Writer, own_certificate_files,
};
use crate::address::TrustedProxies;
use crate::config::ConfigError;
use crate::config::raw::{Figure, RawConfig, RawLimit, RawLimits, RawServer, RawShards, RawSlowLane, RawTls};
use crate::gcra::Limit;
use crate::logging;

mod auth;
mod backoffice;
mod durability;

type Checked<T> = Result<T, ConfigError>;

impl Config {
    /// Checks the raw configuration.
    ///
    /// # Errors
    /// The first value that is not allowed, with its key.
    pub fn check(raw: RawConfig) -> Checked<Config> {
        let server = check_server(&raw.server)?;
        let tls = check_tls(&raw.tls, &server.data)?;
        let store = backoffice::store(&raw.backoffice, &server.data)?;
        Ok(Config {
            shards: check_shards(&raw.shards, &raw.backoffice.mode)?,
            limits: check_limits(&raw.limits)?,
            auth: auth::check_auth(&raw.auth, &server.data)?,
            timeouts: check_timeouts(&raw)?,
            http: check_http(&raw)?,
            overload: check_overload(&raw)?,
            backoffice: backoffice::mode(&raw.backoffice)?,
            store: store.clone(),
            remote: backoffice::remote(&raw.backoffice)?,
            slow_lane: check_slow_lane(&raw.slow_lane)?,
            observe: check_observe(&raw)?,
            logging: check_logging(&raw)?,
            effective: effective(&raw, &server, &tls, &store),
            server,
            tls,
        })
    }
}

fn check_server(raw: &RawServer) -> Checked<Server> {
    let listen: SocketAddr = socket("server.listen", &raw.listen)?;
    let trusted_proxies = match &raw.trusted_proxies {
        Some(networks) => {
            let networks: Result<Vec<_>, String> = networks.iter().map(|network| network.parse()).collect();
            TrustedProxies::new(
                networks.map_err(|problem| ConfigError::new("server.trusted_proxies", problem))?,
            )
        }
        None if is_loopback(listen.ip()) => TrustedProxies::loopback(),
        None => {
            return Err(ConfigError::new(
                "server.trusted_proxies",
                format!(
                    "must be set because server.listen ({listen}) is not loopback: the networks of your CDN or proxies, \
                     or [] when clients connect directly (otherwise one proxy's address is the whole shop)"
                ),
            ));
        }
    };
    let proxy_protocol = word(
        "server.proxy_protocol",
        &raw.proxy_protocol,
        &[("off", false), ("on", true)],
    )?;
    if proxy_protocol && trusted_proxies.networks().is_empty() {
        return Err(ConfigError::new(
            "server.proxy_protocol",
            "is \"on\", but server.trusted_proxies is empty: a header is only read from trusted peers, so set it to their networks",
        ));
    }
    if raw.data.is_empty() {
        return Err(ConfigError::new("server.data", "must name a directory"));
    }
    Ok(Server {
        listen,
        admin: socket("server.admin", &raw.admin)?,
        data: PathBuf::from(&raw.data),
        threads: threads("server.threads", raw.threads, &raw.cores)?,
        cores: raw.cores.clone(),
        turn_us: within("server.turn_us", raw.turn_us, 0, 1_000)?,
        io: word(
            "server.io",
            &raw.io,
            &[
                ("auto", Io::Auto),
                ("uring", Io::Uring),
                ("epoll", Io::Epoll),
                ("monoio", Io::Monoio),
            ],
        )?,
        trusted_proxies,
        proxy_protocol,
        connections_max: within("server.connections_max", raw.connections_max, 16, 4 << 20)?,
        hand_over: raw.hand_over,
    })
}

pub(super) fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

fn check_tls(raw: &RawTls, data: &Path) -> Checked<Tls> {
    let pair = |place: &str, cert: &str, key: &str| match (cert.is_empty(), key.is_empty()) {
        (false, false) => Ok(Some(CertificateFiles {
            cert: cert.into(),
            key: key.into(),
        })),
        (true, true) => Ok(None),
        _ => Err(ConfigError::new(place, "needs both cert and key")),
    };
    let configured = pair("tls", &raw.cert, &raw.key)?;
    let own_certificate = configured.is_none();
    let mut certificates = vec![configured.unwrap_or_else(|| own_certificate_files(data))];
    for (index, entry) in raw.sni.iter().enumerate() {
        let place = format!("tls.sni[{index}]");
        let files = pair(&place, &entry.cert, &entry.key)?;
        certificates.push(files.ok_or_else(|| ConfigError::new(&place, "needs both cert and key"))?);
    }
    Ok(Tls {
        certificates,
        own_certificate,
        ticket_key_file: optional_path(&raw.ticket_key_file),
        client_auth: check_client_auth(raw)?,
        reload: Duration::from_secs(within("tls.reload_s", raw.reload_s, 1, 86_400)?),
    })
}

/// A bundle without a word about what it is for would look like protection and be none.
fn check_client_auth(raw: &RawTls) -> Checked<Option<ClientAuth>> {
    let modes = [("off", None), ("optional", Some(false)), ("required", Some(true))];
    let required = word("tls.client_auth", &raw.client_auth, &modes)?;
    match (required, optional_path(&raw.client_ca)) {
        (Some(required), Some(ca)) => Ok(Some(ClientAuth { ca, required })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(ConfigError::new(
            "tls.client_ca",
            format!(
                "must name a PEM file with the authorities, because tls.client_auth is \"{}\"",
                raw.client_auth
            ),
        )),
        (None, Some(_)) => Err(ConfigError::new(
            "tls.client_auth",
            "is \"off\", but tls.client_ca is set: choose \"optional\" or \"required\", or leave client_ca empty",
        )),
    }
}

fn check_shards(raw: &RawShards, backoffice: &str) -> Checked<Shards> {
    // 1024 is the 10-bit worker field of an order id.
    let count = within("shards.count", raw.count, 1, 1024)?;
    let segment_bytes = within("shards.segment_bytes", raw.segment_bytes, 1 << 20, 2 << 30)?;
    if segment_bytes % 4096 != 0 {
        return Err(ConfigError::new(
            "shards.segment_bytes",
            "must be a multiple of 4096, the log's block",
        ));
    }
    let threads = threads("shards.threads", raw.threads, &raw.cores)?;
    if threads.is_some_and(|threads| threads > usize::from(count)) {
        return Err(ConfigError::new(
            "shards.threads",
            format!("there are only {count} shards to spread"),
        ));
    }
    Ok(Shards {
        count,
        threads,
        cores: raw.cores.clone(),
        placement: word(
            "shards.placement",
            &raw.placement,
            &[("own", Placement::Own), ("shared", Placement::Shared)],
        )?,
        window: Duration::from_micros(within("shards.window_us", raw.window_us, 0, 10_000)?),
        writer: word(
            "shards.writer",
            &raw.writer,
            &[
                ("auto", Writer::Auto),
                ("glommio", Writer::Glommio),
                ("direct", Writer::Direct),
            ],
        )?,
        segment_bytes,
        durability: durability::durability(&raw.durability, backoffice)?,
        // Two segments a log are in use at any time; a backlog below that would refuse the first order.
        backlog_bytes: within(
            "shards.backlog_bytes",
            raw.backlog_bytes,
            2 * segment_bytes,
            1 << 50,
        )?,
        checkpoint_bytes: within("shards.checkpoint_bytes", raw.checkpoint_bytes, 1 << 20, 1 << 40)?,
        scrub_bytes_per_s: within("shards.scrub_bytes_per_s", raw.scrub_bytes_per_s, 0, 1 << 32)?,
        allow_clock_jump: raw.allow_clock_jump,
    })
}

fn check_limits(raw: &RawLimits) -> Checked<Limits> {
    let default = RawLimits::default();
    Ok(Limits {
        user: limit("limits.user", &raw.user, &default.user)?,
        address: limit("limits.address", &raw.address, &default.address)?,
        handshakes: limit("limits.handshakes", &raw.handshakes, &default.handshakes)?,
    })
}

/// `off` in either place switches the limit off; a key that is left out keeps its default.
fn limit(place: &str, raw: &RawLimit, default: &RawLimit) -> Checked<Limit> {
    let or_default = |figure, default| if figure == Figure::Unset { default } else { figure };
    match (
        or_default(raw.rate, default.rate),
        or_default(raw.burst, default.burst),
    ) {
        (Figure::Number(rate), Figure::Number(burst)) => {
            if burst.fract() != 0.0 || !(0.0..=1e9).contains(&burst) {
                return Err(ConfigError::new(
                    format!("{place}.burst"),
                    format!("{burst} is not a whole number of requests"),
                ));
            }
            Limit::bucket(rate, burst as u32).map_err(|problem| ConfigError::new(place, problem))
        }
        _ => Ok(Limit::Off),
    }
}

fn check_timeouts(raw: &RawConfig) -> Checked<Timeouts> {
    let raw = &raw.timeouts;
    let ms = |key: &str, value: u64| {
        within(&format!("timeouts.{key}"), value, 10, 86_400_000).map(Duration::from_millis)
    };
    Ok(Timeouts {
        handshake: ms("handshake_ms", raw.handshake_ms)?,
        head: ms("head_ms", raw.head_ms)?,
        request: ms("request_ms", raw.request_ms)?,
        write: ms("write_ms", raw.write_ms)?,
        idle: ms("idle_ms", raw.idle_ms)?,
        answer: ms("answer_ms", raw.answer_ms)?,
        connection_age: ms("connection_age_ms", raw.connection_age_ms)?,
        drain: ms("drain_ms", raw.drain_ms)?,
    })
}

fn check_http(raw: &RawConfig) -> Checked<Http> {
    let raw = &raw.http;
    Ok(Http {
        head_bytes: within("http.head_bytes", raw.head_bytes, 1 << 10, 1 << 20)?,
        head_fields: within("http.head_fields", raw.head_fields, 8, 1_000)?,
        target_bytes: within("http.target_bytes", raw.target_bytes, 64, raw.head_bytes)?,
        body_bytes: within("http.body_bytes", raw.body_bytes, 1 << 10, 16 << 20)?,
        requests_per_connection: within(
            "http.requests_per_connection",
            raw.requests_per_connection,
            1,
            u64::MAX,
        )?,
        h2_streams: within("http.h2_streams", raw.h2_streams, 1, 10_000)?,
        // RFC 9113, section 6.9.1: a window is at most 2^31 - 1; its default, 65,535, is not worth going below by much.
        h2_stream_window_bytes: within(
            "http.h2_stream_window_bytes",
            raw.h2_stream_window_bytes,
            1 << 10,
            0x7fff_ffff,
        )?,
        h2_connection_window_bytes: within(
            "http.h2_connection_window_bytes",
            raw.h2_connection_window_bytes,
            65_535,
            0x7fff_ffff,
        )?,
    })
}

fn check_overload(raw: &RawConfig) -> Checked<Overload> {
    let raw = &raw.overload;
    Ok(Overload {
        shed_after: Duration::from_millis(within("overload.shed_after_ms", raw.shed_after_ms, 1, 60_000)?),
        stall: Duration::from_millis(within("overload.stall_ms", raw.stall_ms, 10, 60_000)?),
        inflight_per_thread: within(
            "overload.inflight_per_thread",
            raw.inflight_per_thread,
            16,
            1 << 16,
        )?,
        handshakes_per_turn: within("overload.handshakes_per_turn", raw.handshakes_per_turn, 1, 1_000)?,
    })
}

fn check_slow_lane(raw: &RawSlowLane) -> Checked<SlowLane> {
    let exchanges = within("slow_lane.exchanges", raw.exchanges, 1, 65_536)?;
    let answer_ms = within("slow_lane.answer_ms", raw.answer_ms, 10, 600_000)?;
    Ok(SlowLane {
        exchanges,
        running: within("slow_lane.running", raw.running, 1, exchanges)?,
        reads_per_s: within("slow_lane.reads_per_s", raw.reads_per_s, 10, 100_000)?,
        changes_per_s: within("slow_lane.changes_per_s", raw.changes_per_s, 10, 100_000)?,
        answer: Duration::from_millis(answer_ms),
        slow: Duration::from_millis(within("slow_lane.slow_ms", raw.slow_ms, 1, answer_ms)?),
    })
}

fn check_observe(raw: &RawConfig) -> Checked<Observe> {
    let requests = raw.observe.recorder_requests;
    Ok(Observe {
        recorder_requests: within("observe.recorder_requests", requests, 0, 1 << 20)?,
    })
}

fn check_logging(raw: &RawConfig) -> Checked<Logging> {
    let raw = &raw.logging;
    logging::check(&raw.filter).map_err(|problem| ConfigError::new("logging.filter", problem))?;
    Ok(Logging {
        filter: raw.filter.clone(),
        json: word("logging.format", &raw.format, &[("json", true), ("text", false)])?,
    })
}

fn socket(place: &str, text: &str) -> Checked<SocketAddr> {
    text.parse().map_err(|_| {
        ConfigError::new(
            place,
            format!("`{text}` is not an address and a port such as 127.0.0.1:8443 or [::]:443"),
        )
    })
}

fn optional_path(text: &str) -> Option<PathBuf> {
    (!text.is_empty()).then(|| PathBuf::from(text))
}

/// 0 is "choose"; a list of cores must have one a thread.
fn threads(place: &str, threads: usize, cores: &[usize]) -> Checked<Option<usize>> {
    if !cores.is_empty() && threads != 0 && cores.len() != threads {
        return Err(ConfigError::new(
            place,
            format!("{threads} threads, but {} cores are listed", cores.len()),
        ));
    }
    if cores.iter().any(|core| *core >= 1024) {
        return Err(ConfigError::new(place, "a core's number is 0 to 1023"));
    }
    within(place, threads, 0, 256)?;
    Ok(match (threads, cores.len()) {
        (0, 0) => None,
        (0, cores) => Some(cores),
        (threads, _) => Some(threads),
    })
}

fn within<T: PartialOrd + std::fmt::Display>(place: &str, value: T, min: T, max: T) -> Checked<T> {
    if value >= min && value <= max {
        Ok(value)
    } else {
        Err(ConfigError::new(
            place,
            format!("{value} is outside {min} to {max}"),
        ))
    }
}

fn word<T: Copy>(place: &str, value: &str, words: &[(&str, T)]) -> Checked<T> {
    words
        .iter()
        .find(|(word, _)| *word == value)
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            ConfigError::new(place, format!("`{value}` is none of {}", all.join(", ")))
        })
}

/// The raw configuration with what was filled in, and without secrets.
fn effective(raw: &RawConfig, server: &Server, tls: &Tls, store: &Path) -> serde_json::Value {
    let mut raw = raw.clone();
    let default = RawLimits::default();
    for (limit, default) in [
        (&mut raw.limits.user, default.user),
        (&mut raw.limits.address, default.address),
        (&mut raw.limits.handshakes, default.handshakes),
    ] {
        if limit.rate == Figure::Unset {
            limit.rate = default.rate;
        }
        if limit.burst == Figure::Unset {
            limit.burst = default.burst;
        }
    }
    for key in raw.auth.keys.iter_mut().filter(|key| !key.secret.is_empty()) {
        key.secret = "(hidden)".into();
    }
    raw.server.trusted_proxies = Some(
        server
            .trusted_proxies
            .networks()
            .iter()
            .map(|network| network.to_string())
            .collect(),
    );
    raw.tls.cert = tls.certificates[0].cert.display().to_string();
    raw.tls.key = tls.certificates[0].key.display().to_string();
    raw.backoffice.store = store.display().to_string();
    serde_json::to_value(raw).expect("a tree of numbers and strings")
}
