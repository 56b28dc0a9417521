//! Images: layers over each other, whiteouts, links, unpacked trees.

use crate::packed::{entry, gzip, tar};
use crate::wheels::{members, sha256};
use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::finding::{Kind, Severity, Why};
use guard::{Ask, Report};
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const SITE: &str = "usr/lib/python3.12/site-packages";

fn layer(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let borrowed: Vec<(&str, &[u8])> =
        files.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    tar(&borrowed)
}

fn installed(name: &str, version: &str, files: &[(&str, &str)]) -> Vec<(String, Vec<u8>)> {
    let inside = members(name, version, files).into_iter();
    inside.map(|(name, bytes)| (format!("{SITE}/{name}"), bytes)).collect()
}

fn saved(layers: &[Vec<u8>]) -> Vec<u8> {
    let names: Vec<String> = (0..layers.len()).map(|n| format!("{n}/layer.tar")).collect();
    let manifest = serde_json::json!([{ "Config": "c.json", "Layers": names }]).to_string();
    let mut all: Vec<(String, Vec<u8>)> = vec![("manifest.json".into(), manifest.into_bytes())];
    all.extend(names.into_iter().zip(layers.iter().cloned()));
    layer(&all)
}

fn audit(path: &Path) -> Report {
    let ask = Ask { paths: vec![path.to_owned()], terms: terms() };
    guard::audit(&ask, &Advisories::built_in())
}

fn of_file(bytes: &[u8]) -> Report {
    let path = scratch("image").join("image.tar");
    fs::write(&path, bytes).unwrap();
    audit(&path)
}

fn shown(report: &Report) -> Vec<String> {
    report.inventory.iter().map(guard::inventory::Package::shown).collect()
}

/// The packages that a container of the image has.
fn laid_open(report: &Report) -> Vec<String> {
    let installed = report
        .inventory
        .iter()
        .filter(|package| package.standing == guard::inventory::Standing::Installed);
    installed.map(guard::inventory::Package::shown).collect()
}

#[test]
fn a_bad_release_in_a_layer_is_found_with_its_place() {
    let report = of_file(&saved(&[
        layer(&installed("thing", "1.0", &[("thing.py", "")])),
        gzip(&layer(&installed("litellm", "1.82.8", &[("litellm/__init__.py", "")]))),
    ]));
    assert_eq!(shown(&report), ["litellm 1.82.8", "thing 1.0"]);
    let worst = &report.findings[0];
    assert_eq!((worst.severity, worst.kind), (Severity::Critical, Kind::Malicious));
    let place = worst.evidence[0].place.as_ref().unwrap().to_string();
    assert!(place.ends_with(&format!("image.tar/{SITE}/litellm-1.82.8.dist-info")), "{place}");
}

#[test]
fn a_later_layer_takes_out_and_covers_what_is_below_it() {
    let bad = installed("litellm", "1.82.8", &[("litellm/__init__.py", "")]);
    let white = |name: &str| layer(&[(name.to_owned(), Vec::new())]);
    let gone = format!("{SITE}/.wh.litellm-1.82.8.dist-info");
    assert!(laid_open(&of_file(&saved(&[layer(&bad), white(&gone)]))).is_empty());
    let emptied = format!("{SITE}/.wh..wh..opq");
    let fine = installed("thing", "1.0", &[]);
    let mut over = vec![(emptied, Vec::new())];
    over.extend(fine);
    assert_eq!(laid_open(&of_file(&saved(&[layer(&bad), layer(&over)]))), ["thing 1.0"]);
    // What stands in the same layer as a whiteout stays.
    let mut patched = layer(&installed("thing", "1.0", &[("thing.py", "x = 1\n")]));
    let changed = layer(&[(format!("{SITE}/thing.py"), b"x = 2\n".to_vec())]);
    let report = of_file(&saved(&[patched.clone(), changed]));
    assert_eq!(report.findings[0].subject, "thing.py of thing 1.0");
    patched.truncate(700);
    let report = of_file(&saved(&[patched]));
    assert!(report.gaps.iter().any(|gap| gap.why == Why::Malformed), "{:?}", report.gaps);
}

#[test]
fn an_oci_layout_is_read_by_its_index_and_a_changed_layer_is_told() {
    let bytes = gzip(&layer(&installed("litellm", "1.82.7", &[("litellm/__init__.py", "")])));
    let hex = |bytes: &[u8]| {
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
        digest.as_ref().iter().fold(String::new(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        })
    };
    let layers = serde_json::json!([{ "digest": format!("sha256:{}", hex(&bytes)), "mediaType": "application/vnd.oci.image.layer.v1.tar+gzip" }]);
    let manifest = serde_json::json!({ "layers": layers }).to_string().into_bytes();
    let index =
        serde_json::json!({ "manifests": [{ "digest": format!("sha256:{}", hex(&manifest)) }] });
    let folder = scratch("layout");
    fs::create_dir_all(folder.join("blobs/sha256")).unwrap();
    fs::write(folder.join("oci-layout"), "{\"imageLayoutVersion\":\"1.0.0\"}").unwrap();
    fs::write(folder.join("index.json"), index.to_string()).unwrap();
    fs::write(folder.join("blobs/sha256").join(hex(&manifest)), &manifest).unwrap();
    let blob = folder.join("blobs/sha256").join(hex(&bytes));
    fs::write(&blob, &bytes).unwrap();
    let report = audit(&folder);
    assert_eq!(shown(&report), ["litellm 1.82.7"]);
    assert!(!report.findings.iter().any(|f| f.kind == Kind::Integrity), "{:?}", report.findings);
    let other = gzip(&layer(&installed("thing", "1.0", &[])));
    fs::write(&blob, &other).unwrap();
    let report = audit(&folder);
    assert_eq!(shown(&report), ["thing 1.0"]);
    assert!(report.findings.iter().any(|f| f.severity == Severity::High));
    fs::write(&blob, [0x28, 0xb5, 0x2f, 0xfd, 0]).unwrap();
    let report = audit(&folder);
    assert!(report.gaps.iter().any(|gap| gap.text.contains("zstd")), "{:?}", report.gaps);
    fs::remove_file(&blob).unwrap();
    assert_eq!(audit(&folder).outcome.exit_code(), 2);
}

#[test]
fn links_in_an_image_lead_inside_it_only() {
    let module = "x = 1\n";
    let own = "thing-1.0.dist-info";
    let record = format!("thing.py,sha256={},6\n{own}/METADATA,,\n", sha256(module.as_bytes()));
    let mut packed = entry(
        format!("{SITE}/{own}/METADATA").as_bytes(),
        b'0',
        b"",
        b"Name: thing\nVersion: 1.0\n",
    );
    packed.extend(entry(format!("{SITE}/{own}/RECORD").as_bytes(), b'0', b"", record.as_bytes()));
    let real = format!("{SITE}/real.py");
    packed.extend(entry(real.as_bytes(), b'0', b"", module.as_bytes()));
    let target = format!("/{real}");
    packed.extend(entry(format!("{SITE}/thing.py").as_bytes(), b'2', target.as_bytes(), b""));
    packed.extend(entry(format!("{SITE}/loop").as_bytes(), b'2', b"loop", b""));
    packed.extend([0; 1024]);
    let report = of_file(&packed);
    assert_eq!(shown(&report), ["thing 1.0"]);
    assert!(
        !report.findings.iter().any(|f| f.subject.starts_with("thing.py")),
        "{:?}",
        report.findings
    );
}

#[cfg(unix)]
#[test]
fn an_unpacked_tree_is_read_without_following_a_link_out_of_it() {
    let root = scratch("root");
    let site = root.join(SITE);
    fs::create_dir_all(site.join("litellm-1.82.8.dist-info")).unwrap();
    for (name, bytes) in members("litellm", "1.82.8", &[("litellm.py", "x = 1\n")]) {
        fs::write(site.join(name), bytes).unwrap();
    }
    let outside = scratch("outside").join("secret.pth");
    fs::write(&outside, "import evil\n").unwrap();
    std::os::unix::fs::symlink(&outside, site.join("link.pth")).unwrap();
    fs::remove_file(site.join("litellm.py")).unwrap();
    fs::write(root.join("elsewhere.py"), "x = 1\n").unwrap();
    std::os::unix::fs::symlink("/elsewhere.py", site.join("litellm.py")).unwrap();
    let report = guard::audit::audit_root(&root, &terms(), &Advisories::built_in());
    assert_eq!(report.findings[0].kind, Kind::Malicious);
    assert!(!report.findings.iter().any(|f| f.kind == Kind::StartupCode), "{:?}", report.findings);
    let report = guard::audit::audit_root(&scratch("empty"), &terms(), &Advisories::built_in());
    assert_eq!(report.outcome.exit_code(), 2);
}

#[test]
fn links_out_of_an_environment_are_told_and_code_behind_them_is_a_gap() {
    let linked = |typeflag: u8, target: &str| {
        let mut bytes = layer(&installed("thing", "1.0", &[("thing.py", "")]));
        bytes.truncate(bytes.len() - 1024);
        bytes.extend(entry(b"opt/evil/__init__.py", b'0', b"", b"x = 1\n"));
        bytes.extend(entry(b"usr/share/data.txt", b'0', b"", b"x"));
        let name = if typeflag == b'1' { "more.py" } else { "evil" };
        bytes.extend(entry(format!("{SITE}/{name}").as_bytes(), typeflag, target.as_bytes(), b""));
        bytes.extend([0; 1024]);
        of_file(&bytes)
    };
    let told = |report: &Report| {
        let found = report.findings.iter().find(|f| f.evidence[0].text.contains("leads "));
        let unread = report.gaps.iter().any(|gap| gap.text.contains("was not read"));
        (found.map(|f| f.severity), unread)
    };
    assert_eq!(told(&linked(b'2', "/opt/evil")), (Some(Severity::High), true));
    assert_eq!(told(&linked(b'2', "/usr/share/data.txt")), (None, false), "inside");
    assert_eq!(told(&linked(b'2', "../../../../opt/none")), (Some(Severity::Low), false));
    // A second name of a file is that file; but this one was not read.
    assert_eq!(told(&linked(b'1', "opt/evil/__init__.py")), (None, true));
}

#[test]
fn a_distribution_that_a_later_layer_takes_out_is_still_in_the_image() {
    let gone = format!("{SITE}/.wh.litellm-1.82.8.dist-info");
    let report = of_file(&saved(&[
        layer(&installed("litellm", "1.82.8", &[("litellm/__init__.py", "")])),
        layer(&[(gone, Vec::new()), (format!("{SITE}/.wh.litellm"), Vec::new())]),
    ]));
    let worst = &report.findings[0];
    assert_eq!((worst.severity, worst.kind), (Severity::Critical, Kind::Malicious));
    let place = worst.evidence[0].place.as_ref().unwrap().to_string();
    assert!(place.contains("1/layer.tar"), "the layer that took it out: {place}");
}

#[test]
fn an_image_in_which_no_python_is_seen_is_not_audited() {
    for name in ["app/server", "app/server.pex", "opt/app.pyz", "var/task/python-deps.zip"] {
        let report = of_file(&saved(&[layer(&[(name.to_owned(), b"PK".to_vec())])]));
        assert_eq!(report.outcome, guard::Outcome::NotAudited, "{name}");
        let named = report.gaps.iter().any(|gap| gap.subject.ends_with(name));
        assert_eq!(named, name != "app/server", "{:?}", report.gaps);
    }
    let with_python = of_file(&saved(&[layer(
        &[installed("thing", "1.0", &[]), vec![("app.pex".into(), b"PK".to_vec())]].concat(),
    )]));
    assert!(with_python.gaps.iter().any(|gap| gap.why == Why::Unreadable), "the archive is named");
}
