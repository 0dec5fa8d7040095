//! What is wrong now, by part: for `/readyz` and for gRPC's health service.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::watch;

use crate::config::Role;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It works, but for a part that is named: a shard that was stopped.
    Degraded,
    /// It does not do its work now.
    Down,
}

/// What is wrong with each role; one line each, the newest.
#[derive(Debug)]
pub struct Health {
    wrong: Mutex<BTreeMap<Role, (Severity, String)>>,
    changes: watch::Sender<u64>,
}

impl Default for Health {
    fn default() -> Health {
        Health {
            wrong: Mutex::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Health {
    /// A role has this wrong with it.
    pub fn set(&self, role: Role, severity: Severity, line: impl Into<String>) {
        let now = (severity, line.into());
        let before = self.lock().insert(role, now.clone());
        if before != Some(now) {
            self.changes.send_modify(|number| *number += 1);
        }
    }

    /// Nothing is wrong with a role.
    pub fn clear(&self, role: Role) {
        if self.lock().remove(&role).is_some() {
            self.changes.send_modify(|number| *number += 1);
        }
    }

    /// How a role is; none: well.
    #[must_use]
    pub fn of(&self, role: Role) -> Option<(Severity, String)> {
        self.lock().get(&role).cloned()
    }

    /// Whether every role does its work.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.lock()
            .values()
            .all(|(severity, _)| *severity < Severity::Down)
    }

    /// Hears of changes.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Role, (Severity, String)>> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stopped_shard_takes_nothing_from_the_others_and_a_store_that_is_away_does() {
        let health = Health::default();
        let changes = health.changes();
        health.set(Role::Store, Severity::Degraded, "shard 3 is stopped");
        assert!(health.is_ready() && changes.has_changed().unwrap());
        health.set(Role::Store, Severity::Down, "no server");
        assert!(!health.is_ready());
        assert_eq!(health.of(Role::Store).unwrap().1, "no server");
        health.clear(Role::Store);
        assert!(health.is_ready() && health.of(Role::Store).is_none());
    }
}
