//! Bodies are read to their last byte before anything acts on a request, so that caller, rights and time are those after it.

use actix_web::{
    HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
    http::header::CONTENT_LENGTH,
    web::Bytes,
};
use futures_util::StreamExt;
use std::{future::Future, time::Duration};
use tokio::time::timeout;

use crate::http::{extract::valid::issue, idempotency::remember_body, problem::Failure};

/// The longest body that is read.
pub const MAX_BODY: usize = 64 * 1024;

/// A body that was read, or why it was not.
struct Body(Result<Bytes, Failure>);

/// Waits for a body, or a part of one, no longer than it may take: every reading goes through here.
pub(super) async fn in_time<T>(
    limit: Duration,
    reading: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    timeout(limit, reading).await.unwrap_or(Err(Failure::RequestTimeout))
}

/// Reads the body of a request, for [`take`]. What is wrong with it is told by whoever takes it, after the caller was
/// found to be allowed. False if there is none to wait for.
pub(super) async fn read(request: &mut ServiceRequest, limit: Duration) -> bool {
    let payload = request.take_payload();
    if matches!(payload, Payload::None) {
        return false;
    }
    let declared = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let read = match declared {
        Some(length) if length > MAX_BODY as u64 => Err(Failure::PayloadTooLarge),
        _ => in_time(limit, collect(payload)).await,
    };
    if let Ok(bytes) = &read {
        remember_body(request.request(), bytes);
    }
    request.extensions_mut().insert(Body(read));
    true
}

async fn collect(mut payload: Payload) -> Result<Bytes, Failure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| issue("body_unreadable", "could not be read"))?;
        if bytes.len() + chunk.len() > MAX_BODY {
            return Err(Failure::PayloadTooLarge);
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.into())
}

/// The body of a request.
///
/// # Errors
/// Why it could not be read.
pub(super) fn take(request: &HttpRequest) -> Result<Bytes, Failure> {
    request.extensions_mut().remove::<Body>().map_or_else(|| Ok(Bytes::new()), |body| body.0)
}
