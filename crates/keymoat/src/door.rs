//! Where a request goes: into the pipeline, or to the console.

use bytes::Bytes;
use console::Console;
use gateway::admission::Received;
use gateway::{Gateway, Runtime, paths, request};
use http::{HeaderMap, Method, Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// Both sides of the house.
pub(crate) struct Door {
    /// What costs something.
    pub(crate) gateway: Arc<Gateway>,
    /// What people and dashboards ask.
    pub(crate) console: Console,
}

impl Door {
    /// Answers one request.
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Response<Answer> {
        if request.method() == Method::POST
            && let Some(matched) = paths::surface(request.uri().path())
        {
            let runtime = self.gateway.runtime();
            let (parts, body) = request.into_parts();
            let client_ip = client_ip(&runtime, &parts.headers, peer.ip());
            let received = Received {
                gateway: Arc::clone(&self.gateway),
                runtime,
                surface: matched.surface,
                route: matched.route,
                path_model: matched.model,
                headers: parts.headers,
                client_ip: Some(client_ip),
                at_ms: self.gateway.clock().unix_ms(),
                at: self.gateway.clock().monotonic(),
            };
            return request::handle(received, body).await.map(Answer::Gateway);
        }
        self.console.answer(request).await.map(Answer::Console)
    }
}

/// The client's address: the connection's, or what the nearest proxy that is
/// not ours says, read from the right of `X-Forwarded-For`.
fn client_ip(runtime: &Runtime, headers: &HeaderMap, peer: IpAddr) -> IpAddr {
    let trusted = |ip: IpAddr| runtime.trusted_proxies.iter().any(|range| range.contains(ip));
    if !trusted(peer) {
        return peer;
    }
    let mut nearest = peer;
    let values = headers.get_all("x-forwarded-for");
    let said = values.iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        let Ok(ip) = hop.parse() else { return nearest };
        nearest = ip;
        if !trusted(ip) {
            return ip;
        }
    }
    nearest
}

/// The body of either side.
pub(crate) enum Answer {
    /// From the pipeline.
    Gateway(gateway::Body),
    /// From the console.
    Console(console::Body),
}

impl http_body::Body for Answer {
    type Data = Bytes;
    type Error = console::BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match self.get_mut() {
            Self::Gateway(body) => {
                Pin::new(body).poll_frame(context).map_err(|never| match never {})
            }
            Self::Console(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Gateway(body) => body.is_end_stream(),
            Self::Console(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Gateway(body) => body.size_hint(),
            Self::Console(body) => body.size_hint(),
        }
    }
}
