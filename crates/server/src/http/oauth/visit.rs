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

use gatehouse_domain::id::TenantId;

use crate::{
    app::{App, directory::issuers::IssuerFacts, oauth::browser::BrowserSessions},
    http::{
        Site,
        context::RequestContext,
        credential::{SESSIONS_MAX, SessionCookies, cookie_name, cookies, session_cookie_name},
        hosted::texts::{self, Texts},
        operation::Describe,
        page::Browser,
        problem::Failure,
    },
};

/// The name of the cookie for the tenant that was last used at the platform's issuer, without what https adds.
const LAST_TENANT: &str = "gh-platform";

/// A browser as it comes: with its cookies and its languages.
#[derive(Debug)]
pub struct Visit {
    pub(in crate::http) browser: Browser,
    pub(super) sessions: SessionCookies,
    /// The tenant that was last used at the platform's issuer, sealed.
    last_tenant: Option<String>,
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
            last_tenant: one_cookie(request.headers(), &cookie_name(LAST_TENANT, is_https)),
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

    /// The sessions that the browser has, as far as an issuer may know of them.
    ///
    /// # Errors
    /// When the database does not answer.
    pub(in crate::http) async fn signed_in(&self, app: &App, at: &IssuerFacts) -> Result<BrowserSessions, Failure> {
        let authorization = app.authorization();
        let (cookies, last): (Vec<_>, _) = match at.tenant_id() {
            Some(tenant) => (self.sessions.of_tenant(&suffix(tenant)).into_iter().collect(), Some(tenant)),
            None => {
                let last = self.last_tenant.as_deref().and_then(|sealed| authorization.open_last_tenant(sealed));
                (self.sessions.all().take(SESSIONS_MAX).collect(), last)
            }
        };
        let sessions = authorization.sessions(&cookies, last).await?;
        // The cookie of one tenant opens no session of another.
        Ok(sessions.at(at.tenant_id()))
    }

    /// Has the browser keep the cookie that opens a session of a tenant, or forget the one that it has.
    pub(super) fn set(&self, headers: &mut HeaderMap, tenant: &str, value: &str, max_age: u64) {
        self.put(headers, &session_cookie_name(tenant, self.is_https), value, max_age);
    }

    /// Has the browser keep which tenant was last used at the platform's issuer.
    pub(super) fn set_last_tenant(&self, headers: &mut HeaderMap, sealed: &str, max_age: u64) {
        self.put(headers, &cookie_name(LAST_TENANT, self.is_https), sealed, max_age);
    }

    fn put(&self, headers: &mut HeaderMap, name: &str, value: &str, max_age: u64) {
        let secure = if self.is_https { "; Secure" } else { "" };
        let cookie = format!("{name}={value}; Max-Age={max_age}; HttpOnly; SameSite=Lax; Path=/{secure}");
        if let Ok(cookie) = HeaderValue::try_from(cookie) {
            headers.append(SET_COOKIE, cookie);
        }
    }
}

/// What the cookie of a tenant is named by.
pub(super) fn suffix(tenant: TenantId) -> String {
    tenant.to_string().trim_start_matches("tnt_").to_owned()
}

/// The cookie of a name. Of two, somebody else may have set one: neither counts.
fn one_cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = cookies(headers).filter(|(known, _)| *known == name).map(|(_, value)| value);
    values.next().filter(|_| values.next().is_none()).map(str::to_owned)
}
