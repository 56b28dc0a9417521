//! Variables that a command is given.

use std::ffi::{OsStr, OsString};

/// Words of a name that say that the value is secret.
const SECRET_WORDS: [&str; 22] = [
    "TOKEN",
    "TOKENS",
    "SECRET",
    "SECRETS",
    "PASSWORD",
    "PASSWORDS",
    "PASSWD",
    "PASS",
    "PASSPHRASE",
    "PWD",
    "CREDENTIAL",
    "CREDENTIALS",
    "CREDS",
    "KEY",
    "KEYS",
    "APIKEY",
    "AUTH",
    "COOKIE",
    "COOKIES",
    "DSN",
    "PAT",
    "SIGNATURE",
];
/// Ends of names that are written without a separator.
const SECRET_ENDS: [&str; 6] = ["TOKEN", "SECRET", "PASSWORD", "APIKEY", "PRIVATEKEY", "ACCESSKEY"];
/// Names that have such a word and hold no secret.
const HARMLESS: [&str; 5] = ["PWD", "OLDPWD", "SSH_ASKPASS", "GPG_KEY", "GIT_ASKPASS"];
/// Beginnings of names whose variables lead to secrets or to sockets.
const SECRET_STARTS: [&str; 13] = [
    "AWS_",
    "AZURE_",
    "GOOGLE_",
    "GCLOUD_",
    "CLOUDSDK_",
    "DOCKER_",
    "KUBE",
    "VAULT_",
    "CI_JOB_",
    "ACTIONS_",
    "SSH_AUTH",
    "SSH_AGENT",
    "KEYMOAT_",
];
/// Names of variables that lead to sockets, displays and files of other programs.
const LEADING_OUT: [&str; 16] = [
    "DBUS_SESSION_BUS_ADDRESS",
    "DBUS_SYSTEM_BUS_ADDRESS",
    "XDG_RUNTIME_DIR",
    "XAUTHORITY",
    "DISPLAY",
    "WAYLAND_DISPLAY",
    "GPG_AGENT_INFO",
    "GNOME_KEYRING_CONTROL",
    "CONTAINER_HOST",
    "PODMAN_HOST",
    "BUILDKIT_HOST",
    "TMUX",
    "STY",
    "VSCODE_IPC_HOOK_CLI",
    "INVOCATION_ID",
    "NOTIFY_SOCKET",
];
/// Names under which programs look for a proxy.
const PROXY: [&str; 8] = [
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "npm_config_proxy",
    "npm_config_https_proxy",
];
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];
/// Places for temporary files, which are elsewhere in the sandbox.
const TEMPORARY: [&str; 3] = ["TMPDIR", "TEMP", "TMP"];

/// A command's variables.
#[derive(Debug, Default)]
pub(super) struct Environment {
    /// Names and values.
    pub(super) variables: Vec<(OsString, OsString)>,
    /// Names of those that were left out.
    pub(super) removed: Vec<String>,
}

impl Environment {
    /// Sets variables, in the place of those with the same names.
    pub(super) fn set(&mut self, variables: Vec<(OsString, OsString)>) {
        self.variables.retain(|(name, _)| variables.iter().all(|(new, _)| new != name));
        self.variables.extend(variables);
    }
}

/// Leaves out of `variables` what is secret or leads out, but for the names in
/// `kept`, and names the proxy on `port`.
pub(super) fn confined(
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    kept: &[String],
    port: u16,
) -> Environment {
    let mut environment = Environment::default();
    for (name, value) in variables {
        let (shown, text) = (name.to_string_lossy(), value.to_string_lossy());
        let is_replaced = [PROXY.as_slice(), &NO_PROXY, &TEMPORARY]
            .iter()
            .any(|list| list.contains(&shown.as_ref()));
        if is_replaced {
            continue;
        }
        if !kept.iter().any(|kept| OsStr::new(kept) == name) && is_unfit(&shown, &text) {
            environment.removed.push(shown.into_owned());
        } else {
            environment.variables.push((name, value));
        }
    }
    let proxy = format!("http://127.0.0.1:{port}");
    let mut set = |name: &str, value: &str| {
        environment.variables.push((name.into(), value.into()));
    };
    for name in PROXY {
        set(name, &proxy);
    }
    for name in NO_PROXY {
        set(name, "localhost,127.0.0.1,::1");
    }
    set("TMPDIR", "/tmp");
    // Node.js 24 and later honour the variables above if they are asked to.
    set("NODE_USE_ENV_PROXY", "1");
    environment.removed.sort_unstable();
    environment
}

fn is_unfit(name: &str, value: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    if HARMLESS.contains(&upper.as_str()) || value.is_empty() {
        return false;
    }
    upper.split(['_', '-', '.']).any(|word| SECRET_WORDS.contains(&word))
        || SECRET_ENDS.iter().any(|end| upper.ends_with(end))
        || SECRET_STARTS.iter().any(|start| upper.starts_with(start))
        || LEADING_OUT.contains(&upper.as_str())
        || has_user_info(value)
        || guard::secrets::holds_key(name, value)
}

/// An address with a user name and a password.
fn has_user_info(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', ' ', ',']).next().unwrap_or_default();
        authority.split_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

#[cfg(test)]
mod tests {
    use super::{confined, is_unfit};

    #[test]
    fn secrets_are_known_by_name_or_value() {
        let openai = format!("sk-proj-{}", "aB3dE5fG7h".repeat(6));
        for (name, value) in [
            ("OPENAI_API_KEY", "x"),
            ("openai_api_key", "x"),
            ("GITHUB_TOKEN", "x"),
            ("githubtoken", "x"),
            ("DB_PASSWORD", "x"),
            ("DB_PWD", "x"),
            ("AWS_PROFILE", "prod"),
            ("KUBECONFIG", "/x"),
            ("SSH_AUTH_SOCK", "/x"),
            ("DBUS_SESSION_BUS_ADDRESS", "unix:path=/x"),
            ("DATABASE_URL", "postgres://u:p@h/db"),
            ("PIP_INDEX_URL", "https://u:p@index.example/simple"),
            ("SENTRY_DSN", "https://x@h/1"),
            ("HARMLESS", openai.as_str()),
            ("LITELLM_MASTER_KEY", "sk-1234"),
        ] {
            assert!(is_unfit(name, value), "{name}={value}");
        }
        for (name, value) in [
            ("PATH", "/usr/bin"),
            ("PWD", "/x"),
            ("OLDPWD", "/x"),
            ("TOKENIZERS_PARALLELISM", "false"),
            ("LANG", "en_US.UTF-8"),
            ("PYTHONPATH", "src"),
            ("KEYBOARD", "us"),
            ("PIP_INDEX_URL", "https://index.example/simple"),
            ("DATABASE_URL", "postgres://h/db"),
            ("EDITOR", "vi"),
            ("COMMIT", "0123456789abcdef0123456789abcdef01234567"),
        ] {
            assert!(!is_unfit(name, value), "{name}={value}");
        }
    }

    #[test]
    fn the_proxy_is_named_and_nothing_else_is() {
        let pairs = [
            ("HTTPS_PROXY", "http://old:1"),
            ("no_proxy", "*"),
            ("A_TOKEN", "t"),
            ("B_TOKEN", "t"),
        ];
        let variables = pairs.map(|(name, value)| (name.into(), value.into()));
        let environment = confined(variables, &["B_TOKEN".to_owned()], 3128);
        let value = |name: &str| {
            let mut found = environment.variables.iter().filter(|(n, _)| n == name);
            let value = found.next().map(|(_, value)| value.to_string_lossy().into_owned());
            assert!(found.next().is_none(), "{name} is there twice");
            value
        };
        assert_eq!(value("HTTPS_PROXY").as_deref(), Some("http://127.0.0.1:3128"));
        assert_eq!(value("no_proxy").as_deref(), Some("localhost,127.0.0.1,::1"));
        assert_eq!(value("A_TOKEN"), None);
        assert_eq!(value("B_TOKEN").as_deref(), Some("t"));
        assert_eq!(environment.removed, ["A_TOKEN"]);
    }
}
