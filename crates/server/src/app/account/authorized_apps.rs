//! The applications that a user is signed in to or lets have something, and the end of that.

use std::collections::{BTreeMap, BTreeSet};

use gatehouse_domain::{
    application::Application,
    authz::{Grant, Oneself, SeeOneself, SystemReason},
    id::ApplicationId,
    oauth::{Scopes, Withdrawal},
    session::{EndReason, RevokeMany, RevokeTarget},
    time::Timestamp,
};
use gatehouse_persistence::WriteTx;

use crate::app::{Error, Result, account::Accounts, request::client::RequestMeta};

const AUTH: SystemReason = SystemReason::Authentication;

/// What an application may have of a user.
#[derive(Debug, Clone)]
pub struct AuthorizedApp {
    /// The application.
    pub application: Application,
    /// What its tokens open, or may.
    pub scopes: Scopes,
    /// The APIs of others that its tokens are for, or may be.
    pub resources: BTreeSet<String>,
    /// When the user last consented; none where nobody was asked.
    pub consented_at: Option<Timestamp>,
    /// When it last got tokens, as far as these can still be used.
    pub last_used_at: Option<Timestamp>,
    /// How many times it is signed in.
    pub families: u64,
}

/// The same, before it is known what the application is.
#[derive(Debug, Default)]
struct Had {
    scopes: Scopes,
    resources: BTreeSet<String>,
    consented_at: Option<Timestamp>,
    last_used_at: Option<Timestamp>,
    families: u64,
}

impl Accounts<'_> {
    /// The applications that have something of the user, in three statements. One that was deleted has nothing any more.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn authorized_apps(&self, grant: &Grant<SeeOneself>) -> Result<Vec<AuthorizedApp>> {
        let (Some(tenant), Some(user)) = (grant.tenant(), grant.own()) else { return Err(Error::NotFound) };
        let system = self.db.system(AUTH);
        let mut all: BTreeMap<ApplicationId, Had> = BTreeMap::new();
        for consent in system.consents_of(tenant.id, user).await? {
            let had = all.entry(consent.application_id).or_default();
            had.scopes = had.scopes.or(&consent.scopes);
            had.resources.extend(consent.resource);
            had.consented_at = had.consented_at.max(Some(consent.consented_at));
        }
        for family in system.families_of(tenant.id, user, self.env.now()).await? {
            let had = all.entry(family.application_id).or_default();
            had.scopes = had.scopes.or(&family.scopes);
            had.resources.extend(family.audience.resource().map(str::to_owned));
            had.last_used_at = had.last_used_at.max(Some(family.chain.rotated_at));
            had.families += 1;
        }
        let ids: Vec<_> = all.keys().copied().collect();
        let applications = if ids.is_empty() { Vec::new() } else { system.applications_by_id(&ids).await? };
        let shown = applications.into_iter().filter_map(|application| {
            let Had { scopes, resources, consented_at, last_used_at, families } = all.remove(&application.id)?;
            Some(AuthorizedApp { application, scopes, resources, consented_at, last_used_at, families })
        });
        Ok(shown.collect())
    }

    /// Takes back what an application may have of the user, and ends its tokens.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such application. One that has nothing is none the worse.
    pub async fn withdraw(
        &self,
        grant: &Grant<Oneself>,
        application_id: ApplicationId,
        meta: &RequestMeta,
    ) -> Result<()> {
        let (Some(tenant), Some(user_id)) = (grant.tenant(), grant.own()) else { return Err(Error::NotFound) };
        let facts = self.states.tenant(tenant.id).await?.ok_or(Error::NotFound)?;
        self.states.application_for(facts.reference(), application_id).await?.ok_or(Error::NotFound)?;
        let grant = grant.clone();
        let work = async move |tx: &WriteTx<'_>| {
            tx.scope(&grant).await?;
            let (system, by) = (tx.system(AUTH), grant.by());
            system.withdraw_consent(Withdrawal { tenant, user_id, application_id }.withdraw(&by)).await?;
            let target = RevokeTarget::OwnFor(tenant, user_id, application_id);
            system.revoke_many(&RevokeMany { target, except: None, reason: EndReason::User, by }).await?;
            Ok::<_, Error>(())
        };
        self.db.write(meta.ctx.clone(), work).await
    }
}
