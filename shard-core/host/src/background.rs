//! Threads that give way to those that serve orders.
#![allow(unsafe_code)]

/// A tenth of the share of a thread that serves orders, where both want a core.
const NICE: i32 = 10;

/// The slice of such a thread, nanoseconds: twice the kernel's own, which is 2.8 ms from eight cores on and shorter below. Longer would do no more, and
/// kernels before 6.17 let a slice end also before a thread that was never asleep.
const SLICE_NS: u64 = 6_000_000;

/// The calling thread gives way from now on, and so do the threads that it starts.
///
/// Niceness alone says how a core is shared, not when: a thread that runs may end its slice before one that woke up gets the core, and an order waits
/// for it. Since Linux 6.12 a thread with a shorter slice takes the core at once from one with a longer slice (EEVDF, `PREEMPT_SHORT`), so these ask for a
/// long one; as `SCHED_BATCH` they take it from nobody. They are not `SCHED_IDLE`: on a core that is never idle they would stand still, and with them
/// checkpoints and store.
///
/// Where it is not allowed the thread has the usual share; an older kernel takes class and niceness, and not the slice.
pub fn give_way() {
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

    /// Class and niceness of a thread that is started here.
    fn started() -> (i32, i32) {
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
    }

    #[test]
    fn a_thread_that_gives_way_has_threads_that_do_and_its_maker_does_not() {
        let usual = started();
        let below = std::thread::spawn(|| {
            give_way();
            started()
        });
        let (class, nice) = below.join().unwrap();
        assert!(nice >= NICE, "{nice}");
        // A sandbox may refuse the class.
        assert!(class == libc::SCHED_BATCH || class == usual.0, "{class}");
        assert_eq!(started(), usual);
    }
}
