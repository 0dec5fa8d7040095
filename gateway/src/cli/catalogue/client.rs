//! Requests to a gateway's API as an operator. Every one of them may be sent again, and is.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use ureq::Agent;
use ureq::http::{Request, Response};
use ureq::tls::{RootCerts, TlsConfig};

use super::GatewayArgs;
use crate::auth::jwt;
use crate::config::checked::own_token_key;
use crate::roots;

/// An answer takes 5 s at most at the gateway.
const ANSWER_TIME: Duration = Duration::from_secs(15);
/// How long a gateway may be away, or refuse for the moment, before the command gives up.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause before a request is sent again, whatever `Retry-After` says.
const PAUSE_MAX: Duration = Duration::from_secs(10);
/// A page of an export is the largest answer.
const ANSWER_BYTES_MAX: u64 = 2 << 20;
/// How long a token of our own is good: longer than any import takes.
const TOKEN_TTL_S: u64 = 24 * 3600;
/// Whom a token of our own speaks for.
const USER: &str = "catalogue";

pub(super) struct Client {
    agent: Agent,
    target: String,
    token: String,
}

/// What was answered: no 429, no 5xx.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The path of the next page.
    pub(super) next: Option<String>,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// A refusal in one sentence.
    pub(super) fn refusal(&self) -> String {
        let problem = self.json();
        match problem["detail"].as_str() {
            Some(detail) => format!("the gateway answered {}: {detail}", self.status),
            None => format!("the gateway answered {}", self.status),
        }
    }
}

impl Client {
    /// # Errors
    /// A sentence: no token can be had, or no certificate be read.
    pub(super) fn new(args: &GatewayArgs) -> Result<Client, String> {
        if !args.target.starts_with("https://") {
            return Err(format!(
                "`{}` is not a URL such as https://127.0.0.1:8443 (--target)",
                args.target
            ));
        }
        let tls = TlsConfig::builder()
            .root_certs(roots_of(args)?)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .timeout_global(Some(ANSWER_TIME))
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent("tidegate-catalogue")
            .build();
        Ok(Client {
            agent: config.into(),
            target: args.target.trim_end_matches('/').to_owned(),
            token: token(args)?,
        })
    }

    pub(super) fn get(&self, path: &str) -> Result<Answer, String> {
        self.send("GET", path, "", &[])
    }

    pub(super) fn put(&self, path: &str, content_type: &str, body: &[u8]) -> Result<Answer, String> {
        self.send("PUT", path, content_type, body)
    }

    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer, String> {
        self.send("POST", path, "application/json", body.to_string().as_bytes())
    }

    fn send(&self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Answer, String> {
        let begun = Instant::now();
        loop {
            let (why, pause) = match self.send_once(method, path, content_type, body)? {
                Ok(mut response) => match retry_after(&response) {
                    None => return read(&mut response),
                    Some(pause) => (read(&mut response)?.refusal(), pause),
                },
                Err(error) => (error, Duration::from_secs(1)),
            };
            if begun.elapsed() + pause > PATIENCE {
                return Err(format!(
                    "{}{path}: {why}; what was done stays done: run the command again to go on",
                    self.target
                ));
            }
            std::thread::sleep(pause);
        }
    }

    /// The outer error is one that a repeat does not mend.
    fn send_once(
        &self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> Result<Result<Response<ureq::Body>, String>, String> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.target))
            .header("authorization", format!("Bearer {}", self.token));
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let request = request
            .body(body)
            .map_err(|error| format!("{}{path}: {error}", self.target))?;
        match self.agent.run(request) {
            Ok(response) => Ok(Ok(response)),
            Err(error @ (ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::BadUri(_))) => {
                Err(format!(
                    "{}: {error}; name the authority of its certificate with --cacert",
                    self.target
                ))
            }
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

/// When to send a request again that was refused for the moment.
fn retry_after(response: &Response<ureq::Body>) -> Option<Duration> {
    let seconds = |response: &Response<ureq::Body>| {
        let text = response.headers().get("retry-after")?.to_str().ok()?;
        text.parse().ok()
    };
    matches!(response.status().as_u16(), 429 | 503 | 504)
        .then(|| Duration::from_secs(seconds(response).unwrap_or(1)).min(PAUSE_MAX))
}

fn read(response: &mut Response<ureq::Body>) -> Result<Answer, String> {
    let next = response.headers().get("link").and_then(|link| link.to_str().ok());
    let next = next.and_then(next_of).map(str::to_owned);
    Ok(Answer {
        status: response.status().as_u16(),
        next,
        body: response
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| error.to_string())?,
    })
}

/// The target of a `Link` with the relation `next` (RFC 8288), as the gateway writes it.
fn next_of(link: &str) -> Option<&str> {
    let (target, parameters) = link.strip_prefix('<')?.split_once('>')?;
    parameters.contains("rel=\"next\"").then_some(target)
}

fn roots_of(args: &GatewayArgs) -> Result<RootCerts, String> {
    match (&args.cacert, &args.token_file) {
        (Some(path), _) => roots::read(path),
        (None, Some(_)) => Ok(RootCerts::WebPki),
        (None, None) => roots::read(&args.data.join("cert.pem")),
    }
}

fn token(args: &GatewayArgs) -> Result<String, String> {
    if let Some(path) = &args.token_file {
        let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        return Ok(text.trim().to_owned());
    }
    own_token(&args.data)
}

fn own_token(data: &Path) -> Result<String, String> {
    let key = own_token_key(data);
    if !key.exists() {
        return Err(format!(
            "{} does not exist: name the gateway's data directory with --data, or give a token with --token-file",
            key.display()
        ));
    }
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_err(|_| "the clock stands before 1970; set it")?;
    jwt::issue(&key, USER, &["operator"], now.as_secs(), TOKEN_TTL_S)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_where_the_link_says() {
        let link = "</v1/catalogue/export?after=SKU-9>; rel=\"next\"";
        assert_eq!(next_of(link), Some("/v1/catalogue/export?after=SKU-9"));
        assert_eq!(next_of("</x>; rel=\"prev\""), None);
        assert_eq!(next_of("nonsense"), None);
    }
}
