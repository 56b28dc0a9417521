//! Who is asking, and whether they may.

use crate::Shared;
use dialect::ErrorClass;
use gateway::authenticate;
use gateway::canary::ClientIp;
use gateway::principal::{Asker, Principal};
use gateway::{Failure, Fault};
use http::{HeaderMap, request};
use ledger::StoreError;
use std::sync::Arc;

/// Holders of any key that is in order.
pub(crate) async fn anyone(
    app: &Shared,
    request: &request::Parts,
) -> Result<Arc<Principal>, Failure> {
    let runtime = app.gateway.runtime();
    let client_ip = request.extensions.get::<ClientIp>();
    let asker = Asker {
        headers: &request.headers,
        client_ip: client_ip.map(|ip| &*ip.0),
        path: request.uri.path(),
    };
    authenticate::authenticate(&app.gateway, &runtime, &asker).await
}

/// The holder of the master key only.
pub(crate) async fn admin(app: &Shared, request: &request::Parts) -> Result<(), Failure> {
    let principal = anyone(app, request).await?;
    if principal.is_admin() {
        return Ok(());
    }
    let user_id = principal.owner.user_id.as_deref();
    let message = format!(
        "Authentication Error, Only proxy admin can be used to generate, delete, update info for \
         new keys/users/teams. Route={}. Your role=unknown. Your user_id={}",
        request.uri.path(),
        user_id.unwrap_or("None"),
    );
    Err(Failure::new(ErrorClass::Authentication, Fault::Client, message).kind("auth_error"))
}

/// What LiteLLM calls the holder of the master key.
pub(crate) const ADMIN_USER_ID: &str = "default_user_id";

/// Who a change is said to be made by.
pub(crate) fn author(headers: &HeaderMap) -> String {
    let said = headers.get("litellm-changed-by").and_then(|value| value.to_str().ok());
    let said = said.map(str::trim).filter(|said| !said.is_empty() && said.len() <= 256);
    said.unwrap_or(ADMIN_USER_ID).to_owned()
}

/// A failure of the store, for people.
pub(crate) fn store_failed(error: StoreError) -> Failure {
    match error {
        StoreError::Unavailable(_) => {
            let message = "The database does not answer now; nothing was changed. Try again.";
            Failure::new(ErrorClass::Overloaded, Fault::Gateway, message)
                .kind("no_db_connection")
                .cause(&error)
        }
        StoreError::NotFound => not_found("It is not there (any more)."),
        StoreError::Conflict(why) => Failure::bad_request(format!(
            "Nothing was changed: {why}. Read it again, then repeat the change if it still fits."
        ))
        .kind("conflict")
        .status(http::StatusCode::CONFLICT),
        StoreError::Damaged(_) => Failure::internal(error.to_string()),
    }
}

/// A 404 in words.
pub(crate) fn not_found(message: impl Into<std::borrow::Cow<'static, str>>) -> Failure {
    Failure::new(ErrorClass::NotFound, Fault::Client, message).kind("not_found_error")
}
