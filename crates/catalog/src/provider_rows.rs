//! The provider tables: `data/providers.tsv`, one provider a row, and
//! `data/unsupported.tsv` with those that need a translation of their own, so
//! that they can be refused by name.
//!
//! Adding a provider adds a row, not code. The first table is parsed once, when
//! it is first asked (some 130 short lines); the second is searched where it lies.
//!
//! The last column holds *traits*, words parted by spaces, with `NAME=VALUE`
//! where they need a value:
//!
//! | trait | field |
//! |---|---|
//! | `aliases=A,B` | `Provider::aliases` |
//! | `key_optional`, `local`, `oauth` | the fields of these names |
//! | `auth=NAME` | `Auth::Header`; `auth.ENDPOINT=NAME` or `bearer` for one endpoint alone |
//! | `also=responses,messages` | further `Endpoint`s that it serves |
//! | `path.ENDPOINT=/PATH` or `-` | `Provider::path`, where it is not the usual one, or is missing |
//! | `free_errors=STATUS,…:URL`, `own_free_errors=…`, `bills_refusals=URL`, `states_cost=URL` | the fields of `Billing` |
//! | all others | the field of `Quirks` of that name |

use crate::billing::Billing;
use crate::provider::{Auth, Metadata, OutputLimit, Provider, Quirks, Served, Unsupported};
use crate::table::{cell, find, rows};
use dialect::{Dialect, Endpoint};
use std::sync::OnceLock;

const TABLE: &str = include_str!("../data/providers.tsv");
const UNSUPPORTED: &str = include_str!("../data/unsupported.tsv");

/// Maximum length of an end user's id where a row does not say: OpenAI's, the
/// lowest in use (API reference, `safety_identifier`, 2026).
const USER_MAX: usize = 64;

/// All providers that can be spoken to, sorted by id.
pub fn providers() -> impl Iterator<Item = &'static Provider> {
    all().iter()
}

/// The provider whose id or alias is `id`.
pub fn provider(id: &str) -> Option<&'static Provider> {
    let all = all();
    match all.binary_search_by(|provider| provider.id.cmp(id)) {
        Ok(at) => all.get(at),
        Err(_) => all.iter().find(|provider| provider.aliases.contains(&id)),
    }
}

/// The entry of a provider that can't be spoken to yet.
pub fn unsupported(id: &str) -> Option<Unsupported> {
    find(rows(UNSUPPORTED), id).filter(|row| cell(row, 0) == id).map(unsupported_row)
}

/// All providers that can't be spoken to yet, sorted by id.
pub fn unsupported_providers() -> impl Iterator<Item = Unsupported> {
    rows(UNSUPPORTED).lines().map(unsupported_row)
}

fn unsupported_row(row: &'static str) -> Unsupported {
    let [id, name, missing, instead] = [0, 1, 2, 3].map(|column| cell(row, column));
    Unsupported { id, name, missing, instead }
}

fn all() -> &'static [Provider] {
    static ALL: OnceLock<Box<[Provider]>> = OnceLock::new();
    // A row that does not parse is left out here and fails the test that counts them.
    ALL.get_or_init(|| rows(TABLE).lines().filter_map(parse).collect())
}

fn list(text: &'static str) -> Box<[&'static str]> {
    text.split(',').filter(|item| !item.is_empty()).collect()
}

fn parse(row: &'static str) -> Option<Provider> {
    let [id, name, dialect, base_url, base_url_envs, key_envs, traits] =
        [0, 1, 2, 3, 4, 5, 6].map(|column| cell(row, column));
    let dialect = Dialect::by_name(dialect)?;
    let mut made = Provider {
        id,
        aliases: Box::default(),
        name,
        dialect,
        base_url: (base_url != "-").then_some(base_url),
        base_url_envs: list(base_url_envs),
        key_envs: list(key_envs),
        key_optional: false,
        local: false,
        oauth: false,
        auth: Auth::Bearer,
        quirks: Quirks {
            output_limit: OutputLimit::AsSent,
            openai_models: false,
            claude_models: false,
            developer_role: false,
            text_content: false,
            no_stream_options: false,
            no_done: false,
            store_false: false,
            keeps_cache_control: false,
            metadata: Metadata::Never,
            drop: Box::default(),
            refuses: Box::default(),
            sampling: Box::new(["temperature", "top_p", "top_k"]),
            renames: Box::default(),
            temperature_max: None,
            headers: Box::default(),
            model_prefix: None,
            server_last: false,
            base_suffix: None,
            base_cut: Box::default(),
            base_at: None,
            takes_back: Box::default(),
            needs_reasoning: false,
            system_anywhere: false,
            alternates: false,
            stop_max: None,
            user_max: USER_MAX,
            user_opaque: false,
            flat_schemas: false,
            claude_elsewhere: false,
        },
        billing: Billing::default(),
        endpoints: Box::default(),
    };
    let (mut headers, mut endpoints) = (Vec::new(), Endpoints::default());
    for word in traits.split(' ').filter(|word| !word.is_empty()) {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        if let Some(header) = name.strip_prefix("header.") {
            headers.push((header, value));
        } else if let Some(endpoint) = name.strip_prefix("path.") {
            endpoints.paths.push((Endpoint::parse(endpoint)?, (value != "-").then_some(value)));
        } else if let Some(endpoint) = name.strip_prefix("auth.") {
            let auth = if value == "bearer" { Auth::Bearer } else { Auth::Header(value) };
            endpoints.auths.push((Endpoint::parse(endpoint)?, auth));
        } else if name == "also" {
            endpoints.also = value.split(',').map(Endpoint::parse).collect::<Option<_>>()?;
        } else {
            set_trait(&mut made, name, value)?;
        }
    }
    made.quirks.headers = headers.into();
    made.endpoints = endpoints.served(made.dialect, made.auth);
    Some(made)
}

/// Endpoints that a row names.
#[derive(Default)]
struct Endpoints {
    also: Vec<Endpoint>,
    /// `None` where an endpoint is missing.
    paths: Vec<(Endpoint, Option<&'static str>)>,
    auths: Vec<(Endpoint, Auth)>,
}

impl Endpoints {
    /// The endpoints that are served: the dialect's own and the row's.
    fn served(&self, dialect: Dialect, auth: Auth) -> Box<[Served]> {
        let contract = dialect.contract();
        let further = contract.further_endpoints.iter();
        let further = further.filter(|(endpoint, _)| self.also.contains(endpoint));
        let usual = contract.endpoints.iter().chain(further);
        let unnamed = usual
            .filter(|(endpoint, _)| self.paths.iter().all(|(named, _)| named != endpoint))
            .map(|(endpoint, path)| (*endpoint, *path, false));
        let named = self.paths.iter().filter_map(|(named, path)| Some((*named, (*path)?, true)));
        let own = |endpoint| self.auths.iter().find(|(of, _)| *of == endpoint);
        unnamed
            .chain(named)
            .map(|(endpoint, path, is_named)| {
                let auth = own(endpoint).map_or(auth, |(_, auth)| *auth);
                Served { endpoint, path, auth, is_named }
            })
            .collect()
    }
}

fn set_trait(made: &mut Provider, name: &str, value: &'static str) -> Option<()> {
    let quirks = &mut made.quirks;
    match name {
        "aliases" => made.aliases = list(value),
        "key_optional" => made.key_optional = true,
        "local" => {
            made.local = true;
            made.billing.sends_no_bill = true;
        }
        "oauth" => made.oauth = true,
        "auth" => made.auth = Auth::Header(value),
        "free_errors" => made.billing.set_free_errors(value)?,
        "own_free_errors" => {
            made.billing.set_free_errors(value)?;
            made.billing.only_own_errors = true;
        }
        "bills_refusals" => made.billing.bills_refusals = Some(value),
        "states_cost" => made.billing.states_cost = Some(value),
        "max_tokens" => {
            quirks.output_limit = match value {
                "max_tokens" => OutputLimit::MaxTokens,
                "max_completion_tokens" => OutputLimit::MaxCompletionTokens,
                _ => return None,
            }
        }
        "openai_models" => quirks.openai_models = true,
        "claude_models" => quirks.claude_models = true,
        "developer_role" => quirks.developer_role = true,
        "text_content" => quirks.text_content = true,
        "no_stream_options" => quirks.no_stream_options = true,
        "no_done" => quirks.no_done = true,
        "store_false" => quirks.store_false = true,
        "keeps_cache_control" => quirks.keeps_cache_control = true,
        "metadata" => {
            quirks.metadata = match value {
                "stored" => Metadata::Stored,
                "always" => Metadata::Always,
                _ => return None,
            }
        }
        "drop" => quirks.drop = list(value),
        "refuses" => quirks.refuses = list(value),
        "sampling" => quirks.sampling = list(value),
        "rename" => {
            quirks.renames =
                value.split(',').map(|pair| pair.split_once(':')).collect::<Option<_>>()?;
        }
        "temperature_max" => quirks.temperature_max = Some(value.parse().ok()?),
        "model_prefix" => quirks.model_prefix = Some(value),
        "server_last" => quirks.server_last = true,
        "base_suffix" => quirks.base_suffix = Some(value),
        "base_cut" => quirks.base_cut = list(value),
        "base_at" => quirks.base_at = Some(value.split_once(':')?),
        "takes_back" => quirks.takes_back = list(value),
        "needs_reasoning" => quirks.needs_reasoning = true,
        "system_anywhere" => quirks.system_anywhere = true,
        "alternates" => quirks.alternates = true,
        "stop_max" => quirks.stop_max = Some(value.parse().ok()?),
        "user_max" => quirks.user_max = value.parse().ok()?,
        "user_opaque" => quirks.user_opaque = true,
        "flat_schemas" => quirks.flat_schemas = true,
        "claude_elsewhere" => quirks.claude_elsewhere = true,
        _ => return None,
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::{TABLE, all, rows};

    #[test]
    fn every_row_parses() {
        assert_eq!(all().len(), rows(TABLE).lines().count());
    }
}
