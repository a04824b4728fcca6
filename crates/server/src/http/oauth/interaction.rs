//! A request that somebody answers in a browser: what is shown, and where the browser goes on.

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::RETRY_AFTER},
};
use gatehouse_domain::{
    application::{Application, RedirectUri, ResourceScope},
    oauth::{
        Answered, AuthorizationRequest, Before, Destination, ErrorCode, Params, Prompt, RequestFault, Scopes, Step,
        Unanswerable,
    },
    secret::Secret,
    session::Session,
    settings::Registration,
    user::User,
};

use crate::{
    app::{
        self, App,
        directory::tenants::TenantFacts,
        oauth::{
            authorization::{Asked, NotAsked, SessionState},
            sign_out::AskedToSignOut,
        },
        request::client::{ISSUER_PATH, RequestMeta},
        sign_in::complete::{Opened, SignedIn},
    },
    http::{
        credential::SESSIONS_MAX,
        hosted::{
            ConsentPage, ErrorPage, Look, Notice, ScopeLine, SelectAccountPage, SignInFault, SignInPage, SignOutPage,
            SignedOutPage, Stranger, place,
        },
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
    pub(in crate::http) facts: &'a TenantFacts,
    pub(in crate::http) app: &'a App,
    pub(in crate::http) visit: &'a Visit,
    pub(in crate::http) meta: &'a RequestMeta,
    pub(in crate::http) params: &'a Params,
    pub(in crate::http) look: Look<'a>,
}

/// Who is signed in.
pub(in crate::http) struct SignedInUser {
    pub(in crate::http) session: Session,
    pub(super) user: User,
}

impl<'a> Interaction<'a> {
    pub(in crate::http) fn new(
        facts: &'a TenantFacts,
        app: &'a App,
        visit: &'a Visit,
        meta: &'a RequestMeta,
        params: &'a Params,
    ) -> Self {
        let look = Look::of(Some(facts), visit.texts(params.get("ui_locales")));
        Self { facts, app, visit, meta, params, look }
    }

    /// The path of a page of the tenant.
    pub(in crate::http) fn at_issuer(&self, name: &str) -> String {
        format!("{ISSUER_PATH}{}/{name}", self.facts.tenant.slug)
    }

    pub(super) fn action(&self, name: &str) -> String {
        self.at_issuer(&format!("oauth/{name}"))
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

    fn with_policy(
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
        user: Option<&SignedInUser>,
        answered: &Answered,
        notice: Option<Notice>,
    ) -> Result<HttpResponse, Failure> {
        let before = answered.before.unwrap_or_else(|| Before::of(user.map(|user| &user.session)));
        let shown = &Answered { before: Some(before), ..*answered };
        let is_another = |user: &&SignedInUser| asked.expected.is_some_and(|expected| expected != user.user.id);
        let user = match user.filter(is_another) {
            Some(another) if answered.has_signed_in(&another.session) => {
                let fault =
                    RequestFault::new(ErrorCode::LoginRequired, "another user signed in than the request names");
                return self.refuse(&asked.request.destination, fault).await;
            }
            Some(_) => None,
            None => user,
        };
        if let Some(device) = &asked.device {
            return match user {
                Some(user) => self.device(asked, device, user, shown).await,
                None => self.sign_in(asked, shown, None, "", None, notice),
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
            // Once: whoever has an account after all goes on to the sign-in from there.
            (Step::SignIn, _)
                if asked.request.asks(Prompt::Create) && answered.before.is_none() && notice.is_none() =>
            {
                let request = self.waiting(shown)?;
                sign_up::first(self, asked, &request)
            }
            (Step::SignIn, user) => self.sign_in(asked, shown, user, "", None, notice),
            (Step::SelectAccount, Some(user)) => self.select_account(asked, user, shown),
            (Step::Consent, Some(user)) => self.consent(asked, user, shown),
            (Step::Grant, Some(user)) => {
                let consents = answered.consented == Some(user.session.id);
                let pushed = self.params.pushed().map(token_hash);
                match authorization.grant(asked, &user.session, consents, pushed, self.meta).await? {
                    Some(code) => self.answer(&asked.request.destination, &[("code", code.expose())]),
                    None => self.lost(),
                }
            }
            (Step::Refuse(fault), _) => self.refuse(&asked.request.destination, fault).await,
            (Step::SelectAccount | Step::Consent | Step::Grant, None) => {
                self.sign_in(asked, shown, None, "", None, notice)
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
        call.subject.set(Some((self.facts.tenant.id, user)));
        let Opened::Cookie(state, cookie) = opened else {
            return Err(app::Error::Internal("the session has no cookie".into()).into());
        };
        let SessionState { session, user, .. } = *state;
        let user = SignedInUser { session, user };
        let mut response = self.go_on(asked, Some(&user), answered, None).await?;
        self.keep(&mut response, &user.session, &cookie);
        Ok(response)
    }

    /// Sends the browser on with an error. A request that was pushed is used up by that.
    pub(super) async fn refuse(&self, to: &Destination, fault: RequestFault) -> Result<HttpResponse, Failure> {
        self.app.authorization().use_up_pushed(self.params, self.meta).await?;
        let error = [("error", fault.error.as_str()), ("error_description", fault.description)];
        self.answer(to, &error)
    }

    fn answer(&self, to: &Destination, parameters: &[(&str, &str)]) -> Result<HttpResponse, Failure> {
        respond::answer(to, parameters, &self.meta.issuer(&self.facts.tenant.slug), self.look.t)
    }

    /// The page that asks for user name and password, and says who is signed in until then.
    pub(super) fn sign_in(
        &self,
        asked: &'a Asked,
        answered: &Answered,
        user: Option<&SignedInUser>,
        username: &str,
        fault: Option<SignInFault>,
        notice: Option<Notice>,
    ) -> Result<HttpResponse, Failure> {
        let request = self.waiting(answered)?;
        let is_open = self.app.accounts().registration(self.facts) == Registration::Open;
        let sign_up = is_open.then(|| self.at_issuer("sign-up"));
        let user = user.map(|user| &user.user);
        let hint = asked.request.login_hint.as_deref().or(user.map(|user| user.username.as_str()));
        let (status, wait) = match fault {
            None => (StatusCode::OK, None),
            Some(SignInFault::Wait(seconds)) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds)),
            Some(SignInFault::Busy) => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            Some(_) => (StatusCode::UNPROCESSABLE_ENTITY, None),
        };
        let page = SignInPage {
            frame: self.look.frame(),
            application: asked.application.name.as_str(),
            action: &self.action("sign-in"),
            request: &request,
            forgot: &self.at_issuer("forgot"),
            sign_up: sign_up.as_deref(),
            signed_in: user.map(name),
            username: if username.is_empty() { hint.unwrap_or_default() } else { username },
            fault,
            notice,
        };
        let mut response = self.page(&page, status, Some(asked))?;
        if let Some(seconds) = wait {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }

    /// The request, sealed into a page that is about no session.
    fn waiting(&self, answered: &Answered) -> Result<String, Failure> {
        let browser = self.visit.browser.id();
        Ok(self.app.authorization().seal(self.facts, self.params, browser, answered, None, None)?)
    }

    fn select_account(
        &self,
        asked: &'a Asked,
        SignedInUser { session, user }: &SignedInUser,
        answered: &Answered,
    ) -> Result<HttpResponse, Failure> {
        let page = SelectAccountPage {
            frame: self.look.frame(),
            application: asked.application.name.as_str(),
            action: &self.action("select-account"),
            request: &self.sealed(answered, session, Some(&asked.request))?,
            name: name(user),
            email: user.email.as_str(),
        };
        self.page(&page, StatusCode::OK, Some(asked))
    }

    fn consent(
        &self,
        asked: &'a Asked,
        SignedInUser { session, user }: &SignedInUser,
        answered: &Answered,
    ) -> Result<HttpResponse, Failure> {
        let Application { metadata, name: application, .. } = &*asked.application;
        let scopes = asked.request.consent_scopes();
        let page = ConsentPage {
            frame: self.look.frame(),
            application: application.as_str(),
            client_uri: metadata.client_uri.as_ref().map(|uri| uri.as_str()),
            policy_uri: metadata.policy_uri.as_ref().map(|uri| uri.as_str()),
            tos_uri: metadata.tos_uri.as_ref().map(|uri| uri.as_str()),
            redirect_host: &RedirectUri::who(&asked.request.destination.redirect_uri),
            stranger: Stranger::of(&asked.application),
            name: name(user),
            email: user.email.as_str(),
            scopes: self.lines(asked, &scopes),
            resource: asked.request.resource.as_deref(),
            action: &self.action("consent"),
            request: &self.sealed(answered, session, Some(&asked.request))?,
        };
        self.page(&page, StatusCode::OK, Some(asked))
    }

    /// Scopes in words, in the order in which people look for them.
    pub(super) fn lines<'s>(&self, asked: &'s Asked, scopes: &'s Scopes) -> Vec<ScopeLine<'s>> {
        let of_api = asked.api.as_deref().map_or(&[][..], |api| &api.metadata.resource_scopes);
        let description = |name: &str| {
            let scope = of_api.iter().find(|ResourceScope { name: known, .. }| known.as_str() == name);
            scope.and_then(|scope| scope.description.as_ref()).map(|text| text.as_str())
        };
        let mut names: Vec<_> = scopes.names().collect();
        names.sort_by_key(|name| place(name));
        names.into_iter().filter_map(|name| self.look.t.scope(name, description(name))).collect()
    }

    pub(super) fn sealed(
        &self,
        answered: &Answered,
        session: &Session,
        request: Option<&AuthorizationRequest>,
    ) -> Result<String, Failure> {
        let (params, browser) = (self.params, self.visit.browser.id());
        Ok(self.app.authorization().seal(self.facts, params, browser, answered, Some(session.id), request)?)
    }

    /// Has the browser keep what opens a session.
    fn keep(&self, response: &mut HttpResponse, session: &Session, cookie: &Secret<String>) {
        let (headers, own) = (response.headers_mut(), suffix(self.facts));
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

    /// Has the browser keep nothing of the tenant any more.
    pub(super) fn forget(&self, response: &mut HttpResponse) {
        self.visit.set(response.headers_mut(), &suffix(self.facts), "", 0);
    }

    /// The page that asks whether somebody wants to sign out.
    pub(super) fn sign_out(
        &self,
        SignedInUser { session, user }: &SignedInUser,
        asked: &AskedToSignOut,
    ) -> Result<HttpResponse, Failure> {
        let page = SignOutPage {
            frame: self.look.frame(),
            action: &self.action("sign-out"),
            request: &self.sealed(&Answered::default(), session, None)?,
            name: name(user),
        };
        let leads_to = asked.to.as_ref().map(|(uri, _)| uri.as_str());
        let policy = Policy { logo: self.look.logo(), leads_to, ..Policy::default() };
        self.with_policy(&page, StatusCode::OK, &policy)
    }

    /// The page that says that nobody is signed in any more.
    pub(super) fn signed_out(&self) -> Result<HttpResponse, Failure> {
        self.page(&SignedOutPage { frame: self.look.frame() }, StatusCode::OK, None)
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
pub(super) fn name(user: &User) -> &str {
    user.display_name.as_ref().map_or(user.username.as_str(), |name| name.as_str())
}
