use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::gcra::{Limit, SETS_DEFAULT};

/// A file, and a reloader of it without a gateway.
struct World {
    dir: TempDir,
    reloader: Reloader,
}

impl World {
    fn new(text: &str) -> World {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tidegate.toml"), text).unwrap();
        let sources = Sources {
            file: Some(dir.path().join("tidegate.toml")),
            set: vec!["auth.local_key=false".into()],
            ..Sources::default()
        };
        let config = Arc::new(sources.load().unwrap());
        let table = |limit| Arc::new(crate::gcra::Table::new(limit, SETS_DEFAULT, clock::now_ns()));
        let reloader = Reloader::new(Parts {
            buckets: Buckets {
                address: table(config.limits.address),
                user: table(config.limits.user),
                handshakes: table(config.limits.handshakes),
            },
            keys: Arc::new(SharedKeys::load(keys::Sources::of(&config.auth)).unwrap()),
            live: Arc::new(Live::new(config)),
            sources,
            knobs: Arc::new(Knobs::new(1)),
            filter: None,
        });
        World { dir, reloader }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("tidegate.toml")
    }

    fn write(&self, text: &str) {
        std::fs::write(self.path(), text).unwrap();
    }

    fn config(&self) -> Arc<Config> {
        self.reloader.parts.live.current()
    }
}

const KEY: &str =
    "[[auth.keys]]\nkid = \"a\"\nalgorithm = \"HS256\"\nsecret = \"0123456789abcdef0123456789abcdef\"\n";

#[test]
fn what_can_change_changes_and_what_cannot_is_named_and_does_not_spoil_the_rest() {
    let world = World::new(KEY);
    world.write(&format!(
        "{KEY}[server]\nthreads = 7\ntrusted_proxies = [\"10.0.0.0/8\"]\n[limits.user]\nrate = 50\n[overload]\nshed_after_ms = 70\n[tls]\nreload_s = 9\n"
    ));
    let generation = world.reloader.parts.live.generation();
    let outcome = world.reloader.reload("a test");
    assert_eq!(outcome.result, Ending::Applied);
    assert_eq!(
        outcome.changed,
        [
            "limits.user.rate",
            "overload.shed_after_ms",
            "server.trusted_proxies"
        ]
    );
    assert_eq!(outcome.at_the_next_start, ["server.threads", "tls.reload_s"]);
    let config = world.config();
    assert!(world.reloader.parts.live.generation() > generation);
    assert_eq!(config.limits.user, Limit::bucket(50.0, 20).unwrap());
    assert!(config.server.trusted_proxies.trusts("10.1.2.3".parse().unwrap()));
    assert_eq!(config.server.threads, None);
    assert_eq!(
        config.effective["server"]["threads"], 0,
        "what is in force is shown"
    );
    assert_eq!(config.effective["limits"]["user"]["rate"], 50);
    assert_eq!(world.reloader.parts.knobs.shed_after_ns(), 70_000_000);

    // It still waits, and is still named.
    let again = world.reloader.reload("a test");
    assert_eq!((again.result, again.changed.len()), (Ending::Applied, 0));
    assert_eq!(again.at_the_next_start, ["server.threads", "tls.reload_s"]);
    world.write(KEY);
    world.reloader.reload("a test");
    assert_eq!(world.reloader.reload("a test").result, Ending::Unchanged);
    assert_eq!(
        world.reloader.counts(),
        [("applied", 3), ("unchanged", 1), ("failed", 0)]
    );
}

#[test]
fn a_key_waits_with_the_one_it_is_checked_against_and_another_data_directory_spoils_nothing() {
    let world = World::new(&format!("{KEY}[shards]\nsegment_bytes = 16777216\n"));
    let data = world.dir.path().join("elsewhere");
    world.write(&format!(
        "{KEY}[shards]\nsegment_bytes = 1048576\nbacklog_bytes = 2097152\n[server]\nlisten = \"0.0.0.0:443\"\ntrusted_proxies = []\ndata = {data:?}\n[limits.user]\nrate = 50\n"
    ));
    let outcome = world.reloader.reload("a test");
    assert_eq!(outcome.changed, ["limits.user.rate"], "{outcome:?}");
    for key in [
        "shards.segment_bytes",
        "shards.backlog_bytes",
        "server.listen",
        "server.trusted_proxies",
        "server.data",
    ] {
        assert!(
            outcome.at_the_next_start.iter().any(|waits| waits == key),
            "{key}: {outcome:?}"
        );
    }
    let config = world.config();
    assert_eq!(config.shards.backlog_bytes, 8 << 30);
    assert!(config.server.trusted_proxies.trusts("127.0.0.1".parse().unwrap()));
    assert_eq!(config.effective["shards"]["backlog_bytes"], 8_u64 << 30);
}

#[test]
fn a_file_with_a_mistake_changes_nothing_and_names_it() {
    let world = World::new(KEY);
    let generation = world.reloader.parts.live.generation();
    for (text, place) in [
        ("[limits.user]\nrate = 50\nbursst = 1\n", "tidegate.toml"),
        (
            "[limits.user]\nrate = 50\n[http]\nhead_bytes = 1\n",
            "http.head_bytes",
        ),
        (
            "[limits.user]\nrate = 50\n[logging]\nfilter = \"a=b=c\"\n",
            "logging.filter",
        ),
        (
            "[limits.user]\nrate = 50\n[auth]\njwks_file = \"/nowhere/jwks.json\"\n",
            "/nowhere/jwks.json",
        ),
    ] {
        world.write(&format!("{KEY}{text}"));
        let outcome = world.reloader.reload("a test");
        assert_eq!(outcome.result, Ending::Failed, "{text}");
        let error = outcome.error.unwrap();
        assert!(error.contains(place), "{text}: {error}");
        assert_eq!(world.config().limits.user, Limit::bucket(10.0, 20).unwrap());
        assert_eq!(world.reloader.parts.live.generation(), generation);
    }
    std::fs::remove_file(world.path()).unwrap();
    assert_eq!(world.reloader.reload("a test").result, Ending::Failed);
    assert_eq!(world.reloader.counts()[2], ("failed", 5));
    assert_eq!(world.reloader.last().unwrap().result, Ending::Failed);
}

#[test]
fn another_secret_is_seen_although_it_is_hidden() {
    let world = World::new(KEY);
    let generation = world.reloader.parts.keys.generation();
    world.write(&KEY.replace("0123", "3210"));
    let outcome = world.reloader.reload("a test");
    assert_eq!(outcome.changed, ["auth.keys"]);
    assert!(world.reloader.parts.keys.generation() > generation);
}

#[test]
fn a_changed_file_is_taken_when_it_has_been_the_same_for_two_looks() {
    let world = World::new(KEY);
    assert_eq!(world.reloader.reload_if_changed(), None);
    world.write(&format!("{KEY}[limits.user]\nrate"));
    assert_eq!(world.reloader.reload_if_changed(), None, "half of it");
    world.write(&format!("{KEY}[limits.user]\nrate = 50\n"));
    assert_eq!(
        world.reloader.reload_if_changed(),
        None,
        "all of it, for the first time"
    );
    let outcome = world.reloader.reload_if_changed().unwrap();
    assert_eq!(outcome.changed, ["limits.user.rate"]);
    assert_eq!(world.reloader.reload_if_changed(), None);
}
