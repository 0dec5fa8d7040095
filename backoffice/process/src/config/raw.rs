//! The file as written: one struct a section, one field a key, the defaults. Nothing is checked but names and types;
//! `configs/backoffice.toml` explains each key, and a test holds the two together.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Makes a section: its keys with their types and defaults.
macro_rules! section {
    ($(#[$doc:meta])* $name:ident { $($key:ident: $type:ty = $default:expr,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields, default)]
        #[allow(missing_docs, reason = "each key is explained in configs/backoffice.toml")]
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
        process: RawProcess = RawProcess::default(),
        grpc: RawGrpc = RawGrpc::default(),
        feed: RawFeed = RawFeed::default(),
        mysql: RawMysql = RawMysql::default(),
        kafka: RawKafka = RawKafka::default(),
        admin: RawAdmin = RawAdmin::default(),
        logging: RawLogging = RawLogging::default(),
    }
}

section! {
    /// `[process]`
    RawProcess {
        roles: Vec<String> = ["feed", "store", "api", "jobs"].map(String::from).to_vec(),
        shards: u16 = 64,
        bus: String = "none".into(),
        stop_ms: u64 = 10_000,
    }
}

section! {
    /// `[grpc]`
    RawGrpc {
        listen: String = "127.0.0.1:7445".into(),
        cert: String = String::new(),
        key: String = String::new(),
        client_ca: String = String::new(),
        token_file: String = String::new(),
        insecure: bool = false,
        window_bytes: u32 = 8 << 20,
    }
}

section! {
    /// `[feed]`
    RawFeed {
        marks_ms: u64 = 150,
        back_off_ms: u64 = 5_000,
    }
}

section! {
    /// `[mysql]`
    RawMysql {
        url: String = "mysql://tidegate@127.0.0.1:3306/tidegate".into(),
        password_file: String = String::new(),
        ca: String = String::new(),
        connect_ms: u64 = 5_000,
        answer_ms: u64 = 10_000,
        batch_ms: u64 = 30_000,
        readers: usize = 4,
        writers: usize = 4,
    }
}

section! {
    /// `[kafka]`
    RawKafka {
        brokers: String = "127.0.0.1:9092".into(),
        topic: String = "tidegate.entries".into(),
        transactional_id: String = "tidegate-feed".into(),
        replication: u16 = 3,
        min_insync_replicas: u16 = 2,
        transaction_ms: u64 = 60_000,
        call_ms: u64 = 10_000,
        linger_ms: u64 = 1,
        compression: String = "none".into(),
        user: String = String::new(),
        password_file: String = String::new(),
        more: BTreeMap<String, String> = BTreeMap::new(),
    }
}

section! {
    /// `[admin]`
    RawAdmin {
        listen: String = "127.0.0.1:7446".into(),
    }
}

section! {
    /// `[logging]`
    RawLogging {
        filter: String = "info".into(),
        json: bool = true,
    }
}
