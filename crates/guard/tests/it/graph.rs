//! Who brought a bad release in.

use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::{Ask, Report, graph, render};
use std::fs;
use std::path::Path;

fn audit(folder: &Path) -> Report {
    guard::audit(&Ask { paths: vec![folder.to_owned()], terms: terms() }, &Advisories::built_in())
}

/// `top → middle → litellm`, `top → other → litellm`, a ring, and a bystander.
fn lock() -> Report {
    let folder = scratch("graph");
    let entry = |name: &str, version: &str, needs: &[&str]| {
        let needs: Vec<String> = needs.iter().map(|n| format!("{{ name = '{n}' }}")).collect();
        format!(
            "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = {{ registry = 'x' }}\ndependencies = [{}]\n",
            needs.join(", ")
        )
    };
    let lock = [
        "version = 1\n[[package]]\nname = 'svc'\nversion = '0'\nsource = { virtual = '.' }\ndependencies = [{ name = 'top' }]\n".to_owned(),
        entry("top", "1.0", &["middle", "other"]),
        entry("middle", "1.0", &["litellm", "ring"]),
        entry("ring", "1.0", &["middle"]),
        entry("other", "1.0", &["litellm", "bystander"]),
        entry("bystander", "1.0", &[]),
        entry("litellm", "1.82.8", &["openai"]),
        entry("openai", "1.0", &[]),
    ];
    fs::write(folder.join("uv.lock"), lock.concat()).unwrap();
    audit(&folder)
}

#[test]
fn the_tree_has_every_path_to_the_bad_release_and_nothing_else() {
    let tree = graph::tree(&lock());
    let (_, tree) = tree.split_once('\n').unwrap();
    assert_eq!(
        tree,
        "└─ top 1.0
   ├─ middle 1.0
   │  ├─ litellm 1.82.8  <- MALICIOUS, vulnerable
   │  └─ ring 1.0
   │     └─ middle 1.0  (its branch is above)
   └─ other 1.0
      └─ litellm 1.82.8  <- MALICIOUS, vulnerable
"
    );
    let table = render::table_and_graph(&lock());
    assert!(table.contains("WHO BROUGHT IT IN") && table.contains("└─ top 1.0"));
}

#[test]
fn drawings_have_the_same_nodes_and_edges() {
    let report = lock();
    let (mermaid, dot) = (graph::mermaid(&report), graph::dot(&report));
    assert!(mermaid.starts_with("flowchart TD\n") && mermaid.contains(":::malicious"));
    assert!(dot.starts_with("digraph") && dot.trim_end().ends_with('}'));
    assert_eq!(mermaid.matches(" --> ").count(), dot.matches(" -> ").count());
    assert_eq!(dot.matches(" -> ").count(), 7, "{dot}");
    assert!(!mermaid.contains("bystander") && !dot.contains("openai"));
}

#[test]
fn a_ring_that_nothing_leads_to_is_shown_all_the_same() {
    let folder = scratch("graph");
    let lock = "[[package]]\nname = 'a'\nversion = '1.0'\ndependencies = ['litellm']\n[[package]]\nname = 'litellm'\nversion = '1.82.8'\ndependencies = ['a']\n";
    fs::write(folder.join("pdm.lock"), lock).unwrap();
    let tree = graph::tree(&audit(&folder));
    assert!(tree.contains("└─ a 1.0") && tree.contains("litellm 1.82.8  <- MALICIOUS"), "{tree}");
}

#[test]
fn nothing_bad_gives_no_tree_and_says_so_in_the_table() {
    let folder = scratch("graph");
    fs::write(folder.join("requirements.txt"), "thing==1.0\n").unwrap();
    let report = audit(&folder);
    assert_eq!(graph::tree(&report), "");
    assert!(render::table_and_graph(&report).contains("nobody to name"));
}

#[test]
fn installed_metadata_says_who_needs_what() {
    let folder = scratch("graph");
    let site = folder.join("lib/python3.12/site-packages");
    for (name, version, needs) in [
        (
            "dspy",
            "2.6.0",
            "Requires-Dist: LiteLLM[proxy] (>=1.6) ; python_version >= \"3.9\"\nRequires-Dist: other; extra == 'x'\n",
        ),
        ("litellm", "1.82.8", "Requires-Dist: dspy ; extra == 'y'\n"),
        ("other", "1.0", ""),
    ] {
        let info = site.join(format!("{name}-{version}.dist-info"));
        fs::create_dir_all(&info).unwrap();
        fs::write(
            info.join("METADATA"),
            format!("Name: {name}\nVersion: {version}\n{needs}\nRequires-Dist: not-a-field\n"),
        )
        .unwrap();
        if name == "dspy" {
            fs::write(info.join("REQUESTED"), "").unwrap();
        }
    }
    let report = audit(&folder);
    let parents = |name: &str| {
        let package = report.inventory.iter().find(|package| package.name == name).unwrap();
        package.introduced_by.join(",")
    };
    assert_eq!(parents("litellm"), "dspy");
    assert_eq!(parents("dspy"), "", "it was asked for, whatever an extra would need");
    assert_eq!(parents("other"), "dspy", "an extra is the only reason there is");
    assert!(graph::tree(&report).contains("└─ dspy 2.6.0\n   └─ litellm 1.82.8"));
}

#[test]
fn what_names_hold_breaks_no_drawing() {
    let folder = scratch("graph");
    let lock = "{\"lockfileVersion\":3,\"packages\":{\"node_modules/x\":{\"name\":\"a\\\"]; b[\\\\\",\"version\":\"1.0.0\",\"dependencies\":{\"axios\":\"1\"}},\"node_modules/axios\":{\"version\":\"1.14.1\"}}}";
    fs::write(folder.join("package-lock.json"), lock).unwrap();
    let report = audit(&folder);
    let (mermaid, dot) = (graph::mermaid(&report), graph::dot(&report));
    assert!(mermaid.contains("a#34;]; b[") && !mermaid.contains("a\"];"), "{mermaid}");
    assert!(dot.contains("a\\\"]; b[\\\\"), "{dot}");
}
