//! What a change of settings must keep to, and what it does to the sessions that are there.

use gatehouse_domain::{
    audit::Fields,
    authz::{Area, Grant, Permission, SystemReason, WriteAudit},
    id::PartnerId,
    issue::Loc,
    session::{Effects, Tighten},
    settings::{Defaults, Layers, Settings},
};
use gatehouse_persistence::{System, WriteScope, WriteTx};

use crate::app::{Error, Result, effects::Mode};

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
