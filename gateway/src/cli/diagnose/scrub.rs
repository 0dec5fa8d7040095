//! What must not leave the machine, taken out of every text of a bundle.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::{Map, Value};

/// What stands where a secret stood.
pub(super) const HIDDEN: &str = "(hidden)";
/// Shorter ones would be found in words that mean nothing.
const SECRET_BYTES_MIN: usize = 6;
/// What a record of the flight recorder may show: when, which route, what came of it and how long it took. Buyer, SKU and order are not
/// here, and neither is what a later version adds.
const RECORD_FIELDS: [&str; 9] = [
    "at", "id", "method", "route", "status", "code", "total_us", "stages", "client",
];

pub(super) struct Scrubber {
    /// Longest first: one may be part of another.
    secrets: Vec<String>,
    with_addresses: bool,
}

impl Scrubber {
    pub(super) fn new(mut secrets: Vec<String>, with_addresses: bool) -> Scrubber {
        secrets.retain(|secret| secret.len() >= SECRET_BYTES_MIN);
        secrets.sort_unstable_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        secrets.dedup();
        Scrubber {
            secrets,
            with_addresses,
        }
    }

    /// The text without known secrets, PEM private keys, tokens, and what URLs carry beside an address.
    pub(super) fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            if text.contains(secret) {
                text = text.replace(secret, HIDDEN);
            }
        }
        without_urls_secrets(&without_tokens(&without_pem(&text)))
    }

    /// `/debug/requests`, with the fields that name nobody.
    ///
    /// # Errors
    /// It is not what this version knows.
    pub(super) fn requests(&self, json: &[u8]) -> Result<String, String> {
        let value: Value = serde_json::from_slice(json).map_err(|error| error.to_string())?;
        let records = value.get("requests").and_then(Value::as_array);
        let records =
            records.ok_or("its form is not known to this version, so it cannot be made anonymous")?;
        let shown: Vec<Value> = records
            .iter()
            .filter_map(Value::as_object)
            .map(|record| self.record(record))
            .collect();
        let all = serde_json::json!({ "remembers": value["remembers"].as_u64(), "requests": shown });
        serde_json::to_string_pretty(&all).map_err(|error| error.to_string())
    }

    fn record(&self, record: &Map<String, Value>) -> Value {
        let fields = record
            .iter()
            .filter(|(name, _)| RECORD_FIELDS.contains(&name.as_str()));
        let shown = fields.map(|(name, value)| match value {
            Value::String(address) if name == "client" => (name.clone(), self.address(address).into()),
            value => (name.clone(), value.clone()),
        });
        Value::Object(shown.collect())
    }

    fn address(&self, text: &str) -> String {
        match (self.with_addresses, text.parse::<IpAddr>()) {
            (true, _) => text.to_owned(),
            (false, Ok(address)) => masked(address),
            (false, Err(_)) => HIDDEN.to_owned(),
        }
    }
}

/// The network: /24 of IPv4, /48 of IPv6, which is a household or more.
pub(super) fn masked(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{}/24", Ipv4Addr::new(a, b, c, 0))
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{}/48", Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0))
        }
    }
}

/// RFC 7468 blocks of private keys, whole; one without an end, to the end of the text.
fn without_pem(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("-----BEGIN ") {
        let label = rest[at..].split("-----").nth(1).unwrap_or_default();
        let end = format!("-----END {}-----", label.trim_start_matches("BEGIN "));
        let after = rest[at..]
            .find(&end)
            .map_or(rest.len(), |found| at + found + end.len());
        out.push_str(&rest[..at]);
        out.push_str(if label.contains("PRIVATE KEY") {
            HIDDEN
        } else {
            &rest[at..after]
        });
        rest = &rest[after..];
    }
    out + rest
}

/// Anything like a JWT (RFC 7519): base64url of `{"`, and two dots.
fn without_tokens(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("eyJ") {
        let length = rest[at..].find(|c| !is_part(c)).unwrap_or(rest.len() - at);
        let word = &rest[at..at + length];
        out.push_str(&rest[..at]);
        out.push_str(if word.matches('.').count() == 2 {
            HIDDEN
        } else {
            word
        });
        rest = &rest[at + length..];
    }
    out + rest
}

/// `scheme://user:password@host/path?query` → `scheme://(hidden)@host/path?(hidden)`.
fn without_urls_secrets(text: &str) -> String {
    let ends = |c: char| c.is_whitespace() || "\"'<>`".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://").map(|at| at + 3) {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let (url, after) = rest.split_at(rest.find(ends).unwrap_or(rest.len()));
        let (place, query) = url
            .split_once('?')
            .map_or((url, ""), |(place, query)| (place, query));
        match place.rsplit_once('@') {
            Some((_, host)) => out.push_str(&format!("{HIDDEN}@{host}")),
            None => out.push_str(place),
        }
        if !query.is_empty() {
            out.push_str(&format!("?{HIDDEN}"));
        }
        rest = after;
    }
    out + rest
}
