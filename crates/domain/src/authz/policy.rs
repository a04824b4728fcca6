//! The policy: from an actor, a permission and a target to a [`Grant`] or a [`Denied`].

use std::{marker::PhantomData, sync::Arc};

use crate::{
    authz::{
        OWN, PermissionSet,
        actor::{Actor, By, ByWhom, Right},
        reach::scope_of_own,
    },
    id::{PartnerId, SessionId, TenantId, UserId},
    role::Anchor,
};

/// Something an actor may be allowed to do. Implemented in [`super::permission`] only.
pub trait Permission: Send + Sync + 'static {
    /// What it is asked for.
    type Target;
    /// `resource:action`.
    const NAME: &'static str;
    /// The scope that opens it to the token of an application.
    const SCOPE: &'static str = Self::NAME;
    /// How far the actor may do it.
    ///
    /// # Errors
    /// [`Denied`] says whether the target may be known to exist.
    fn reach(actor: &Actor, target: &Self::Target) -> Result<Reach, Denied>;
}

/// Why an actor may not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Denied {
    /// The actor may not know that the target exists: 404.
    Hidden,
    /// The actor may know, and lacks this permission: 403.
    Forbidden(&'static str),
    /// The actor may know, and the token lacks this scope (RFC 6750, section 3.1): 403.
    Scope(&'static str),
}

/// The rows a grant opens. The ladder is `Platform` ⊃ `Partners` ⊃ `Tenant` ⊃ `Own`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Everything of the installation.
    Platform,
    /// Everything of these partners; never empty.
    Partners(Vec<PartnerId>),
    /// Everything of this tenant.
    Tenant(TenantRef),
    /// What belongs to this user of this tenant.
    Own(TenantRef, UserId),
}

impl Reach {
    /// The one tenant that it lies in; `None` where it goes across tenants.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantRef> {
        match self {
            Self::Tenant(tenant) | Self::Own(tenant, _) => Some(*tenant),
            Self::Platform | Self::Partners(_) => None,
        }
    }

    const fn acting_as(&self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Partners(_) => "partner",
            Self::Tenant(_) => "tenant",
            Self::Own(..) => "own",
        }
    }
}

/// A tenant with what the policy must know of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantRef {
    /// The tenant.
    pub id: TenantId,
    /// Its partner.
    pub partner_id: PartnerId,
}

/// The installation as a whole; only rights at the platform reach it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Installation;

/// Where tenant-owned things are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Area {
    /// Across tenants: all of the platform, or all of the actor's partners.
    Directory,
    /// At the platform itself.
    Platform,
    /// At one partner.
    Partner(PartnerId),
    /// In one tenant.
    Tenant(TenantRef),
    /// In one tenant, of one user. Needs no permission for oneself.
    UserOf(TenantRef, UserId),
    /// In one tenant. Without the permission the actor still reaches what is the actor's own.
    TenantOrOwn(TenantRef),
}

impl Installation {
    /// What of it is in a place.
    pub(super) fn at(place: Area) -> Option<Self> {
        (place == Area::Directory).then_some(Self)
    }

    pub(super) fn reach(self, actor: &Actor, name: &'static str) -> Result<Reach, Denied> {
        match actor.holder() {
            None => Ok(Reach::Platform),
            Some(holder) if holder.holds(name, |anchor| anchor == Anchor::Platform) => Ok(Reach::Platform),
            Some(_) => Err(Denied::Forbidden(name)),
        }
    }
}

impl Area {
    /// What is in a place.
    pub(super) const fn at(place: Self) -> Option<Self> {
        Some(place)
    }

    pub(super) fn reach(self, actor: &Actor, name: &'static str) -> Result<Reach, Denied> {
        match self {
            Self::Directory => actor.directory(name),
            Self::Platform => Installation.reach(actor, name),
            Self::Partner(partner) => actor.partner(partner, name),
            Self::Tenant(tenant) => actor.tenant(tenant, name),
            Self::UserOf(tenant, user_id) => match actor.own(scope_of_own(name)) {
                Some(Reach::Own(home, oneself)) if (home.id, oneself) == (tenant.id, user_id) => {
                    Ok(Reach::Own(home, oneself))
                }
                _ => actor.tenant(tenant, name),
            },
            Self::TenantOrOwn(tenant) => match (actor.tenant(tenant, name), actor.own(scope_of_own(name))) {
                (Err(Denied::Forbidden(_)), Some(Reach::Own(home, oneself))) if home.id == tenant.id => {
                    Ok(Reach::Own(home, oneself))
                }
                (decision, _) => decision,
            },
        }
    }
}

/// The proof that an actor holds permission `P` within a reach.
#[derive(Debug)]
pub struct Grant<P: Permission> {
    pub(super) actor: Arc<Actor>,
    reach: Reach,
    permission: PhantomData<fn() -> P>,
}

impl<P: Permission> Clone for Grant<P> {
    fn clone(&self) -> Self {
        Self { actor: Arc::clone(&self.actor), reach: self.reach.clone(), permission: PhantomData }
    }
}

impl<P: Permission> Grant<P> {
    /// Who was allowed.
    #[must_use]
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// What else the same actor may do.
    ///
    /// # Errors
    /// As [`authorize`].
    pub fn also<Q: Permission>(&self, target: &Q::Target) -> Result<Grant<Q>, Denied> {
        authorize(&self.actor, target)
    }

    /// Whether the actor could still do it with the rights that there are now. False when it could, but had rights besides
    /// that have ended: what was decided by these does not hold any more.
    ///
    /// # Errors
    /// [`Denied`] when it could not.
    pub fn is_confirmed(&self, rights: &[Right]) -> Result<bool, Denied> {
        let Some(then) = self.actor.holder() else { return Ok(true) };
        let holds = |within: &dyn Fn(Anchor) -> bool| {
            rights.iter().any(|right| within(right.anchor) && right.permissions.covers(P::NAME))
        };
        let may = match &self.reach {
            Reach::Own(..) => return Ok(true),
            Reach::Platform => holds(&|anchor| anchor == Anchor::Platform),
            Reach::Partners(ids) => {
                ids.iter().all(|id| holds(&|anchor| anchor == Anchor::Platform || anchor == Anchor::Partner(*id)))
            }
            Reach::Tenant(tenant) => holds(&|anchor| anchor.includes(*tenant)),
        };
        if !may {
            return Err(Denied::Forbidden(P::NAME));
        }
        if *rights == *then.rights {
            return Ok(true);
        }
        let is_left = |right: &Right| {
            let same = |now: &&Right| now.anchor == right.anchor && now.lasts(right.expires_at);
            PermissionSet::union(rights.iter().filter(same).map(|now| &now.permissions)).covers_all(&right.permissions)
        };
        Ok(then.rights.iter().all(is_left))
    }

    /// How far.
    #[must_use]
    pub const fn reach(&self) -> &Reach {
        &self.reach
    }

    /// Whom changes under this grant are attributed to.
    #[must_use]
    pub fn by(&self) -> By {
        match &*self.actor {
            Actor::System(reason) => By::system(*reason),
            Actor::User(user) => {
                By { whom: ByWhom::User(user.user_id, Some(user.session_id)), acting_as: self.reach.acting_as() }
            }
            Actor::Application(application) => application.by(),
        }
    }

    /// The session that the actor acts through.
    #[must_use]
    pub fn session_id(&self) -> Option<SessionId> {
        self.by().session_id()
    }

    /// The one tenant that the grant is for; `None` where it reaches across tenants.
    #[must_use]
    pub const fn tenant(&self) -> Option<TenantRef> {
        self.reach.tenant()
    }

    /// The user that a grant for one's own things belongs to.
    #[must_use]
    pub const fn own(&self) -> Option<UserId> {
        match self.reach {
            Reach::Own(_, user) => Some(user),
            Reach::Platform | Reach::Partners(_) | Reach::Tenant(_) => None,
        }
    }
}

/// Asks whether `actor` may do `P` to `target`.
///
/// # Errors
/// [`Denied`] with the answer that the caller may be given.
pub fn authorize<P: Permission>(actor: &Arc<Actor>, target: &P::Target) -> Result<Grant<P>, Denied> {
    let reach = P::reach(actor, target).map_err(|denied| match denied {
        Denied::Forbidden(_) if P::SCOPE != OWN && actor.lacks_scope(P::SCOPE) => Denied::Scope(P::SCOPE),
        denied => denied,
    })?;
    Ok(Grant { actor: Arc::clone(actor), reach, permission: PhantomData })
}
