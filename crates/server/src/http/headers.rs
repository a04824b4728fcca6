//! Headers that answers have whatever they are answers to.

use std::sync::{Arc, atomic::Ordering};

use actix_web::{
    body::BoxBody,
    dev::ServiceResponse,
    http::header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY,
        CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY, VARY,
    },
};
use uuid::{Builder, Uuid};

use crate::{
    app::attempts::RateLimit,
    env::Env,
    http::{
        Site,
        ops::{REFERENCE, REFERENCE_POLICY},
    },
};

/// By which a request is found in the log.
pub static REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
static RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
static RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");

/// Adds them.
pub(super) fn add(response: &mut ServiceResponse<BoxBody>, site: &Site, request_id: &str, quota: Option<RateLimit>) {
    let is_api = response.request().path().starts_with("/api/");
    let is_reference = response.request().path().starts_with(REFERENCE);
    let is_failure = response.status().is_client_error() || response.status().is_server_error();
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(request_id) {
        headers.insert(REQUEST_ID.clone(), id);
    }
    headers.insert(HeaderName::from_static("x-content-type-options"), HeaderValue::from_static("nosniff"));
    if !headers.contains_key(REFERRER_POLICY) {
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    }
    if site.base_urls.is_https() {
        headers
            .insert(HeaderName::from_static("strict-transport-security"), HeaderValue::from_static("max-age=31536000"));
    }
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    let opener = HeaderName::from_static("cross-origin-opener-policy");
    if (!is_api || is_page) && !headers.contains_key(&opener) {
        headers.insert(opener, HeaderValue::from_static("same-origin"));
    }
    // A failure outside the API is a page for browsers and JSON for others: no cache may show one to the other.
    if is_failure || is_api && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if is_api && !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    }
    if is_reference && !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(REFERENCE_POLICY));
    }
    if site.draining.load(Ordering::Relaxed) {
        // So that a connection that is kept alive does not outlast the grace.
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some(quota) = quota {
        rate_limit(headers, &quota);
    }
}

/// The headers that pages of other origins may read besides those that every page may.
const READ: &str = "etag, idempotency-replayed, link, location, ratelimit, ratelimit-policy, retry-after, www-authenticate, x-request-id";

/// Lets pages of an origin read the answer, and tells caches that it differs (Fetch, section 3.2).
pub(super) fn share(headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
    headers.append(VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(READ));
    } else {
        // Nor may they know what they could have sent.
        headers.remove(ACCESS_CONTROL_ALLOW_METHODS);
        headers.remove(ACCESS_CONTROL_ALLOW_HEADERS);
        headers.remove(ACCESS_CONTROL_MAX_AGE);
    }
}

/// `RateLimit-Policy` and `RateLimit` (draft-ietf-httpapi-ratelimit-headers). Put together by hand, as nearly every answer
/// has them.
fn rate_limit(headers: &mut HeaderMap, quota: &RateLimit) {
    // Rounded up: whoever waits that long gets what is said.
    let reset = quota.reset.as_secs() + u64::from(quota.reset.subsec_nanos() > 0);
    let policy = [(";q=", quota.rule.limit.into()), (";w=", quota.rule.window.as_secs())];
    let left = [(";r=", quota.remaining.into()), (";t=", reset)];
    for (name, items) in [(&RATE_LIMIT_POLICY, policy), (&RATE_LIMIT, left)] {
        let mut text = String::with_capacity(48);
        text.extend(["\"", quota.policy, "\""]);
        for (key, number) in items {
            text.push_str(key);
            text.push_str(&u64::to_string(&number));
        }
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(name.clone(), value);
        }
    }
}

/// The id of the trace that a request belongs to: the second part of `traceparent` (W3C Trace Context, section 3.2).
pub(super) fn trace_id(headers: &HeaderMap) -> Option<String> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, trace) = (parts.next()?, parts.next()?);
    let is_hex = |text: &str| text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    let is_good = version.len() == 2 && trace.len() == 32 && is_hex(version) && is_hex(trace) && version != "ff";
    (is_good && trace.bytes().any(|b| b != b'0')).then(|| trace.to_owned())
}

/// Takes the caller's request id if it is one, or makes one of random bits (RFC 9562, section 5.4): nobody learns from the
/// ids of own requests how many others there were.
pub(super) fn request_id(headers: &HeaderMap, env: &Env) -> Arc<str> {
    let fits = |text: &&str| {
        (1..=128).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    match headers.get(&REQUEST_ID).and_then(|value| value.to_str().ok()).filter(fits) {
        Some(id) => id.into(),
        None => {
            let mut buffer = Uuid::encode_buffer();
            (&*Builder::from_random_bytes(env.random()).into_uuid().simple().encode_lower(&mut buffer)).into()
        }
    }
}
