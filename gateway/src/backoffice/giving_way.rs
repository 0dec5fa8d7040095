//! Threads that give way to those that serve orders.
#![allow(unsafe_code)]

/// A tenth of the share of a thread that serves orders, where both want a core.
const NICE: i32 = 10;

/// How long such a thread may go on once it runs, nanoseconds, while nobody with a shorter slice wakes up. The others have the kernel's slice, some 3 ms.
const SLICE_NS: u64 = 20_000_000;

/// Does it on a thread that gives way, and so do the threads that it starts: a thread begins with the scheduling of its maker.
///
/// Niceness alone says how a core is shared, not when: a thread that runs may end its slice before one that woke up gets the core, and an order waits
/// for it. Since Linux 6.12 a thread with a shorter slice takes the core at once from one with a longer slice (EEVDF, `PREEMPT_SHORT`), so these ask for a
/// long one; as `SCHED_BATCH` they take it from nobody. They are not `SCHED_IDLE`: on a core that is never idle they would stand still, and with them the store.
pub fn giving_way<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            give_way();
            work()
        });
        match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// For the calling thread. Where it is not allowed it has the usual share; an older kernel takes class and niceness, and not the slice.
fn give_way() {
    let attributes = libc::sched_attr {
        size: size_of::<libc::sched_attr>() as u32,
        sched_policy: libc::SCHED_BATCH as u32,
        sched_flags: 0,
        sched_nice: NICE,
        sched_priority: 0,
        sched_runtime: SLICE_NS,
        sched_deadline: 0,
        sched_period: 0,
    };
    // SAFETY: the kernel reads `size` bytes of a struct that outlives the call; 0 is the calling thread.
    let set = unsafe { libc::syscall(libc::SYS_sched_setattr, 0, &raw const attributes, 0) };
    if set != 0 {
        _ = rustix::process::nice(NICE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_is_started_while_giving_way_gives_way_as_well() {
        let started = || {
            std::thread::spawn(|| {
                // SAFETY: both read what the kernel knows of the calling thread (0).
                unsafe {
                    (
                        libc::sched_getscheduler(0),
                        libc::getpriority(libc::PRIO_PROCESS, 0),
                    )
                }
            })
            .join()
            .unwrap()
        };
        let usual = started();
        assert_eq!(giving_way(started), (libc::SCHED_BATCH, NICE.max(usual.1)));
        assert_eq!(started(), usual);
    }
}
