//! Answers that need no upstream: a token count for a model whose provider has
//! no endpoint for it. Nothing is called, so nothing is permitted or recorded.

use crate::Body;
use crate::admission::Admission;
use crate::deployment::Candidate;
use crate::error::Failure;
use crate::headers;
use dialect::count::{self, Hidden};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Response};

/// The answer, where this call to this candidate needs no upstream. Counts too
/// much rather than too little: agents use it to know when to stop.
///
/// # Errors
/// Where the request cannot be read.
pub fn answer(
    admission: &Admission,
    candidate: &Candidate,
) -> Option<Result<Response<Body>, Failure>> {
    let surface = admission.call.surface;
    let written = surface.row().count?;
    if candidate.dialect() == surface.dialect() {
        return None;
    }
    Some(admission.decode().map_err(Failure::of_decode).map(|request| {
        let is_claude = candidate.facts.traits.cache_control;
        let hidden = if is_claude { Hidden::CLAUDE } else { Hidden::OTHERS };
        let tokens = count::estimate_input_tokens(&request, hidden);
        let mut response = Response::new(Body::full(written(tokens)));
        let response_headers = response.headers_mut();
        headers::of_call(&admission.call, response_headers);
        response_headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }))
}
