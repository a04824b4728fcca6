//! Authorization requests: what is asked, what the user has to answer first, and the code in the end.
//!
//! While somebody is asked, the request lies sealed in the page that asks: no row waits for it, and the tabs of a browser
//! do not disturb each other. What it asks for is checked anew whenever the page comes back.

use std::{sync::Arc, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use gatehouse_domain::{
    application::Application,
    audit::Refused,
    authz::SystemReason,
    id::{FamilyId, SessionId, UserId},
    issue::Parse,
    key::KeyState,
    oauth::{
        Answered, AuthorizationCode, AuthorizationRequest, Before, Consent, Destination, DeviceRequest, ErrorCode,
        NewCode, Params, Prompt, RequestFault, Unanswerable, UserCode, subject,
    },
    partner::Status,
    secret::{Secret, TokenHash},
    session::Session,
    settings::Registration,
    time::{HOUR, Timestamp},
};
use gatehouse_persistence::{TenantFacts, WriteTx};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{Authorization, documents::Asking},
        request::client::RequestMeta,
    },
    security::{
        opaque_token,
        token::{Hint, key_of_id_token},
    },
};

/// A user that there is not.
const NOBODY: UserId = UserId::from_uuid(Uuid::nil());
const AUTH: SystemReason = SystemReason::Authentication;
/// How long a page may wait for its user.
const PAGE_LIFETIME: Duration = HOUR;

/// A request that can be granted if its user agrees.
#[derive(Debug)]
pub struct Asked {
    /// Who asks.
    pub application: Arc<Application>,
    /// For an API: what that is.
    pub api: Option<Arc<Application>>,
    /// For what.
    pub request: AuthorizationRequest,
    /// Who has to be the user, if the request says so.
    pub expected: Option<UserId>,
    /// The device that waits for it, where it is no browser that brought the request.
    pub device: Option<DeviceRequest>,
}

/// Why a request is refused.
#[derive(Debug, thiserror::Error)]
pub enum NotAsked {
    /// Nobody is sent anywhere.
    #[error("it is not known where the answer would go")]
    Unanswerable(Unanswerable),
    /// The application is told.
    #[error("{}: {}", .1.error, .1.description)]
    Told(Destination, RequestFault),
    /// Anything else.
    #[error(transparent)]
    App(#[from] Error),
}

/// A request that waits for its user.
#[derive(Debug, Serialize, Deserialize)]
pub struct Waiting {
    /// The parameters of the request.
    params: Vec<(String, String)>,
    /// The code of the device that asks, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    device: Option<String>,
    /// The browser that got the page.
    browser: String,
    /// The sessions that the browser had when the user was first asked something, and when each had last been proved, in
    /// microseconds since 1970.
    before: Vec<(Uuid, i64)>,
    /// When this page was made.
    made_at: i64,
    /// The session that the user chose to go on with.
    selected: Option<Uuid>,
    /// The session that the page is about.
    shown: Option<Uuid>,
    /// What it says that the application is given.
    given: Option<String>,
}

impl Asked {
    /// Whether the browser would go on to a place on the web that only a stranger vouches for.
    #[must_use]
    pub fn leads_to_stranger(&self) -> bool {
        self.application.is_of_stranger() && !self.request.destination.is_on_device()
    }
}

/// What a page says that an application is given, and where a document describes it, who that is.
fn given(asked: &Asked) -> String {
    let Asked { application, request, .. } = asked;
    let given = format!("{} {}", request.resource.as_deref().unwrap_or_default(), request.consent_scopes());
    if application.document.is_none() {
        return given;
    }
    let leads_to: Vec<_> = application.metadata.redirect_uris.iter().map(|uri| uri.as_str()).collect();
    format!("{given} {} {}", leads_to.join(" "), application.name)
}

/// Whether an answer counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Page {
    /// It was given to this page, by the browser that got it.
    Current,
    /// The page is older than may be.
    TooOld,
    /// Another browser got the page.
    OfAnother,
}

impl Waiting {
    /// The parameters of the request.
    #[must_use]
    pub fn params(&self) -> Params {
        Params::new(self.params.clone()).asked_by(self.device.as_deref().and_then(UserCode::read))
    }

    /// The same request, answered on pages in another language, if there is one.
    #[must_use]
    pub fn in_language(self, tag: Option<&str>) -> Self {
        let Some(tag) = tag else { return self };
        Self { params: self.params().in_language(tag).pairs().to_vec(), ..self }
    }

    /// What the user has answered before.
    #[must_use]
    pub fn answered(&self) -> Answered {
        Answered {
            before: Some(Before(
                self.before.iter().map(|(id, at)| (SessionId::from_uuid(*id), Timestamp::from_micros(*at))).collect(),
            )),
            selected: self.selected.map(SessionId::from_uuid),
            consented: None,
        }
    }

    /// The session that the page was about.
    #[must_use]
    pub fn shown(&self) -> Option<SessionId> {
        self.shown.map(SessionId::from_uuid)
    }

    /// Whether the page said all that an application is given.
    #[must_use]
    pub fn says(&self, asked: &Asked) -> bool {
        self.given.as_ref() == Some(&given(asked))
    }

    /// Whether what comes back from a browser counts.
    #[must_use]
    pub fn judge(&self, browser: &str, now: Timestamp) -> Page {
        if self.browser != browser {
            Page::OfAnother
        } else if now.since(Timestamp::from_micros(self.made_at)) > PAGE_LIFETIME {
            Page::TooOld
        } else {
            Page::Current
        }
    }
}

impl Authorization<'_> {
    /// Reads a request.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn read(&self, at: &IssuerFacts, params: &Params, meta: &RequestMeta) -> Result<Asked, NotAsked> {
        if let Some(code) = params.device() {
            return self.read_device(at, code).await;
        }
        let nowhere = |why| Err(NotAsked::Unanswerable(why));
        if params.repeats("client_id") {
            return nowhere(Unanswerable::Repeated);
        }
        let id = params.get("client_id").unwrap_or_default();
        let Asking { application, is_known } = self.clients.asking(at, id).await?;
        if application.status != Status::Active {
            return nowhere(Unanswerable::ApplicationSuspended);
        }
        // Whoever wants nothing but to send people on from here has a document for it, and lets it in.
        let is_of_stranger = application.is_of_stranger();
        match self.read_of(at, application, params, meta).await {
            Err(NotAsked::Told(to, _)) if !is_known || is_of_stranger && !to.is_on_device() => {
                nowhere(Unanswerable::WrongByUnknown)
            }
            Ok(asked) if !is_known && asked.request.asks(Prompt::None) => nowhere(Unanswerable::WrongByUnknown),
            read => read,
        }
    }

    /// Reads a request of an application.
    async fn read_of(
        &self,
        at: &IssuerFacts,
        application: Arc<Application>,
        params: &Params,
        meta: &RequestMeta,
    ) -> Result<Asked, NotAsked> {
        let destination = Destination::of(params, &application).map_err(NotAsked::Unanswerable)?;
        let api = match params.get("resource") {
            Some(uri) => self.clients.api(at, uri).await?,
            None => None,
        };
        let request = AuthorizationRequest::read(params, &application, api.as_deref(), destination.clone());
        let request = request.map_err(|fault| NotAsked::Told(destination.clone(), fault))?;
        let is_open =
            |facts: &Arc<TenantFacts>| facts.layers().policy(self.defaults).registration == Registration::Open;
        if request.asks(Prompt::Create) && !at.tenant().is_some_and(is_open) {
            let closed =
                RequestFault::new(ErrorCode::InvalidRequest, "prompt must not be create: accounts are made by others");
            return Err(NotAsked::Told(destination, closed));
        }
        let expected = match params.get("id_token_hint") {
            Some(hint) => {
                let invalid =
                    RequestFault::new(ErrorCode::InvalidRequest, "id_token_hint is no ID token of this issuer");
                let hint = self.hint(at, hint, meta).await?.ok_or(NotAsked::Told(destination, invalid))?;
                Some(hint.user_id)
            }
            // One that is no id of a user is nobody's.
            None => params.get("claims").and_then(subject).map(|sub| UserId::parse(&sub).unwrap_or(NOBODY)),
        };
        Ok(Asked { application, api, request, expected, device: None })
    }

    /// What an ID token of this issuer says, however old it is.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn hint(&self, at: &IssuerFacts, token: &str, meta: &RequestMeta) -> Result<Option<Hint>> {
        let Some(id) = key_of_id_token(token) else { return Ok(None) };
        let known = at.keys().iter().find(|key| key.id == id).cloned();
        let key = match known {
            Some(key) => Some(key),
            // A session lives longer than a key is published.
            None => self.db.system(AUTH).keys(at.issuer()).await?.into_iter().find(|key| key.id == id),
        };
        let key = key.filter(|key| key.state != KeyState::Withdrawn);
        let hint = key.and_then(|key| self.tokens.hint(token, &key));
        Ok(hint.filter(|hint| hint.iss == at.url(meta)))
    }

    /// What the user of a session let the application have before, where it is asked at all.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn remembered(&self, asked: &Asked, session: &Session) -> Result<Option<Consent>> {
        let Asked { application, request, .. } = asked;
        let is_asked = request.asks(Prompt::Consent);
        if !application.metadata.require_consent || !application.can_be_remembered() || is_asked {
            return Ok(None);
        }
        let given = self.db.system(AUTH).consent(session, application.id, request.resource.as_deref()).await?;
        Ok(given.filter(|given| application.is_as_it_was(given.consented_at)))
    }

    /// The user of a session does not let the application have what it asks for.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn refuse(&self, asked: &Asked, session: &Session, meta: &RequestMeta) -> Result<()> {
        self.refusals.record(Refused::consent(session, &asked.application), meta).await
    }

    /// Issues the code, and notes that the application is used in the session; and that the user consents, if that was
    /// answered now. None where the request was pushed and has been answered before.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn grant(
        &self,
        asked: &Asked,
        session: &Session,
        consents: bool,
        pushed: Option<TokenHash>,
        meta: &RequestMeta,
    ) -> Result<Option<Secret<String>>> {
        let token = opaque_token::mint_code(self.keyring, self.env);
        let family_id = self.env.id(FamilyId::from_parts);
        let (application, request) = (&self.clients.let_in(&asked.application, session, meta).await?, &asked.request);
        let new = NewCode { hash: token.hash, family_id, session, application, request };
        let code = AuthorizationCode::issue(&new, self.env.now());
        let (application, request, user) = (Arc::clone(application), request.clone(), session.clone());
        let work = async move |tx: &WriteTx<'_>| {
            let system = tx.system(AUTH);
            if let Some(pushed) = pushed
                && !system.spend_pushed_request(pushed).await?
            {
                return Ok(false);
            }
            if consents {
                let before = system.read().consent(&user, application.id, request.resource.as_deref()).await?;
                system.give_consent(Consent::give(before, &user, &application, &request, tx.now())).await?;
            }
            system.issue_code(&code).await?;
            system.add_session_application(code.tenant, code.session_id, &application).await?;
            Ok::<_, Error>(true)
        };
        let is_issued = self.db.write(meta.ctx.clone(), work).await?;
        self.cache.note(session.id, self.env.now());
        Ok(is_issued.then_some(token.text))
    }

    /// Seals a request into a page for a browser.
    ///
    /// # Errors
    /// [`Error::Internal`].
    pub fn seal(
        &self,
        at: &IssuerFacts,
        params: &Params,
        browser: &str,
        answered: &Answered,
        shown: Option<SessionId>,
        asked: Option<&Asked>,
    ) -> Result<String> {
        let now = self.env.now();
        let waiting = Waiting {
            params: params.pairs().to_vec(),
            device: params.device().map(|code| code.letters().to_owned()),
            browser: browser.to_owned(),
            before: answered.before.iter().flat_map(|it| &it.0).map(|(id, at)| (id.uuid(), at.micros())).collect(),
            made_at: now.micros(),
            selected: answered.selected.map(SessionId::uuid),
            shown: shown.map(SessionId::uuid),
            given: asked.map(given),
        };
        self.seal_again(at, &waiting)
    }

    /// Seals what was opened before.
    ///
    /// # Errors
    /// [`Error::Internal`] when it cannot be written.
    pub fn seal_again(&self, at: &IssuerFacts, waiting: &Waiting) -> Result<String> {
        let plain = serde_json::to_vec(waiting).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(URL_SAFE_NO_PAD.encode(self.keyring.seal_request(at.issuer(), &plain)))
    }

    /// Opens what [`Self::seal`] sealed for the same issuer; none for anything else.
    #[must_use]
    pub fn open(&self, at: &IssuerFacts, sealed: &str) -> Option<Waiting> {
        let plain = self.keyring.open_request(at.issuer(), &URL_SAFE_NO_PAD.decode(sealed).ok()?).ok()?;
        serde_json::from_slice(&plain).ok()
    }
}
