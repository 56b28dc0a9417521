//! A plain connection to a host, for those who forward bytes that are not theirs.
//!
//! The same way as for requests: resolved once, every address vetted, connected to
//! a vetted address. Which hosts may be named is decided by the caller.

use crate::dial::race;
use crate::resolve::Resolve;
use crate::vet::{BadAddr, vet_with};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A tunnel that was not opened. No byte was sent.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The name has no address.
    #[error("the name could not be resolved: {0}")]
    Resolve(io::Error),
    /// The name resolves to an address that must not be reached.
    #[error("the name resolves to {0}, {1}")]
    Address(IpAddr, base::address::Kind),
    /// No address answered.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// It took longer than allowed.
    #[error("no connection in time")]
    Timeout,
}

/// Opens a connection to `host`: to public addresses, and to loopback, private and
/// reserved ones that `may_reach` accepts. Metadata, link-local and multicast addresses
/// are never reached.
///
/// # Errors
/// The name has no address, a bad one, or none that answers within `time`.
pub async fn tunnel(
    host: &str,
    port: u16,
    may_reach: impl Fn(IpAddr) -> bool,
    resolver: &dyn Resolve,
    time: Duration,
) -> Result<TcpStream, TunnelError> {
    let opening = async {
        let found = resolver.resolve(host).await.map_err(TunnelError::Resolve)?;
        if found.is_empty() {
            return Err(TunnelError::Resolve(io::Error::other("no address")));
        }
        let vetted = vet_with(found, port, may_reach)
            .map_err(|BadAddr { ip, kind }| TunnelError::Address(ip, kind))?;
        race(&Arc::from(vetted)).await.map_err(TunnelError::Connect)
    };
    timeout(time, opening).await.unwrap_or(Err(TunnelError::Timeout))
}

#[cfg(test)]
mod tests {
    use super::{TunnelError, tunnel};
    use crate::resolve::{Resolve, Resolving};
    use std::net::IpAddr;
    use std::time::Duration;

    struct Fixed(&'static [&'static str]);

    impl Resolve for Fixed {
        fn resolve(&self, _host: &str) -> Resolving {
            let found = self.0.iter().map(|ip| ip.parse().unwrap()).collect();
            Box::pin(async move { Ok(found) })
        }
    }

    async fn refused(answer: &'static [&'static str], may_reach: fn(IpAddr) -> bool) -> bool {
        let result =
            tunnel("h.example", 9, may_reach, &Fixed(answer), Duration::from_secs(1)).await;
        matches!(result, Err(TunnelError::Address(..)))
    }

    #[tokio::test]
    async fn inner_addresses_need_a_rule_that_names_them() {
        assert!(refused(&["127.0.0.1"], |_| false).await);
        assert!(refused(&["10.1.2.3"], |_| false).await);
        assert!(refused(&["8.8.8.8", "10.1.2.3"], |_| false).await);
        assert!(!refused(&["127.0.0.1"], |ip| ip.is_loopback()).await);
        assert!(refused(&["203.0.113.1"], |_| false).await);
        for metadata in
            [&["169.254.169.254"][..], &["fd00:ec2::254"], &["169.254.1.1"], &["0.0.0.0"]]
        {
            assert!(refused(metadata, |_| true).await, "{metadata:?}");
        }
    }
}
