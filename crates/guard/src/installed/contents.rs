//! Every file of an environment, opened once: its SHA-256, and for Python
//! source what it does.

use super::cache::{Cache, Remembered, State};
use aws_lc_rs::digest::{Context, SHA256};
use pycode::{Role, fact::Summary};
use std::fs;
use std::io::{ErrorKind, Read as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

const THREADS_MAX: usize = 8;

/// What a file holds.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// Its SHA-256.
    pub(super) sha256: [u8; 32],
    /// What it does, if it is Python source.
    pub(super) summary: Option<Arc<Summary>>,
}

/// A file that was looked at, or remembered.
struct Looked {
    seen: Seen,
    /// Its state before and after it was read, if it was one and the same.
    state: Option<State>,
    remembered: bool,
}

/// What each of `paths` in `site` holds, as remembered where nothing changed.
pub(super) fn look(
    site: &Path,
    paths: &[PathBuf],
    cache: Option<&Cache>,
) -> Vec<Result<Seen, ErrorKind>> {
    let remembered = cache.map(|cache| cache.read(site)).unwrap_or_default();
    let looked = all(paths, &remembered);
    if let Some(cache) = cache
        && looked.iter().any(|file| matches!(file, Ok(file) if !file.remembered))
    {
        let states = looked.iter().flatten().filter_map(|file| Some((file.state?, &file.seen)));
        cache.write(site, states);
    }
    looked.into_iter().map(|file| file.map(|file| file.seen)).collect()
}

fn all(paths: &[PathBuf], remembered: &Remembered) -> Vec<Result<Looked, ErrorKind>> {
    let next = AtomicUsize::new(0);
    let all = Mutex::new(paths.iter().map(|_| Err(ErrorKind::Other)).collect::<Vec<_>>());
    let work = || {
        let mut buffer = vec![0; 128 << 10];
        let mut found = Vec::new();
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(path) = paths.get(index) else { break };
            found.push((index, one(path, &mut buffer, remembered).map_err(|error| error.kind())));
        }
        let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
        for (index, seen) in found {
            if let Some(slot) = all.get_mut(index) {
                *slot = seen;
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREADS_MAX);
    // Never on the caller's own stack: nobody knows how large that is. Where no
    // thread can be started, nothing is read, and every file is told as unread.
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let thread = std::thread::Builder::new().stack_size(pycode::STACK_BYTES);
            drop(thread.spawn_scoped(scope, work));
        }
    });
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(path: &Path, buffer: &mut [u8], remembered: &Remembered) -> std::io::Result<Looked> {
    let before = fs::metadata(path)?;
    // What is no file (a pipe, say) may keep its reader waiting for ever.
    if !before.is_file() {
        return Err(ErrorKind::InvalidInput.into());
    }
    let state = State::of(path, &before);
    if let Some(seen) = state.as_ref().and_then(|state| remembered.get(state)) {
        return Ok(Looked { seen, state, remembered: true });
    }
    let mut file = fs::File::open(path)?;
    let seen = read(path, &mut file, before.len(), buffer)?;
    let after = State::of(path, &file.metadata()?);
    // Whoever wrote to it meanwhile may have written what was not read.
    let state = state.filter(|before| after.as_ref() == Some(before));
    Ok(Looked { seen, state, remembered: false })
}

fn read(path: &Path, file: &mut fs::File, size: u64, buffer: &mut [u8]) -> std::io::Result<Seen> {
    let role = Role::of(path);
    let mut context = Context::new(&SHA256);
    let mut summary = None;
    if role != Role::Data {
        // One byte more than is read, so that too large a file is known as such.
        let read_max = pycode::FILE_MAX_BYTES as u64 + 1;
        let mut bytes = Vec::with_capacity(size.min(read_max) as usize + 1);
        file.by_ref().take(read_max).read_to_end(&mut bytes)?;
        summary = Some(Arc::new(pycode::read(role, &bytes)));
        context.update(&bytes);
    }
    loop {
        let count = file.read(buffer)?;
        if count == 0 {
            let sha256 = context.finish().as_ref().try_into().map_err(std::io::Error::other)?;
            return Ok(Seen { sha256, summary });
        }
        context.update(buffer.get(..count).unwrap_or_default());
    }
}

/// Returns true if Python imports such a file as source.
pub(super) fn is_source(path: &Path) -> bool {
    Role::of(path) != Role::Data
}
