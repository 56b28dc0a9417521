//! `POST /key/health`: says of the key that is sent that it may call.

use crate::App;
use crate::caller::anyone;
use crate::reply::{self, Answer};
use axum::extract::Request;
use serde::Serialize;

#[derive(Serialize)]
struct Health {
    key: &'static str,
    /// A key has no callbacks of its own here.
    logging_callbacks: (),
}

pub(crate) async fn health(app: App, request: Request) -> Answer {
    let (parts, _) = request.into_parts();
    anyone(&app, &parts).await?;
    reply::json(&Health { key: "healthy", logging_callbacks: () })
}
