//! One self-signed certificate for every server of a run.

use std::path::{Path, PathBuf};

/// Where the pair lies, PEM.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The certificate, which is also what clients trust.
    pub cert: PathBuf,
    /// Its key: ECDSA P-256.
    pub key: PathBuf,
}

impl Certificate {
    /// Makes one for localhost and 127.0.0.1 in `folder`.
    ///
    /// # Errors
    /// A sentence: it cannot be made or written.
    pub fn make(folder: &Path) -> Result<Certificate, String> {
        let failed = |error: rcgen::Error| format!("a certificate cannot be made: {error}");
        let names = vec!["localhost".to_string(), "127.0.0.1".to_string()];
        let made = rcgen::generate_simple_self_signed(names).map_err(failed)?;
        let files = Certificate {
            cert: folder.join("cert.pem"),
            key: folder.join("key.pem"),
        };
        for (path, text) in [
            (&files.cert, made.cert.pem()),
            (&files.key, made.signing_key.serialize_pem()),
        ] {
            std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))?;
        }
        Ok(files)
    }
}
