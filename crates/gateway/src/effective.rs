//! What an attempt will send: the client's body as this deployment changes it.
//!
//! Made once per attempt, before its permit, so that what is bounded, reserved
//! and sent is one thing. In the common case it is what the client sent,
//! scanned already. Where a deployment's own fields or a provider's quirks
//! change it, only what they change is scanned; a translation is scanned as a
//! whole. The model, the usage option and the output limit are set last, by
//! [`Effective::seal`]: nothing can override them.

use crate::admission::Admission;
use crate::bound::Sent;
use crate::deployment::{Candidate, Deployment};
use crate::dispatch::Exchange;
use crate::error::Failure;
use crate::quirks::{self, Rules};
use crate::{betas, expansion, wire};
use bytes::Bytes;
use dialect::Surface;
use dialect::defaults;
use dialect::head::keys::Field;
use dialect::head::{Head, HeadError};
use dialect::model::Request;
use dialect::splice::{self, Edits};
use dialect::surfaces::Kind;
use dialect::{DecodeError, Dialect, Dropped, ToolNames};
use http::HeaderMap;
use std::borrow::Cow;
use std::sync::Arc;

/// See the module.
pub struct Effective<'a> {
    head: Cow<'a, Head>,
    body: Bytes,
    client: &'a Head,
    /// The upstream's dialect, where it is not the client's.
    translated: Option<Dialect>,
    /// What is said to the gateway alone is still in it.
    as_received: bool,
    limit_is_ours: bool,
    takes_no_limit: bool,
    long_context: bool,
    /// Names of tools that the upstream would refuse.
    names: Option<Arc<ToolNames>>,
    /// Names of what the client sent and the upstream does not get.
    dropped: Dropped,
}

impl<'a> Effective<'a> {
    /// What `admission` sends to `candidate`.
    ///
    /// # Errors
    /// Where the upstream cannot be told what the client asked for.
    pub fn new(admission: &'a Admission, candidate: &Candidate) -> Result<Self, Box<Failure>> {
        let surface = admission.call.surface;
        let sent_as = candidate.surface_for(surface, admission.call.stream);
        let provider = candidate.deployment.provider;
        if provider.path(sent_as.row().endpoint).is_none() {
            return Err(Box::new(wire::cannot_serve(surface, provider.name)));
        }
        let drop_params = admission.drop_params() || candidate.deployment.drop_params;
        let rules = Rules { drop_params, hasher: &admission.gateway.hasher };
        let own = || Self::spliced(&admission.head, &admission.body.bytes, candidate, rules);
        let effective = if surface == sent_as {
            own()?
        } else if surface.row().codec.is_some() {
            match decoded(admission, candidate) {
                Ok(request) => Self::translated(admission, candidate, request, sent_as, rules)?,
                // What chat cannot say may yet be served: token ids, a suffix.
                Err(_) if candidate.serves(surface) => own()?,
                Err(error) => return Err(Box::new(Failure::of_decode(error))),
            }
        } else {
            return Err(Box::new(wire::cannot_serve(surface, provider.name)));
        };
        if !effective.dropped.is_empty() {
            let (model_group, deployment) =
                (&*admission.call.requested_model, &*candidate.deployment.id);
            let dropped = effective.dropped.text();
            tracing::info!(model_group, deployment, dropped, "left out of the request");
        }
        Ok(effective.to(candidate, &admission.client_headers))
    }

    /// What else of the candidate and of the headers bears on the bounds.
    fn to(mut self, candidate: &Candidate, client_headers: &HeaderMap) -> Self {
        let deployment = &candidate.deployment;
        let limit = limit_field(self.head.surface(), candidate).path();
        self.takes_no_limit = deployment.additional_drop_params.iter().any(|name| name == limit);
        let own = deployment.extra_headers.iter().filter(|(name, _)| *name == betas::NAME);
        self.long_context = client_headers
            .get_all(betas::NAME)
            .iter()
            .chain(own.map(|(_, value)| value))
            .any(|value| memchr::memmem::find(value.as_bytes(), b"context-").is_some());
        self
    }

    /// The client's own bytes, for an upstream of the same dialect.
    fn spliced(
        head: &'a Head,
        body: &Bytes,
        candidate: &Candidate,
        rules: Rules<'_>,
    ) -> Result<Self, Box<Failure>> {
        let quirks = &candidate.deployment.provider.quirks;
        let mut sent = Self {
            head: Cow::Borrowed(head),
            body: body.clone(),
            client: head,
            translated: None,
            as_received: true,
            limit_is_ours: false,
            takes_no_limit: false,
            long_context: false,
            names: None,
            dropped: Dropped::default(),
        };
        if !candidate.deployment.body_defaults.is_empty() {
            let mut edits = Edits::new(head, body);
            candidate.defaults().same(&mut edits, head, body);
            if !edits.is_empty() {
                // Only what the client says to the gateway is for it alone.
                let mut edits = Edits::new(head, body);
                quirks::remove_gateway_keys(&mut edits, head, body, quirks);
                candidate.defaults().same(&mut edits, head, body);
                let (body, head) = applied(body, &edits)?;
                sent = Self { head: Cow::Owned(head), body, as_received: false, ..sent };
            }
        }
        let mut dropped = Dropped::default();
        let mut edits = Edits::new(&sent.head, &sent.body);
        of_deployment(&mut edits, &sent.head, &sent.body, candidate, rules, &mut dropped);
        if edits.is_empty() {
            return Ok(sent);
        }
        if sent.as_received {
            edits = Edits::new(&sent.head, &sent.body);
            quirks::remove_gateway_keys(&mut edits, &sent.head, &sent.body, quirks);
            of_deployment(&mut edits, &sent.head, &sent.body, candidate, rules, &mut dropped);
        }
        let (body, head) = applied(&sent.body, &edits)?;
        Ok(Self { head: Cow::Owned(head), body, as_received: false, dropped, ..sent })
    }

    /// The neutral model, written as the upstream takes it.
    fn translated(
        admission: &'a Admission,
        candidate: &Candidate,
        mut request: Request,
        sent_as: Surface,
        rules: Rules<'_>,
    ) -> Result<Self, Box<Failure>> {
        let theirs = candidate.dialect();
        let deployment = &candidate.deployment;
        // Where the path says it, the body does not.
        request.stream = admission.call.stream;
        default_limit(&mut request, deployment);
        defaults::give_way(&mut request, &admission.head, &admission.body.bytes);
        // Within one dialect they are the client's own affair.
        let same = admission.call.surface.dialect() == theirs;
        let names = if same { None } else { ToolNames::fit(&mut request, theirs) }.map(Arc::new);
        let limit_is_ours = request.max_output_tokens.is_none();
        let target = candidate.target(admission.drop_params());
        let mut dropped = Dropped::default();
        let encoded = theirs.encode_request(&request, &target, &mut dropped).map_err(|error| {
            Box::new(Failure::bad_request(error.to_string()).param(error.param()))
        })?;
        let mut body = Bytes::from(encoded);
        let mut head = scanned(sent_as, &body)?;
        if !deployment.body_defaults.is_empty() {
            let mut edits = Edits::new(&head, &body);
            candidate.defaults().after(&mut edits, &head, &body, admission.call.surface);
            if !edits.is_empty() {
                let edited = applied(&body, &edits)?;
                drop(edits);
                (body, head) = edited;
            }
        }
        let mut edits = Edits::new(&head, &body);
        // The encoder has left out what it could; the rest it has refused.
        of_deployment(&mut edits, &head, &body, candidate, rules, &mut dropped);
        if !edits.is_empty() {
            let edited = applied(&body, &edits)?;
            drop(edits);
            (body, head) = edited;
        }
        Ok(Self {
            head: Cow::Owned(head),
            body,
            client: &admission.head,
            translated: Some(theirs),
            as_received: false,
            limit_is_ours,
            takes_no_limit: false,
            long_context: false,
            names,
            dropped,
        })
    }

    /// For the bounds on its cost.
    pub fn sent(&self) -> Sent<'_> {
        Sent {
            head: &self.head,
            body: &self.body,
            client: self.client,
            limit_is_ours: self.limit_is_ours,
            takes_no_limit: self.takes_no_limit,
            long_context: self.long_context,
        }
    }

    /// The betas that a body of our own writing needs.
    pub fn betas(&self) -> Vec<&'static str> {
        self.translated
            .map_or_else(Vec::new, |theirs| (theirs.contract().betas)(&self.head, &self.body))
    }

    /// The body to send, with the output limit that its permit holds.
    pub fn seal(
        self,
        stream: bool,
        candidate: &Candidate,
        clamp: Option<u64>,
    ) -> (Bytes, Exchange) {
        let (head, body) = (&*self.head, &self.body);
        let mut edits = Edits::new(head, body);
        if self.as_received {
            let quirks = &candidate.deployment.provider.quirks;
            quirks::remove_gateway_keys(&mut edits, head, body, quirks);
        }
        let is_in_body = !head.surface().row().names_model_in_path();
        if is_in_body && head.model() != Some(&*candidate.upstream_model) {
            edits.set_model(&candidate.upstream_model);
        }
        let same = self.translated.is_none();
        let usage_is_ours = same
            && stream
            && !self.client.include_usage()
            && streams_with_options(head.surface())
            && !candidate.deployment.provider.quirks.no_stream_options;
        if usage_is_ours {
            edits.include_usage();
        }
        if let Some(clamp) = clamp {
            edits.set_output_limit(limit_field(head.surface(), candidate), clamp);
        }
        let sealed = splice::apply(body, &edits);
        let surface = head.surface();
        (
            sealed,
            Exchange {
                translated: self.translated,
                surface,
                usage_is_ours,
                names: self.names,
                dropped: self.dropped,
            },
        )
    }
}

/// The client's request with the deployment's parameters, in one full parse.
fn decoded(admission: &Admission, candidate: &Candidate) -> Result<Request, DecodeError> {
    let (head, body) = (&admission.head, &admission.body.bytes);
    expansion::check(head)?;
    let mut edits = Edits::new(head, body);
    edits.remove_gateway_keys();
    candidate.defaults().before(&mut edits, head, body, candidate.dialect());
    wire::decode_request(admission.call.surface, &splice::apply(body, &edits))
}

/// What the provider's entry and the deployment say of the body, whoever gave
/// what is in it.
fn of_deployment<'a>(
    edits: &mut Edits<'a>,
    head: &'a Head,
    body: &[u8],
    candidate: &'a Candidate,
    rules: Rules<'_>,
    dropped: &mut Dropped,
) {
    let deployment = &candidate.deployment;
    quirks::apply(edits, head, body, candidate, rules, dropped);
    for (name, value) in &deployment.extra_body {
        if head.surface().row().kind != Kind::TokenCount || defaults::belongs(head.surface(), name)
        {
            edits.set(name, value);
        }
    }
    for name in &deployment.additional_drop_params {
        edits.leave_out(name, dropped);
    }
}

/// The deployment's output limit, for an encoder that would write its own.
fn default_limit(request: &mut Request, deployment: &Deployment) {
    let limit = |fields: &[(String, dialect::Json)]| {
        let is_limit = |name: &str| matches!(name, "max_tokens" | "max_completion_tokens");
        let found = fields.iter().find(|(name, _)| is_limit(name));
        found.and_then(|(_, value)| value.text().parse::<u64>().ok())
    };
    request.max_output_tokens = limit(&deployment.extra_body)
        .or(request.max_output_tokens)
        .or_else(|| limit(&deployment.body_defaults));
}

/// Makes the edits; what did not change is not scanned again.
fn applied(body: &Bytes, edits: &Edits<'_>) -> Result<(Bytes, Head), Box<Failure>> {
    edits.applied(body).map_err(|error| unsendable(&error))
}

fn scanned(surface: Surface, body: &[u8]) -> Result<Head, Box<Failure>> {
    Head::scan(body, surface).map_err(|error| unsendable(&error))
}

fn unsendable(error: &HeadError) -> Box<Failure> {
    Box::new(Failure::internal(format!(
        "with this deployment's own body fields, the request cannot be sent: {error}"
    )))
}

/// Whether the surface has `stream_options`.
fn streams_with_options(surface: Surface) -> bool {
    surface.row().has_usage_option
}

/// Field of the output limit.
fn limit_field(surface: Surface, candidate: &Candidate) -> Field {
    (surface.row().output_limit)(candidate.output_limit_field())
}

#[cfg(test)]
mod tests {
    use super::Effective;
    use crate::bound::{self, Bound, Left};
    use crate::deployment::{Candidate, Deployment, Facts, testing};
    use crate::quirks::Rules;
    use base::NanoUsd;
    use bytes::Bytes;
    use dialect::Surface;
    use dialect::head::Head;
    use http::HeaderMap;
    use ledger::KeyHasher;
    use std::sync::Arc;

    fn json(text: &str) -> dialect::Json {
        dialect::Json::parse(text.to_owned()).unwrap()
    }

    fn candidate(provider: &str, model: &str, edit: impl FnOnce(&mut Deployment)) -> Candidate {
        let mut deployment = testing::deployment(provider, model);
        edit(&mut deployment);
        Candidate::new(&Arc::new(deployment), None, true)
    }

    /// What is reserved, and what is sent.
    fn sealed(candidate: &Candidate, body: &str, left: Left) -> (Bound, String) {
        let bytes = Bytes::copy_from_slice(body.as_bytes());
        let head = Head::scan(&bytes, Surface::OpenAiChat).unwrap();
        let hasher = KeyHasher::new(&[0; 32]);
        let rules = Rules { drop_params: false, hasher: &hasher };
        let effective = Effective::spliced(&head, &bytes, candidate, rules).unwrap();
        let effective = effective.to(candidate, &HeaderMap::new());
        let bound = bound::bound(&effective.sent(), &candidate.facts, left);
        let (sent, _) = effective.seal(head.stream(), candidate, bound.clamp);
        (bound, String::from_utf8(sent.to_vec()).unwrap())
    }

    fn a_dollar() -> Left {
        Left { money: Some(NanoUsd(1_000_000_000)), ..Left::default() }
    }

    #[test]
    fn a_body_that_nothing_changes_is_not_copied() {
        let candidate = candidate("openai", "gpt-4o", |_| {});
        let body = Bytes::from_static(br#"{"model":"gpt-4o","max_tokens":5}"#);
        let head = Head::scan(&body, Surface::OpenAiChat).unwrap();
        let hasher = KeyHasher::new(&[0; 32]);
        let rules = Rules { drop_params: false, hasher: &hasher };
        let effective = Effective::spliced(&head, &body, &candidate, rules).unwrap();
        let (sent, _) = effective.seal(false, &candidate, None);
        assert_eq!(sent.as_ptr(), body.as_ptr());
    }

    /// A null sibling let the rename take the limit away.
    #[test]
    fn a_renamed_limit_survives_a_null_beside_it() {
        let reasoning = candidate("openai", "o3", |_| {});
        let body = r#"{"model":"o3","max_completion_tokens":null,"max_tokens":1}"#;
        let (bound, sent) = sealed(&reasoning, body, a_dollar());
        assert_eq!(bound.output_tokens, 1);
        assert_eq!(sent, r#"{"model":"o3","max_completion_tokens":1}"#);
    }

    /// The deployment's own fields came after the bound, and unseen by it.
    #[test]
    fn what_a_deployment_adds_is_bounded() {
        let own = candidate("openai", "gpt-4o", |deployment| {
            deployment.body_defaults.push(("max_tokens".to_owned(), json("9000")));
            deployment.extra_body.push(("n".to_owned(), json("3")));
        });
        let (bound, sent) = sealed(&own, r#"{"model":"gpt-4o"}"#, a_dollar());
        assert_eq!((bound.output_tokens, bound.clamp), (27_000, None));
        assert_eq!(sent, r#"{"model":"gpt-4o","max_tokens":9000,"n":3}"#);
        let tools = candidate("openai", "gpt-4o", |deployment| {
            deployment.extra_body.push(("web_search_options".to_owned(), json("{}")));
        });
        let (bound, _) = sealed(&tools, r#"{"model":"gpt-4o","max_tokens":1}"#, a_dollar());
        assert_eq!((bound.searches, bound.input_tokens), (1, 128_000));
    }

    #[test]
    fn a_limit_that_the_deployment_drops_is_not_counted_on() {
        let dropped = candidate("openai", "gpt-4o", |deployment| {
            deployment.additional_drop_params.push("max_tokens".to_owned());
        });
        let (bound, sent) = sealed(&dropped, r#"{"model":"gpt-4o","max_tokens":1}"#, a_dollar());
        assert_eq!((bound.output_tokens, bound.clamp), (16_384, None));
        assert_eq!(sent, r#"{"model":"gpt-4o"}"#);
    }

    /// Whatever the client, the deployment and the provider's entry say of the
    /// limit: what is sent allows no more output than is held.
    #[test]
    fn what_is_sent_carries_the_limit_that_is_held() {
        let values = [None, Some("null"), Some("0"), Some("1"), Some("700")];
        let makes: [fn(&mut Deployment); 5] = [
            |_| {},
            |d| d.body_defaults.push(("max_tokens".to_owned(), json("50"))),
            |d| d.extra_body.push(("max_completion_tokens".to_owned(), json("60"))),
            |d| d.additional_drop_params.push("max_tokens".to_owned()),
            |d| d.extra_body.push(("max_tokens".to_owned(), json("null"))),
        ];
        let models = [("openai", "o3"), ("openai", "gpt-4o"), ("deepseek", "deepseek-chat")];
        for (provider, model) in models {
            for make in makes {
                let candidate = candidate(provider, model, make);
                let most = candidate.facts.max_output_tokens.unwrap();
                for first in values {
                    for second in values {
                        let member = |name: &str, value: Option<&str>| {
                            value.map_or(String::new(), |value| format!(r#","{name}":{value}"#))
                        };
                        let body = format!(
                            r#"{{"model":"{model}"{}{},"n":2}}"#,
                            member("max_completion_tokens", first),
                            member("max_tokens", second)
                        );
                        for cents in [1, 1000] {
                            let money = Some(NanoUsd(cents * 10_000_000));
                            let left = Left { money, ..Left::default() };
                            let (bound, sent) = sealed(&candidate, &body, left);
                            let head = Head::scan(sent.as_bytes(), Surface::OpenAiChat).unwrap();
                            let nought = ["max_tokens", "max_completion_tokens"]
                                .iter()
                                .any(|name| head.raw(sent.as_bytes(), name) == Some(b"0"));
                            let allowed = match head.max_output_tokens() {
                                Some(limit) if !nought => limit,
                                _ => most,
                            };
                            assert!(bound.output_tokens >= 2 * allowed, "{model} {body} {sent}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn prices_of_its_own_leave_none_of_the_others_free() {
        let own = catalog::Prices::from_overrides([(
            "input_cost_per_token",
            "0.000001".parse().unwrap(),
        )]);
        let own = own.unwrap();
        let provider = catalog::provider("openai").unwrap();
        assert!(Facts::of(provider, "gpt-4o", Some(&own)).prices.unwrap().prices_output());
        assert!(!Facts::of(provider, "mine", Some(&own)).prices.unwrap().prices_output());
    }
}
