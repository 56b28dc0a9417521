//! From a path and an environment to a [`Config`] and its [`Report`].
//!
//! Everything is read before anything is judged as a whole: one run names every
//! problem. A deployment with an error is left out; a configuration with an
//! error elsewhere, or without any deployment that is left, is not given out.

use crate::credentials;
use crate::env::Env;
use crate::files::ReadFile;
use crate::general::{self, limit_body};
use crate::keymoat;
use crate::known_keys::TOP;
use crate::left_out::Models;
use crate::litellm;
use crate::model_list;
use crate::names::is_secret_name;
use crate::node::{Key, Kind, Node, Pos};
use crate::parse::{FILE_MAX_BYTES, parse};
use crate::reader::{Field, Reader};
use crate::report::{Report, Verdict};
use crate::router::{self, Draft};
use crate::settings::Settings;
use crate::types::{Access, Config};
use base::Secret;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// The most files that one configuration may include.
const INCLUDES_MAX: usize = 64;

/// What a load gives.
pub struct Loaded {
    /// `None` where the report has errors.
    pub config: Option<Config>,
    /// Every key and every problem.
    pub report: Report,
    /// Every file that was read or could not be read, for a later look.
    pub files: Vec<ReadFile>,
}

impl Loaded {
    /// Refuses the configuration if a deployment is left out.
    #[must_use]
    pub fn strict(mut self) -> Self {
        self.report.refuse_left_out();
        self.config = self.config.filter(|_| !self.report.has_errors());
        self
    }
}

/// Reads the configuration at `path`, what it includes, and the environment.
pub fn load(path: &Path, env: &dyn Env) -> Loaded {
    let mut reader = Reader::new(env);
    reader.base_dir = path.parent().map(Path::to_path_buf).unwrap_or_default();
    let trees = read_trees(&mut reader, path);
    judge(reader, trees)
}

/// Reads the configuration in `text`, which includes no file, and the
/// environment. `name` is where its problems are reported.
pub fn load_text(name: &str, text: &str, env: &dyn Env) -> Loaded {
    let mut reader = Reader::new(env);
    reader.files.push(name.into());
    let tree = parsed(&mut reader, 0, text.as_bytes());
    judge(reader, tree.map(|tree| vec![tree]))
}

fn judge(mut reader: Reader<'_>, trees: Option<Vec<Node>>) -> Loaded {
    let Some(trees) = trees else { return finish(reader, None) };
    for tree in &trees {
        hide_secrets(&mut reader, tree);
    }
    let sections = sections(&mut reader, &trees);
    let config = read(&mut reader, &sections);
    finish(reader, Some(config))
}

/// The configuration of a gateway without a file: defaults and environment.
pub fn defaults(env: &dyn Env) -> Loaded {
    let mut reader = Reader::new(env);
    let config = read(&mut reader, &BTreeMap::new());
    finish(reader, Some(config))
}

fn finish(mut reader: Reader<'_>, mut config: Option<Config>) -> Loaded {
    let mut seen = HashSet::new();
    reader.hidden.retain(|secret| seen.insert(secret.expose().to_owned()));
    let mut report = reader.report;
    report.finish(&reader.files, &reader.hidden);
    for (left_out, shown) in
        config.iter_mut().flat_map(|config| &mut config.left_out).zip(&report.left_out)
    {
        // Clients read these; the names are what they ask for.
        left_out.model = shown.model.clone();
        left_out.reason = shown.reason.clone();
    }
    Loaded { config: config.filter(|_| !report.has_errors()), report, files: reader.read_files }
}

/// The main file's tree and then those it includes; `None` if the main file
/// cannot be read.
fn read_trees(reader: &mut Reader<'_>, path: &Path) -> Option<Vec<Node>> {
    let main = read_tree(reader, path, None)?;
    let mut trees = vec![main];
    let includes = trees.first().and_then(|main| main.get("include")).cloned();
    let Some(includes) = includes else { return Some(trees) };
    let key = Key { text: "include".to_owned(), pos: includes.pos };
    let holder = Node::map(includes.pos, vec![(key, includes)]);
    for field in reader.fields(&Field::root(&holder)) {
        let items = reader.items(&field);
        if items.len() > INCLUDES_MAX {
            let message = format!("at most {INCLUDES_MAX} files can be included");
            reader.error(&field, message, "");
            continue;
        }
        for item in items {
            if item.is_null() {
                reader.error(&item, "expected the path of a file, found nothing", "");
                continue;
            }
            let Some(text) = reader.resolve(&item) else { continue };
            let path = reader.base_dir.join(text.value);
            if let Some(tree) = read_tree(reader, &path, Some(&item)) {
                reader.accept(&item);
                trees.push(tree);
            }
        }
    }
    Some(trees)
}

/// One file; problems are recorded where it is named, or at its top.
fn read_tree(reader: &mut Reader<'_>, path: &Path, named_at: Option<&Field<'_>>) -> Option<Node> {
    let file = u16::try_from(reader.files.len()).ok()?;
    let bytes = match reader.read_file(path, FILE_MAX_BYTES) {
        Ok(bytes) => bytes,
        Err(message) => {
            if let Some(field) = named_at {
                let hint = "a relative path starts from the directory of the configuration";
                reader.error(field, message, hint);
            } else {
                reader.files.push(path.display().to_string().into());
                reader.push(Pos::default(), "", Verdict::Error, message, "");
            }
            return None;
        }
    };
    reader.files.push(path.display().to_string().into());
    parsed(reader, file, &bytes)
}

/// The tree of a file's bytes; problems are recorded at their places.
fn parsed(reader: &mut Reader<'_>, file: u16, bytes: &[u8]) -> Option<Node> {
    let (tree, problems) = parse(bytes, file);
    let clean = problems.is_empty();
    for problem in problems {
        reader.push(problem.pos, "", Verdict::Error, problem.message, problem.hint);
    }
    let top = Pos { file, line: 0, column: 0 };
    match tree {
        Some(tree) if matches!(tree.kind, Kind::Map(_)) => Some(tree),
        Some(tree) if !tree.is_null() => {
            let message = format!("expected a mapping at the top, found {}", tree.describe());
            reader.push(tree.pos, "", Verdict::Error, message, "as in model_list: …");
            None
        }
        _ if !clean => None,
        _ => {
            let hint = "begin with model_list:, or start without a configuration";
            reader.push(top, "", Verdict::Error, "the file is empty", hint);
            None
        }
    }
}

/// Remembers every value under a secret's name, wherever it stands.
fn hide_secrets(reader: &mut Reader<'_>, tree: &Node) {
    let mut hide = |under: &str, text: &str| {
        if is_secret_name(under) && !text.starts_with("os.environ/") {
            reader.hidden.push(Secret::new(text.to_owned()));
        }
    };
    tree.each_scalar("", &mut hide);
    if let Some(variables) = tree.get("environment_variables") {
        variables.each_scalar("", &mut |_, text| {
            reader.hidden.push(Secret::new(text.to_owned()));
        });
    }
}

type Sections<'n> = BTreeMap<&'n str, Vec<Field<'n>>>;

/// The sections of all files by name, merged as LiteLLM merges them: lists are
/// joined, anything else is replaced by the later file.
fn sections<'n>(reader: &mut Reader<'_>, trees: &'n [Node]) -> Sections<'n> {
    let mut sections: Sections<'n> = BTreeMap::new();
    for (at, tree) in trees.iter().enumerate() {
        for field in reader.fields(&Field::root(tree)) {
            if field.name == "include" {
                if at > 0 {
                    let why = "a file that is included includes nothing itself";
                    reader.unsupported(&field, why, "include it from the main file");
                }
                continue;
            }
            let given = sections.entry(field.name).or_default();
            if !matches!(field.node.kind, Kind::Seq(_)) {
                for replaced in given.drain(..) {
                    let message = "an included file has this section too and replaces it whole";
                    reader.warning(&replaced, message, "keep the section in one file");
                }
            }
            given.push(field);
        }
    }
    sections
}

fn read(reader: &mut Reader<'_>, sections: &Sections<'_>) -> Config {
    let all = |name: &str| sections.get(name).map(Vec::as_slice).unwrap_or_default();
    for section in all("environment_variables") {
        read_environment(reader, section);
    }

    let mut settings = Settings::default();
    let mut said = keymoat::Said::default();
    for section in all("keymoat") {
        said = keymoat::read(reader, section, &mut settings);
    }
    if !said.data_dir
        && let Some(dir) = keymoat::default_data_dir(reader)
    {
        settings.data_dir = dir;
    }
    for field in sections.values().flatten() {
        match field.name {
            "guardrails" => reader.guardrails(field, all("model_list")),
            name if TOP.supports(name) => {}
            _ => reader.leftover(field, &TOP),
        }
    }
    reader.protective_variables();
    let mut access = Access::default();
    let mut general = general::General::default();
    for section in all("general_settings") {
        general = general::read(reader, section, &mut access, said.sqlite);
    }
    limit_body(&mut settings.listen, &general, said.body_max_bytes);

    let mut log_format = settings.log.format;
    let mut library = Draft::default();
    for section in all("litellm_settings") {
        library = litellm::read(reader, section, &mut access, &mut log_format);
    }
    if !said.log_format {
        settings.log.format = log_format;
    }
    let mut router = Draft::default();
    for section in all("router_settings") {
        router = Draft::read_router(reader, section);
    }
    let (routing, mentions) = router.combine(library);

    let mut credentials = HashMap::new();
    for section in all("credential_list") {
        credentials.extend(credentials::read(reader, section));
    }
    let mut models = Models::default();
    let mut ids = HashSet::new();
    for section in all("model_list") {
        model_list::read(reader, section, &mut credentials, &mut ids, &mut models);
    }
    credentials::check_unused(reader, &credentials);
    reader.check_accepted();
    let served = models.deployments.iter().map(|each| each.model_group.clone());
    let left_out = models.left_out.iter().map(|each| each.model_group.clone());
    let groups: Vec<_> = served.chain(left_out).collect();
    router::check_mentions(reader, &mentions, &groups, &routing.aliases);
    refuse_if_nothing_is_left(reader, &models, all("model_list"));
    if !sections.is_empty() && !sections.contains_key("model_list") {
        let hint = "add model_list: with a model_name and litellm_params for each model";
        reader.push(
            Pos::default(),
            "",
            Verdict::Warning,
            "there is no model_list: no model is served",
            hint,
        );
    }

    general::read_variables(reader, &mut access, general.master_key_said, said.sqlite);
    general::read_listen_variables(reader, &mut settings);
    if !said.log_level
        && let Some(level) = general::log_level(reader)
    {
        settings.log.level = level;
    }
    reader.report.models_configured = models.configured;
    reader.report.models_served = models.served();
    reader.report.left_out = models.left_out.clone();
    let Models { deployments, left_out, .. } = models;
    Config { deployments, left_out, routing, access, settings }
}

/// A gateway that can serve nothing must not look as if it ran. One runs, and
/// says why it serves nothing, if a deployment is withheld, or belongs to a known
/// provider that is not supported yet: neither is a mistake in the file.
fn refuse_if_nothing_is_left(reader: &mut Reader<'_>, models: &Models, lists: &[Field<'_>]) {
    let is_no_mistake = models.left_out.iter().any(|left_out| {
        let prefix = left_out.model.split('/').next().unwrap_or_default();
        left_out.is_withheld || catalog::unsupported(prefix).is_some()
    });
    if models.configured == 0 || models.served() > 0 || is_no_mistake {
        return;
    }
    if let Some(list) = lists.first() {
        let message = "no deployment in model_list is left that can be served";
        reader.push(list.key_pos, "", Verdict::Error, message, "each is named with its reason");
    }
}

/// Defaults for variables; the process's own win, as in LiteLLM.
fn read_environment(reader: &mut Reader<'_>, section: &Field<'_>) {
    for field in reader.fields(section) {
        if field.is_null() {
            reader.accept(&field);
            continue;
        }
        if reader.says_nothing(&field) {
            continue;
        }
        let Some(text) = reader.resolve(&field) else { continue };
        if reader.env.add(field.name, text.value) {
            let note = "the environment has this variable already, and its value counts";
            reader.accept(&field.approximately(note));
        } else {
            reader.accept(&field);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BTreeMap, Key, Node, Pos, Reader, Report, finish, read, sections};
    use crate::known_keys::{self, Section};
    use crate::parse::parse;
    use crate::report::Verdict;

    fn report_of(yaml: &str) -> Report {
        let env = BTreeMap::from([("HOME".to_owned(), "/home/someone".to_owned())]);
        let mut reader = Reader::new(&env);
        reader.files.push("c.yaml".into());
        let (tree, problems) = parse(yaml.as_bytes(), 0);
        assert!(problems.is_empty(), "{}\n{yaml}", problems[0].message);
        let trees = [tree.unwrap_or(Node::null(Pos::default()))];
        let sections = sections(&mut reader, &trees);
        let config = read(&mut reader, &sections);
        finish(reader, Some(config)).report
    }

    /// Wraps the keys of a section into a whole file; `{}` marks their place.
    const PLACES: [(&str, &Section); 14] = [
        ("{}", &known_keys::TOP),
        ("litellm_settings: {\n{}}", &known_keys::LITELLM),
        ("router_settings: {\n{}}", &known_keys::ROUTER),
        ("general_settings: {\n{}}", &known_keys::GENERAL),
        ("model_list: [{\n{}}]", &known_keys::MODEL),
        ("model_list: [{model_name: a, litellm_params: {\n{}}}]", &known_keys::LITELLM_PARAMS),
        ("model_list: [{model_name: a, model_info: {\n{}}}]", &known_keys::MODEL_INFO),
        ("credential_list: [{\n{}}]", &known_keys::CREDENTIAL),
        ("keymoat: {\n{}}", &known_keys::KEYMOAT),
        ("keymoat: {listen: {\n{}}}", &known_keys::LISTEN),
        ("keymoat: {listen: {tls: {\n{}}}}", &known_keys::TLS),
        ("keymoat: {egress: {\n{}}}", &known_keys::EGRESS),
        ("keymoat: {drain: {\n{}}, spool: {max_byte: 1}}", &known_keys::DRAIN),
        ("keymoat: {log: {\n{}}}", &known_keys::LOG),
    ];

    #[test]
    fn every_supported_key_has_its_reader() {
        for (place, section) in PLACES {
            for name in section.supported.split(' ') {
                let pair =
                    if place == "{}" { format!("{name}: ~\n") } else { format!("{name}: ~,") };
                let report = report_of(&place.replace("{}", &pair));
                let unread = report.entries.iter().find(|entry| {
                    entry.path.ends_with(name)
                        && matches!(entry.verdict, Verdict::Unsupported | Verdict::Approximate)
                        && (entry.message.starts_with("no such")
                            || entry.message.starts_with("not a "))
                });
                assert!(unread.is_none(), "{name}: {unread:?}");
            }
        }
    }

    #[test]
    fn our_own_settings_are_all_documented_and_as_documented() {
        let page = include_str!("../../../docs/configuration.md");
        let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
        let report = report_of(example);
        let about_ours = |entry: &&crate::report::Entry| entry.path.starts_with("keymoat");
        let wrong = report.problems().find(about_ours);
        assert!(wrong.is_none(), "{wrong:?}");
        for section in [
            &known_keys::KEYMOAT,
            &known_keys::LISTEN,
            &known_keys::TLS,
            &known_keys::EGRESS,
            &known_keys::UNKNOWN_PRICE,
            &known_keys::DRAIN,
            &known_keys::SPOOL,
            &known_keys::LOG,
        ] {
            for name in section.names() {
                assert!(
                    page.contains(&format!("{name}: ")) || page.contains(&format!("{name}:\n")),
                    "{name}"
                );
            }
        }
    }

    #[test]
    fn every_unsupported_key_is_named_with_its_reason_unless_it_is_off() {
        for (place, section) in PLACES {
            for name in section.names().filter(|name| !section.supports(name)) {
                let verdict_of = |value: &str| {
                    let end = if place == "{}" { "\n" } else { "," };
                    let report = report_of(&place.replace("{}", &format!("{name}: {value}{end}")));
                    let entry = report.entries.iter().find(|entry| entry.path.ends_with(name));
                    let entry = entry.unwrap_or_else(|| panic!("{name} is not in the report"));
                    assert!(!entry.message.is_empty(), "{name}");
                    assert!(!entry.message.starts_with("no such key"), "{name}");
                    entry.verdict
                };
                assert_eq!(verdict_of("on"), Verdict::Unsupported, "{name}");
                let on = section.is_on_by_default(name);
                let expected = if on { Verdict::Unsupported } else { Verdict::Exact };
                assert_eq!(verdict_of("off"), expected, "{name}");
            }
        }
    }

    #[test]
    fn the_place_of_a_key_is_where_it_stands() {
        let key = Key { text: "a".into(), pos: Pos { file: 0, line: 2, column: 3 } };
        let tree = parse(b"x:\n  a: 1\n", 0).0.unwrap();
        let crate::node::Kind::Map(entries) = &tree.get("x").unwrap().kind else { panic!() };
        assert_eq!((entries[0].0.pos, &entries[0].0.text), (key.pos, &key.text));
    }
}
