//! `keymoat pin`: what is written pins everything, and what is not known is a
//! gap with a name.

use crate::scratch;
use guard::Advisories;
use guard::pin::{self, Choice, Plan, Unpinned, artefacts};
use proptest::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};

fn file(name: &str, text: &str) -> PathBuf {
    let path = scratch("pin").join(name);
    fs::write(&path, text).unwrap();
    path
}

fn plan(path: &Path, choice: &Choice) -> Plan {
    pin::plan(path, &[], choice, &Advisories::built_in()).unwrap()
}

fn why(gaps: &[pin::Gap]) -> Vec<Unpinned> {
    gaps.iter().map(|gap| gap.why).collect()
}

/// Each pin as `name==version ; marker`.
fn lines(plan: &Plan) -> Vec<String> {
    let text = pin::write_requirements(plan, false);
    let kept = text.lines().filter(|line| line.contains("==") && !line.starts_with('#'));
    kept.map(|line| line.trim_end_matches(" \\").to_owned()).collect()
}

fn extras(names: &[&str]) -> Choice {
    Choice { extras: names.iter().map(|n| (*n).to_owned()).collect(), ..Choice::default() }
}

fn groups(names: &[&str]) -> Choice {
    Choice { groups: names.iter().map(|n| (*n).to_owned()).collect(), ..Choice::default() }
}

const H: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// A lock of uv with an extra, a group, a fork, a cycle and markers on the way.
fn uv_lock() -> String {
    let package = |name: &str, version: &str, rest: &str| {
        format!(
            "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = {{ registry = 'https://index.example/simple' }}\nwheels = [{{ url = 'https://files.example/{name}-{version}-py3-none-any.whl', hash = 'sha256:{H}', size = 3, upload-time = '2026-03-01T00:00:00Z' }}]\n{rest}\n"
        )
    };
    [
        "version = 1\nrequires-python = '>=3.10'\n",
        "[[package]]\nname = 'svc'\nversion = '0.1'\nsource = { editable = '.' }\ndependencies = [{ name = 'a' }, { name = 'w', marker = \"sys_platform == 'win32'\" }, { name = 'n', version = '1.0', marker = \"python_full_version < '3.11'\" }, { name = 'n', version = '2.0', marker = \"python_full_version >= '3.11'\" }]\n[package.optional-dependencies]\nproxy = [{ name = 'p' }]\n[package.dev-dependencies]\ndev = [{ name = 't' }]\n\n",
        &package("a", "1.0", "dependencies = [{ name = 'b', extra = ['x'], marker = \"os_name == 'nt' or sys_platform == 'darwin'\" }]"),
        &package("b", "1.0", "dependencies = [{ name = 'a' }]\n[package.optional-dependencies]\nx = [{ name = 'c', marker = \"python_full_version < '3.12'\" }]"),
        &package("c", "1.0", ""),
        &package("n", "1.0", ""),
        &package("n", "2.0", ""),
        &package("p", "1.0", ""),
        &package("t", "1.0", "dependencies = [{ name = 'w' }]"),
        &package("w", "1.0", ""),
    ]
    .concat()
}

#[test]
fn a_lock_of_uv_gives_what_the_project_needs_with_the_markers_on_the_way() {
    let path = file("uv.lock", &uv_lock());
    let needed = plan(&path, &Choice::default());
    assert!(needed.gaps.is_empty(), "{:?}", needed.gaps);
    assert_eq!(
        lines(&needed),
        [
            "a==1.0",
            "b==1.0 ; os_name == 'nt' or sys_platform == 'darwin'",
            "c==1.0 ; (os_name == 'nt' and python_full_version < '3.12') or (python_full_version < '3.12' and sys_platform == 'darwin')",
            "n==1.0 ; python_full_version < '3.11'",
            "n==2.0 ; python_full_version >= '3.11'",
            "w==1.0 ; sys_platform == 'win32'",
        ]
    );
    let with = |choice: &Choice| lines(&plan(&path, choice));
    assert!(with(&extras(&["Proxy"])).contains(&"p==1.0".to_owned()));
    let dev = with(&groups(&["dev"]));
    assert!(dev.contains(&"t==1.0".to_owned()) && dev.contains(&"w==1.0".to_owned()), "{dev:?}");
    assert_eq!(with(&Choice { all: true, ..Choice::default() }).len(), 8);
    assert_eq!(why(&plan(&path, &extras(&["gone"])).gaps), [Unpinned::Floating]);
}

#[test]
fn what_is_written_is_pinned_and_comes_back_the_same() {
    for (name, text) in [
        ("uv.lock", uv_lock()),
        ("poetry.lock", include_str!("../../testdata/formats/poetry.lock").to_owned()),
        ("poetry.lock", include_str!("../../testdata/formats/poetry-1.lock").to_owned()),
        ("pdm.lock", include_str!("../../testdata/formats/pdm.lock").to_owned()),
        ("Pipfile.lock", include_str!("../../testdata/formats/Pipfile.lock").to_owned()),
        ("pylock.toml", include_str!("../../testdata/formats/pylock.toml").to_owned()),
    ] {
        let made = plan(&file(name, &text.replace("VERSION", "1.83.7")), &Choice::default());
        assert!(made.gaps.is_empty() && made.pins.len() > 1, "{name}: {:?}", made.gaps);
        let text = pin::write_requirements(&made, false);
        assert!(text.contains("\n--require-hashes\n"));
        let written = file("requirements.txt", &text);
        let checked =
            pin::check(&written, &[], &Choice::default(), &Advisories::built_in()).unwrap();
        assert_eq!((checked.count, checked.gaps), (made.pins.len(), Vec::new()), "{name}");
        // The audit reads the same names, versions and digests out of it.
        let reading = crate::read(guard::manifest::Format::Requirements, &text).unwrap();
        assert!(reading.gaps.is_empty() && reading.findings.is_empty(), "{:?}", reading.gaps);
        for (package, pin) in reading.packages.iter().zip(&made.pins) {
            assert_eq!(package.name, pin.name);
            assert_eq!(
                package.version.as_ref().map(guard::version::Version::text),
                pin.version.as_deref()
            );
            assert!(!package.hashes.is_empty());
        }
    }
}

#[test]
fn pylock_goes_through_itself_unchanged() {
    let made = plan(&file("uv.lock", &uv_lock()), &Choice::default());
    let (first, gaps) = pin::write_pylock(&made, Path::new(""));
    assert!(gaps.is_empty());
    let again = plan(&file("pylock.toml", &first), &Choice::default());
    assert!(again.gaps.is_empty(), "{:?}", again.gaps);
    assert_eq!(pin::write_pylock(&again, Path::new("")).0, first);
    assert_eq!(lines(&again), lines(&made));
    assert!(first.contains("upload-time = 2026-03-01T00:00:00Z"));
}

#[test]
fn pylock_wants_addresses_and_says_which_are_missing() {
    let made = plan(
        &file(
            "poetry.lock",
            &include_str!("../../testdata/formats/poetry.lock").replace("VERSION", "1.83.7"),
        ),
        &Choice::default(),
    );
    let (_, gaps) = pin::write_pylock(&made, Path::new(""));
    assert_eq!(why(&gaps), [Unpinned::NoAddress, Unpinned::NoAddress]);
}

#[test]
fn groups_and_markers_of_poetry_are_kept() {
    let entry = |name: &str, rest: &str| {
        format!(
            "[[package]]\nname = '{name}'\nversion = '1.0'\noptional = false\npython-versions = '>=3.9'\n{rest}\nfiles = [{{ file = '{name}-1.0-py3-none-any.whl', hash = 'sha256:{H}' }}]\n"
        )
    };
    let text = [
        entry("a", "groups = ['main']"),
        entry("b", "groups = ['main', 'dev']\nmarkers = { main = \"sys_platform == 'win32'\", dev = \"os_name == 'nt'\" }"),
        entry("c", "groups = ['main']\nmarkers = \"extra == 'proxy' and python_version < '3.11'\""),
        entry("d", "groups = ['dev']"),
        "[extras]\nproxy = ['c']\n[metadata]\nlock-version = '2.1'\npython-versions = '>=3.9'\n".to_owned(),
    ]
    .concat();
    let path = file("poetry.lock", &text);
    let with = |choice: &Choice| lines(&plan(&path, choice));
    assert_eq!(with(&Choice::default()), ["a==1.0", "b==1.0 ; sys_platform == 'win32'"]);
    assert_eq!(with(&extras(&["proxy"])).last().unwrap(), "c==1.0 ; python_version < '3.11'");
    let dev = with(&groups(&["dev"]));
    assert!(
        dev.contains(&"b==1.0 ; os_name == 'nt' or sys_platform == 'win32'".to_owned()),
        "{dev:?}"
    );
    assert!(dev.contains(&"d==1.0".to_owned()));
}

#[test]
fn every_gap_has_a_name() {
    let lock = |source: &str, rest: &str| {
        format!(
            "version = 1\n[[package]]\nname = 'svc'\nversion = '0'\nsource = {{ virtual = '.' }}\ndependencies = [{{ name = 'x' }}]\n[[package]]\nname = 'x'\nversion = '1.0'\nsource = {source}\n{rest}\n"
        )
    };
    let registry = "{ registry = 'https://i/simple' }";
    let sdist = format!("sdist = {{ url = 'https://f/x-1.0.tar.gz', hash = 'sha256:{H}' }}");
    for (text, expected) in [
        (
            lock("{ git = 'https://h/r#84748be16341b76e073d117329f7f5f4ee2941ad' }", ""),
            Unpinned::NoFile,
        ),
        (lock("{ directory = '../x' }", ""), Unpinned::NoFile),
        (lock(registry, ""), Unpinned::NoHash),
        (
            lock(registry, "sdist = { url = 'https://f/x-1.0.tar.gz', hash = 'md5:00' }"),
            Unpinned::WeakHash,
        ),
        (lock(registry, &sdist), Unpinned::NoWheel),
    ] {
        let only_wheels = Choice { only_wheels: true, ..Choice::default() };
        let made = plan(&file("uv.lock", &text), &only_wheels);
        assert_eq!(why(&made.gaps), [expected], "{text}");
        assert!(!made.gaps[0].do_first.is_empty());
    }
    let malicious = include_str!("../../testdata/formats/uv.lock").replace("VERSION", "1.82.8");
    assert_eq!(
        why(&plan(&file("uv.lock", &malicious), &Choice::default()).gaps),
        [Unpinned::Malicious]
    );
}

/// A folder into which `x 1.0` is installed.
fn environment() -> PathBuf {
    let top = scratch("environment");
    let info = top.join("lib/python3.12/site-packages/x-1.0.dist-info");
    fs::create_dir_all(&info).unwrap();
    fs::write(info.join("METADATA"), "Name: X\nVersion: 1.0\n").unwrap();
    top
}

#[test]
fn what_is_installed_has_no_hashes_but_those_of_artefacts_at_hand() {
    let top = environment();
    let bare = plan(&top, &Choice::default());
    assert_eq!(why(&bare.gaps), [Unpinned::NoHash]);
    let text = pin::write_requirements(&bare, false);
    assert!(text.contains("--require-hashes") && text.contains("# NOT PINNED"), "pip refuses it");
    let folder = scratch("artefacts");
    fs::write(folder.join("X-1.0-py3-none-any.whl"), "a wheel").unwrap();
    fs::write(folder.join("x-2.0-py3-none-any.whl"), "another").unwrap();
    fs::write(folder.join("notes.txt"), "none").unwrap();
    let artefacts = artefacts::read(&folder).unwrap();
    let made = pin::plan(&top, &artefacts, &Choice::default(), &Advisories::none()).unwrap();
    assert!(made.gaps.is_empty());
    // printf 'a wheel' | sha256sum
    let digest = "69f51477f05c46bfa5ff0027a1fcde274695311a38adfb85611ffeb93c8b146b";
    assert!(pin::write_requirements(&made, false).contains(digest));
    assert_eq!(made.pins[0].files.len(), 1);
    let (lock, gaps) = pin::write_pylock(&made, &folder);
    assert!(gaps.is_empty() && lock.contains("path = \"X-1.0-py3-none-any.whl\""), "{lock}");
    fs::remove_dir_all(top.join("lib")).unwrap();
    assert!(pin::plan(&top, &[], &Choice::default(), &Advisories::none()).is_err());
}

#[test]
fn an_artefact_that_the_lock_does_not_know_is_a_gap() {
    let path = file("uv.lock", &uv_lock());
    let folder = scratch("artefacts");
    fs::write(folder.join("c-1.0-py3-none-any.whl"), "replaced").unwrap();
    let artefacts = artefacts::read(&folder).unwrap();
    let made = pin::plan(&path, &artefacts, &Choice::default(), &Advisories::none()).unwrap();
    assert_eq!(why(&made.gaps), [Unpinned::Differs]);
    let written = file("requirements.txt", &format!("c==1.0 --hash=sha256:{H}\n"));
    let checked =
        pin::check(&written, &artefacts, &Choice::default(), &Advisories::none()).unwrap();
    assert_eq!(why(&checked.gaps), [Unpinned::Differs]);
}

#[test]
fn a_check_names_each_line_that_is_loose_and_why() {
    let text = format!(
        "--extra-index-url https://x/\na==1.0 --hash=sha256:{H}\nb>=1\nc==1.0\nd==1.0 --hash=md5:00\ne @ git+https://h/r@main\n-e .\nf==1.*\nlitellm==1.82.7 --hash=sha256:{H}\n-r gone.txt\n"
    );
    let checked = pin::check(
        &file("requirements.txt", &text),
        &[],
        &Choice::default(),
        &Advisories::built_in(),
    )
    .unwrap();
    let found: Vec<(u32, Unpinned)> =
        checked.gaps.iter().map(|gap| (gap.place.as_ref().unwrap().line, gap.why)).collect();
    assert_eq!(
        found,
        [
            (1, Unpinned::Origin),
            (3, Unpinned::Floating),
            (4, Unpinned::NoHash),
            (5, Unpinned::WeakHash),
            (6, Unpinned::NoFile),
            (7, Unpinned::NoFile),
            (8, Unpinned::Floating),
            (9, Unpinned::Malicious),
            (10, Unpinned::Unreadable),
        ]
    );
    let told = pin::told(checked.count, &checked.gaps);
    assert!(told.starts_with("NOT PINNED. 9 gaps"), "{told}");
    assert!(pin::told(1, &[]).starts_with("PINNED. 1 requirement,"));
}

#[test]
fn what_is_no_lock_is_refused_with_its_place() {
    let refused = |name: &str, text: &str| {
        pin::plan(&file(name, text), &[], &Choice::default(), &Advisories::none())
            .unwrap_err()
            .to_string()
    };
    assert!(refused("uv.lock", "[[package]\n").contains("uv.lock:1"));
    assert!(refused("requirements.txt", "a==1\n").contains("--check"));
    assert!(refused("pylock.toml", "lock-version = '9'\npackages = []\n").contains("lock-version"));
}

#[test]
fn a_forged_lock_forges_no_line_of_what_is_written() {
    let lock = |name: &str, version: &str, source: &str, marker: &str, hash: &str| {
        let text = |text: &str| serde_json::to_string(text).unwrap();
        format!(
            "version = 1\n[[package]]\nname = 'svc'\nsource = {{ virtual = '.' }}\ndependencies = [{{ name = {n}, marker = {m} }}]\n[[package]]\nname = {n}\nversion = {v}\nsource = {{ registry = {s} }}\nwheels = [{{ url = {s}, hash = {h}, upload-time = \"2026-01-01\\nx = 1\" }}]\n",
            n = text(name),
            v = text(version),
            s = text(source),
            m = text(marker),
            h = text(hash)
        )
    };
    let (url, hash, bad) = ("https://h/x.whl", format!("sha256:{H}"), "\n--index-url http://evil/");
    for text in [
        lock(&format!("x{bad}"), "1.0", url, "os_name == 'a'", &hash),
        lock("x", &format!("1.0{bad}"), url, "os_name == 'a'", &hash),
        lock("x", "1.0 ; os_name == 'b'", url, "os_name == 'a'", &hash),
        lock("x", "1.0", &format!("{url}{bad}"), "os_name == 'a'", &hash),
        lock("x", "1.0", url, &format!("os_name == 'a{bad}'"), &hash),
        lock("x", "1.0", url, "os_name == 'a'", &format!("{hash}{bad}")),
    ] {
        let made = plan(&file("uv.lock", &text), &Choice::default());
        assert!(!made.gaps.is_empty(), "{text}");
        let written = pin::write_requirements(&made, false);
        let (pylock, _) = pin::write_pylock(&made, Path::new(""));
        assert!(!written.contains("evil"), "{written}");
        let pylock: toml::Table = pylock.parse().expect("TOML");
        assert!(
            pylock
                .keys()
                .all(|key| ["lock-version", "created-by", "packages"].contains(&key.as_str()))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_spoilt_lock_never_panics_and_what_is_written_can_be_read(
        which in 0..5_usize,
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..12_usize, "[\\[\\]{}=:\"'#\\\\/@ \n\t.,a0;-]{0,4}"), 1..6),
    ) {
        let files = [
            ("uv.lock", uv_lock()),
            ("poetry.lock", include_str!("../../testdata/formats/poetry.lock").to_owned()),
            ("pdm.lock", include_str!("../../testdata/formats/pdm.lock").to_owned()),
            ("Pipfile.lock", include_str!("../../testdata/formats/Pipfile.lock").to_owned()),
            ("pylock.toml", include_str!("../../testdata/formats/pylock.toml").to_owned()),
        ];
        let (name, text) = &files[which];
        let mut letters: Vec<char> = text.replace("VERSION", "1.83.7").chars().collect();
        for (from, length, with) in edits {
            let from = from.index(letters.len().max(1)).min(letters.len());
            let to = (from + length).min(letters.len());
            letters.splice(from..to, with.chars());
        }
        let path = file(name, &letters.into_iter().collect::<String>());
        let made = pin::plan(&path, &[], &Choice::default(), &Advisories::none());
        fs::remove_dir_all(path.parent().unwrap()).unwrap();
        if let Ok(made) = made {
            let text = pin::write_requirements(&made, false);
            let reading = crate::read(guard::manifest::Format::Requirements, &text).unwrap();
            prop_assert!(reading.findings.is_empty(), "{}", text);
            // A file without a pin is a gap of its own.
            let wanted = made.pins.len().max(1);
            prop_assert_eq!(reading.packages.len() + reading.gaps.len(), wanted, "{}", text);
            let (pylock, _) = pin::write_pylock(&made, Path::new(""));
            prop_assert!(pylock.parse::<toml::Table>().is_ok(), "{}", pylock);
        }
    }
}
