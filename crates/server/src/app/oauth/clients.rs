//! Which applications there are at an issuer, and whether who calls is one (RFC 6749, sections 2.3 and 3.2.1).

use std::sync::Arc;

use gatehouse_domain::{
    application::{Application, ClientAuthMethod, Jwks, Origin, Owner, Profile, ResourceUri},
    audit::Refused,
    authz::SystemReason,
    id::ApplicationId,
    issue::Parse,
    key::Issuer,
    oauth::{Audience, ErrorCode, Scopes},
    partner::Status,
    secret::{Secret, TokenHash},
    time::Timestamp,
};
use gatehouse_persistence::WriteTx;

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        oauth::{Clients, NotGiven},
        request::client::RequestMeta,
    },
    security::{client_assertion, keyring::token_hash},
};

const AUTH: SystemReason = SystemReason::Authentication;

/// What an application shows of itself.
#[derive(Debug)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Its secret, if it shows one.
    pub secret: Option<Secret<String>>,
    /// What it signed, if it shows that.
    pub assertion: Option<String>,
}

const NOT_PROVED: &str = "the application did not prove who it is";

const fn not_proved() -> NotGiven {
    NotGiven::fault(ErrorCode::InvalidClient, NOT_PROVED)
}

/// Why an application did not prove who it is.
struct Unproved {
    /// For the audit trail.
    why: &'static str,
    /// For the application.
    told: &'static str,
}

/// By the secret, which is returned, or by none where an application has none.
fn by_secret(
    application: &Application,
    method: ClientAuthMethod,
    shown: &Shown,
    now: Timestamp,
) -> Result<Option<TokenHash>, Unproved> {
    let hash = shown.secret.as_ref().map(|secret| token_hash(secret.expose()));
    let why = match (method, hash) {
        _ if shown.assertion.is_some() => "assertion_instead",
        (ClientAuthMethod::None, None) => return Ok(None),
        (ClientAuthMethod::None, Some(_)) => "secret_of_public",
        (_, Some(hash)) if application.secrets.working(now).any(|known| known.hash == hash) => return Ok(Some(hash)),
        (_, Some(_)) => "wrong_secret",
        (_, None) => "no_secret",
    };
    Err(Unproved { why, told: NOT_PROVED })
}

impl Clients<'_> {
    /// An application that can be used at an issuer. At most a second old.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn application(&self, at: &IssuerFacts, id: &str) -> Result<Option<Arc<Application>>> {
        match ApplicationId::parse(id) {
            // One that a document describes is called by the address of that.
            Ok(id) => {
                let known = self.states.application(at.issuer(), id).await?;
                Ok(known.filter(|it| it.document.is_none()))
            }
            Err(_) => self.known_by_document(at, id).await,
        }
    }

    /// The application that is an API which can be asked for at an issuer. At most a second old.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn api(&self, at: &IssuerFacts, uri: &str) -> Result<Option<Arc<Application>>> {
        let Ok(uri) = ResourceUri::parse(uri) else { return Ok(None) };
        let key = (at.issuer().uuid(), *token_hash(&uri.key()).as_bytes());
        if let Some(known) = self.cache.apis.get(&key) {
            return Ok(Some(known));
        }
        let load = async || {
            let owner = at.reference().map_or(Owner::Platform, Owner::Tenant);
            let found = self.db.system(AUTH).apis(owner, std::slice::from_ref(&uri)).await?;
            Ok::<_, Error>(found.into_iter().find(|api| api.status == Status::Active))
        };
        self.cache.apis.load(key, load).await
    }

    /// Which of the scopes that were granted an application may still have, for whom its tokens are: what it is registered
    /// with, and what the API has, may have become less.
    ///
    /// # Errors
    /// `invalid_target` when it may not ask for that API any more.
    pub async fn still_allowed(
        &self,
        at: &IssuerFacts,
        application: &Application,
        audience: &Audience,
        scopes: &Scopes,
    ) -> Result<Scopes, NotGiven> {
        let api = match audience.resource() {
            None => None,
            Some(uri) => Some(self.target(at, application, uri).await?),
        };
        Ok(scopes.and(&Scopes::allowed(application, api.as_deref())))
    }

    /// The API of others that an application may ask for by a URI.
    ///
    /// # Errors
    /// `invalid_target` when it may not.
    pub async fn target(
        &self,
        at: &IssuerFacts,
        application: &Application,
        uri: &str,
    ) -> Result<Arc<Application>, NotGiven> {
        let api = self.api(at, uri).await?.filter(|api| application.may_use(api, uri));
        api.ok_or(NotGiven::fault(ErrorCode::InvalidTarget, "the application may not ask for that resource"))
    }

    /// Whether pages of an origin may call an issuer, or where none is named the API. At most a second old.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn allows_origin(&self, issuer: Option<Issuer>, origin: &str) -> Result<bool> {
        let Ok(origin) = Origin::parse(origin) else { return Ok(false) };
        let key = (issuer.map_or(uuid::Uuid::max(), Issuer::uuid), *token_hash(origin.as_str()).as_bytes());
        if let Some(known) = self.cache.origins.get(&key) {
            return Ok(*known);
        }
        let load = async || self.db.system(AUTH).allows_origin(issuer, origin.as_str()).await.map(Some);
        Ok(self.cache.origins.load(key, load).await?.is_some_and(|allowed| *allowed))
    }

    /// The application that calls. A secret that is not right is recorded as often as wrong passwords may be.
    ///
    /// # Errors
    /// `invalid_client`.
    pub async fn authenticate(
        &self,
        at: &IssuerFacts,
        shown: &Shown,
        meta: &RequestMeta,
    ) -> Result<Arc<Application>, NotGiven> {
        let application = self.application(at, &shown.id).await?.ok_or(not_proved())?;
        let application = self.up_to_date(at, application).await?;
        let proved = match application.metadata.token_endpoint_auth_method {
            ClientAuthMethod::PrivateKeyJwt => self.by_assertion(at, &application, shown, meta).await?.map(|()| None),
            method => by_secret(&application, method, shown, self.env.now()),
        };
        let refused = match (proved, application.status) {
            (Ok(secret), Status::Active) => {
                self.cache.note_use(application.id, secret, self.env.now());
                return Ok(application);
            }
            (Ok(_), Status::Suspended) => Unproved { why: "suspended", told: NOT_PROVED },
            (Err(unproved), _) => unproved,
        };
        self.refusals.record(Refused::application(&application, refused.why), meta).await?;
        Err(NotGiven::fault(ErrorCode::InvalidClient, refused.told))
    }

    /// The keys that an application signs with: those that it is registered with, or those that it publishes.
    async fn keys_of(&self, application: &Application, assertion: &str) -> Option<Arc<Jwks>> {
        if let Some(keys) = &application.metadata.jwks {
            return Some(Arc::new(keys.clone()));
        }
        let address = application.metadata.jwks_uri.as_ref()?;
        let named = client_assertion::key_of(assertion);
        let has = |keys: &Jwks| named.as_ref().is_none_or(|(kid, alg)| keys.key(kid.as_deref(), alg).is_some());
        self.published.of(self.outbound, application.id, address.as_str(), has, self.env.now()).await
    }

    /// An assertion counts once, whichever replica it comes to.
    async fn by_assertion(
        &self,
        at: &IssuerFacts,
        application: &Application,
        shown: &Shown,
        meta: &RequestMeta,
    ) -> Result<Result<(), Unproved>> {
        let unproved = |why, told| Ok(Err(Unproved { why, told }));
        let Some(assertion) = &shown.assertion else {
            return unproved("no_assertion", "the application has to send a client_assertion");
        };
        let Some(keys) = self.keys_of(application, assertion).await else {
            return unproved("no_keys", "the keys of the application cannot be fetched from its jwks_uri");
        };
        let issuer = at.url(meta);
        let is_strict = application.metadata.profile == Profile::Fapi2;
        let proof = match client_assertion::verify(assertion, &keys, &shown.id, &issuer, is_strict, self.env.now()) {
            Ok(proof) => proof,
            Err(told) => return unproved("wrong_assertion", told),
        };
        let work = async move |tx: &WriteTx<'_>| {
            Ok::<_, Error>(tx.system(AUTH).spend_assertion(proof.id, proof.expires_at).await?)
        };
        match self.db.write(meta.ctx.clone(), work).await? {
            true => Ok(Ok(())),
            false => unproved("assertion_used", "client_assertion was used before"),
        }
    }
}
