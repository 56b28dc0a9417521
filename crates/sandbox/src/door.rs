//! Way in for the launcher: connections to ports that the command has opened on its
//! own loopback, which nobody outside of its network can reach.
//!
//! A process of the sandbox, as confined as the command, connects and hands the
//! socket out. It connects to the loopback and nowhere else.

use crate::channel::Channel;
use crate::sys;
use std::io;
use std::net::TcpStream;

/// Launcher's side.
pub struct Door(Channel);

const CONNECTED: &[u8] = b"+";

impl Door {
    pub(crate) fn pair() -> io::Result<(Self, Channel)> {
        let (ours, theirs) = Channel::pair()?;
        Ok((Self(ours), theirs))
    }

    /// Connects to `port` on the command's loopback. Blocks for a moment.
    ///
    /// # Errors
    /// Nothing listens there, or the command has ended.
    pub fn connect(&mut self, port: u16) -> io::Result<TcpStream> {
        self.0.send(&port.to_le_bytes())?;
        if self.0.receive()? != CONNECTED {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let socket = self.0.receive_descriptors()?.into_iter().next();
        socket.map(TcpStream::from).ok_or_else(|| io::ErrorKind::ConnectionAborted.into())
    }
}

/// Runs the process of the sandbox. Does not return.
pub(crate) fn serve(mut channel: Channel) -> ! {
    // Ends with the launcher, or with the sandbox.
    while let Ok(asked) = channel.receive() {
        let Ok(port) = <[u8; 2]>::try_from(asked.as_slice()).map(u16::from_le_bytes) else { break };
        let done = match sys::connect_to_loopback(port) {
            Ok(socket) => {
                channel.send(CONNECTED).and_then(|()| channel.send_descriptors(&[socket]))
            }
            Err(_) => channel.send(b"-"),
        };
        if done.is_err() {
            break;
        }
    }
    sys::exit_now(0)
}
