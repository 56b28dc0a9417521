//! Bodies, in memory or spooled, and never without a limit.
//!
//! A body that fits the memory limit is one [`Bytes`]. A larger one is written
//! to an unnamed temporary file while it arrives, so that a slow upload holds
//! no memory, and is read back when it is complete, for as long as the request
//! lasts, under one budget shared by all requests.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// How much a request body may hold, and where.
#[derive(Clone)]
pub struct BodyLimits {
    /// The largest body accepted.
    pub max_bytes: usize,
    /// The largest body kept in memory while it arrives.
    pub memory_max_bytes: usize,
    /// The longest pause between two pieces.
    pub idle: Duration,
    /// Where larger ones wait.
    pub spool_dir: PathBuf,
    /// Bytes of spooled bodies that may be in memory at once, over all
    /// requests.
    pub large_budget: Arc<Semaphore>,
}

/// A request body, complete.
pub struct ReceivedBody {
    /// The bytes as the client sent them.
    pub bytes: Bytes,
    /// Keeps the share of the memory budget that a large body takes.
    _budget: Option<OwnedSemaphorePermit>,
}

impl From<Bytes> for ReceivedBody {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, _budget: None }
    }
}

/// Why a body was not read.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Larger than the limit given, in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The sender stopped before the end.
    #[error("the body ended before it was complete: {0}")]
    Incomplete(String),
    /// The sender stopped for longer than this, in milliseconds.
    #[error("nothing came of the body for {0} ms")]
    Idle(u128),
    /// The spool directory cannot be used.
    #[error("a large body could not be spooled to {path}: {cause}")]
    Spool {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Reads a client's body within `limits`.
///
/// # Errors
/// See [`BodyError`]; nothing is kept of a body that was not read whole.
pub async fn receive<B>(mut body: B, limits: &BodyLimits) -> Result<ReceivedBody, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let declared = body.size_hint().lower();
    if declared > limits.max_bytes as u64 {
        return Err(BodyError::TooLarge(limits.max_bytes));
    }
    let Some(first) = next_piece(&mut body, limits).await? else { return Ok(Bytes::new().into()) };
    if body.is_end_stream() && first.len() <= limits.memory_max_bytes {
        return Ok(first.into());
    }
    let mut memory = BytesMut::with_capacity((declared as usize).min(limits.memory_max_bytes));
    let mut next = Some(first);
    while let Some(data) = next {
        memory.extend_from_slice(&data);
        if memory.len() > limits.max_bytes {
            return Err(BodyError::TooLarge(limits.max_bytes));
        }
        if memory.len() > limits.memory_max_bytes {
            return spool(memory, body, limits).await;
        }
        next = next_piece(&mut body, limits).await?;
    }
    Ok(memory.freeze().into())
}

async fn spool<B>(
    start: BytesMut,
    mut body: B,
    limits: &BodyLimits,
) -> Result<ReceivedBody, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let failed = |cause| BodyError::Spool { path: limits.spool_dir.clone(), cause };
    let mut file = temporary_file(&limits.spool_dir).await.map_err(failed)?;
    let mut length = start.len();
    file.write_all(&start).await.map_err(failed)?;
    drop(start);
    while let Some(data) = next_piece(&mut body, limits).await? {
        length = length.saturating_add(data.len());
        if length > limits.max_bytes {
            return Err(BodyError::TooLarge(limits.max_bytes));
        }
        file.write_all(&data).await.map_err(failed)?;
    }
    let share = u32::try_from(length).unwrap_or(u32::MAX);
    let budget = Arc::clone(&limits.large_budget)
        .acquire_many_owned(share)
        .await
        .map_err(|closed| BodyError::Incomplete(closed.to_string()))?;
    file.flush().await.map_err(failed)?;
    file.rewind().await.map_err(failed)?;
    let mut bytes = Vec::with_capacity(length);
    file.read_to_end(&mut bytes).await.map_err(failed)?;
    Ok(ReceivedBody { bytes: bytes.into(), _budget: Some(budget) })
}

/// A file that is gone when it is closed: unlinked as soon as it is open.
async fn temporary_file(dir: &std::path::Path) -> std::io::Result<tokio::fs::File> {
    tokio::fs::create_dir_all(dir).await?;
    let name = base::id::hex(&base::id::random::<16>()?);
    let path = dir.join(format!("body-{name}"));
    let file = tokio::fs::OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .await?;
    tokio::fs::remove_file(&path).await?;
    Ok(file)
}

/// A client's next piece, in time: one that holds back must not hold a place.
async fn next_piece<B>(body: &mut B, limits: &BodyLimits) -> Result<Option<Bytes>, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let piece = tokio::time::timeout(limits.idle, next_data(body)).await;
    piece.unwrap_or_else(|_| Err(BodyError::Idle(limits.idle.as_millis())))
}

async fn next_data<B>(body: &mut B) -> Result<Option<Bytes>, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    read_data(body).await.map_err(|error| BodyError::Incomplete(error.to_string()))
}

async fn read_data<B>(body: &mut B) -> Result<Option<Bytes>, ReadError<B::Error>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(ReadError::Broken)?;
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Why an upstream's body was not read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError<E> {
    /// Larger than the limit given, in bytes.
    #[error("the body is larger than {0} bytes")]
    TooLarge(usize),
    /// The upstream failed in the middle.
    #[error("{0}")]
    Broken(E),
}

/// Reads an upstream's body whole, up to `max_bytes`.
///
/// # Errors
/// See [`ReadError`].
pub async fn read_capped<B>(mut body: B, max_bytes: usize) -> Result<Bytes, ReadError<B::Error>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    let Some(first) = read_data(&mut body).await? else { return Ok(Bytes::new()) };
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut second = read_data(&mut body).await?;
    if second.is_none() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first.as_ref());
    while let Some(data) = second {
        if whole.len().saturating_add(data.len()) > max_bytes {
            return Err(ReadError::TooLarge(max_bytes));
        }
        whole.extend_from_slice(&data);
        second = read_data(&mut body).await?;
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::{BodyError, BodyLimits, receive};
    use bytes::Bytes;
    use http_body_util::Full;
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll};
    use std::time::Duration;
    use tokio::sync::Semaphore;

    fn limits(max_bytes: usize, memory_max_bytes: usize) -> BodyLimits {
        BodyLimits {
            max_bytes,
            memory_max_bytes,
            idle: Duration::from_secs(30),
            spool_dir: std::env::temp_dir().join("keymoat-body-test"),
            large_budget: Arc::new(Semaphore::new(1 << 20)),
        }
    }

    /// A body of several frames and no declared length.
    struct Chunks(std::vec::IntoIter<&'static [u8]>);

    impl http_body::Body for Chunks {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Ready(self.0.next().map(|c| Ok(http_body::Frame::data(Bytes::from_static(c)))))
        }
    }

    fn chunks(chunks: Vec<&'static [u8]>) -> Chunks {
        Chunks(chunks.into_iter())
    }

    #[tokio::test]
    async fn a_small_body_is_one_piece_and_a_large_one_comes_back_equal() {
        let body = Full::new(Bytes::from_static(b"hello"));
        assert_eq!(receive(body, &limits(10, 10)).await.unwrap().bytes, "hello");
        let body = chunks(vec![b"0123456789", b"abcdef", b"ghij"]);
        let received = receive(body, &limits(100, 4)).await.unwrap();
        assert_eq!(received.bytes, "0123456789abcdefghij");
    }

    #[tokio::test]
    async fn the_limit_holds_with_and_without_a_declared_length() {
        let declared = receive(Full::new(Bytes::from_static(b"hello")), &limits(4, 4)).await;
        assert!(matches!(declared, Err(BodyError::TooLarge(4))));
        let endless = receive(chunks(vec![b"abc"; 100]), &limits(200, 10)).await;
        assert!(matches!(endless, Err(BodyError::TooLarge(200))));
    }

    /// A body that never goes on.
    struct Silent;

    impl http_body::Body for Silent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            Poll::Pending
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_sender_that_stops_is_given_up() {
        let stopped = receive(Silent, &limits(100, 4)).await;
        assert!(matches!(stopped, Err(BodyError::Idle(30_000))));
    }

    #[tokio::test]
    async fn a_spooled_body_gives_its_share_of_memory_back() {
        let limits = limits(100, 4);
        let received = receive(chunks(vec![b"0123456789", b"a"]), &limits).await.unwrap();
        assert_eq!(limits.large_budget.available_permits(), (1 << 20) - 11);
        drop(received);
        assert_eq!(limits.large_budget.available_permits(), 1 << 20);
    }
}
