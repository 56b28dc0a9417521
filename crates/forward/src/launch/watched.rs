//! Attempts to go around the proxy, from the sandbox's network into the log.

use crate::decision::{Decision, Kind, Verdict};
use crate::log::DecisionLog;
use sandbox::Attempt;
use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Different attempts that are logged; a flood of others is counted only.
const LOGGED_MAX: usize = 10_000;

/// Pause after an error, of which the network's end is one.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// Logs each attempt once: programs repeat packets that nobody answers.
pub(super) struct Watched {
    packets: Option<UdpSocket>,
    log: DecisionLog,
    seen: Mutex<HashSet<Attempt>>,
}

impl Watched {
    pub(super) fn new(packets: Option<std::net::UdpSocket>, log: DecisionLog) -> Self {
        let packets = packets.and_then(|packets| UdpSocket::from_std(packets).ok());
        Self { packets, log, seen: Mutex::default() }
    }

    /// Logs attempts for as long as it is polled.
    pub(super) async fn run(&self) {
        let Some(packets) = &self.packets else { return std::future::pending().await };
        let mut packet = [0; Attempt::PACKET_MAX];
        loop {
            match packets.recv(&mut packet).await {
                Ok(length) => self.note(packet.get(..length).unwrap_or_default()),
                Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
            }
        }
    }

    /// Logs what is waiting.
    pub(super) async fn rest(&self) {
        drop(timeout(Duration::from_millis(1), self.run()).await);
    }

    fn note(&self, packet: &[u8]) {
        let Some(attempt) = Attempt::from_packet(packet) else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= LOGGED_MAX || !seen.insert(attempt.clone()) {
            return;
        }
        let address = attempt.address.to_string();
        let mut decision = Decision::new(Kind::Direct, Verdict::Refused, address, attempt.port)
            .because("past the proxy");
        decision.protocol = Some(attempt.protocol);
        decision.name = attempt.name;
        self.log.write(&decision);
    }
}
