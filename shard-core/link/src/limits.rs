//! The bounds of this crate, each with its reason.

/// The longest ring that can be asked for. A slot holds a whole request or reply (about 200-300 bytes), so
/// this is some 300 MB: anything above is a mistake in a configuration, not a queue.
pub const RING_SLOTS_MAX: usize = 1 << 20;

/// Linear buckets per power of two in a [`Histogram`](crate::stats::Histogram): 16 keeps a quantile within
/// 6 % of the truth, finer than run-to-run noise, in 5 KiB a histogram.
pub const HISTOGRAM_LINEAR_BITS: u32 = 4;

/// Values at or above 2^40 (18 minutes, in nanoseconds) share the last bucket: nothing on the order path
/// lives that long.
pub const HISTOGRAM_VALUE_BITS: u32 = 40;
