//! What every request has: a client, an idempotency key, a share of what is allowed.

pub mod buckets;
pub mod client;
pub mod idempotency;
