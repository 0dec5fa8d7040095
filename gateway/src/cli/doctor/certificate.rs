//! Certificates: read as a start reads them, and how long they are good.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage};

use super::Check;
use crate::certs::Certificates;
use crate::config::Config;

const NAME: &str = "certificate";
/// From here on an operator should have heard of it; authorities with short terms renew at a third of 90 days.
const DAYS_WARNED: u64 = 21;
const DAY_S: u64 = 86_400;
/// The first second of the year 10000: no certificate can say that it is good then (RFC 5280, section 4.1.2.5).
const END_OF_TIME_S: u64 = 253_402_300_800;

pub(super) fn certificates(config: &Config) -> Vec<Check> {
    let tls = &config.tls;
    let own = &tls.certificates[0];
    let is_due = tls.own_certificate && !own.cert.exists() && !own.key.exists();
    if is_due && tls.certificates.len() == 1 {
        return vec![Check::ok(NAME, "the first start makes a self-signed one")];
    }
    if !is_due && let Err(problem) = Certificates::load(tls) {
        let remedy = "name a PEM chain and its key in tls.cert and tls.key, readable by this user, or leave both empty";
        return vec![Check::fail(NAME, "cannot be served", problem, remedy)];
    }
    let files = tls.certificates.iter().map(|pair| pair.cert.as_path());
    files
        .filter(|file| file.exists())
        .map(|file| lifetime(file, UnixTime::now().as_secs()))
        .collect()
}

fn lifetime(file: &Path, now_s: u64) -> Check {
    let leaf = match CertificateDer::from_pem_file(file) {
        Ok(leaf) => leaf,
        Err(error) => {
            let wrong = format!("{}: {error}", file.display());
            return Check::fail(NAME, "cannot be read", wrong, "put a PEM chain there, leaf first");
        }
    };
    judge(&file.display().to_string(), &leaf, now_s)
}

pub(super) fn judge(file: &str, leaf: &CertificateDer<'_>, now_s: u64) -> Check {
    let names = EndEntityCert::try_from(leaf).map_or_else(
        |_| String::new(),
        |leaf| leaf.valid_dns_names().collect::<Vec<_>>().join(", "),
    );
    let found = match names.is_empty() {
        true => format!("{file}, names no host"),
        false => format!("{file} for {names}"),
    };
    let remedy = "put a new pair in place of the files: it is taken while the gateway runs";
    match validity(leaf) {
        None => Check::warn(
            NAME,
            found,
            "when it ends cannot be read",
            "look at it with `openssl x509 -noout -dates -in FILE`",
        ),
        Some((begins, _)) if begins > now_s => {
            let wrong = format!("not good for another {} days", (begins - now_s).div_ceil(DAY_S));
            Check::fail(
                NAME,
                found,
                wrong,
                "set the clock right, or wait with this certificate",
            )
        }
        Some((_, ends)) if ends < now_s => {
            let wrong = format!("ended {} days ago", (now_s - ends) / DAY_S);
            Check::fail(NAME, found, wrong, remedy)
        }
        Some((_, ends)) => {
            let left = (ends - now_s) / DAY_S;
            let found = format!("{found}, {left} days left, and its key matches");
            match left < DAYS_WARNED {
                true => Check::warn(NAME, found, "ends soon", remedy),
                false => Check::ok(NAME, found),
            }
        }
    }
}

/// From when and until when, unix seconds. The library keeps a certificate's fields to itself, and says both when it is asked to verify
/// at the ends of time: validity is checked before anybody's signature.
fn validity(leaf: &CertificateDer<'_>) -> Option<(u64, u64)> {
    let leaf = EndEntityCert::try_from(leaf).ok()?;
    let ask = |at_s: u64| {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at_s));
        leaf.verify_for_usage(&[], &[], &[], at, KeyUsage::server_auth(), None, None)
            .err()
    };
    let begins = match ask(0)? {
        webpki::Error::CertNotValidYet { not_before, .. } => not_before.as_secs(),
        _ => 0,
    };
    match ask(END_OF_TIME_S)? {
        webpki::Error::CertExpired { not_after, .. } => Some((begins, not_after.as_secs())),
        _ => None,
    }
}
