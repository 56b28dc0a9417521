//! Nothing fails open: what is empty, cut off or of a later format is not audited.

use crate::{scratch, terms};
use guard::advisory::{Advisories, Set};
use guard::finding::{Outcome, Why};
use guard::manifest::Format;
use guard::{Ask, Report};
use std::fs;
use std::path::Path;

/// Advisories that say of every package that nothing is known against it.
fn all_clear() -> Advisories {
    let claims = guard::inventory::Ecosystem::ALL.map(|ecosystem| {
        serde_json::json!({ "ecosystem": ecosystem.osv(), "as_of": "2026-11-22T00:00:00Z" })
    });
    let header = serde_json::json!({ "format": 1, "title": "t", "records": 0, "coverage": claims });
    let mut all = Advisories::none();
    all.add(Set::read(format!("{header}\n").into_bytes().into()).unwrap());
    all
}

fn audit(path: &Path) -> Report {
    let ask = Ask { paths: vec![path.to_owned()], terms: terms() };
    guard::audit(&ask, &all_clear())
}

/// Of each format a file name, a file that is clean, what makes it a file of a
/// later format, and a file of this format that lists nothing.
#[expect(clippy::type_complexity, reason = "a table")]
const FORMATS: [(Format, &str, &str, Option<(&str, &str)>, Option<&str>); 18] = [
    (
        Format::Requirements,
        "requirements.txt",
        "thing==1.0 --hash=sha256:1111111111111111111111111111111111111111111111111111111111111111\n",
        None,
        Some("# nothing\n"),
    ),
    (
        Format::UvLock,
        "uv.lock",
        "version = 1\nrevision = 3\n\n[[package]]\nname = \"thing\"\nversion = \"1.0\"\nsource = { registry = \"https://index.example/simple\" }\n",
        Some(("version = 1\n", "version = 2\n")),
        Some("version = 1\n"),
    ),
    (
        Format::PoetryLock,
        "poetry.lock",
        "[[package]]\nname = \"thing\"\nversion = \"1.0\"\nfiles = []\n\n[metadata]\nlock-version = \"2.1\"\n",
        Some(("2.1", "9.0")),
        Some("[metadata]\nlock-version = \"2.1\"\n"),
    ),
    (
        Format::PdmLock,
        "pdm.lock",
        "[metadata]\nlock_version = \"4.5.0\"\n\n[[package]]\nname = \"thing\"\nversion = \"1.0\"\n",
        Some(("4.5.0", "5.0.0")),
        Some("[metadata]\nlock_version = \"4.5.0\"\n"),
    ),
    (
        Format::PipfileLock,
        "Pipfile.lock",
        r#"{"_meta": {"pipfile-spec": 6}, "default": {"thing": {"version": "==1.0", "hashes": []}}}"#,
        Some(("6}", "7}")),
        Some("{}"),
    ),
    (
        Format::Pylock,
        "pylock.toml",
        "lock-version = \"1.0\"\ncreated-by = \"x\"\n\n[[packages]]\nname = \"thing\"\nversion = \"1.0\"\n",
        Some(("1.0\"\nc", "2.0\"\nc")),
        Some("lock-version = \"1.0\"\npackages = []\n"),
    ),
    (
        Format::Pyproject,
        "pyproject.toml",
        "[project]\nname = \"own\"\nversion = \"1\"\ndependencies = [\"thing==1.0\"]\n",
        None,
        Some("[tool.black]\n"),
    ),
    (
        Format::PackageLock,
        "package-lock.json",
        r#"{"lockfileVersion": 3, "packages": {"node_modules/thing": {"version": "1.0.0"}}}"#,
        Some(("3,", "9,")),
        Some(r#"{"lockfileVersion": 3, "packages": {}}"#),
    ),
    (
        Format::PnpmLock,
        "pnpm-lock.yaml",
        "lockfileVersion: '9.0'\npackages:\n  thing@1.0.0:\n    resolution: {integrity: sha512-AAAA}\n",
        Some(("9.0", "99.0")),
        Some("lockfileVersion: '9.0'\n"),
    ),
    (
        Format::CargoLock,
        "Cargo.lock",
        "version = 4\n\n[[package]]\nname = \"thing\"\nversion = \"1.0.0\"\nsource = \"registry+https://index.example/rust\"\n",
        Some(("version = 4", "version = 9")),
        Some("version = 4\n[[packages]]\nname = \"thing\"\n"),
    ),
    (
        Format::Sbom,
        "bom.json",
        r#"{"bomFormat": "CycloneDX", "specVersion": "1.6", "components": [{"purl": "pkg:pypi/thing@1.0", "version": "1.0"}]}"#,
        Some(("1.6", "9.0")),
        Some(r#"{"bomFormat": "CycloneDX", "specVersion": "1.6"}"#),
    ),
    (
        Format::CondaMeta,
        "conda-meta/thing-1.0-0.json",
        r#"{"name": "thing", "version": "1.0", "url": "https://conda.example/thing-1.0-0.conda"}"#,
        None,
        None,
    ),
    (
        Format::CondaLock,
        "conda-lock.yml",
        "version: 1\npackage:\n- name: thing\n  version: '1.0'\n  manager: pip\n",
        Some(("version: 1", "version: 2")),
        Some("version: 1\npackage: []\n"),
    ),
    (
        Format::CondaEnvironment,
        "environment.yml",
        "dependencies:\n- pip:\n  - thing==1.0\n",
        None,
        Some("name: x\n"),
    ),
    (
        Format::CondaExplicit,
        "explicit.txt",
        "@EXPLICIT\nhttps://conda.example/thing-1.0-0.conda\n",
        None,
        Some("@EXPLICIT\n"),
    ),
    (Format::Dockerfile, "Dockerfile", "RUN pip install thing==1.0\n", None, Some("# none\n")),
    (
        Format::Pipeline,
        "compose.yml",
        "services:\n  a:\n    command: uvx thing==1.0\n",
        None,
        Some("services: {}\n"),
    ),
    (
        Format::Agent,
        ".mcp.json",
        r#"{"mcpServers": {"a": {"command": "uvx", "args": ["thing@1.0"]}}}"#,
        None,
        Some("{}"),
    ),
];

#[test]
fn the_table_has_every_format() {
    assert!(FORMATS.iter().map(|row| row.0).eq(Format::ALL));
}

#[test]
fn an_empty_file_of_any_format_is_not_audited() {
    for (_, name, ..) in FORMATS {
        for text in ["", "\n \n", "\u{feff}"] {
            let file = scratch("empty").join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, text).unwrap();
            let report = audit(&file);
            assert_eq!(report.outcome, Outcome::NotAudited, "{name}");
        }
    }
}

#[test]
fn a_file_that_names_no_package_is_not_audited() {
    for (format, name, _, _, nothing) in FORMATS {
        let Some(text) = nothing else { continue };
        let file = scratch("nothing").join(name);
        fs::write(&file, text).unwrap();
        let report = audit(&file);
        assert_eq!(report.outcome, Outcome::NotAudited, "{format:?}: {report:#?}");
        let folder = audit(file.parent().unwrap());
        assert_eq!(folder.outcome, Outcome::NotAudited, "{format:?} in a folder");
    }
}

#[test]
fn a_file_of_a_later_format_is_not_audited_and_says_which_version_it_has() {
    for (format, name, text, later, _) in FORMATS {
        let Some((from, to)) = later else { continue };
        let file = scratch("later").join(name);
        fs::write(&file, text.replace(from, to)).unwrap();
        let report = audit(&file);
        assert_eq!(report.outcome, Outcome::NotAudited, "{format:?}: {report:#?}");
        let said = report.gaps.iter().any(|gap| {
            matches!(gap.why, Why::UnknownFormat | Why::Malformed) && gap.text.contains("not known")
        });
        assert!(said, "{format:?}: {:#?}", report.gaps);
    }
}

#[test]
fn a_file_that_is_cut_off_anywhere_is_never_clean_without_its_package() {
    for (format, name, text, ..) in FORMATS {
        let folder = scratch("cut");
        let file = folder.join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        for cut in (0..text.len()).filter_map(|end| text.get(..end)) {
            fs::write(&file, cut).unwrap();
            let report = audit(&file);
            let has = report.inventory.iter().any(|package| {
                package.name == "thing"
                    && package.version.as_ref().is_some_and(|v| v.text().starts_with('1'))
            });
            assert!(report.outcome != Outcome::Clean || has, "{format:?}: {cut:?}: {report:#?}");
        }
    }
}

#[test]
fn the_files_of_the_table_are_clean_or_have_only_the_gap_of_their_kind() {
    for (format, name, text, ..) in FORMATS {
        let file = scratch("whole").join(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(&file, text).unwrap();
        let report = audit(&file);
        let of_kind = [Why::UnknownSource, Why::Floating];
        assert!(
            report.gaps.iter().all(|gap| of_kind.contains(&gap.why)),
            "{format:?}: {report:#?}"
        );
        assert!(report.packages > 0, "{format:?}");
    }
}

#[test]
fn folders_without_a_package_are_not_audited() {
    let folder = scratch("folder");
    assert_eq!(audit(&folder).outcome, Outcome::NotAudited);
    fs::create_dir_all(folder.join("lib/python3.12/site-packages")).unwrap();
    fs::write(folder.join("pyvenv.cfg"), "home = /usr/bin\n").unwrap();
    assert_eq!(audit(&folder).outcome, Outcome::NotAudited);
}
