//! `tidegate diagnose`: one file that can be mailed to whoever is to find out what is wrong. Each part is taken on its own, and one that cannot
//! be had is noted in the summary. No token, key, user or order is in it; `scrub.rs` sees to that.

use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Args;

use super::{RunArgs, doctor};
use crate::config::Config;

mod admin;
mod bundle;
mod config_text;
mod findings;
mod log_heads;
mod scrub;
mod summary;
mod system;

use admin::AdminClient;
use bundle::Bundle;
use scrub::Scrubber;

#[cfg(test)]
mod tests;

/// The directory inside the bundle.
const ROOT: &str = "tidegate-diagnose";
/// The admin address of a configuration that cannot be read.
const ADMIN_DEFAULT: &str = "127.0.0.1:9901";

/// Flags of `diagnose`: those of `run`, so that the same command line is asked about.
#[derive(Debug, Args)]
pub(super) struct DiagnoseArgs {
    #[command(flatten)]
    run: RunArgs,
    /// How long metrics are watched and a profile is taken.
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// Where the bundle goes; a file that exists is not replaced. Without it, a name with the time, in this directory.
    #[arg(long, value_name = "FILE.tar.gz")]
    out: Option<PathBuf>,
    /// Leave clients' addresses whole. They are personal data in many places.
    #[arg(long)]
    with_addresses: bool,
}

/// Takes every part, and writes the bundle.
pub(super) fn run(args: &DiagnoseArgs) -> Result<(), String> {
    let now_s = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs();
    let out = args
        .out
        .clone()
        .unwrap_or_else(|| PathBuf::from(bundle::default_name(now_s)));
    // Before the work, not after: a place that cannot be written to is said at once.
    let file = bundle::create(&out)?;
    let config = args.run.load().map_err(|error| error.to_string());
    let scrubber = Scrubber::new(
        config_text::secrets(&args.run, config.as_ref().ok()),
        args.with_addresses,
    );
    let mut parts = Parts {
        bundle: Bundle::new(scrubber),
        begun: Instant::now(),
    };
    collect(&mut parts, args, &config);
    let findings = findings::of(&parts.bundle);
    let summary = summary::text(&parts.bundle, &findings, now_s);
    parts.bundle.put_first("SUMMARY.md", summary);
    parts.bundle.write(file, now_s).map_err(|error| {
        // Half an archive helps nobody, and would be in the way of the next one.
        _ = std::fs::remove_file(&out);
        format!(
            "{}: {error}; free some space, or name another place with --out",
            out.display()
        )
    })?;
    for finding in &findings {
        eprintln!("tidegate: notable: {finding}");
    }
    println!("{}", out.display());
    Ok(())
}

/// The bundle as it grows, with a line on standard error for each part.
struct Parts {
    bundle: Bundle,
    begun: Instant,
}

impl Parts {
    fn take(&mut self, name: &'static str, part: Result<impl Into<Vec<u8>>, String>) {
        let at = self.begun.elapsed().as_secs_f32();
        match &part {
            Ok(_) => eprintln!("{at:5.1} s  {name}"),
            Err(problem) => eprintln!("{at:5.1} s  {name}: left out, {}", self.bundle.scrubbed(problem)),
        }
        self.bundle.put(name, part.map(Into::into));
    }
}

fn collect(parts: &mut Parts, args: &DiagnoseArgs, config: &Result<Config, String>) {
    let known = config.as_ref().map_err(Clone::clone);
    let address = args.run.admin.clone().unwrap_or_else(|| {
        known.as_ref().map_or_else(
            |_| ADMIN_DEFAULT.to_owned(),
            |config| config.server.admin.to_string(),
        )
    });
    let data = match (&args.run.data, &known) {
        (Some(data), _) => PathBuf::from(data),
        (None, Ok(config)) => config.server.data.clone(),
        (None, Err(_)) => PathBuf::from("./data"),
    };
    let store = known
        .as_ref()
        .map_or_else(|_| data.join("store.db"), |config| config.store.clone());
    let admin = AdminClient::new(&address);
    parts.take("version.txt", Ok(system::version()));
    let report = doctor::examine(&args.run);
    parts.take("doctor.txt", Ok(report.to_string()));
    parts.take("doctor.json", Ok(report.json()));
    take_admin(parts, &admin, args.seconds);
    let config = admin
        .get("/config")
        .or_else(|_| known.map(config_text::effective).map(String::into_bytes));
    parts.take(
        "config.json",
        config.and_then(|text| config_text::without_secrets(&text)),
    );
    parts.take(
        "MANIFEST",
        std::fs::read(data.join("MANIFEST")).map_err(|error| error.to_string()),
    );
    parts.take("log.txt", log_heads::text(&data));
    for (name, text) in system::facts(&data, &store, doctor::Holder::of(&data).pid()) {
        parts.take(name, text);
    }
}

/// What only a gateway that runs can say.
fn take_admin(parts: &mut Parts, admin: &AdminClient, seconds: u64) {
    for (name, path) in [
        ("readyz.txt", "/readyz"),
        ("breakers.json", "/breakers"),
        ("reload.json", "/reload"),
        ("hot.json", "/debug/hot"),
    ] {
        parts.take(name, admin.get(path));
    }
    let requests = admin.get("/debug/requests?limit=1000");
    let requests = requests.and_then(|text| parts.bundle.scrubber().requests(&text));
    parts.take("requests.json", requests);
    let before = admin.get("/metrics");
    let is_up = before.is_ok();
    parts.take("metrics-1.txt", before);
    let profile = |form: &str| {
        admin.get_within(
            &format!("/debug/pprof/{form}?seconds={seconds}"),
            Duration::from_secs(seconds),
        )
    };
    let began = Instant::now();
    parts.take("profile.pb", profile("profile"));
    // An idle gateway has no profile, and the second look at the metrics has to come as late all the same.
    if is_up {
        std::thread::sleep(Duration::from_secs(seconds).saturating_sub(began.elapsed()));
    }
    parts.take("metrics-2.txt", admin.get("/metrics"));
    parts.take("flamegraph.svg", profile("flamegraph"));
}
