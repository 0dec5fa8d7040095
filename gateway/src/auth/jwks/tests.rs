use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::AtomicUsize;
use std::sync::{Mutex, PoisonError};

use aws_lc_rs::rand;
use jsonwebtoken::{EncodingKey, Header};
use serde_json::json;

use super::*;
use crate::auth::keys::{KeySource, Sources};
use crate::auth::tests::base64;
use crate::auth::{Authenticator, Denied};

const NOW: u64 = 1_800_000_000;
const LONG: Duration = Duration::from_secs(600);
/// Tests wait this long for what takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// What the provider does with the next requests.
#[derive(Clone)]
enum Act {
    Answer(&'static str, Vec<u8>),
    /// Says nothing and keeps the connection.
    Silence,
    /// A byte now and then, for ever.
    Drip,
}

/// An identity provider on a loopback port; it ends with the test's process.
struct Provider {
    url: String,
    hits: Arc<AtomicUsize>,
    act: Arc<Mutex<Act>>,
}

impl Provider {
    fn new(listener: TcpListener, act: Act) -> Provider {
        let url = format!("http://{}/jwks.json", listener.local_addr().unwrap());
        let (hits, act) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(act)));
        let (seen, wanted) = (Arc::clone(&hits), Arc::clone(&act));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                seen.fetch_add(1, Ordering::SeqCst);
                let act = wanted.lock().unwrap_or_else(PoisonError::into_inner).clone();
                std::thread::spawn(move || _ = serve(socket, &act));
            }
        });
        Provider { url, hits, act }
    }

    fn with(keys: &[&Pair]) -> Provider {
        Provider::new(TcpListener::bind("127.0.0.1:0").unwrap(), answer(&jwks(keys)))
    }

    fn does(&self, act: Act) {
        *self.act.lock().unwrap() = act;
    }

    fn hits(&self) -> usize {
        self.hits.load(Ordering::SeqCst)
    }

    fn remote(&self, cooldown: Duration) -> Remote {
        Remote {
            url: self.url.clone(),
            ca: None,
            refresh: LONG,
            cooldown,
        }
    }
}

fn serve(mut socket: TcpStream, act: &Act) -> io::Result<()> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && socket.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    match act {
        Act::Answer(status, body) => {
            write!(
                socket,
                "HTTP/1.1 {status}\r\nlocation: /elsewhere\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                body.len()
            )?;
            socket.write_all(body)
        }
        Act::Silence => {
            std::thread::sleep(PATIENCE);
            Ok(())
        }
        Act::Drip => {
            write!(socket, "HTTP/1.1 200 OK\r\n\r\n")?;
            loop {
                socket.write_all(b" ")?;
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

fn answer(text: &str) -> Act {
    Act::Answer("200 OK", text.as_bytes().to_vec())
}

/// A key pair of the provider, and its name.
struct Pair(&'static str, rcgen::KeyPair);

impl Pair {
    fn new(kid: &'static str) -> Pair {
        Pair(kid, rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap())
    }

    fn token(&self) -> String {
        let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.kid = Some(self.0.into());
        let key = EncodingKey::from_ed_pem(self.1.serialize_pem().as_bytes()).unwrap();
        let claims = json!({ "iss": "idp", "aud": "shop", "sub": "alice", "exp": NOW + 3600 });
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    }
}

fn jwks(keys: &[&Pair]) -> String {
    let keys: Vec<_> = keys
        .iter()
        .map(|Pair(kid, pair)| {
            let x = base64(pair.public_key_raw());
            json!({ "kty": "OKP", "crv": "Ed25519", "use": "sig", "kid": kid, "x": x })
        })
        .collect();
    json!({ "keys": keys }).to_string()
}

fn sources(keys: Vec<KeySource>, remote: Option<&Remote>) -> Sources {
    Sources {
        keys,
        jwks_file: None,
        remote: remote.cloned(),
        issuer: "idp".into(),
        audience: "shop".into(),
        leeway: Duration::from_secs(60),
    }
}

fn shared(keys: Vec<KeySource>, remote: &Remote) -> Arc<SharedKeys> {
    Arc::new(SharedKeys::load(sources(keys, Some(remote))).unwrap())
}

fn identify(authenticator: &mut Authenticator, token: &str) -> Result<(), Denied> {
    authenticator
        .identify(Some(format!("Bearer {token}").as_bytes()), NOW)
        .map(|_| ())
}

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A fetcher that is asked directly, without a thread.
fn fetcher(keys: &Arc<SharedKeys>, timeout: Duration) -> Fetcher {
    Fetcher {
        keys: Arc::clone(keys),
        stats: Arc::default(),
        timeout,
        first: None,
    }
}

#[test]
fn a_rotated_key_is_picked_up_by_one_forced_fetch_and_the_cooldown_holds_the_next() {
    let (old, new) = (Pair::new("old"), Pair::new("new"));
    let provider = Provider::with(&[&old]);
    let cooldown = Duration::from_secs(3);
    let keys = shared(Vec::new(), &provider.remote(cooldown));
    let stats = Arc::new(FetchStats::default());
    let first = start(Arc::clone(&keys), Arc::clone(&stats), FETCH_TIMEOUT).unwrap();
    first.recv_timeout(PATIENCE).expect("the first fetch");
    let mut authenticator = Authenticator::new(Arc::clone(&keys), 64);
    assert_eq!(identify(&mut authenticator, &old.token()), Ok(()));
    assert_eq!(provider.hits(), 1);

    provider.does(answer(&jwks(&[&old, &new])));
    let forced_at = Instant::now();
    assert_eq!(
        identify(&mut authenticator, &new.token()),
        Err(Denied::UnknownKey),
        "it does not wait"
    );
    until("the new key is known", || {
        identify(&mut authenticator, &new.token()).is_ok()
    });
    assert_eq!(identify(&mut authenticator, &old.token()), Ok(()));
    assert_eq!(provider.hits(), 2);
    assert_eq!(stats.forced.load(Ordering::Relaxed), 1);

    let made_up = Pair::new("made-up");
    until("a second forced fetch", || {
        assert_eq!(
            identify(&mut authenticator, &made_up.token()),
            Err(Denied::UnknownKey)
        );
        provider.hits() > 2
    });
    assert!(forced_at.elapsed() >= cooldown, "after {:?}", forced_at.elapsed());
    assert_eq!(provider.hits(), 3);
}

#[test]
fn no_bad_answer_changes_anything_and_each_is_counted() {
    let pair = Pair::new("good");
    let provider = Provider::with(&[&pair]);
    let remote = provider.remote(LONG);
    let keys = shared(Vec::new(), &remote);
    let fetcher = fetcher(&keys, Duration::from_millis(1_000));
    assert!(fetcher.fetch(&remote));
    let mut authenticator = Authenticator::new(Arc::clone(&keys), 64);
    assert_eq!(identify(&mut authenticator, &pair.token()), Ok(()));
    let generation = keys.generation();

    let mut noise = vec![0; 4096];
    rand::fill(&mut noise).unwrap();
    let padded = format!("{}{}", jwks(&[&Pair::new("big")]), " ".repeat(2 << 20));
    let other = jwks(&[&Pair::new("other")]);
    let bad = [
        ("noise", Act::Answer("200 OK", noise)),
        ("an empty answer", answer("")),
        ("half of it", answer(&other[..other.len() / 2])),
        ("no key", answer(r#"{"keys":[]}"#)),
        (
            "a secret",
            answer(r#"{"keys":[{"kty":"oct","k":"AQAB","kid":"x"}]}"#),
        ),
        (
            "two of a name",
            answer(&jwks(&[&Pair::new("x"), &Pair::new("x")])),
        ),
        ("2 MiB", answer(&padded)),
        ("an error", Act::Answer("500 No", other.clone().into_bytes())),
        ("a redirect", Act::Answer("302 Found", other.into_bytes())),
        ("silence", Act::Silence),
        ("a drip", Act::Drip),
    ];
    let count = bad.len() as u64;
    for (what, act) in bad {
        provider.does(act);
        let began = Instant::now();
        assert!(!fetcher.fetch(&remote), "{what}");
        assert!(
            began.elapsed() < PATIENCE / 2,
            "{what} took {:?}",
            began.elapsed()
        );
        assert_eq!(keys.generation(), generation, "{what}");
        assert_eq!(identify(&mut authenticator, &pair.token()), Ok(()), "{what}");
    }
    let stats = &fetcher.stats;
    let counts = [&stats.changed, &stats.unchanged, &stats.failed].map(|c| c.load(Ordering::Relaxed));
    assert_eq!(counts, [1, 0, count]);
}

#[test]
fn the_same_answer_again_forgets_no_token() {
    let pair = Pair::new("good");
    let provider = Provider::with(&[&pair]);
    let remote = provider.remote(LONG);
    let keys = shared(Vec::new(), &remote);
    let fetcher = fetcher(&keys, FETCH_TIMEOUT);
    assert!(fetcher.fetch(&remote));
    let generation = keys.generation();
    assert!(fetcher.fetch(&remote));
    assert_eq!(keys.generation(), generation);
    assert_eq!(fetcher.stats.unchanged.load(Ordering::Relaxed), 1);
    assert!(fetcher.stats.last_good_s.load(Ordering::Relaxed) > 0);
}

#[test]
fn keys_of_unknown_kinds_and_broken_ones_do_not_keep_a_good_one_out() {
    let pair = Pair::new("good");
    let mut set: serde_json::Value = serde_json::from_str(&jwks(&[&pair])).unwrap();
    for other in [
        json!({ "kty": "AKP", "alg": "ML-DSA-44", "kid": "pq", "pub": "AQAB" }),
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": "broken", "x": "!!" }),
        json!({ "kty": "EC", "crv": "P-384", "kid": "large", "x": "AQAB", "y": "AQAB" }),
    ] {
        set["keys"].as_array_mut().unwrap().insert(0, other);
    }
    let provider = Provider::with(&[]);
    provider.does(answer(&set.to_string()));
    let remote = provider.remote(LONG);
    let keys = shared(Vec::new(), &remote);
    assert!(fetcher(&keys, FETCH_TIMEOUT).fetch(&remote));
    assert_eq!(
        identify(&mut Authenticator::new(Arc::clone(&keys), 64), &pair.token()),
        Ok(())
    );
}

#[test]
fn a_start_without_the_provider_serves_the_keys_there_are_and_finds_it_later() {
    let dir = tempfile::tempdir().unwrap();
    let local = Pair::new("local");
    let path = dir.path().join("local.pem");
    std::fs::write(&path, local.1.public_key_pem()).unwrap();
    let own = KeySource {
        kid: Some("local".into()),
        algorithm: crate::auth::keys::Algorithm::EdDsa,
        material: crate::auth::keys::KeyMaterial::File(path),
        issuer: "idp".into(),
        audience: "shop".into(),
    };
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let remote = Remote {
        url: format!("http://{address}/jwks.json"),
        ca: None,
        refresh: LONG,
        cooldown: LONG,
    };
    let keys = shared(vec![own], &remote);
    let stats = Arc::new(FetchStats::default());
    let first = start(Arc::clone(&keys), Arc::clone(&stats), FETCH_TIMEOUT).unwrap();
    first.recv_timeout(PATIENCE).expect("it failed fast");
    assert_eq!(stats.failed.load(Ordering::Relaxed), 1);
    let mut authenticator = Authenticator::new(Arc::clone(&keys), 64);
    assert_eq!(identify(&mut authenticator, &local.token()), Ok(()));

    let far = Pair::new("far");
    let _provider = Provider::new(TcpListener::bind(address).unwrap(), answer(&jwks(&[&far])));
    until("it tries again by itself", || {
        stats.changed.load(Ordering::Relaxed) == 1
    });
    assert_eq!(identify(&mut authenticator, &far.token()), Ok(()));
    assert_eq!(identify(&mut authenticator, &local.token()), Ok(()));
}

#[test]
fn a_url_that_is_configured_later_is_fetched_at_once_and_one_that_is_taken_out_is_not_believed() {
    let (one, two) = (Pair::new("one"), Pair::new("two"));
    let (first, second) = (Provider::with(&[&one]), Provider::with(&[&two]));
    let keys = Arc::new(SharedKeys::load(sources(Vec::new(), None)).unwrap());
    let heard = start(Arc::clone(&keys), Arc::default(), FETCH_TIMEOUT).unwrap();
    assert!(heard.recv_timeout(Duration::from_millis(100)).is_err());
    let mut authenticator = Authenticator::new(Arc::clone(&keys), 64);
    for (provider, known, unknown) in [(&first, &one, &two), (&second, &two, &one)] {
        keys.replace(sources(Vec::new(), Some(&provider.remote(LONG))))
            .unwrap();
        until("its key is known", || {
            identify(&mut authenticator, &known.token()).is_ok()
        });
        assert_eq!(
            identify(&mut authenticator, &unknown.token()),
            Err(Denied::UnknownKey)
        );
    }
    keys.replace(sources(Vec::new(), None)).unwrap();
    assert_eq!(
        identify(&mut authenticator, &two.token()),
        Err(Denied::UnknownKey)
    );
}

#[test]
fn https_is_believed_under_the_configured_root_and_under_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let ca = dir.path().join("ca.pem");
    std::fs::write(&ca, made.cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let tls = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(tls, socket);
            let mut head = [0; 1024];
            if stream.read(&mut head).is_ok() {
                _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi");
                _ = stream.flush();
            }
        }
    });
    let mut remote = Remote {
        url: format!("https://localhost:{port}/jwks.json"),
        ca: Some(ca),
        refresh: LONG,
        cooldown: LONG,
    };
    assert_eq!(client::get(&remote, FETCH_TIMEOUT), Ok(b"hi".to_vec()));
    remote.ca = None;
    assert!(client::get(&remote, FETCH_TIMEOUT).is_err());
    remote.ca = Some(dir.path().join("missing.pem"));
    assert!(remote.roots().unwrap_err().contains("missing.pem"));
}

#[test]
fn only_https_is_trusted_beyond_this_machine() {
    for good in [
        "https://idp.example/jwks.json",
        "https://idp.example:8443/",
        "http://127.0.0.1:9/jwks",
        "http://[::1]:9/jwks",
        "http://localhost/jwks",
    ] {
        assert_eq!(check_url(good), Ok(()), "{good}");
    }
    for bad in [
        "http://idp.example/jwks.json",
        "http://127.0.0.1.example/jwks",
        "http://10.0.0.1/jwks",
        "ftp://localhost/jwks",
        "https://user:secret@idp.example/jwks",
        "/jwks.json",
        "idp.example",
        "",
    ] {
        assert!(check_url(bad).is_err(), "{bad}");
    }
}
