//! A request as h2 hands it over, and what it must be beyond what h2 checks.

use crate::context::Context;
use crate::head::{Head, Picked, Source};
use crate::host::{CoveredHost, host_of};
use crate::{Protocol, Refusal};
use http::request::Parts;

/// Checks a head by the same rules as HTTP/1.1's, as far as they apply (RFC 9113 section 8). Returns whether the
/// client waits for 100 Continue.
pub(crate) fn check(
    parts: &Parts,
    context: &Context<'_>,
    covered: &mut CoveredHost,
) -> Result<bool, Refusal> {
    let limits = &context.config.limits;
    if parts.method == http::Method::CONNECT {
        return Err(Refusal::NotImplemented);
    }
    if parts.headers.len() > limits.head_fields {
        return Err(Refusal::HeadTooLarge);
    }
    let target = path_and_query(parts);
    if target.len() > limits.target_bytes {
        return Err(Refusal::TargetTooLong);
    }
    let well_formed = target.starts_with('/') || (target == "*" && parts.method == http::Method::OPTIONS);
    if !well_formed || !target.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Refusal::BadHead);
    }
    let picked = picked(parts)?;
    let authority = authority(parts, &picked);
    if let (Some(said), Some(host)) = (parts.uri.authority(), picked.host)
        && !said.as_str().as_bytes().eq_ignore_ascii_case(host)
    {
        return Err(Refusal::BadHost);
    }
    let host = host_of(authority.as_bytes()).ok_or(Refusal::BadHost)?;
    if !covered.admits(host, context) {
        return Err(Refusal::Misdirected);
    }
    let expects_continue = match picked.expect {
        None => false,
        Some(value) if value.eq_ignore_ascii_case(b"100-continue") => true,
        Some(_) => return Err(Refusal::BadExpectation),
    };
    if picked
        .content_length
        .is_some_and(|length| length > limits.body_bytes as u64)
    {
        return Err(Refusal::BodyTooLarge);
    }
    Ok(expects_continue)
}

/// The head, for the gateway.
pub(crate) fn head(parts: &Parts) -> Head<'_> {
    // It was checked when it arrived: nothing is repeated.
    let picked = picked(parts).unwrap_or_default();
    Head {
        protocol: Protocol::H2,
        method: parts.method.as_str(),
        path_and_query: path_and_query(parts),
        authority: authority(parts, &picked),
        picked,
        source: Source::H2(&parts.headers),
    }
}

fn path_and_query(parts: &Parts) -> &str {
    parts.uri.path_and_query().map_or("", |target| target.as_str())
}

/// `:authority`, else Host (RFC 9113 section 8.3.1).
fn authority<'a>(parts: &'a Parts, picked: &Picked<'a>) -> &'a str {
    match parts.uri.authority() {
        Some(authority) => authority.as_str(),
        None => picked
            .host
            .and_then(|host| std::str::from_utf8(host).ok())
            .unwrap_or(""),
    }
}

/// One pass over the fields.
fn picked(parts: &Parts) -> Result<Picked<'_>, Refusal> {
    let mut picked = Picked::default();
    for (name, value) in &parts.headers {
        let value = value.as_bytes();
        let (slot, refusal) = match name.as_str() {
            "authorization" => (&mut picked.authorization, Refusal::RepeatedField),
            "idempotency-key" => (&mut picked.idempotency_key, Refusal::RepeatedField),
            "content-type" => (&mut picked.content_type, Refusal::RepeatedField),
            "x-request-id" => (&mut picked.x_request_id, Refusal::RepeatedField),
            "traceparent" => (&mut picked.traceparent, Refusal::RepeatedField),
            "host" => (&mut picked.host, Refusal::BadHost),
            "expect" => (&mut picked.expect, Refusal::BadExpectation),
            "x-forwarded-for" => {
                picked.x_forwarded_for = Some(value);
                picked.x_forwarded_for_lines += 1;
                continue;
            }
            "content-length" => {
                let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                if picked
                    .content_length
                    .replace(length.ok_or(Refusal::BadFraming)?)
                    .is_some()
                {
                    return Err(Refusal::BadFraming);
                }
                continue;
            }
            _ => continue,
        };
        if slot.replace(value).is_some() {
            return Err(refusal);
        }
    }
    Ok(picked)
}
