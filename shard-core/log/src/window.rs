//! When to seal a batch: group commit's one decision.

/// The setting, and what follows from it.
#[derive(Clone, Copy, Debug)]
pub struct WindowConfig {
    /// The longest wait of a batch's first record, in nanoseconds. 0: never wait. 600 us by default.
    pub max_ns: u64,
    /// Records past which waiting saves too little: a commit costs some 120 us of CPU, so 2 us an order at 64.
    pub full_records: u32,
    /// Bytes past which a batch is written at once.
    pub full_bytes: usize,
}

impl WindowConfig {
    /// The defaults, with the one setting.
    pub fn new(max_us: u64) -> WindowConfig {
        WindowConfig {
            max_ns: max_us * 1000,
            full_records: 64,
            full_bytes: 32 * 1024,
        }
    }
}

impl Default for WindowConfig {
    fn default() -> WindowConfig {
        WindowConfig::new(600)
    }
}

/// What to do with the batch that fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seal {
    /// Seal and write it.
    Now,
    /// Ask again at this time (nanoseconds, the caller's clock) or at the next record, whichever comes first.
    At(u64),
    /// Nothing to do: nothing pends, or a batch is out and its completion will ask.
    No,
}

/// After this long without a record the burst is over, however long the window: in a closed loop every client already
/// waits for this batch. Twice the floor of a cross-thread wake-up (21 us).
const QUIET_NS_MIN: u64 = 50_000;

/// The adaptive group-commit window of one log. The batch's first record waits for company only while company comes:
/// half the longest window, all of it when the batch is going to fill, not at all when the log is idle.
#[derive(Clone, Debug)]
pub struct Window {
    config: WindowConfig,
    /// When the pending batch's first record came.
    first_ns: u64,
    /// When the latest came.
    last_ns: u64,
    /// Records that pend.
    records: u32,
    /// Smoothed time between records. "Idle" is four windows: long enough to forget, short enough to come back from.
    gap_ns: u64,
}

impl Window {
    /// A window that has seen nothing.
    pub fn new(config: WindowConfig) -> Window {
        Window {
            config,
            first_ns: 0,
            last_ns: 0,
            records: 0,
            gap_ns: config.max_ns * 4,
        }
    }

    /// `records` were appended at `now_ns`. Call it for each, or once for a lot that was drained together.
    pub fn on_append(&mut self, now_ns: u64, records: u32) {
        if records == 0 {
            return;
        }
        if self.records == 0 {
            self.first_ns = now_ns;
        }
        let passed = now_ns.saturating_sub(self.last_ns) / u64::from(records);
        let sample = passed.min(self.config.max_ns * 4);
        // An eighth for each record; a lot of eight replaces what was known.
        let weight = u64::from(records.min(8));
        self.gap_ns = (self.gap_ns * (8 - weight) + sample * weight) / 8;
        self.last_ns = now_ns;
        self.records = self.records.saturating_add(records);
    }

    /// The batch was sealed; `left` records stayed behind (it was split).
    pub fn on_seal(&mut self, left: u32) {
        self.records = left;
    }

    /// Whether to seal. `in_flight`: a batch is being written. `input_empty`: no more commands wait to be decided.
    pub fn should_seal(&self, now_ns: u64, pending_bytes: usize, in_flight: bool, input_empty: bool) -> Seal {
        if self.records == 0 || in_flight {
            return Seal::No;
        }
        let full = self.records >= self.config.full_records || pending_bytes >= self.config.full_bytes;
        let window = self.window_ns();
        let deadline = self.first_ns.saturating_add(window);
        if full || (window > 0 && now_ns >= deadline) {
            return Seal::Now;
        }
        if !input_empty {
            // What is already there costs no waiting: drain it into this batch first.
            return Seal::No;
        }
        let quiet = self
            .last_ns
            .saturating_add(QUIET_NS_MIN.max(self.gap_ns.saturating_mul(4)));
        let until = deadline.min(quiet);
        if window == 0 || now_ns >= until {
            Seal::Now
        } else {
            Seal::At(until)
        }
    }

    /// How long the first record waits at the present rate; 0 when idle: fewer than two more would come.
    fn window_ns(&self) -> u64 {
        let max = self.config.max_ns;
        let fills = self.gap_ns.saturating_mul(u64::from(self.config.full_records)) <= max;
        let window = if fills { max } else { max / 2 };
        if self.gap_ns.saturating_mul(2) > window {
            0
        } else {
            window
        }
    }
}

#[cfg(test)]
mod tests;
