//! What a thread does when a turn found nothing: doze through the commit window, or sleep.

use std::time::Duration;

use super::*;

impl ShardThread {
    /// Nothing to do in this turn: doze through the window, or sleep.
    pub(super) fn rest(&mut self) {
        let timeout = self.sleep_for();
        if timeout.is_zero() {
            return;
        }
        let now_ns = monotonic_ns();
        let pending = self.node.appender().pending_bytes();
        let seal = self.window.should_seal(now_ns, pending, false, true);
        if seal == Seal::No || self.node.appender().waits_for_segment() {
            // With a segment missing, its keeper rings.
            return self.sleep(now_ns, timeout);
        }
        if let Some(until) = self.open_until(now_ns) {
            return self.listen(now_ns, until);
        }
        if let Seal::At(until) = seal {
            self.stats.windows.add(1);
            self.inbound.bell.prepare_doze();
            self.inbound
                .bell
                .wait(Some(Duration::from_nanos(until.saturating_sub(now_ns))));
        }
    }

    /// How long the batch stays open because a net thread is at work, whatever the window makes of the rate:
    /// it decides by single records, and a net thread shows its requests a turn's worth at a time. On a core
    /// that both share it is also what lets the net thread end its turn.
    pub(super) fn open_until(&self, now_ns: u64) -> Option<u64> {
        let appender = self.node.appender();
        let until = self.batch_first_ns + u64::from(self.settings.window_us_max) * 1000;
        let pends = (1..limits::BATCH_OPEN_RECORDS).contains(&appender.pending_records());
        (pends && now_ns < until && self.out.nets_are_awake()).then_some(until)
    }

    /// Until the time is over, or no net thread has anything more.
    fn listen(&mut self, now_ns: u64, until: u64) {
        self.stats.windows.add(1);
        self.inbound.bell.prepare_listen();
        if self.out.nets_are_awake() {
            self.inbound.bell.wait(Some(Duration::from_nanos(until - now_ns)));
        } else {
            self.inbound.bell.woke();
        }
    }

    fn sleep(&mut self, now_ns: u64, timeout: Duration) {
        if self.mark_if_idle(now_ns) || self.spin(now_ns) {
            return;
        }
        self.inbound.bell.prepare_sleep();
        if self.inbound.is_empty() && !self.has_notice() {
            self.stats.sleeps.add(1);
            self.inbound.bell.wait(Some(timeout));
        } else {
            self.inbound.bell.woke();
        }
    }

    /// A notice that came since the inbox was read did not ring: this thread was awake.
    fn has_notice(&mut self) -> bool {
        self.noticed = self.noticed.take().or_else(|| self.inbox.try_recv().ok());
        self.noticed.is_some()
    }

    /// Until the node's next timer, at most [`limits::IDLE_MS_MAX`].
    fn sleep_for(&mut self) -> Duration {
        let hurried = self.out.is_stuck() || !self.shared.is_serving();
        let longest = if hurried { 1 } else { limits::IDLE_MS_MAX };
        let now = self.clock.now();
        let ms = self
            .node
            .next_wake()
            .map_or(longest, |at| at.0.saturating_sub(now.0).min(longest));
        Duration::from_millis(ms)
    }

    /// Looks at the rings for the configured time before sleeping; true when something came.
    fn spin(&mut self, now_ns: u64) -> bool {
        let until = now_ns + u64::from(self.settings.spin_us) * 1000;
        while self.settings.spin_us > 0 && monotonic_ns() < until {
            if !self.inbound.is_empty() {
                return true;
            }
            std::hint::spin_loop();
        }
        false
    }

    /// An idle log says how far it is durable, so that damage to its last batch cannot pass for a cut write.
    fn mark_if_idle(&mut self, now_ns: u64) -> bool {
        if now_ns.saturating_sub(self.last_batch_ns) < limits::MARK_AFTER_NS {
            return false;
        }
        self.last_batch_ns = now_ns;
        match self.node.seal_mark() {
            Some(batch) => {
                self.write(batch, now_ns);
                true
            }
            None => false,
        }
    }
}
