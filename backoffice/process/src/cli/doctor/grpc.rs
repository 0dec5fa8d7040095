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

#[cfg(test)]
mod tests {
    use super::super::report::Verdict;
    use super::*;
    use crate::config::Sources;

    fn config(set: &[&str]) -> Config {
        let sources = Sources {
            set: set.iter().map(|set| (*set).to_owned()).collect(),
            ..Sources::default()
        };
        sources.load().unwrap()
    }

    #[test]
    fn a_door_that_is_open_to_a_network_is_a_warning_even_if_it_was_asked_for() {
        assert_eq!(reach(&config(&[])).verdict, Verdict::Ok);
        let open = config(&["grpc.listen=0.0.0.0:7445", "grpc.insecure=true"]);
        assert_eq!(reach(&open).verdict, Verdict::Warn);
        let closed = config(&[
            "grpc.listen=0.0.0.0:7445",
            "grpc.cert=/c",
            "grpc.key=/k",
            "grpc.client_ca=/a",
        ]);
        assert_eq!(reach(&closed).verdict, Verdict::Ok);
    }

    #[test]
    fn a_key_of_another_certificate_is_found_before_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let [one, other] = ["a.example", "b.example"]
            .map(|name| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap());
        let write = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        };
        let cert = write("cert.pem", one.cert.pem());
        let right = write("key.pem", one.signing_key.serialize_pem());
        let wrong = write("other.pem", other.signing_key.serialize_pem());
        let verdict = |key: &str| {
            let set = [format!("grpc.cert={cert}"), format!("grpc.key={key}")];
            let config = config(&[&set[0], &set[1]]);
            certificates(&config).map(|check| check.verdict)
        };
        assert_eq!(verdict(&right), Some(Verdict::Ok));
        assert_eq!(verdict(&wrong), Some(Verdict::Fail));
        assert_eq!(verdict("/nowhere"), Some(Verdict::Fail));
        assert_eq!(certificates(&config(&[])), None);
    }
}
