//! The certificate that clients are shown.

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

pub use tokio_rustls::TlsAcceptor;

/// A certificate and key that cannot be used. Never holds the key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The chain is not PEM.
    #[error("cert is not PEM certificates: {0}")]
    Certificate(pem::Error),
    /// The key is not PEM.
    #[error("key is not a PEM private key")]
    Key,
    /// They do not belong together, or are of a kind that is not supported.
    #[error("{0}")]
    Unusable(#[from] rustls::Error),
}

/// Builds the TLS side of a listener from a certificate chain and its private key,
/// both PEM. Offers HTTP/2 and HTTP/1.1.
///
/// # Errors
/// See [`TlsError`].
pub fn acceptor(cert_pem: &[u8], key_pem: &[u8]) -> Result<TlsAcceptor, TlsError> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(cert_pem)
        .collect::<Result<_, _>>()
        .map_err(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key_pem).map_err(|_| TlsError::Key)?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
