use super::*;

#[cfg(not(loom))]
mod plain {
    use super::*;
    use crate::ring::ring;
    use std::sync::Arc;
    use std::time::Instant;

    #[test]
    fn an_owner_that_is_awake_costs_no_syscall() {
        let bell = Bell::with_fd().unwrap();
        assert!(!bell.ring());
        bell.prepare_sleep();
        assert!(bell.ring());
        assert!(!bell.ring(), "one ring is enough");
        assert!(bell.woke());
        bell.prepare_sleep();
        assert!(!bell.woke());
    }

    #[test]
    fn a_dozing_owner_hears_urgent_rings_only() {
        let bell = Bell::for_thread();
        bell.prepare_doze();
        assert!(!bell.ring());
        assert!(bell.ring_urgent());
        assert!(bell.wait(None), "rung before it slept: does not sleep");
    }

    #[test]
    fn a_wait_ends_at_its_time_out() {
        for bell in [Bell::with_fd().unwrap(), Bell::for_thread()] {
            let start = Instant::now();
            bell.prepare_sleep();
            assert!(!bell.wait(Some(Duration::from_millis(5))) || start.elapsed().as_millis() < 5);
        }
    }

    #[test]
    fn no_wake_up_is_lost_between_two_threads() {
        for (ping, pong) in [
            (Bell::with_fd().unwrap(), Bell::with_fd().unwrap()),
            (Bell::for_thread(), Bell::for_thread()),
        ] {
            let (ping, pong) = (Arc::new(ping), Arc::new(pong));
            let (mut tx, mut rx) = ring(8);
            let (mut back_tx, mut back_rx) = ring(8);
            let (their_ping, their_pong) = (Arc::clone(&ping), Arc::clone(&pong));
            let echo = std::thread::spawn(move || {
                let mut left = 5_000;
                while left > 0 {
                    match rx.pop() {
                        Some(item) => {
                            left -= 1;
                            back_tx.push(item).unwrap();
                            back_tx.publish();
                            their_pong.ring();
                        }
                        None => {
                            their_ping.prepare_sleep();
                            if rx.is_empty() {
                                their_ping.wait(None);
                            } else {
                                their_ping.woke();
                            }
                        }
                    }
                }
            });
            for item in 0..5_000 {
                tx.push(item).unwrap();
                tx.publish();
                ping.ring();
                let back = loop {
                    if let Some(back) = back_rx.pop() {
                        break back;
                    }
                    pong.prepare_sleep();
                    if back_rx.is_empty() {
                        pong.wait(None);
                    } else {
                        pong.woke();
                    }
                };
                assert_eq!(back, item);
            }
            echo.join().unwrap();
        }
    }
}

#[cfg(loom)]
mod explored {
    use super::*;
    use crate::ring::ring;
    use loom::sync::Arc;
    use loom::thread;

    /// The owner sleeps without a time-out: a lost wake-up is a deadlock, which loom reports.
    fn owner_receives(rings: usize, urgent_doze: bool) {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(3);
        model.check(move || {
            let bell = Arc::new(Bell::for_thread());
            let mut queues = Vec::new();
            for item in 0..rings {
                let (mut tx, rx) = ring(2);
                queues.push(rx);
                let bell = Arc::clone(&bell);
                thread::spawn(move || {
                    tx.push(item).unwrap();
                    tx.publish();
                    if urgent_doze {
                        bell.ring_urgent();
                    } else {
                        bell.ring();
                    }
                });
            }
            let mut got = 0;
            while got < rings {
                got += queues.iter_mut().map(|rx| rx.drain(2, drop)).sum::<usize>();
                if got == rings {
                    break;
                }
                if urgent_doze {
                    bell.prepare_doze()
                } else {
                    bell.prepare_sleep()
                }
                if queues.iter_mut().all(|rx| rx.is_empty()) {
                    bell.wait(None);
                } else {
                    bell.woke();
                }
            }
        });
    }

    #[test]
    fn one_ringer_never_loses_a_wake_up() {
        owner_receives(1, false);
    }

    #[test]
    fn two_ringers_never_lose_a_wake_up() {
        owner_receives(2, false);
    }

    /// A listener sleeps only while its feeder is awake, and the feeder says when it falls asleep.
    #[test]
    fn a_listener_never_misses_that_its_feeder_is_done() {
        loom::model(|| {
            let (own, feeder) = (Arc::new(Bell::for_thread()), Arc::new(Bell::for_thread()));
            let (their_own, their_feeder) = (Arc::clone(&own), Arc::clone(&feeder));
            thread::spawn(move || {
                their_feeder.prepare_sleep();
                their_own.ring_done();
            });
            own.prepare_listen();
            if feeder.is_asleep() {
                own.woke();
            } else {
                own.wait(None);
                assert!(feeder.is_asleep());
            }
        });
    }

    #[test]
    fn a_doze_never_loses_an_urgent_ring() {
        owner_receives(1, true);
    }
}
