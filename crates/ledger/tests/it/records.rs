//! Records as JSON.

use base::{CallId, KeyHash, NanoUsd};
use ledger::{CostSource, Ending, Opened, RecordId, SpendRecord, UsageCounts};

fn id() -> RecordId {
    RecordId { call: CallId::new(1_774_348_740_123, [9; 10]), attempt: 2 }
}

#[test]
fn a_record_survives_json_and_leaves_out_what_is_empty() {
    let record = SpendRecord {
        request_id: "chatcmpl-1".into(),
        ending: Ending::Complete,
        status: 200,
        cost: NanoUsd(12_500_000),
        cost_source: CostSource::Computed,
        usage: UsageCounts { input: 10, output: 5, ..UsageCounts::default() },
        key_hash: Some(KeyHash([3; 32])),
        tags: vec!["a".into(), "b\"\n".into()],
        ..SpendRecord::new(id(), 1_774_348_740_123)
    };
    let json = serde_json::to_string(&record).unwrap();
    assert_eq!(serde_json::from_str::<SpendRecord>(&json).unwrap(), record);
    assert!(json.contains(r#""cost":12500000,"cost_source":"computed""#), "{json}");
    assert!(!json.contains("null") && !json.contains("reasoning"), "{json}");
}

#[test]
fn a_record_from_another_version_is_read_and_an_unknown_ending_is_not_guessed() {
    let least = r#"{"id":"019d1f6d-261b-7909-8909-090909090909.2","start_ms":5,"new_field":1}"#;
    let record: SpendRecord = serde_json::from_str(least).unwrap();
    assert_eq!((record.id, record.ending, record.cost), (id(), Ending::Crashed, NanoUsd::ZERO));
    assert_eq!(record.charged_ms(), 5);
    let strange = r#"{"id":"019d1f6d-261b-7909-8909-090909090909.2","start_ms":5,"ending":"x"}"#;
    assert!(serde_json::from_str::<SpendRecord>(strange).is_err());
}

#[test]
fn what_was_let_through_and_never_ended_is_charged_in_full() {
    let opened: Opened = serde_json::from_str(
        r#"{"id":"019d1f6d-261b-7909-8909-090909090909.2","reserved":70,"reserved_ms":4,
            "start_ms":5,"user_id":"u","model_group":"m"}"#,
    )
    .unwrap();
    let record = opened.crashed(9);
    assert_eq!((record.cost, record.cost_source), (NanoUsd(70), CostSource::Estimated));
    assert_eq!((record.ending, record.charged_ms(), record.end_ms), (Ending::Crashed, 4, 9));
    assert_eq!((record.user_id.as_deref(), &*record.model_group), (Some("u"), "m"));
    assert!(!record.ending.is_success());
}
