//! Storage. SeaORM ends here: no type of it is part of this crate's interface.
//!
//! - [`Db`] opens SQLite or PostgreSQL, migrates, and runs transactions.
//! - [`Scope`] is the only way to tenant-owned rows: it is made from a grant and adds the grant's reach to every
//!   statement. [`WriteScope`] adds saving.
//! - [`System`] and [`WriteSystem`] are the bypass for what happens before anyone is known: sign-in, token checks,
//!   periodic tasks.
//! - Every save of a `Changed<T>` is compare-and-set and writes its audit event in the same transaction.

mod db;
mod entity;
mod error;
mod repo;
mod scope;
mod sqlite;
#[cfg(feature = "testing")]
pub mod testing;

pub use db::{
    Change, ChangeContext, Clock, Condition, Db, EventIds, Mac, MigrationStatus, Options, ReadOut, ReplaceLock,
    RootPart, Target, TrailKey, Unfit, WriteTx, deadline,
};
pub use error::{Error, Result};
pub use repo::{
    application::ApplicationFilter,
    application_use::ApplicationUse,
    assignment::AssignmentFilter,
    audit_list::AuditFilter,
    audit_seal::{SEALED_AT_ONCE, Unsealed},
    idempotency::{EarlierRequest, IdempotencyKey},
    job::{ClaimedJob, NewJob},
    key::{PlatformFacts, TenantFacts},
    logout_delivery::ClaimedDelivery,
    partner::PartnerFilter,
    pushed_request::PushedRequest,
    renewal::{SealedKind, SealedOf, SealedRow},
    role::RoleFilter,
    sweep::BATCH,
    tenant::TenantFilter,
    term::SearchKind,
    throttle::{AttemptKeys, NetworkKeys, ThrottleKey},
    tuned::{
        login::{Admission, Attempt, Credentials, SessionState},
        oauth::{Exchanged, Held},
        session_list::{SessionFilter, SessionSort},
        user_transfer::Taken,
    },
    user::{UserFilter, UserSort},
    user_import::RejectedLine,
    user_token::SpentToken,
};
pub use scope::{
    Scope, WriteScope,
    system::{Installation, System, WriteSystem},
};
pub use sqlite::ServeLock;
