//! A plan as a requirement file with hashes, or as `pylock.toml` (PEP 751).
//! The same plan gives the same bytes: no time, no name of a machine.

use super::{Gap, Pin, PinnedFile, Plan, Unpinned};
use crate::inventory::Source;
use crate::manifest::requirements::without_credentials;
use crate::name::is_valid_python;
use base::clock::rfc3339;
use std::fmt::Write as _;
use std::path::Path;

/// The plan as pip's requirement file. It demands hashes of every line, so
/// that a line without one stops an installation instead of weakening it.
pub fn requirements(plan: &Plan, only_wheels: bool) -> String {
    let mut out = format!(
        "# Made by `keymoat pin` from {}. Do not edit: make it anew.\n# Install with: python -m pip install -r THIS_FILE\n--require-hashes\n",
        name_of(&plan.from)
    );
    if only_wheels {
        out.push_str("--only-binary :all:\n");
    }
    for pin in &plan.pins {
        let mut line = match (&pin.source, &pin.version) {
            (Source::Url { url }, _) => format!("{} @ {}", pin.name, without_credentials(url)),
            (Source::Vcs { url, commit, .. }, _) => {
                let plain = without_credentials(url);
                let plain = plain.strip_prefix("git+").unwrap_or(&plain);
                let at = commit.as_ref().map(|commit| format!("@{commit}")).unwrap_or_default();
                format!("{} @ git+{plain}{at}", pin.name)
            }
            (_, Some(version)) => format!("{}=={version}", pin.name),
            (_, None) => pin.name.clone(),
        };
        if let Some(marker) = &pin.marker {
            // Behind an address a marker needs a space before it.
            write!(line, " ; {marker}").unwrap_or_default();
        }
        let mut hashes: Vec<String> = pin
            .files
            .iter()
            .flat_map(|file| &file.hashes)
            .map(|hash| format!("--hash={}:{}", hash.algorithm, hash.digest))
            .collect();
        hashes.sort();
        hashes.dedup();
        if hashes.is_empty() {
            writeln!(out, "# NOT PINNED: no hash is known of the next line").unwrap_or_default();
        }
        out.push_str(&line);
        for hash in hashes {
            write!(out, " \\\n    {hash}").unwrap_or_default();
        }
        out.push('\n');
        let via: Vec<&str> = pin.via.iter().map(String::as_str).collect();
        let via: Vec<&str> = via.into_iter().filter(|name| is_valid_python(name)).collect();
        if !via.is_empty() {
            writeln!(out, "    # via {}", via.join(", ")).unwrap_or_default();
        }
    }
    out
}

/// The plan as `pylock.toml`, and what of it the format has no place for.
/// Paths to artefacts are written as they lie seen from `folder`, in which the
/// file will be.
pub fn pylock(plan: &Plan, folder: &Path) -> (String, Vec<Gap>) {
    let mut out = String::from("lock-version = \"1.0\"\n");
    let mut gaps = Vec::new();
    if let Some(python) = &plan.requires_python {
        writeln!(out, "requires-python = {}", quoted(python)).unwrap_or_default();
    }
    out.push_str("created-by = \"keymoat\"\n");
    // An installer refuses what has no file: an entry without one stops the installation.
    // A list that is empty must still be there.
    if plan.pins.is_empty() {
        out.push_str("packages = []\n");
    }
    for pin in &plan.pins {
        package(&mut out, pin, folder);
        let sourced = pin.files.iter().any(|file| file.url.is_some() || file.path.is_some());
        if !sourced && !pin.files.is_empty() {
            gaps.push(pin.gap(
                Unpinned::NoAddress,
                "the source names no address of its files, and pylock.toml wants one",
                "Write a requirement file instead, or give the files with --artefacts.",
            ));
        }
    }
    (out, gaps)
}

fn package(out: &mut String, pin: &Pin, folder: &Path) {
    let mut line = |key: &str, value: &str| {
        writeln!(out, "{key} = {}", quoted(value)).unwrap_or_default();
    };
    // Writing to a string has no way to fail.
    line("\n[[packages]]\nname", &pin.name);
    if let Some(version) = &pin.version {
        line("version", version);
    }
    if let Some(marker) = &pin.marker {
        line("marker", marker);
    }
    if let Some(python) = &pin.requires_python {
        line("requires-python", python);
    }
    match &pin.source {
        Source::Registry { url: Some(url) } => line("index", &without_credentials(url)),
        Source::Vcs { url, commit } => {
            let plain = without_credentials(url);
            let plain = plain.strip_prefix("git+").unwrap_or(&plain);
            line("vcs.type", "git");
            line("vcs.url", plain);
            line("vcs.commit-id", commit.as_deref().unwrap_or_default());
            return;
        }
        Source::Path { path } if pin.files.is_empty() => {
            line("directory.path", &path.display().to_string());
            return;
        }
        _ => {}
    }
    if matches!(pin.source, Source::Url { .. } | Source::Path { .. }) {
        if let Some(file) = pin.files.first() {
            writeln!(out, "archive = {{ {} }}", fields(file, folder, false)).unwrap_or_default();
        }
        return;
    }
    let placed = |file: &&PinnedFile| file.url.is_some() || file.path.is_some();
    if let Some(sdist) = pin.files.iter().filter(placed).find(|file| !file.is_wheel()) {
        writeln!(out, "sdist = {{ {} }}", fields(sdist, folder, true)).unwrap_or_default();
    }
    let wheels: Vec<&PinnedFile> =
        pin.files.iter().filter(placed).filter(|f| f.is_wheel()).collect();
    if !wheels.is_empty() {
        out.push_str("wheels = [\n");
        for wheel in wheels {
            writeln!(out, "    {{ {} }},", fields(wheel, folder, true)).unwrap_or_default();
        }
        out.push_str("]\n");
    }
}

fn fields(file: &PinnedFile, folder: &Path, named: bool) -> String {
    let mut fields = Vec::new();
    if let Some(name) = file.shown_name().filter(|_| named) {
        fields.push(format!("name = {}", quoted(name)));
    }
    if let Some(url) = &file.url {
        fields.push(format!("url = {}", quoted(&without_credentials(url))));
    } else if let Some(path) = &file.path {
        let path = path.strip_prefix(folder).unwrap_or(path);
        fields.push(format!("path = {}", quoted(&path.display().to_string())));
    }
    if let Some(at_ms) = file.uploaded.as_deref().and_then(crate::time::unix_ms) {
        // A date and time of TOML: RFC 3339 without quotes.
        fields.push(format!("upload-time = {}", rfc3339(at_ms).replace(".000Z", "Z")));
    }
    if let Some(size) = file.size {
        fields.push(format!("size = {size}"));
    }
    let hashes: Vec<String> = file
        .hashes
        .iter()
        .map(|hash| format!("{} = {}", hash.algorithm, quoted(&hash.digest)))
        .collect();
    fields.push(format!("hashes = {{ {} }}", hashes.join(", ")));
    fields.join(", ")
}

/// A string of TOML.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            letter if letter.is_control() => {
                write!(out, "\\u{:04X}", u32::from(letter)).unwrap_or_default();
            }
            letter => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The last part of a path, fit for a comment.
fn name_of(path: &Path) -> String {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
    let name: String = name.unwrap_or_else(|| path.display().to_string());
    name.chars().filter(|letter| !letter.is_control()).collect()
}
