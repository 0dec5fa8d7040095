//! `tidegate-loadgen drill`: starts a gateway, loads it, kills it with -9 at random moments, starts it again (sometimes with another
//! number of shard threads, sometimes killing the start too), and proves after each that nothing was lost. With `--services` the system is in two
//! processes, over servers of its own, and each of them is killed in its turn.

mod gateway;
mod process;
mod round;
mod services;
mod split;

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use serde_json::json;

use self::gateway::Setup;
use self::process::{Process, free_address, last_words};
use self::split::{Split, Turns};
use crate::batch::{self, Job};
use crate::cli::DrillArgs;
use crate::clock::Clock;
use crate::ledger::Ledger;
use crate::net::link::Http;
use crate::net::pool::PoolConfig;
use crate::net::session::{TlsClient, Trust};
use crate::report::{findings_json, print_findings, write_json};
use crate::request::Method;
use crate::rng::Rng;
use crate::target::Target;
use crate::users::{Mint, Users, operator};
use crate::verify::api::Asker;
use crate::verify::proof::{Behind, Disk, Scope, prove};
use crate::verify::{Findings, SkuEvidence};

/// A start may take this long: recovery reads the whole log.
const START_MAX: Duration = Duration::from_secs(60);

/// From a start to the proof. An order over several shards that nobody was answered may hold stock at some of them until its deadline, and counts
/// nowhere else.
const SETTLED: Duration = Duration::from_secs(3);

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
    split: Option<Split>,
    turns: Turns,
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
    let mut setup = Setup {
        program,
        data,
        listen: free_address()?,
        admin: free_address()?,
        output: scratch.join("gateway.log"),
        backoffice: args.backoffice.clone(),
        address: None,
        store: args.store.clone(),
    };
    let behind = scratch.join("backoffice.log");
    let result = split(args, &mut setup, &scratch, clock.zero_unix_ms())
        .and_then(|split| drill(args, setup.clone(), split, clock, seed));
    match &result {
        Ok((_, findings)) if findings.is_clean() && !args.keep => drop(std::fs::remove_dir_all(&scratch)),
        _ => {
            println!(
                "kept {} (seed {seed}); the gateway's last words:",
                scratch.display()
            );
            println!("{}", last_words(&setup.output));
            if args.services.is_some() {
                println!("and tidegate-backoffice's:\n{}", last_words(&behind));
            }
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

/// What stands behind the gateway, where that is a process of its own; the gateway is told where.
fn split(args: &DrillArgs, setup: &mut Setup, scratch: &Path, run: u64) -> Result<Option<Split>, String> {
    let Some(script) = &args.services else {
        return Ok(None);
    };
    let beside = || setup.program.with_file_name("tidegate-backoffice");
    let program = args.tidegate_backoffice.clone().unwrap_or_else(beside);
    let split = Split::start(script, program, scratch, run)?;
    setup.backoffice = "remote".into();
    setup.address = Some(split.grpc);
    Ok(Some(split))
}

fn drill(
    args: &DrillArgs,
    setup: Setup,
    split: Option<Split>,
    clock: Clock,
    seed: u64,
) -> Result<(u32, Findings), String> {
    let mut gateway = gateway::start(&setup, args.shard_threads)?;
    gateway.wait_ready(START_MAX)?;
    let mut drill = Drill::new(args, setup, split, clock, seed)?;
    let mut kills = 0;
    loop {
        let before = drill.ledger.records.len();
        kills += 1;
        let round = drill.round(gateway, kills)?;
        gateway = round.gateway;
        kills += round.more;
        let sent = drill.ledger.records.len() - before;
        // What the kill left in the midst, an order that still gathers holds, is settled by the shards in this time.
        std::thread::sleep(SETTLED);
        let findings = drill.prove(args.read_back, kills >= args.kills)?;
        let verdict = if findings.is_clean() {
            "verified"
        } else {
            "NOT VERIFIED"
        };
        println!(
            "kill {kills}/{}: {sent} requests, {}; {verdict}",
            args.kills, round.words
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
    fn new(
        args: &'a DrillArgs,
        setup: Setup,
        split: Option<Split>,
        clock: Clock,
        seed: u64,
    ) -> Result<Drill<'a>, String> {
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
            split,
            turns: Turns::default(),
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
            behind: self.split.as_ref().map(|split| Behind {
                program: split.program(),
                config: &split.config,
                admin: split.admin,
            }),
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

    /// The last word: who is asked to stop does, with status 0.
    fn end(&mut self, gateway: &Process) -> Result<(), String> {
        gateway.stop(Duration::from_secs(20))?;
        self.split.as_mut().map_or(Ok(()), Split::end)
    }
}
