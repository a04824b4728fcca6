//! How far the rights of an actor reach.

use crate::{
    authz::{
        actor::{ACCOUNT_READ, ACCOUNT_WRITE, Actor, Right},
        policy::{Denied, Reach, TenantRef},
    },
    id::{PartnerId, TenantId},
    role::Anchor,
    time::Timestamp,
};

/// The scope with which what is one's own is reached without a permission.
pub(super) fn scope_of_own(name: &str) -> &'static str {
    if name.ends_with(":read") { ACCOUNT_READ } else { ACCOUNT_WRITE }
}

/// Who has rights at places, be it a user or an application.
#[derive(Debug, Clone, Copy)]
pub(super) struct Holder<'a> {
    /// The tenant that it belongs to, if it belongs to one.
    home: Option<TenantRef>,
    pub(super) rights: &'a [Right],
}

impl Holder<'_> {
    pub(super) fn holds(&self, name: &str, anchored: impl Fn(Anchor) -> bool) -> bool {
        self.rights.iter().any(|right| anchored(right.anchor) && right.permissions.covers(name))
    }

    /// The partners at which it holds such a right.
    fn partners(&self, such: impl Fn(&Right) -> bool) -> Option<Reach> {
        let at = |right: &Right| match right.anchor {
            Anchor::Partner(id) => Some(id),
            Anchor::Platform | Anchor::Tenant(_) => None,
        };
        let mut partners: Vec<_> = self.rights.iter().filter(|right| such(right)).filter_map(at).collect();
        partners.sort();
        partners.dedup();
        (!partners.is_empty()).then_some(Reach::Partners(partners))
    }

    fn reach_tenant(&self, tenant: TenantRef, name: &'static str, may: bool) -> Result<Reach, Denied> {
        let is_at_home = self.home.is_some_and(|home| home.id == tenant.id);
        let sees = is_at_home || self.rights.iter().any(|right| right.anchor.includes(tenant));
        match (may, sees) {
            (true, _) => Ok(Reach::Tenant(tenant)),
            (false, true) => Err(Denied::Forbidden(name)),
            (false, false) => Err(Denied::Hidden),
        }
    }
}

impl Actor {
    /// Whoever acts, as the holder of rights; `None` for the system, which needs none.
    pub(super) fn holder(&self) -> Option<Holder<'_>> {
        let (_, home) = self.id()?;
        let rights = match self {
            Self::User(user) => &user.rights,
            Self::Application(application) => &application.rights,
            Self::System(_) => return None,
        };
        Some(Holder { home, rights })
    }

    /// What is the actor's own, as far as a scope opens it; `None` for who is no user.
    pub(super) fn own(&self, scope: &str) -> Option<Reach> {
        let (Self::User(user), (_, Some(home))) = (self, self.id()?) else { return None };
        let is_open = user.scope.as_ref().is_none_or(|narrowed| narrowed.opens(scope));
        is_open.then_some(Reach::Own(home, user.user_id))
    }

    /// Whether the token lacks a scope that is needed.
    pub(super) fn lacks_scope(&self, scope: &'static str) -> bool {
        match self {
            Self::User(user) => user.scope.as_ref().is_some_and(|narrowed| !narrowed.opens(scope)),
            // It has no account, so no scope would help.
            Self::Application(_) if [ACCOUNT_READ, ACCOUNT_WRITE].contains(&scope) => false,
            Self::Application(application) => !application.rights.iter().any(|right| right.permissions.covers(scope)),
            Self::System(_) => false,
        }
    }

    /// Whether the token opens no permission at all, whatever its user holds.
    pub(super) fn opens_nothing(&self) -> bool {
        match self {
            Self::User(user) => user.scope.as_ref().is_some_and(|narrowed| narrowed.permissions.is_empty()),
            Self::Application(application) => application.rights.iter().all(|right| right.permissions.is_empty()),
            Self::System(_) => false,
        }
    }

    pub(super) fn directory(&self, name: &'static str) -> Result<Reach, Denied> {
        let Some(user) = self.holder() else { return Ok(Reach::Platform) };
        if user.holds(name, |anchor| anchor == Anchor::Platform) {
            return Ok(Reach::Platform);
        }
        user.partners(|right| right.permissions.covers(name)).ok_or(Denied::Forbidden(name))
    }

    /// Where the actor holds any right at the platform or at partners.
    pub(super) fn administered(&self) -> Option<Reach> {
        match self.holder() {
            None => Some(Reach::Platform),
            Some(holder) if holder.rights.iter().any(|right| right.anchor == Anchor::Platform) => Some(Reach::Platform),
            Some(holder) => holder.partners(|_| true),
        }
    }

    pub(super) fn partner(&self, partner: PartnerId, name: &'static str) -> Result<Reach, Denied> {
        let Some(user) = self.holder() else { return Ok(Reach::Partners(vec![partner])) };
        let above = |anchor| matches!(anchor, Anchor::Platform) || anchor == Anchor::Partner(partner);
        if user.holds(name, above) {
            return Ok(Reach::Partners(vec![partner]));
        }
        // Whoever administers another partner must not learn of this one; who administers none learns nothing anyway.
        let elsewhere = user.rights.iter().any(|right| matches!(right.anchor, Anchor::Partner(_)));
        let sees = user.rights.iter().any(|right| above(right.anchor));
        if elsewhere && !sees { Err(Denied::Hidden) } else { Err(Denied::Forbidden(name)) }
    }

    pub(super) fn tenant(&self, tenant: TenantRef, name: &'static str) -> Result<Reach, Denied> {
        match self.holder() {
            None => Ok(Reach::Tenant(tenant)),
            Some(user) => user.reach_tenant(tenant, name, user.holds(name, |anchor| anchor.includes(tenant))),
        }
    }

    /// Whether the actor holds any right in a tenant.
    pub(super) fn administers(&self, tenant: TenantRef, name: &'static str) -> Result<Reach, Denied> {
        match self.holder() {
            None => Ok(Reach::Tenant(tenant)),
            Some(user) => {
                user.reach_tenant(tenant, name, user.rights.iter().any(|right| right.anchor.includes(tenant)))
            }
        }
    }

    /// The permissions that the actor holds at an anchor, from there or from above. Nobody may give away more.
    #[must_use]
    pub fn permissions_at(
        &self,
        anchor: Anchor,
        partner_of: impl Fn(TenantId) -> Option<PartnerId>,
    ) -> super::PermissionSet {
        self.rights_at(anchor, partner_of, |_| true)
    }

    /// Those of [`Self::permissions_at`] that the actor holds until an end, where `None` is for ever. Nobody may give
    /// away for longer.
    #[must_use]
    pub fn permissions_until(
        &self,
        until: Option<Timestamp>,
        anchor: Anchor,
        partner_of: impl Fn(TenantId) -> Option<PartnerId>,
    ) -> super::PermissionSet {
        self.rights_at(anchor, partner_of, |right| right.lasts(until))
    }

    fn rights_at(
        &self,
        anchor: Anchor,
        partner_of: impl Fn(TenantId) -> Option<PartnerId>,
        counts: impl Fn(&Right) -> bool,
    ) -> super::PermissionSet {
        match self.holder() {
            None => super::PermissionSet::all(),
            Some(user) => super::PermissionSet::union(
                user.rights
                    .iter()
                    .filter(|right| counts(right))
                    .filter(|right| match (right.anchor, anchor) {
                        (Anchor::Platform, _) => true,
                        (Anchor::Partner(held), Anchor::Tenant(tenant)) => partner_of(tenant) == Some(held),
                        (held, wanted) => held == wanted,
                    })
                    .map(|right| &right.permissions),
            ),
        }
    }
}
