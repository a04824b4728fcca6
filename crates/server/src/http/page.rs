//! Pages: a template whose fields the compiler checks, what a browser may do with it, and forms that only our own pages
//! send.
//!
//! A form is bound to the browser that got it: a hidden field holds a code made of the browser's cookie and of the path.
//! Before that is looked at the edge has asked the browser which site the form was sent from (`surface/page.rs`).

#[cfg(test)]
mod tests;

use std::{
    future::{Future, Ready, ready},
    pin::Pin,
};

use actix_web::{
    FromRequest, HttpRequest, HttpResponse,
    dev::Payload,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderValue, REFERRER_POLICY, SET_COOKIE,
    },
    web::Data,
};
use askama::Template;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::{
    app::{self, App},
    http::{
        Site,
        credential::{cookie_name, cookies},
        extract::form::pairs,
        operation::Describe,
        problem::Failure,
    },
    input::{Object, Opaque, input, read_form},
};

/// What a page may load and do that has a script of ours.
pub const SCRIPTED: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'none'";
/// What a page may load that is there to be read.
pub const READ: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
/// What a page with a form may load and do.
const WITH_FORM: &str =
    "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The page of a template.
///
/// # Errors
/// When it cannot be rendered.
pub fn page(template: &impl Template, policy: &'static str) -> Result<HttpResponse, Failure> {
    let body = template.render().map_err(|error| app::Error::Internal(Box::new(error)))?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, policy))
        .insert_header((CACHE_CONTROL, "no-cache"))
        .body(body))
}

/// The length of what a browser is known by: 256 bits in base64url.
const ID_LENGTH: usize = 43;

/// A browser, known by a cookie, and the path that it asks for.
#[derive(Debug)]
pub struct Browser {
    id: String,
    is_new: bool,
    is_https: bool,
    path: String,
}

impl Browser {
    /// The browser of a request; one that has no cookie of ours yet, or two, gets another.
    pub(super) fn of(request: &HttpRequest) -> Self {
        let (app, site) = (request.app_data::<Data<App>>(), request.app_data::<Data<Site>>());
        let (Some(app), Some(site)) = (app, site) else { unreachable!("both are part of every route") };
        let is_https = site.base_urls.is_https();
        let name = cookie_name("gh-browser", is_https);
        let mut ids = cookies(request.headers()).filter(|(known, _)| *known == name).map(|(_, id)| id);
        let known = ids.next().filter(|id| ids.next().is_none() && id.len() == ID_LENGTH);
        let made = || BASE64_URL_SAFE_NO_PAD.encode(app.env().random::<32>());
        let id = known.map_or_else(made, str::to_owned);
        Self { id, is_new: known.is_none(), is_https, path: request.path().to_owned() }
    }

    /// What it is known by.
    #[must_use]
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The path that it asks for.
    #[must_use]
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// Has a browser that was not known before keep what it is known by.
    pub(super) fn introduce(&self, headers: &mut HeaderMap) {
        let secure = if self.is_https { "; Secure" } else { "" };
        let name = cookie_name("gh-browser", self.is_https);
        let cookie = format!("{name}={}; HttpOnly; SameSite=Lax; Path=/{secure}", self.id);
        if let (true, Ok(cookie)) = (self.is_new, HeaderValue::try_from(cookie)) {
            headers.append(SET_COOKIE, cookie);
        }
    }

    /// What a form holds that is sent to the path of this page.
    #[must_use]
    pub fn form_token(&self, app: &App) -> String {
        self.form_token_for(app, &self.path)
    }

    /// The same for a form that is sent to another path of ours.
    #[must_use]
    pub(super) fn form_token_for(&self, app: &App, path: &str) -> String {
        app.form_tokens().write(&self.id, path)
    }

    /// Whether it got the form that a token came with from the page of this path.
    #[must_use]
    pub fn got(&self, app: &App, token: &str) -> bool {
        app.form_tokens().holds(&self.id, &self.path, token)
    }

    /// A page with a form, for this browser alone.
    ///
    /// # Errors
    /// When it cannot be rendered.
    pub fn page(&self, template: &impl Template) -> Result<HttpResponse, Failure> {
        let mut response = page(template, WITH_FORM)?;
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        // With `no-referrer` browsers would say of our own forms that they come from nowhere.
        headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
        self.introduce(headers);
        Ok(response)
    }
}

impl FromRequest for Browser {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(Self::of(request)))
    }
}

impl Describe for Browser {}

input! {
    /// What every form of a page holds besides its fields.
    pub struct Hidden {
        /// What binds it to the browser.
        form_token: Opaque<64>,
    }
}

/// The fields of a form that this browser got from the page of this path.
#[derive(Debug)]
pub struct Sent<T>(pub T);

impl<T: Object + 'static> FromRequest for Sent<T> {
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Failure>>>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let Some(app) = request.app_data::<Data<App>>() else { unreachable!("it is part of every route") };
            let browser = Browser::of(&request);
            let (hidden, fields): (Hidden, T) = read_form(pairs(&request).await?)?;
            if browser.got(app, &hidden.form_token.0) { Ok(Self(fields)) } else { Err(Failure::CrossSite) }
        })
    }
}

impl<T> Describe for Sent<T> {}
