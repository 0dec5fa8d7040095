//! How a bell reaches its sleeper: an eventfd, or the thread's own parking.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use parker::Parker;

/// The thread's own parking: one futex call on each side.
#[cfg(not(loom))]
pub(super) mod parker {
    use std::sync::OnceLock;
    use std::thread::{self, Thread};
    use std::time::Duration;

    #[derive(Debug, Default)]
    pub(in crate::bell) struct Parker(OnceLock<Thread>);

    impl Parker {
        /// The owner makes itself known; the first call counts.
        pub(super) fn register(&self) {
            let owner = self.0.get_or_init(thread::current);
            debug_assert_eq!(owner.id(), thread::current().id(), "a bell has one owner");
        }

        pub(super) fn raise(&self) {
            // Registered before the flag went up, so it is there.
            if let Some(owner) = self.0.get() {
                owner.unpark();
            }
        }

        pub(super) fn wait(&self, timeout: Option<Duration>) {
            match timeout {
                Some(timeout) => thread::park_timeout(timeout),
                None => thread::park(),
            }
        }
    }
}

/// What parking promises, a token that is kept until it is taken, in loom's terms: loom's own `park` forgets
/// a token that comes while the thread is between two steps. Without a time-out, so that a wake-up that is
/// lost is a deadlock that loom reports.
#[cfg(loom)]
pub(super) mod parker {
    use loom::sync::{Condvar, Mutex};
    use std::time::Duration;

    #[derive(Debug)]
    pub(in crate::bell) struct Parker {
        token: Mutex<bool>,
        raised: Condvar,
    }

    impl Default for Parker {
        fn default() -> Parker {
            Parker {
                token: Mutex::new(false),
                raised: Condvar::new(),
            }
        }
    }

    impl Parker {
        pub(super) fn register(&self) {}

        pub(super) fn raise(&self) {
            *self.token.lock().unwrap() = true;
            self.raised.notify_one();
        }

        pub(super) fn wait(&self, _timeout: Option<Duration>) {
            let mut token = self.token.lock().unwrap();
            while !*token {
                token = self.raised.wait(token).unwrap();
            }
            *token = false;
        }
    }
}

#[derive(Debug)]
pub(super) enum Signal {
    Eventfd(OwnedFd),
    Thread(Parker),
}

impl Signal {
    pub(super) fn eventfd() -> io::Result<Signal> {
        Ok(Signal::Eventfd(eventfd(
            0,
            EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK,
        )?))
    }

    pub(super) fn thread() -> Signal {
        Signal::Thread(Parker::default())
    }

    pub(super) fn register(&self) {
        if let Signal::Thread(parker) = self {
            parker.register();
        }
    }

    pub(super) fn raise(&self) {
        match self {
            // EAGAIN means the counter is full: the owner is being woken by 2^64 others already.
            Signal::Eventfd(fd) => _ = rustix::io::write(fd, &1u64.to_ne_bytes()),
            Signal::Thread(parker) => parker.raise(),
        }
    }

    /// Takes the ring away so that the next wait sleeps. A ringer may not have written yet, and a parked
    /// thread's token stays: then the next wait returns at once, which is harmless.
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
            Signal::Thread(parker) => parker.wait(timeout),
        }
    }

    pub(super) fn fd(&self) -> Option<RawFd> {
        match self {
            Signal::Eventfd(fd) => Some(fd.as_raw_fd()),
            Signal::Thread(_) => None,
        }
    }
}
