//! The simulation as the test command runs it.

use std::sync::atomic::{AtomicU64, Ordering};

use tidegate_sim::{replay_command, run_seed};

/// Seeds of the test command; `tidegate-sim --seeds 0..100000` runs more.
const SEEDS: u64 = 2000;

#[test]
fn two_thousand_seeds_keep_every_rule() {
    let next = AtomicU64::new(0);
    let orders = AtomicU64::new(0);
    let sales_over = AtomicU64::new(0);
    let (skipped, passed_over) = (AtomicU64::new(0), AtomicU64::new(0));
    let (rolled_back, lost_answers) = (AtomicU64::new(0), AtomicU64::new(0));
    let (lost_disks, bus_troubles) = (AtomicU64::new(0), AtomicU64::new(0));
    let (deaths, only_stored) = (AtomicU64::new(0), AtomicU64::new(0));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= SEEDS {
                return;
            }
            match run_seed(seed, None, false) {
                Ok(figures) => {
                    orders.fetch_add(figures.orders, Ordering::Relaxed);
                    sales_over.fetch_add(figures.sales_over, Ordering::Relaxed);
                    skipped.fetch_add(figures.skipped, Ordering::Relaxed);
                    passed_over.fetch_add(figures.passed_over, Ordering::Relaxed);
                    rolled_back.fetch_add(figures.store.rolled_back, Ordering::Relaxed);
                    lost_answers.fetch_add(figures.store.lost_answers, Ordering::Relaxed);
                    lost_disks.fetch_add(figures.lost_disks, Ordering::Relaxed);
                    bus_troubles.fetch_add(figures.bus_troubles, Ordering::Relaxed);
                    deaths.fetch_add(figures.store.deaths, Ordering::Relaxed);
                    only_stored.fetch_add(figures.only_stored, Ordering::Relaxed);
                }
                Err(broken) => panic!("seed {seed}: {broken}\nreplay it: {}", replay_command(seed)),
            };
        }
    };
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(work);
        }
    });
    // A simulation that does nothing breaks no rule either.
    assert!(orders.into_inner() > SEEDS * 50);
    assert!(sales_over.into_inner() > SEEDS / 4, "sales ended");
    assert!(skipped.into_inner() > SEEDS, "starts read on from checkpoints");
    assert!(
        passed_over.into_inner() > SEEDS / 10,
        "damaged checkpoints were passed over"
    );
    assert!(rolled_back.into_inner() > SEEDS, "transactions were rolled back");
    assert!(lost_answers.into_inner() > SEEDS, "answers of commits were lost");
    assert!(lost_disks.into_inner() > SEEDS / 4, "disks were lost");
    assert!(
        bus_troubles.into_inner() > SEEDS,
        "transactions of the bus went wrong"
    );
    assert!(deaths.into_inner() > SEEDS / 2, "the store's side died");
    assert!(
        only_stored.into_inner() > SEEDS,
        "shards forgot what the store has"
    );
}

#[test]
fn a_seed_replays_exactly() {
    let first = run_seed(7, None, false).map(|figures| format!("{figures:?}"));
    let second = run_seed(7, None, false).map(|figures| format!("{figures:?}"));
    assert_eq!(first, second);
}
