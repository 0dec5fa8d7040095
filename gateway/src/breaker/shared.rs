//! One breaker that all net threads ask.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Admission, Breaker, Force, Settings, State};

/// A [`Breaker`] over all net threads: "exactly so many probes" is a promise to the dependency, and a breaker a thread
/// would send it as many times that.
///
/// It is behind a lock, which nothing of the order path takes: only who asks the dependency does, for some tens of
/// nanoseconds, and always a net thread. The admin thread sees it by the [`Board`](super::board::Board).
#[derive(Debug)]
pub struct Shared(Mutex<Breaker>);

impl Shared {
    /// A closed breaker.
    pub fn new(settings: Settings) -> Shared {
        Shared(Mutex::new(Breaker::new(settings)))
    }

    /// Asks to make a call, under what an operator has decided; see [`Breaker::admit`].
    pub fn admit(&self, now_ns: u64, force: Force) -> Option<Admission> {
        let mut breaker = self.lock();
        breaker.force(force);
        breaker.admit(now_ns)
    }

    /// Reports how an admitted call ended; see [`Breaker::report`].
    pub fn report(&self, now_ns: u64, admission: Admission, failed: bool) {
        self.lock().report(now_ns, admission, failed);
    }

    /// Takes back a call that ended without a result; see [`Breaker::withdraw`].
    pub fn withdraw(&self, admission: Admission) {
        self.lock().withdraw(admission);
    }

    /// The state, and how often it has changed.
    pub fn state(&self, now_ns: u64, force: Force) -> (State, u64) {
        let mut breaker = self.lock();
        breaker.force(force);
        (breaker.state(now_ns), breaker.transitions())
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        // Each change of a breaker is whole, also where an assertion stopped a thread after it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn of_many_threads_that_ask_after_the_pause_exactly_the_probes_are_let_through() {
        let settings = Settings::default();
        let breaker = Shared::new(settings);
        for n in 0..settings.calls_min as u64 {
            let admission = breaker.admit(n, Force::Automatic).expect("closed");
            breaker.report(n, admission, true);
        }
        assert_eq!(breaker.state(100, Force::Automatic).0, State::Open);
        let later = settings.open_ns + 1_000;
        let admitted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    let mine = (0..100).filter_map(|_| breaker.admit(later, Force::Automatic));
                    admitted.fetch_add(mine.count(), Ordering::Relaxed);
                });
            }
        });
        assert_eq!(admitted.into_inner(), settings.probes as usize);
        assert!(
            breaker.admit(later, Force::Closed).is_some(),
            "an operator admits all"
        );
    }
}
