use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::auth::keys::{SharedKeys, Sources};
use crate::auth::{Authenticator, jwt};
use crate::certs::Certificates;

fn config(data: &Path) -> Config {
    let sources = crate::config::Sources {
        flags: vec![("server.data", data.display().to_string())],
        ..crate::config::Sources::default()
    };
    sources.load().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_first_start_makes_what_is_missing_and_a_second_touches_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("deep/data");
    let config = config(&data);
    assert!(is_fresh(&data));
    assert_eq!(
        prepare(&config),
        Ok(Made {
            certificate: true,
            token_key: true
        })
    );
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("token.key")), 0o600);
    assert_eq!(mode(&data.join("key.pem")), 0o600);
    let files = ["cert.pem", "key.pem", "token.key"].map(|name| fs::read(data.join(name)).unwrap());
    assert_eq!(prepare(&config), Ok(Made::default()));
    assert_eq!(
        files,
        ["cert.pem", "key.pem", "token.key"].map(|name| fs::read(data.join(name)).unwrap())
    );
}

#[test]
fn half_a_pair_is_an_error_and_not_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    prepare(&config).unwrap();
    fs::remove_file(dir.path().join("key.pem")).unwrap();
    let error = prepare(&config).unwrap_err();
    assert!(error.contains("cert.pem is there without"), "{error}");
}

#[test]
fn the_certificate_is_served_and_covers_this_machine() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    prepare(&config).unwrap();
    let certificates = Certificates::load(&config.tls).unwrap();
    for host in ["localhost", "127.0.0.1", "::1"] {
        assert!(certificates.covers(None, host), "{host}");
    }
    assert!(!certificates.covers(None, "shop.example"));
}

#[test]
fn a_token_under_the_made_key_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(dir.path());
    prepare(&config).unwrap();
    let now = 1_800_000_000;
    let key = dir.path().join("token.key");
    let sources = Sources {
        keys: config.auth.keys.clone(),
        jwks_file: None,
        remote: None,
        issuer: config.auth.issuer.clone(),
        audience: config.auth.audience.clone(),
        leeway: Duration::from_secs(60),
    };
    let mut authenticator = Authenticator::new(Arc::new(SharedKeys::load(sources).unwrap()), 64);
    for (roles, operator) in [(&[][..], false), (&["operator"][..], true)] {
        let token = jwt::issue(&key, "alice", roles, now, 3600).unwrap();
        let value = format!("Bearer {token}");
        let identity = authenticator.identify(Some(value.as_bytes()), now).unwrap();
        assert_eq!(
            (&*identity.subject, identity.operator, identity.exp),
            ("alice", operator, now + 3600)
        );
        assert_eq!(identity.buyer, jwt::buyer("tidegate-local", "alice"));
    }
    assert!(jwt::issue(&key, "", &[], now, 3600).is_err());
    assert!(jwt::issue(&dir.path().join("cert.pem"), "alice", &[], now, 3600).is_err());
}

#[test]
fn the_catalogue_has_a_thousand_articles_and_a_flash_sale() {
    let catalogue = sample_catalogue();
    assert_eq!(catalogue.len(), 1_001);
    assert_eq!(
        (catalogue[0].sku.as_str(), catalogue[999].sku.as_str()),
        ("SKU-1", "SKU-1000")
    );
    assert!(
        catalogue[..1_000]
            .iter()
            .all(|sku| sku.stock == 1_000_000 && sku.buyer_limit.is_none())
    );
    let flash = &catalogue[1_000];
    assert_eq!(
        (flash.sku.as_str(), flash.stock, flash.buyer_limit),
        (FLASH_SKU, 500, Some(2))
    );
    assert!(
        catalogue
            .iter()
            .all(|sku| sku.price == 1_000 && &sku.currency == b"CNY")
    );
}

#[test]
fn the_banner_has_lines_that_work_as_pasted() {
    let about = Banner {
        listen: "0.0.0.0:8443".parse().unwrap(),
        admin: "127.0.0.1:9901".parse().unwrap(),
        data: Path::new("/tmp/my data"),
        made: Made {
            certificate: true,
            token_key: true,
        },
        catalogue: true,
        own_certificate: Some(PathBuf::from("/tmp/my data/cert.pem")),
        program: PathBuf::from("/opt/tide gate/tidegate"),
    };
    let text = banner(&about);
    for part in [
        "curl -i --cacert '/tmp/my data/cert.pem' https://127.0.0.1:8443/v1/orders \\\n",
        "$('/opt/tide gate/tidegate' token --data '/tmp/my data' --user alice)",
        "-H 'Idempotency-Key: my-first-order'",
        "-d '{\"lines\":[{\"sku\":\"SKU-1\",\"qty\":1}]}'",
        "the same order",
        "--token-key '/tmp/my data/token.key'",
        "cargo run --release -p tidegate-loadgen -- run --target https://127.0.0.1:8443",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_curl_line_is_one_command_to_a_shell() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("it's data");
    fs::create_dir(&data).unwrap();
    // Stand-ins that print what they were given.
    let program = dir.path().join("tidegate");
    fs::write(&program, "#!/bin/sh\necho \"token:$1:$2:$3:$4:$5\"\n").unwrap();
    fs::write(
        dir.path().join("curl"),
        "#!/bin/sh\nfor a; do echo \"<$a>\"; done\n",
    )
    .unwrap();
    for file in [&program, &dir.path().join("curl")] {
        fs::set_permissions(file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let text = banner(&Banner {
        listen: "127.0.0.1:8443".parse().unwrap(),
        admin: "127.0.0.1:9901".parse().unwrap(),
        data: &data,
        made: Made::default(),
        catalogue: false,
        own_certificate: Some(data.join("cert.pem")),
        program,
    });
    let start = text.find("curl ").unwrap();
    let line = &text[start..start + text[start..].find("\n\n").unwrap()];
    let path = format!(
        "{}:{}",
        dir.path().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let output = std::process::Command::new("sh")
        .args(["-c", line])
        .env("PATH", path)
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let data = data.canonicalize().unwrap();
    assert!(
        printed.contains(&format!(
            "<Authorization: Bearer token:token:--data:{}:--user:alice>",
            data.display()
        )),
        "{printed}"
    );
    assert!(
        printed.contains("<{\"lines\":[{\"sku\":\"SKU-1\",\"qty\":1}]}>"),
        "{printed}"
    );
}
