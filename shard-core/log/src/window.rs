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

/// The adaptive group-commit window of one log.
#[derive(Clone, Debug)]
pub struct Window {
    config: WindowConfig,
    /// When the pending batch's first record came.
    first_ns: u64,
    last_ns: u64,
    records: u32,
    /// Smoothed time between records; starts at "idle".
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
            gap_ns: u64::MAX / 16,
        }
    }

    /// A record was appended at `now_ns`. Call it for each, or once with the count of a drained lot.
    pub fn on_append(&mut self, now_ns: u64, records: u32) {
        let _ = (now_ns, records);
    }

    /// The batch was sealed.
    pub fn on_seal(&mut self) {
        self.records = 0;
    }

    /// Whether to seal. `in_flight`: a batch is being written. `input_empty`: no more commands wait to be decided.
    pub fn should_seal(&self, now_ns: u64, pending_bytes: usize, in_flight: bool, input_empty: bool) -> Seal {
        let _ = (now_ns, pending_bytes, in_flight, input_empty);
        Seal::No
    }
}
