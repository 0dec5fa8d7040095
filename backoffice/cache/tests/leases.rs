//! Leases and the fence in MySQL, on a real Redis and a real MariaDB.

#[path = "../../mysql/tests/support/database.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod database;
#[path = "support/redis.rs"]
#[allow(dead_code, reason = "other tests need more of it")]
mod redis;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use database::{Scratch, runtime};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, TxOpts};
use redis::Redis;
use rustix::process::{Pid, Signal, kill_process};
use tidegate_cache::{Cache, Lease, Leases, Settings};
use tidegate_mysql::{MysqlError, fences};

const JOB: &str = "settle";
const LIFE: Duration = Duration::from_millis(1500);
/// For the child: this program again, as the holder that is stopped.
const CHILD: &str = "TIDEGATE_TEST_HOLDER";

async fn leases(url: &str) -> Leases {
    let mut settings = Settings::new(url);
    settings.answer_timeout = Duration::from_secs(1);
    Cache::open(settings).await.expect("the cache opens").leases()
}

async fn connect(url: &str) -> Conn {
    Conn::new(Opts::from_url(url).unwrap())
        .await
        .expect("a connection")
}

/// The lease with a token that was claimed, as whoever runs a job takes it.
async fn take(leases: &Leases, conn: &mut Conn) -> Lease {
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < Duration::from_secs(20), "the lease is taken");
        let known = fences::highest(conn, JOB).await.unwrap();
        // A Redis that was started anew is not connected to yet.
        if let Ok(Some(lease)) = leases.acquire(JOB, LIFE, known).await {
            if fences::claim(conn, JOB, lease.token()).await.unwrap() {
                return lease;
            }
            lease.release().await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn write(conn: &mut Conn, token: u64, by: &str) -> Result<(), MysqlError> {
    let mut tx = conn.start_transaction(TxOpts::default()).await?;
    fences::check(&mut tx, JOB, token).await?;
    tx.exec_drop("INSERT INTO work (token, by_whom) VALUES (?, ?)", (token, by))
        .await?;
    Ok(tx.commit().await?)
}

/// Not a test of its own: the holder in the process that the next one stops.
#[test]
fn the_holder_of_the_test_below() {
    let Ok(urls) = std::env::var(CHILD) else { return };
    let (redis, mysql) = urls.split_once(' ').expect("two URLs");
    runtime().block_on(async {
        let (leases, mut conn) = (leases(redis).await, connect(mysql).await);
        let lease = take(&leases, &mut conn).await;
        loop {
            // It never asks whether it still holds: so is a process that was stopped between asking and writing.
            match write(&mut conn, lease.token(), "first").await {
                Ok(()) => println!("\nWROTE {}", lease.token()),
                Err(error) => {
                    println!("\nREFUSED {error}");
                    return;
                }
            }
            // Long against the time in which it is stopped after a line: a process that is stopped within a transaction keeps the fence's row
            // locked until the server ends its connection.
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
}

fn tables() -> Option<(Redis, Scratch)> {
    let (redis, scratch) = (Redis::start()?, Scratch::make()?);
    drop(scratch.open());
    scratch.run("CREATE TABLE work (at INT AUTO_INCREMENT PRIMARY KEY, token BIGINT UNSIGNED, by_whom VARCHAR(16)) ENGINE = InnoDB");
    Some((redis, scratch))
}

#[test]
fn a_holder_that_is_stopped_and_goes_on_after_another_took_over_writes_nothing_more() {
    let Some((redis, scratch)) = tables() else { return };
    let url = redis.settings().url;
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["the_holder_of_the_test_below", "--exact", "--nocapture"])
        .env(CHILD, format!("{url} {}", scratch.url))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    let wrote = lines.find(|line| line.starts_with("WROTE")).expect("it writes");
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::STOP).unwrap();
    let second = runtime().block_on(async {
        let (leases, mut conn) = (leases(&url).await, connect(&scratch.url).await);
        let lease = take(&leases, &mut conn).await;
        write(&mut conn, lease.token(), "second").await.unwrap();
        lease.token()
    });
    kill_process(pid, Signal::CONT).unwrap();
    let refused = lines
        .find(|line| line.starts_with("REFUSED"))
        .expect("it is refused");
    child.wait().unwrap();
    assert!(refused.contains("taken over"), "{refused}");
    assert!(wrote.ends_with(" 1") && second > 1, "{wrote}, then {second}");
    let after = scratch.rows("SELECT count(*) FROM work WHERE by_whom = 'first' AND at > (SELECT max(at) FROM work WHERE by_whom = 'second')");
    assert_eq!(after, ["'0'"]);
}

#[test]
fn a_lease_is_renewed_runs_out_and_is_given_back_by_its_holder_alone() {
    let Some(redis) = Redis::start() else { return };
    runtime().block_on(async {
        let leases = leases(&redis.settings().url).await;
        let mut first = leases.acquire(JOB, LIFE, 0).await.unwrap().expect("it is free");
        for _ in 0..4 {
            tokio::time::sleep(LIFE / 2).await;
            assert!(first.renew().await.unwrap() && first.holds());
            assert!(
                leases.acquire(JOB, LIFE, 0).await.unwrap().is_none(),
                "it is held"
            );
        }
        tokio::time::sleep(LIFE + Duration::from_millis(100)).await;
        assert!(!first.holds());
        let second = leases.acquire(JOB, LIFE, 0).await.unwrap().expect("it ran out");
        assert_eq!((first.token(), second.token()), (1, 2));
        assert!(!first.renew().await.unwrap());
        assert!(!first.release().await.unwrap(), "it is the second's");
        assert!(leases.acquire(JOB, LIFE, 0).await.unwrap().is_none());
        assert!(second.release().await.unwrap());
        assert!(leases.acquire(JOB, LIFE, 1 << 53).await.is_err());
    });
}

#[test]
fn tokens_do_not_go_back_with_a_redis_that_lost_its_count_and_none_is_good_for_two_holders() {
    let Some((mut redis, scratch)) = tables() else {
        return;
    };
    let url = redis.settings().url;
    runtime().block_on(async {
        let (giver, mut conn) = (leases(&url).await, connect(&scratch.url).await);
        for _ in 0..3 {
            let lease = take(&giver, &mut conn).await;
            assert!(lease.release().await.unwrap());
        }
        // It has a token, and is stopped before it claims it.
        let idle = giver.acquire(JOB, LIFE, 3).await.unwrap().expect("it is free");
        assert_eq!(idle.token(), 4);
        redis.kill();
        redis.start_again();
        let next = take(&giver, &mut conn).await;
        assert_eq!(next.token(), 4, "the most that MySQL knew, and one");
        write(&mut conn, next.token(), "next").await.unwrap();
        assert!(
            !fences::claim(&mut conn, JOB, idle.token()).await.unwrap(),
            "not for two"
        );
        redis.kill();
        redis.start_again();
        let last = take(&giver, &mut conn).await;
        assert_eq!(last.token(), 5);
        assert!(write(&mut conn, 4, "next").await.is_err());
        write(&mut conn, 5, "last").await.unwrap();
    });
    assert_eq!(
        scratch.rows("SELECT by_whom FROM work ORDER BY at"),
        ["'next'", "'last'"]
    );
}
