//! Ports of a command that people outside of its network can reach.

use crate::relay::{Counts, relay};
use sandbox::Door;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::net::TcpStream;

/// Listening sockets, and the way in.
pub(super) struct Published {
    listeners: Vec<TcpListener>,
    door: Option<Arc<Mutex<Door>>>,
}

impl Published {
    pub(super) fn new(listeners: Vec<TcpListener>, door: Option<Door>) -> Self {
        Self { listeners, door: door.map(|door| Arc::new(Mutex::new(door))) }
    }

    /// Starts a task for each socket. They end with the runtime.
    pub(super) fn serve(self) {
        let Some(door) = self.door else { return };
        for listener in self.listeners {
            tokio::spawn(accept(listener, Arc::clone(&door)));
        }
    }
}

async fn accept(listener: TcpListener, door: Arc<Mutex<Door>>) -> io::Result<()> {
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    loop {
        let (client, _) = listener.accept().await?;
        let door = Arc::clone(&door);
        tokio::spawn(async move {
            let connecting = move || -> io::Result<std::net::TcpStream> {
                let inside = door.lock().unwrap_or_else(PoisonError::into_inner).connect(port)?;
                inside.set_nonblocking(true)?;
                Ok(inside)
            };
            let inside =
                tokio::task::spawn_blocking(connecting).await.map_err(io::Error::other)??;
            relay(client, TcpStream::from_std(inside)?, &Counts::default()).await
        });
    }
}
