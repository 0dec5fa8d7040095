use super::*;

const MS: u64 = NS_PER_MS;
const HOUR_MS: u64 = 3_600_000;
const T: u64 = 1_763_000_000_000;

/// Runs a clock for `ms` with the wall `offset_ms` away from true time; returns shard time minus true time.
fn run(clock: &mut ShardClock, from_ms: u64, ms: u64, offset_ms: i64) -> i64 {
    let mut last = 0;
    for passed in (0..=ms).step_by(10) {
        let wall = (T + from_ms + passed).saturating_add_signed(offset_ms);
        let now = clock.now_ms(wall * MS, (from_ms + passed) * MS);
        assert!(now >= last, "time never goes back");
        last = now;
    }
    last as i64 - (T + from_ms + ms) as i64
}

#[test]
fn a_step_of_the_wall_shifts_shard_time_by_a_thousandth_of_what_passes() {
    // (step of the wall in ms, minutes that pass, shard time's error in ms after them)
    let hour = HOUR_MS as i64;
    let table = [
        (hour, 10, 600),
        (-hour, 10, -600),
        (hour, 60, 3600),
        (-hour, 60, -3600),
        (500, 60, 500),
        (-500, 60, -500),
    ];
    for (step_ms, minutes, expected) in table {
        let mut clock = ShardClock::start(T * MS, 0, 0, false).unwrap();
        assert_eq!(run(&mut clock, 0, 60_000, 0), 0);
        let error = run(&mut clock, 60_000, minutes * 60_000, step_ms);
        assert!((error - expected).abs() <= 5, "{step_ms} {minutes}: {error}");
    }
}

#[test]
fn a_start_begins_at_the_later_of_wall_and_log() {
    // (wall, last logged, allowed, begins at)
    let day = 24 * HOUR_MS;
    let table = [
        (T, 0, false, Some(T)),
        (T, T - 5, false, Some(T)),
        (T, T + HOUR_MS, false, Some(T + HOUR_MS)),
        (T, T + 10 * day, false, Some(T + 10 * day)),
        (T, T - day, false, Some(T)),
        (T, T - day - 1, false, None),
        (T, T - day - 1, true, Some(T)),
    ];
    for (wall, last, allowed, begins) in table {
        let started = ShardClock::start(wall * MS, 77, last, allowed);
        assert_eq!(started.ok().map(|mut clock| clock.now_ms(wall * MS, 77)), begins);
    }
}

#[test]
fn time_goes_on_while_the_wall_is_an_hour_behind_the_log() {
    let mut clock = ShardClock::start(T * MS, 0, T + HOUR_MS, false).unwrap();
    let begun = clock.now_ms(T * MS, 0);
    let later = clock.now_ms((T + 1_000_000) * MS, 1_000_000 * MS);
    assert_eq!(later - begun, 999_000);
}

#[test]
fn a_boot_clock_that_stands_still_or_goes_back_moves_nothing() {
    let mut clock = ShardClock::start(T * MS, 1000, 0, false).unwrap();
    assert_eq!(clock.now_ms((T + HOUR_MS) * MS, 1000), T);
    assert_eq!(clock.now_ms((T + HOUR_MS) * MS, 0), T);
    assert_eq!(clock.now_ms((T + HOUR_MS) * MS, 1000), T);
    assert!(clock.now_ms(u64::MAX, u64::MAX) >= T);
}
