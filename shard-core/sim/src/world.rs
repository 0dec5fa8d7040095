//! One simulated shop: a machine that crashes, the disk that outlives it, clients that remember, and a store that
//! follows.

use tidegate_shard_core::Millis;

use crate::audit::Audit;
use crate::bug::Bug;
use crate::bus::Bus;
use crate::clients::Clients;
use crate::disk::Disk;
use crate::machine::Machine;
use crate::plan::{BEGINNING, MS, Plan, Stop};
use crate::queue::{Event, Live, Queue};
use crate::rng::Rng;
use crate::store::{Store, StoreFigures};

/// A rule of CHECKS.md was broken; the text says how.
pub type Broken = String;

/// After the clients stopped, the shards get this long to settle what they owe each other: three times the longest
/// wait between two resends.
const SETTLE_US: u64 = 4_000 * MS;

/// Rounds of operators' work, each of which makes shards forget a few orders, and how long one takes.
const AGE_ROUNDS: u64 = 12;
const AGE_ROUND_US: u64 = 100 * MS;

/// The simulated world.
pub struct World {
    pub(crate) plan: Plan,
    pub(crate) rng: Rng,
    /// Microseconds since the beginning; the boot clock.
    pub(crate) now: u64,
    /// How far the wall's clock is off.
    pub(crate) wall_off_ms: i64,
    pub(crate) queue: Queue,
    pub(crate) disk: Disk,
    pub(crate) machine: Option<Machine>,
    /// Counts the machine's lives.
    pub(crate) life: u64,
    pub(crate) clients: Clients,
    pub(crate) audit: Audit,
    pub(crate) store: Store,
    pub(crate) bus: Option<Bus>,
    /// No more faults: the world settles.
    pub(crate) calm: bool,
    pub(crate) figures: Figures,
    trace: bool,
}

/// What a run did, to see that it did something.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    /// Requests sent.
    pub requests: u64,
    /// Entries that became durable.
    pub entries: u64,
    /// Orders that were placed.
    pub orders: u64,
    /// Of those, over several shards.
    pub spread_orders: u64,
    /// Starts that served.
    pub starts: u64,
    /// Starts that were stopped.
    pub stopped_starts: u64,
    /// Starts that found the logs of more than one layout of threads.
    pub layouts: u64,
    /// Batches written.
    pub batches: u64,
    /// Checkpoints made.
    pub checkpoints: u64,
    /// Segments that starts did not read, since a checkpoint held them.
    pub skipped: u64,
    /// Damaged checkpoints that starts passed over.
    pub passed_over: u64,
    /// Sales whose buyers' counts went.
    pub sales_over: u64,
    /// Entries that the machine's feed handed out.
    pub fed: u64,
    /// Acknowledged orders that a start found in the store alone.
    pub only_stored: u64,
    /// What the store did.
    pub store: StoreFigures,
    /// Segments freed.
    pub freed: u64,
    /// Disks that were lost, and made again from the bus.
    pub lost_disks: u64,
    /// Transactions of the bus that went wrong.
    pub bus_troubles: u64,
    /// Messages between threads.
    pub messages: u64,
    /// Events.
    pub events: u64,
}

impl World {
    /// Runs one seed to its end.
    ///
    /// # Errors
    /// The rule that was broken.
    pub fn run(seed: u64, bug: Option<Bug>, trace: bool) -> Result<Figures, Broken> {
        let mut world = World::new(seed, bug, trace);
        world.live(world.plan.until)?;
        world.settle()?;
        world.age()?;
        world.finish()
    }

    fn new(seed: u64, bug: Option<Bug>, trace: bool) -> World {
        let mut rng = Rng::new(seed);
        let plan = Plan::new(&mut rng, bug);
        let mut queue = Queue::default();
        queue.plan(0, Event::Start);
        for client in 0..plan.clients {
            queue.plan(rng.below(20 * MS), Event::Client(client));
        }
        plan.stops
            .iter()
            .for_each(|&(at, stop)| queue.plan(at, Event::Stop(stop)));
        plan.steps
            .iter()
            .for_each(|&(at, seconds)| queue.plan(at, Event::Step(seconds)));
        if let Some((at, length)) = plan.full {
            queue.plan(at, Event::Full(true));
            queue.plan(at + length, Event::Full(false));
        }
        for &(at, length) in &plan.lags {
            queue.plan(at, Event::StoreStops(true));
            queue.plan(at + length, Event::StoreStops(false));
        }
        queue.plan(50 * MS, Event::Follow);
        if let Some(bus) = &plan.bus {
            queue.plan(MS, Event::Publish);
            for &(at, length) in &bus.downs {
                queue.plan(at, Event::BusDown(true));
                queue.plan(at + length, Event::BusDown(false));
            }
            bus.losses
                .iter()
                .for_each(|&at| queue.plan(at, Event::Stop(Stop::DiskLost)));
        }
        let clients = Clients::new(&plan, &mut rng);
        let audit = Audit::new(&plan);
        let store = Store::new(plan.store, Rng::new(rng.bits()), plan.follow_planted());
        let bus = plan
            .bus
            .as_ref()
            .map(|bus| Bus::new(plan.shards, bus, Rng::new(rng.clone().bits())));
        World {
            plan,
            rng,
            now: 0,
            wall_off_ms: 0,
            queue,
            disk: Disk::default(),
            machine: None,
            life: 0,
            clients,
            audit,
            store,
            bus,
            calm: false,
            figures: Figures::default(),
            trace,
        }
    }

    fn live(&mut self, until: u64) -> Result<(), Broken> {
        while let Some((at, event)) = self.queue.next(until) {
            self.now = self.now.max(at);
            self.figures.events += 1;
            self.trace(|| format!("{event:?}"));
            self.happen(event)?;
        }
        self.now = until;
        Ok(())
    }

    fn happen(&mut self, event: Event) -> Result<(), Broken> {
        match event {
            Event::Client(client) => self.client_acts(client),
            Event::Request(ticket, shard, command) => self.request(ticket, shard, command),
            Event::Reply(ticket, answer) => self.client_hears(ticket, Some(answer)),
            Event::Timeout(ticket) => self.client_hears(ticket, None),
            Event::Stop(stop) if !self.calm => self.stop(stop),
            Event::Stop(_) => Ok(()),
            Event::Start => self.start(),
            Event::Step(seconds) => {
                self.wall_off_ms += seconds * 1000;
                Ok(())
            }
            Event::Full(full) => {
                self.disk.room_bytes = (full && !self.calm).then_some(0);
                Ok(())
            }
            Event::Follow => {
                self.queue.plan(self.now + 60 * MS, Event::Follow);
                self.maybe_stall();
                self.follow()
            }
            Event::Publish => self.publish(),
            Event::BusDown(down) => {
                if let Some(bus) = &mut self.bus {
                    bus.down = down;
                }
                Ok(())
            }
            Event::StoreStops(stopped) => {
                self.store.stopped = stopped && !self.calm;
                Ok(())
            }
            Event::Live(life, live) if life == self.life => self.live_event(live),
            Event::Live(..) => Ok(()),
        }
    }

    /// No more requests and no more faults, until the shards owe each other nothing.
    fn settle(&mut self) -> Result<(), Broken> {
        self.trace(|| "the clients stop".to_owned());
        self.calm = true;
        self.disk.room_bytes = None;
        self.disk.stop_after(None);
        (self.store.stopped, self.store.calm) = (false, true);
        if let Some(bus) = &mut self.bus {
            bus.calm = true;
        }
        if self.machine.is_none() {
            self.queue.plan(self.now, Event::Start);
        }
        self.live(self.now + SETTLE_US)
    }

    /// In some runs a day passes for the shards' memory, and power is lost before and after: what a shard forgets must be in the store,
    /// which is as faulty meanwhile as it was before.
    fn age(&mut self) -> Result<(), Broken> {
        if !self.plan.ages {
            return Ok(());
        }
        self.trace(|| "a day passes".to_owned());
        self.plan.key_window_ms = 0;
        self.store.calm = false;
        let lags = self.rng.percent(50);
        self.halt(true);
        for round in 0..AGE_ROUNDS {
            self.live(self.now + AGE_ROUND_US)?;
            self.operators_work();
            self.store.stopped = lags && round >= AGE_ROUNDS / 2;
        }
        self.halt(true);
        self.live(self.now + 2 * AGE_ROUND_US)?;
        (self.store.stopped, self.store.calm) = (false, true);
        self.live(self.now + SETTLE_US / 4)
    }

    fn finish(mut self) -> Result<Figures, Broken> {
        self.follow()?;
        let Some(machine) = &self.machine else {
            return Err("the machine does not run at the end".to_owned());
        };
        let now = machine.time_at_most();
        self.audit.finish(machine, now)?;
        self.audit.check_store(machine, &self.store)?;
        self.clients.finish(&self.audit, &self.store)?;
        self.check_drained()?;
        self.check_wrong_marks()?;
        self.figures.store = self.store.figures;
        self.figures.bus_troubles = self.bus.as_ref().map_or(0, |bus| bus.troubles);
        self.figures.sales_over = self.audit.sales_over;
        self.figures.entries = self.audit.entries();
        (self.figures.orders, self.figures.spread_orders) = self.audit.orders_placed();
        Ok(self.figures)
    }

    /// Plans an event for a thread of the machine that runs now.
    pub(crate) fn plan_live(&mut self, delay: u64, live: Live) {
        self.queue.plan(self.now + delay, Event::Live(self.life, live));
    }

    /// The wall's clock.
    pub(crate) fn wall_ns(&self) -> u64 {
        let ms = (BEGINNING.0 as i64 + self.wall_off_ms) as u64;
        ms * 1_000_000 + self.now * 1000
    }

    /// The clock since boot; the simulated machine never reboots without its disk forgetting, so one is enough.
    pub(crate) fn boot_ns(&self) -> u64 {
        self.now * 1000
    }

    pub(crate) fn trace(&self, line: impl FnOnce() -> String) {
        if self.trace {
            println!("{:>10} {}", self.now, line());
        }
    }
}

/// A moment of shard time as simulated time from now, in microseconds.
pub(crate) fn until_us(now: Millis, at: Millis) -> u64 {
    at.0.saturating_sub(now.0).min(3_600_000) * MS
}
