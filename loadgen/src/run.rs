//! `tidegate-loadgen run`.

use std::rc::Rc;

use serde_json::json;

use crate::cli::{RunArgs, Tokens};
use crate::clock::{Clock, cpu_time};
use crate::meter::{Meter, latency_json};
use crate::net::link::Http;
use crate::net::pool::{self, PoolConfig};
use crate::net::session::{TlsClient, Trust};
use crate::pace::Pace;
use crate::raw::Raw;
use crate::skus::Chooser;
use crate::target::Target;
use crate::users::{Mint, Users};

/// Runs, prints and reports; `Ok(true)` when everything held.
pub fn run(args: &RunArgs) -> Result<bool, String> {
    let clock = Clock::start();
    let seed = args
        .seed
        .unwrap_or_else(|| clock.zero_unix_ms().wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16);
    let config = pool_config(args)?;
    let users = Rc::new(mint_users(args, &clock, &format!("lg{:x}-", seed & 0xff_ffff))?);
    raw(args, &config, clock, &users, seed)
}

/// How the arguments connect.
pub fn pool_config(args: &RunArgs) -> Result<PoolConfig, String> {
    let target = Target::parse(&args.target)?;
    let http = if args.http == 2 { Http::Two } else { Http::One };
    let trust = match (&args.cacert, args.insecure) {
        (Some(path), _) => Trust::File(path.clone()),
        (None, true) => Trust::Anyone,
        (None, false) if target.tls => {
            return Err("whose certificate to believe? --cacert FILE, or --insecure".into());
        }
        (None, false) => Trust::Anyone,
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
) -> Result<bool, String> {
    let start = clock.now();
    let rate = (!args.closed_loop).then_some(args.rate);
    let pace = Pace::new(rate, start, args.duration, args.max_requests);
    let path = if config.target.path == "/" {
        "/v1/orders"
    } else {
        &config.target.path
    };
    let chooser = Chooser::new(&args.skus, args.sku_count, seed);
    let source = Raw::new(
        pace,
        Meter::new(start, args.quiet),
        path,
        seed,
        users.count(),
        chooser,
    );
    let cpu = cpu_time();
    let (raw, stats) = pool::run(config, clock, users, source)?;
    let cpu = cpu_time() - cpu;
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
    if let Some(dir) = &args.report {
        let report = json!({
            "answers": answers, "rate": raw.meter.rate(), "seconds": raw.meter.seconds(),
            "latency_us": latency_json(&raw.meter.all), "statuses": raw.meter.statuses,
            "not_2xx": raw.refused, "lost": raw.meter.lost, "skipped": raw.pace.skipped(),
            "connects": stats.connects, "connect_failures": stats.connect_failures,
            "generator_cpu_us_per_request": cpu_us, "verified": false,
        });
        std::fs::create_dir_all(dir).map_err(|e| format!("--report {}: {e}", dir.display()))?;
        let text = serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?;
        std::fs::write(dir.join("report.json"), text).map_err(|e| format!("--report: {e}"))?;
    }
    if let Some(why) = stats.gave_up {
        return Err(why);
    }
    if let (true, Some(e)) = (raw.meter.lost > 0 || answers == 0, &stats.last_error) {
        eprintln!("last error: {e}");
    }
    Ok(answers > 0 && raw.refused == 0)
}
