//! A request that ends at the edge: which code, why, and what the answer carries beside it.

use std::borrow::Cow;

use crate::codes::Code;
use crate::gcra::Take;
use crate::worker::answer::Draft;

/// Why a request was refused. Values, not errors: the edge works as it should.
#[derive(Debug)]
pub struct Refusal {
    code: Code,
    detail: Cow<'static, str>,
    retry_after_s: Option<u64>,
    allow: &'static [&'static str],
    rate: Option<Box<Rate>>,
    challenge: Option<&'static str>,
}

/// What a 429 says of its token bucket.
#[derive(Debug)]
struct Rate {
    /// `RateLimit-Policy`.
    policy: Option<String>,
    /// `RateLimit`.
    state: String,
}

impl Refusal {
    /// A refusal with a sentence that says what was wrong and what would be right.
    pub fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal {
            code,
            detail: detail.into(),
            retry_after_s: None,
            allow: &[],
            rate: None,
            challenge: None,
        }
    }

    /// 405 with the methods that the route takes.
    pub fn method_not_allowed(methods: &'static [&'static str]) -> Refusal {
        let detail = format!("this route takes {}", methods.join(" and "));
        Refusal {
            allow: methods,
            ..Refusal::new(Code::MethodNotAllowed, detail)
        }
    }

    /// Adds `Retry-After`, at least one second: zero would be a stampede.
    pub fn retry_after(mut self, seconds: u64) -> Refusal {
        self.retry_after_s = Some(seconds.max(1));
        self
    }

    /// 429 with the state of the bucket, of the `address` or of the `user`, that refused the take.
    pub fn rate_limited(policy: &'static str, take: &Take) -> Refusal {
        let detail = match policy {
            "user" => "this user sends more requests than its bucket allows",
            _ => "this address sends more requests than its bucket allows",
        };
        let rate = Rate {
            policy: take.policy_field(policy),
            state: take.ratelimit_field(policy),
        };
        Refusal {
            rate: Some(Box::new(rate)),
            ..Refusal::new(Code::RateLimited, detail)
        }
    }

    /// Adds `WWW-Authenticate` (RFC 9110 section 11.6.1).
    pub fn challenge(mut self, value: &'static str) -> Refusal {
        self.challenge = Some(value);
        self
    }

    /// The machine word.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Writes the problem document and its headers.
    pub fn write(&self, draft: &mut Draft) {
        draft.problem(self.code, &self.detail);
        if let Some(seconds) = self.retry_after_s {
            draft.header_number("retry-after", seconds);
        }
        if let Some(challenge) = self.challenge {
            draft.header("www-authenticate", challenge.as_bytes());
        }
        if !self.allow.is_empty() {
            draft.header("allow", self.allow.join(", ").as_bytes());
        }
        if let Some(rate) = &self.rate {
            if let Some(policy) = &rate.policy {
                draft.header("ratelimit-policy", policy.as_bytes());
            }
            draft.header("ratelimit", rate.state.as_bytes());
        }
    }
}
