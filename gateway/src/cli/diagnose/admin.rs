//! Questions to the admin address of the gateway that runs.

use std::time::Duration;

use ureq::Agent;

/// How long an answer may take beyond the time it was asked to take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer at most; a flamegraph of a busy gateway is the largest, at about a megabyte.
const ANSWER_BYTES_MAX: u64 = 32 << 20;

pub(super) struct AdminClient {
    address: String,
}

impl AdminClient {
    pub(super) fn new(address: &str) -> AdminClient {
        AdminClient {
            address: address.to_owned(),
        }
    }

    /// The body of a 200, or of a readiness that says why not.
    ///
    /// # Errors
    /// A sentence: nobody answers, or what else was answered.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, String> {
        self.get_within(path, Duration::ZERO)
    }

    pub(super) fn get_within(&self, path: &str, work: Duration) -> Result<Vec<u8>, String> {
        let config = Agent::config_builder()
            .timeout_global(Some(work + PATIENCE))
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            // The admin address is near; HTTPS_PROXY and its like are not asked.
            .proxy(None)
            .user_agent("tidegate-diagnose");
        let agent: Agent = config.build().into();
        let mut answer = agent
            .get(format!("http://{}{path}", self.address))
            .call()
            .map_err(|error| format!("http://{}: {error}", self.address))?;
        let status = answer.status().as_u16();
        let body = answer
            .body_mut()
            .with_config()
            .limit(ANSWER_BYTES_MAX)
            .read_to_vec()
            .map_err(|error| error.to_string())?;
        match status {
            200 => Ok(body),
            503 if path == "/readyz" => Ok(body),
            404 => Err("the gateway that runs does not have it".to_owned()),
            _ => Err(format!(
                "answered {status}: {}",
                String::from_utf8_lossy(&body).trim()
            )),
        }
    }
}
