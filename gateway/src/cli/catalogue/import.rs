//! `tidegate catalogue import`.

use std::fmt::Write as _;
use std::time::Duration;

use aws_lc_rs::digest;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::ImportArgs;
use super::client::Client;
use super::split;

/// How often the gateway is asked how far it is: seldom enough for the bucket of a user.
const POLL: Duration = Duration::from_millis(500);

pub(super) fn run(args: &ImportArgs, client: &Client) -> Result<(), String> {
    let name = args.file.display();
    let bytes = std::fs::read(&args.file).map_err(|error| format!("{name}: {error}"))?;
    let import = Import {
        path: format!("/v1/catalogue/imports/{}", id(&bytes, args.again)),
        client,
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        format!(
            "{name}: it is not text in UTF-8 ({}); save it as CSV UTF-8",
            error.utf8_error()
        )
    })?;
    let parts = split::split(&text).map_err(|error| format!("{name}: {error}"))?;
    match import.state()?.as_deref() {
        Some("done") => {
            return Err(format!(
                "{name}: this file was imported before; to apply it once more, add --again"
            ));
        }
        Some("applying") => eprintln!("this file is being applied; going on with it"),
        _ => {
            import.upload(&parts)?;
            let lines = import
                .begin(parts.len(), args.check)
                .map_err(|error| format!("{name}: {error}"))?;
            if args.check {
                println!("{name}: {lines} lines, all of them sound");
                return Ok(());
            }
        }
    }
    import.follow()
}

/// The same file is the same import, so that a command that was cut off finds it again.
fn id(bytes: &[u8], again: bool) -> String {
    let hash = digest::digest(&digest::SHA256, bytes);
    let mut id = String::new();
    for byte in hash.as_ref() {
        // Into a string: it cannot fail.
        _ = write!(id, "{byte:02x}");
    }
    if again {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        _ = write!(id, "-{}", now.unwrap_or_default().as_secs());
    }
    id
}

struct Import<'a> {
    path: String,
    client: &'a Client,
}

impl Import<'_> {
    /// How far the gateway is with it, if it knows it.
    fn state(&self) -> Result<Option<String>, String> {
        let answer = self.client.get(&self.path)?;
        match answer.status {
            200 => Ok(answer.json()["state"].as_str().map(str::to_owned)),
            404 => Ok(None),
            _ => Err(answer.refusal()),
        }
    }

    fn upload(&self, parts: &[split::Part]) -> Result<(), String> {
        let bar = bar(
            "sending ",
            parts.iter().map(|part| part.text.len() as u64).sum(),
            "bytes",
        );
        for (index, part) in parts.iter().enumerate() {
            let path = format!("{}/parts/{}?line={}", self.path, index + 1, part.first_line);
            let answer = self.client.put(
                &path,
                "text/csv; charset=utf-8; header=present",
                part.text.as_bytes(),
            )?;
            if answer.status != 200 {
                bar.abandon();
                return Err(answer.refusal());
            }
            bar.inc(part.text.len() as u64);
        }
        bar.finish();
        Ok(())
    }

    /// Has the whole file checked, and begun unless it is only to be checked; how many lines it has.
    fn begin(&self, parts: usize, check_only: bool) -> Result<u64, String> {
        let answer = self
            .client
            .post(&self.path, &json!({ "parts": parts, "check_only": check_only }))?;
        let body = answer.json();
        match (answer.status, body["code"].as_str()) {
            (200 | 202, _) => Ok(body["lines"].as_u64().unwrap_or_default()),
            // An answer that was lost, and asked for again.
            (409, Some("import_started")) => Ok(0),
            (422, Some("invalid_import")) => Err(bad_lines(&body)),
            _ => Err(answer.refusal()),
        }
    }

    /// Shows how far it is until every line has its outcome.
    fn follow(&self) -> Result<(), String> {
        let bar = bar("applying", 0, "lines");
        loop {
            let answer = self.client.get(&self.path)?;
            if answer.status != 200 {
                bar.abandon();
                return Err(answer.refusal());
            }
            let body = answer.json();
            bar.set_length(body["lines"].as_u64().unwrap_or_default());
            bar.set_position(body["done"].as_u64().unwrap_or_default());
            if body["state"] == "done" {
                bar.finish();
                return verdict(&body);
            }
            std::thread::sleep(POLL);
        }
    }
}

/// A report of bad lines, one a line.
fn bad_lines(body: &Value) -> String {
    let mut report = body["detail"]
        .as_str()
        .unwrap_or("the file cannot be imported")
        .to_owned();
    let lines = body["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    for bad in lines {
        let detail = bad["detail"].as_str().unwrap_or_default();
        _ = write!(report, "\n  line {}: {detail}", bad["line"]);
    }
    let more = body["count"]
        .as_u64()
        .unwrap_or_default()
        .saturating_sub(lines.len() as u64);
    if more > 0 {
        _ = write!(report, "\n  and {more} more");
    }
    report.push_str("\nmend these lines and run the command again");
    report
}

fn verdict(body: &Value) -> Result<(), String> {
    let number = |name: &str| body[name].as_u64().unwrap_or_default();
    let (done, failed) = (number("done"), number("failed"));
    println!("{} of {done} lines applied", done - failed.min(done));
    if failed == 0 {
        return Ok(());
    }
    let mut report = format!("{failed} lines were refused:");
    let failures = body["failures"].as_array().map(Vec::as_slice).unwrap_or_default();
    for failure in failures {
        let text = |name: &str| failure[name].as_str().unwrap_or_default();
        _ = write!(
            report,
            "\n  line {}: {} ({})",
            failure["line"],
            text("detail"),
            text("code")
        );
    }
    report.push_str("\nput what is right for them into a file of their own and import that");
    Err(report)
}

fn bar(what: &str, length: u64, unit: &str) -> ProgressBar {
    let template = format!("{what} {{wide_bar}} {{pos}}/{{len}} {unit} {{eta}}");
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    // Nothing is drawn where standard error is no terminal.
    ProgressBar::new(length).with_style(style)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_every_bad_line_and_how_many_it_leaves_out() {
        let body = json!({
            "detail": "3 lines are not acceptable",
            "count": 3,
            "lines": [
                { "line": 7, "column": "price", "detail": "price is a number" },
                { "line": 9, "column": null, "detail": "a new SKU needs price" },
            ],
        });
        assert_eq!(
            bad_lines(&body),
            "3 lines are not acceptable\n  line 7: price is a number\n  line 9: a new SKU needs price\n  and 1 more\n\
             mend these lines and run the command again"
        );
    }

    #[test]
    fn refused_lines_are_an_error_of_the_command() {
        assert!(verdict(&json!({ "done": 5, "failed": 0 })).is_ok());
        let body = json!({ "done": 5, "failed": 1, "failures": [{ "line": 3, "code": "below_committed", "detail": "1 units are held" }] });
        let report = verdict(&body).unwrap_err();
        assert!(
            report.contains("line 3: 1 units are held (below_committed)"),
            "{report}"
        );
    }

    #[test]
    fn the_same_file_has_the_same_id_unless_it_is_to_be_applied_again() {
        assert_eq!(id(b"a", false), id(b"a", false));
        assert_ne!(id(b"a", false), id(b"b", false));
        assert!(id(b"a", true).starts_with(&format!("{}-", id(b"a", false))));
    }
}
