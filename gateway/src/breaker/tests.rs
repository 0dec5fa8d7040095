use super::*;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

#[test]
fn a_log_without_progress_for_a_second_opens_the_breaker_and_its_first_commit_closes_it() {
    let mut breaker = Progress::new(SECOND);
    assert_eq!(breaker.observe(10 * SECOND, 5, Some(10 * SECOND)), State::Closed);
    assert_eq!(
        breaker.observe(11 * SECOND - 1, 5, Some(10 * SECOND)),
        State::Closed
    );
    assert_eq!(breaker.observe(11 * SECOND, 5, Some(10 * SECOND)), State::Open);
    assert_eq!(breaker.observe(20 * SECOND, 5, Some(10 * SECOND)), State::Open);
    assert_eq!(breaker.observe(20 * SECOND, 6, Some(10 * SECOND)), State::Closed);
    assert_eq!(breaker.transitions(), 2, "it opened and closed");
}

#[test]
fn an_idle_log_is_not_a_stalled_one() {
    let mut breaker = Progress::new(SECOND);
    breaker.observe(0, 5, None);
    assert_eq!(breaker.observe(3600 * SECOND, 5, None), State::Closed);
    // Work that arrives after the pause has a second from its own arrival.
    assert_eq!(
        breaker.observe(3600 * SECOND + 10, 5, Some(3600 * SECOND)),
        State::Closed
    );
    assert_eq!(
        breaker.observe(3601 * SECOND, 5, Some(3600 * SECOND)),
        State::Open
    );
}

#[test]
fn a_log_that_commits_but_never_catches_up_keeps_the_breaker_closed() {
    let mut breaker = Progress::new(SECOND);
    for n in 0..100 {
        assert_eq!(breaker.observe(n * SECOND / 2, n, Some(0)), State::Closed);
    }
}

#[test]
fn an_operator_can_hold_a_shards_breaker_either_way_and_let_it_go() {
    let mut breaker = Progress::new(SECOND);
    breaker.observe(0, 5, None);
    breaker.force(Force::Open);
    breaker.force(Force::Open);
    assert_eq!(
        breaker.observe(1, 6, None),
        State::Open,
        "a commit does not close it"
    );
    breaker.force(Force::Closed);
    assert_eq!(
        breaker.observe(5 * SECOND, 6, Some(2)),
        State::Closed,
        "a stall does not open it"
    );
    breaker.force(Force::Automatic);
    assert_eq!(breaker.state(), State::Open, "what was observed meanwhile");
    assert_eq!(breaker.transitions(), 3);
}

fn fail(breaker: &mut Breaker, now: u64, times: usize) {
    for _ in 0..times {
        if let Some(admission) = breaker.admit(now) {
            breaker.report(now, admission, true);
        }
    }
}

fn succeed(breaker: &mut Breaker, now: u64, times: usize) {
    for _ in 0..times {
        let admission = breaker.admit(now).expect("admitted");
        breaker.report(now, admission, false);
    }
}

#[test]
fn nineteen_failures_do_not_open_it_and_the_twentieth_does() {
    let mut breaker = Breaker::new(Settings::default());
    fail(&mut breaker, 0, 19);
    assert_eq!(breaker.state(0), State::Closed);
    fail(&mut breaker, 0, 1);
    assert_eq!(breaker.state(0), State::Open);
    assert!(breaker.admit(0).is_none());
    assert_eq!(breaker.refused(), 1);
}

#[test]
fn half_of_the_last_hundred_opens_it() {
    let mut breaker = Breaker::new(Settings::default());
    succeed(&mut breaker, 0, 200);
    fail(&mut breaker, 0, 49);
    assert_eq!(breaker.state(0), State::Closed);
    fail(&mut breaker, 0, 1);
    assert_eq!(breaker.state(0), State::Open);
}

#[test]
fn failures_older_than_ten_seconds_are_forgotten() {
    let mut breaker = Breaker::new(Settings::default());
    fail(&mut breaker, 0, 19);
    fail(&mut breaker, 10 * SECOND + 1, 1);
    assert_eq!(breaker.state(10 * SECOND + 1), State::Closed);
}

#[test]
fn after_five_seconds_exactly_ten_probes_go_out_and_close_it_when_they_succeed() {
    let mut breaker = Breaker::new(Settings::default());
    fail(&mut breaker, 0, 20);
    assert!(breaker.admit(5 * SECOND - 1).is_none());
    let probes: Vec<_> = (0..50).filter_map(|_| breaker.admit(5 * SECOND)).collect();
    assert_eq!(probes.len(), 10);
    for probe in probes {
        assert_eq!(breaker.state(5 * SECOND), State::HalfOpen);
        breaker.report(5 * SECOND, probe, false);
    }
    assert_eq!(breaker.state(5 * SECOND), State::Closed);
    assert_eq!(breaker.transitions(), 3);
}

#[test]
fn probes_that_fail_open_it_for_another_five_seconds() {
    let mut breaker = Breaker::new(Settings::default());
    fail(&mut breaker, 0, 20);
    fail(&mut breaker, 5 * SECOND, 10);
    assert_eq!(breaker.state(10 * SECOND - 1), State::Open);
    assert_eq!(breaker.state(10 * SECOND), State::HalfOpen);
}

#[test]
fn an_answer_from_before_it_opened_decides_nothing() {
    let mut breaker = Breaker::new(Settings::default());
    let late: Vec<_> = (0..20).map(|_| breaker.admit(0).expect("admitted")).collect();
    fail(&mut breaker, 0, 20);
    breaker.state(5 * SECOND);
    for admission in late {
        breaker.report(5 * SECOND, admission, false);
    }
    assert_eq!(breaker.state(5 * SECOND), State::HalfOpen);
}

#[test]
fn probes_that_never_come_back_do_not_hold_it_half_open() {
    let mut breaker = Breaker::new(Settings::default());
    fail(&mut breaker, 0, 20);
    let lost = (0..10).filter(|_| breaker.admit(5 * SECOND).is_some()).count();
    assert_eq!(lost, 10);
    assert_eq!(breaker.state(15 * SECOND), State::Open);
    assert_eq!(breaker.state(20 * SECOND), State::HalfOpen);
}

#[test]
fn a_call_that_was_taken_back_counts_neither_way_and_its_probe_is_sent_again() {
    let mut breaker = Breaker::new(Settings::default());
    fail(&mut breaker, 0, 19);
    for _ in 0..100 {
        let admission = breaker.admit(0).expect("closed");
        breaker.withdraw(admission);
    }
    fail(&mut breaker, 0, 1);
    assert_eq!(breaker.state(0), State::Open, "nothing has diluted the failures");
    let later = 5_000_000_000;
    let probes: Vec<_> = std::iter::from_fn(|| breaker.admit(later)).collect();
    assert_eq!(probes.len(), 10);
    for probe in probes {
        breaker.withdraw(probe);
    }
    assert_eq!(breaker.state(later), State::HalfOpen);
    succeed(&mut breaker, later, 10);
    assert_eq!(breaker.state(later), State::Closed);
}

#[test]
fn an_operator_can_force_it_either_way() {
    let mut breaker = Breaker::new(Settings::default());
    breaker.force(Force::Open);
    assert!(breaker.admit(0).is_none());
    breaker.force(Force::Closed);
    fail(&mut breaker, 0, 50);
    assert!(breaker.admit(0).is_some());
    breaker.force(Force::Automatic);
    assert_eq!(breaker.state(0), State::Open);
}
