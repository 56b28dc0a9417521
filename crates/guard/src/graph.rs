//! Who brought a bad release in: the paths from what was asked for to it, by
//! the edges that locks and installed metadata record.

use crate::audit::Report;
use crate::finding::Kind;
use crate::inventory::{Package, Source, Standing};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// Lines that a tree may have; the rest are counted.
const LINES_MAX: usize = 400;
/// Steps of one path.
const DEPTH_MAX: usize = 64;

/// The file or folder whose packages need each other: the lock file, or the
/// folder into which the package is installed.
pub(crate) fn file_of(package: &Package) -> &Path {
    let file = &package.place.file;
    match package.standing {
        Standing::Installed => file.parent().unwrap_or(file),
        Standing::Locked | Standing::Asked | Standing::Held => file,
    }
}

/// The bad releases of one file and all that leads to them.
struct Part<'r> {
    file: String,
    /// By name: what is shown, and what is said of it.
    nodes: BTreeMap<&'r str, Node<'r>>,
}

#[derive(Default)]
struct Node<'r> {
    /// `name 1.0`, once for each version in the file.
    shown: Vec<String>,
    /// `MALICIOUS`, `vulnerable`.
    marks: BTreeSet<&'static str>,
    needed_by: BTreeSet<&'r str>,
    needs: BTreeSet<&'r str>,
}

impl Node<'_> {
    fn text(&self) -> String {
        // What files hold must not drive what shows it.
        let shown = self.shown.join(", ");
        shown.chars().map(|l| if l.is_control() { '\u{fffd}' } else { l }).collect()
    }
}

fn parts(report: &Report) -> Vec<Part<'_>> {
    let mut marks: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
    for finding in &report.findings {
        let mark = match finding.kind {
            Kind::Malicious => "MALICIOUS",
            Kind::Vulnerable => "vulnerable",
            _ => continue,
        };
        marks.entry(&finding.subject).or_default().insert(mark);
    }
    let mut by_file: BTreeMap<&Path, Vec<&Package>> = BTreeMap::new();
    for package in report.inventory.iter().filter(|package| package.source != Source::Own) {
        by_file.entry(file_of(package)).or_default().push(package);
    }
    by_file.into_iter().filter_map(|(file, packages)| part(file, &packages, &marks)).collect()
}

fn part<'r>(
    file: &Path,
    packages: &[&'r Package],
    marks: &BTreeMap<&str, BTreeSet<&'static str>>,
) -> Option<Part<'r>> {
    let mut by_name: BTreeMap<&str, Vec<&'r Package>> = BTreeMap::new();
    for package in packages {
        by_name.entry(&package.name).or_default().push(package);
    }
    let is_bad = |p: &&&'r Package| p.version.is_some() && marks.contains_key(p.shown().as_str());
    let mut open: Vec<&str> = packages.iter().filter(is_bad).map(|p| p.name.as_str()).collect();
    let mut nodes: BTreeMap<&'r str, Node<'r>> = BTreeMap::new();
    while let Some(name) = open.pop() {
        let Some((name, same)) = by_name.get_key_value(name) else { continue };
        if nodes.contains_key(name) {
            continue;
        }
        let mut node = Node::default();
        for package in same {
            let shown = package.shown();
            node.marks.extend(marks.get(shown.as_str()).into_iter().flatten());
            if !node.shown.contains(&shown) {
                node.shown.push(shown);
            }
            for parent in package.introduced_by.iter().filter(|parent| *parent != name) {
                if let Some((parent, _)) = by_name.get_key_value(parent.as_str()) {
                    node.needed_by.insert(parent);
                    open.push(parent);
                }
            }
        }
        nodes.insert(name, node);
    }
    if nodes.is_empty() {
        return None;
    }
    let edges: Vec<(&str, &str)> = nodes
        .iter()
        .flat_map(|(name, node)| node.needed_by.iter().map(move |parent| (*parent, *name)))
        .collect();
    for (parent, name) in edges {
        if let Some(parent) = nodes.get_mut(parent) {
            parent.needs.insert(name);
        }
    }
    let file = file.strip_prefix("./").unwrap_or(file).display().to_string();
    Some(Part { file, nodes })
}

impl<'r> Part<'r> {
    /// What nobody in the file needs; and one of each ring that nothing leads to.
    fn roots(&self) -> Vec<&'r str> {
        let of_nobody = self.nodes.iter().filter(|(_, node)| node.needed_by.is_empty());
        let mut roots: Vec<&str> = of_nobody.map(|(name, _)| *name).collect();
        let mut reached: BTreeSet<&str> = BTreeSet::new();
        let mut open = roots.clone();
        loop {
            while let Some(name) = open.pop() {
                if reached.insert(name) {
                    open.extend(self.nodes.get(name).into_iter().flat_map(|node| &node.needs));
                }
            }
            let Some(lost) = self.nodes.keys().find(|name| !reached.contains(*name)) else {
                return roots;
            };
            roots.push(lost);
            open.push(lost);
        }
    }
}

/// The paths as trees of text, one for each file; empty if nothing bad is known.
pub fn tree(report: &Report) -> String {
    let mut lines = Vec::new();
    for part in parts(report) {
        lines.push(part.file.clone());
        let mut seen = BTreeSet::new();
        let roots = part.roots();
        for (at, root) in roots.iter().enumerate() {
            branch(&part, root, "", at + 1 == roots.len(), &mut seen, 0, &mut lines);
        }
    }
    let more = lines.len().saturating_sub(LINES_MAX);
    lines.truncate(LINES_MAX);
    if more > 0 {
        lines.push(format!("and {more} more lines; --format dot has them all"));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

fn branch<'r>(
    part: &Part<'r>,
    name: &'r str,
    before: &str,
    is_last: bool,
    seen: &mut BTreeSet<&'r str>,
    depth: usize,
    lines: &mut Vec<String>,
) {
    let Some(node) = part.nodes.get(name) else { return };
    let is_new = seen.insert(name);
    let (turn, onward) = if is_last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
    let marks: Vec<&str> = node.marks.iter().copied().collect();
    let marks = if marks.is_empty() { String::new() } else { format!("  <- {}", marks.join(", ")) };
    let again = if is_new || node.needs.is_empty() { "" } else { "  (its branch is above)" };
    lines.push(format!("{before}{turn}{}{marks}{again}", node.text()));
    if !is_new || depth > DEPTH_MAX {
        return;
    }
    let before = format!("{before}{onward}");
    for (at, needed) in node.needs.iter().enumerate() {
        branch(part, needed, &before, at + 1 == node.needs.len(), seen, depth + 1, lines);
    }
}

/// The paths as a Mermaid flowchart.
pub fn mermaid(report: &Report) -> String {
    let mut out = String::from("flowchart TD\n");
    // Entities of its own, since quotes and brackets have a meaning there.
    let escaped = |text: &str| -> String {
        text.chars()
            .map(|letter| match letter {
                '"' | '#' | '<' | '>' | '&' | '`' => format!("#{};", u32::from(letter)),
                letter => letter.to_string(),
            })
            .collect()
    };
    draw(
        report,
        &mut out,
        &|id, text, marks| {
            let class = match marks.first() {
                Some(&"MALICIOUS") => ":::malicious",
                Some(_) => ":::vulnerable",
                None => "",
            };
            let text = [&[escaped(text).as_str()], marks].concat().join("<br/>");
            format!("  {id}[\"{text}\"]{class}\n")
        },
        &|from, to| format!("  {from} --> {to}\n"),
    );
    out.push_str("  classDef malicious stroke-width:4px,stroke-dasharray:6 3\n  classDef vulnerable stroke-width:3px\n");
    out
}

/// The paths in the language of Graphviz.
pub fn dot(report: &Report) -> String {
    let mut out = String::from("digraph audit {\n  rankdir=TB;\n  node [shape=box];\n");
    let escaped = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
    draw(
        report,
        &mut out,
        &|id, text, marks| {
            let width = if marks.is_empty() { "" } else { ", penwidth=3" };
            let text = [&[escaped(text).as_str()], marks].concat().join("\\n");
            format!("  {id} [label=\"{text}\"{width}];\n")
        },
        &|from, to| format!("  {from} -> {to};\n"),
    );
    out.push_str("}\n");
    out
}

fn draw(
    report: &Report,
    out: &mut String,
    node: &dyn Fn(&str, &str, &[&str]) -> String,
    edge: &dyn Fn(&str, &str) -> String,
) {
    for (file, part) in parts(report).iter().enumerate() {
        let top = format!("f{file}");
        out.push_str(&node(&top, &part.file, &[]));
        let ids: BTreeMap<&str, String> = part
            .nodes
            .keys()
            .enumerate()
            .map(|(at, name)| (*name, format!("f{file}n{at}")))
            .collect();
        let id = |name: &str| ids.get(name).map_or("", String::as_str);
        for (name, one) in &part.nodes {
            let marks: Vec<&str> = one.marks.iter().copied().collect();
            out.push_str(&node(id(name), &one.text(), &marks));
        }
        for root in part.roots() {
            out.push_str(&edge(&top, id(root)));
        }
        for (name, one) in &part.nodes {
            for needed in &one.needs {
                // Writing to a string has no way to fail.
                write!(out, "{}", edge(id(name), id(needed))).unwrap_or_default();
            }
        }
    }
}
