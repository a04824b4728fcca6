//! Authority over what others may do: nobody gives, changes or takes away what they do not hold themselves.

use std::sync::Arc;

use crate::{
    authz::{
        actor::{Actor, By, Right, SystemReason, ends_later},
        permission::{OWN, PermissionSet},
        policy::{Denied, Grant, Permission, Reach, TenantRef},
    },
    id::UserId,
    role::{Anchor, HeldRole},
    time::Timestamp,
};

/// Who changes roles, who holds them, or users who hold some. Every transition that can give, change or take away what
/// somebody may do takes one and asks it, so no such change is there to be saved that was not allowed.
///
/// ```compile_fail
/// use gatehouse_domain::authz::Authority;
/// let forged = Authority { actor: todo!(), by: todo!(), permission: None, reach: todo!(), tenants: Vec::new() };
/// ```
///
/// ```compile_fail
/// use gatehouse_domain::{authz::By, role::Role, time::Timestamp};
/// fn empty(role: Role, by: &By) {
///     role.update(None, None, by, Timestamp::default()); // whom it is attributed to is not enough
/// }
/// ```
#[derive(Debug, Clone)]
pub struct Authority {
    actor: Arc<Actor>,
    by: By,
    /// What allows such changes; none is asked of Gatehouse itself.
    permission: Option<&'static str>,
    /// How far the grant reaches that it comes from. Rights at partners and tenants beyond count nothing.
    reach: Reach,
    tenants: Vec<TenantRef>,
}

/// For how long something must be held to count.
#[derive(Debug, Clone, Copy)]
enum Held {
    Now,
    /// `None` is for ever.
    Until(Option<Timestamp>),
}

impl<P: Permission> Grant<P> {
    /// What the actor holds, to be compared with what others hold. Rights at a partner count in those tenants only that
    /// are named here; of others it is not known whose they are.
    #[must_use]
    pub fn authority(&self, tenants: impl IntoIterator<Item = TenantRef>) -> Authority {
        Authority {
            actor: Arc::clone(&self.actor),
            by: self.by(),
            permission: Some(P::NAME),
            reach: self.reach().clone(),
            tenants: tenants.into_iter().collect(),
        }
    }
}

impl Authority {
    /// That of Gatehouse itself.
    #[must_use]
    pub fn system(reason: SystemReason) -> Self {
        let (actor, by) = (Arc::new(Actor::System(reason)), By::system(reason));
        Self { actor, by, permission: None, reach: Reach::Platform, tenants: Vec::new() }
    }

    /// Whom changes are attributed to.
    #[must_use]
    pub const fn by(&self) -> &By {
        &self.by
    }

    fn held(&self, anchor: Anchor, long: Held) -> PermissionSet {
        let partner_of = |id| self.tenants.iter().find(|tenant| tenant.id == id).map(|tenant| tenant.partner_id);
        let is_within = match (&self.reach, anchor) {
            (Reach::Platform, _) | (_, Anchor::Platform) => true,
            (Reach::Partners(ids), Anchor::Partner(id)) => ids.contains(&id),
            (Reach::Partners(ids), Anchor::Tenant(id)) => partner_of(id).is_some_and(|partner| ids.contains(&partner)),
            (Reach::Tenant(tenant), Anchor::Tenant(id)) => tenant.id == id,
            _ => false,
        };
        if !is_within {
            return PermissionSet::default();
        }
        match long {
            Held::Now => self.actor.permissions_at(anchor, partner_of),
            Held::Until(end) => self.actor.permissions_until(end, anchor, partner_of),
        }
    }

    fn holds(&self, right: &Right, long: Held) -> Result<(), Denied> {
        match self.held(right.anchor, long).first_missing(&right.permissions) {
            Some(missing) => Err(Denied::Forbidden(missing)),
            None => Ok(()),
        }
    }

    /// The rule of every change to a role or to who holds it: whoever makes it may make such changes there, holds what was
    /// allowed before, and holds what is allowed afterwards, what is new about that for as long as it will be held.
    pub(crate) fn holds_both(&self, before: Option<&Right>, after: Option<&Right>) -> Result<(), Denied> {
        for right in [before, after].into_iter().flatten() {
            if let Some(name) = self.permission
                && !self.held(right.anchor, Held::Now).covers(name)
            {
                return Err(Denied::Forbidden(name));
            }
            self.holds(right, Held::Now)?;
        }
        let is_known = |after: &Right, before: &Right| {
            before.permissions.covers_all(&after.permissions) && !ends_later(after.expires_at, before.expires_at)
        };
        match after {
            Some(after) if !before.is_some_and(|before| is_known(after, before)) => {
                self.holds(after, Held::Until(after.expires_at))
            }
            _ => Ok(()),
        }
    }

    /// Whoever describes a role holds what it will allow. As nobody holds the role yet, the time does not count.
    pub(crate) fn describes(&self, right: &Right) -> Result<(), Denied> {
        self.holds(right, Held::Now)
    }

    /// Nobody shuts out or renames a user who may do more: the caller holds whatever the user holds.
    pub(crate) fn equals(&self, roles: &[HeldRole]) -> Result<(), Denied> {
        roles.iter().try_for_each(|role| self.holds(&role.right(), Held::Now))
    }

    /// What users sign in with they change themselves, and no application does it for them: that would open to it what its
    /// token does not.
    pub(crate) fn is_no_program_of(&self, user: UserId) -> Result<(), Denied> {
        match &*self.actor {
            Actor::User(actor) if actor.user_id == user && actor.scope.is_some() => Err(Denied::Forbidden(OWN)),
            _ => Ok(()),
        }
    }

    /// The same for as long as the user holds it: who could become the user gains nothing.
    pub(crate) fn could_be(&self, user: UserId, roles: &[HeldRole]) -> Result<(), Denied> {
        self.is_no_program_of(user)?;
        roles.iter().try_for_each(|role| self.holds(&role.right(), Held::Until(role.expires_at)))
    }
}
