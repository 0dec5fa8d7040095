//! Who may do what on the admin address. It has no users: who can reach it may look, and these rules keep web pages out.
//!
//! - **Names.** A page of another site can have its own name resolved to this machine (DNS rebinding) and would then be of the same origin.
//!   So everything but health and metrics is served under an IP address or `localhost` only.
//! - **Changes.** A POST of a script on this machine needs nothing, as before. One of a browser (it has `Origin` or a `Sec-Fetch-` field), and
//!   one from another machine, needs the admin token in `X-Tidegate-Token`: a field that no form can send, and no page of another
//!   origin without our consent, which is never given. Routes that change what is sold need it from everyone.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::server::Shared;
use super::token::AdminToken;

/// The field that carries the admin token.
pub const TOKEN_FIELD: &str = "x-tidegate-token";

/// What monitoring asks for under whatever name it knows; nothing in it is worth a rebinding.
const ANY_NAME: [&str; 3] = ["/livez", "/readyz", "/metrics"];
/// Routes whose changes need the token from everyone.
const ALWAYS: &str = "/skus/";

pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let asked = Asked {
        peer: peer.ip(),
        method: request.method(),
        path: request.uri().path(),
        fields: request.headers(),
    };
    match asked.check(&shared.admin.token) {
        Ok(()) => next.run(request).await,
        Err((status, why)) => (status, format!("{why}\n")).into_response(),
    }
}

struct Asked<'a> {
    peer: IpAddr,
    method: &'a Method,
    path: &'a str,
    fields: &'a HeaderMap,
}

type Denied = (StatusCode, &'static str);

impl Asked<'_> {
    fn check(&self, token: &AdminToken) -> Result<(), Denied> {
        let host = self.field(header::HOST.as_str());
        if !ANY_NAME.contains(&self.path) && !host.is_none_or(is_own_name) {
            return Err((
                StatusCode::MISDIRECTED_REQUEST,
                "the admin address is served under its IP address or localhost, and under no other name",
            ));
        }
        if [Method::GET, Method::HEAD].contains(self.method) {
            return Ok(());
        }
        // A browser says where a page is from; one of another origin has no business here, whatever it knows.
        let own = |origin: &str| host.is_some_and(|host| origin.strip_prefix("http://") == Some(host));
        if !self.field(header::ORIGIN.as_str()).is_none_or(own) {
            return Err((StatusCode::FORBIDDEN, "this comes from a page of another origin"));
        }
        if !self.needs_token() {
            return Ok(());
        }
        match self.fields.get(TOKEN_FIELD) {
            Some(shown) if token.is(shown.as_bytes()) => Ok(()),
            Some(_) => Err((
                StatusCode::FORBIDDEN,
                "X-Tidegate-Token is not the admin token: it is in DATA/admin.token",
            )),
            None => Err((
                StatusCode::UNAUTHORIZED,
                "send the admin token of DATA/admin.token in X-Tidegate-Token",
            )),
        }
    }

    fn needs_token(&self) -> bool {
        let browser = [header::ORIGIN.as_str(), "sec-fetch-site", "sec-fetch-mode"];
        self.path.starts_with(ALWAYS)
            || !self.peer.to_canonical().is_loopback()
            || browser.iter().any(|name| self.fields.contains_key(*name))
    }

    fn field(&self, name: &str) -> Option<&str> {
        // What is no text is no name and no origin of ours.
        self.fields.get(name).map(|value| value.to_str().unwrap_or("?"))
    }
}

/// `127.0.0.1:9901`, `[::1]:9901`, `localhost:9901`, with or without the port.
fn is_own_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|digit| digit.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    name.eq_ignore_ascii_case("localhost") || bare.unwrap_or(name).parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SELF: (&str, &str) = ("host", "127.0.0.1:9901");

    fn status(method: &str, path: &str, peer: &str, fields: &[(&'static str, &str)]) -> u16 {
        let data = tempfile::tempdir().unwrap();
        std::fs::write(super::super::token::file(data.path()), "0123456789abcdef").unwrap();
        let token = AdminToken::load_or_make(data.path()).unwrap();
        let fields = fields.iter().map(|(name, value)| {
            (
                header::HeaderName::from_static(name),
                header::HeaderValue::from_str(value).unwrap(),
            )
        });
        let asked = Asked {
            peer: peer.parse().unwrap(),
            method: &method.parse().unwrap(),
            path,
            fields: &fields.collect(),
        };
        asked
            .check(&token)
            .map_or_else(|(status, _)| status.as_u16(), |()| 200)
    }

    #[test]
    fn a_name_that_anybody_can_point_here_gets_health_and_metrics_only() {
        for host in [
            "127.0.0.1",
            "localhost:9901",
            "LOCALHOST",
            "[::1]:9901",
            "10.0.0.7:80",
        ] {
            assert_eq!(
                status("GET", "/config", "127.0.0.1", &[("host", host)]),
                200,
                "{host}"
            );
        }
        for host in [
            "evil.example",
            "evil.example:9901",
            "localhost.evil.example",
            "127.0.0.1.nip.io",
            "",
        ] {
            assert_eq!(
                status("GET", "/config", "127.0.0.1", &[("host", host)]),
                421,
                "{host}"
            );
            assert_eq!(
                status("POST", "/drain", "127.0.0.1", &[("host", host)]),
                421,
                "{host}"
            );
            assert_eq!(
                status("GET", "/metrics", "127.0.0.1", &[("host", host)]),
                200,
                "{host}"
            );
        }
        assert_eq!(status("GET", "/config", "127.0.0.1", &[]), 200, "HTTP/1.0");
    }

    #[test]
    fn a_script_on_this_machine_needs_no_token_and_everyone_else_does() {
        assert_eq!(status("POST", "/drain", "127.0.0.1", &[SELF]), 200);
        assert_eq!(status("POST", "/drain", "::1", &[SELF]), 200);
        assert_eq!(status("POST", "/drain", "::ffff:127.0.0.1", &[SELF]), 200);
        assert_eq!(status("POST", "/drain", "10.0.0.7", &[SELF]), 401);
        assert_eq!(status("POST", "/skus/A/pause", "127.0.0.1", &[SELF]), 401);
        for browser in [
            ("origin", "http://127.0.0.1:9901"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "no-cors"),
        ] {
            let with = |token: &str| {
                status(
                    "POST",
                    "/drain",
                    "127.0.0.1",
                    &[SELF, browser, (TOKEN_FIELD, token)],
                )
            };
            assert_eq!(
                status("POST", "/drain", "127.0.0.1", &[SELF, browser]),
                401,
                "{browser:?}"
            );
            assert_eq!(with("0123456789abcdee"), 403, "{browser:?}");
            assert_eq!(with("0123456789abcdef"), 200, "{browser:?}");
        }
    }

    #[test]
    fn a_page_of_another_origin_is_refused_even_with_the_token() {
        for origin in [
            "http://evil.example",
            "http://127.0.0.1:9902",
            "null",
            "https://127.0.0.1:9901",
        ] {
            let fields = [SELF, ("origin", origin), (TOKEN_FIELD, "0123456789abcdef")];
            assert_eq!(status("POST", "/drain", "127.0.0.1", &fields), 403, "{origin}");
        }
    }
}
