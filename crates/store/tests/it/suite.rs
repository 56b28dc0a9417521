//! What every database behind [`Store`] must do. Each case gets an empty one.

use crate::{DAY_MS, NOW_MS, hash, key, opened, record};
use base::NanoUsd;
use ledger::{
    Account, AccountName, Batch, KeyFilter, KeyPatch, KeySort, Position, SpendFilter, SpoolId,
    Store, StoreError, Subject, Window,
};
use std::sync::Arc;

const SPOOL: SpoolId = SpoolId([1; 16]);

fn batch(records: Vec<ledger::SpendRecord>, offset: u64) -> Arc<Batch> {
    let to = Position { segment: 1, offset };
    at(NOW_MS, records, to)
}

fn at(now_ms: i64, records: Vec<ledger::SpendRecord>, to: Position) -> Arc<Batch> {
    Arc::new(Batch { records, ..Batch::new(SPOOL, now_ms, to) })
}

pub(crate) async fn keys_come_back_as_they_went_in(store: &dyn Store) {
    let mut full = key(1);
    full.alias = Some("prod 'key'; DROP TABLE x".into());
    full.models = vec!["gpt".into(), "a\"b".into()];
    full.max_budget = Some(NanoUsd(i64::MAX));
    full.set_budget_duration(Some("1mo".parse().unwrap()), NOW_MS);
    full.rpm_limit = Some(10);
    full.tpm_limit = Some(20);
    full.max_parallel_requests = Some(0);
    full.expires_at_ms = Some(NOW_MS + 1);
    full.blocked = true;
    full.user_id = Some("ann".into());
    full.team_id = Some("core".into());
    full.organization_id = Some("org".into());
    full.tags = vec!["x".into()];
    full.metadata = r#"{"a":1.0,"z":null}"#.into();
    full.created_by = Some("admin".into());
    full.spend = NanoUsd(5);
    full.total_spend = NanoUsd(6);
    store.insert_key(full.clone()).await.unwrap();
    store.insert_key(key(2)).await.unwrap();
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap().as_ref(), Some(&full));
    assert_eq!(store.key_by_alias(full.alias.as_deref().unwrap()).await.unwrap(), Some(full));
    assert_eq!(store.key_by_hash(hash(2)).await.unwrap(), Some(key(2)));
    assert_eq!(store.key_by_hash(hash(3)).await.unwrap(), None);
    store.ping().await.unwrap();
}

pub(crate) async fn a_hash_or_alias_is_taken_once(store: &dyn Store) {
    let named = |number| {
        let mut key = key(number);
        key.alias = Some("prod".into());
        key
    };
    store.insert_key(named(1)).await.unwrap();
    let conflict = |text: String| Err(StoreError::Conflict(text));
    let again = store.insert_key(key(1)).await;
    assert_eq!(again, conflict(format!("the key {} exists", hash(1))));
    let same_alias = store.insert_key(named(2)).await;
    assert_eq!(same_alias, conflict("a key with the alias `prod` exists".into()));
    store.insert_key(key(2)).await.unwrap();
    let patch = KeyPatch { alias: Some(Some("prod".into())), ..KeyPatch::default() };
    assert!(matches!(store.update_key(hash(2), patch).await, Err(StoreError::Conflict(_))));
}

pub(crate) async fn a_change_is_whole_and_never_overwrites_another(store: &dyn Store) {
    let mut first = key(1);
    first.rpm_limit = Some(5);
    first.tags = vec!["keep".into()];
    store.insert_key(first.clone()).await.unwrap();
    let patch = KeyPatch {
        max_budget: Some(Some(NanoUsd(100))),
        budget_duration: Some(Some("1d".parse().unwrap())),
        rpm_limit: Some(None),
        expected_updated_at_ms: Some(first.updated_at_ms),
        updated_at_ms: NOW_MS,
        updated_by: Some("bob".into()),
        ..KeyPatch::default()
    };
    let changed = store.update_key(hash(1), patch.clone()).await.unwrap();
    assert_eq!((changed.rpm_limit, changed.max_budget), (None, Some(NanoUsd(100))));
    assert_eq!(changed.budget_reset_at_ms, Some((NOW_MS / DAY_MS + 1) * DAY_MS));
    assert_eq!((changed.tags.len(), changed.updated_by.as_deref()), (1, Some("bob")));
    assert!(changed.updated_at_ms > first.updated_at_ms);
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap(), Some(changed));
    assert!(matches!(store.update_key(hash(1), patch.clone()).await, Err(StoreError::Conflict(_))));
    assert_eq!(store.update_key(hash(9), patch).await, Err(StoreError::NotFound));
    assert!(store.set_blocked(hash(1), true, NOW_MS).await.unwrap().blocked);
    assert!(!store.set_blocked(hash(1), false, NOW_MS).await.unwrap().blocked);
    let deleted = store.delete_keys(vec![hash(1), hash(9)]).await.unwrap();
    assert_eq!(deleted, [hash(1)]);
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap(), None);
}

pub(crate) async fn lists_are_filtered_sorted_and_paged(store: &dyn Store) {
    for number in 1..=7 {
        let mut key = key(number);
        key.user_id = Some(if number % 2 == 0 { "even" } else { "odd" }.into());
        if number == 3 {
            // The order is that of its window, not of all it ever spent.
            key.set_budget_duration(Some("1d".parse().unwrap()), NOW_MS);
            key.total_spend = NanoUsd(100);
        }
        key.spend = NanoUsd(i64::from(number) * 7 % 5);
        key.alias = (number < 3).then(|| format!("Prod{number}"));
        store.insert_key(key).await.unwrap();
    }
    let numbers = async |filter, page, size| {
        let (keys, total) = store.list_keys(filter, page, size).await.unwrap();
        (keys.iter().map(|key| key.hash.0[0]).collect::<Vec<_>>(), total)
    };
    let all = KeyFilter::default();
    assert_eq!(numbers(all.clone(), 1, 3).await, (vec![7, 6, 5], 7));
    assert_eq!(numbers(all.clone(), 3, 3).await, (vec![1], 7));
    assert_eq!(numbers(all.clone(), 4, 3).await, (vec![], 7));
    let up = KeyFilter { ascending: true, ..all.clone() };
    assert_eq!(numbers(up.clone(), 1, 2).await, (vec![1, 2], 7));
    let spend = KeyFilter { sort: KeySort::Spend, ..up.clone() };
    assert_eq!(numbers(spend, 1, 9).await.0, [5, 3, 1, 6, 4, 2, 7]);
    let down = KeyFilter { sort: KeySort::Spend, ..all.clone() };
    assert_eq!(numbers(down, 1, 3).await.0, [2, 7, 4]);
    let (page, _) = store.list_keys(up.clone(), 2, 2).await.unwrap();
    let balances: Vec<_> = page.iter().map(|key| (key.spend.0, key.total_spend.0)).collect();
    assert_eq!(balances, [(1, 100), (3, 0)]);
    let alias = KeyFilter { sort: KeySort::Alias, ..all.clone() };
    assert_eq!(numbers(alias, 1, 3).await.0, [2, 1, 3]);
    let named = KeyFilter { has_alias: true, sort: KeySort::Alias, ..up.clone() };
    assert_eq!(numbers(named, 1, 9).await, (vec![1, 2], 2));
    let even = KeyFilter { user_id: Some("even".into()), ..up.clone() };
    assert_eq!(numbers(even, 1, 9).await, (vec![2, 4, 6], 3));
    let search = KeyFilter { search: Some("pROD2".into()), ..up.clone() };
    assert_eq!(numbers(search, 1, 9).await, (vec![2], 1));
    let wild = KeyFilter { search: Some("%".into()), ..up.clone() };
    assert_eq!(numbers(wild, 1, 9).await, (vec![], 0));
    let one = KeyFilter { hash: Some(hash(3)), ..up };
    assert_eq!(numbers(one, 1, 9).await, (vec![3], 1));
}

pub(crate) async fn records_are_put_in_once_with_their_keys_balance(store: &dyn Store) {
    store.insert_key(key(1)).await.unwrap();
    let records = vec![record(1, 1, 10), record(2, 1, 20), record(3, 9, 5)];
    assert_eq!(store.drain(batch(records.clone(), 10)).await.unwrap(), 3);
    assert_eq!(store.drain(batch(records.clone(), 10)).await.unwrap(), 0);
    let more = vec![record(2, 1, 20), record(4, 1, 40)];
    assert_eq!(store.drain(batch(more, 20)).await.unwrap(), 1);
    let key = store.key_by_hash(hash(1)).await.unwrap().unwrap();
    assert_eq!((key.spend, key.total_spend), (NanoUsd(70), NanoUsd(70)));
    assert_eq!(key.last_active_ms, Some(NOW_MS + 7));
    assert_eq!(key.updated_at_ms, crate::key(1).updated_at_ms);
    let position = Position { segment: 1, offset: 20 };
    assert_eq!(store.drained(SPOOL).await.unwrap(), (position, vec![]));
    assert_eq!(store.drained(SpoolId([2; 16])).await.unwrap().0, Position::default());
    let logs = store.spend_logs(SpendFilter::default(), 10, 0).await.unwrap();
    let expected = [record(4, 1, 40), record(3, 9, 5), record(2, 1, 20), record(1, 1, 10)];
    assert_eq!(logs, expected);
}

pub(crate) async fn a_replaced_key_keeps_its_balance_and_what_is_still_to_come(store: &dyn Store) {
    let before = ledger::VirtualKey { alias: Some("prod".into()), ..key(1) };
    store.insert_key(before.clone()).await.unwrap();
    store.drain(batch(vec![record(1, 1, 10)], 10)).await.unwrap();
    let patch = |expected: i64| KeyPatch {
        max_budget: Some(Some(NanoUsd(500))),
        expected_updated_at_ms: Some(expected),
        updated_at_ms: NOW_MS,
        ..KeyPatch::default()
    };
    let replace = |from: u8, to: u8, expected: i64| {
        store.replace_key(hash(from), hash(to), format!("sk-...{to}"), patch(expected))
    };
    assert!(matches!(replace(1, 2, 0).await, Err(StoreError::Conflict(_))));
    assert!(matches!(replace(9, 2, 0).await, Err(StoreError::NotFound)));
    let after = replace(1, 2, before.updated_at_ms).await.unwrap();
    assert_eq!((after.hash, after.name.as_str()), (hash(2), "sk-...2"));
    assert_eq!((after.spend, after.max_budget), (NanoUsd(10), Some(NanoUsd(500))));
    assert_eq!((after.alias.as_deref(), after.created_at_ms), (Some("prod"), before.created_at_ms));
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap(), None);

    // Two of the old one were still on their way, beside one of the new one.
    let late = vec![record(2, 1, 20), record(3, 2, 40)];
    store.drain(batch(late, 20)).await.unwrap();
    let third = replace(2, 3, after.updated_at_ms).await.unwrap();
    assert_eq!(third.spend, NanoUsd(70));
    store.drain(batch(vec![record(4, 1, 80), record(5, 3, 160)], 30)).await.unwrap();
    let spend = async |number| store.key_by_hash(hash(number)).await.unwrap().unwrap().spend;
    assert_eq!(spend(3).await, NanoUsd(310));

    // The old text is chosen again for another key: it pays for itself alone.
    store.insert_key(key(1)).await.unwrap();
    store.drain(batch(vec![record(6, 1, 5)], 40)).await.unwrap();
    assert_eq!((spend(1).await, spend(3).await), (NanoUsd(5), NanoUsd(310)));
}

pub(crate) async fn what_is_parked_stays_until_it_ends(store: &dyn Store) {
    let change = |parked, unparked, offset| {
        let to = Position { segment: 2, offset };
        Arc::new(Batch { parked, unparked, ..Batch::new(SPOOL, NOW_MS, to) })
    };
    let parked = vec![opened(1, 1, 10), opened(2, 1, 20)];
    store.drain(change(parked.clone(), vec![], 0)).await.unwrap();
    store.drain(change(parked, vec![], 0)).await.unwrap();
    let position = Position { segment: 2, offset: 0 };
    let held = store.drained(SPOOL).await.unwrap();
    assert_eq!(held, (position, vec![opened(1, 1, 10), opened(2, 1, 20)]));
    store.drain(change(vec![], vec![opened(1, 1, 10).id], 5)).await.unwrap();
    assert_eq!(store.drained(SPOOL).await.unwrap().1, [opened(2, 1, 20)]);
    assert_eq!(store.drained(SpoolId([2; 16])).await.unwrap().1, []);
}

pub(crate) async fn records_are_found_by_whom_and_when(store: &dyn Store) {
    let mut records: Vec<_> = (1..=6).map(|n| record(n, (n % 2) as u8, 1)).collect();
    for (record, day) in records.iter_mut().zip(0..) {
        record.start_ms = NOW_MS + day * DAY_MS;
        record.model_group = if day < 3 { "gpt" } else { "claude" }.into();
    }
    records[5].user_id = None;
    records[5].key_hash = None;
    records[4].end_user = Some("e".into());
    store.drain(batch(records.clone(), 1)).await.unwrap();
    let count = async |filter: SpendFilter| store.spend_logs(filter, 10, 0).await.unwrap().len();
    let all = SpendFilter::default();
    assert_eq!(count(all.clone()).await, 6);
    assert_eq!(count(SpendFilter { key_hash: Some(hash(1)), ..all.clone() }).await, 3);
    assert_eq!(count(SpendFilter { user_id: Some("ann".into()), ..all.clone() }).await, 5);
    assert_eq!(count(SpendFilter { end_user: Some("e".into()), ..all.clone() }).await, 1);
    let days = SpendFilter {
        start_ms: Some(NOW_MS + DAY_MS),
        end_ms: Some(NOW_MS + 3 * DAY_MS),
        ..all.clone()
    };
    assert_eq!(count(days.clone()).await, 2);
    for request in ["chatcmpl-2".to_owned(), records[1].id.call.to_string()] {
        let filter = SpendFilter { request_id: Some(request), ..all.clone() };
        assert_eq!(store.spend_logs(filter, 10, 0).await.unwrap(), [records[1].clone()]);
    }
    assert_eq!(store.spend_logs(all.clone(), 2, 5).await.unwrap(), [records[0].clone()]);
    let by_day = store.spend_by_day(days).await.unwrap();
    assert_eq!(by_day.len(), 2);
    assert_eq!((by_day[0].day.as_str(), by_day[0].spend), ("2026-03-25", NanoUsd(1)));
    let last = store.spend_by_day(all).await.unwrap().pop().unwrap();
    assert_eq!(last.users, [(String::new(), NanoUsd(1))]);
    assert_eq!(last.models, [("claude".to_owned(), NanoUsd(1))]);
    assert_eq!(last.keys, [(None, NanoUsd(1))]);
}

/// Opens the account of `subject`; one that is new begins its first window now.
async fn account(store: &dyn Store, subject: Subject, window: Option<&str>, now_ms: i64) -> i64 {
    let window = window.map(|text| text.parse::<Window>().unwrap());
    let ends_ms = window.map(|window| window.end_since_1970(now_ms));
    let name = AccountName { subject, window, ends_ms };
    store.open_accounts(vec![name], now_ms).await.unwrap()[0].spend.0
}

pub(crate) async fn sums_are_exact_and_do_not_fail_where_they_do_not_fit(store: &dyn Store) {
    const HOUR_MS: i64 = 3_600_000;
    let ever = async || account(store, Subject::Proxy, None, NOW_MS).await;
    assert_eq!(ever().await, 0);
    let costs = [3_000_000_007, 5, -1_999_999_999, 9_999_999_999];
    let mut records: Vec<_> = (1..).zip(costs).map(|(n, cost)| record(n, 1, cost)).collect();
    for (record, hour) in records.iter_mut().zip(0..) {
        record.start_ms = NOW_MS + hour * HOUR_MS;
        record.reserved_ms = record.start_ms;
    }
    store
        .drain(at(NOW_MS + 3 * HOUR_MS, records, Position { segment: 1, offset: 1 }))
        .await
        .unwrap();
    let late_ms = NOW_MS + 3 * HOUR_MS + 1;
    let hour = account(store, Subject::Proxy, Some("1h"), late_ms).await;
    let day = account(store, Subject::Proxy, Some("1d"), late_ms).await;
    assert_eq!((ever().await, hour, day), (11_000_000_012, 9_999_999_999, 11_000_000_012));
    let most = [record(11, 1, i64::MAX), record(12, 1, i64::MAX)];
    store.drain(batch(most.to_vec(), 2)).await.unwrap();
    assert_eq!(ever().await, i64::MAX);
    let days = store.spend_by_day(SpendFilter::default()).await.unwrap();
    assert_eq!(days[0].spend, NanoUsd(i64::MAX));
}

pub(crate) async fn a_record_is_charged_to_each_of_its_subjects_once(store: &dyn Store) {
    let text = |text: &str| Some(std::sync::Arc::from(text));
    let mut full = record(1, 1, 100);
    full.team_id = text("core");
    full.organization_id = text("org");
    full.end_user = text("eve");
    full.deployment_id = "d1".into();
    full.credential_id = text("c1");
    full.tags = vec!["a".into(), "b".into(), "a".into()];
    let subjects = full.subjects();
    assert_eq!(subjects.len(), 12);
    store.insert_key(key(1)).await.unwrap();
    // Its own window, which has nothing of before; that of the proxy has.
    let day = async |subject| account(store, subject, Some("1d"), NOW_MS + 1).await;
    for n in 0..2 {
        assert_eq!(store.drain(batch(vec![full.clone()], 1)).await.unwrap(), 1 - n);
        for subject in &subjects {
            let ever = account(store, subject.clone(), None, NOW_MS).await;
            assert_eq!(ever, 100, "{subject}");
            let window = if *subject == Subject::Proxy { 100 } else { 0 };
            assert_eq!(day(subject.clone()).await, window, "{subject}");
        }
    }
    let mut next = record(2, 1, 7);
    next.reserved_ms = NOW_MS + 2;
    store.drain(batch(vec![next], 2)).await.unwrap();
    assert_eq!(day(Subject::User("ann".into())).await, 7);
    assert_eq!(day(Subject::Proxy).await, 107);
    assert_eq!(account(store, Subject::Team("core".into()), None, NOW_MS).await, 100);
    // A key that is made again after it was deleted owes nothing.
    store.delete_keys(vec![hash(1)]).await.unwrap();
    store.drain(batch(vec![record(3, 1, 5)], 3)).await.unwrap();
    store.insert_key(key(1)).await.unwrap();
    assert_eq!(store.key_by_hash(hash(1)).await.unwrap().unwrap().total_spend.0, 0);
}

pub(crate) async fn sums_by_day_of_many_keys_take_no_longer_than_they_must(store: &dyn Store) {
    const KEYS: u64 = 40_000;
    let records = (0..KEYS).map(|number| {
        let mut record = record(number, 0, 3);
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        record.key_hash = Some(base::KeyHash(hash));
        record.user_id = Some(format!("user {number}").into());
        record
    });
    store.drain(batch(records.collect(), 1)).await.unwrap();
    let began = std::time::Instant::now();
    let days = store.spend_by_day(SpendFilter::default()).await.unwrap();
    assert_eq!((days.len(), days[0].keys.len(), days[0].users.len()), (1, 40_000, 40_000));
    assert_eq!(days[0].spend, NanoUsd(3 * 40_000));
    // Each against each would be 1.6 thousand million comparisons of texts.
    assert!(began.elapsed().as_secs() < 4, "{:?}", began.elapsed());
}

pub(crate) async fn a_balance_follows_its_window(store: &dyn Store) {
    let mut weekly = key(1);
    weekly.set_budget_duration(Some("1w".parse().unwrap()), NOW_MS);
    store.insert_key(weekly.clone()).await.unwrap();
    let mut account: Account = weekly.account();
    // Out of order, over windows: late ones pay into their own.
    let mut now_ms = NOW_MS;
    for (number, day) in [(1, 0), (2, 3), (3, 9), (4, 2), (5, 30), (6, 17), (7, 31), (8, 9)] {
        let mut late = record(number, 1, 1 << number);
        late.reserved_ms = NOW_MS + day * DAY_MS;
        now_ms = now_ms.max(late.reserved_ms);
        account.charge(late.reserved_ms, late.cost, now_ms);
        let to = Position { segment: 1, offset: number };
        store.drain(at(now_ms, vec![late], to)).await.unwrap();
        let key = store.key_by_hash(hash(1)).await.unwrap().unwrap();
        assert_eq!(key.account(), account, "after record {number}");
    }
    assert_eq!(account.spend, NanoUsd((1 << 5) + (1 << 7)));
    assert_eq!(account.total_spend, NanoUsd(510));
}

pub(crate) async fn a_clock_that_was_ahead_locks_no_key_and_gives_no_budget_twice(
    store: &dyn Store,
) {
    let mut daily = key(1);
    daily.set_budget_duration(Some("1d".parse().unwrap()), NOW_MS);
    let resets_at_ms = daily.budget_reset_at_ms;
    store.insert_key(daily).await.unwrap();
    let mut number = 0;
    let mut spend = async |reserved_ms: i64, now_ms: i64, cost: i64| {
        number += 1;
        let mut record = record(number, 1, cost);
        (record.reserved_ms, record.start_ms, record.end_ms) = (reserved_ms, now_ms, now_ms);
        let to = Position { segment: 1, offset: number };
        store.drain(at(now_ms, vec![record], to)).await.unwrap();
        let key = store.key_by_hash(hash(1)).await.unwrap().unwrap();
        (key.spend.0, key.budget_reset_at_ms)
    };
    let ahead_ms = NOW_MS + 3650 * DAY_MS;
    assert_eq!(spend(NOW_MS, NOW_MS, 5).await, (5, resets_at_ms));
    assert_eq!(spend(ahead_ms, ahead_ms, 70).await.0, 70);
    // The clock is set back: today's 5, the 70 that were spent while it was
    // ahead, and what is charged now.
    assert_eq!(spend(NOW_MS + 10, NOW_MS + 20, 200).await, (275, resets_at_ms));
    // Tomorrow begins with what was spent ahead of its time, the day after with
    // nothing.
    let tomorrow_ms = NOW_MS + DAY_MS;
    assert_eq!(spend(tomorrow_ms, tomorrow_ms, 1).await.0, 71);
    assert_eq!(spend(tomorrow_ms + DAY_MS, tomorrow_ms + DAY_MS, 1).await.0, 1);
}

pub(crate) async fn the_truth_takes_the_place_of_the_charge_for_an_attempt_cut_off(
    store: &dyn Store,
) {
    store.insert_key(key(1)).await.unwrap();
    let crashed = opened(1, 1, 100).crashed(NOW_MS);
    assert_eq!(&*crashed.request_id, "my-call-1");
    store.drain(batch(vec![crashed.clone()], 1)).await.unwrap();
    assert_eq!(store.drain(batch(vec![record(1, 1, 30)], 2)).await.unwrap(), 0);
    let spend = async || store.key_by_hash(hash(1)).await.unwrap().unwrap().total_spend.0;
    assert_eq!(spend().await, 30);
    for late in [crashed, record(1, 1, 99)] {
        store.drain(batch(vec![late], 3)).await.unwrap();
        assert_eq!(spend().await, 30);
    }
    assert_eq!(store.spend_logs(SpendFilter::default(), 9, 0).await.unwrap(), [record(1, 1, 30)]);
}

pub(crate) async fn a_window_given_later_counts_from_then_on_and_a_lifetime_everything(
    store: &dyn Store,
) {
    store.insert_key(key(1)).await.unwrap();
    store.drain(batch(vec![record(1, 1, 1000)], 1)).await.unwrap();
    let set = async |duration: Option<&str>, ms: i64| {
        let patch = KeyPatch {
            budget_duration: Some(duration.map(|text| text.parse().unwrap())),
            updated_at_ms: NOW_MS + ms,
            ..KeyPatch::default()
        };
        store.update_key(hash(1), patch).await.unwrap().spend.0
    };
    assert_eq!(set(Some("30d"), 10).await, 0);
    let late = |number, ms, cost| {
        let mut record = record(number, 1, cost);
        record.reserved_ms = NOW_MS + ms;
        vec![record]
    };
    // Reserved before the month began, while a call was under way, and after.
    store.drain(batch(late(2, -40 * DAY_MS, 200), 2)).await.unwrap();
    store.drain(batch(late(3, 9, 10), 2)).await.unwrap();
    let after = Position { segment: 1, offset: 3 };
    store.drain(at(NOW_MS + 20, late(4, 11, 30), after)).await.unwrap();
    let key = store.key_by_hash(hash(1)).await.unwrap().unwrap();
    assert_eq!((key.spend.0, key.total_spend.0), (40, 1240));
    assert_eq!(set(Some("30d"), 30).await, 40, "the same window goes on");
    assert_eq!(set(Some("1d"), 40).await, 0);
    assert_eq!(set(None, 50).await, 1240);
}

pub(crate) async fn a_closed_store_says_so(store: &dyn Store) {
    store.close().await.unwrap();
    assert!(matches!(store.ping().await, Err(StoreError::Unavailable(_))));
    assert!(matches!(store.insert_key(key(1)).await, Err(StoreError::Unavailable(_))));
}
