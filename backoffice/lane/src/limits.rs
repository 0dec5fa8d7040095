//! Every bound of the slow lane, each with its reason.
//!
//! An exchange holds at most [`WINDOW_BYTES`] of its request's body and as many of its answer's, so with 256 of them
//! under way it is 32 MiB at the very most.

/// What an operator sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Exchanges under way over all net threads, those that wait for their turn included.
    pub exchanges: usize,
    /// Exchanges that the service works on at the same time; others wait for their turn.
    pub running: usize,
}

/// Bytes of one exchange's body between the two sides, each way: what a whole collected request may have, and four of
/// TLS's records.
pub const WINDOW_BYTES: usize = 64 * 1024;

/// Parts of a request's body on their way to the service. What does not fit is put together to one part until the
/// service took one of these.
pub(crate) const PARTS: usize = 8;

/// Grants on their way to an exchange's task. One is sent for each half window that the client took, of two half
/// windows at most; the rest is room to spare.
pub(crate) const GRANTS: usize = 4;

/// Events on their way from the exchanges' tasks to the task that hands them to a net thread.
pub(crate) const EVENTS: usize = 64;

/// Events in the ring of a net thread: several turns' worth. A full ring makes the tasks wait, not the net thread.
pub(crate) const RING_EVENTS: usize = 1024;
