//! `GET /spend/logs`: what was spent, row by row or by day.

use crate::App;
use crate::caller::{admin, store_failed};
use crate::keys::find::{find, hash_of};
use crate::live;
use crate::money::Money;
use crate::params::{Params, invalid};
use crate::reply::{self, Answer};
use crate::spend_row::{MASTER_KEY_ALIAS, SpendRow};
use axum::extract::Request;
use base::NanoUsd;
use gateway::Failure;
use http::{HeaderName, HeaderValue};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use ledger::{DaySpend, SpendFilter};
use serde::{Serialize, Serializer};

/// Rows in one answer, at most and by default.
const ROWS_MAX: u64 = 1000;

/// Says that `offset` would show more.
const MORE: HeaderName = HeaderName::from_static("x-keymoat-more");

pub(crate) async fn logs(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    admin(&app, &parts).await?;
    let params = Params::of(&parts.uri)?;
    let start_ms =
        params.text("start_date").map(|text| start_of("start_date", text)).transpose()?;
    let end_ms = params.text("end_date").map(|text| end_of("end_date", text)).transpose()?;
    if let (Some(start), Some(end)) = (start_ms, end_ms)
        && start >= end
    {
        return Err(invalid("end_date", "must not be before start_date"));
    }
    let summarize = params.flag("summarize", true)? && start_ms.is_some() && end_ms.is_some();
    let limit = params.number("limit", ROWS_MAX, 1, ROWS_MAX)?;
    let offset = params.number("offset", 0, 0, i64::MAX as u64)?;
    let key_hash = match params.text("api_key") {
        None => None,
        Some(given) => {
            // Records outlive their key.
            let found = find(&app, given).await?;
            Some(found.map_or_else(|| hash_of(&app, given), |key| key.hash))
        }
    };
    let filter = SpendFilter {
        key_hash,
        user_id: params.owned("user_id"),
        request_id: params.owned("request_id"),
        start_ms,
        end_ms,
        ..SpendFilter::default()
    };
    live::drained(&app).await;
    let store = app.gateway.store();
    if summarize {
        let days = store.spend_by_day(filter).await.map_err(store_failed)?;
        return reply::json(&days.iter().map(Day::from).collect::<Vec<_>>());
    }
    let asked = u32::try_from(limit + 1).unwrap_or(u32::MAX);
    let mut records = store.spend_logs(filter, asked, offset).await.map_err(store_failed)?;
    let more = records.len() as u64 > limit;
    records.truncate(limit as usize);
    let mut response = reply::json(&records.iter().map(SpendRow::from).collect::<Vec<_>>())?;
    if more {
        response.headers_mut().insert(MORE, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Where a time begins: a day, or a second.
fn start_of(name: &str, text: &str) -> Result<i64, Failure> {
    Ok(read_time(name, text)?.0)
}

/// The first moment after a time: days and seconds count whole.
fn end_of(name: &str, text: &str) -> Result<i64, Failure> {
    let (start_ms, length_ms) = read_time(name, text)?;
    Ok(start_ms.saturating_add(length_ms))
}

fn read_time(name: &str, text: &str) -> Result<(i64, i64), Failure> {
    let moment = || -> Option<(DateTime, i64)> {
        if let Ok(date) = Date::strptime("%Y-%m-%d", text) {
            return Some((date.into(), 86_400_000));
        }
        let time = DateTime::strptime("%Y-%m-%d %H:%M:%S", text)
            .or_else(|_| DateTime::strptime("%Y-%m-%dT%H:%M:%S", text.trim_end_matches('Z')));
        Some((time.ok()?, 1000))
    };
    let (start, length_ms) = moment().ok_or_else(|| {
        invalid(name, "must be a day, 2026-03-24, or a time, 2026-03-24 10:39:00, in UTC")
    })?;
    let start = start.to_zoned(TimeZone::UTC).map_err(|_| invalid(name, "is out of range"))?;
    Ok((start.timestamp().as_millisecond(), length_ms))
}

/// LiteLLM's summary of a day.
#[derive(Serialize)]
struct Day<'a> {
    #[serde(rename = "startTime")]
    start_time: &'a str,
    spend: Money,
    users: Amounts<'a>,
    models: Amounts<'a>,
    api_keys: Amounts<'a>,
}

impl<'a> From<&'a DaySpend> for Day<'a> {
    fn from(day: &'a DaySpend) -> Self {
        let named = |amounts: &'a [(String, NanoUsd)]| {
            Amounts(amounts.iter().map(|(name, spend)| (name.as_str().into(), *spend)).collect())
        };
        let keys = day.keys.iter().map(|(hash, spend)| {
            let name = hash.map_or(MASTER_KEY_ALIAS.into(), |hash| hash.to_string().into());
            (name, *spend)
        });
        Self {
            start_time: &day.day,
            spend: Money(day.spend),
            users: named(&day.users),
            models: named(&day.models),
            api_keys: Amounts(keys.collect()),
        }
    }
}

/// An object of names and amounts, in the order given.
struct Amounts<'a>(Vec<(std::borrow::Cow<'a, str>, NanoUsd)>);

impl Serialize for Amounts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, spend)| (name, Money(*spend))))
    }
}

#[cfg(test)]
mod tests {
    use super::{end_of, start_of};
    use base::clock::rfc3339;

    #[test]
    fn days_count_whole_and_times_to_the_second() {
        for (text, start, end) in [
            ("2026-03-24", "2026-03-24T00:00:00.000Z", "2026-03-25T00:00:00.000Z"),
            ("2024-02-29", "2024-02-29T00:00:00.000Z", "2024-03-01T00:00:00.000Z"),
            ("2026-03-24 10:39:00", "2026-03-24T10:39:00.000Z", "2026-03-24T10:39:01.000Z"),
            ("2026-03-24T10:39:00Z", "2026-03-24T10:39:00.000Z", "2026-03-24T10:39:01.000Z"),
        ] {
            assert_eq!(rfc3339(start_of("a", text).unwrap()), start);
            assert_eq!(rfc3339(end_of("a", text).unwrap()), end);
        }
    }

    #[test]
    fn what_is_no_date_is_refused_by_name() {
        for text in ["yesterday", "2026-13-01", "2026-02-30", "24.03.2026", "99999-01-01", "1"] {
            assert_eq!(start_of("end_date", text).unwrap_err().param.as_deref(), Some("end_date"));
        }
    }
}
