//! Whose access token it is, and what one that an application got opens now: no more than its scopes, for as long as the
//! application, the session and the family of the token stand.

use std::sync::Arc;

use gatehouse_domain::{
    application::Application,
    authz::{Actor, PermissionSet, SystemReason},
    id::{ApplicationId, FamilyId, TenantId},
    issue::Parse,
    oauth::{Scopes, TokenFamily},
    partner::Status,
    text::Slug,
    time::Timestamp,
};
use gatehouse_persistence::TenantFacts;
use uuid::Uuid;

use crate::{
    app::{
        Error, Result,
        sessions::{SessionStates, cache::Caller},
    },
    security::token::{OfApplication, OfUser, Verified, Whose},
};

const AUTH: SystemReason = SystemReason::Authentication;

/// Who calls the API.
#[derive(Debug, Clone)]
pub enum Authenticated {
    /// A user.
    User(Arc<Caller>),
    /// An application in its own name.
    Application(Arc<Actor>),
}

/// What an access token that an application got opens now.
#[derive(Debug)]
pub(in crate::app) struct Opened {
    /// The application.
    pub(in crate::app) application: Arc<Application>,
    /// Its user with the family of the token; none where it acts in its own name.
    pub(in crate::app) user: Option<(Arc<Caller>, Arc<TokenFamily>)>,
    /// What is left of the scopes.
    pub(in crate::app) scopes: Scopes,
}

/// The application that a token names by its id. None for the address of a document, which one application after another
/// may be called by; each family is of one.
fn named(of: &OfApplication) -> Option<ApplicationId> {
    ApplicationId::parse(&of.client_id).ok()
}

impl SessionStates<'_> {
    /// Who presents this access token. `ours` says whether an issuer is one that this instance uses for a tenant.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::SessionRevoked`], or [`Error::Unavailable`] when the database does not answer.
    pub async fn authenticate(&self, token: &[u8], ours: impl Fn(&str, &Slug) -> bool) -> Result<Authenticated> {
        let now = self.env.now();
        let (verified, facts) = self.verify(token, ours, now).await?;
        let of = match &verified.whose {
            Whose::User(user) => return self.standing(*user, &facts, true, now).await.map(Authenticated::User),
            Whose::UserThrough(_, _, of) | Whose::Application(of) => of,
        };
        // One that is for its application, or for an API of others, opens nothing here.
        if of.audience != verified.iss {
            return Err(Error::InvalidToken);
        }
        let Opened { application, user, scopes } = self.opened(&verified, &facts, now).await?;
        Ok(match user {
            Some((caller, _)) => Authenticated::User(Arc::new(Caller {
                actor: Arc::new(caller.narrowed(scopes.narrowed(&application, facts.reference()))),
                view: caller.view.clone(),
                session: caller.session.clone(),
            })),
            None => Authenticated::Application(Arc::new(application.actor(facts.reference(), &scopes.permissions()))),
        })
    }

    /// What an access token that an application got opens now.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::SessionRevoked`], or [`Error::Unavailable`] when the database does not answer.
    pub(in crate::app) async fn opened(
        &self,
        verified: &Verified,
        facts: &TenantFacts,
        now: Timestamp,
    ) -> Result<Opened> {
        let (user, of) = match &verified.whose {
            Whose::User(_) => return Err(Error::InvalidToken),
            Whose::UserThrough(user, family, of) => (Some(self.through(*user, *family, of, facts, now).await?), of),
            Whose::Application(of) => (None, of),
        };
        let id = named(of).or(user.as_ref().map(|(_, family)| family.application_id)).ok_or(Error::InvalidToken)?;
        let application = self.application(facts, id).await?.filter(|it| it.status == Status::Active);
        let application = application.filter(|_| facts.is_active()).ok_or(Error::InvalidToken)?;
        // The family of a user ends by itself; of what was got in exchange it is another application's.
        if (user.is_none() || of.act.is_some()) && application.has_revoked(verified.issued_at) {
            return Err(Error::InvalidToken);
        }
        if self.is_revoked(of.token_id).await? {
            return Err(Error::InvalidToken);
        }
        let scopes = of.scopes.still_allowed(&application);
        Ok(Opened { application, user, scopes })
    }

    /// The user of a token that an application got, with its family.
    async fn through(
        &self,
        user: OfUser,
        family: FamilyId,
        of: &OfApplication,
        facts: &TenantFacts,
        now: Timestamp,
    ) -> Result<(Arc<Caller>, Arc<TokenFamily>)> {
        let caller = self.standing(user, facts, false, now).await?;
        let family = self.family(family).await?.ok_or(Error::InvalidToken)?;
        let is_theirs = match of.act {
            None => named(of).is_none_or(|id| id == family.application_id),
            // Got in exchange by another one: it works as long as the one that its user signed in to.
            Some(_) => {
                let origin = self.application(facts, family.application_id).await?;
                origin.is_some_and(|origin| origin.status == Status::Active)
            }
        };
        let is_theirs = is_theirs && family.session_id == user.session_id;
        if is_theirs && family.stands() { Ok((caller, family)) } else { Err(Error::InvalidToken) }
    }

    /// An application that can be used at the issuer of a tenant: its own, or one of its partner. At most a second old.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub(in crate::app) async fn application(
        &self,
        facts: &TenantFacts,
        id: ApplicationId,
    ) -> Result<Option<Arc<Application>>> {
        let found = match self.cache.applications.get(&id) {
            Some(application) => Some(application),
            None => {
                let load = async || self.db.system(AUTH).application(id).await;
                self.cache.applications.load(id, load).await?
            }
        };
        Ok(found.filter(|application| application.owner.is_at(facts.reference())))
    }

    /// What an application that acted in its own name may do there now.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] when it may not be used any more, [`Error::Unavailable`].
    pub(in crate::app) async fn actor_of_application(
        &self,
        id: ApplicationId,
        tenant: TenantId,
        permissions: &PermissionSet,
    ) -> Result<Actor> {
        let facts = self.tenant(tenant).await?.filter(|facts| facts.is_active()).ok_or(Error::SessionRevoked)?;
        let application = self.application(&facts, id).await?.filter(|it| it.status == Status::Active);
        Ok(application.ok_or(Error::SessionRevoked)?.actor(facts.reference(), permissions))
    }

    /// A family, at most a second old.
    async fn family(&self, id: FamilyId) -> Result<Option<Arc<TokenFamily>>> {
        if let Some(family) = self.cache.families.get(&id) {
            return Ok(Some(family));
        }
        let load = async || self.db.system(AUTH).token_family(id).await;
        Ok(self.cache.families.load(id, load).await?)
    }

    /// Whether an access token was taken back; known within a second.
    async fn is_revoked(&self, token: Uuid) -> Result<bool> {
        if let Some(revoked) = self.cache.revoked.get(&token) {
            return Ok(*revoked);
        }
        let load = async || self.db.system(AUTH).is_revoked(token).await.map(Some);
        Ok(self.cache.revoked.load(token, load).await?.is_some_and(|revoked| *revoked))
    }
}
