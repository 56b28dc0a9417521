//! The configuration's defaults and ceilings for the limits of keys:
//! `default_key_generate_params` and `upperbound_key_generate_params`.

use super::request::{KeyFields, Lifetime};
use crate::params::invalid;
use gateway::Failure;
use gateway::rules::KeyLimits;
use ledger::Window;

/// Fills in what a new key is given where nothing is asked for: the default,
/// else the ceiling.
#[expect(clippy::option_option, reason = "absent, null and given are three things")]
pub(super) fn fill(asked: &mut KeyFields, defaults: &KeyLimits, ceilings: &KeyLimits) {
    fn fill<T: Copy>(asked: &mut Option<Option<T>>, default: Option<T>, ceiling: Option<T>) {
        *asked = Some(asked.flatten().or(default).or(ceiling));
    }
    if asked.models.as_ref().is_none_or(Vec::is_empty) && !defaults.models.is_empty() {
        asked.models = Some(defaults.models.clone());
    }
    fill(&mut asked.max_budget, defaults.max_budget, ceilings.max_budget);
    fill(&mut asked.budget_duration, defaults.budget_duration, ceilings.budget_duration);
    fill(
        &mut asked.max_parallel_requests,
        defaults.max_parallel_requests,
        ceilings.max_parallel_requests,
    );
    fill(&mut asked.tpm_limit, defaults.tpm_limit, ceilings.tpm_limit);
    fill(&mut asked.rpm_limit, defaults.rpm_limit, ceilings.rpm_limit);
    if !matches!(asked.lifetime, Some(Lifetime::For(_))) {
        let given = defaults.duration.or(ceilings.duration);
        asked.lifetime = given.map(Lifetime::For).or(asked.lifetime);
    }
}

/// Refuses a limit above the ceiling, and one that is taken away where there
/// is a ceiling.
///
/// # Errors
/// A 400 that names the field.
#[expect(clippy::option_option, reason = "absent, null and given are three things")]
pub(super) fn check(asked: &KeyFields, ceilings: &KeyLimits, now_ms: i64) -> Result<(), Failure> {
    fn within<T: Copy, K: Ord>(
        name: &str,
        asked: Option<Option<T>>,
        ceiling: Option<T>,
        size: impl Fn(T) -> K,
        shown: impl Fn(T) -> String,
    ) -> Result<(), Failure> {
        let (Some(asked), Some(ceiling)) = (asked, ceiling) else { return Ok(()) };
        if asked.is_some_and(|asked| size(asked) <= size(ceiling)) {
            return Ok(());
        }
        let user = asked.map_or_else(|| "none".to_owned(), &shown);
        let why = format!(
            "is over max limit set in config - user_value={user}; max_value={}",
            shown(ceiling)
        );
        Err(invalid(name, why))
    }
    let count = |number: u64| number.to_string();
    let length = |window: Window| window.after(now_ms);
    let text = |window: Window| window.to_string();
    within("max_budget", asked.max_budget, ceilings.max_budget, |m| m, |m| m.to_string())?;
    within("budget_duration", asked.budget_duration, ceilings.budget_duration, length, text)?;
    let parallel = (asked.max_parallel_requests, ceilings.max_parallel_requests);
    within("max_parallel_requests", parallel.0, parallel.1, |n| n, count)?;
    within("tpm_limit", asked.tpm_limit, ceilings.tpm_limit, |n| n, count)?;
    within("rpm_limit", asked.rpm_limit, ceilings.rpm_limit, |n| n, count)?;
    let lifetime = asked.lifetime.map(|lifetime| match lifetime {
        Lifetime::Endless => None,
        Lifetime::For(window) => Some(window),
    });
    within("duration", lifetime, ceilings.duration, length, text)
}

#[cfg(test)]
mod tests {
    use super::{check, fill};
    use crate::fields::Fields;
    use crate::keys::request::{KeyFields, Lifetime};
    use base::NanoUsd;
    use gateway::rules::KeyLimits;

    fn asked(body: &str) -> KeyFields {
        let fields = Fields::parse(body.as_bytes()).ok().unwrap();
        KeyFields::take(fields, "/key/generate").ok().unwrap()
    }

    fn ceilings() -> KeyLimits {
        KeyLimits {
            max_budget: Some(NanoUsd(5_000_000_000)),
            budget_duration: Some("7d".parse().unwrap()),
            duration: Some("30d".parse().unwrap()),
            rpm_limit: Some(100),
            ..KeyLimits::default()
        }
    }

    #[test]
    fn a_limit_above_its_ceiling_is_refused_by_name() {
        for (body, name) in [
            (r#"{"max_budget": 5.01}"#, "max_budget"),
            (r#"{"max_budget": null}"#, "max_budget"),
            (r#"{"budget_duration": "30d"}"#, "budget_duration"),
            (r#"{"duration": "-1"}"#, "duration"),
            (r#"{"duration": "2mo"}"#, "duration"),
            (r#"{"rpm_limit": 101}"#, "rpm_limit"),
        ] {
            let refused = check(&asked(body), &ceilings(), 0).err().unwrap();
            assert_eq!((refused.param.as_deref(), refused.status.as_u16()), (Some(name), 400));
        }
        for body in ["{}", r#"{"max_budget": 5, "duration": "30d", "tpm_limit": 9999999}"#] {
            assert!(check(&asked(body), &ceilings(), 0).is_ok(), "{body}");
        }
    }

    #[test]
    fn a_new_key_gets_the_default_or_else_the_ceiling() {
        let defaults = KeyLimits {
            models: vec!["chat".to_owned()],
            rpm_limit: Some(10),
            ..KeyLimits::default()
        };
        let mut new = asked(r#"{"tpm_limit": 7}"#);
        fill(&mut new, &defaults, &ceilings());
        assert_eq!(new.models, Some(vec!["chat".to_owned()]));
        assert_eq!(new.max_budget, Some(Some(NanoUsd(5_000_000_000))));
        assert_eq!((new.rpm_limit, new.tpm_limit), (Some(Some(10)), Some(Some(7))));
        assert_eq!(new.lifetime, Some(Lifetime::For("30d".parse().unwrap())));
        let mut own = asked(r#"{"models": ["embed"], "rpm_limit": 20, "duration": "1h"}"#);
        fill(&mut own, &defaults, &ceilings());
        assert_eq!(own.models, Some(vec!["embed".to_owned()]));
        assert_eq!(own.rpm_limit, Some(Some(20)));
        assert_eq!(own.lifetime, Some(Lifetime::For("1h".parse().unwrap())));
    }
}
