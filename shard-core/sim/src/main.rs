//! `tidegate-sim --seeds FROM..TO [--jobs N]` runs many seeds; `tidegate-sim --seed N [--trace]` runs one. With the feature
//! `planted-bugs`, `--bug NAME` plants a fault.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tidegate_sim::{Bug, replay_command, run_seed};

const USAGE: &str =
    "usage: tidegate-sim --seed N [--trace] [--bug NAME] | --seeds FROM..TO [--jobs N] [--bug NAME]";

struct Options {
    from: u64,
    to: u64,
    jobs: usize,
    trace: bool,
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    match options(std::env::args().skip(1)) {
        Ok(options) => run(&options),
        Err(error) => {
            eprintln!("{error}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> Result<Options, String> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut options = Options {
        from: 0,
        to: 0,
        jobs,
        trace: false,
        bug: None,
    };
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--trace" => options.trace = true,
            "--seed" => {
                options.from = number(&value()?)?;
                options.to = options.from + 1;
            }
            "--seeds" => {
                let range = value()?;
                let (from, to) = range.split_once("..").ok_or("--seeds FROM..TO")?;
                (options.from, options.to) = (number(from)?, number(to)?);
            }
            "--jobs" => options.jobs = number(&value()?)?.max(1) as usize,
            "--bug" => options.bug = Some(value()?.parse()?),
            other => return Err(format!("unknown: {other}")),
        }
    }
    if options.from >= options.to {
        Err("no seed to run".to_owned())
    } else {
        Ok(options)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn run(options: &Options) -> ExitCode {
    let begun = Instant::now();
    let next = AtomicU64::new(options.from);
    let (failed, orders, entries) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= options.to {
                        return;
                    }
                    match run_seed(seed, options.bug, options.trace) {
                        Ok(figures) => {
                            orders.fetch_add(figures.orders, Ordering::Relaxed);
                            entries.fetch_add(figures.entries, Ordering::Relaxed);
                            if options.to - options.from == 1 {
                                println!("{figures:?}");
                            }
                        }
                        Err(broken) => {
                            failed.fetch_add(1, Ordering::Relaxed);
                            println!("seed {seed}: {broken}\n  replay: {}", replay_command(seed));
                        }
                    }
                }
            });
        }
    });
    let seeds = options.to - options.from;
    let took = begun.elapsed();
    let failed = failed.into_inner();
    println!(
        "{seeds} seeds in {took:.1?} ({:.1?} of a core each), {failed} failed; {} orders, {} entries",
        took * options.jobs as u32 / u32::try_from(seeds).unwrap_or(u32::MAX),
        orders.into_inner(),
        entries.into_inner()
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
