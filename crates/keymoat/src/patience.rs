//! A client's connection with an end to our patience: one that takes nothing
//! of what it asked for, for a minute, is closed. Also gives bytes back that
//! were read to see which protocol it speaks.

use bytes::{Buf as _, Bytes};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A connection on which nothing can be written for so long is closed.
const STALL_MAX: Duration = Duration::from_mins(1);

/// See the module.
pub(crate) struct Patient<S> {
    stream: S,
    /// Read already, to be read again.
    start: Bytes,
    /// Since when nothing can be written.
    stalled: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl<S> Patient<S> {
    /// `stream`, of which `start` has been read.
    pub(crate) fn new(stream: S, start: Bytes) -> Self {
        Self { stream, start, stalled: None, timer: None }
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
        // Set anew only when it goes off: stalls are many, long ones few.
        while timer.as_mut().poll(context).is_ready() {
            if Instant::now() >= at {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            timer.as_mut().reset(at);
        }
        Poll::Pending
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Patient<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Patient<S> {
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
        let shut = Pin::new(&mut self.stream).poll_shutdown(context);
        self.watch(context, shut)
    }
}

#[cfg(test)]
mod tests {
    use super::{Patient, STALL_MAX};
    use bytes::Bytes;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_stops_reading_is_given_up_and_a_slow_one_is_not() {
        let (ours, mut theirs) = duplex(16);
        let mut ours = Patient::new(ours, Bytes::new());
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
        Patient::new(ours, Bytes::from_static(b"GET /")).read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "GET / HTTP");
    }
}
