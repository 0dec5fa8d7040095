//! Shard threads, from what a start has made.

use std::sync::mpsc::channel;

use tidegate_node::{Node, segments};

use super::*;
use crate::thread::{Rings, Settings, ShardThread};

/// Spawns a thread for each node. The receiver gets a word from each once it serves, or ends when they do.
pub(super) fn spawn_threads(
    host: &mut Host,
    starting: Starting<'_>,
    rings: Vec<Rings>,
    inboxes: Vec<Receiver<Notice>>,
) -> Result<Receiver<()>, StartError> {
    let Starting {
        config,
        selected,
        opened,
        clock,
        ..
    } = starting;
    let Some(keepers) = &host.keepers else {
        return Err(StartError::Config("the host has stopped".to_owned()));
    };
    let layout = opened.manifest.current();
    let (ready, is_ready) = channel();
    let ends = rings.into_iter().zip(inboxes);
    for ((thread, node), (rings, inbox)) in opened.nodes.into_iter().enumerate().zip(ends) {
        let log = layout.logs[thread].log;
        let start = Start {
            settings: Settings {
                thread,
                log,
                window_us_max: config.window_us_max,
                spin_us: config.spin_us,
                control_ports: config.control_ports,
            },
            log_dir: config.data_dir.join(segments::log_dir(log)),
            core: config.cores.as_ref().map(|cores| cores[thread]),
            selected,
            node,
            rings,
            inbox,
            clock: clock.clone(),
            keepers: keepers.clone(),
            shared: Arc::clone(&host.shared),
        };
        let ready = ready.clone();
        let spawned = std::thread::Builder::new()
            .name(format!("tidegate-shard-{thread}"))
            .spawn(move || start.run(move || _ = ready.send(())))
            .map_err(io_error("starting a thread"))?;
        host.threads.push(spawned);
    }
    Ok(is_ready)
}

/// What moves to a shard thread; the writer is opened there.
struct Start {
    settings: Settings,
    log_dir: std::path::PathBuf,
    core: Option<usize>,
    selected: Selected,
    node: Node,
    rings: Rings,
    inbox: Receiver<Notice>,
    clock: Clock,
    keepers: Keepers,
    shared: Arc<Shared>,
}

impl Start {
    fn run(self, ready: impl FnOnce()) {
        let thread = self.settings.thread;
        let _guard = PanicGuard {
            shared: Arc::clone(&self.shared),
            thread,
        };
        if let Some(core) = self.core {
            pin(core);
        }
        // A window of 300 us ends 50 us late with the default slack.
        _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(limits::TIMER_SLACK_NS));
        let writer = match disk::open(self.selected, &self.log_dir) {
            Ok(writer) => writer,
            Err(error) => {
                let text = format!(
                    "opening the log writer for {}: {error}; `tidegate doctor` looks at disk and limits",
                    self.log_dir.display()
                );
                return self.shared.fail(Failure { thread, text });
            }
        };
        ShardThread::new(
            self.settings,
            self.node,
            writer,
            self.rings,
            self.clock,
            self.inbox,
            self.keepers,
            self.shared,
        )
        .run(ready);
    }
}

/// A shard thread that panics is a failed log: nothing is known of what it had acknowledged to itself.
struct PanicGuard {
    shared: Arc<Shared>,
    thread: usize,
}

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let text = format!(
                "shard thread {} panicked; this is a bug in tidegate: the log holds every order that was answered, start it again and report what is above",
                self.thread
            );
            self.shared.fail(Failure {
                thread: self.thread,
                text,
            });
        }
    }
}

fn pin(core: usize) {
    let mut cores = rustix::thread::CpuSet::new();
    if core >= rustix::thread::CpuSet::MAX_CPU {
        return eprintln!("tidegate: there is no core {core}; the shard thread is not pinned");
    }
    cores.set(core);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &cores) {
        eprintln!("tidegate: a shard thread cannot be pinned to core {core}: {error}");
    }
}
