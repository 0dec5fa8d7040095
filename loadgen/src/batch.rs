//! A list of requests, each tried until it has a definite answer: reading back, and settling unknown outcomes.

use std::collections::VecDeque;
use std::rc::Rc;

use crate::clock::Clock;
use crate::net::pool::{self, PoolConfig};
use crate::request::{Answer, Flight, Method, Next, Request, Source};
use crate::users::{UserId, Users};

/// One request to be made.
#[derive(Clone, Debug, Default)]
pub struct Job {
    /// Method.
    pub method: Method,
    /// Path.
    pub path: String,
    /// Who asks.
    pub user: UserId,
    /// `Idempotency-Key`, or empty.
    pub key: Vec<u8>,
    /// JSON, or empty.
    pub body: Vec<u8>,
}

/// A definite answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

struct Batch {
    jobs: Vec<Job>,
    replies: Vec<Option<Reply>>,
    waiting: VecDeque<(u64, Flight)>,
    in_flight: usize,
    deadline: u64,
    retry_ns: u64,
}

/// Makes all requests; the answer that stays `None` was not definite within `patience_ns`.
/// Not definite are 429, 5xx and lost connections: those are tried again after `retry_ns`.
pub fn run(
    config: &PoolConfig,
    clock: Clock,
    users: &Rc<Users>,
    jobs: Vec<Job>,
    patience_ns: u64,
) -> Result<Vec<Option<Reply>>, String> {
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let waiting = (0..jobs.len() as Flight).map(|n| (0, n)).collect();
    let deadline = clock.now() + patience_ns;
    let replies = vec![None; jobs.len()];
    let batch = Batch {
        jobs,
        replies,
        waiting,
        in_flight: 0,
        deadline,
        retry_ns: 200_000_000,
    };
    let (batch, stats) = pool::run(config, clock, users, batch)?;
    match stats.gave_up {
        Some(why) => Err(why),
        None => Ok(batch.replies),
    }
}

impl Source for Batch {
    fn next(&mut self, now: u64, request: &mut Request) -> Next {
        let Some(&(at, flight)) = self.waiting.front() else {
            return Next::Wait;
        };
        if now >= self.deadline {
            return Next::Wait;
        }
        if at > now {
            return Next::WaitUntil(at);
        }
        self.waiting.pop_front();
        self.in_flight += 1;
        let job = &self.jobs[flight as usize];
        request.flight = flight;
        request.method = job.method;
        request.path.extend_from_slice(job.path.as_bytes());
        request.user = job.user;
        request.key.extend_from_slice(&job.key);
        request.body.extend_from_slice(&job.body);
        Next::Send
    }

    fn answered(&mut self, now: u64, flight: Flight, answer: Answer<'_>) {
        self.in_flight -= 1;
        if matches!(answer.status, 0 | 429 | 500..) {
            self.waiting.push_back((now + self.retry_ns, flight));
        } else {
            self.replies[flight as usize] = Some(Reply {
                status: answer.status,
                body: answer.body.to_vec(),
            });
        }
    }

    fn lost(&mut self, now: u64, flight: Flight) {
        self.in_flight -= 1;
        self.waiting.push_back((now + self.retry_ns, flight));
    }

    fn is_finished(&self, now: u64) -> bool {
        (self.waiting.is_empty() && self.in_flight == 0) || now >= self.deadline
    }
}
