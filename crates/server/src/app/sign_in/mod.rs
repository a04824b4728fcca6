//! Signing in: what is proved, and how often it may be tried.

pub mod attempts;
pub mod password;
