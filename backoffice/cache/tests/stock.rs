//! The mirror of stock, on a real Redis.

#[path = "support/redis.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod redis;

use redis::Redis;
use tidegate_cache::{Cache, Stock};

fn stock(op: u64) -> Stock {
    Stock {
        available: op * 3 % 1000,
        op,
        shard: 7,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shuffled_and_repeated_writes_of_several_writers_never_take_a_reader_back() {
    let Some(redis) = Redis::start() else { return };
    let cache = Cache::open(redis.settings()).await.unwrap();
    let reader = cache.stock();
    // Ops on both sides of where doubles end, and where a text grows by a digit.
    let ops: Vec<u64> = (1..=500).chain((1 << 53) - 20..(1 << 53) + 20).collect();
    let mut mirrors = Vec::new();
    for _ in 0..4 {
        mirrors.push(Cache::open(redis.settings()).await.unwrap().stock());
    }
    let mut writers = Vec::new();
    for (writer, mirror) in (0..).zip(mirrors) {
        let mut ops: Vec<u64> = ops.iter().chain(&ops).copied().collect();
        writers.push(tokio::spawn(async move {
            let mut random = 0x9e37_79b9_7f4a_7c15_u64.wrapping_mul(writer + 1);
            while !ops.is_empty() {
                random ^= random << 13;
                random ^= random >> 7;
                random ^= random << 17;
                // Among the next thirty, so that the mirror moves for as long as there are writes.
                let at = (random % ops.len().min(30) as u64) as usize;
                mirror.write("sku:1", stock(ops.remove(at))).await.unwrap();
            }
        }));
    }
    let (mut last, mut changes) = (0, 0);
    loop {
        let done = writers.iter().all(tokio::task::JoinHandle::is_finished);
        if let Some(read) = reader.read("sku:1").await.unwrap() {
            assert!(read.op >= last, "{} after {last}", read.op);
            assert_eq!(read, stock(read.op));
            changes += u32::from(read.op > last);
            last = read.op;
        }
        if done {
            break;
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(last, (1 << 53) + 19);
    assert!(changes > 1, "the reader was there meanwhile");
}

#[tokio::test]
async fn a_reader_does_not_go_back_with_a_redis_that_lost_its_data_and_another_shards_op_is_refused() {
    let Some(redis) = Redis::start() else { return };
    let cache = Cache::open(redis.settings()).await.unwrap();
    let mirror = cache.stock();
    assert_eq!(mirror.read("sku:1").await.unwrap(), None);
    assert!(mirror.write("sku:1", stock(10)).await.unwrap());
    assert!(!mirror.write("sku:1", stock(10)).await.unwrap());
    assert!(!mirror.write("sku:1", stock(9)).await.unwrap());
    let other = Stock {
        shard: 8,
        ..stock(11)
    };
    assert!(mirror.write("sku:1", other).await.is_err());
    assert_eq!(mirror.read("sku:1").await.unwrap(), Some(stock(10)));
    redis.cli(&["FLUSHALL"]);
    assert_eq!(mirror.read("sku:1").await.unwrap(), Some(stock(10)));
    assert!(
        mirror.write("sku:1", stock(5)).await.unwrap(),
        "Redis does not know better"
    );
    assert_eq!(
        mirror.read("sku:1").await.unwrap(),
        Some(stock(10)),
        "the reader does"
    );
    assert!(mirror.write("sku:1", stock(12)).await.unwrap());
    assert_eq!(mirror.read("sku:1").await.unwrap(), Some(stock(12)));
}
