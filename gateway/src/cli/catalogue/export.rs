//! `tidegate catalogue export`.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use indicatif::{ProgressBar, ProgressStyle};

use super::client::Client;

pub(super) fn run(out: Option<&Path>, client: &Client) -> Result<(), String> {
    let Some(path) = out else {
        return pages(client, &mut io::stdout().lock()).map(drop);
    };
    // Beside it and renamed, so that a file that is there is whole.
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let failed = |error: io::Error| format!("{}: {error}", partial.display());
    let mut file = File::create(&partial).map_err(failed)?;
    let lines = pages(client, &mut file)?;
    file.sync_all().map_err(failed)?;
    std::fs::rename(&partial, path).map_err(|error| format!("{}: {error}", path.display()))?;
    eprintln!("{}: {} SKUs", path.display(), lines.saturating_sub(1));
    Ok(())
}

/// Writes page behind page; how many lines there were.
fn pages(client: &Client, out: &mut impl Write) -> Result<u64, String> {
    let style = ProgressStyle::with_template("{spinner} {pos} lines")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    let progress = ProgressBar::no_length().with_style(style);
    let mut path = "/v1/catalogue/export".to_owned();
    loop {
        let answer = client.get(&path)?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        out.write_all(&answer.body).map_err(|error| error.to_string())?;
        progress.inc(answer.body.iter().filter(|b| **b == b'\n').count() as u64);
        match answer.next {
            Some(next) => path = next,
            None => break,
        }
    }
    progress.finish_and_clear();
    Ok(progress.position())
}
