//! Hosts of package indexes, from the user's own configuration of package managers.
//!
//! From variables and from files of the user and the system; never from the
//! project, whose author may be the attacker.

use crate::rule::Rule;
use std::fs;
use std::path::Path;

const VARIABLES: [&str; 11] = [
    "PIP_INDEX_URL",
    "PIP_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS",
    "UV_INDEX_URL",
    "UV_EXTRA_INDEX_URL",
    "UV_DEFAULT_INDEX",
    "UV_INDEX",
    "npm_config_registry",
    "NPM_CONFIG_REGISTRY",
    "YARN_REGISTRY",
    "YARN_NPM_REGISTRY_SERVER",
];
const SYSTEM_FILES: [&str; 3] = ["/etc/pip.conf", "/etc/uv/uv.toml", "/etc/npmrc"];
const HOME_FILES: [&str; 6] = [
    ".config/pip/pip.conf",
    ".pip/pip.conf",
    ".config/uv/uv.toml",
    ".npmrc",
    ".yarnrc.yml",
    ".config/pypoetry/config.toml",
];
/// Words that a line with an index's address has before the address.
const SETTINGS: [&str; 6] = ["index", "registry", "url", "find-links", "Server", "default"];

/// Rules for the hosts that `variable` and the files name.
pub(super) fn rules(home: Option<&Path>, variable: &dyn Fn(&str) -> Option<String>) -> Vec<Rule> {
    let mut texts: Vec<String> = VARIABLES.iter().filter_map(|name| variable(name)).collect();
    let files = SYSTEM_FILES.iter().map(|file| Path::new(file).to_owned());
    let files =
        files.chain(home.into_iter().flat_map(|home| HOME_FILES.map(|file| home.join(file))));
    let files = files.chain(variable("PIP_CONFIG_FILE").map(Into::into));
    for text in files.filter_map(|file| fs::read_to_string(file).ok()) {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with(['#', ';']));
        let lines = lines.filter(|line| {
            let name = line.split("://").next().unwrap_or_default();
            SETTINGS.iter().any(|setting| name.contains(setting))
                || name.trim_start().starts_with("http")
        });
        texts.extend(lines.map(str::to_owned));
    }
    let mut rules: Vec<Rule> = texts.iter().flat_map(|text| in_text(text)).collect();
    rules.dedup();
    rules
}

/// Rules for the `https` addresses in `text`.
fn in_text(text: &str) -> Vec<Rule> {
    let addresses = text.split("https://").skip(1);
    let hosts = addresses.filter_map(|rest| {
        let authority = rest.split(['/', '?', ' ', '"', '\'', ',']).next()?.trim();
        authority.rsplit('@').next()
    });
    hosts.filter_map(|host| host.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::in_text;

    #[test]
    fn hosts_are_taken_from_addresses() {
        let shown = |text| in_text(text).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(shown("index-url = https://u:p@index.example/simple"), ["index.example"]);
        assert_eq!(
            shown("https://a.example:8443/x https://b.example"),
            ["a.example:8443", "b.example"]
        );
        assert_eq!(shown("http://plain.example/"), [""; 0]);
        assert_eq!(shown("https://1.2.3.4/"), [""; 0]);
    }
}
