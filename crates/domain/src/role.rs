//! Roles, where they are given, and to whom.

use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{Authority, Denied, PermissionSet, Right, TenantRef},
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

/// Whether one of these roles makes its holder an administrator of the platform.
pub(crate) fn administers_platform(roles: &[HeldRole]) -> bool {
    roles.iter().any(|role| role.role_id == BuiltinRole::SuperAdmin.id())
}

/// Why a role is not given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotGiven {
    /// The role does not fit the anchor.
    Misfit,
    /// The caller does not hold what it allows there, or not for so long.
    Denied(Denied),
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
    pub role: AnyRole,
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
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn create(new: NewAssignment, caller: &Authority, now: Timestamp) -> Result<Changed<Self>, NotGiven> {
        if !new.role.fits(new.anchor) {
            return Err(NotGiven::Misfit);
        }
        let right = new.role.right(new.anchor, new.expires_at);
        caller.holds_both(None, Some(&right)).map_err(NotGiven::Denied)?;
        let assignment = Self {
            id: new.id,
            tenant_id: new.tenant.id,
            partner_id: new.tenant.partner_id,
            user_id: new.user_id,
            role_id: new.role.id(),
            anchor: new.anchor,
            expires_at: new.expires_at,
            created_at: now,
            updated_at: now,
            deleted_at: None,
            version: 0,
        };
        let (resource, fields) = (assignment.resource(), assignment.fields());
        Ok(Changed::new(assignment, Action::AssignmentCreated, resource, caller.by()).with(fields))
    }

    /// What it gives until an end. One of a role that the caller cannot see gives more than the caller has.
    fn right(&self, role: Option<&AnyRole>, expires_at: Option<Timestamp>) -> Right {
        let role = role.filter(|role| role.id() == self.role_id);
        let everything = || Right { anchor: self.anchor, permissions: PermissionSet::all(), expires_at };
        role.map_or_else(everything, |role| role.right(self.anchor, expires_at))
    }

    /// Moves or removes the end. The role is the assigned one, if the caller sees it.
    ///
    /// # Errors
    /// [`Denied`] when the caller does not hold what the role allows, or not until the new end.
    pub fn set_expiry(
        self,
        role: Option<&AnyRole>,
        expires_at: Option<Timestamp>,
        caller: &Authority,
        now: Timestamp,
    ) -> Result<Changed<Self>, Denied> {
        let right = |end| self.right(role, end);
        caller.holds_both(Some(&right(self.expires_at)), Some(&right(expires_at)))?;
        let mut fields = Fields::default();
        fields.change("expires_at", self.expires_at, expires_at);
        let (resource, endangers) = (self.resource(), expires_at.is_some() && self.administers_platform());
        let next = Self { expires_at, updated_at: now, ..self };
        let changed = Changed::new(next, Action::AssignmentUpdated, resource, caller.by()).with(fields);
        Ok(changed.endangering_platform(endangers))
    }

    /// Takes the role away. The role is the assigned one, if the caller sees it.
    ///
    /// # Errors
    /// [`Denied`] when the caller does not hold what the role allows.
    pub fn delete(self, role: Option<&AnyRole>, caller: &Authority, now: Timestamp) -> Result<Changed<Self>, Denied> {
        caller.holds_both(Some(&self.right(role, self.expires_at)), None)?;
        let (resource, fields, endangers) = (self.resource(), self.fields(), self.administers_platform());
        let next = Self { deleted_at: Some(now), updated_at: now, ..self };
        let changed = Changed::new(next, Action::AssignmentDeleted, resource, caller.by()).with(fields);
        Ok(changed.endangering_platform(endangers))
    }

    fn administers_platform(&self) -> bool {
        self.role_id == BuiltinRole::SuperAdmin.id()
    }
}
