//! Circuit breakers. Time is an argument.
//!
//! [`Progress`] watches a shard thread through its counters: its log either moves or it does not.
//! [`Breaker`] watches calls to any other dependency through their results.
//! [`shared::Shared`] is one of those for all net threads.
//! [`board::Board`] is where operators see the breakers and set them by hand.

use std::collections::VecDeque;

pub mod board;
pub mod shared;

#[cfg(test)]
mod tests;

/// Whether work may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Work flows.
    Closed,
    /// Nothing may be sent.
    Open,
    /// A counted number of probes may be sent.
    HalfOpen,
}

/// What an operator decided, above what was observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Force {
    /// The breaker decides.
    #[default]
    Automatic,
    /// Refuse everything.
    Open,
    /// Admit everything.
    Closed,
}

impl Force {
    const ALL: [Force; 3] = [Force::Automatic, Force::Open, Force::Closed];

    /// The word on the admin address.
    pub fn word(self) -> &'static str {
        match self {
            Force::Automatic => "auto",
            Force::Open => "open",
            Force::Closed => "closed",
        }
    }

    /// What a word means.
    pub fn of(word: &str) -> Option<Force> {
        Force::ALL.into_iter().find(|force| force.word() == word)
    }
}

/// The breaker of one shard thread, as one net thread sees it.
///
/// It opens when the thread's log committed nothing for `stall_ns` while work was waiting for a commit, and closes at the
/// first commit. There are no probes: the work that is already waiting is the probe. Requests shed by age or refused for
/// any other reason never touch it.
#[derive(Clone, Debug)]
pub struct Progress {
    stall_ns: u64,
    commits: u64,
    /// When `commits` last changed, or the first observation.
    moved_ns: Option<u64>,
    open: bool,
    force: Force,
    /// Changes of [`Progress::state`], for the metrics.
    transitions: u64,
}

impl Progress {
    /// A closed breaker that opens after `stall_ns` nanoseconds without a commit.
    pub fn new(stall_ns: u64) -> Progress {
        Progress {
            stall_ns,
            commits: 0,
            moved_ns: None,
            open: false,
            force: Force::Automatic,
            transitions: 0,
        }
    }

    /// Opens after another time without a commit, from the next reading on.
    pub fn set_stall_ns(&mut self, stall_ns: u64) {
        self.stall_ns = stall_ns;
    }

    /// Takes one reading: `commits` counts the log's commits so far, `waiting_since_ns` is when the oldest entry that
    /// is not yet durable was appended (`None`: nothing waits). Call it once a turn at most; it costs a few compares.
    pub fn observe(&mut self, now_ns: u64, commits: u64, waiting_since_ns: Option<u64>) -> State {
        let before = self.state();
        let moved_ns = *self.moved_ns.get_or_insert(now_ns);
        if commits != self.commits {
            self.commits = commits;
            self.moved_ns = Some(now_ns);
            self.open = false;
        } else if let Some(since) = waiting_since_ns
            && !self.open
            && now_ns.saturating_sub(moved_ns.max(since)) >= self.stall_ns
        {
            self.open = true;
        }
        self.transitions += u64::from(self.state() != before);
        self.state()
    }

    /// An operator's decision; it stands until the next one. What is observed is observed all the same.
    pub fn force(&mut self, force: Force) {
        let before = self.state();
        self.force = force;
        self.transitions += u64::from(self.state() != before);
    }

    /// The state as of the last reading, or what an operator decided.
    pub fn state(&self) -> State {
        match (self.force, self.open) {
            (Force::Open, _) | (Force::Automatic, true) => State::Open,
            (Force::Closed, _) | (Force::Automatic, false) => State::Closed,
        }
    }

    /// Whether it is an operator who holds it.
    pub fn forced(&self) -> Force {
        self.force
    }

    /// Changes of state since it was made.
    pub fn transitions(&self) -> u64 {
        self.transitions
    }
}

/// Settings of a [`Breaker`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// Results that are looked at: the last so many.
    pub window: usize,
    /// Fewer results than this never open it.
    pub calls_min: usize,
    /// Results older than this are forgotten, nanoseconds.
    pub age_ns_max: u64,
    /// Opens when this share of the results, 0 to 1, failed or was slow.
    pub failure_share: f64,
    /// How long it stays open before it probes, nanoseconds.
    pub open_ns: u64,
    /// How many probes are sent, exactly; they decide together.
    pub probes: u32,
}

impl Default for Settings {
    /// 50 % of the last 100 (at least 20) in 10 s, open 5 s, 10 probes.
    fn default() -> Settings {
        Settings {
            window: 100,
            calls_min: 20,
            age_ns_max: 10_000_000_000,
            failure_share: 0.5,
            open_ns: 5_000_000_000,
            probes: 10,
        }
    }
}

/// Proof that a call was admitted; give it back with the result.
#[derive(Debug)]
#[must_use = "report the result of the call"]
pub struct Admission {
    /// Which episode of the breaker admitted it: a late answer from before it opened decides nothing.
    episode: u64,
}

/// A breaker for one dependency.
#[derive(Debug)]
pub struct Breaker {
    settings: Settings,
    force: Force,
    state: State,
    episode: u64,
    /// When the present state began.
    since_ns: u64,
    /// (when, failed), oldest first; at most `settings.window`.
    results: VecDeque<(u64, bool)>,
    failures: usize,
    probes_sent: u32,
    probes_done: u32,
    probes_failed: u32,
    transitions: u64,
    refused: u64,
}

impl Breaker {
    /// A closed breaker.
    ///
    /// # Panics
    /// If the settings could never open or never close it.
    pub fn new(settings: Settings) -> Breaker {
        assert!(settings.calls_min >= 1 && settings.calls_min <= settings.window);
        assert!(settings.probes >= 1);
        assert!(settings.failure_share > 0.0 && settings.failure_share <= 1.0);
        Breaker {
            settings,
            force: Force::Automatic,
            state: State::Closed,
            episode: 0,
            since_ns: 0,
            results: VecDeque::with_capacity(settings.window),
            failures: 0,
            probes_sent: 0,
            probes_done: 0,
            probes_failed: 0,
            transitions: 0,
            refused: 0,
        }
    }

    /// Asks to make a call. `None`: refuse it, and do not report a result.
    pub fn admit(&mut self, now_ns: u64) -> Option<Admission> {
        self.advance(now_ns);
        let admitted = match (self.force, self.state) {
            (Force::Open, _) => false,
            (Force::Closed, _) | (Force::Automatic, State::Closed) => true,
            (Force::Automatic, State::Open) => false,
            (Force::Automatic, State::HalfOpen) => self.probes_sent < self.settings.probes,
        };
        if !admitted {
            self.refused += 1;
            return None;
        }
        if self.state == State::HalfOpen && self.probes_sent < self.settings.probes {
            self.probes_sent += 1;
        }
        Some(Admission {
            episode: self.episode,
        })
    }

    /// Reports how an admitted call ended; slow counts as failed, the caller knows what slow is.
    pub fn report(&mut self, now_ns: u64, admission: Admission, failed: bool) {
        if admission.episode != self.episode {
            return;
        }
        match self.state {
            State::Closed => self.record(now_ns, failed),
            State::HalfOpen => self.record_probe(now_ns, failed),
            State::Open => {}
        }
    }

    /// Takes an admitted call back that ended without a result, because nobody waited for it any more: it says nothing about the
    /// dependency, and another probe may go in its place.
    pub fn withdraw(&mut self, admission: Admission) {
        let counts = admission.episode == self.episode && self.state == State::HalfOpen;
        if counts && self.probes_sent > self.probes_done {
            self.probes_sent -= 1;
        }
    }

    /// An operator's decision; it stands until the next one.
    pub fn force(&mut self, force: Force) {
        self.force = force;
    }

    /// The state that `admit` would act on.
    pub fn state(&mut self, now_ns: u64) -> State {
        self.advance(now_ns);
        match self.force {
            Force::Open => State::Open,
            Force::Closed => State::Closed,
            Force::Automatic => self.state,
        }
    }

    /// Changes of state since it was made.
    pub fn transitions(&self) -> u64 {
        self.transitions
    }

    /// Calls refused since it was made.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    fn record(&mut self, now_ns: u64, failed: bool) {
        while self.results.len() >= self.settings.window
            || self
                .results
                .front()
                .is_some_and(|(at, _)| now_ns.saturating_sub(*at) > self.settings.age_ns_max)
        {
            let (_, failed) = self.results.pop_front().expect("the loop's condition saw one");
            self.failures -= usize::from(failed);
        }
        self.results.push_back((now_ns, failed));
        self.failures += usize::from(failed);
        let calls = self.results.len();
        if calls >= self.settings.calls_min && self.share(self.failures, calls) {
            self.enter(now_ns, State::Open);
        }
    }

    fn record_probe(&mut self, now_ns: u64, failed: bool) {
        self.probes_done += 1;
        self.probes_failed += u32::from(failed);
        assert!(self.probes_done <= self.probes_sent || self.force != Force::Automatic);
        if self.probes_done >= self.settings.probes {
            let bad = self.share(self.probes_failed as usize, self.probes_done as usize);
            self.enter(now_ns, if bad { State::Open } else { State::Closed });
        }
    }

    fn share(&self, failures: usize, calls: usize) -> bool {
        failures as f64 >= self.settings.failure_share * calls as f64
    }

    /// What time alone changes: open → probing; probing → open again when probes never came back.
    fn advance(&mut self, now_ns: u64) {
        let elapsed = now_ns.saturating_sub(self.since_ns);
        match self.state {
            State::Open if elapsed >= self.settings.open_ns => self.enter(now_ns, State::HalfOpen),
            // A probe whose answer was lost must not hold the breaker half open for good; a quiet
            // dependency, to which fewer than all probes were sent, may wait.
            State::HalfOpen
                if self.probes_sent >= self.settings.probes && elapsed >= self.settings.age_ns_max =>
            {
                self.enter(now_ns, State::Open);
            }
            _ => {}
        }
    }

    fn enter(&mut self, now_ns: u64, state: State) {
        self.state = state;
        self.since_ns = now_ns;
        self.episode += 1;
        self.transitions += 1;
        self.results.clear();
        self.failures = 0;
        self.probes_sent = 0;
        self.probes_done = 0;
        self.probes_failed = 0;
    }
}
