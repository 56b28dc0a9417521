//! Who listens and who talks to whom, from `/proc/net` and the open files of
//! processes. No socket is opened.

use super::Host;
use crate::files;
use crate::machine::process::Process;
use std::collections::HashMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The tables are shorter, in bytes.
const TABLE_MAX_BYTES: u64 = 64 << 20;

/// What a socket is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Doing {
    /// Waits for others.
    Listens,
    /// Is connected, or about to be.
    Talks,
}

/// A socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Socket {
    /// What it is doing.
    pub(crate) doing: Doing,
    /// This end.
    pub(crate) local: SocketAddr,
    /// The other end.
    pub(crate) remote: SocketAddr,
    inode: u64,
}

/// Every TCP socket of the machine, or why they cannot be listed.
pub(crate) fn all(host: &Host) -> Result<Vec<Socket>, String> {
    let mut found = Vec::new();
    let mut problem = None;
    for table in ["tcp", "tcp6"] {
        match files::bytes(&host.path("/proc/net").join(table), TABLE_MAX_BYTES) {
            Ok(bytes) => found.extend(String::from_utf8_lossy(&bytes).lines().filter_map(row)),
            Err(why) if table == "tcp" => problem = Some(why),
            Err(_) => {}
        }
    }
    found.sort();
    match problem {
        Some(why) => Err(why),
        None => Ok(found),
    }
}

/// `0: 0100007F:1F90 00000000:0000 0A … uid timeout inode …`
fn row(line: &str) -> Option<Socket> {
    let mut fields = line.split_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let doing = match fields.next()? {
        "0A" => Doing::Listens,
        "01" | "02" | "03" => Doing::Talks,
        _ => return None,
    };
    let inode = fields.nth(5)?.parse().ok()?;
    Some(Socket { doing, local, remote, inode })
}

/// The kernel prints each word of an address in the machine's own order.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |at: usize| u32::from_str_radix(ip.get(at * 8..at * 8 + 8)?, 16).ok();
    let ip = match ip.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?.to_ne_bytes())),
        32 => {
            let mut bytes = [0; 16];
            for (at, chunk) in bytes.chunks_exact_mut(4).enumerate() {
                chunk.copy_from_slice(&word(at)?.to_ne_bytes());
            }
            Ipv6Addr::from(bytes).to_canonical()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

/// Which of `processes` holds each socket, by its place in `sockets`.
pub(crate) fn holders<'p>(
    sockets: &[Socket],
    processes: &'p [Process],
) -> HashMap<usize, &'p Process> {
    let by_inode: HashMap<u64, usize> =
        sockets.iter().enumerate().map(|(at, socket)| (socket.inode, at)).collect();
    let mut held = HashMap::new();
    for process in processes {
        for entry in fs::read_dir(process.path("fd")).into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(entry.path()) else { continue };
            let inode = target
                .to_str()
                .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok());
            if let Some(at) = inode.and_then(|inode: u64| by_inode.get(&inode)) {
                held.insert(*at, process);
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_rows_are_read() {
        if cfg!(target_endian = "big") {
            return;
        }
        let listens = row("   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0").unwrap();
        assert_eq!(listens.doing, Doing::Listens);
        assert_eq!(listens.local.to_string(), "127.0.0.1:8080");
        assert_eq!(listens.inode, 4242);
        let mapped = row("1: 0000000000000000FFFF00000B D18E53:01BB").is_none();
        assert!(mapped, "a torn row is none");
        let v6 = address("0000000000000000FFFF00000BD18E53:01BB");
        assert_eq!(v6.map(|a| a.to_string()), Some("83.142.209.11:443".to_owned()));
        assert_eq!(row("  sl  local_address rem_address   st"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_row_panics(line in "[0-9A-F: é]{0,80}") {
            let _read = row(&line);
        }
    }
}
