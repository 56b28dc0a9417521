//! `keymoat canary`: decoy keys, put where thieves look.

use crate::cli::{Canary, Remote};
use crate::keyring::Keyring;
use crate::say;
use serde_json::json;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;

/// `keymoat canary …`
pub(crate) fn run(canary: Canary) -> ExitCode {
    let done = match canary {
        Canary::New { file, alias, variable, remote } => {
            new(file.as_deref(), alias, &variable, &remote)
        }
        Canary::List { remote } => list(&remote),
    };
    match done {
        Ok(text) => {
            say::out(&text);
            ExitCode::SUCCESS
        }
        Err(problem) => {
            say::err(&format!("error: {problem}"));
            ExitCode::FAILURE
        }
    }
}

fn new(
    file: Option<&Path>,
    alias: Option<String>,
    variable: &str,
    remote: &Remote,
) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if variable.is_empty() || !variable.chars().all(is_name) {
        return Err("--variable must be a name of letters, digits and _".to_owned());
    }
    // Before the key is made: a key whose file cannot be written is no decoy.
    let out = file.map(make).transpose()?;
    let shown = file.map(|file| {
        let whole = file.canonicalize().unwrap_or_else(|_| file.to_owned());
        whole.display().to_string()
    });
    let shown = shown.unwrap_or_default();
    let alias = match alias {
        Some(alias) => alias,
        None => format!(
            "canary-{}",
            base::id::hex(&base::id::random::<4>().map_err(|e| e.to_string())?)
        ),
    };
    let keyring = Keyring::open(remote).and_then(|keyring| {
        let key = keyring.make_canary(&alias, &shown)?;
        Ok((keyring.place(), key))
    });
    let (place, key) = match keyring {
        Ok(made) => made,
        Err(problem) => {
            if let Some(file) = file {
                drop(std::fs::remove_file(file));
            }
            return Err(problem);
        }
    };
    let in_json = |key: Option<&str>| {
        let made = json!({ "alias": alias, "file": shown, "key": key, "place": place });
        format!("{made}\n")
    };
    let (Some(mut out), Some(file)) = (out, file) else {
        if remote.json {
            return Ok(in_json(Some(key.expose())));
        }
        return Ok(format!(
            "{}\n\nThis is a decoy. Put it where only a thief would look; whoever uses it raises an alarm.\nIt is shown once. Its name is {alias}, in {place}.\n",
            key.expose()
        ));
    };
    let url = remote.url.trim_end_matches('/');
    let base = variable.strip_suffix("_API_KEY").unwrap_or("OPENAI");
    let path = if base == "ANTHROPIC" { "" } else { "/v1" };
    let text = format!("{variable}={}\n{base}_BASE_URL={url}{path}\n", key.expose());
    out.write_all(text.as_bytes()).map_err(|error| format!("{}: {error}", file.display()))?;
    if remote.json {
        return Ok(in_json(None));
    }
    Ok(format!(
        "{} holds a decoy now: {alias}, in {place}.\nWhoever uses it is refused and raises an alarm: an error in the gateway's log, a record, the metric keymoat_canary_uses_total.\nLet no program read this file.\n",
        file.display()
    ))
}

/// Makes the file, which must not be there: no real settings are overwritten.
fn make(file: &Path) -> Result<std::fs::File, String> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|error| {
        let hint = "\nhint: a decoy needs a file of its own, such as .env.old";
        format!("{}: {error}{hint}", file.display())
    })
}

fn list(remote: &Remote) -> Result<String, String> {
    let keys = Keyring::open(remote)?.all()?;
    let canaries: Vec<_> = keys.into_iter().filter(|key| key.is_canary).collect();
    if remote.json {
        let rows: Vec<_> = canaries
            .iter()
            .map(|key| {
                json!({
                    "alias": key.alias, "name": key.name, "hash": key.hash, "file": key.file,
                    "last_used": key.last_active,
                })
            })
            .collect();
        return Ok(format!("{}\n", json!({ "canaries": rows })));
    }
    let mut rows = vec![["ALIAS", "KEY", "FILE", "USED LAST", "HASH"].map(str::to_owned).to_vec()];
    let or =
        |text: &str, else_: &str| if text.is_empty() { else_.to_owned() } else { text.to_owned() };
    rows.extend(canaries.iter().map(|key| {
        let hash: String = key.hash.chars().take(16).collect();
        vec![
            key.alias.clone(),
            key.name.clone(),
            or(&key.file, "-"),
            or(&key.last_active, "never"),
            format!("{hash}…"),
        ]
    }));
    Ok(say::table(&rows))
}
