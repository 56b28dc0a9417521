//! One HTTP/1.1 connection, polled by whoever uses it: there is no task behind
//! it. Dropping it closes the socket at once.

use crate::deadline::Deadline;
use crate::hub::Hub;
use crate::socket::Look;
use crate::transport::Transport;
use bytes::Bytes;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{Connection, SendRequest};
use hyper_util::rt::TokioIo;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use tokio::time::Instant;

/// A request as it goes to hyper.
pub(crate) type WireRequest = Request<Full<Bytes>>;

/// Why an exchange gave no response.
pub(crate) enum Failure {
    /// The connection was gone before a byte was written; here is the request.
    Unsent(Box<WireRequest>, hyper::Error),
    /// It broke after that.
    Broken(hyper::Error),
    /// The head did not come in time.
    Late,
}

/// An established connection with at most one exchange on it.
pub(crate) struct H1 {
    sender: SendRequest<Full<Bytes>>,
    /// Gone once hyper is done with it: closed by either side.
    connection: Option<Connection<TokioIo<Transport>, Full<Bytes>>>,
    hub: Hub,
    deadline: Deadline,
    look: Look,
}

impl H1 {
    /// Speaks HTTP/1.1 over `transport`.
    pub(crate) async fn handshake(transport: Transport) -> Result<Box<Self>, hyper::Error> {
        let look = transport.look();
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(transport)).await?;
        let (hub, deadline) = (Hub::new(), Deadline::new());
        Ok(Box::new(Self { sender, connection: Some(connection), hub, deadline, look }))
    }

    /// Sends `request` and waits for the response's head until `late_at`.
    ///
    /// The socket is read before the request is written: bytes that came since
    /// the last answer belong to no request, and the connection is given up.
    /// What arrives after the request has left cannot be told from its answer
    /// in HTTP/1.1; in HTTP/2 it can, which is why that is offered first.
    pub(crate) async fn exchange(
        &mut self,
        request: WireRequest,
        late_at: Instant,
    ) -> Result<Response<Incoming>, Failure> {
        let mut response = pin!(self.sender.try_send_request(request));
        let (hub, connection, deadline) = (&self.hub, &mut self.connection, &mut self.deadline);
        let look = &self.look;
        look.set(true);
        let answer = poll_fn(|cx| {
            let answer = hub.drive(cx, |cx| {
                advance(connection, cx);
                look.set(false);
                response.as_mut().poll(cx)
            });
            match answer {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending => deadline.poll(cx, late_at).map(|()| None),
            }
        })
        .await;
        match answer {
            None => Err(Failure::Late),
            Some(Ok(response)) => Ok(response),
            Some(Err(mut failed)) => Err(match failed.take_message() {
                Some(request) => Failure::Unsent(Box::new(request), failed.into_error()),
                None => Failure::Broken(failed.into_error()),
            }),
        }
    }

    /// The next piece of `body`, which this connection's last response holds.
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
        body: &mut Incoming,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let connection = &mut self.connection;
        self.hub.drive(cx, |cx| {
            if let Poll::Ready(frame) = Pin::new(&mut *body).poll_frame(cx) {
                return Poll::Ready(frame);
            }
            advance(connection, cx);
            Pin::new(&mut *body).poll_frame(cx)
        })
    }

    /// Ready once `at` has passed.
    pub(crate) fn poll_deadline(&mut self, cx: &mut Context<'_>, at: Instant) -> Poll<()> {
        self.deadline.poll(cx, at)
    }

    /// Whether another request may follow: the last exchange is over on both
    /// sides and the other end has neither closed nor said more than it should.
    pub(crate) fn is_reusable(&mut self) -> bool {
        let reusable = self.is_idle() || self.still_idles();
        self.hub.forget_task();
        reusable
    }

    /// Looks at the socket of an unused connection.
    pub(crate) fn still_idles(&mut self) -> bool {
        let connection = &mut self.connection;
        let mut cx = Context::from_waker(Waker::noop());
        let _pending: Poll<()> = self.hub.drive(&mut cx, |cx| {
            advance(connection, cx);
            Poll::Pending
        });
        self.is_idle()
    }

    fn is_idle(&self) -> bool {
        self.connection.is_some() && self.sender.is_ready()
    }
}

/// Moves the connection on. What it fails with reaches the response or the
/// body, which hyper tells first.
fn advance(
    connection: &mut Option<Connection<TokioIo<Transport>, Full<Bytes>>>,
    cx: &mut Context<'_>,
) {
    if let Some(running) = connection
        && Pin::new(running).poll(cx).is_ready()
    {
        *connection = None;
    }
}
