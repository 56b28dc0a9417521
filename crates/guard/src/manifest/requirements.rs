//! Requirement and constraint files, as pip reads them.
//!
//! Lines are joined at a backslash, comments go, the rest is an option or a
//! requirement. Files that are named by `-r` and `-c` are read too, each once.
//! Environment variables are not looked at: a line that needs one is a gap.

use super::{Reading, full_commit};
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::python::requirement::quoted;
use crate::python::{self, Requirement, Specifiers, artefact};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// Requirements of one file that are read.
const LINES_MAX: usize = 100_000;
/// Files that one file may bring in.
const FILES_MAX: usize = 200;

/// What the text of such a file, and of the files it names, says. A line that
/// cannot be read is a gap of its own and costs no other line.
pub fn read(text: &str, place: &Place, open: &dyn Fn(&Path) -> Result<String, String>) -> Reading {
    let mut files = Files {
        open,
        seen: BTreeSet::from([plain(&place.file)]),
        reading: Reading::default(),
        constraints: BTreeMap::new(),
    };
    files.file(text, place, false);
    files.constrain();
    files.reading
}

struct Files<'o> {
    open: &'o dyn Fn(&Path) -> Result<String, String>,
    seen: BTreeSet<PathBuf>,
    reading: Reading,
    /// What `-c` files say of a name. They install nothing.
    constraints: BTreeMap<String, Vec<String>>,
}

impl Files<'_> {
    fn file(&mut self, text: &str, place: &Place, is_constraint: bool) {
        for (count, (line, text)) in logical_lines(text).into_iter().enumerate() {
            if count >= LINES_MAX {
                let place = place.at(line);
                let text = format!("more than {LINES_MAX} lines are not read");
                let shown = place.file.display().to_string();
                self.gap(Why::Unreadable, &shown, &place, &text, "Split the file.");
                return;
            }
            let place = place.at(line);
            if let Some(at) = variable(&text) {
                self.gap(
                    Why::Floating,
                    &at,
                    &place,
                    "its value depends on the environment",
                    "write the value into the file",
                );
            } else if text.starts_with('-') {
                self.option(&text, &place, is_constraint);
            } else {
                self.requirement(&text, &place, is_constraint, false);
            }
        }
    }

    fn option(&mut self, text: &str, place: &Place, is_constraint: bool) {
        let (name, value) = option(text);
        match name {
            "-r" | "--requirement" => self.include(value, place, is_constraint),
            "-c" | "--constraint" => self.include(value, place, true),
            "-e" | "--editable" => self.requirement(value, place, is_constraint, true),
            "--extra-index-url" => self.found(
                Severity::Medium,
                place,
                name,
                "pip asks every index for every name and takes the highest version it finds: whoever registers one of your private names on the public index wins.",
                "Use one index that mirrors the public one, or an installer that asks indexes in order and stops at the first.",
            ),
            "--trusted-host" => self.found(
                Severity::Medium,
                place,
                name,
                "Certificates of this host are not checked: whoever sits on the way can replace any package from it.",
                "Give the host a certificate that your machines trust, and remove the line.",
            ),
            "-i" | "--index-url" | "--pypi-url" | "-f" | "--find-links" => self.index(name, value, place),
            "--no-index" | "--no-binary" | "--only-binary" | "--prefer-binary" | "--pre"
            | "--require-hashes" | "--use-feature" | "--global-option" | "--config-settings" | "-C"
            | "--config-setting" | "--all-releases" | "--only-final" | "--uploaded-prior-to" => {}
            _ => self.gap(Why::Malformed, name, place, "pip has no such option", "correct or remove the line"),
        }
    }

    fn index(&mut self, name: &str, value: &str, place: &Place) {
        if value.starts_with("http://") && !is_loopback(value) {
            self.found(
                Severity::Medium,
                place,
                name,
                "Packages are fetched over plain http: whoever sits on the way can replace any of them.",
                "Use https.",
            );
        }
    }

    fn include(&mut self, value: &str, place: &Place, is_constraint: bool) {
        if value.contains("://") {
            self.gap(
                Why::Unreadable,
                value,
                place,
                "it is at an address, and nothing is fetched",
                "download it, and audit it beside this file",
            );
            return;
        }
        let path = place.file.parent().unwrap_or(Path::new("")).join(value);
        if !self.seen.insert(plain(&path)) {
            return;
        }
        if self.seen.len() > FILES_MAX {
            self.gap(
                Why::Unreadable,
                value,
                place,
                "too many files name each other",
                "audit the files one by one",
            );
            return;
        }
        match (self.open)(&path) {
            Ok(text) => {
                let place = Place { file: Arc::from(path), line: 0 };
                self.file(&text, &place, is_constraint);
            }
            Err(why) => {
                self.gap(
                    Why::Unreadable,
                    &path.display().to_string(),
                    place,
                    &why,
                    "make the file readable, or remove the line that names it",
                );
            }
        }
    }

    fn requirement(&mut self, text: &str, place: &Place, is_constraint: bool, is_editable: bool) {
        let (wanted, options) = split_options(text);
        let mut package = match read_one(wanted, place) {
            Ok(package) => package,
            Err(why) => {
                let shown = quoted(wanted);
                self.gap(
                    Why::Malformed,
                    &shown,
                    place,
                    &why,
                    "Correct the line: pip refuses it. If it is printed by `pip list`, write `pip freeze` instead.",
                );
                return;
            }
        };
        for (name, value) in options {
            match (name.as_str(), Hash::read(&value)) {
                ("--hash", Some(hash)) => package.hashes.push(hash),
                ("--hash", None) => {
                    self.gap(
                        Why::Malformed,
                        &package.name,
                        place,
                        "a hash in it has no algorithm",
                        "write --hash=sha256:…",
                    );
                }
                (
                    "--global-option" | "--config-settings" | "--config-setting" | "-C"
                    | "--install-option",
                    _,
                ) => {}
                _ => {
                    let why = format!("`{name}` is no option of a requirement");
                    self.gap(
                        Why::Malformed,
                        &package.name,
                        place,
                        &why,
                        "correct the line; pip would refuse it",
                    );
                }
            }
        }
        if is_editable && matches!(package.source, Source::Path { .. }) {
            package.source = Source::Own;
        }
        if is_constraint {
            let text = match (&package.version, package.range) {
                (Some(version), _) => format!("=={}", version.text()),
                (None, Some(range)) => range,
                (None, None) => return,
            };
            self.constraints.entry(package.name).or_default().push(text);
        } else {
            self.reading.packages.push(package);
        }
    }

    /// Narrows what is asked for by what the constraint files say.
    fn constrain(&mut self) {
        for package in &mut self.reading.packages {
            let Some(more) = self.constraints.get(&package.name) else { continue };
            if package.version.is_some() {
                continue;
            }
            let all: Vec<&str> = package.range.iter().chain(more).map(String::as_str).collect();
            let all = all.join(",");
            let exact = Specifiers::read(&all).ok().and_then(|s| s.exact().map(str::to_owned));
            match exact {
                Some(version) => *package = package.clone().at_version(&version),
                None => package.range = Some(all),
            }
        }
    }

    fn gap(&mut self, why: Why, subject: &str, place: &Place, text: &str, do_first: &str) {
        self.reading.gaps.push(Gap {
            why,
            subject: without_credentials(subject),
            place: Some(place.clone()),
            text: text.to_owned(),
            do_first: do_first.to_owned(),
        });
    }

    fn found(
        &mut self,
        severity: Severity,
        place: &Place,
        option: &str,
        meaning: &str,
        do_first: &str,
    ) {
        self.reading.findings.push(Finding {
            rule: crate::rule::Rule::IndexSettings,
            severity,
            kind: Kind::Origin,
            subject: option.to_owned(),
            // Addresses of private indexes carry passwords; the line is enough.
            evidence: vec![Evidence { place: Some(place.clone()), text: option.to_owned() }],
            meaning: meaning.to_owned(),
            do_first: do_first.to_owned(),
            advisories: Vec::new(),
        });
    }
}

/// `path` without `.` and `a/..`, so that one file has one name.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        let is_name = matches!(plain.components().next_back(), Some(Component::Normal(_)));
        match part {
            Component::CurDir => {}
            Component::ParentDir if is_name => {
                plain.pop();
            }
            _ => plain.push(part),
        }
    }
    plain
}

/// Lines as pip joins them, without comments, with the number of their first.
fn logical_lines(text: &str) -> Vec<(u32, String)> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = Vec::new();
    let mut joined: Option<(u32, String)> = None;
    for (number, line) in (1_u32..).zip(python::lines(text)) {
        let is_comment = line.trim_start().starts_with('#');
        let goes_on = line.ends_with('\\') && !is_comment;
        let (_, whole) = joined.get_or_insert_with(|| (number, String::new()));
        if is_comment {
            whole.push(' ');
        }
        whole.push_str(if goes_on { line.trim_end_matches('\\') } else { line });
        if !goes_on {
            lines.extend(joined.take());
        }
    }
    lines.extend(joined);
    lines
        .into_iter()
        .map(|(n, l)| (n, without_comment(&l)))
        .filter(|(_, l)| !l.is_empty())
        .collect()
}

/// A `#` begins a comment at the start of a line or after white space.
fn without_comment(line: &str) -> String {
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        if letter == '#' && before.is_whitespace() {
            return line.get(..at).unwrap_or_default().trim().to_owned();
        }
        before = letter;
    }
    line.trim().to_owned()
}

/// The first `${NAME}` in `text`.
fn variable(text: &str) -> Option<String> {
    let (_, after) = text.split_once("${")?;
    let (name, _) = after.split_once('}')?;
    let upper = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_';
    (!name.is_empty() && name.bytes().all(upper)).then(|| format!("${{{name}}}"))
}

/// `--name=value`, `--name value`, `-xvalue` or `-x value`.
fn option(text: &str) -> (&str, &str) {
    if text.starts_with("--") {
        let end = text.find(|l: char| l == '=' || l.is_whitespace()).unwrap_or(text.len());
        let (name, value) = text.split_at_checked(end).unwrap_or((text, ""));
        return (name, unquoted(value.trim_start_matches('=').trim()));
    }
    let (name, value) = text.split_at_checked(2).unwrap_or((text, ""));
    (name, unquoted(value.trim()))
}

fn unquoted(text: &str) -> &str {
    ['"', '\''].iter().find_map(|q| text.strip_prefix(*q)?.strip_suffix(*q)).unwrap_or(text)
}

/// A requirement and the options behind it, which begin at the first word that
/// begins with a dash.
fn split_options(text: &str) -> (&str, Vec<(String, String)>) {
    let mut options: Vec<(String, String)> = Vec::new();
    let starts = text
        .char_indices()
        .zip(text.chars().skip(1))
        .filter(|((_, a), b)| a.is_whitespace() && *b == '-');
    let Some(at) = starts.map(|((at, _), _)| at).next() else { return (text, options) };
    let (wanted, rest) = text.split_at_checked(at).unwrap_or((text, ""));
    for word in rest.split_whitespace() {
        match (word.starts_with('-'), word.split_once('='), options.last_mut()) {
            (true, Some((name, value)), _) => options.push((name.into(), unquoted(value).into())),
            (true, None, _) => options.push((word.into(), String::new())),
            (false, _, Some((_, value))) if value.is_empty() => unquoted(word).clone_into(value),
            // pip takes words behind an option's value and does nothing with them.
            (false, ..) => {}
        }
    }
    (wanted.trim(), options)
}

fn read_one(text: &str, place: &Place) -> Result<Package, String> {
    let is_address = text.contains("://") && !text.contains('@') || is_url(text);
    if !is_address && !is_path(text) {
        return Requirement::read(text).map(|r| wanted(&r, place));
    }
    // A marker behind an address needs a space before it.
    let address = text.split(" ;").next().unwrap_or(text).trim();
    let address_alone = address.split_whitespace().next().unwrap_or(address);
    let fragment = address.split_once('#').map_or("", |(_, fragment)| fragment);
    let of =
        |key| fragment.split('&').find_map(|p: &str| p.split_once('=').filter(|(k, _)| *k == key));
    let egg = of("egg").map(|(_, egg)| egg.split('[').next().unwrap_or(egg));
    let artefact = artefact::name_and_version(address_alone);
    let name = egg.or(artefact.map(|(name, _)| name)).unwrap_or(address_alone);
    let mut package = Package::new(Ecosystem::PyPi, "", Standing::Asked, place.clone());
    package.name = match egg.or(artefact.map(|(name, _)| name)) {
        Some(name) => crate::name::pep503(name),
        None => without_credentials(name),
    };
    package.source = source(address);
    if let Some((_, version)) = artefact {
        package = package.at_version(version);
    }
    package.hashes.extend(hash_in(fragment));
    Ok(package)
}

/// What a requirement asks for, as a package. Also the words of pyproject.toml.
pub(super) fn wanted(requirement: &Requirement, place: &Place) -> Package {
    let name = &requirement.name;
    let mut package = Package::new(Ecosystem::PyPi, name, Standing::Asked, place.clone());
    if let Some(url) = &requirement.url {
        package.source = source(url);
        package.hashes.extend(hash_in(url.split_once('#').map_or("", |(_, fragment)| fragment)));
        return match artefact::name_and_version(url) {
            Some((_, version)) => package.at_version(version),
            None => package,
        };
    }
    if let Some(version) = requirement.specifiers.exact() {
        return package.at_version(version);
    }
    let range = requirement.specifiers.to_string();
    package.range = (!range.is_empty()).then_some(range);
    package
}

fn hash_in(fragment: &str) -> Option<Hash> {
    let known = |name: &str| name.starts_with("sha") || name == "md5";
    let (algorithm, digest) =
        fragment.split('&').filter_map(|p| p.split_once('=')).find(|(k, _)| known(k))?;
    Hash::read(&format!("{algorithm}:{digest}"))
}

fn source(address: &str) -> Source {
    let scheme = address.split_once(':').map_or("", |(scheme, _)| scheme);
    if ["git+", "hg+", "svn+", "bzr+"].iter().any(|vcs| scheme.starts_with(vcs)) {
        let plain = address.split('#').next().unwrap_or(address);
        // The last `@` that stands behind the host names a revision.
        let path_at = plain.find("://").map_or(0, |at| at + 3);
        let path_at =
            plain.get(path_at..).and_then(|p| p.find('/')).map_or(plain.len(), |p| p + path_at);
        let revision = plain.get(path_at..).and_then(|path| path.rsplit_once('@'));
        let commit = revision.and_then(|(_, revision)| full_commit(revision));
        return Source::Vcs { url: without_credentials(plain), commit };
    }
    if address.contains("://") && scheme != "file" {
        return Source::Url { url: without_credentials(address) };
    }
    let path = address.split(['[', '#']).next().unwrap_or(address).trim();
    let path = path.strip_prefix("file://").unwrap_or(path);
    if matches!(path, "." | "./") { Source::Own } else { Source::Path { path: path.into() } }
}

fn is_url(text: &str) -> bool {
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.');
    text.contains("://") && !scheme.is_empty() && scheme.bytes().all(letters)
        || scheme.eq_ignore_ascii_case("file")
}

fn is_path(text: &str) -> bool {
    let first = text.split([' ', ';', '[']).next().unwrap_or(text);
    first.starts_with('.')
        || first.contains(['/', '\\']) && !text.contains('@')
        || artefact::is_artefact(first)
}

fn is_loopback(address: &str) -> bool {
    let host = address.split_once("://").map_or("", |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|local| host.starts_with(local))
}

/// `address` without the name and password that may stand before the host, and
/// without what follows its path, which may be a token.
pub(crate) fn without_credentials(address: &str) -> String {
    let address = address.split(['?', '#']).next().unwrap_or(address);
    let Some((scheme, rest)) = address.split_once("://") else { return address.to_owned() };
    let (authority, path) =
        rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{host}{path}"),
        None => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Reading {
        read(text, &Place::whole("dir/requirements.txt"), &|path| {
            Err(format!("no {}", path.display()))
        })
    }

    fn shown(reading: &Reading) -> Vec<String> {
        reading.packages.iter().map(|p| format!("{}:{}", p.place.line, p.shown())).collect()
    }

    #[test]
    fn lines_are_joined_and_comments_go_as_pip_has_it() {
        let reading = read_text(
            "\u{feff}a==1 \\\n  --hash=sha256:aa \\\n  --hash sha256:bb # c\n\n# d \\\nb==2#no\nc # yes\n  d \\\n",
        );
        assert_eq!(shown(&reading), ["1:a 1", "7:c (any version)", "8:d (any version)"]);
        assert_eq!(reading.packages[0].hashes.len(), 2);
        assert_eq!(reading.gaps[0].place.as_ref().map(|p| p.line), Some(6), "`2#no` is no version");
    }

    #[test]
    fn a_line_that_only_pip_sees_is_seen() {
        let hidden = logical_lines("a==1 # a\rlitellm==1.82.8\n# b\u{c}c==2\u{2028}d==3\r\ne==4");
        let texts: Vec<&str> = hidden.iter().map(|(_, line)| line.as_str()).collect();
        assert_eq!(texts, ["a==1", "litellm==1.82.8", "c==2", "d==3", "e==4"]);
    }

    #[test]
    fn addresses_paths_and_repositories() {
        let commit = "84748be16341b76e073d117329f7f5f4ee2941ad";
        let text = format!(
            "https://u:p@h/litellm-1.82.8-py3-none-any.whl#sha256=ab\nlitellm @ https://h/litellm-1.82.7.tar.gz ; os_name == 'nt'\n-e git+https://h/r@{commit}#egg=Thing[x]\ngit+ssh://git@h/r@main#egg=other\n-e .\n./down/numpy-1.9.2-cp34-none-win32.whl\npandas [t] @ git+https://h/p.git\n"
        );
        let reading = read_text(&text);
        assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
        let expected = [
            "1:litellm 1.82.8",
            "2:litellm 1.82.7",
            "3:thing (any version)",
            "4:other (any version)",
            "5:. (any version)",
            "6:numpy 1.9.2",
            "7:pandas (any version)",
        ];
        assert_eq!(shown(&reading), expected);
        let sources: Vec<&Source> = reading.packages.iter().map(|p| &p.source).collect();
        assert!(matches!(sources[0], Source::Url { url } if !url.contains("u:p")));
        assert!(matches!(sources[2], Source::Vcs { commit: Some(c), .. } if c == commit));
        assert!(matches!(sources[3], Source::Vcs { commit: None, .. }));
        assert_eq!(sources[4], &Source::Own);
        assert_eq!(reading.packages[0].hashes[0].algorithm, "sha256");
    }

    #[test]
    fn options_that_weaken_the_origin_are_found_and_passwords_are_not_shown() {
        let reading = read_text(
            "--extra-index-url https://user:hunter2@private/simple\n--trusted-host h\n-ihttp://h/simple\n--index-url=http://127.0.0.1:3141/simple\n--frobnicate\n",
        );
        let lines: Vec<u32> =
            reading.findings.iter().map(|f| f.evidence[0].place.as_ref().unwrap().line).collect();
        assert_eq!(lines, [1, 2, 3]);
        assert!(!format!("{reading:?}").contains("hunter2"));
        assert_eq!(reading.gaps.len(), 1);
    }

    #[test]
    fn no_message_shows_a_password() {
        for line in [
            "foo https://user:hunter2@h/x",
            "foo==https://user:hunter2@h/x",
            "foo; https://user:hunter2@h/x",
            "https://user:hunter2@h/x?token=hunter2",
            "-r https://user:hunter2@h/x",
            "-e git+https://user:hunter2@h/x",
            "--index-url https://user:hunter2@h/x",
            "foo @ https://user:hunter2@h/x --hash=x",
            "--bogus=https://user:hunter2@h/x",
        ] {
            let reading = read_text(line);
            assert!(!format!("{reading:?}").contains("hunter2"), "{line}: {reading:?}");
        }
    }

    #[test]
    fn files_are_included_relative_to_the_including_file_and_each_once() {
        let reading =
            read("-r sub/b.txt\n-c c.txt\nx>=1\n", &Place::whole("dir/a.txt"), &|path| match path
                .to_str()
            {
                Some("dir/sub/b.txt") => Ok("-r ../a.txt\n-r b.txt\ny==2\n".into()),
                Some("dir/c.txt") => Ok("x==1.5\nz==9\n".into()),
                Some("dir/sub/../a.txt") => Ok("-r sub/b.txt\n".into()),
                other => Err(format!("unexpected {other:?}")),
            });
        assert!(reading.gaps.is_empty(), "{:?}", reading.gaps);
        assert_eq!(shown(&reading), ["3:y 2", "3:x 1.5"]);
    }

    #[test]
    fn a_file_that_is_missing_and_a_variable_are_gaps() {
        let reading = read_text("-r gone.txt\na==${VERSION}\nb==1.0\n");
        assert_eq!(shown(&reading), ["3:b 1.0"]);
        assert_eq!(
            reading.gaps.iter().map(|g| g.why).collect::<Vec<_>>(),
            [Why::Unreadable, Why::Floating]
        );
    }
}
