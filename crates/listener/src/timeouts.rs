//! A connection's time limits. One on which nothing can be written for a minute is
//! closed. One on which the client is still sending lingers at its end (RFC 9112,
//! section 9.6): it is closed for writing, and read until the client closes it too.
//! Closing a socket with unread bytes resets the connection, which can destroy an
//! answer on its way. Also returns the bytes that were read to recognise the
//! protocol.

use crate::intake::{self, Intake};
use bytes::{Buf as _, Bytes};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A connection on which nothing can be written for so long is closed.
const STALL_MAX: Duration = Duration::from_mins(1);

/// The longest that a connection lingers.
const LINGER_MAX: Duration = Duration::from_secs(5);

/// A connection with these limits.
pub(crate) struct Limited<S> {
    stream: S,
    /// Read already, to be read again.
    start: Bytes,
    /// The moment from which nothing could be written.
    stalled: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    intake: Arc<Intake>,
    /// Once the connection is closed for writing: when lingering ends. What is
    /// read until then is not kept.
    linger: Option<(Pin<Box<Sleep>>, intake::Request)>,
}

impl<S> Limited<S> {
    /// Wraps `stream`, of which `start` has been read. If `intake` says that the
    /// client is sending, the connection lingers at its end even if nothing is
    /// there to read.
    pub(crate) fn new(stream: S, start: Bytes, intake: Arc<Intake>) -> Self {
        Self { stream, start, stalled: None, timer: None, intake, linger: None }
    }

    /// Costs nothing while writing goes on.
    fn watch<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let at = *self.stalled.get_or_insert_with(Instant::now) + STALL_MAX;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
        // Reset only when it fires: stalls are many, long ones few.
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= at {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(at);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.start.is_empty() {
            return Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.start.len().min(buffer.remaining());
        buffer.put_slice(&self.start.copy_to_bytes(length));
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> Limited<S> {
    /// Reads and throws away what comes after the connection was closed for
    /// writing, until the client closes it too or time is over.
    fn poll_linger(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Self { stream, intake, linger, .. } = self;
        let (timer, _) = linger
            .get_or_insert_with(|| (Box::pin(tokio::time::sleep(LINGER_MAX)), intake.begin()));
        let mut scrap = [0; 4096];
        while timer.as_mut().poll(context).is_pending() {
            let mut buffer = ReadBuf::new(&mut scrap);
            match Pin::new(&mut *stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    intake.is_sending.store(true, Ordering::Relaxed);
                }
                Poll::Pending if intake.is_sending.load(Ordering::Relaxed) => {
                    return Poll::Pending;
                }
                _ => break,
            }
        }
        Poll::Ready(())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch(context, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.watch(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watch(context, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            let shut = Pin::new(&mut self.stream).poll_shutdown(context);
            ready!(self.watch(context, shut))?;
        }
        self.poll_linger(context).map(Ok)
    }
}

#[cfg(test)]
mod tests {
    use super::{LINGER_MAX, Limited, STALL_MAX};
    use crate::intake::{Budget, Intake};
    use bytes::Bytes;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, sleep};

    fn intake() -> Arc<Intake> {
        Intake::new(&Budget::new())
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_reading_is_given_up_and_a_slow_one_is_not() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Limited::new(ours, Bytes::new(), intake());
        let slow = async {
            for _ in 0..4 {
                sleep(STALL_MAX / 2).await;
                theirs.read_exact(&mut [0; 16]).await.unwrap();
            }
        };
        let (written, ()) = tokio::join!(ours.write_all(&[0; 80]), slow);
        written.unwrap();
        let began = Instant::now();
        let stalled = ours.write_all(&[0; 80]).await.unwrap_err();
        assert_eq!(stalled.kind(), std::io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_secs(), STALL_MAX.as_secs());
    }

    #[tokio::test]
    async fn what_was_read_before_is_read_again_first() {
        let (ours, mut theirs) = duplex(16);
        theirs.write_all(b" HTTP").await.unwrap();
        drop(theirs);
        let mut text = String::new();
        let start = Bytes::from_static(b"GET /");
        Limited::new(ours, start, intake()).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "GET / HTTP");
    }

    /// How long closing takes, and what the client could still send.
    async fn closed(sent: &[u8], is_sending: bool, hangs_up: bool) -> Duration {
        let (ours, mut theirs) = duplex(1 << 16);
        theirs.write_all(sent).await.unwrap();
        let intake = intake();
        intake.is_sending.store(is_sending, Ordering::Relaxed);
        let mut ours = Limited::new(ours, Bytes::new(), intake);
        let began = Instant::now();
        let client = async {
            let mut answer = String::new();
            theirs.read_to_string(&mut answer).await.unwrap();
            if hangs_up {
                drop(theirs);
                None
            } else {
                Some(theirs)
            }
        };
        let (shut, _client) = tokio::join!(ours.shutdown(), client);
        shut.unwrap();
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_lingers_only_while_its_client_sends() {
        assert_eq!(closed(b"", false, false).await, Duration::ZERO, "an idle client");
        assert_eq!(closed(b"rest", false, false).await, LINGER_MAX, "one that is sending");
        assert_eq!(closed(b"", true, false).await, LINGER_MAX, "one that will send");
        assert_eq!(closed(b"rest", true, true).await, Duration::ZERO, "one that has seen it");
    }
}
