//! Wakes a thread that said it would sleep.
//!
//! The sleeper raises a flag, looks at its queues once more, and only then sleeps. The ringer publishes, then
//! looks at the flag. Both sides put a full fence between their store and their load, so at least one of them
//! sees the other: no wake-up is lost, and a thread that is awake costs its ringers one load and no syscall.
//!
//! Two kinds: [`Bell::with_fd`] has an eventfd for a thread that sleeps in io_uring or epoll;
//! [`Bell::for_thread`] parks (one futex call on each side instead of a write, a poll and a read).

use std::io;
use std::os::fd::RawFd;
use std::time::Duration;

use crate::sync::{AtomicU32, Ordering, fence};

mod signal;
#[cfg(test)]
mod tests;

use signal::Signal;

/// The owner runs: do not ring.
const AWAKE: u32 = 0;
/// The owner sleeps until a time of its own choosing (a commit window): only [`Bell::ring_urgent`] wakes it.
const DOZING: u32 = 1;
/// As dozing, but the owner wants to know when those who feed it have nothing more: [`Bell::ring_done`].
const LISTENING: u32 = 2;
/// The owner has nothing to do: anything wakes it.
const ASLEEP: u32 = 3;

/// One thread's bell. Many may ring it, one (its owner) sleeps on it.
#[derive(Debug)]
pub struct Bell {
    state: AtomicU32,
    signal: Signal,
}

impl Bell {
    /// A bell with an eventfd, for an owner that sleeps in a poller.
    pub fn with_fd() -> io::Result<Bell> {
        Ok(Bell {
            state: AtomicU32::new(AWAKE),
            signal: Signal::eventfd()?,
        })
    }

    /// A bell whose owner parks in [`wait`](Self::wait).
    pub fn for_thread() -> Bell {
        Bell {
            state: AtomicU32::new(AWAKE),
            signal: Signal::thread(),
        }
    }

    /// Wakes the owner if it sleeps. Call it after `publish`, once a batch. Returns true if that took a
    /// syscall.
    #[inline]
    pub fn ring(&self) -> bool {
        self.ring_above(ASLEEP)
    }

    /// Wakes the owner if it sleeps or listens: the caller has nothing more for now.
    #[inline]
    pub fn ring_done(&self) -> bool {
        self.ring_above(LISTENING)
    }

    /// Wakes the owner whatever its sleep is.
    #[inline]
    pub fn ring_urgent(&self) -> bool {
        self.ring_above(DOZING)
    }

    #[inline]
    fn ring_above(&self, level: u32) -> bool {
        // Orders the caller's publish before the look at the flag; pairs with the fence in `prepare`.
        fence(Ordering::SeqCst);
        if self.state.load(Ordering::Relaxed) < level {
            return false;
        }
        // Of several ringers one wins, and only it pays for the syscall.
        let before = self.state.swap(AWAKE, Ordering::AcqRel);
        if before == AWAKE {
            return false;
        }
        self.signal.raise();
        true
    }

    /// Owner: about to sleep. Look at every queue after this call, and sleep only if all are empty; otherwise
    /// call [`woke`](Self::woke).
    pub fn prepare_sleep(&self) {
        self.prepare(ASLEEP);
    }

    /// Owner: about to sleep until a time of its own; only urgent rings wake it.
    pub fn prepare_doze(&self) {
        self.prepare(DOZING);
    }

    /// Owner: about to sleep until a time of its own, or until those who feed it are done. Look at
    /// [`is_asleep`](Self::is_asleep) of their bells after this call.
    pub fn prepare_listen(&self) {
        self.prepare(LISTENING);
    }

    /// Anyone: whether the owner has nothing to do. Only a hint, unless the caller's own
    /// [`prepare_listen`](Self::prepare_listen) came before and the owner calls `ring_done` when it falls asleep.
    pub fn is_asleep(&self) -> bool {
        self.state.load(Ordering::Relaxed) == ASLEEP
    }

    fn prepare(&self, level: u32) {
        self.signal.register();
        // A swap, not a store: all changes of the flag are then one chain of read-modify-writes, which loom
        // can check (it lets a ringer's swap read past a plain store), at a price only a sleeper pays.
        self.state.swap(level, Ordering::AcqRel);
        // Orders the flag before the caller's last look at its queues; pairs with the fence in `ring`.
        fence(Ordering::SeqCst);
    }

    /// Owner: awake again, or not going to sleep after all. Takes a pending ring off the eventfd. Returns
    /// true if the bell had been rung.
    pub fn woke(&self) -> bool {
        let rung = self.disarm();
        if rung {
            self.signal.clear();
        }
        rung
    }

    /// As [`woke`](Self::woke), for an owner whose poller reads the eventfd itself (an io_uring read that
    /// stays posted): touches the flag only.
    pub fn disarm(&self) -> bool {
        self.state.swap(AWAKE, Ordering::AcqRel) == AWAKE
    }

    /// Owner: sleeps until rung or until the time-out, after [`prepare_sleep`](Self::prepare_sleep) or
    /// [`prepare_doze`](Self::prepare_doze) and a look at the queues. May return early. Returns true if rung.
    pub fn wait(&self, timeout: Option<Duration>) -> bool {
        if self.state.load(Ordering::Relaxed) != AWAKE {
            self.signal.wait(timeout);
        }
        self.woke()
    }

    /// The eventfd, if this bell has one. Its owner polls or reads it; nobody else touches it.
    pub fn fd(&self) -> Option<RawFd> {
        self.signal.fd()
    }
}
