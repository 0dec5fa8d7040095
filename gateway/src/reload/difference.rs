//! What another configuration changes, by key, and which of it waits for the next start.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::auth::keys::KeySource;
use crate::config::Config;
use crate::config::checked::{Auth, Logging, Overload, Server, Shards, SlowLane, own_token_key};

/// Keys, or whole sections, that are taken while the process runs. All others are read once, at the start.
const LIVE: [&str; 24] = [
    "limits.",
    "timeouts.",
    "http.",
    "server.trusted_proxies",
    "server.connections_max",
    "shards.backlog_bytes",
    "auth.local_key",
    "auth.issuer",
    "auth.audience",
    "auth.leeway_s",
    "auth.keys",
    "auth.jwks_file",
    "auth.jwks_url",
    "auth.jwks_refresh_s",
    "auth.jwks_cooldown_s",
    "auth.jwks_ca",
    "overload.shed_after_ms",
    "overload.stall_ms",
    "overload.handshakes_per_turn",
    "slow_lane.reads_per_s",
    "slow_lane.changes_per_s",
    "slow_lane.answer_ms",
    "slow_lane.slow_ms",
    "logging.filter",
];

/// Live keys that are checked against another one: while that one waits for the next start, so do they. A backlog of two small segments is
/// less than one of the large segments in use; the proxies of another listener are not those of this one.
const TIED: [(&str, &str); 2] = [
    ("shards.backlog_bytes", "shards.segment_bytes"),
    ("server.trusted_proxies", "server.listen"),
];

/// Keys whose values differ between two configurations.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Those that can be taken now.
    pub live: Vec<String>,
    /// Those that take effect at the next start.
    pub next_start: Vec<String>,
}

impl Difference {
    /// Compares what is in force with what was read.
    pub fn between(now: &Config, read: &Config) -> Difference {
        let (old, new) = (leaves(&now.effective), leaves(&read.effective));
        let mut keys: Vec<String> = old
            .keys()
            .chain(new.keys().filter(|key| !old.contains_key(*key)))
            .filter(|key| old.get(*key) != new.get(*key))
            .cloned()
            .collect();
        // A secret is hidden in what is shown, so two of them look alike there.
        if now.auth.keys != read.auth.keys && !keys.iter().any(|key| key.starts_with("auth.")) {
            keys.push("auth.keys".into());
        }
        let waits = |key: &str| {
            let is_tied = |(live, other): &(&str, &str)| *live == key && keys.iter().any(|key| key == other);
            !is_live(key) || TIED.iter().any(is_tied)
        };
        let (next_start, live) = keys.iter().cloned().partition(|key| waits(key));
        Difference { live, next_start }
    }

    /// Whether any of the keys that are taken now begins so.
    pub fn touches(&self, section: &str) -> bool {
        self.live.iter().any(|key| key.starts_with(section))
    }
}

fn is_live(key: &str) -> bool {
    LIVE.iter()
        .any(|live| key == *live || (live.ends_with('.') && key.starts_with(live)))
}

/// Makes the local key of a configuration with another data directory the one of the directory in use.
pub fn keep_local_key(now: &Config, read: &mut Config) {
    if let Some(path) = &mut read.auth.local_key {
        *path = own_token_key(&now.server.data);
        let local = KeySource::local(path);
        let keys = read.auth.keys.iter_mut();
        keys.filter(|key| key.kid == local.kid)
            .for_each(|key| key.clone_from(&local));
    }
}

/// `section.key` and value; a list is one value.
fn leaves(tree: &Value) -> BTreeMap<String, Value> {
    fn walk(path: &str, value: &Value, into: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(members) => {
                for (name, value) in members {
                    let path = if path.is_empty() {
                        name.clone()
                    } else {
                        format!("{path}.{name}")
                    };
                    walk(&path, value, into);
                }
            }
            leaf => {
                into.insert(path.to_owned(), leaf.clone());
            }
        }
    }
    let mut into = BTreeMap::new();
    walk("", tree, &mut into);
    into
}

/// `read` as far as it can be in force now: what waits for the next start is as it was.
pub fn in_force(now: &Config, read: Config, waits: &[String]) -> Config {
    let is_live = |key: &str| !waits.iter().any(|waits| waits == key);
    let mut effective = read.effective;
    for key in waits {
        let pointer = format!("/{}", key.replace('.', "/"));
        if let (Some(new), Some(old)) = (effective.pointer_mut(&pointer), now.effective.pointer(&pointer)) {
            *new = old.clone();
        }
    }
    Config {
        server: Server {
            trusted_proxies: if is_live("server.trusted_proxies") {
                read.server.trusted_proxies
            } else {
                now.server.trusted_proxies.clone()
            },
            connections_max: read.server.connections_max,
            ..now.server.clone()
        },
        tls: now.tls.clone(),
        shards: Shards {
            backlog_bytes: if is_live("shards.backlog_bytes") {
                read.shards.backlog_bytes
            } else {
                now.shards.backlog_bytes
            },
            ..now.shards.clone()
        },
        limits: read.limits,
        auth: Auth {
            cache_tokens: now.auth.cache_tokens,
            ..read.auth
        },
        timeouts: read.timeouts,
        http: read.http,
        overload: Overload {
            inflight_per_thread: now.overload.inflight_per_thread,
            ..read.overload
        },
        backoffice: now.backoffice,
        store: now.store.clone(),
        remote: now.remote.clone(),
        slow_lane: SlowLane {
            exchanges: now.slow_lane.exchanges,
            running: now.slow_lane.running,
            ..read.slow_lane
        },
        observe: now.observe,
        logging: Logging {
            json: now.logging.json,
            ..read.logging
        },
        effective,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    #[test]
    fn the_local_key_stays_in_the_data_directory_that_is_in_use() {
        let config = |data: &str| {
            let set = vec![format!("server.data={data}")];
            let sources = Sources {
                set,
                ..Sources::default()
            };
            sources.load().unwrap()
        };
        let (now, mut read) = (config("/one"), config("/two"));
        keep_local_key(&now, &mut read);
        assert_eq!(read.auth.keys, now.auth.keys);
        assert_eq!(read.auth.local_key, now.auth.local_key);
        assert_eq!(Difference::between(&now, &read).live, [""; 0]);
    }

    #[test]
    fn every_key_that_is_said_to_be_live_is_a_key() {
        let keys = leaves(&Sources::default().load().unwrap().effective);
        for live in LIVE {
            let known = keys
                .keys()
                .any(|key| key == live || (live.ends_with('.') && key.starts_with(live)));
            assert!(known, "{live}");
        }
    }
}
