//! What an order costs between a net thread and the disk, without any network: one port keeps so many orders
//! in flight and sends the next as each is answered.
//!
//! `cargo run --release -p tidegate-host --example closed_loop -- IN_FLIGHT WINDOW_US SECONDS [WORK_US] [THREADS] [LINES]`
//! All threads of the process share core 0. CPU is user and system time, of the port's thread and of the rest.
//! WORK_US of CPU are burnt for each order by the port's thread, in turns of at most 16 orders, as a net thread
//! would that speaks TLS and HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tidegate_host::clock::monotonic_ns;
use tidegate_host::{Answer, Event, Host, HostConfig, NetPort, Request};
use tidegate_link::stats::Histogram;
use tidegate_shard_core::{
    Buyer, Command, KeyHash, Line, Lines, Outcome, Place, PutSku, SkuName, body_hash, home_shard,
};

const SKUS: u64 = 1000;

/// Orders that the port's thread handles before it shows them to the shard thread.
const TURN: u64 = 16;

fn sku(n: u64) -> SkuName {
    SkuName::parse(format!("SKU-{}", n % SKUS).as_bytes()).expect("a name")
}

fn place(number: u64, lines: u64, user: &Arc<str>) -> Command {
    let mut lines: Lines = (0..lines)
        .map(|i| Line {
            sku: sku(number * 7 + i),
            qty: 1,
        })
        .collect();
    lines.sort_by_key(|line| line.sku);
    let mut key = [0; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes());
    let body = body_hash(&lines);
    Command::Place(Place {
        buyer: Buyer(key),
        subject: Arc::clone(user),
        key: KeyHash(key),
        body,
        lines,
    })
}

fn send(port: &mut NetPort, ticket: u64, command: Command) {
    let shard = home_shard(&command, port.shards());
    let request = Request {
        ticket,
        at_ns: monotonic_ns(),
        shard,
        command,
    };
    port.try_send(request)
        .unwrap_or_else(|_| panic!("there are credits"));
}

fn fill_catalogue(port: &mut NetPort) {
    let mut answered = 0;
    for n in 0..SKUS {
        let put = PutSku {
            price: Some(1000),
            currency: Some(*b"CNY"),
            stock: Some(1 << 40),
            ..PutSku::new(sku(n))
        };
        send(port, n, Command::PutSku(Box::new(put)));
    }
    port.ring_bells();
    while answered < SKUS {
        match port.try_recv() {
            Some(Event::Reply { .. }) => answered += 1,
            Some(_) => {}
            None => port.wait(Duration::from_millis(10)),
        }
    }
}

fn main() {
    let args: Vec<u64> = std::env::args()
        .skip(1)
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let arg = |at: usize, default| args.get(at).copied().unwrap_or(default);
    let (in_flight, window_us, seconds) = (arg(0, 64), arg(1, 600), arg(2, 2));
    let (work_us, threads, lines) = (arg(3, 0), arg(4, 1), arg(5, 1));
    let mut cores = rustix::thread::CpuSet::new();
    cores.set(0);
    rustix::thread::sched_setaffinity(None, &cores).expect("core 0 is there");

    let dir = std::env::temp_dir().join(format!("tidegate-closed-loop-{}", std::process::id()));
    let config = HostConfig {
        threads: threads as usize,
        window_us_max: window_us as u32,
        shed_after_ms: 0,
        ..HostConfig::new(&dir)
    };
    let (host, mut ports) = Host::start(config, 1, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"));
    let port = &mut ports[0];
    fill_catalogue(port);
    run(port, in_flight, lines, work_us, Duration::from_millis(300), 0);
    let before: Vec<Figures> = host.stats().iter().map(|stats| Figures::of(stats)).collect();
    let (cpu, own) = (process_cpu(), thread_cpu());
    let begin = Instant::now();
    let done = run(
        port,
        in_flight,
        lines,
        work_us,
        Duration::from_secs(seconds),
        1 << 40,
    );
    let own = (thread_cpu() - own).as_secs_f64();
    let cpu = (process_cpu() - cpu).as_secs_f64() - own;
    let elapsed = begin.elapsed().as_secs_f64();
    let stats = host.stats();
    let figures = stats
        .iter()
        .zip(before)
        .map(|(stats, before)| Figures::of(stats).since(&before));
    let figures = figures.fold(Figures::default(), |sum, one| sum.plus(&one));
    let per = |n: u64| n as f64 / done.orders as f64;
    println!(
        "in flight {in_flight}, window {window_us} us: {:.0} orders/s, {:.2} + {:.2} us CPU an order (port + rest), {:.1} orders a batch, \
         p50 {} us, p99 {} us; sync p50 {} us, decide p50 {} ns",
        done.orders as f64 / elapsed,
        own * 1e6 / done.orders as f64,
        cpu * 1e6 / done.orders as f64,
        done.orders as f64 / figures.batches as f64,
        done.p50_us,
        done.p99_us,
        host.stats()[0].sync.snapshot().quantile(0.5) / 1000,
        host.stats()[0].decide.snapshot().quantile(0.5),
    );
    println!(
        "  an order: {:.3} commits, {:.3} bells, {:.3} sleeps, {:.3} dozes, {:.3} turns, {:.3} waits of the port; \
         refused {}",
        per(figures.batches),
        per(figures.bells),
        per(figures.sleeps),
        per(figures.windows),
        per(figures.turns),
        per(done.waits),
        done.refused,
    );
    host.stop().expect("the log is well");
    _ = std::fs::remove_dir_all(dir);
}

#[derive(Default)]
struct Done {
    orders: u64,
    refused: u64,
    waits: u64,
    p50_us: u64,
    p99_us: u64,
}

fn run(port: &mut NetPort, in_flight: u64, lines: u64, work_us: u64, time: Duration, first: u64) -> Done {
    let user = Arc::from("user-1");
    let mut done = Done::default();
    let latency = Histogram::new();
    let (begin, mut next) = (Instant::now(), first);
    let mut sent_at = vec![0; in_flight as usize];
    for slot in 0..in_flight {
        send(port, slot, place(next, lines, &user));
        sent_at[slot as usize] = monotonic_ns();
        next += 1;
    }
    port.ring_bells();
    while port.in_flight() > 0 {
        let mut any = false;
        let now = monotonic_ns();
        let on = begin.elapsed() < time;
        let mut events = 0;
        while events < TURN
            && let Some(event) = port.try_recv()
        {
            any = true;
            let Event::Reply { ticket, answer, .. } = event else {
                continue;
            };
            events += 1;
            burn(work_us);
            match answer {
                Answer::Decided(Outcome::Order(_)) => done.orders += 1,
                _ => done.refused += 1,
            }
            latency.record(now - sent_at[ticket as usize]);
            if on {
                send(port, ticket, place(next, lines, &user));
                sent_at[ticket as usize] = now;
                next += 1;
            }
        }
        port.ring_bells();
        if !any {
            done.waits += 1;
            port.wait(Duration::from_millis(100));
        }
    }
    let snapshot = latency.snapshot();
    (done.p50_us, done.p99_us) = (snapshot.quantile(0.5) / 1000, snapshot.quantile(0.99) / 1000);
    done
}

#[derive(Default)]
struct Figures {
    batches: u64,
    bells: u64,
    sleeps: u64,
    windows: u64,
    turns: u64,
}

impl Figures {
    fn of(stats: &tidegate_host::ThreadStats) -> Figures {
        Figures {
            batches: stats.batches.get(),
            bells: stats.bells.get(),
            sleeps: stats.sleeps.get(),
            windows: stats.windows.get(),
            turns: stats.turns.get(),
        }
    }

    fn since(&self, before: &Figures) -> Figures {
        Figures {
            batches: self.batches - before.batches,
            bells: self.bells - before.bells,
            sleeps: self.sleeps - before.sleeps,
            windows: self.windows - before.windows,
            turns: self.turns - before.turns,
        }
    }

    fn plus(&self, other: &Figures) -> Figures {
        Figures {
            batches: self.batches + other.batches,
            bells: self.bells + other.bells,
            sleeps: self.sleeps + other.sleeps,
            windows: self.windows + other.windows,
            turns: self.turns + other.turns,
        }
    }
}

fn burn(work_us: u64) {
    let until = thread_cpu() + Duration::from_micros(work_us);
    while work_us > 0 && thread_cpu() < until {
        std::hint::spin_loop();
    }
}

fn thread_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn process_cpu() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
