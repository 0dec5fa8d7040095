//! Redis is killed, or stands still.

#[path = "support/redis.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod redis;

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::{Redis, followed};
use tidegate_cache::{Cache, Settings};
use tokio::time::sleep;

const MS: fn(u64) -> Duration = Duration::from_millis;

async fn read(cache: &Cache, key: &str, value: u64) -> u64 {
    let value = cache
        .get(key, || async { Ok::<_, Infallible>(Some(value)) })
        .await;
    value.expect("it is read").expect("it is there")
}

/// Beats until it is taken, and gives how long that took.
async fn beats_again(invalidator: &tidegate_cache::Invalidator) -> Duration {
    let begun = Instant::now();
    while let Err(error) = invalidator.beat().await {
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "it comes back by itself: {error}"
        );
        sleep(MS(50)).await;
    }
    begun.elapsed()
}

/// Reads until Redis answers it.
async fn hits_again(cache: &Cache, key: &str, value: u64) {
    let (begun, before) = (Instant::now(), cache.metrics().far_hits.get());
    while cache.metrics().far_hits.get() == before {
        assert_eq!(read(cache, key, value).await, value);
        assert!(
            begun.elapsed() < Duration::from_secs(30),
            "Redis serves again: {:?}",
            cache.metrics()
        );
        sleep(MS(50)).await;
    }
}

fn settings(redis: &Redis) -> Settings {
    Settings {
        near_life: MS(20),
        mark_life: MS(1500),
        ..redis.settings()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_redis_is_killed_reads_go_to_the_loader_bounded_and_it_comes_back_by_itself() {
    let Some(mut redis) = Redis::start() else { return };
    let settings = Settings {
        loads_max: 8,
        load_timeout: Duration::from_secs(20),
        ..settings(&redis)
    };
    let (cache, invalidator) = followed(settings).await;
    assert_eq!(read(&cache, "sku:1", 1).await, 1);
    redis.kill();
    // Longer than near_life.
    sleep(MS(50)).await;
    let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let begun = Instant::now();
    let asked: Vec<_> = (0..2000)
        .map(|i| {
            let (cache, now, most) = (cache.clone(), now.clone(), most.clone());
            tokio::spawn(async move {
                let load = || async {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(MS(5)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok::<_, Infallible>(Some(2_u64))
                };
                cache.get(&format!("sku:{}", i % 200), load).await.unwrap()
            })
        })
        .collect();
    for task in asked {
        assert_eq!(task.await.unwrap(), Some(2), "never the value of before");
    }
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    let most = most.load(Ordering::SeqCst);
    assert!((2..=8).contains(&most), "{most} loads at the same time");
    assert!(invalidator.invalidate("sku:1", 5).await.is_err(), "it is said");
    redis.start_again();
    beats_again(&invalidator).await;
    hits_again(&cache, "sku:1", 3).await;
}

#[tokio::test]
async fn a_redis_that_stands_still_costs_a_few_deadlines_and_what_could_not_be_invalidated_is_not_served_after_it()
 {
    let Some(redis) = Redis::start() else { return };
    let settings = Settings {
        answer_timeout: MS(200),
        breaker_failures: 3,
        ..settings(&redis)
    };
    let (cache, invalidator) = followed(settings.clone()).await;
    let other = Cache::open(settings).await.unwrap();
    assert_eq!(read(&cache, "sku:1", 1).await, 1);
    hits_again(&other, "sku:1", 1).await;
    redis.stop();
    // The row is 2 from here on.
    assert!(invalidator.invalidate("sku:1", 9).await.is_err());
    let begun = Instant::now();
    for key in 0..200 {
        assert_eq!(read(&other, &format!("sku:new:{key}"), 2).await, 2);
    }
    let waited = begun.elapsed();
    assert!(
        waited < MS(6000),
        "without a breaker it would be 40 s: {waited:?}"
    );
    // Longer than the mark lives: nothing of before is served from the first answer on, although the invalidator says nothing yet.
    let rest = MS(1700).saturating_sub(begun.elapsed());
    sleep(rest).await;
    redis.go_on();
    for _ in 0..40 {
        assert_eq!(read(&other, "sku:1", 2).await, 2, "Redis holds the old one still");
        sleep(MS(40)).await;
    }
    assert_eq!(redis.cli(&["EXISTS", "tidegate:mark:store"]), "0");
    beats_again(&invalidator).await;
    assert!(cache.metrics().voids.get() >= 2, "{:?}", cache.metrics());
    hits_again(&other, "sku:1", 2).await;
}

#[tokio::test]
async fn after_an_invalidation_that_failed_all_is_void_at_the_next_word_even_if_the_mark_is_still_there() {
    let Some(redis) = Redis::start() else { return };
    let settings = Settings {
        answer_timeout: MS(200),
        mark_life: MS(60_000),
        ..settings(&redis)
    };
    let (cache, invalidator) = followed(settings).await;
    assert_eq!(read(&cache, "sku:1", 1).await, 1);
    assert_eq!(read(&cache, "sku:2", 1).await, 1);
    redis.stop();
    assert!(invalidator.invalidate("sku:1", 9).await.is_err());
    redis.go_on();
    beats_again(&invalidator).await;
    sleep(MS(50)).await;
    assert_eq!(read(&cache, "sku:2", 2).await, 2);
    assert_eq!(read(&cache, "sku:1", 2).await, 2);
}

#[tokio::test]
async fn without_a_word_of_the_invalidator_redis_serves_nothing_and_a_start_without_redis_is_a_start() {
    let Some(mut redis) = Redis::start() else { return };
    redis.kill();
    let cache = Cache::open(settings(&redis))
        .await
        .expect("Redis need not be there");
    assert_eq!(read(&cache, "sku:1", 1).await, 1);
    redis.start_again();
    let invalidator = cache.invalidator("store").unwrap();
    beats_again(&invalidator).await;
    hits_again(&cache, "sku:1", 2).await;
    sleep(MS(1700)).await;
    assert_eq!(read(&cache, "sku:1", 3).await, 3, "the consumer is silent");
    assert!(cache.invalidator("nobody").is_err());
}
