//! Records as bytes.

use base::{CallId, KeyHash, NanoUsd};
use ledger::{CostSource, Ending, Opened, RecordId, SpendRecord, Timing, UsageCounts};
use proptest::prelude::*;
use std::sync::Arc;

fn id() -> RecordId {
    RecordId { call: CallId::new(1_774_348_740_123, [9; 10]), attempt: 2 }
}

fn record() -> SpendRecord {
    SpendRecord {
        request_id: "chatcmpl-1".into(),
        ending: Ending::Complete,
        status: 200,
        error_class: Some("".into()),
        cost: NanoUsd(-12_500_000),
        cost_source: CostSource::Computed,
        usage: UsageCounts { input: 10, output: 5, searches: u64::MAX, ..UsageCounts::default() },
        model_group: "gpt-é".into(),
        key_hash: Some(KeyHash([3; 32])),
        tags: vec!["a".into(), "b\"\n".into(), "".into()],
        end_ms: i64::MIN,
        first_byte_ms: Some(i64::MAX),
        session_id: Some("s".into()),
        cache_hit: true,
        timing: Timing {
            streamed: true,
            total_us: 1_000_000,
            upstream_us: u64::MAX,
            first_byte_us: Some(0),
            overhead_us: 900,
        },
        ..SpendRecord::new(id(), 1_774_348_740_123)
    }
}

fn bytes(record: &SpendRecord) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

#[test]
fn a_record_comes_back_as_it_was_written_whatever_it_is_compared_with() {
    let empty = SpendRecord::new(id(), 5);
    for record in [record(), empty.clone()] {
        for like in [None, Some(&empty), Some(&record)] {
            assert_eq!(SpendRecord::decode(id(), &bytes(&record), like).as_ref(), Some(&record));
        }
    }
    assert!(bytes(&empty).len() < 60, "{}", bytes(&empty).len());
}

#[test]
fn texts_of_the_record_before_are_shared() {
    let before = record();
    let after = SpendRecord::decode(id(), &bytes(&before), Some(&before)).unwrap();
    assert!(Arc::ptr_eq(&before.model_group, &after.model_group));
    assert!(Arc::ptr_eq(&before.tags[1], &after.tags[1]));
}

#[test]
fn fields_that_an_older_version_lacks_are_empty_and_those_of_a_newer_one_are_left() {
    let untimed = SpendRecord { timing: Timing::default(), ..record() };
    let whole = bytes(&untimed);
    // A byte for each of five numbers, and one for what stands before them.
    for (cut, cache_hit) in [(5, true), (6, false)] {
        let older = SpendRecord::decode(id(), &whole[..whole.len() - cut], None).unwrap();
        assert_eq!(older, SpendRecord { cache_hit, ..untimed.clone() });
    }
    let whole = bytes(&record());
    let newer = [&whole[..], &[1, 2, 3]].concat();
    assert_eq!(SpendRecord::decode(id(), &newer, None), Some(record()));
    let mut strange = bytes(&SpendRecord::new(id(), 5));
    strange[2] = 99;
    assert_eq!(SpendRecord::decode(id(), &strange, None), None, "no ending is guessed");
}

#[test]
fn names_of_any_length_make_a_record_that_can_be_written_down() {
    let long: Arc<str> = "é".repeat(1 << 20).into();
    let mut full = record();
    for text in [
        &mut full.request_id,
        &mut full.call_type,
        &mut full.model_group,
        &mut full.upstream_model,
        &mut full.deployment_id,
        &mut full.provider,
        &mut full.api_base,
    ] {
        *text = Arc::clone(&long);
    }
    for text in [
        &mut full.error_class,
        &mut full.price_version,
        &mut full.credential_id,
        &mut full.key_alias,
        &mut full.user_id,
        &mut full.end_user,
        &mut full.team_id,
        &mut full.organization_id,
        &mut full.requester_ip,
        &mut full.session_id,
    ] {
        *text = Some(Arc::clone(&long));
    }
    full.tags = vec![Arc::clone(&long); 1000];
    let written = bytes(&full);
    assert!(written.len() < 1 << 20, "{}", written.len());
    let read = SpendRecord::decode(id(), &written, None).unwrap();
    assert_eq!((&*read.model_group, read.tags.len()), (&*"é".repeat(2048), 128));
    assert_eq!((read.cost, read.timing), (full.cost, full.timing));
    let opened = Opened {
        id: id(),
        key_hash: None,
        user_id: Some(Arc::clone(&long)),
        team_id: Some(Arc::clone(&long)),
        organization_id: Some(Arc::clone(&long)),
        end_user: Some(Arc::clone(&long)),
        reserved: NanoUsd(7),
        reserved_ms: 1,
        start_ms: 2,
        call_type: Arc::clone(&long),
        model_group: Arc::clone(&long),
        upstream_model: Arc::clone(&long),
        deployment_id: Arc::clone(&long),
        provider: Arc::clone(&long),
        request_id: long,
    };
    let mut written = Vec::new();
    opened.encode(&mut written);
    assert!(written.len() < 1 << 20, "{}", written.len());
    assert_eq!(Opened::decode(id(), &written).unwrap().reserved, NanoUsd(7));
}

#[test]
fn endings_and_sources_keep_their_numbers() {
    let numbers: Vec<u64> = Ending::ALL.iter().map(|ending| *ending as u64).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 10, 11]);
    for ending in Ending::ALL {
        let record = SpendRecord { ending, ..record() };
        assert_eq!(SpendRecord::decode(id(), &bytes(&record), None), Some(record));
    }
    assert!(CostSource::ALL.iter().enumerate().all(|(place, source)| *source as usize == place));
    let words: Vec<&str> = Ending::ALL.iter().map(|ending| ending.as_str()).collect();
    let json = serde_json::to_string(&Ending::ALL).unwrap();
    assert_eq!(serde_json::from_str::<Vec<&str>>(&json).unwrap(), words);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes: Vec<u8>) {
        let _ = SpendRecord::decode(id(), &bytes, None);
        let _ = Opened::decode(id(), &bytes);
    }

    #[test]
    fn numbers_come_back(
        input: u64, cost: i64, start_ms: i64, end_ms: i64, first_byte_ms: Option<i64>,
    ) {
        let record = SpendRecord {
            cost: NanoUsd(cost),
            usage: UsageCounts { input, ..UsageCounts::default() },
            end_ms,
            first_byte_ms,
            ..SpendRecord::new(id(), start_ms)
        };
        prop_assert_eq!(SpendRecord::decode(id(), &bytes(&record), None), Some(record));
    }
}

#[test]
fn what_was_let_through_and_never_ended_is_charged_in_full() {
    let opened: Opened = serde_json::from_str(
        r#"{"id":"019d1f6d-261b-7909-8909-090909090909.2","reserved":70,"reserved_ms":4,
            "start_ms":5,"user_id":"u","model_group":"m"}"#,
    )
    .unwrap();
    let mut bytes = Vec::new();
    opened.encode(&mut bytes);
    assert_eq!(Opened::decode(opened.id, &bytes).as_ref(), Some(&opened));
    let named = Opened { request_id: "my-call".into(), ..opened.clone() };
    let mut longer = Vec::new();
    named.encode(&mut longer);
    assert_eq!(&*Opened::decode(named.id, &longer).unwrap().crashed(9).request_id, "my-call");
    // As an earlier version wrote it.
    assert_eq!(Opened::decode(opened.id, &bytes[..bytes.len() - 1]).as_ref(), Some(&opened));
    let record = opened.crashed(9);
    assert_eq!(*record.request_id, *record.id.call.to_string());
    assert_eq!((record.cost, record.cost_source), (NanoUsd(70), CostSource::Estimated));
    assert_eq!((record.ending, record.charged_ms(), record.end_ms), (Ending::Crashed, 4, 9));
    assert_eq!((record.user_id.as_deref(), &*record.model_group), (Some("u"), "m"));
    assert!(!record.ending.is_success());
}
