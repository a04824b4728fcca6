//! Roles, where they are given, and to whom.

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{By, PermissionSet, Right, TenantRef},
    change::Changed,
    id::{AssignmentId, PartnerId, RoleId, TenantId, UserId},
    text::Name,
    time::Timestamp,
};
use uuid::Uuid;

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

    /// Makes a role.
    pub fn create(
        id: RoleId,
        tenant: TenantRef,
        name: Name,
        permissions: PermissionSet,
        by: &By,
        now: Timestamp,
    ) -> Changed<Self> {
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
        let mut fields = Fields::default();
        fields.set("name", &role.name).set("permissions", role.permission_list());
        let resource = role.resource();
        Changed::new(role, Action::RoleCreated, resource, by).with(fields)
    }

    /// Changes the name, the permissions, or both.
    pub fn update(
        self,
        name: Option<Name>,
        permissions: Option<PermissionSet>,
        by: &By,
        now: Timestamp,
    ) -> Changed<Self> {
        let mut next = self.clone();
        next.name = name.unwrap_or(next.name);
        next.permissions = permissions.unwrap_or(next.permissions);
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
        Changed::new(next, Action::RoleUpdated, resource, by).with(fields)
    }

    /// Deletes the role; whoever held it holds it no longer.
    pub fn delete(self, by: &By, now: Timestamp) -> Changed<Self> {
        let resource = self.resource();
        let next = Self { updated_at: now, deleted_at: Some(now), ..self };
        Changed::new(next, Action::RoleDeleted, resource, by)
    }

    fn permission_list(&self) -> Vec<&str> {
        self.permissions.iter().map(super::authz::PermissionPattern::as_str).collect()
    }
}

/// A role given to a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// Its id.
    pub id: AssignmentId,
    /// The tenant of the user.
    pub tenant_id: TenantId,
    /// The partner of that tenant.
    pub partner_id: PartnerId,
    /// Who holds the role.
    pub user_id: UserId,
    /// The role.
    pub role_id: RoleId,
    /// Where it holds.
    pub anchor: Anchor,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When it was given.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// When it was taken away.
    pub deleted_at: Option<Timestamp>,
    /// Counts the changes.
    pub version: i64,
}

/// A role as its holder has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldRole {
    /// The role.
    pub role_id: RoleId,
    /// Its name.
    pub name: String,
    /// What it allows.
    pub permissions: PermissionSet,
    /// Where it holds.
    pub anchor: Anchor,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl HeldRole {
    /// Whether it holds.
    #[must_use]
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| end > now)
    }

    /// What it gives.
    #[must_use]
    pub fn right(&self) -> Right {
        Right { anchor: self.anchor, permissions: self.permissions.clone(), expires_at: self.expires_at }
    }
}

/// What is needed to give a role.
#[derive(Debug, Clone)]
pub struct NewAssignment {
    /// The id to be.
    pub id: AssignmentId,
    /// The tenant of the user.
    pub tenant: TenantRef,
    /// Who gets the role.
    pub user_id: UserId,
    /// The role.
    pub role_id: RoleId,
    /// Where it will hold.
    pub anchor: Anchor,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

impl Assignment {
    fn resource(&self) -> Resource {
        Resource::of(ResourceKind::RoleAssignment, self.id.uuid()).in_tenant(self.partner_id, self.tenant_id)
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::default();
        fields
            .set("user_id", self.user_id)
            .set("role_id", self.role_id)
            .set("anchor", self.anchor.level())
            .set(
                "anchor_id",
                match self.anchor {
                    Anchor::Platform => None,
                    Anchor::Partner(id) => Some(id.to_string()),
                    Anchor::Tenant(id) => Some(id.to_string()),
                },
            )
            .set("expires_at", self.expires_at);
        fields
    }

    /// Gives a role.
    pub fn create(new: NewAssignment, by: &By, now: Timestamp) -> Changed<Self> {
        let assignment = Self {
            id: new.id,
            tenant_id: new.tenant.id,
            partner_id: new.tenant.partner_id,
            user_id: new.user_id,
            role_id: new.role_id,
            anchor: new.anchor,
            expires_at: new.expires_at,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 0,
        };
        let (resource, fields) = (assignment.resource(), assignment.fields());
        Changed::new(assignment, Action::AssignmentCreated, resource, by).with(fields)
    }

    /// Moves or removes the end.
    pub fn set_expiry(self, expires_at: Option<Timestamp>, by: &By, now: Timestamp) -> Changed<Self> {
        let mut fields = Fields::default();
        fields.change("expires_at", self.expires_at, expires_at);
        let resource = self.resource();
        let next = Self { expires_at, updated_at: now, ..self };
        Changed::new(next, Action::AssignmentUpdated, resource, by).with(fields)
    }

    /// Takes the role away.
    pub fn delete(self, by: &By, now: Timestamp) -> Changed<Self> {
        let (resource, fields) = (self.resource(), self.fields());
        let next = Self { deleted_at: Some(now), updated_at: now, ..self };
        Changed::new(next, Action::AssignmentDeleted, resource, by).with(fields)
    }
}
