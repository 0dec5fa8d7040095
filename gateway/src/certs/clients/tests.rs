use std::path::PathBuf;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use rustls::client::Resumption;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, HandshakeKind};

use super::*;
use crate::certs::Certificates;
use crate::certs::tests::{BOTH, World, handshake, tls};
use crate::config::checked::Tls;

/// Who signs the certificates of clients.
struct Authority(CertifiedIssuer<'static, KeyPair>);

/// What a client shows: its chain and its key.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params
}

impl Authority {
    fn new(name: &str) -> Authority {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Authority(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    fn client(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let mut params = named("a client");
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        (vec![certificate.der().clone()], key.into())
    }
}

/// A server of `localhost` that believes the authorities in its file `clients.pem`.
struct Shop {
    world: World,
    settings: Tls,
}

impl Shop {
    fn new(required: bool, believed: &[&Authority]) -> Shop {
        let mut world = World::new();
        let files = world.certificate("shop", &["localhost"]);
        let mut settings = tls(vec![files], None);
        settings.client_auth = Some(ClientAuth {
            ca: world.path("clients.pem"),
            required,
        });
        let mut shop = Shop { world, settings };
        shop.believe(believed);
        shop
    }

    fn believe(&mut self, authorities: &[&Authority]) {
        let bundle: String = authorities.iter().map(|authority| authority.pem()).collect();
        self.world.write("clients.pem", &bundle);
    }

    fn load(&self) -> Certificates {
        Certificates::load(&self.settings).unwrap()
    }

    /// A client that trusts the shop and shows `identity`, if it has one.
    fn client(&self, identity: Option<&Identity>) -> Arc<ClientConfig> {
        self.client_of(BOTH, identity)
    }

    fn client_of(
        &self,
        versions: &[&'static rustls::SupportedProtocolVersion],
        identity: Option<&Identity>,
    ) -> Arc<ClientConfig> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(self.world.roots.clone());
        let mut config = match identity {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(8);
        Arc::new(config)
    }
}

/// The kind of handshake and the client's leaf, if the handshake succeeds.
fn met(
    client: &Arc<ClientConfig>,
    certificates: &Certificates,
) -> Option<(HandshakeKind, Option<CertificateDer<'static>>)> {
    let (_, server) = handshake(client, certificates, "localhost").ok()?;
    let leaf = server.peer_certificates().map(|chain| chain[0].clone());
    Some((server.handshake_kind().unwrap(), leaf))
}

#[test]
fn where_it_is_required_only_the_right_authoritys_client_comes_in() {
    let (right, other) = (Authority::new("right"), Authority::new("other"));
    let shop = Shop::new(true, &[&right]);
    let certificates = shop.load();
    let good = right.client(|_| {});
    let stranger = other.client(|_| {});
    let ended = right.client(|params| params.not_after = rcgen::date_time_ymd(2020, 1, 1));
    let servers =
        right.client(|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    for version in BOTH {
        let met = |identity| met(&shop.client_of(&[version], identity), &certificates);
        assert_eq!(
            met(Some(&good)),
            Some((HandshakeKind::Full, Some(good.0[0].clone())))
        );
        for (identity, why) in [
            (None, "none at all"),
            (Some(&stranger), "of another authority"),
            (Some(&ended), "ended"),
            (Some(&servers), "not for clients"),
        ] {
            assert_eq!(met(identity), None, "{why}");
        }
    }
}

#[test]
fn where_it_is_optional_a_client_may_come_without_but_not_with_a_bad_one() {
    let (right, other) = (Authority::new("right"), Authority::new("other"));
    let shop = Shop::new(false, &[&right]);
    let certificates = shop.load();
    let (good, stranger) = (right.client(|_| {}), other.client(|_| {}));
    for version in BOTH {
        let met = |identity| met(&shop.client_of(&[version], identity), &certificates);
        assert_eq!(met(None), Some((HandshakeKind::Full, None)));
        assert_eq!(
            met(Some(&good)),
            Some((HandshakeKind::Full, Some(good.0[0].clone())))
        );
        assert_eq!(met(Some(&stranger)), None);
    }
}

#[test]
fn a_resumed_session_keeps_the_identity_that_was_verified() {
    let right = Authority::new("right");
    let shop = Shop::new(true, &[&right]);
    let certificates = shop.load();
    let good = right.client(|_| {});
    for version in BOTH {
        let client = shop.client_of(&[version], Some(&good));
        met(&client, &certificates).unwrap();
        for _ in 0..2 {
            let again = met(&client, &certificates);
            assert_eq!(again, Some((HandshakeKind::Resumed, Some(good.0[0].clone()))));
        }
    }
}

/// Once with random ticket keys and once with keys of a file, where only the binding tells old tickets from new ones.
fn with_both_kinds_of_tickets(required: bool, believed: &[&Authority], check: impl Fn(Shop)) {
    check(Shop::new(required, believed));
    let mut shop = Shop::new(required, believed);
    shop.world.write("tickets", &"a1".repeat(32));
    shop.settings.ticket_key_file = Some(shop.world.path("tickets"));
    check(shop);
}

#[test]
fn no_session_is_resumed_that_older_authorities_let_in() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    with_both_kinds_of_tickets(true, &[&old], |mut shop| {
        let certificates = shop.load();
        let (first, second) = (old.client(|_| {}), new.client(|_| {}));
        let (first, second) = (shop.client(Some(&first)), shop.client(Some(&second)));
        assert!(met(&first, &certificates).is_some());
        assert!(met(&second, &certificates).is_none());

        // Both are believed for a while: the session is not resumed, and its owner is verified again.
        shop.believe(&[&old, &new]);
        assert_eq!(certificates.reload_if_changed(), Ok(true));
        assert_eq!(met(&first, &certificates).unwrap().0, HandshakeKind::Full);
        assert_eq!(met(&second, &certificates).unwrap().0, HandshakeKind::Full);
        // The same authorities in another order are no change.
        shop.believe(&[&new, &old]);
        assert_eq!(certificates.reload_if_changed(), Ok(true));
        assert_eq!(met(&first, &certificates).unwrap().0, HandshakeKind::Resumed);

        shop.believe(&[&new]);
        assert_eq!(certificates.reload_if_changed(), Ok(true));
        assert!(
            met(&first, &certificates).is_none(),
            "it holds a ticket, and is out"
        );
        assert!(met(&second, &certificates).is_some());
    });
}

#[test]
fn a_session_without_a_certificate_is_not_resumed_where_one_is_required_now() {
    let right = Authority::new("right");
    let mut shop = Shop::new(false, &[&right]);
    shop.world.write("tickets", &"a1".repeat(32));
    shop.settings.ticket_key_file = Some(shop.world.path("tickets"));
    let nobody = shop.client(None);
    met(&nobody, &shop.load()).unwrap();
    assert_eq!(
        met(&nobody, &shop.load()).unwrap().0,
        HandshakeKind::Resumed,
        "after a restart"
    );
    shop.settings.client_auth.as_mut().unwrap().required = true;
    assert!(met(&nobody, &shop.load()).is_none());
}

#[test]
fn a_bad_bundle_stops_the_start_and_changes_nothing_later() {
    let right = Authority::new("right");
    let mut shop = Shop::new(true, &[&right]);
    let certificates = shop.load();
    let good = right.client(|_| {});
    let client = shop.client(Some(&good));
    for (count, bad) in [
        "",
        "# nobody",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ]
    .into_iter()
    .enumerate()
    {
        shop.world.write("clients.pem", bad);
        let error = Certificates::load(&shop.settings).err().unwrap();
        assert!(error.contains("clients.pem"), "{error}");
        certificates.reload_if_changed().expect_err("a bad file");
        assert_eq!(certificates.failures(), count as u64 + 1);
        assert!(met(&client, &certificates).is_some());
        assert!(met(&shop.client(None), &certificates).is_none());
    }
    let missing = Tls {
        client_auth: Some(ClientAuth {
            ca: PathBuf::from("no/such.pem"),
            required: false,
        }),
        ..shop.settings.clone()
    };
    assert!(Certificates::load(&missing).is_err());
}

#[test]
fn a_resumed_clients_certificate_is_looked_at_again() {
    let (right, other) = (Authority::new("right"), Authority::new("other"));
    let certificates = Shop::new(true, &[&right]).load();
    let of = |identity: &Identity| certificates.admits_again(Some(&identity.0));
    assert!(of(&right.client(|_| {})));
    assert!(!of(&other.client(|_| {})));
    let yesterday = std::time::SystemTime::now() - Duration::from_secs(86_400);
    assert!(!of(&right.client(|params| params.not_after = yesterday.into())));
    assert!(!certificates.admits_again(None) && !certificates.admits_again(Some(&[])));
    let lenient = Shop::new(false, &[&right]).load();
    assert!(lenient.admits_again(None));
    assert!(!lenient.admits_again(Some(&other.client(|_| {}).0)));
}
