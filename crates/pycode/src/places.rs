//! Paths that matter: where secrets are kept, from where things come back by
//! themselves, and what is sound or a picture. Pure data.

use crate::value::Marks;
use std::borrow::Cow;

/// What a text names.
pub(crate) fn marks(text: &str) -> Marks {
    let mut marks = Marks::default();
    if text.len() < 4 || text.len() > 400 || names_none(text) {
        return marks;
    }
    if let Some(kind) = secret(text) {
        marks = marks.with(Marks::secret(kind));
    }
    if persists(text).is_some() {
        marks = marks.with(Marks::PERSISTS);
    }
    if media(text) {
        marks = marks.with(Marks::MEDIA);
    }
    marks
}

/// Returns true if `text` has nothing of what all places below have. Most texts are
/// plain words, and looking for every place in each costs more than reading it.
fn names_none(text: &str) -> bool {
    let (mut path, mut other) = (false, false);
    for byte in text.bytes() {
        path |= matches!(byte, b'.' | b'/' | b'\\');
        other |= matches!(byte, b'_' | b'L' | b'*');
    }
    !path && !other && !matches!(text, "kubeconfig" | "keystore" | "Cookies")
}

/// Kinds of places where secrets are kept; each is a bit of [`crate::value::Marks`].
pub(crate) const SECRETS: [&str; 18] = [
    "SSH keys",
    "cloud credentials (AWS)",
    "cloud credentials (Google)",
    "cloud credentials (Azure)",
    "Kubernetes credentials",
    "container registry credentials",
    "git credentials",
    "package index tokens",
    ".env files",
    "database passwords",
    "shell history",
    "wallets",
    "browser logins",
    "system passwords",
    "secret stores (Vault, GnuPG, keyrings)",
    "tokens of coding agents and model hubs",
    "environments of processes",
    "sessions of messengers",
];

/// Which of [`SECRETS`] a path or a part of one names.
pub(crate) fn secret(text: &str) -> Option<usize> {
    if text.len() > 400 || text.len() < 4 || text.contains('\n') {
        return None;
    }
    // Every pod may read these two, and they open nothing.
    if text.ends_with("serviceaccount/namespace") || text.ends_with("serviceaccount/ca.crt") {
        return None;
    }
    if text.starts_with("/proc/") && (text.ends_with("/environ") || text.ends_with("/mem")) {
        return Some(16);
    }
    let has = |part: &str| text.contains(part);
    let whole = [
        (".aws/", 1),
        (".config/gcloud", 2),
        ("application_default_credentials", 2),
        ("secrets/kubernetes.io", 4),
        (".docker/config", 5),
        ("containers/auth.json", 5),
        (".config/gh/", 6),
        ("Login Data", 12),
        ("/etc/shadow", 13),
        ("/etc/master.passwd", 13),
        (".claude/.credentials", 15),
        (".codex/auth", 15),
        (".gemini/oauth", 15),
        (".config/solana", 11),
        ("169.254.169.254", 1),
        ("169.254.170.2", 1),
        ("fd00:ec2::254", 1),
        ("metadata.google.internal", 2),
        ("huggingface/token", 15),
        (".huggingface", 15),
        ("discord/Local Storage", 17),
        ("Local Storage/leveldb", 17),
        ("Local Storage\\leveldb", 17),
        ("Telegram Desktop/tdata", 17),
    ];
    if let Some((_, kind)) = whole.iter().find(|(part, _)| has(part)) {
        return Some(*kind);
    }
    text.split(['/', '\\']).find_map(|part| {
        Some(match part {
            ".ssh" | "id_rsa" | "id_ed25519" | "id_ecdsa" | "id_dsa" | "authorized_keys"
            | "id_*" | "ssh_host_rsa_key" => 0,
            ".aws" => 1,
            ".azure" | "azureProfile.json" | "msal_token_cache.json" => 3,
            ".kube" | "kubeconfig" | "admin.conf" => 4,
            ".docker" | ".dockercfg" => 5,
            ".git-credentials" | ".gitcookies" => 6,
            ".npmrc" | ".pypirc" | ".netrc" | "_netrc" | ".yarnrc.yml" | ".gem" => 7,
            ".env" => 8,
            ".pgpass" | ".my.cnf" | ".mongorc.js" | ".rediscli_auth" => 9,
            ".bash_history" | ".zsh_history" | ".python_history" | ".psql_history"
            | ".mysql_history" => 10,
            "wallet.dat" | ".electrum" | ".ethereum" | ".bitcoin" | "keystore" | "id.json" => 11,
            "logins.json" | "key4.db" | "Cookies" | "cookies.sqlite" => 12,
            ".gnupg" | ".vault-token" | ".password-store" | "login.keychain-db" => 14,
            _ if part.starts_with(".env.") && part.len() < 24 => 8,
            _ => return None,
        })
    })
}

/// Returns true if a variable of this name holds a secret.
pub(crate) fn is_key(name: &str) -> bool {
    const ENDINGS: [&str; 17] = [
        "_KEY",
        "_TOKEN",
        "_SECRET",
        "_PASSWORD",
        "_PASSWD",
        "_PASS",
        "_PAT",
        "_CREDENTIALS",
        "_CREDS",
        "_AUTH",
        "_APIKEY",
        "_MNEMONIC",
        "_DSN",
        "_SECRETS",
        "_PWD",
        "_SEED",
        "_TOKENS",
    ];
    const WHOLE: [&str; 9] = [
        "TOKEN",
        "SECRET",
        "PASSWORD",
        "API_KEY",
        "DATABASE_URL",
        "REDIS_URL",
        "MONGODB_URI",
        "PGPASSWORD",
        "APIKEY",
    ];
    // Names of files and of things that open nothing.
    const NONE: [&str; 4] = ["_PUBLIC_KEY", "_SORT_KEY", "_CACHE_KEY", "SSH_AUTH"];
    let name = name.to_ascii_uppercase();
    let ends = |all: &[&str]| all.iter().any(|ending| name.ends_with(ending));
    !ends(&NONE) && (ends(&ENDINGS) || WHOLE.contains(&name.as_str()))
}

/// Where something is put that is to come back by itself.
pub(crate) fn persists(text: &str) -> Option<&'static str> {
    const PLACES: [(&str, &str); 34] = [
        ("systemd/user", "a service of the user"),
        ("systemd/system", "a service of the system"),
        ("/etc/cron", "a scheduled job"),
        ("/var/spool/cron", "a scheduled job"),
        ("/etc/rc.local", "a start-up script"),
        ("/etc/init.d", "a start-up script"),
        ("/etc/profile", "the shell's start-up files"),
        (".bashrc", "the shell's start-up files"),
        (".bash_profile", "the shell's start-up files"),
        (".zshrc", "the shell's start-up files"),
        (".zshenv", "the shell's start-up files"),
        ("LaunchAgents", "a launch agent"),
        ("LaunchDaemons", "a launch daemon"),
        (".config/autostart", "the desktop's autostart"),
        ("Programs/Startup", "the start menu's autostart"),
        ("authorized_keys", "keys that may log in"),
        ("sitecustomize.py", "Python's start-up code"),
        ("usercustomize.py", "Python's start-up code"),
        (".claude/settings", "hooks of a coding agent"),
        (".vscode/tasks.json", "tasks of an editor"),
        (".git/hooks", "hooks of a repository"),
        ("CurrentVersion/Run", "the registry's autostart"),
        (".cursor/mcp.json", "servers of a coding agent"),
        (".claude.json", "servers of a coding agent"),
        ("claude_desktop_config.json", "servers of a coding agent"),
        (".codex/config.toml", "servers of a coding agent"),
        ("pip/pip.conf", "pip's settings"),
        (".pip/pip.conf", "pip's settings"),
        ("pip/pip.ini", "pip's settings"),
        (".config/environment.d", "the environment of the session"),
        ("profile_default/startup", "IPython's start-up files"),
        ("jupyter_server_config", "Jupyter's start-up files"),
        ("jupyter_notebook_config", "Jupyter's start-up files"),
        (".config/fish/config.fish", "the shell's start-up files"),
    ];
    if text.len() > 400 || text.len() < 4 || text.contains('\n') {
        return None;
    }
    if text.strip_suffix(".pth").is_some_and(|stem| !stem.ends_with('*')) {
        return Some("Python's start-up code");
    }
    if text == ".profile" || text.ends_with("/.profile") {
        return Some("the shell's start-up files");
    }
    let plain =
        if text.contains('\\') { Cow::Owned(text.replace('\\', "/")) } else { Cow::Borrowed(text) };
    PLACES.iter().find(|(part, _)| plain.contains(part)).map(|(_, what)| *what)
}

/// Returns true if a path names a file of sound, pictures or film.
pub(crate) fn media(text: &str) -> bool {
    const ENDINGS: [&str; 12] = [
        ".wav", ".mp3", ".ogg", ".flac", ".png", ".jpg", ".jpeg", ".gif", ".bmp", ".ico", ".webp",
        ".mp4",
    ];
    if text.len() > 400 || text.len() < 4 {
        return false;
    }
    let path = text.split(['?', '#']).next().unwrap_or(text).as_bytes();
    let ends = |ending: &&str| {
        let end = path.len().checked_sub(ending.len()).and_then(|at| path.get(at..));
        end.is_some_and(|end| end.eq_ignore_ascii_case(ending.as_bytes()))
    };
    ENDINGS.iter().any(ends)
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_place_is_passed_by(
            before in "[a-z ]{0,3}",
            part in "[a-zA-Z0-9_.*/ ]{0,9}|kubeconfig|keystore|Cookies|Login Data|LaunchAgents|LaunchDaemons|_netrc|id_rsa|authorized_keys|application_default_credentials",
        ) {
            let text = format!("{before}{part}");
            let any = secret(&text).is_some() || persists(&text).is_some() || media(&text);
            proptest::prop_assert_eq!(any, marks(&text) != Marks::default());
        }
    }
}
