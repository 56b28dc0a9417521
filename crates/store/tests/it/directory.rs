//! The data directory: who may see it, who uses it, what it keeps.

use crate::TempDir;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use store::{DataDir, OpenError};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn only_one_process_has_it_and_it_is_private() {
    let temp = TempDir::new();
    let path = temp.path().join("a/b");
    let dir = DataDir::open(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
    let message = DataDir::open(&path).err().unwrap().to_string();
    assert!(message.contains(path.to_str().unwrap()), "{message}");
    assert!(message.contains(&format!("(pid {})", std::process::id())), "{message}");
    drop(dir);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let _again = DataDir::open(&path).unwrap();
    assert_eq!(mode(&path), 0o700);
}

#[test]
fn secrets_are_made_once_and_only_their_owner_reads_them() {
    let temp = TempDir::new();
    let dir = DataDir::open(temp.path()).unwrap();
    let pepper = dir.pepper().unwrap();
    let (master, made) = dir.master_key().unwrap();
    assert!(made && master.expose().starts_with("sk-") && master.expose().len() == 67);
    drop(dir);
    let dir = DataDir::open(temp.path()).unwrap();
    assert_eq!(dir.pepper().unwrap(), pepper);
    let (again, made) = dir.master_key().unwrap();
    assert!(!made && again.expose() == master.expose());
    for name in ["pepper", "master_key", "lock"] {
        assert_eq!(mode(&temp.path().join(name)), 0o600, "{name}");
    }
}

#[test]
fn a_lost_or_damaged_pepper_is_never_replaced_silently() {
    let temp = TempDir::new();
    let dir = DataDir::open(temp.path()).unwrap();
    dir.pepper().unwrap();
    fs::write(dir.database(), "").unwrap();
    fs::write(temp.path().join("pepper"), "short").unwrap();
    assert!(matches!(dir.pepper(), Err(OpenError::Damaged { .. })));
    fs::remove_file(temp.path().join("pepper")).unwrap();
    let message = dir.pepper().err().unwrap().to_string();
    assert!(message.contains("pepper") && message.contains("backup"), "{message}");
    assert!(!temp.path().join("pepper").exists());
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let temp = TempDir::new();
    let file = temp.path().join("file");
    fs::write(&file, "").unwrap();
    let message = DataDir::open(&file.join("data")).err().unwrap().to_string();
    assert!(message.contains(file.to_str().unwrap()), "{message}");
    let dir = DataDir::open(temp.path()).unwrap();
    fs::write(temp.path().join("spool"), "in the way").unwrap();
    let settings = store::Settings::default();
    let refused = store::open(dir, settings, &crate::stopped(), Box::new(|_| ()));
    let message = refused.err().unwrap().to_string();
    assert!(message.contains("spool"), "{message}");
}
