//! Who may dial, and whether the certificates can be used.

use tonic::transport::Server;

use super::is_open;
use super::report::Check;
use crate::config::Config;
use crate::server;

/// Who is let in.
pub(super) fn reach(config: &Config) -> Check {
    let grpc = &config.grpc;
    let certificates = grpc.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    let who = match (certificates, grpc.token.is_some()) {
        (true, true) => "edges with a certificate and the token",
        (true, false) => "edges with a certificate",
        (false, true) => "edges with the token",
        (false, false) => "anybody",
    };
    let how = if grpc.tls.is_some() { "TLS" } else { "in the clear" };
    let found = format!("{how}, {who}");
    let trusts_network = grpc.tls.is_none() || !(certificates || grpc.token.is_some());
    match is_open(grpc.listen) && trusts_network {
        true => Check::warn(
            "who may dial",
            found,
            format!("{} is not loopback (grpc.insecure)", grpc.listen),
            "set grpc.cert, grpc.key and grpc.client_ca or grpc.token_file, unless the network is private",
        ),
        false => Check::ok("who may dial", found),
    }
}

/// Whether a server can be made of them.
pub(super) fn certificates(config: &Config) -> Option<Check> {
    config.grpc.tls.as_ref()?;
    let made = server::tls(&config.grpc).and_then(|tls| match tls {
        Some(tls) => Server::builder()
            .tls_config(tls)
            .map(|_| ())
            .map_err(|error| server::causes(&error)),
        None => Ok(()),
    });
    Some(match made {
        Ok(()) => Check::ok("certificates", "the certificate and its key belong together"),
        Err(why) => Check::fail(
            "certificates",
            "cannot be used",
            why,
            "set grpc.cert to a PEM chain with the leaf first, grpc.key to its private key, grpc.client_ca to a PEM bundle",
        ),
    })
}
