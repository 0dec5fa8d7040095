//! What a worker does when the configuration was read again.

use std::rc::Rc;

use crate::config::Config;
use crate::worker::Worker;

impl Worker {
    /// One load in the steady state. After a reload: everything that may change is taken over, at a point where no request is half-way.
    pub(super) fn follow_config(&mut self) {
        let generation = self.live.generation();
        if generation == self.generation {
            return;
        }
        self.generation = generation;
        let config = self.live.current();
        let mut conn_config = (self.make_conn_config)(&config);
        conn_config.counters = Rc::clone(&self.config.counters);
        self.config = Rc::new(conn_config);
        self.edge.adopt(&config);
        self.take_figures(&config);
    }

    pub(super) fn take_figures(&mut self, config: &Config) {
        self.handshakes_max = u32::try_from(config.overload.handshakes_per_turn).unwrap_or(u32::MAX);
        self.connections_max = config.server.connections_max;
        self.drain_ns = config.timeouts.drain.as_nanos() as u64;
    }
}
