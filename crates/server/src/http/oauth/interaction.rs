//! A request that somebody answers in a browser: what is shown, and where the browser goes on.

use actix_web::{HttpResponse, http::StatusCode};
use gatehouse_domain::{
    oauth::{Answered, Destination, ErrorCode, Params, Prompt, RequestFault, Step, Unanswerable},
    secret::Secret,
    session::Session,
    user::User,
};

use crate::{
    app::{
        self, App,
        directory::issuers::IssuerFacts,
        oauth::{
            authorization::{Asked, NotAsked},
            browser::{BrowserSessions, SessionState},
        },
        request::client::RequestMeta,
        sign_in::complete::{Opened, SignedIn},
    },
    http::{
        credential::SESSIONS_MAX,
        hosted::{ErrorPage, Look, Notice},
        oauth::{
            respond::{self, Policy},
            visit::{Visit, suffix},
        },
        pages::sign_up,
        problem::Failure,
        request::ChangeRequest,
    },
    security::keyring::token_hash,
};

/// A request that somebody answers.
pub(in crate::http) struct Interaction<'a> {
    pub(in crate::http) at: &'a IssuerFacts,
    pub(in crate::http) app: &'a App,
    pub(in crate::http) visit: &'a Visit,
    pub(in crate::http) meta: &'a RequestMeta,
    pub(in crate::http) params: &'a Params,
    pub(in crate::http) look: Look<'a>,
}

impl<'a> Interaction<'a> {
    pub(in crate::http) fn new(
        at: &'a IssuerFacts,
        app: &'a App,
        visit: &'a Visit,
        meta: &'a RequestMeta,
        params: &'a Params,
    ) -> Self {
        let look = Look::of(at.tenant().map(|facts| &**facts), visit.texts(params.get("ui_locales")));
        Self { at, app, visit, meta, params, look }
    }

    /// The path of a page below the endpoints of the issuer.
    pub(in crate::http) fn action(&self, name: &str) -> String {
        format!("{}/{name}", self.at.endpoints())
    }

    fn policy(&self, asked: Option<&'a Asked>) -> Policy<'_> {
        Policy {
            logo: self.look.logo(),
            leads_to: asked.filter(|it| it.device.is_none()).map(|it| it.request.destination.redirect_uri.as_str()),
            keeps_opener: asked.is_some_and(|asked| asked.application.metadata.opens_popup)
                || self.params.get("display") == Some("popup"),
            is_scripted: false,
        }
    }

    pub(in crate::http) fn page(
        &self,
        template: &impl askama::Template,
        status: StatusCode,
        asked: Option<&'a Asked>,
    ) -> Result<HttpResponse, Failure> {
        self.with_policy(template, status, &self.policy(asked))
    }

    pub(super) fn with_policy(
        &self,
        template: &impl askama::Template,
        status: StatusCode,
        policy: &Policy<'_>,
    ) -> Result<HttpResponse, Failure> {
        let mut response = respond::page(template, status, policy)?;
        self.visit.browser.introduce(response.headers_mut());
        Ok(response)
    }

    /// Goes on with a request: asks what there is to be asked, or answers.
    pub(super) async fn go_on(
        &self,
        asked: &'a Asked,
        browser: &BrowserSessions,
        answered: &Answered,
        notice: Option<Notice>,
    ) -> Result<HttpResponse, Failure> {
        let before = answered.before.clone().unwrap_or_else(|| browser.before());
        let shown = &Answered { before: Some(before), ..answered.clone() };
        let is_another = |user: &SessionState| asked.expected.is_some_and(|expected| expected != user.user.id);
        let user = match browser.current(answered) {
            Some(another) if is_another(another) && answered.has_signed_in(&another.session) => {
                let fault =
                    RequestFault::new(ErrorCode::LoginRequired, "another user signed in than the request names");
                return self.refuse(&asked.request.destination, fault).await;
            }
            Some(another) if is_another(another) => None,
            Some(user) if !self.app.authorization().serves(self.at, &user.session).await? => None,
            user => user,
        };
        // Of the sessions that a browser has in tenants, its user says which the platform's issuer is to know.
        let is_open = asked.expected.is_none() || answered.selected.is_none();
        let offers = user.is_none() && self.at.tenant().is_none() && is_open && !browser.all().is_empty();
        if let Some(device) = &asked.device {
            return match user {
                Some(user) => self.device(asked, device, user, shown).await,
                None if offers && notice.is_none() => self.select_account(asked, browser, shown).await,
                None => self.sign_in(asked, shown, (browser, None), ("", None), notice),
            };
        }
        let session = user.map(|user| &user.session);
        let authorization = self.app.authorization();
        let remembered = match session {
            Some(session) => authorization.remembered(asked, session).await?,
            None => None,
        };
        let now = self.app.env().now();
        let step = asked.request.next(&asked.application, session, answered, remembered.as_ref(), now);
        match (step, user) {
            (Step::Refuse(_), None) if offers && asked.expected.is_none() => {
                let fault = RequestFault::new(ErrorCode::AccountSelectionRequired, "the user has to choose an account");
                self.refuse(&asked.request.destination, fault).await
            }
            (Step::SignIn, None) if offers && notice.is_none() && !asked.request.asks(Prompt::Login) => {
                self.select_account(asked, browser, shown).await
            }
            // Once: whoever has an account after all goes on to the sign-in from there.
            (Step::SignIn, user) => match self.at.tenant() {
                Some(facts) if asked.request.asks(Prompt::Create) && answered.before.is_none() && notice.is_none() => {
                    let request = self.waiting(shown)?;
                    sign_up::first(self, facts, asked, &request, browser.usual())
                }
                _ => self.sign_in(asked, shown, (browser, user), ("", None), notice),
            },
            (Step::SelectAccount, Some(_)) => self.select_account(asked, browser, shown).await,
            (Step::Consent, Some(user)) => self.consent(asked, user, shown).await,
            (Step::Grant, Some(user)) => {
                let consents = answered.consented == Some(user.session.id);
                let pushed = self.params.pushed().map(token_hash);
                let Some(code) = authorization.grant(asked, &user.session, consents, pushed, self.meta).await? else {
                    return self.lost();
                };
                let mut response = self.answer(&asked.request.destination, &[("code", code.expose())])?;
                self.remember_use(&mut response, &user.session);
                Ok(response)
            }
            // A program that nobody vouches for sends nobody on who has not let it in.
            (Step::Refuse(_), _) if asked.leads_to_stranger() && remembered.is_none() => {
                self.not_asked(NotAsked::Unanswerable(Unanswerable::WrongByUnknown)).await
            }
            (Step::Refuse(fault), _) => self.refuse(&asked.request.destination, fault).await,
            (Step::SelectAccount | Step::Consent | Step::Grant, None) => {
                self.sign_in(asked, shown, (browser, None), ("", None), notice)
            }
        }
    }

    /// Goes on as somebody who has just signed in, whose session the browser keeps.
    pub(in crate::http) async fn enter(
        &self,
        asked: &'a Asked,
        answered: &Answered,
        SignedIn { user, opened, .. }: SignedIn,
        call: &ChangeRequest,
    ) -> Result<HttpResponse, Failure> {
        let Opened::Cookie(state, cookie) = opened else {
            return Err(app::Error::Internal("the session has no cookie".into()).into());
        };
        call.subject.set(Some((state.session.tenant_id, user)));
        let (browser, answered) = (BrowserSessions::one(*state), Answered { selected: None, ..answered.clone() });
        let mut response = self.go_on(asked, &browser, &answered, None).await?;
        if let Some(user) = browser.usual() {
            self.keep(&mut response, &user.session, &cookie);
        }
        Ok(response)
    }

    /// Sends the browser on with an error. A request that was pushed is used up by that.
    pub(super) async fn refuse(&self, to: &Destination, fault: RequestFault) -> Result<HttpResponse, Failure> {
        self.app.authorization().use_up_pushed(self.params, self.meta).await?;
        let error = [("error", fault.error.as_str()), ("error_description", fault.description)];
        self.answer(to, &error)
    }

    fn answer(&self, to: &Destination, parameters: &[(&str, &str)]) -> Result<HttpResponse, Failure> {
        respond::answer(to, parameters, &self.at.url(self.meta), self.look.t)
    }

    pub(super) fn sealed(
        &self,
        answered: &Answered,
        session: &Session,
        asked: Option<&Asked>,
    ) -> Result<String, Failure> {
        let (params, browser) = (self.params, self.visit.browser.id());
        Ok(self.app.authorization().seal(self.at, params, browser, answered, Some(session.id), asked)?)
    }

    /// Has the browser keep what opens a session.
    fn keep(&self, response: &mut HttpResponse, session: &Session, cookie: &Secret<String>) {
        let (headers, own) = (response.headers_mut(), suffix(session.tenant_id));
        let left = session.max_expires_at.since(self.app.env().now());
        self.visit.set(headers, &own, cookie.expose(), left.as_secs());
        // Browsers send first what they have kept longest.
        let mut others: Vec<_> = self.visit.sessions.tenants().filter(|tenant| *tenant != own).collect();
        others.dedup();
        for oldest in others.iter().take((others.len() + 1).saturating_sub(SESSIONS_MAX)) {
            self.visit.set(headers, oldest, "", 0);
        }
    }

    /// What is answered where a request cannot be granted whoever asks.
    pub(super) async fn not_asked(&self, why: NotAsked) -> Result<HttpResponse, Failure> {
        match why {
            NotAsked::Told(to, fault) => self.refuse(&to, fault).await,
            NotAsked::App(error) => Err(error.into()),
            NotAsked::Unanswerable(why) => {
                let what = match why {
                    Unanswerable::ApplicationUnknown => self.look.t.unknown_application,
                    Unanswerable::ApplicationSuspended => self.look.t.application_suspended,
                    Unanswerable::DocumentUnusable => self.look.t.stranger.unusable,
                    Unanswerable::WrongByUnknown => self.look.t.stranger.wrong,
                    Unanswerable::RedirectMissing => self.look.t.missing_redirect_uri,
                    Unanswerable::RedirectUnknown => self.look.t.unregistered_redirect_uri,
                    Unanswerable::Repeated => self.look.t.repeated_parameter,
                    Unanswerable::CodeUnknown => self.look.t.device.gone,
                };
                self.error(StatusCode::BAD_REQUEST, what)
            }
        }
    }

    /// At the platform's issuer, has the browser keep who used it.
    fn remember_use(&self, response: &mut HttpResponse, session: &Session) {
        if self.at.tenant().is_none() {
            let sealed = self.app.authorization().seal_last_used(session);
            let left = session.max_expires_at.since(self.app.env().now());
            self.visit.set_last_used(response.headers_mut(), &sealed, left.as_secs());
        }
    }

    /// Has the browser keep nothing of a session any more.
    pub(super) fn forget(&self, response: &mut HttpResponse, browser: &BrowserSessions, session: &Session) {
        self.visit.set(response.headers_mut(), &suffix(session.tenant_id), "", 0);
        if self.at.tenant().is_none() && browser.usual().is_some_and(|usual| usual.session.id == session.id) {
            self.visit.set_last_used(response.headers_mut(), "", 0);
        }
    }

    /// Nobody signs in where the tenant or its partner is suspended.
    pub(in crate::http) fn suspended(&self) -> Result<HttpResponse, Failure> {
        self.error(StatusCode::FORBIDDEN, self.look.t.tenant_suspended)
    }

    /// The page does not say which request it was for: it is none of ours, or was changed or cut on its way.
    pub(super) fn lost(&self) -> Result<HttpResponse, Failure> {
        self.error(StatusCode::BAD_REQUEST, self.look.t.request_lost)
    }

    /// Says what happened, where there is nowhere to go back to.
    pub(in crate::http) fn error(&self, status: StatusCode, what: &str) -> Result<HttpResponse, Failure> {
        let page =
            ErrorPage { frame: self.look.frame(), title: self.look.t.failed, what, request_id: &self.visit.request_id };
        self.page(&page, status, None)
    }
}

/// How somebody is addressed.
pub(in crate::http) fn name(user: &User) -> &str {
    user.display_name.as_ref().map_or(user.username.as_str(), |name| name.as_str())
}
