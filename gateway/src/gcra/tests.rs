use super::*;
use std::sync::Arc;
use std::thread;

const SECOND: u64 = 1_000_000_000;

fn table(rate: f64, burst: u32) -> Table {
    Table::new(Limit::Bucket { rate, burst }, 1 << 10, 0)
}

fn buyer(n: u64) -> [u8; 16] {
    u128::from(n).to_le_bytes()
}

#[test]
fn an_off_limit_admits_everything_and_has_no_slots() {
    let table = Table::new(Limit::Off, 16, 0);
    let key = table.buyer_key(&buyer(1));
    assert!((0..1_000).all(|_| table.take(key, 0) == Take::UNLIMITED));
    assert!(table.is_off() && table.sets.get().is_none());
}

#[test]
fn a_full_bucket_admits_its_burst_and_then_its_rate() {
    let table = table(10.0, 20);
    let key = table.buyer_key(&buyer(1));
    for left in (0..20).rev() {
        let take = table.take(key, 5 * SECOND);
        assert!(take.allowed);
        assert_eq!(take.remaining, left);
    }
    let refused = table.take(key, 5 * SECOND);
    assert!(!refused.allowed);
    assert_eq!(refused.retry_after_ns, SECOND / 10);
    assert_eq!(
        refused.retry_after_s(),
        1,
        "Retry-After is never below one second"
    );
    assert!(!table.take(key, 5 * SECOND + SECOND / 10 - 1000).allowed);
    assert!(table.take(key, 5 * SECOND + SECOND / 10).allowed);
    assert!(!table.take(key, 5 * SECOND + SECOND / 10).allowed);
}

#[test]
fn a_refused_take_costs_nothing() {
    let table = table(1.0, 1);
    let key = table.buyer_key(&buyer(1));
    assert!(table.take(key, 0).allowed);
    for _ in 0..1000 {
        assert!(!table.take(key, SECOND / 2).allowed);
    }
    assert!(table.take(key, SECOND).allowed);
}

#[test]
fn the_last_admitted_take_says_when_the_next_one_is() {
    let table = table(2.0, 2);
    let key = table.buyer_key(&buyer(1));
    assert_eq!(table.take(key, 0).retry_after_ns, 0);
    assert_eq!(table.take(key, 0).retry_after_ns, SECOND / 2);
}

#[test]
fn keys_do_not_disturb_each_other() {
    let table = table(1.0, 1);
    let mut refused = 0;
    for n in 0..2_000 {
        refused += u32::from(!table.take(table.buyer_key(&buyer(n)), 0).allowed);
    }
    // 2,000 live keys in 8,192 slots: two of them share a tag in 1,024 x C(2,2)/16,384 of the cases.
    assert!(refused <= 3, "{refused} of 2000 shared a bucket");
}

#[test]
fn a_table_that_overflows_refuses_too_much_and_never_admits_too_much() {
    let table = Table::new(Limit::Bucket { rate: 1.0, burst: 1 }, 1, 0);
    let admitted = (0..1_000)
        .filter(|n| table.take(table.buyer_key(&buyer(*n)), 0).allowed)
        .count();
    assert_eq!(admitted, WAYS);
}

#[test]
fn an_expired_slot_serves_the_next_key() {
    let table = Table::new(Limit::Bucket { rate: 1.0, burst: 1 }, 1, 0);
    let mut refused = 0;
    for round in 0..100 {
        for n in 0..WAYS as u64 {
            let take = table.take(table.buyer_key(&buyer(round * 8 + n)), round * SECOND);
            refused += u32::from(!take.allowed);
        }
    }
    // Two keys of a round share a tag in C(8,2) / 16,384 of the rounds: five such rounds of a hundred come once in 10^6 runs.
    assert!(
        refused < 5,
        "{refused} of 800 takes met a slot that should have been free"
    );
}

#[test]
fn one_key_on_all_threads_at_ten_times_its_limit_gets_the_limit_within_two_percent() {
    let table = Arc::new(table(1_000.0, 100));
    let key = table.buyer_key(&buyer(7));
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                // 2,500 takes a second on each of four threads, for ten seconds of table time.
                (0..25_000_u64)
                    .filter(|n| table.take(key, n * 400_000 + thread * 100_000).allowed)
                    .count()
            })
        })
        .collect();
    let admitted: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    // The threads' clocks are not in step: one that runs ahead uses the budget of the others' past, and none of
    // them can make the sum exceed rate x time + burst.
    assert!(admitted <= (10_000.0_f64 * 1.02) as usize + 100, "{admitted}");
    assert!(admitted >= (10_000.0_f64 * 0.98) as usize, "{admitted}");
}

#[test]
fn threads_that_race_for_new_keys_admit_at_most_one_extra_take_each() {
    let table = Arc::new(Table::new(Limit::Bucket { rate: 1.0, burst: 5 }, 64, 0));
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let table = Arc::clone(&table);
            thread::spawn(move || {
                (0..200_u64)
                    .map(|n| {
                        (0..10)
                            .filter(|_| table.take(table.buyer_key(&buyer(n)), n / 20 * SECOND).allowed)
                            .count()
                    })
                    .sum::<usize>()
            })
        })
        .collect();
    let admitted: usize = threads.into_iter().map(|t| t.join().unwrap()).sum();
    assert!(admitted <= 200 * 5 + 200 * 3 + 500, "{admitted}");
}

#[test]
fn the_highest_rate_is_within_two_percent_too() {
    for rate in [RATE_MAX, 77_777.0, 33_333.0, 7_001.0, 3.0] {
        let got = 1e9 / (Pace::of(rate, 1).interval * UNIT_NS) as f64;
        assert!((got / rate - 1.0).abs() < 0.02, "{rate}: {got}");
    }
}

#[test]
fn addresses_of_one_ipv6_network_share_a_bucket() {
    let table = table(1.0, 1);
    let key = |text: &str| table.address_key(text.parse().unwrap());
    assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
    assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
    assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    assert_ne!(key("192.0.2.1"), key("192.0.2.2"));
}

#[test]
fn time_before_the_tables_start_counts_as_its_start() {
    let table = Table::new(Limit::Bucket { rate: 1.0, burst: 1 }, 1, 9 * SECOND);
    let key = table.buyer_key(&buyer(1));
    assert!(table.take(key, 0).allowed);
    assert!(!table.take(key, 9 * SECOND).allowed);
}

#[test]
fn the_fields_of_a_refusal_name_the_policy_and_the_time_to_the_next_take() {
    let table = table(0.2, 2);
    let key = table.buyer_key(&buyer(1));
    assert_eq!(table.take(key, 0).ratelimit_field("user"), "\"user\";r=1;t=1");
    table.take(key, 0);
    let refused = table.take(key, SECOND);
    assert_eq!(refused.policy_field("user").unwrap(), "\"user\";q=2;w=10");
    assert_eq!(refused.ratelimit_field("user"), "\"user\";r=0;t=4");
    assert_eq!(
        refused.retry_after_s(),
        4,
        "Retry-After is not before the window's end"
    );
    assert_eq!(Take::UNLIMITED.policy_field("user"), None);
}

#[test]
fn a_new_limit_is_in_force_for_every_key_at_once() {
    let table = table(0.01, 20);
    let (busy, fresh) = (table.buyer_key(&buyer(1)), table.buyer_key(&buyer(2)));
    (0..20).for_each(|_| assert!(table.take(busy, 0).allowed));
    assert!(!table.take(busy, 0).allowed);

    // Faster: who emptied a bucket that fills in 2,000 s does not wait for it.
    table.set_limit(Limit::Bucket { rate: 10.0, burst: 5 }, 0);
    assert!(!table.take(busy, 0).allowed, "what was used stays used");
    assert!(table.take(busy, SECOND / 10).allowed);
    assert!(!table.take(busy, SECOND / 10).allowed);
    assert_eq!((0..99).filter(|_| table.take(fresh, 0).allowed).count(), 5);

    table.set_limit(Limit::Off, SECOND);
    assert!((0..99).all(|_| table.take(busy, SECOND).allowed));
    table.set_limit(Limit::Bucket { rate: 1.0, burst: 1 }, SECOND);
    assert!(table.take(busy, SECOND).allowed);
    assert!(!table.take(busy, SECOND).allowed);
}

#[test]
fn threads_that_take_while_the_limit_changes_see_one_limit_or_the_other() {
    let table = Table::new(
        Limit::Bucket {
            rate: 100_000.0,
            burst: 1,
        },
        64,
        0,
    );
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        for n in 0..2 {
            let (table, stop) = (&table, &stop);
            scope.spawn(move || {
                let mut now = 0;
                while !stop.load(Ordering::Relaxed) {
                    now += 1_000;
                    let take = table.take(table.buyer_key(&buyer(n)), now);
                    let policy = take.policy_field("p").expect("never off");
                    // A rate of one limit with the burst of the other would have a window of 11 days, or of nothing.
                    assert!(
                        policy == "\"p\";q=1;w=1" || policy == "\"p\";q=1000000;w=1000000",
                        "{policy}"
                    );
                }
            });
        }
        for n in 0..100 {
            let (rate, burst) = if n % 2 == 0 {
                (1.0, 1_000_000)
            } else {
                (100_000.0, 1)
            };
            table.set_limit(Limit::Bucket { rate, burst }, 0);
        }
        stop.store(true, Ordering::Relaxed);
    });
}
