//! `tidegate token`.

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, ValueEnum};

use crate::auth::jwt;
use crate::config::checked::own_token_key;

/// Flags of `token`.
#[derive(Debug, Args)]
pub(super) struct TokenArgs {
    /// The data directory whose key signs.
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data: PathBuf,
    /// Whom the token speaks for.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// What it may do beyond buying; may be repeated.
    #[arg(long, value_enum)]
    role: Vec<Role>,
    /// How long it is good: a number with s, m, h or d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = parse_duration)]
    ttl: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    /// May change SKUs and stock, and confirm orders.
    Operator,
}

pub(super) fn print(args: &TokenArgs) -> Result<(), String> {
    let roles: Vec<&str> = args.role.iter().map(|Role::Operator| "operator").collect();
    let key = own_token_key(&args.data);
    if !key.exists() {
        return Err(format!(
            "{} does not exist: the first start of tidegate makes it; start it, or name its data directory with --data",
            key.display()
        ));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "the clock stands before 1970; set it")?;
    println!(
        "{}",
        jwt::issue(&key, &args.user, &roles, now.as_secs(), args.ttl.as_secs())?
    );
    Ok(())
}

/// `90s`, `15m`, `1h`, `7d`; a bare number is seconds.
pub(super) fn parse_duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 90s, 15m, 1h or 7d");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number
        .checked_mul(seconds)
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(wrong)
}
