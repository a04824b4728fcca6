//! Extractors: what handlers take.

pub mod access;
pub mod page;
pub mod valid;
