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
        credential::{SessionCookies, session_cookie_name},
        hosted::texts::{self, Texts},
        operation::Describe,
        page::Browser,
        problem::Failure,
    },
};

/// A browser as it comes: with its cookies and its languages.
#[derive(Debug)]
pub struct Visit {
    pub(in crate::http) browser: Browser,
    pub(super) sessions: SessionCookies,
    languages: Option<String>,
    is_https: bool,
    pub(in crate::http) request_id: Arc<str>,
}

impl FromRequest for Visit {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let Some(site) = request.app_data::<Data<Site>>() else { unreachable!("the site is part of every route") };
        let is_https = site.base_urls.is_https();
        ready(Ok(Self {
            browser: Browser::of(request),
            sessions: SessionCookies::of(request.headers(), is_https),
            languages: request.headers().get(ACCEPT_LANGUAGE).and_then(|it| it.to_str().ok()).map(str::to_owned),
            is_https,
            request_id: RequestContext::with(request, |context| Arc::clone(&context.id)),
        }))
    }
}

impl Describe for Visit {}

impl Visit {
    /// The texts of the pages: in a language of `ui_locales`, else in the one that the browser likes best.
    pub(in crate::http) fn texts(&self, ui_locales: Option<&str>) -> &'static Texts {
        texts::choose(ui_locales, self.languages.as_deref())
    }

    /// The cookie of a tenant.
    pub(super) fn session(&self, facts: &TenantFacts) -> Option<&str> {
        self.sessions.of_tenant(&suffix(facts))
    }

    /// Has the browser keep a cookie for a tenant, or forget the one that it has.
    pub(super) fn set(&self, headers: &mut HeaderMap, tenant: &str, value: &str, max_age: u64) {
        let name = session_cookie_name(tenant, self.is_https);
        let secure = if self.is_https { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Max-Age={max_age}; HttpOnly; SameSite=Lax; Path=/{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// What the cookie of a tenant is named by.
pub(super) fn suffix(facts: &TenantFacts) -> String {
    facts.tenant.id.to_string().trim_start_matches("tnt_").to_owned()
}
