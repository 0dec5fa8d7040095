//! Threads that give way to those that serve orders.

/// How much: a tenth of the others' share where both want a core.
const NICE: i32 = 10;

/// Does it on a thread that gives way, and so do the threads that it starts: a thread begins with its maker's niceness.
pub(super) fn giving_way<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Where it is not allowed the threads have the usual share.
            _ = rustix::process::nice(NICE);
            work()
        });
        match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
