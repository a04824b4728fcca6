//! A browser as it comes to the pages of a sign-in.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::header::{ACCEPT_LANGUAGE, HeaderMap, HeaderValue, SET_COOKIE},
    web::Data,
};

use crate::{
    app::directory::tenants::TenantFacts,
    http::{
        Site,
        context::RequestContext,
        credential::{cookie_name, cookies},
        operation::Describe,
        page::Browser,
        problem::Failure,
    },
};

/// The cookies of sessions, without what https adds to the names.
const SESSION_COOKIE: &str = "gh-s-";

/// A browser as it comes: with its cookies and its languages.
#[derive(Debug)]
pub struct Visit {
    pub(super) browser: Browser,
    pub(super) sessions: Vec<(String, String)>,
    pub(super) languages: Option<String>,
    is_https: bool,
    pub(super) request_id: Arc<str>,
}

impl FromRequest for Visit {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(site) = request.app_data::<Data<Site>>() else { unreachable!("the site is part of every route") };
        let is_https = site.base_urls.is_https();
        let prefix = cookie_name(SESSION_COOKIE, is_https);
        let sessions =
            cookies(request.headers()).filter_map(|(name, value)| Some((name.strip_prefix(&*prefix)?, value)));
        ready(Ok(Self {
            browser: Browser::of(request),
            sessions: sessions.map(|(tenant, value)| (tenant.to_owned(), value.to_owned())).collect(),
            languages: request.headers().get(ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok()).map(str::to_owned),
            is_https,
            request_id: RequestContext::with(request, |context| Arc::clone(&context.id)),
        }))
    }
}

impl Describe for Visit {}

impl Visit {
    /// The cookie of a tenant. Of two, somebody else may have set one: neither counts.
    pub(super) fn session(&self, facts: &TenantFacts) -> Option<&str> {
        let tenant = suffix(facts);
        let mut values = self.sessions.iter().filter(|(known, _)| *known == tenant).map(|(_, value)| value.as_str());
        values.next().filter(|_| values.next().is_none())
    }

    pub(super) fn set(&self, headers: &mut HeaderMap, tenant: &str, value: &str, max_age: u64) {
        let name = cookie_name(SESSION_COOKIE, self.is_https);
        let secure = if self.is_https { "; Secure" } else { "" };
        let cookie = format!("{name}{tenant}={value}; Max-Age={max_age}; HttpOnly; SameSite=Lax; Path=/{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// What the cookie of a tenant is named by.
pub(super) fn suffix(facts: &TenantFacts) -> String {
    facts.tenant.id.to_string().trim_start_matches("tnt_").to_owned()
}
