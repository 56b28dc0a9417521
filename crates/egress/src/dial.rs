//! From a site to a connection that speaks HTTP: resolve and vet, connect to a
//! vetted address and no other, TLS with the name, handshake.
//!
//! Never through a proxy that the environment names. A proxy that the operator
//! sets would come in at [`connect`]: it is a site of its own, connected to in
//! the same way, with a `CONNECT` before TLS.

use crate::error::{Error, Wait};
use crate::h1::H1;
use crate::h2::H2;
use crate::resolve::Resolve;
use crate::site::Site;
use crate::socket::Socket;
use crate::transport::Transport;
use crate::vet::VettedAddr;
use crate::{Certainty, settings::millis};
use base::Scheme;
use socket2::{SockRef, TcpKeepalive};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The next address is tried beside a slow one after this (RFC 8305, 5).
const HAPPY_EYEBALLS_DELAY: Duration = Duration::from_millis(250);

/// Routers on the way forget silent connections; models think for minutes.
const TCP_KEEPALIVE: Duration = Duration::from_secs(30);

/// What was agreed on.
pub(crate) enum Dialled {
    H1(Box<H1>),
    H2(H2),
}

/// Opens a connection within `connect_timeout_ms`.
pub(crate) async fn dial(
    site: &Site,
    resolver: &dyn Resolve,
    tls: &TlsConnector,
    connect_timeout_ms: u64,
) -> Result<Dialled, Error> {
    let opening = async {
        let transport = connect(site, resolver, tls).await?;
        let broken = |error| Error::from_hyper(&site.origin, error, Certainty::NothingSent);
        if transport.is_http2() {
            let connection = H2::handshake(transport, &site.streams_max).await;
            Ok(Dialled::H2(connection.map_err(broken)?))
        } else {
            Ok(Dialled::H1(H1::handshake(transport).await.map_err(broken)?))
        }
    };
    timeout(millis(connect_timeout_ms), opening)
        .await
        .unwrap_or_else(|_| Err(late(site, connect_timeout_ms)))
}

/// No connection in time.
pub(crate) fn late(site: &Site, connect_timeout_ms: u64) -> Error {
    site.forget_addresses();
    Error::Timeout {
        origin: site.origin.clone(),
        wait: Wait::Connect,
        after_ms: connect_timeout_ms,
        certainty: Certainty::NothingSent,
    }
}

async fn connect(
    site: &Site,
    resolver: &dyn Resolve,
    tls: &TlsConnector,
) -> Result<Transport, Error> {
    let addresses = site.addresses(resolver).await?;
    let stream = race(&addresses).await.map_err(|source| {
        site.forget_addresses();
        Error::Connect { origin: site.origin.clone(), source }
    })?;
    let stream = Socket::new(stream);
    if site.origin.scheme() == Scheme::Http {
        return Ok(Transport::Plain(stream));
    }
    let untrusted = |source| Error::Tls { origin: site.origin.clone(), source };
    let Some(name) = site.server_name.clone() else {
        return Err(untrusted(io::Error::other("no certificate can hold such a host name")));
    };
    let stream = tls.connect(name, stream).await.map_err(untrusted)?;
    Ok(Transport::Tls(Box::new(stream)))
}

/// The first of the addresses that answers, tried in the resolver's order with
/// the families taking turns (RFC 8305).
pub(crate) async fn race(addresses: &Arc<[VettedAddr]>) -> io::Result<TcpStream> {
    if let [only] = &**addresses {
        return open(*only).await;
    }
    let mut waiting = take_turns(addresses).into_iter();
    let mut attempts = JoinSet::new();
    let mut last = io::Error::other("the name has no address");
    loop {
        let next = waiting.next();
        let more = next.is_some();
        if let Some(address) = next {
            attempts.spawn(open(address));
        }
        let finished = if more {
            match timeout(HAPPY_EYEBALLS_DELAY, attempts.join_next()).await {
                Ok(finished) => finished,
                Err(_slow) => continue,
            }
        } else {
            attempts.join_next().await
        };
        match finished {
            Some(Ok(Ok(stream))) => return Ok(stream),
            Some(Ok(Err(error))) => last = error,
            Some(Err(error)) => last = io::Error::other(error),
            None if more => {}
            None => return Err(last),
        }
    }
}

fn take_turns(addresses: &[VettedAddr]) -> Vec<VettedAddr> {
    let first_is_v6 = addresses.first().is_some_and(|address| address.get().is_ipv6());
    let of = |wanted: bool| {
        addresses.iter().copied().filter(move |address| address.get().is_ipv6() == wanted)
    };
    let (mut first, mut second) = (of(first_is_v6), of(!first_is_v6));
    let mut order = Vec::with_capacity(addresses.len());
    loop {
        let pair = (first.next(), second.next());
        if pair == (None, None) {
            return order;
        }
        order.extend(pair.0);
        order.extend(pair.1);
    }
}

async fn open(address: VettedAddr) -> io::Result<TcpStream> {
    let address = address.get();
    #[expect(clippy::disallowed_methods, reason = "the one place that opens sockets")]
    let stream = TcpStream::connect(address).await?;
    if stream.peer_addr()? != address {
        return Err(io::Error::other("connected to another address than the vetted one"));
    }
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new().with_time(TCP_KEEPALIVE).with_interval(TCP_KEEPALIVE);
    SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
    Ok(stream)
}

#[cfg(test)]
mod tests {
    use super::take_turns;
    use crate::policy::Reach;
    use crate::vet::vet;

    #[test]
    fn address_families_take_turns() {
        let ips = ["2a00::1", "2a00::2", "2a00::3", "1.1.1.1"].map(|ip| ip.parse().unwrap());
        let order = take_turns(&vet(ips, 443, Reach::Public).unwrap());
        let order: Vec<_> = order.iter().map(|address| address.get().ip().to_string()).collect();
        assert_eq!(order, ["2a00::1", "1.1.1.1", "2a00::2", "2a00::3"]);
    }
}
