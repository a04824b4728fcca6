//! Who may do what: the only module that can build a [`Grant`].
//!
//! ```compile_fail
//! use gatehouse_domain::authz::{Actor, Grant, ReadSessions, Reach};
//! // A grant cannot be made up: its fields are private and there is no constructor.
//! let forged: Grant<ReadSessions> = Grant { actor: todo!(), reach: Reach::Platform, permission: std::marker::PhantomData };
//! ```
//!
//! ```
//! use gatehouse_domain::authz::{Actor, Area, Grant, ReadSessions, SystemReason, authorize};
//! let actor = Actor::System(SystemReason::Job);
//! let earned: Grant<ReadSessions> = authorize(&actor.into(), &Area::Directory).unwrap();
//! ```
//!
//! ```compile_fail
//! use gatehouse_domain::authz::{Actor, Area, Grant, ReadSessions, RevokeSessions, SystemReason, authorize};
//! let actor = Actor::System(SystemReason::Job);
//! let grant: Grant<ReadSessions> = authorize(&actor.into(), &Area::Directory).unwrap();
//! fn revoke(_: &Grant<RevokeSessions>) {}
//! revoke(&grant); // the wrong permission
//! ```

mod actor;
mod actor_id;
mod authority;
mod permission;
mod policy;
mod reach;
mod shown;

pub(crate) use actor::{ACCOUNT_READ, ACCOUNT_WRITE};
pub use actor::{
    Actor, ApplicationActor, By, ByWhom, Presence, Right, SystemReason, TokenScope, UserActor, ends_later,
};
pub use actor_id::ActorId;
pub use authority::Authority;
pub use permission::*;
pub use policy::{Area, Denied, Grant, Installation, Permission, Reach, TenantRef, authorize};
pub use shown::ActorsShown;
