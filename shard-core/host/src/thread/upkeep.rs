//! Segments, checkpoints and slow figures.

use super::*;

impl ShardThread {
    pub(super) fn ask_for_segment(&mut self) {
        while let Some(segment) = self.node.need_segment() {
            let (thread, log) = (self.settings.thread, self.settings.log);
            self.keepers.ask(Job::Prepare { thread, log, segment });
        }
    }

    pub(super) fn bring_up_figures(&mut self, now_ns: u64) {
        if now_ns < self.figures_at_ns {
            return;
        }
        self.figures_at_ns = now_ns + FIGURES_EVERY_NS;
        self.stats.open_orders.set(self.node.open_orders());
        self.stats.owed_bytes.set(self.node.owed_bytes());
        self.stats.unpublished_ops.set(self.node.unpublished_ops());
        self.stats.dropped_messages.set(self.node.dropped_messages());
        let (thread, log) = (self.settings.thread, self.settings.log);
        if let Some(job) = self.node.checkpoint_due() {
            self.keepers.ask(Job::Checkpoint { thread, job });
        }
        while let Some(segment) = self.node.pop_freed() {
            self.keepers.ask(Job::Free { log, segment });
        }
    }
}
