//! `tidegate`: the gateway's binary. What it does is in the library beside it.

use std::process::ExitCode;

use tidegate::cli::{self, Asked};
use tidegate::{logging, serve};

fn main() -> ExitCode {
    let args = match cli::start() {
        Asked::Run(args) => args,
        Asked::Done(code) => return code,
    };
    let sources = args.sources();
    let served = sources
        .load()
        .map_err(|error| error.to_string())
        .and_then(|config| {
            let filter = logging::install(&config.logging)?;
            serve::run(config, sources, Some(filter))
        });
    match served {
        Ok(code) => ExitCode::from(u8::try_from(code).unwrap_or(1)),
        Err(problem) => {
            eprintln!("tidegate: {problem}");
            ExitCode::FAILURE
        }
    }
}
