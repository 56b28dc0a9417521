//! Links in environments and on the way to them, and the commands in `bin`.
#![cfg(unix)]

use crate::wheels::members;
use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::finding::{Finding, Kind, Severity, Why};
use guard::{Ask, Report};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// Decodes and executes, which nothing honest does; what it decodes is `pass`.
const BAD: &str = "import base64\nexec(base64.b64decode('cGFzcw=='))\n";

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// An environment with `thing 1.0`: its top and its site-packages.
fn environment(folder: &Path) -> (PathBuf, PathBuf) {
    let top = folder.join("venv");
    let site = top.join("lib/python3.12/site-packages");
    write(&top.join("pyvenv.cfg"), "home = /usr/bin\n");
    for (name, bytes) in members("thing", "1.0", &[("thing/__init__.py", "x = 1\n")]) {
        write(&site.join(name), std::str::from_utf8(&bytes).unwrap());
    }
    fs::create_dir_all(top.join("bin")).unwrap();
    write(&folder.join("python3"), "\u{7f}ELF");
    symlink(folder.join("python3"), top.join("bin/python3")).unwrap();
    symlink("python3", top.join("bin/python")).unwrap();
    symlink("lib", top.join("lib64")).unwrap();
    (top, site)
}

fn audit(path: &Path) -> Report {
    let ask = Ask { paths: vec![path.to_owned()], terms: terms() };
    guard::audit(&ask, &Advisories::built_in())
}

fn integrity(report: &Report) -> Vec<&Finding> {
    report.findings.iter().filter(|finding| finding.kind == Kind::Integrity).collect()
}

fn only(report: &Report) -> (Severity, &str) {
    let [found] = integrity(report)[..] else { panic!("{report:?}") };
    (found.severity, found.evidence[0].text.as_str())
}

fn has_code(report: &Report) -> bool {
    report.findings.iter().any(|f| f.kind == Kind::Code && f.severity == Severity::Critical)
}

#[test]
fn links_that_every_environment_has_are_quiet() {
    let folder = scratch("own");
    let (top, site) = environment(&folder);
    write(&top.join("share/data.txt"), "x");
    symlink("../../../../share/data.txt", site.join("thing/data.txt")).unwrap();
    let report = audit(&top);
    assert_eq!((report.packages, report.files.len()), (1, 1));
    let serious = integrity(&report).into_iter().filter(|f| f.severity > Severity::Low);
    assert_eq!(serious.count(), 0, "{report:?}");
}

#[test]
fn a_package_that_is_a_link_out_is_told_and_its_code_is_read() {
    let folder = scratch("package");
    let (top, site) = environment(&folder);
    write(&folder.join("elsewhere/evil/__init__.py"), BAD);
    symlink(folder.join("elsewhere/evil"), site.join("evil")).unwrap();
    let report = audit(&top);
    assert_eq!(only(&report).0, Severity::High);
    assert!(only(&report).1.contains("elsewhere/evil"));
    assert!(has_code(&report), "{report:?}");
    // One without a RECORD beside it hides nothing.
    write(&site.join("old-1.0.egg-info"), "Metadata-Version: 2.1\nName: old\nVersion: 1.0\n");
    let report = audit(&top);
    assert!(has_code(&report) && only(&report).0 == Severity::High);
}

#[test]
fn links_in_links_circles_and_ways_back_end() {
    let folder = scratch("circles");
    let (top, site) = environment(&folder);
    let elsewhere = folder.join("elsewhere");
    write(&elsewhere.join("a/deep/evil.py"), BAD);
    symlink(&elsewhere, elsewhere.join("a/again")).unwrap();
    symlink(elsewhere.join("a"), site.join("one")).unwrap();
    symlink(&elsewhere, site.join("two")).unwrap();
    symlink(&folder, site.join("up")).unwrap();
    symlink(".", site.join("here")).unwrap();
    symlink("loop", site.join("loop")).unwrap();
    let report = audit(&top);
    assert!(has_code(&report), "{report:?}");
    assert!(integrity(&report).iter().any(|f| f.severity == Severity::High));
}

#[test]
fn what_a_link_stands_for_decides_how_bad_it_is() {
    let of = |inside: &str, target: &str| {
        let folder = scratch("what");
        let (top, site) = environment(&folder);
        let target = folder.join(target);
        write(&target, "x = 1\n");
        let link = site.join(inside);
        drop(fs::remove_file(&link));
        symlink(&target, &link).unwrap();
        let report = audit(&top);
        let told = integrity(&report).into_iter().find(|f| f.evidence[0].text.contains("leads to"));
        told.map(|f| f.severity)
    };
    assert_eq!(of("thing/__init__.py", "x.py"), Some(Severity::High), "recorded");
    assert_eq!(of("late.pth", "late.pth"), Some(Severity::High), "runs at start");
    assert_eq!(of("sitecustomize.py", "s.py"), Some(Severity::High), "runs at start");
    assert_eq!(of("thing/more.py", "x.py"), Some(Severity::Medium), "code");
    assert_eq!(of("thing/data.json", "x.json"), Some(Severity::Low), "no code");
    let folder = scratch("nowhere");
    let (top, site) = environment(&folder);
    symlink("/no/such/place", site.join("thing/gone.py")).unwrap();
    assert_eq!(only(&audit(&top)), (Severity::Low, "leads nowhere"));
}

#[test]
fn links_of_uv_into_its_cache_are_low_and_only_where_record_has_them() {
    let folder = scratch("uv");
    let (top, site) = environment(&folder);
    let cache = folder.join("cache/archive-v0/S9RImonCZ8daq1Yr");
    write(&cache.join("thing/__init__.py"), "x = 1\n");
    let at = site.join("thing/__init__.py");
    fs::remove_file(&at).unwrap();
    symlink(cache.join("thing/__init__.py"), &at).unwrap();
    assert_eq!(only(&audit(&top)).0, Severity::High, "nobody says that uv installed it");
    write(&site.join("thing-1.0.dist-info/INSTALLER"), "uv");
    let record = site.join("thing-1.0.dist-info/RECORD");
    let rows = fs::read_to_string(&record).unwrap();
    let installer = crate::wheels::sha256(b"uv");
    write(&record, &format!("{rows}thing-1.0.dist-info/INSTALLER,sha256={installer},2\n"));
    let report = audit(&top);
    assert_eq!(only(&report).0, Severity::Low);
    assert!(integrity(&report)[0].meaning.contains("link-mode symlink"));
    // What changed in the cache is what Python runs: read, and compared.
    write(&cache.join("thing/__init__.py"), BAD);
    let report = audit(&top);
    assert!(has_code(&report) && integrity(&report).iter().any(|f| f.severity == Severity::High));
    // No other file in the cache will do.
    write(&cache.join("thing/other.py"), "x = 1\n");
    fs::remove_file(&at).unwrap();
    symlink(cache.join("thing/other.py"), &at).unwrap();
    assert_eq!(only(&audit(&top)).0, Severity::High);
}

#[test]
fn a_link_of_an_editable_installation_is_low() {
    let folder = scratch("edit");
    let (top, site) = environment(&folder);
    write(&folder.join("src/mine/__init__.py"), "x = 1\n");
    symlink(folder.join("src/mine"), site.join("mine")).unwrap();
    let own = site.join("mine-1.0.dist-info");
    write(&own.join("METADATA"), "Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n");
    write(&own.join("direct_url.json"), r#"{"url":"file:///src","dir_info":{"editable":true}}"#);
    let (a, b) = ("mine-1.0.dist-info/METADATA", "mine-1.0.dist-info/direct_url.json");
    let hash = |path: &str| crate::wheels::sha256(&fs::read(site.join(path)).unwrap());
    let rows = format!(
        "mine,,\n{a},sha256={},\n{b},sha256={},\nmine-1.0.dist-info/RECORD,,\n",
        hash(a),
        hash(b)
    );
    write(&own.join("RECORD"), &rows);
    assert_eq!(only(&audit(&top)).0, Severity::Low);
}

#[test]
fn an_environment_that_lies_elsewhere_is_audited_through_the_link() {
    let folder = scratch("moved");
    let (top, site) = environment(&folder);
    write(&site.join("thing/__init__.py"), BAD);
    let project = folder.join("project");
    write(&project.join("requirements.txt"), "");
    symlink(&top, project.join(".venv")).unwrap();
    let report = audit(&project);
    assert!(has_code(&report), "{report:?}");
    // Its library elsewhere is a finding, and read all the same.
    fs::rename(top.join("lib"), folder.join("library")).unwrap();
    symlink(folder.join("library"), top.join("lib")).unwrap();
    let report = audit(&top);
    assert!(has_code(&report), "{report:?}");
    assert!(integrity(&report).iter().any(|f| f.meaning.contains("link out of it")), "{report:?}");
    let other = folder.join("bare/lib/python3.12");
    fs::create_dir_all(&other).unwrap();
    write(&folder.join("modules/evil.py"), BAD);
    symlink(folder.join("modules"), other.join("site-packages")).unwrap();
    assert!(has_code(&audit(&folder.join("bare"))), "by its name alone");
}

#[test]
fn a_lock_behind_a_link_is_read_inside_and_a_gap_outside() {
    let folder = scratch("locks");
    let project = folder.join("project");
    write(&project.join("deploy/prod.in"), "litellm==1.82.7\n");
    symlink("deploy/prod.in", project.join("requirements.txt")).unwrap();
    assert!(audit(&project).findings.iter().any(|f| f.kind == Kind::Malicious));
    write(&folder.join("requirements.txt"), "litellm==1.82.7\n");
    fs::remove_file(project.join("requirements.txt")).unwrap();
    symlink("../requirements.txt", project.join("requirements.txt")).unwrap();
    let report = audit(&project);
    let gap = report.gaps.iter().find(|gap| gap.why == Why::Unreadable).unwrap();
    assert!(gap.text.contains("outside of what is audited"), "{gap:?}");
    // Everything there is read at its own place, once.
    assert_eq!(audit(&folder).packages, 1);
    symlink(&folder, project.join("round")).unwrap();
    assert_eq!(audit(&folder).packages, 1);
}

#[test]
fn pipes_and_devices_keep_nobody_waiting() {
    let folder = scratch("pipes");
    let (top, site) = environment(&folder);
    symlink("/dev/zero", site.join("late.pth")).unwrap();
    symlink("/dev/zero", site.join("thing/zero.py")).unwrap();
    symlink("/proc", site.join("processes")).unwrap();
    write(&top.join("requirements.txt"), "-r more.txt\n");
    symlink("/dev/zero", top.join("more.txt")).unwrap();
    let report = audit(&top);
    let unreadable = report.gaps.iter().filter(|gap| gap.text.contains("a pipe or a device"));
    assert!(unreadable.count() >= 2, "{:?}", report.gaps);
}

#[test]
fn commands_are_compared_with_what_installers_generate() {
    let folder = scratch("commands");
    let (top, site) = environment(&folder);
    let info = site.join("thing-1.0.dist-info");
    let run = "#!/e/bin/python3\n# -*- coding: utf-8 -*-\nimport re\nimport sys\nfrom thing.cli import main\nif __name__ == '__main__':\n    sys.argv[0] = re.sub(r'(-script\\.pyw|\\.exe)?$', '', sys.argv[0])\n    sys.exit(main())\n";
    let points = "[console_scripts]\nrun = thing.cli:main\n";
    let record = |run: &str| {
        write(&top.join("bin/run"), run);
        write(&info.join("entry_points.txt"), points);
        let all = members("thing", "1.0", &[("thing/__init__.py", "x = 1\n")]);
        let rows = std::str::from_utf8(&all[2].1).unwrap().to_owned();
        let hash = |text: &str| crate::wheels::sha256(text.as_bytes());
        let more = format!(
            "../../../bin/run,sha256={},\nthing-1.0.dist-info/entry_points.txt,sha256={},\n",
            hash(run),
            hash(points)
        );
        write(&info.join("RECORD"), &format!("{rows}{more}"));
    };
    record(run);
    assert_eq!(integrity(&audit(&top)), Vec::<&Finding>::new());
    // Changed, and RECORD with it.
    record(&run.replace("import re\n", "import re, urllib.request\n"));
    assert_eq!(only(&audit(&top)), (Severity::Medium, "import re, urllib.request"));
    write(&top.join("bin/run"), run);
    assert_eq!(only(&audit(&top)).0, Severity::High, "RECORD has another");
    record(run);
    write(&top.join("bin/mine"), "#!/bin/sh\n");
    write(&top.join("bin/activate"), "x\n");
    assert_eq!(only(&audit(&top)).0, Severity::Low);
    write(&top.join("bin/ssh"), "#!/bin/sh\n");
    assert!(integrity(&audit(&top)).iter().any(|f| f.severity == Severity::Medium));
    fs::remove_file(top.join("bin/python3")).unwrap();
    write(&top.join("bin/python3"), "#!/bin/sh\n");
    let report = audit(&top);
    assert!(integrity(&report).iter().any(|f| f.severity == Severity::High), "{report:?}");
}

#[test]
fn links_of_pdm_into_its_cache_are_low_and_what_they_hold_is_a_gap() {
    let folder = scratch("pdm");
    let (top, site) = environment(&folder);
    let cache = folder.join("packages/thing-1.0-py3-none-any.whl.cache");
    write(&cache.join("thing/__init__.py"), BAD);
    let at = site.join("thing/__init__.py");
    fs::remove_file(&at).unwrap();
    symlink(cache.join("thing/__init__.py"), &at).unwrap();
    write(&site.join("thing-1.0.dist-info/INSTALLER"), "pdm");
    let own = ["METADATA", "INSTALLER"].map(|file| {
        let path = format!("thing-1.0.dist-info/{file}");
        let hash = crate::wheels::sha256(&fs::read(site.join(&path)).unwrap());
        format!("{path},sha256={hash},\n")
    });
    let rows =
        format!("thing/__init__.py,sha256=,6\n{}thing-1.0.dist-info/RECORD,,\n", own.concat());
    let record = site.join("thing-1.0.dist-info/RECORD");
    write(&record, &rows);
    let report = audit(&top);
    assert_eq!(only(&report).0, Severity::Low, "{report:?}");
    assert!(has_code(&report) && report.gaps.iter().any(|gap| gap.why == Why::NoRecord));
    // Without a link there is no reason for a row without a hash.
    fs::remove_file(&at).unwrap();
    write(&at, "x = 1\n");
    assert_eq!(only(&audit(&top)).0, Severity::High);
    // Nor does md5 say anything any more.
    write(&record, &rows.replace("sha256=,6", "md5=00112233445566778899aabbccddeeff,6"));
    assert!(audit(&top).gaps.iter().any(|gap| gap.text.contains("no SHA-256 of 1 files")));
}
