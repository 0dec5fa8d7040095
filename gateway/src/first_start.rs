//! What a first start makes, so that a newcomer's second command is an order: a certificate, a token key, a catalogue, and
//! a text that says what to paste.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair};

use crate::config::Config;
use crate::config::checked::{CertificateFiles, own_certificate_files, own_token_key};

mod banner;

pub use banner::{Banner, banner};

#[cfg(test)]
mod tests;

/// What was missing and was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Made {
    /// `cert.pem` and `key.pem`.
    pub certificate: bool,
    /// `token.key`.
    pub token_key: bool,
}

/// Makes the data directory (mode 0700) and, in it, what `config` expects there and is not: its own certificate, its own
/// token key. A file that exists is never touched.
///
/// # Errors
/// A sentence: the directory or a file cannot be written, or one of a pair is missing.
pub fn prepare(config: &Config) -> Result<Made, String> {
    let data = &config.server.data;
    let at = |path: &Path, error: io::Error| {
        format!(
            "{}: {error}; make it writable for this user, or choose another directory with --data",
            path.display()
        )
    };
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data)
        .map_err(|error| at(data, error))?;
    let mut made = Made::default();
    if is_fresh(data) && !is_catalogue_due(data) {
        let mark = catalogue_mark(data);
        write_new(&mark, "the sample catalogue is not filled yet\n", 0o600)
            .map_err(|error| at(&mark, error))?;
    }
    if config.tls.own_certificate {
        made.certificate = make_certificate(&own_certificate_files(data), config.server.listen.ip())?;
    }
    if config.auth.local_key.is_some() {
        let path = own_token_key(data);
        if !path.exists() {
            write_new(&path, &token_key_pem()?, 0o600).map_err(|error| at(&path, error))?;
            made.token_key = true;
        }
    }
    Ok(made)
}

/// Whether `data` has never been served: the catalogue is to be filled.
pub fn is_fresh(data: &Path) -> bool {
    !data.join("MANIFEST").exists()
}

/// Says on disk that the catalogue is due, until [`catalogue_done`]: a first start that is killed half-way is finished
/// by the next one.
fn catalogue_mark(data: &Path) -> PathBuf {
    data.join("catalogue.due")
}

/// Whether the catalogue is to be filled: by a first start, or because the first start did not live to do it.
pub fn is_catalogue_due(data: &Path) -> bool {
    catalogue_mark(data).exists()
}

/// The catalogue is in the log.
///
/// # Errors
/// A sentence: the mark cannot be removed.
pub fn catalogue_done(data: &Path) -> Result<(), String> {
    let mark = catalogue_mark(data);
    fs::remove_file(&mark).map_err(|error| format!("{}: {error}", mark.display()))
}

/// Self-signed, for localhost, 127.0.0.1, ::1 and the address it listens on. For a look around on one machine; a shop brings its own.
fn make_certificate(files: &CertificateFiles, listen: IpAddr) -> Result<bool, String> {
    match (files.cert.exists(), files.key.exists()) {
        (true, true) => return Ok(false),
        (false, false) => {}
        (true, false) => return Err(half_a_pair(&files.cert, &files.key)),
        (false, true) => return Err(half_a_pair(&files.key, &files.cert)),
    }
    let (cert, key) =
        certificate_pem(listen).map_err(|error| format!("a certificate cannot be made: {error}"))?;
    for (path, text, mode) in [(&files.key, key, 0o600), (&files.cert, cert, 0o644)] {
        write_new(path, &text, mode).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    Ok(true)
}

fn half_a_pair(there: &Path, missing: &Path) -> String {
    let (there, missing) = (there.display(), missing.display());
    format!(
        "{there} is there without {missing}; put {missing} back, or remove {there} and the start makes a new pair"
    )
}

fn certificate_pem(listen: IpAddr) -> Result<(String, String), rcgen::Error> {
    let mut names = vec![
        "localhost".to_string(),
        Ipv4Addr::LOCALHOST.to_string(),
        Ipv6Addr::LOCALHOST.to_string(),
    ];
    if !listen.is_unspecified() && !listen.to_canonical().is_loopback() {
        names.push(listen.to_string());
    }
    let mut params = CertificateParams::new(names)?;
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, "Tidegate, first start");
    params.not_before = rcgen::date_time_ymd(2025, 1, 1);
    // Long enough that no test machine meets its end; nobody but its own operator trusts it anyway.
    params.not_after = rcgen::date_time_ymd(2045, 1, 1);
    let key = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    Ok((params.self_signed(&key)?.pem(), key.serialize_pem()))
}

/// Ed25519 as PKCS#8 (RFC 8410), the first version: without the public half, which some tools do not read.
fn token_key_pem() -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("a token key cannot be made: {error}");
    let key = aws_lc_rs::signature::Ed25519KeyPair::generate().map_err(|error| failed(&error))?;
    let der = key.to_pkcs8v1().map_err(|error| failed(&error))?;
    let der = rustls::pki_types::PrivatePkcs8KeyDer::from(der.as_ref());
    let pair =
        KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ED25519).map_err(|error| failed(&error))?;
    Ok(pair.serialize_pem())
}

/// Writes a file that must not be there yet, whole or not at all: a crash leaves at most a `.new` file behind, which the next start replaces.
pub(crate) fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    match path.parent() {
        Some(parent) if parent != Path::new("") => File::open(parent)?.sync_all(),
        _ => Ok(()),
    }
}

/// One SKU of the sample catalogue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SampleSku {
    /// Its name in the API.
    pub sku: String,
    /// Its name for people.
    pub name: String,
    /// Price, minor units.
    pub price: u64,
    /// ISO 4217.
    pub currency: [u8; 3],
    /// Units ever put on sale.
    pub stock: u64,
    /// Units a buyer may hold and own.
    pub buyer_limit: Option<u32>,
}

/// SKUs of the sample catalogue beside the flash sale's.
pub const SAMPLE_SKUS: usize = 1_000;
/// The flash sale's SKU.
pub const FLASH_SKU: &str = "FLASH-1";

/// `SKU-1` to `SKU-1000` with a million units each, and a flash sale of 500 units, 2 a buyer.
pub fn sample_catalogue() -> Vec<SampleSku> {
    let plain = (1..=SAMPLE_SKUS).map(|n| SampleSku {
        sku: format!("SKU-{n}"),
        name: format!("Sample article {n}"),
        price: 1_000,
        currency: *b"CNY",
        stock: 1_000_000,
        buyer_limit: None,
    });
    let flash = SampleSku {
        sku: FLASH_SKU.to_string(),
        name: "Flash sale".to_string(),
        price: 1_000,
        currency: *b"CNY",
        stock: 500,
        buyer_limit: Some(2),
    };
    plain.chain([flash]).collect()
}

/// The address to reach a listener from this machine: an unspecified one is reached by loopback.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}
