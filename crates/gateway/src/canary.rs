//! Canaries: virtual keys that stand where thieves look and nowhere else.
//!
//! Whoever presents one has read what is nobody's to read. It is refused in
//! the words for a key that does not exist, whatever else it was given, and
//! its use is told three times: a line in the log, a record, and (from the
//! record) a metric. Not on the path of other keys.

use crate::gateway::Gateway;
use crate::principal::Asker;
use base::CallId;
use http::{StatusCode, header};
use ledger::{Ending, RecordId, SpendRecord, VirtualKey};
use std::sync::{Arc, Mutex, PoisonError};

/// The `error_class` of such a record.
pub const ERROR_CLASS: &str = "canary";
/// One thief who tries often is told of once in this time, in milliseconds.
const QUIET_MS: i64 = 1000;
/// Of a user agent that is shown, in characters.
const AGENT_MAX_CHARS: usize = 120;

/// The address of a client, in a request's extensions where it is answered by
/// others than the pipeline.
#[derive(Clone, Debug)]
pub struct ClientIp(pub Arc<str>);

/// The last alarm, so that a flood of them does not fill the disk.
#[derive(Default)]
pub(crate) struct Watch(Mutex<Option<(String, i64)>>);

impl Watch {
    /// Whether this use is told, or is one more of the same.
    fn is_new(&self, who: String, now_ms: i64) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let again = last
            .as_ref()
            .is_some_and(|(before, at_ms)| *before == who && (now_ms - at_ms).abs() < QUIET_MS);
        if !again {
            *last = Some((who, now_ms));
        }
        !again
    }
}

/// Tells that `key`, a canary, was presented.
pub(crate) fn alarm(gateway: &Gateway, key: &VirtualKey, asker: &Asker<'_>) {
    let now_ms = gateway.clock.unix_ms();
    let from = asker.client_ip.unwrap_or("unknown");
    if !gateway.canaries.is_new(format!("{} {from}", key.hash), now_ms) {
        return;
    }
    let agent = asker.headers.get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    let agent: String = agent.unwrap_or("none").chars().take(AGENT_MAX_CHARS).collect();
    let alias = key.alias.as_deref().unwrap_or_default();
    tracing::error!(
        key = %key.hash,
        alias,
        peer = from,
        user_agent = %agent,
        path = asker.path,
        "CANARY: a decoy key was used. Somebody has read the file it stood in; start with \
         `keymoat incident open`, and see `keymoat canary list`"
    );
    let record = SpendRecord {
        ending: Ending::Refused,
        status: StatusCode::UNAUTHORIZED.as_u16(),
        error_class: Some(ERROR_CLASS.into()),
        call_type: asker.path.into(),
        key_hash: Some(key.hash),
        key_alias: key.alias.as_deref().map(Into::into),
        requester_ip: asker.client_ip.map(Into::into),
        tags: vec![format!("user-agent: {agent}").into()],
        ..SpendRecord::new(
            RecordId { call: CallId::new(now_ms, gateway.dice.ten_bytes()), attempt: 0 },
            now_ms,
        )
    };
    if let Err(error) = gateway.journal.settle(&record) {
        tracing::error!(%error, "the use of a canary could not be written down");
    }
}

#[cfg(test)]
mod tests {
    use super::Watch;

    #[test]
    fn a_flood_is_told_once_a_second_and_another_thief_at_once() {
        let watch = Watch::default();
        let told = [("a", 0), ("a", 500), ("b", 600), ("a", 700), ("a", 1800)]
            .map(|(who, at_ms)| watch.is_new(who.to_owned(), at_ms));
        assert_eq!(told, [true, false, true, true, true]);
    }
}
