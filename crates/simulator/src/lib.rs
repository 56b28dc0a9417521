//! A pretend provider on loopback, for the demo model group: a first answer
//! without an account.
//!
//! It speaks OpenAI's chat completions over a real HTTP hop, so that the demo
//! goes through the whole pipeline, and counts a token for every four bytes.
//! It deliberately knows nothing: the answer says what was asked and what to
//! do next.

mod answer;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use tokio::net::TcpListener;

type Body = http_body_util::combinators::UnsyncBoxBody<Bytes, Infallible>;

/// The largest request that it reads.
const REQUEST_MAX_BYTES: usize = 4 << 20;

/// Listens on a free loopback port and answers until the runtime ends.
///
/// # Errors
/// Where no port can be had.
pub async fn start() -> std::io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let nodelay = stream.set_nodelay(true);
            tokio::spawn(async move {
                let service = hyper::service::service_fn(answer);
                let served = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
                // A client that hangs up is no news here.
                drop((served, nodelay));
            });
        }
    });
    Ok(address)
}

async fn answer(request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    if request.method() != Method::POST || request.uri().path() != "/v1/chat/completions" {
        return Ok(error(StatusCode::NOT_FOUND, "the demo serves /v1/chat/completions only"));
    }
    #[expect(clippy::disallowed_methods, reason = "capped one line below")]
    let Ok(body) = Limited::new(request.into_body(), REQUEST_MAX_BYTES).collect().await else {
        return Ok(error(StatusCode::PAYLOAD_TOO_LARGE, "the demo reads up to 4 MiB"));
    };
    match answer::Answer::to(&body.to_bytes()) {
        Ok(answer) if answer.streams() => Ok(stream(answer.chunks())),
        Ok(answer) => Ok(json(StatusCode::OK, answer.whole())),
        Err(problem) => Ok(error(StatusCode::BAD_REQUEST, &problem)),
    }
}

fn json(status: StatusCode, body: String) -> Response<Body> {
    let mut response = Response::new(Full::from(body).boxed_unsync());
    *response.status_mut() = status;
    let kind = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn stream(chunks: Vec<String>) -> Response<Body> {
    let mut response = Response::new(answer::Paced::new(chunks).boxed_unsync());
    let kind = header::HeaderValue::from_static("text/event-stream");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}

fn error(status: StatusCode, message: &str) -> Response<Body> {
    json(status, answer::error(message))
}
