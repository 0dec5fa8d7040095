//! Work on threads that give way to those that serve orders.

use tidegate_host::give_way;

/// Does it on a thread that gives way, and so do the threads that it starts.
pub(super) fn giving_way<T: Send>(work: impl FnOnce() -> T + Send) -> T {
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
