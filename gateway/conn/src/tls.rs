//! The only file that names rustls.

use std::sync::Arc;

/// Certificates, versions and ticket keys, shared by the threads.
pub type TlsConfig = Arc<rustls::ServerConfig>;

/// Sets what every listener of ours wants: ALPN `h2` then `http/1.1`, no 0-RTT, records as large as they come.
/// Certificates, client authentication and the ticketer are the caller's.
pub fn set_tls_defaults(config: &mut rustls::ServerConfig) {
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.max_early_data_size = 0;
    config.max_fragment_size = None;
}
