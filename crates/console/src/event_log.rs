//! `POST /api/event_logging/batch`: where Claude Code sends its telemetry. It is
//! thrown away, piece by piece, so that the client does not try again. As in
//! LiteLLM it takes no key: nothing is kept, and nothing is told.

use crate::App;
use crate::reply::{self, Answer};
use axum::body::HttpBody as _;
use axum::extract::Request;
use dialect::ErrorClass;
use gateway::{Failure, Fault};
use http::StatusCode;
use serde::Serialize;
use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

/// More than the client sends at once.
const BATCH_MAX_BYTES: usize = 4 << 20;

/// How long a batch may take to arrive.
const BATCH_TIMEOUT: Duration = Duration::from_secs(30);

#[derive(Serialize)]
struct Taken {
    status: &'static str,
}

pub(crate) async fn discard(_: App, request: Request) -> Answer {
    let mut body = request.into_body();
    let all = async {
        let mut left = BATCH_MAX_BYTES;
        while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
            let Ok(frame) = frame else { break };
            let length = frame.data_ref().map_or(0, bytes::Bytes::len);
            left = left.checked_sub(length)?;
        }
        Some(())
    };
    match tokio::time::timeout(BATCH_TIMEOUT, all).await {
        Ok(Some(())) => reply::json(&Taken { status: "ok" }),
        Ok(None) => {
            let message = format!("A batch of events has at most {BATCH_MAX_BYTES} bytes.");
            Err(Failure::new(ErrorClass::TooLarge, Fault::Client, message))
        }
        Err(_) => {
            let message = "The events did not arrive within 30 seconds.";
            let failure = Failure::new(ErrorClass::Timeout, Fault::Client, message);
            Err(failure.status(StatusCode::REQUEST_TIMEOUT))
        }
    }
}
