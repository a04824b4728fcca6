//! Roles, where they are given, and to whom.

mod assignment;

pub(crate) use assignment::administers_platform;
pub use assignment::{Assignment, HeldRole, NewAssignment, NotGiven};

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{Authority, Denied, PermissionSet, Right, TenantRef},
    change::Changed,
    id::{PartnerId, RoleId, TenantId},
    text::Name,
    time::Timestamp,
};
use uuid::Uuid;

/// The most roles that a user is given, those that have run out among them: each answer about a user has all of them, and
/// has at most 64 KiB.
pub const MOST_ROLES: u64 = 50;

/// Where an assignment holds; it holds for everything below, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Anchor {
    /// The whole installation.
    Platform,
    /// One partner and its tenants.
    Partner(PartnerId),
    /// One tenant.
    Tenant(TenantId),
}

impl Anchor {
    /// Whether a right here holds in a tenant.
    #[must_use]
    pub fn includes(self, tenant: TenantRef) -> bool {
        match self {
            Self::Platform => true,
            Self::Partner(id) => id == tenant.partner_id,
            Self::Tenant(id) => id == tenant.id,
        }
    }

    /// The level's name.
    #[must_use]
    pub const fn level(self) -> &'static str {
        match self {
            Self::Platform => "platform",
            Self::Partner(_) => "partner",
            Self::Tenant(_) => "tenant",
        }
    }
}

/// The roles that exist everywhere and cannot be changed. Each is given at one level only and allows everything there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuiltinRole {
    /// Everything, at the platform.
    SuperAdmin,
    /// Everything of one partner.
    PartnerAdmin,
    /// Everything of one tenant.
    TenantAdmin,
}

impl BuiltinRole {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::SuperAdmin, Self::PartnerAdmin, Self::TenantAdmin];

    /// The id; the same in every installation.
    #[must_use]
    pub const fn id(self) -> RoleId {
        // UUIDv7 values of 2026-01-01T00:00:00Z with the rest spelled out, so that they are valid and recognisable.
        let serial = match self {
            Self::SuperAdmin => 1,
            Self::PartnerAdmin => 2,
            Self::TenantAdmin => 3,
        };
        RoleId::from_uuid(Uuid::from_u128(0x019b_76da_a800_7000_8000_0000_0000_0000 | serial))
    }

    /// The name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SuperAdmin => "super_admin",
            Self::PartnerAdmin => "partner_admin",
            Self::TenantAdmin => "tenant_admin",
        }
    }

    /// What it allows: everything below its anchor. What has to be named only the platform has by itself.
    #[must_use]
    pub fn permissions(self) -> PermissionSet {
        match self {
            Self::SuperAdmin => PermissionSet::all(),
            Self::PartnerAdmin | Self::TenantAdmin => PermissionSet::any(),
        }
    }

    /// The built-in role of this id.
    #[must_use]
    pub fn by_id(id: RoleId) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.id() == id)
    }

    /// Whether the role may be given here.
    #[must_use]
    pub const fn fits(self, anchor: Anchor) -> bool {
        matches!(
            (self, anchor),
            (Self::SuperAdmin, Anchor::Platform)
                | (Self::PartnerAdmin, Anchor::Partner(_))
                | (Self::TenantAdmin, Anchor::Tenant(_))
        )
    }
}

/// A role that a tenant made for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its id.
    pub id: RoleId,
    /// The tenant it belongs to; it can be given nowhere else.
    pub tenant_id: TenantId,
    /// The partner of that tenant.
    pub partner_id: PartnerId,
    /// Unique in the tenant, without regard to case.
    pub name: Name,
    /// What it allows.
    pub permissions: PermissionSet,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was deleted; its name is free for another from then on.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes; a save that finds another number lost a race.
    pub version: i64,
}

impl Role {
    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::Role, self.id.uuid()).in_tenant(self.partner_id, self.tenant_id)
    }

    /// The tenant it belongs to.
    #[must_use]
    pub const fn tenant(&self) -> TenantRef {
        TenantRef { id: self.tenant_id, partner_id: self.partner_id }
    }

    /// What it gives whoever holds it without an end.
    fn right(&self) -> Right {
        Right { anchor: Anchor::Tenant(self.tenant_id), permissions: self.permissions.clone(), expires_at: None }
    }

    /// Makes a role.
    ///
    /// # Errors
    /// [`Denied`] when it would allow what the caller does not hold.
    pub fn create(
        id: RoleId,
        tenant: TenantRef,
        name: Name,
        permissions: PermissionSet,
        caller: &Authority,
        now: Timestamp,
    ) -> Result<Changed<Self>, Denied> {
        let role = Self {
            id,
            tenant_id: tenant.id,
            partner_id: tenant.partner_id,
            name,
            permissions,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 0,
        };
        caller.describes(&role.right())?;
        let mut fields = Fields::default();
        fields.set("name", &role.name).set("permissions", role.permission_list());
        let resource = role.resource();
        Ok(Changed::new(role, Action::RoleCreated, resource, caller.by()).with(fields))
    }

    /// Changes the name, the permissions, or both. Whoever holds the role is affected at once.
    ///
    /// # Errors
    /// [`Denied`] when the caller does not hold what it allowed and will allow, what is added for ever.
    pub fn update(
        self,
        name: Option<Name>,
        permissions: Option<PermissionSet>,
        caller: &Authority,
        now: Timestamp,
    ) -> Result<Changed<Self>, Denied> {
        let mut next = self.clone();
        next.name = name.unwrap_or(next.name);
        next.permissions = permissions.unwrap_or(next.permissions);
        caller.holds_both(Some(&self.right()), Some(&next.right()))?;
        let mut fields = Fields::default();
        fields.change("name", &self.name, &next.name).change(
            "permissions",
            self.permission_list(),
            next.permission_list(),
        );
        if !fields.is_empty() {
            next.updated_at = now;
        }
        let resource = next.resource();
        Ok(Changed::new(next, Action::RoleUpdated, resource, caller.by()).with(fields))
    }

    /// Deletes the role; whoever held it holds it no longer.
    ///
    /// # Errors
    /// [`Denied`] when the caller does not hold what it allowed.
    pub fn delete(self, caller: &Authority, now: Timestamp) -> Result<Changed<Self>, Denied> {
        caller.holds_both(Some(&self.right()), None)?;
        let resource = self.resource();
        let next = Self { updated_at: now, deleted_at: Some(now), ..self };
        Ok(Changed::new(next, Action::RoleDeleted, resource, caller.by()))
    }

    fn permission_list(&self) -> Vec<&str> {
        self.permissions.iter().map(super::authz::PermissionPattern::as_str).collect()
    }
}

/// A role of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnyRole {
    /// One that exists everywhere.
    Builtin(BuiltinRole),
    /// One of a tenant.
    Custom(Role),
}

impl AnyRole {
    /// The id.
    #[must_use]
    pub const fn id(&self) -> RoleId {
        match self {
            Self::Builtin(role) => role.id(),
            Self::Custom(role) => role.id,
        }
    }

    /// What it gives at an anchor, until an end.
    fn right(&self, anchor: Anchor, expires_at: Option<Timestamp>) -> Right {
        let permissions = match self {
            Self::Builtin(role) => role.permissions(),
            Self::Custom(role) => role.permissions.clone(),
        };
        Right { anchor, permissions, expires_at }
    }

    fn fits(&self, anchor: Anchor) -> bool {
        match self {
            Self::Builtin(role) => role.fits(anchor),
            Self::Custom(role) => anchor == Anchor::Tenant(role.tenant_id),
        }
    }
}
