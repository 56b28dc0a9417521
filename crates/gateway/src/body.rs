//! Bodies, in memory or spooled, and never without a limit.
//!
//! A body that fits the memory limit is one [`Bytes`]. A larger one is written
//! to an unnamed temporary file while it arrives, so that a slow upload holds
//! no memory, and is read back when it is complete, for as long as the request
//! lasts. Memory and disk are budgets that all requests share; a share is taken
//! before a byte is kept, is given back with the last of the bytes, and what a
//! sender declares is not believed. Who sends too slowly is not waited for.
//! What is made of a body (edited, translated) is not counted here: once more
//! its length, for as long as it lasts.

use crate::body_budgets::{SMALL_MAX_BYTES, Share, SmallHold, budgeted};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout, timeout_at};

pub use crate::body_budgets::{Budgets, Small};

/// How much a request body may hold, and where.
#[derive(Clone)]
pub struct BodyLimits {
    /// The largest body accepted.
    pub max_bytes: usize,
    /// The largest body kept in memory while it arrives.
    pub memory_max_bytes: usize,
    /// Where larger ones wait.
    pub spool_dir: PathBuf,
    /// What all requests share.
    pub budgets: Budgets,
}

/// A request body, complete.
pub struct ReceivedBody {
    /// The bytes as the client sent them; those of a large body keep its share
    /// of the budget for as long as anybody has them.
    pub bytes: Bytes,
    _small: Option<SmallHold>,
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
    /// The sender takes its time.
    #[error("the body came too slowly")]
    TooSlow,
    /// Others hold all that bodies may hold.
    #[error("too many large bodies are under way")]
    Busy,
    /// The spool directory cannot be used.
    #[error("a large body could not be spooled to {path}: {cause}")]
    Spool {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// The longest pause in a body.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// What is given to any body, whatever its length.
const GRACE: Duration = Duration::from_secs(30);

/// After that, at least so much must come in a second.
const BYTES_PER_S_MIN: u64 = 4096;

/// How long a complete body waits for memory.
const MEMORY_WAIT_MAX: Duration = Duration::from_secs(10);

/// A body with its pace.
struct Arriving<B> {
    body: B,
    started: Instant,
    bytes: u64,
}

impl<B> Arriving<B>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    async fn next(&mut self) -> Result<Option<Bytes>, BodyError> {
        let earned = Duration::from_secs(self.bytes / BYTES_PER_S_MIN);
        let at = (Instant::now() + PAUSE_MAX).min(self.started + GRACE + earned);
        let read = timeout_at(at, read_data(&mut self.body)).await;
        let data = read
            .map_err(|_| BodyError::TooSlow)?
            .map_err(|error| BodyError::Incomplete(error.to_string()))?;
        self.bytes += data.as_ref().map_or(0, Bytes::len) as u64;
        Ok(data)
    }
}

/// Reads a client's body within `limits`.
///
/// # Errors
/// See [`BodyError`]; nothing is kept of a body that was not read whole.
pub async fn receive<B>(body: B, limits: &BodyLimits) -> Result<ReceivedBody, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let declared = body.size_hint().lower();
    if declared > limits.max_bytes as u64 {
        return Err(BodyError::TooLarge(limits.max_bytes));
    }
    let mut arriving = Arriving { body, started: Instant::now(), bytes: 0 };
    let Some(first) = arriving.next().await? else {
        return Ok(ReceivedBody { bytes: Bytes::new(), _small: None });
    };
    let budgets = &limits.budgets;
    let mut share = Share::of(&budgets.memory_kib);
    let is_whole = arriving.body.is_end_stream() && first.len() <= limits.memory_max_bytes;
    if is_whole && share.cover(first.len()) {
        let small = budgets.small.hold(first.len().min(SMALL_MAX_BYTES)).ok_or(BodyError::Busy)?;
        let bytes = budgeted(first, share.permit);
        return Ok(ReceivedBody { bytes, _small: Some(small) });
    }
    let room = usize::try_from(declared).unwrap_or(usize::MAX).min(SMALL_MAX_BYTES);
    let mut small = budgets.small.hold(room).ok_or(BodyError::Busy)?;
    let mut memory = Vec::with_capacity(room);
    let mut next = Some(first);
    while let Some(data) = next {
        let length = memory.len().saturating_add(data.len());
        if length > limits.max_bytes {
            return Err(BodyError::TooLarge(limits.max_bytes));
        }
        // What is counted is the room that is taken, not what is in it.
        let room = if length > memory.capacity() {
            length.max(memory.capacity() * 2).min(limits.memory_max_bytes)
        } else {
            memory.capacity()
        };
        if !small.grow_to(room.min(SMALL_MAX_BYTES)) {
            return Err(BodyError::Busy);
        }
        if length > limits.memory_max_bytes || !share.cover(room) {
            let start = InMemory { pieces: [memory.into(), data], _share: share, _small: small };
            return spool(start, arriving, limits).await;
        }
        memory.reserve_exact(room - memory.len());
        memory.extend_from_slice(&data);
        next = arriving.next().await?;
    }
    let bytes = budgeted(memory.into(), share.permit);
    Ok(ReceivedBody { bytes, _small: Some(small) })
}

/// What came of a body before it went to disk.
struct InMemory<'a> {
    pieces: [Bytes; 2],
    _share: Share<'a>,
    _small: SmallHold,
}

async fn spool<B>(
    start: InMemory<'_>,
    mut arriving: Arriving<B>,
    limits: &BodyLimits,
) -> Result<ReceivedBody, BodyError>
where
    B: http_body::Body<Data = Bytes> + Unpin,
    B::Error: std::fmt::Display,
{
    let failed = |cause| BodyError::Spool { path: limits.spool_dir.clone(), cause };
    let mut share = Share::of(&limits.budgets.disk_kib);
    let mut length: usize = start.pieces.iter().map(Bytes::len).sum();
    if !share.cover(length) {
        return Err(BodyError::Busy);
    }
    let mut file = temporary_file(&limits.spool_dir).await.map_err(failed)?;
    for piece in &start.pieces {
        file.write_all(piece).await.map_err(failed)?;
    }
    drop(start);
    while let Some(data) = arriving.next().await? {
        length = length.saturating_add(data.len());
        if length > limits.max_bytes {
            return Err(BodyError::TooLarge(limits.max_bytes));
        }
        if !share.cover(length) {
            return Err(BodyError::Busy);
        }
        file.write_all(&data).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    let kib = u32::try_from(length.div_ceil(1024)).unwrap_or(u32::MAX);
    let memory = Arc::clone(&limits.budgets.large_kib).acquire_many_owned(kib);
    let Ok(Ok(budget)) = timeout(MEMORY_WAIT_MAX, memory).await else {
        return Err(BodyError::Busy);
    };
    file.rewind().await.map_err(failed)?;
    let mut bytes = Vec::with_capacity(length);
    file.read_to_end(&mut bytes).await.map_err(failed)?;
    Ok(ReceivedBody { bytes: budgeted(bytes.into(), Some(budget)), _small: None })
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
    /// Others hold all that answers may hold.
    #[error("too many large answers are under way")]
    Busy,
    /// The upstream failed in the middle.
    #[error("{0}")]
    Broken(E),
}

/// Reads an upstream's body whole, up to `max_bytes`.
///
/// # Errors
/// See [`ReadError`].
pub async fn read_capped<B>(body: B, max_bytes: usize) -> Result<Bytes, ReadError<B::Error>>
where
    B: http_body::Body<Data = Bytes> + Unpin,
{
    read_budgeted(body, max_bytes, &Arc::new(Semaphore::new(Semaphore::MAX_PERMITS))).await
}

/// Reads an upstream's body whole, up to `max_bytes`, and takes a share of
/// `budget_kib` where it is large; the bytes keep it.
///
/// # Errors
/// See [`ReadError`].
pub async fn read_budgeted<B>(
    mut body: B,
    max_bytes: usize,
    budget_kib: &Arc<Semaphore>,
) -> Result<Bytes, ReadError<B::Error>>
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
    let mut share = Share::of(budget_kib);
    let mut whole = BytesMut::from(first.as_ref());
    while let Some(data) = second {
        let length = whole.len().saturating_add(data.len());
        if length > max_bytes {
            return Err(ReadError::TooLarge(max_bytes));
        }
        if !share.cover(length) {
            return Err(ReadError::Busy);
        }
        whole.extend_from_slice(&data);
        second = read_data(&mut body).await?;
    }
    Ok(budgeted(whole.freeze(), share.permit))
}

#[cfg(test)]
mod tests {
    use super::{BodyError, BodyLimits, Budgets, ReadError, Small, read_budgeted, receive};
    use crate::body_budgets::REQUEST_MIN_BYTES;
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
            spool_dir: std::env::temp_dir().join("keymoat-body-test"),
            budgets: Budgets::default(),
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

    fn kib(kib: usize) -> Arc<Semaphore> {
        Arc::new(Semaphore::new(kib))
    }

    #[tokio::test]
    async fn a_spooled_body_gives_its_shares_back() {
        let mut limits = limits(100, 4);
        limits.budgets.large_kib = kib(10);
        let received = receive(chunks(vec![b"0123456789", b"a"]), &limits).await.unwrap();
        assert_eq!(limits.budgets.large_kib.available_permits(), 9);
        drop(received);
        assert_eq!(limits.budgets.large_kib.available_permits(), 10);
    }

    /// A complete body counted against nothing while its call waited.
    #[tokio::test]
    async fn a_body_in_memory_keeps_its_share_for_as_long_as_its_bytes_last() {
        static PIECE: [u8; 32 << 10] = [b'x'; 32 << 10];
        let mut limits = limits(1 << 20, 1 << 20);
        limits.budgets.memory_kib = kib(192);
        let received = receive(chunks(vec![&PIECE; 8]), &limits).await.unwrap();
        assert_eq!(received.bytes.len(), 256 << 10);
        assert_eq!(limits.budgets.memory_kib.available_permits(), 0);
        // On its way upstream, after the call has let go of it.
        let sent = received.bytes.clone();
        drop(received);
        assert_eq!(limits.budgets.memory_kib.available_permits(), 0);
        drop(sent);
        assert_eq!(limits.budgets.memory_kib.available_permits(), 192);
    }

    #[tokio::test]
    async fn small_bodies_are_counted_too_while_they_last() {
        let mut limits = limits(100, 100);
        limits.budgets.small = Arc::new(Small::new(10_000));
        let small = || receive(Full::new(Bytes::from_static(b"hello")), &limits);
        let (one, pieces) = (small().await.unwrap(), chunks(vec![b"a", b"b"]));
        let two = receive(pieces, &limits).await.unwrap();
        assert_eq!(limits.budgets.small.held_bytes(), 2 * REQUEST_MIN_BYTES);
        assert!(matches!(small().await, Err(BodyError::Busy)));
        drop(one);
        assert!(small().await.is_ok());
        drop(two);
        assert_eq!(limits.budgets.small.held_bytes(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_kept_beyond_the_budgets() {
        static PIECE: [u8; 32 << 10] = [b'x'; 32 << 10];
        let mut limits = limits(1 << 20, 1 << 20);
        limits.budgets.memory_kib = kib(0);
        limits.budgets.disk_kib = kib(64);
        let spooled = receive(chunks(vec![&PIECE; 4]), &limits).await.unwrap();
        assert_eq!(spooled.bytes.len(), 128 << 10, "no room in memory: by way of the disk");
        let none_left = receive(chunks(vec![&PIECE; 5]), &limits).await;
        assert!(matches!(none_left, Err(BodyError::Busy)));
        limits.budgets.large_kib = kib(0);
        let no_memory = receive(chunks(vec![&PIECE; 4]), &limits).await;
        assert!(matches!(no_memory, Err(BodyError::Busy)));

        let answers = kib(64);
        let answer = read_budgeted(chunks(vec![&PIECE; 4]), 1 << 20, &answers).await.unwrap();
        assert_eq!((answer.len(), answers.available_permits()), (128 << 10, 0));
        let full = read_budgeted(chunks(vec![&PIECE; 4]), 1 << 20, &answers).await;
        assert!(matches!(full, Err(ReadError::Busy)));
        drop(answer);
        assert_eq!(answers.available_permits(), 64);
    }

    /// One byte now and then.
    struct Drip(Duration, Pin<Box<tokio::time::Sleep>>);

    impl http_body::Body for Drip {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<http_body::Frame<Bytes>, Infallible>>> {
            std::task::ready!(self.1.as_mut().poll(context));
            self.1 = Box::pin(tokio::time::sleep(self.0));
            Poll::Ready(Some(Ok(http_body::Frame::data(Bytes::from_static(b"x")))))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_stands_still_or_drips_is_not_waited_for() {
        for (every_s, given_up_s) in [(3600, 30), (1, 30)] {
            let started = tokio::time::Instant::now();
            let every = Duration::from_secs(every_s);
            let drip = Drip(every, Box::pin(tokio::time::sleep(every)));
            let received = receive(drip, &limits(1 << 20, 1 << 20)).await;
            assert!(matches!(received, Err(BodyError::TooSlow)));
            assert_eq!(started.elapsed().as_secs(), given_up_s);
        }
    }
}
