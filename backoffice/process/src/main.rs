//! `tidegate-backoffice`: the binary. What it does is in the library beside it.

use std::process::ExitCode;

fn main() -> ExitCode {
    tidegate_process::cli::start()
}
