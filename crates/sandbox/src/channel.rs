//! Messages between the two sides of the fork: a length, then bytes. Ends when
//! either side ends.

use crate::sys;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

/// Bytes of a message, more than any has.
const MESSAGE_MAX: usize = 64 << 10;

/// One end.
pub(crate) struct Channel(UnixStream);

impl Channel {
    pub(crate) fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = UnixStream::pair()?;
        Ok((Self(one), Self(other)))
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
        self.0.write_all(&length.to_le_bytes())?;
        self.0.write_all(bytes)
    }

    pub(crate) fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut length = [0; 4];
        self.0.read_exact(&mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > MESSAGE_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    pub(crate) fn send_descriptors(&mut self, fds: &[OwnedFd]) -> io::Result<()> {
        let raw: Vec<_> = fds.iter().map(AsRawFd::as_raw_fd).collect();
        sys::send_descriptors(self.0.as_fd(), &raw)
    }

    pub(crate) fn receive_descriptors(&mut self) -> io::Result<Vec<OwnedFd>> {
        sys::receive_descriptors(self.0.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use super::Channel;
    use std::io::{Read as _, Write as _};

    #[test]
    fn messages_and_descriptors_arrive() {
        let (mut one, mut other) = Channel::pair().unwrap();
        let (reader, writer) = std::io::pipe().unwrap();
        one.send(b"hello").unwrap();
        one.send_descriptors(&[reader.into()]).unwrap();
        one.send(b"").unwrap();
        assert_eq!(other.receive().unwrap(), b"hello");
        let fds = other.receive_descriptors().unwrap();
        assert_eq!(other.receive().unwrap(), b"");
        let mut writer = writer;
        writer.write_all(b"x").unwrap();
        drop(writer);
        let mut file = std::fs::File::from(fds.into_iter().next().unwrap());
        let mut text = String::new();
        file.read_to_string(&mut text).unwrap();
        assert_eq!(text, "x");
        drop(one);
        assert!(other.receive().is_err());
    }
}
