//! The I/O thread's runtime, and a timer finer than its own.

use std::fs::File as StdFile;
use std::os::fd::OwnedFd;
use std::time::Duration;

use monoio::fs::File;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};

/// Shorter sleeps would cost more CPU than the lateness they save: a wake-up is about 5 us, so at most 2.5 % of a core.
const SLEEP_NS_MIN: u64 = 200_000;

/// A connection may become free at any time, and then the next send may be due long before it.
const SLEEP_NS_MAX: u64 = 1_000_000;

type Runtime = monoio::FusionRuntime<
    monoio::time::TimeDriver<monoio::IoUringDriver>,
    monoio::time::TimeDriver<monoio::LegacyDriver>,
>;

/// io_uring where it is allowed, epoll elsewhere.
pub fn build() -> Result<Runtime, String> {
    let build = |defer: bool| {
        let mut ring = io_uring_monoio::IoUring::builder();
        // monoio's defaults interrupt the thread for every completion: a third of the throughput.
        if defer {
            ring.setup_single_issuer().setup_defer_taskrun();
        }
        ring.setup_cqsize(8192);
        monoio::RuntimeBuilder::<monoio::FusionDriver>::new()
            .uring_builder(ring)
            .with_entries(2048)
            .enable_timer()
            .build()
    };
    build(true)
        .or_else(|_| build(false))
        .map_err(|e| format!("starting the I/O thread: {e}"))
}

/// Sleeps between 0.2 and 1 ms. monoio's own timers are rounded up to whole milliseconds, which would be seen in every latency; a
/// timerfd read through the ring is not. Without io_uring (or timerfd) it is monoio's.
pub struct Timer {
    source: Option<(OwnedFd, File)>,
    buffer: Vec<u8>,
}

impl Timer {
    /// A timer of the current runtime.
    pub fn new() -> Timer {
        let make = || -> Option<(OwnedFd, File)> {
            let fd = rustix::time::timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::CLOEXEC).ok()?;
            let file = File::from_std(StdFile::from(fd.try_clone().ok()?)).ok()?;
            Some((fd, file))
        };
        let source = if monoio::utils::detect_uring() {
            make()
        } else {
            None
        };
        Timer {
            source,
            buffer: Vec::with_capacity(8),
        }
    }

    /// Sleeps about `ns`.
    pub async fn sleep(&mut self, ns: u64) {
        let ns = ns.clamp(SLEEP_NS_MIN, SLEEP_NS_MAX);
        if let Some((fd, file)) = &self.source {
            let time = Itimerspec {
                it_interval: Timespec {
                    tv_sec: 0,
                    tv_nsec: 0,
                },
                it_value: Timespec {
                    tv_sec: 0,
                    tv_nsec: ns as i64,
                },
            };
            if rustix::time::timerfd_settime(fd, TimerfdTimerFlags::empty(), &time).is_ok() {
                let buffer = std::mem::take(&mut self.buffer);
                let (result, back) = file.read_at(buffer, 0).await;
                self.buffer = back;
                if result.is_ok() {
                    return;
                }
            }
            self.source = None;
        }
        monoio::time::sleep(Duration::from_nanos(ns)).await;
    }
}
