use crate::server::{Server, ask, egress, origin, read_request};
use egress::{Certainty, Egress, Error, Reach, Roots, Settings};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::path::PathBuf;
use std::sync::Arc;
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsAcceptor;

fn testdata(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata").join(name)
}

fn roots_of(file: &str) -> Roots {
    Roots::Pem(vec![(file.into(), std::fs::read(testdata(file)).unwrap())])
}

/// Shows the certificate of `name`, and offers `alpn`.
pub(crate) fn acceptor(name: &str, alpn: &[&str]) -> TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(testdata(&format!("{name}.pem"))).unwrap();
    let key = PrivateKeyDer::from_pem_file(testdata(&format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Believes the test authority only.
pub(crate) fn trusting() -> Settings {
    Settings { roots: roots_of("authority.pem"), ..Settings::default() }
}

async fn https(name: &'static str) -> Server {
    let acceptor = acceptor(name, &["http/1.1"]);
    Server::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let Ok(mut stream) = acceptor.accept(stream).await else { return };
            while read_request(&mut stream).await.is_some() {
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong";
                stream.write_all(answer).await.unwrap();
                stream.flush().await.unwrap();
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_private_authority_is_believed_where_set() {
    let server = https("localhost").await;
    let url = origin(&format!("https://localhost:{}", server.port));
    let egress = egress(trusting(), &[(url.clone(), Reach::Named)]);
    for _ in 0..10 {
        assert_eq!(ask(&egress, &url).await.unwrap().1, "pong");
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn http2_is_not_offered_where_switched_off() {
    let acceptor = acceptor("localhost", &["h2", "http/1.1"]);
    let server = Server::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let mut stream = acceptor.accept(stream).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
            read_request(&mut stream).await.unwrap();
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\npong";
            stream.write_all(answer).await.unwrap();
            stream.flush().await.unwrap();
        }
    })
    .await;
    let url = origin(&format!("https://localhost:{}", server.port));
    let settings = Settings { http2: false, ..trusting() };
    let egress = egress(settings, &[(url.clone(), Reach::Named)]);
    assert_eq!(ask(&egress, &url).await.unwrap().1, "pong");
}

#[tokio::test]
async fn an_unknown_authority_is_refused_and_the_way_out_named() {
    let server = https("localhost").await;
    let url = origin(&format!("https://localhost:{}", server.port));
    let egress = egress(Settings::default(), &[(url.clone(), Reach::Named)]);
    let error = ask(&egress, &url).await.unwrap_err();
    assert!(matches!(error, Error::Tls { .. }), "{error:?}");
    assert_eq!(error.certainty(), Certainty::NothingSent);
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    assert!(error.to_string().contains("TLS roots"), "{error}");
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = https("elsewhere.test").await;
    for host in ["localhost", "127.0.0.1"] {
        let url = origin(&format!("https://{host}:{}", server.port));
        let egress = egress(trusting(), &[(url.clone(), Reach::Named)]);
        let error = ask(&egress, &url).await.unwrap_err();
        assert!(matches!(error, Error::Tls { .. }), "{host}: {error:?}");
    }
}

#[tokio::test]
async fn plain_text_on_a_tls_port_is_a_tls_error() {
    let server = Server::start(|_, mut stream| async move {
        let _sent = stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let url = origin(&format!("https://localhost:{}", server.port));
    let egress = egress(trusting(), &[(url.clone(), Reach::Named)]);
    assert!(matches!(ask(&egress, &url).await, Err(Error::Tls { .. })));
}

#[test]
fn root_files_that_are_none_are_named() {
    for (file, said) in [("localhost.key", "no certificate"), ("make.sh", "no certificate")] {
        let roots = roots_of(file);
        let error = Egress::new(Settings { roots, ..Settings::default() }).unwrap_err();
        let message = error.to_string();
        assert!(message.contains(file) && message.contains(said), "{message}");
    }
    let roots = Roots::Pem(Vec::new());
    assert!(Egress::new(Settings { roots, ..Settings::default() }).is_err());
}
