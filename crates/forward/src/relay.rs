//! Bytes between two sockets, counted.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PIECE: usize = 64 << 10;
/// A direction that has ended gives the other one this long without a byte.
const HALF_CLOSED_MAX: Duration = Duration::from_mins(1);

/// Bytes of both directions.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) up: AtomicU64,
    pub(crate) down: AtomicU64,
    /// Bytes that may still go up, shared by the connections of one budget.
    pub(crate) left: Option<Arc<AtomicU64>>,
}

impl Counts {
    /// Counts `length` bytes up.
    ///
    /// # Errors
    /// The budget does not cover them: they must not be sent.
    pub(crate) fn send_up(&self, length: usize) -> io::Result<()> {
        if let Some(left) = &self.left {
            let paid = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(length as u64)
            });
            paid.map_err(|_| io::ErrorKind::QuotaExceeded)?;
        }
        self.up.fetch_add(length as u64, Ordering::Relaxed);
        Ok(())
    }

    fn send_down(&self, length: usize) {
        self.down.fetch_add(length as u64, Ordering::Relaxed);
    }
}

/// Copies both ways until both have ended, or one has failed.
///
/// # Errors
/// `QuotaExceeded` if the budget for what goes up was used up.
pub(crate) async fn relay(
    mut client: TcpStream,
    mut server: TcpStream,
    counts: &Counts,
) -> io::Result<()> {
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let up = copy(from_client, to_server, |length| counts.send_up(length));
    let down = copy(from_server, to_client, |length| {
        counts.send_down(length);
        Ok(())
    });
    tokio::pin!(up, down);
    // A failure ends the other direction with it: the sockets are dropped.
    tokio::select! {
        ended = &mut up => {
            ended?;
            rest(down, &counts.down).await
        }
        ended = &mut down => {
            ended?;
            rest(up, &counts.up).await
        }
    }
}

/// Waits for the other direction as long as bytes come.
async fn rest(
    mut other: std::pin::Pin<&mut impl Future<Output = io::Result<()>>>,
    count: &AtomicU64,
) -> io::Result<()> {
    loop {
        let before = count.load(Ordering::Relaxed);
        match timeout(HALF_CLOSED_MAX, &mut other).await {
            Ok(ended) => return ended,
            Err(_) if count.load(Ordering::Relaxed) == before => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            Err(_) => {}
        }
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    counted: impl Fn(usize) -> io::Result<()>,
) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        let length = from.read(&mut piece).await?;
        if length == 0 {
            return to.shutdown().await;
        }
        counted(length)?;
        to.write_all(piece.get(..length).unwrap_or_default()).await?;
    }
}
