//! A folder to run the binary in: nothing of the real machine is named in its
//! environment.

use ledger::{KeyHasher, Keys as _, Store as _, VirtualKey, public_name};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use store::{DataDir, Sqlite};

/// A machine with a bad release, a key beside it and a trace; nothing of the
/// release's code.
pub(crate) struct Victim(pub(crate) PathBuf);

impl Victim {
    pub(crate) fn new(name: &str) -> Self {
        let folder = format!("{name}-{}", std::process::id());
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(folder);
        let victim = Self(root);
        let site = "disk/home/ann/shop/.venv/lib/python3.12/site-packages/litellm-1.82.8.dist-info";
        let metadata = "Metadata-Version: 2.1\nName: litellm\nVersion: 1.82.8\n\n";
        victim.write(&format!("{site}/METADATA"), metadata);
        victim.write(
            "disk/home/ann/shop/.env",
            "OPENAI_API_KEY=sk-proj-7Qm2Zk9XvT4bRn8Lw3Yp6Hs1Jc5Gd0FaEuViOxKqMtBy\n",
        );
        victim.write("disk/home/ann/.config/sysmon/sysmon.py", "");
        victim.write("disk/proc/net/tcp", "");
        victim.write("home/.profile", "");
        victim
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.0.join(path)).unwrap()
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keymoat"));
        command
            .args(arguments)
            .current_dir(&self.0)
            .env_clear()
            .env("HOME", self.0.join("home"))
            .env("KEYMOAT_DATA_DIR", self.0.join("data"))
            .env("KEYMOAT_URL", "http://127.0.0.1:9");
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// A gateway's database with these keys; gives their values.
    pub(crate) fn database(&self, aliases: &[&str]) -> Vec<String> {
        let dir = DataDir::open(&self.0.join("data")).unwrap();
        let hasher = KeyHasher::new(&dir.pepper().unwrap());
        let store = Sqlite::open(&dir.database(), 0).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let made = aliases.iter().map(|alias| {
            let (secret, hash) = hasher.generate_key().unwrap();
            let mut key = VirtualKey::new(hash, public_name(secret.expose()), 0);
            key.alias = Some((*alias).to_owned());
            runtime.block_on(store.insert_key(key)).unwrap();
            secret.expose().to_owned()
        });
        let made = made.collect();
        runtime.block_on(store.close()).unwrap();
        made
    }

    pub(crate) fn does(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {shown}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Output of a command that ends with this status.
    pub(crate) fn answers(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {shown}");
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn refuses(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(!output.status.success(), "{arguments:?} must be refused");
        String::from_utf8(output.stderr).unwrap()
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}
