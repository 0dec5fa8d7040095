//! Certificates of clients, from outside: a real process, real TLS.

mod common;

use std::path::Path;

use common::{Gateway, Identity};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::pki_types::PrivatePkcs8KeyDer;

const OFF: [&str; 2] = ["limits.user.rate=off", "limits.address.rate=off"];

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn client_of(authority: &CertifiedIssuer<'static, KeyPair>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let signed = CertificateParams::default().signed_by(&key, authority).unwrap();
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    (vec![signed.der().clone()], der.into())
}

fn start(folder: &Path, shell: &str, bundle: &Path, mode: &str) -> Gateway {
    let ca = format!("tls.client_ca={}", bundle.display());
    let mode = format!("tls.client_auth={mode}");
    Gateway::start(folder, &[shell, &ca, &mode, "tls.reload_s=1", OFF[0], OFF[1]])
}

fn comes_in(gateway: &Gateway, identity: Option<&Identity>) -> bool {
    let mut client = gateway.connect_by(&[], identity);
    !client.is_cut()
}

#[test]
fn only_clients_of_the_authority_come_in_and_a_changed_authority_is_believed_without_a_restart() {
    let (old, new) = (authority("old"), authority("new"));
    let (of_old, of_new) = (client_of(&old), client_of(&new));
    for shell in ["server.io=uring", "server.io=epoll"] {
        let folder = tempfile::tempdir().unwrap();
        let bundle = folder.path().join("clients.pem");
        std::fs::write(&bundle, old.pem()).unwrap();
        let mut gateway = start(&folder.path().join("data"), shell, &bundle, "required");
        assert!(!comes_in(&gateway, None), "{shell}");
        assert!(comes_in(&gateway, Some(&of_old)), "{shell}");
        assert!(!comes_in(&gateway, Some(&of_new)), "{shell}");

        std::fs::write(&bundle, "nobody").unwrap();
        gateway.wait_for("tidegate_reload_failures_total{files=\"certificates\"}", |sum| {
            sum >= 1
        });
        assert!(
            comes_in(&gateway, Some(&of_old)) && !comes_in(&gateway, None),
            "{shell}"
        );

        std::fs::write(&bundle, new.pem()).unwrap();
        let began = std::time::Instant::now();
        while !comes_in(&gateway, Some(&of_new)) {
            assert!(began.elapsed().as_secs() < 20, "{shell}: it is not read again");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
        assert!(!comes_in(&gateway, Some(&of_old)), "{shell}");
        assert_eq!(gateway.terminate(), 0);
    }
}

#[test]
fn where_certificates_are_optional_only_bad_ones_are_refused() {
    let (right, other) = (authority("right"), authority("other"));
    let folder = tempfile::tempdir().unwrap();
    let bundle = folder.path().join("clients.pem");
    std::fs::write(&bundle, right.pem()).unwrap();
    let gateway = start(&folder.path().join("data"), "server.io=auto", &bundle, "optional");
    assert!(comes_in(&gateway, None));
    assert!(comes_in(&gateway, Some(&client_of(&right))));
    assert!(!comes_in(&gateway, Some(&client_of(&other))));
}
