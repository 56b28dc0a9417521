//! Query parameters, checked. Of one that is repeated the last counts; an
//! empty one counts as absent.

use axum::extract::Query;
use gateway::Failure;
use http::Uri;

/// The parameters of one request.
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    pub(crate) fn of(uri: &Uri) -> Result<Self, Failure> {
        let Query(pairs) = Query::try_from_uri(uri).map_err(|error| {
            Failure::bad_request(format!("The query cannot be read: {}", error.body_text()))
                .kind("invalid_request_error")
        })?;
        Ok(Self(pairs))
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        let last = self.0.iter().rev().find(|(given, _)| given == name);
        last.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A whole number from `least` to `most`.
    pub(crate) fn number(
        &self,
        name: &'static str,
        absent: u64,
        least: u64,
        most: u64,
    ) -> Result<u64, Failure> {
        let Some(text) = self.text(name) else { return Ok(absent) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| invalid(name, format!("must be a number from {least} to {most}")))
    }

    pub(crate) fn flag(&self, name: &'static str, absent: bool) -> Result<bool, Failure> {
        match self.text(name).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(absent),
            Some("true" | "1" | "yes" | "on") => Ok(true),
            Some("false" | "0" | "no" | "off") => Ok(false),
            Some(_) => Err(invalid(name, "must be true or false")),
        }
    }

    /// One of `words`, with what it stands for.
    pub(crate) fn one_of<T: Copy>(
        &self,
        name: &'static str,
        words: &[(&str, T)],
    ) -> Result<Option<T>, Failure> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == text);
        found.map(|(_, meaning)| Some(*meaning)).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            invalid(name, format!("must be one of {}", words.join(", ")))
        })
    }

    /// Refuses what LiteLLM has and would change the answer, but is not here.
    pub(crate) fn refuse(&self, names: &[&'static str]) -> Result<(), Failure> {
        let says = |name: &&&'static str| self.text(name).is_some_and(|text| text != "false");
        match names.iter().find(says) {
            Some(name) => Err(invalid(name, "is not supported yet; leave it out")),
            None => Ok(()),
        }
    }
}

/// A parameter that cannot be used as it is.
pub(crate) fn invalid(name: &str, why: impl std::fmt::Display) -> Failure {
    Failure::bad_request(format!("`{name}` {why}.")).kind("invalid_request_error").param(name)
}

#[cfg(test)]
mod tests {
    use super::Params;

    fn params(query: &str) -> Params {
        Params::of(&format!("/x?{query}").parse().unwrap()).unwrap()
    }

    #[test]
    fn the_last_of_a_repeated_parameter_counts_and_an_empty_one_is_absent() {
        let params = params("a=1&a=2&b=&c=%C3%A4+%2B");
        assert_eq!(params.text("a"), Some("2"));
        assert_eq!(params.text("b"), None);
        assert_eq!(params.text("c"), Some("ä +"));
        assert_eq!(params.text("d"), None);
    }

    #[test]
    fn what_is_out_of_range_is_refused_by_name() {
        let params = params("size=101&page=-1&full=maybe&sort=none");
        assert_eq!(params.number("size", 10, 1, 100).unwrap_err().param.as_deref(), Some("size"));
        assert!(params.number("page", 1, 1, 100).is_err());
        assert!(params.flag("full", false).is_err());
        let failure = params.one_of("sort", &[("spend", 1), ("alias", 2)]).unwrap_err();
        assert!(failure.message.contains("spend, alias"), "{}", failure.message);
    }
}
