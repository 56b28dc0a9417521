//! TLS outward: rustls with aws-lc-rs, named explicitly, never the process's
//! default. No client certificates, no early data, no key log.

use crate::error::Error;
use crate::settings::{Roots, Settings};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// A connector that believes the set roots and offers HTTP/2 where set.
pub(crate) fn connector(settings: &Settings) -> Result<TlsConnector, Error> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::TlsLibrary)?
        .with_root_certificates(roots(&settings.roots)?)
        .with_no_client_auth();
    if settings.http2 {
        config.alpn_protocols.push(b"h2".to_vec());
    }
    config.alpn_protocols.push(b"http/1.1".to_vec());
    Ok(TlsConnector::from(Arc::new(config)))
}

fn roots(roots: &Roots) -> Result<RootCertStore, Error> {
    let mut store = RootCertStore::empty();
    match roots {
        Roots::Webpki => store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Roots::Native => {
            // Stores hold oddities that rustls does not take; the rest is good.
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(Error::NoRoots("the system's store"));
            }
        }
        Roots::Pem(files) => {
            for (file, pem) in files {
                add_pem(&mut store, pem)
                    .map_err(|what| Error::RootFile { file: file.clone(), what })?;
            }
            if store.is_empty() {
                return Err(Error::NoRoots("an empty list of files"));
            }
        }
    }
    Ok(store)
}

fn add_pem(store: &mut RootCertStore, pem: &[u8]) -> Result<(), String> {
    let held = store.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|error| error.to_string())?;
        store.add(certificate).map_err(|error| error.to_string())?;
    }
    if store.len() == held { Err("it holds no certificate".into()) } else { Ok(()) }
}
