//! The file as written: one struct a section, one field a key, the defaults. Nothing is checked but
//! names and types; `configs/tidegate.toml` explains each key, and a test holds the two together.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Makes a section: its keys with their types and defaults.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[allow(missing_docs, reason = "each key is explained in configs/tidegate.toml")]
        pub struct $name { $(pub $key: $type,)* }

        impl Default for $name {
            fn default() -> $name {
                $name { $($key: $default,)* }
            }
        }
    };
}

section! {
    /// The whole file.
    RawConfig {
        server: RawServer = RawServer::default(),
        tls: RawTls = RawTls::default(),
        shards: RawShards = RawShards::default(),
        limits: RawLimits = RawLimits::default(),
        auth: RawAuth = RawAuth::default(),
        timeouts: RawTimeouts = RawTimeouts::default(),
        http: RawHttp = RawHttp::default(),
        overload: RawOverload = RawOverload::default(),
        observe: RawObserve = RawObserve::default(),
        backoffice: RawBackoffice = RawBackoffice::default(),
        slow_lane: RawSlowLane = RawSlowLane::default(),
        logging: RawLogging = RawLogging::default(),
    }
}

section! {
    /// `[server]`
    RawServer {
        listen: String = "127.0.0.1:8443".into(),
        admin: String = "127.0.0.1:9901".into(),
        data: String = "./data".into(),
        threads: usize = 0,
        cores: Vec<usize> = Vec::new(),
        io: String = "auto".into(),
        turn_us: u32 = 0,
        trusted_proxies: Option<Vec<String>> = None,
        proxy_protocol: String = "off".into(),
        connections_max: usize = 16_384,
        hand_over: bool = true,
    }
}

section! {
    /// `[tls]`
    RawTls {
        cert: String = String::new(),
        key: String = String::new(),
        sni: Vec<RawCertificate> = Vec::new(),
        ticket_key_file: String = String::new(),
        client_ca: String = String::new(),
        client_auth: String = "off".into(),
        reload_s: u64 = 2,
    }
}

section! {
    /// One of `[[tls.sni]]`
    RawCertificate {
        cert: String = String::new(),
        key: String = String::new(),
    }
}

section! {
    /// `[shards]`
    RawShards {
        count: u16 = 64,
        threads: usize = 0,
        cores: Vec<usize> = Vec::new(),
        placement: String = "own".into(),
        window_us: u64 = 600,
        writer: String = "auto".into(),
        segment_bytes: u64 = 16 << 20,
        durability: String = "local".into(),
        backlog_bytes: u64 = 8 << 30,
        checkpoint_bytes: u64 = 256 << 20,
        scrub_bytes_per_s: u64 = 4 << 20,
        allow_clock_jump: bool = false,
    }
}

section! {
    /// `[limits]`
    RawLimits {
        user: RawLimit = RawLimit { rate: Figure::number(10.0), burst: Figure::number(20.0) },
        address: RawLimit = RawLimit { rate: Figure::number(100.0), burst: Figure::number(200.0) },
        handshakes: RawLimit = RawLimit { rate: Figure::number(20.0), burst: Figure::number(100.0) },
    }
}

/// `[limits.user]` and its like. A key that is left out keeps the section's default, so both are optional here.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawLimit {
    /// Per second, or `off`.
    pub rate: Figure,
    /// At once, or `off`.
    pub burst: Figure,
}

/// A number, the word `off`, or nothing (the default).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Figure {
    /// Not in the file.
    #[default]
    Unset,
    /// `"off"`
    Off,
    /// Per second, or takes.
    Number(f64),
}

impl Figure {
    fn number(value: f64) -> Figure {
        Figure::Number(value)
    }
}

impl Serialize for Figure {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Figure::Unset => serializer.serialize_none(),
            Figure::Off => serializer.serialize_str("off"),
            Figure::Number(number) if number.fract() == 0.0 => serializer.serialize_i64(number as i64),
            Figure::Number(number) => serializer.serialize_f64(number),
        }
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Figure, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Figure;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number or \"off\"")
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Figure, E> {
                Ok(Figure::Number(value as f64))
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Figure, E> {
                Ok(Figure::Number(value as f64))
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Figure, E> {
                Ok(Figure::Number(value))
            }

            fn visit_str<E: de::Error>(self, value: &str) -> Result<Figure, E> {
                match value {
                    "off" => Ok(Figure::Off),
                    _ => Err(E::invalid_value(de::Unexpected::Str(value), &self)),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

section! {
    /// `[auth]`
    RawAuth {
        local_key: bool = true,
        issuer: String = "tidegate-local".into(),
        audience: String = "tidegate".into(),
        leeway_s: u64 = 60,
        keys: Vec<RawKey> = Vec::new(),
        jwks_file: String = String::new(),
        jwks_url: String = String::new(),
        jwks_ca: String = String::new(),
        jwks_refresh_s: u64 = 600,
        jwks_cooldown_s: u64 = 30,
        cache_tokens: usize = 131_072,
    }
}

section! {
    /// One of `[[auth.keys]]`
    RawKey {
        kid: String = String::new(),
        algorithm: String = String::new(),
        file: String = String::new(),
        secret: String = String::new(),
        issuer: String = String::new(),
        audience: String = String::new(),
    }
}

section! {
    /// `[timeouts]`
    RawTimeouts {
        handshake_ms: u64 = 5_000,
        head_ms: u64 = 5_000,
        request_ms: u64 = 10_000,
        write_ms: u64 = 10_000,
        idle_ms: u64 = 75_000,
        answer_ms: u64 = 5_000,
        connection_age_ms: u64 = 3_600_000,
        drain_ms: u64 = 10_000,
    }
}

section! {
    /// `[http]`
    RawHttp {
        head_bytes: usize = 16 << 10,
        head_fields: usize = 100,
        target_bytes: usize = 8 << 10,
        body_bytes: usize = 64 << 10,
        requests_per_connection: u64 = 10_000,
        h2_streams: u32 = 100,
        h2_stream_window_bytes: u32 = 64 << 10,
        h2_connection_window_bytes: u32 = 1 << 20,
    }
}

section! {
    /// `[overload]`
    RawOverload {
        shed_after_ms: u64 = 50,
        stall_ms: u64 = 1_000,
        inflight_per_thread: usize = 16_384,
        handshakes_per_turn: usize = 3,
    }
}

section! {
    /// `[observe]`
    RawObserve {
        recorder_requests: usize = 16_384,
    }
}

section! {
    /// `[backoffice]`
    RawBackoffice {
        mode: String = "embedded".into(),
        store: String = "store.db".into(),
        address: String = "http://127.0.0.1:7445".into(),
        ca: String = String::new(),
        cert: String = String::new(),
        key: String = String::new(),
        token_file: String = String::new(),
        start_wait_ms: u64 = 10_000,
    }
}

section! {
    /// `[slow_lane]`
    RawSlowLane {
        exchanges: usize = 256,
        running: usize = 32,
        reads_per_s: u64 = 500,
        changes_per_s: u64 = 1_000,
        answer_ms: u64 = 5_000,
        slow_ms: u64 = 1_000,
    }
}

section! {
    /// `[logging]`
    RawLogging {
        filter: String = "info".into(),
        format: String = "json".into(),
    }
}
