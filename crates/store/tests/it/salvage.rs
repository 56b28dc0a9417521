//! Files that were set aside, read again and put in.

use crate::{NOW_MS, TempDir, hash, key, opened, record, stopped};
use ledger::{Keys, Spend, SpendFilter, Store};
use std::fs;
use std::path::Path;
use store::{DataDir, Imported, Settings, Sqlite, open, salvage, salvage_into};

const NAME: &str = "0000000000000001";

/// The bytes of a segment in which four attempts begin and three end, and where
/// its entries end.
fn segment() -> (Vec<u8>, Vec<usize>) {
    let temp = TempDir::new();
    let dir = DataDir::open(temp.path()).unwrap();
    let state = open(dir, Settings::default(), &stopped(), Box::new(|_| ())).unwrap();
    let path = temp.path().join(format!("spool/{NAME}.spool"));
    let mut ends = Vec::new();
    for number in 1..=4 {
        drop(state.journal.open(&opened(number, 1, 100)).unwrap());
        ends.push(fs::metadata(&path).unwrap().len() as usize);
        if number < 4 {
            drop(state.journal.settle(&record(number, 1, 10)).unwrap());
            ends.push(fs::metadata(&path).unwrap().len() as usize);
        }
    }
    let bytes = fs::read(&path).unwrap();
    state.close();
    (bytes, ends)
}

/// As versions before the marker wrote it, and set aside.
fn earlier(bytes: &[u8], ends: &[usize]) -> Vec<u8> {
    let mut earlier = Vec::new();
    let mut from = 0;
    for end in ends {
        let payload = &bytes[from + 16..*end];
        earlier.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        earlier.extend_from_slice(&crc32fast::hash(payload).to_le_bytes());
        earlier.extend_from_slice(payload);
        from = *end;
    }
    earlier
}

fn set_aside(dir: &Path, bytes: &[u8]) {
    fs::create_dir_all(dir.join("spool")).unwrap();
    fs::write(dir.join(format!("spool/{NAME}.damaged")), bytes).unwrap();
}

async fn spent(dir: &Path) -> (i64, usize) {
    let store = Sqlite::open(&dir.join("keymoat.db"), NOW_MS).unwrap();
    let logs = store.spend_logs(SpendFilter::default(), 100, 0).await.unwrap();
    let key = store.key_by_hash(hash(1)).await.unwrap().unwrap();
    store.close().await.unwrap();
    (key.total_spend.0, logs.len())
}

async fn with_key(temp: &TempDir) -> DataDir {
    let dir = DataDir::open(temp.path()).unwrap();
    dir.pepper().unwrap();
    let store = Sqlite::open(&dir.database(), NOW_MS).unwrap();
    store.insert_key(key(1)).await.unwrap();
    store.close().await.unwrap();
    dir
}

#[tokio::test]
async fn what_an_earlier_version_set_aside_is_put_in_once() {
    let temp = TempDir::new();
    let (bytes, ends) = segment();
    let mut bytes = earlier(&bytes, &ends);
    let second = ends[1] - 2 * 8;
    bytes[second + 1] ^= 0x20;
    set_aside(temp.path(), &bytes);
    let seen = salvage(temp.path()).unwrap();
    let file = &seen.files[0];
    assert_eq!((file.records, file.unended, file.cost_nanousd.0), (3, 1, 30));
    assert_eq!((file.damaged.len(), file.damaged[0].at), (1, second as u64));
    assert_eq!(seen.imported, None);

    let dir = with_key(&temp).await;
    let done = salvage_into(&dir, NOW_MS).unwrap();
    assert_eq!(done.imported, Some(Imported { new: 4, corrected: 0, known: 0 }));
    // Three that ended, and one that was cut off: charged in full.
    assert_eq!(spent(temp.path()).await, (130, 4));
    let again = salvage_into(&dir, NOW_MS).unwrap();
    assert_eq!(again.imported, Some(Imported { new: 0, corrected: 0, known: 4 }));
    assert_eq!(spent(temp.path()).await, (130, 4));
}

#[tokio::test]
async fn one_flipped_bit_in_a_record_is_put_right_and_corrects_what_was_charged() {
    let temp = TempDir::new();
    let (mut bytes, ends) = segment();
    bytes[ends[0] + 60] ^= 0x08;
    fs::create_dir_all(temp.path().join("spool")).unwrap();
    fs::write(temp.path().join(format!("spool/{NAME}.spool")), &bytes).unwrap();
    drop(with_key(&temp).await);
    let dir = DataDir::open(temp.path()).unwrap();
    let state = open(dir, Settings::default(), &stopped(), Box::new(|_| ())).unwrap();
    assert_eq!((state.recovered.records, state.recovered.crashed), (2, 2));
    state.close();
    assert_eq!(spent(temp.path()).await, (220, 4));

    let seen = salvage(temp.path()).unwrap();
    let part = seen.files[0].damaged[0];
    assert_eq!((part.at, part.bytes), (ends[0] as u64, (ends[1] - ends[0]) as u64));
    assert!(part.repaired);
    let dir = DataDir::open(temp.path()).unwrap();
    let done = salvage_into(&dir, NOW_MS).unwrap();
    assert_eq!(done.imported, Some(Imported { new: 0, corrected: 1, known: 3 }));
    assert_eq!(spent(temp.path()).await, (130, 4));
}

#[test]
fn without_anything_set_aside_there_is_nothing_to_salvage() {
    let temp = TempDir::new();
    assert_eq!(salvage(temp.path()).unwrap().files, []);
}
