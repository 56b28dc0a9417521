//! One installed distribution: its name and version, where it came from, when.

use super::{metadata, record, unreadable};
use crate::copies::{self, Copied, Made};
use crate::files;
use crate::finding::{Evidence, Finding, Gap, Kind, Severity, Why};
use crate::inventory::{Ecosystem, Hash, Package, Place, Source, Standing};
use crate::python::Requirement;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// The largest METADATA or direct_url.json that is read, in bytes.
const METADATA_MAX_BYTES: u64 = 8 << 20;
/// The largest WHEEL or INSTALLER that is read, in bytes.
const NOTE_MAX_BYTES: u64 = 64 << 10;

/// One installed distribution.
pub(super) struct Distribution {
    /// What it says it is.
    pub(super) package: Package,
    /// Its own folder or file, `name-1.0.dist-info`.
    pub(super) folder: PathBuf,
    /// The names that it needs, each with whether only for an extra.
    pub(super) needs: Vec<(String, bool)>,
    /// True if somebody asked for it, rather than for what needs it.
    pub(super) is_requested: bool,
    /// What its installer says it installed; `None` where none says.
    pub(super) rows: Option<Vec<record::Row>>,
    /// The tags in its WHEEL, sorted.
    pub(super) tags: Vec<String>,
    /// Who installed it, where it says so.
    pub(super) installer: String,
}

/// Installers that bring builds of their own: no copies of anybody's wheels.
const BUILDERS: [&str; 3] = ["conda", "debian", "rpm"];

impl Distribution {
    /// The same as a copy that others can be compared with.
    pub(super) fn copied(&self, made: Made) -> Option<Copied> {
        if self.package.source == Source::Own || BUILDERS.contains(&self.installer.as_str()) {
            return None;
        }
        let rows = self.rows.iter().flatten();
        Some(Copied {
            name: self.package.name.clone(),
            version: self.package.version.clone()?,
            place: self.package.place.clone(),
            made,
            sha256: copies::sha256(&self.package.hashes),
            tags: self.tags.clone(),
            rows: copies::rows(rows.filter_map(|row| Some((row.path.as_str(), row.sha256?)))),
        })
    }
}

#[derive(Deserialize)]
struct DirectUrl {
    url: String,
    dir_info: Option<DirInfo>,
    vcs_info: Option<VcsInfo>,
    archive_info: Option<ArchiveInfo>,
}

/// What PEP 610 keeps of the file that was installed: `hash` in its first
/// edition, `hashes` since.
#[derive(Deserialize)]
struct ArchiveInfo {
    hash: Option<String>,
    #[serde(default)]
    hashes: BTreeMap<String, String>,
}

impl ArchiveInfo {
    fn digests(self) -> Vec<Hash> {
        let old = self.hash.as_deref().and_then(Hash::read);
        let new = self.hashes.into_iter().map(|(algorithm, digest)| Hash { algorithm, digest });
        let mut all: Vec<Hash> = new.collect();
        all.extend(old.filter(|old| !all.contains(old)).into_iter().collect::<Vec<_>>());
        all
    }
}

#[derive(Deserialize)]
struct DirInfo {
    #[serde(default)]
    editable: bool,
}

#[derive(Deserialize)]
struct VcsInfo {
    commit_id: Option<String>,
}

/// The distribution that the entry `name` of `site` describes; nothing if it
/// describes none, a gap if it should and cannot be read.
pub(super) fn read(site: &Path, name: &str) -> Option<Result<Distribution, Gap>> {
    let folder = site.join(name);
    if name.strip_suffix(".dist-info").is_some() {
        return Some(dist_info(&folder));
    }
    name.strip_suffix(".egg-info")?;
    let header = if folder.is_dir() { folder.join("PKG-INFO") } else { folder.clone() };
    let read = |header: &Path| {
        let (package, needs) = described(header)?;
        Ok(Distribution {
            package,
            folder: folder.clone(),
            needs,
            is_requested: false,
            rows: None,
            tags: Vec::new(),
            installer: String::new(),
        })
    };
    Some(read(&header))
}

fn dist_info(folder: &Path) -> Result<Distribution, Gap> {
    let (mut package, needs) = described(&folder.join("METADATA"))?;
    package.since_ms =
        ["INSTALLER", "RECORD"].iter().find_map(|file| changed_ms(&folder.join(file)));
    if let Some((source, hashes)) = direct_url(&folder.join("direct_url.json"))? {
        package.source = source;
        package.hashes = hashes;
    }
    let path = folder.join("RECORD");
    let rows = if path.exists() {
        let text = files::met_text(&path).map_err(|why| unreadable(&path, &why))?;
        Some(
            record::rows(&text)
                .map_err(|line| malformed(&path, line, "it is no row of a RECORD"))?,
        )
    } else {
        None
    };
    let is_requested = folder.join("REQUESTED").exists();
    // What is not there or cannot be read here says nothing.
    let small = |file: &str| files::met(&folder.join(file), NOTE_MAX_BYTES).unwrap_or_default();
    let tags = copies::tags(&String::from_utf8_lossy(&small("WHEEL")));
    let installer = String::from_utf8_lossy(&small("INSTALLER")).trim().to_owned();
    let folder = folder.to_owned();
    Ok(Distribution { package, folder, needs, is_requested, rows, tags, installer })
}

fn described(header: &Path) -> Result<(Package, Vec<(String, bool)>), Gap> {
    let bytes = files::met(header, METADATA_MAX_BYTES).map_err(|why| unreadable(header, &why))?;
    let text = String::from_utf8_lossy(&bytes);
    let (name, version) = metadata::name_and_version(&text);
    let (Some(name), Some(version)) = (name, version) else {
        return Err(malformed(header, 0, "it names no distribution and version"));
    };
    let place = Place::whole(
        header
            .parent()
            .filter(|p| p.file_name() != Some("site-packages".as_ref()))
            .unwrap_or(header),
    );
    let package =
        Package::new(Ecosystem::PyPi, name, Standing::Installed, place).at_version(version);
    Ok((package, needs(&text)))
}

/// The names that METADATA needs, each with whether only for an extra.
pub(super) fn needs(text: &str) -> Vec<(String, bool)> {
    let needs = metadata::requirements(text).filter_map(|text| Requirement::read(text).ok());
    let needs = needs.map(|needed| {
        let is_extra = needed.marker.is_some_and(|marker| marker.contains("extra"));
        (crate::name::pep503(&needed.name), is_extra)
    });
    needs.collect()
}

/// Notes in each distribution who needs it. What is needed only for an extra
/// counts where nobody else needs it and nobody asked for it: which extras were
/// wanted is not recorded.
pub(super) fn link(distributions: &mut [Distribution]) {
    for only_extras in [false, true] {
        let mut needed_by: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for distribution in distributions.iter() {
            let needs = distribution.needs.iter().filter(|(_, is_extra)| *is_extra == only_extras);
            for (needed, _) in needs {
                let parents = needed_by.entry(needed.clone()).or_default();
                if *needed != distribution.package.name
                    && !parents.contains(&distribution.package.name)
                {
                    parents.push(distribution.package.name.clone());
                }
            }
        }
        for distribution in distributions.iter_mut() {
            let package = &mut distribution.package;
            let is_settled =
                only_extras && (distribution.is_requested || !package.introduced_by.is_empty());
            if let Some(parents) = needed_by.remove(&package.name).filter(|_| !is_settled) {
                package.introduced_by = parents;
            }
        }
    }
}

fn direct_url(path: &Path) -> Result<Option<(Source, Vec<Hash>)>, Gap> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = files::met(path, METADATA_MAX_BYTES).map_err(|why| unreadable(path, &why))?;
    let direct = direct(&bytes);
    direct.map(Some).ok_or_else(|| malformed(path, 0, "it is not what PEP 610 describes"))
}

/// Where a distribution came from by its direct_url.json (PEP 610), and the
/// digests of the archive that it gives.
pub(crate) fn direct(bytes: &[u8]) -> Option<(Source, Vec<Hash>)> {
    let direct: DirectUrl = serde_json::from_slice(bytes).ok()?;
    let hashes = direct.archive_info.map(ArchiveInfo::digests).unwrap_or_default();
    let source = match (direct.dir_info, direct.vcs_info) {
        (Some(DirInfo { editable: true }), _) => Source::Own,
        (Some(_), _) => {
            let plain = direct.url.strip_prefix("file://").unwrap_or(&direct.url);
            Source::Path { path: plain.into() }
        }
        (None, Some(vcs)) => Source::Vcs { url: direct.url, commit: vcs.commit_id },
        (None, None) => Source::Url { url: direct.url },
    };
    Some((source, hashes))
}

fn changed_ms(path: &Path) -> Option<i64> {
    let changed = fs::metadata(path).ok()?.modified().ok()?;
    i64::try_from(changed.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok()
}

fn malformed(path: &Path, line: usize, text: &str) -> Gap {
    let place = Place::whole(path);
    Gap {
        why: Why::Malformed,
        subject: path.display().to_string(),
        place: Some(place.at(u32::try_from(line).unwrap_or(u32::MAX))),
        text: text.to_owned(),
        do_first: "Install the distribution anew, from a file whose hash you know.".into(),
    }
}

/// Names that are installed more than once in one place, and folders that do
/// not belong to what is described in them.
pub(super) fn twice(distributions: &[Distribution]) -> Vec<Finding> {
    let mut by_name: BTreeMap<&str, Vec<&Distribution>> = BTreeMap::new();
    for distribution in distributions {
        by_name.entry(&distribution.package.name).or_default().push(distribution);
    }
    let mut findings: Vec<Finding> = by_name
        .into_iter()
        // Debian keeps an egg-info beside the dist-info of one and the same version.
        .filter(|(_, same)| same.windows(2).any(|p| matches!(p, [a, b] if a.package.version != b.package.version)))
        .map(|(name, same)| {
            let seen = same.iter().map(|d| Evidence {
                place: Some(Place::whole(&d.folder)),
                text: d.package.shown(),
            });
            odd(
                &format!("{name} (installed {} times)", same.len()),
                seen.collect(),
                "Two versions of one distribution lie over each other: nobody can say which files are whose, and checks that look at one version miss the other.",
            )
        })
        .collect();
    for distribution in distributions {
        let stem = distribution.folder.file_stem().and_then(|s| s.to_str()).unwrap_or_default();
        // `name-1.0`, `name-1.0-py3.12` or `name`, in whatever spelling.
        let rest = crate::name::pep503(stem);
        let rest = rest.strip_prefix(distribution.package.name.as_str());
        if !rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-')) {
            let text = format!("describes {}", distribution.package.shown());
            let seen = Evidence { place: Some(Place::whole(&distribution.folder)), text };
            findings.push(odd(
                stem,
                vec![seen],
                "The folder is named after one distribution and describes another: tools that go by the folder's name are misled.",
            ));
        }
    }
    findings
}

fn odd(subject: &str, evidence: Vec<Evidence>, meaning: &str) -> Finding {
    Finding {
        rule: crate::rule::Rule::Doubled,
        severity: Severity::Medium,
        kind: Kind::Integrity,
        subject: subject.to_owned(),
        evidence,
        meaning: meaning.to_owned(),
        do_first: "Make the environment anew from a lock file with hashes, and audit it again."
            .into(),
        advisories: Vec::new(),
    }
}
