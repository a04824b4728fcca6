//! Tenants.

use std::borrow::Cow;

use gatehouse_domain::{
    authz::{Area, Grant, ReadTenants, SystemReason, TenantRef, WriteTenants},
    id::{PartnerId, TenantId},
    issue::Loc,
    page::{Direction, Page, PageRequest},
    session::{Caps, Effects, Tighten, Within},
    settings::{Defaults, Settings},
    tenant::{Branding, NewTenant, Tenant, TenantPatch},
};
use gatehouse_persistence::{Db, WriteTx};

use crate::{
    app::{
        App, Error, Result,
        applications::applications_fit,
        effects::{Mode, change, end},
        platform::Keys,
        request::{Idempotency, client::RequestMeta},
        settings::{Merge, above, evidence_is_kept, may_shorten, none_is_loosened, tighten},
    },
    env::Env,
};

pub use gatehouse_persistence::{TenantFacts, TenantFilter};

/// Where the body of a tenant has its settings.
const SETTINGS: [Loc; 2] = [Loc::Key(Cow::Borrowed("body")), Loc::Key(Cow::Borrowed("settings"))];

/// Tenants.
#[derive(Debug, Clone, Copy)]
pub struct Tenants<'a> {
    pub(super) db: &'a Db,
    env: &'a Env,
    keys: Keys<'a>,
    defaults: &'a Defaults,
    idempotency: Idempotency<'a>,
}

impl App {
    /// Tenants.
    pub const fn tenants(&self) -> Tenants<'_> {
        Tenants {
            db: &self.db,
            env: &self.env,
            keys: self.keys(),
            defaults: &self.defaults,
            idempotency: self.idempotency(),
        }
    }
}

impl Tenants<'_> {
    /// Lists tenants within the grant.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the database does not answer.
    pub async fn list(
        &self,
        grant: &Grant<ReadTenants>,
        filter: &TenantFilter,
        by_name: bool,
        direction: Direction,
        page: &PageRequest,
    ) -> Result<Page<Tenant>> {
        Ok(self.db.scope(grant).tenants(filter, by_name, direction, page).await?)
    }

    /// One tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadTenants>, id: TenantId) -> Result<Tenant> {
        self.db.scope(grant).tenant(id).await?.ok_or(Error::NotFound)
    }

    /// Makes a tenant with its signing key.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the grant shows no such partner or settings are looser than what is decided above,
    /// [`Error::Denied`] when evidence would be kept for a shorter time, [`Error::Conflict`] when the slug is taken,
    /// [`Error::LimitReached`].
    pub async fn create(&self, grant: &Grant<WriteTenants>, new: NewTenant, meta: &RequestMeta) -> Result<Tenant> {
        let (id, partner) = (self.env.id(TenantId::from_parts), new.partner_id);
        let keys = self.keys.new_keys(TenantRef { id, partner_id: partner }.into(), &grant.by())?;
        let (grant, defaults) = (grant.clone(), *self.defaults);
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let may_own = grant.also::<WriteTenants>(&Area::Partner(partner)).is_ok();
            if !may_own || scope.partner(partner).await?.is_none() {
                return Err(Error::unknown("partner_id"));
            }
            another_tenant_fits(tx, partner).await?;
            let above = above(tx.system(SystemReason::Inheritance).read(), partner).await?;
            let changed = Tenant::create(id, new.clone(), &grant.by(), tx.now());
            let layers = changed.value().layers(&above);
            none_is_loosened(&layers, &Settings::default(), &SETTINGS, &defaults)?;
            let inherited = layers.replaced(Settings::default());
            let area = Area::Tenant(TenantRef { id, partner_id: partner });
            may_shorten(&grant, &area, [&inherited, &layers], &defaults)?;
            let tenant = scope.insert(changed).await?;
            scope.insert_many(keys.clone()).await?;
            Ok(tenant)
        };
        self.idempotency.write(meta, work).await
    }

    /// Changes a tenant. Suspending it ends every session in it, stricter settings those that have more than they may. Only the platform moves it to another partner.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Denied`], [`Error::Invalid`] for an unknown partner, [`Error::Conflict`],
    /// [`Error::Stale`].
    pub async fn update(
        &self,
        grant: &Grant<WriteTenants>,
        id: TenantId,
        patch: TenantPatch,
        (settings, branding): (Merge<Settings>, Merge<Branding>),
        mode: Mode,
        meta: &RequestMeta,
    ) -> Result<(Tenant, Effects)> {
        let (grant, defaults) = (grant.clone(), *self.defaults);
        let work = async move |tx: &WriteTx<'_>| {
            let scope = tx.scope(&grant).await?;
            let tenant = scope.tenant(id).await?.ok_or(Error::NotFound)?;
            let mut patch = patch.clone();
            if let Some(partner) = patch.partner_id.filter(|partner| *partner != tenant.partner_id) {
                grant.also::<WriteTenants>(&Area::Platform)?;
                if scope.partner(partner).await?.is_none() {
                    return Err(Error::unknown("partner_id"));
                }
                another_tenant_fits(tx, partner).await?;
            }
            let (mut merged_settings, mut merged_branding) = (tenant.settings, tenant.branding.clone());
            settings(&mut merged_settings);
            branding(&mut merged_branding);
            patch.settings = Some(merged_settings);
            patch.branding = Some(merged_branding);
            let system = tx.system(SystemReason::Inheritance);
            let (decided, before) = (tenant.settings, tenant.layers(&above(system.read(), tenant.partner_id).await?));
            let (partner, from) = (tenant.partner_id, tenant.reference());
            let (changed, ends) = tenant.update(patch, &grant.by(), tx.now());
            let tenant = changed.value();
            let after = if tenant.partner_id == partner {
                before.replaced(tenant.settings)
            } else {
                tenant.layers(&above(system.read(), tenant.partner_id).await?)
            };
            none_is_loosened(&after, &decided, &SETTINGS, &defaults)?;
            let area = Area::Tenant(TenantRef { id, partner_id: partner });
            evidence_is_kept(tx, &grant, area, [&before, &after], &defaults).await?;
            if tenant.partner_id != partner {
                scope.leave_applications(from).await?;
            }
            let tenant = scope.update(changed).await?;
            if tenant.partner_id != partner {
                its_users_fit(tx, tenant.reference()).await?;
                applications_fit(tx, tenant.reference()).await?;
                // Whoever was giving a role here has done so by now, or waits until the tenant has moved.
                for tie in scope.ties(from).await? {
                    scope.update(tie.end_with_move(&grant.by(), tx.now())).await?;
                }
            }
            let effects = match ends {
                Some(ends) => end(tx, &scope, &ends, mode).await?,
                None => {
                    let caps = Caps::between(&before.policy(&defaults), &after.policy(&defaults));
                    let within = Within::Tenant(tenant.reference());
                    tighten(tx, &scope, &Tighten { within, caps, by: grant.by() }, mode).await?
                }
            };
            Ok((tenant, effects))
        };
        self.db.at_length(change(self.db, meta.ctx.clone(), mode, work)).await
    }
}

/// A partner has room for one more tenant, and keeps it until the transaction ends.
async fn another_tenant_fits(tx: &WriteTx<'_>, partner: PartnerId) -> Result<()> {
    match tx.system(SystemReason::Quota).tenant_quota(partner).await?.exhausted() {
        Some(most) => Err(Error::LimitReached(format!("The partner may have {most} tenants.").into())),
        None => Ok(()),
    }
}

/// A tenant has no more users than its partner allows: one that moves may have come with too many.
async fn its_users_fit(tx: &WriteTx<'_>, tenant: TenantRef) -> Result<()> {
    match tx.system(SystemReason::Quota).user_quota(tenant).await?.exceeded() {
        Some(most) => Err(Error::LimitReached(format!("A tenant of the partner may have {most} users.").into())),
        None => Ok(()),
    }
}

/// A tenant has room for one more user, and keeps it until the transaction ends.
pub(crate) async fn another_user_fits(tx: &WriteTx<'_>, tenant: TenantRef) -> Result<()> {
    match tx.system(SystemReason::Quota).user_quota(tenant).await?.exhausted() {
        Some(most) => Err(Error::LimitReached(format!("The tenant may have {most} users.").into())),
        None => Ok(()),
    }
}
