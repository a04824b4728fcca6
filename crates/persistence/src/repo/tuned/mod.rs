//! The statements that are text: those whose plan or whose locks the builder cannot say, and those of every sign-in and
//! every request. Each says why it is text and which test looks at its plan; `tests/it/text.rs` counts them. Everything
//! else is built from the entities.

pub(crate) mod assignment;
mod audit_check;
mod audit_list;
pub(crate) mod audit_queue;
mod caller;
pub(crate) mod effects;
mod facts;
mod idempotency;
mod job;
pub(crate) mod login;
mod logout_delivery_claim;
pub(crate) mod oauth;
mod owner;
pub(crate) mod session;
pub(crate) mod session_end;
pub(crate) mod session_list;
pub(crate) mod session_stats;
pub(crate) mod sweep;
mod throttle;
pub(crate) mod tighten;
pub(crate) mod user_transfer;
