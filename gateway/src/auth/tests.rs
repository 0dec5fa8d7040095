use std::path::{Path, PathBuf};
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::keys::{Algorithm, KeyMaterial, KeySource, SharedKeys, Sources};
use super::*;

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A directory with a key pair an algorithm, and the keys a gateway made of them.
struct World {
    dir: TempDir,
    pairs: Vec<(Algorithm, &'static str, EncodingKey)>,
}

impl World {
    fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let ed = rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let ec = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap();
        let rsa =
            rcgen::KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap();
        for (name, pair) in [("ed", &ed), ("ec", &ec), ("rsa", &rsa)] {
            std::fs::write(dir.path().join(name), pair.public_key_pem()).unwrap();
        }
        let pairs = vec![
            (
                Algorithm::EdDsa,
                "ed",
                EncodingKey::from_ed_pem(ed.serialize_pem().as_bytes()).unwrap(),
            ),
            (
                Algorithm::Es256,
                "ec",
                EncodingKey::from_ec_pem(ec.serialize_pem().as_bytes()).unwrap(),
            ),
            (
                Algorithm::Rs256,
                "rsa",
                EncodingKey::from_rsa_pem(rsa.serialize_pem().as_bytes()).unwrap(),
            ),
            (Algorithm::Hs256, "hs", EncodingKey::from_secret(SECRET)),
        ];
        World { dir, pairs }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn sources(&self) -> Sources {
        let keys = self.pairs.iter().map(|(algorithm, name, _)| KeySource {
            kid: Some((*name).into()),
            algorithm: *algorithm,
            material: match algorithm {
                Algorithm::Hs256 => KeyMaterial::Secret(SECRET.into()),
                _ => KeyMaterial::File(self.path(name)),
            },
            issuer: "https://idp.example".into(),
            audience: "shop".into(),
        });
        Sources {
            keys: keys.collect(),
            jwks_file: None,
            remote: None,
            issuer: "https://idp.example".into(),
            audience: "shop".into(),
            leeway: Duration::from_secs(60),
        }
    }

    fn authenticator(&self) -> Authenticator {
        Authenticator::new(Arc::new(SharedKeys::load(self.sources()).unwrap()), 64)
    }

    fn token(&self, name: &str, claims: &Value) -> String {
        let (algorithm, _, key) = self.pairs.iter().find(|(_, other, _)| *other == name).unwrap();
        let mut header = Header::new(algorithm.name());
        header.kid = Some(name.into());
        jsonwebtoken::encode(&header, claims, key).unwrap()
    }
}

fn claims() -> Value {
    json!({ "iss": "https://idp.example", "aud": "shop", "sub": "alice", "exp": NOW + 3600 })
}

fn with(key: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[key] = value;
    claims
}

fn without(key: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(key);
    claims
}

fn identify(authenticator: &mut Authenticator, token: &str) -> Result<Identity, Denied> {
    authenticator
        .identify(Some(format!("Bearer {token}").as_bytes()), NOW)
        .cloned()
}

#[test]
fn every_algorithm_on_the_list_is_accepted_under_its_own_key() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    for (_, name, _) in &world.pairs {
        let identity = identify(&mut authenticator, &world.token(name, &claims())).unwrap();
        assert_eq!(&*identity.subject, "alice", "{name}");
        assert!(!identity.operator);
        assert_eq!(identity.exp, NOW + 3600);
        assert_eq!(identity.buyer, jwt::buyer("https://idp.example", "alice"));
    }
    assert_eq!(authenticator.counters().verified, 4);
}

#[test]
fn a_token_is_recalled_only_after_it_was_verified() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    let token = format!("Bearer {}", world.token("ed", &claims()));
    let value = Some(token.as_bytes());
    assert!(authenticator.recall(value, NOW).unwrap().is_none());
    assert_eq!(authenticator.verifications(), 0);
    authenticator.identify(value, NOW).unwrap();
    assert_eq!(
        &*authenticator.recall(value, NOW).unwrap().unwrap().subject,
        "alice"
    );
    assert!(
        authenticator.recall(value, NOW + 3600).unwrap().is_none(),
        "expired"
    );
    assert_eq!(authenticator.verifications(), 1);
    assert_eq!(authenticator.recall(None, NOW).unwrap_err(), Denied::Missing);
}

#[test]
fn the_role_makes_an_operator() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    let token = world.token("ed", &with("roles", json!(["reader", "operator"])));
    assert!(identify(&mut authenticator, &token).unwrap().operator);
}

#[test]
fn claims_are_checked() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    for (claims, denied) in [
        (with("exp", json!(NOW - 60)), Some(Denied::Expired)),
        (with("exp", json!(NOW - 59)), None),
        (with("exp", json!(NOW as f64 + 5.5)), None),
        (with("exp", json!(-5)), Some(Denied::Malformed)),
        (with("exp", json!("tomorrow")), Some(Denied::Malformed)),
        (without("exp"), Some(Denied::Malformed)),
        (with("nbf", json!(NOW + 60)), None),
        (with("nbf", json!(NOW + 61)), Some(Denied::NotYetValid)),
        (with("iss", json!("https://evil.example")), Some(Denied::Issuer)),
        (with("aud", json!("other")), Some(Denied::Audience)),
        (with("aud", json!(["other", "shop"])), None),
        (with("sub", json!("")), Some(Denied::Subject)),
        (with("sub", json!("x".repeat(128))), None),
        (with("sub", json!("x".repeat(129))), Some(Denied::Subject)),
    ] {
        let result = identify(&mut authenticator, &world.token("ed", &claims));
        assert_eq!(result.as_ref().err().copied(), denied, "{claims}");
    }
    for missing in ["iss", "aud", "sub"] {
        assert!(
            identify(&mut authenticator, &world.token("ed", &without(missing))).is_err(),
            "{missing}"
        );
    }
}

#[test]
fn a_key_verifies_its_own_algorithm_only() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    let sign = |algorithm, kid: &str, key: &EncodingKey| {
        let mut header = Header::new(algorithm);
        header.kid = Some(kid.into());
        jsonwebtoken::encode(&header, &claims(), key).unwrap()
    };
    // HS256 with the RSA public key's text as the secret: the old confusion (RFC 8725, section 2.1).
    let public = std::fs::read(world.path("rsa")).unwrap();
    let forged = sign(
        jsonwebtoken::Algorithm::HS256,
        "rsa",
        &EncodingKey::from_secret(&public),
    );
    assert_eq!(identify(&mut authenticator, &forged), Err(Denied::Algorithm));
    // The right key under another of its family's algorithms.
    let rs384 = sign(jsonwebtoken::Algorithm::RS384, "rsa", &world.pairs[2].2);
    assert_eq!(identify(&mut authenticator, &rs384), Err(Denied::Algorithm));
    // Another key's kid.
    let crossed = sign(
        jsonwebtoken::Algorithm::HS256,
        "hs",
        &EncodingKey::from_secret(b"another secret of enough bytes!!"),
    );
    assert_eq!(identify(&mut authenticator, &crossed), Err(Denied::Signature));
    let unknown = sign(
        jsonwebtoken::Algorithm::HS256,
        "nobody",
        &EncodingKey::from_secret(SECRET),
    );
    assert_eq!(identify(&mut authenticator, &unknown), Err(Denied::UnknownKey));
}

/// Base64url without padding, for tokens no library would write.
pub(super) fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_u32, |word, byte| word << 8 | u32::from(*byte))
            << (8 * (3 - chunk.len()));
        for digit in 0..=chunk.len() {
            text.push(char::from(DIGITS[(word >> (18 - 6 * digit)) as usize & 63]));
        }
    }
    text
}

#[test]
fn tokens_without_a_signature_and_with_unknown_extensions_are_refused() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    let body = base64(claims().to_string().as_bytes());
    for header in [
        r#"{"alg":"none","kid":"ed"}"#,
        r#"{"alg":"NONE","kid":"ed"}"#,
        r#"{"kid":"ed"}"#,
    ] {
        for signature in ["", "AAAA"] {
            let token = format!("{}.{body}.{signature}", base64(header.as_bytes()));
            assert!(identify(&mut authenticator, &token).is_err(), "{header}");
        }
    }
    let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
    header.kid = Some("ed".into());
    header.crit = Some(vec!["b64".into()]);
    let token = jsonwebtoken::encode(&header, &claims(), &world.pairs[0].2).unwrap();
    assert_eq!(identify(&mut authenticator, &token), Err(Denied::Malformed));
}

#[test]
fn no_bytes_of_a_token_panic_and_no_changed_token_is_accepted() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    let token = world.token("hs", &claims()).into_bytes();
    for at in 0..token.len() {
        let mut changed = token.clone();
        changed[at] ^= 1;
        let value = [b"Bearer ".as_slice(), &changed].concat();
        // The last digit of base64 may carry unused bits; the decoder is strict about them.
        assert!(authenticator.identify(Some(&value), NOW).is_err(), "byte {at}");
    }
    for garbage in [
        &b"Bearer ..."[..],
        b"Bearer a.b.c",
        b"Bearer \xff\xfe.\x00.\x01",
        b"Bearer ....",
        b"Bearer a",
    ] {
        assert!(authenticator.identify(Some(garbage), NOW).is_err());
    }
    let long = [b"Bearer ".to_vec(), vec![b'a'; TOKEN_BYTES_MAX + 1]].concat();
    assert_eq!(authenticator.identify(Some(&long), NOW), Err(Denied::Malformed));
}

#[test]
fn the_bearer_scheme_is_recognised_in_any_case() {
    for (value, token) in [
        (&b"Bearer abc"[..], Some(&b"abc"[..])),
        (b"bearer  abc", Some(b"abc")),
        (b"BEARER abc ", Some(b"abc")),
        (b"Bearer", None),
        (b"Bearer ", None),
        (b"Bearerabc", None),
        (b"Basic abc", None),
        (b"Bearer a b", None),
        (b"", None),
    ] {
        assert_eq!(bearer(value), token, "{value:?}");
    }
    let mut authenticator = World::new().authenticator();
    assert_eq!(authenticator.identify(None, NOW), Err(Denied::Missing));
    assert_eq!(authenticator.counters().denied[Denied::Missing as usize], 1);
}

#[test]
fn a_verified_token_is_remembered_until_it_expires_and_not_longer() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    let value = format!("Bearer {}", world.token("ed", &with("exp", json!(NOW + 10))));
    for now in [NOW, NOW + 1, NOW + 9] {
        authenticator.identify(Some(value.as_bytes()), now).unwrap();
    }
    assert_eq!(
        (authenticator.counters().verified, authenticator.counters().hits),
        (1, 2)
    );
    // Within the leeway it is verified each time.
    authenticator.identify(Some(value.as_bytes()), NOW + 10).unwrap();
    authenticator.identify(Some(value.as_bytes()), NOW + 11).unwrap();
    assert_eq!(
        (authenticator.counters().verified, authenticator.counters().hits),
        (3, 2)
    );
    assert_eq!(
        authenticator.identify(Some(value.as_bytes()), NOW + 70),
        Err(Denied::Expired)
    );
}

#[test]
fn refusals_are_not_remembered() {
    let world = World::new();
    let mut authenticator = world.authenticator();
    let value = format!("Bearer {}", world.token("ed", &with("nbf", json!(NOW + 100))));
    assert_eq!(
        authenticator.identify(Some(value.as_bytes()), NOW),
        Err(Denied::NotYetValid)
    );
    assert!(authenticator.identify(Some(value.as_bytes()), NOW + 100).is_ok());
}

#[test]
fn one_person_under_two_issuers_is_two_buyers() {
    assert_ne!(jwt::buyer("a", "bc"), jwt::buyer("ab", "c"));
    assert_ne!(jwt::buyer("a", "alice"), jwt::buyer("b", "alice"));
    // Pinned: buyers' limits and keys live in logs under this.
    let expected = [96, 209, 197, 171, 170, 9, 173, 149];
    let got = &jwt::buyer("tidegate-local", "alice")[..8];
    assert_eq!(got, expected, "the buyer of a name must never change");
}

fn touch(path: &Path, text: &str, seconds: u64) {
    std::fs::write(path, text).unwrap();
    let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(NOW + seconds);
    std::fs::File::options()
        .write(true)
        .open(path)
        .unwrap()
        .set_modified(time)
        .unwrap();
}

fn jwk(kid: &str, pair: &rcgen::KeyPair) -> Value {
    json!({ "kty": "OKP", "crv": "Ed25519", "kid": kid, "x": base64(pair.public_key_raw()), "use": "sig" })
}

#[test]
fn a_jwks_file_is_read_again_when_it_changes_and_a_bad_one_changes_nothing() {
    let world = World::new();
    let path = world.path("jwks.json");
    let (old, new) = (
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
        rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
    );
    let sign = |kid: &str, pair: &rcgen::KeyPair| {
        let mut header = Header::new(jsonwebtoken::Algorithm::EdDSA);
        header.kid = Some(kid.into());
        let key = EncodingKey::from_ed_pem(pair.serialize_pem().as_bytes()).unwrap();
        jsonwebtoken::encode(&header, &claims(), &key).unwrap()
    };
    let encryption = json!({ "kty": "RSA", "use": "enc", "kid": "e", "n": "AQAB", "e": "AQAB" });
    touch(
        &path,
        &json!({ "keys": [jwk("old", &old), encryption] }).to_string(),
        0,
    );
    let sources = Sources {
        keys: Vec::new(),
        jwks_file: Some(path.clone()),
        ..world.sources()
    };
    let shared = Arc::new(SharedKeys::load(sources).unwrap());
    let mut authenticator = Authenticator::new(Arc::clone(&shared), 64);
    let (old_token, new_token) = (sign("old", &old), sign("new", &new));
    assert!(identify(&mut authenticator, &old_token).is_ok());
    assert_eq!(identify(&mut authenticator, &new_token), Err(Denied::UnknownKey));
    assert_eq!(shared.reload_if_changed(), Ok(false));

    for (seconds, bad) in [
        (1, "{"),
        (2, "{\"keys\":[]}"),
        (3, r#"{"keys":[{"kty":"oct","k":"AQAB","kid":"x"}]}"#),
    ] {
        touch(&path, bad, seconds);
        assert!(shared.reload_if_changed().is_err(), "{bad}");
        assert_eq!(shared.reload_if_changed(), Ok(false), "complained about once");
        assert!(identify(&mut authenticator, &old_token).is_ok());
    }
    assert_eq!(shared.failures(), 3);

    touch(&path, &json!({ "keys": [jwk("new", &new)] }).to_string(), 4);
    assert_eq!(shared.reload_if_changed(), Ok(true));
    assert!(identify(&mut authenticator, &new_token).is_ok());
    // It was remembered; the key is gone, so it is forgotten.
    assert_eq!(identify(&mut authenticator, &old_token), Err(Denied::UnknownKey));
}

#[test]
fn keys_that_are_not_what_they_should_be_stop_the_start() {
    let world = World::new();
    let mut sources = world.sources();
    sources.keys[0].material = KeyMaterial::File(world.path("rsa"));
    assert!(SharedKeys::load(sources).is_err(), "an RSA key for EdDSA");
    let mut sources = world.sources();
    sources.keys[1].material = KeyMaterial::File(world.path("missing"));
    assert!(SharedKeys::load(sources).is_err(), "a missing file");
    let mut sources = world.sources();
    std::fs::write(world.path("short"), "too short\n").unwrap();
    sources.keys[3].material = KeyMaterial::File(world.path("short"));
    assert!(SharedKeys::load(sources).is_err(), "a short secret");
}

#[test]
fn a_token_without_a_kid_is_taken_by_the_only_key() {
    let world = World::new();
    let mut sources = world.sources();
    sources.keys.truncate(1);
    let mut authenticator = Authenticator::new(Arc::new(SharedKeys::load(sources).unwrap()), 64);
    let token = jsonwebtoken::encode(
        &Header::new(jsonwebtoken::Algorithm::EdDSA),
        &claims(),
        &world.pairs[0].2,
    )
    .unwrap();
    assert!(identify(&mut authenticator, &token).is_ok());
    assert_eq!(
        identify(&mut world.authenticator(), &token),
        Err(Denied::UnknownKey),
        "of several keys, none"
    );
}
