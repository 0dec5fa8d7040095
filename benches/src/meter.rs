//! CPU time of processes and of a core, from `/proc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

/// CPU time of a few processes, all threads together.
///
/// Read from `schedstat`, which counts nanoseconds (`stat` counts ticks of the timer). A thread that ended keeps what it had
/// when it was last looked at: look often.
#[derive(Debug)]
pub struct ProcessMeter {
    pids: Vec<u32>,
    threads: BTreeMap<u32, u64>,
}

impl ProcessMeter {
    /// A meter of these processes.
    pub fn new(pids: &[u32]) -> ProcessMeter {
        ProcessMeter {
            pids: pids.to_vec(),
            threads: BTreeMap::new(),
        }
    }

    /// CPU time that the processes have used since they began.
    pub fn read(&mut self) -> Duration {
        for pid in &self.pids {
            let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
                continue;
            };
            for task in tasks.flatten() {
                let tid = task.file_name().to_str().and_then(|name| name.parse().ok());
                let used = fs::read_to_string(task.path().join("schedstat"))
                    .ok()
                    .and_then(|text| first_number(&text));
                if let (Some(tid), Some(used)) = (tid, used) {
                    self.threads.insert(tid, used);
                }
            }
        }
        Duration::from_nanos(self.threads.values().sum())
    }
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}

/// What a core was not idle for.
#[derive(Clone, Copy, Debug)]
pub struct CoreReading {
    at: Instant,
    /// Time without work, in `/proc/stat`'s hundredths of a second: idle and iowait.
    idle: u64,
    /// Time that the hypervisor gave to others.
    stolen: u64,
}

impl CoreReading {
    /// The core's counters now.
    ///
    /// # Errors
    /// `/proc/stat` has no such core.
    pub fn take(core: usize) -> Result<CoreReading, String> {
        let text = fs::read_to_string("/proc/stat").map_err(|e| format!("/proc/stat: {e}"))?;
        CoreReading::parse(&text, core, Instant::now())
            .ok_or_else(|| format!("/proc/stat has no core {core}"))
    }

    fn parse(text: &str, core: usize, at: Instant) -> Option<CoreReading> {
        let name = format!("cpu{core}");
        let mut fields = text
            .lines()
            .map(str::split_whitespace)
            .find_map(|mut fields| (fields.next()? == name).then_some(fields))?;
        // user nice system idle iowait irq softirq steal (proc(5))
        let mut field = |skip: usize| fields.nth(skip)?.parse::<u64>().ok();
        let idle = field(3)? + field(0)?;
        Some(CoreReading {
            at,
            idle,
            stolen: field(2)?,
        })
    }

    /// Time that passed since `before`.
    pub fn elapsed_since(&self, before: &CoreReading) -> Duration {
        self.at - before.at
    }

    /// How much of the time since `before` the core worked, interrupts included: what is neither idle, iowait nor stolen. Taken from
    /// the idle time, which the kernel measures, and not from the busy fields, which it samples at its tick.
    pub fn busy_since(&self, before: &CoreReading) -> Duration {
        let ticks = (self.idle - before.idle) + (self.stolen - before.stolen);
        self.elapsed_since(before)
            .saturating_sub(Duration::from_millis(10) * u32::try_from(ticks).unwrap_or(u32::MAX))
    }
}

/// Resident memory of a process, in bytes.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .and_then(first_number)?;
    Some(kib * 1024)
}

/// The processes whose parent is `pid`.
pub fn children(pid: u32) -> Vec<u32> {
    let Ok(all) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let parent = |child: u32| {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        // The name may hold spaces and parentheses; the state and the parent follow its last one.
        stat.rsplit_once(')')?
            .1
            .split_whitespace()
            .nth(1)?
            .parse::<u32>()
            .ok()
    };
    all.flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|child| parent(*child) == Some(pid))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_core_is_busy_when_it_is_neither_idle_nor_stolen() {
        let at = Instant::now();
        let before = CoreReading::parse("cpu 1 1\ncpu0 10 0 10 100 5 1 1 2 0 0\n", 0, at).unwrap();
        let after = at + Duration::from_secs(1);
        let after = CoreReading::parse("cpu 1 1\ncpu0 50 0 20 120 10 1 1 7 0 0\n", 0, after).unwrap();
        assert_eq!(
            after.busy_since(&before),
            Duration::from_millis(1000 - 200 - 50 - 50)
        );
        assert!(CoreReading::parse("cpu0 1 2 3 4 5 6 7 8\n", 1, at).is_none());
    }

    #[test]
    fn our_own_process_uses_cpu_and_memory() {
        let mut meter = ProcessMeter::new(&[std::process::id()]);
        let before = meter.read();
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(30) {}
        assert!(meter.read() - before >= Duration::from_millis(5));
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
    }
}
