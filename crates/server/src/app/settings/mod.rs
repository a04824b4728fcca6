//! What the platform, partners and tenants decide, and what that does to the sessions that are there.

mod rules;

use gatehouse_domain::{
    audit::FieldChange,
    authz::{Area, Grant, ReadSettings, SystemReason, WriteSettings},
    id::{PartnerId, TenantId},
    partner::{Partner, PartnerPatch},
    platform::Platform,
    session::{Caps, Effects, Tighten, Within},
    settings::{Defaults, Effective, Layers, Settings},
    tenant::{Tenant, TenantPatch},
};
use gatehouse_persistence::{Db, Scope, System, WriteTx};
use uuid::Uuid;

use crate::app::{
    App, Error, Result,
    effects::{Mode, change},
    request::client::RequestMeta,
};

pub(crate) use rules::{above, evidence_is_kept, may_shorten, none_is_loosened, tighten};

/// What changes of settings or looks: applied to what they are when the change is made.
pub type Merge<T> = std::sync::Arc<dyn Fn(&mut T) + Send + Sync>;

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SettingsOwner {
    /// The platform's.
    Platform,
    /// A partner's.
    Partner(PartnerId),
    /// A tenant's.
    Tenant(TenantId),
}

/// What a level decides itself.
#[derive(Debug, Clone, Copy)]
pub struct Decided {
    /// The settings.
    pub settings: Settings,
    /// The id of what decides, nil for the platform, and how often that was changed.
    pub revision: (Uuid, i64),
}

impl From<Platform> for Decided {
    fn from(platform: Platform) -> Self {
        Self { settings: platform.settings, revision: (Uuid::nil(), platform.version) }
    }
}

impl From<Partner> for Decided {
    fn from(partner: Partner) -> Self {
        Self { settings: partner.settings, revision: (partner.id.uuid(), partner.version) }
    }
}

impl From<Tenant> for Decided {
    fn from(tenant: Tenant) -> Self {
        Self { settings: tenant.settings, revision: (tenant.id.uuid(), tenant.version) }
    }
}

/// What a change of settings did, or would do.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// What the level decides now.
    pub decided: Decided,
    /// What holds at the level now and did not before.
    pub changes: Vec<FieldChange>,
    /// Which sessions ended.
    pub effects: Effects,
}

/// What all levels decide down to a place that the scope shows.
async fn layers(scope: &Scope<'_>, system: &System<'_>, place: SettingsOwner) -> Result<Layers> {
    Ok(match place {
        SettingsOwner::Platform => Layers::of_platform(scope.platform().await?.ok_or(Error::NotFound)?.settings),
        SettingsOwner::Partner(id) => {
            let partner = scope.partner(id).await?.ok_or(Error::NotFound)?;
            above(system, partner.id).await?
        }
        SettingsOwner::Tenant(id) => {
            let tenant = scope.tenant(id).await?.ok_or(Error::NotFound)?;
            tenant.layers(&above(system, tenant.partner_id).await?)
        }
    })
}

/// What the platform, partners and tenants decide.
#[derive(Debug, Clone, Copy)]
pub struct LevelSettings<'a> {
    db: &'a Db,
    defaults: &'a Defaults,
}

impl App {
    /// What the platform, partners and tenants decide.
    pub const fn settings(&self) -> LevelSettings<'_> {
        LevelSettings { db: &self.db, defaults: &self.defaults }
    }
}

impl LevelSettings<'_> {
    /// What a level decides itself.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn decided(&self, grant: &Grant<ReadSettings>, place: SettingsOwner) -> Result<Decided> {
        let scope = self.db.scope(grant);
        let not_found = Error::NotFound;
        Ok(match place {
            SettingsOwner::Platform => scope.platform().await?.ok_or(not_found)?.into(),
            SettingsOwner::Partner(id) => scope.partner(id).await?.ok_or(not_found)?.into(),
            SettingsOwner::Tenant(id) => scope.tenant(id).await?.ok_or(not_found)?.into(),
        })
    }

    /// What holds at a level, and who decided it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn effective(&self, grant: &Grant<ReadSettings>, place: SettingsOwner) -> Result<Effective> {
        let (scope, system) = (self.db.scope(grant), self.db.system(SystemReason::Inheritance));
        Ok(layers(&scope, &system, place).await?.effective(self.defaults))
    }

    /// Changes what a level decides. Sessions below it are brought within what became stricter.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::Invalid`] for what would be looser than what is decided above,
    /// [`Error::Denied`] for what would be kept for a shorter time, [`Error::Conflict`] when it would shut the platform's
    /// last administrator out.
    pub async fn update(
        &self,
        grant: &Grant<WriteSettings>,
        place: SettingsOwner,
        merge: Merge<Settings>,
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<Outcome> {
        let (grant, defaults) = (grant.clone(), *self.defaults);
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let before = layers(&scope, tx.system(SystemReason::Inheritance).read(), place).await?;
            let mut settings = before.own();
            merge(&mut settings);
            let after = before.replaced(settings);
            none_is_loosened(&after, &before.own(), &["body".into()], &defaults)?;
            let (was, is) = (before.values(&defaults), after.values(&defaults));
            let both = [&before, &after];
            let below = Caps::below(&before.own(), &settings, &is);
            let (within, caps, decided) = match place {
                SettingsOwner::Platform => {
                    evidence_is_kept(tx, &grant, Area::Platform, both, &defaults).await?;
                    let platform = scope.platform().await?.ok_or(Error::NotFound)?;
                    let platform = scope.update_platform(platform.update(settings, &grant.by())).await?;
                    (Within::Platform, below, platform.into())
                }
                SettingsOwner::Partner(id) => {
                    evidence_is_kept(tx, &grant, Area::Partner(id), both, &defaults).await?;
                    let partner = scope.partner(id).await?.ok_or(Error::NotFound)?;
                    let patch = PartnerPatch { settings: Some(settings), ..PartnerPatch::default() };
                    let partner = scope.update(partner.update(patch, &grant.by(), tx.now()).0).await?;
                    (Within::Partner(id), below, partner.into())
                }
                SettingsOwner::Tenant(id) => {
                    let tenant = scope.tenant(id).await?.ok_or(Error::NotFound)?;
                    evidence_is_kept(tx, &grant, Area::Tenant(tenant.reference()), both, &defaults).await?;
                    let patch = TenantPatch { settings: Some(settings), ..TenantPatch::default() };
                    let tenant = scope.update(tenant.update(patch, &grant.by(), tx.now()).0).await?;
                    (Within::Tenant(tenant.reference()), Caps::between(&was.into(), &is.into()), tenant.into())
                }
            };
            let effects = tighten(tx, &scope, &Tighten { within, caps, by: grant.by() }, mode).await?;
            Ok(Outcome { decided, changes: was.changes(&is), effects })
        };
        self.db.at_length(change(self.db, meta.ctx.clone(), mode, work)).await
    }
}
