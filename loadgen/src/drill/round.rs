//! A round: load, a victim that is killed in the midst of it, and the victim's return.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::gateway;
use super::process::Process;
use super::split::{Split, Victim};
use super::{Drill, START_MAX};
use crate::ledger::Ledger;
use crate::load::Load;
use crate::meter::Meter;
use crate::net::pool;
use crate::pace::Pace;
use crate::skus::{Chooser, Spread};

/// The longest load of a round; who is killed is back long before.
const LOAD_MAX: Duration = Duration::from_secs(600);
/// For how long the load goes on after a victim is back.
const AFTERWARDS: Duration = Duration::from_secs(1);

/// What a round came to.
pub(super) struct Round {
    /// The gateway after it.
    pub(super) gateway: Process,
    /// Kills beyond the one of the round.
    pub(super) more: u32,
    /// What happened.
    pub(super) words: String,
}

impl Drill<'_> {
    /// One round. Without a process behind the gateway the victim is always the gateway.
    pub(super) fn round(&mut self, gateway: Process, kills: u32) -> Result<Round, String> {
        let victim = match &self.split {
            Some(_) => self.turns.next(&mut self.rng),
            None => Victim::Gateway,
        };
        match (victim, self.split.take()) {
            (Victim::Gateway, split) => {
                self.split = split;
                self.gateway_dies(gateway, kills)
            }
            (_, None) => Err("there is nothing but the gateway to be killed".into()),
            (victim, Some(split)) => {
                let words = self.other_dies(split, victim)?;
                gateway.lives()?;
                Ok(Round {
                    gateway,
                    more: 0,
                    words,
                })
            }
        }
    }

    fn gateway_dies(&mut self, gateway: Process, kills: u32) -> Result<Round, String> {
        let moment = self.moment();
        self.load_until(move || {
            std::thread::sleep(moment);
            let killed = gateway.kill();
            // A moment for the connections to notice, so that what was under way counts as lost.
            std::thread::sleep(Duration::from_millis(100));
            killed
        })??;
        if let Some(split) = &self.split {
            split.lives()?;
        }
        let (gateway, more, threads) = self.start_again(kills)?;
        let ready = gateway.wait_ready(START_MAX)?;
        let twice = if more > 0 {
            ", and once more while it started"
        } else {
            ""
        };
        Ok(Round {
            gateway,
            // Everybody has a turn, however often the gateway was killed in its own.
            more: if self.split.is_some() { 0 } else { more },
            words: format!(
                "the gateway killed after {moment:?}{twice}; ready in {ready:?} with {threads} shard threads"
            ),
        })
    }

    /// Kills what stands behind the gateway, which must go on, and starts it again after a while.
    fn other_dies(&mut self, mut split: Split, victim: Victim) -> Result<String, String> {
        let (moment, pause) = (self.moment(), self.moment());
        let (split, back) = self.load_until(move || {
            std::thread::sleep(moment);
            let killed = split.kill(victim);
            std::thread::sleep(pause);
            let back = killed.and_then(|()| split.up(victim));
            std::thread::sleep(AFTERWARDS);
            (split, back)
        })?;
        let lives = split.lives();
        self.split = Some(split);
        let back = back?;
        lives?;
        let name = victim.name();
        Ok(format!(
            "{name} killed after {moment:?}, started again after {pause:?} and back in {back:?}"
        ))
    }

    fn moment(&mut self) -> Duration {
        Duration::from_millis(50 + self.rng.below(self.args.round_ms_max.max(100)))
    }

    /// Loads the gateway until `meanwhile`, on a thread of its own, is done; gives what it gave.
    fn load_until<T: Send + 'static>(
        &mut self,
        meanwhile: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, String> {
        let spread = Spread::List(self.names.clone());
        let chooser = Chooser::new(&spread, 0, self.rng.bits());
        let start = self.clock.now();
        let pace = Pace::new(Some(self.args.rate), start, LOAD_MAX, None);
        let ledger = std::mem::replace(&mut self.ledger, Ledger::new(0));
        let mix = self.args.mix.clone();
        let seed = self.rng.bits();
        let load = Load::new(
            pace,
            Meter::new(start, true),
            ledger,
            chooser,
            mix,
            self.users.count(),
            seed,
        );
        let stop: Arc<AtomicBool> = load.stop.clone();
        let doing = std::thread::spawn(move || {
            let done = meanwhile();
            stop.store(true, Ordering::Relaxed);
            done
        });
        let (load, _) = pool::run(&self.config, self.clock, &self.users, load)?;
        self.ledger = load.ledger;
        doing.join().map_err(|_| "the killer panicked".into())
    }

    /// Starts the gateway again, now and then with another number of threads, now and then killing the start as well. Gives how many
    /// more kills that were.
    fn start_again(&mut self, kills: u32) -> Result<(Process, u32, usize), String> {
        let other = self.rng.below(4) == 0;
        let threads = self.args.shard_threads + if other { 1 + self.rng.below(2) as usize } else { 0 };
        if kills < self.args.kills && self.rng.below(4) == 0 {
            let gateway = gateway::start(&self.setup, threads)?;
            std::thread::sleep(Duration::from_millis(self.rng.below(400)));
            gateway.kill()?;
            return Ok((gateway::start(&self.setup, threads)?, 1, threads));
        }
        Ok((gateway::start(&self.setup, threads)?, 0, threads))
    }
}
