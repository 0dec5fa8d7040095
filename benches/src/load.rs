//! Load from `tidegate-loadgen`, on a core of its own, with the meters around it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::affinity::on_core;
use crate::meter::{CoreReading, ProcessMeter};
use crate::sample::Sample;
use crate::server::Server;

/// How often the server's threads are looked at while load runs. A look costs some 50 us of the client's core.
const LOOK: Duration = Duration::from_millis(50);
/// How often they are looked at until the load begins: this is how far its begin can be missed.
const LOOK_FOR_BEGIN: Duration = Duration::from_millis(5);
/// CPU that a server uses between two such looks only when somebody connects: one handshake is about 400 us.
const BEGUN: Duration = Duration::from_micros(300);
/// No lane takes longer.
const RUN: Duration = Duration::from_secs(300);

/// One run of the generator.
#[derive(Clone, Debug)]
pub struct Load<'a> {
    /// The generator.
    pub program: &'a Path,
    /// The core it runs on.
    pub core: usize,
    /// Where reports and output go.
    pub folder: PathBuf,
    /// Certificate that it trusts.
    pub cacert: &'a Path,
    /// Key that signs its tokens; without one it sends none.
    pub token_key: Option<&'a Path>,
    /// 1 or 2.
    pub http: u8,
    /// Connections.
    pub connections: u32,
    /// Requests outstanding on each.
    pub outstanding: u32,
    /// People.
    pub users: u32,
    /// Whether everybody has the same token.
    pub one_token: bool,
    /// `--skus`.
    pub skus: &'a str,
    /// Requests in all.
    pub requests: u64,
    /// Requests per second; closed loop without.
    pub rate: Option<f64>,
    /// The status that is counted as good.
    pub expect: u16,
}

impl Load<'_> {
    /// Runs it against `server`.
    ///
    /// # Errors
    /// A sentence: the generator failed, or the server ended.
    pub fn run(&self, server: &mut Server) -> Result<Sample, String> {
        fs::create_dir_all(&self.folder).map_err(|e| format!("{}: {e}", self.folder.display()))?;
        let report = self.folder.join("report.json");
        if report.exists() {
            fs::remove_file(&report).map_err(|e| format!("{}: {e}", report.display()))?;
        }
        let mut meter = ProcessMeter::new(&server.pids);
        let mut command = self.command(server)?;
        let mut child = on_core(self.core, || {
            command
                .spawn()
                .map_err(|e| format!("{}: {e}", self.program.display()))
        })?;
        let measured = watch(&mut child, &mut meter, server.core());
        if measured.is_err() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let measured = measured?;
        if !server.is_alive() {
            return Err(format!("the server at {} ended under load", server.address));
        }
        let text = fs::read_to_string(&report).map_err(|_| {
            let said = fs::read_to_string(self.folder.join("output.txt")).unwrap_or_default();
            format!("the load generator made no report; it said:\n{}", said.trim_end())
        })?;
        let report: Value = serde_json::from_str(&text).map_err(|e| format!("{}: {e}", report.display()))?;
        sample(&report, self.expect, &measured)
    }

    fn command(&self, server: &Server) -> Result<Command, String> {
        let output = self.folder.join("output.txt");
        let log = File::create(&output).map_err(|e| format!("{}: {e}", output.display()))?;
        let again = log.try_clone().map_err(|e| e.to_string())?;
        let mut command = Command::new(self.program);
        command.args([
            "run",
            "--target",
            &format!("https://{}/v1/orders", server.address),
        ]);
        command.arg("--cacert").arg(self.cacert);
        if let Some(key) = self.token_key {
            command.arg("--token-key").arg(key);
        }
        command.args([
            "--http",
            &self.http.to_string(),
            "--connections",
            &self.connections.to_string(),
        ]);
        command.args([
            "--outstanding",
            &self.outstanding.to_string(),
            "--users",
            &self.users.to_string(),
        ]);
        command.args([
            "--tokens",
            if self.one_token { "one" } else { "fresh" },
            "--skus",
            self.skus,
        ]);
        command.args([
            "--expect-any",
            "--quiet",
            "--max-requests",
            &self.requests.to_string(),
        ]);
        match self.rate {
            None => command.args(["--closed-loop", "--duration", "240s"]),
            Some(rate) => {
                let seconds = self.requests as f64 / rate;
                command.args([
                    "--rate",
                    &format!("{rate:.0}"),
                    "--duration",
                    &format!("{:.0}ms", seconds * 1e3),
                ])
            }
        };
        command.arg("--report").arg(&self.folder);
        command.stdin(Stdio::null()).stdout(log).stderr(again);
        Ok(command)
    }
}

/// What the meters saw between the load's first connection and the generator's end.
struct Measured {
    process: Duration,
    core: Duration,
    window: Duration,
}

/// Waits for the generator to end. Its own preparations (signing tokens) are not part of the window: that begins at the
/// last look before the server had something to do.
fn watch(child: &mut Child, meter: &mut ProcessMeter, core: usize) -> Result<Measured, String> {
    let until = Instant::now() + RUN;
    let mut first = meter.read();
    let mut before = CoreReading::take(core)?;
    let mut begun = false;
    loop {
        std::thread::sleep(if begun { LOOK } else { LOOK_FOR_BEGIN });
        let used = meter.read();
        let ended = child
            .try_wait()
            .map_err(|e| format!("the load generator: {e}"))?
            .is_some();
        if ended {
            let after = CoreReading::take(core)?;
            return Ok(Measured {
                process: used.saturating_sub(first),
                core: after.busy_since(&before),
                window: after.elapsed_since(&before),
            });
        }
        if !begun {
            begun = used - first > BEGUN;
            if !begun {
                first = used;
                before = CoreReading::take(core)?;
            }
        }
        if Instant::now() > until {
            return Err(format!("the load generator took more than {} s", RUN.as_secs()));
        }
    }
}

fn sample(report: &Value, expect: u16, measured: &Measured) -> Result<Sample, String> {
    let number = |value: &Value, name: &str| {
        value
            .as_f64()
            .ok_or_else(|| format!("the load generator's report has no {name}"))
    };
    let answers = number(&report["answers"], "answers")?;
    let seconds = number(&report["seconds"], "seconds")?;
    // Sends that found no free connection were never made: an overload that the generator could not offer.
    let lost = number(&report["lost"], "lost")? + report["skipped"].as_f64().unwrap_or(0.0);
    if answers < 1.0 || seconds <= 0.0 {
        return Err("the load generator got no answer".into());
    }
    let good = report["statuses"][expect.to_string()].as_f64().unwrap_or(0.0);
    let each_us = |time: Duration| time.as_secs_f64() * 1e6 / answers;
    Ok(Sample {
        answers: answers as u64,
        rate: answers / seconds,
        good_rate: good / seconds,
        unexpected: (answers - good + lost) as u64,
        process_us: each_us(measured.process),
        core_us: each_us(measured.core),
        core_busy: measured.core.as_secs_f64() / measured.window.as_secs_f64().max(1e-9),
        client_us: number(
            &report["generator_cpu_us_per_request"],
            "generator_cpu_us_per_request",
        )?,
        p50_ms: number(&report["latency_us"]["p50"], "latency_us.p50")? / 1e3,
        p99_ms: number(&report["latency_us"]["p99"], "latency_us.p99")? / 1e3,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_a_sample() {
        let report = serde_json::json!({
            "answers": 1000, "seconds": 0.5, "lost": 1, "statuses": {"201": 990, "503": 10},
            "generator_cpu_us_per_request": 9.5, "latency_us": {"p50": 1500, "p99": 4000},
        });
        let measured = Measured {
            process: Duration::from_millis(20),
            core: Duration::from_millis(30),
            window: Duration::from_millis(600),
        };
        let sample = sample(&report, 201, &measured).unwrap();
        assert_eq!(
            (sample.rate, sample.good_rate, sample.unexpected),
            (2000.0, 1980.0, 11)
        );
        assert_eq!((sample.process_us.round(), sample.core_us.round()), (20.0, 30.0));
        assert_eq!((sample.p50_ms, sample.p99_ms), (1.5, 4.0));
        assert!((sample.core_busy - 0.05).abs() < 1e-9);
    }
}
