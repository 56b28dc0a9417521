//! `general_settings` and the variables that stand for them: who may come in,
//! and which store there is.

use crate::cidr::Cidr;
use crate::env::Env;
use crate::known_keys::{GENERAL, VARIABLES};
use crate::reader::{Field, Reader};
use crate::report::Verdict;
use crate::settings::{Listen, LogLevel, Settings};
use crate::types::{Access, Rules};
use base::Secret;
use std::net::{IpAddr, Ipv4Addr};
use std::num::NonZeroUsize;
use std::sync::Arc;

const MASTER_KEY: &str = "LITELLM_MASTER_KEY";
const NO_POSTGRES: &str =
    "PostgreSQL is not supported yet, and SQLite must not quietly stand in for it";
const NO_POSTGRES_HINT: &str =
    "remove it, or say `keymoat: {store: sqlite}` to use SQLite in the data directory all the same";

/// What the section says beside [`Access`].
#[derive(Default)]
pub(crate) struct General {
    pub(crate) body_max_bytes: Option<u64>,
    /// The file speaks of a master key, readable or not.
    pub(crate) master_key_said: bool,
}

/// The lowest cap that is named counts; nought is none, as in LiteLLM.
fn cap_in_flight(access: &mut Access, given: Option<u32>) {
    let caps = access.global_max_parallel_requests.into_iter().chain(given);
    access.global_max_parallel_requests = caps.filter(|max| *max > 0).min();
}

/// Reads the section. `sqlite_is_meant`: `keymoat.store` says so.
pub(crate) fn read(
    reader: &mut Reader<'_>,
    section: &Field<'_>,
    access: &mut Access,
    sqlite_is_meant: bool,
) -> General {
    let mut general = General::default();
    for field in reader.fields(section) {
        match field.name {
            // The variable that is LiteLLM's own for it stands in for one that
            // is not set; without either, the error remains.
            "master_key" if reader.env.var(MASTER_KEY).is_some() && reader.says_nothing(&field) => {
            }
            "master_key" => {
                general.master_key_said = !field.is_null();
                access.master_key = master_key(reader, &field);
            }
            "database_url" => database_url(reader, &field, sqlite_is_meant),
            "litellm_key_header_name" => access.key_header = header_name(reader, &field),
            "max_parallel_requests" => {
                let note = "a cap on the whole proxy, like global_max_parallel_requests; the \
                    lower of the two counts";
                cap_in_flight(access, reader.whole_u32(&field.approximately(note)));
            }
            "global_max_parallel_requests" => cap_in_flight(access, reader.whole_u32(&field)),
            "max_request_size_mb" => {
                let megabytes = reader.within(&field, 1, 1 << 20);
                general.body_max_bytes = megabytes.map(|megabytes| megabytes << 20);
            }
            "user_api_key_cache_ttl" => access.key_cache_ttl_ms = reader.seconds(&field),
            "allowed_ips" => access.rules.allowed_ips = addresses(reader, &field),
            "allowed_routes" => access.rules.allowed_routes = routes(reader, &field),
            "admin_only_routes" => {
                access.rules.admin_only_routes = routes(reader, &field).unwrap_or_default();
            }
            "user_header_name" => {
                access.rules.end_user_headers.extend(header_name(reader, &field));
            }
            "user_header_mappings" => end_user_headers(reader, &field, &mut access.rules),
            "enforce_user_param" => {
                access.rules.enforce_user_param = reader.bool(&field).unwrap_or(false);
            }
            "enforced_params" => access.rules.enforced_params = reader.texts(&field),
            "reject_clientside_metadata_tags" => {
                access.rules.reject_client_tags = reader.bool(&field).unwrap_or(false);
            }
            "forward_client_headers_to_llm_api" => {
                let note = "headers that begin with x-, but for those that may carry a credential";
                let field = field.approximately(note);
                access.rules.forward_client_headers = reader.bool(&field).unwrap_or(false);
            }
            "enforce_fallback_model_access" => {
                let note = "a fallback that the key may not use is left out, whatever this says";
                reader.bool(&field.approximately(note));
            }
            "dangerously_permit_weak_or_unset_master_key" => {
                let note =
                    "a weak key is warned of; without a key, one is made: nothing is ever open";
                reader.bool(&field.approximately(note));
            }
            _ => reader.leftover(&field, &GENERAL),
        }
    }
    general
}

fn master_key(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Arc<Secret>> {
    if field.is_null() {
        reader.accept(field);
        return None;
    }
    let key = reader.secret_unrecorded(field)?;
    match judge_master_key(key.expose()) {
        Some((Verdict::Error, message, hint)) => {
            reader.error(field, message, hint);
            return None;
        }
        Some((_, message, hint)) => reader.warning(field, message, hint),
        None => reader.accept(field),
    }
    Some(key)
}

/// What is wrong with a master key.
fn judge_master_key(key: &str) -> Option<(Verdict, &'static str, &'static str)> {
    const GOOD: &str = "make one with: echo sk-$(openssl rand -hex 32)";
    const WELL_KNOWN: [&str; 5] = ["sk-1234", "sk-12345", "sk-test", "sk-admin", "sk-master-key"];
    let Some(rest) = key.strip_prefix("sk-") else {
        return Some((Verdict::Error, "a master key begins with sk-", GOOD));
    };
    let mut distinct: Vec<char> = rest.chars().collect();
    distinct.sort_unstable();
    distinct.dedup();
    if WELL_KNOWN.contains(&key) || rest.len() < 16 || distinct.len() < 6 {
        return Some((Verdict::Warning, "this master key can be guessed", GOOD));
    }
    None
}

fn database_url(reader: &mut Reader<'_>, field: &Field<'_>, sqlite_is_meant: bool) {
    if field.is_null() {
        return reader.accept(field);
    }
    if sqlite_is_meant {
        let why = "keymoat.store says sqlite: this database is not used";
        return reader.unsupported(field, why, "");
    }
    if let Some(text) = reader.resolve(field) {
        reader.hidden.push(Secret::new(text.value));
        reader.error(field, NO_POSTGRES, NO_POSTGRES_HINT);
    }
}

/// `allowed_ips`; an empty list allows none, and nothing allows all.
fn addresses(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<Cidr>> {
    if field.is_null() {
        reader.accept(field);
        return None;
    }
    let mut allowed = Vec::new();
    for item in reader.items(field) {
        let address = reader.check(&item, |text| {
            text.parse::<Cidr>()
                .map_err(|error| (error.to_string(), "as in 10.0.0.0/8 or 192.168.1.7"))
        });
        allowed.extend(address);
    }
    Some(allowed)
}

/// Paths, each without `/v1`; LiteLLM's names for sets of paths are spelled out.
fn routes(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<String>> {
    if field.is_null() {
        reader.accept(field);
        return None;
    }
    let mut routes = Vec::new();
    for item in reader.items(field) {
        let Some(text) = reader.check(&item, |text| {
            let hint = "as in /chat/completions, /key/*, or llm_api_routes";
            let message = || ("this is neither a path nor a set of paths".to_owned(), hint);
            let known = text.starts_with('/') || route_set(text).is_some();
            known.then(|| text.to_owned()).ok_or_else(message)
        }) else {
            continue;
        };
        if let Some(set) = route_set(&text) {
            routes.extend(set.split(' ').map(str::to_owned));
        } else {
            let bare = text.strip_prefix("/v1").filter(|rest| rest.starts_with('/'));
            routes.push(bare.unwrap_or(&text).to_owned());
        }
    }
    Some(routes)
}

/// Paths of one of LiteLLM's named sets.
fn route_set(name: &str) -> Option<&'static str> {
    Some(match name {
        "llm_api_routes" | "openai_routes" => {
            "/chat/completions /completions /embeddings /engines/* /openai/* /models /models/* \
             /messages /messages/*"
        }
        "anthropic_routes" => "/messages /messages/*",
        "info_routes" => {
            "/key/info /models /models/* /model/info /model_group/info /health /health/*"
        }
        "management_routes" => "/key/* /model/* /spend/*",
        "spend_tracking_routes" => "/spend/*",
        _ => return None,
    })
}

fn header_name(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<String> {
    reader.check(field, |name| {
        let message = || ("this is not the name of a header".to_owned(), "as in X-Litellm-Key");
        is_header_name(name).then(|| name.to_ascii_lowercase()).ok_or_else(message)
    })
}

/// Reads LiteLLM's list of headers that name somebody; of their roles the
/// customer is the end user.
fn end_user_headers(reader: &mut Reader<'_>, field: &Field<'_>, rules: &mut Rules) {
    for item in reader.items(field) {
        let (mut name, mut is_customer) = (None, false);
        for part in reader.fields(&item) {
            match part.name {
                "header_name" => name = header_name(reader, &part),
                "litellm_user_role" => {
                    let roles = [("customer", true), ("internal_user", false)];
                    is_customer = reader.choice(&part, &roles).unwrap_or(false);
                    if !is_customer {
                        reader.unsupported(
                            &part,
                            "there are no internal users yet: this header names nobody",
                            "a header that names the end user has the role customer",
                        );
                    }
                }
                _ => reader.unsupported(
                    &part,
                    "no such key is known: it has no effect",
                    "a mapping has header_name and litellm_user_role",
                ),
            }
        }
        rules.end_user_headers.extend(name.filter(|_| is_customer));
    }
}

/// RFC 9110, section 5.6.2.
pub(crate) fn is_header_name(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Reads the variables that LiteLLM honours, where the file has not spoken.
pub(crate) fn read_variables(
    reader: &mut Reader<'_>,
    access: &mut Access,
    file_has_master_key: bool,
    sqlite_is_meant: bool,
) {
    if let Some(key) = reader.env.var(MASTER_KEY).filter(|_| !file_has_master_key) {
        let key = key.trim().to_owned();
        reader.hidden.push(Secret::new(key.clone()));
        let verdict = judge_master_key(&key);
        match verdict {
            Some((verdict, message, hint)) => {
                reader.push_variable(MASTER_KEY, verdict, message, hint);
            }
            None => reader.push_variable(MASTER_KEY, Verdict::Exact, "", ""),
        }
        if !matches!(verdict, Some((Verdict::Error, ..))) {
            access.master_key = Some(Arc::new(Secret::new(key)));
        }
    }
    if let Some(url) = reader.env.var("DATABASE_URL") {
        let postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
        reader.hidden.push(Secret::new(url));
        if postgres && !sqlite_is_meant {
            reader.push_variable("DATABASE_URL", Verdict::Error, NO_POSTGRES, NO_POSTGRES_HINT);
        } else {
            let why = "SQLite in the data directory is used, not this database";
            reader.push_variable("DATABASE_URL", Verdict::Unsupported, why, "");
        }
    }
    for (names, why) in VARIABLES {
        if let Some(name) = names.split(' ').find(|name| reader.env.var(name).is_some()) {
            reader.push_variable(name, Verdict::Unsupported, why, "");
        }
    }
}

/// `HOST`, `PORT`, `NUM_WORKERS` and `LITELLM_LOG`. `HOST` and `PORT` win over
/// the file, as what is nearer to the start of the process does.
pub(crate) fn read_listen_variables(reader: &mut Reader<'_>, settings: &mut Settings) {
    if let Some(host) = reader.env.var("HOST") {
        // Shells and build tools set HOST to a machine's name or even a
        // compiler's target: that is not for us.
        match host_of(host.trim()) {
            Some(address) => {
                settings.listen.host = address;
                reader.push_variable("HOST", Verdict::Exact, "", "");
            }
            None => reader.push_variable(
                "HOST",
                Verdict::Warning,
                "this is not an address: it is not listened on",
                "set an address, as 0.0.0.0, or give --host",
            ),
        }
    }
    if let Some(port) = reader.env.var("PORT") {
        match port.trim().parse() {
            Ok(port) => {
                settings.listen.port = port;
                reader.push_variable("PORT", Verdict::Exact, "", "");
            }
            Err(_) => reader.push_variable(
                "PORT",
                Verdict::Error,
                "expected a port from 0 to 65535",
                "unset it, or give --port",
            ),
        }
    }
    if let Some(count) = reader.env.var("NUM_WORKERS").filter(|_| settings.workers.is_none()) {
        let note = "threads of one process, not processes";
        if let Ok(count) = count.trim().parse::<NonZeroUsize>() {
            settings.workers = Some(count);
            reader.push_variable("NUM_WORKERS", Verdict::Approximate, note, "");
        } else {
            let message = "expected a whole number of at least 1";
            reader.push_variable("NUM_WORKERS", Verdict::Error, message, "");
        }
    }
}

/// The level that `LITELLM_LOG` asks for.
pub(crate) fn log_level(reader: &mut Reader<'_>) -> Option<LogLevel> {
    let level = reader.env.var("LITELLM_LOG")?;
    let level = match level.trim().to_ascii_uppercase().as_str() {
        "DEBUG" => Some(LogLevel::Debug),
        "INFO" => Some(LogLevel::Info),
        "WARNING" | "WARN" => Some(LogLevel::Warn),
        "ERROR" | "CRITICAL" => Some(LogLevel::Error),
        _ => None,
    };
    match level {
        Some(_) => reader.push_variable("LITELLM_LOG", Verdict::Exact, "", ""),
        None => reader.push_variable(
            "LITELLM_LOG",
            Verdict::Warning,
            "this is not a log level",
            "DEBUG, INFO, WARNING or ERROR",
        ),
    }
    level
}

/// An address, or `localhost`; never a name that would have to be looked up.
pub(crate) fn host_of(text: &str) -> Option<IpAddr> {
    if text == "localhost" {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    text.parse().ok()
}

/// The smaller of the two limits on a body that were given.
pub(crate) fn limit_body(listen: &mut Listen, general: &General, ours_given: bool) {
    if let Some(max) = general.body_max_bytes {
        listen.body_max_bytes = if ours_given { listen.body_max_bytes.min(max) } else { max };
    }
}

#[cfg(test)]
mod tests {
    use super::{Verdict, host_of, judge_master_key};

    #[test]
    fn master_keys_are_judged_by_how_hard_they_are_to_guess() {
        let verdict = |key: &str| judge_master_key(key).map(|(verdict, ..)| verdict);
        assert_eq!(verdict("hunter2-hunter2-hunter2"), Some(Verdict::Error));
        for weak in ["sk-1234", "sk-", "sk-aaaaaaaaaaaaaaaaaaaaaaaaaa", "sk-short"] {
            assert_eq!(verdict(weak), Some(Verdict::Warning), "{weak}");
        }
        assert_eq!(verdict("sk-0f9b2c3d4e5f60718293a4b5c6d7e8f9"), None);
    }

    #[test]
    fn only_addresses_are_listened_on() {
        assert!(host_of("0.0.0.0").is_some() && host_of("::1").is_some());
        assert!(host_of("localhost").is_some());
        assert!(host_of("x86_64-conda-linux-gnu").is_none() && host_of("").is_none());
    }
}
