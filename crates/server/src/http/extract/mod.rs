//! Extractors: what handlers take.

pub mod access;
pub mod file;
pub mod filtered;
pub mod page;
pub mod valid;
