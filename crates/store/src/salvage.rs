//! Reading what the spool had to set aside.
//!
//! A file of the spool of which a part is damaged is kept, as `.damaged`; one
//! that an earlier version set aside holds records that were never put in. An
//! entry of another version is kept in `unreadable.frames`. Both are read here,
//! with the process stopped or running; putting in what can be read needs the
//! data directory to itself, since a running gateway would not count it.
//!
//! Putting in is idempotent: a record that is there stays as it is, except that
//! the truth takes the place of the charge for an attempt that seemed to have
//! been cut off. The files stay; nothing here deletes.

use crate::data_dir::DataDir;
use crate::drain::{BATCH, block_on};
use crate::error::OpenError;
use crate::frame::{self, Began, Entry};
use crate::segment::{self, Reader};
use crate::sqlite::Sqlite;
use base::NanoUsd;
use ledger::{RecordId, SpendRecord};
use serde::Serialize;
use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Bytes that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DamagedPart {
    /// From the beginning of the file.
    pub at: u64,
    /// Length.
    pub bytes: u64,
    /// True if a single bit was flipped and could be corrected; the entry then
    /// counts among those that can be read.
    pub repaired: bool,
}

/// One file that was set aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SalvagedFile {
    /// Its path.
    pub path: PathBuf,
    /// Its length.
    pub bytes: u64,
    /// Spend records that can be read.
    pub records: u64,
    /// Sum of their cost, in nano-dollars.
    pub cost_nanousd: NanoUsd,
    /// Attempts that began in the file and do not end in it.
    pub unended: u64,
    /// Entries of another version.
    pub unknown: u64,
    /// Parts that cannot be read.
    pub damaged: Vec<DamagedPart>,
}

/// Changes made by putting records in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// Records that were missing.
    pub new: u64,
    /// Attempts that were charged in full as cut off, and now as what they cost.
    pub corrected: u64,
    /// Records that were there already.
    pub known: u64,
}

impl Imported {
    fn add(&mut self, other: Self) {
        self.new += other.new;
        self.corrected += other.corrected;
        self.known += other.known;
    }
}

/// Files that were set aside in a data directory, and the result of putting
/// them in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Salvaged {
    /// Each file, oldest first.
    pub files: Vec<SalvagedFile>,
    /// `None` if nothing was to be put in.
    pub imported: Option<Imported>,
}

/// Reads what was set aside in the data directory at `path`.
///
/// # Errors
/// Each names the path and what to do.
pub fn salvage(path: &Path) -> Result<Salvaged, OpenError> {
    read_all(path, &mut |_| Ok(()))
}

/// The same, and puts it into the database. Blocks.
///
/// # Errors
/// Each names the path and what to do.
pub fn salvage_into(dir: &DataDir, now_ms: i64) -> Result<Salvaged, OpenError> {
    let database = dir.database();
    let store = Sqlite::open(&database, now_ms)?;
    let mut imported = Imported::default();
    let mut put_in = |records: Vec<SpendRecord>| {
        let done = block_on(store.import(records, now_ms)).map_err(|cause| {
            OpenError::Database { path: database.clone(), cause: cause.to_string() }
        })?;
        imported.add(done);
        Ok(())
    };
    let salvaged = read_all(dir.path(), &mut put_in)?;
    let closed = block_on(ledger::Store::close(&store));
    closed.map_err(|cause| OpenError::Database { path: database, cause: cause.to_string() })?;
    Ok(Salvaged { imported: Some(imported), ..salvaged })
}

type PutIn<'a> = &'a mut dyn FnMut(Vec<SpendRecord>) -> Result<(), OpenError>;

fn read_all(data_dir: &Path, put_in: PutIn<'_>) -> Result<Salvaged, OpenError> {
    let dir = data_dir.join("spool");
    let mut salvaged = Salvaged::default();
    if !dir.exists() {
        return Ok(salvaged);
    }
    let mut paths = segment::set_aside(&dir)?;
    paths.extend(Some(dir.join("unreadable.frames")).filter(|path| path.exists()));
    for path in paths {
        salvaged.files.push(read_file(&path, put_in)?);
    }
    Ok(salvaged)
}

fn read_file(path: &Path, put_in: PutIn<'_>) -> Result<SalvagedFile, OpenError> {
    let refused = |cause| OpenError::Io { what: "read", path: path.to_owned(), cause };
    let mut reader = Reader::open_file(path, 0).map_err(refused)?;
    let end = reader.file_len().map_err(refused)?;
    let mut file = SalvagedFile {
        path: path.to_owned(),
        bytes: end,
        records: 0,
        cost_nanousd: NanoUsd::ZERO,
        unended: 0,
        unknown: 0,
        damaged: Vec::new(),
    };
    let mut running: HashMap<RecordId, Began> = HashMap::new();
    let mut records: Vec<SpendRecord> = Vec::new();
    while let Ok(entry) = reader.next(end, records.last()).map_err(refused)? {
        let entry = match entry {
            Entry::Damaged(bytes) => {
                let at = reader.offset - bytes;
                let repaired = repaired(path, at, bytes);
                file.damaged.push(DamagedPart { at, bytes, repaired: repaired.is_some() });
                repaired
            }
            entry => Some(entry),
        };
        match entry {
            Some(Entry::Opened(began)) => {
                running.insert(began.id, began);
            }
            Some(Entry::Record(record)) => {
                running.remove(&record.id);
                file.records += 1;
                file.cost_nanousd = file.cost_nanousd.saturating_add(record.cost);
                records.push(record);
            }
            Some(Entry::Unreadable(_)) => file.unknown += 1,
            // What an administrator did to a key long ago is not done again.
            Some(Entry::KeyChange(_) | Entry::Damaged(_)) | None => {}
        }
        if records.len() >= BATCH {
            put_in(std::mem::take(&mut records))?;
        }
    }
    put_in(records)?;
    file.unended = running.len() as u64;
    // One that ended elsewhere is known by then; the others were cut off.
    let mut cut_off: Vec<SpendRecord> = Vec::new();
    for opened in running.values().filter_map(Began::read) {
        let ended_ms = opened.start_ms;
        cut_off.push(opened.crashed(ended_ms));
        if cut_off.len() >= BATCH {
            put_in(std::mem::take(&mut cut_off))?;
        }
    }
    put_in(cut_off)?;
    Ok(file)
}

/// The entry that these bytes were, if it can be repaired.
fn repaired(path: &Path, at: u64, length: u64) -> Option<Entry> {
    use std::os::unix::fs::FileExt;
    let mut bytes = vec![0; usize::try_from(length).ok().filter(|length| *length <= BYTES_MAX)?];
    fs::File::open(path).and_then(|file| file.read_exact_at(&mut bytes, at)).ok()?;
    frame::repair(&bytes)
}

/// More than one entry that could be repaired.
const BYTES_MAX: usize = 64 * 1024;
