//! Authorities that vouch for a server, from a file.

use std::path::Path;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use ureq::tls::{Certificate, RootCerts};

/// Certificates of one file, at most.
const ROOTS_MAX: usize = 1_000;

/// The certificates of a PEM file, each of which can be a root.
///
/// # Errors
/// A sentence: the file cannot be read, or holds none.
pub(crate) fn read(path: &Path) -> Result<RootCerts, String> {
    let name = path.display();
    let certificates: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| format!("{name}: {error}"))?
        .take(ROOTS_MAX + 1)
        .collect();
    let certificates = certificates.map_err(|error| format!("{name}: {error}"))?;
    if certificates.is_empty() || certificates.len() > ROOTS_MAX {
        return Err(format!(
            "{name}: holds {} certificates, expected 1 to {ROOTS_MAX}",
            certificates.len()
        ));
    }
    let mut roots = rustls::RootCertStore::empty();
    for certificate in &certificates {
        roots
            .add(certificate.clone())
            .map_err(|error| format!("{name}: {error}"))?;
    }
    let certificates = certificates
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    Ok(certificates.collect::<Vec<_>>().into())
}
