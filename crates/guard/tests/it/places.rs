//! The places where versions hide: Dockerfiles, pipelines, compose files,
//! configurations of agents, bills of materials, conda.

use crate::{scratch, terms};
use guard::advisory::Advisories;
use guard::finding::{Kind, Severity, Why};
use guard::manifest::Format;
use guard::{Ask, Report};
use std::fs;
use std::path::Path;

fn of(name: &str, text: &str) -> Report {
    let path = scratch("places").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, text).unwrap();
    let ask = Ask { paths: vec![path], terms: terms() };
    guard::audit(&ask, &Advisories::built_in())
}

fn shown(report: &Report) -> Vec<String> {
    let mut shown: Vec<String> =
        report.inventory.iter().map(|p| format!("{} {}", p.place.line, p.shown())).collect();
    shown.sort();
    shown
}

fn of_severity(report: &Report, severity: Severity) -> Vec<String> {
    let all = report.findings.iter().filter(|f| f.severity == severity);
    all.map(|f| f.subject.clone()).collect()
}

fn bad(report: &Report) -> Vec<String> {
    let all = report.findings.iter().filter(|f| f.kind == Kind::Malicious);
    all.map(|f| f.subject.clone()).collect()
}

#[test]
fn an_agent_that_starts_a_floating_tool_is_found_and_a_pinned_bad_one_is_critical() {
    let config = r#"{
  // how the first victim got it
  "mcpServers": {
    "floating": { "command": "uvx", "args": ["mcp-server-thing"] },
    "pinned": { "command": "uvx", "args": ["litellm@1.82.8", "--port", "1"] },
    "from": { "command": "/home/me/.local/bin/uvx", "args": ["--from", "litellm[proxy]==1.83.7", "litellm"] },
    "node": { "command": "npx", "args": ["-y", "@scope/server@1.2.3"] },
    "latest": { "command": "cmd", "args": ["/c", "npx", "-y", "axios@latest"] },
    "local": { "command": "./bin/server", "args": ["--x"] }, /* fine */
  },
  "hooks": { "Stop": [{ "hooks": [{ "type": "command", "command": "pipx run tool && echo done" }] }] }
}
"#;
    let report = of(".mcp.json", config);
    assert_eq!(
        shown(&report),
        [
            "11 tool (any version)",
            "4 mcp-server-thing (any version)",
            "5 litellm 1.82.8",
            "6 litellm 1.83.7",
            "7 @scope/server 1.2.3",
            "8 axios latest",
        ]
    );
    assert_eq!(bad(&report), ["litellm 1.82.8"]);
    assert_eq!(
        of_severity(&report, Severity::Medium),
        ["npx axios@latest", "pipx run tool", "uvx mcp-server-thing"]
    );
    let toml = "[mcp_servers.a]\ncommand = \"npx\"\nargs = [\"-y\", \"thing\"]\n";
    assert_eq!(of_severity(&of(".codex/config.toml", toml), Severity::Medium), ["npx thing"]);
    assert_eq!(of(".mcp.json", "{ nope").gaps[0].why, Why::Malformed);
}

#[test]
fn dockerfiles_give_what_they_install_and_what_they_start_from() {
    let text = r#"ARG BASE=python:3.12
FROM ${BASE} AS build
FROM python:3.12@sha256:0000 AS pinned
# a comment
RUN --mount=type=cache,target=/var/cache/pip \
    # another
    pip install --no-cache-dir "litellm==1.82.7" 'thing>=1.0' -r requirements.txt && \
    python3 -m pip install --extra-index-url https://user:hunter2@index.example/simple other==2.0
RUN ["uv", "pip", "install", "exec-form==1.0"]
RUN <<EOF
npm install -g axios@1.14.1
EOF
COPY --from=build /x /x
COPY --from=busybox:1 /x /x
RUN pip install . $MORE
"#;
    let report = of("Dockerfile", text);
    let line = |at: u32, text: &str| format!("{at} {text}");
    assert_eq!(
        shown(&report),
        [
            line(10, "axios 1.14.1"),
            line(5, "litellm 1.82.7"),
            line(5, "other 2.0"),
            line(5, "thing >=1.0"),
            line(9, "exec-form 1.0"),
        ]
    );
    assert_eq!(bad(&report), ["axios 1.14.1", "litellm 1.82.7"]);
    assert!(
        report.findings.iter().any(|f| f.kind == Kind::Origin && f.severity == Severity::Medium)
    );
    assert!(
        of_severity(&report, Severity::Low)
            .contains(&"2 container images without a digest".to_owned())
    );
    assert!(report.gaps.iter().any(|gap| gap.text.contains("variable")));
    assert!(!format!("{report:?}").contains("hunter2"));
}

#[test]
fn pipelines_and_compose_files_give_their_commands() {
    let workflow = "jobs:\n  test:\n    runs-on: x\n    container: python:3.12\n    steps:\n    - uses: actions/checkout@v4\n    - uses: actions/cache@84748be16341b76e073d117329f7f5f4ee2941ad\n    - run: |\n        echo start\n        pip install litellm==1.82.8\n    - run: uvx ruff check\n";
    let report = of(".github/workflows/ci.yml", workflow);
    assert_eq!(shown(&report), ["10 litellm 1.82.8", "11 ruff (any version)"]);
    let low = of_severity(&report, Severity::Low);
    for expected in
        ["1 actions without a commit", "1 container images without a digest", "uvx ruff"]
    {
        assert!(low.contains(&expected.to_owned()), "{expected}: {low:?}");
    }
    let gitlab = "image: python:3.12\n.shared: &shared\n  before_script:\n  - pip install thing==1.0\njob:\n  <<: *shared\n  script:\n  - pip install litellm==1.82.7\n";
    assert_eq!(shown(&of(".gitlab-ci.yml", gitlab)), ["4 thing 1.0", "8 litellm 1.82.7"]);
    let compose = "services:\n  a:\n    image: ghcr.io/x/y:latest\n    command: [\"npx\", \"-y\", \"axios@1.14.1\"]\n  b:\n    image: x@sha256:00\n    command: sh -c \"pip install litellm==1.82.8 && serve\"\n";
    let report = of("docker-compose.yml", compose);
    assert_eq!(shown(&report), ["4 axios 1.14.1", "7 litellm 1.82.8"]);
    assert_eq!(of(".gitlab-ci.yml", "a: [").gaps[0].why, Why::Malformed);
}

#[test]
fn bills_of_materials_are_taken_at_their_word() {
    let cyclonedx = r#"{"bomFormat":"CycloneDX","specVersion":"1.6","components":[
 {"type":"library","name":"litellm","version":"1.82.8","purl":"pkg:pypi/litellm@1.82.8",
  "components":[{"name":"axios","purl":"pkg:npm/axios@1.14.1"}]},
 {"type":"library","name":"curl","purl":"pkg:deb/debian/curl@7"},
 {"type":"library","name":"nameless"}]}"#;
    let report = of("app.cdx.json", cyclonedx);
    assert_eq!(shown(&report), ["2 litellm 1.82.8", "3 axios 1.14.1"]);
    assert_eq!(bad(&report), ["axios 1.14.1", "litellm 1.82.8"]);
    let gaps = report.gaps.iter().filter(|gap| gap.why == Why::UnknownSource).count();
    assert_eq!(gaps, 2, "{:?}", report.gaps);
    let spdx = r#"{"spdxVersion":"SPDX-2.3","packages":[
 {"name":"x","versionInfo":"1.82.7","externalRefs":[{"referenceType":"purl","referenceLocator":"pkg:pypi/litellm"}],
  "checksums":[{"algorithm":"SHA256","checksumValue":"aa"}]}]}"#;
    assert_eq!(shown(&of("x.spdx.json", spdx)), ["2 litellm 1.82.7"]);
    assert_eq!(of("bom.json", "{}").gaps[0].why, Why::Malformed);
    assert_eq!(of("named-otherwise.json", cyclonedx).packages, 2);
}

#[test]
fn conda_is_compared_by_name_and_says_so() {
    let meta = r#"{"name":"litellm","version":"1.82.8","sha256":"aa","url":"https://conda.example/litellm-1.82.8-py_0.conda"}"#;
    let folder = scratch("conda");
    fs::create_dir_all(folder.join("conda-meta")).unwrap();
    fs::write(folder.join("conda-meta/litellm-1.82.8-py_0.json"), meta).unwrap();
    fs::write(
        folder.join("conda-meta/openssl-3.0-h_0.json"),
        meta.replace("litellm", "openssl").replace("1.82.8", "3.0"),
    )
    .unwrap();
    fs::write(folder.join("conda-meta/history"), "").unwrap();
    let ask = Ask { paths: vec![folder], terms: terms() };
    let report = guard::audit(&ask, &Advisories::built_in());
    assert_eq!(bad(&report), ["litellm 1.82.8"]);
    let told: Vec<_> = report.gaps.iter().filter(|g| g.why == Why::UnknownSource).collect();
    assert_eq!((told.len(), told[0].subject.as_str()), (1, "2 conda packages"));
    let lock = "version: 1\npackage:\n- name: litellm\n  version: 1.82.7\n  manager: pip\n  url: u\n  hash:\n    sha256: aa\n- name: numpy\n  version: 1.26.0\n  manager: conda\n  url: u\n  hash: {md5: bb}\n";
    assert_eq!(shown(&of("conda-lock.yml", lock)), ["3 litellm 1.82.7", "9 numpy 1.26.0"]);
    let environment = "dependencies:\n- python=3.12\n- conda-forge::litellm=1.82.8=py_0\n- numpy>=1\n- pip:\n  - dspy==1.0\n  - loose\n";
    let report = of("environment.yml", environment);
    assert_eq!(
        shown(&report),
        [
            "2 python =3.12",
            "3 litellm 1.82.8",
            "4 numpy >=1",
            "6 dspy 1.0",
            "7 loose (any version)"
        ]
    );
    let explicit = "# made by conda\n@EXPLICIT\nhttps://conda.example/noarch/litellm-1.82.8-py_0.conda#00000000000000000000000000000000\nbroken\n";
    let report = of("spec.txt", explicit);
    assert_eq!(shown(&report), ["3 litellm 1.82.8"]);
    assert_eq!(report.gaps.iter().filter(|g| g.why == Why::Malformed).count(), 1);
    assert_eq!(of("conda-meta/x.json", "{}").gaps[0].why, Why::Malformed);
}

#[test]
fn files_are_known_by_their_names_and_folders() {
    for (path, format) in [
        (".github/workflows/x.yaml", Some(Format::Pipeline)),
        ("workflows/x.yaml", None),
        ("compose.prod.yml", Some(Format::Pipeline)),
        ("Dockerfile.gpu", Some(Format::Dockerfile)),
        ("x.dockerfile", Some(Format::Dockerfile)),
        (".claude/settings.json", Some(Format::Agent)),
        ("settings.json", None),
        (".vscode/tasks.json", Some(Format::Agent)),
        ("x/.mcp.json", Some(Format::Agent)),
        ("conda-meta/a-1.json", Some(Format::CondaMeta)),
        ("dev.conda-lock.yml", Some(Format::CondaLock)),
        ("app.spdx.json", Some(Format::Sbom)),
        ("package.json", None),
    ] {
        assert_eq!(Format::of(Path::new(path)), format, "{path}");
    }
}
