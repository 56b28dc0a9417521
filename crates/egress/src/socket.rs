//! A TCP stream that can be made to look at its socket.
//!
//! Tokio reads a socket once the reactor has reported that bytes are there.
//! Between two turns of the reactor they may be there unreported, and then a
//! request would be written on a connection whose peer has already said
//! something that nobody asked for.

use socket2::SockRef;
use std::io::{self, IoSlice, Read as _};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// See the module.
pub(crate) struct Socket {
    stream: TcpStream,
    looks: Look,
}

/// Makes a [`Socket`] look for bytes itself, while it is set.
#[derive(Clone, Default)]
pub(crate) struct Look(Arc<AtomicBool>);

impl Look {
    pub(crate) fn set(&self, looks: bool) {
        self.0.store(looks, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl Socket {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { stream, looks: Look::default() }
    }

    pub(crate) fn look(&self) -> Look {
        self.looks.clone()
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let reported = Pin::new(&mut self.stream).poll_read(cx, into);
        if reported.is_ready() || !self.looks.is_set() {
            return reported;
        }
        let socket = SockRef::from(&self.stream);
        if socket.peek(&mut [MaybeUninit::uninit()]).is_err() {
            // Nothing is there; anything else the reactor will report.
            return Poll::Pending;
        }
        Poll::Ready((&*socket).read(into.initialize_unfilled()).map(|length| into.advance(length)))
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
