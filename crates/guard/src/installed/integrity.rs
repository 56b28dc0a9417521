//! Installed files against what their installers recorded.

use super::cache::Cache;
use super::conduct::{self, Sources};
use super::contents::{self, Seen};
use super::distribution::Distribution;
use super::links::Around;
use super::scripts;
use super::walk::{self, Stray};
use super::{Owners, about, hex, plain, prefix_of, push_once};
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Place, Source};
use crate::judge::bad_files;
use crate::manifest::Reading;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Files that one finding names; the rest are counted.
const FILES_MAX: usize = 10;

struct Job<'d> {
    owner: usize,
    path: PathBuf,
    shown: &'d str,
    expected: [u8; 32],
}

/// Adds to `reading` what is not as it was recorded; gives all source files.
pub(super) fn judge(
    site: &Path,
    distributions: &[Distribution],
    cache: Option<&Cache>,
    reading: &mut Reading,
) -> Sources {
    let prefix = prefix_of(site);
    let mut owners = Owners::new();
    let mut all_recorded = true;
    let mut jobs: Vec<Job<'_>> = Vec::new();
    for (owner, distribution) in distributions.iter().enumerate() {
        let Some(rows) = &distribution.rows else {
            all_recorded = false;
            reading.gaps.push(without_record(distribution));
            continue;
        };
        let mut uncompared = 0;
        for row in rows {
            let path = plain(&site.join(&row.path));
            if !path.starts_with(&prefix) {
                let finding = leaves(distribution, &row.path);
                push_once(&mut reading.findings, finding);
                continue;
            }
            if let Some(expected) = row.sha256 {
                if let Some((id, what)) = bad_files::known_bad(&hex(&expected)) {
                    reading.findings.push(bad_files::found(about(&path), id, what));
                }
                jobs.push(Job { owner, path: path.clone(), shown: &row.path, expected });
            } else if !row.has_hash && needs_hash(&row.path) && !is_linked(distribution, &path) {
                let text = "is in RECORD without a hash";
                push_once(&mut reading.findings, unlisted(distribution, &path, text));
            }
            // PDM gives no hash of what it links; md5 is no hash any more.
            let is_open = row.has_hash || distribution.installer == "pdm";
            uncompared += usize::from(is_open && row.sha256.is_none() && needs_hash(&row.path));
            owners.insert(path, owner);
        }
        reading.gaps.extend(uncompared_files(distribution, uncompared));
    }
    let walked = walk::through(site, &owners);
    reading.gaps.extend(walked.cut_short.map(|why| super::unreadable(site, why)));
    let closed = walked.unreadable.iter().take(FILES_MAX);
    reading.gaps.extend(closed.map(|(folder, why)| super::unreadable(folder, why)));
    if let Some(more) = walked.unreadable.len().checked_sub(FILES_MAX).filter(|more| *more > 0) {
        let why = format!("{more} more folders in it cannot be listed");
        reading.gaps.push(super::unreadable(site, &why));
    }
    let strays = walked.strays;
    let mut paths: Vec<PathBuf> = owners.keys().cloned().collect();
    // What lies together is read together; text is compared faster than a path.
    paths.sort_unstable_by(|a, b| a.as_os_str().cmp(b.as_os_str()));
    let is_source = |stray: &&Stray| contents::is_source(&stray.path);
    paths.extend(strays.iter().filter(is_source).map(|stray| stray.path.clone()));
    let seen = contents::look(site, &paths, cache);
    let seen: HashMap<&Path, &Result<Seen, ErrorKind>> =
        paths.iter().map(PathBuf::as_path).zip(&seen).collect();
    changed(distributions, &jobs, &seen, reading);
    for stray in strays.iter().filter(is_source) {
        // A link that leads nowhere is told as one.
        if let Some(Err(error)) = seen.get(stray.path.as_path())
            && *error != ErrorKind::NotFound
        {
            let text = match error {
                ErrorKind::PermissionDenied => "permission denied".to_owned(),
                ErrorKind::InvalidInput => "it is a folder, a pipe or a device".to_owned(),
                other => other.to_string(),
            };
            reading.gaps.push(super::unreadable(&stray.path, &text));
        }
    }
    if all_recorded {
        let is_recorded = |path: &Path| owners.contains_key(path);
        scripts::judge(&prefix, distributions, &is_recorded, &mut reading.findings);
    }
    let real =
        [site, &prefix].map(|path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()));
    let shown = Path::new("");
    let around = Around { shown, site, real, distributions, owners: &owners };
    let told = around.judge(&walked.links, &mut reading.findings);
    if all_recorded {
        let told: HashSet<&Path> = told.into_iter().collect();
        let strays = strays.iter().filter(|s| !s.behind && !told.contains(s.path.as_path()));
        unrecorded(site, strays, reading);
    }
    sources(site, distributions, &owners, &seen)
}

/// Returns true if a row names a link that its installer makes and gives no hash: to a
/// folder that is edited, or to a file in PDM's cache.
fn is_linked(owner: &Distribution, path: &Path) -> bool {
    (owner.package.source == Source::Own || owner.installer == "pdm") && path.is_symlink()
}

/// The source files of each distribution, and of each folder that is nobody's.
fn sources(
    site: &Path,
    distributions: &[Distribution],
    owners: &Owners,
    seen: &HashMap<&Path, &Result<Seen, ErrorKind>>,
) -> Sources {
    let mut sources = Sources::new();
    for (path, seen) in seen {
        let Ok(seen) = seen else { continue };
        let Some(source) = conduct::source(site, path, seen) else { continue };
        let owner = owners.get(*path).and_then(|owner| distributions.get(*owner));
        let owner = owner.map_or_else(
            || format!("{} (in no RECORD)", top_of(site, path).display()),
            |owner| owner.package.shown(),
        );
        sources.entry(owner).or_default().push(source);
    }
    for files in sources.values_mut() {
        files.sort_unstable_by(|a, b| a.path.as_os_str().cmp(b.path.as_os_str()));
    }
    sources
}

/// The entry of `site` that `path` lies in.
fn top_of(site: &Path, path: &Path) -> PathBuf {
    let inside = path.strip_prefix(site).unwrap_or(path);
    inside.components().next().map(|first| site.join(first)).unwrap_or_default()
}

/// pip gives no hash to what it wrote itself: RECORD and compiled files.
pub(super) fn needs_hash(path: &str) -> bool {
    let own = ["RECORD", "RECORD.jws", "RECORD.p7s"]
        .iter()
        .any(|name| path.ends_with(&format!(".dist-info/{name}")));
    !own && path.strip_suffix(".pyc").is_none()
}

fn changed(
    distributions: &[Distribution],
    jobs: &[Job<'_>],
    seen: &HashMap<&Path, &Result<Seen, ErrorKind>>,
    reading: &mut Reading,
) {
    let mut gone: BTreeMap<usize, Vec<&Job<'_>>> = BTreeMap::new();
    for job in jobs {
        let Some(owner) = distributions.get(job.owner) else { continue };
        match seen.get(job.path.as_path()) {
            Some(Ok(seen)) if seen.sha256 == job.expected => {}
            Some(Ok(seen)) => {
                if let Some((id, what)) = bad_files::known_bad(&hex(&seen.sha256)) {
                    reading.findings.push(bad_files::found(about(&job.path), id, what));
                }
                reading.findings.push(edited(owner, job));
            }
            Some(Err(ErrorKind::NotFound)) | None => gone.entry(job.owner).or_default().push(job),
            Some(Err(ErrorKind::PermissionDenied)) => {
                reading.gaps.push(super::unreadable(&job.path, "permission denied"));
            }
            Some(Err(error)) => {
                reading.gaps.push(super::unreadable(&job.path, &error.to_string()));
            }
        }
    }
    for (owner, files) in gone {
        let Some(owner) = distributions.get(owner) else { continue };
        let mut evidence: Vec<Evidence> = files
            .iter()
            .take(FILES_MAX)
            .map(|job| Evidence { place: Some(about(&job.path)), text: "is gone".into() })
            .collect();
        if files.len() > FILES_MAX {
            let text = format!("and {} more", files.len() - FILES_MAX);
            evidence.push(Evidence { place: None, text });
        }
        reading.findings.push(Finding {
rule: crate::rule::Rule::Missing,
            severity: Severity::Low,
            kind: Kind::Integrity,
            subject: owner.package.shown(),
            evidence,
            meaning: "Files that were installed are not there any more. Slimmed images look like this; so does a clean-up after an attack.".into(),
            do_first: "If nobody removed them on purpose, install the distribution anew from a file whose hash you know.".into(),
            advisories: Vec::new(),
        });
    }
}

fn unrecorded<'s>(site: &Path, strays: impl Iterator<Item = &'s Stray>, reading: &mut Reading) {
    let mut found: BTreeMap<PathBuf, (Vec<PathBuf>, bool)> = BTreeMap::new();
    for stray in strays {
        let (files, any_runs) = found.entry(top_of(site, &stray.path)).or_default();
        files.push(stray.path.clone());
        *any_runs |= stray.runs;
    }
    for (top, (mut files, runs)) in found {
        // virtualenv and uv put these there themselves; they are judged as start-up code.
        let own = ["_virtualenv.py", "_virtualenv.pth", "__pycache__"];
        if top.file_name().and_then(|n| n.to_str()).is_some_and(|n| own.contains(&n)) {
            continue;
        }
        files.sort();
        let shown = files.iter().take(FILES_MAX);
        let mut evidence: Vec<Evidence> = shown
            .map(|file| Evidence { place: Some(about(file)), text: "is in no RECORD".into() })
            .collect();
        if files.len() > FILES_MAX {
            let text = format!("and {} more", files.len() - FILES_MAX);
            evidence.push(Evidence { place: None, text });
        }
        reading.findings.push(Finding {
rule: crate::rule::Rule::Unrecorded,
            severity: if runs { Severity::Medium } else { Severity::Low },
            kind: Kind::Integrity,
            subject: top.display().to_string(),
            evidence,
            meaning: "No installer recorded this: it was put beside the installed packages by something else.".into(),
            do_first: "Find out what put it there. If nobody knows, keep a copy and make the environment anew.".into(),
            advisories: Vec::new(),
        });
    }
}

/// Returns true if `path` can be executed or imported, by its name.
pub(super) fn is_code(path: &Path) -> bool {
    let ending = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
    ["py", "pyc", "pth", "start", "so", "pyd", "dll", "sh", "exe"].contains(&ending)
}

/// Returns true if `path` is the compiled form of a recorded source beside it.
pub(super) fn is_compiled_of(path: &Path, recorded: &Owners) -> bool {
    let in_cache = path.parent().and_then(Path::file_name) == Some("__pycache__".as_ref());
    let stem = path
        .file_name()
        .and_then(|n| n.to_str())
        .and_then(|n| n.strip_suffix(".pyc")?.split('.').next());
    match (in_cache, stem, path.ancestors().nth(2)) {
        (true, Some(stem), Some(folder)) => {
            recorded.contains_key(&folder.join(format!("{stem}.py")))
        }
        _ => false,
    }
}

fn edited(owner: &Distribution, job: &Job<'_>) -> Finding {
    let name = job.path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let roots = matches!(name, "cacert.pem" | "roots.pem" | "ca-bundle.crt");
    let of_system = job.path.iter().any(|part| part == "dist-packages");
    let stripped = of_system && job.path.extension().is_some_and(|ending| ending == "so");
    let meaning = if roots {
        "The list of trusted authorities was changed after it was installed. Corporate proxies do that; so does somebody who wants to read the traffic."
    } else if stripped {
        "The compiled module was changed after its wheel was made. Debian and Ubuntu strip the modules that they package; `debsums` says whether this is still theirs."
    } else {
        "The file was changed after it was installed, or its wheel was made so that they differ. Installers do not notice either."
    };
    Finding {
rule: crate::rule::Rule::Changed,
        severity: if roots || stripped { Severity::Medium } else { Severity::High },
        kind: Kind::Integrity,
        subject: format!("{} of {}", job.shown, owner.package.shown()),
        evidence: vec![Evidence {
            place: Some(about(&job.path)),
            text: "its SHA-256 is not the one in RECORD".into(),
        }],
        meaning: meaning.into(),
        do_first: "Compare it with the same file of the genuine wheel. If nobody changed it on purpose, treat the machine as compromised.".into(),
        advisories: Vec::new(),
    }
}

fn unlisted(owner: &Distribution, path: &Path, text: &str) -> Finding {
    Finding {
rule: crate::rule::Rule::Unlisted,
        severity: Severity::High,
        kind: Kind::Integrity,
        subject: format!("{} of {}", path.display(), owner.package.shown()),
        evidence: vec![Evidence { place: Some(about(path)), text: text.into() }],
        meaning: "The wheel carried a file that its own list does not name; installers add it without a hash. Build tools do not make such wheels.".into(),
        do_first: "Read the file. Compare the wheel with the source of that release.".into(),
        advisories: Vec::new(),
    }
}

fn leaves(owner: &Distribution, row: &str) -> Finding {
    Finding {
rule: crate::rule::Rule::Leaves,
        severity: Severity::High,
        kind: Kind::Integrity,
        subject: format!("{row} of {}", owner.package.shown()),
        evidence: vec![Evidence {
            place: Some(Place::whole(owner.folder.join("RECORD"))),
            text: format!("records {row}, outside of the environment"),
        }],
        meaning: "A package wrote, or claims to have written, outside of the environment that it was installed into.".into(),
        do_first: "Look at that path. Make the environment anew without this package until it is explained.".into(),
        advisories: Vec::new(),
    }
}

/// The gap that `count` recorded files have no hash that is compared.
pub(super) fn uncompared_files(owner: &Distribution, count: usize) -> Option<Gap> {
    let text = format!("its RECORD has no SHA-256 of {count} files: they cannot be compared");
    (count > 0).then(|| Gap {
        why: Why::NoRecord,
        subject: owner.package.shown(),
        place: Some(Place::whole(owner.folder.join("RECORD"))),
        text,
        do_first: "Install it anew from a wheel, with copies and not with links (PDM: install.cache = false).".into(),
    })
}

fn without_record(distribution: &Distribution) -> Gap {
    Gap {
        why: Why::NoRecord,
        subject: distribution.package.shown(),
        place: Some(Place::whole(&distribution.folder)),
        text: "its installer kept no RECORD: its files cannot be compared with anything".into(),
        do_first: "Compare them with the system's package manager, or install from wheels into an environment.".into(),
    }
}
