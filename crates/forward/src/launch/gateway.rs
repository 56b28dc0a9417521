//! The gateway that a command's model clients are to call: variables that name it,
//! and the way to it.
//!
//! A gateway in plain HTTP is reached at a port of the command's own loopback, from
//! which bytes are passed on. One with TLS is reached through the proxy.

use super::LaunchError;
use crate::relay::{Counts, relay};
use crate::rule::Rule;
use base::{Origin, Scheme};
use egress::SystemResolver;
use std::ffi::OsString;
use std::net::TcpListener;
use std::time::Duration;
use tokio::net::TcpStream;

/// Port of the gateway on the command's loopback.
const PORT: u16 = 4000;
/// Time to connect to the gateway.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A gateway, and a virtual key for the command.
#[derive(Clone)]
pub struct Gateway {
    origin: Origin,
    path: String,
    key: String,
}

impl Gateway {
    /// Takes the base URL of a gateway and a virtual key.
    ///
    /// # Errors
    /// `url` is no base URL.
    pub fn new(url: &str, key: String) -> Result<Self, LaunchError> {
        let (origin, path) = Origin::parse_base(url)
            .map_err(|error| LaunchError::Ask(format!("--gateway {url}: {error}")))?;
        Ok(Self { origin, path, key })
    }

    /// Port that the command needs on its loopback.
    pub(super) fn port(&self) -> Option<u16> {
        (self.origin.scheme() == Scheme::Http).then_some(PORT)
    }

    /// Rule of the proxy that the command needs.
    pub(super) fn rule(&self) -> Result<Option<Rule>, LaunchError> {
        if self.port().is_some() {
            return Ok(None);
        }
        // The operator named it: it may be in a private network.
        let (host, port) = (self.origin.host(), self.origin.port());
        let rule = format!("{host}:{port}@0.0.0.0/0,::/0").parse();
        rule.map(Some).map_err(|error| LaunchError::Ask(format!("--gateway: {error}")))
    }

    /// Base URL inside the sandbox.
    fn url(&self) -> String {
        match self.port() {
            Some(port) => format!("http://127.0.0.1:{port}{}", self.path),
            None => format!("https://{}{}", self.origin.authority(), self.path),
        }
    }

    /// Variables that clients of models read.
    pub(super) fn variables(&self) -> Vec<(OsString, OsString)> {
        let base = self.url();
        let versioned = format!("{base}/v1");
        [
            ("OPENAI_BASE_URL", &versioned),
            ("OPENAI_API_BASE", &versioned),
            ("OPENAI_API_KEY", &self.key),
            ("ANTHROPIC_BASE_URL", &base),
            ("ANTHROPIC_API_KEY", &self.key),
            ("ANTHROPIC_AUTH_TOKEN", &self.key),
        ]
        .map(|(name, value)| (name.into(), value.into()))
        .to_vec()
    }

    /// For people.
    pub(super) fn shown(&self) -> String {
        format!("{} (at {} inside)", self.origin.authority(), self.url())
    }

    /// Passes connections on for as long as it is polled.
    pub(super) async fn serve(self, listener: TcpListener) -> std::io::Result<()> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (client, _) = listener.accept().await?;
            tokio::spawn(pass_on(self.origin.clone(), client));
        }
    }
}

async fn pass_on(origin: Origin, client: TcpStream) {
    let (host, port) = (origin.host(), origin.port());
    let opened = egress::tunnel(host, port, |_| true, &SystemResolver, CONNECT_TIME).await;
    if let Ok(server) = opened {
        drop(relay(client, server, &Counts::default()).await);
    }
}

#[cfg(test)]
mod tests {
    use super::Gateway;

    #[test]
    fn plain_gateways_are_at_a_port_and_others_behind_the_proxy() {
        let shown = |url: &str| {
            let gateway = Gateway::new(url, "sk-x".to_owned()).unwrap();
            let rule = gateway.rule().unwrap().map(|rule| rule.to_string());
            (gateway.port(), rule, gateway.url())
        };
        let plain = (Some(4000), None, "http://127.0.0.1:4000/llm".to_owned());
        assert_eq!(shown("http://127.0.0.1:9000/llm/"), plain);
        let tls = (None, Some("gw.example".to_owned()), "https://gw.example".to_owned());
        assert_eq!(shown("https://gw.example"), tls);
        assert!(Gateway::new("https://10.0.0.1", String::new()).unwrap().rule().is_err());
        assert!(Gateway::new("gw.example", String::new()).is_err());
    }
}
