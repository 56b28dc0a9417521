//! A server on loopback whose connections do what the test says, and short
//! ways to send to it.

use base::Origin;
use bytes::Bytes;
use egress::{Body, Egress, Error, Limits, Policy, Reach, Settings};
use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::{TcpListener, TcpStream};
use vault::{Authorized, Outgoing};

pub(crate) struct Server {
    pub(crate) port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    /// Runs `serve` for each connection, with its number from 0.
    pub(crate) async fn start<F>(serve: impl Fn(usize, TcpStream) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(counted.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Self { port, connections }
    }

    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn origin(&self) -> Origin {
        origin(&format!("http://127.0.0.1:{}", self.port))
    }

    /// Egress that may reach this server.
    pub(crate) fn egress(&self) -> Egress {
        egress(Settings::default(), &[(self.origin(), Reach::Named)])
    }
}

pub(crate) fn origin(url: &str) -> Origin {
    Origin::parse_base(url).unwrap().0
}

pub(crate) fn egress(settings: Settings, allowed: &[(Origin, Reach)]) -> Egress {
    let egress = Egress::new(settings).unwrap();
    let allowed = allowed.iter().cloned().collect();
    egress.allowing(&Policy { allowed })
}

pub(crate) fn post(origin: &Origin) -> Authorized {
    Outgoing::new(origin.clone(), Method::POST, "/v1/chat".into(), HeaderMap::new())
        .without_credential()
}

pub(crate) async fn send(egress: &Egress, origin: &Origin) -> Result<Response<Body>, Error> {
    egress.send(post(origin), Bytes::from_static(b"ping"), Limits::default()).await
}

/// Sends, and reads the whole answer.
pub(crate) async fn ask(egress: &Egress, origin: &Origin) -> Result<(u16, Bytes), Error> {
    let response = send(egress, origin).await?;
    let status = response.status().as_u16();
    Ok((status, read(response.into_body()).await?))
}

pub(crate) async fn read(mut body: Body) -> Result<Bytes, Error> {
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            bytes.extend_from_slice(&data);
        }
    }
    Ok(bytes.into())
}

/// One request with a content-length, or `None` at the end of the stream.
pub(crate) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut text = Vec::new();
    loop {
        let mut byte = [0];
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        text.push(byte[0]);
        if text.ends_with(b"\r\n\r\n") {
            break;
        }
    }
    let head = String::from_utf8(text).unwrap();
    let length = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("content-length").then(|| value.parse::<usize>().unwrap())
    });
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    Some(head + std::str::from_utf8(&body).unwrap())
}
