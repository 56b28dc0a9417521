//! One change to one requirement, where it stands: in a requirement file, or
//! as a string in `pyproject.toml`. What cannot be found for certain on its
//! line is not touched.

use crate::name::pep503;

/// What to do to a requirement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Another version in place of the one that is pinned; its hashes go.
    Version {
        /// The package, in the normal spelling.
        name: String,
        /// The version that stands there.
        from: String,
        /// The version to take.
        to: String,
    },
    /// Versions that its range must not let in.
    Exclude {
        /// The package, in the normal spelling.
        name: String,
        /// The versions.
        versions: Vec<String>,
    },
}

impl Edit {
    /// In words.
    pub(super) fn told(&self) -> String {
        match self {
            Self::Version { name, from, to } => format!("{name} {from} -> {to}"),
            Self::Exclude { name, versions } => {
                format!("{name} must not be {}", versions.join(", "))
            }
        }
    }
}

/// The physical lines of the requirement that begins on `line`, from 1, and the
/// number of its first, from 0; nothing if there is no such line.
pub(super) fn block(text: &str, line: u32) -> Option<(usize, Vec<String>)> {
    let lines: Vec<&str> = text.lines().collect();
    let start = usize::try_from(line).ok()?.checked_sub(1)?;
    let goes_on = |line: &str| line.ends_with('\\') && !line.trim_start().starts_with('#');
    let mut end = start;
    while lines.get(end).is_some_and(|line| goes_on(line)) && end + 1 < lines.len() {
        end += 1;
    }
    let block = lines.get(start..=end)?;
    Some((start, block.iter().map(|line| (*line).to_owned()).collect()))
}

/// `block` after `edit`; nothing if what it is about is not there as expected.
pub(super) fn apply(block: &[String], edit: &Edit) -> Option<Vec<String>> {
    let (first, rest) = block.split_first()?;
    let mut new = vec![match edit {
        Edit::Version { name, from, to } => replaced(first, name, from, to)?,
        Edit::Exclude { name, versions } => excluded(first, name, versions)?,
    }];
    new.extend(rest.iter().cloned());
    Some(if matches!(edit, Edit::Version { .. }) { without_hashes(&new) } else { new })
}

/// Letters that a version is made of.
fn is_of_version(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || matches!(letter, '.' | '!' | '+' | '-' | '_' | '*')
}

/// `line` with the version of `name` replaced.
fn replaced(line: &str, name: &str, from: &str, to: &str) -> Option<String> {
    let mut at = None;
    for (found, _) in line.match_indices(from) {
        let (before, after) = (line.get(..found)?, line.get(found + from.len()..)?);
        let stands_alone = !after.starts_with(is_of_version) && !before.ends_with(is_of_version);
        if stands_alone && named_before(before, name) {
            // Twice on one line: not for certain.
            if at.replace(found).is_some() {
                return None;
            }
        }
    }
    let at = at?;
    Some(format!("{}{to}{}", line.get(..at)?, line.get(at + from.len()..)?))
}

/// Returns true if `name` (or TOML's key `version`) is what stands before a version,
/// with no more than extras and signs between.
fn named_before(before: &str, name: &str) -> bool {
    let before = before.trim_end_matches(['=', '^', '~', ' ', '\t', '"', '\'']);
    let before = match (before.ends_with(']'), before.rfind('[')) {
        (true, Some(open)) => before.get(..open).unwrap_or_default().trim_end(),
        _ => before,
    };
    let word =
        before.rsplit(|l: char| !(l.is_ascii_alphanumeric() || matches!(l, '-' | '_' | '.')));
    let word = word.into_iter().next().unwrap_or_default();
    let is_named = pep503(word) == name;
    // `litellm = { version = "1.0" }` in Poetry's tables.
    is_named
        || word == "version"
            && before.contains(['{', ','])
            && pep503(before.split('=').next().unwrap_or_default().trim()) == name
}

/// `line` with `versions` shut out of the range of `name`.
fn excluded(line: &str, name: &str, versions: &[String]) -> Option<String> {
    let more: Vec<String> = versions.iter().map(|version| format!("!={version}")).collect();
    let more = more.join(",");
    let is_of_name = |l: char| l.is_ascii_alphanumeric() || matches!(l, '-' | '_' | '.');
    let mut from = 0;
    loop {
        let start = from + line.get(from..)?.find(is_of_name)?;
        let tail = line.get(start..)?;
        let length = tail.find(|l| !is_of_name(l)).unwrap_or(tail.len());
        if pep503(tail.get(..length)?) == name {
            return at_name(line, start + length, &more);
        }
        from = start + length;
    }
}

/// `line` with `more` behind the range that begins after a name at `end`.
fn at_name(line: &str, end: usize, more: &str) -> Option<String> {
    let tail = line.get(end..)?;
    let mut skipped = tail.len() - tail.trim_start().len();
    if tail.trim_start().starts_with('[') {
        skipped = tail.find(']')? + 1;
    }
    let range_at = end + skipped;
    let tail = line.get(range_at..)?.trim_start();
    let range_at = line.len() - tail.len();
    // Poetry: `name = "^1.0"`.
    let is_poetry = tail.starts_with('=') && !tail.starts_with("==");
    let (range_at, tail) = if is_poetry {
        let open = tail.find(['"', '\''])?;
        let inner = tail.get(open + 1..)?;
        (range_at + open + 1, inner)
    } else {
        (range_at, tail)
    };
    let stop = tail.find(['"', '\'', ';', '#', ')', '\\']).unwrap_or(tail.len());
    let stop = tail.find(" -").map_or(stop, |option| option.min(stop));
    let range = tail.get(..stop)?;
    let kept = range.trim_end();
    if kept.contains(['@', '|', '(']) {
        return None;
    }
    let (before, after) = (line.get(..range_at)?, line.get(range_at + kept.len()..)?);
    Some(match kept {
        "" if is_poetry => return None,
        "" => format!("{}{more}{after}", before.trim_end()),
        "*" => format!("{before}{more}{after}"),
        range => format!("{before}{},{more}{after}", range.trim_end_matches(',')),
    })
}

/// `lines` without `--hash` options, and without the lines that held nothing
/// else.
fn without_hashes(lines: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for line in lines {
        if !line.contains("--hash") {
            kept.push(line.clone());
            continue;
        }
        let body = line.trim_end_matches('\\').trim_end();
        let indent = body.len() - body.trim_start().len();
        let words = body.split_whitespace().filter(|word| !word.starts_with("--hash"));
        let words: Vec<&str> = words.collect();
        if !words.is_empty() {
            let goes_on = if line.ends_with('\\') { " \\" } else { "" };
            kept.push(format!("{}{}{goes_on}", " ".repeat(indent), words.join(" ")));
        }
    }
    // What is last now must not go on.
    if let Some(last) = kept.last_mut().filter(|last| last.ends_with('\\')) {
        *last = last.trim_end_matches('\\').trim_end().to_owned();
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str, line: u32, edit: &Edit) -> Option<String> {
        let (_, block) = block(text, line)?;
        apply(&block, edit).map(|lines| lines.join("\n"))
    }

    fn version() -> Edit {
        Edit::Version { name: "litellm".into(), from: "1.82.7".into(), to: "1.83.7".into() }
    }

    #[test]
    fn a_version_is_replaced_where_it_stands() {
        for (line, expected) in [
            ("litellm==1.82.7", "litellm==1.83.7"),
            (
                "LiteLLM[proxy,x] == 1.82.7 ; python_version < '3.12' # keep",
                "LiteLLM[proxy,x] == 1.83.7 ; python_version < '3.12' # keep",
            ),
            (
                "dependencies = [\"a==1.82.7\", \"litellm==1.82.7\"]",
                "dependencies = [\"a==1.82.7\", \"litellm==1.83.7\"]",
            ),
            ("litellm = \"1.82.7\"", "litellm = \"1.83.7\""),
            (
                "litellm = { version = \"1.82.7\", extras = [\"proxy\"] }",
                "litellm = { version = \"1.83.7\", extras = [\"proxy\"] }",
            ),
            ("litellm===1.82.7", "litellm===1.83.7"),
        ] {
            assert_eq!(change(line, 1, &version()).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_not_there_for_certain_is_not_touched() {
        for line in [
            "litellm==1.82.70",
            "litellm==11.82.7",
            "other==1.82.7",
            "litellm-x==1.82.7",
            "litellm @ https://h/litellm-1.82.7-py3-none-any.whl",
            "litellm==1.82.7; a == 'litellm==1.82.7'",
            "",
        ] {
            assert_eq!(change(line, 1, &version()), None, "{line}");
        }
        assert_eq!(change("litellm==1.82.7", 2, &version()), None);
        assert_eq!(change("litellm==1.82.7", 0, &version()), None);
    }

    #[test]
    fn hashes_of_the_old_release_go_with_it() {
        let text = "a==1\nlitellm==1.82.7 \\\n    --hash=sha256:aa \\\n    --hash=sha256:bb\n    # via x\n";
        assert_eq!(block(text, 2).map(|(start, lines)| (start, lines.len())), Some((1, 3)));
        assert_eq!(change(text, 2, &version()).as_deref(), Some("litellm==1.83.7"));
        let one = "litellm==1.82.7 --hash=sha256:aa ; x";
        assert_eq!(change(one, 1, &version()).as_deref(), Some("litellm==1.83.7 ; x"));
    }

    #[test]
    fn a_range_is_narrowed_and_not_moved() {
        let edit = Edit::Exclude {
            name: "litellm".into(),
            versions: vec!["1.82.7".into(), "1.82.8".into()],
        };
        let bad = "!=1.82.7,!=1.82.8";
        for (line, expected) in [
            ("litellm", format!("litellm{bad}")),
            ("litellm>=1.80, <2 ; x == 'y'", format!("litellm>=1.80, <2,{bad} ; x == 'y'")),
            ("  \"litellm[proxy]>=1.80\",", format!("  \"litellm[proxy]>=1.80,{bad}\",")),
            ("[\"a\", \"LiteLLM\"]", format!("[\"a\", \"LiteLLM{bad}\"]")),
            ("litellm = \"^1.80\"", format!("litellm = \"^1.80,{bad}\"")),
            ("litellm = \"*\"", format!("litellm = \"{bad}\"")),
            ("litellm>=1 # a", format!("litellm>=1,{bad} # a")),
        ] {
            assert_eq!(change(line, 1, &edit).as_deref(), Some(expected.as_str()), "{line}");
        }
        for line in ["other>=1", "litellm @ https://h/x", "litellm = \"^1 || ^2\"", "litellm (>=1)"]
        {
            assert_eq!(change(line, 1, &edit), None, "{line}");
        }
    }
}
