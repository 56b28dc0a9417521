//! Routes each request: into the pipeline, or to the console.

use crate::cors::Cors;
use bytes::Bytes;
use console::Console;
use gateway::admission::Received;
use gateway::canary::ClientIp;
use gateway::{
    Gateway, Runtime,
    paths::{self, Query},
    request,
};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body::{Frame, SizeHint};
use listener::{Peer, RequestBody};
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The gateway and the console behind one listener.
pub(crate) struct Service {
    /// For requests that cost something.
    pub(crate) gateway: Arc<Gateway>,
    /// For people and dashboards.
    pub(crate) console: Console,
    /// Origins of pages that may call from a browser; `None` for none.
    pub(crate) cors: Option<Cors>,
}

impl listener::Service for Service {
    type Body = Answer;

    fn serves_many_clients(&self, address: IpAddr) -> bool {
        let trusted = &self.gateway.runtime().trusted_proxies;
        address.is_loopback() || trusted.iter().any(|range| range.contains(address))
    }

    async fn answer(&self, request: Request<RequestBody>, peer: &Peer) -> Response<Answer> {
        let page = self.cors.as_ref().and_then(|cors| Some((cors, cors.judge(request.headers())?)));
        let Some((cors, asked)) = page else { return self.handle(request, peer).await };
        let preflight = cors.preflight(&asked, request.method(), request.headers());
        if let Some(answer) = preflight {
            return answer.map(|body: Bytes| Answer::Gateway(gateway::Body::full(body)));
        }
        let mut answer = self.handle(request, peer).await;
        cors.share(&asked, answer.headers_mut());
        answer
    }
}

impl Service {
    async fn handle(&self, mut request: Request<RequestBody>, peer: &Peer) -> Response<Answer> {
        // A slash at the end of a path means nothing.
        let path = request.uri().path();
        let path = if path.len() > 1 { path.trim_end_matches('/') } else { path };
        if request.method() == Method::POST
            && let Some(matched) = paths::surface(path)
        {
            let runtime = self.gateway.runtime();
            let (mut parts, body) = request.into_parts();
            let query = Query::read(parts.uri.query());
            if let Some(key) = query.key {
                parts.headers.entry("x-goog-api-key").or_insert(key);
            }
            let client_ip = client_ip(&runtime, &parts.headers, peer);
            let received = Received {
                gateway: Arc::clone(&self.gateway),
                runtime,
                surface: matched.surface,
                route: matched.route,
                path_model: matched.model,
                framing: matched.surface.row().framing(query.is_sse),
                headers: parts.headers,
                client_ip: Some(client_ip),
                at_ms: self.gateway.clock().unix_ms(),
                at: self.gateway.clock().monotonic(),
            };
            return request::handle(received, body).await.map(Answer::Gateway);
        }
        let path_length = path.len();
        let client_ip = client_ip(&self.gateway.runtime(), request.headers(), peer);
        if request.uri().path().len() > path_length {
            without_slash(request.uri_mut());
        }
        request.extensions_mut().insert(ClientIp(client_ip));
        self.console.answer(request).await.map(Answer::Console)
    }
}

/// Removes the slashes at the end of a path.
fn without_slash(uri: &mut Uri) {
    let path = uri.path().trim_end_matches('/');
    let path = if path.is_empty() { "/" } else { path };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    // A part of a path is one.
    if let Ok(path) = text.parse() {
        *uri = path;
    }
}

/// The client's address: the connection's, or what the nearest proxy that is
/// not ours says, read from the right of `X-Forwarded-For`.
fn client_ip(runtime: &Runtime, headers: &HeaderMap, peer: &Peer) -> Arc<str> {
    let trusted = |ip: IpAddr| runtime.trusted_proxies.iter().any(|range| range.contains(ip));
    if !trusted(peer.address) {
        return Arc::clone(&peer.text);
    }
    let mut nearest = peer.address;
    let values = headers.get_all("x-forwarded-for");
    let said = values.iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = said.flat_map(|value| value.split(',')).map(str::trim).collect();
    for hop in hops.into_iter().rev() {
        let Ok(ip) = hop.parse() else { break };
        nearest = ip;
        if !trusted(ip) {
            break;
        }
    }
    nearest.to_string().into()
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
