//! Extractors: what handlers take.

pub mod access;
pub mod filtered;
pub mod page;
pub mod valid;
