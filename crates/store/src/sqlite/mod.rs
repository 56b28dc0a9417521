//! The embedded database.
//!
//! One thread owns the writing connection and takes jobs from a bounded
//! channel; two own a reading one each. A future that waits for a job holds no
//! lock and blocks no runtime thread. Every statement is a constant, every
//! value is bound.

mod accounts;
mod connection;
mod keys;
mod migrate;
mod spend;
mod spend_row;

use crate::error::OpenError;
use crate::salvage::Imported;
use base::KeyHash;
use ledger::{
    Account, AccountName, Accounts, Batch, Boxed, DaySpend, KeyFilter, KeyPatch, Keys, Opened,
    Position, Spend, SpendFilter, SpendRecord, SpoolId, Store, StoreError, VirtualKey,
};
use rusqlite::Connection;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{mpsc, oneshot};

const READERS: usize = 2;
/// Jobs that may wait at each end.
const QUEUE: usize = 256;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A SQLite file behind [`Store`].
pub struct Sqlite {
    write: Mutex<Option<mpsc::Sender<Job>>>,
    read: Mutex<Option<mpsc::Sender<Job>>>,
}

impl Sqlite {
    /// Opens or makes the database and brings its schema up to date. Blocks.
    ///
    /// # Errors
    /// [`OpenError::Database`] and [`OpenError::Schema`], naming the path.
    pub fn open(path: &Path, now_ms: i64) -> Result<Self, OpenError> {
        let mut writer = connection::writer(path)?;
        migrate::run(&mut writer, path, now_ms)?;
        accounts::return_to_now(&mut writer, now_ms).map_err(|cause| OpenError::Database {
            path: path.to_owned(),
            cause: cause.to_string(),
        })?;
        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(connection::reader(path)?);
        }
        let thread =
            |cause| OpenError::Io { what: "start a thread for", path: path.to_owned(), cause };
        let write = serve("sqlite-write", vec![writer]).map_err(thread)?;
        let read = serve("sqlite-read", readers).map_err(thread)?;
        Ok(Self { write: Mutex::new(Some(write)), read: Mutex::new(Some(read)) })
    }

    /// Puts in records that were set aside.
    pub(crate) fn import(&self, records: Vec<SpendRecord>, now_ms: i64) -> Boxed<'_, Imported> {
        self.write(move |db| spend::import(db, &records, now_ms))
    }

    fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Boxed<'_, T> {
        submit(&self.write, job)
    }

    fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Boxed<'_, T> {
        submit(&self.read, job)
    }
}

/// Starts a thread for each connection; they share one queue and end with it.
fn serve(name: &str, connections: Vec<Connection>) -> std::io::Result<mpsc::Sender<Job>> {
    let (sender, receiver) = mpsc::channel::<Job>(QUEUE);
    let receiver = Arc::new(Mutex::new(receiver));
    for mut connection in connections {
        let receiver = Arc::clone(&receiver);
        std::thread::Builder::new().name(name.into()).spawn(move || {
            loop {
                let job = receiver.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                let Some(job) = job else { return };
                if catch_unwind(AssertUnwindSafe(|| job(&mut connection))).is_err() {
                    tracing::error!("a database job panicked; its transaction was rolled back");
                }
            }
        })?;
    }
    Ok(sender)
}

fn submit<T: Send + 'static>(
    to: &Mutex<Option<mpsc::Sender<Job>>>,
    job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
) -> Boxed<'_, T> {
    let sender = to.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Box::pin(async move {
        let closed = || StoreError::Unavailable("it is closed".into());
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            // Nobody waits any longer: done all the same.
            let _unheard = reply.send(job(connection));
        });
        sender.ok_or_else(closed)?.send(job).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unavailable("the job failed".into())))
    })
}

impl Keys for Sqlite {
    fn key_by_hash(&self, hash: KeyHash) -> Boxed<'_, Option<VirtualKey>> {
        self.read(move |db| keys::by_hash(db, hash))
    }

    fn key_by_alias(&self, alias: &str) -> Boxed<'_, Option<VirtualKey>> {
        let alias = alias.to_owned();
        self.read(move |db| keys::by_alias(db, &alias))
    }

    fn insert_key(&self, key: VirtualKey) -> Boxed<'_, ()> {
        self.write(move |db| keys::insert(db, &key))
    }

    fn update_key(&self, hash: KeyHash, patch: KeyPatch) -> Boxed<'_, VirtualKey> {
        self.write(move |db| keys::update(db, hash, patch))
    }

    fn replace_key(
        &self,
        hash: KeyHash,
        successor: KeyHash,
        name: String,
        patch: KeyPatch,
    ) -> Boxed<'_, VirtualKey> {
        self.write(move |db| keys::replace(db, hash, successor, name, patch))
    }

    fn delete_keys(&self, hashes: Vec<KeyHash>) -> Boxed<'_, Vec<KeyHash>> {
        self.write(move |db| keys::delete(db, &hashes))
    }

    fn set_blocked(&self, hash: KeyHash, blocked: bool, now_ms: i64) -> Boxed<'_, VirtualKey> {
        let patch =
            KeyPatch { blocked: Some(blocked), updated_at_ms: now_ms, ..KeyPatch::default() };
        self.update_key(hash, patch)
    }

    fn list_keys(
        &self,
        filter: KeyFilter,
        page: u32,
        size: u32,
    ) -> Boxed<'_, (Vec<VirtualKey>, u64)> {
        self.read(move |db| keys::list(db, &filter, page, size))
    }
}

impl Accounts for Sqlite {
    fn open_accounts(&self, names: Vec<AccountName>, now_ms: i64) -> Boxed<'_, Vec<Account>> {
        self.write(move |db| accounts::open(db, &names, now_ms))
    }
}

impl Spend for Sqlite {
    fn spend_logs(
        &self,
        filter: SpendFilter,
        limit: u32,
        offset: u64,
    ) -> Boxed<'_, Vec<SpendRecord>> {
        self.read(move |db| spend::logs(db, &filter, limit, offset))
    }

    fn spend_by_day(&self, filter: SpendFilter) -> Boxed<'_, Vec<DaySpend>> {
        self.read(move |db| spend::by_day(db, &filter))
    }

    fn drain(&self, batch: Arc<Batch>) -> Boxed<'_, u64> {
        self.write(move |db| spend::drain(db, &batch))
    }

    fn drained(&self, spool: SpoolId) -> Boxed<'_, (Position, Vec<Opened>)> {
        self.read(move |db| spend::drained(db, spool))
    }
}

impl Store for Sqlite {
    fn ping(&self) -> Boxed<'_, ()> {
        self.read(|db| db.query_row("SELECT 1", [], |_| Ok(())).map_err(connection::error))
    }

    fn close(&self) -> Boxed<'_, ()> {
        let last = self.write(|db| {
            db.execute_batch("PRAGMA optimize; PRAGMA wal_checkpoint(TRUNCATE);")
                .map_err(connection::error)
        });
        // The threads end when the last job that holds a sender is done.
        for end in [&self.read, &self.write] {
            end.lock().unwrap_or_else(PoisonError::into_inner).take();
        }
        last
    }
}
