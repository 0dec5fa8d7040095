use super::*;
use std::time::Duration;

fn parse(args: &[&str]) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(["tidegate"].iter().chain(args))
}

fn run_args(args: &[&str]) -> RunArgs {
    match asked(parse(args).unwrap()) {
        Asked::Run(args) => args,
        Asked::Done(_) => panic!("expected to run"),
    }
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory as _;
    Cli::command().debug_assert();
}

#[test]
fn run_is_what_happens_without_a_command_and_takes_the_same_flags() {
    for prefix in [&[][..], &["run"]] {
        let flags = [
            "--data",
            "/d",
            "--listen",
            "127.0.0.1:1",
            "--admin",
            "127.0.0.1:2",
            "--set",
            "a.b=c",
            "--set",
            "d.e=f",
        ];
        let args: Vec<&str> = prefix.iter().chain(&flags).copied().collect();
        let args = run_args(&args);
        assert_eq!(args.data.as_deref(), Some("/d"));
        assert_eq!(args.listen.as_deref(), Some("127.0.0.1:1"));
        assert_eq!(args.set, ["a.b=c", "d.e=f"]);
    }
    assert!(parse(&["--listne", "x"]).is_err());
}

#[test]
fn flags_reach_the_configuration() {
    let args = run_args(&["--listen", "127.0.0.1:7", "--set", "limits.user.rate=off"]);
    let config = args.load().unwrap();
    assert_eq!(config.server.listen.port(), 7);
    assert_eq!(config.limits.user, crate::gcra::Limit::Off);
}

#[test]
fn every_other_command_parses() {
    for args in [
        &[
            "token", "--data", "d", "--user", "alice", "--role", "operator", "--ttl", "1h",
        ][..],
        &["token", "--user", "alice"],
        &["check-config", "f.toml"],
        &["config", "default"],
        &["doctor", "--json", "--data", "d", "--set", "a.b=c"],
        &[
            "diagnose",
            "--seconds",
            "60",
            "--out",
            "b.tar.gz",
            "--with-addresses",
        ],
        &["log", "verify", "data"],
        &["log", "dump", "data"],
    ] {
        parse(args).unwrap_or_else(|error| panic!("{args:?}: {error}"));
    }
    for args in [
        &["token"][..],
        &["token", "--user", "a", "--role", "king"],
        &["token", "--user", "a", "--ttl", "x"],
        &["log"],
        &["doctor", "data"],
        &["diagnose", "--seconds", "0"],
        &["diagnose", "--seconds", "61"],
    ] {
        assert!(parse(args).is_err(), "{args:?}");
    }
}

#[test]
fn a_time_is_a_number_with_a_unit() {
    for (text, seconds) in [
        ("90", 90),
        ("90s", 90),
        ("15m", 900),
        ("1h", 3600),
        ("7d", 604_800),
    ] {
        assert_eq!(token::parse_duration(text), Ok(Duration::from_secs(seconds)));
    }
    for text in [
        "",
        "h",
        "0s",
        "-1h",
        "1w",
        "1.5h",
        "99999999999999999999d",
        "18446744073709551615d",
    ] {
        assert!(token::parse_duration(text).is_err(), "{text}");
    }
}
