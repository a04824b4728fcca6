//! Whose access token it is, and what one that an application got opens now: no more than its scopes, for as long as the
//! application, the session and the family of the token stand.

use std::sync::{Arc, OnceLock};

use gatehouse_domain::{
    application::{Application, Owner},
    authz::{Actor, PermissionSet, SystemReason, TenantRef},
    id::{ApplicationId, FamilyId, TenantId},
    issue::Parse,
    key::Issuer,
    oauth::{Scopes, Thumbprint, TokenFamily},
    partner::Status,
    text::Slug,
    time::Timestamp,
};
use gatehouse_persistence::TenantFacts;
use uuid::Uuid;

use crate::{
    app::{
        Error, Result,
        directory::issuers::IssuerFacts,
        sessions::{SessionStates, cache::Caller},
    },
    security::{
        dpop::{self, Sent},
        token::{OfApplication, OfUser, Verified, Whose},
    },
};

const AUTH: SystemReason = SystemReason::Authentication;

/// An access token, as a request shows it.
#[derive(Debug, Clone, Copy)]
pub struct Presented<'r> {
    /// The token.
    pub token: &'r [u8],
    /// What is to prove that the sender holds the key of the token, where it comes by the scheme `DPoP`.
    pub proof: Option<Proving<'r>>,
}

/// The proof of a request.
#[derive(Debug, Clone, Copy)]
pub struct Proving<'r> {
    /// The request.
    pub sent: Sent<'r>,
    /// The key that it proves to hold, once that has been looked at.
    pub proved: &'r OnceLock<Thumbprint>,
}

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
    /// Who presents this access token. `ours` is that of [`Self::verify`].
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::InvalidProof`], [`Error::SessionRevoked`], or [`Error::Unavailable`] when the database
    /// does not answer.
    pub async fn authenticate(
        &self,
        presented: &Presented<'_>,
        ours: impl Fn(&str, Option<&Slug>) -> bool,
    ) -> Result<Authenticated> {
        let now = self.env.now();
        let (verified, at) = self.verify(presented.token, ours, now).await?;
        self.is_held(&verified, presented, now)?;
        let of = match &verified.whose {
            Whose::User(user) => {
                let facts = at.tenant().ok_or(Error::InvalidToken)?;
                return self.standing(*user, facts, true, now).await.map(Authenticated::User);
            }
            Whose::UserThrough(_, _, of) | Whose::Application(of) => of,
        };
        // One that is for its application, or for an API of others, opens nothing here.
        if of.audience != verified.iss {
            return Err(Error::InvalidToken);
        }
        let Opened { application, user, scopes } = self.opened(&verified, &at, now).await?;
        Ok(match user {
            Some((caller, _)) => Authenticated::User(Arc::new(Caller {
                actor: Arc::new(caller.narrowed(scopes.narrowed(&application, caller.session.tenant()))),
                view: caller.view.clone(),
                session: caller.session.clone(),
            })),
            None => Authenticated::Application(Arc::new(application.actor(at.issuer(), &scopes.permissions()))),
        })
    }

    /// Whether who shows a token holds its key, if it is bound to one (RFC 9449, section 7).
    ///
    /// # Errors
    /// [`Error::InvalidProof`], [`Error::RateLimited`], [`Error::Overloaded`].
    pub(in crate::app) fn is_held(&self, verified: &Verified, presented: &Presented<'_>, now: Timestamp) -> Result<()> {
        let Presented { token, proof } = *presented;
        let (bound_to, of) = match &verified.whose {
            Whose::User(user) => (None, user.user_id.uuid()),
            Whose::UserThrough(user, _, of) => (of.bound_to.as_ref(), user.user_id.uuid()),
            // What is called by the address of its document acts in no name of its own.
            Whose::Application(of) => (of.bound_to.as_ref(), named(of).map_or(Uuid::nil(), ApplicationId::uuid)),
        };
        let (Some(bound_to), Some(Proving { sent, proved })) = (bound_to, proof) else {
            return match (bound_to, proof) {
                (Some(_), _) => Err(Error::InvalidProof("it must be sent as Authorization: DPoP, with a header DPoP")),
                (_, Some(_)) => Err(Error::InvalidProof("it has none, and must be sent as Authorization: Bearer")),
                (None, None) => Ok(()),
            };
        };
        if proved.get() == Some(bound_to) {
            return Ok(());
        }
        let proof = dpop::verify(&sent, Some(token), now).map_err(Error::InvalidProof)?;
        if proof.key != *bound_to {
            return Err(Error::InvalidProof("the DPoP proof is of another key than that of the token"));
        }
        if !self.admission.prove(proof.id, of, now)? {
            return Err(Error::InvalidProof("the DPoP proof was used before"));
        }
        // Nothing else can be in it.
        proved.get_or_init(|| proof.key);
        Ok(())
    }

    /// What an access token that an application got opens now.
    ///
    /// # Errors
    /// [`Error::InvalidToken`], [`Error::SessionRevoked`], or [`Error::Unavailable`] when the database does not answer.
    pub(in crate::app) async fn opened(&self, verified: &Verified, at: &IssuerFacts, now: Timestamp) -> Result<Opened> {
        let (user, of) = match &verified.whose {
            Whose::User(_) => return Err(Error::InvalidToken),
            Whose::UserThrough(user, family, of) => {
                let home = self.home(at, verified.tenant_id.ok_or(Error::InvalidToken)?).await?;
                let home = home.ok_or(Error::InvalidToken)?;
                (Some(self.through(*user, *family, of, at, &home, now).await?), of)
            }
            Whose::Application(of) => (None, of),
        };
        let id = named(of).or(user.as_ref().map(|(_, family)| family.application_id)).ok_or(Error::InvalidToken)?;
        let application = self.application(at.issuer(), id).await?.filter(|it| it.status == Status::Active);
        // One that is not called by its id is called as its family's.
        let is_so_called = |it: &Arc<Application>| named(of).is_some() || it.client_id() == of.client_id;
        let application = application.filter(|it| at.is_active() && is_so_called(it)).ok_or(Error::InvalidToken)?;
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
        at: &IssuerFacts,
        home: &TenantFacts,
        now: Timestamp,
    ) -> Result<(Arc<Caller>, Arc<TokenFamily>)> {
        let caller = self.standing(user, home, false, now).await?;
        let family = self.family(family).await?.ok_or(Error::InvalidToken)?;
        let is_theirs = match of.act {
            None => named(of).is_none_or(|id| id == family.application_id),
            // Got in exchange by another one: it works as long as the one that its user signed in to.
            Some(_) => {
                let origin = self.application(at.issuer(), family.application_id).await?;
                origin.is_some_and(|origin| origin.status == Status::Active)
            }
        };
        let is_theirs = is_theirs && family.session_id == user.session_id;
        if is_theirs && family.stands() { Ok((caller, family)) } else { Err(Error::InvalidToken) }
    }

    /// An application that can be used at an issuer: at the platform's its own, at that of a tenant its own or one of its
    /// partner. At most a second old.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub(in crate::app) async fn application(
        &self,
        issuer: Issuer,
        id: ApplicationId,
    ) -> Result<Option<Arc<Application>>> {
        Ok(self.any_application(id).await?.filter(|application| application.owner.is_at(issuer)))
    }

    /// An application that the users of a tenant can use, at whichever issuer. At most a second old.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub(in crate::app) async fn application_for(
        &self,
        tenant: TenantRef,
        id: ApplicationId,
    ) -> Result<Option<Arc<Application>>> {
        let serves = |owner: Owner| owner == Owner::Platform || owner.is_at(tenant.into());
        Ok(self.any_application(id).await?.filter(|application| serves(application.owner)))
    }

    async fn any_application(&self, id: ApplicationId) -> Result<Option<Arc<Application>>> {
        if let Some(application) = self.cache.applications.get(&id) {
            return Ok(Some(application));
        }
        let load = async || self.db.system(AUTH).application(id).await;
        Ok(self.cache.applications.load(id, load).await?)
    }

    /// What an application that acted in its own name may do now: in a tenant, or one of the platform's everywhere.
    ///
    /// # Errors
    /// [`Error::SessionRevoked`] when it may not be used any more, [`Error::Unavailable`].
    pub(in crate::app) async fn actor_of_application(
        &self,
        id: ApplicationId,
        tenant: Option<TenantId>,
        permissions: &PermissionSet,
    ) -> Result<Actor> {
        let application = self.any_application(id).await?.filter(|it| it.status == Status::Active);
        let application = application.ok_or(Error::SessionRevoked)?;
        let issuer = match (application.owner, tenant) {
            (Owner::Platform, _) => Issuer::Platform,
            (_, Some(tenant)) => {
                let facts = self.tenant(tenant).await?.filter(|facts| facts.is_active());
                facts.ok_or(Error::SessionRevoked)?.reference().into()
            }
            (_, None) => return Err(Error::SessionRevoked),
        };
        let is_there = application.owner.is_at(issuer);
        is_there.then(|| application.actor(issuer, permissions)).ok_or(Error::SessionRevoked)
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
