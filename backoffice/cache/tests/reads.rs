//! Reads through two caches as of two processes, on a real Redis.

#[path = "support/redis.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod redis;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{Redis, followed};
use tidegate_cache::{Cache, Settings};
use tokio::sync::Notify;
use tokio::time::sleep;

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A row and how often it was read.
#[derive(Default)]
struct Source {
    value: AtomicU64,
    loads: AtomicU64,
}

impl Source {
    /// The row, after a database's while; 0 is no row.
    async fn load(&self) -> Result<Option<u64>, Infallible> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        let value = self.value.load(Ordering::SeqCst);
        sleep(MS(30)).await;
        Ok((value > 0).then_some(value))
    }
}

async fn read(cache: &Cache, key: &str, source: &Source) -> Option<u64> {
    cache.get(key, || source.load()).await.expect("it is read")
}

async fn ask_at_once(caches: &[Cache; 2], key: &'static str, source: &Arc<Source>) {
    let asked: Vec<_> = (0..10_000)
        .map(|i| {
            let (cache, source) = (caches[i % 2].clone(), source.clone());
            tokio::spawn(async move { read(&cache, key, &source).await })
        })
        .collect();
    let expected = source.value.load(Ordering::SeqCst);
    for task in asked {
        assert_eq!(task.await.unwrap(), (expected > 0).then_some(expected));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_and_an_expired_key_asked_10000_times_at_once_by_two_processes_reach_the_loader_twice_at_most()
 {
    let Some(redis) = Redis::start() else { return };
    let settings = Settings {
        life: MS(3000),
        absence_life: MS(3000),
        near_life: MS(500),
        wait_max: MS(5000),
        mark_life: MS(60_000),
        ..redis.settings()
    };
    let (first, _invalidator) = followed(settings.clone()).await;
    let caches = [first, Cache::open(settings).await.unwrap()];
    for (key, value) in [("absent", 0), ("hot", 7)] {
        let source = Arc::new(Source::default());
        source.value.store(value, Ordering::SeqCst);
        for round in 1..=2 {
            ask_at_once(&caches, key, &source).await;
            let loads = source.loads.load(Ordering::SeqCst);
            assert!(
                (round..=2 * round).contains(&loads),
                "{key}, round {round}: {loads} loads"
            );
            sleep(MS(3600)).await;
        }
    }
    let metrics = caches[0].metrics();
    assert_eq!(metrics.fallbacks.get() + metrics.unreadable.get(), 0);
    assert!(metrics.absences.get() + caches[1].metrics().absences.get() > 0);
}

#[tokio::test]
async fn a_load_that_began_before_a_change_puts_no_old_value_back_into_any_level() {
    let Some(redis) = Redis::start() else { return };
    let (first, invalidator) = followed(redis.settings()).await;
    let second = Cache::open(redis.settings()).await.unwrap();
    for (cache, key) in [(&first, "sku:1"), (&second, "sku:2")] {
        let (begun, goes_on) = (Notify::new(), Notify::new());
        let slow = cache.get(key, || async {
            begun.notify_one();
            goes_on.notified().await;
            Ok::<_, Infallible>(Some(1_u64))
        });
        let change = async {
            begun.notified().await;
            // The row is 2 from here on; the one who reads has read 1.
            invalidator.invalidate(key, 10).await.unwrap();
            goes_on.notify_one();
        };
        let (old, ()) = tokio::join!(slow, change);
        assert_eq!(old.unwrap(), Some(1), "who asked before the change may see it");
        assert_eq!(cache.metrics().overtaken.get(), 1);
        let source = Source::default();
        source.value.store(2, Ordering::SeqCst);
        assert_eq!(read(&first, key, &source).await, Some(2), "here at once");
        sleep(MS(600)).await;
        assert_eq!(
            read(&second, key, &source).await,
            Some(2),
            "elsewhere after near_life"
        );
    }
}

#[tokio::test]
async fn a_repeated_or_older_invalidation_leaves_what_was_loaded_since_and_a_newer_one_does_not() {
    let Some(redis) = Redis::start() else { return };
    let (cache, invalidator) = followed(redis.settings()).await;
    let source = Source::default();
    source.value.store(1, Ordering::SeqCst);
    for (op, loads) in [
        (9_007_199_254_740_993, 1),
        (9_007_199_254_740_993, 1),
        (9, 1),
        (9_007_199_254_740_994, 2),
    ] {
        invalidator.invalidate("order:5", op).await.unwrap();
        assert_eq!(read(&cache, "order:5", &source).await, Some(1));
        assert_eq!(source.loads.load(Ordering::SeqCst), loads, "after op {op}");
    }
    assert_eq!(cache.metrics().invalidations.get(), 4);
    assert_eq!(cache.metrics().far_hits.get(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_keys_written_at_once_expire_over_time_and_are_loaded_once_each() {
    let Some(redis) = Redis::start() else { return };
    let settings = Settings {
        life: MS(8000),
        near_life: MS(1),
        mark_life: MS(60_000),
        wait_max: MS(5000),
        ..redis.settings()
    };
    let (cache, _invalidator) = followed(settings).await;
    let sources: Arc<Vec<Source>> = Arc::new((0..1000).map(|_| Source::default()).collect());
    let all = async |from: Instant| {
        let asked: Vec<_> = (0..sources.len())
            .map(|at| {
                let (cache, sources) = (cache.clone(), sources.clone());
                sources[at].value.store(1, Ordering::SeqCst);
                tokio::spawn(async move { read(&cache, &format!("sku:{at}"), &sources[at]).await })
            })
            .collect();
        for task in asked {
            assert_eq!(task.await.unwrap(), Some(1));
        }
        let loads: u64 = sources
            .iter()
            .map(|source| source.loads.load(Ordering::SeqCst))
            .sum();
        (from.elapsed(), loads)
    };
    let begun = Instant::now();
    assert_eq!(all(begun).await.1, 1000);
    let mut slices = vec![1000];
    while begun.elapsed() < MS(9500) && slices.last() < Some(&2000) {
        sleep(MS(300)).await;
        let (at, loads) = all(begun).await;
        // The earliest that was loaded again may end again six seconds later, which is after this.
        assert!(at < MS(11_500), "this machine is too slow for the test: {at:?}");
        slices.push(loads);
    }
    assert_eq!(slices.last(), Some(&2000), "once a key: {slices:?}");
    assert!(
        sources
            .iter()
            .all(|source| source.loads.load(Ordering::SeqCst) == 2)
    );
    let most = slices.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
    assert!(
        most < 700,
        "spread over two seconds, no slice has most of them: {slices:?}"
    );
}

#[tokio::test]
async fn what_another_program_wrote_is_loaded_again_and_a_key_that_cannot_be_used_is_named() {
    let Some(redis) = Redis::start() else { return };
    let (cache, _invalidator) = followed(redis.settings()).await;
    let mark = redis.cli(&["GET", "tidegate:mark:store"]);
    let source = Source::default();
    source.value.store(3, Ordering::SeqCst);
    for (key, value) in [("a", "b\nv3"), ("c", "c\nv\"text\""), ("d", "rubbish")] {
        redis.cli(&[
            "SET",
            &format!("tidegate:value:{key}"),
            &format!("{mark}\n{value}"),
        ]);
        assert_eq!(read(&cache, key, &source).await, Some(3));
    }
    assert_eq!(cache.metrics().unreadable.get(), 3);
    for key in ["", "a\nb", &"k".repeat(257)] {
        let error = cache.get(key, || source.load()).await.unwrap_err().to_string();
        assert!(error.contains("right is 1 to 256 bytes"), "{error}");
    }
}
