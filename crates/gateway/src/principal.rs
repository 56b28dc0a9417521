//! Who a call is made for and what it may do: identity, role, access, limits.
//!
//! A principal grants only what was put into it. [`Principal::default`] has no
//! identity and no role and may do nothing; the administrator is a role, and a
//! principal without a virtual key is not an administrator for that. Principals
//! are made by [`crate::authenticate`], which reads the key and opens its cells.

use crate::error::{Compat, Failure, Fault};
use crate::routing::wildcard;
use base::KeyHash;
use dialect::ErrorClass;
use http::{HeaderMap, HeaderName, HeaderValue};
use ledger::{Cell, VirtualKey};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// Identity of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Identity {
    /// Unknown.
    #[default]
    Nobody,
    /// The holder of the master key.
    Master,
    /// The holder of a virtual key, by its hash.
    Key(KeyHash),
}

/// Right that a principal has beyond its access to models.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// None at all: every call is refused.
    #[default]
    None,
    /// Makes calls within its access and its limits.
    Caller,
    /// Makes calls and administers the gateway.
    Admin,
}

/// Models that a principal may call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ModelAccess {
    /// None.
    #[default]
    None,
    /// Those that the list names or matches. `all-team-models` matches none,
    /// since there are no teams yet.
    Listed(Vec<String>),
    /// All.
    All,
}

impl ModelAccess {
    /// Returns the access that `key` gives; an empty list means all models.
    pub fn of_key(key: &VirtualKey) -> Self {
        let is_any = |model: &String| matches!(model.as_str(), "*" | "all-proxy-models");
        if key.models.is_empty() || key.models.iter().any(is_any) {
            return Self::All;
        }
        Self::Listed(key.models.clone())
    }

    /// Names and patterns that are listed; empty for none and for all.
    pub fn listed(&self) -> &[String] {
        match self {
            Self::Listed(models) => models,
            Self::None | Self::All => &[],
        }
    }

    /// Returns true if `model` may be called.
    pub fn allows(&self, model: &str) -> bool {
        let matches = |allowed: &String| allowed == model || wildcard(allowed, model).is_some();
        match self {
            Self::None => false,
            Self::Listed(models) => models.iter().any(matches),
            Self::All => true,
        }
    }
}

/// Caller of a request. See the module.
#[derive(Default)]
pub struct Principal {
    /// Identity of the caller.
    pub identity: Identity,
    /// Right of the caller.
    pub role: Role,
    /// Models that it may call.
    pub models: ModelAccess,
    /// Row of the virtual key, if it has one.
    pub key: Option<VirtualKey>,
    /// Cells taken once a request: requests and calls in flight.
    pub admission: Vec<Arc<Cell>>,
    /// Cells taken for each attempt: money and tokens.
    pub permit: Vec<Arc<Cell>>,
    /// The money cell among them.
    pub money: Option<Arc<Cell>>,
    /// Cell that counts the key's spending, limited or not: `money` if there is
    /// a budget. `None` for the master key.
    pub tally: Option<Arc<Cell>>,
    /// Other names that this key alone has for models.
    pub aliases: HashMap<String, String>,
    /// Names that each of its records has.
    pub owner: OwnerNames,
    /// LiteLLM's headers about its limits.
    pub limit_headers: Vec<(HeaderName, HeaderValue)>,
    /// The key is a decoy.
    pub(crate) is_canary: bool,
    /// Time at which it was read from the store, on the monotonic clock.
    pub(crate) read_at: Duration,
}

/// Names of a key and its owner, shared by all its records.
#[derive(Default)]
pub struct OwnerNames {
    /// The key's alias.
    pub alias: Option<Arc<str>>,
    /// The user's id.
    pub user_id: Option<Arc<str>>,
    /// The team's id.
    pub team_id: Option<Arc<str>>,
    /// The organisation's id.
    pub organization_id: Option<Arc<str>>,
    /// The key's tags.
    pub tags: Vec<Arc<str>>,
}

impl OwnerNames {
    pub(crate) fn of_key(key: &VirtualKey) -> Self {
        let shared = |text: &Option<String>| text.as_deref().map(Arc::from);
        Self {
            alias: shared(&key.alias),
            user_id: shared(&key.user_id),
            team_id: shared(&key.team_id),
            organization_id: shared(&key.organization_id),
            tags: key.tags.iter().map(|tag| Arc::from(tag.as_str())).collect(),
        }
    }
}

impl Principal {
    /// Builds the holder of the master key: no limits of its own.
    pub fn admin() -> Self {
        Self {
            identity: Identity::Master,
            role: Role::Admin,
            models: ModelAccess::All,
            ..Self::default()
        }
    }

    /// Builds the holder of `key`, without the cells of its limits.
    pub fn of_key(key: VirtualKey) -> Self {
        Self {
            identity: Identity::Key(key.hash),
            role: Role::Caller,
            models: ModelAccess::of_key(&key),
            aliases: aliases_of(&key),
            owner: OwnerNames::of_key(&key),
            is_canary: key.is_canary(),
            key: Some(key),
            ..Self::default()
        }
    }

    /// Returns true if it may administer the gateway.
    pub fn is_admin(&self) -> bool {
        self.role == Role::Admin
    }

    /// Returns true if it may call some models only.
    pub fn is_restricted(&self) -> bool {
        self.models != ModelAccess::All
    }

    /// Hash of the virtual key, for records.
    pub fn key_hash(&self) -> Option<KeyHash> {
        match self.identity {
            Identity::Key(hash) => Some(hash),
            Identity::Nobody | Identity::Master => None,
        }
    }

    /// Checks that it may make calls at all.
    ///
    /// # Errors
    /// 401 if it has no role.
    pub fn check_role(&self) -> Result<(), Failure> {
        match self.role {
            Role::Caller | Role::Admin => Ok(()),
            Role::None => {
                let message = "Authentication Error, the caller has no role.";
                let failure = Failure::new(ErrorClass::Authentication, Fault::Client, message);
                Err(failure.kind("auth_error"))
            }
        }
    }
}

/// The key's `aliases`; none where they cannot be read, since the models that
/// they stand for are then refused.
fn aliases_of(key: &VirtualKey) -> HashMap<String, String> {
    #[derive(Default, serde::Deserialize)]
    struct Settings {
        aliases: Option<HashMap<String, String>>,
    }
    let settings: Settings = serde_json::from_str(&key.settings).unwrap_or_default();
    settings.aliases.unwrap_or_default()
}

/// Caller as far as it can be seen before it is authenticated.
pub struct Asker<'a> {
    /// The client's headers.
    pub headers: &'a HeaderMap,
    /// Address of the client, if it is known.
    pub client_ip: Option<&'a str>,
    /// Path of the request.
    pub path: &'a str,
}

/// Returns the model group that `model` stands for, once it is clear that
/// `principal` may use it. As in LiteLLM an alias is resolved once, before those
/// of the router; an administrator who gives a key one of the two names gives it
/// the model.
///
/// # Errors
/// As [`check_model`].
pub fn resolve_model<'a>(
    principal: &'a Principal,
    model: &'a str,
    compat: Compat,
) -> Result<&'a str, Failure> {
    let Some(meant) = principal.aliases.get(model) else {
        check_model(principal, model, compat)?;
        return Ok(model);
    };
    if check_model(principal, meant, compat).is_err() {
        check_model(principal, model, compat)?;
    }
    Ok(meant)
}

/// Checks that `principal` may use `model`.
///
/// # Errors
/// LiteLLM's `key_model_access_denied`.
pub fn check_model(principal: &Principal, model: &str, compat: Compat) -> Result<(), Failure> {
    principal.check_role()?;
    if principal.models.allows(model) {
        return Ok(());
    }
    let message = match compat {
        Compat::V1_83 => format!(
            "key not allowed to access model. This key can only access models={:?}. Tried to \
             access {model}",
            principal.models.listed()
        ),
        Compat::V1_109 => format!(
            "The requested model '{model}' is not available for this API key, or the model name \
             is invalid. Check the models available to you and try again."
        ),
    };
    // 403 in both lines: agents that get 1.83's 401 ask for minutes.
    let failure = Failure::new(ErrorClass::Permission, Fault::Client, message);
    Err(failure.kind("key_model_access_denied").param("model"))
}

#[cfg(test)]
mod tests {
    use super::{Identity, Principal, Role, check_model, resolve_model};
    use crate::error::Compat;
    use base::KeyHash;
    use ledger::VirtualKey;

    fn key(models: &[&str]) -> VirtualKey {
        let mut key = VirtualKey::new(KeyHash([7; 32]), "sk-...wxyz".into(), 0);
        key.models = models.iter().map(ToString::to_string).collect();
        key
    }

    #[test]
    fn a_principal_without_key_and_role_may_do_nothing() {
        let nobody = Principal::default();
        assert_eq!((nobody.identity, nobody.role), (Identity::Nobody, Role::None));
        assert!(!nobody.is_admin() && nobody.is_restricted() && nobody.key_hash().is_none());
        assert!(nobody.check_role().is_err());
        for model in ["gpt", "*", "all-proxy-models", ""] {
            assert!(check_model(&nobody, model, Compat::V1_83).is_err(), "{model}");
            assert!(resolve_model(&nobody, model, Compat::V1_109).is_err(), "{model}");
        }
        let mut open = Principal { models: super::ModelAccess::All, ..Principal::default() };
        assert!(check_model(&open, "gpt", Compat::V1_83).is_err(), "access without a role");
        open = Principal { role: Role::Caller, ..Principal::default() };
        assert!(check_model(&open, "gpt", Compat::V1_83).is_err(), "a role without access");
        assert!(!open.is_admin(), "a caller without a virtual key is no administrator");
    }

    #[test]
    fn all_models_of_a_team_are_none_while_there_are_no_teams() {
        let may = |models: &[&str]| {
            let principal =
                Principal::of_key(VirtualKey { team_id: Some("t1".into()), ..key(models) });
            check_model(&principal, "secret", Compat::V1_83).is_ok()
        };
        assert!(may(&["all-proxy-models"]) && may(&["*"]) && may(&["secret"]) && may(&[]));
        assert!(may(&["x", "sec*"]));
        assert!(!may(&["all-team-models"]) && !may(&["no-default-models"]));
    }
}
