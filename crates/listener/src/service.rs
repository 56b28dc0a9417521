//! The interface to those who answer requests.

use crate::discard::RequestBody;
use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use std::error::Error;
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

/// Answers the requests of all connections.
pub trait Service: Send + Sync + 'static {
    /// Body of an answer.
    type Body: Body<Data = Bytes, Error: Error + Send + Sync + 'static> + Send + Unpin + 'static;

    /// Answers one request. If the body is dropped unread, its rest is discarded.
    fn answer(
        &self,
        request: Request<RequestBody>,
        peer: &Peer,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Returns true if connections from `address` serve many clients, as those of a
    /// trusted proxy do: their number is not limited by address.
    fn serves_many_clients(&self, address: IpAddr) -> bool;
}

/// The other end of a connection.
pub struct Peer {
    /// Its address.
    pub address: IpAddr,
    /// The address as text, made once for all requests.
    pub text: Arc<str>,
}

impl Peer {
    pub(crate) fn new(address: IpAddr) -> Self {
        Self { address, text: address.to_string().into() }
    }
}
