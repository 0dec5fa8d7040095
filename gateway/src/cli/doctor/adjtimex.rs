//! The kernel's word about its clock. Neither std nor rustix has this call.
#![allow(unsafe_code)]

/// What the clock's discipline says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Discipline {
    /// A time service keeps it (STA_UNSYNC is off).
    pub synchronised: bool,
    /// The bound of the error that this service claims, microseconds.
    pub error_us_max: u64,
}

/// Reads and sets nothing; needs no privilege. `None`: a seccomp profile forbids it.
pub(super) fn discipline() -> Option<Discipline> {
    // SAFETY: timex is a C struct of integers, for which all zeros is a value; modes = 0 asks to set nothing.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a whole timex that lives through the call.
    let state = unsafe { libc::adjtimex(&mut timex) };
    (state >= 0).then(|| Discipline {
        synchronised: timex.status & libc::STA_UNSYNC == 0,
        error_us_max: u64::try_from(timex.maxerror).unwrap_or(0),
    })
}
