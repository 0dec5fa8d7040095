//! Bounds of the gateway that no operator sets, each with its reason. What operators set is in `configs/tidegate.toml`.

/// How often a SKU's stock is told to the net threads at most, milliseconds. Answers carry `max-age=1`, so ten times a second
/// is fresh, and a thousand hot SKUs cost 10,000 small messages a second at the very most.
pub const STOCK_EVERY_MS: u64 = 100;

/// Connections a listener's queue holds before the kernel turns new ones away: a CDN opens them in bursts.
pub const LISTEN_BACKLOG: i32 = 4096;

/// Accepted sockets on their way to one net thread. Beyond it they stay where they were accepted: that thread does not get
/// to its turn, and more work would not help it.
pub const ARRIVALS: usize = 64;

/// What the backoffice has said that one net thread takes in one turn: some 10 us each with the answer's encryption, so a third of a
/// millisecond. The rest waits for the next turn, behind the orders that have come meanwhile.
pub const LANE_EVENTS_PER_TURN: usize = 32;

/// Refusals of the slow lane that one net thread tells a second. Each costs some 10 us, most of it the socket and TLS, so a fortieth of a busy
/// thread's time at most, however fast its clients ask again.
pub const LANE_REFUSALS_PER_S: u64 = 250;

/// Of them at once: what a page with a few lists meets is told without a wait.
pub const LANE_REFUSALS_AT_ONCE: u64 = 16;

/// How long a refusal may be held back, nanoseconds. `Retry-After` is a second and more, so nobody's next try is later for it.
pub const LANE_REFUSAL_WAIT_NS: u64 = 1_000_000_000;

/// Refusals that one net thread holds back, some 400 bytes each. Beyond it they are told at once.
pub const LANE_REFUSALS_HELD_MAX: usize = 8192;

/// Refusals that were held back and are told in one turn.
pub const LANE_REFUSALS_PER_TURN: usize = 4;

/// Bytes of an answer of the backoffice that count as one more of the lane's requests: encrypting and sending them costs as much.
pub const LANE_ANSWER_UNIT_BYTES: usize = 16 << 10;

/// Tokens that one net thread verifies in one turn: some 30 us each with Ed25519, so three milliseconds. Then the shards get what is
/// there, answers leave, and sockets are read again, so that it is known what waits since when. Of twice the load that can be
/// carried, 24 a turn served 0.79 of the best rate, 48 served 0.82 and 96 served 0.86: shorter turns read and send smaller pieces.
pub const VERIFICATIONS_PER_TURN: u64 = 96;

/// Bytes of the body of an answer that a net thread collects from the backoffice: what `exchanges` of them may hold at most. Lists are some
/// KiB; a catalogue of ten thousand SKUs as CSV fits.
pub const LANE_ANSWER_BYTES_MAX: usize = 1 << 20;
