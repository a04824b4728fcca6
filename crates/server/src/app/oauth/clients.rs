//! Which applications there are at an issuer, and whether who calls is one (RFC 6749, sections 2.3 and 3.2.1).

use std::sync::Arc;

use gatehouse_domain::{
    application::{Application, ClientAuthMethod, Origin, Owner, ResourceUri},
    audit::Refused,
    authz::SystemReason,
    id::ApplicationId,
    issue::Parse,
    oauth::{Audience, ErrorCode, Scopes},
    partner::Status,
    secret::Secret,
};
use gatehouse_persistence::TenantFacts;

use crate::{
    app::{
        Error, Result,
        oauth::{Clients, NotGiven},
        request::client::RequestMeta,
    },
    security::keyring::token_hash,
};

const AUTH: SystemReason = SystemReason::Authentication;

/// What an application shows of itself.
#[derive(Debug)]
pub struct Shown {
    /// Its id.
    pub id: String,
    /// Its secret, if it shows one.
    pub secret: Option<Secret<String>>,
}

const fn not_proved() -> NotGiven {
    NotGiven::fault(ErrorCode::InvalidClient, "the application did not prove who it is")
}

impl Clients<'_> {
    /// An application that can be used at the issuer of a tenant: its own, or one of its partner. At most a second old.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn application(&self, facts: &TenantFacts, id: &str) -> Result<Option<Arc<Application>>> {
        match ApplicationId::parse(id) {
            Ok(id) => self.states.application(facts, id).await,
            Err(_) => Ok(None),
        }
    }

    /// The application that is an API which can be used in a tenant. At most a second old.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn api(&self, facts: &TenantFacts, uri: &str) -> Result<Option<Arc<Application>>> {
        let Ok(uri) = ResourceUri::parse(uri) else { return Ok(None) };
        let key = (facts.tenant.id, *token_hash(&uri.key()).as_bytes());
        if let Some(known) = self.cache.apis.get(&key) {
            return Ok(Some(known));
        }
        let load = async || {
            let found = self.db.system(AUTH).apis(Owner::Tenant(facts.reference()), std::slice::from_ref(&uri)).await?;
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
        facts: &TenantFacts,
        application: &Application,
        audience: &Audience,
        scopes: &Scopes,
    ) -> Result<Scopes, NotGiven> {
        let api = match audience.resource() {
            None => None,
            Some(uri) => Some(self.target(facts, application, uri).await?),
        };
        Ok(scopes.and(&Scopes::allowed(application, api.as_deref())))
    }

    /// The API of others that an application may ask for by a URI.
    ///
    /// # Errors
    /// `invalid_target` when it may not.
    pub async fn target(
        &self,
        facts: &TenantFacts,
        application: &Application,
        uri: &str,
    ) -> Result<Arc<Application>, NotGiven> {
        let api = self.api(facts, uri).await?.filter(|_| application.may_ask_for(uri));
        api.ok_or(NotGiven::fault(ErrorCode::InvalidTarget, "the application may not ask for that resource"))
    }

    /// Whether pages of an origin may call the issuer of a tenant. At most a second old.
    ///
    /// # Errors
    /// [`crate::app::Error::Unavailable`] when the database does not answer.
    pub async fn allows_origin(&self, facts: &TenantFacts, origin: &str) -> Result<bool> {
        let Ok(origin) = Origin::parse(origin) else { return Ok(false) };
        let key = (facts.tenant.id, *token_hash(origin.as_str()).as_bytes());
        if let Some(known) = self.cache.origins.get(&key) {
            return Ok(*known);
        }
        let load = async || self.db.system(AUTH).allows_origin(facts.reference(), origin.as_str()).await.map(Some);
        Ok(self.cache.origins.load(key, load).await?.is_some_and(|allowed| *allowed))
    }

    /// The application that calls. A secret that is not right is recorded as often as wrong passwords may be.
    ///
    /// # Errors
    /// `invalid_client`.
    pub async fn authenticate(
        &self,
        facts: &TenantFacts,
        shown: &Shown,
        meta: &RequestMeta,
    ) -> Result<Arc<Application>, NotGiven> {
        let application = self.application(facts, &shown.id).await?.ok_or(not_proved())?;
        let now = self.env.now();
        let is_proved = match (application.metadata.token_endpoint_auth_method, &shown.secret) {
            (ClientAuthMethod::None, None) => Ok(()),
            (ClientAuthMethod::None, Some(_)) => Err("secret_of_public"),
            (ClientAuthMethod::ClientSecretBasic, Some(secret)) => {
                let hash = token_hash(secret.expose());
                let works = application.secrets.working(now).any(|known| known.hash == hash);
                if works { Ok(()) } else { Err("wrong_secret") }
            }
            (ClientAuthMethod::ClientSecretBasic, None) => Err("no_secret"),
            (ClientAuthMethod::PrivateKeyJwt, _) => Err("no_assertion"),
        };
        let refused = match (is_proved, application.status) {
            (Ok(()), Status::Active) => return Ok(application),
            (Ok(()), Status::Suspended) => "suspended",
            (Err(why), _) => why,
        };
        self.refusals.record(Refused::application(&application, refused), meta).await?;
        Err(not_proved())
    }
}
