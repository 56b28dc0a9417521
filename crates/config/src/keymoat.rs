//! `keymoat:`, our own settings, and the data directory.

use crate::cidr::Cidr;
use crate::env::Env;
use crate::general::host_of;
use crate::known_keys::{DRAIN, EGRESS, KEYMOAT, LISTEN, LOG, SPOOL, TLS, UNKNOWN_PRICE};
use crate::node::Kind;
use crate::reader::{Field, Reader};
use crate::report::Verdict;
use crate::settings::{
    Compat, LogFormat, LogLevel, MetricsKey, ResponseModel, Roots, Sandbox, Settings, SpoolSync,
    Tls, UnknownPrice,
};
use base::Secret;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

/// Ten years: longer is a mistake.
const DURATION_MAX_MS: u64 = 10 * 365 * 86_400_000;
/// Bodies go to files beyond memory; this is a sanity limit.
const BODY_LIMIT_MAX_BYTES: u64 = 1 << 40;

/// What the section says beside [`Settings`].
#[derive(Default)]
pub(crate) struct Said {
    /// `store: sqlite`, in so many words.
    pub(crate) sqlite: bool,
    pub(crate) body_max_bytes: bool,
    pub(crate) log_level: bool,
    pub(crate) log_format: bool,
    pub(crate) data_dir: bool,
}

/// Reads the section into `settings`.
pub(crate) fn read(reader: &mut Reader<'_>, section: &Field<'_>, settings: &mut Settings) -> Said {
    let mut said = Said::default();
    for field in reader.fields(section) {
        match field.name {
            "listen" => listen(reader, &field, settings, &mut said),
            "data_dir" => {
                if let Some(path) = reader.path(&field) {
                    settings.data_dir = path;
                    said.data_dir = true;
                }
            }
            "accept_missing" => reader.accept_missing(&field),
            "store" => said.sqlite = reader.choice(&field, &[("sqlite", true)]).unwrap_or(false),
            "compat" => {
                let choices = [("1.83", Compat::V1_83), ("1.109", Compat::V1_109)];
                set(&mut settings.compat, reader.choice(&field, &choices));
            }
            "egress" => {
                for field in reader.fields(&field) {
                    match field.name {
                        "roots" => set(&mut settings.roots, roots(reader, &field)),
                        _ => reader.leftover(&field, &EGRESS),
                    }
                }
            }
            "response_model" => {
                let choices =
                    [("upstream", ResponseModel::Upstream), ("group", ResponseModel::Group)];
                set(&mut settings.response_model, reader.choice(&field, &choices));
            }
            "sandbox" => {
                let choices = [
                    ("off", Sandbox::Off),
                    ("best-effort", Sandbox::BestEffort),
                    ("full", Sandbox::Full),
                ];
                set(&mut settings.sandbox, reader.choice(&field, &choices));
            }
            "unknown_price" => set(&mut settings.unknown_price, unknown_price(reader, &field)),
            "metrics_key" => {
                let choices = [("master", MetricsKey::Master), ("any", MetricsKey::Any)];
                set(&mut settings.metrics_key, reader.choice(&field, &choices));
            }
            "peek_timeout_ms" => set(&mut settings.peek_timeout_ms, duration(reader, &field)),
            "first_byte_timeout_ms" => {
                set(&mut settings.first_byte_timeout_ms, duration(reader, &field));
            }
            "idle_timeout_ms" => set(&mut settings.idle_timeout_ms, duration(reader, &field)),
            "stream_max_ms" => set(&mut settings.stream_max_ms, duration(reader, &field)),
            "output_floor_tokens" => {
                set(&mut settings.output_floor_tokens, reader.within(&field, 1, u64::MAX));
            }
            "estimated_share_max_percent" => {
                let percent = reader.within(&field, 1, 100);
                let percent = percent.and_then(|percent| u32::try_from(percent).ok());
                set(&mut settings.estimated_share_max_percent, percent);
            }
            "retries_count_as_requests" => {
                set(&mut settings.retries_count_as_requests, reader.bool(&field));
            }
            "drain" => {
                for field in reader.fields(&field) {
                    match field.name {
                        "max_ms" => {
                            set(
                                &mut settings.drain.max_ms,
                                reader.within(&field, 0, DURATION_MAX_MS),
                            );
                        }
                        "max_bytes" => {
                            let bytes = reader.within(&field, 0, BODY_LIMIT_MAX_BYTES);
                            set(&mut settings.drain.max_bytes, bytes);
                        }
                        _ => reader.leftover(&field, &DRAIN),
                    }
                }
            }
            "spool" => {
                for field in reader.fields(&field) {
                    match field.name {
                        "sync" => {
                            let choices = [("batch", SpoolSync::Batch), ("full", SpoolSync::Full)];
                            set(&mut settings.spool.sync, reader.choice(&field, &choices));
                        }
                        "max_bytes" => {
                            let bytes = reader.within(&field, 1 << 20, 1 << 50);
                            set(&mut settings.spool.max_bytes, bytes);
                        }
                        _ => reader.leftover(&field, &SPOOL),
                    }
                }
            }
            "log" => log(reader, &field, settings, &mut said),
            "workers" => {
                let workers = reader.within(&field, 1, 1024);
                settings.workers = workers
                    .and_then(|count| usize::try_from(count).ok())
                    .and_then(NonZeroUsize::new);
            }
            _ => reader.leftover(&field, &KEYMOAT),
        }
    }
    said
}

/// Leaves the default where nothing (or nothing readable) was given.
fn set<T>(place: &mut T, given: Option<T>) {
    if let Some(value) = given {
        *place = value;
    }
}

fn duration(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<u64> {
    reader.within(field, 1, DURATION_MAX_MS)
}

fn listen(reader: &mut Reader<'_>, section: &Field<'_>, settings: &mut Settings, said: &mut Said) {
    let listen = &mut settings.listen;
    for field in reader.fields(section) {
        match field.name {
            "host" => {
                let host = reader.check(&field, |text| {
                    let message = "expected an address to listen on".to_owned();
                    host_of(text).ok_or((message, "as in 127.0.0.1, 0.0.0.0 or ::"))
                });
                set(&mut listen.host, host);
            }
            "port" => {
                let port = reader.within(&field, 0, u64::from(u16::MAX));
                set(&mut listen.port, port.and_then(|port| u16::try_from(port).ok()));
            }
            "tls" => listen.tls = tls(reader, &field),
            "cors_origins" => listen.cors_origins = origins(reader, &field),
            "trusted_proxies" => listen.trusted_proxies = proxies(reader, &field),
            "connections_max" => {
                let most = reader.within(&field, 1, 1 << 24);
                set(&mut listen.connections_max, most.and_then(|most| u32::try_from(most).ok()));
            }
            "header_timeout_ms" => set(&mut listen.header_timeout_ms, duration(reader, &field)),
            "header_max_bytes" => {
                let bytes = reader.within(&field, 8192, 16 << 20);
                let bytes = bytes.and_then(|bytes| usize::try_from(bytes).ok());
                set(&mut listen.header_max_bytes, bytes);
            }
            "body_max_bytes" => {
                let bytes = reader.within(&field, 1024, BODY_LIMIT_MAX_BYTES);
                said.body_max_bytes = bytes.is_some();
                set(&mut listen.body_max_bytes, bytes);
            }
            "drain_delay_ms" => {
                let ms = reader.within(&field, 0, DURATION_MAX_MS);
                set(&mut listen.drain_delay_ms, ms);
            }
            "drain_timeout_ms" => {
                let ms = reader.within(&field, 0, DURATION_MAX_MS);
                set(&mut listen.drain_timeout_ms, ms);
            }
            _ => reader.leftover(&field, &LISTEN),
        }
    }
}

fn tls(reader: &mut Reader<'_>, section: &Field<'_>) -> Option<Tls> {
    if section.is_null() {
        return None;
    }
    let (mut cert, mut key, mut both) = (None, None, (false, false));
    for field in reader.fields(section) {
        match field.name {
            "cert" => {
                both.0 = true;
                cert = reader.pem(&field, "CERTIFICATE").map(|(_, pem)| pem);
            }
            "key" => {
                both.1 = true;
                key = reader.pem(&field, "PRIVATE KEY").and_then(|(path, pem)| {
                    warn_of_readable_key(reader, &field, &path);
                    String::from_utf8(pem).ok()
                });
            }
            _ => reader.leftover(&field, &TLS),
        }
    }
    if both != (true, true) && matches!(section.node.kind, Kind::Map(_)) {
        reader.error(section, "tls needs both cert and key", "the paths of two PEM files");
    }
    let key_pem = Arc::new(Secret::new(key?));
    Some(Tls { cert_pem: cert?, key_pem })
}

#[cfg(unix)]
fn warn_of_readable_key(reader: &mut Reader<'_>, field: &Field<'_>, path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt;
    if path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o007 != 0) {
        reader.warning(field, "everyone on this machine may read this key", "chmod o-rwx it");
    }
}

#[cfg(not(unix))]
fn warn_of_readable_key(_: &mut Reader<'_>, _: &Field<'_>, _: &std::path::Path) {}

fn origins(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<String> {
    let mut origins = Vec::new();
    for item in reader.items(field) {
        let origin = reader.check(&item, |text| {
            if is_origin(text) {
                return Ok(text.to_owned());
            }
            let message = "expected the origin of a page: a scheme and a host, and no path";
            Err((message.to_owned(), "as in https://chat.example.com, app://obsidian.md or \"*\""))
        });
        origins.extend(origin);
    }
    origins
}

/// Returns true for `*` and for what a browser sends as `Origin`.
fn is_origin(text: &str) -> bool {
    let Some((scheme, host)) = text.split_once("://") else { return text == "*" };
    let in_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let in_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    !scheme.is_empty()
        && !host.is_empty()
        && scheme.bytes().all(in_scheme)
        && host.bytes().all(in_host)
}

fn proxies(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<Cidr> {
    let mut proxies = Vec::new();
    for item in reader.items(field) {
        let proxy = reader.check(&item, |text| {
            text.parse::<Cidr>()
                .map_err(|error| (error.to_string(), "as in 10.0.0.0/8 or 192.168.1.7"))
        });
        proxies.extend(proxy);
    }
    proxies
}

fn roots(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Roots> {
    if !matches!(field.node.kind, Kind::Seq(_)) {
        return reader.check(field, |text| match text {
            "webpki" => Ok(Roots::Webpki),
            "native" => Ok(Roots::Native),
            _ => {
                let message = "expected webpki, native or a list of PEM files".to_owned();
                Err((message, "as in roots: [company-ca.pem]"))
            }
        });
    }
    let items = reader.items(field);
    if items.is_empty() {
        reader.error(field, "without any root no provider can be trusted", "webpki is the default");
        return None;
    }
    let count = items.len();
    let files: Vec<_> = items.iter().filter_map(|item| reader.pem(item, "CERTIFICATE")).collect();
    (files.len() == count).then_some(Roots::Pem(files))
}

fn unknown_price(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<UnknownPrice> {
    if !matches!(field.node.kind, Kind::Map(_)) {
        return reader.choice(field, &[("refuse", UnknownPrice::Refuse)]);
    }
    let mut policy = None;
    for field in reader.fields(field) {
        match field.name {
            "ceiling_per_call_usd" => {
                policy = reader.check(&field, |text| {
                    let dollars = crate::scalar::decimal_of(text)
                        .filter(|dollars| dollars.mantissa() > 0)
                        .map(UnknownPrice::CeilingPerCall);
                    let message = "expected an amount of more than nought".to_owned();
                    dollars.ok_or((message, "a price that is not known is never nought"))
                });
            }
            _ => reader.leftover(&field, &UNKNOWN_PRICE),
        }
    }
    policy
}

fn log(reader: &mut Reader<'_>, section: &Field<'_>, settings: &mut Settings, said: &mut Said) {
    for field in reader.fields(section) {
        match field.name {
            "format" => {
                let choices = [
                    ("auto", LogFormat::Auto),
                    ("text", LogFormat::Text),
                    ("json", LogFormat::Json),
                ];
                let format = reader.choice(&field, &choices);
                said.log_format = format.is_some();
                set(&mut settings.log.format, format);
            }
            "level" => {
                let level =
                    reader.choice(&field, &LogLevel::ALL.map(|level| (level.as_str(), level)));
                said.log_level = level.is_some();
                set(&mut settings.log.level, level);
            }
            _ => reader.leftover(&field, &LOG),
        }
    }
}

/// Where data lives when the file does not say: `KEYMOAT_DATA_DIR`, then
/// `$XDG_DATA_HOME/keymoat`, then `~/.local/share/keymoat`.
pub(crate) fn default_data_dir(reader: &mut Reader<'_>) -> Option<PathBuf> {
    // The XDG base directory specification: a relative path there is invalid.
    let absolute = |text: Option<String>| text.map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(given) = reader.env.var("KEYMOAT_DATA_DIR").filter(|given| !given.is_empty()) {
        reader.push_variable("KEYMOAT_DATA_DIR", Verdict::Exact, "", "");
        return Some(PathBuf::from(given));
    }
    if let Some(data_home) = absolute(reader.env.var("XDG_DATA_HOME")) {
        return Some(data_home.join("keymoat"));
    }
    let home = absolute(reader.env.var("HOME"));
    if home.is_none() {
        reader.push_variable(
            "KEYMOAT_DATA_DIR",
            Verdict::Error,
            "there is no place for data: neither HOME nor XDG_DATA_HOME is set",
            "set KEYMOAT_DATA_DIR, or keymoat.data_dir in the file",
        );
    }
    home.map(|home| home.join(".local/share/keymoat"))
}
