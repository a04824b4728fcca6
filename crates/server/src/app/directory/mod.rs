//! Partners, tenants and users.

pub mod deletion;
pub mod invitations;
pub mod partners;
pub mod tenants;
pub mod users;
