//! Distributions that are packed: a wheel, a source archive, the files of an
//! image. The same questions as for a folder on the disk, asked of names and
//! hashes; nothing is unpacked.

use super::conduct::{self, Source, Sources};
use super::distribution::{self, Distribution};
use super::held::site_in;
pub(crate) use super::held::{Files, Of};
use super::links::Around;
use super::{Owners, finding, hex, metadata, plain, prefix_of, push_once, record, startup};
use crate::copies::{self, Made};
use crate::finding::{Evidence, Finding, Gap, Severity, Why};
use crate::inventory::{Ecosystem, Package, Place, Standing};
use crate::judge::bad_files;
use crate::judge::conduct::{Entry, Root};
use crate::manifest::{Format, Reading};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Files that one finding names; the rest are counted.
const FILES_MAX: usize = 10;

/// Folders of a source archive that are seldom installed.
const ASIDE: [&str; 20] = [
    "tests",
    "test",
    "testing",
    "docs",
    "doc",
    "examples",
    "example",
    "samples",
    "benchmarks",
    "demo",
    "tools",
    "scripts",
    "utils",
    "ci",
    "action",
    "contrib",
    "bootloader",
    "dev",
    "packaging",
    "bench",
];

/// What is in `files`, which are shown as if they lay below `shown`.
pub(crate) fn read(shown: &Path, files: &Files, of: Of) -> Reading {
    let mut reading = Reading::default();
    if of == Of::Wheel {
        site(shown, files, "", of, &mut reading);
        return reading;
    }
    let mut sites: BTreeSet<&str> = BTreeSet::new();
    for name in files.held.keys() {
        if let Some(site) = site_in(name) {
            sites.insert(site);
        } else if let Some((before, _)) = name.split_once(".dist-info/METADATA") {
            // An unpacked wheel, as the caches of installers keep them.
            sites.insert(before.rsplit_once('/').map_or("", |(folder, _)| folder));
        }
        if let Some(format) = Format::of(Path::new(name)).filter(|_| site_in(name).is_none()) {
            manifest(shown, files, name, format, &mut reading);
        }
    }
    for folder in sites {
        site(shown, files, folder, of, &mut reading);
    }
    reading
}

fn manifest(shown: &Path, files: &Files, name: &str, format: Format, reading: &mut Reading) {
    let path = shown.join(name);
    let open = |other: &Path| {
        let inside = other.strip_prefix(shown).ok().and_then(Path::to_str);
        let text = inside.and_then(|name| files.text(plain(Path::new(name)).to_str()?));
        text.ok_or_else(|| "it is not in the image, or not kept".to_owned())
    };
    let outcome = match files.text(name) {
        Some(text) => format.read(&text, &Place::whole(&path), &open),
        None => return reading.gaps.push(super::unreadable(&path, "it is too large to be kept")),
    };
    match outcome {
        Ok(read) => reading.append(read),
        Err(malformed) => reading.gaps.push(Gap {
            why: Why::Malformed,
            subject: path.display().to_string(),
            place: Some(Place::whole(&path).at(malformed.line)),
            text: malformed.what,
            do_first: "Make the file anew with the tool that wrote it, and audit again.".into(),
        }),
    }
}

/// One folder into which distributions are installed.
fn site(shown: &Path, files: &Files, folder: &str, of: Of, reading: &mut Reading) {
    let root = shown.join(folder);
    let mut distributions: Vec<Distribution> = Vec::new();
    for (name, inside) in files.below(folder) {
        let described = match inside.split_once('/') {
            Some((own, "METADATA")) if own.ends_with(".dist-info") => own,
            Some((own, "PKG-INFO")) if own.ends_with(".egg-info") => own,
            None if inside.ends_with(".egg-info") => inside,
            _ => continue,
        };
        match distribution(files, name, &root.join(described), of) {
            Ok(found) => distributions.push(found),
            Err(gap) => reading.gaps.push(gap),
        }
    }
    distribution::link(&mut distributions);
    reading.findings.extend(distribution::twice(&distributions));
    let owners = compare(shown, files, folder, &distributions, of, reading);
    if of == Of::Root {
        links(shown, files, folder, &distributions, reading);
    }
    let sources = sources(shown, files, folder, &owners);
    let entries = distributions.iter().map(|found| {
        let name = found.folder.strip_prefix(shown).ok().map(|own| own.join("entry_points.txt"));
        let text = name.and_then(|name| files.text(name.to_str()?)).unwrap_or_default();
        (found.package.shown(), conduct::entry_points(&text))
    });
    let entries: BTreeMap<String, Vec<Entry>> = entries.collect();
    let open = |path: &Path| files.bytes(path.strip_prefix(shown).ok()?.to_str()?);
    conduct::judge(&sources, &entries, &open, &mut reading.findings, &mut reading.gaps);
    if of == Of::Wheel {
        carried(files, folder, &root, &distributions, &entries, reading);
    }
    start_up(shown, files, folder, of, &sources, reading);
    let made = if of == Of::Wheel { Made::File } else { Made::Installed };
    reading.copies.extend(distributions.iter().filter_map(|found| found.copied(made)));
    reading.packages.extend(distributions.into_iter().map(|found| found.package));
}

/// What the wheel's one distribution carries.
fn carried(
    files: &Files,
    folder: &str,
    root: &Path,
    distributions: &[Distribution],
    entries: &BTreeMap<String, Vec<Entry>>,
    reading: &mut Reading,
) {
    let [found] = distributions else { return };
    let about = found.folder.strip_prefix(root).ok().map(|own| own.join("WHEEL"));
    let about = about.and_then(|name| files.text(name.to_str()?)).unwrap_or_default();
    let shown = found.package.shown();
    let carrier = super::carried::Carrier {
        name: &found.package.name,
        files: files.below(folder).map(|(_, inside)| inside).collect(),
        is_pure: super::is_pure(&about),
        entries: entries.get(&shown).map(Vec::as_slice).unwrap_or_default(),
        folder: root,
        shown,
    };
    let open = |name: &str| {
        files.bytes(&if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") })
    };
    carrier.judge(&open, &mut reading.findings);
}

/// Links below the folder: those that leave its environment, and code behind
/// them that was not read.
fn links(
    shown: &Path,
    files: &Files,
    folder: &str,
    distributions: &[Distribution],
    reading: &mut Reading,
) {
    let mut owners = Owners::new();
    for (owner, distribution) in distributions.iter().enumerate() {
        for row in distribution.rows.iter().flatten() {
            owners.insert(plain(&Path::new(folder).join(&row.path)), owner);
        }
    }
    let (links, unread) = files.links_below(folder);
    if let Some(first) = unread.first() {
        let text = match unread.len() {
            1 => "it is a link to code elsewhere in the image, which was not read".to_owned(),
            many => format!(
                "it and {} others are links to code elsewhere in the image, which was not read",
                many - 1
            ),
        };
        let mut gap = super::unreadable(&shown.join(first), &text);
        gap.do_first =
            "Unpack the image and audit the environment there, or take the links out.".into();
        reading.gaps.push(gap);
    }
    let site = Path::new(folder);
    let real = [site.to_owned(), prefix_of(site)];
    let around = Around { shown, site, real, distributions, owners: &owners };
    around.judge(&links, &mut reading.findings);
}

/// The Python source of one folder, by whose it is.
fn sources(
    shown: &Path,
    files: &Files,
    folder: &str,
    owners: &BTreeMap<String, String>,
) -> Sources {
    let root = shown.join(folder);
    let mut sources = Sources::new();
    for (name, inside) in files.below(folder) {
        let Some(summary) = files.held.get(name).and_then(|held| held.summary.clone()) else {
            continue;
        };
        let path = shown.join(name);
        let top = inside.split('/').next().unwrap_or(inside);
        let owner = owners.get(name).cloned().unwrap_or_else(|| top.to_owned());
        let module = conduct::module(&root, &path);
        sources.entry(owner).or_default().push(Source { path, module, summary });
    }
    sources
}

/// Adds what the source archive `owner`, whose `files` are shown below `shown`,
/// would do at installation, at import and at start.
pub(crate) fn source_archive(shown: &Path, files: &Files, owner: &str, reading: &mut Reading) {
    let source = |(name, held): (&String, &super::held::Held)| {
        let inside = name.strip_prefix("src/").unwrap_or(name);
        let module = conduct::module(Path::new(""), Path::new(inside));
        Some(Source { path: shown.join(name), module, summary: Arc::clone(held.summary.as_ref()?) })
    };
    let found = files.held.iter().filter_map(source).collect();
    let sources = Sources::from([(owner.to_owned(), found)]);
    let mut findings = Vec::new();
    let entries = BTreeMap::from([(owner.to_owned(), build_entries(files))]);
    let open = |path: &Path| files.bytes(path.strip_prefix(shown).ok()?.to_str()?);
    conduct::judge(&sources, &entries, &open, &mut findings, &mut reading.gaps);
    for mut finding in findings {
        let mut files = finding.evidence.iter().filter_map(|seen| seen.place.as_ref());
        if files.all(|place| place.file.strip_prefix(shown).is_ok_and(is_aside)) {
            aside(&mut finding);
        }
        reading.findings.push(finding);
    }
    for (name, held) in &files.held {
        if let Some((id, what)) = held.sha256.and_then(|found| bad_files::known_bad(&hex(&found))) {
            reading.findings.push(bad_files::found(Place::whole(shown.join(name)), id, what));
        }
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", name));
        // A path file is nothing else wherever it lies; a module is one by its place.
        let module = startup::is_module(file) && matches!(folder, "" | "src" | "lib");
        let starts = module || startup::may_start(file) && !startup::is_module(file);
        if let Some(text) = files.text(name).filter(|_| starts) {
            reading.findings.extend(startup::of_file(&shown.join(name), &text, &sources, &open));
        }
    }
}

/// Returns true if a table of Hatch's names a hook of the project's own.
fn has_custom_hook(table: &toml::Value) -> bool {
    table.as_table().into_iter().flatten().any(|(key, value)| {
        key == "custom"
            || matches!(key.as_str(), "hooks" | "targets" | "wheel" | "sdist")
                && has_custom_hook(value)
    })
}

/// What a build calls in a source archive: hooks of a backend that lies in it,
/// classes that `setup.cfg` names, and Hatch's own hook.
fn build_entries(files: &Files) -> Vec<Entry> {
    let entry = |module: &str, function: Option<&str>| Entry {
        module: module.to_owned(),
        function: function.map(str::to_owned),
        root: Root::Install,
    };
    let mut entries = Vec::new();
    for line in files.text("setup.cfg").unwrap_or_default().lines() {
        let Some((command, target)) = line.split_once('=') else { continue };
        let of_build = matches!(
            command.trim(),
            "build"
                | "build_py"
                | "build_ext"
                | "build_clib"
                | "install"
                | "install_lib"
                | "develop"
                | "egg_info"
                | "sdist"
                | "bdist_wheel"
                | "editable_wheel"
        );
        if let Some((module, class)) = target.trim().rsplit_once('.').filter(|_| of_build) {
            entries.push(entry(module, Some(class)));
        }
    }
    let project: toml::Table = files
        .text("pyproject.toml")
        .and_then(|text| toml::from_str(&text).ok())
        .unwrap_or_default();
    let system = project.get("build-system");
    let text = |key: &str| system.and_then(|s| s.get(key)).and_then(toml::Value::as_str);
    if system.is_some_and(|system| system.get("backend-path").is_some())
        && let Some(backend) = text("build-backend")
    {
        entries.push(entry(backend.split(':').next().unwrap_or(backend), None));
    }
    let hatch = project.get("tool").and_then(|tool| tool.get("hatch")?.get("build"));
    if hatch.is_some_and(has_custom_hook) || files.has("hatch_build.py") {
        entries.push(entry("hatch_build", None));
    }
    if let Some(build) = project.get("tool").and_then(|t| t.get("poetry")?.get("build")) {
        let script = build.as_str().or_else(|| build.get("script")?.as_str());
        if let Some(script) = script.and_then(|script| script.strip_suffix(".py")) {
            entries.push(entry(&script.replace('/', "."), None));
        }
    }
    if let Some(script) = project
        .get("tool")
        .and_then(|tool| tool.get("pdm")?.get("build")?.get("custom-hook")?.as_str())
    {
        entries.push(entry(script.strip_suffix(".py").unwrap_or(script), None));
    }
    if files.has("pdm_build.py") {
        entries.push(entry("pdm_build", None));
    }
    entries
}

/// Returns true if a file of a source archive lies where no build takes code from,
/// unless it is told to: among tests or examples, or below a folder whose name
/// cannot be imported.
fn is_aside(inside: &Path) -> bool {
    let folders = inside.parent().unwrap_or(Path::new(""));
    let importable = |part: &str| {
        !part.starts_with(|l: char| l.is_ascii_digit())
            && part.chars().all(|l| l.is_alphanumeric() || l == '_')
    };
    folders.iter().enumerate().any(|(depth, part)| {
        part.to_str().is_none_or(|part| depth == 0 && ASIDE.contains(&part) || !importable(part))
    })
}

/// What is lowered by [`is_aside`] is worth a look and no alarm.
fn aside(finding: &mut Finding) {
    finding.severity = match finding.severity {
        Severity::Critical => Severity::Medium,
        _ => Severity::Low,
    };
    finding.meaning.push_str(" But it lies where builds usually take nothing from.");
    finding.do_first =
        "See whether the build installs or starts this file (setup.py, pyproject.toml). If it does, do not install it."
            .into();
}

/// The distribution that the file `name` describes.
fn distribution(files: &Files, name: &str, own: &Path, of: Of) -> Result<Distribution, Gap> {
    let malformed = |text: &str, line: usize| Gap {
        why: Why::Malformed,
        subject: own.display().to_string(),
        place: Some(Place::whole(own).at(u32::try_from(line).unwrap_or(u32::MAX))),
        text: text.to_owned(),
        do_first: "Take the distribution from a file whose hash you know.".into(),
    };
    let text = files.text(name).unwrap_or_default();
    let (Some(project), Some(version)) = metadata::name_and_version(&text) else {
        return Err(malformed("it names no distribution and version", 0));
    };
    let standing = if of == Of::Wheel { Standing::Held } else { Standing::Installed };
    let mut package = Package::new(Ecosystem::PyPi, project, standing, Place::whole(own));
    package = package.at_version(version);
    let beside = |file: &str| {
        let (folder, _) = name.rsplit_once('/')?;
        folder.ends_with(".dist-info").then(|| format!("{folder}/{file}"))
    };
    if let Some(bytes) =
        beside("direct_url.json").and_then(|name| files.get(&name)?.bytes.as_deref())
    {
        let (source, hashes) = distribution::direct(bytes)
            .ok_or_else(|| malformed("direct_url.json is not what PEP 610 describes", 0))?;
        package.source = source;
        package.hashes = hashes;
    }
    let rows = match beside("RECORD").and_then(|name| files.text(&name)) {
        None => None,
        Some(text) => {
            let rows = record::rows(&text);
            Some(rows.map_err(|line| malformed("RECORD: it is no row of a RECORD", line))?)
        }
    };
    let requested = beside("REQUESTED").is_some_and(|name| files.get(&name).is_some());
    let needs = distribution::needs(&text);
    let note = |file: &str| beside(file).and_then(|name| files.text(&name)).unwrap_or_default();
    Ok(Distribution {
        package,
        folder: own.to_owned(),
        needs,
        is_requested: requested,
        rows,
        tags: copies::tags(&note("WHEEL")),
        installer: note("INSTALLER").trim().to_owned(),
    })
}

/// What is there against what RECORD says; gives whose each recorded file is.
fn compare(
    shown: &Path,
    files: &Files,
    folder: &str,
    distributions: &[Distribution],
    of: Of,
    reading: &mut Reading,
) -> BTreeMap<String, String> {
    let prefix = if of == Of::Wheel { PathBuf::new() } else { prefix_of(Path::new(folder)) };
    let mut recorded: BTreeMap<String, String> = BTreeMap::new();
    let mut all_recorded = true;
    for owner in distributions {
        let Some(rows) = &owner.rows else {
            all_recorded = false;
            reading.gaps.push(Gap {
                why: Why::NoRecord,
                subject: owner.package.shown(),
                place: Some(Place::whole(&owner.folder)),
                text: "there is no RECORD: its files cannot be compared with anything".into(),
                do_first: "Compare them with the system's package manager, or install from wheels."
                    .into(),
            });
            continue;
        };
        let mut gone: Vec<&str> = Vec::new();
        let mut uncompared = 0;
        for row in rows {
            uncompared += usize::from(row.has_hash && row.sha256.is_none());
            let path = plain(&Path::new(folder).join(&row.path));
            let stays = !path.starts_with("..") && !path.is_absolute() && path.starts_with(&prefix);
            let Some(name) = path.to_str().filter(|_| stays) else {
                push_once(&mut reading.findings, leaves(owner, &row.path));
                continue;
            };
            match (row.sha256, files.get(name)) {
                (_, None) => gone.push(&row.path),
                (Some(expected), Some(held))
                    if held.sha256.is_some_and(|found| found != expected) =>
                {
                    reading.findings.push(differs(owner, shown, name, &row.path));
                }
                (None, Some(_)) if !row.has_hash && super::integrity::needs_hash(&row.path) => {
                    let text = "is in RECORD without a hash";
                    push_once(&mut reading.findings, unlisted(owner, &shown.join(name), text));
                }
                _ => {}
            }
            recorded.insert(name.to_owned(), owner.package.shown());
        }
        reading.gaps.extend(super::integrity::uncompared_files(owner, uncompared));
        reading.findings.extend(missing(owner, &gone, of));
    }
    for (name, _) in files.below(folder) {
        let sha256 = files.held.get(name).and_then(|held| held.sha256);
        if let Some((id, what)) = sha256.and_then(|found| bad_files::known_bad(&hex(&found))) {
            reading.findings.push(bad_files::found(Place::whole(shown.join(name)), id, what));
        }
    }
    if all_recorded {
        unrecorded(shown, files, folder, distributions, &recorded, of, reading);
    }
    recorded
}

/// Files that no RECORD names.
fn unrecorded(
    shown: &Path,
    files: &Files,
    folder: &str,
    distributions: &[Distribution],
    recorded: &BTreeMap<String, String>,
    of: Of,
    reading: &mut Reading,
) {
    let mut found: BTreeMap<&str, (Vec<PathBuf>, bool)> = BTreeMap::new();
    for (name, inside) in files.below(folder) {
        let path = Path::new(name);
        let compiled = source_of(name).is_some_and(|source| recorded.contains_key(&source));
        let signature = of == Of::Wheel && inside.ends_with(".dist-info/RECORD")
            || inside.ends_with("/RECORD.jws")
            || inside.ends_with("/RECORD.p7s");
        if recorded.contains_key(name) || compiled || signature {
            continue;
        }
        let top = inside.split('/').next().unwrap_or(inside);
        let (names, any_runs) = found.entry(top).or_default();
        *any_runs |= super::integrity::is_code(path);
        names.push(shown.join(name));
    }
    for (top, (names, runs)) in found {
        if ["_virtualenv.py", "_virtualenv.pth", "__pycache__"].contains(&top) {
            continue;
        }
        if let (Of::Wheel, Some(owner)) = (of, distributions.first()) {
            let text = format!("{} files of the wheel are not in its RECORD", names.len());
            let shown = names.first().cloned().unwrap_or_default();
            reading.findings.push(unlisted(owner, &shown, &text));
            continue;
        }
        let mut evidence: Vec<Evidence> = names
            .iter()
            .take(FILES_MAX)
            .map(|file| Evidence {
                place: Some(Place::whole(file)),
                text: "is in no RECORD".into(),
            })
            .collect();
        if names.len() > FILES_MAX {
            let text = format!("and {} more", names.len() - FILES_MAX);
            evidence.push(Evidence { place: None, text });
        }
        reading.findings.push(finding(
            crate::rule::Rule::Unrecorded, if runs { Severity::Medium } else { Severity::Low },
            shown.join(folder).join(top).display().to_string(),
            evidence,
            "No installer recorded this: it was put beside the installed packages by something else.",
            "Find out what put it there. If nobody knows, keep a copy and make the image anew.",
        ));
    }
}

/// The source that the compiled file `name` was made from.
fn source_of(name: &str) -> Option<String> {
    let (folder, file) = name.rsplit_once("/__pycache__/")?;
    let stem = file.strip_suffix(".pyc")?.split('.').next()?;
    Some(format!("{folder}/{stem}.py"))
}

/// Files that run when Python starts.
fn start_up(
    shown: &Path,
    files: &Files,
    folder: &str,
    of: Of,
    sources: &Sources,
    reading: &mut Reading,
) {
    let beside = folder.rsplit_once('/').map(|(parent, _)| parent);
    let open = |path: &Path| files.bytes(path.strip_prefix(shown).ok()?.to_str()?);
    let names: Vec<&str> = files
        .below(folder)
        .filter(|(_, inside)| match inside.rsplit_once('/') {
            None => true,
            // Wheels may carry parts that are put where these say.
            Some((own, _)) => {
                of == Of::Wheel
                    && (own.ends_with(".data/purelib")
                        || own.ends_with(".data/platlib")
                        || own.ends_with("site-packages"))
                    || matches!(own, "sitecustomize" | "usercustomize")
            }
        })
        .map(|(name, _)| name)
        .collect();
    let of_library = beside.into_iter().flat_map(|parent| {
        files
            .below(parent)
            .filter(|(_, inside)| !inside.contains('/'))
            .filter(|(name, _)| startup::is_module(name.rsplit('/').next().unwrap_or(name)))
    });
    for name in names.into_iter().chain(of_library.map(|(name, _)| name)) {
        let file = name.rsplit('/').next().unwrap_or(name);
        let in_module = name.rsplit('/').nth(1).is_some_and(startup::is_module);
        let starts = startup::may_start(file) || in_module && file == "__init__.py";
        if !starts {
            continue;
        }
        let path = shown.join(name);
        match files.text(name) {
            Some(text) => reading.findings.extend(startup::of_file(&path, &text, sources, &open)),
            None => reading.gaps.push(super::unreadable(&path, "it is too large to be kept")),
        }
    }
}

fn missing(owner: &Distribution, gone: &[&str], of: Of) -> Option<Finding> {
    // Images are made without compiled files; wheels never have them.
    let compiled = |path: &str| Path::new(path).extension().is_some_and(|ending| ending == "pyc");
    let gone: Vec<&&str> = gone.iter().filter(|path| !compiled(path)).collect();
    if gone.is_empty() {
        return None;
    }
    let place = Some(Place::whole(owner.folder.join("RECORD")));
    let mut evidence: Vec<Evidence> = gone
        .iter()
        .take(FILES_MAX)
        .map(|path| Evidence { place: place.clone(), text: format!("{path} is not there") })
        .collect();
    if gone.len() > FILES_MAX {
        let text = format!("and {} more", gone.len() - FILES_MAX);
        evidence.push(Evidence { place: None, text });
    }
    let meaning = match of {
        Of::Wheel => {
            "The wheel's own list names files that it does not carry. Build tools do not make such wheels."
        }
        Of::Root => {
            "Files that were installed are not there any more. Slimmed images look like this; so does a clean-up after an attack."
        }
    };
    let do_first =
        "If nobody removed them on purpose, take the distribution from a file whose hash you know.";
    let severity = if of == Of::Wheel { Severity::Medium } else { Severity::Low };
    Some(finding(
        crate::rule::Rule::Missing,
        severity,
        owner.package.shown(),
        evidence,
        meaning,
        do_first,
    ))
}

fn differs(owner: &Distribution, shown: &Path, name: &str, row: &str) -> Finding {
    let file = name.rsplit('/').next().unwrap_or(name);
    let roots = matches!(file, "cacert.pem" | "roots.pem" | "ca-bundle.crt");
    let stripped = name.contains("dist-packages/") && file.contains(".so");
    let seen = Evidence {
        place: Some(Place::whole(shown.join(name))),
        text: "its SHA-256 is not the one in RECORD".into(),
    };
    finding(
        crate::rule::Rule::Changed,
        if roots || stripped { Severity::Medium } else { Severity::High },
        format!("{row} of {}", owner.package.shown()),
        vec![seen],
        "The file was changed after it was installed, or its wheel was made so that they differ. Installers do not notice either.",
        "Compare it with the same file of the genuine wheel. If nobody changed it on purpose, use neither.",
    )
}

fn unlisted(owner: &Distribution, path: &Path, text: &str) -> Finding {
    finding(
        crate::rule::Rule::Unlisted,
        Severity::High,
        format!("{} of {}", path.display(), owner.package.shown()),
        vec![Evidence { place: Some(Place::whole(path)), text: text.into() }],
        "The wheel carries a file that its own list does not name; installers add it without a hash. Build tools do not make such wheels.",
        "Read the file. Compare the wheel with the source of that release.",
    )
}

fn leaves(owner: &Distribution, row: &str) -> Finding {
    let seen = Evidence {
        place: Some(Place::whole(owner.folder.join("RECORD"))),
        text: format!("records {row}, outside of the environment"),
    };
    finding(
        crate::rule::Rule::Leaves,
        Severity::High,
        format!("{row} of {}", owner.package.shown()),
        vec![seen],
        "A package writes, or claims to have written, outside of the environment that it is installed into.",
        "Look at that path. Do not install this file until it is explained.",
    )
}
