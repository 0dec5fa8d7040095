//! `tidegate-loadgen drill`: starts a gateway, loads it, kills it with -9 at random moments, starts it again (sometimes with another
//! number of shard threads, sometimes killing the start too), and proves after each that nothing was lost.

mod gateway;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use self::gateway::{Gateway, Setup, free_address, last_words};
use crate::batch::{self, Job};
use crate::cli::DrillArgs;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::load::Load;
use crate::meter::Meter;
use crate::net::link::Http;
use crate::net::pool::{self, PoolConfig};
use crate::net::session::{TlsClient, Trust};
use crate::pace::Pace;
use crate::report::{findings_json, print_findings, write_json};
use crate::request::Method;
use crate::rng::Rng;
use crate::skus::{Chooser, Spread};
use crate::target::Target;
use crate::users::{Mint, Users, operator};
use crate::verify::api::Asker;
use crate::verify::proof::{Disk, Scope, prove};
use crate::verify::{Findings, SkuEvidence};

/// A start may take this long: recovery reads the whole log.
const START_MAX: Duration = Duration::from_secs(60);

/// SKUs of the drill: plenty of most, so that orders go through, and few of some, so that they sell out.
const SKUS: usize = 40;

struct Drill<'a> {
    args: &'a DrillArgs,
    setup: Setup,
    config: PoolConfig,
    users: Rc<Users>,
    clock: Clock,
    rng: Rng,
    names: Vec<String>,
    skus: Vec<SkuEvidence>,
    ledger: Ledger,
}

/// Runs the drill; `Ok(true)` when every proof held.
pub fn run(args: &DrillArgs) -> Result<bool, String> {
    let clock = Clock::start();
    let seed = args.seed.unwrap_or(clock.zero_unix_ms());
    println!("drill: {} kills, seed {seed}", args.kills);
    let scratch = std::env::temp_dir().join(format!("tidegate-drill-{}-{seed}", std::process::id()));
    let data = args.data.clone().unwrap_or_else(|| scratch.join("data"));
    std::fs::create_dir_all(&scratch).map_err(|e| {
        format!(
            "{}: {e}; set TMPDIR to a directory that can be written",
            scratch.display()
        )
    })?;
    let program = program(args.tidegate.as_deref())?;
    let setup = Setup {
        program,
        data,
        listen: free_address()?,
        admin: free_address()?,
        output: scratch.join("gateway.log"),
        backoffice: args.backoffice.clone(),
        store: args.store.clone(),
    };
    let result = drill(args, setup.clone(), clock, seed);
    match &result {
        Ok((_, findings)) if findings.is_clean() && !args.keep => drop(std::fs::remove_dir_all(&scratch)),
        _ => {
            println!(
                "kept {} (seed {seed}); the gateway's last words:",
                scratch.display()
            );
            println!("{}", last_words(&setup.output));
        }
    }
    let (kills, findings) = result?;
    if let Some(dir) = &args.report {
        let report = json!({ "kills": kills, "seed": seed, "verified": findings.is_clean(), "verification": findings_json(&findings) });
        write_json(dir, &report)?;
    }
    Ok(findings.is_clean())
}

/// The program under test: the one named, or `tidegate` beside this one.
fn program(named: Option<&Path>) -> Result<PathBuf, String> {
    let beside = || {
        std::env::current_exe()
            .ok()
            .map(|me| me.with_file_name("tidegate"))
    };
    named
        .map(Path::to_path_buf)
        .or_else(beside)
        .filter(|p| p.is_file())
        .ok_or_else(|| {
            "where is the gateway? --tidegate PROGRAM (cargo build --release makes target/release/tidegate)"
                .into()
        })
}

fn drill(args: &DrillArgs, setup: Setup, clock: Clock, seed: u64) -> Result<(u32, Findings), String> {
    let mut gateway = Gateway::start(&setup, args.shard_threads)?;
    gateway.wait_ready(START_MAX)?;
    let mut drill = Drill::new(args, setup, clock, seed)?;
    let mut kills = 0;
    loop {
        let before = drill.ledger.records.len();
        kills += 1;
        let moment = drill.load_until_kill(&gateway)?;
        let sent = drill.ledger.records.len() - before;
        let (next, more, threads) = drill.start_again(kills)?;
        kills += more;
        gateway = next;
        let ready = gateway.wait_ready(START_MAX)?;
        let findings = drill.prove(args.read_back, kills >= args.kills)?;
        println!(
            "kill {kills}/{}: {sent} requests, killed after {moment:?}{}; ready in {ready:?} with {threads} shard threads; {}",
            args.kills,
            if more > 0 {
                ", and once more while it started"
            } else {
                ""
            },
            if findings.is_clean() {
                "verified"
            } else {
                "NOT VERIFIED"
            }
        );
        if kills >= args.kills || !findings.is_clean() {
            if findings.is_clean() {
                drill.end(&gateway)?;
            }
            print_findings(&findings);
            return Ok((kills, findings));
        }
    }
}

impl<'a> Drill<'a> {
    fn new(args: &'a DrillArgs, setup: Setup, clock: Clock, seed: u64) -> Result<Drill<'a>, String> {
        let run = clock.zero_unix_ms();
        let mint = Mint::open(&setup.data.join("token.key"), run / 1000, 24 * 3600)?;
        let users = Users::mint(
            Some(&mint),
            &format!("dr{run:x}-"),
            args.users.max(1),
            false,
            |_| {},
        )?;
        let http = if args.http == 2 { Http::Two } else { Http::One };
        let target = Target::parse(&format!("https://{}", setup.listen))?;
        let tls = TlsClient::new(&target.host, &Trust::Anyone, http.alpn())?;
        let config = PoolConfig {
            target,
            tls: Some(tls),
            http,
            connections: args.connections.max(1),
            outstanding: if http == Http::Two { 8 } else { 1 },
            timeout_ns: 10_000_000_000,
            patience_ns: 10_000_000_000,
        };
        let names = (1..=SKUS).map(|n| format!("DRILL-{n}")).collect();
        let mut drill = Drill {
            args,
            setup,
            config,
            users: Rc::new(users),
            clock,
            rng: Rng::seeded(seed),
            names,
            skus: Vec::new(),
            ledger: Ledger::new(run),
        };
        drill.stock_up()?;
        Ok(drill)
    }

    fn asker(&self) -> Asker<'_> {
        Asker {
            config: &self.config,
            clock: self.clock,
            users: &self.users,
        }
    }

    /// Makes the drill's SKUs.
    fn stock_up(&mut self) -> Result<(), String> {
        let job = |(n, name): (usize, &String)| {
            let stock = if n % 4 == 0 { 500 } else { 1_000_000 };
            let limit = if n % 8 == 0 { r#","buyer_limit":2"# } else { "" };
            let body =
                format!(r#"{{"name":"Drill {n}","price":1000,"currency":"CNY","stock":{stock}{limit}}}"#);
            Job {
                method: Method::Put,
                path: format!("/v1/skus/{name}"),
                user: operator(n as u32),
                body: body.into_bytes(),
                ..Job::default()
            }
        };
        let jobs = self.names.iter().enumerate().map(job).collect();
        for reply in batch::run(&self.config, self.clock, &self.users, jobs, 10_000_000_000)? {
            match reply {
                Some(reply) if (200..300).contains(&reply.status) => {}
                Some(reply) => {
                    return Err(format!(
                        "making SKUs: {} {}",
                        reply.status,
                        String::from_utf8_lossy(&reply.body)
                    ));
                }
                None => return Err("making SKUs: no answer".into()),
            }
        }
        self.skus = self.asker().skus(&self.names)?;
        Ok(())
    }

    /// Loads the gateway and kills it in the middle.
    fn load_until_kill(&mut self, gateway: &Gateway) -> Result<Duration, String> {
        let moment = Duration::from_millis(50 + self.rng.below(self.args.round_ms_max.max(100)));
        let spread = Spread::List(self.names.clone());
        let chooser = Chooser::new(&spread, 0, self.rng.bits());
        let start = self.clock.now();
        let pace = Pace::new(Some(self.args.rate), start, Duration::from_secs(600), None);
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
        let victim = gateway.clone();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(moment);
            let killed = victim.kill();
            // A moment for the connections to notice, so that what was under way counts as lost.
            std::thread::sleep(Duration::from_millis(100));
            stop.store(true, Ordering::Relaxed);
            killed
        });
        let (load, _) = pool::run(&self.config, self.clock, &self.users, load)?;
        self.ledger = load.ledger;
        killer.join().map_err(|_| "the killer panicked")??;
        Ok(moment)
    }

    /// Starts it again, now and then with another number of threads, now and then killing the start as well. Gives how many
    /// more kills that were.
    fn start_again(&mut self, kills: u32) -> Result<(Gateway, u32, usize), String> {
        let other = self.rng.below(4) == 0;
        let threads = self.args.shard_threads + if other { 1 + self.rng.below(2) as usize } else { 0 };
        if kills < self.args.kills && self.rng.below(4) == 0 {
            let gateway = Gateway::start(&self.setup, threads)?;
            std::thread::sleep(Duration::from_millis(self.rng.below(400)));
            gateway.kill()?;
            return Ok((Gateway::start(&self.setup, threads)?, 1, threads));
        }
        Ok((Gateway::start(&self.setup, threads)?, 0, threads))
    }

    /// After the last kill the store must also catch up with the log.
    fn prove(&mut self, read_back: usize, last: bool) -> Result<Findings, String> {
        let asker = Asker {
            config: &self.config,
            clock: self.clock,
            users: &self.users,
        };
        let disk = Disk {
            program: &self.setup.program,
            data: &self.setup.data,
            store: self.setup.store.as_deref(),
            catches_up: last.then_some(self.setup.admin),
        };
        let scope = Scope {
            read_back,
            again: 100,
            disk: Some(disk),
            one_buyer: false,
            exclusive: true,
        };
        prove(&asker, &mut self.ledger, &self.names, &mut self.skus, &scope)
    }

    /// The last word: a gateway that is asked to stop does, with status 0.
    fn end(&self, gateway: &Gateway) -> Result<(), String> {
        let status = gateway.stop(Duration::from_secs(20))?;
        if status.success() {
            Ok(())
        } else {
            Err(format!("after SIGTERM the gateway ended with {status}"))
        }
    }
}
