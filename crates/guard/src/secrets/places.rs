//! Where people and tools leave keys.

use crate::machine::Host;
use std::fs;
use std::path::{Path, PathBuf};

/// Entries of folders that are looked at before a walk stops.
const ENTRIES_MAX: usize = 1_000_000;
/// Folders below the one that was asked for.
const DEPTH_MAX: usize = 24;
/// Folders that hold other people's code, or nothing that people write.
const SKIPPED: [&str; 12] = [
    ".git",
    ".hg",
    ".svn",
    "node_modules",
    "__pycache__",
    ".mypy_cache",
    ".ruff_cache",
    "site-packages",
    "dist-packages",
    "target",
    ".tox",
    ".nox",
];

/// What kind of place a file is: it decides who else gets to see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Habit {
    /// One person's, on one machine: shell profiles, stores of tools.
    Own,
    /// Meant to stay out of version control, and often does not.
    Dotenv,
    /// Meant to be handed on: compose, CI, images, notebooks, editors' files.
    Shared,
}

/// Stores of credentials in a home, and what they open.
const STORES: [(&str, &str); 26] = [
    (".aws/credentials", "keys to AWS"),
    (".azure/msal_token_cache.json", "a sign-in to Azure"),
    (".config/gcloud/application_default_credentials.json", "a sign-in to Google Cloud"),
    (".config/gcloud/credentials.db", "a sign-in to Google Cloud"),
    (".kube/config", "Kubernetes clusters"),
    (".docker/config.json", "image registries"),
    (".git-credentials", "code hosts"),
    (".config/gh/hosts.yml", "GitHub"),
    (".netrc", "hosts of all kinds"),
    (".npmrc", "a package registry"),
    (".pypirc", "a package index"),
    (".cargo/credentials.toml", "a package registry"),
    (".vault-token", "HashiCorp Vault"),
    (".pgpass", "databases"),
    (".my.cnf", "databases"),
    (".cache/huggingface/token", "Hugging Face"),
    (".huggingface/token", "Hugging Face"),
    (".claude/.credentials.json", "a sign-in to Anthropic"),
    (".codex/auth.json", "a sign-in to OpenAI"),
    (".gemini/oauth_creds.json", "a sign-in to Google"),
    (".config/io.datasette.llm/keys.json", "providers of models"),
    (".local/share/opencode/auth.json", "providers of models"),
    (".continue/config.json", "providers of models"),
    (".aider.conf.yml", "providers of models"),
    (".terraform.d/credentials.tfrc.json", "Terraform"),
    (".config/solana/id.json", "a wallet"),
];

/// Files in a home that shells read, or write what was typed to.
const PROFILES: [&str; 17] = [
    ".bashrc",
    ".bash_profile",
    ".bash_login",
    ".bash_aliases",
    ".profile",
    ".zshrc",
    ".zshenv",
    ".zprofile",
    ".zlogin",
    ".xprofile",
    ".pam_environment",
    ".config/fish/config.fish",
    ".config/fish/fish_variables",
    ".bash_history",
    ".zsh_history",
    ".local/share/fish/fish_history",
    ".python_history",
];
/// Folders in a home whose files are such profiles.
const PROFILE_FOLDERS: [&str; 4] =
    [".config/fish/conf.d", ".config/environment.d", ".bashrc.d", ".zshrc.d"];

/// A file to search, or only to name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Spot {
    /// Where.
    pub(super) path: PathBuf,
    /// What kind of place.
    pub(super) habit: Habit,
    /// What a store of credentials opens.
    pub(super) opens: Option<&'static str>,
}

/// What a walk found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Files to search.
    pub(super) spots: Vec<Spot>,
    /// What could not be opened, and why.
    pub(super) unreadable: Vec<(PathBuf, String)>,
    /// True if the walk stopped before it was through.
    pub(super) cut_short: bool,
}

/// The places in the homes of `host`.
pub(super) fn of_homes(host: &Host, found: &mut Found) {
    for home in host.homes() {
        let own = |path: PathBuf, opens| Spot { path, habit: Habit::Own, opens };
        let stores = STORES.iter().map(|(path, opens)| own(home.join(path), Some(*opens)));
        let profiles = PROFILES.iter().map(|path| own(home.join(path), None));
        let folders = PROFILE_FOLDERS.iter().flat_map(|folder| names_in(&home.join(folder)));
        let folders = folders.map(|path| own(path, None));
        let ssh = names_in(&home.join(".ssh")).into_iter().filter(|path| {
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            name.starts_with("id_") && !name.contains('.')
        });
        let ssh = ssh.map(|path| own(path, Some("machines and code hosts")));
        let all = stores.chain(profiles).chain(folders).chain(ssh);
        found.spots.extend(all.filter(|spot| spot.path.is_file()));
    }
}

fn names_in(folder: &Path) -> Vec<PathBuf> {
    let listing = fs::read_dir(folder).into_iter().flatten().flatten();
    listing.map(|entry| entry.path()).collect()
}

/// The places at and below `path`; a file that is named outright is searched
/// whatever it is called.
pub(super) fn below(path: &Path, found: &mut Found) {
    let about = match fs::metadata(path) {
        Ok(about) => about,
        Err(error) => {
            found.unreadable.push((path.to_owned(), error.to_string()));
            return;
        }
    };
    if about.is_file() {
        let habit = habit_of(path).unwrap_or(Habit::Dotenv);
        found.spots.push(Spot { path: path.to_owned(), habit, opens: None });
    } else if about.is_dir() {
        walk(path, found);
    } else {
        found.unreadable.push((path.to_owned(), "it is neither a file nor a folder".to_owned()));
    }
}

fn walk(top: &Path, found: &mut Found) {
    let mut folders = vec![(top.to_owned(), 0)];
    let mut entries = 0;
    while let Some((folder, depth)) = folders.pop() {
        let listing = match fs::read_dir(&folder) {
            Ok(listing) => listing,
            Err(error) => {
                found.unreadable.push((folder, error.to_string()));
                continue;
            }
        };
        for entry in listing.flatten() {
            entries += 1;
            if entries > ENTRIES_MAX {
                found.cut_short = true;
                return;
            }
            let (path, Ok(kind)) = (entry.path(), entry.file_type()) else { continue };
            let name = entry.file_name();
            let name = name.to_str().unwrap_or_default();
            if kind.is_dir() {
                if depth >= DEPTH_MAX {
                    found.cut_short = true;
                } else if !SKIPPED.contains(&name) && !is_kernels(&path) {
                    folders.push((path, depth + 1));
                }
                continue;
            }
            // A link to a file is searched, a link to a folder is not followed.
            let is_file = kind.is_file() || kind.is_symlink() && path.is_file();
            if let Some(habit) = habit_of(&path).filter(|_| is_file) {
                found.spots.push(Spot { path, habit, opens: None });
            }
        }
    }
}

/// What the kernel shows as files is no file.
fn is_kernels(folder: &Path) -> bool {
    folder == Path::new("/proc") || folder == Path::new("/sys") || folder == Path::new("/dev")
}

/// What kind of place a file is by its name, if it is one.
fn habit_of(path: &Path) -> Option<Habit> {
    let name = path.file_name()?.to_str()?.to_ascii_lowercase();
    let ending = name.rsplit_once('.').map(|(_, ending)| ending);
    let folder = path.parent().and_then(Path::file_name).and_then(|n| n.to_str()).unwrap_or("");
    let is_yaml = matches!(ending, Some("yml" | "yaml"));
    let begins = |starts: &[&str]| starts.iter().any(|start| name.starts_with(start));
    if begins(&[".env"]) || ending == Some("env") || name == "secrets.toml" {
        return Some(Habit::Dotenv);
    }
    if ending == Some("tfvars") || name == "local.settings.json" {
        return Some(Habit::Dotenv);
    }
    let is_image = begins(&["dockerfile", "containerfile"]) || ending == Some("dockerfile");
    let is_compose = is_yaml && begins(&["docker-compose", "compose"]);
    let is_ci = is_yaml
        && matches!(folder, "workflows" | ".circleci" | ".buildkite" | ".woodpecker")
        || matches!(
            name.as_str(),
            ".gitlab-ci.yml"
                | ".travis.yml"
                | ".drone.yml"
                | "azure-pipelines.yml"
                | "bitbucket-pipelines.yml"
                | "cloudbuild.yaml"
                | "jenkinsfile"
        );
    let is_gateway = is_yaml && begins(&["config", "litellm", "keymoat", "values", "application"]);
    let is_tool = matches!(
        name.as_str(),
        ".mcp.json"
            | "mcp.json"
            | "mcp_config.json"
            | "claude_desktop_config.json"
            | ".aider.conf.yml"
    ) || ending == Some("json")
        && matches!(folder, ".vscode" | ".cursor" | ".claude" | ".gemini" | ".continue");
    let is_shared =
        is_image || is_compose || is_ci || is_gateway || is_tool || ending == Some("ipynb");
    is_shared.then_some(Habit::Shared)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_known_by_their_names() {
        let habit = |path: &str| habit_of(Path::new(path));
        for dotenv in
            [".env", ".env.local", ".envrc", "prod.env", ".ENV.Production", "secrets.toml"]
        {
            assert_eq!(habit(dotenv), Some(Habit::Dotenv), "{dotenv}");
        }
        for shared in [
            "docker-compose.override.yml",
            "compose.yaml",
            ".github/workflows/ci.yml",
            ".gitlab-ci.yml",
            "Dockerfile.prod",
            "a/notebook.ipynb",
            ".mcp.json",
            ".vscode/settings.json",
            "litellm_config.yaml",
        ] {
            assert_eq!(habit(shared), Some(Habit::Shared), "{shared}");
        }
        for neither in ["main.py", "environment.md", "README.md", "data/x.json", "uv.lock"] {
            assert_eq!(habit(neither), None, "{neither}");
        }
    }
}
