//! What somebody is asked in a browser: who it is, whether an application may have what it asks for, whether to sign out.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{ALLOW, HeaderValue, RETRY_AFTER},
    },
};
use gatehouse_domain::{
    application::{Application, RedirectUri, ResourceScope},
    oauth::{Answered, Scopes},
    settings::Registration,
};

use crate::{
    app::oauth::{
        authorization::Asked,
        browser::{BrowserSessions, SessionState},
        sign_out::AskedToSignOut,
    },
    http::{
        hosted::{
            AccountLine, AddressPage, ConsentPage, Notice, PasswordPage, ScopeLine, SelectAccountPage, SignInFault,
            SignInPage, SignOutPage, SignedOutPage, Stranger, place,
        },
        oauth::{
            interaction::{Interaction, name},
            respond::Policy,
        },
        pages::at_tenant,
        problem::Failure,
    },
};

impl<'a> Interaction<'a> {
    /// Who is signed in. At the platform's issuer the tenant is named, as a browser may have accounts of several.
    pub(super) async fn account<'s>(
        &self,
        SessionState { session, user, .. }: &'s SessionState,
    ) -> Result<AccountLine<'s>, Failure> {
        let home = match self.at.tenant() {
            Some(_) => None,
            None => self.app.session_states().tenant(session.tenant_id).await?,
        };
        let tenant = home.map(|home| home.tenant.name.as_str().to_owned());
        Ok(AccountLine { session: session.id.to_string(), name: name(user), email: user.email.as_str(), tenant })
    }

    async fn accounts<'s>(
        &self,
        states: impl Iterator<Item = &'s SessionState>,
    ) -> Result<Vec<AccountLine<'s>>, Failure> {
        let mut accounts = Vec::new();
        for state in states {
            accounts.push(self.account(state).await?);
        }
        Ok(accounts)
    }

    /// The page that asks for user name and password, of `user` where that is known, and says whose session ends if
    /// somebody else signs in.
    pub(super) fn sign_in(
        &self,
        asked: &'a Asked,
        answered: &Answered,
        (browser, user): (&BrowserSessions, Option<&SessionState>),
        (username, fault): (&str, Option<SignInFault>),
        notice: Option<Notice>,
    ) -> Result<HttpResponse, Failure> {
        let Some(facts) = self.at.tenant() else {
            let hint = asked.request.login_hint.as_deref().or(user.map(|user| user.user.email.as_str()));
            let address = if username.is_empty() { hint.unwrap_or_default() } else { username };
            return self.address(asked, answered, address, fault, notice);
        };
        let request = self.waiting(answered)?;
        let is_open = self.app.accounts().registration(facts) == Registration::Open;
        let sign_up = is_open.then(|| at_tenant(facts, "sign-up"));
        let (user, former) = (user.map(|user| &user.user), browser.usual());
        let hint = asked.request.login_hint.as_deref().or(user.map(|user| user.username.as_str()));
        let action = self.action("sign-in");
        let page = SignInPage {
            frame: self.look.frame().of_form(&action, Some(&request)),
            application: asked.application.name.as_str(),
            action: &action,
            request: &request,
            forgot: &at_tenant(facts, "forgot"),
            sign_up: sign_up.as_deref(),
            stranger: Stranger::of(&asked.application),
            signed_in: former.map(|former| name(&former.user)),
            username: if username.is_empty() { hint.unwrap_or_default() } else { username },
            fault,
            notice,
        };
        self.with_fault(&page, asked, fault)
    }

    /// A page that says what is wrong with a sign-in, if anything is.
    fn with_fault(
        &self,
        page: &impl askama::Template,
        asked: &'a Asked,
        fault: Option<SignInFault>,
    ) -> Result<HttpResponse, Failure> {
        let (status, wait) = match fault {
            None => (StatusCode::OK, None),
            Some(SignInFault::Wait(seconds)) => (StatusCode::TOO_MANY_REQUESTS, Some(seconds)),
            Some(SignInFault::Busy) => (StatusCode::SERVICE_UNAVAILABLE, Some(1)),
            Some(_) => (StatusCode::UNPROCESSABLE_ENTITY, None),
        };
        let mut response = self.page(page, status, Some(asked))?;
        if let Some(seconds) = wait {
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }

    /// The page of the platform that asks for the address.
    fn address(
        &self,
        asked: &'a Asked,
        answered: &Answered,
        address: &str,
        fault: Option<SignInFault>,
        notice: Option<Notice>,
    ) -> Result<HttpResponse, Failure> {
        let (action, request) = (self.action("sign-in"), self.waiting(answered)?);
        let page = AddressPage {
            frame: self.look.frame().of_form(&action, Some(&request)),
            application: asked.application.name.as_str(),
            action: &action,
            request: &request,
            address,
            fault,
            notice,
        };
        self.with_fault(&page, asked, fault)
    }

    /// The page of the platform that asks for the password of an address, whatever is known of that.
    pub(super) fn password(
        &self,
        asked: &'a Asked,
        answered: &Answered,
        (address, tenant): (&str, &str),
        fault: Option<SignInFault>,
    ) -> Result<HttpResponse, Failure> {
        let (action, request) = (self.action("sign-in"), self.waiting(answered)?);
        let page = PasswordPage {
            frame: self.look.frame().of_form(&action, Some(&request)),
            application: asked.application.name.as_str(),
            action: &action,
            another: &self.action("select-account"),
            request: &request,
            address,
            tenant,
            fault,
        };
        self.with_fault(&page, asked, fault)
    }

    /// The request, sealed into a page that is about no session.
    pub(super) fn waiting(&self, answered: &Answered) -> Result<String, Failure> {
        let browser = self.visit.browser.id();
        Ok(self.app.authorization().seal(self.at, self.params, browser, answered, None, None)?)
    }

    /// The page that asks who goes on, of those who are signed in.
    pub(super) async fn select_account(
        &self,
        asked: &'a Asked,
        browser: &BrowserSessions,
        answered: &Answered,
    ) -> Result<HttpResponse, Failure> {
        let (action, request) = (self.action("select-account"), self.waiting(answered)?);
        let page = SelectAccountPage {
            frame: self.look.frame().of_form(&action, Some(&request)),
            application: asked.application.name.as_str(),
            action: &action,
            request: &request,
            accounts: self.accounts(browser.all().iter()).await?,
        };
        self.page(&page, StatusCode::OK, Some(asked))
    }

    /// The page that asks whether an application may have what it asks for.
    pub(super) async fn consent(
        &self,
        asked: &'a Asked,
        user: &SessionState,
        answered: &Answered,
    ) -> Result<HttpResponse, Failure> {
        let Application { metadata, name: application, .. } = &*asked.application;
        let scopes = asked.request.consent_scopes();
        let (action, request) = (self.action("consent"), self.sealed(answered, &user.session, Some(asked))?);
        let page = ConsentPage {
            frame: self.look.frame().of_form(&action, Some(&request)),
            application: application.as_str(),
            client_uri: metadata.client_uri.as_ref().map(|uri| uri.as_str()),
            policy_uri: metadata.policy_uri.as_ref().map(|uri| uri.as_str()),
            tos_uri: metadata.tos_uri.as_ref().map(|uri| uri.as_str()),
            redirect_host: &RedirectUri::who(&asked.request.destination.redirect_uri),
            stranger: Stranger::of(&asked.application),
            account: self.account(user).await?,
            scopes: self.lines(asked, &scopes),
            resource: asked.request.resource.as_deref(),
            action: &action,
            request: &request,
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

    /// The page that asks whether somebody wants to sign out.
    pub(super) async fn sign_out(&self, user: &SessionState, asked: &AskedToSignOut) -> Result<HttpResponse, Failure> {
        let page = SignOutPage {
            frame: self.look.frame(),
            action: &self.action("sign-out"),
            request: &self.sealed(&Answered::default(), &user.session, None)?,
            account: self.account(user).await?,
        };
        let leads_to = asked.to.as_ref().map(|(uri, _)| uri.as_str());
        let policy = Policy { logo: self.look.logo(), leads_to, ..Policy::default() };
        self.with_policy(&page, StatusCode::OK, &policy)
    }

    /// The page that says that somebody is signed out, and who is not.
    pub(super) async fn signed_out<'s>(
        &self,
        application: Option<&Application>,
        rest: impl Iterator<Item = &'s SessionState>,
    ) -> Result<HttpResponse, Failure> {
        // A link here says which application is meant, and anybody writes one: a stranger's leads nowhere.
        let application = application.filter(|it| !it.is_of_stranger());
        let site = application.and_then(|it| it.metadata.client_uri.as_ref());
        let back = application.zip(site).map(|(application, site)| (application.name.as_str(), site.as_str()));
        let page = SignedOutPage { frame: self.look.frame(), back, rest: self.accounts(rest).await? };
        self.page(&page, StatusCode::OK, None)
    }

    /// Says that a page is reached by its form alone: somebody opened its address.
    pub(super) fn not_by_address(&self) -> Result<HttpResponse, Failure> {
        let mut response = self.error(StatusCode::METHOD_NOT_ALLOWED, self.look.t.not_by_address)?;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
        Ok(response)
    }
}
