//! Headers that answers have whatever they are answers to.

use std::sync::atomic::Ordering;

use actix_web::{
    body::BoxBody,
    dev::ServiceResponse,
    http::header::{
        CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    },
};

use crate::{
    app::attempts::RateLimit,
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
    if !is_api {
        headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin"));
    }
    // A failure outside the API is a page for browsers and JSON for others: no cache may show one to the other.
    if is_failure || is_api && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if is_api {
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
