//! Certificates of clients (mTLS): which authorities are believed, and whether a client may come without.

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::config::checked::ClientAuth;

#[cfg(test)]
mod tests;

/// Authorities of one bundle, at most: their names are sent with every full handshake.
const AUTHORITIES_MAX: usize = 100;

/// One load of the bundle.
pub(super) struct Clients {
    pub(super) verifier: Arc<dyn ClientCertVerifier>,
    /// Differs when another client may come in than before. Tickets are sealed with it: a session is resumed only under the
    /// authorities that verified its client.
    pub(super) binding: Vec<u8>,
    required: bool,
}

impl Clients {
    /// Reads the bundle.
    ///
    /// # Errors
    /// A sentence: the file is missing, holds no certificate, too many, or one that cannot be an authority.
    pub(super) fn read(auth: &ClientAuth) -> Result<Clients, String> {
        let name = auth.ca.display();
        let bundle: Result<Vec<_>, _> = CertificateDer::pem_file_iter(&auth.ca)
            .map_err(|error| format!("{name}: {error}"))?
            .take(AUTHORITIES_MAX + 1)
            .collect();
        let bundle = bundle.map_err(|error| format!("{name}: {error}"))?;
        if bundle.is_empty() || bundle.len() > AUTHORITIES_MAX {
            return Err(format!(
                "{name}: holds {} certificates, expected 1 to {AUTHORITIES_MAX}",
                bundle.len()
            ));
        }
        let mut roots = RootCertStore::empty();
        for authority in &bundle {
            let added = roots.add(authority.clone());
            added.map_err(|error| format!("{name}: not a certificate of an authority: {error}"))?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        let builder = if auth.required {
            builder
        } else {
            builder.allow_unauthenticated()
        };
        Ok(Clients {
            verifier: builder.build().map_err(|error| format!("{name}: {error}"))?,
            binding: binding(&bundle, auth.required),
            required: auth.required,
        })
    }

    /// Whether the client of a resumed session would be let in now. Resuming verifies nothing and hands the session on to the next
    /// ticket, so a certificate that has ended would otherwise be good for as long as its owner comes back every few hours.
    pub(super) fn admits(&self, chain: Option<&[CertificateDer<'static>]>) -> bool {
        match chain.and_then(<[_]>::split_first) {
            Some((leaf, rest)) => self
                .verifier
                .verify_client_cert(leaf, rest, UnixTime::now())
                .is_ok(),
            None => !self.required,
        }
    }
}

/// The order of the file does not matter, and neither does a comment in it.
fn binding(bundle: &[CertificateDer<'_>], required: bool) -> Vec<u8> {
    let mut each: Vec<_> = bundle
        .iter()
        .map(|authority| digest::digest(&digest::SHA256, authority))
        .collect();
    each.sort_by(|a, b| a.as_ref().cmp(b.as_ref()));
    let mut all = digest::Context::new(&digest::SHA256);
    all.update(&[u8::from(required)]);
    each.iter().for_each(|hash| all.update(hash.as_ref()));
    all.finish().as_ref().to_vec()
}
