//! How browsers are answered: pages with what they may load and do, and answers that go on to an application.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, REFERRER_POLICY,
        },
    },
};
use askama::Template;
use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine, engine::general_purpose::STANDARD};
use gatehouse_domain::oauth::{Destination, ResponseMode};
use url::{Url, form_urlencoded};

use crate::{
    app,
    http::{
        hosted::{FormPostPage, STYLE, texts::Texts},
        problem::Failure,
    },
};

static OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const SCRIPT: &str = include_str!("../../../assets/form-post.js");

/// What a page may load and do.
#[derive(Debug, Default)]
pub struct Policy<'a> {
    /// The pictures that it shows.
    pub logo: Option<&'a str>,
    /// Where its form leads in the end, if that is an application.
    pub leads_to: Option<&'a str>,
    /// Whether who opened its window goes on knowing it.
    pub keeps_opener: bool,
    /// Whether it has a script of ours, which asks the API.
    pub is_scripted: bool,
}

/// The scheme of an address, as a source of a content security policy.
fn scheme(uri: &str) -> &str {
    uri.find(':').map_or("", |end| &uri[..=end])
}

/// Where a form may lead in the end that leads to an application. Browsers hold every step of a chain of redirects against
/// it, and applications send people on to other hosts.
fn forms(uri: &str) -> String {
    match scheme(uri) {
        "https:" => " https:".to_owned(),
        scheme => format!(" https: {scheme}"),
    }
}

impl Policy<'_> {
    fn text(&self) -> String {
        let logo = self.logo.and_then(|logo| Url::parse(logo).ok()).map(|url| url.origin().ascii_serialization());
        let pictures = logo.map(|origin| format!(" {origin}")).unwrap_or_default();
        let forms = self.leads_to.map(forms).unwrap_or_default();
        let scripts = if self.is_scripted { "script-src 'self'; connect-src 'self'; " } else { "" };
        format!(
            "default-src 'none'; {scripts}style-src 'self'; img-src 'self'{pictures}; base-uri 'none'; \
             frame-ancestors 'none'; form-action 'self'{forms}"
        )
    }
}

fn html(template: &impl Template, status: StatusCode, policy: &str) -> Result<HttpResponse, Failure> {
    let body = template.render().map_err(|error| app::Error::Internal(Box::new(error)))?;
    Ok(HttpResponse::build(status)
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-store"))
        // With `no-referrer` browsers would say of our own forms that they come from nowhere.
        .insert_header((REFERRER_POLICY, "same-origin"))
        .body(body))
}

/// A page.
///
/// # Errors
/// When it cannot be rendered.
pub fn page(template: &impl Template, status: StatusCode, policy: &Policy<'_>) -> Result<HttpResponse, Failure> {
    let mut response = html(template, status, &policy.text())?;
    if policy.keeps_opener {
        response.headers_mut().insert(OPENER.clone(), HeaderValue::from_static("unsafe-none"));
    }
    Ok(response)
}

/// Sends the browser on to an application, with these parameters besides `state` and `iss` (RFC 9207).
///
/// # Errors
/// When it cannot be rendered.
pub fn answer(
    to: &Destination,
    parameters: &[(&str, &str)],
    issuer: &str,
    texts: &'static Texts,
) -> Result<HttpResponse, Failure> {
    let state = to.state.as_deref().map(|state| ("state", state));
    let fields: Vec<_> = parameters.iter().copied().chain(state).chain([("iss", issuer)]).collect();
    match to.response_mode {
        ResponseMode::Query => {
            let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
            let joint = if to.redirect_uri.contains('?') { '&' } else { '?' };
            Ok(see_other(&format!("{}{joint}{query}", to.redirect_uri)))
        }
        ResponseMode::FormPost => {
            let hash = STANDARD.encode(digest(&SHA256, SCRIPT.as_bytes()));
            let policy = format!(
                "default-src 'none'; script-src 'sha256-{hash}'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; \
                 form-action{}",
                forms(&to.redirect_uri)
            );
            let page = FormPostPage { t: texts, style: STYLE, action: &to.redirect_uri, fields, script: SCRIPT };
            html(&page, StatusCode::OK, &policy)
        }
    }
}

/// Sends the browser to another address, by GET.
pub fn see_other(location: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((LOCATION, location)).insert_header((CACHE_CONTROL, "no-store")).finish()
}
