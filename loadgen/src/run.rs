//! `tidegate-loadgen run`.

use std::rc::Rc;

use crate::Verdict;
use crate::cli::{RunArgs, Tokens};
use crate::clock::{Clock, cpu_time};
use crate::followed::Followed;
use crate::ledger::Ledger;
use crate::live::{self, Live};
use crate::load::Load;
use crate::meter::Meter;
use crate::net::link::Http;
use crate::net::pool::{self, PoolConfig};
use crate::net::session::{TlsClient, Trust};
use crate::pace::Pace;
use crate::raw::Raw;
use crate::report::document::Report;
use crate::report::{self, Summary, facts};
use crate::skus::Chooser;
use crate::target::Target;
use crate::users::{Mint, Users};
use crate::verify::api::Asker;
use crate::verify::proof::{self, Disk, Scope};

/// Runs, prints and reports.
pub fn run(args: &RunArgs) -> Result<Verdict, String> {
    let clock = Clock::start();
    // A run with an old seed makes the old choices; its keys and users are new all the same.
    let run = clock.zero_unix_ms();
    let seed = args.seed.unwrap_or(run);
    let config = pool_config(args)?;
    let users = Rc::new(mint_users(args, &clock, &format!("lg{run:x}-"))?);
    if args.expect_any {
        raw(args, &config, clock, &users, seed)
    } else {
        verified(args, &config, clock, &users, seed)
    }
}

/// Loads, then proves.
fn verified(
    args: &RunArgs,
    config: &PoolConfig,
    clock: Clock,
    users: &Rc<Users>,
    seed: u64,
) -> Result<Verdict, String> {
    if args.token_key.is_none() {
        return Err("who signs the users' tokens? --token-key FILE: DATA/token.key of the gateway".into());
    }
    // Questions are spread over few connections: they are not the load.
    let asking = PoolConfig {
        connections: config.connections.min(16),
        ..config.clone()
    };
    let asker = Asker {
        config: &asking,
        clock,
        users,
    };
    let chooser = Chooser::new(&args.skus, args.sku_count, seed);
    let names = chooser.names().to_vec();
    let mut skus = asker.skus(&names)?;
    let start = clock.now();
    let rate = (!args.closed_loop).then_some(args.rate);
    let pace = Pace::new(rate, start, args.duration, args.max_requests).with_lag(args.lag_max);
    let live = live_view(args)?;
    let meter = Meter::new(start, args.quiet).with_view(live.as_ref().map(Live::pulse));
    let mut load = Load::new(
        pace,
        meter,
        Ledger::new(clock.zero_unix_ms()),
        chooser,
        args.mix.clone(),
        users.count(),
        seed,
    );
    load.followed = Followed::first(usize::from(args.follow_skus), names.len(), start);
    if let Some(live) = &live {
        load.stop = live.stop();
    }
    let cpu = cpu_time();
    let (mut load, stats) = pool::run(config, clock, users, load)?;
    let cpu = cpu_time().saturating_sub(cpu);
    load.meter.finish(load.pace.skipped());
    let ended_early = end_view(live);
    if load.meter.all.is_empty() {
        return Err(stats
            .gave_up
            .or(stats.last_error)
            .unwrap_or_else(|| "no answers; run longer (--duration), and look at the gateway's log".into()));
    }
    if !args.quiet {
        eprintln!("verifying {} requests", load.ledger.records.len());
    }
    let sent_in_run = load.ledger.records.len();
    let scope = Scope {
        read_back: args.read_back,
        again: 500,
        disk: args
            .tidegate
            .as_deref()
            .zip(args.data.as_deref())
            .map(|(program, data)| Disk {
                program,
                data,
                store: args.store.as_deref(),
                catches_up: None,
                behind: None,
            }),
        one_buyer: args.tokens == Tokens::One,
        exclusive: !args.shared,
    };
    let findings = proof::prove(&asker, &mut load.ledger, &names, &mut skus, &scope)?;
    let summary = Summary {
        meter: &load.meter,
        ledger: &load.ledger,
        sent_in_run,
        skipped: load.pace.skipped(),
        stats: &stats,
        findings: &findings,
        seed,
        in_time: args.in_time,
        cpu_us: cpu.as_secs_f64() * 1e6 / load.meter.all.len() as f64,
        followed: &load.followed,
    };
    summary.print();
    let mut report = summary.document();
    report.stock = load.followed.series(&load.ledger, &names, start);
    report.ended_early = report.ended_early.or(ended_early);
    conclude(args, config, clock, &mut report)?;
    if let Some(why) = &stats.gave_up {
        eprintln!("the load ended early: {why}");
    }
    let is_right = findings.is_clean() && stats.gave_up.is_none();
    Ok(verdict(is_right, &report))
}

/// Thresholds, and the report's files.
fn conclude(args: &RunArgs, config: &PoolConfig, clock: Clock, report: &mut Report) -> Result<(), String> {
    report::check_thresholds(report, &args.thresholds);
    if let Some(dir) = &args.report {
        report.run = facts::gather(args, config, clock.zero_unix_ms());
        report::write(dir, report)?;
    }
    Ok(())
}

/// What is wrong with the shop goes before what is slow.
fn verdict(is_right: bool, report: &Report) -> Verdict {
    match (is_right, report.thresholds_hold()) {
        (false, _) => Verdict::NotVerified,
        (true, false) => Verdict::ThresholdBroken,
        (true, true) => Verdict::Held,
    }
}

/// The live view, when it is wanted and there is a terminal.
fn live_view(args: &RunArgs) -> Result<Option<Live>, String> {
    if args.live && live::has_terminal() {
        Live::start(&args.target, args.duration).map(Some)
    } else {
        Ok(None)
    }
}

/// Gives the terminal back; why the run ended early, if somebody at the view said so.
fn end_view(live: Option<Live>) -> Option<String> {
    live.is_some_and(Live::end)
        .then(|| "ended from the live view".to_string())
}

/// How the arguments connect.
pub fn pool_config(args: &RunArgs) -> Result<PoolConfig, String> {
    let target = Target::parse(&args.target)?;
    let http = if args.http == 2 { Http::Two } else { Http::One };
    let trust = match (&args.cacert, args.insecure) {
        (Some(path), _) => Trust::File(path.clone()),
        (None, true) => Trust::Anyone,
        // A first start makes certificate and token key side by side.
        (None, false) => match args.token_key.as_ref().map(|key| key.with_file_name("cert.pem")) {
            Some(path) if path.is_file() => Trust::File(path),
            _ if target.tls => {
                return Err("whose certificate to believe? --cacert FILE (DATA/cert.pem of the gateway), or --insecure".into());
            }
            _ => Trust::Anyone,
        },
    };
    let tls = if target.tls {
        Some(TlsClient::new(&target.host, &trust, http.alpn())?)
    } else {
        None
    };
    Ok(PoolConfig {
        target,
        tls,
        http,
        connections: args.connections.max(1),
        outstanding: args
            .outstanding
            .unwrap_or(if http == Http::Two { 16 } else { 1 })
            .max(1),
        timeout_ns: args.timeout.as_nanos() as u64,
        patience_ns: 10_000_000_000,
    })
}

fn mint_users(args: &RunArgs, clock: &Clock, prefix: &str) -> Result<Users, String> {
    let ttl_s = 3600 + 2 * args.duration.as_secs();
    let mint = args
        .token_key
        .as_deref()
        .map(|p| Mint::open(p, clock.unix_ms() / 1000, ttl_s))
        .transpose()?;
    let count = args.users.max(1);
    let one = args.tokens == Tokens::One;
    Users::mint(mint.as_ref(), prefix, count, one, |done| {
        if !args.quiet && mint.is_some() && !one && (done % 25_000 == 0 || done == count) {
            eprintln!("signed {done} of {count} users' tokens");
        }
    })
}

fn raw(
    args: &RunArgs,
    config: &PoolConfig,
    clock: Clock,
    users: &Rc<Users>,
    seed: u64,
) -> Result<Verdict, String> {
    let start = clock.now();
    let rate = (!args.closed_loop).then_some(args.rate);
    let pace = Pace::new(rate, start, args.duration, args.max_requests).with_lag(args.lag_max);
    let path = if config.target.path == "/" {
        "/v1/orders"
    } else {
        &config.target.path
    };
    let chooser = Chooser::new(&args.skus, args.sku_count, seed);
    let live = live_view(args)?;
    let mut source = Raw::new(
        pace,
        Meter::new(start, args.quiet).with_view(live.as_ref().map(Live::pulse)),
        path,
        seed,
        users.count(),
        chooser,
    );
    if let Some(live) = &live {
        source.stop = live.stop();
    }
    let cpu = cpu_time();
    let (mut raw, stats) = pool::run(config, clock, users, source)?;
    let cpu = cpu_time() - cpu;
    raw.meter.finish(raw.pace.skipped());
    let ended_early = end_view(live);
    let answers = raw.meter.all.len();
    let cpu_us = cpu.as_secs_f64() * 1e6 / answers.max(1) as f64;
    println!(
        "{answers} answers, {:.0}/s, p50 {:.2} ms, p99 {:.2} ms, {:.1} us of generator CPU each; not 2xx {}, lost {}, skipped {}",
        raw.meter.rate(),
        raw.meter.all.value_at_quantile(0.5) as f64 / 1e3,
        raw.meter.all.value_at_quantile(0.99) as f64 / 1e3,
        cpu_us,
        raw.refused,
        raw.meter.lost,
        raw.pace.skipped(),
    );
    let mut report = report::measured(&raw.meter, raw.pace.skipped(), &stats, cpu_us);
    report.seed = seed;
    report.ended_early = report.ended_early.or(ended_early);
    conclude(args, config, clock, &mut report)?;
    if let Some(why) = stats.gave_up {
        return Err(why);
    }
    if let (true, Some(e)) = (raw.meter.lost > 0 || answers == 0, &stats.last_error) {
        eprintln!("last error: {e}");
    }
    Ok(verdict(answers > 0 && raw.refused == 0, &report))
}
