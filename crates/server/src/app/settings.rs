//! What the platform, partners and tenants decide, and what that does to the sessions that are there.

use gatehouse_domain::{
    audit::{FieldChange, Fields},
    authz::{Area, Grant, Permission, ReadSettings, SystemReason, WriteAudit, WriteSettings},
    id::{PartnerId, TenantId},
    issue::Loc,
    partner::{Partner, PartnerPatch},
    platform::Platform,
    session::{Caps, Effects, Tighten, Within},
    settings::{Defaults, Effective, Layers, Settings},
    tenant::{Tenant, TenantPatch},
};
use gatehouse_persistence::{Scope, System, WriteScope, WriteTx};
use uuid::Uuid;

use crate::app::{
    App, Error, Result,
    authority::assignments::an_owner_stays,
    directory::tenants::Merge,
    effects::{Mode, change},
    request::client::Origin,
};

/// Whose settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
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
async fn layers(scope: &Scope<'_>, system: &System<'_>, place: Place) -> Result<Layers> {
    Ok(match place {
        Place::Platform => Layers::of_platform(scope.platform().await?.ok_or(Error::NotFound)?.settings),
        Place::Partner(id) => {
            let partner = scope.partner(id).await?.ok_or(Error::NotFound)?;
            above(system, partner.id).await?
        }
        Place::Tenant(id) => {
            let tenant = scope.tenant(id).await?.ok_or(Error::NotFound)?;
            tenant.layers(&above(system, tenant.partner_id).await?)
        }
    })
}

/// What is decided above the tenants of a partner.
pub(crate) async fn above(system: &System<'_>, partner: PartnerId) -> Result<Layers> {
    system.above(partner).await?.ok_or(Error::NotFound)
}

/// Nobody decides anew what is looser than what is decided above. What was decided before stays, and takes no effect.
pub(crate) fn none_is_loosened(layers: &Layers, before: &Settings, place: &[Loc], defaults: &Defaults) -> Result<()> {
    match layers.loosened(before, place, defaults) {
        issues if issues.is_empty() => Ok(()),
        issues => Err(Error::Invalid(issues.into_iter().collect())),
    }
}

/// Brings sessions within what became stricter and says what that ends; a dry run only counts.
pub(crate) async fn tighten(
    tx: &WriteTx<'_>,
    scope: &WriteScope<'_>,
    tighten: &Tighten,
    mode: Mode,
) -> Result<Effects> {
    if tighten.caps.is_empty() {
        return Ok(Effects::default());
    }
    let effects = scope.tightening(tighten, tx.now()).await?;
    if mode == Mode::Real {
        scope.tighten(tighten).await?;
    }
    Ok(effects)
}

/// What is kept for a shorter time than before. To keep evidence for a shorter time takes a right of its own, also where
/// none is yet: whoever may not shorten must not have the next tenant forget sooner either.
pub(crate) fn may_shorten<P: Permission>(
    grant: &Grant<P>,
    area: &Area,
    [before, after]: [&Layers; 2],
    defaults: &Defaults,
) -> Result<Fields> {
    let shortened = before.shortened(after, defaults);
    if !shortened.is_empty() {
        grant.also::<WriteAudit>(area)?;
    }
    Ok(shortened)
}

/// Makes sure that evidence may be kept for a shorter time. A tenant keeps what is there as long as held before, and its
/// partner learns of it by an event.
pub(crate) async fn evidence_is_kept<P: Permission>(
    tx: &WriteTx<'_>,
    grant: &Grant<P>,
    area: Area,
    [before, after]: [&Layers; 2],
    defaults: &Defaults,
) -> Result<()> {
    let shortened = may_shorten(grant, &area, [before, after], defaults)?;
    if shortened.is_empty() {
        return Ok(());
    }
    // Changes of partners and of the platform concern no tenant anyway. What is below them was promised by the task that
    // removes.
    let Area::Tenant(tenant) = area else { return Ok(()) };
    let promises = before.policy(defaults).promises(tx.now());
    tx.system(SystemReason::Inheritance).promise_retention(Some(tenant), &promises).await?;
    Ok(tx.scope(grant).await?.note_shorter_retention(tenant, shortened, grant.by()).await?)
}

impl App {
    /// What a level decides itself.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn settings(&self, grant: &Grant<ReadSettings>, place: Place) -> Result<Decided> {
        let scope = self.db.scope(grant);
        let not_found = Error::NotFound;
        Ok(match place {
            Place::Platform => scope.platform().await?.ok_or(not_found)?.into(),
            Place::Partner(id) => scope.partner(id).await?.ok_or(not_found)?.into(),
            Place::Tenant(id) => scope.tenant(id).await?.ok_or(not_found)?.into(),
        })
    }

    /// What holds at a level, and who decided it.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn effective_settings(&self, grant: &Grant<ReadSettings>, place: Place) -> Result<Effective> {
        let (scope, system) = (self.db.scope(grant), self.db.system(SystemReason::Inheritance));
        Ok(layers(&scope, &system, place).await?.effective(&self.defaults))
    }

    /// Changes what a level decides. Sessions below it are brought within what became stricter.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Stale`], [`Error::Invalid`] for what would be looser than what is decided above,
    /// [`Error::Denied`] for what would be kept for a shorter time, [`Error::Conflict`] when it would shut the platform's
    /// last administrator out.
    pub async fn update_settings(
        &self,
        grant: &Grant<WriteSettings>,
        place: Place,
        merge: Merge<Settings>,
        mode: Mode,
        origin: &Origin,
    ) -> Result<Outcome> {
        let (grant, defaults) = (grant.clone(), self.defaults);
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
                Place::Platform => {
                    evidence_is_kept(tx, &grant, Area::Platform, both, &defaults).await?;
                    let platform = scope.platform().await?.ok_or(Error::NotFound)?;
                    let platform = scope.update_platform(platform.update(settings, &grant.by())).await?;
                    (Within::Platform, below, platform.into())
                }
                Place::Partner(id) => {
                    evidence_is_kept(tx, &grant, Area::Partner(id), both, &defaults).await?;
                    let partner = scope.partner(id).await?.ok_or(Error::NotFound)?;
                    let patch = PartnerPatch { settings: Some(settings), ..PartnerPatch::default() };
                    let partner = scope.update(partner.update(patch, &grant.by(), tx.now()).0).await?;
                    (Within::Partner(id), below, partner.into())
                }
                Place::Tenant(id) => {
                    let tenant = scope.tenant(id).await?.ok_or(Error::NotFound)?;
                    evidence_is_kept(tx, &grant, Area::Tenant(tenant.reference()), both, &defaults).await?;
                    let patch = TenantPatch { settings: Some(settings), ..TenantPatch::default() };
                    let tenant = scope.update(tenant.update(patch, &grant.by(), tx.now()).0).await?;
                    (Within::Tenant(tenant.reference()), Caps::between(&was.into(), &is.into()), tenant.into())
                }
            };
            if after.asks_for_verified_email() && !before.asks_for_verified_email() {
                an_owner_stays(tx).await?;
            }
            let effects = tighten(tx, &scope, &Tighten { within, caps, by: grant.by() }, mode).await?;
            Ok(Outcome { decided, changes: was.changes(&is), effects })
        };
        self.db.at_length(change(&self.db, origin.ctx.clone(), mode, work)).await
    }
}
