//! Balances in rows, one for each subject and window.
//!
//! A key has its accounts from the day it is made until it is deleted; every
//! other subject gets one with its first record. An account with a window exists
//! once somebody has opened it; from then on each record is charged to it, too.

use super::connection::error;
use super::spend;
use base::{KeyHash, NanoUsd};
use ledger::{Account, AccountName, SpendRecord, StoreError, Subject, VirtualKey, Window};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

const LOAD: &str = "SELECT window, spent, total, resets_at_ms, began_ms, ahead FROM accounts \
    WHERE subject_kind = ?1 AND subject_id = ?2 AND unit = 'money'";
const SAVE: &str = "INSERT INTO accounts (subject_kind, subject_id, unit, window, spent, total, \
    began_ms, resets_at_ms, ahead) VALUES (?1, ?2, 'money', ?3, ?4, ?5, ?6, ?7, ?8) \
    ON CONFLICT (subject_kind, subject_id, unit, window) DO UPDATE SET spent = excluded.spent, \
    total = excluded.total, began_ms = excluded.began_ms, resets_at_ms = excluded.resets_at_ms, \
    ahead = excluded.ahead";
const DELETE: &str = "DELETE FROM accounts WHERE subject_kind = ?1 AND subject_id = ?2";
/// Accounts whose window had not begun at ?1.
const AHEAD: &str = "SELECT DISTINCT subject_kind, subject_id FROM accounts \
    WHERE resets_at_ms IS NOT NULL AND began_ms > ?1";
const SUCCESSOR: &str = "SELECT successor FROM key_successors WHERE hash = ?1";
/// Bound on the length of a chain of successors. Ends a circle, too.
const SUCCESSORS_MAX: u32 = 64;
const SET_ACTIVE: &str = "UPDATE virtual_keys \
    SET last_active_ms = max(coalesce(last_active_ms, ?2), ?2) WHERE hash = ?1";

/// Charges of one transaction; each account is read and written once.
pub(super) struct Charges<'a> {
    tx: &'a Transaction<'a>,
    now_ms: i64,
    owners: HashMap<KeyHash, KeyHash>,
    /// Empty for a key that has been deleted meanwhile.
    accounts: HashMap<Subject, Vec<Account>>,
    active: HashMap<KeyHash, i64>,
}

impl<'a> Charges<'a> {
    /// Begins with no charge; `now_ms` is the time.
    pub(super) fn new(tx: &'a Transaction<'a>, now_ms: i64) -> Self {
        let (owners, accounts, active) = <(HashMap<_, _>, HashMap<_, _>, HashMap<_, _>)>::default();
        Self { tx, now_ms, owners, accounts, active }
    }

    /// Reads the accounts that `record` is charged to. To be called before the
    /// record is in the database: its cost is not to be counted twice.
    pub(super) fn open(&mut self, record: &SpendRecord) -> Result<Vec<Subject>, StoreError> {
        let mut subjects = record.subjects();
        for subject in &mut subjects {
            if let Subject::Key(hash) = subject {
                *hash = match self.owners.entry(*hash) {
                    Entry::Occupied(known) => *known.get(),
                    Entry::Vacant(unknown) => *unknown.insert(owner(self.tx, *hash)?),
                };
            }
            if !self.accounts.contains_key(subject) {
                let mut accounts = load(self.tx, subject, self.now_ms)?;
                if accounts.is_empty() && !matches!(subject, Subject::Key(_)) {
                    accounts.push(Account::default());
                }
                self.accounts.insert(subject.clone(), accounts);
            }
        }
        Ok(subjects)
    }

    /// Charges `cost` of `record` to `subjects`, which [`Charges::open`] gave.
    pub(super) fn charge(&mut self, subjects: &[Subject], record: &SpendRecord, cost: NanoUsd) {
        for subject in subjects {
            for account in self.accounts.get_mut(subject).into_iter().flatten() {
                account.charge(record.charged_ms(), cost, self.now_ms);
            }
            if let Subject::Key(hash) = subject {
                let at_ms = self.active.entry(*hash).or_insert(record.end_ms);
                *at_ms = record.end_ms.max(*at_ms);
            }
        }
    }

    /// Writes the accounts back.
    pub(super) fn save(self) -> Result<(), StoreError> {
        let mut accounts: Vec<_> = self.accounts.into_iter().collect();
        // In the order of the table, which touches each page once.
        accounts.sort_by(|(a, _), (b, _)| (a.kind(), a.id()).cmp(&(b.kind(), b.id())));
        for (subject, accounts) in &accounts {
            for account in accounts {
                save(self.tx, subject, account)?;
            }
        }
        let mut set_active = self.tx.prepare_cached(SET_ACTIVE).map_err(error)?;
        for (hash, at_ms) in self.active {
            set_active.execute(params![hash.0, at_ms]).map_err(error)?;
        }
        Ok(())
    }
}

/// Opens accounts, and makes those that are missing; all as of one moment.
pub(super) fn open(
    db: &mut Connection,
    names: &[AccountName],
    now_ms: i64,
) -> Result<Vec<Account>, StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let mut opened = Vec::with_capacity(names.len());
    for name in names {
        let accounts = load(&tx, &name.subject, now_ms)?;
        if accounts.iter().all(|account| account.window.is_some()) {
            save(&tx, &name.subject, &Account::default())?;
        }
        let known = accounts.into_iter().find(|account| account.window == name.window);
        let mut account = match known {
            Some(account) => account,
            None => new(&tx, name, now_ms)?,
        };
        account.roll(now_ms);
        opened.push(account);
    }
    tx.commit().map_err(error)?;
    Ok(opened)
}

/// Makes an account. One of the whole proxy begins with what its records say
/// that was spent in the window; one of another subject begins at zero.
fn new(tx: &Transaction<'_>, name: &AccountName, now_ms: i64) -> Result<Account, StoreError> {
    let Some(window) = name.window else { return Ok(Account::default()) };
    let ends_ms = name.ends_ms.unwrap_or_else(|| window.next_reset(now_ms));
    let began_ms = window.start_of(ends_ms);
    let spend = match name.subject {
        Subject::Proxy => spend::spent_from(tx, None, began_ms)?,
        _ => NanoUsd::ZERO,
    };
    let account = Account {
        spend,
        total_spend: spend,
        window: Some(window),
        resets_at_ms: Some(ends_ms),
        began_ms,
        ahead: NanoUsd::ZERO,
    };
    save(tx, &name.subject, &account)?;
    Ok(account)
}

/// Returns the accounts of `subject` as of `now_ms`: where the clock was set
/// back, in the window of now.
fn load(tx: &Transaction<'_>, subject: &Subject, now_ms: i64) -> Result<Vec<Account>, StoreError> {
    let mut accounts = Vec::new();
    let mut statement = tx.prepare_cached(LOAD).map_err(error)?;
    let mut rows = statement.query(params![subject.kind(), subject.id()]).map_err(error)?;
    while let Some(row) = rows.next().map_err(error)? {
        let window: String = row.get(0).map_err(error)?;
        let window = match window.as_str() {
            "" => None,
            text => Some(text.parse::<Window>().map_err(|cause| {
                StoreError::Damaged(format!("window of the account of {subject}: {cause}"))
            })?),
        };
        let account = || {
            Ok(Account {
                spend: NanoUsd(row.get(1)?),
                total_spend: NanoUsd(row.get(2)?),
                window,
                resets_at_ms: row.get(3)?,
                began_ms: row.get(4)?,
                ahead: NanoUsd(row.get(5)?),
            })
        };
        accounts.push(account().map_err(error)?);
    }
    for account in &mut accounts {
        return_to(tx, subject, account, now_ms)?;
    }
    Ok(accounts)
}

/// Opens the window of `now_ms` where the account is in a later one, with what
/// the records say that was spent.
fn return_to(
    tx: &Transaction<'_>,
    subject: &Subject,
    account: &mut Account,
    now_ms: i64,
) -> Result<(), StoreError> {
    if !account.is_ahead(now_ms) {
        return Ok(());
    }
    account.roll(now_ms);
    let key = match subject {
        Subject::Key(hash) => Some(*hash),
        Subject::Proxy => None,
        // No index finds the records of another subject: what was spent in the
        // later window stays counted.
        _ => return Ok(()),
    };
    account.spend = spend::spent_from(tx, key, account.began_ms)?;
    if let Some(ends_ms) = account.resets_at_ms {
        account.ahead = account.ahead.max(spend::spent_from(tx, key, ends_ms)?);
    }
    Ok(())
}

fn save(tx: &Transaction<'_>, subject: &Subject, account: &Account) -> Result<(), StoreError> {
    tx.prepare_cached(SAVE)
        .map_err(error)?
        .execute(params![
            subject.kind(),
            subject.id(),
            account.window.map(|window| window.to_string()).unwrap_or_default(),
            account.spend.0,
            account.total_spend.0,
            account.began_ms,
            account.resets_at_ms,
            account.ahead.0,
        ])
        .map_err(error)?;
    Ok(())
}

/// Writes the balances of `key`, and drops accounts of windows that it no longer
/// has: a window that it is given again begins anew.
pub(super) fn save_key(tx: &Transaction<'_>, key: &VirtualKey) -> Result<(), StoreError> {
    let subject = Subject::Key(key.hash);
    delete(tx, &subject)?;
    let balance = key.account();
    let total = key.total_spend;
    let spend = if balance.window.is_none() { balance.spend } else { total };
    save(tx, &subject, &Account { spend, total_spend: total, ..Account::default() })?;
    if balance.window.is_some() {
        save(tx, &subject, &Account { total_spend: balance.spend, ..balance })?;
    }
    Ok(())
}

/// Deletes the accounts of `subject`.
pub(super) fn delete(tx: &Connection, subject: &Subject) -> Result<(), StoreError> {
    tx.prepare_cached(DELETE)
        .and_then(|mut statement| statement.execute(params![subject.kind(), subject.id()]))
        .map(drop)
        .map_err(error)
}

/// Returns accounts whose window has not begun, since the clock has been set
/// back, to the window of now.
pub(super) fn return_to_now(db: &mut Connection, now_ms: i64) -> Result<(), StoreError> {
    let tx = db.transaction_with_behavior(TransactionBehavior::Immediate).map_err(error)?;
    let subjects: Vec<(String, Vec<u8>)> = {
        let mut statement = tx.prepare(AHEAD).map_err(error)?;
        let rows =
            statement.query_map([now_ms], |row| Ok((row.get(0)?, row.get(1)?))).map_err(error)?;
        rows.collect::<Result<_, _>>().map_err(error)?
    };
    for (kind, id) in subjects {
        // One of a later version stays as it is.
        let Some(subject) = Subject::from_parts(&kind, &id) else { continue };
        for account in load(&tx, &subject, now_ms)? {
            save(&tx, &subject, &account)?;
        }
    }
    tx.commit().map_err(error)
}

/// Returns the key that pays for records of `hash`: the last that was put in its
/// place.
fn owner(tx: &Transaction<'_>, mut hash: KeyHash) -> Result<KeyHash, StoreError> {
    let mut statement = tx.prepare_cached(SUCCESSOR).map_err(error)?;
    for _ in 0..SUCCESSORS_MAX {
        let next = statement.query_row([hash.0], |row| row.get(0)).optional().map_err(error)?;
        let Some(next) = next else { break };
        hash = KeyHash(next);
    }
    Ok(hash)
}
