//! Names to addresses. Says nothing about whether they may be used: that is
//! `vet`'s, for every answer.

use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;

/// An answer on its way.
pub type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Who turns host names into addresses.
pub trait Resolve: Send + Sync {
    /// Every address of `host`, which is never an address itself.
    fn resolve(&self, host: &str) -> Resolving;
}

/// The system's own resolver (`getaddrinfo`, on the blocking pool): hosts file,
/// search domains and address preference as the machine's owner set them.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, host: &str) -> Resolving {
        let host = host.to_owned();
        Box::pin(async move {
            #[expect(clippy::disallowed_methods, reason = "this is egress")]
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|addr| addr.ip()).collect())
        })
    }
}
