//! Roles, who holds them, and where.

pub mod assignments;
pub mod roles;
pub mod scope;

use gatehouse_domain::{
    authz::{Authority, Grant, Permission, TenantRef},
    role::{Anchor, HeldRole},
};
use gatehouse_persistence::WriteScope;

use crate::app::Result;

pub use assignments::Assignments;
pub use roles::Roles;
pub use scope::AdminScopes;

/// What the caller holds, to be compared with what roles of a user of the tenant allow. Of another tenant that these are
/// anchored at, the caller has to see whose it is.
pub(crate) async fn authority<P: Permission>(
    grant: &Grant<P>,
    scope: &WriteScope<'_>,
    home: TenantRef,
    roles: &[HeldRole],
) -> Result<Authority> {
    let mut tenants = vec![home];
    for role in roles {
        if let Anchor::Tenant(id) = role.anchor
            && tenants.iter().all(|tenant| tenant.id != id)
        {
            tenants.extend(scope.tenant(id).await?.map(|tenant| tenant.reference()));
        }
    }
    Ok(grant.authority(tenants))
}
