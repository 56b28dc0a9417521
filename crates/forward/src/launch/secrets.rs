//! Search for files with secrets in the trees that a command is given.
//!
//! By names, and for a few kinds by what is in them. Bounded: in a tree with very
//! many files it stops, and the caller says so.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};

/// Directories below the top.
const DEPTH_MAX: usize = 10;
/// Entries that are looked at.
const ENTRIES_MAX: usize = 60_000;
/// Bytes of a file that are looked at.
const HEAD_MAX: u64 = 16 << 10;
/// Other people's code, and what tools make.
const SKIPPED: [&str; 14] = [
    "node_modules",
    "site-packages",
    "dist-packages",
    "__pycache__",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".ruff_cache",
    ".pytest_cache",
    "target",
    "objects",
    ".hg",
    ".svn",
    ".cargo",
];
/// Names of files that hold secrets and nothing that a program could not do without.
const NAMES: [&str; 24] = [
    ".netrc",
    ".pypirc",
    ".git-credentials",
    ".pgpass",
    ".my.cnf",
    ".vault-token",
    ".htpasswd",
    ".dockercfg",
    ".dockerconfigjson",
    "secrets.toml",
    "secrets.yaml",
    "secrets.yml",
    "secrets.json",
    "credentials.json",
    "credentials.toml",
    "client_secret.json",
    "service-account.json",
    "service_account.json",
    "local.settings.json",
    "kubeconfig",
    "id_rsa",
    "id_ed25519",
    "id_ecdsa",
    "id_dsa",
];
/// Endings of such names.
const ENDINGS: [&str; 9] =
    ["tfvars", "tfstate", "p12", "pfx", "jks", "keystore", "kdbx", "ppk", "ovpn"];
/// Names that begin like one with secrets and are examples of them.
const EXAMPLES: [&str; 6] = ["example", "sample", "template", "dist", "default", "schema"];

/// Result of a search.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Files to hide.
    pub(super) files: Vec<PathBuf>,
    /// Unix sockets.
    pub(super) sockets: Vec<PathBuf>,
    /// True if the search stopped before the end.
    pub(super) is_cut_short: bool,
}

/// Adds what is in `top` to `found`.
pub(super) fn search(top: &Path, found: &mut Found) {
    let mut folders = vec![(top.to_owned(), 0)];
    let mut entries = 0;
    while let Some((folder, depth)) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                found.is_cut_short = true;
                return;
            }
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            let name = entry.file_name().to_string_lossy().to_ascii_lowercase();
            if kind.is_dir() {
                if depth >= DEPTH_MAX {
                    found.is_cut_short = true;
                } else if !SKIPPED.contains(&name.as_str()) {
                    folders.push((path, depth + 1));
                }
            } else if kind.is_socket() {
                // Whoever listens there is outside.
                found.sockets.push(path);
            } else if is_secret(&name, &path) {
                // Of a link, its target is hidden: that is where the secret is.
                let path =
                    if kind.is_symlink() { fs::canonicalize(&path).ok() } else { Some(path) };
                found.files.extend(path.filter(|path| path.is_file()));
            }
        }
    }
}

fn is_secret(name: &str, path: &Path) -> bool {
    let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
    if name.starts_with(".env") || ending == "env" && name != "env" {
        return !EXAMPLES.contains(&ending);
    }
    if NAMES.contains(&name) || ENDINGS.contains(&ending) || name.starts_with("terraform.tfstate") {
        return true;
    }
    match name {
        "config" => path.parent().is_some_and(|p| p.ends_with(".git")) && has(path, is_git_secret),
        ".npmrc" | ".yarnrc.yml" | ".yarnrc" | "pip.conf" | "uv.toml" => {
            has(path, is_registry_secret)
        }
        _ if matches!(ending, "pem" | "key" | "crt" | "json") => {
            has(path, |text| text.contains("PRIVATE KEY-----"))
        }
        _ => false,
    }
}

fn has(path: &Path, test: impl Fn(&str) -> bool) -> bool {
    let mut bytes = Vec::new();
    let read = File::open(path).and_then(|file| file.take(HEAD_MAX).read_to_end(&mut bytes));
    read.is_ok() && test(&String::from_utf8_lossy(&bytes))
}

/// A key in an address, or in a header as CI systems leave it there.
fn is_git_secret(text: &str) -> bool {
    text.to_ascii_lowercase().contains("extraheader") || has_user_info(text)
}

fn is_registry_secret(text: &str) -> bool {
    let names = ["_authToken", "_auth", "_password", "npmAuthToken", "npmAuthIdent"];
    let gives = |line: &str| {
        let (name, value) = line.split_once(['=', ':'])?;
        let value = line.rsplit(['=']).next().unwrap_or(value).trim();
        let known = names.iter().any(|known| name.contains(known) || line.contains(known));
        Some(known && !value.is_empty() && !value.starts_with("${"))
    };
    text.lines().any(|line| gives(line) == Some(true)) || has_user_info(text)
}

fn has_user_info(text: &str) -> bool {
    text.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', ' ', '\n', '"', '\'']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user != "git" && !user.starts_with("${"))
    })
}

#[cfg(test)]
mod tests {
    use super::{Found, search};
    use std::fs;

    #[test]
    fn secrets_of_a_project_are_found_and_code_is_left_alone() {
        let top = std::env::temp_dir().join(format!("keymoat-search-{}", std::process::id()));
        let key = "-----BEGIN PRIVATE KEY-----\nMC4C\n";
        let remote = |url: &str| format!("[remote \"origin\"]\n\turl = {url}\n");
        let files: [(&str, &str, bool); 22] = [
            (".env", "A=1", true),
            (".env.production", "A=1", true),
            (".envrc", "export A=1", true),
            ("deploy/prod.env", "A=1", true),
            ("a/b/c/d/e/f/.env.local", "A=1", true),
            (".env.example", "A=", false),
            ("environment.py", "", false),
            ("node_modules/x/.env", "A=1", false),
            ("keys/server.pem", key, true),
            ("certs/ca.pem", "-----BEGIN CERTIFICATE-----\n", false),
            ("gcp.json", &format!("{{\"private_key\": \"{key}\"}}"), true),
            ("package.json", "{}", false),
            (".npmrc", "//r.example/:_authToken=abc\n", true),
            ("web/.npmrc", "//r.example/:_authToken=${TOKEN}\nlegacy-peer-deps=true\n", false),
            (".git/config", &remote("https://user:secret@h.example/x.git"), true),
            ("lib/.git/config", &remote("https://h.example/x.git"), false),
            ("sub/.git/config", "[http]\n\textraheader = AUTHORIZATION: basic x\n", true),
            ("ssh/.git/config", &remote("ssh://git@h.example/x.git"), false),
            ("terraform.tfstate.backup", "{}", true),
            ("id_ed25519", "x", true),
            ("src/main.rs", "", false),
            ("config", "x", false),
        ];
        for (name, text, _) in files {
            let path = top.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let mut found = Found::default();
        search(&top, &mut found);
        fs::remove_dir_all(&top).unwrap();
        let mut names: Vec<_> =
            found.files.iter().map(|f| f.strip_prefix(&top).unwrap().to_str().unwrap()).collect();
        let mut wanted: Vec<_> = files.iter().filter(|f| f.2).map(|f| f.0).collect();
        names.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(names, wanted);
        assert!(!found.is_cut_short);
    }
}
