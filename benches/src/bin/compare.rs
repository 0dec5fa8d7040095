//! The side-by-side of Tidegate and nginx, in one command:
//!
//! ```text
//! cargo run --release -p tidegate-benches --bin compare
//! cargo run --release -p tidegate-benches --bin compare -- --cases h1-64 --io uring,monoio,epoll
//! cargo run --release -p tidegate-benches --bin compare -- --cases h1-64,h2-16x16 --window-us 0,300,600
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser as _;
use tidegate_benches::arguments::Arguments;
use tidegate_benches::certificate::Certificate;
use tidegate_benches::programs::Programs;
use tidegate_benches::report::{Preface, TITLE, section};
use tidegate_benches::run::{Outcome, Setting};
use tidegate_benches::verdict::verdicts;
use tidegate_benches::{cases, machine};

fn main() -> ExitCode {
    match compare(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(problem) => {
            eprintln!("compare: {problem}");
            ExitCode::from(2)
        }
    }
}

/// Runs it all; `Ok(false)` when a bar was missed.
fn compare(arguments: &Arguments) -> Result<bool, String> {
    let cases = cases::select(&arguments.cases)?;
    let programs = Programs::find(arguments)?;
    let folder = Folder::make(&arguments.data_root)?;
    let file_system = machine::file_system(&folder.0);
    if file_system.starts_with("tmpfs") || file_system.starts_with("overlay") {
        eprintln!(
            "beware: {} is on {file_system}, where a sync does not cost what it does on a disk",
            folder.0.display()
        );
    }
    let certificate = Certificate::make(&folder.0)?;
    let variants = arguments.variants();
    let setting = Setting {
        arguments,
        programs: &programs,
        variants: &variants,
        certificate: &certificate,
        folder: &folder.0,
    };
    let preface = preface(arguments, &programs, &folder.0);
    let mut outcomes = Vec::new();
    for case in &cases {
        let outcome = setting.run(case, &mut |line| eprintln!("{line}"));
        // What was measured before a failure is still shown.
        let outcome = outcome.inspect_err(|_| println!("{}", section(&preface, &outcomes)))?;
        outcomes.push(outcome);
        let _ = fs::remove_dir_all(folder.0.join(case.name));
    }
    let text = section(&preface, &outcomes);
    println!("{text}");
    if arguments.out != Path::new("-") {
        write(&arguments.out, arguments.append, &text)?;
    }
    Ok(all_hold(&outcomes))
}

fn all_hold(outcomes: &[Outcome]) -> bool {
    outcomes
        .iter()
        .flat_map(verdicts)
        .all(|verdict| verdict.holds() != Some(false))
}

fn write(file: &Path, append: bool, section: &str) -> Result<(), String> {
    let before = if append {
        fs::read_to_string(file).ok()
    } else {
        None
    };
    let before = before.map_or_else(|| TITLE.to_string(), |text| format!("{}\n\n", text.trim_end()));
    fs::write(file, format!("{before}{}\n", section.trim_end()))
        .map_err(|e| format!("{}: {e}", file.display()))?;
    eprintln!("written to {}", file.display());
    Ok(())
}

/// A folder of this process's own, gone at the end.
struct Folder(PathBuf);

impl Folder {
    fn make(root: &Path) -> Result<Folder, String> {
        let path = root.join(format!("run-{}", std::process::id()));
        let failed = |error| format!("{}: {error}", path.display());
        fs::create_dir_all(&path).map_err(failed)?;
        // Servers get absolute paths: nginx takes others from its prefix.
        path.canonicalize().map(Folder).map_err(failed)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn preface(arguments: &Arguments, programs: &Programs, folder: &Path) -> Preface {
    let command: Vec<String> = std::env::args().skip(1).collect();
    Preface {
        date: machine::now_utc(),
        machine: machine::describe(folder),
        command: format!(
            "cargo run --release -p tidegate-benches --bin compare -- {}",
            command.join(" ")
        )
        .trim_end_matches([' ', '-'])
        .to_string(),
        versions: versions(programs),
        method: format!(
            "{} rounds after a warm-up, {} requests a lane and round, lanes in alternation; server on core {}, generator on core {}. \
             Same certificate, TLS 1.3, client, POST and connections; every order has a key of its own. Profile `{}`.",
            arguments.rounds,
            arguments.requests,
            arguments.server_core,
            arguments.client_core,
            arguments.profile
        ),
        load_average: machine::load_average(),
    }
}

fn versions(programs: &Programs) -> String {
    let said = |program: &Path, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        Some(
            text.lines()
                .next()?
                .trim_start_matches("nginx version: ")
                .trim()
                .to_string(),
        )
    };
    let nginx = programs.nginx.as_deref().and_then(|nginx| said(nginx, &["-v"]));
    let commit = said(Path::new("git"), &["rev-parse", "--short", "HEAD"]);
    [nginx, commit.map(|commit| format!("Tidegate {commit}"))]
        .into_iter()
        .flatten()
        .collect::<Vec<_>>()
        .join(", ")
}
