//! Devices that users signed in from before.

use super::DEVICE_LIFETIME;
use crate::{
    audit::{Action, Fields, Resource, ResourceKind},
    authz::By,
    change::Changed,
    id::{DeviceId, TenantId, UserId},
    secret::TokenHash,
    session::NewSession,
    time::Timestamp,
};

/// A device that a user signed in from before, and that keeps a token of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownDevice {
    /// Which one.
    pub id: DeviceId,
    /// Where its user is.
    pub tenant_id: TenantId,
    /// Who signed in there.
    pub user_id: UserId,
    /// The digest of its token.
    pub hash: TokenHash,
    /// When it became known.
    pub created_at: Timestamp,
    /// Until when it is.
    pub expires_at: Timestamp,
}

impl KnownDevice {
    /// Makes the device known that a session begins on.
    pub fn add(id: DeviceId, hash: TokenHash, session: &NewSession, now: Timestamp) -> Changed<Self> {
        let &NewSession { tenant_id, user_id, .. } = session;
        let device = Self { id, tenant_id, user_id, hash, created_at: now, expires_at: now.plus(DEVICE_LIFETIME) };
        let mut fields = Fields::default();
        fields.set("device_type", session.client.device.kind);
        let resource =
            Resource::of(ResourceKind::TrustedDevice, id.uuid()).in_tenant(session.partner_id, session.tenant_id);
        let by = By::oneself(user_id, Some(session.id));
        Changed::new(device, Action::TrustedDeviceAdded, resource, &by).with(fields)
    }
}
