//! Memory that connections fill before a key has been checked: unfinished request
//! heads and TLS handshakes.
//!
//! Each connection may fill a little of it. What is beyond comes out of a
//! budget that all connections share; a connection that finds nothing left
//! there is closed. Counted is what is read from the socket while no request of
//! the connection is being answered, so that this sits below TLS.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What each connection may fill. Heads of API clients have 1 to 2 KiB.
const FREE_BYTES: usize = 8 << 10;

/// What all connections may fill beyond that.
const SHARED_MAX_BYTES: usize = 32 << 20;

/// The most that is read at once while no request is being answered, so that
/// no buffer grows ahead of what is counted.
const READ_MAX_BYTES: usize = 8 << 10;

/// Memory for each byte: buffers grow by doubling.
const BYTES_PER_BYTE: usize = 2;

/// The budget that all connections share.
pub(crate) struct Budget {
    left: AtomicUsize,
}

impl Budget {
    /// A whole budget.
    pub(crate) fn new() -> Arc<Self> {
        Self::with_bytes(SHARED_MAX_BYTES)
    }

    fn with_bytes(bytes: usize) -> Arc<Self> {
        Arc::new(Self { left: AtomicUsize::new(bytes) })
    }

    fn take(&self, bytes: usize) -> bool {
        let take = |left: usize| left.checked_sub(bytes);
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// The count of one connection.
pub(crate) struct Intake {
    budget: Arc<Budget>,
    /// Requests that are being answered or whose bodies are being read.
    requests: AtomicUsize,
    /// Bytes read since a request was last being answered.
    read: AtomicUsize,
    /// Taken from the budget.
    taken: AtomicUsize,
    /// The client is known to be sending what nobody will read.
    pub(crate) is_sending: AtomicBool,
}

impl Intake {
    pub(crate) fn new(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            requests: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            taken: AtomicUsize::new(0),
            is_sending: AtomicBool::new(false),
        })
    }

    /// A request's head is complete: until the last clone is dropped, what the
    /// connection reads is counted elsewhere.
    pub(crate) fn begin(self: &Arc<Self>) -> Request {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.forget();
        Request(Arc::clone(self))
    }

    /// What was read so far is no longer kept.
    pub(crate) fn forget(&self) {
        self.read.store(0, Ordering::Relaxed);
        let taken = self.taken.swap(0, Ordering::Relaxed);
        self.budget.left.fetch_add(taken, Ordering::Relaxed);
    }

    /// Returns how much may be read now; `None` if nothing more may be kept.
    fn may_read(&self) -> Option<usize> {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return Some(usize::MAX);
        }
        let read = self.read.load(Ordering::Relaxed);
        let beyond = (read + READ_MAX_BYTES).saturating_sub(FREE_BYTES) * BYTES_PER_BYTE;
        let more = beyond.saturating_sub(self.taken.load(Ordering::Relaxed));
        if more > 0 {
            if !self.budget.take(more) {
                return None;
            }
            self.taken.fetch_add(more, Ordering::Relaxed);
        }
        Some(READ_MAX_BYTES)
    }

    fn was_read(&self, bytes: usize) {
        if self.requests.load(Ordering::Relaxed) == 0 {
            self.read.fetch_add(bytes, Ordering::Relaxed);
        }
    }
}

impl Drop for Intake {
    fn drop(&mut self) {
        self.forget();
    }
}

/// A request whose head is complete. See [`Intake::begin`].
pub(crate) struct Request(Arc<Intake>);

impl Clone for Request {
    fn clone(&self) -> Self {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket whose reads are counted.
pub(crate) struct Counted<S> {
    stream: S,
    intake: Arc<Intake>,
}

impl<S> Counted<S> {
    pub(crate) fn new(stream: S, intake: Arc<Intake>) -> Self {
        Self { stream, intake }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Counted<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(most) = self.intake.may_read() else {
            let message = "unfinished requests of all connections fill their memory";
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::QuotaExceeded, message)));
        };
        let before = buffer.filled().len();
        let room = buffer.remaining();
        let read = if room <= most {
            Pin::new(&mut self.stream).poll_read(context, buffer)
        } else {
            let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
            let read = Pin::new(&mut self.stream).poll_read(context, &mut part);
            let filled = part.filled().len();
            buffer.advance(filled);
            read
        };
        self.intake.was_read(buffer.filled().len() - before);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Counted<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::{Budget, Counted, FREE_BYTES, Intake};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};

    fn connection(budget: &Arc<Budget>) -> (DuplexStream, Counted<DuplexStream>, Arc<Intake>) {
        let (client, ours) = duplex(1 << 20);
        let intake = Intake::new(budget);
        (client, Counted::new(ours, Arc::clone(&intake)), intake)
    }

    async fn read(from: &mut Counted<DuplexStream>, bytes: usize) -> std::io::Result<()> {
        from.read_exact(&mut vec![0; bytes]).await.map(drop)
    }

    #[tokio::test]
    async fn unfinished_heads_share_a_budget_and_small_ones_need_none() {
        let budget = Budget::with_bytes(100 << 10);
        let head = 40 << 10;
        let mut large = Vec::new();
        for _ in 0..2 {
            let (mut client, mut ours, intake) = connection(&budget);
            client.write_all(&vec![b'x'; head]).await.unwrap();
            let is_read = read(&mut ours, head).await.is_ok();
            large.push((client, ours, intake, is_read));
        }
        assert!(large[0].3, "40 KiB count as 64 beyond the first eight");
        assert!(!large[1].3, "there is no room for a second one");
        let (mut client, mut small, intake) = connection(&budget);
        client.write_all(&vec![b'x'; FREE_BYTES]).await.unwrap();
        read(&mut small, FREE_BYTES).await.unwrap();
        client.write_all(b"x").await.unwrap();

        let body = intake.begin();
        let answer = body.clone();
        client.write_all(&vec![b'x'; 500 << 10]).await.unwrap();
        read(&mut small, 500 << 10).await.unwrap();
        drop(body);
        read(&mut small, 1).await.unwrap();
        drop(answer);
        client.write_all(&vec![b'x'; head]).await.unwrap();
        assert!(read(&mut small, head).await.is_err(), "another head begins");
        drop((large, small, intake));
        assert_eq!(budget.left.load(Ordering::Relaxed), 100 << 10, "all of it is given back");
    }
}
