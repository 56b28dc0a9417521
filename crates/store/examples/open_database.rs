//! Time to open a database, which brings its schema up to date, and to look a
//! key up. The argument is the path of the file.
#![expect(clippy::print_stdout, reason = "a measurement that people run")]

use ledger::{KeyFilter, Keys as _, Store as _, StoreError};
use std::path::Path;
use std::time::Instant;
use store::Sqlite;

const LOOKUPS: u32 = 10_000;
/// 2026-03-24T10:39:00Z
const NOW_MS: i64 = 1_774_348_740_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), StoreError> {
    let path = std::env::args().nth(1).unwrap_or_else(|| "keymoat.db".to_owned());
    let began = Instant::now();
    let opened = Sqlite::open(Path::new(&path), NOW_MS);
    let store = opened.map_err(|error| StoreError::Unavailable(error.to_string()))?;
    println!("opened in {} ms", began.elapsed().as_millis());
    let (keys, total) = store.list_keys(KeyFilter::default(), 1, 100).await?;
    let began = Instant::now();
    for key in keys.iter().cycle().take(LOOKUPS as usize) {
        store.key_by_hash(key.hash).await?;
    }
    println!("{total} keys: {} µs per look-up", began.elapsed().as_micros() / u128::from(LOOKUPS));
    store.close().await
}
