//! The rules of Gatehouse, without IO.
//!
//! Nothing here is asynchronous, reads a clock, draws a random number, or knows of SQL or HTTP: time and entropy
//! arrive as arguments, results leave as values. A security reviewer can read this crate alone.
//!
//! # Vocabulary
//!
//! - **platform**: one Gatehouse installation.
//! - **partner**: a reseller or business unit; owns tenants.
//! - **tenant**: one customer organisation; owns users, roles, keys and sessions. A partner's tenants share nothing.
//! - **user**: a person in exactly one tenant; the same e-mail address in two tenants is two unrelated users.
//! - **role**: a named set of `resource:action` permissions.
//! - **assignment**: a role given to a user at an **anchor**: the platform, a partner or a tenant.
//! - **session**: one sign-in of one user on one device; lives until it expires or is revoked.
//! - **application**: an OAuth client that a session was used with.
//! - **actor**: who acts in a request. Anonymous is the absence of an actor.
//! - **grant**: the proof that an actor may use a permission within a **reach**; the only way to touch tenant data.
//!
//! # Invariants
//!
//! 1. A [`authz::Grant`] can only be built by [`authz::authorize`]; without one no use case runs.
//! 2. A [`change::Changed`] can only be built by a transition of this crate; saving one writes its audit event.
//! 3. Values parse at construction: a `Username`, `Email` or `Slug` that exists is valid.

pub mod audit;
pub mod authz;
pub mod bucket;
pub mod change;
pub mod id;
pub mod import;
pub mod issue;
pub mod job;
pub mod key;
pub mod mail;
pub mod page;
pub mod partner;
pub mod password;
pub mod platform;
pub mod refresh;
pub mod role;
pub mod search;
pub mod secret;
pub mod session;
pub mod settings;
pub mod tenant;
pub mod text;
pub mod throttle;
pub mod time;
pub mod user;
