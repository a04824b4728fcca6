//! Who holds which role, and where.

use super::{Anchor, AnyRole, BuiltinRole};
use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::{Authority, By, Denied, PermissionSet, Right, TenantRef},
    change::Changed,
    id::{AssignmentId, PartnerId, RoleId, TenantId, UserId},
    time::Timestamp,
};

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

    /// Makes room for the same role again, where this has run out. As it gives nothing any more, that takes nothing away.
    #[must_use]
    pub fn clear_away(self, by: &By, now: Timestamp) -> Option<Changed<Self>> {
        self.expires_at.filter(|end| *end <= now)?;
        let (resource, fields) = (self.resource(), self.fields());
        let next = Self { deleted_at: Some(now), updated_at: now, ..self };
        Some(Changed::new(next, Action::AssignmentDeleted, resource, by).with(fields).because("expired"))
    }

    /// Ends with the move of a tenant that it ties to the partner that the tenant leaves: of that partner's people in the
    /// tenant, or of the tenant's people at that partner. Nobody else could end it there afterwards.
    pub fn end_with_move(self, by: &By, now: Timestamp) -> Changed<Self> {
        let (resource, fields) = (self.resource(), self.fields());
        let next = Self { deleted_at: Some(now), updated_at: now, ..self };
        Changed::new(next, Action::AssignmentDeleted, resource, by).with(fields).because("tenant_moved")
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
        let updated_at = if fields.is_empty() { self.updated_at } else { now };
        let next = Self { expires_at, updated_at, ..self };
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
