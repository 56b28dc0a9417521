//! Lists of what is installed, as tools print them for people or for machines:
//! `pip list` (columns and JSON), `pip inspect`, `uv tree`, `pipdeptree`, and the
//! requirements inside of a script (PEP 723). Each is turned into the lines of a
//! requirement file, line for line.

use serde::Deserialize;

#[derive(Deserialize)]
struct Listed {
    name: String,
    version: String,
}

#[derive(Deserialize)]
struct Inspected {
    installed: Vec<Described>,
}

#[derive(Deserialize)]
struct Described {
    metadata: Listed,
}

/// `text` as the lines of a requirement file, if it is such a list.
pub(super) fn plain(text: &str) -> Option<String> {
    json(text).or_else(|| columns(text)).or_else(|| tree(text)).or_else(|| script(text))
}

fn lines(all: impl Iterator<Item = Listed>) -> String {
    let lines: Vec<String> = all.map(|one| format!("{}=={}", one.name, one.version)).collect();
    lines.join("\n") + "\n"
}

fn json(text: &str) -> Option<String> {
    let text = text.trim_start();
    if text.starts_with('[') {
        let all: Vec<Listed> = serde_json::from_str(text).ok()?;
        return Some(lines(all.into_iter()));
    }
    if !text.starts_with('{') || !text.contains("\"installed\"") {
        return None;
    }
    let all: Inspected = serde_json::from_str(text).ok()?;
    Some(lines(all.installed.into_iter().map(|one| one.metadata)))
}

/// `Package  Version`, a line of dashes, then a package a line.
fn columns(text: &str) -> Option<String> {
    let mut all = text.lines();
    let head = all.by_ref().find(|line| !line.trim().is_empty())?;
    let mut words = head.split_whitespace();
    if words.next() != Some("Package") || words.next() != Some("Version") {
        return None;
    }
    let mut made = String::new();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (name, version) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let head = name == "Package" || name.starts_with("---") || name.starts_with('[');
        if !head && !name.is_empty() && version.starts_with(|l: char| l.is_ascii_digit()) {
            made.extend([name, "==", version]);
        }
        made.push('\n');
    }
    Some(made)
}

/// `├── name v1.0` (uv) and `├── name [required: …, installed: 1.0]` (pipdeptree).
fn tree(text: &str) -> Option<String> {
    if !text.contains("── ") && !text.contains("[required:") {
        return None;
    }
    let mut made = String::new();
    for line in text.lines() {
        let bare = line.trim_start_matches(|l: char| l.is_whitespace() || "│├└─|`-".contains(l));
        let depth = line.len() - bare.len();
        let (name, rest) = bare.split_once(' ').unwrap_or((bare, ""));
        let name = name.split('[').next().unwrap_or(name);
        let installed = rest.split_once("installed: ").map(|(_, version)| version);
        let installed = installed.and_then(|version| version.split([',', ']']).next());
        let version = installed.or_else(|| rest.split_whitespace().next()?.strip_prefix('v'));
        // The first line of a tree of uv's is the project itself.
        match version.filter(|_| depth > 0 || installed.is_some()) {
            Some(version) if !name.is_empty() => {
                made.extend([name, "==", version.trim()]);
            }
            _ if bare.contains("==") => made.push_str(bare),
            _ => {}
        }
        made.push('\n');
    }
    Some(made)
}

/// The requirements that a script states in its comments (PEP 723).
fn script(text: &str) -> Option<String> {
    let begin = text.lines().position(|line| line.trim_end() == "# /// script")?;
    let block: Vec<&str> =
        text.lines().skip(begin + 1).take_while(|line| line.trim_end() != "# ///").collect();
    let bare = |line: &&str| {
        line.strip_prefix("# ").or_else(|| line.strip_prefix('#')).unwrap_or_default().to_owned()
    };
    let toml: Vec<String> = block.iter().map(bare).collect();
    let table: toml::Table = toml::from_str(&toml.join("\n")).ok()?;
    let wanted = table.get("dependencies").and_then(toml::Value::as_array)?;
    let mut made = "\n".repeat(begin + 1);
    for requirement in wanted.iter().filter_map(toml::Value::as_str) {
        made.push_str(requirement);
        made.push('\n');
    }
    Some(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_every_tool_become_requirements() {
        for (text, expected) in [
            ("Package    Version\n---------- -------\nlitellm    1.82.8\n", "litellm==1.82.8"),
            ("[{\"name\": \"litellm\", \"version\": \"1.82.8\"}]", "litellm==1.82.8"),
            (
                "{\"version\": \"1\", \"installed\": [{\"metadata\": {\"name\": \"litellm\", \"version\": \"1.82.8\"}}]}",
                "litellm==1.82.8",
            ),
            ("app v0.1\n├── litellm v1.82.8\n│   └── openai v1.0\n", "litellm==1.82.8"),
            ("dspy==2.6\n└── litellm [required: >=1, installed: 1.82.8]\n", "litellm==1.82.8"),
            (
                "# /// script\n# dependencies = [\"litellm==1.82.8\"]\n# ///\nimport x\n",
                "litellm==1.82.8",
            ),
        ] {
            let made = plain(text).unwrap_or_default();
            assert!(made.lines().any(|line| line == expected), "{text}: {made}");
            assert!(!made.contains("app=="), "{made}");
        }
        assert_eq!(plain("litellm==1.82.8\n"), None);
    }
}
