//! Every bound of the generator, each with its reason.

/// Bytes of one posted read. An answer is under 1 KiB; sixteen of them in one TLS record still fit.
pub const READ_BYTES: usize = 16 * 1024;

/// An answer's head may not be larger: our gateway sends under 1 KiB, nginx under 300 bytes.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Fields in an answer's head.
pub const HEAD_FIELDS_MAX: usize = 64;

/// An answer's body may not be larger (an order of 16 lines is under 2 KiB).
pub const BODY_BYTES_MAX: usize = 1024 * 1024;

/// Plaintext that h2 may have waiting for TLS on one connection before it is told to wait.
pub const H2_OUT_BYTES_MAX: usize = 256 * 1024;

/// Streams of one HTTP/2 connection: the edge allows 100, and the dirty set is two words.
pub const H2_STREAMS_MAX: usize = 128;

/// A due request that found no free worker for this long is skipped and counted.
pub const LAG_NS_MAX: u64 = 1_000_000_000;

/// The longest latency the histograms tell apart (60 s); longer ones are recorded as this.
pub const LATENCY_US_MAX: u64 = 60_000_000;

/// Requests remembered for the verifier: 48 bytes each, so at most 2.4 GB. The run ends there.
pub const RECORDS_MAX: usize = 50_000_000;

/// Orders the mix keeps at hand for reads, cancels and confirmations.
pub const RECENT_ORDERS_MAX: usize = 4096;

/// Faults printed one by one; the rest are only counted.
pub const FAULTS_SHOWN_MAX: usize = 20;

/// Seconds of a series: a run is a day at most, 200 bytes a second.
pub const SERIES_POINTS_MAX: usize = 86_400;

/// Refusals told apart by status and reason: the gateway has some thirty codes.
pub const REASONS_MAX: usize = 64;

/// Bytes of a reason that are kept: the gateway's codes are under 32.
pub const REASON_BYTES_MAX: usize = 48;

/// SKUs whose stock is followed over time: a chart with more lines is not read.
pub const STOCK_FOLLOWED_MAX: usize = 8;

/// Seconds that may wait for the live view; one that falls behind misses some.
pub const VIEW_SECONDS_MAX: usize = 16;

/// Seconds that the live view's sparkline remembers: wider than a terminal is not shown.
pub const VIEW_HISTORY_MAX: usize = 512;
