use super::*;

const US: u64 = 1000;

/// A window that has seen `count` records, one each `gap_us`, sealed 64 at a time; then one more begins a batch.
fn after(gap_us: u64, count: u64) -> (Window, u64) {
    let mut window = Window::new(WindowConfig::new(600));
    let mut now = 1_000_000 * US;
    for _ in 0..count {
        now += gap_us * US;
        window.on_append(now, 1);
    }
    window.on_seal(0);
    now += gap_us * US;
    window.on_append(now, 1);
    (window, now)
}

#[test]
fn the_window_follows_the_rate() {
    // (gap in us between records, how long the first record waits for a second look)
    let table = [
        (5_000, Seal::Now),
        (1_000, Seal::Now),
        (400, Seal::Now),
        // 100 us apart: two more come within half the window.
        (100, Seal::At(300 * US)),
        // 20 us: 15 more in half the window; after 80 us of silence it is over.
        (20, Seal::At(80 * US)),
        // 5 us: the batch is going to fill; after 50 us of silence it is over.
        (5, Seal::At(50 * US)),
    ];
    for (gap_us, expected) in table {
        let (window, now) = after(gap_us, 200);
        let seal = match window.should_seal(now, 200, false, true) {
            Seal::At(until) => Seal::At(until - now),
            other => other,
        };
        assert_eq!(seal, expected, "at a gap of {gap_us} us");
    }
}

#[test]
fn no_record_waits_longer_than_the_setting() {
    for gap_us in [1, 3, 10, 30, 60, 100, 290] {
        let (mut window, first) = after(gap_us, 500);
        let mut now = first;
        loop {
            let seal = window.should_seal(now, 100, false, true);
            if seal == Seal::Now {
                break;
            }
            now += gap_us * US;
            assert!(now - first <= 600 * US + gap_us * US, "gap {gap_us}");
            window.on_append(now, 1);
        }
    }
}

#[test]
fn a_full_batch_goes_at_once_and_one_that_is_out_holds_the_next() {
    let (mut window, now) = after(5, 500);
    assert_eq!(window.should_seal(now, 32 * 1024, false, true), Seal::Now);
    assert_eq!(window.should_seal(now, 32 * 1024, true, true), Seal::No);
    window.on_append(now, 63);
    assert_eq!(window.should_seal(now, 1000, false, false), Seal::Now);
    window.on_seal(0);
    assert_eq!(window.should_seal(now, 0, false, true), Seal::No);
}

#[test]
fn waiting_input_is_drained_first_but_not_past_the_deadline() {
    let (window, now) = after(20, 500);
    assert_eq!(window.should_seal(now, 200, false, false), Seal::No);
    assert_eq!(window.should_seal(now + 600 * US, 200, false, false), Seal::Now);
}

#[test]
fn a_setting_of_zero_never_waits() {
    let mut window = Window::new(WindowConfig::new(0));
    for now in 0..1000 {
        window.on_append(now * US, 1);
        assert_eq!(window.should_seal(now * US, 100, false, true), Seal::Now);
        window.on_seal(0);
    }
}

#[test]
fn a_closed_loop_stops_waiting_when_its_clients_have_all_come() {
    let mut window = Window::new(WindowConfig {
        full_records: 1000,
        ..WindowConfig::new(600)
    });
    let mut now = 0;
    for _ in 0..20 {
        for _ in 0..64 {
            now += 4 * US;
            window.on_append(now, 1);
        }
        let Seal::At(until) = window.should_seal(now, 10_000, false, true) else {
            panic!("it waits a little")
        };
        assert!(until - now <= 100 * US, "{}", until - now);
        now = until;
        assert_eq!(window.should_seal(now, 10_000, false, true), Seal::Now);
        window.on_seal(0);
    }
}
