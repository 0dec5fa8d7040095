//! What the checks say, as lines and as JSON.

use std::fmt;

use serde::Serialize;

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// It will run, and not as well or as safely as it could.
    Warn,
    /// It will not start, or not keep its promises.
    Fail,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at.
    pub name: &'static str,
    /// How it ended.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What is wrong with it; empty when it is ok.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub wrong: String,
    /// The command or setting that puts it right; empty when it is ok.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub remedy: String,
}

impl Check {
    pub(super) fn ok(name: &'static str, found: impl Into<String>) -> Check {
        Check {
            name,
            verdict: Verdict::Ok,
            found: found.into(),
            wrong: String::new(),
            remedy: String::new(),
        }
    }

    pub(super) fn warn(
        name: &'static str,
        found: impl Into<String>,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        Check {
            verdict: Verdict::Warn,
            wrong: wrong.into(),
            remedy: remedy.into(),
            ..Check::ok(name, found)
        }
    }

    pub(super) fn fail(
        name: &'static str,
        found: impl Into<String>,
        wrong: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Check {
        Check {
            verdict: Verdict::Fail,
            ..Check::warn(name, found, wrong, remedy)
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.verdict {
            Verdict::Ok => "ok",
            Verdict::Warn => "warn",
            Verdict::Fail => "FAIL",
        };
        write!(f, "{word:<5} {:<18} {}", self.name, one_line(&self.found))?;
        if !self.wrong.is_empty() {
            write!(f, ": {}", one_line(&self.wrong))?;
        }
        if !self.remedy.is_empty() {
            write!(f, "; {}", one_line(&self.remedy))?;
        }
        Ok(())
    }
}

/// A file's name may hold a line feed; a script that reads lines must not be told a check that nobody made.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}

/// All checks of one examination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    /// In the order in which they were made.
    pub checks: Vec<Check>,
}

impl Report {
    /// How many checks ended so.
    pub fn count(&self, verdict: Verdict) -> usize {
        self.checks
            .iter()
            .filter(|check| check.verdict == verdict)
            .count()
    }

    /// How many checks fail.
    pub fn fails(&self) -> usize {
        self.count(Verdict::Fail)
    }

    /// For scripts: the version, the counts and every check.
    pub fn json(&self) -> String {
        let value = serde_json::json!({
            "tidegate": env!("CARGO_PKG_VERSION"),
            "ok": self.count(Verdict::Ok),
            "warn": self.count(Verdict::Warn),
            "fail": self.fails(),
            "checks": self.checks,
        });
        serde_json::to_string_pretty(&value).unwrap_or_default()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{check}")?;
        }
        let (ok, warn) = (self.count(Verdict::Ok), self.count(Verdict::Warn));
        writeln!(
            f,
            "\n{ok} ok, {warn} to look at, {} that must be put right",
            self.fails()
        )
    }
}
