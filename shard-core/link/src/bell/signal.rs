//! How a bell reaches its sleeper: an eventfd, or the thread's own parking.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use crate::sync::{Thread, thread};

#[derive(Debug)]
pub(super) enum Signal {
    Eventfd(OwnedFd),
    Thread(OnceLock<Thread>),
}

impl Signal {
    pub(super) fn eventfd() -> io::Result<Signal> {
        Ok(Signal::Eventfd(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    pub(super) fn thread() -> Signal {
        Signal::Thread(OnceLock::new())
    }

    /// The owner makes itself known; the first call counts.
    pub(super) fn register(&self) {
        if let Signal::Thread(owner) = self {
            let owner = owner.get_or_init(thread::current);
            debug_assert_eq!(owner.id(), thread::current().id(), "a bell has one owner");
        }
    }

    pub(super) fn raise(&self) {
        match self {
            // EAGAIN means the counter is full: the owner is being woken by 2^64 others already.
            Signal::Eventfd(fd) => _ = rustix::io::write(fd, &1u64.to_ne_bytes()),
            Signal::Thread(owner) => {
                // Registered before the flag went up, so it is there.
                if let Some(owner) = owner.get() {
                    owner.unpark();
                }
            }
        }
    }

    /// Takes the ring away so that the next wait sleeps. A ringer may not have written yet: then the next
    /// wait returns at once, which is harmless.
    pub(super) fn clear(&self) {
        if let Signal::Eventfd(fd) = self {
            _ = rustix::io::read(fd, &mut [0u8; 8]);
        }
    }

    pub(super) fn wait(&self, timeout: Option<Duration>) {
        match self {
            Signal::Eventfd(fd) => {
                let timeout = timeout.map(|t| Timespec {
                    tv_sec: t.as_secs() as i64,
                    tv_nsec: i64::from(t.subsec_nanos()),
                });
                // EINTR is an early return, which `wait` allows.
                _ = poll(&mut [PollFd::new(fd, PollFlags::IN)], timeout.as_ref());
            }
            #[cfg(not(loom))]
            Signal::Thread(_) => match timeout {
                Some(timeout) => thread::park_timeout(timeout),
                None => thread::park(),
            },
            // loom has no time: a sleep that needs its time-out to end is a lost wake-up it will report.
            #[cfg(loom)]
            Signal::Thread(_) => {
                let _ = timeout;
                thread::park();
            }
        }
    }

    pub(super) fn fd(&self) -> Option<RawFd> {
        match self {
            Signal::Eventfd(fd) => Some(fd.as_raw_fd()),
            Signal::Thread(_) => None,
        }
    }
}
