//! Partners, tenants and users.

pub mod deletion;
pub mod invitations;
pub mod issuers;
pub mod partners;
pub mod tenants;
pub mod users;

pub use invitations::Invitations;
pub use partners::Partners;
pub use tenants::Tenants;
pub use users::Users;
