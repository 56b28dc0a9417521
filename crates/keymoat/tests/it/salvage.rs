//! `keymoat ledger salvage`, on a data directory whose gateway is stopped.

use crate::victim::Victim;
use base::{CallId, Clock, NanoUsd, SystemClock};
use ledger::{Ending, RecordId, SpendRecord};
use std::fs;
use std::sync::Arc;
use store::{DataDir, Settings, open};

#[test]
fn what_was_set_aside_is_shown_and_put_in_once() {
    let victim = Victim::new("salvage");
    let shown = victim.refuses(&["ledger", "salvage", "--data", "nowhere"]);
    assert!(shown.contains("nowhere") && shown.contains("--data"), "{shown}");
    fs::create_dir_all(victim.0.join("data")).unwrap();
    assert!(victim.does(&["ledger", "salvage"]).contains("Nothing was set aside"));
    let shown = victim.refuses(&["ledger", "salvage", "--import"]);
    assert!(shown.contains("keymoat.db"), "{shown}");

    let spool = victim.0.join("data/spool");
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let start = || {
        let dir = DataDir::open(&victim.0.join("data")).unwrap();
        open(dir, Settings::default(), &clock, Box::new(|_| ())).unwrap()
    };
    let state = start();
    for attempt in 0..3 {
        let id = RecordId { call: CallId::new(1_774_348_740_123, [9; 10]), attempt };
        let (cost, ending) = (NanoUsd(1_500_000_000), Ending::Complete);
        let record = SpendRecord { cost, ending, ..SpendRecord::new(id, 5) };
        drop(state.journal.settle(&record).unwrap());
    }
    let mut bytes = fs::read(spool.join("0000000000000001.spool")).unwrap();
    state.close();
    fs::remove_file(victim.0.join("data/keymoat.db")).unwrap();
    // The second entry loses two bits.
    let at = bytes.len() / 3 + 40;
    bytes[at] ^= 0x11;
    fs::write(spool.join("0000000000000001.damaged"), &bytes).unwrap();
    start().close();

    let shown = victim.answers(1, &["ledger", "salvage"]);
    assert!(shown.contains("2 records can be read, $3 in all"), "{shown}");
    let part = format!("  at {}, {} bytes: unreadable", bytes.len() / 3, bytes.len() / 3);
    assert!(shown.contains(&part) && shown.contains("--import"), "{shown}");
    for (new, known) in [(2, 0), (0, 2)] {
        let json = victim.answers(1, &["ledger", "salvage", "--import", "--json"]);
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        let imported = serde_json::json!({"new": new, "corrected": 0, "known": known});
        assert_eq!(json.get("imported"), Some(&imported));
    }

    // Not beside a gateway, which would not count what is put in.
    let state = start();
    let shown = victim.refuses(&["ledger", "salvage", "--import"]);
    assert!(shown.contains("in use"), "{shown}");
    state.close();
}
