//! The same POST to any server, any 2xx being right: for comparisons with `return 200`. Nothing is verified.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::meter::Meter;
use crate::pace::{Due, Pace};
use crate::request::{Answer, Connections, Flight, Method, Next, Request, Source};
use crate::skus::Chooser;

/// Sends orders and only counts what comes back.
pub struct Raw {
    /// Schedule.
    pub pace: Pace,
    /// Figures.
    pub meter: Meter,
    /// Answers that were not 2xx.
    pub refused: u64,
    /// Set from outside to end the load early.
    pub stop: Arc<AtomicBool>,
    path: Vec<u8>,
    run: u64,
    users: u32,
    skus: Chooser,
    sent: u64,
    intended: Vec<u64>,
    free: Vec<Flight>,
}

impl Raw {
    /// Posts to `path` as `users` people in turn, over the SKUs of `skus`; `run` makes the keys unique.
    pub fn new(pace: Pace, meter: Meter, path: &str, run: u64, users: u32, skus: Chooser) -> Raw {
        Raw {
            pace,
            meter,
            refused: 0,
            stop: Arc::default(),
            path: path.as_bytes().to_vec(),
            run,
            users: users.max(1),
            skus,
            sent: 0,
            intended: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl Source for Raw {
    fn next(&mut self, now: u64, request: &mut Request) -> Next {
        let intended = match self.pace.take(now) {
            Due::Now(intended) => intended,
            Due::At(at) => return Next::WaitUntil(at),
            Due::Over => return Next::Wait,
        };
        let flight = self.free.pop().unwrap_or_else(|| {
            self.intended.push(0);
            self.intended.len() as Flight - 1
        });
        self.intended[flight as usize] = intended;
        request.flight = flight;
        request.method = Method::Post;
        request.path.extend_from_slice(&self.path);
        request.user = (self.sent % u64::from(self.users)) as u32;
        // Writing to a Vec cannot fail.
        let _ = write!(request.key, "{:x}-{:x}", self.run, self.sent);
        let sku = self.skus.choose();
        let _ = write!(
            request.body,
            r#"{{"lines":[{{"sku":"{}","qty":1}}]}}"#,
            self.skus.name(sku)
        );
        self.sent += 1;
        self.meter.sent();
        Next::Send
    }

    fn answered(&mut self, now: u64, flight: Flight, answer: Answer<'_>) {
        self.meter.answered(
            now,
            answer.status,
            now.saturating_sub(self.intended[flight as usize]),
            answer.body,
        );
        self.refused += u64::from(!(200..300).contains(&answer.status));
        self.free.push(flight);
    }

    fn lost(&mut self, _now: u64, flight: Flight) {
        self.meter.lost();
        self.free.push(flight);
    }

    fn is_finished(&self, now: u64) -> bool {
        self.pace.is_over(now)
    }

    fn tick(&mut self, now: u64, connections: Connections) {
        if self.stop.load(Ordering::Relaxed) {
            self.pace.stop();
        }
        self.meter.tick(now, self.pace.skipped(), connections);
    }
}
