//! The statements that are text: those whose plan or whose locks the builder cannot say, and those of every sign-in and
//! every request. Each says why it is text and which test looks at its plan; `tests/it/text.rs` counts them. Everything
//! else is built from the entities.

mod audit_check;
mod audit_list;
pub(crate) mod audit_queue;
mod caller;
mod facts;
mod idempotency;
mod job;
mod owner;
mod throttle;
